//! The paths that git tracks in a work tree, those in submodules included. It must not know what is
//! on disk.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::Repository;
use crate::git::snapshot::Mode;

impl Repository {
    /// Returns the paths of all files and symlinks that the index has, and those that the indexes of
    /// checked-out submodules have.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn tracked_files(&self) -> Result<Vec<RepoPath>, GitError> {
        let index = self.index()?;
        let mut files = Vec::with_capacity(index.len());
        for row in 0..index.len() {
            let path = RepoPath::from_git(index.path(row));
            if index.row(row).kind() != Some(Mode::Submodule) {
                files.push(path);
                continue;
            }
            // A submodule that can't be read has no files that a tool could tell apart either.
            let inner = self.opener().open(&path.under(self.work_dir())).ok().flatten();
            let inside = inner.and_then(|inner| inner.tracked_files().ok()).unwrap_or_default();
            files.extend(inside.iter().map(|inner| path.child(inner.bytes())));
        }
        Ok(files)
    }
}
