//! The course of ending a group: left alone, asked to end, killed, given up. Pure: it must not know
//! the time or the group, only what it is told of them.

use std::time::Duration;

use crate::process::stop::Demand;

/// How long a killed process may take to go. One that hangs in the kernel can't hold the run.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// How long what outlives its leader may take to end by itself: such as the `tee` of a shell that
/// does not wait for it, which has the last lines still to print.
const LINGER: Duration = Duration::from_millis(100);
/// The most that what outlives its leader gets between TERM and KILL.
const SHORT_GRACE: Duration = Duration::from_secs(1);

/// Where a group stands. Times count from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Course {
    stage: Stage,
    grace: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Free { until: Option<Duration> },
    Asked { until: Duration },
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

impl Course {
    /// Of a group that may run until `limit`.
    pub(super) fn new(limit: Option<Duration>, grace: Duration) -> Self {
        Self { stage: Stage::Free { until: limit }, grace }
    }

    /// The leader ended at `now`: what is left of the group has to follow it soon.
    pub(super) fn leader_ended(&mut self, now: Duration) {
        if let Stage::Free { .. } = self.stage {
            *self = Self::new(Some(now + LINGER), self.grace.min(SHORT_GRACE));
        }
    }

    /// The step that is due at `now`; it counts as taken.
    pub(super) fn step(&mut self, now: Duration, demand: Demand) -> Action {
        let passed = self.deadline().is_some_and(|deadline| now >= deadline);
        let action = match (self.stage, demand) {
            (Stage::Killed { .. }, _) if passed => return Action::GiveUp,
            (Stage::Killed { .. }, _) => return Action::Wait,
            (_, Demand::Kill) => Action::Kill,
            (Stage::Asked { .. }, _) if passed => Action::Kill,
            (Stage::Free { .. }, Demand::Terminate) => Action::Terminate,
            (Stage::Free { .. }, Demand::None) if passed => Action::Terminate,
            _ => return Action::Wait,
        };
        self.stage = match action {
            Action::Terminate => Stage::Asked { until: now + self.grace },
            _ => Stage::Killed { until: now + KILL_WAIT },
        };
        action
    }

    /// When the next step is due if nothing is demanded.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.stage {
            Stage::Free { until } => until,
            Stage::Asked { until } | Stage::Killed { until } => Some(until),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{GiveUp, Kill, Terminate, Wait};

    fn steps(course: &mut Course, table: &[(u64, Demand, Action)]) {
        for (millis, demand, expected) in table {
            let action = course.step(Duration::from_millis(*millis), *demand);
            assert_eq!(action, *expected, "at {millis} with {demand:?}");
        }
    }

    #[test]
    fn a_timeout_asks_then_kills_then_gives_up() {
        let mut course = Course::new(Some(Duration::from_secs(1)), Duration::from_secs(5));
        let none = Demand::None;
        steps(
            &mut course,
            &[
                (999, none, Wait),
                (1000, none, Terminate),
                (1001, none, Wait),
                (5999, Demand::Terminate, Wait),
                (6000, none, Kill),
                (6001, Demand::Kill, Wait),
                (16_000, none, GiveUp),
            ],
        );
    }

    #[test]
    fn a_demand_is_met_at_once_and_a_second_one_does_not_wait() {
        let mut course = Course::new(None, Duration::from_secs(5));
        steps(
            &mut course,
            &[
                (0, Demand::None, Wait),
                (10, Demand::Terminate, Terminate),
                (20, Demand::Terminate, Wait),
                (30, Demand::Kill, Kill),
            ],
        );
        steps(&mut Course::new(None, Duration::from_secs(5)), &[(0, Demand::Kill, Kill)]);
        steps(
            &mut Course::new(None, Duration::ZERO),
            &[(0, Demand::Terminate, Terminate), (0, Demand::Terminate, Kill)],
        );
    }

    #[test]
    fn what_outlives_a_leader_that_was_left_alone_gets_little_time() {
        let mut course = Course::new(Some(Duration::from_secs(60)), Duration::from_secs(60));
        course.leader_ended(Duration::from_secs(2));
        steps(
            &mut course,
            &[
                (2099, Demand::None, Wait),
                (2100, Demand::None, Terminate),
                (3099, Demand::None, Wait),
                (3100, Demand::None, Kill),
            ],
        );
    }

    #[test]
    fn what_outlives_a_leader_that_was_asked_to_end_keeps_its_grace() {
        let mut course = Course::new(None, Duration::from_secs(5));
        steps(&mut course, &[(0, Demand::Terminate, Terminate)]);
        course.leader_ended(Duration::from_millis(10));
        steps(&mut course, &[(4999, Demand::Terminate, Wait), (5000, Demand::Terminate, Kill)]);
    }
}
