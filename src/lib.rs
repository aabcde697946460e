//! taskgate: a local task runner and pre-push quality gate, in which every run is the run of a git
//! tree. See ARCHITECTURE.md for the floors of the house; this file must know only its door.

pub mod cache;
pub mod cli;
pub mod config;
pub mod engine;
pub mod event;
pub mod git;
pub mod graph;
pub mod ground;
pub mod history;
pub mod key;
pub mod plan;
pub mod process;
pub mod reason;
pub mod reporter;
pub mod select;

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> std::process::ExitCode {
    cli::main(std::env::args_os())
}
