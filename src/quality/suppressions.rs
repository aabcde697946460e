//! Suppressions: which findings and licences are accepted for a time, and which of these times are
//! over. It must not know what is demanded of what is not accepted.

use std::cell::Cell;
use std::cmp::Reverse;

use super::evidence::{Breach, Ruling};
use super::rules::{Day, Suppression};
use super::ruling::{counted, number, ruling, verdict};
use crate::base::path::RepoPath;
use ci_reports::facts::{Finding, Location};

/// Suppressions with what they matched so far.
pub(super) struct Suppressions<'r> {
    all: Vec<(&'r Suppression, Cell<bool>)>,
    today: Day,
}

/// What is found, without what is accepted.
#[derive(Default)]
pub(super) struct Sifted<'f> {
    /// What counts, gravest first.
    pub(super) counted: Vec<&'f Finding>,
    /// What is accepted, in words; each begins with ` · `.
    pub(super) told: String,
}

impl<'r> Suppressions<'r> {
    pub(super) fn new(all: &'r [Suppression], today: Day) -> Self {
        Self { all: all.iter().map(|one| (one, Cell::new(false))).collect(), today }
    }

    /// The place of the suppression in force that fits; those that are over only take note.
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

    /// Takes out what is accepted, by the report itself or by a suppression.
    pub(super) fn sift<'f>(&self, findings: impl Iterator<Item = &'f Finding>) -> Sifted<'f> {
        let mut sifted = Sifted::default();
        let mut by: Vec<u64> = vec![0; self.all.len()];
        let mut accepted = 0;
        for finding in findings {
            if finding.accepted.is_some() {
                accepted += 1;
            } else if let Some(at) = self.matching(|suppression| covers(suppression, finding)) {
                by[at] += 1;
            } else {
                sifted.counted.push(finding);
            }
        }
        sifted.counted.sort_by_key(|finding| (Reverse(finding.severity), &finding.place, *finding));
        sifted.told = self.told(&by);
        if accepted > 0 {
            sifted.told.push_str(&format!(" · {accepted} accepted in the source"));
        }
        sifted
    }

    /// The place of the suppression that accepts this licence of this package.
    pub(super) fn of_licence(&self, licence: &str, package: &str) -> Option<usize> {
        self.matching(|suppression| {
            suppression.licence.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(licence))
                && suppression.package.as_deref().is_none_or(|known| known == package)
        })
    }

    /// How much each suppression took out, in words.
    pub(super) fn told(&self, by: &[u64]) -> String {
        let used = self.all.iter().zip(by).filter(|(_, count)| **count > 0);
        let told = used.map(|((suppression, _), count)| {
            format!(" · {count} suppressed: {}, until {}", suppression.reason, suppression.expires)
        });
        told.collect()
    }

    /// How many suppressions there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Those in force that matched nothing, once all else was judged.
    pub(super) fn unused(&self) -> Vec<Breach> {
        let unused =
            self.all.iter().filter(|(suppression, used)| !used.get() && suppression.expires >= self.today);
        unused
            .map(|(suppression, _)| Breach {
                text: format!("the suppression of {} matches nothing", subject(suppression)),
                place: spot(&suppression.place),
                severity: None,
            })
            .collect()
    }

    /// The ruling on the suppressions themselves, once all else was judged.
    pub(super) fn judge(&self) -> Option<Ruling> {
        if self.all.is_empty() {
            return None;
        }
        let (expired, live): (Vec<_>, Vec<_>) =
            self.all.iter().partition(|(suppression, _)| suppression.expires < self.today);
        let mut fact = format!("{} in force, {} expired", live.len(), expired.len());
        let idle: Vec<String> =
            live.iter().filter(|(_, used)| !used.get()).map(|(suppression, _)| named(suppression)).collect();
        if !idle.is_empty() {
            let what = counted(number(idle.len()), "suppression");
            let verb = if idle.len() == 1 { "matches" } else { "match" };
            fact.push_str(&format!("; {what} {verb} nothing: {}", idle.join(", ")));
        }
        let breach = |(suppression, _): &(&Suppression, Cell<bool>)| Breach {
            text: format!(
                "{} expired on {} ({}): mend what it hides, or give it another day",
                subject(suppression),
                suppression.expires,
                suppression.reason
            ),
            place: spot(&suppression.place),
            severity: None,
        };
        let holds = verdict(expired.is_empty());
        let none = "none expired".to_owned();
        Some(ruling("suppress", none, fact, holds).because(expired.into_iter().map(breach)))
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

/// What it accepts.
fn subject(suppression: &Suppression) -> String {
    match (&suppression.licence, &suppression.package) {
        (Some(licence), Some(package)) => format!("{licence} of {package}"),
        (Some(licence), None) => licence.clone(),
        (None, _) => suppression.rule.clone(),
    }
}

fn named(suppression: &Suppression) -> String {
    format!("{} ({})", subject(suppression), suppression.place)
}

/// The place of `tasks.toml:12`.
fn spot(place: &str) -> Option<Location> {
    let (path, line) = place.rsplit_once(':')?;
    Some(Location { path: path.to_owned(), line: line.parse().ok(), end_line: None })
}
