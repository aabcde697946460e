//! The cases of a `JUnit` report: what the elements of each case say, and the sum of all cases.

use std::collections::HashMap;

use super::locations;
use crate::ParseError;
use crate::budget::Budget;
use crate::facts::{FailedTest, Location, Tests};
use crate::text;
use crate::xml::{Element, TEXT};

/// A case while it is read.
pub(super) struct Case {
    name: String,
    class: String,
    status: String,
    file: Option<String>,
    line: Option<u32>,
    failure: Option<OutcomeElement>,
    listed: ListedTests,
    /// The outcomes that its elements report, without duplicates.
    reported: Vec<ReportedOutcome>,
}

/// An outcome that an element in a case reports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReportedOutcome {
    Fails,
    /// It failed again when it was repeated.
    FailsAgain,
    /// It failed, and passed when it was repeated.
    Flaky,
    Skipped,
    /// It may fail, because its subject is not implemented yet. Its failure is counted.
    Todo,
    /// It may fail, and its failure is not counted.
    MayFail,
}

/// An element in a case that reports how the case ended.
pub(super) struct OutcomeElement {
    outcome: ReportedOutcome,
    message: String,
    text: String,
}

impl OutcomeElement {
    /// Creates the part for an element, if the element reports how the case ended.
    pub(super) fn new(element: &Element) -> Option<Self> {
        let saying = match &*element.name {
            "failure" | "error" => ReportedOutcome::Fails,
            "rerunFailure" | "rerunError" => ReportedOutcome::FailsAgain,
            "flakyFailure" | "flakyError" => ReportedOutcome::Flaky,
            "skipped" if element.get("type") == Some("todo") => ReportedOutcome::Todo,
            // Catch2 lists the failures of such a test too.
            "skipped" if element.get("message") == Some("TEST_CASE tagged with !mayfail") => {
                ReportedOutcome::MayFail
            }
            "skipped" => ReportedOutcome::Skipped,
            _ => return None,
        };
        let message = element.get("message").unwrap_or_default().to_owned();
        Some(Self { outcome: saying, message, text: String::new() })
    }

    /// Appends text.
    pub(super) fn append(&mut self, text: &str) {
        let room = TEXT.saturating_sub(self.text.len());
        self.text.push_str(text::start(text, room));
    }

    /// Returns whether it reports a failure.
    pub(super) fn fails(&self) -> bool {
        matches!(self.outcome, ReportedOutcome::Fails | ReportedOutcome::FailsAgain)
    }

    /// Returns whether it reports that the case did not run.
    pub(super) fn skips(&self) -> bool {
        matches!(self.outcome, ReportedOutcome::Skipped | ReportedOutcome::Todo | ReportedOutcome::MayFail)
    }

    /// Returns the message of a failure, and its location if it is known. The element's text is
    /// used if it starts with the message, since it is then more detailed.
    pub(super) fn failure(&self, file: Option<&str>) -> (String, Option<Location>) {
        let place = locations::find(&self.text, file).or_else(|| locations::find(&self.message, file));
        let (message, text) = (self.message.trim(), self.text.trim_start());
        let says_more = message.is_empty() || text.starts_with(message);
        let shown = if says_more && !text.is_empty() { text } else { message };
        let shown = shown.split("\nstack backtrace:").next().unwrap_or_default();
        (text::few_lines(shown), place)
    }
}

impl Case {
    /// Creates a case from its start tag.
    pub(super) fn new(element: &Element) -> Self {
        let get = |name: &str| element.get(name).unwrap_or_default();
        let line = element.get("line").or_else(|| element.get("lineno"));
        let name = get("name");
        let listed = ListedTests {
            assertions: element.get("assertions").map(|count| count.trim().parse().unwrap_or_default()),
            is_run: get("status") == "run" && element.get("result").is_none(),
            is_go: ["Test", "Example", "Fuzz", "Benchmark"].iter().any(|word| name.starts_with(word)),
            ..ListedTests::default()
        };
        Self {
            name: text::one_line(name, 500),
            class: text::one_line(element.get("classname").unwrap_or_else(|| get("class")), 300),
            status: [get("status"), get("result")].join(" ").to_ascii_lowercase(),
            file: element.get("file").filter(|file| !file.is_empty()).map(str::to_owned),
            line: line.and_then(|line| line.trim().parse().ok()),
            failure: None,
            listed,
            reported: Vec::new(),
        }
    }

    /// Adds a part at its end tag.
    pub(super) fn add(&mut self, part: OutcomeElement) {
        match part.outcome {
            ReportedOutcome::Fails => self.listed.failures += 1,
            ReportedOutcome::FailsAgain | ReportedOutcome::Flaky => self.listed.attempts += 1,
            ReportedOutcome::Skipped | ReportedOutcome::Todo | ReportedOutcome::MayFail => {}
        }
        if !self.reports(part.outcome) {
            self.reported.push(part.outcome);
        }
        if part.fails() {
            self.failure.get_or_insert(part);
        }
    }

    fn reports(&self, saying: ReportedOutcome) -> bool {
        self.reported.contains(&saying)
    }

    /// Returns what the case lists.
    pub(super) fn listed(&self) -> ListedTests {
        let failures = if self.reports(ReportedOutcome::MayFail) { 0 } else { self.listed.failures };
        ListedTests { failures, ..self.listed }
    }

    /// Returns the name and the outcome of the case.
    pub(super) fn end(self, suite: &str, suite_file: Option<&str>) -> (String, Outcome) {
        let name = full_name(if self.class.is_empty() { suite } else { &self.class }, &self.name);
        let status = |words: &[&str]| self.status.split(' ').any(|word| words.contains(&word));
        if self.reports(ReportedOutcome::Todo) || self.reports(ReportedOutcome::MayFail) {
            return (name, Outcome::Skipped);
        }
        if let Some(failure) = &self.failure {
            let file = self.file.as_deref().or(suite_file);
            let (message, found) = failure.failure(file);
            // pytest counts lines from 0.
            let line = self.line.map(|line| line.saturating_add(u32::from(suite == "pytest")));
            let own = file.map(|file| Location { path: file.replace('\\', "/"), line, end_line: None });
            let place = found.or(own);
            return (name.clone(), Outcome::Failed(FailedTest { name, message, place }));
        }
        if self.reports(ReportedOutcome::Skipped) || status(&NOT_RUN) {
            return (name, Outcome::Skipped);
        }
        if self.reports(ReportedOutcome::Flaky) {
            return (name, Outcome::Flaky);
        }
        if status(&FAILED) {
            let message = "its status says that it failed".to_owned();
            return (name.clone(), Outcome::Failed(FailedTest { name, message, place: None }));
        }
        (name, Outcome::Passed)
    }
}

/// The values of `status` and `result` which mean that a case did not run.
const NOT_RUN: [&str; 8] =
    ["notrun", "skipped", "skip", "disabled", "suppressed", "ignored", "pending", "untested"];
/// The values which mean that a case failed.
const FAILED: [&str; 10] = [
    "fail",
    "failed",
    "failure",
    "error",
    "errored",
    "broken",
    "crashed",
    "timeout",
    "timedout",
    "undefined",
];

/// Returns the name of a test after the name of its class, unless it contains it already.
fn full_name(class: &str, name: &str) -> String {
    if class.is_empty() && name.is_empty() {
        return "(a test without a name)".to_owned();
    }
    if class.is_empty() || name.starts_with(class) {
        return name.to_owned();
    }
    if name.is_empty() { class.to_owned() } else { format!("{class} › {name}") }
}

/// What a suite or a case lists.
#[derive(Clone, Copy, Default)]
pub(super) struct ListedTests {
    pub(super) cases: u64,
    /// The number of elements that report a failure.
    pub(super) failures: u64,
    /// The number of cases that failed.
    pub(super) failed: u64,
    /// The number of cases that are marked as skipped.
    pub(super) skipped: u64,
    /// The number of attempts that failed before the last one.
    pub(super) attempts: u64,
    /// The number of assertions that a case declares, if it does.
    pub(super) assertions: Option<u64>,
    /// Whether a case looks like those of Catch2 and doctest: it has the status `run` and no
    /// result.
    pub(super) is_run: bool,
    /// Whether a case has the name of a Go test.
    pub(super) is_go: bool,
}

/// The outcome of one case.
pub(super) enum Outcome {
    Passed,
    /// It passed when it was repeated.
    Flaky,
    Skipped,
    Failed(FailedTest),
}

/// The tests that were read so far.
pub(super) struct Tally {
    tests: Tests,
    budget: Budget,
    /// The tests by name, if cases of the same name are treated as one test.
    joined: Option<Joined>,
}

/// Tests and their positions by name.
#[derive(Default)]
struct Joined {
    /// The tests in the order in which they were first read.
    tests: Vec<(String, Outcome)>,
    places: HashMap<String, usize>,
}

impl Tally {
    /// Creates a tally without tests.
    pub(super) fn new() -> Self {
        Self { tests: Tests::default(), budget: Budget::new(), joined: None }
    }

    /// Treats cases of the same name as one test from now on.
    pub(super) fn join_names(&mut self) {
        self.joined.get_or_insert_with(Default::default);
    }

    /// Returns whether cases of the same name are treated as one test.
    pub(super) fn joins_names(&self) -> bool {
        self.joined.is_some()
    }

    /// Adds a case.
    pub(super) fn case(&mut self, name: String, outcome: Outcome) -> Result<(), ParseError> {
        let Some(Joined { tests, places }) = &mut self.joined else {
            return self.add(name, outcome);
        };
        match places.get(&name) {
            Some(place) => {
                let known = &mut tests[*place].1;
                let before = std::mem::replace(known, Outcome::Skipped);
                *known = match (before, outcome) {
                    (Outcome::Failed(failed), _) | (_, Outcome::Failed(failed)) => Outcome::Failed(failed),
                    (Outcome::Skipped, other) | (other, Outcome::Skipped) => other,
                    _ => Outcome::Flaky,
                };
            }
            None => {
                // The name is stored twice.
                self.budget.keep(2 * name.len())?;
                places.insert(name.clone(), tests.len());
                tests.push((name, outcome));
            }
        }
        Ok(())
    }

    /// Adds a failure that is not in a case.
    pub(super) fn failed(&mut self, test: FailedTest) -> Result<(), ParseError> {
        self.add(String::new(), Outcome::Failed(test))
    }

    /// Counts up to `count` of the passed tests as skipped, and returns how many these were.
    pub(super) fn not_run(&mut self, count: u64) -> u64 {
        let count = count.min(self.tests.passed);
        self.tests.passed -= count;
        self.tests.skipped += count;
        count
    }

    /// Returns all tests.
    pub(super) fn end(mut self) -> Result<Tests, ParseError> {
        for (name, outcome) in self.joined.take().unwrap_or_default().tests {
            self.add(name, outcome)?;
        }
        Ok(self.tests)
    }

    fn add(&mut self, name: String, outcome: Outcome) -> Result<(), ParseError> {
        match outcome {
            Outcome::Passed => self.tests.passed += 1,
            Outcome::Skipped => self.tests.skipped += 1,
            Outcome::Flaky => {
                self.budget.keep(name.len())?;
                self.tests.passed += 1;
                self.tests.flaky.push(name);
            }
            Outcome::Failed(test) => {
                self.budget.keep(test.name.len() + test.message.len())?;
                self.tests.failed.push(test);
            }
        }
        Ok(())
    }
}
