//! Staging: the blobs of one store, written and flushed but not yet named. It must not know what an
//! entry looks like.
//!
//! Nothing has a name before everything is written, so a store that fails, for a full disk say,
//! leaves nothing behind but what the drop of temporary files removes.

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
use crate::cache::error::CacheError;
use crate::cache::format::blob::{self, Name, StageError, Staged};
use crate::cache::place::{self, Kind};
use crate::cache::secret::{Forbidden, Search};

/// A blob that is used again looks young for at least this long.
const AGAIN: Duration = Duration::from_secs(30 * 60);

/// Whether a content's blob was there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    Yes,
    No,
}

/// The blobs of one store.
pub(super) struct Staging<'a> {
    cache: &'a Cache,
    forbidden: Option<&'a Forbidden<'a>>,
    seen: Mutex<HashSet<Digest>>,
    new: Mutex<Vec<(Digest, Staged)>>,
    size: AtomicU64,
}

impl<'a> Staging<'a> {
    pub(super) fn new(cache: &'a Cache, forbidden: Option<&'a Forbidden<'a>>) -> Self {
        Self { cache, forbidden, seen: Mutex::default(), new: Mutex::default(), size: AtomicU64::new(0) }
    }

    /// What must not be stored.
    pub(super) fn search(&self) -> Search<'a> {
        Search::new(self.forbidden)
    }

    /// Stages an output's content unless the cache has a sound blob of it. It is searched for what
    /// must not be stored in any case.
    pub(super) fn add_output(&self, name: Name, source: &mut dyn Read) -> Result<(), StageError> {
        let kept = self.add(name, source, &mut self.search())?;
        if kept == Kept::Yes && self.forbidden.is_some() { self.look_through(source) } else { Ok(()) }
    }

    /// Stages bytes that need no search.
    pub(super) fn add_bytes(&self, name: Name, mut bytes: &[u8]) -> Result<(), StageError> {
        self.add(name, &mut bytes, &mut Search::new(None)).map(|_| ())
    }

    fn add(&self, name: Name, source: &mut dyn Read, search: &mut Search<'_>) -> Result<Kept, StageError> {
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.digest) {
            return Ok(Kept::Yes);
        }
        if let Ok(stat) = self.cache.check_blob(&name.digest) {
            self.grow(stat.size);
            self.keep(&name.digest);
            return Ok(Kept::Yes);
        }
        let staged = blob::stage(source, name, &self.cache.place.temp(), search)?;
        self.grow(staged.size);
        self.new.lock().unwrap_or_else(PoisonError::into_inner).push((name.digest, staged));
        Ok(Kept::No)
    }

    /// Counts bytes on disk that the entry needs.
    pub(super) fn grow(&self, bytes: u64) {
        self.size.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Fails if the entry needs more than the cache may hold.
    pub(super) fn check_size(&self) -> Result<(), CacheError> {
        let (needed, cap) = (self.size.load(Ordering::Relaxed), self.cache.cap);
        if needed > cap { Err(CacheError::TooLarge { needed, cap }) } else { Ok(()) }
    }

    /// A blob that is used again must not look like garbage.
    fn keep(&self, digest: &Digest) {
        let path = self.cache.place.file(Kind::Blob, digest);
        if let Ok(modified) = path.metadata().and_then(|meta| meta.modified()) {
            self.cache.mark_used(Kind::Blob, digest, modified, AGAIN);
        }
    }

    /// Searches a content that is not written.
    fn look_through(&self, source: &mut dyn Read) -> Result<(), StageError> {
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

    /// Gives all staged blobs their names and says how many bytes are new.
    pub(super) fn install(self) -> Result<Installed, CacheError> {
        let new = self.new.into_inner().unwrap_or_else(PoisonError::into_inner);
        let place = &self.cache.place;
        let paths: Vec<PathBuf> = new.iter().map(|(digest, _)| place.file(Kind::Blob, digest)).collect();
        for shard in paths.iter().filter_map(|path| path.parent()) {
            file::make_dir(shard)?;
        }
        let mut installed = Installed { bytes: 0, blobs: Vec::with_capacity(new.len()) };
        for ((digest, staged), path) in new.into_iter().zip(&paths) {
            installed.bytes += staged.size;
            staged
                .temp
                .persist(path)
                .map_err(|error| FileError::of("rename into place", path)(error.error))?;
            installed.blobs.push(digest);
        }
        place::sync_folders(paths.iter().map(PathBuf::as_path))?;
        Ok(installed)
    }
}

/// The new blobs of a store.
pub(super) struct Installed {
    pub(super) bytes: u64,
    blobs: Vec<Digest>,
}

impl Installed {
    /// Remembers the new blobs as verified: their bytes came through a private file, and whatever
    /// changes them after the moment that is read here shows in their stat.
    pub(super) fn remember(&self, cache: &Cache) {
        let mut damaged = cache.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in &self.blobs {
            damaged.remove(digest);
        }
        drop(damaged);
        let look = |digest: &Digest| fs::symlink_metadata(cache.place.file(Kind::Blob, digest));
        let stats: Vec<(&Digest, Stat)> = self
            .blobs
            .iter()
            .filter_map(|digest| look(digest).ok().map(|meta| (digest, Stat::of(&meta))))
            .collect();
        if stats.is_empty() {
            return;
        }
        if let Ok(after) = Moment::now(&cache.place.temp()) {
            let rows = stats.iter().map(|(digest, stat)| (&digest.bytes()[..], stat, **digest));
            cache.verified().insert(rows, &after);
        }
    }
}
