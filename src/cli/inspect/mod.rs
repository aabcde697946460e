//! Commands that show tasks, plans and past runs, and run nothing.
//!
//! [`list`], [`graph`], [`plan`] and [`why`] show what tasks.toml and the cache say now; [`log`], [`skips`],
//! [`deploy_log`], [`explain_gate`] and [`diff_run`] show records of past runs.

pub mod deploy_log;
pub mod diff_run;
pub mod explain_gate;
pub mod graph;
pub mod list;
pub mod log;
pub mod plan;
pub mod skips;
pub mod why;
