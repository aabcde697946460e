//! Restoring: what is on disk becomes what an entry says, exactly, or stays as it is. It must not know
//! why.

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
use crate::cache::restore::fetch::Contents;
use crate::cache::restore::install::Installer;
use crate::cache::restore::plan::{Ground, Plan, RestoreError};

/// What a restore did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// Files and symlinks that were written.
    pub written: usize,
    /// Files and symlinks that were deleted because the entry does not have them.
    pub removed: usize,
}

impl Cache {
    /// Makes what lies within `patterns` below `root` what the entry says: bytes, permission bits,
    /// symlinks, empty folders, and nothing beside them. What is right already is left alone. All
    /// contents are read and verified before anything is changed. A kill in the middle leaves
    /// outputs that [`Cache::compare`] finds to differ.
    ///
    /// # Errors
    /// The entry can't be restored exactly: a blob is damaged, a tracked file would have to be
    /// deleted, something stands in the way, the disk is full. Unless the error is
    /// [`RestoreError::Partly`], nothing was changed.
    pub fn restore(
        &self,
        root: &Path,
        patterns: &Patterns,
        entry: &Entry,
        is_tracked: &dyn Fn(&RepoPath) -> bool,
    ) -> Result<Restored, RestoreError> {
        let ground = Ground { root, patterns, is_tracked };
        let temp = self.place.temp();
        let plan = Plan::make(&ground, &entry.outputs, &self.table(root), &temp)?;
        let mut contents = self.fetch(root, entry, &plan)?;
        let installer = Installer::new(root, self.place.scratch().as_deref())?;
        installer.run(&entry.outputs, &plan, &mut contents).map_err(RestoreError::Partly)?;
        Ok(Restored { written: plan.writes.len(), removed: plan.remove.len() })
    }

    /// Takes files and symlinks below `root` out. A symlink above one of them is not followed.
    ///
    /// # Errors
    /// One of them is a folder, lies behind a symlink or can't be removed; others may be gone.
    pub fn take_out(&self, root: &Path, paths: Vec<RepoPath>) -> Result<(), CacheError> {
        let plan = Plan { remove: paths, ..Plan::default() };
        let installer = Installer::new(root, self.place.scratch().as_deref())?;
        Ok(installer.run(&[], &plan, &mut Contents::default())?)
    }
}
