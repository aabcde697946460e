//! Why a gate has no answer. It must not know exit statuses.

use crate::config::diagnostic::Diagnostics;
use crate::engine::prepare::PrepareError;
use crate::git::GitError;
use crate::ground::file::FileError;

/// A question that can't be answered, which is never a pass.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The tree's tasks.toml is wrong.
    #[error("tasks.toml is wrong")]
    Config(Diagnostics),
    /// The tree can't be read or checked out.
    #[error(transparent)]
    Git(#[from] GitError),
    /// No plan can be made.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Signals can't be listened to, so that nothing could be ended.
    #[error("can't listen for signals")]
    Signals {
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The private worktree does not hold the tree once it is made ready.
    #[error("what makes the private worktree ready also changes its tree: {what}")]
    Altered {
        /// The first file, and how it differs.
        what: String,
    },
    /// Something is to be provided behind a symlink, which may lead anywhere.
    #[error("`{path}` of `[worktree]` lies behind a symlink of the tree, so it can't be provided")]
    BehindSymlink {
        /// Which path.
        path: String,
    },
    /// Something is to be provided where the tree has a file of its own.
    #[error("`{path}` of `[worktree]` is part of the tree, so it can't be provided")]
    Provided {
        /// Which path.
        path: String,
    },
}
