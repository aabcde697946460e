//! Events: what happened in a run, in order and complete, so that a recorded run can be shown again
//! unchanged. Times are in milliseconds. Reporters must use these times and never read a clock.
//!
//! As JSON, an event is one line with the fields `at` (milliseconds since the run started) and `event` (its
//! kind). [`VERSION`] is raised when a field is removed or changes its meaning. New fields and kinds may be
//! added at any time.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::text::first_of;
use crate::config_warning::Warning;
use crate::decision_reason::Reason;
use crate::failure_hint::Hint;
use crate::quality::evidence::Evidence;
use ci_reports::facts::{Finding, Ratio, Tests};

/// The version of the format, in the first event of each run.
pub const VERSION: u32 = 2;

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the run started.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events, with their data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The first event of a run.
    RunStarted(RunStarted),
    /// A message that belongs to no task.
    Notice {
        /// How important it is.
        level: Level,
        /// The message, one line.
        text: String,
    },
    /// Some declarations of tasks.toml have no effect.
    Warnings {
        /// The first of these declarations.
        warnings: Vec<Warning>,
        /// How many more there are.
        #[serde(default)]
        more: usize,
    },
    /// An attempt to run a task starts.
    TaskStarted {
        /// The name.
        task: String,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Why it runs.
        reason: Reason,
        /// How long it took the last time, in milliseconds.
        expected: Option<u64>,
    },
    /// A task waits for something outside of this run.
    TaskWaits {
        /// The name.
        task: String,
        /// What it waits for: another run with the same key, or a lock.
        on: String,
    },
    /// A running task printed whole lines; secrets are masked.
    TaskOutput {
        /// The name.
        task: String,
        /// The lines, each with its line end.
        text: String,
    },
    /// A running task printed a line, for a live view. Secrets are masked. It is only sent if a reporter
    /// shows it.
    TaskLine {
        /// The name.
        task: String,
        /// The line so far; it may be incomplete. If it is long, only its end.
        line: String,
    },
    /// A task has been running for longer than its `slow-after`.
    TaskSlow {
        /// The name.
        task: String,
        /// How long it has been running, in milliseconds.
        after: u64,
    },
    /// An attempt failed and the task is tried again.
    TaskRetries {
        /// The name.
        task: String,
        /// The attempt that failed.
        attempt: u32,
        /// How it ended.
        ended: Ended,
    },
    /// A task has its result. There is exactly one for each selected task, except aggregates.
    TaskFinished(TaskFinished),
    /// A task's `finally` command ended.
    FinallyFinished {
        /// The task's name.
        task: String,
        /// How the command ended.
        ended: Ended,
        /// How long it took, in milliseconds.
        took: u64,
        /// What it printed.
        log: Log,
    },
    /// A service starts.
    ServiceStarted {
        /// The name.
        service: String,
        /// The port that it listens on, if it declares one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The first task that uses it.
        task: String,
    },
    /// A service is ready.
    ServiceReady {
        /// The name.
        service: String,
        /// How long that took since it started, in milliseconds.
        took: u64,
    },
    /// A service ended.
    ServiceEnded {
        /// The name.
        service: String,
        /// How it ended.
        end: ServiceEnd,
        /// What it printed.
        log: Log,
    },
    /// The run and all its processes are about to be suspended, for example by Ctrl-Z. Times do not include
    /// the suspension.
    Suspended,
    /// The run continues after a suspension.
    Resumed,
    /// A signal arrived; the running tasks are being stopped.
    Interrupted {
        /// The signal's name, such as `SIGINT`.
        signal: String,
        /// Whether all processes are killed immediately.
        now: bool,
    },
    /// The run ended. This is always the last event.
    RunFinished(Summary),
}

/// The data of the first event of a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// When the run started.
    pub started: Timestamp,
    /// The names of tasks and groups that were requested.
    pub names: Vec<String>,
    /// The git id of the tree that is run; `None` outside of a repository.
    pub tree: Option<String>,
    /// The number of tasks in the plan, without aggregates.
    pub tasks: usize,
    /// The number of tasks that are known to be hits when the run starts.
    pub hits: usize,
    /// The number of job slots.
    pub jobs: u32,
    /// The width of the longest task name, in columns.
    pub width: usize,
    /// The gated tree, if this run is part of a gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gated: Option<Gated>,
    /// The run whose task started this run, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_run: Option<String>,
}

/// The tree that a gate checks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gated {
    /// Its name: a commit's short id, or `index`.
    pub name: String,
    /// The refs that are pushed if the gate passes; empty if nothing is pushed.
    pub refs: Vec<String>,
    /// Whether its tasks run in the user's work tree, which has exactly the files of the tree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
}

/// How important a notice is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Information. Nothing is wrong.
    Note,
    /// Something is wrong. If it changes the result, the run's verdict says so.
    Warning,
}

/// A task's result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskFinished {
    /// The name.
    pub task: String,
    /// The label that it shares with other tasks.
    pub group: Option<String>,
    /// Its status.
    pub status: Status,
    /// Why it ran, was taken from the cache or was skipped.
    pub reason: Reason,
    /// When its first attempt started, in milliseconds since the run started.
    pub started: u64,
    /// How long all attempts took together, in milliseconds.
    pub took: u64,
    /// The number of attempts; 0 for a hit or a skipped task.
    pub attempts: u32,
    /// Whether the result was stored.
    pub stored: Stored,
    /// What its last attempt printed; for a hit, what the stored attempt printed.
    pub log: Log,
    /// What its earlier, failed attempts printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_logs: Vec<Log>,
    /// The command as a person would type it.
    pub command: String,
    /// Whether it runs in a sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandboxed: bool,
    /// If it failed: what usually causes this, and what to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<Hint>,
    /// What its reports say, if it was executed and wrote any, even if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Box<Reported>>,
    /// The evidence for its verdict, if it is a quality gate that was judged, now or when its result was
    /// stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
}

impl TaskFinished {
    /// Creates the result of a task that was not executed. The other fields are empty.
    pub fn new(task: &str, status: Status, reason: Reason) -> Self {
        Self {
            task: task.to_owned(),
            group: None,
            status,
            reason,
            started: 0,
            took: 0,
            attempts: 0,
            stored: Stored::NotTried,
            log: Log::default(),
            failed_logs: Vec::new(),
            command: String::new(),
            sandboxed: false,
            hints: Vec::new(),
            reported: None,
            evidence: None,
        }
    }
}

/// What a task's reports say.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Reported {
    /// The tests, with at most [`Reported::LISTED`] failed ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
    /// The number of further failed tests.
    #[serde(default)]
    pub more_failed: usize,
    /// At most [`Reported::LISTED`] findings, secrets included, the most severe first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The number of further findings.
    #[serde(default)]
    pub more_findings: usize,
    /// The number of covered lines, out of all lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Ratio>,
}

impl Reported {
    /// The maximum number of failed tests and of findings that are listed.
    pub const LISTED: usize = 100;
}

/// The status of a finished task.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Status {
    /// It ran and passed.
    Passed,
    /// It was not run: it passed before with the same key.
    Hit,
    /// An attempt failed and a later one passed.
    Flaky,
    /// It failed.
    Failed {
        /// How the last attempt ended.
        ended: Ended,
    },
    /// It was stopped because the run was stopped.
    Stopped,
    /// It was not started.
    Skipped,
}

impl Status {
    /// Returns whether tasks that need it may run.
    pub fn is_pass(&self) -> bool {
        matches!(self, Self::Passed | Self::Hit | Self::Flaky)
    }
}

/// How an attempt to run a task ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Ended {
    /// The process exited.
    Exit {
        /// Its exit status.
        code: i32,
    },
    /// The process was killed by a signal that did not come from this run.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// It took longer than its `timeout`.
    TimedOut {
        /// The limit, in milliseconds.
        after: u64,
    },
    /// This run stopped it.
    Stopped,
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// It passed in a sandbox, but its outputs could not be copied to the work tree.
    Outputs {
        /// Why.
        why: String,
    },
    /// A report that it declares is missing or can't be used.
    Report {
        /// The file or pattern.
        path: String,
        /// Why, as a clause.
        why: String,
    },
    /// It is a quality gate, and rules of it are broken.
    Rules {
        /// The number of broken rules.
        broken: usize,
    },
    /// It ran in a gate and opened tracked files of the user's work tree, which may differ from the gated
    /// tree.
    WorkTree {
        /// The files.
        files: Vec<OpenedFile>,
    },
    /// A service that it uses did not become ready, or ended too early.
    Service {
        /// The service.
        name: String,
        /// Why.
        why: String,
    },
}

impl Ended {
    /// Returns whether the task passed.
    pub fn is_pass(&self) -> bool {
        *self == Self::Exit { code: 0 }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit { code } => write!(f, "exit status {code}"),
            Self::Signal { signal } => write!(f, "killed by signal {signal}"),
            Self::TimedOut { after } => {
                let limit = crate::base::units::duration(std::time::Duration::from_millis(*after));
                write!(f, "timed out after {limit}")
            }
            Self::Stopped => f.write_str("stopped"),
            Self::NotStarted { why } => write!(f, "could not be started: {why}"),
            Self::Outputs { why } => write!(f, "its outputs could not be copied to the work tree: {why}"),
            Self::Report { path, why } => write!(f, "report {path}: {why}"),
            Self::Rules { broken: 1 } => f.write_str("1 rule is broken"),
            Self::Rules { broken } => write!(f, "{broken} rules are broken"),
            Self::WorkTree { files } => {
                let changed = if files.iter().any(|file| file.changed) { "changed" } else { "opened" };
                let names: Vec<String> = files.iter().map(ToString::to_string).collect();
                write!(f, "{changed} files of your work tree instead of the gated tree: ")?;
                f.write_str(&first_of(&names, OpenedFile::NAMED))
            }
            Self::Service { name, why } => write!(f, "service {name}: {why}"),
        }
    }
}

/// A tracked file of the user's work tree that a task of a gate opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenedFile {
    /// Its path in the work tree.
    pub path: String,
    /// The name of the program that opened it first, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The path that was opened, if it is a symlink to the file; relative if it is in the gated tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// Whether it was changed, replaced or removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

impl OpenedFile {
    /// How many files a message names.
    const NAMED: usize = 3;
}

impl std::fmt::Display for OpenedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        let program = self.program.as_ref().map(|program| format!("by {program}"));
        let through = self.through.as_ref().map(|through| format!("through {through}"));
        let how: Vec<String> = program.into_iter().chain(through).collect();
        if how.is_empty() { Ok(()) } else { write!(f, " ({})", how.join(", ")) }
    }
}

/// How a service ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ServiceEnd {
    /// The run stopped it.
    Stopped,
    /// It ended by itself after it had become ready.
    Died {
        /// How, as a clause.
        why: String,
    },
    /// It did not become ready.
    NotReady {
        /// Why, as a clause.
        why: String,
    },
}

/// Whether a task's result was stored in the cache.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Stored {
    /// It is in the cache.
    Yes,
    /// There was nothing to store: it did not pass, was a hit, or caching is off.
    NotTried,
    /// It passed but was not stored.
    No {
        /// Why, as a clause: `src/a.rs changed while it ran`.
        why: String,
    },
}

/// The output of a command on standard output and standard error, in order. Secrets are masked, and the
/// length is limited.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    /// The text. If bytes were left out, a line in the middle says so.
    pub text: String,
    /// The number of bytes that were left out.
    pub left_out: u64,
}

impl Log {
    /// Returns at most the last `most` lines. Of very long output, it returns only the end.
    pub fn last_lines(&self, most: usize) -> String {
        /// The maximum number of bytes of all lines.
        const MOST: usize = 16 << 10;
        let text = self.text.trim_end();
        let start = text.rmatch_indices('\n').nth(most.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
        let mut start = start.max(text.len().saturating_sub(MOST));
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text[start..].to_owned()
    }
}

/// The result of a run, with numbers about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The verdict on the run.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// The number of tasks taken from the cache.
    pub hits: usize,
    /// The number of tasks that were executed, passed or not.
    pub executed: usize,
    /// The names of tasks that did not pass.
    pub failed: Vec<String>,
    /// The names of tasks that passed only when tried again.
    pub flaky: Vec<String>,
    /// The names of tasks that ran for longer than their `slow-after`.
    pub slow: Vec<String>,
    /// The number of tasks that were skipped or stopped.
    pub skipped: usize,
    /// How long the hits took when they were executed, in milliseconds.
    pub saved: u64,
    /// In a gated run: the files of the tree under test that tasks modified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_files: Vec<String>,
    /// In a shard: the quality gates that will be judged when all shards are merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_gates: Vec<String>,
}

impl Summary {
    /// Returns the summary, with a failed verdict if tasks modified the gated tree.
    #[must_use]
    pub fn judged(mut self) -> Self {
        if self.verdict == Verdict::Passed && !self.changed_files.is_empty() {
            self.verdict = Verdict::Failed;
        }
        self
    }
}

/// The verdict on a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Verdict {
    /// Each task passed, in this run or an earlier one.
    Passed,
    /// A task failed.
    Failed,
    /// Files of the tree changed while it ran, so tasks start again: in the next round of `watch`, or in the
    /// private worktree of a gate.
    Superseded,
    /// A signal interrupted it.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}
