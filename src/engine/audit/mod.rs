//! The audit of tasks in sandboxes: which files they open without declaring them.
//!
//! Read [`collector`] (the result of one audit, and where all are collected), then [`evaluation`] (reads
//! the trace of an execution) and [`findings`] (decides what is undeclared; pure).

pub mod collector;
pub mod evaluation;
pub mod findings;
