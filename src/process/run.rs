//! Runs one command on the calling thread, from its start until it and its group are gone. It must not
//! know what the command is for.
//!
//! A poll waits for output, for the end of the leader, for a stop request and for the next deadline. Once
//! the leader has ended, the rest of its group has to end soon. A process that left the group can't hold
//! the run, even if it keeps the output open.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::clock::Clock;
use crate::process::exit_watch::ExitWatch;
use crate::process::group::Group;
use crate::process::output::Output;
use crate::process::output::log::Log;
use crate::process::self_pipe::{SelfPipe, self_pipe};
use crate::process::spawn::Spawn;
use crate::process::stop::{Registration, Stop, StopRequest};
use crate::process::termination::{Action, Termination};
use crate::process::watcher::Watcher;

/// The result of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// What it printed.
    pub log: Log,
    /// The time from its start until its group was gone.
    pub took: Duration,
    /// Whether it ended by itself and left processes of its group running, which had to be ended.
    pub left_behind: bool,
}

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It ended by itself, with this exit status.
    Exit(i32),
    /// Another program's signal of this number ended it.
    Signal(i32),
    /// It took longer than its timeout.
    TimedOut,
    /// A [`Stop`] ended it, or it was not started because of one.
    Stopped,
    /// It could not be started; the reason.
    NotStarted(String),
}

/// Runs a command until it and all of its group have ended.
pub fn run(spawn: &Spawn, stop: &Stop, watcher: &mut dyn Watcher) -> Finished {
    let clock = Clock::system();
    let mut left_behind = false;
    let (ended, log) = match RunningCommand::start(spawn, stop, clock.clone()) {
        Err(ended) => (ended, Log::default()),
        Ok(mut run) => {
            let ended = run.wait_for_leader(watcher);
            let was_terminated = run.wait_for_group(watcher);
            left_behind = was_terminated && matches!(ended, Ended::Exit(_) | Ended::Signal(_));
            (ended, run.output.finish(watcher))
        }
    };
    Finished { ended, log, took: clock.elapsed(), left_behind }
}

/// A command that was started.
struct RunningCommand<'a> {
    clock: Clock,
    spawn: &'a Spawn,
    stop: Registration<'a>,
    wake: SelfPipe,
    group: Group,
    /// `None` once the leader has ended.
    exit: Option<ExitWatch>,
    output: Output<'a>,
    termination: Termination,
    /// The line without an end that the watcher has not seen yet, if there is one.
    unfinished: Option<UnfinishedLine>,
    /// When to report that it is slow.
    slow_at: Option<Duration>,
}

/// Since when a line without an end is there, and when it grew last.
#[derive(Clone, Copy)]
struct UnfinishedLine {
    since: Duration,
    grew: Duration,
}

impl UnfinishedLine {
    /// Returns when the watcher is to see it: when it has paused, or has been growing for long.
    fn due(self) -> Duration {
        const PAUSE: Duration = Duration::from_millis(100);
        const LONG_GROWTH: Duration = Duration::from_secs(1);
        (self.grew + PAUSE).min(self.since + LONG_GROWTH)
    }
}

/// The shortest and the longest time between two checks of a group without a leader, whose end wakes
/// no thread.
const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);

impl<'a> RunningCommand<'a> {
    fn start(spawn: &'a Spawn, stop: &'a Stop, clock: Clock) -> Result<Self, Ended> {
        let no_pipe = |error| Ended::NotStarted(format!("can't create a pipe: {error}"));
        let (wake, waker) = self_pipe().map_err(no_pipe)?;
        let stop = stop.register(waker.clone());
        if stop.request() > StopRequest::None {
            return Err(Ended::Stopped);
        }
        let limits = &spawn.limits;
        let (output, writer) = Output::new(&spawn.mask, limits.log).map_err(no_pipe)?;
        let mut group = spawn.start(&writer).map_err(Ended::NotStarted)?;
        // The output ends when the command has closed its own copies.
        drop(writer);
        if let Some(guard) = &spawn.guard {
            guard.add_group(group.id());
        }
        let exit = ExitWatch::start(group.id(), &waker).map_err(|error| {
            group.kill();
            let _ = group.reap();
            if let Some(guard) = &spawn.guard {
                guard.remove_group(group.id());
            }
            Ended::NotStarted(format!("can't watch for its end: {error}"))
        })?;
        let termination = Termination::new(limits.timeout, limits.grace);
        let exit = Some(exit);
        Ok(Self {
            clock,
            spawn,
            stop,
            wake,
            group,
            exit,
            output,
            termination,
            unfinished: None,
            slow_at: limits.slow_after,
        })
    }

    /// Waits until the leader has ended.
    fn wait_for_leader(&mut self, watcher: &mut dyn Watcher) -> Ended {
        let mut cut_short = None;
        loop {
            let line_due = self.unfinished.map(UnfinishedLine::due);
            let due = [self.termination.deadline(), self.slow_at, line_due].into_iter().flatten().min();
            if self.wait(due, watcher) {
                break;
            }
            let now = self.clock.elapsed();
            if line_due.is_some_and(|at| now >= at) && self.unfinished.take().is_some() {
                self.output.show_unfinished(watcher);
            }
            let request = self.stop.request();
            let is_due = self.termination.deadline().is_some_and(|due| now >= due);
            // If it ended while the watcher was busy, it ended in time.
            if (is_due || request > StopRequest::None) && self.has_ended() {
                break;
            }
            if self.slow_at.is_some_and(|at| now >= at) {
                self.slow_at = None;
                watcher.slow();
            }
            match self.step(now, request) {
                Action::Wait => {}
                Action::Terminate | Action::Kill if cut_short.is_some() => {}
                Action::Terminate | Action::Kill => {
                    let is_timeout = request == StopRequest::None;
                    cut_short = Some(if is_timeout { Ended::TimedOut } else { Ended::Stopped });
                }
                // It hangs in the kernel. It is reaped when the kernel lets it end.
                Action::GiveUp => return cut_short.unwrap_or(Ended::Stopped),
            }
        }
        self.exit = None;
        let status = self.group.reap();
        self.termination.leader_ended(self.clock.elapsed());
        cut_short.unwrap_or_else(|| match status {
            Ok(status) => ended(status),
            Err(error) => Ended::NotStarted(format!("its exit status was lost: {error}")),
        })
    }

    /// Waits until the rest of the group has ended. Returns whether it had to be terminated.
    fn wait_for_group(&mut self, watcher: &mut dyn Watcher) -> bool {
        let mut was_terminated = false;
        let mut pause = MIN_PAUSE;
        let mut look_at = Duration::ZERO;
        loop {
            let now = self.clock.elapsed();
            if now >= look_at {
                if !self.group.is_alive() {
                    break;
                }
                look_at = now + pause;
                pause = (2 * pause).min(MAX_PAUSE);
            }
            match self.step(now, self.stop.request()) {
                Action::Wait => {}
                Action::Terminate | Action::Kill => {
                    was_terminated = true;
                    pause = MIN_PAUSE;
                    look_at = now + pause;
                }
                Action::GiveUp => return was_terminated,
            }
            let due = self.termination.deadline().map_or(look_at, |due| due.min(look_at));
            self.wait(Some(due), watcher);
        }
        if let Some(guard) = &self.spawn.guard {
            guard.remove_group(self.group.id());
        }
        was_terminated
    }

    /// Takes the action that is due.
    fn step(&mut self, now: Duration, request: StopRequest) -> Action {
        let action = self.termination.step(now, request);
        match action {
            Action::Terminate => self.group.terminate(self.spawn.limits.signal),
            Action::Kill => self.group.kill(),
            Action::Wait | Action::GiveUp => {}
        }
        action
    }

    /// Waits until something happens or `due` has come, and reads output. Returns whether the leader has
    /// ended.
    fn wait(&mut self, due: Option<Duration>, watcher: &mut dyn Watcher) -> bool {
        let left = due.map(|due| due.saturating_sub(self.clock.elapsed()));
        let descriptors = [
            Some(self.wake.as_fd()),
            self.output.descriptor(),
            self.exit.as_ref().and_then(ExitWatch::descriptor),
        ];
        let [woken, output, exit] = ready(descriptors, left);
        if woken {
            self.wake.clear();
        }
        let ended = self.exit.as_ref().is_some_and(|watch| watch.has_ended(exit));
        if output {
            self.output.read(watcher);
            let now = self.clock.elapsed();
            let since = self.unfinished.map_or(now, |line| line.since);
            self.unfinished = self.output.is_unfinished().then_some(UnfinishedLine { since, grew: now });
        }
        ended
    }

    /// Returns whether the leader has ended by now.
    fn has_ended(&self) -> bool {
        self.exit.as_ref().is_some_and(|watch| {
            let [readable] = ready([watch.descriptor()], Some(Duration::ZERO));
            watch.has_ended(readable)
        })
    }
}

/// Waits for at most `timeout` and returns which of the descriptors are ready. An interrupted wait finds
/// none.
fn ready<const N: usize>(descriptors: [Option<BorrowedFd<'_>>; N], timeout: Option<Duration>) -> [bool; N] {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let polled = descriptors.into_iter().flatten();
    let mut polled: Vec<_> = polled.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let found = poll(&mut polled, timeout.as_ref()).is_ok();
    let mut polled = polled.iter();
    descriptors.map(|descriptor| {
        let polled = descriptor.and_then(|_| polled.next());
        found && polled.is_some_and(|polled| !polled.revents().is_empty())
    })
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}
