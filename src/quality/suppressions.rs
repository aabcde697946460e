//! Suppressions: which findings and licences are accepted until a certain day.

use std::cell::Cell;
use std::cmp::Reverse;

use super::evidence::{Ruling, Violation};
use super::rule_result::{counted, number, ruling, verdict};
use super::rules::{Day, Suppression};
use crate::base::path::RepoPath;
use ci_reports::facts::{Finding, Location};

/// The suppressions of a gate, and whether each has matched anything so far.
pub(super) struct Suppressions<'r> {
    all: Vec<(&'r Suppression, Cell<bool>)>,
    today: Day,
}

/// The findings that remain after suppressed ones are removed.
#[derive(Default)]
pub(super) struct Unsuppressed<'f> {
    /// The findings that count, most severe first.
    pub(super) counted: Vec<&'f Finding>,
    /// A description of the accepted findings, which begins with ` · `.
    pub(super) accepted: String,
}

impl<'r> Suppressions<'r> {
    pub(super) fn new(all: &'r [Suppression], today: Day) -> Self {
        Self { all: all.iter().map(|one| (one, Cell::new(false))).collect(), today }
    }

    /// Returns the index of the first suppression that matches and has not expired. Expired ones that
    /// match are marked as used.
    fn matching(&self, fits: impl Fn(&Suppression) -> bool) -> Option<usize> {
        let mut found = None;
        for (at, (suppression, used)) in self.all.iter().enumerate() {
            if fits(suppression) {
                used.set(true);
                if found.is_none() && suppression.expires >= self.today {
                    found = Some(at);
                }
            }
        }
        found
    }

    /// Removes the findings that the report itself or a suppression accepts.
    pub(super) fn filter<'f>(&self, findings: impl Iterator<Item = &'f Finding>) -> Unsuppressed<'f> {
        let mut unsuppressed = Unsuppressed::default();
        let mut by: Vec<u64> = vec![0; self.all.len()];
        let mut accepted = 0;
        for finding in findings {
            if finding.accepted.is_some() {
                accepted += 1;
            } else if let Some(at) = self.matching(|suppression| covers(suppression, finding)) {
                by[at] += 1;
            } else {
                unsuppressed.counted.push(finding);
            }
        }
        unsuppressed.counted.sort_by_key(|finding| (Reverse(finding.severity), &finding.place, *finding));
        unsuppressed.accepted = self.describe(&by);
        if accepted > 0 {
            unsuppressed.accepted.push_str(&format!(" · {accepted} accepted in the source"));
        }
        unsuppressed
    }

    /// Returns the index of the suppression that accepts this licence of this package.
    pub(super) fn matching_licence(&self, licence: &str, package: &str) -> Option<usize> {
        self.matching(|suppression| {
            suppression.licence.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(licence))
                && suppression.package.as_deref().is_none_or(|known| known == package)
        })
    }

    /// Describes how many findings each suppression removed.
    pub(super) fn describe(&self, by: &[u64]) -> String {
        let used = self.all.iter().zip(by).filter(|(_, count)| **count > 0);
        let texts = used.map(|((suppression, _), count)| {
            format!(" · {count} suppressed: {}, until {}", suppression.reason, suppression.expires)
        });
        texts.collect()
    }

    /// Returns the number of suppressions.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the suppressions that match nothing and have not expired. All rules must be judged
    /// before.
    pub(super) fn unused(&self) -> Vec<Violation> {
        let unused =
            self.all.iter().filter(|(suppression, used)| !used.get() && suppression.expires >= self.today);
        unused
            .map(|(suppression, _)| Violation {
                text: format!("the suppression of {} matches nothing", subject(suppression)),
                place: parse_location(&suppression.location),
                severity: None,
            })
            .collect()
    }

    /// Returns the ruling on the suppressions themselves. All rules must be judged before.
    pub(super) fn judge(&self) -> Option<Ruling> {
        if self.all.is_empty() {
            return None;
        }
        let (expired, live): (Vec<_>, Vec<_>) =
            self.all.iter().partition(|(suppression, _)| suppression.expires < self.today);
        let mut actual = format!("{} in force, {} expired", live.len(), expired.len());
        let idle: Vec<String> =
            live.iter().filter(|(_, used)| !used.get()).map(|(suppression, _)| label(suppression)).collect();
        if !idle.is_empty() {
            let what = counted(number(idle.len()), "suppression");
            let verb = if idle.len() == 1 { "matches" } else { "match" };
            actual.push_str(&format!("; {what} {verb} nothing: {}", idle.join(", ")));
        }
        let violation = |(suppression, _): &(&Suppression, Cell<bool>)| Violation {
            text: format!(
                "{} expired on {} ({}): fix what it hides, or change the day",
                subject(suppression),
                suppression.expires,
                suppression.reason
            ),
            place: parse_location(&suppression.location),
            severity: None,
        };
        let holds = verdict(expired.is_empty());
        let none = "none expired".to_owned();
        Some(ruling("suppress", none, actual, holds).with_violations(expired.into_iter().map(violation)))
    }
}

fn covers(suppression: &Suppression, finding: &Finding) -> bool {
    let path = finding.place.as_ref().map(|place| RepoPath::from_git(place.path.as_bytes()));
    suppression.licence.is_none()
        && suppression.rule == finding.rule
        && suppression
            .path
            .as_ref()
            .is_none_or(|pattern| path.as_ref().is_some_and(|path| pattern.matches(path)))
}

/// Returns what a suppression accepts.
fn subject(suppression: &Suppression) -> String {
    match (&suppression.licence, &suppression.package) {
        (Some(licence), Some(package)) => format!("{licence} of {package}"),
        (Some(licence), None) => licence.clone(),
        (None, _) => suppression.rule.clone(),
    }
}

fn label(suppression: &Suppression) -> String {
    format!("{} ({})", subject(suppression), suppression.location)
}

/// Parses a location such as `tasks.toml:12`.
fn parse_location(place: &str) -> Option<Location> {
    let (path, line) = place.rsplit_once(':')?;
    Some(Location { path: path.to_owned(), line: line.parse().ok(), end_line: None })
}
