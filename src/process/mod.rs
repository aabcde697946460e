//! Processes: each command leads a session and a process group of its own, without a terminal. Its output
//! is read, masked and bounded, and nothing that it started survives it. This module knows no tasks.
//!
//! Read in this order:
//! 1. [`spawn`] describes a command, [`run`] runs it on the calling thread, a [`Stop`](stop::Stop) ends it
//!    from any thread, and a [`watcher`] follows it.
//! 2. `termination` (pure) decides when a group is asked to end and when it is killed; `group` signals it;
//!    `launch` starts it without a fork; `exit_watch` and `self_pipe` are what [`run`] polls besides the [`output`], which [`secret_mask`] hides
//!    secrets in.
//! 3. [`orphans`] are what left its group and is found again, [`children`] reaps them, and a [`guard`] ends
//!    all of it when this process is killed. `procfs` is the process table that they look at.
//! 4. [`exchange`] runs a command that reads input, and returns both its outputs.
//! 5. [`suspend`], [`session`], [`caller`] and [`file_limit`] are about this process; [`find_program`] finds
//!    programs.

pub mod run;
pub mod spawn;
pub mod stop;
pub mod watcher;

mod exit_watch;
mod group;
#[cfg(target_os = "linux")]
mod launch;
mod self_pipe;
mod termination;

pub mod output;
pub mod secret_mask;

pub mod children;
pub mod guard;
pub mod orphans;
mod procfs;

pub mod caller;
pub mod exchange;
pub mod file_limit;
pub mod find_program;
pub mod session;
pub mod suspend;

/// The hidden first argument with which this program traces another; see [`open_trace`].
pub const TRACE_ARGUMENT: &str = "__trace";

/// Only Linux shows the tests which processes remain after a run.
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
