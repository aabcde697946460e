//! Commands that look at tasks, plans and past runs, and run nothing.

pub mod diff_run;
pub mod explain_gate;
pub mod graph;
pub mod list;
pub mod log;
pub mod plan;
pub mod skips;
pub mod why;
