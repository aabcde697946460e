//! Watching a work tree: which paths changed, brought together until it is quiet, so that the switch
//! of a branch is one batch. It must not know what a change means, nor read a file.
//!
//! On Linux each folder is watched by itself, so that what git ignores costs nothing; folders that
//! appear are watched as they do. Elsewhere the system watches all that is below the top.

pub mod opens;
mod quiet;

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use notify::event::ModifyKind;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::ground::clock::Clock;
use crate::ground::path::RepoPath;
pub use quiet::LONGEST;
use quiet::{Quiet, Step};

/// The folders in a folder that are worth watching: those that git does not ignore.
pub type Folders = Box<dyn Fn(&RepoPath) -> Vec<RepoPath> + Send>;

/// Why a work tree can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system has no room for more watched folders.
    #[error("the system's limit of watched folders is reached at {folder}")]
    Limit {
        /// The folder that no longer fitted.
        folder: String,
    },
    /// The system refused it.
    #[error("can't watch {folder}")]
    Refused {
        /// Which folder.
        folder: String,
        /// What it said.
        source: notify::Error,
    },
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
    /// Watches a place; `tell` gets each batch of changed paths, sorted.
    ///
    /// # Errors
    /// The system refuses to watch a folder.
    pub fn start(place: Place, tell: impl Fn(Vec<RepoPath>) + Send + 'static) -> Result<Self, WatchError> {
        let (sender, receiver) = channel();
        let events = sender.clone();
        let refused = |folder: &Path| {
            let folder = folder.display().to_string();
            move |source| WatchError::Refused { folder, source }
        };
        let watcher = notify::recommended_watcher(move |event| {
            let _ = events.send(Heard::Event(event));
        });
        let watcher = watcher.map_err(refused(&place.root))?;
        let mut rounds = Rounds { watcher, watched: HashSet::new(), place };
        rounds.add(&RepoPath::top())?;
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let started = thread.spawn(move || rounds.listen(&receiver, &tell));
        started.map_err(|error| WatchError::Refused {
            folder: "the work tree".to_owned(),
            source: notify::Error::io(error),
        })?;
        Ok(Self { sender })
    }
}

/// The state of the thread.
struct Rounds {
    watcher: RecommendedWatcher,
    watched: HashSet<RepoPath>,
    place: Place,
}

impl Rounds {
    /// Watches a folder and all in it that is worth watching.
    fn add(&mut self, folder: &RepoPath) -> Result<(), WatchError> {
        let mode =
            if cfg!(target_os = "linux") { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
        let mut open = vec![folder.clone()];
        while let Some(folder) = open.pop() {
            if !self.watched.insert(folder.clone()) {
                continue;
            }
            let path = folder.under(&self.place.root);
            match self.watcher.watch(&path, mode) {
                Ok(()) => {}
                // One that is gone again needs no watching.
                Err(_) if !path.is_dir() => {
                    self.watched.remove(&folder);
                    continue;
                }
                Err(notify::Error { kind: notify::ErrorKind::MaxFilesWatch, .. }) => {
                    return Err(WatchError::Limit { folder: folder.to_string() });
                }
                Err(source) => return Err(WatchError::Refused { folder: folder.to_string(), source }),
            }
            if mode == RecursiveMode::Recursive {
                break;
            }
            open.extend((self.place.folders)(&folder));
        }
        Ok(())
    }

    /// Gives up a folder and all below it that is watched. A watch goes along with the folder that is
    /// renamed, so whatever has its name next would not be watched.
    fn forget(&mut self, folder: &RepoPath) {
        if folder.is_top() || !self.watched.contains(folder) {
            return;
        }
        let below = self.watched.iter().filter(|path| path.is_within(folder));
        for path in below.cloned().collect::<Vec<_>>() {
            // Of what is gone, the system has given it up already.
            let _ = self.watcher.unwatch(&path.under(&self.place.root));
            self.watched.remove(&path);
        }
    }

    /// Gathers events into batches until the watch ends.
    fn listen(mut self, receiver: &Receiver<Heard>, tell: &dyn Fn(Vec<RepoPath>)) {
        let clock = Clock::system();
        let mut quiet = Quiet::default();
        let mut batch: HashSet<RepoPath> = HashSet::new();
        loop {
            let heard = match quiet.step(clock.elapsed(), (self.place.at_work)()) {
                Step::Idle => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Step::Wait(most) => receiver.recv_timeout(most),
                Step::Tell => {
                    let mut paths: Vec<RepoPath> = batch.drain().collect();
                    paths.sort_unstable();
                    tell(paths);
                    quiet = Quiet::default();
                    continue;
                }
            };
            match heard {
                Ok(Heard::Event(event)) => {
                    if self.take(event, &mut batch) {
                        quiet.heard(clock.elapsed());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Heard::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes an event in. Whether it tells a change.
    fn take(&mut self, event: notify::Result<notify::Event>, batch: &mut HashSet<RepoPath>) -> bool {
        let Ok(event) = event else { return false };
        if event.need_rescan() {
            // Something was missed, so anything may have changed, and any folder may be new.
            self.watched.clear();
            let _ = self.add(&RepoPath::top());
            batch.insert(RepoPath::top());
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
            if let Some(parent) = path.parent()
                && !self.watched.contains(&path)
                && path.under(&self.place.root).is_dir()
                && (self.place.folders)(&parent).contains(&path)
            {
                // A limit that is reached now leaves the folder unwatched; the rest goes on.
                let _ = self.add(&path);
            }
            told = true;
            batch.insert(path);
        }
        told || batch.len() > before
    }
}
