//! The state of a run: the data of its events that reporters need at its end. It must not know how this is
//! shown.

use crate::config_warning::Warning;
use crate::event::{Event, Log, RunStarted, Status, Summary, TaskFinished, What};
use crate::reporter::text::{Keep, safe};
use ci_reports::facts::Ratio;

/// How many lines of a failed task's log are kept.
const LAST_LINES: usize = 30;
/// The maximum number of characters of such a line.
const LINE: usize = 400;

/// The state of a run so far.
#[derive(Clone, Debug, Default)]
pub struct RunState {
    /// How it started.
    pub run: Option<RunStarted>,
    /// The finished tasks, in the order in which they finished. Only the last lines of failed tasks' logs are
    /// kept, safe to show.
    pub tasks: Vec<TaskFinished>,
    /// Declarations without effect.
    pub warnings: Vec<Warning>,
    /// How it ended.
    pub summary: Option<Summary>,
}

impl RunState {
    /// Updates the state with the next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.what {
            What::RunStarted(run) => self.run = Some(run.clone()),
            What::TaskFinished(task) => {
                let log = match &task.status {
                    Status::Failed { .. } => Log { text: last_lines(&task.log.text), left_out: 0 },
                    _ => Log::default(),
                };
                self.tasks.push(TaskFinished { log, ..without_logs(task) });
            }
            What::Warnings { warnings, .. } => self.warnings.extend(warnings.iter().cloned()),
            What::RunFinished(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
    }

    /// Returns the coverage of the gate that counts most lines, as this count also includes code that was not
    /// executed. Without a gate, returns the sum of what the tasks reported.
    pub fn coverage(&self) -> Option<Ratio> {
        let gates = self.tasks.iter().filter_map(|task| task.evidence.as_ref()?.record.coverage);
        gates.max_by_key(|ratio| ratio.whole).or_else(|| {
            let tasks = self.tasks.iter().filter_map(|task| task.reported.as_ref()?.coverage);
            tasks.reduce(|all, one| Ratio {
                part: all.part.saturating_add(one.part),
                whole: all.whole.saturating_add(one.whole),
            })
        })
    }
}

/// Copies a task's result without its logs, which may be large.
fn without_logs(task: &TaskFinished) -> TaskFinished {
    TaskFinished {
        task: task.task.clone(),
        group: task.group.clone(),
        status: task.status.clone(),
        reason: task.reason.clone(),
        started: task.started,
        took: task.took,
        attempts: task.attempts,
        stored: task.stored.clone(),
        log: Log::default(),
        failed_logs: Vec::new(),
        command: task.command.clone(),
        sandboxed: task.sandboxed,
        hints: task.hints.clone(),
        reported: task.reported.clone(),
        evidence: task.evidence.clone(),
    }
}

/// Returns the last lines, without empty ones at the end.
fn last_lines(log: &str) -> String {
    let log = safe(log, Keep::Nothing);
    let mut lines: Vec<&str> = log.trim_end().lines().rev().take(LAST_LINES).collect();
    lines.reverse();
    let lines: Vec<String> = lines.into_iter().map(|line| cut(line, LINE)).collect();
    lines.join("\n")
}

/// Shortens a line to at most `most` characters and marks the cut with `…`.
pub fn cut(line: &str, most: usize) -> String {
    match line.char_indices().nth(most) {
        None => line.to_owned(),
        Some((at, _)) => format!("{}…", &line[..at]),
    }
}
