//! The steps by which a process group is ended: left alone, asked to end, killed, given up. Pure: it does
//! not know the time or the group, only what the caller passes in.

use std::time::Duration;

use crate::process::stop::StopRequest;

/// How long a killed process may take to go. A process that hangs in the kernel can't hold the run.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// How long what outlives its leader may take to end by itself, such as the `tee` of a shell that does
/// not wait for it and has the last lines still to print.
const LINGER: Duration = Duration::from_millis(100);
/// The longest time between TERM and KILL for what outlives its leader.
const SHORT_GRACE: Duration = Duration::from_secs(1);

/// How far a group is in being ended. Times count from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Termination {
    phase: Phase,
    grace: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running { until: Option<Duration> },
    Terminated { until: Duration },
    Killed { until: Duration },
}

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Wait,
    Terminate,
    Kill,
    GiveUp,
}

impl Termination {
    /// Starts with a group that may run until `timeout`, and has `grace` between TERM and KILL.
    pub(super) fn new(timeout: Option<Duration>, grace: Duration) -> Self {
        Self { phase: Phase::Running { until: timeout }, grace }
    }

    /// Handles the end of the leader at `now`: what is left of the group has to follow soon.
    pub(super) fn leader_ended(&mut self, now: Duration) {
        if let Phase::Running { .. } = self.phase {
            *self = Self::new(Some(now + LINGER), self.grace.min(SHORT_GRACE));
        }
    }

    /// Returns the action that is due at `now`, and counts it as taken.
    pub(super) fn step(&mut self, now: Duration, request: StopRequest) -> Action {
        let is_due = self.deadline().is_some_and(|deadline| now >= deadline);
        let action = match (self.phase, request) {
            (Phase::Killed { .. }, _) if is_due => return Action::GiveUp,
            (Phase::Killed { .. }, _) => return Action::Wait,
            (_, StopRequest::Kill) => Action::Kill,
            (Phase::Terminated { .. }, _) if is_due => Action::Kill,
            (Phase::Running { .. }, StopRequest::Terminate) => Action::Terminate,
            (Phase::Running { .. }, StopRequest::None) if is_due => Action::Terminate,
            _ => return Action::Wait,
        };
        self.phase = match action {
            Action::Terminate => Phase::Terminated { until: now + self.grace },
            _ => Phase::Killed { until: now + KILL_WAIT },
        };
        action
    }

    /// Returns when the next action is due if nothing is requested.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Running { until } => until,
            Phase::Terminated { until } | Phase::Killed { until } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{GiveUp, Kill, Terminate, Wait};

    fn steps(termination: &mut Termination, table: &[(u64, StopRequest, Action)]) {
        for (millis, request, expected) in table {
            let action = termination.step(Duration::from_millis(*millis), *request);
            assert_eq!(action, *expected, "at {millis} with {request:?}");
        }
    }

    #[test]
    fn timeout_terminates_then_kills_then_gives_up() {
        let mut termination = Termination::new(Some(Duration::from_secs(1)), Duration::from_secs(5));
        let none = StopRequest::None;
        steps(
            &mut termination,
            &[
                (999, none, Wait),
                (1000, none, Terminate),
                (1001, none, Wait),
                (5999, StopRequest::Terminate, Wait),
                (6000, none, Kill),
                (6001, StopRequest::Kill, Wait),
                (16_000, none, GiveUp),
            ],
        );
    }

    #[test]
    fn request_is_handled_at_once_and_kill_does_not_wait_for_the_grace() {
        let mut termination = Termination::new(None, Duration::from_secs(5));
        steps(
            &mut termination,
            &[
                (0, StopRequest::None, Wait),
                (10, StopRequest::Terminate, Terminate),
                (20, StopRequest::Terminate, Wait),
                (30, StopRequest::Kill, Kill),
            ],
        );
        steps(&mut Termination::new(None, Duration::from_secs(5)), &[(0, StopRequest::Kill, Kill)]);
        steps(
            &mut Termination::new(None, Duration::ZERO),
            &[(0, StopRequest::Terminate, Terminate), (0, StopRequest::Terminate, Kill)],
        );
    }

    #[test]
    fn group_that_outlives_its_leader_gets_little_time() {
        let mut termination = Termination::new(Some(Duration::from_secs(60)), Duration::from_secs(60));
        termination.leader_ended(Duration::from_secs(2));
        steps(
            &mut termination,
            &[
                (2099, StopRequest::None, Wait),
                (2100, StopRequest::None, Terminate),
                (3099, StopRequest::None, Wait),
                (3100, StopRequest::None, Kill),
            ],
        );
    }

    #[test]
    fn group_that_was_terminated_keeps_its_grace_after_its_leader() {
        let mut termination = Termination::new(None, Duration::from_secs(5));
        steps(&mut termination, &[(0, StopRequest::Terminate, Terminate)]);
        termination.leader_ended(Duration::from_millis(10));
        steps(
            &mut termination,
            &[(4999, StopRequest::Terminate, Wait), (5000, StopRequest::Terminate, Kill)],
        );
    }
}
