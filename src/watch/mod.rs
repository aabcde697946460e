//! Watches a work tree and reports the changed paths in batches. A batch ends when no more changes
//! happen for a moment, so that switching a branch is one batch. This module does not know what a
//! change means, and does not read files.
//!
//! On Linux, each folder is watched separately, so that ignored folders cost nothing, and new folders
//! are added when they appear. On other systems, the whole tree is watched at once. Folders that the
//! system can't watch, or for which it does not report all changes, are polled, and this is reported.

mod debounce;
mod gap;
pub mod opens;
mod polling;

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
pub use debounce::LONGEST;
use debounce::{Debounce, DebounceStep};
pub use gap::Gap;
use gap::{KernelLimit, UnwatchedCause};
use polling::PolledFolders;

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
pub enum WatchReport {
    /// The sorted paths that changed. The top means that any path may have changed.
    Changed(Vec<RepoPath>),
    /// The system does not report all changes, or does so again.
    Gap(Gap),
}

/// The work tree to watch.
pub struct WatchTarget {
    /// The top of the work tree.
    pub root: PathBuf,
    /// Returns whether git is working on the work tree.
    pub is_git_working: Box<dyn Fn() -> bool + Send>,
    /// Returns the folders to watch in a folder.
    pub folders: Folders,
}

/// A running watch. It ends when it is dropped.
pub struct Watch {
    sender: Sender<WatchMessage>,
}

/// Whether a watch of a folder includes everything below it.
const MODE: RecursiveMode =
    if cfg!(target_os = "linux") { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };

/// A message to the thread of the watch.
enum WatchMessage {
    Event(notify::Result<notify::Event>),
    End,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.sender.send(WatchMessage::End);
    }
}

impl Watch {
    /// Starts a watch. `report` is called with each batch of changed paths and each gap.
    ///
    /// # Errors
    /// Fails if the thread can't be started.
    pub fn start(
        target: WatchTarget,
        report: impl Fn(WatchReport) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let (sender, receiver) = channel();
        let events = sender.clone();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = events.send(WatchMessage::Event(event));
        });
        let (watcher, broken) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(cause(&error, true))),
        };
        let mut watch_thread =
            WatchThread::<RecommendedWatcher>::new(watcher, broken, target, Box::new(report));
        watch_thread.add(&RepoPath::top());
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let started = thread.spawn(move || watch_thread.listen(&receiver));
        started.map_err(|source| WatchError { source })?;
        Ok(Self { sender })
    }
}

/// Returns why the system can't watch a folder, or, if `is_start`, why it can't watch at all.
fn cause(error: &notify::Error, is_start: bool) -> UnwatchedCause {
    let errno = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => return UnwatchedCause::Watches(KernelLimit::of_watches()),
        notify::ErrorKind::Io(error) => Errno::from_io_error(error),
        _ => None,
    };
    match errno {
        // Two limits have the same error. Only one of them also prevents opening other files.
        Some(Errno::MFILE) if is_start && std::fs::File::open("/dev/null").is_ok() => {
            UnwatchedCause::Instances(KernelLimit::of_instances())
        }
        Some(Errno::MFILE | Errno::NFILE) => UnwatchedCause::Files,
        _ => UnwatchedCause::System(error.to_string()),
    }
}

/// The state of the thread of the watch.
struct WatchThread<W> {
    /// The watcher of the system, or `None` once it has failed. Then `broken` is the reason.
    watcher: Option<W>,
    broken: Option<UnwatchedCause>,
    watched: HashSet<RepoPath>,
    polled: PolledFolders,
    target: WatchTarget,
    clock: Clock,
    report: Box<dyn Fn(WatchReport) + Send>,
    /// The last reported reason why some folders are not watched.
    reported: Option<UnwatchedCause>,
    has_reported_remote: bool,
}

impl<W: Watcher> WatchThread<W> {
    fn new(
        watcher: Option<W>,
        broken: Option<UnwatchedCause>,
        target: WatchTarget,
        report: Box<dyn Fn(WatchReport) + Send>,
    ) -> Self {
        let clock = Clock::system();
        Self {
            watcher,
            broken,
            watched: HashSet::new(),
            polled: PolledFolders::new(clock.clone()),
            target,
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
            let path = folder.under(&self.target.root);
            match self.watch(&path) {
                Ok(()) => {
                    self.watched.insert(folder.clone());
                    if let Some(kind) = gap::remote_kind(&path) {
                        self.polled.add(&folder, &self.target.root);
                        remote.get_or_insert((folder.clone(), kind));
                    }
                    if MODE == RecursiveMode::Recursive {
                        break;
                    }
                }
                // The folder has been removed in the meantime.
                Err(_) if !path.is_dir() => continue,
                Err(cause) => {
                    self.polled.add(&folder, &self.target.root);
                    unwatched.get_or_insert(cause);
                }
            }
            open.extend((self.target.folders)(&folder));
        }
        let every = self.polled.interval();
        if let Some(cause) = unwatched.filter(|cause| self.reported.as_ref() != Some(cause)) {
            let (watched, unwatched) = (self.watched.len(), self.unwatched().count());
            (self.report)(WatchReport::Gap(Gap::Unwatched {
                cause: cause.clone(),
                watched,
                unwatched,
                every,
            }));
            self.reported = Some(cause);
        }
        if let Some((folder, kind)) = remote.filter(|_| !self.has_reported_remote) {
            let folder = folder.under(&self.target.root).display().to_string();
            (self.report)(WatchReport::Gap(Gap::Remote { folder, kind, every }));
            self.has_reported_remote = true;
        }
    }

    fn watch(&mut self, path: &Path) -> Result<(), UnwatchedCause> {
        match &mut self.watcher {
            Some(watcher) => watcher.watch(path, MODE).map_err(|error| cause(&error, false)),
            None => {
                Err(self.broken.clone().unwrap_or_else(|| UnwatchedCause::System("it has ended".to_owned())))
            }
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
                let _ = watcher.unwatch(&path.under(&self.target.root));
            }
            self.watched.remove(&path);
        }
    }

    /// Collects events into batches until the watch ends.
    fn listen(mut self, receiver: &Receiver<WatchMessage>) {
        let mut quiet = Debounce::default();
        let mut batch: HashSet<RepoPath> = HashSet::new();
        loop {
            let step = quiet.step(self.clock.elapsed(), (self.target.is_git_working)());
            let most = match step {
                DebounceStep::Idle => self.polled.time_left(),
                DebounceStep::Wait(most) => Some(self.polled.time_left().map_or(most, |left| left.min(most))),
                DebounceStep::Report => {
                    let mut paths: Vec<RepoPath> = batch.drain().collect();
                    paths.sort_unstable();
                    (self.report)(WatchReport::Changed(paths));
                    quiet = Debounce::default();
                    continue;
                }
            };
            let message = match most {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(most) => receiver.recv_timeout(most),
            };
            let mut has_changed = match message {
                Ok(WatchMessage::Event(event)) => self.add_event(event, &mut batch),
                Err(RecvTimeoutError::Timeout) => false,
                Ok(WatchMessage::End) | Err(RecvTimeoutError::Disconnected) => return,
            };
            // Checked after each event, so that constant events don't prevent polling.
            if self.polled.time_left() == Some(Duration::ZERO) {
                has_changed |= self.poll(&mut batch);
            }
            if has_changed {
                quiet.record_change(self.clock.elapsed());
            }
        }
    }

    /// Polls the folders for which the system does not report all changes. Returns whether something
    /// changed.
    fn poll(&mut self, batch: &mut HashSet<RepoPath>) -> bool {
        self.retry_unwatched();
        let changed = self.polled.poll(&self.target.root);
        let unwatched = self.unwatched().count();
        if self.reported.is_some() && unwatched == 0 {
            self.reported = None;
            (self.report)(WatchReport::Gap(Gap::Closed));
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
    fn retry_unwatched(&mut self) {
        let waiting: Vec<RepoPath> = self.unwatched().cloned().collect();
        for folder in waiting {
            if self.watch(&folder.under(&self.target.root)).is_err() {
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
            && path.under(&self.target.root).is_dir()
            && (self.target.folders)(&parent).contains(path)
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
    fn add_event(&mut self, event: notify::Result<notify::Event>, batch: &mut HashSet<RepoPath>) -> bool {
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
            (self.report)(WatchReport::Gap(Gap::Overflow { limit: gap::queue_limit() }));
            self.start_again(batch);
            return true;
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        // This includes both events of a rename, after which the name may belong to another folder.
        let has_moved = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let before = batch.len();
        let mut has_new_path = false;
        for path in event.paths {
            let Ok(inside) = path.strip_prefix(&self.target.root) else { continue };
            if inside.starts_with(".git") {
                continue;
            }
            let path = RepoPath::from_git(inside.as_os_str().as_bytes());
            if has_moved {
                self.forget(&path);
            }
            // The event may be old, and a new folder with this name may already exist.
            self.add_new(&path);
            has_new_path = true;
            batch.insert(path);
        }
        has_new_path || batch.len() > before
    }
}

#[cfg(test)]
mod tests;
