//! Deploying, as data and decisions: what a release is, what a target says, which steps a deploy has and what
//! follows from the outcome of each. It is pure: it must not know how a command gets to a host.
//!
//! Read `release.rs` and `step.rs` first, then `planner.rs`, which makes a plan, `machine.rs`, which says after
//! each outcome what comes next, and `target.rs`, the interface to the hosts.

pub mod analysis;
pub mod candidate;
pub mod event;
pub mod impact;
pub mod impact_meter;
pub mod lease;
pub mod machine;
pub mod observation;
pub mod plan;
mod plan_builder;
pub mod planner;
pub mod policy;
pub mod record;
pub mod refusal;
pub mod rehearsal;
pub mod release;
mod situation;
pub mod step;
pub mod target;
pub mod windows;

#[cfg(test)]
mod tests;
