//! A stat table in use: shared by threads, loaded when first asked, saved when the work is done. It
//! must not know what its names mean.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::stat::{Moment, Stat};
use crate::base::stat_cache::StatCache;

/// Digests by name and stat.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    rows: RwLock<StatCache<{ Digest::LEN }>>,
    unsaved: AtomicBool,
}

impl Table {
    pub(crate) fn load(path: PathBuf) -> Self {
        Self { rows: RwLock::new(StatCache::load(&path)), path, unsaved: AtomicBool::new(false) }
    }

    /// The digest that `name` had when its stat was exactly this.
    pub(crate) fn get(&self, name: &[u8], stat: &Stat) -> Option<Digest> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        rows.get(name, stat).map(Digest::from_bytes)
    }

    /// Remembers rows whose content was read after the moment `before`.
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

    /// Writes the table if it learnt something, without the rows that `keep` gives up.
    pub(crate) fn save(&self, temp: &Path, keep: impl Fn(&[u8]) -> bool) -> Result<(), FileError> {
        if !self.unsaved.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.retain(keep);
        rows.save(&self.path, temp)
    }
}
