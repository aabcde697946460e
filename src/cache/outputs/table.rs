//! A stat table: digests by name and stat, shared by threads, loaded at the first use and saved at
//! the end. It does not know the meaning of names.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::stat::{Moment, Stat};
use crate::base::stat_cache::StatCache;

/// Digests by name and stat.
#[derive(Debug)]
pub(crate) struct StatTable {
    path: PathBuf,
    rows: RwLock<StatCache<{ Digest::LEN }>>,
    unsaved: AtomicBool,
}

impl StatTable {
    pub(crate) fn load(path: PathBuf) -> Self {
        Self { rows: RwLock::new(StatCache::load(&path)), path, unsaved: AtomicBool::new(false) }
    }

    /// Returns the digest that `name` had when it had exactly this stat.
    pub(crate) fn get(&self, name: &[u8], stat: &Stat) -> Option<Digest> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(name, stat).map(Digest::from_bytes)
    }

    /// Adds rows whose content was read after the moment `before`.
    pub(crate) fn insert<'a>(
        &self,
        new: impl IntoIterator<Item = (&'a [u8], &'a Stat, Digest)>,
        before: &Moment,
    ) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for (name, stat, digest) in new {
            rows.insert(name, stat, *digest.bytes(), before);
            self.unsaved.store(true, Ordering::Relaxed);
        }
    }

    /// Writes the table if it has changed, with only those rows for which `keep` is true.
    pub(crate) fn save(&self, temp: &Path, keep: impl Fn(&[u8]) -> bool) -> Result<(), FileError> {
        if !self.unsaved.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.retain(keep);
        rows.save(&self.path, temp)
    }
}
