//! A process group and its leader: the only place that signals a group. It must not know when.
//!
//! A signal to a number that was reused would hit a stranger. As long as the leader is not reaped,
//! the number is its own. Once it is reaped, the system keeps the number from being any process's id
//! for as long as the group has a member; so if a process has it as its id, the group is gone. Only
//! the thread that owns this type reaps and signals, so that the two can't race.

use std::io;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process, test_kill_process_group};

use crate::process::{children, marked};

/// A group whose leader is a child of this process.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    leader: duct::Handle,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The leader runs, or has ended and is not reaped.
    Led,
    /// The leader is reaped; members may be left.
    Leaderless,
    /// Nothing is left, and the number may be another's.
    Gone,
}

impl Group {
    /// The group of a child that was started as the leader of one.
    pub(super) fn of(leader: duct::Handle) -> io::Result<Self> {
        let id = leader.pids().first().and_then(|id| i32::try_from(*id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self { id, leader, state: State::Led })
    }

    /// Its number, which is its leader's id.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// Asks all members to end; a member that stands still is made to go on, so that it hears.
    pub(super) fn terminate(&mut self, signal: Signal) {
        self.signal(signal);
        self.signal(Signal::CONT);
    }

    /// Ends all members.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// A group that is gone, or that belongs to another user by now, has nothing to hear.
    fn signal(&mut self, signal: Signal) {
        if self.is_ours() {
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// Whether the number is still this group's.
    fn is_ours(&mut self) -> bool {
        if self.state == State::Leaderless && test_kill_process(self.id) != Err(Errno::SRCH) {
            self.state = State::Gone;
        }
        self.state != State::Gone
    }

    /// Takes the status of the leader, which has ended.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        // Reaped or lost to someone else: in both cases it no longer keeps the number.
        self.state = State::Leaderless;
        let leader = &self.leader;
        children::reap(self.id.as_raw_pid().unsigned_abs(), || leader.wait().map(|output| output.status))
    }

    /// Whether members live after the leader was reaped. A member that has ended and whom nobody
    /// reaps, as happens in a container without an init, does not live.
    pub(super) fn lives(&mut self) -> bool {
        if !self.is_ours() {
            return false;
        }
        let any = match test_kill_process_group(self.id) {
            Ok(()) => marked::group_lives(self.id),
            // On macOS: there are members, and all have ended.
            Err(Errno::PERM) => cfg!(target_os = "linux") && marked::group_lives(self.id),
            Err(_) => false,
        };
        if !any {
            self.state = State::Gone;
        }
        any
    }
}

/// There is something left to kill only if a panic left the pump, or if it gave up.
impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
