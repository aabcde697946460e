//! Reports: from the task that writes one to the gate that judges it.
//!
//! Read in this order: [`stale`] removes or remembers existing reports before an attempt; [`reader`]
//! reads the reports when a task ends, as [`TaskReports`](reader::TaskReports); [`store`] keeps these
//! until the last gate has taken them; [`gate`] runs a gate; [`baseline`] finds what a gate compares
//! with. [`error`] says why reports can't be used as evidence, [`tree_paths`] resolves the paths that
//! reports contain.

pub mod baseline;
pub mod error;
pub mod gate;
pub mod reader;
pub mod stale;
pub mod store;
pub mod tree_paths;
