//! What all observers of traced threads have in common. It does not know how the threads are followed.

use std::io;

use super::syscalls::{self, Escape};
use super::tracee::Tracee;
use crate::report::{DoubtKind, Recorder, Trace};

/// Turns the watched calls of traced threads into findings.
pub(super) trait Observe {
    /// A watched call between its entry and its exit.
    type Pending;

    /// Handles the entry of a call. Returns it if its exit is of interest.
    fn at_entry(&mut self, tracee: Tracee, number: u64, args: &[u64; 6]) -> Option<Self::Pending>;
    /// Handles the exit of a call.
    fn at_exit(&mut self, tracee: Tracee, pending: &Self::Pending, result: i64);
    /// Handles the execution of a program by this call.
    fn executed(&mut self, tracee: Tracee, pending: Option<Self::Pending>);
    /// Returns what records the findings.
    fn recorder(&mut self) -> &mut Recorder;
    /// Returns the finished trace.
    fn finish(self) -> Trace;

    /// Records that a thread's program did something that may have been missed.
    fn doubt(&mut self, kind: DoubtKind, tracee: Tracee) {
        self.recorder().doubt(kind, tracee.program().as_deref());
    }

    /// Returns what was read, or records a doubt.
    fn or_doubt<T>(&mut self, tracee: Tracee, read: io::Result<T>) -> Option<T> {
        if read.is_err() {
            self.doubt(DoubtKind::Unreadable, tracee);
        }
        read.ok()
    }

    /// Doubts what a process that is being started will do, if these flags hide it.
    fn check_clone(&mut self, tracee: Tracee, flags: u64) {
        if flags & syscalls::bits(libc::CLONE_UNTRACED) != 0 {
            self.doubt(DoubtKind::Unattached, tracee);
        }
    }

    /// Handles a call that the tracer can't follow.
    fn escaped(&mut self, tracee: Tracee, escape: Escape, has_succeeded: bool) {
        let kind = match escape {
            Escape::IoUring => DoubtKind::IoUring,
            Escape::Handle => DoubtKind::OpenByHandle,
            Escape::Root => DoubtKind::OtherRoot,
            Escape::Exchange => DoubtKind::Exchange,
            Escape::Accept => DoubtKind::Socket,
            // It fails under this tracer, so the program does not do what it does otherwise.
            Escape::Tracer => return self.doubt(DoubtKind::Tracer, tracee),
        };
        if has_succeeded {
            self.doubt(kind, tracee);
        }
    }

    /// Doubts what a program does that was just executed, if it is not what it would be without this tracer.
    fn check_program(&mut self, tracee: Tracee) {
        if self.or_doubt(tracee, tracee.lacks_privileges()) == Some(true) {
            self.doubt(DoubtKind::Privileged, tracee);
        }
        if self.or_doubt(tracee, tracee.shares_root()) == Some(false) {
            self.doubt(DoubtKind::OtherRoot, tracee);
        }
    }
}
