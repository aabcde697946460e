//! The inbox: the channel on which the main loop receives the outcomes of workers, signals and changes of
//! files. It must not make decisions.

use std::any::Any;
use std::cell::OnceCell;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::{Handle, Signals};

use crate::base::path::RepoPath;
use crate::event::{Level, Status};
use crate::graph::NodeId;
use crate::process::suspend::{self, SuspensionStep};

/// The outcome of a worker's attempt to bring a node to its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeOutcome {
    /// The node has its result.
    Finished {
        /// Its status.
        status: Status,
        /// Whether it was executed.
        ran: bool,
        /// Whether it took longer than `slow-after`.
        is_slow: bool,
        /// How long a hit took when it was executed, in milliseconds.
        saved: u64,
    },
    /// It waits for a lock that another run holds.
    Blocked,
    /// Its inputs changed before it had a result.
    Superseded,
}

/// A message to the main loop.
#[derive(Debug)]
pub enum Notification {
    /// A signal arrived, with this number.
    Signal(i32),
    /// The command of a node has passed, and its result is about to be stored.
    Storing(NodeId),
    /// A worker has finished with a node.
    NodeDone(NodeId, NodeOutcome),
    /// A worker panicked with this payload.
    Panicked(Box<dyn Any + Send>),
    /// These paths of the work tree changed.
    Changed(Vec<RepoPath>),
    /// A message for the user.
    Notice(Level, String),
}

impl Notification {
    /// Runs a worker's job and returns its outcome. A panic is a notification too, since the main loop would
    /// wait forever without one.
    pub fn from_worker(id: NodeId, work: impl FnOnce() -> NodeOutcome) -> Self {
        std::panic::catch_unwind(AssertUnwindSafe(work))
            .map_or_else(Self::Panicked, |outcome| Self::NodeDone(id, outcome))
    }
}

/// Receives notifications, and catches signals until it is dropped.
pub struct Inbox {
    sender: Sender<Notification>,
    receiver: Receiver<Notification>,
    signals: Handle,
    thread: Option<JoinHandle<()>>,
    first_signal: Arc<AtomicI32>,
    suspension_listener: Arc<Mutex<Option<OnSuspension>>>,
}

/// A function that is called when this process is suspended and when it continues.
pub type OnSuspension = Box<dyn Fn(SuspensionStep) + Send>;

/// An inbox that is opened when the first run starts. Until then, a signal ends the process as in any other
/// program.
#[derive(Default)]
pub struct LazyInbox(OnceCell<Inbox>);

impl LazyInbox {
    /// Returns the inbox, and opens it at the first call.
    ///
    /// # Errors
    /// The signal handlers can't be installed.
    pub fn get(&self) -> std::io::Result<&Inbox> {
        if let Some(inbox) = self.0.get() {
            return Ok(inbox);
        }
        let inbox = Inbox::open()?;
        Ok(self.0.get_or_init(|| inbox))
    }

    /// Returns the first signal since the inbox was opened, even if the main loop has not received it yet.
    pub fn signalled(&self) -> Option<i32> {
        let first = self.0.get()?.first_signal.load(Ordering::Relaxed);
        Some(first).filter(|signal| *signal != 0)
    }
}

impl Inbox {
    /// Opens an inbox that catches INT, TERM and HUP, and TSTP, which suspends everything that runs with this
    /// process.
    ///
    /// # Errors
    /// The signal handlers can't be installed.
    pub fn open() -> std::io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP])?;
        let handle = signals.handle();
        let (sender, receiver) = channel();
        let first = Arc::new(AtomicI32::new(0));
        let (notes, seen) = (sender.clone(), Arc::clone(&first));
        let hears_suspension = Arc::new(Mutex::new(None::<OnSuspension>));
        let hears = Arc::clone(&hears_suspension);
        let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if signal == SIGTSTP {
                    let hears = hears.lock().unwrap_or_else(PoisonError::into_inner);
                    suspend::suspend(&|step| hears.iter().for_each(|hear| hear(step)));
                    continue;
                }
                let _ = seen.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
                if notes.send(Notification::Signal(signal)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self {
            sender,
            receiver,
            signals: handle,
            thread: Some(thread),
            first_signal: first,
            suspension_listener: hears_suspension,
        })
    }

    /// Sets the function to call when this process is suspended, replacing the previous one.
    pub fn on_suspension(&self, hear: Option<OnSuspension>) {
        *self.suspension_listener.lock().unwrap_or_else(PoisonError::into_inner) = hear;
    }

    /// Returns a sender for a worker.
    pub fn sender(&self) -> Sender<Notification> {
        self.sender.clone()
    }

    /// Returns the receiver for the main loop.
    pub fn receiver(&self) -> &Receiver<Notification> {
        &self.receiver
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the name of a signal that an inbox catches.
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        SIGHUP => "SIGHUP",
        _ => "signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_of_a_worker_is_reported() {
        let note = Notification::from_worker(NodeId(3), || std::panic::resume_unwind(Box::new("broken")));
        let Notification::Panicked(with) = note else { panic!("{note:?}") };
        assert_eq!(with.downcast_ref(), Some(&"broken"));
    }
}
