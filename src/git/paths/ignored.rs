//! The ignored files of a work tree.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::Repository;

/// An ignored file, or a folder of which all files are ignored.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct IgnoredPath {
    /// The path.
    pub path: RepoPath,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Repository {
    /// Returns the ignored files of the work tree. A folder stands for the files below it if all of them are
    /// ignored.
    ///
    /// # Errors
    /// git fails.
    pub fn ignored_paths(&self) -> Result<Vec<IgnoredPath>, GitError> {
        let args = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z"];
        let listed = self.program().run(self.dirs(), &args)?;
        let paths = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths
            .map(|path| match path.strip_suffix(b"/") {
                Some(folder) => IgnoredPath { path: RepoPath::from_git(folder), is_folder: true },
                None => IgnoredPath { path: RepoPath::from_git(path), is_folder: false },
            })
            .collect())
    }
}
