//! Looks up entries, and verifies every byte of those that it reads. It does not know what the result is
//! used for.

use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::pattern::Patterns;
use crate::base::stat::{Moment, Stat};
use crate::cache::Cache;
use crate::cache::dirs::{CacheDirs, FileKind};
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, CacheFileError, VerifyDepth};
use crate::cache::format::compression;
use crate::cache::format::entry::{Entry, Section, SectionLocation};
use crate::cache::format::index::IndexRow;
use crate::cache::outputs::compare::{ExtraFiles, OutputState};
use crate::cache::outputs::output_set::Output;

/// Uses within this time count as one.
const USE_STEP: Duration = Duration::from_secs(60 * 60);

/// The result of looking up a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup<T = Box<Entry>> {
    /// An intact entry with all its blobs, or a value derived from it.
    Hit(T),
    /// There is no entry.
    Absent,
    /// The entry is damaged: which file, and how.
    Damaged(String),
}

/// What a decision needs of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredOutcome {
    /// When the stored run passed.
    pub passed_at: Timestamp,
    /// How long the stored run took, in milliseconds.
    pub took: u64,
    /// The digest of the outputs; for a task without outputs, that of an empty set.
    pub output_digest: Digest,
    /// How the outputs on disk differ. They are intact if they were not compared.
    pub outputs: OutputState,
}

impl<T> Lookup<T> {
    /// Applies a function to the value of a hit.
    pub fn map<U>(self, hit: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Hit(held) => Lookup::Hit(hit(held)),
            Self::Absent => Lookup::Absent,
            Self::Damaged(what) => Lookup::Damaged(what),
        }
    }
}

impl Cache {
    /// Looks up a key. A hit counts as a use. Damaged files are not removed here: the store after the
    /// miss replaces them.
    pub fn lookup(&self, key: &Digest) -> Lookup {
        self.index().begin_reading(&self.dirs.temp());
        let (entry, meta) = match self.entry(key) {
            Ok(read) => read,
            Err(CacheFileError::Missing) => return Lookup::Absent,
            // It belongs to another user, and this one may not read it.
            Err(error) if error.is_permission_denied() => return Lookup::Absent,
            Err(error) => {
                return Lookup::Damaged(format!(
                    "{}: {error}",
                    CacheDirs::display_name(FileKind::Entry, key)
                ));
            }
        };
        for blob in entry.blobs() {
            match self.check_blob(&blob) {
                Ok(_) => {}
                // Garbage collection removed the entry and then the blob during the lookup.
                Err(CacheFileError::Missing) if !self.dirs.file(FileKind::Entry, key).exists() => {
                    return Lookup::Absent;
                }
                Err(error) if error.is_permission_denied() => return Lookup::Absent,
                Err(error) => return Lookup::Damaged(self.damaged_blob(&blob, &error)),
            }
        }
        self.index().add_read(&entry, Stat::new(&meta));
        self.mark_used(FileKind::Entry, key, meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), USE_STEP);
        Lookup::Hit(Box::new(entry))
    }

    /// Looks up a key as far as a decision depends on it, and compares the outputs below `root` with the
    /// entry if there is a root. If they are in place, no file has to be opened. A hit counts as a use.
    pub fn outcome(&self, key: &Digest, root: Option<&Path>, patterns: &Patterns) -> Lookup<StoredOutcome> {
        self.outcome_by_index(key, root, patterns)
            .map_or_else(|| self.outcome_by_entry(key, root, patterns), Lookup::Hit)
    }

    fn outcome_by_index(
        &self,
        key: &Digest,
        root: Option<&Path>,
        patterns: &Patterns,
    ) -> Option<StoredOutcome> {
        let row = self.indexed(key)?;
        if row.blobs.iter().any(|blob| self.check_blob(blob).is_err()) {
            return None;
        }
        if let Some(root) = root.filter(|_| !patterns.is_empty()) {
            let outputs = row.outputs()?;
            let outputs: Vec<&Output> = outputs.iter().collect();
            if self.compare_outputs(root, patterns, &outputs, ExtraFiles::Count) != OutputState::Intact {
                return None;
            }
        }
        self.mark_used(FileKind::Entry, key, row.modified(), USE_STEP);
        Some(StoredOutcome {
            passed_at: row.passed_at,
            took: row.took,
            output_digest: row.output_digest,
            outputs: OutputState::Intact,
        })
    }

    /// Returns the row of an entry whose file has not changed since it was read.
    pub(super) fn indexed(&self, key: &Digest) -> Option<IndexRow> {
        self.index().get(key)
    }

    /// Does the same without the index.
    pub(super) fn outcome_by_entry(
        &self,
        key: &Digest,
        root: Option<&Path>,
        patterns: &Patterns,
    ) -> Lookup<StoredOutcome> {
        self.lookup(key).map(|entry| StoredOutcome {
            passed_at: entry.passed_at(),
            took: entry.took(),
            output_digest: entry.output_digest(),
            outputs: match root {
                Some(root) if !patterns.is_empty() => self.compare(root, patterns, &entry),
                _ => OutputState::Intact,
            },
        })
    }

    /// Removes the entry of a key, so that it is a miss. Its blobs are removed by the next garbage
    /// collection.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn forget(&self, key: &Digest) -> Result<(), CacheError> {
        Ok(crate::cache::dirs::remove_file(&self.dirs.file(FileKind::Entry, key))?)
    }

    /// Returns the log of the stored run.
    ///
    /// # Errors
    /// It is in a blob that was removed or damaged since the lookup.
    pub fn log(&self, entry: &Entry) -> Result<String, CacheError> {
        let bytes = self.section(entry, &entry.log)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into()))
    }

    /// Returns the explanation of the key, as it was stored.
    ///
    /// # Errors
    /// It is in a blob that was removed or damaged since the lookup.
    pub fn explanation(&self, entry: &Entry) -> Result<Vec<u8>, CacheError> {
        self.section(entry, &entry.explanation)
    }

    /// Reads an entry, and the metadata of its file.
    pub(super) fn entry(&self, key: &Digest) -> Result<(Entry, Metadata), CacheFileError> {
        let mut file = File::open(self.dirs.file(FileKind::Entry, key))?;
        let meta = file.metadata()?;
        // The file is read at once: an entry never changes, and its digest shows if it is incomplete.
        let mut bytes = vec![0; usize::try_from(meta.len()).unwrap_or(0)];
        file.read_exact(&mut bytes)?;
        Ok((Entry::decode(bytes, key)?, meta))
    }

    /// Returns the uncompressed bytes of a section.
    pub(super) fn section(&self, entry: &Entry, section: &Section) -> Result<Vec<u8>, CacheError> {
        match &section.location {
            SectionLocation::Inline(encoding, range) => usize::try_from(section.len)
                .ok()
                .and_then(|len| compression::decompress(*encoding, &entry.bytes[range.clone()], len))
                .ok_or_else(|| {
                    let file = CacheDirs::display_name(FileKind::Entry, &entry.key);
                    CacheError::Damaged(format!("{file}: {}", CacheFileError::WrongChecksum))
                }),
            SectionLocation::Blob(digest) => blob::read(&self.dirs.file(FileKind::Blob, digest), digest)
                .map_err(|error| CacheError::Damaged(self.damaged_blob(digest, &error))),
        }
    }

    /// Fails if a blob is missing or damaged. A blob that was verified and has the same stat since is
    /// not read.
    pub(super) fn check_blob(&self, digest: &Digest) -> Result<Stat, CacheFileError> {
        let path = self.dirs.file(FileKind::Blob, digest);
        let stat = Stat::new(&path.symlink_metadata()?);
        let suspect = self.damaged.lock().unwrap_or_else(PoisonError::into_inner).contains(digest);
        if !suspect && self.verified().get(digest.bytes(), &stat) == Some(*digest) {
            return Ok(stat);
        }
        let before = Moment::now(&self.dirs.temp());
        let stat = blob::verify(&path, digest, VerifyDepth::StoredBytes)?;
        if let Ok(before) = before {
            self.verified().insert([(&digest.bytes()[..], &stat, *digest)], &before);
        }
        Ok(stat)
    }

    /// Remembers that a blob is damaged, and returns a description of the damage.
    pub(super) fn damaged_blob(&self, digest: &Digest, error: &CacheFileError) -> String {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        format!("{}: {error}", CacheDirs::display_name(FileKind::Blob, digest))
    }

    /// Sets the modification time of a file to now if it is older than `step`. A failure causes at
    /// worst an early eviction.
    pub(super) fn mark_used(&self, kind: FileKind, name: &Digest, used: SystemTime, step: Duration) {
        let now = self.clock.now().system();
        if now.duration_since(used).is_ok_and(|age| age > step)
            && let Ok(file) = File::open(self.dirs.file(kind, name))
        {
            let _ = file.set_modified(now);
        }
    }
}
