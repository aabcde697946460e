//! The summary reporter: writes the result of a run to a file, as Markdown. It must not know which CI service
//! shows it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::file::{self, Durability};
use crate::base::text::{count, first_of};
use crate::base::units;
use crate::event::{Event, Status, Summary, TaskFinished, Verdict, What};
use crate::quality::evidence::{Evidence, Ruling, Verdict as Judged};
use crate::reporter::Reporter;
use crate::reporter::markdown::{block, cell, code, row, table_header};
use crate::reporter::run_state::RunState;

/// The maximum size of a summary on GitHub, in bytes.
const ROOM: usize = 1 << 20;
/// How many tasks, failed tests, violations and logs are listed.
const TASKS: usize = 50;
const TESTS: usize = 50;
const VIOLATIONS: usize = 20;
const LOGS: usize = 10;
/// The text that replaces what did not fit.
const CUT: &str =
    "\n*The summary is cut here: there is no room for more. `xtask log` shows the whole run.*\n";

/// Collects the events of a run and writes the file at its end.
pub struct SummaryFile {
    path: PathBuf,
    mode: Mode,
    state: RunState,
}

/// What happens to the content of an existing file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It is kept, and counts towards the maximum size.
    Append,
    /// It is replaced.
    Replace,
}

impl Mode {
    /// Writes a summary to a file, whose folder exists. `text` gets the room that is left for it, in bytes.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(self, path: &Path, text: impl FnOnce(usize) -> String) -> io::Result<()> {
        match self {
            Self::Append => {
                let mut file = file::open_append(path).map_err(io::Error::other)?;
                let used = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
                file.write_all(text(ROOM.saturating_sub(used)).as_bytes())
            }
            Self::Replace => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or_else(|| Path::new("."));
                file::write(path, text(ROOM).as_bytes(), folder, Durability::Relaxed)
                    .map_err(io::Error::other)
            }
        }
    }
}

impl SummaryFile {
    /// Creates a reporter that writes to `path`, whose folder exists.
    pub fn new(path: PathBuf, mode: Mode) -> Self {
        Self { path, mode, state: RunState::default() }
    }
}

impl Reporter for SummaryFile {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.state.apply(event);
        if matches!(event.what, What::RunFinished(_)) {
            self.mode.write(&self.path, |room| markdown(&self.state, room))
        } else {
            Ok(())
        }
    }
}

/// Formats a finished run in at most `room` bytes; empty if it has not finished.
pub fn markdown(state: &RunState, room: usize) -> String {
    let Some(summary) = &state.summary else { return String::new() };
    let mut sections = vec![verdict(state, summary), tasks(&state.tasks)];
    sections.extend(state.tasks.iter().filter_map(|task| Some(gate(&task.task, task.evidence.as_deref()?))));
    sections.extend([tests(&state.tasks), flaky(&state.tasks, summary)]);
    let failed = state.tasks.iter().filter(|task| !task.log.text.is_empty());
    sections.extend(failed.take(LOGS).map(log));
    let mut text = String::new();
    for section in sections.iter().filter(|section| !section.is_empty()) {
        if text.len() + section.len() + 1 + CUT.len() > room {
            if text.len() + CUT.len() <= room {
                text.push_str(CUT);
            }
            return text;
        }
        text.push_str(section);
        text.push('\n');
    }
    text
}

fn verdict(state: &RunState, summary: &Summary) -> String {
    let word = match summary.verdict {
        Verdict::Passed => "✅ passed",
        Verdict::Failed => "❌ failed",
        Verdict::Superseded => "↻ starts again",
        Verdict::Interrupted { .. } => "■ interrupted",
    };
    let run = state.run.as_ref();
    let gated = run.and_then(|run| run.gated.as_ref()).map(|gated| format!("gate of {}", gated.name));
    let names = gated.or_else(|| run.map(|run| run.names.join(" "))).unwrap_or_default();
    let mut figures = vec![format!("{} executed", summary.executed), format!("{} cached", summary.hits)];
    if summary.skipped > 0 {
        figures.push(format!("{} skipped", summary.skipped));
    }
    figures.push(format!("took {}", duration(summary.took)));
    if summary.saved > 0 {
        figures.push(format!("saved {}", duration(summary.saved)));
    }
    let mut text = format!("## {} {word}\n\n{}\n", code(&names), figures.join(" · "));
    if let Some(tree) = run.and_then(|run| run.tree.as_ref()) {
        text.push_str(&format!("\nTree {}\n", code(tree)));
    }
    for what in summary.changed_files.iter().take(VIOLATIONS) {
        let who = if summary.verdict == Verdict::Superseded {
            "During the run in the work tree"
        } else {
            "Tasks changed the gated tree"
        };
        text.push_str(&format!("\n{who}: {}\n", code(what)));
    }
    if !summary.pending_gates.is_empty() {
        let gates: Vec<String> = summary.pending_gates.iter().map(|gate| code(gate)).collect();
        text.push_str(&format!("\nLeft to `xtask merge-runs`: {}\n", gates.join(", ")));
    }
    text
}

/// Formats the tasks that were executed or did not pass: failed ones first, then the longest.
fn tasks(tasks: &[TaskFinished]) -> String {
    let mut shown: Vec<&TaskFinished> = tasks.iter().filter(|task| task.status != Status::Hit).collect();
    shown.sort_by_key(|task| {
        (!matches!(task.status, Status::Failed { .. }), std::cmp::Reverse(task.took), &task.task)
    });
    if shown.is_empty() {
        return String::new();
    }
    let mut text = table_header(&["task", "status", "took", "why"]);
    for task in shown.iter().take(TASKS) {
        let (status, why) = match &task.status {
            Status::Passed => ("✅ passed", task.reason.to_string()),
            Status::Hit => ("✅ cached", task.reason.to_string()),
            Status::Flaky => ("⚠️ flaky", format!("passed at attempt {}; {}", task.attempts, task.reason)),
            Status::Failed { ended } => ("❌ failed", format!("{ended}; {}", task.reason)),
            Status::Stopped => ("■ stopped", task.reason.to_string()),
            Status::Skipped => ("– skipped", task.reason.to_string()),
        };
        let took = if task.attempts == 0 { String::new() } else { duration(task.took) };
        text.push_str(&row(&[cell(&task.task), status.to_owned(), took, cell(&why)]));
    }
    text + &more(shown.len(), TASKS, "task")
}

/// Formats all rules of a gate with their verdicts and violations.
fn gate(name: &str, evidence: &Evidence) -> String {
    let mut text = format!("### Gate {}\n\n", code(name));
    text.push_str(&table_header(&["rule", "required", "found", "verdict"]));
    for ruling in &evidence.rules {
        let verdict = match ruling.verdict {
            Judged::Holds => "✅ holds",
            Judged::Broken => "❌ broken",
            Judged::Unjudged => "– not judged",
        };
        let cells = [cell(&ruling.rule), cell(&ruling.required), cell(&ruling.actual), verdict.to_owned()];
        text.push_str(&row(&cells));
    }
    if let Some(baseline) = &evidence.baseline {
        text.push_str(&format!("\nBaseline: {}\n", code(baseline)));
    }
    let broken = evidence.rules.iter().filter(|ruling| !ruling.violations.is_empty());
    broken.fold(text, |text, ruling| text + &violations(ruling))
}

fn violations(ruling: &Ruling) -> String {
    let mut text = format!("\nWhat breaks {}:\n\n", code(&ruling.rule));
    for violation in ruling.violations.iter().take(VIOLATIONS) {
        let place = violation.place.as_ref().map(|place| match place.line {
            Some(line) => format!("{}: ", code(&format!("{}:{line}", place.path))),
            None => format!("{}: ", code(&place.path)),
        });
        text.push_str(&format!("- {}{}\n", place.unwrap_or_default(), code(&violation.text)));
    }
    let all = ruling.violations.len() + usize::try_from(ruling.more).unwrap_or(usize::MAX / 2);
    text + &more(all, VIOLATIONS, "place")
}

fn tests(tasks: &[TaskFinished]) -> String {
    let reported = tasks.iter().filter_map(|task| Some((task, task.reported.as_ref()?)));
    let more_failed: usize = reported.clone().map(|(_, reported)| reported.more_failed).sum();
    let failed: Vec<_> = reported
        .flat_map(|(task, reported)| {
            reported.tests.iter().flat_map(|tests| &tests.failed).map(move |test| (task, test))
        })
        .collect();
    if failed.is_empty() {
        return String::new();
    }
    let mut text = format!("### Failed tests\n\n{}", table_header(&["test", "task", "message"]));
    for (task, test) in failed.iter().take(TESTS) {
        text.push_str(&row(&[cell(&test.name), cell(&task.task), cell(&test.message)]));
    }
    text + &more(failed.len() + more_failed, TESTS, "test")
}

/// Formats flaky tests and tasks, and slow tasks.
fn flaky(tasks: &[TaskFinished], summary: &Summary) -> String {
    let of_task = |task: &TaskFinished| {
        let tests = task.reported.as_ref()?.tests.as_ref()?;
        (!tests.flaky.is_empty()).then(|| tests.flaky.clone())
    };
    let tests: Vec<String> = tasks.iter().filter_map(of_task).flatten().collect();
    let mut text = String::new();
    let all = [("Flaky tests", &tests), ("Flaky tasks", &summary.flaky), ("Slow tasks", &summary.slow)];
    for (what, names) in all.into_iter().filter(|(_, names)| !names.is_empty()) {
        let names = first_of(names.iter().map(|name| code(name)), TESTS);
        text.push_str(&format!("{what}: {names}\n\n"));
    }
    text
}

fn log(task: &TaskFinished) -> String {
    format!("### The last lines of {}\n\n{}", code(&task.task), block(&task.log.text))
}

fn more(all: usize, listed: usize, noun: &str) -> String {
    let left = all.saturating_sub(listed);
    if left == 0 { String::new() } else { format!("\n*and {} more*\n", count(left, noun)) }
}

fn duration(millis: u64) -> String {
    units::duration(Duration::from_millis(millis))
}
