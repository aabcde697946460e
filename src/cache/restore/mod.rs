//! Restores outputs: the disk gets exactly the outputs of an entry, or stays as it is.
//!
//! A restore has three steps: `plan` compares the disk with the entry and decides what to do, `fetch`
//! reads and verifies the contents, `install` changes the disk. `transfer` moves the outputs of a
//! sandbox in the same way.

mod fetch;
mod install;
pub(super) mod plan;
mod transfer;

use std::path::Path;

use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::format::entry::Entry;
use crate::cache::restore::fetch::FetchedContents;
use crate::cache::restore::install::Installer;
use crate::cache::restore::plan::{RestoreError, RestorePlan, RestoreTarget};

/// What a restore did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestoreCounts {
    /// The number of files and symlinks that were written.
    pub written: usize,
    /// The number of files and symlinks that were deleted because the entry does not have them.
    pub removed: usize,
}

impl Cache {
    /// Makes what matches `patterns` below `root` equal to the entry: bytes, permission bits,
    /// symlinks, empty folders, and nothing else. What is already right is not touched. All contents
    /// are read and verified before anything is changed. If the process is killed in the middle,
    /// [`Cache::compare`] finds that the outputs differ.
    ///
    /// # Errors
    /// The entry can't be restored exactly: a blob is damaged, a tracked file would have to be
    /// deleted, something is in the way, or the disk is full. Unless the error is
    /// [`RestoreError::Partial`], nothing was changed.
    pub fn restore(
        &self,
        root: &Path,
        patterns: &Patterns,
        entry: &Entry,
        is_tracked: &dyn Fn(&RepoPath) -> bool,
    ) -> Result<RestoreCounts, RestoreError> {
        let target = RestoreTarget { root, patterns, is_tracked };
        let temp = self.dirs.temp();
        let plan = RestorePlan::new(&target, &entry.outputs, &self.table(root), &temp)?;
        let mut contents = self.fetch(root, entry, &plan)?;
        let installer = Installer::new(root, self.dirs.writable_temp().as_deref())?;
        installer.run(&entry.outputs, &plan, &mut contents).map_err(RestoreError::Partial)?;
        Ok(RestoreCounts { written: plan.writes.len(), removed: plan.remove.len() })
    }

    /// Removes files and symlinks below `root`. A symlink above one of them is not followed.
    ///
    /// # Errors
    /// One of them is a folder, is behind a symlink or can't be removed; others may be gone.
    pub fn remove_files(&self, root: &Path, paths: Vec<RepoPath>) -> Result<(), CacheError> {
        let plan = RestorePlan { remove: paths, ..RestorePlan::default() };
        let installer = Installer::new(root, self.dirs.writable_temp().as_deref())?;
        Ok(installer.run(&[], &plan, &mut FetchedContents::default())?)
    }
}
