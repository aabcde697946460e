//! Remembers which ignored paths a private worktree has after its setup, so that a gate runs in the user's work tree
//! only if that has them, too. This module does not know how a setup is run.
//!
//! In a private worktree that was used before, these may be more than the setup made. Then a gate may use a
//! private worktree where the user's work tree would do.

use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability};
use crate::base::path::RepoPath;
use crate::config::model::Setup;
use crate::gate::error::GateError;
use crate::git::Repository;

/// The folder in the state directory with a file for each setup, which has a line for each path.
const FOLDER: &str = "setup-paths";

/// Returns whether it is known what a setup makes.
pub fn are_known(state: &Path, setup: &Setup) -> bool {
    file_of(state, setup).exists()
}

/// Returns whether all that a setup makes exists below `root`. If it is not known what it makes: no.
pub fn exist(state: &Path, setup: &Setup, root: &Path) -> bool {
    let exists =
        |line: &[u8]| line.is_empty() || RepoPath::from_git(line).under(root).symlink_metadata().is_ok();
    match file::read(&file_of(state, setup)) {
        Ok(Some(bytes)) => bytes.split(|byte| *byte == b'\n').all(exists),
        _ => false,
    }
}

/// Records the ignored paths of a private worktree in which the setup has passed.
///
/// # Errors
/// Git fails, or the file can't be written.
pub fn record(state: &Path, setup: &Setup, repository: &Repository) -> Result<(), GateError> {
    let mut text = Vec::new();
    for entry in repository.ignored_paths()? {
        text.extend_from_slice(entry.path.bytes());
        text.push(b'\n');
    }
    let path = file_of(state, setup);
    let folder = state.join(FOLDER);
    file::make_dir(&folder)?;
    Ok(file::write(&path, &text, &folder, Durability::Relaxed)?)
}

/// Returns the file of a setup, which is named by what it does.
fn file_of(state: &Path, setup: &Setup) -> PathBuf {
    let text = format!("{:?} in {}", setup.run.command, setup.env.cwd);
    state.join(FOLDER).join(Digest::hash(text.as_bytes()).short())
}
