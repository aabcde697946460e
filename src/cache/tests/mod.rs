//! Tests of the cache through its public interface, in temporary folders.

mod damage;
mod gc;
mod index;
mod outputs;
mod restore;
mod store;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Cache, CacheError, Entry, Lookup, NewEntry, OutputSet, OutputState, Repair};
use crate::base::clock::{Clock, Timestamp};
use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns};
use crate::base::wait::wait_until;
use crate::cache::dirs::FileKind;

/// A work tree, a state directory, and the cache in the state directory.
struct Fixture {
    dir: tempfile::TempDir,
    cache: Cache,
    time: Arc<AtomicU64>,
}

const CAP: u64 = 1 << 30;

impl Fixture {
    fn new() -> Self {
        Self::with_cap(CAP)
    }

    fn with_cap(cap: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let (clock, time) = Clock::manual();
        time.store(Clock::system().now().0, Ordering::Relaxed);
        let cache = Cache::open(&dir.path().join("state"), cap, &clock);
        Self { dir, cache, time }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Advances the cache's clock.
    fn pass(&self, time: Duration) {
        self.time.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Opens the same cache again, as another process would.
    fn reopened(&self) -> Cache {
        self.cache.save().unwrap();
        let (clock, time) = Clock::manual();
        time.store(self.time.load(Ordering::Relaxed), Ordering::Relaxed);
        Cache::open(&self.state(), self.cache.cap, &clock)
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root().join(path)).ok()
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.root().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn folder(&self, path: &str) {
        fs::create_dir_all(self.root().join(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.root().join(path);
        if path.symlink_metadata().unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    /// Replaces what is at a path with a symlink.
    fn relink(&self, path: &str, target: &str) {
        self.remove(path);
        self.link(path, target);
    }

    /// Writes a file, and first removes what is at its path or prevents its folder.
    fn rewrite(&self, path: &str, bytes: &str) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let is_below = self.root().join(parent).symlink_metadata().is_ok_and(|meta| !meta.is_dir());
        self.remove(if is_below { parent } else { path });
        self.write(path, bytes);
    }

    fn exists(&self, path: &str) -> bool {
        self.root().join(path).symlink_metadata().is_ok()
    }

    fn collect(&self, list: &[&str]) -> OutputSet {
        self.cache.collect(&self.root(), &patterns(list)).unwrap()
    }

    fn store(&self, key: &str, outputs: &OutputSet) -> Result<(), CacheError> {
        store(&self.cache, key, outputs, &self.root())
    }

    /// Collects these outputs, stores them under a key, and returns the entry.
    fn stored(&self, key: &str, list: &[&str]) -> Entry {
        self.store(key, &self.collect(list)).unwrap();
        self.hit(key)
    }

    fn hit(&self, key: &str) -> Entry {
        hit(&self.cache, key)
    }

    fn state_of(&self, list: &[&str], entry: &Entry) -> OutputState {
        self.cache.compare(&self.root(), &patterns(list), entry)
    }

    /// Returns all entries and blobs of the cache.
    fn files(&self) -> Vec<PathBuf> {
        [FileKind::Entry, FileKind::Blob]
            .into_iter()
            .flat_map(|kind| {
                let all = self.cache.dirs.list(kind).unwrap();
                all.into_iter().map(move |(name, _)| self.cache.dirs.file(kind, &name))
            })
            .collect()
    }

    fn temps(&self) -> usize {
        fs::read_dir(self.cache.dirs.temp()).unwrap().count()
    }

    fn assert_clean(&self) {
        let report = self.cache.verify(Repair::Report).unwrap();
        assert_eq!(report.damage, []);
    }
}

fn key(name: &str) -> Digest {
    Digest::hash(name.as_bytes())
}

fn store(cache: &Cache, name: &str, outputs: &OutputSet, root: &Path) -> Result<(), CacheError> {
    let new = NewEntry {
        task: name,
        explanation: b"why",
        log: "it passed\n",
        took: 1234,
        at: Timestamp(99),
        outputs,
        forbidden: None,
    };
    cache.store(&key(name), &new, root)
}

fn hit(cache: &Cache, name: &str) -> Entry {
    match cache.lookup(&key(name)) {
        Lookup::Hit(entry) => *entry,
        other => panic!("{name}: {other:?}"),
    }
}

fn patterns(texts: &[&str]) -> Patterns {
    let base = RepoPath::top();
    let parse = |text: &str| Pattern::parse(text, PatternBase { base: &base, anchored: true }).unwrap();
    let item = |text: &&str| Item {
        excludes: text.starts_with('!'),
        ..Item::including(Matcher::Pattern(parse(text.trim_start_matches('!'))))
    };
    Patterns::new(texts.iter().map(item).collect())
}

/// Returns bytes that can't be compressed, different for each seed.
fn incompressible(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
