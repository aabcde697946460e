//! taskgate: a local task runner and pre-push quality gate, in which every run is the run of a git
//! tree. See ARCHITECTURE.md for the floors of the house; this file must know only its door.

pub mod cache;
pub mod config;
pub mod event;
pub mod git;
pub mod ground;
pub mod process;
pub mod reason;

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
