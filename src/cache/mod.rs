//! The cache: entries under keys, blobs under digests, outputs put back exactly. It must not know of
//! tasks, trees or runs.
//!
//! An entry is one file under its key; what is too large for it are blobs, each a file under the
//! digest of its content. Both are written whole by temporary file, flush and rename, blobs before
//! the entry that needs them, and both carry a digest of themselves that every reading compares. So
//! a kill or a power cut leaves at worst a file that nobody refers to, and rot is found when it is
//! met. A blob that was verified and whose stat has not changed since is not read again.
//!
//! Stores hold `cache/lock` shared and garbage collection holds it alone, so a blob that a store
//! counts on can't go before its entry is there. Reading takes no lock: what vanishes under a reader
//! is a miss.

mod error;
mod format;
mod gc;
mod lookup;
mod outputs;
mod place;
mod restore;
mod secret;
mod size;
mod stage;
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
use outputs::table::Table;
use place::Place;

pub use error::CacheError;
pub use format::entry::Entry;
pub use gc::GcReport;
pub use lookup::Lookup;
pub use outputs::compare::{Extras, OutputState};
pub use outputs::output_set::{Content, Output, OutputSet};
pub use restore::Restored;
pub use restore::plan::RestoreError;
pub use secret::Forbidden;
pub use stats::{Stats, TaskStats};
pub use store::NewEntry;
pub use verify::{Damage, Repair, VerifyReport};

/// A cache in a state directory; shared by the threads of a run.
#[derive(Debug)]
pub struct Cache {
    place: Place,
    cap: u64,
    clock: Clock,
    /// Blobs that were verified, by the stat they had.
    verified: OnceLock<Table>,
    /// Digests of outputs, by root.
    tables: Mutex<HashMap<PathBuf, Arc<Table>>>,
    /// Blobs that were found damaged; those that no store replaces are removed by the next.
    damaged: Mutex<BTreeSet<Digest>>,
}

impl Cache {
    /// Opens the cache in `state`, which may take `cap` bytes. Folders are made as needed; where
    /// they can't be made, what is there can still be read.
    pub fn open(state: &Path, cap: u64, clock: &Clock) -> Self {
        let place = Place::new(state);
        // A store that needs them tries again, and says why it can't.
        let _ = place.make();
        Self {
            place,
            cap,
            clock: clock.clone(),
            verified: OnceLock::new(),
            tables: Mutex::default(),
            damaged: Mutex::default(),
        }
    }

    /// Tries to take the lock of a key, which keeps two runs from doing the same work; `None` if
    /// another holds it. It guards nothing in the cache itself.
    ///
    /// # Errors
    /// The lock's file can't be made.
    pub fn lock(&self, key: &Digest) -> Result<Option<FileLock>, CacheError> {
        Ok(FileLock::named(&self.place.key_lock(key))?)
    }

    /// Writes down which files need not be read again. Dropping the cache does it too, but says
    /// nothing of failure.
    ///
    /// # Errors
    /// The disk is full. Nothing but time is lost.
    pub fn save(&self) -> Result<(), CacheError> {
        let temp = self.place.temp();
        if let Some(verified) = self.verified.get() {
            verified.save(&temp, |name| {
                let digest = name.try_into().map(Digest::from_bytes);
                digest.is_ok_and(|digest| self.place.file(place::Kind::Blob, &digest).exists())
            })?;
        }
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (root, table) in tables {
            table.save(&temp, |name| RepoPath::from_git(name).under(&root).symlink_metadata().is_ok())?;
        }
        Ok(())
    }

    /// The digests of outputs below a root.
    fn table(&self, root: &Path) -> Arc<Table> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(root) {
            return Arc::clone(table);
        }
        let table = Arc::new(Table::load(self.place.output_table(root)));
        tables.insert(root.to_owned(), Arc::clone(&table));
        table
    }

    /// The stat table of verified blobs.
    fn verified(&self) -> &Table {
        self.verified.get_or_init(|| Table::load(self.place.blob_table()))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.save();
    }
}
