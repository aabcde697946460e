//! Makes the end of a child something to poll. It must not reap the child: until somebody does, its id
//! can't be reused.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::process::self_pipe::Waker;

/// Watches for the end of one unreaped child.
#[derive(Debug)]
pub(super) enum ExitWatch {
    /// A process descriptor: readable once the child has ended.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux has them"))]
    Descriptor(OwnedFd),
    /// A thread waits, sets this and wakes the poll.
    Thread(Arc<AtomicBool>),
}

impl ExitWatch {
    /// Starts watching. If the system has no process descriptors, or none left, a thread waits.
    pub(super) fn start(child: Pid, waker: &Waker) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Ok(descriptor) = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()) {
            return Ok(Self::Descriptor(descriptor));
        }
        Self::by_thread(child, waker.clone())
    }

    fn by_thread(child: Pid, waker: Waker) -> io::Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        std::thread::Builder::new().name("exit-watch".to_owned()).spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(child), options), Err(Errno::INTR)) {}
            flag.store(true, Ordering::Release);
            waker.wake();
        })?;
        Ok(Self::Thread(ended))
    }

    /// Returns what to poll besides the self-pipe.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Descriptor(descriptor) => Some(descriptor.as_fd()),
            Self::Thread(_) => None,
        }
    }

    /// Returns whether the child has ended, if the poll found the descriptor `readable` or not.
    pub(super) fn has_ended(&self, readable: bool) -> bool {
        match self {
            Self::Descriptor(_) => readable,
            Self::Thread(ended) => ended.load(Ordering::Acquire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::self_pipe::self_pipe;
    use rustix::event::{PollFd, PollFlags, poll};

    #[test]
    fn exit_is_seen_both_ways_and_the_child_can_be_reaped() {
        for way in ["descriptor", "thread"] {
            let child = duct::cmd!("/bin/sh", "-c", "read line; exit 3").unchecked();
            let (reader, writer) = io::pipe().unwrap();
            let child = child.stdin_file(reader).start().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.pids()[0]).unwrap()).unwrap();
            let (pipe, waker) = self_pipe().unwrap();
            let exit = match way {
                "thread" => ExitWatch::by_thread(pid, waker).unwrap(),
                _ => ExitWatch::start(pid, &waker).unwrap(),
            };
            assert!(!exit.has_ended(false), "{way}");
            drop(writer);
            let fd = exit.descriptor().unwrap_or(pipe.as_fd());
            let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
            while poll(&mut fds, None) == Err(Errno::INTR) {}
            assert!(exit.has_ended(!fds[0].revents().is_empty()), "{way}");
            assert_eq!(child.wait().unwrap().status.code(), Some(3), "{way}");
        }
    }
}
