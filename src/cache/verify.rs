//! Verifying: each byte of the cache is read and compared. It must not trust a stat table.

use std::collections::HashSet;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::base::digest::Digest;
use crate::base::lock::FileLock;
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, Depth, Flaw};
use crate::cache::place::{self, Kind, Place};

/// What to do about damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repair {
    /// Tell of it.
    Report,
    /// Tell of it and remove what is damaged, and entries that can't be restored without it.
    Remove,
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Entries that were read.
    pub entries: usize,
    /// Blobs that were read.
    pub blobs: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// What is wrong, sorted by file.
    pub damage: Vec<Damage>,
    /// Files that were removed for it.
    pub removed: usize,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub struct Damage {
    /// The file, relative to the cache.
    pub file: String,
    /// What is wrong with it, as a clause.
    pub how: String,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
    }
}

/// What reading an entry gave: the blobs it needs, or what is wrong with it.
type ReadEntry = (Digest, Result<Vec<Digest>, Flaw>);

impl Cache {
    /// Reads everything. Stores may go on meanwhile, unless damage is to be removed; garbage
    /// collection waits.
    ///
    /// # Errors
    /// A folder can't be listed, or a damaged file can't be removed.
    pub fn verify(&self, repair: Repair) -> Result<VerifyReport, CacheError> {
        self.place.make()?;
        let lock = self.place.lock();
        let _lock = match repair {
            Repair::Report => FileLock::shared(&lock)?,
            Repair::Remove => FileLock::exclusive(&lock)?,
        };
        // Entries are read first: a blob is always there before an entry that needs it.
        let mut report = VerifyReport::default();
        let files = self.place.list(Kind::Entry)?;
        report.bytes += files.iter().map(|(_, meta)| meta.len()).sum::<u64>();
        let entries: Vec<ReadEntry> =
            files.into_par_iter().map(|(key, _)| (key, self.needed_blobs(&key))).collect();
        let files = self.place.list(Kind::Blob)?;
        report.bytes += files.iter().map(|(_, meta)| meta.len()).sum::<u64>();
        let present: HashSet<Digest> = files.iter().map(|(digest, _)| *digest).collect();
        let blobs: Vec<(Digest, Flaw)> = files
            .into_par_iter()
            .filter_map(|(digest, _)| {
                let path = self.place.file(Kind::Blob, &digest);
                blob::verify(&path, &digest, Depth::Content).err().map(|flaw| (digest, flaw))
            })
            .collect();
        (report.entries, report.blobs) = (entries.len(), present.len());
        let unsound = judge(&entries, &blobs, &present, &mut report);
        report.damage.sort();
        if repair == Repair::Remove {
            for key in &unsound {
                place::remove(&self.place.file(Kind::Entry, key))?;
            }
            for (digest, _) in &blobs {
                place::remove(&self.place.file(Kind::Blob, digest))?;
            }
            report.removed = unsound.len() + blobs.len();
        }
        Ok(report)
    }

    fn needed_blobs(&self, key: &Digest) -> Result<Vec<Digest>, Flaw> {
        self.entry(key).map(|(entry, _)| entry.blobs().collect())
    }
}

/// Writes down what is wrong and gives the entries that can't be restored.
fn judge(
    entries: &[ReadEntry],
    blobs: &[(Digest, Flaw)],
    present: &HashSet<Digest>,
    report: &mut VerifyReport,
) -> Vec<Digest> {
    let damaged: HashSet<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
    for (digest, flaw) in blobs {
        let file = Place::shown(Kind::Blob, digest);
        report.damage.push(Damage { file, how: flaw.to_string() });
    }
    let mut unsound = Vec::new();
    for (key, read) in entries {
        let file = Place::shown(Kind::Entry, key);
        match read {
            // It is of a former version, or was collected meanwhile.
            Err(Flaw::Missing) => {}
            Err(flaw) => report.damage.push(Damage { file, how: flaw.to_string() }),
            Ok(needs) => {
                if let Some(blob) = needs.iter().find(|blob| !present.contains(blob)) {
                    let how = format!("needs {}, which is missing", Place::shown(Kind::Blob, blob));
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
