//! Decides what policy has against a deploy: branches and tags, deploy windows, promotion and older commits. It is
//! pure, and must not know where these facts come from.

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::base::text::first_of;
use crate::config::deploy::{DeployWindow, Environment, Policy};
use crate::deploy::refusal::Objection;

/// The names of the days, Monday first.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// What policy judges.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The branches that contain the commit.
    pub branches: &'a [String],
    /// The tags of the commit.
    pub tags: &'a [String],
    /// The time.
    pub now: Timestamp,
}

/// Returns what the policy of an environment has against a commit now.
pub fn objections(policy: &Policy, facts: &Facts<'_>) -> Vec<Objection> {
    let mut objections = Vec::new();
    let matches = |patterns: &[String], names: &[String]| {
        patterns.iter().any(|pattern| names.iter().any(|name| fast_glob::glob_match(pattern, name)))
    };
    let is_restricted = !policy.branches.is_empty() || !policy.tags.is_empty();
    if is_restricted && !matches(&policy.branches, facts.branches) && !matches(&policy.tags, facts.tags) {
        let branches = policy.branches.iter().map(|branch| format!("branch {branch}"));
        let tags = policy.tags.iter().map(|tag| format!("tag {tag}"));
        let allowed = first_of(branches.chain(tags), 10);
        objections.push(Objection {
            reason: format!("the commit must be in one of: {allowed}"),
            hint: Some("push it there first".to_owned()),
        });
    }
    if !policy.windows.is_empty() && !policy.windows.iter().any(|window| is_open(window, facts.now)) {
        let windows = first_of(policy.windows.iter().map(window_text), 5);
        objections.push(Objection {
            reason: format!("deploys are allowed only in the windows {windows}"),
            hint: Some("wait, or use `--override \"reason\"`".to_owned()),
        });
    }
    objections
}

/// Returns the environment that a deploy uses: what policy says comes from `policy`, the rest from `revision`.
/// Returns the roles of the revision that policy does not know, too.
pub fn under_policy(revision: &Environment, policy: &Environment) -> (Environment, Vec<String>) {
    let mut environment = revision.clone();
    environment.gate.clone_from(&policy.gate);
    environment.policy.clone_from(&policy.policy);
    environment.path.clone_from(&policy.path);
    let mut unknown = Vec::new();
    for role in &mut environment.roles {
        match policy.roles.iter().find(|known| known.name == role.name) {
            Some(known) => role.hosts.clone_from(&known.hosts),
            None => unknown.push(role.name.clone()),
        }
    }
    (environment, unknown)
}

/// Returns whether a moment is in a window, by the clocks of its time zone.
fn is_open(window: &DeployWindow, now: Timestamp) -> bool {
    let moment = i64::try_from(now.0).ok().and_then(|millis| Moment::from_millisecond(millis).ok());
    let (Some(moment), Ok(zone)) = (moment, TimeZone::get(&window.zone)) else { return false };
    let local = moment.to_zoned(zone);
    let day = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    let (from, to) = (i32::from(window.from), i32::from(window.to));
    let yesterday = (day + 6) % 7;
    if from < to {
        window.days[day] && (from..to).contains(&minute)
    } else {
        window.days[day] && minute >= from || window.days[yesterday] && minute < to
    }
}

fn window_text(window: &DeployWindow) -> String {
    let days: Vec<_> = DAYS.iter().zip(window.days).filter_map(|(name, is_set)| is_set.then_some(*name)).collect();
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{} {}–{} {}", days.join(","), time(window.from), time(window.to), window.zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: [bool; 7], from: u16, to: u16) -> DeployWindow {
        DeployWindow { days, from, to, zone: "Europe/Berlin".to_owned() }
    }

    fn at(text: &str) -> Timestamp {
        let moment: Moment = text.parse().unwrap();
        Timestamp(u64::try_from(moment.as_millisecond()).unwrap())
    }

    #[test]
    fn window_follows_the_clocks_of_its_zone() {
        let all = window([true; 7], 9 * 60, 16 * 60);
        for (time, expected) in [
            // Summer time, two hours before UTC, began on 2026-03-29.
            ("2026-03-27T08:00:00Z", true),
            ("2026-03-27T07:59:00Z", false),
            ("2026-03-30T07:00:00Z", true),
            ("2026-03-30T06:59:00Z", false),
            ("2026-03-30T14:00:00Z", false),
        ] {
            assert_eq!(is_open(&all, at(time)), expected, "{time}");
        }
    }

    #[test]
    fn window_over_midnight_belongs_to_the_day_on_which_it_starts() {
        let mut days = [false; 7];
        days[0] = true;
        let night = window(days, 22 * 60, 4 * 60);
        for (time, expected) in [
            // 2026-01-05 is a Monday.
            ("2026-01-05T21:30:00Z", true),
            ("2026-01-06T02:30:00Z", true),
            ("2026-01-05T02:30:00Z", false),
            ("2026-01-06T21:30:00Z", false),
            ("2026-01-06T03:30:00Z", false),
        ] {
            assert_eq!(is_open(&night, at(time)), expected, "{time}");
        }
    }

    #[test]
    fn commit_must_be_in_a_named_branch_or_have_a_named_tag() {
        let policy = Policy {
            branches: vec!["main".to_owned(), "release/*".to_owned()],
            tags: vec!["v*".to_owned()],
            ..Policy::default()
        };
        let (main, release, other, tag) =
            (["main".to_owned()], ["release/1".to_owned()], ["dev".to_owned()], ["v1".to_owned()]);
        let facts = |branches, tags| Facts { branches, tags, now: Timestamp(0) };
        assert!(objections(&policy, &facts(&main, &[])).is_empty());
        assert!(objections(&policy, &facts(&release, &[])).is_empty());
        assert!(objections(&policy, &facts(&other, &tag)).is_empty());
        let refused = objections(&policy, &facts(&other, &[]));
        assert_eq!(
            refused[0].reason,
            "the commit must be in one of: branch main, branch release/*, tag v*"
        );
        assert!(objections(&Policy::default(), &facts(&[], &[])).is_empty());
    }
}
