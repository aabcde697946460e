//! Watching a work tree: which paths changed, brought together until it is quiet, so that the switch
//! of a branch is one batch. It must not know what a change means, nor read a file.
//!
//! On Linux each folder is watched by itself, so that what git ignores costs nothing; folders that
//! appear are watched as they do. Elsewhere the system watches all that is below the top. What the
//! system can't watch, or of which it does not report all, is looked at from time to time, and said.

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

/// The folders in a folder that are worth watching: those that git does not ignore.
pub type Folders = Box<dyn Fn(&RepoPath) -> Vec<RepoPath> + Send>;

/// Why a work tree can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("can't start a thread that watches the work tree")]
pub struct WatchError {
    /// What the system said.
    source: io::Error,
}

/// What a watch has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// These paths changed, sorted. The top stands for all that there is.
    Changed(Vec<RepoPath>),
    /// The system does not report all changes.
    Gap(Gap),
}

/// What is watched.
pub struct Place {
    /// The top of the work tree.
    pub root: PathBuf,
    /// Whether git is at work on it.
    pub at_work: Box<dyn Fn() -> bool + Send>,
    /// Its folders.
    pub folders: Folders,
}

/// A watch, which ends when it is dropped.
pub struct Watch {
    sender: Sender<Heard>,
}

/// How folders are watched.
const MODE: RecursiveMode =
    if cfg!(target_os = "linux") { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };

/// What the thread hears.
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
    /// Watches a place; `report` gets each batch of changed paths, and what is not seen at once.
    ///
    /// # Errors
    /// There is no room for a thread.
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

/// Why the system does not watch a folder, or anything if it `is_start`.
fn cause(error: &notify::Error, is_start: bool) -> Cause {
    let errno = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => return Cause::Watches(Limit::of_watches()),
        notify::ErrorKind::Io(error) => Errno::from_io_error(error),
        _ => None,
    };
    match errno {
        // The same error stands for two limits; one of them keeps from opening anything else.
        Some(Errno::MFILE) if is_start && std::fs::File::open("/dev/null").is_ok() => {
            Cause::Instances(Limit::of_instances())
        }
        Some(Errno::MFILE | Errno::NFILE) => Cause::Files,
        _ => Cause::System(error.to_string()),
    }
}

/// The state of the thread.
struct Rounds<W> {
    /// What the system watches with; `None` once it has failed, and why.
    watcher: Option<W>,
    broken: Option<Cause>,
    watched: HashSet<RepoPath>,
    polled: Polled,
    place: Place,
    clock: Clock,
    report: Box<dyn Fn(News) + Send>,
    /// Why some folders are not watched, if that was reported.
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

    /// Watches a folder and all in it that is worth watching, those nearest to the top first; what can't
    /// be watched is looked at.
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
                // One that is gone again needs no watching.
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

    /// Gives up a folder and all below it that is watched. A watch goes along with the folder that is
    /// renamed, so whatever has its name next would not be watched.
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
            // Of what is gone, the system has given it up already.
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(&path.under(&self.place.root));
            }
            self.watched.remove(&path);
        }
    }

    /// Gathers events into batches until the watch ends.
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
            // Also while events come without end.
            if self.polled.left() == Some(Duration::ZERO) {
                has_changed |= self.look(&mut batch);
            }
            if has_changed {
                quiet.heard(self.clock.elapsed());
            }
        }
    }

    /// Looks at the folders that the system does not report all of. Whether something changed.
    fn look(&mut self, batch: &mut HashSet<RepoPath>) -> bool {
        self.watch_more();
        let changed = self.polled.look(&self.place.root);
        let unwatched = self.unwatched().count();
        if self.reported.is_some() && unwatched == 0 {
            self.reported = None;
            (self.report)(News::Gap(Gap::Closed));
        }
        for path in &changed {
            // It may be another folder than before.
            self.forget(path);
            self.add_new(path);
        }
        let has_changed = !changed.is_empty();
        batch.extend(changed);
        has_changed
    }

    /// Watches folders for which there was no room. What changed in them before is found by the look
    /// that follows.
    fn watch_more(&mut self) {
        let waiting: Vec<RepoPath> = self.unwatched().cloned().collect();
        for folder in waiting {
            if self.watch(&folder.under(&self.place.root)).is_err() {
                return;
            }
            self.watched.insert(folder);
        }
    }

    /// Watches a folder that is new, if it is worth it.
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

    /// Takes all for changed, and watches all there is now.
    fn start_again(&mut self, batch: &mut HashSet<RepoPath>) {
        self.watched.clear();
        self.polled.forget(&RepoPath::top());
        self.add(&RepoPath::top());
        batch.insert(RepoPath::top());
    }

    /// Takes an event in. Whether it tells a change.
    fn take(&mut self, event: notify::Result<notify::Event>, batch: &mut HashSet<RepoPath>) -> bool {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // Nobody knows what it will report from now on.
                self.watcher = None;
                self.broken = Some(cause(&error, false));
                self.start_again(batch);
                return true;
            }
        };
        if event.need_rescan() {
            // Something was missed, so anything may have changed, and any folder may be new.
            (self.report)(News::Gap(Gap::Overflow { limit: gap::queue_limit() }));
            self.start_again(batch);
            return true;
        }
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        // Both halves of a rename: the name may stand for another folder than it did.
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
            // An event is older than what there is now: the next folder of that name may be there.
            self.add_new(&path);
            told = true;
            batch.insert(path);
        }
        told || batch.len() > before
    }
}

#[cfg(test)]
mod tests;
