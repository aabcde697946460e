//! taskgate: a local task runner and pre-push quality gate, in which every run is the run of a git tree.
//! ARCHITECTURE.md describes the modules.

pub mod affected;
pub mod artifact;
pub mod base;
pub mod cache;
pub mod cli;
pub mod config;
pub mod config_lint;
pub mod config_warning;
pub mod decision_reason;
pub mod deploy;
pub mod deployment;
pub mod engine;
pub mod event;
pub mod failure_hint;
pub mod gate;
pub mod git;
pub mod graph;
pub mod history;
pub mod hooks;
pub mod init;
pub mod key;
pub mod plan;
pub mod process;
mod program;
pub mod quality;
pub mod reporter;
pub mod run_manifest;
pub mod select;
pub mod shard;
pub mod sonar_client;
pub mod target;
pub mod watch;
pub mod workflow;

pub use engine::task::rust_task::Outcome;
pub use program::Program;

use std::process::ExitCode;

/// Runs the program with the arguments and the environment of this process. A panic is a bug, and has its own
/// exit status.
pub fn main() -> ExitCode {
    Program::new().main()
}
