//! Verifies every byte of the cache, without relying on stat tables.

use std::collections::HashSet;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::base::digest::Digest;
use crate::base::lock::FileLock;
use crate::cache::Cache;
use crate::cache::dirs::{self, CacheDirs, FileKind};
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, CacheFileError, VerifyDepth};

/// What to do about damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repair {
    /// Report it.
    Report,
    /// Report it, and remove damaged files and entries that can't be restored without them.
    Remove,
}

/// The result of a verification.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// The number of entries that were read.
    pub entries: usize,
    /// The number of blobs that were read.
    pub blobs: usize,
    /// The number of bytes that were read.
    pub bytes: u64,
    /// The damage, sorted by file.
    pub damage: Vec<Damage>,
    /// The number of removed files.
    pub removed: usize,
}

/// A damaged file.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Damage {
    /// The path of the file, relative to the cache.
    pub file: String,
    /// The damage, as a clause.
    pub how: String,
}

impl VerifyReport {
    /// Returns whether there is no damage.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
    }
}

/// The key of an entry, and the blobs that it needs or what is wrong with it.
type ReadEntry = (Digest, Result<Vec<Digest>, CacheFileError>);

impl Cache {
    /// Reads all files. Stores may run at the same time unless damage is to be removed; garbage
    /// collection waits.
    ///
    /// # Errors
    /// A folder can't be listed, or a damaged file can't be removed.
    pub fn verify(&self, repair: Repair) -> Result<VerifyReport, CacheError> {
        self.dirs.create()?;
        let lock = self.dirs.lock();
        let _lock = match repair {
            Repair::Report => FileLock::shared(&lock)?,
            Repair::Remove => FileLock::exclusive(&lock)?,
        };
        // Entries are read first: a blob always exists before an entry that needs it.
        let mut report = VerifyReport::default();
        let files = self.dirs.list(FileKind::Entry)?;
        report.bytes += files.iter().map(|(_, meta)| meta.len()).sum::<u64>();
        let entries: Vec<ReadEntry> =
            files.into_par_iter().map(|(key, _)| (key, self.needed_blobs(&key))).collect();
        let files = self.dirs.list(FileKind::Blob)?;
        report.bytes += files.iter().map(|(_, meta)| meta.len()).sum::<u64>();
        let present: HashSet<Digest> = files.iter().map(|(digest, _)| *digest).collect();
        let blobs: Vec<(Digest, CacheFileError)> = files
            .into_par_iter()
            .filter_map(|(digest, _)| {
                let path = self.dirs.file(FileKind::Blob, &digest);
                blob::verify(&path, &digest, VerifyDepth::Content).err().map(|error| (digest, error))
            })
            .collect();
        (report.entries, report.blobs) = (entries.len(), present.len());
        let unsound = judge(&entries, &blobs, &present, &mut report);
        report.damage.sort();
        if repair == Repair::Remove {
            for key in &unsound {
                dirs::remove_file(&self.dirs.file(FileKind::Entry, key))?;
            }
            for (digest, _) in &blobs {
                dirs::remove_file(&self.dirs.file(FileKind::Blob, digest))?;
            }
            report.removed = unsound.len() + blobs.len();
        }
        Ok(report)
    }

    fn needed_blobs(&self, key: &Digest) -> Result<Vec<Digest>, CacheFileError> {
        self.entry(key).map(|(entry, _)| entry.blobs().collect())
    }
}

/// Adds the damage to the report and returns the entries that can't be restored.
fn judge(
    entries: &[ReadEntry],
    blobs: &[(Digest, CacheFileError)],
    present: &HashSet<Digest>,
    report: &mut VerifyReport,
) -> Vec<Digest> {
    let damaged: HashSet<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
    for (digest, error) in blobs {
        let file = CacheDirs::display_name(FileKind::Blob, digest);
        report.damage.push(Damage { file, how: error.to_string() });
    }
    let mut unsound = Vec::new();
    for (key, read) in entries {
        let file = CacheDirs::display_name(FileKind::Entry, key);
        match read {
            // It was written by an earlier version, or was removed in the meantime.
            Err(CacheFileError::Missing) => {}
            Err(error) => report.damage.push(Damage { file, how: error.to_string() }),
            Ok(needs) => {
                if let Some(blob) = needs.iter().find(|blob| !present.contains(blob)) {
                    let how =
                        format!("needs {}, which is missing", CacheDirs::display_name(FileKind::Blob, blob));
                    report.damage.push(Damage { file, how });
                } else if !needs.iter().any(|blob| damaged.contains(blob)) {
                    continue;
                }
            }
        }
        unsound.push(*key);
    }
    unsound
}
