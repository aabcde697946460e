//! One case of a `JUnit` report: its attributes and the elements in it. It must not know suites.

use super::spot;
use super::tally::Outcome;
use super::totals::Listed;
use crate::facts::{FailedTest, Spot};
use crate::text;
use crate::xml::{Element, TEXT};

/// A case so far.
pub(super) struct Case {
    name: String,
    class: String,
    status: String,
    file: Option<String>,
    line: Option<u32>,
    failure: Option<Part>,
    listed: Listed,
    /// What its elements say, each once.
    said: Vec<Saying>,
}

/// What an element in a case says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saying {
    Fails,
    /// It failed again when it was tried again.
    FailsAgain,
    /// It failed and passed when it was tried again.
    Flaky,
    Skipped,
    /// It may fail: what it is to test is not there yet. Its failure is counted.
    Todo,
    /// It may fail, and its failure is not counted.
    MayFail,
}

/// An element in a case that says what became of it.
pub(super) struct Part {
    saying: Saying,
    message: String,
    text: String,
}

impl Part {
    /// The part that an element begins, if it says anything.
    pub(super) fn new(element: &Element) -> Option<Self> {
        let saying = match &*element.name {
            "failure" | "error" => Saying::Fails,
            "rerunFailure" | "rerunError" => Saying::FailsAgain,
            "flakyFailure" | "flakyError" => Saying::Flaky,
            "skipped" if element.get("type") == Some("todo") => Saying::Todo,
            // Catch2, which lists its failures all the same.
            "skipped" if element.get("message") == Some("TEST_CASE tagged with !mayfail") => Saying::MayFail,
            "skipped" => Saying::Skipped,
            _ => return None,
        };
        let message = element.get("message").unwrap_or_default().to_owned();
        Some(Self { saying, message, text: String::new() })
    }

    /// Adds text of it.
    pub(super) fn append(&mut self, text: &str) {
        let room = TEXT.saturating_sub(self.text.len());
        self.text.push_str(text::start(text, room));
    }

    /// Whether it says that something failed.
    pub(super) fn fails(&self) -> bool {
        matches!(self.saying, Saying::Fails | Saying::FailsAgain)
    }

    /// Whether it says that something was not run.
    pub(super) fn skips(&self) -> bool {
        matches!(self.saying, Saying::Skipped | Saying::Todo | Saying::MayFail)
    }

    /// What it says of a failure, and where that is, if it says so. The text of tools that repeat
    /// their message there says more than the message.
    pub(super) fn failure(&self, file: Option<&str>) -> (String, Option<Spot>) {
        let place = spot::of(&self.text, file).or_else(|| spot::of(&self.message, file));
        let (message, text) = (self.message.trim(), self.text.trim_start());
        let says_more = message.is_empty() || text.starts_with(message);
        let shown = if says_more && !text.is_empty() { text } else { message };
        let shown = shown.split("\nstack backtrace:").next().unwrap_or_default();
        (text::few_lines(shown), place)
    }
}

impl Case {
    /// A case at its start.
    pub(super) fn new(element: &Element) -> Self {
        let get = |name: &str| element.get(name).unwrap_or_default();
        let line = element.get("line").or_else(|| element.get("lineno"));
        let name = get("name");
        let listed = Listed {
            assertions: element.get("assertions").map(|count| count.trim().parse().unwrap_or_default()),
            is_run: get("status") == "run" && element.get("result").is_none(),
            is_go: ["Test", "Example", "Fuzz", "Benchmark"].iter().any(|word| name.starts_with(word)),
            ..Listed::default()
        };
        Self {
            name: text::one_line(name, 500),
            class: text::one_line(element.get("classname").unwrap_or_else(|| get("class")), 300),
            status: [get("status"), get("result")].join(" ").to_ascii_lowercase(),
            file: element.get("file").filter(|file| !file.is_empty()).map(str::to_owned),
            line: line.and_then(|line| line.trim().parse().ok()),
            failure: None,
            listed,
            said: Vec::new(),
        }
    }

    /// Adds an element that ended.
    pub(super) fn add(&mut self, part: Part) {
        match part.saying {
            Saying::Fails => self.listed.failures += 1,
            Saying::FailsAgain | Saying::Flaky => self.listed.attempts += 1,
            Saying::Skipped | Saying::Todo | Saying::MayFail => {}
        }
        if !self.says(part.saying) {
            self.said.push(part.saying);
        }
        if part.fails() {
            self.failure.get_or_insert(part);
        }
    }

    fn says(&self, saying: Saying) -> bool {
        self.said.contains(&saying)
    }

    /// What it lists.
    pub(super) fn listed(&self) -> Listed {
        let failures = if self.says(Saying::MayFail) { 0 } else { self.listed.failures };
        Listed { failures, ..self.listed }
    }

    /// Its name, and what became of it.
    pub(super) fn end(self, suite: &str, suite_file: Option<&str>) -> (String, Outcome) {
        let name = full_name(if self.class.is_empty() { suite } else { &self.class }, &self.name);
        let status = |words: &[&str]| self.status.split(' ').any(|word| words.contains(&word));
        if self.says(Saying::Todo) || self.says(Saying::MayFail) {
            return (name, Outcome::Skipped);
        }
        if let Some(failure) = &self.failure {
            let file = self.file.as_deref().or(suite_file);
            let (message, found) = failure.failure(file);
            // pytest counts lines from 0.
            let line = self.line.map(|line| line.saturating_add(u32::from(suite == "pytest")));
            let own = file.map(|file| Spot { path: file.replace('\\', "/"), line, end_line: None });
            let place = found.or(own);
            return (name.clone(), Outcome::Failed(FailedTest { name, message, place }));
        }
        if self.says(Saying::Skipped) || status(&NOT_RUN) {
            return (name, Outcome::Skipped);
        }
        if self.says(Saying::Flaky) {
            return (name, Outcome::Flaky);
        }
        if status(&FAILED) {
            let message = "its status says that it failed".to_owned();
            return (name.clone(), Outcome::Failed(FailedTest { name, message, place: None }));
        }
        (name, Outcome::Passed)
    }
}

/// What tools write in `status` and `result` of a case that was not run.
const NOT_RUN: [&str; 8] =
    ["notrun", "skipped", "skip", "disabled", "suppressed", "ignored", "pending", "untested"];
/// And of one that failed.
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

/// The name of a test behind that of its class, unless it has that already.
fn full_name(class: &str, name: &str) -> String {
    if class.is_empty() && name.is_empty() {
        return "(a test without a name)".to_owned();
    }
    if class.is_empty() || name.starts_with(class) {
        return name.to_owned();
    }
    if name.is_empty() { class.to_owned() } else { format!("{class} › {name}") }
}
