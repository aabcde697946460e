//! The blobs of one store, written and flushed but not yet named. They do not know the format of an
//! entry.
//!
//! No blob has its name before everything is written. So a store that fails, for example because the
//! disk is full, leaves only temporary files, which are removed on drop.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::base::digest::Digest;
use crate::base::file::{self, FileError};
use crate::base::stat::{Moment, Stat};
use crate::cache::Cache;
use crate::cache::dirs::{self, FileKind};
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, BlobName, StageError, StagedBlob};
use crate::cache::secret_search::{SecretMatcher, SecretSearch};

/// A blob that is used again looks young for at least this long.
const REUSE_STEP: Duration = Duration::from_secs(30 * 60);

/// Whether the blob of a content existed already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BlobState {
    AlreadyStored,
    New,
}

/// The blobs of one store.
pub(super) struct Staging<'a> {
    cache: &'a Cache,
    forbidden: Option<&'a SecretMatcher<'a>>,
    seen: Mutex<HashSet<Digest>>,
    new: Mutex<Vec<(Digest, StagedBlob)>>,
    size: AtomicU64,
}

impl<'a> Staging<'a> {
    pub(super) fn new(cache: &'a Cache, forbidden: Option<&'a SecretMatcher<'a>>) -> Self {
        Self { cache, forbidden, seen: Mutex::default(), new: Mutex::default(), size: AtomicU64::new(0) }
    }

    /// Returns a new search for secrets.
    pub(super) fn search(&self) -> SecretSearch<'a> {
        SecretSearch::new(self.forbidden)
    }

    /// Stages the content of an output unless the cache has a sound blob of it. The content is
    /// searched for secrets in any case.
    pub(super) fn add_output(&self, name: BlobName, source: &mut dyn Read) -> Result<(), StageError> {
        let kept = self.add(name, source, &mut self.search())?;
        if kept == BlobState::AlreadyStored && self.forbidden.is_some() {
            self.search_only(source)
        } else {
            Ok(())
        }
    }

    /// Stages bytes that need not be searched.
    pub(super) fn add_bytes(&self, name: BlobName, mut bytes: &[u8]) -> Result<(), StageError> {
        self.add(name, &mut bytes, &mut SecretSearch::new(None)).map(|_| ())
    }

    fn add(
        &self,
        name: BlobName,
        source: &mut dyn Read,
        search: &mut SecretSearch<'_>,
    ) -> Result<BlobState, StageError> {
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.digest) {
            return Ok(BlobState::AlreadyStored);
        }
        if let Ok(stat) = self.cache.check_blob(&name.digest) {
            self.grow(stat.size);
            self.mark_blob_used(&name.digest);
            return Ok(BlobState::AlreadyStored);
        }
        let staged = blob::stage(source, name, &self.cache.dirs.temp(), search)?;
        self.grow(staged.size);
        self.new.lock().unwrap_or_else(PoisonError::into_inner).push((name.digest, staged));
        Ok(BlobState::New)
    }

    /// Adds bytes on disk that the entry needs.
    pub(super) fn grow(&self, bytes: u64) {
        self.size.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Fails if the entry needs more than the cache may take.
    pub(super) fn check_size(&self) -> Result<(), CacheError> {
        let (needed, cap) = (self.size.load(Ordering::Relaxed), self.cache.cap);
        if needed > cap { Err(CacheError::TooLarge { needed, cap }) } else { Ok(()) }
    }

    /// Marks a blob as used, so that it does not look like garbage.
    fn mark_blob_used(&self, digest: &Digest) {
        let path = self.cache.dirs.file(FileKind::Blob, digest);
        if let Ok(modified) = path.metadata().and_then(|meta| meta.modified()) {
            self.cache.mark_used(FileKind::Blob, digest, modified, REUSE_STEP);
        }
    }

    /// Searches a content that is not written.
    fn search_only(&self, source: &mut dyn Read) -> Result<(), StageError> {
        let mut search = self.search();
        let mut chunk = vec![0; 256 << 10];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(read) if search.finds_in(&chunk[..read]) => return Err(StageError::Secret),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StageError::Read(error)),
            }
        }
    }

    /// Gives all staged blobs their names.
    pub(super) fn install(self) -> Result<InstalledBlobs, CacheError> {
        let new = self.new.into_inner().unwrap_or_else(PoisonError::into_inner);
        let dirs = &self.cache.dirs;
        let paths: Vec<PathBuf> = new.iter().map(|(digest, _)| dirs.file(FileKind::Blob, digest)).collect();
        for shard in paths.iter().filter_map(|path| path.parent()) {
            file::make_dir(shard)?;
        }
        let mut installed = InstalledBlobs { bytes: 0, blobs: Vec::with_capacity(new.len()) };
        for ((digest, staged), path) in new.into_iter().zip(&paths) {
            installed.bytes += staged.size;
            staged
                .temp
                .persist(path)
                .map_err(|error| FileError::context("rename into place", path)(error.error))?;
            installed.blobs.push(digest);
        }
        dirs::sync_folders(paths.iter().map(PathBuf::as_path))?;
        Ok(installed)
    }
}

/// The new blobs of a store.
pub(super) struct InstalledBlobs {
    pub(super) bytes: u64,
    blobs: Vec<Digest>,
}

impl InstalledBlobs {
    /// Remembers the new blobs as verified: their bytes were written to private files, and any later
    /// change shows in their stat.
    pub(super) fn remember(&self, cache: &Cache) {
        let mut damaged = cache.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in &self.blobs {
            damaged.remove(digest);
        }
        drop(damaged);
        let look = |digest: &Digest| fs::symlink_metadata(cache.dirs.file(FileKind::Blob, digest));
        let stats: Vec<(&Digest, Stat)> = self
            .blobs
            .iter()
            .filter_map(|digest| look(digest).ok().map(|meta| (digest, Stat::new(&meta))))
            .collect();
        if stats.is_empty() {
            return;
        }
        if let Ok(after) = Moment::now(&cache.dirs.temp()) {
            let rows = stats.iter().map(|(digest, stat)| (&digest.bytes()[..], stat, **digest));
            cache.verified().insert(rows, &after);
        }
    }
}
