//! Why a gate has no answer. It must not know exit statuses.

use std::path::{Path, PathBuf};

use crate::base::file::FileError;
use crate::config::diagnostic::Diagnostics;
use crate::engine::prepare::PrepareError;
use crate::gate::worktree::link_and_copy::LeadsBack;
use crate::git::GitError;

/// A question that can't be answered, which is never a pass.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The tree's tasks.toml is invalid.
    #[error("tasks.toml is invalid")]
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
    #[error("`{path}` of `[worktree]` can't be provided, since it has the tracked file {file}")]
    Provided {
        /// Which path.
        path: String,
        /// A file of the pushed tree, or of the index.
        file: String,
    },
    /// Something that is to be provided leads back into the work tree.
    #[error(
        "`{}` of `[worktree]` can't be provided, since {} leads back into the work tree: {}",
        .back.provided, .back.entry.display(), shown(&.back.place)
    )]
    LeadsBack {
        /// What, and where.
        back: LeadsBack,
        /// What to write in tasks.toml.
        remedy: String,
    },
    /// A symlink of the tree leads into the work tree.
    #[error("{path} is a symlink that leads into the work tree: {}", shown(.place))]
    TrackedLink {
        /// The symlink.
        path: String,
        /// What of the work tree it leads to.
        place: PathBuf,
    },
}

/// A path of the work tree as people read it.
fn shown(place: &Path) -> String {
    if place.as_os_str().is_empty() { "its top".to_owned() } else { place.display().to_string() }
}
