//! The content of files on disk: hashed as git hashes blobs, once, and then remembered by stat. It
//! must not know the index nor which files are wanted.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use git2::{ObjectType, Oid};

use crate::base::digest::Digest;
use crate::base::file::{self, FileError};
use crate::base::path::RepoPath;
use crate::base::stat::{FileTime, Moment, Stat};
use crate::base::stat_cache::StatCache;
use crate::git::snapshot::ContentId;
use crate::git::work_tree::folder::At;

/// A file that changes each time it is read is read so often.
const ATTEMPTS: usize = 5;
/// Files of more bytes are not held in memory.
const STREAMED: u64 = 4 << 20;

/// What is known of the files of one work tree, on disk between runs.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    cache: RwLock<StatCache<20>>,
    /// The file, and the folder it lies in.
    place: Option<(PathBuf, PathBuf)>,
}

impl Memory {
    /// Reads what was remembered of a work tree. Without a folder for it, or with one that can't be
    /// written to, nothing is remembered.
    pub(crate) fn open(state_dir: Option<&Path>, work_dir: &Path) -> Self {
        let Some(dir) = state_dir.map(|dir| dir.join("stats")) else { return Self::default() };
        let name = Digest::of(work_dir.as_os_str().as_encoded_bytes()).short();
        let path = dir.join(format!("{name}.inputs"));
        let cache = RwLock::new(StatCache::load(&path));
        Self { cache, place: Some((path, dir)) }
    }

    /// Writes it back if something was learnt.
    pub(crate) fn save(&self) -> Result<(), FileError> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        match &self.place {
            Some((path, dir)) if cache.is_changed() => {
                file::make_dir(dir)?;
                cache.save(path, dir)
            }
            _ => Ok(()),
        }
    }

    /// Forgets what is gone, once it is the greater part. `is_there` is asked of files and folders.
    pub(crate) fn tidy(&self, used: usize, is_there: impl Fn(&RepoPath) -> bool) {
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() > 2 * used + 1000 {
            let is_there = |key: &[u8]| is_there(&RepoPath::from_git(key.strip_suffix(b"/").unwrap_or(key)));
            cache.retain(|key| key.starts_with(b"//") || is_there(key));
        }
    }

    /// Compares how git changes bytes now with how it did at the last run. After a change the files
    /// on disk may still be what it was before, although git's index knows them by their old stat:
    /// all that is not younger than the returned time must be read once.
    pub(crate) fn distrusted(&self, filters: [u8; 20]) -> Option<FileTime> {
        const FILTERS: &[u8] = b"//filters";
        const SINCE: &[u8] = b"//since";
        // These two have no stat; any will do that is always the same.
        let none = Stat::default();
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        let known = cache.get(FILTERS, &none);
        if known != Some(filters) {
            let Some(now) = self.moment() else { return known.map(|_| NEVER) };
            cache.insert(FILTERS, &none, filters, &now);
            if known.is_some() {
                let mut since = [0; 20];
                // Two seconds more, as the files may lie on another device than the clock.
                since[..8].copy_from_slice(&(now.time.seconds + 2).to_le_bytes());
                cache.insert(SINCE, &none, since, &now);
            }
        }
        let seconds = cache.get(SINCE, &none)?.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))?;
        Some(FileTime { seconds, nanos: 0 })
    }

    /// A look at the files.
    pub(crate) fn look(&self) -> Look<'_> {
        Look { memory: self, before: OnceLock::new(), used: AtomicUsize::new(0) }
    }
}

/// A time that no file has.
const NEVER: FileTime = FileTime { seconds: i64::MAX, nanos: 0 };

/// A digest of the names in a folder and of what each is.
pub(crate) type NamesDigest = [u8; 20];

/// Folders have keys of their own, which no file's path can have.
fn folder_key(folder: &RepoPath) -> Vec<u8> {
    [folder.bytes(), b"/"].concat()
}

/// One look at files of the work tree.
#[derive(Debug)]
pub(crate) struct Look<'m> {
    memory: &'m Memory,
    /// The clock before the first file was read; not read if none has to be.
    before: OnceLock<Option<Moment>>,
    used: AtomicUsize,
}

impl Look<'_> {
    /// The content of a file that had this stat, and the stat that belongs to it; `None` if it is
    /// gone. The stat of a file that can't be caught between two changes never matches another.
    pub(crate) fn file(
        &self,
        folder: At<'_>,
        path: &RepoPath,
        name: &[u8],
        mut stat: Stat,
    ) -> io::Result<Option<(Stat, ContentId)>> {
        self.used.fetch_add(1, Ordering::Relaxed);
        if let Some(id) = self.recall(path, &stat) {
            return Ok(Some((stat, id)));
        }
        let before = self.before();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let Some(file) = folder.file(name)? else { return Ok(None) };
            let hashed = hash(file, stat.size);
            let Some(after) = folder.stat(name)? else { return Ok(None) };
            if after == stat {
                let id = hashed?;
                self.remember(path, &stat, id, before);
                return Ok(Some((stat, id)));
            }
            last = hashed.ok();
            stat = after;
        }
        let id = last.ok_or_else(|| io::Error::other("it changes while it is read"))?;
        Ok(Some((Stat { changed: NEVER, ..stat }, id)))
    }

    /// How many files and folders were asked for.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The digest of the names that a folder has, if they are known to be the same as when it was
    /// listed.
    pub(crate) fn names(&self, folder: &RepoPath, stat: &Stat) -> Option<NamesDigest> {
        self.used.fetch_add(1, Ordering::Relaxed);
        let cache = self.memory.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.get(&folder_key(folder), stat)
    }

    /// Remembers the names of a folder that had this stat before it was listed.
    pub(crate) fn remember_names(&self, folder: &RepoPath, stat: &Stat, names: NamesDigest) {
        if let Some(before) = self.before() {
            let mut cache = self.memory.cache.write().unwrap_or_else(PoisonError::into_inner);
            cache.insert(&folder_key(folder), stat, names, &before);
        }
    }

    /// The clock before anything was read; to be asked before reading.
    pub(crate) fn before(&self) -> Option<Moment> {
        *self.before.get_or_init(|| self.memory.moment())
    }

    fn recall(&self, path: &RepoPath, stat: &Stat) -> Option<ContentId> {
        let cache = self.memory.cache.read().unwrap_or_else(PoisonError::into_inner);
        cache.get(path.bytes(), stat).map(ContentId)
    }

    fn remember(&self, path: &RepoPath, stat: &Stat, id: ContentId, before: Option<Moment>) {
        if let Some(before) = before {
            let mut cache = self.memory.cache.write().unwrap_or_else(PoisonError::into_inner);
            cache.insert(path.bytes(), stat, id.0, &before);
        }
    }
}

impl Memory {
    fn moment(&self) -> Option<Moment> {
        let (_, dir) = self.place.as_ref()?;
        file::make_dir(dir).ok()?;
        Moment::now(dir).ok()
    }
}

fn hash(mut file: File, size: u64) -> io::Result<ContentId> {
    if size > STREAMED {
        // libgit2 streams by path only; this is the path of the open file.
        let path = format!("/dev/fd/{}", file.as_raw_fd());
        if let Ok(id) = Oid::hash_file(ObjectType::Blob, path) {
            return ContentId::from_oid(id);
        }
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.read_to_end(&mut bytes)?;
    ContentId::of_blob(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::work_tree::folder::Folder;

    #[test]
    fn large_and_small_files_hash_as_blobs() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let memory = Memory::default();
        for size in [0, 1, usize::try_from(STREAMED).unwrap() + 1] {
            let bytes = vec![7; size];
            std::fs::write(dir.path().join("f"), &bytes).unwrap();
            let stat = folder.at().stat(b"f").unwrap().unwrap();
            let path = RepoPath::from_git(&b"f"[..]);
            let (_, id) = memory.look().file(folder.at(), &path, b"f", stat).unwrap().unwrap();
            assert_eq!(id, ContentId::of_blob(&bytes).unwrap());
        }
    }

    #[test]
    fn a_stat_from_before_a_change_is_never_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("f"), "old").unwrap();
        let old = folder.at().stat(b"f").unwrap().unwrap();
        std::fs::write(dir.path().join("f"), "newer").unwrap();
        let path = RepoPath::from_git(&b"f"[..]);
        let memory = Memory::default();
        let (stat, id) = memory.look().file(folder.at(), &path, b"f", old).unwrap().unwrap();
        assert_eq!(id, ContentId::of_blob(b"newer").unwrap());
        assert_eq!(Some(stat), folder.at().stat(b"f").unwrap());
    }
}
