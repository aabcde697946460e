//! The process that called this one, such as the git that runs a hook, and whether it is still there. It
//! must not know what follows from that. Only Linux shows more than the parent.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

use crate::process::procfs::{self, ProcStat};

/// How often a watch looks.
const PERIOD: Duration = Duration::from_millis(250);
/// How many ancestors are checked.
const MAX_ANCESTORS: usize = 8;

/// The process that called this one.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The parent of this process when it was found.
    parent: Option<Pid>,
    /// The nearest ancestor with the wanted name, if one was found.
    named: Option<ProcStat>,
}

impl Caller {
    /// Looks for the nearest ancestor whose program has this name.
    pub fn find(name: &str) -> Self {
        let parent = getppid();
        let up = |stat: &ProcStat| Pid::from_raw(stat.parent).and_then(procfs::stat);
        let mut ancestors = std::iter::successors(parent.and_then(procfs::stat), up).take(MAX_ANCESTORS);
        Self { parent, named: ancestors.find(|stat| stat.name == name) }
    }

    /// Returns whether the caller is gone, so that no process waits for this one any more.
    pub fn is_gone(&self) -> bool {
        let is_alive = |stat: &ProcStat| stat.reread().is_some_and(|now| !now.has_ended());
        getppid() != self.parent || self.named.as_ref().is_some_and(|named| !is_alive(named))
    }
}

/// A thread that watches a caller until this is dropped.
#[derive(Debug)]
pub struct CallerWatch {
    /// Dropping it ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl CallerWatch {
    /// Calls `on_gone` once the caller is gone.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(caller: Caller, on_gone: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (end, ended) = channel::<()>();
        let thread = std::thread::Builder::new().name("caller".to_owned()).spawn(move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if caller.is_gone() {
                    on_gone();
                    break;
                }
            }
        })?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for CallerWatch {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends TERM to this process. A run handles it as any other TERM; before a run, it ends the process.
pub fn terminate_self() {
    let _ = kill_process(getpid(), Signal::TERM);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn caller_is_an_ancestor_until_it_is_gone() {
        let parent = procfs::stat(getppid().unwrap()).unwrap();
        let caller = Caller::find(&parent.name);
        assert_eq!(caller.named.as_ref().map(|named| named.pid), Some(parent.pid));
        assert!(!caller.is_gone());
        assert!(Caller { parent: Some(getpid()), named: None }.is_gone());
        assert!(Caller::find("no such program").named.is_none());
    }
}
