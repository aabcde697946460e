//! When a batch of changes is complete: once it has been quiet for a while and git is not at work.
//! Pure: it must not know the time, only what it is told of it.

use std::time::Duration;

/// It is quiet if nothing changed for this long.
const QUIET: Duration = Duration::from_millis(100);
/// The longest that a batch waits for quiet: a program that writes without end must not hide all
/// changes. Also how long git may change nothing and still be at work: a git that was killed leaves its
/// lock behind.
pub const LONGEST: Duration = Duration::from_secs(10);
/// The longest that a batch waits for git: a slow machine switches a large branch for that long.
const LONGEST_OF_GIT: Duration = Duration::from_secs(120);

/// What is known of the batch. Times count from any one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet {
    first: Option<Duration>,
    last: Duration,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Nothing has changed: wait for a change.
    Idle,
    /// Wait for more, but not longer than this.
    Wait(Duration),
    /// The batch is complete.
    Tell,
}

impl Quiet {
    /// Something changed at `now`.
    pub(super) fn heard(&mut self, now: Duration) {
        self.first.get_or_insert(now);
        self.last = now;
    }

    /// What is to be done at `now`.
    pub(super) fn step(&self, now: Duration, git_works: bool) -> Step {
        let Some(first) = self.first else { return Step::Idle };
        let end = if git_works { (self.last + LONGEST).min(first + LONGEST_OF_GIT) } else { first + LONGEST };
        let quiet = self.last + QUIET;
        if now >= end || now >= quiet && !git_works {
            return Step::Tell;
        }
        let due = if now >= quiet { now + QUIET } else { quiet };
        Step::Wait(due.min(end).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_batch_is_complete_when_it_is_quiet_and_git_is_done() {
        let mut quiet = Quiet::default();
        assert_eq!(quiet.step(ms(5), false), Step::Idle);
        quiet.heard(ms(1000));
        quiet.heard(ms(1050));
        for (now, git_works, expected) in [
            (1050, false, Step::Wait(ms(100))),
            (1149, false, Step::Wait(ms(1))),
            (1150, false, Step::Tell),
            (1150, true, Step::Wait(ms(100))),
            (11_040, true, Step::Wait(ms(10))),
            (11_050, true, Step::Tell),
        ] {
            assert_eq!(quiet.step(ms(now), git_works), expected, "{now} {git_works}");
        }
    }

    #[test]
    fn what_never_is_quiet_is_told_in_the_end() {
        for (git_works, expected) in [(false, 10_000), (true, 120_000)] {
            let mut quiet = Quiet::default();
            let told = (0..10_000).map(|step| step * 50).find(|now| {
                quiet.heard(ms(*now));
                quiet.step(ms(*now), git_works) == Step::Tell
            });
            assert_eq!(told, Some(expected));
        }
    }
}
