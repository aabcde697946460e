//! Polls folders for which the system reports no changes, or not all of them. This module does not know
//! why.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::base::clock::Clock;
use crate::base::path::RepoPath;
use crate::base::stat::{FileTime, Stat};

/// The shortest time between two polls.
const SHORTEST: Duration = Duration::from_secs(2);
/// Polling takes at most one part in this many of the time.
const PART: u32 = 10;
/// The coarsest resolution of a file system's timestamps, in seconds. A file that changes twice within
/// this time may look unchanged.
const STEP: u64 = 2;

/// The polled folders, and their last known content.
#[derive(Debug)]
pub(super) struct PolledFolders {
    clock: Clock,
    folders: BTreeMap<RepoPath, Listing>,
    /// The duration of the last poll of all folders.
    took: Duration,
    /// The time of the next poll, by the clock.
    due: Duration,
}

/// The names in a folder with their stats. A file that has just changed may change again and look the
/// same, so it has no stat and counts as changed at the next poll.
type Listing = HashMap<Box<[u8]>, Option<Stat>>;

impl PolledFolders {
    /// Creates a value without any folders.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, folders: BTreeMap::new(), took: Duration::ZERO, due: Duration::ZERO }
    }

    /// Starts to poll a folder.
    pub(super) fn add(&mut self, folder: &RepoPath, root: &Path) {
        let start = self.clock.elapsed();
        let listing = list(&folder.under(root), seconds(&self.clock)).unwrap_or_default();
        self.folders.insert(folder.clone(), listing);
        self.took += self.clock.elapsed().saturating_sub(start);
        self.due = self.clock.elapsed() + self.interval();
    }

    /// Stops polling a folder and everything below it.
    pub(super) fn forget(&mut self, folder: &RepoPath) {
        self.folders.retain(|path, _| !path.is_within(folder));
    }

    /// Returns whether a folder is polled.
    pub(super) fn has(&self, folder: &RepoPath) -> bool {
        self.folders.contains_key(folder)
    }

    /// Returns the polled folders.
    pub(super) fn folders(&self) -> impl Iterator<Item = &RepoPath> {
        self.folders.keys()
    }

    /// Returns the time between two polls. It is longer if a poll takes longer.
    pub(super) fn interval(&self) -> Duration {
        (self.took * PART).max(SHORTEST)
    }

    /// Returns the time until the next poll, or `None` if there are no folders.
    pub(super) fn time_left(&self) -> Option<Duration> {
        (!self.folders.is_empty()).then(|| self.due.saturating_sub(self.clock.elapsed()))
    }

    /// Polls all folders, and returns the paths that changed.
    pub(super) fn poll(&mut self, root: &Path) -> Vec<RepoPath> {
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
        self.due = self.clock.elapsed() + self.interval();
        changed
    }
}

/// Lists a folder, or returns `None` if there is no such folder.
fn list(folder: &Path, now: i64) -> Option<Listing> {
    let mut listing = Listing::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        // The file has been removed in the meantime.
        let Ok(meta) = entry.metadata() else { continue };
        if entry.file_name() == ".git" {
            continue;
        }
        let mut stat = Stat::new(&meta);
        let mut is_settled = stat.changed.seconds.abs_diff(now) > STEP;
        if stat.is_dir() {
            // The size and times of a folder change with its content, which this listing doesn't show.
            is_settled = true;
            stat = Stat { size: 0, modified: FileTime::default(), changed: FileTime::default(), ..stat };
        }
        listing.insert(entry.file_name().as_bytes().into(), is_settled.then_some(stat));
    }
    Some(listing)
}

/// Returns the current time in seconds since 1970.
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
    fn scan_finds_changed_new_and_removed_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("src/deep")).unwrap();
        for file in ["src/a", "src/b", "src/c", "src/same", "src/deep/d"] {
            fs::write(root.join(file), "1").unwrap();
        }
        // For this clock, all files are old enough to have a stat.
        let (clock, _) = Clock::manual();
        let mut polled = PolledFolders::new(clock);
        assert_eq!(polled.time_left(), None);
        polled.add(&path("src"), root);
        assert!(polled.time_left().is_some() && polled.has(&path("src")));
        assert_eq!(polled.poll(root), []);
        let time = fs::metadata(root.join("src/c")).unwrap().modified().unwrap();
        fs::write(root.join("src/a"), "22").unwrap();
        fs::remove_file(root.join("src/b")).unwrap();
        fs::write(root.join("src/c"), "2").unwrap();
        fs::File::options().write(true).open(root.join("src/c")).unwrap().set_modified(time).unwrap();
        fs::write(root.join("src/deep/d"), "22").unwrap();
        fs::write(root.join("src/new"), "1").unwrap();
        let mut found = polled.poll(root);
        found.sort();
        assert_eq!(found, ["src/a", "src/b", "src/c", "src/new"].map(path));
        assert_eq!(polled.poll(root), []);
        fs::remove_dir_all(root.join("src")).unwrap();
        assert_eq!(polled.poll(root), [path("src")]);
        assert_eq!(polled.time_left(), None);
    }

    #[test]
    fn possibly_changed_file_counts_as_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("new"), "1").unwrap();
        let mut polled = PolledFolders::new(Clock::system());
        polled.add(&RepoPath::top(), dir.path());
        assert_eq!(polled.poll(dir.path()), [path("new")]);
    }

    #[test]
    fn slow_scans_are_less_frequent() {
        let mut polled = PolledFolders::new(Clock::system());
        assert_eq!(polled.interval(), SHORTEST);
        polled.took = Duration::from_secs(3);
        assert_eq!(polled.interval(), Duration::from_secs(30));
    }
}
