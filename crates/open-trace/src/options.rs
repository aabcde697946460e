//! What a caller says of a trace, and what it gets back.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use crate::report::Trace;

/// How a program is traced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// What is looked for.
    pub scope: Scope,
    /// Whether the program stops at every system call. That is slower and finds the same as the filter
    /// that is used otherwise. It is for comparison: where a filter can't be set, this happens anyway.
    pub stop_at_all_calls: bool,
}

/// What a trace looks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Scope {
    /// All files that the program and its descendants depend on, until the last of them has ended.
    #[default]
    Everything,
    /// Files below this folder that are opened, executed or changed, until the program itself has ended;
    /// what is left of its descendants is killed then. The program stops at far fewer calls.
    Below(PathBuf),
    /// All paths that the program and its descendants look up, and what they were: all that can have an
    /// influence on it. It ends as with [`Scope::Below`]; what is left of its descendants is a doubt.
    Lookups,
}

/// The outcome of a traced program.
#[derive(Debug)]
pub struct Outcome {
    /// How the program ended: 127 if it was not found, 126 if it could not be executed.
    pub status: ExitStatus,
    /// Why the program could not be executed, if so.
    pub exec_error: Option<io::Error>,
    /// What was seen.
    pub trace: Trace,
}
