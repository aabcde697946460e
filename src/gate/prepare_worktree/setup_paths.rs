//! Remembers which ignored paths the last setup of a private worktree made, so that a gate runs in the user's work
//! tree only if that has them, too. This module does not know how a setup is run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::base::path::RepoPath;
use crate::config::model::Setup;
use crate::git::{GitError, Repository};

/// The file in the state directory. Its first line is the digest of the setup, and each other one a path.
const FILE: &str = "setup-paths";

/// The ignored paths that setups made.
pub struct SetupPaths {
    path: PathBuf,
    /// The digest of the setup that made them.
    setup: String,
    paths: BTreeSet<RepoPath>,
}

impl SetupPaths {
    /// Reads the paths. What can't be read counts as missing.
    pub fn read(state: &Path) -> Self {
        let path = state.join(FILE);
        let bytes = file::read(&path).ok().flatten().unwrap_or_default();
        let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let setup = lines.next().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
        Self { setup, paths: lines.map(RepoPath::from_git).collect(), path }
    }

    /// Returns whether all that `setup` makes exists below `root`. If it is not known what it makes: no.
    pub fn exist(&self, setup: &Setup, root: &Path) -> bool {
        self.setup == digest(setup)
            && self.paths.iter().all(|path| path.under(root).symlink_metadata().is_ok())
    }

    /// Records what `setup` made in a worktree that had the ignored paths `before`.
    ///
    /// # Errors
    /// Fails if the file can't be written.
    pub fn record(
        self,
        setup: &Setup,
        before: &BTreeSet<RepoPath>,
        after: &BTreeSet<RepoPath>,
    ) -> Result<(), FileError> {
        // What an earlier setup made may still be there. If that is not known, all that is there counts.
        let is_made =
            |path: &&RepoPath| self.setup.is_empty() || !before.contains(*path) || self.paths.contains(*path);
        let mut text = digest(setup).into_bytes();
        for path in after.iter().filter(is_made) {
            text.push(b'\n');
            text.extend_from_slice(path.bytes());
        }
        file::write(&self.path, &text, self.path.parent().unwrap_or(&self.path), Durability::Relaxed)
    }
}

/// Returns the ignored paths of a private worktree.
///
/// # Errors
/// Git fails.
pub fn ignored(repository: &Repository) -> Result<BTreeSet<RepoPath>, GitError> {
    Ok(repository.ignored_paths()?.into_iter().map(|entry| entry.path).collect())
}

/// Returns a digest of what a setup does.
fn digest(setup: &Setup) -> String {
    Digest::hash(format!("{:?} in {}", setup.run.command, setup.env.cwd).as_bytes()).hex()
}
