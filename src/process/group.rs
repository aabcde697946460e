//! A process group and its leader: the only place that signals a group. It must not know when.
//!
//! A group's id may be reused once the group is gone, and a signal would then hit a stranger. Until the
//! leader is reaped, the id is its own. Afterwards, the system gives the id to no process while the group
//! has a member; so if a process has that id, the group is gone. Only the thread that owns this type
//! reaps and signals, so that the two can't race.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process, test_kill_process_group, waitpid,
};

use crate::process::{children, procfs};

/// A group whose leader is a child of this process.
#[derive(Debug)]
pub(super) struct Group {
    id: Pid,
    leader: Leader,
    state: GroupState,
}

/// How the leader is waited for.
#[derive(Debug)]
enum Leader {
    Handle(Box<duct::Handle>),
    /// By its id alone.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only Linux starts a child without a handle")
    )]
    Child,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum GroupState {
    /// The leader runs, or has ended and is not reaped.
    HasLeader,
    /// The leader is reaped, and members may be left.
    Leaderless,
    /// No member is left, and the id may be reused.
    Gone,
}

impl Group {
    /// Takes over a child that was started as the leader of a group.
    pub(super) fn new(leader: duct::Handle) -> io::Result<Self> {
        let id = leader.pids().first().and_then(|id| i32::try_from(*id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the process has no id"))?;
        Ok(Self { id, leader: Leader::Handle(Box::new(leader)), state: GroupState::HasLeader })
    }

    /// Takes over a child with this id that was started as the leader of a group.
    #[cfg(target_os = "linux")]
    pub(super) fn of_child(id: Pid) -> Self {
        Self { id, leader: Leader::Child, state: GroupState::HasLeader }
    }

    /// Returns the group's id, which is its leader's.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// Asks all members to end. A stopped member is continued, so that it gets the signal.
    pub(super) fn terminate(&mut self, signal: Signal) {
        self.signal(signal);
        self.signal(Signal::CONT);
    }

    /// Kills all members.
    pub(super) fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    /// Signals the group unless it is gone.
    fn signal(&mut self, signal: Signal) {
        if self.is_ours() {
            let _ = kill_process_group(self.id, signal);
        }
    }

    /// Returns whether the id is still this group's.
    fn is_ours(&mut self) -> bool {
        if self.state == GroupState::Leaderless && test_kill_process(self.id) != Err(Errno::SRCH) {
            self.state = GroupState::Gone;
        }
        self.state != GroupState::Gone
    }

    /// Reaps the leader, which has ended, and returns its exit status.
    pub(super) fn reap(&mut self) -> io::Result<ExitStatus> {
        // Even if someone else reaped it, it no longer keeps the id.
        self.state = GroupState::Leaderless;
        let wait = || match &self.leader {
            Leader::Handle(leader) => leader.wait().map(|output| output.status),
            Leader::Child => wait_for(self.id),
        };
        children::reap(self.id.as_raw_pid().unsigned_abs(), wait)
    }

    /// Returns whether members are alive after the leader was reaped. A member that has ended but is never
    /// reaped, as in a container without an init, is not alive.
    pub(super) fn is_alive(&mut self) -> bool {
        if !self.is_ours() {
            return false;
        }
        let is_alive = match test_kill_process_group(self.id) {
            Ok(()) => procfs::is_group_alive(self.id),
            // On macOS this means that all members have ended.
            Err(Errno::PERM) => cfg!(target_os = "linux") && procfs::is_group_alive(self.id),
            Err(_) => false,
        };
        if !is_alive {
            self.state = GroupState::Gone;
        }
        is_alive
    }
}

/// Reaps a child and returns its exit status.
fn wait_for(child: Pid) -> io::Result<ExitStatus> {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(ExitStatus::from_raw(status.as_raw())),
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Something is left to kill only after a panic, or if the run gave up.
impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
