//! Real signals, real kills, real races, real disks.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "a test fails by saying what is wrong, and stands in for the user's shell"
)]

#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../project/mod.rs"]
#[macro_use]
mod project;

mod concurrent_edits;
mod concurrent_runs;
mod dependency_outputs;
mod interrupted_push;
mod private_worktree;
mod push;
mod remembered_config;
mod signals;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(target_os = "linux")]
mod tracer;
mod unwritable_state;
mod watch;
#[cfg(target_os = "linux")]
mod work_tree_access;
