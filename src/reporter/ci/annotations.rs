//! Creates the annotations of a run: the notes that a CI service shows beside lines of code. It must not know
//! how a service writes them or what it calls the grades.
//!
//! There is one annotation for each problem. If a task reports a finding that also breaks a rule of a gate,
//! they share one annotation. A failed task gets its own only if no other annotation says why it failed.

use crate::config_warning::Warning;
use crate::event::{Ended, Status, TaskFinished};
use crate::git::ChangedLines;
use crate::quality::evidence::{Ruling, Verdict, Violation};
use crate::reporter::run_state::{RunState, cut};
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
    pub location: Option<Location>,
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
    pub by_grade: [u64; 3],
    /// The number of problems whose details are unknown.
    pub unlisted: u64,
}

/// The maximum number of characters of a title.
const MAX_TITLE: usize = 200;
/// The maximum number of characters of a text.
const MAX_TEXT: usize = 4000;

impl Annotations {
    /// Collects the annotations of a run in the repository at `root`.
    pub fn from_run(state: &RunState, root: &str) -> Self {
        let mut annotations = Self::default();
        annotations.known.extend(state.warnings.iter().map(warning_annotation));
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
    pub fn except(mut self, others: &Self) -> Self {
        self.known.retain(|annotation| !others.known.contains(annotation));
        self.unlisted = self.unlisted.saturating_sub(others.unlisted);
        self
    }

    fn add_reported(&mut self, task: &TaskFinished, root: &str) {
        let Some(reported) = &task.reported else { return };
        let failed = !task.status.is_pass();
        let tests = reported.tests.iter().flat_map(|tests| &tests.failed);
        self.known.extend(tests.map(|test| test_annotation(test, failed, root)));
        let findings = reported.findings.iter().filter(|finding| finding.accepted.is_none());
        self.known.extend(findings.map(|finding| finding_annotation(finding, failed, root)));
        self.unlisted += (reported.more_failed + reported.more_findings) as u64;
    }

    fn add_rulings(&mut self, gate: &TaskFinished, root: &str) {
        let Some(evidence) = &gate.evidence else { return };
        self.known.extend(evidence.unused_suppressions.iter().map(|unused| Annotation {
            grade: Grade::Warning,
            severity: Severity::Medium,
            about: Subject::Declaration,
            location: unused.place.clone(),
            check: "tasks.toml".to_owned(),
            title: cut(&format!("{}: no effect", gate.task), MAX_TITLE),
            text: cut(&unused.text, MAX_TEXT),
        }));
        for ruling in evidence.rules.iter().filter(|ruling| ruling.verdict == Verdict::Broken) {
            let mut is_shown = !ruling.violations.is_empty();
            for violation in &ruling.violations {
                is_shown &= self.add_violation(violation, ruling, &gate.task, root);
            }
            if !is_shown && ruling.violations.iter().all(|violation| violation.place.is_none()) {
                self.known.push(ruling_annotation(ruling, &gate.task));
            }
            self.unlisted = self.unlisted.saturating_add(ruling.more);
        }
    }

    /// Adds an annotation for a violation, unless an annotation for the same problem exists. Returns whether the
    /// violation has an annotation now.
    fn add_violation(&mut self, violation: &Violation, ruling: &Ruling, gate: &str, root: &str) -> bool {
        let place = violation.place.as_ref().map(|place| relative_location(place, root));
        let match_of = |known: &Annotation| {
            (known.location == place).then(|| known.match_violation(&violation.text)).flatten()
        };
        // If two findings match equally well, the violation is about the one that does not yet break a rule.
        let rank = |known: &Annotation| match_of(known).map(|how| (how, known.grade == Grade::Error));
        let best = (0..self.known.len()).filter_map(|i| Some((rank(&self.known[i])?, i))).min();
        if let Some((_, i)) = best {
            self.known[i].grade = Grade::Error;
        } else if place.is_some() || violation.severity.is_some() {
            self.known.push(Annotation {
                grade: Grade::Error,
                severity: violation.severity.unwrap_or(Severity::High),
                about: Subject::Rule,
                location: place,
                check: ruling.rule.clone(),
                title: cut(&format!("{gate}: {}", ruling.rule), MAX_TITLE),
                text: cut(&violation.text, MAX_TEXT),
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
            location: None,
            check: "task".to_owned(),
            title: cut(&format!("{} failed: {ended}", task.task), MAX_TITLE),
            text: tail(text, MAX_TEXT),
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
            (weight, !annotation.location.as_ref().is_some_and(is_changed), annotation.location.is_none())
        });
    }

    /// Formats the first `limit` annotations of each grade and counts the omitted ones.
    pub fn format_first(
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
                None => left.by_grade[annotation.grade as usize] += 1,
            }
        }
        (shown, left)
    }
}

impl Annotation {
    /// Returns how this annotation matches a violation at the same place, or `None` if it is another problem.
    fn match_violation(&self, violation: &str) -> Option<ViolationMatch> {
        let holds = |text: &str| !text.is_empty() && violation.contains(text);
        match self.about {
            Subject::Test => self
                .title
                .strip_suffix(FAILED_SUFFIX)
                .filter(|name| holds(name))
                .map(|_| ViolationMatch::Text),
            Subject::Finding if holds(&self.text) => Some(ViolationMatch::Text),
            Subject::Finding => {
                self.check.split_once('/').filter(|(_, rule)| holds(rule)).map(|_| ViolationMatch::Rule)
            }
            Subject::Rule => (violation == self.text).then_some(ViolationMatch::Text),
            Subject::Task | Subject::Declaration => None,
        }
    }
}

/// How an annotation matches a violation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ViolationMatch {
    /// The text is the same.
    Text,
    /// Only the name of the rule is the same.
    Rule,
}

impl Omitted {
    /// Describes them, such as `3 errors and 1 notice`, or returns `None` if nothing was omitted.
    pub fn describe(&self) -> Option<String> {
        let named =
            [("error", self.by_grade[2]), ("warning", self.by_grade[1]), ("notice", self.by_grade[0])];
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
const FAILED_SUFFIX: &str = " failed";

fn test_annotation(test: &FailedTest, failed: bool, root: &str) -> Annotation {
    Annotation {
        grade: if failed { Grade::Error } else { Grade::Warning },
        severity: Severity::High,
        about: Subject::Test,
        location: test.place.as_ref().map(|place| relative_location(place, root)),
        check: "test".to_owned(),
        title: format!("{}{FAILED_SUFFIX}", cut(&test.name, MAX_TITLE)),
        text: cut(if test.message.is_empty() { &test.name } else { &test.message }, MAX_TEXT),
    }
}

fn finding_annotation(finding: &Finding, failed: bool, root: &str) -> Annotation {
    let grade = match finding.severity {
        Severity::Critical | Severity::High if failed => Grade::Error,
        Severity::Critical | Severity::High | Severity::Medium => Grade::Warning,
        Severity::Low | Severity::Note => Grade::Notice,
    };
    Annotation {
        grade,
        severity: finding.severity,
        about: Subject::Finding,
        location: finding.place.as_ref().map(|place| relative_location(place, root)),
        check: format!("{}/{}", finding.tool, finding.rule),
        title: cut(&format!("{}: {}", finding.tool, finding.rule), MAX_TITLE),
        text: cut(&finding.message, MAX_TEXT),
    }
}

fn warning_annotation(warning: &Warning) -> Annotation {
    Annotation {
        grade: Grade::Warning,
        severity: Severity::Medium,
        about: Subject::Declaration,
        location: Some(Location {
            path: warning.path.clone(),
            line: u32::try_from(warning.line).ok(),
            end_line: None,
        }),
        check: "tasks.toml".to_owned(),
        title: cut(&format!("{}: no effect", warning.declared), MAX_TITLE),
        text: cut(&warning.to_string(), MAX_TEXT),
    }
}

fn ruling_annotation(ruling: &Ruling, gate: &str) -> Annotation {
    let listed = ruling.violations.iter().take(5).fold(String::new(), |all, one| all + "\n" + &one.text);
    Annotation {
        grade: Grade::Error,
        severity: Severity::Critical,
        about: Subject::Rule,
        location: None,
        check: ruling.rule.clone(),
        title: cut(&format!("{gate}: {}", ruling.rule), MAX_TITLE),
        text: cut(&format!("required: {}; found: {}{listed}", ruling.required, ruling.actual), MAX_TEXT),
    }
}

/// Makes a place relative to the repository, if it is inside.
fn relative_location(place: &Location, root: &str) -> Location {
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
