//! The engine: runs a plan and emits events. It must not print, and must not know who listens.
//!
//! [`scheduler`] decides, purely, what starts when. [`run`] is the loop between it, the workers and
//! the signals. A [`worker`] brings one node from its decision to its result: from the cache, or by
//! an [`execution`] whose result [`keep`] stores if it may be stored, under [`locks`] that other runs
//! respect. An execution has a
//! [`workplace`]: the work tree, or a [`sandbox`]; what an audited one opened becomes [`findings`].
//! What a task's [`reports`] say is looked at when it ends, without the [`leftovers`] of former
//! attempts, and lies on the [`shelf`] for the [`judging`] of gates, against a [`baseline`]. What tasks
//! of a gate open of the user's work tree is noticed by [`work_tree_access`].

pub mod audit;
pub mod authors;
pub mod baseline;
pub mod claims;
pub mod command;
pub mod context;
pub mod diagnosis;
pub mod emitter;
pub mod execution;
pub mod findings;
pub mod gated_attempts;
pub mod inbox;
pub mod judging;
pub mod keep;
pub mod knowledge;
pub mod launch;
pub mod leftovers;
pub mod localhost;
pub mod locks;
pub mod manifest;
pub mod needed;
pub mod ports;
pub mod prepare;
pub mod probe;
pub mod readiness;
pub mod reports;
pub mod run;
pub mod rust_task;
pub mod sandbox;
pub mod scheduler;
pub mod secrets;
pub mod service;
pub mod services;
pub mod sharding;
pub mod shelf;
pub mod surroundings;
pub mod tree_paths;
pub mod watching;
pub mod work_tree_access;
pub mod worker;
pub mod workplace;
