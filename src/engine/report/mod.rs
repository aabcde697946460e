//! What a task's standard reports say, from the task to the gate that judges it.
//!
//! Read [`leftovers`] (what existed before an attempt), then [`reports`] (reading them when a task
//! ends), [`shelf`] (keeping what they say until a gate asks), [`finished`] (what a gate gets), [`judging`] (a gate's node) and
//! [`baseline`] (what a gate's tree is compared with). [`tree_paths`] resolves paths in reports.

pub mod baseline;
pub mod finished;
pub mod judging;
pub mod leftovers;
pub mod reports;
pub mod shelf;
pub mod tree_paths;
