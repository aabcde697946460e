//! A private worktree that is ready to use, and the mark on it. While the mark exists, files that tasks
//! left in the worktree may have been made from files of the user's work tree.

use std::fs::File;
use std::path::Path;

use crate::base::env::Env;
use crate::base::file::{self, Durability, FileError};
use crate::gate::error::GateError;
use crate::git::{PrivateWorktree, Repository};

/// The name of the mark, a file in the private worktree's git folder.
const MARK: &str = "taskgate-unchecked";

/// A private worktree that tasks can run in. Other processes can't use it until this value is dropped.
pub struct ReadyWorktree {
    /// The worktree.
    pub worktree: PrivateWorktree,
    /// The repository of the worktree, which is not the user's.
    pub repository: Repository,
    /// The caller's environment, with paths of the work tree replaced by those of the worktree.
    pub env: Env,
}

impl ReadyWorktree {
    /// Returns the open file whose lock reserves the worktree.
    ///
    /// # Errors
    /// Fails if there are too many open files.
    pub fn hold(&self) -> Result<File, GateError> {
        self.worktree
            .share_lock()
            .map_err(FileError::context("keep", self.worktree.path()))
            .map_err(GateError::from)
    }

    /// Sets the mark. Must be called before tasks run.
    pub(super) fn mark_as_tainted(&self) -> Result<(), FileError> {
        let git_dir = self.worktree.git_dir();
        file::write(&git_dir.join(MARK), b"", &git_dir, Durability::Relaxed)
    }

    /// Removes the mark. Must only be called if no task opened files of the user's work tree.
    pub(super) fn clear_mark(&self) -> Result<(), FileError> {
        file::remove_all(&self.worktree.git_dir().join(MARK))
    }
}

/// Returns whether the mark exists: an earlier gate was killed, or its tasks opened files of the user's
/// work tree.
pub(super) fn may_be_tainted(git_dir: &Path) -> bool {
    git_dir.join(MARK).symlink_metadata().is_ok()
}
