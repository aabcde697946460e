//! The error of a gate that can't answer its question. This module does not know exit statuses.

use std::path::{Path, PathBuf};

use crate::base::file::FileError;
use crate::config::diagnostic::Diagnostics;
use crate::engine::prepare::PrepareError;
use crate::gate::prepare_worktree::link_and_copy::BackReference;
use crate::git::GitError;

/// Why a question can't be answered. An error never counts as a pass.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The tree's tasks.toml is invalid.
    #[error("tasks.toml is invalid")]
    Config(Diagnostics),
    /// The tree can't be read or checked out.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The run can't be planned.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The signal handlers can't be installed, so no task could be stopped.
    #[error("can't listen for signals")]
    Signals {
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The prepared private worktree differs from the tree under test.
    #[error("preparing the private worktree modified the tree under test: {what}")]
    TreeModified {
        /// The first file that differs, and how it differs.
        what: String,
    },
    /// A path of `[worktree]` has a symlink above it, which may point to any place outside of the worktree.
    #[error("`{path}` of `[worktree]` can't be provided: it is below a symlink of the tree")]
    BelowSymlink {
        /// The path of `[worktree]`.
        path: String,
    },
    /// A path of `[worktree]` is a tracked file, or a folder that contains one.
    #[error("`{path}` of `[worktree]` can't be provided: git tracks {file}")]
    ProvidedTracked {
        /// The path of `[worktree]`.
        path: String,
        /// The tracked file, which is in the pushed tree or in the index.
        file: String,
    },
    /// A file or folder of `[worktree]` refers back to the user's work tree.
    #[error(
        "`{}` of `[worktree]` can't be provided: {} refers to a path in the work tree: {}",
        .back.provided, .back.entry.display(), display_in_tree(&.back.target)
    )]
    BackReference {
        /// The file that refers back, and the path that it refers to.
        back: BackReference,
        /// What to change in tasks.toml.
        remedy: String,
    },
    /// A tracked symlink points into the user's work tree.
    #[error("{path} is a symlink into the work tree: {}", display_in_tree(.target))]
    TrackedLink {
        /// The path of the symlink.
        path: String,
        /// The path in the work tree that it points to.
        target: PathBuf,
    },
}

/// Returns a path of the work tree in the form that messages show.
fn display_in_tree(path: &Path) -> String {
    if path.as_os_str().is_empty() { "its top".to_owned() } else { path.display().to_string() }
}
