//! Remarks: what is worth a note beside a line of code, made of a run's story. It must not know how a
//! CI service writes a note, nor what it calls the grades.
//!
//! Each thing is remarked on once. A finding that a task reports and a gate's rule is broken by is one
//! remark; a task is one only if nothing else says why it failed.

use crate::event::{Ended, Status, TaskFinished};
use crate::git::ChangedLines;
use crate::quality::evidence::{Breach, Ruling, Verdict};
use crate::reporter::story::{Story, cut};
use crate::warning::Warning;
use ci_reports::facts::{FailedTest, Finding, Location, Severity};

/// Something that is worth a note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// How it is shown.
    pub grade: Grade,
    /// How grave it is among those of its grade.
    pub severity: Severity,
    /// What it is about.
    pub about: About,
    /// Where, relative to the repository if that can be told.
    pub place: Option<Location>,
    /// What was looked for: a scanner's rule or a gate's.
    pub check: String,
    /// One short line.
    pub title: String,
    /// What is to be said.
    pub text: String,
}

/// How a remark is shown. Ordered by weight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Grade {
    /// Good to know: a finding of low severity.
    Notice,
    /// A finding of some weight that failed nothing.
    Warning,
    /// It failed a task or broke a gate's rule.
    Error,
}

/// What a remark is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// A task that failed.
    Task,
    /// A test that failed.
    Test,
    /// Something that a scanner found.
    Finding,
    /// A rule that is broken.
    Rule,
    /// A declaration of tasks.toml that has no effect.
    Declaration,
}

/// The remarks on a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Remarks {
    /// Those that are known, in the order of the story.
    pub known: Vec<Remark>,
    /// How many more there are of which only the number is known.
    pub unlisted: u64,
}

/// Remarks that were not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// Of each grade, from the notices up.
    pub of_grade: [u64; 3],
    /// Of any.
    pub unlisted: u64,
}

/// Characters of a title.
const TITLE: usize = 200;
/// Characters of a text.
const TEXT: usize = 4000;

impl Remarks {
    /// Those of a run in the repository at `root`.
    pub fn of(story: &Story, root: &str) -> Self {
        let mut remarks = Self::default();
        remarks.known.extend(story.warnings.iter().map(of_warning));
        for task in &story.tasks {
            remarks.add_reported(task, root);
        }
        // A gate comes behind the tasks that it judges, so what they said is known by now.
        for task in &story.tasks {
            remarks.add_rulings(task, root);
            remarks.add_task(task);
        }
        remarks
    }

    /// Those that others have not made. One that weighs more by now is another one.
    pub fn beyond(mut self, others: &Self) -> Self {
        self.known.retain(|remark| !others.known.contains(remark));
        self.unlisted = self.unlisted.saturating_sub(others.unlisted);
        self
    }

    fn add_reported(&mut self, task: &TaskFinished, root: &str) {
        let Some(reported) = &task.reported else { return };
        let failed = !task.status.is_pass();
        let tests = reported.tests.iter().flat_map(|tests| &tests.failed);
        self.known.extend(tests.map(|test| of_test(test, failed, root)));
        let findings = reported.findings.iter().filter(|finding| finding.accepted.is_none());
        self.known.extend(findings.map(|finding| of_finding(finding, failed, root)));
        self.unlisted += (reported.more_failed + reported.more_findings) as u64;
    }

    fn add_rulings(&mut self, gate: &TaskFinished, root: &str) {
        let Some(evidence) = &gate.evidence else { return };
        self.known.extend(evidence.unused.iter().map(|unused| Remark {
            grade: Grade::Warning,
            severity: Severity::Medium,
            about: About::Declaration,
            place: unused.place.clone(),
            check: "tasks.toml".to_owned(),
            title: cut(&format!("{}: no effect", gate.task), TITLE),
            text: cut(&unused.text, TEXT),
        }));
        for ruling in evidence.rulings.iter().filter(|ruling| ruling.verdict == Verdict::Broken) {
            let mut is_told = !ruling.breaches.is_empty();
            for breach in &ruling.breaches {
                is_told &= self.add_breach(breach, (ruling, &gate.task), root);
            }
            if !is_told && ruling.breaches.iter().all(|breach| breach.place.is_none()) {
                self.known.push(of_ruling(ruling, &gate.task));
            }
            self.unlisted = self.unlisted.saturating_add(ruling.more);
        }
    }

    /// Whether there is a remark now that tells it.
    fn add_breach(&mut self, breach: &Breach, (ruling, gate): (&Ruling, &str), root: &str) -> bool {
        let place = breach.place.as_ref().map(|place| within(place, root));
        let told = |known: &Remark| (known.place == place).then(|| known.told_by(&breach.text)).flatten();
        // Of two findings at one place the one that is not yet known to break a rule is meant.
        let rank = |known: &Remark| told(known).map(|how| (how, known.grade == Grade::Error));
        let best = (0..self.known.len()).filter_map(|i| Some((rank(&self.known[i])?, i))).min();
        if let Some((_, i)) = best {
            self.known[i].grade = Grade::Error;
        } else if place.is_some() || breach.severity.is_some() {
            self.known.push(Remark {
                grade: Grade::Error,
                severity: breach.severity.unwrap_or(Severity::High),
                about: About::Rule,
                place,
                check: ruling.rule.clone(),
                title: cut(&format!("{gate}: {}", ruling.rule), TITLE),
                text: cut(&breach.text, TEXT),
            });
        } else {
            return false;
        }
        true
    }

    fn add_task(&mut self, task: &TaskFinished) {
        let Status::Failed { ended } = &task.status else { return };
        let says_more = task.reported.as_ref().and_then(|reported| reported.tests.as_ref());
        if says_more.is_some_and(|tests| !tests.failed.is_empty()) || matches!(ended, Ended::Rules { .. }) {
            return;
        }
        let text = if task.log.text.is_empty() { &task.command } else { &task.log.text };
        self.known.push(Remark {
            grade: Grade::Error,
            severity: Severity::Critical,
            about: About::Task,
            place: None,
            check: "task".to_owned(),
            title: cut(&format!("{} failed: {ended}", task.task), TITLE),
            text: tail(text, TEXT),
        });
    }

    /// Puts the most grave first; among equals those on changed lines, then those that have a place.
    pub fn sort(&mut self, changed: Option<&ChangedLines>) {
        let is_changed = |place: &Location| {
            let first = place.line.unwrap_or(1);
            let last = place.line.map_or(u32::MAX, |line| place.end_line.unwrap_or(line));
            changed.is_some_and(|changed| changed.overlap(&place.path, first, last))
        };
        self.known.sort_by_cached_key(|remark| {
            let weight = std::cmp::Reverse((remark.grade, remark.severity));
            (weight, !remark.place.as_ref().is_some_and(is_changed), remark.place.is_none())
        });
    }

    /// What `show` makes of the first `limit` of each grade, and how many it makes nothing of.
    pub fn shown(&self, limit: usize, show: impl Fn(&Remark) -> Option<String>) -> (Vec<String>, Left) {
        let mut left = Left { unlisted: self.unlisted, ..Left::default() };
        let mut counts = [0; 3];
        let mut shown = Vec::new();
        for remark in &self.known {
            let count = &mut counts[remark.grade as usize];
            match (*count < limit).then(|| show(remark)).flatten() {
                Some(text) => {
                    *count += 1;
                    shown.push(text);
                }
                None => left.of_grade[remark.grade as usize] += 1,
            }
        }
        (shown, left)
    }
}

impl Remark {
    /// How surely a rule's breach at the same place speaks of the same; `None` if it does not.
    fn told_by(&self, breach: &str) -> Option<Surely> {
        let holds = |text: &str| !text.is_empty() && breach.contains(text);
        match self.about {
            About::Test => self.title.strip_suffix(FAILED).filter(|name| holds(name)).map(|_| Surely::Text),
            About::Finding if holds(&self.text) => Some(Surely::Text),
            About::Finding => {
                self.check.split_once('/').filter(|(_, rule)| holds(rule)).map(|_| Surely::Rule)
            }
            About::Rule => (breach == self.text).then_some(Surely::Text),
            About::Task | About::Declaration => None,
        }
    }
}

/// By what a breach is known to speak of a remark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Surely {
    /// It has its text.
    Text,
    /// It names its rule.
    Rule,
}

impl Left {
    /// `3 errors and 1 notice`; `None` if nothing is left.
    pub fn told(&self) -> Option<String> {
        let named =
            [("error", self.of_grade[2]), ("warning", self.of_grade[1]), ("notice", self.of_grade[0])];
        let mut parts: Vec<String> = named
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} {name}{}", if count == 1 { "" } else { "s" }))
            .collect();
        if self.unlisted > 0 {
            parts.push(format!("{} of which only the number is known", self.unlisted));
        }
        let last = parts.pop()?;
        if parts.is_empty() { Some(last) } else { Some(format!("{} and {last}", parts.join(", "))) }
    }
}

/// What the title of a failed test ends with.
const FAILED: &str = " failed";

fn of_test(test: &FailedTest, failed: bool, root: &str) -> Remark {
    Remark {
        grade: if failed { Grade::Error } else { Grade::Warning },
        severity: Severity::High,
        about: About::Test,
        place: test.place.as_ref().map(|place| within(place, root)),
        check: "test".to_owned(),
        title: format!("{}{FAILED}", cut(&test.name, TITLE)),
        text: cut(if test.message.is_empty() { &test.name } else { &test.message }, TEXT),
    }
}

fn of_finding(finding: &Finding, failed: bool, root: &str) -> Remark {
    let grade = match finding.severity {
        Severity::Critical | Severity::High if failed => Grade::Error,
        Severity::Critical | Severity::High | Severity::Medium => Grade::Warning,
        Severity::Low | Severity::Note => Grade::Notice,
    };
    Remark {
        grade,
        severity: finding.severity,
        about: About::Finding,
        place: finding.place.as_ref().map(|place| within(place, root)),
        check: format!("{}/{}", finding.tool, finding.rule),
        title: cut(&format!("{}: {}", finding.tool, finding.rule), TITLE),
        text: cut(&finding.message, TEXT),
    }
}

fn of_warning(warning: &Warning) -> Remark {
    Remark {
        grade: Grade::Warning,
        severity: Severity::Medium,
        about: About::Declaration,
        place: Some(Location {
            path: warning.path.clone(),
            line: u32::try_from(warning.line).ok(),
            end_line: None,
        }),
        check: "tasks.toml".to_owned(),
        title: cut(&format!("{}: no effect", warning.declared), TITLE),
        text: cut(&warning.to_string(), TEXT),
    }
}

fn of_ruling(ruling: &Ruling, gate: &str) -> Remark {
    let listed = ruling.breaches.iter().take(5).fold(String::new(), |all, one| all + "\n" + &one.text);
    Remark {
        grade: Grade::Error,
        severity: Severity::Critical,
        about: About::Rule,
        place: None,
        check: ruling.rule.clone(),
        title: cut(&format!("{gate}: {}", ruling.rule), TITLE),
        text: cut(&format!("demanded: {}; the case: {}{listed}", ruling.demand, ruling.fact), TEXT),
    }
}

/// A place relative to the repository, if it is in it.
fn within(place: &Location, root: &str) -> Location {
    let path = place.path.strip_prefix("file://").unwrap_or(&place.path);
    let inside = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    let path = inside.unwrap_or(path);
    Location { path: path.strip_prefix("./").unwrap_or(path).to_owned(), ..*place }
}

/// The last lines of `text` that have at most so many characters together.
fn tail(text: &str, most: usize) -> String {
    let start = text.char_indices().rev().nth(most.saturating_sub(1)).map_or(0, |(at, _)| at);
    let rest = &text[start..];
    // A line that is cut says little.
    let rest = if start == 0 { rest } else { rest.split_once('\n').map_or(rest, |(_, rest)| rest) };
    rest.to_owned()
}
