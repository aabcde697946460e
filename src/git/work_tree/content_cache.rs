//! Hashes files as git hashes blobs, and remembers the hashes by stat. It does not know the index.

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
use crate::git::work_tree::folder::FolderRef;

/// How often a file is read again that changes during each reading.
const ATTEMPTS: usize = 5;
/// Larger files are not read into memory.
const STREAMED: u64 = 4 << 20;

/// The endings of the stored files.
const CONTENTS: &str = "contents";
const FOLDERS: &str = "inputs";

/// The known contents of the files of a work tree, stored on disk between runs.
#[derive(Debug, Default)]
pub(crate) struct ContentCache {
    /// The contents of files. It is loaded when the first is needed, because most are known from the index.
    contents: OnceLock<RwLock<StatCache<20>>>,
    /// The digests of the names in folders, and how git converts bytes.
    folders: RwLock<StatCache<20>>,
    files: Option<CacheFiles>,
}

/// Where the cache of a work tree is stored.
#[derive(Clone, Debug)]
pub(crate) struct CacheFiles {
    dir: PathBuf,
    /// The name of the files, without an ending.
    name: String,
}

impl CacheFiles {
    /// Returns the files for a work tree.
    pub(crate) fn new(state_dir: &Path, work_dir: &Path) -> Self {
        let name = Digest::hash(work_dir.as_os_str().as_encoded_bytes()).short();
        Self { dir: state_dir.join("stats"), name }
    }

    /// Returns the path of the file with this ending, and its folder.
    pub(crate) fn file(&self, ending: &str) -> (PathBuf, PathBuf) {
        (self.dir.join(format!("{}.{ending}", self.name)), self.dir.clone())
    }

    fn load(&self, ending: &str) -> StatCache<20> {
        StatCache::load(&self.file(ending).0)
    }
}

impl ContentCache {
    /// Opens the cache of a work tree. Without a folder for it, or with a read-only folder, nothing is
    /// remembered.
    pub(crate) fn open(files: Option<CacheFiles>) -> Self {
        let folders = files.as_ref().map(|files| files.load(FOLDERS)).unwrap_or_default();
        Self { contents: OnceLock::new(), folders: RwLock::new(folders), files }
    }

    fn contents(&self) -> &RwLock<StatCache<20>> {
        self.contents.get_or_init(|| {
            let contents = self.files.as_ref().map(|files| files.load(CONTENTS)).unwrap_or_default();
            RwLock::new(contents)
        })
    }

    /// Writes what has changed.
    pub(crate) fn save(&self) -> Result<(), FileError> {
        let Some(files) = &self.files else { return Ok(()) };
        let save = |cache: &RwLock<StatCache<20>>, ending| {
            let cache = cache.read().unwrap_or_else(PoisonError::into_inner);
            let (path, dir) = files.file(ending);
            if cache.is_changed() {
                file::make_dir(&dir)?;
                cache.save(&path, &dir)?;
            }
            Ok(())
        };
        self.contents.get().map_or(Ok(()), |contents| save(contents, CONTENTS))?;
        save(&self.folders, FOLDERS)
    }

    /// Removes missing paths once they are the greater part. `files` and `folders` are the numbers of those that
    /// exist. `is_there` is called with files and folders.
    pub(crate) fn prune(&self, files: usize, folders: usize, is_there: impl Fn(&RepoPath) -> bool) {
        let prune = |cache: &RwLock<StatCache<20>>, used: usize, is_kept: &dyn Fn(&[u8]) -> bool| {
            let mut cache = cache.write().unwrap_or_else(PoisonError::into_inner);
            if cache.len() > 2 * used + 1000 {
                cache.retain(is_kept);
            }
        };
        if let Some(contents) = self.contents.get() {
            prune(contents, files, &|key| is_there(&RepoPath::from_git(key)));
        }
        prune(&self.folders, folders, &|key| match key.strip_suffix(b"/") {
            Some(folder) => is_there(&RepoPath::from_git(folder)),
            None => key.starts_with(b"//"),
        });
    }

    /// Compares how git converts bytes now with how it did at the last run. After a change, files on
    /// disk may still have the old bytes although git's index knows their stat. All files that are
    /// not younger than the returned time must be read once.
    pub(crate) fn distrusted_until(&self, filters: [u8; 20]) -> Option<FileTime> {
        const FILTERS: &[u8] = b"//filters";
        const SINCE: &[u8] = b"//since";
        // These two have no stat; any constant one will do.
        let none = Stat::default();
        let mut cache = self.folders.write().unwrap_or_else(PoisonError::into_inner);
        let known = cache.get(FILTERS, &none);
        if known != Some(filters) {
            let Some(now) = self.now() else { return known.map(|_| NEVER) };
            cache.insert(FILTERS, &none, filters, &now);
            if known.is_some() {
                let mut since = [0; 20];
                // Two seconds more, because the files may be on another device than the clock.
                since[..8].copy_from_slice(&(now.time.seconds + 2).to_le_bytes());
                cache.insert(SINCE, &none, since, &now);
            }
        }
        let seconds = cache.get(SINCE, &none)?.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))?;
        Some(FileTime { seconds, nanos: 0 })
    }

    /// Starts a session.
    pub(crate) fn session(&self) -> CacheSession<'_> {
        CacheSession { cache: self, start: OnceLock::new(), folders: AtomicUsize::new(0) }
    }
}

/// A time that no file has.
const NEVER: FileTime = FileTime { seconds: i64::MAX, nanos: 0 };

/// A digest of the names in a folder and of their kinds.
pub(crate) type NamesDigest = [u8; 20];

/// Returns the key of a folder, which can't be the path of a file.
fn folder_key(folder: &RepoPath) -> Vec<u8> {
    [folder.bytes(), b"/"].concat()
}

/// One pass over files of the work tree.
#[derive(Debug)]
pub(crate) struct CacheSession<'m> {
    cache: &'m ContentCache,
    /// The time before the first file was read; not set if no file is read.
    start: OnceLock<Option<Moment>>,
    folders: AtomicUsize,
}

impl CacheSession<'_> {
    /// Returns the content of a file that had this stat, and the stat that belongs to the content;
    /// `None` if the file is gone. If the file keeps changing while it is read, the stat never
    /// matches another.
    pub(crate) fn content_id(
        &self,
        folder: FolderRef<'_>,
        path: &RepoPath,
        name: &[u8],
        mut stat: Stat,
    ) -> io::Result<Option<(Stat, ContentId)>> {
        if let Some(id) = self.recall(path, &stat) {
            return Ok(Some((stat, id)));
        }
        let before = self.start();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let Some(file) = folder.open_file(name)? else { return Ok(None) };
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

    /// Returns how many folders were looked up.
    pub(crate) fn folders(&self) -> usize {
        self.folders.load(Ordering::Relaxed)
    }

    /// Returns the digest of the names in a folder, if its stat is the same as when it was listed.
    pub(crate) fn folder_names(&self, folder: &RepoPath, stat: &Stat) -> Option<NamesDigest> {
        self.folders.fetch_add(1, Ordering::Relaxed);
        let cache = self.cache.folders.read().unwrap_or_else(PoisonError::into_inner);
        cache.get(&folder_key(folder), stat)
    }

    /// Remembers the names of a folder that had this stat before it was listed.
    pub(crate) fn remember_folder_names(&self, folder: &RepoPath, stat: &Stat, names: NamesDigest) {
        if let Some(before) = self.start() {
            let mut cache = self.cache.folders.write().unwrap_or_else(PoisonError::into_inner);
            cache.insert(&folder_key(folder), stat, names, &before);
        }
    }

    /// Returns the time before anything was read; must be called before reading.
    pub(crate) fn start(&self) -> Option<Moment> {
        *self.start.get_or_init(|| self.cache.now())
    }

    fn recall(&self, path: &RepoPath, stat: &Stat) -> Option<ContentId> {
        let cache = self.cache.contents().read().unwrap_or_else(PoisonError::into_inner);
        cache.get(path.bytes(), stat).map(ContentId)
    }

    fn remember(&self, path: &RepoPath, stat: &Stat, id: ContentId, before: Option<Moment>) {
        if let Some(before) = before {
            let mut cache = self.cache.contents().write().unwrap_or_else(PoisonError::into_inner);
            cache.insert(path.bytes(), stat, id.0, &before);
        }
    }
}

impl ContentCache {
    fn now(&self) -> Option<Moment> {
        let dir = &self.files.as_ref()?.dir;
        file::make_dir(dir).ok()?;
        Moment::now(dir).ok()
    }
}

fn hash(mut file: File, size: u64) -> io::Result<ContentId> {
    if size > STREAMED {
        // libgit2 streams only files given by path; this is the path of the open file.
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
    use crate::git::work_tree::folder::OpenFolder;

    #[test]
    fn large_and_small_files_hash_as_blobs() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OpenFolder::open(dir.path()).unwrap();
        let memory = ContentCache::default();
        for size in [0, 1, usize::try_from(STREAMED).unwrap() + 1] {
            let bytes = vec![7; size];
            std::fs::write(dir.path().join("f"), &bytes).unwrap();
            let stat = folder.as_ref().stat(b"f").unwrap().unwrap();
            let path = RepoPath::from_git(&b"f"[..]);
            let (_, id) = memory.session().content_id(folder.as_ref(), &path, b"f", stat).unwrap().unwrap();
            assert_eq!(id, ContentId::of_blob(&bytes).unwrap());
        }
    }

    #[test]
    fn stat_from_before_a_change_is_never_returned() {
        let dir = tempfile::tempdir().unwrap();
        let folder = OpenFolder::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("f"), "old").unwrap();
        let old = folder.as_ref().stat(b"f").unwrap().unwrap();
        std::fs::write(dir.path().join("f"), "newer").unwrap();
        let path = RepoPath::from_git(&b"f"[..]);
        let memory = ContentCache::default();
        let (stat, id) = memory.session().content_id(folder.as_ref(), &path, b"f", old).unwrap().unwrap();
        assert_eq!(id, ContentId::of_blob(b"newer").unwrap());
        assert_eq!(Some(stat), folder.as_ref().stat(b"f").unwrap());
    }
}
