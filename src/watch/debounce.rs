//! Decides when a batch of changes is complete: when nothing has changed for a while and git is not
//! working. Pure; the caller passes the time.

use std::time::Duration;

/// How long nothing must change before a batch is complete.
const QUIET: Duration = Duration::from_millis(100);
/// The longest time that a batch waits while changes continue, so that a program that never stops writing
/// doesn't delay the batch forever. Also how long git's lock counts while nothing changes, because a
/// killed git leaves its lock.
pub const LONGEST: Duration = Duration::from_secs(10);
/// The longest time that a batch waits for git, which may need long to switch to a large branch.
const LONGEST_OF_GIT: Duration = Duration::from_secs(120);

/// The times of the first and the last change of a batch, counted from any fixed moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debounce {
    first: Option<Duration>,
    last: Duration,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DebounceStep {
    /// Wait for a change, because nothing has changed yet.
    Idle,
    /// Wait for more changes, but not longer than this.
    Wait(Duration),
    /// Report the batch, because it is complete.
    Report,
}

impl Debounce {
    /// Records that something changed at `now`.
    pub(super) fn record_change(&mut self, now: Duration) {
        self.first.get_or_insert(now);
        self.last = now;
    }

    /// Returns what to do at `now`. `git_works` is whether git is working on the work tree.
    pub(super) fn step(&self, now: Duration, git_works: bool) -> DebounceStep {
        let Some(first) = self.first else { return DebounceStep::Idle };
        let end = if git_works { (self.last + LONGEST).min(first + LONGEST_OF_GIT) } else { first + LONGEST };
        let quiet_at = self.last + QUIET;
        if now >= end || now >= quiet_at && !git_works {
            return DebounceStep::Report;
        }
        let due = if now >= quiet_at { now + QUIET } else { quiet_at };
        DebounceStep::Wait(due.min(end).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn batch_is_complete_when_quiet_and_git_is_idle() {
        let mut debounce = Debounce::default();
        assert_eq!(debounce.step(ms(5), false), DebounceStep::Idle);
        debounce.record_change(ms(1000));
        debounce.record_change(ms(1050));
        for (now, git_works, expected) in [
            (1050, false, DebounceStep::Wait(ms(100))),
            (1149, false, DebounceStep::Wait(ms(1))),
            (1150, false, DebounceStep::Report),
            (1150, true, DebounceStep::Wait(ms(100))),
            (11_040, true, DebounceStep::Wait(ms(10))),
            (11_050, true, DebounceStep::Report),
        ] {
            assert_eq!(debounce.step(ms(now), git_works), expected, "{now} {git_works}");
        }
    }

    #[test]
    fn endless_changes_are_reported_after_a_limit() {
        for (git_works, expected) in [(false, 10_000), (true, 120_000)] {
            let mut debounce = Debounce::default();
            let reported_at = (0..10_000).map(|step| step * 50).find(|now| {
                debounce.record_change(ms(*now));
                debounce.step(ms(*now), git_works) == DebounceStep::Report
            });
            assert_eq!(reported_at, Some(expected));
        }
    }
}
