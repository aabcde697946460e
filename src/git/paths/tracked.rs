//! The paths that git tracks in a work tree, including those in submodules.

use crate::base::path::RepoPath;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;

use crate::git::error::GitError;
use crate::git::repository::Repository;
use crate::git::snapshot::Mode;

impl Repository {
    /// Returns the paths of all files and symlinks of the index, and of the indexes of checked-out
    /// submodules.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn tracked_files(&self) -> Result<Vec<RepoPath>, GitError> {
        let index = self.index()?;
        let mut files = Vec::with_capacity(index.len());
        for row in 0..index.len() {
            let path = RepoPath::from_git(index.path(row));
            if index.entry(row).mode() != Some(Mode::Submodule) {
                files.push(path);
                continue;
            }
            // A submodule that can't be read has no files that matter to a tool.
            let inner = self.opener().open(&path.under(self.work_dir())).ok().flatten();
            let inside = inner.and_then(|inner| inner.tracked_files().ok()).unwrap_or_default();
            files.extend(inside.iter().map(|inner| path.child(inner.bytes())));
        }
        Ok(files)
    }

    /// Returns the first file of the index at or below `path`.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn first_tracked(&self, path: &RepoPath) -> Result<Option<RepoPath>, GitError> {
        let index = self.index()?;
        if index.find(path).is_some() {
            return Ok(Some(path.clone()));
        }
        let below = [path.bytes(), b"/"].concat();
        let at = index.partition_point(0..index.len(), |row| row < &*below);
        let is_below = at < index.len() && index.path(at).starts_with(&below);
        Ok(is_below.then(|| RepoPath::from_git(index.path(at))))
    }

    /// Returns the tracked files of the work tree that have several hard links, by device and inode.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn files_with_more_names(&self) -> Result<HashMap<(u64, u64), RepoPath>, GitError> {
        let index = self.index()?;
        let mut files = HashMap::new();
        for row in 0..index.len() {
            let path = RepoPath::from_git(index.path(row));
            if let Ok(meta) = path.under(self.work_dir()).symlink_metadata()
                && meta.is_file()
                && meta.nlink() > 1
            {
                files.insert((meta.dev(), meta.ino()), path);
            }
        }
        Ok(files)
    }
}
