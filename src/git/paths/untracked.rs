//! The files of a work tree that are not part of its commits: ignored ones, and others that git does not track.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::paths::browse::FolderEntry;
use crate::git::repository::Repository;

impl Repository {
    /// Returns the ignored files and folders of the work tree. A folder in which git tracks nothing is one
    /// entry.
    ///
    /// # Errors
    /// Git fails.
    pub fn ignored_paths(&self) -> Result<Vec<FolderEntry>, GitError> {
        self.other_paths(&["--ignored"])
    }

    /// Returns the files and folders of the work tree that git neither tracks nor ignores. A folder in which
    /// git tracks nothing is one entry.
    ///
    /// # Errors
    /// Git fails.
    pub fn untracked_paths(&self) -> Result<Vec<FolderEntry>, GitError> {
        self.other_paths(&[])
    }

    fn other_paths(&self, more: &[&str]) -> Result<Vec<FolderEntry>, GitError> {
        let args = ["ls-files", "-z", "--others", "--exclude-standard", "--directory"];
        let output = self.program().run(self.dirs(), &[&args, more].concat())?;
        let names = output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let entry = |name: &[u8]| match name.strip_suffix(b"/") {
            Some(name) => FolderEntry { path: RepoPath::from_git(name), is_folder: true },
            None => FolderEntry { path: RepoPath::from_git(name), is_folder: false },
        };
        Ok(names.map(entry).collect())
    }
}
