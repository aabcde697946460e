//! Creates the annotations of a run: the notes that a CI service shows beside lines of code. It must not know
//! how a service writes them or what it calls the grades.
//!
//! There is one annotation for each problem. If a task reports a finding that also breaks a rule of a gate,
//! they share one annotation. A failed task gets its own only if no other annotation says why it failed.

use crate::event::{Ended, Status, TaskFinished};
use crate::git::ChangedLines;
use crate::quality::evidence::{Breach, Ruling, Verdict};
use crate::reporter::run_state::{RunState, cut};
use crate::warning::Warning;
use ci_reports::facts::{FailedTest, Finding, Location, Severity};

/// A note about a problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Annotation {
    /// Its grade.
    pub grade: Grade,
    /// How severe it is among annotations of its grade.
    pub severity: Severity,
    /// What kind of problem it is about.
    pub about: Subject,
    /// The place, relative to the repository if it is inside.
    pub place: Option<Location>,
    /// The rule of a scanner or a gate.
    pub check: String,
    /// The title, one short line.
    pub title: String,
    /// The text.
    pub text: String,
}

/// How an annotation is shown, from the least to the most important.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Grade {
    /// A finding of low severity.
    Notice,
    /// A more severe finding that did not cause a failure.
    Warning,
    /// A problem that made a task fail or broke a rule of a gate.
    Error,
}

/// What an annotation is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A task that failed.
    Task,
    /// A test that failed.
    Test,
    /// A finding of a scanner.
    Finding,
    /// A broken rule of a gate.
    Rule,
    /// A declaration of tasks.toml that has no effect.
    Declaration,
}

/// The annotations of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Annotations {
    /// The annotations, in the order of the run.
    pub known: Vec<Annotation>,
    /// The number of further problems whose details are unknown.
    pub unlisted: u64,
}

/// Annotations that were not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Omitted {
    /// The number of annotations of each grade, starting with notices.
    pub of_grade: [u64; 3],
    /// The number of problems whose details are unknown.
    pub unlisted: u64,
}

/// The maximum number of characters of a title.
const TITLE: usize = 200;
/// The maximum number of characters of a text.
const TEXT: usize = 4000;

impl Annotations {
    /// Collects the annotations of a run in the repository at `root`.
    pub fn of(state: &RunState, root: &str) -> Self {
        let mut annotations = Self::default();
        annotations.known.extend(state.warnings.iter().map(of_warning));
        for task in &state.tasks {
            annotations.add_reported(task, root);
        }
        // A gate judges what the tasks reported, so the annotations of tasks are added first.
        for task in &state.tasks {
            annotations.add_rulings(task, root);
            annotations.add_task(task);
        }
        annotations
    }

    /// Removes the annotations that are also in `others`. One with another grade is not the same.
    pub fn beyond(mut self, others: &Self) -> Self {
        self.known.retain(|annotation| !others.known.contains(annotation));
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
        self.known.extend(evidence.unused.iter().map(|unused| Annotation {
            grade: Grade::Warning,
            severity: Severity::Medium,
            about: Subject::Declaration,
            place: unused.place.clone(),
            check: "tasks.toml".to_owned(),
            title: cut(&format!("{}: no effect", gate.task), TITLE),
            text: cut(&unused.text, TEXT),
        }));
        for ruling in evidence.rulings.iter().filter(|ruling| ruling.verdict == Verdict::Broken) {
            let mut is_told = !ruling.breaches.is_empty();
            for breach in &ruling.breaches {
                is_told &= self.add_breach(breach, ruling, &gate.task, root);
            }
            if !is_told && ruling.breaches.iter().all(|breach| breach.place.is_none()) {
                self.known.push(of_ruling(ruling, &gate.task));
            }
            self.unlisted = self.unlisted.saturating_add(ruling.more);
        }
    }

    /// Adds an annotation for a breach, unless an annotation for the same problem exists. Returns whether the
    /// breach has an annotation now.
    fn add_breach(&mut self, breach: &Breach, ruling: &Ruling, gate: &str, root: &str) -> bool {
        let place = breach.place.as_ref().map(|place| within(place, root));
        let told = |known: &Annotation| (known.place == place).then(|| known.told_by(&breach.text)).flatten();
        // If two findings match equally well, the breach is about the one that does not yet break a rule.
        let rank = |known: &Annotation| told(known).map(|how| (how, known.grade == Grade::Error));
        let best = (0..self.known.len()).filter_map(|i| Some((rank(&self.known[i])?, i))).min();
        if let Some((_, i)) = best {
            self.known[i].grade = Grade::Error;
        } else if place.is_some() || breach.severity.is_some() {
            self.known.push(Annotation {
                grade: Grade::Error,
                severity: breach.severity.unwrap_or(Severity::High),
                about: Subject::Rule,
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
        self.known.push(Annotation {
            grade: Grade::Error,
            severity: Severity::Critical,
            about: Subject::Task,
            place: None,
            check: "task".to_owned(),
            title: cut(&format!("{} failed: {ended}", task.task), TITLE),
            text: tail(text, TEXT),
        });
    }

    /// Sorts by severity, the most severe first; then those on changed lines, then those with a place.
    pub fn sort(&mut self, changed: Option<&ChangedLines>) {
        let is_changed = |place: &Location| {
            let first = place.line.unwrap_or(1);
            let last = place.line.map_or(u32::MAX, |line| place.end_line.unwrap_or(line));
            changed.is_some_and(|changed| changed.overlap(&place.path, first, last))
        };
        self.known.sort_by_cached_key(|annotation| {
            let weight = std::cmp::Reverse((annotation.grade, annotation.severity));
            (weight, !annotation.place.as_ref().is_some_and(is_changed), annotation.place.is_none())
        });
    }

    /// Formats the first `limit` annotations of each grade and counts the omitted ones.
    pub fn shown(
        &self,
        limit: usize,
        show: impl Fn(&Annotation) -> Option<String>,
    ) -> (Vec<String>, Omitted) {
        let mut left = Omitted { unlisted: self.unlisted, ..Omitted::default() };
        let mut counts = [0; 3];
        let mut shown = Vec::new();
        for annotation in &self.known {
            let count = &mut counts[annotation.grade as usize];
            match (*count < limit).then(|| show(annotation)).flatten() {
                Some(text) => {
                    *count += 1;
                    shown.push(text);
                }
                None => left.of_grade[annotation.grade as usize] += 1,
            }
        }
        (shown, left)
    }
}

impl Annotation {
    /// Returns how this annotation matches a breach at the same place, or `None` if it is another problem.
    fn told_by(&self, breach: &str) -> Option<Match> {
        let holds = |text: &str| !text.is_empty() && breach.contains(text);
        match self.about {
            Subject::Test => self.title.strip_suffix(FAILED).filter(|name| holds(name)).map(|_| Match::Text),
            Subject::Finding if holds(&self.text) => Some(Match::Text),
            Subject::Finding => {
                self.check.split_once('/').filter(|(_, rule)| holds(rule)).map(|_| Match::Rule)
            }
            Subject::Rule => (breach == self.text).then_some(Match::Text),
            Subject::Task | Subject::Declaration => None,
        }
    }
}

/// How an annotation matches a breach.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// The text is the same.
    Text,
    /// Only the name of the rule is the same.
    Rule,
}

impl Omitted {
    /// Describes them, such as `3 errors and 1 notice`, or returns `None` if nothing was omitted.
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

/// The end of a failed test's title.
const FAILED: &str = " failed";

fn of_test(test: &FailedTest, failed: bool, root: &str) -> Annotation {
    Annotation {
        grade: if failed { Grade::Error } else { Grade::Warning },
        severity: Severity::High,
        about: Subject::Test,
        place: test.place.as_ref().map(|place| within(place, root)),
        check: "test".to_owned(),
        title: format!("{}{FAILED}", cut(&test.name, TITLE)),
        text: cut(if test.message.is_empty() { &test.name } else { &test.message }, TEXT),
    }
}

fn of_finding(finding: &Finding, failed: bool, root: &str) -> Annotation {
    let grade = match finding.severity {
        Severity::Critical | Severity::High if failed => Grade::Error,
        Severity::Critical | Severity::High | Severity::Medium => Grade::Warning,
        Severity::Low | Severity::Note => Grade::Notice,
    };
    Annotation {
        grade,
        severity: finding.severity,
        about: Subject::Finding,
        place: finding.place.as_ref().map(|place| within(place, root)),
        check: format!("{}/{}", finding.tool, finding.rule),
        title: cut(&format!("{}: {}", finding.tool, finding.rule), TITLE),
        text: cut(&finding.message, TEXT),
    }
}

fn of_warning(warning: &Warning) -> Annotation {
    Annotation {
        grade: Grade::Warning,
        severity: Severity::Medium,
        about: Subject::Declaration,
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

fn of_ruling(ruling: &Ruling, gate: &str) -> Annotation {
    let listed = ruling.breaches.iter().take(5).fold(String::new(), |all, one| all + "\n" + &one.text);
    Annotation {
        grade: Grade::Error,
        severity: Severity::Critical,
        about: Subject::Rule,
        place: None,
        check: ruling.rule.clone(),
        title: cut(&format!("{gate}: {}", ruling.rule), TITLE),
        text: cut(&format!("required: {}; found: {}{listed}", ruling.demand, ruling.fact), TEXT),
    }
}

/// Makes a place relative to the repository, if it is inside.
fn within(place: &Location, root: &str) -> Location {
    let path = place.path.strip_prefix("file://").unwrap_or(&place.path);
    let inside = path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    let path = inside.unwrap_or(path);
    Location { path: path.strip_prefix("./").unwrap_or(path).to_owned(), ..*place }
}

/// Returns the last lines of `text`, with at most `most` characters.
fn tail(text: &str, most: usize) -> String {
    let start = text.char_indices().rev().nth(most.saturating_sub(1)).map_or(0, |(at, _)| at);
    let rest = &text[start..];
    // The first line was cut in the middle, so it is dropped.
    let rest = if start == 0 { rest } else { rest.split_once('\n').map_or(rest, |(_, rest)| rest) };
    rest.to_owned()
}
