//! Garbage collection: removes the least recently used entries until the cache is below its cap, then
//! blobs without an entry, then files of killed runs. It does not know the value of entries.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::lock::FileLock;
use crate::cache::Cache;
use crate::cache::dirs::{self, FileKind};
use crate::cache::error::CacheError;

/// Files that no entry refers to are not removed before this age.
const MIN_AGE: Duration = Duration::from_secs(60 * 60);
/// The age from which a lock file of a killed run, and the stat table of an unused root, is removed.
const STALE_LOCK: Duration = Duration::from_secs(24 * 60 * 60);
const STALE_TABLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a garbage collection did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GcReport {
    /// The number of removed entries.
    pub entries: usize,
    /// The number of removed blobs.
    pub blobs: usize,
    /// The bytes of removed entries and blobs.
    pub freed: u64,
    /// The bytes of the remaining entries and their blobs.
    pub left: u64,
    /// The number of removed temporary files of killed runs.
    pub temps: usize,
}

/// An entry. A damaged one refers to no blobs.
struct GcEntry {
    key: Digest,
    size: u64,
    used: SystemTime,
    blobs: HashSet<Digest>,
}

/// A blob and the number of entries that refer to it.
struct GcBlob {
    size: u64,
    modified: SystemTime,
    users: usize,
}

impl Cache {
    /// Collects garbage. It waits for running stores, and stores wait for it. If the cache is over
    /// its cap, entries are removed until a tenth of the cap is free, but never the last one that
    /// fits.
    ///
    /// # Errors
    /// A file can't be listed or removed. The cache stays consistent.
    pub fn gc(&self) -> Result<GcReport, CacheError> {
        self.dirs.create()?;
        let _alone = FileLock::exclusive(&self.dirs.lock())?;
        let mut report = GcReport::default();
        let entries = self.known_entries()?;
        let mut blobs = self.blobs_with_users(&entries)?;
        let live: u64 = blobs.values().filter(|blob| blob.users > 0).map(|blob| blob.size).sum();
        report.left = live + entries.iter().map(|entry| entry.size).sum::<u64>();
        self.evict(entries, &mut blobs, &mut report)?;
        for (digest, blob) in &blobs {
            if blob.users == 0 && self.is_older(blob.modified, MIN_AGE) {
                self.remove_blob(digest, blob.size, &mut report)?;
            }
        }
        report.temps = self.sweep(&self.dirs.temp(), MIN_AGE)?;
        self.sweep_locks()?;
        self.set_size_estimate(report.left);
        Ok(report)
    }

    /// Removes all entries and blobs, and temporary files. Locks of running tasks stay.
    ///
    /// # Errors
    /// A file can't be listed or removed.
    pub fn clear(&self) -> Result<GcReport, CacheError> {
        self.dirs.create()?;
        let _alone = FileLock::exclusive(&self.dirs.lock())?;
        let mut report = GcReport::default();
        for (key, meta) in self.dirs.list(FileKind::Entry)? {
            self.remove_entry(&key, meta.len(), &mut report)?;
        }
        for (digest, meta) in self.dirs.list(FileKind::Blob)? {
            self.remove_blob(&digest, meta.len(), &mut report)?;
        }
        dirs::remove_file(&self.dirs.entry_index())?;
        report.temps = self.sweep(&self.dirs.temp(), MIN_AGE)?;
        self.set_size_estimate(0);
        Ok(report)
    }

    fn known_entries(&self) -> Result<Vec<GcEntry>, CacheError> {
        let files = self.dirs.list(FileKind::Entry)?;
        let known = files.into_par_iter().map(|(key, meta)| GcEntry {
            key,
            size: meta.len(),
            used: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            blobs: self.entry(&key).map(|(entry, _)| entry.blobs().collect()).unwrap_or_default(),
        });
        Ok(known.collect())
    }

    fn blobs_with_users(&self, entries: &[GcEntry]) -> Result<HashMap<Digest, GcBlob>, CacheError> {
        let mut blobs = HashMap::new();
        for (digest, meta) in self.dirs.list(FileKind::Blob)? {
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            blobs.insert(digest, GcBlob { size: meta.len(), modified, users: 0 });
        }
        for digest in entries.iter().flat_map(|entry| &entry.blobs) {
            if let Some(blob) = blobs.get_mut(digest) {
                blob.users += 1;
            }
        }
        Ok(blobs)
    }

    /// Removes entries, and the blobs that only they need, until there is room.
    fn evict(
        &self,
        mut entries: Vec<GcEntry>,
        blobs: &mut HashMap<Digest, GcBlob>,
        report: &mut GcReport,
    ) -> Result<(), CacheError> {
        if report.left <= self.cap {
            return Ok(());
        }
        entries.sort_by_key(|entry| (entry.used, entry.key));
        let count = entries.len();
        for (index, entry) in entries.into_iter().enumerate() {
            let is_last = index + 1 == count;
            if report.left <= self.cap / 10 * 9 || (is_last && report.left <= self.cap) {
                break;
            }
            self.remove_entry(&entry.key, entry.size, report)?;
            report.left -= entry.size;
            for digest in entry.blobs {
                let Some(blob) = blobs.get_mut(&digest) else { continue };
                blob.users -= 1;
                if blob.users == 0 {
                    // Its age does not matter: there is no store while the lock is held exclusively.
                    report.left -= blob.size;
                    self.remove_blob(&digest, blob.size, report)?;
                    blobs.remove(&digest);
                }
            }
        }
        Ok(())
    }

    fn remove_entry(&self, key: &Digest, size: u64, report: &mut GcReport) -> Result<(), CacheError> {
        dirs::remove_file(&self.dirs.file(FileKind::Entry, key))?;
        report.entries += 1;
        report.freed += size;
        Ok(())
    }

    fn remove_blob(&self, digest: &Digest, size: u64, report: &mut GcReport) -> Result<(), CacheError> {
        dirs::remove_file(&self.dirs.file(FileKind::Blob, digest))?;
        report.blobs += 1;
        report.freed += size;
        Ok(())
    }

    fn is_older(&self, time: SystemTime, age: Duration) -> bool {
        self.clock.now().system().duration_since(time).is_ok_and(|now| now > age)
    }

    /// Removes the old files of a folder and returns how many.
    fn sweep(&self, folder: &Path, age: Duration) -> Result<usize, FileError> {
        let mut removed = 0;
        for path in dirs::list_paths(folder)? {
            if self.is_old_file(&path, age) {
                dirs::remove_file(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn is_old_file(&self, path: &Path, age: Duration) -> bool {
        let meta = path.symlink_metadata();
        meta.is_ok_and(|meta| {
            meta.is_file() && meta.modified().is_ok_and(|modified| self.is_older(modified, age))
        })
    }

    /// Removes lock files of killed runs, and stat tables that were not written for a long time.
    fn sweep_locks(&self) -> Result<(), FileError> {
        for path in dirs::list_paths(&self.dirs.key_locks())? {
            let is_key = path.file_name().and_then(|name| name.to_str()).and_then(Digest::parse).is_some();
            if is_key && self.is_old_file(&path, STALE_LOCK) {
                // Taking and dropping the lock removes the file. A held one stays.
                drop(FileLock::named(&path)?);
            }
        }
        for path in dirs::list_paths(&self.dirs.tables())? {
            let is_outputs = path.extension().is_some_and(|extension| extension == "outputs");
            if is_outputs && self.is_old_file(&path, STALE_TABLE) {
                dirs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
