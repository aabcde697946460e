//! Events: what happened in a run, in order, complete enough that drawing them again draws the same.
//! Times in events are milliseconds; whoever draws must take them from here, never from a clock.
//!
//! Serialised, one event is one line of JSON with the fields `at` (milliseconds since the run
//! started) and `event` (its kind). [`VERSION`] rises when a field changes its meaning or goes;
//! new fields and kinds may come at any time.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::text::first_of;
use crate::hint::Hint;
use crate::quality::evidence::Evidence;
use crate::reason::Reason;
use crate::warning::Warning;
use ci_reports::facts::{Finding, Ratio, Tests};

/// Version of the format, in the first event of each run.
pub const VERSION: u32 = 1;

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since the run started.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The first event of a run.
    RunStarted(RunStarted),
    /// A line for the reader that belongs to no task.
    Notice {
        /// How grave it is.
        level: Level,
        /// One line.
        text: String,
    },
    /// Declarations of tasks.toml that have no effect.
    Warnings {
        /// The first of them.
        warnings: Vec<Warning>,
        /// How many more there are.
        #[serde(default)]
        more: usize,
    },
    /// A task's attempt begins.
    TaskStarted {
        /// Its name.
        task: String,
        /// Which attempt; the first is 1.
        attempt: u32,
        /// Why it runs.
        reason: Reason,
        /// How long it took formerly, in milliseconds.
        expected: Option<u64>,
    },
    /// A task stands still for something outside this run.
    TaskWaits {
        /// Its name.
        task: String,
        /// What it waits for: another run with the same key, or a lock.
        on: String,
    },
    /// Whole lines of a running task's output, secrets masked.
    TaskOutput {
        /// Its name.
        task: String,
        /// The lines, each with its line end.
        text: String,
    },
    /// What a running task printed last, secrets masked; for a live view, and only where there is one.
    TaskLine {
        /// Its name.
        task: String,
        /// The line, of which the end may be missing, as it was printed; of a long one its end.
        line: String,
    },
    /// A task passed its `slow-after`.
    TaskSlow {
        /// Its name.
        task: String,
        /// How long it has been running, in milliseconds.
        after: u64,
    },
    /// An attempt failed and another follows.
    TaskRetries {
        /// Its name.
        task: String,
        /// The attempt that failed.
        attempt: u32,
        /// How it ended.
        ended: Ended,
    },
    /// A task has its result. Each selected task but aggregates gets exactly one.
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
    /// A service is being started.
    ServiceStarted {
        /// Its name.
        service: String,
        /// Where it listens, if it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The task that is the first to use it.
        task: String,
    },
    /// A service is ready.
    ServiceReady {
        /// Its name.
        service: String,
        /// How long that took, in milliseconds.
        took: u64,
    },
    /// A service has ended.
    ServiceEnded {
        /// Its name.
        service: String,
        /// How.
        end: ServiceEnd,
        /// What it printed.
        log: Log,
    },
    /// The run is about to be suspended with all that it runs, as by Ctrl-Z. Times do not count while it is.
    Suspended,
    /// The run goes on after it was suspended.
    Resumed,
    /// A signal came; what runs is being ended.
    Interrupted {
        /// Its name, such as `SIGINT`.
        signal: String,
        /// Whether all is killed at once.
        now: bool,
    },
    /// The last event of a run.
    RunFinished(Summary),
}

/// What is known when a run starts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// When.
    pub started: Timestamp,
    /// The names that were asked for.
    pub names: Vec<String>,
    /// The tree that is run, by its git id; `None` outside a repository.
    pub tree: Option<String>,
    /// Tasks in the plan, aggregates not counted.
    pub tasks: usize,
    /// Of them, tasks known to be hits.
    pub hits: usize,
    /// Job slots.
    pub jobs: u32,
    /// Columns of the longest task name.
    pub width: usize,
    /// What is gated, if the run answers a gate's question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gated: Option<Gated>,
    /// The run in one of whose tasks this one was started, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

/// The tree that a gate asks about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gated {
    /// What it is called: a commit's short id, or `index`.
    pub what: String,
    /// The refs whose push waits for the answer; none if nothing is pushed.
    pub refs: Vec<String>,
}

/// How grave a notice is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Something is wrong. If that changes the result, the run's verdict tells it.
    Warning,
}

/// A task's result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskFinished {
    /// Its name.
    pub task: String,
    /// Its label.
    pub group: Option<String>,
    /// What became of it.
    pub status: Status,
    /// Why it was run, taken from the cache or skipped.
    pub reason: Reason,
    /// When its first attempt began, in milliseconds since the run started.
    pub started: u64,
    /// How long all attempts took together, in milliseconds.
    pub took: u64,
    /// Attempts that were made; none for a hit or a skip.
    pub attempts: u32,
    /// What became of the result.
    pub stored: Stored,
    /// What its last attempt printed; of a hit, what the stored run printed.
    pub log: Log,
    /// What its failed former attempts printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_logs: Vec<Log>,
    /// The command, as a person would type it.
    pub command: String,
    /// Whether it runs in a sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandboxed: bool,
    /// Of one that failed: what its end usually means, and what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<Hint>,
    /// What its reports say, if it was executed and wrote any, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Box<Reported>>,
    /// Why its verdict is what it is, if it is a gate that was judged, now or when it was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
}

impl TaskFinished {
    /// A result without an execution; what there is beyond it is set by who knows it.
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

/// What is told of a task's reports.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Reported {
    /// Of tests, with the failed ones; at most [`Reported::LISTED`] of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
    /// Failed tests beyond those.
    #[serde(default)]
    pub more_failed: usize,
    /// Findings, gravest first, at most [`Reported::LISTED`]; secrets among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    #[serde(default)]
    pub more_findings: usize,
    /// Lines that tests reached, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Ratio>,
}

impl Reported {
    /// Failed tests and findings that are listed.
    pub const LISTED: usize = 100;
}

/// What became of a task.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Status {
    /// It ran and passed.
    Passed,
    /// It passed before, with the same key.
    Hit,
    /// It failed, was tried again and passed.
    Flaky,
    /// It did not pass.
    Failed {
        /// How the last attempt ended.
        ended: Ended,
    },
    /// It was ended because the run was.
    Stopped,
    /// It was not started.
    Skipped,
}

impl Status {
    /// Whether what needs it may go on.
    pub fn is_pass(&self) -> bool {
        matches!(self, Self::Passed | Self::Hit | Self::Flaky)
    }
}

/// How a process ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum Ended {
    /// By itself.
    Exit {
        /// Its exit status.
        code: i32,
    },
    /// By a signal that did not come from this run.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// It took longer than its `timeout`.
    TimedOut {
        /// The limit, in milliseconds.
        after: u64,
    },
    /// This run ended it.
    Stopped,
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
    },
    /// It ran in a sandbox and passed, and its outputs could not be put in place.
    Outputs {
        /// Why.
        why: String,
    },
    /// A report that it declares is missing, or no evidence.
    Report {
        /// The file or pattern.
        path: String,
        /// Why, as a clause.
        why: String,
    },
    /// It is a gate, and so many of its rules are broken.
    Rules {
        /// How many.
        broken: usize,
    },
    /// It ran in a gate and opened tracked files of the user's work tree, which is not what is gated.
    WorkTree {
        /// The files.
        files: Vec<OpenedFile>,
    },
    /// A service that it uses did not become ready, or ended.
    Service {
        /// The service.
        name: String,
        /// Why.
        why: String,
    },
}

impl Ended {
    /// Whether it is what a passing task does.
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
            Self::Outputs { why } => write!(f, "its outputs could not be put in place: {why}"),
            Self::Report { path, why } => write!(f, "report {path}: {why}"),
            Self::Rules { broken: 1 } => f.write_str("1 rule is broken"),
            Self::Rules { broken } => write!(f, "{broken} rules are broken"),
            Self::WorkTree { files } => {
                let changed = if files.iter().any(|file| file.changed) { "changed" } else { "opened" };
                let names: Vec<String> = files.iter().map(ToString::to_string).collect();
                write!(f, "it {changed} files of your work tree, which is not what is gated: ")?;
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
    /// The name of the program that opened it at first, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The path by which it was opened, if it leads there through a symlink; relative if it is in the
    /// tree that is gated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// Whether it was changed, replaced or removed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

impl OpenedFile {
    /// How many are named in one line.
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
#[serde(tag = "how", rename_all = "kebab-case")]
pub enum ServiceEnd {
    /// The run ended it.
    Stopped,
    /// By itself, after it was ready.
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

/// What became of a task's result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Stored {
    /// It is in the cache.
    Yes,
    /// It was not to be stored: it did not pass, was a hit, or caching is off.
    NotTried,
    /// It passed and was not stored.
    No {
        /// Why, as a clause: `src/a.rs changed while it ran`.
        why: String,
    },
}

/// What a command printed, both outputs in order, secrets masked, bounded in length.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Log {
    /// The text; where bytes were left out, a line in the middle says so.
    pub text: String,
    /// Bytes left out.
    pub left_out: u64,
}

impl Log {
    /// The last lines, at most so many, and of a very long line its end.
    pub fn last_lines(&self, most: usize) -> String {
        /// Bytes of all of them.
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

/// The figures of a finished run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// What became of the run.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// Tasks taken from the cache.
    pub hits: usize,
    /// Tasks executed, whatever became of them.
    pub executed: usize,
    /// Names of the tasks that did not pass.
    pub failed: Vec<String>,
    /// Names of the tasks that passed only when tried again.
    pub flaky: Vec<String>,
    /// Names of the tasks that passed their `slow-after`.
    pub slow: Vec<String>,
    /// Tasks that were skipped or stopped.
    pub skipped: usize,
    /// What the hits took when they ran, in milliseconds.
    pub saved: u64,
    /// In a gated run, what tasks changed of the tree, so that what passed is not what was asked
    /// about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Of a shard, the gates that are judged only when all shards are merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

impl Summary {
    /// With the verdict that follows from what tasks changed.
    #[must_use]
    pub fn judged(mut self) -> Self {
        if self.verdict == Verdict::Passed && !self.changed.is_empty() {
            self.verdict = Verdict::Failed;
        }
        self
    }
}

/// What became of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// Each task passed or had passed.
    Passed,
    /// A task failed.
    Failed,
    /// Inputs changed while it ran, so that tasks start again in the next round.
    Superseded,
    /// A signal ended it.
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
}
