//! Folders that are looked at from time to time, since the system reports nothing of them, or not all.
//! It must not know why.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::base::clock::Clock;
use crate::base::path::RepoPath;
use crate::base::stat::{FileTime, Stat};

/// Looks are at least this far apart.
const SHORTEST: Duration = Duration::from_secs(2);
/// Looks take at most this part of the time.
const PART: u32 = 10;
/// Seconds in which a file may change twice and look the same: the steps of a file system's clock.
const STEP: u64 = 2;

/// What is known of the folders.
#[derive(Debug)]
pub(super) struct Polled {
    clock: Clock,
    folders: BTreeMap<RepoPath, Listing>,
    /// How long the last look at all folders took.
    took: Duration,
    /// When the next is due, by the clock.
    due: Duration,
}

/// What a folder holds. A file that has just changed may change again without a trace, so it has no
/// stat, and counts as changed at the next look.
type Listing = HashMap<Box<[u8]>, Option<Stat>>;

impl Polled {
    /// None are looked at yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, folders: BTreeMap::new(), took: Duration::ZERO, due: Duration::ZERO }
    }

    /// Looks at a folder from now on.
    pub(super) fn add(&mut self, folder: &RepoPath, root: &Path) {
        let start = self.clock.elapsed();
        let listing = list(&folder.under(root), seconds(&self.clock)).unwrap_or_default();
        self.folders.insert(folder.clone(), listing);
        self.took += self.clock.elapsed().saturating_sub(start);
        self.due = self.clock.elapsed() + self.every();
    }

    /// Looks no more at a folder and all below it.
    pub(super) fn forget(&mut self, folder: &RepoPath) {
        self.folders.retain(|path, _| !path.is_within(folder));
    }

    /// Whether a folder is looked at.
    pub(super) fn has(&self, folder: &RepoPath) -> bool {
        self.folders.contains_key(folder)
    }

    /// The folders that are looked at.
    pub(super) fn folders(&self) -> impl Iterator<Item = &RepoPath> {
        self.folders.keys()
    }

    /// How far looks are apart: the longer, the more there is to look at.
    pub(super) fn every(&self) -> Duration {
        (self.took * PART).max(SHORTEST)
    }

    /// How long it is until the next look; `None` if there is nothing to look at.
    pub(super) fn left(&self) -> Option<Duration> {
        (!self.folders.is_empty()).then(|| self.due.saturating_sub(self.clock.elapsed()))
    }

    /// Looks at all folders, and returns the paths that changed.
    pub(super) fn look(&mut self, root: &Path) -> Vec<RepoPath> {
        let start = self.clock.elapsed();
        let now = seconds(&self.clock);
        let mut changed = Vec::new();
        let mut gone = Vec::new();
        for (folder, known) in &mut self.folders {
            let Some(found) = list(&folder.under(root), now) else {
                gone.push(folder.clone());
                continue;
            };
            let is_same = |name: &[u8]| {
                let (was, is) = (known.get(name).copied().flatten(), found.get(name).copied().flatten());
                was.is_some() && was == is
            };
            changed.extend(found.keys().filter(|name| !is_same(name)).map(|name| folder.child(name)));
            changed.extend(known.keys().filter(|n| !found.contains_key(*n)).map(|name| folder.child(name)));
            *known = found;
        }
        for folder in gone {
            self.forget(&folder);
            changed.push(folder);
        }
        self.took = self.clock.elapsed().saturating_sub(start);
        self.due = self.clock.elapsed() + self.every();
        changed
    }
}

/// What a folder holds; `None` if there is no such folder.
fn list(folder: &Path, now: i64) -> Option<Listing> {
    let mut listing = Listing::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        // What is gone by now is not there.
        let Ok(meta) = entry.metadata() else { continue };
        if entry.file_name() == ".git" {
            continue;
        }
        let mut stat = Stat::of(&meta);
        let mut is_settled = stat.changed.seconds.abs_diff(now) > STEP;
        if stat.is_dir() {
            // What is in it is not in this listing.
            is_settled = true;
            stat = Stat { size: 0, modified: FileTime::default(), changed: FileTime::default(), ..stat };
        }
        listing.insert(entry.file_name().as_bytes().into(), is_settled.then_some(stat));
    }
    Some(listing)
}

/// The time in seconds since 1970.
fn seconds(clock: &Clock) -> i64 {
    let since = clock.now().system().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn a_look_finds_what_was_written_added_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        for file in ["src/a", "src/b", "src/c", "src/same", "src/deep/d"] {
            fs::write(root.join(file), "1").unwrap();
        }
        // By this clock all of it is long settled.
        let (clock, _) = Clock::manual();
        let mut polled = Polled::new(clock);
        assert_eq!(polled.left(), None);
        polled.add(&path("src"), root);
        assert!(polled.left().is_some() && polled.has(&path("src")));
        assert_eq!(polled.look(root), []);
        let time = fs::metadata(root.join("src/c")).unwrap().modified().unwrap();
        fs::write(root.join("src/a"), "22").unwrap();
        fs::remove_file(root.join("src/b")).unwrap();
        fs::write(root.join("src/c"), "2").unwrap();
        fs::File::options().write(true).open(root.join("src/c")).unwrap().set_modified(time).unwrap();
        fs::write(root.join("src/deep/d"), "22").unwrap();
        fs::write(root.join("src/new"), "1").unwrap();
        let mut found = polled.look(root);
        found.sort();
        assert_eq!(found, ["src/a", "src/b", "src/c", "src/new"].map(path));
        assert_eq!(polled.look(root), []);
        fs::remove_dir_all(root.join("src")).unwrap();
        assert_eq!(polled.look(root), [path("src")]);
        assert_eq!(polled.left(), None);
    }

    #[test]
    fn what_may_have_changed_without_a_trace_counts_as_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("new"), "1").unwrap();
        let mut polled = Polled::new(Clock::system());
        polled.add(&RepoPath::top(), dir.path());
        assert_eq!(polled.look(dir.path()), [path("new")]);
    }

    #[test]
    fn looks_that_take_long_are_far_apart() {
        let mut polled = Polled::new(Clock::system());
        assert_eq!(polled.every(), SHORTEST);
        polled.took = Duration::from_secs(3);
        assert_eq!(polled.every(), Duration::from_secs(30));
    }
}
