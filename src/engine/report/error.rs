//! Why the reports of a task can't be used as evidence.

use std::io;

use crate::base::text::first_of;
use crate::event::Ended;
use crate::process::secret_mask::Mask;
use ci_reports::ParseError;

/// A report that can't be used as evidence.
#[derive(Debug, thiserror::Error)]
#[error("report {path}: {kind}")]
pub struct ReportError {
    /// The file, the pattern that no file matches, or the task.
    pub path: String,
    /// What is wrong with it.
    pub kind: ReportErrorKind,
}

/// What is wrong with a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportErrorKind {
    /// No file matches the pattern.
    #[error("missing: the task did not write it")]
    Missing,
    /// The task is not part of the run.
    #[error("its reports may be stale: the task did not run, because of `--only`")]
    TaskNotRun,
    /// The file existed before the task started.
    #[error("stale: it was last written before the task started{}", stale_advice(others))]
    Stale {
        /// The other stale reports of the task.
        others: Vec<String>,
    },
    /// The file is not what its task wrote.
    #[error("changed after `{task}` ended; do two tasks write it?")]
    Changed {
        /// The task that declares the report.
        task: String,
    },
    /// The cache stores no symlinks to reports.
    #[error("a symlink, whose target is not stored; write the report itself")]
    Symlink,
    /// The cache entry has been removed since it was looked up.
    #[error("the cache no longer has it; run its task again")]
    NotCached,
    /// The path is a folder, for example.
    #[error("it is not a file")]
    NotAFile,
    /// The file can't be opened or read.
    #[error("it can't be read: {0}")]
    Io(#[source] io::Error),
    /// The content is not a complete report.
    #[error(transparent)]
    Parse(ParseError),
    /// Neither this report nor any other of its kind examined anything.
    #[error("{error}{}", same_in_others(*others))]
    NothingExamined {
        /// What the report says.
        error: ParseError,
        /// How many more reports of this kind the task has.
        others: usize,
    },
    /// The tool says that it did not examine everything, which a task may allow.
    #[error("{0}; fix the tool, or set `partial = \"reason\"` in the `reports` of the task")]
    Incomplete(ParseError),
    /// Two reports have a measure of the same name.
    #[error("{0}")]
    DuplicateMeasure(String),
}

impl From<ParseError> for ReportErrorKind {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Incomplete { .. } => Self::Incomplete(error),
            _ => Self::Parse(error),
        }
    }
}

impl ReportError {
    /// Returns how a task or a gate with this report ends. Secrets are masked, as the error may quote
    /// the report.
    pub fn ended(&self, mask: &Mask) -> Ended {
        Ended::Report { path: mask.distinct(&self.path), why: mask.distinct(&self.kind.to_string()) }
    }
}

fn same_in_others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "; the other report of its kind says the same".to_owned(),
        _ => format!("; the {count} other reports of its kind say the same"),
    }
}

/// Returns the end of the message about stale reports: the others, and what to do.
fn stale_advice(others: &[String]) -> String {
    /// How many reports are named, including the first.
    const NAMED: usize = 5;
    if others.is_empty() {
        return "; delete it if no task writes it any more".to_owned();
    }
    let named = first_of(others, NAMED - 1);
    format!(", and so were {named}; delete those that no task writes any more")
}
