//! One run of one command, from its start until it and its group are gone, on the calling thread. It
//! must not know what the command is for.
//!
//! A poll waits for output, for the end of the leader, for a stop and for the next deadline. Once the
//! leader has ended, what is left of its group has to follow; what left the group can't hold the run,
//! even if it keeps the output open.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::clock::Clock;
use crate::process::course::{Action, Course};
use crate::process::exit::ExitWatch;
use crate::process::group::Group;
use crate::process::log::Log;
use crate::process::output::Output;
use crate::process::spawn::Spawn;
use crate::process::stop::{Demand, Registration, Stop};
use crate::process::wake::{self, Wake};

/// Hears of a running command, on the thread that runs it. As long as it is busy, nothing is read and
/// nothing is ended.
pub trait Watcher {
    /// The command printed these lines; each has its line end but the last one of all, or a piece of
    /// a line that is very long.
    fn output(&mut self, text: &str);

    /// The command printed the beginning of a line, of which this is all so far, or its end if that is
    /// long.
    fn unfinished(&mut self, _text: &str) {}

    /// The command paused within this line, or goes on with it for long. It comes again as output when
    /// it is whole. It may end in the beginning of a secret, so it is not to be shown.
    fn paused_within(&mut self, line: &str) {
        let _ = line;
    }

    /// The command passed its `slow_after`.
    fn slow(&mut self) {}
}

/// Whoever does not want to hear of it.
impl Watcher for () {
    fn output(&mut self, _: &str) {}
}

/// What became of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finished {
    /// How it ended.
    pub ended: Ended,
    /// What it printed.
    pub log: Log,
    /// From its start until its group was gone.
    pub took: Duration,
    /// Whether it ended by itself and left processes of its group behind that had to be ended.
    pub left_behind: bool,
}

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By itself, with this exit status.
    Exit(i32),
    /// By a signal, of this number, that did not come from here.
    Signal(i32),
    /// It took longer than its timeout.
    TimedOut,
    /// A [`Stop`] ended it, or it was not started because of one.
    Stopped,
    /// It could not be started; why, as a clause.
    NotStarted(String),
}

/// Runs a command and stays with it until it and all of its group have ended.
pub fn run(spawn: &Spawn, stop: &Stop, watcher: &mut dyn Watcher) -> Finished {
    let clock = Clock::system();
    let mut left_behind = false;
    let (ended, log) = match Run::start(spawn, stop, clock.clone()) {
        Err(ended) => (ended, Log::default()),
        Ok(mut run) => {
            let ended = run.lead(watcher);
            let told = run.follow(watcher);
            left_behind = told && matches!(ended, Ended::Exit(_) | Ended::Signal(_));
            (ended, run.output.finish(watcher))
        }
    };
    Finished { ended, log, took: clock.elapsed(), left_behind }
}

/// A command that was started.
struct Run<'a> {
    clock: Clock,
    spawn: &'a Spawn,
    stop: Registration<'a>,
    wake: Wake,
    group: Group,
    /// Until the leader has ended.
    exit: Option<ExitWatch>,
    output: Output<'a>,
    course: Course,
    /// Since when there is a line without an end that the watcher has not seen, and its last growth.
    unfinished: Option<(Duration, Duration)>,
    /// When the watcher is to hear that it is slow, if it still is.
    slow_at: Option<Duration>,
}

/// A line without an end is looked at when it has not grown for this long.
const PAUSE: Duration = Duration::from_millis(100);
/// A line that goes on growing is looked at after this long.
const LONGEST_GROWTH: Duration = Duration::from_secs(1);
/// The shortest time between two looks at a group without a leader; its end wakes nobody.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl<'a> Run<'a> {
    fn start(spawn: &'a Spawn, stop: &'a Stop, clock: Clock) -> Result<Self, Ended> {
        let no_pipe = |error| Ended::NotStarted(format!("there is no pipe for it: {error}"));
        let (wake, waker) = wake::pair().map_err(no_pipe)?;
        let stop = stop.register(waker.clone());
        if stop.demand() > Demand::None {
            return Err(Ended::Stopped);
        }
        let limits = &spawn.limits;
        let (output, writer) = Output::new(&spawn.mask, limits.log).map_err(no_pipe)?;
        let mut group = spawn.start(writer).map_err(Ended::NotStarted)?;
        if let Some(guard) = &spawn.guard {
            guard.joined(group.id());
        }
        let exit = ExitWatch::start(group.id(), &waker).map_err(|error| {
            group.kill();
            let _ = group.reap();
            if let Some(guard) = &spawn.guard {
                guard.left(group.id());
            }
            Ended::NotStarted(format!("its end can't be watched: {error}"))
        })?;
        let course = Course::new(limits.timeout, limits.grace);
        let exit = Some(exit);
        Ok(Self {
            clock,
            spawn,
            stop,
            wake,
            group,
            exit,
            output,
            course,
            unfinished: None,
            slow_at: limits.slow_after,
        })
    }

    /// Stays with the leader until it has ended.
    fn lead(&mut self, watcher: &mut dyn Watcher) -> Ended {
        let mut cut = None;
        loop {
            let look_at = self.unfinished.map(|(first, last)| (last + PAUSE).min(first + LONGEST_GROWTH));
            let due = [self.course.deadline(), self.slow_at, look_at].into_iter().flatten().min();
            if self.wait(due, watcher) {
                break;
            }
            let now = self.clock.elapsed();
            if look_at.is_some_and(|at| now >= at) && self.unfinished.take().is_some() {
                self.output.show_unfinished(watcher);
            }
            let demand = self.stop.demand();
            let due = demand > Demand::None || self.course.deadline().is_some_and(|due| now >= due);
            // It may have ended while the watcher was busy; then it was in time.
            if due && self.has_ended() {
                break;
            }
            if self.slow_at.is_some_and(|at| now >= at) {
                self.slow_at = None;
                watcher.slow();
            }
            match self.step(now, demand) {
                Action::Wait => {}
                Action::Terminate | Action::Kill if cut.is_some() => {}
                Action::Terminate | Action::Kill if demand == Demand::None => cut = Some(Ended::TimedOut),
                Action::Terminate | Action::Kill => cut = Some(Ended::Stopped),
                // It hangs in the kernel: it ends when the kernel lets it, and is reaped then.
                Action::GiveUp => return cut.unwrap_or(Ended::Stopped),
            }
        }
        self.exit = None;
        let status = self.group.reap();
        self.course.leader_ended(self.clock.elapsed());
        cut.unwrap_or_else(|| match status {
            Ok(status) => ended(status),
            Err(error) => Ended::NotStarted(format!("its exit status is lost: {error}")),
        })
    }

    /// Stays with the rest of the group until it has ended. Whether it had to be told to.
    fn follow(&mut self, watcher: &mut dyn Watcher) -> bool {
        let mut told = false;
        let mut pause = SHORTEST_PAUSE;
        let mut look_at = Duration::ZERO;
        loop {
            let now = self.clock.elapsed();
            if now >= look_at {
                if !self.group.lives() {
                    break;
                }
                look_at = now + pause;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
            match self.step(now, self.stop.demand()) {
                Action::Wait => {}
                Action::Terminate | Action::Kill => {
                    told = true;
                    pause = SHORTEST_PAUSE;
                    look_at = now + pause;
                }
                Action::GiveUp => return told,
            }
            let due = self.course.deadline().map_or(look_at, |due| due.min(look_at));
            self.wait(Some(due), watcher);
        }
        if let Some(guard) = &self.spawn.guard {
            guard.left(self.group.id());
        }
        told
    }

    /// Takes the step that is due.
    fn step(&mut self, now: Duration, demand: Demand) -> Action {
        let action = self.course.step(now, demand);
        match action {
            Action::Terminate => self.group.terminate(self.spawn.limits.signal),
            Action::Kill => self.group.kill(),
            Action::Wait | Action::GiveUp => {}
        }
        action
    }

    /// Waits until something happens or `due` has come, and takes in output. Whether the leader has
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
            let first = self.unfinished.map_or(now, |(first, _)| first);
            self.unfinished = self.output.is_unfinished().then_some((first, now));
        }
        ended
    }

    /// Whether the leader has ended by now.
    fn has_ended(&self) -> bool {
        self.exit.as_ref().is_some_and(|watch| {
            let [readable] = ready([watch.descriptor()], Some(Duration::ZERO));
            watch.has_ended(readable)
        })
    }
}

/// Which of the descriptors are ready, after at most `timeout`. An interrupted wait finds none.
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
