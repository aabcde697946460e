//! Tests of the CI reporter, with the events of an invented run.

mod annotations;
mod forged_commands;
mod formats;
mod summary;

use crate::base::clock::Timestamp;
use crate::decision_reason::Reason;
use crate::event::{
    Ended, Event, Level, Log, Reported, RunStarted, Status, Summary, TaskFinished, Verdict, What,
};
use crate::git::ChangedLines;
use crate::quality::evidence::{BaselineFacts, Evidence, Ruling, Verdict as Judged, Violation};
use crate::reporter::Output;
use crate::reporter::Reporter as _;
use crate::reporter::ci::{AnnotationContext, CiReporter, Dialect, azure, buildkite, github, gitlab};
use crate::reporter::run_state::RunState;
use crate::reporter::style::Paint;
use ci_reports::facts::{FailedTest, Finding, Location, Ratio, Severity, Tests};

/// The path of the invented repository.
const ROOT: &str = "/home/me/shop";

fn at(at: u64, what: What) -> Event {
    Event { at, what }
}

fn started(names: &str, tasks: usize) -> Event {
    let run = RunStarted {
        version: 1,
        run: "20261121-093015-4711a".to_owned(),
        started: Timestamp(1_795_253_415_000),
        names: vec![names.to_owned()],
        tree: Some("3f2a9c1d5e6f708192a3b4c5d6e7f8091a2b3c4d".to_owned()),
        tasks,
        hits: 0,
        jobs: 2,
        width: 7,
        gated: None,
        parent_run: None,
    };
    at(0, What::RunStarted(run))
}

fn task(name: &str, status: Status, log: &str) -> TaskFinished {
    TaskFinished {
        started: 1000,
        took: 2000,
        attempts: 1,
        log: Log { text: log.to_owned(), left_out: 0 },
        command: format!("make {name}"),
        ..TaskFinished::new(name, status, Reason::FirstRun)
    }
}

fn failed() -> Status {
    Status::Failed { ended: Ended::Exit { code: 1 } }
}

fn spot(path: &str, line: u32) -> Location {
    Location { path: path.to_owned(), line: Some(line), end_line: None }
}

fn finding(severity: Severity, rule: &str, place: Option<Location>) -> Finding {
    Finding {
        severity,
        tool: "semgrep".to_owned(),
        rule: rule.to_owned(),
        message: format!("this is {rule}"),
        place,
        content: None,
        accepted: None,
    }
}

fn ruling(rule: &str, verdict: Judged, violations: Vec<Violation>) -> Ruling {
    let (required, actual) = ("≥ 80 %".to_owned(), "76.2 % (381 of 500 lines)".to_owned());
    Ruling { rule: rule.to_owned(), required, actual, verdict, violations, more: 0 }
}

fn violation(text: &str, place: Option<Location>, severity: Option<Severity>) -> Violation {
    Violation { text: text.to_owned(), place, severity }
}

fn finished(tasks: &[TaskFinished]) -> Event {
    let failed: Vec<String> =
        tasks.iter().filter(|task| !task.status.is_pass()).map(|task| task.task.clone()).collect();
    let summary = Summary {
        verdict: if failed.is_empty() { Verdict::Passed } else { Verdict::Failed },
        took: 9000,
        hits: 0,
        executed: tasks.len(),
        failed,
        flaky: Vec::new(),
        slow: Vec::new(),
        skipped: 0,
        saved: 61_000,
        changed_files: Vec::new(),
        pending_gates: Vec::new(),
    };
    at(9000, What::RunFinished(summary))
}

/// Returns the events of a run of these tasks.
fn run(tasks: &[TaskFinished]) -> Vec<Event> {
    let mut events = vec![started("ci", tasks.len())];
    events.extend(tasks.iter().map(|task| at(3000, What::TaskFinished(task.clone()))));
    events.push(finished(tasks));
    events
}

fn state(events: &[Event]) -> RunState {
    let mut state = RunState::default();
    for event in events {
        state.apply(event);
    }
    state
}

/// Creates the tasks of a shop: a build that passes, tests of which one fails, a scanner, and a gate that
/// fails because of both.
fn shop() -> Vec<TaskFinished> {
    let tests = Tests {
        passed: 41,
        failed: vec![FailedTest {
            name: "cart::adds, twice".to_owned(),
            message: "left: 1\nright: 100%".to_owned(),
            place: Some(spot("/home/me/shop/src/cart.rs", 12)),
        }],
        skipped: 0,
        flaky: vec!["cart::clock".to_owned()],
        totals: None,
    };
    let findings = vec![
        finding(Severity::High, "sql-injection", Some(spot("./src/db.rs", 7))),
        finding(Severity::Low, "long-line", Some(spot("src/cart.rs", 90))),
    ];
    let evidence = Evidence {
        unused_suppressions: Vec::new(),
        rules: vec![
            ruling("coverage.min", Judged::Broken, Vec::new()),
            ruling("tests.min-count", Judged::Holds, Vec::new()),
            ruling(
                "findings.high",
                Judged::Broken,
                vec![violation(
                    "semgrep sql-injection: this is sql-injection",
                    Some(spot("src/db.rs", 7)),
                    Some(Severity::High),
                )],
            ),
            ruling("findings.new", Judged::Unjudged, Vec::new()),
        ],
        reports: Vec::new(),
        baseline: Some("1a2b3c4 (merge base with origin/main)".to_owned()),
        record: BaselineFacts {
            coverage: Some(Ratio { part: 381, whole: 500 }),
            tests: Some(42),
            findings: None,
        },
    };
    let mut unit = task("unit", failed(), "running 42 tests\ncart::adds, twice FAILED\n");
    unit.reported = Some(Box::new(Reported { tests: Some(tests), ..Reported::default() }));
    let mut scan = task("scan", Status::Passed, "2 findings\n");
    scan.reported = Some(Box::new(Reported { findings, ..Reported::default() }));
    let mut gate = task("quality", Status::Failed { ended: Ended::Rules { broken: 2 } }, "");
    gate.evidence = Some(Box::new(evidence));
    gate.command = String::new();
    vec![
        task("build", Status::Passed, "compiled\n"),
        unit,
        scan,
        gate,
        task("docs", failed(), "no such page\n"),
    ]
}

/// Returns what the reporter prints for these events.
fn printed(events: &[Event], output: Output, dialect: Box<dyn Dialect>) -> String {
    let context = AnnotationContext { root: ROOT.to_owned(), changed: None };
    printed_at(events, Paint::PLAIN, output, dialect, context)
}

fn printed_at(
    events: &[Event],
    paint: Paint,
    output: Output,
    dialect: Box<dyn Dialect>,
    context: AnnotationContext,
) -> String {
    let mut text = Vec::new();
    let mut reporter = CiReporter::new(&mut text, paint, output, dialect, context);
    for event in events {
        reporter.event(event).unwrap();
    }
    drop(reporter);
    String::from_utf8(text).unwrap()
}

fn github() -> Box<dyn Dialect> {
    Box::new(github::Github::new([7; 32]))
}

fn azure() -> Box<dyn Dialect> {
    Box::new(azure::Azure::new("/home/me/shop/.xtask-artifacts/summary.md".to_owned()))
}

fn gitlab() -> Box<dyn Dialect> {
    Box::new(gitlab::Gitlab)
}

fn buildkite() -> Box<dyn Dialect> {
    Box::new(buildkite::Buildkite)
}
