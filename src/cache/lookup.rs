//! Looking up: what the cache holds under a key, believed only if each byte of it is what was
//! written. It must not know what becomes of the answer.

use std::fs::File;
use std::io::Read as _;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use crate::base::digest::Digest;
use crate::base::stat::{Moment, Stat};
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, Depth, Flaw};
use crate::cache::format::compression;
use crate::cache::format::entry::{Entry, Home, Section};
use crate::cache::place::{Kind, Place};

/// Uses within this time count as one.
const USE: Duration = Duration::from_secs(60 * 60);

/// The result of looking up a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup<T = Box<Entry>> {
    /// An intact entry with all its blobs, or what was asked about it.
    Hit(T),
    /// There is no entry.
    Absent,
    /// The entry is damaged: which file, and how.
    Damaged(String),
}

impl<T> Lookup<T> {
    /// Applies a function to what a hit holds.
    pub fn map<U>(self, hit: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Hit(held) => Lookup::Hit(hit(held)),
            Self::Absent => Lookup::Absent,
            Self::Damaged(what) => Lookup::Damaged(what),
        }
    }
}

impl Cache {
    /// Looks a key up. A hit counts as a use. Nothing damaged is removed here: the store that
    /// follows a miss replaces it.
    pub fn lookup(&self, key: &Digest) -> Lookup {
        let (entry, used) = match self.entry(key) {
            Ok(read) => read,
            Err(Flaw::Missing) => return Lookup::Absent,
            // Another user's, who keeps it to himself.
            Err(flaw) if flaw.is_forbidden() => return Lookup::Absent,
            Err(flaw) => return Lookup::Damaged(format!("{}: {flaw}", Place::shown(Kind::Entry, key))),
        };
        for blob in entry.blobs() {
            match self.check_blob(&blob) {
                Ok(_) => {}
                // Garbage collection took the entry, and then the blob, while we looked.
                Err(Flaw::Missing) if !self.place.file(Kind::Entry, key).exists() => {
                    return Lookup::Absent;
                }
                Err(flaw) if flaw.is_forbidden() => return Lookup::Absent,
                Err(flaw) => return Lookup::Damaged(self.damaged_blob(&blob, &flaw)),
            }
        }
        self.mark_used(Kind::Entry, key, used, USE);
        Lookup::Hit(Box::new(entry))
    }

    /// Takes the entry of a key out, so that it is a miss; its blobs go with the next collection.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn forget(&self, key: &Digest) -> Result<(), CacheError> {
        Ok(crate::cache::place::remove(&self.place.file(Kind::Entry, key))?)
    }

    /// The log of the stored run.
    ///
    /// # Errors
    /// It lies in a blob that went or was damaged since the lookup.
    pub fn log(&self, entry: &Entry) -> Result<String, CacheError> {
        let bytes = self.section(entry, &entry.log)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into()))
    }

    /// The explanation of the key, as the caller gave it to the store.
    ///
    /// # Errors
    /// It lies in a blob that went or was damaged since the lookup.
    pub fn explanation(&self, entry: &Entry) -> Result<Vec<u8>, CacheError> {
        self.section(entry, &entry.explanation)
    }

    /// Reads an entry and when it was last used.
    pub(super) fn entry(&self, key: &Digest) -> Result<(Entry, SystemTime), Flaw> {
        let mut file = File::open(self.place.file(Kind::Entry, key))?;
        let meta = file.metadata()?;
        // In one go: an entry never changes, and its digest tells if it is not whole.
        let mut bytes = vec![0; usize::try_from(meta.len()).unwrap_or(0)];
        file.read_exact(&mut bytes)?;
        Ok((Entry::decode(bytes, key)?, meta.modified()?))
    }

    /// The raw bytes of a section.
    pub(super) fn section(&self, entry: &Entry, section: &Section) -> Result<Vec<u8>, CacheError> {
        match &section.home {
            Home::Inline(encoding, range) => usize::try_from(section.len)
                .ok()
                .and_then(|len| compression::unpack(*encoding, &entry.bytes[range.clone()], len))
                .ok_or_else(|| {
                    let file = Place::shown(Kind::Entry, &entry.key);
                    CacheError::Damaged(format!("{file}: {}", Flaw::Check))
                }),
            Home::Blob(digest) => blob::read(&self.place.file(Kind::Blob, digest), digest)
                .map_err(|flaw| CacheError::Damaged(self.damaged_blob(digest, &flaw))),
        }
    }

    /// Fails if a blob is missing or damaged. One that was verified and has the same stat since is
    /// not read.
    pub(super) fn check_blob(&self, digest: &Digest) -> Result<Stat, Flaw> {
        let path = self.place.file(Kind::Blob, digest);
        let stat = Stat::of(&path.symlink_metadata()?);
        let suspect = self.damaged.lock().unwrap_or_else(PoisonError::into_inner).contains(digest);
        if !suspect && self.verified().get(digest.bytes(), &stat) == Some(*digest) {
            return Ok(stat);
        }
        let before = Moment::now(&self.place.temp());
        let stat = blob::verify(&path, digest, Depth::Stored)?;
        if let Ok(before) = before {
            self.verified().insert([(&digest.bytes()[..], &stat, *digest)], &before);
        }
        Ok(stat)
    }

    /// Remembers that a blob is damaged, and says so.
    pub(super) fn damaged_blob(&self, digest: &Digest, flaw: &Flaw) -> String {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
        format!("{}: {flaw}", Place::shown(Kind::Blob, digest))
    }

    /// Sets the modification time of a file to now if it is older than `step`. Failing costs at
    /// worst an early eviction.
    pub(super) fn mark_used(&self, kind: Kind, name: &Digest, used: SystemTime, step: Duration) {
        let now = self.clock.now().system();
        if now.duration_since(used).is_ok_and(|age| age > step)
            && let Ok(file) = File::open(self.place.file(kind, name))
        {
            let _ = file.set_modified(now);
        }
    }
}
