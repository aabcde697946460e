//! Tests of watching, polling and reporting with a system that refuses watches or fails.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use notify::event::{CreateKind, Event, Flag};
use notify::{Config, ErrorKind, EventHandler, WatcherKind};
use tempfile::TempDir;

use super::*;

/// A watcher that can watch only `room` folders.
struct Narrow {
    room: Arc<AtomicUsize>,
}

impl Watcher for Narrow {
    fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Self> {
        Ok(Self { room: Arc::default() })
    }

    fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
        let taken = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1));
        taken.map(drop).map_err(|_| notify::Error::new(ErrorKind::MaxFilesWatch))
    }

    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        self.room.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn kind() -> WatcherKind {
        WatcherKind::NullWatcher
    }
}

/// A tree with the folders `a`, `a/deep` and `b`, watched by a system that can watch only `room` folders.
struct Tree {
    dir: TempDir,
    room: Arc<AtomicUsize>,
    news: Arc<Mutex<Vec<WatchReport>>>,
    watch_thread: WatchThread<Narrow>,
}

fn path(text: &str) -> RepoPath {
    RepoPath::from_git(text.as_bytes())
}

impl Tree {
    fn new(room: usize) -> Self {
        let dir = TempDir::new().unwrap();
        for folder in ["a/deep", "b"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let root = dir.path().to_owned();
        let folders = move |folder: &RepoPath| {
            let entries = fs::read_dir(folder.under(&root)).into_iter().flatten().flatten();
            let mut names: Vec<RepoPath> = entries
                .filter(|entry| entry.path().is_dir())
                .map(|entry| folder.child(entry.file_name().as_bytes()))
                .collect();
            names.sort();
            names
        };
        let target = WatchTarget {
            root: dir.path().to_owned(),
            is_git_working: Box::new(|| false),
            folders: Box::new(folders),
        };
        let (room, news) = (Arc::new(AtomicUsize::new(room)), Arc::new(Mutex::new(Vec::new())));
        let (sink, watcher) = (Arc::clone(&news), Narrow { room: Arc::clone(&room) });
        let report = Box::new(move |news| sink.lock().unwrap().push(news));
        let mut watch_thread = WatchThread::new(Some(watcher), None, target, report);
        watch_thread.add(&RepoPath::top());
        Self { dir, room, news, watch_thread }
    }

    fn news(&self) -> Vec<WatchReport> {
        std::mem::take(&mut self.news.lock().unwrap())
    }

    fn is_watched(&self, folder: &str) -> bool {
        self.watch_thread.watched.contains(&path(folder))
    }

    fn look(&mut self) -> HashSet<RepoPath> {
        let mut batch = HashSet::new();
        let has_changed = self.watch_thread.poll(&mut batch);
        assert_eq!(has_changed, !batch.is_empty());
        batch
    }

    fn take(&mut self, event: notify::Result<Event>) -> HashSet<RepoPath> {
        let mut batch = HashSet::new();
        self.watch_thread.add_event(event, &mut batch);
        batch
    }
}

/// Returns the numbers of watched and unwatched folders, if only that limit was reported.
fn limit(news: &[WatchReport]) -> Option<(usize, usize)> {
    match news {
        [
            WatchReport::Gap(Gap::Unwatched {
                cause: UnwatchedCause::Watches(_), watched, unwatched, ..
            }),
        ] => Some((*watched, *unwatched)),
        _ => None,
    }
}

#[test]
fn below_the_limit_nothing_is_scanned_or_reported() {
    let tree = Tree::new(4);
    assert_eq!(tree.news(), []);
    assert_eq!(tree.watch_thread.polled.time_left(), None);
}

#[test]
fn unwatchable_folders_are_reported_and_scanned() {
    let mut tree = Tree::new(2);
    assert_eq!(limit(&tree.news()), Some((2, 2)));
    assert!(tree.is_watched("a") && !tree.is_watched("b") && !tree.is_watched("a/deep"));
    fs::write(tree.dir.path().join("a/deep/file"), "1").unwrap();
    assert!(tree.look().contains(&path("a/deep/file")));
    // A new folder in a polled folder is polled too.
    fs::create_dir(tree.dir.path().join("b/new")).unwrap();
    assert!(tree.look().contains(&path("b/new")));
    fs::write(tree.dir.path().join("b/new/file"), "1").unwrap();
    assert!(tree.look().contains(&path("b/new/file")));
    assert_eq!(tree.news(), [], "it was reported once");
    // More folders can be watched again, and earlier changes are found.
    fs::write(tree.dir.path().join("b/last"), "1").unwrap();
    tree.room.store(9, Ordering::Relaxed);
    assert!(tree.look().contains(&path("b/last")));
    assert_eq!(tree.news(), [WatchReport::Gap(Gap::Closed)]);
    assert!(tree.is_watched("a/deep") && tree.is_watched("b/new"));
}

#[test]
fn new_folder_beyond_the_limit_is_reported_at_once() {
    let mut tree = Tree::new(4);
    let new = tree.dir.path().join("new");
    fs::create_dir(&new).unwrap();
    let event = Event::new(EventKind::Create(CreateKind::Folder)).add_path(new.clone());
    assert_eq!(tree.take(Ok(event)), HashSet::from([path("new")]));
    assert_eq!(limit(&tree.news()), Some((4, 1)));
    fs::write(new.join("file"), "1").unwrap();
    assert!(tree.look().contains(&path("new/file")));
    fs::remove_dir_all(&new).unwrap();
    assert!(tree.look().contains(&path("new")));
    assert_eq!(tree.watch_thread.polled.time_left(), None);
}

#[test]
fn lost_events_count_as_changes_and_folders_are_watched_again() {
    let mut tree = Tree::new(9);
    fs::create_dir(tree.dir.path().join("unseen")).unwrap();
    let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(tree.take(Ok(lost)), HashSet::from([RepoPath::top()]));
    assert!(matches!(tree.news()[..], [WatchReport::Gap(Gap::Overflow { .. })]));
    assert!(tree.is_watched("unseen"));
}

#[test]
fn after_an_error_everything_is_scanned() {
    let mut tree = Tree::new(9);
    assert_eq!(tree.take(Err(notify::Error::generic("broken"))), HashSet::from([RepoPath::top()]));
    let news = tree.news();
    let [
        WatchReport::Gap(
            gap @ Gap::Unwatched { cause: UnwatchedCause::System(said), watched: 0, unwatched: 4, .. },
        ),
    ] = &news[..]
    else {
        panic!("{news:?}")
    };
    assert!(said == "broken" && gap.is_defect());
    fs::write(tree.dir.path().join("a/deep/file"), "1").unwrap();
    assert!(tree.look().contains(&path("a/deep/file")));
    assert_eq!(tree.news(), []);
}
