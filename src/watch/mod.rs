//! Watches a work tree and reports the changed paths in batches. A batch ends when no more changes
//! happen for a moment, so that switching a branch is one batch. This module does not know what a
//! change means, and does not read files.
//!
//! On Linux, each folder is watched separately, so that ignored folders cost nothing, and new folders
//! are added when they appear. On other systems, the whole tree is watched at once. Folders that the
//! system can't watch, or for which it does not report all changes, are polled, and this is reported.

mod gap;
pub mod opens;
mod polled;
mod quiet;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::io::Errno;

use crate::base::clock::Clock;
use crate::base::path::RepoPath;
pub use gap::Gap;
use gap::{Cause, Limit};
use polled::Polled;
pub use quiet::LONGEST;
use quiet::{Quiet, Step};

/// Returns the folders to watch in a folder: those that git does not ignore.
pub type Folders = Box<dyn Fn(&RepoPath) -> Vec<RepoPath> + Send>;

/// Why a work tree can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("can't start a thread that watches the work tree")]
pub struct WatchError {
    /// The error of the system.
    source: io::Error,
}

/// A report of a watch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// The sorted paths that changed. The top means that any path may have changed.
    Changed(Vec<RepoPath>),
    /// The system does not report all changes, or does so again.
    Gap(Gap),
}

/// The work tree to watch.
pub struct Place {
    /// The top of the work tree.
    pub root: PathBuf,
    /// Returns whether git is working on the work tree.
    pub at_work: Box<dyn Fn() -> bool + Send>,
    /// Returns the folders to watch in a folder.
    pub folders: Folders,
}

/// A running watch. It ends when it is dropped.
pub struct Watch {
    sender: Sender<Heard>,
}

/// Whether a watch of a folder includes everything below it.
const MODE: RecursiveMode =
    if cfg!(target_os = "linux") { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };

/// A message to the thread of the watch.
enum Heard {
    Event(notify::Result<notify::Event>),
    End,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.sender.send(Heard::End);
    }
}

impl Watch {
    /// Starts a watch. `report` is called with each batch of changed paths and each gap.
    ///
    /// # Errors
    /// Fails if the thread can't be started.
    pub fn start(place: Place, report: impl Fn(News) + Send + 'static) -> Result<Self, WatchError> {
        let (sender, receiver) = channel();
        let events = sender.clone();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = events.send(Heard::Event(event));
        });
        let (watcher, broken) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(cause(&error, true))),
        };
        let mut rounds = Rounds::<RecommendedWatcher>::new(watcher, broken, place, Box::new(report));
        rounds.add(&RepoPath::top());
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let started = thread.spawn(move || rounds.listen(&receiver));
        started.map_err(|source| WatchError { source })?;
        Ok(Self { sender })
    }
}

/// Returns why the system can't watch a folder, or, if `is_start`, why it can't watch at all.
fn cause(error: &notify::Error, is_start: bool) -> Cause {
    let errno = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => return Cause::Watches(Limit::of_watches()),
        notify::ErrorKind::Io(error) => Errno::from_io_error(error),
        _ => None,
    };
    match errno {
        // Two limits have the same error. Only one of them also prevents opening other files.
        Some(Errno::MFILE) if is_start && std::fs::File::open("/dev/null").is_ok() => {
            Cause::Instances(Limit::of_instances())
        }
        Some(Errno::MFILE | Errno::NFILE) => Cause::Files,
        _ => Cause::System(error.to_string()),
    }
}

/// The state of the thread of the watch.
struct Rounds<W> {
    /// The watcher of the system, or `None` once it has failed. Then `broken` is the reason.
    watcher: Option<W>,
    broken: Option<Cause>,
    watched: HashSet<RepoPath>,
    polled: Polled,
    place: Place,
    clock: Clock,
    report: Box<dyn Fn(News) + Send>,
    /// The last reported reason why some folders are not watched.
    reported: Option<Cause>,
    has_reported_remote: bool,
}

impl<W: Watcher> Rounds<W> {
    fn new(
        watcher: Option<W>,
        broken: Option<Cause>,
        place: Place,
        report: Box<dyn Fn(News) + Send>,
    ) -> Self {
        let clock = Clock::system();
        Self {
            watcher,
            broken,
            watched: HashSet::new(),
            polled: Polled::new(clock.clone()),
            place,
            clock,
            report,
            reported: None,
            has_reported_remote: false,
        }
    }

    /// Watches a folder and the folders below it that git does not ignore, the outermost first. Folders
    /// that can't be watched are polled.
    fn add(&mut self, folder: &RepoPath) {
        let mut open = VecDeque::from([folder.clone()]);
        let mut unwatched = None;
        let mut remote = None;
        while let Some(folder) = open.pop_front() {
            if self.watched.contains(&folder) || self.polled.has(&folder) {
                continue;
            }
            let path = folder.under(&self.place.root);
            match self.watch(&path) {
                Ok(()) => {
                    self.watched.insert(folder.clone());
                    if let Some(kind) = gap::remote_kind(&path) {
                        self.polled.add(&folder, &self.place.root);
                        remote.get_or_insert((folder.clone(), kind));
                    }
                    if MODE == RecursiveMode::Recursive {
                        break;
                    }
                }
                // The folder has been removed in the meantime.
                Err(_) if !path.is_dir() => continue,
                Err(cause) => {
                    self.polled.add(&folder, &self.place.root);
                    unwatched.get_or_insert(cause);
                }
            }
            open.extend((self.place.folders)(&folder));
        }
        let every = self.polled.every();
        if let Some(cause) = unwatched.filter(|cause| self.reported.as_ref() != Some(cause)) {
            let (watched, unwatched) = (self.watched.len(), self.unwatched().count());
            (self.report)(News::Gap(Gap::Unwatched { cause: cause.clone(), watched, unwatched, every }));
            self.reported = Some(cause);
        }
        if let Some((folder, kind)) = remote.filter(|_| !self.has_reported_remote) {
            let folder = folder.under(&self.place.root).display().to_string();
            (self.report)(News::Gap(Gap::Remote { folder, kind, every }));
            self.has_reported_remote = true;
        }
    }

    fn watch(&mut self, path: &Path) -> Result<(), Cause> {
        match &mut self.watcher {
            Some(watcher) => watcher.watch(path, MODE).map_err(|error| cause(&error, false)),
            None => Err(self.broken.clone().unwrap_or_else(|| Cause::System("it has ended".to_owned()))),
        }
    }

    fn unwatched(&self) -> impl Iterator<Item = &RepoPath> {
        self.polled.folders().filter(|folder| !self.watched.contains(*folder))
    }

    /// Stops watching a folder and everything below it. The system's watch follows a renamed folder, so a
    /// new folder with the old name would not be watched.
    fn forget(&mut self, folder: &RepoPath) {
        if folder.is_top() {
            return;
        }
        if self.polled.has(folder) {
            self.polled.forget(folder);
        }
        if !self.watched.contains(folder) {
            return;
        }
        let below = self.watched.iter().filter(|path| path.is_within(folder));
        for path in below.cloned().collect::<Vec<_>>() {
            // This fails for a removed folder, whose watch the system has already ended.
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(&path.under(&self.place.root));
            }
            self.watched.remove(&path);
        }
    }

    /// Collects events into batches until the watch ends.
    fn listen(mut self, receiver: &Receiver<Heard>) {
        let mut quiet = Quiet::default();
        let mut batch: HashSet<RepoPath> = HashSet::new();
        loop {
            let step = quiet.step(self.clock.elapsed(), (self.place.at_work)());
            let most = match step {
                Step::Idle => self.polled.left(),
                Step::Wait(most) => Some(self.polled.left().map_or(most, |left| left.min(most))),
                Step::Tell => {
                    let mut paths: Vec<RepoPath> = batch.drain().collect();
                    paths.sort_unstable();
                    (self.report)(News::Changed(paths));
                    quiet = Quiet::default();
                    continue;
                }
            };
            let heard = match most {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(most) => receiver.recv_timeout(most),
            };
            let mut has_changed = match heard {
                Ok(Heard::Event(event)) => self.take(event, &mut batch),
                Err(RecvTimeoutError::Timeout) => false,
                Ok(Heard::End) | Err(RecvTimeoutError::Disconnected) => return,
            };
            // Checked after each event, so that constant events don't prevent polling.
            if self.polled.left() == Some(Duration::ZERO) {
                has_changed |= self.look(&mut batch);
            }
            if has_changed {
                quiet.heard(self.clock.elapsed());
            }
        }
    }

    /// Polls the folders for which the system does not report all changes. Returns whether something
    /// changed.
    fn look(&mut self, batch: &mut HashSet<RepoPath>) -> bool {
        self.watch_more();
        let changed = self.polled.look(&self.place.root);
        let unwatched = self.unwatched().count();
        if self.reported.is_some() && unwatched == 0 {
            self.reported = None;
            (self.report)(News::Gap(Gap::Closed));
        }
        for path in &changed {
            // The path may be a different folder now.
            self.forget(path);
            self.add_new(path);
        }
        let has_changed = !changed.is_empty();
        batch.extend(changed);
        has_changed
    }

    /// Tries again to watch the folders that could not be watched. Earlier changes in them are found by
    /// the poll that follows.
    fn watch_more(&mut self) {
        let waiting: Vec<RepoPath> = self.unwatched().cloned().collect();
        for folder in waiting {
            if self.watch(&folder.under(&self.place.root)).is_err() {
                return;
            }
            self.watched.insert(folder);
        }
    }

    /// Watches a new folder, unless git ignores it.
    fn add_new(&mut self, path: &RepoPath) {
        if let Some(parent) = path.parent()
            && !self.watched.contains(path)
            && !self.polled.has(path)
            && path.under(&self.place.root).is_dir()
            && (self.place.folders)(&parent).contains(path)
        {
            self.add(path);
        }
    }

    /// Marks everything as changed, and watches all current folders again.
    fn start_again(&mut self, batch: &mut HashSet<RepoPath>) {
        self.watched.clear();
        self.polled.forget(&RepoPath::top());
        self.add(&RepoPath::top());
        batch.insert(RepoPath::top());
    }

    /// Adds the paths of an event to the batch. Returns whether something changed.
    fn take(&mut self, event: notify::Result<notify::Event>, batch: &mut HashSet<RepoPath>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // After an error, the watcher may miss changes.
                self.watcher = None;
                self.broken = Some(cause(&error, false));
                self.start_again(batch);
                return true;
            }
        };
        if event.need_rescan() {
            // Events were lost, so any path may have changed and any folder may be new.
            (self.report)(News::Gap(Gap::Overflow { limit: gap::queue_limit() }));
            self.start_again(batch);
            return true;
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        // This includes both events of a rename, after which the name may belong to another folder.
        let has_moved = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let before = batch.len();
        let mut told = false;
        for path in event.paths {
            let Ok(inside) = path.strip_prefix(&self.place.root) else { continue };
            if inside.starts_with(".git") {
                continue;
            }
            let path = RepoPath::from_git(inside.as_os_str().as_bytes());
            if has_moved {
                self.forget(&path);
            }
            // The event may be old, and a new folder with this name may already exist.
            self.add_new(&path);
            told = true;
            batch.insert(path);
        }
        told || batch.len() > before
    }
}

#[cfg(test)]
mod tests;
