//! A private worktree that is ready to run in, and the mark on it: while the mark is there, what tasks left
//! in the worktree may have been made from files of the user's work tree.

use std::fs::File;
use std::path::Path;

use crate::base::env::Env;
use crate::base::file::{self, Durability, FileError};
use crate::gate::error::GateError;
use crate::git::{PrivateWorktree, Repository};

/// The mark: a file in the private worktree's git folder.
const MARK: &str = "taskgate-unchecked";

/// A private worktree to run in. Others can't use it until this is dropped.
pub struct Ready {
    /// The worktree.
    pub worktree: PrivateWorktree,
    /// Its repository, which is not the user's.
    pub repository: Repository,
    /// The caller's environment, for commands in it.
    pub env: Env,
}

impl Ready {
    /// Returns the open file whose lock reserves the worktree.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn hold(&self) -> Result<File, GateError> {
        self.worktree
            .share_lock()
            .map_err(FileError::of("keep", self.worktree.path()))
            .map_err(GateError::from)
    }

    /// Sets the mark, before tasks run.
    pub(super) fn mark_as_tainted(&self) -> Result<(), FileError> {
        let git_dir = self.worktree.git_dir();
        file::write(&git_dir.join(MARK), b"", &git_dir, Durability::Relaxed)
    }

    /// Removes the mark, once no task has opened files of the work tree.
    pub(super) fn clear_mark(&self) -> Result<(), FileError> {
        file::remove_all(&self.worktree.git_dir().join(MARK))
    }
}

/// Returns whether the mark was left by a killed gate, or because tasks opened files of the work tree.
pub(super) fn may_be_tainted(git_dir: &Path) -> bool {
    git_dir.join(MARK).symlink_metadata().is_ok()
}
