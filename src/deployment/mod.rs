//! Carries out deploys: makes a release of a tree that has passed its gate, and makes it current on a target.
//! It must not print, and does not decide what the steps of a deploy are.
//!
//! `prepare.rs` makes a candidate, `operation.rs` asks the planner and takes the lease, `executor.rs` carries
//! the plan out, and `journal.rs` keeps the history.

pub mod executor;
pub mod journal;
pub mod operation;
pub mod prepare;
pub mod rehearsal;
pub mod secrets;
pub mod smoke;

#[cfg(test)]
mod tests;
