//! The cache: entries under keys, blobs under digests, and outputs that are restored exactly. It does
//! not know tasks, trees or runs.
//!
//! An entry is one file, named by its key; contents that are too large for it are blobs, each a file
//! named by the digest of its content. Both are written to a temporary file, flushed and renamed,
//! blobs before the entry that needs them, and both contain a digest of themselves that every reader
//! checks. So a kill or a power cut leaves at worst a file that no entry refers to, and damage is
//! found when a file is read. A blob that was verified and whose stat has not changed since is not
//! read again. A decision about a hit whose outputs are in place needs neither: it takes what it needs
//! from the index, one file for all entries, as long as the entry's file has an unchanged stat.
//!
//! Stores hold `cache/lock` shared and garbage collection holds it alone, so a blob that a store
//! relies on can't be removed before its entry exists. Readers take no lock: a file that is removed
//! during a read is a miss.
//!
//! Read `lookup`, `index` and `store` first. `format/` has the files' formats, `dirs` their paths, `outputs/`
//! the outputs on disk, `restore/` puts them back; `gc`, `verify` and `stats` maintain the cache.

mod dirs;
mod error;
mod format;
mod gc;
mod index;
mod lookup;
mod outputs;
mod restore;
mod secret_search;
mod size_estimate;
mod staging_dir;
mod stats;
mod store;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::base::clock::Clock;
use crate::base::digest::Digest;
use crate::base::lock::FileLock;
use crate::base::path::RepoPath;
use dirs::{CacheDirs, FileKind};
use index::EntryIndex;
use outputs::table::StatTable;

pub use error::CacheError;
pub use format::entry::Entry;
pub use gc::GcReport;
pub use lookup::{Lookup, StoredOutcome};
pub use outputs::compare::{ExtraFiles, OutputState};
pub use outputs::output_set::{Output, OutputContent, OutputSet};
pub use restore::RestoreCounts;
pub use restore::plan::RestoreError;
pub use secret_search::SecretMatcher;
pub use stats::{Stats, TaskStats};
pub use store::NewEntry;
pub use verify::{Damage, Repair, VerifyReport};

/// A cache in a state directory, shared by the threads of a run.
#[derive(Debug)]
pub struct Cache {
    dirs: CacheDirs,
    cap: u64,
    clock: Clock,
    /// The blobs that were verified, by their stat at that time.
    verified: OnceLock<StatTable>,
    /// The digests of outputs, by root.
    tables: Mutex<HashMap<PathBuf, Arc<StatTable>>>,
    /// The estimate of the cache's size.
    size: Mutex<SizeEstimate>,
    /// What decisions need of entries.
    index: OnceLock<EntryIndex>,
    /// Blobs that were found damaged. The next store removes those that it does not replace.
    damaged: Mutex<BTreeSet<Digest>>,
}

/// The estimate of the cache's size, as far as this process knows it.
#[derive(Clone, Copy, Debug, Default)]
struct SizeEstimate {
    /// The size; `None` before the file is read.
    known: Option<u64>,
    /// What is not in the file yet.
    unsaved: u64,
}

impl Cache {
    /// Opens the cache in `state`, which may take `cap` bytes. Folders are created as needed. If they
    /// can't be created, existing entries can still be read.
    pub fn open(state: &Path, cap: u64, clock: &Clock) -> Self {
        let dirs = CacheDirs::new(state);
        // A store tries again, and reports why it fails.
        let _ = dirs.create();
        Self {
            dirs,
            cap,
            clock: clock.clone(),
            verified: OnceLock::new(),
            tables: Mutex::default(),
            size: Mutex::default(),
            index: OnceLock::new(),
            damaged: Mutex::default(),
        }
    }

    /// Tries to take the lock of a key, which keeps two runs from doing the same work; returns `None`
    /// if another run holds it. The lock protects nothing in the cache itself.
    ///
    /// # Errors
    /// The file of the lock can't be created.
    pub fn lock(&self, key: &Digest) -> Result<Option<FileLock>, CacheError> {
        Ok(FileLock::named(&self.dirs.key_lock(key))?)
    }

    /// Saves which files need not be read again, and the index. Dropping the cache does the same, but ignores
    /// errors.
    ///
    /// # Errors
    /// The disk is full. Only time is lost.
    pub fn save(&self) -> Result<(), CacheError> {
        let temp = self.dirs.temp();
        self.save_size_estimate();
        if let Some(verified) = self.verified.get() {
            verified.save(&temp, |name| {
                let digest = name.try_into().map(Digest::from_bytes);
                digest.is_ok_and(|digest| self.dirs.file(FileKind::Blob, &digest).exists())
            })?;
        }
        if let Some(index) = self.index.get() {
            index.save(&temp, self.clock.now())?;
        }
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (root, table) in tables {
            table.save(&temp, |name| RepoPath::from_git(name).under(&root).symlink_metadata().is_ok())?;
        }
        Ok(())
    }

    /// Returns the digests of outputs below a root.
    fn table(&self, root: &Path) -> Arc<StatTable> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(root) {
            return Arc::clone(table);
        }
        let table = Arc::new(StatTable::load(self.dirs.output_table(root)));
        tables.insert(root.to_owned(), Arc::clone(&table));
        table
    }

    /// Returns the index of entries.
    fn index(&self) -> &EntryIndex {
        self.index
            .get_or_init(|| EntryIndex::load(self.dirs.entry_index(), &self.dirs.folder(FileKind::Entry)))
    }

    /// Returns the stat table of verified blobs.
    fn verified(&self) -> &StatTable {
        self.verified.get_or_init(|| StatTable::load(self.dirs.blob_table()))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.save();
    }
}
