//! The engine: runs a plan and emits events. It must not print, and must not know who receives the events.
//!
//! Read in this order: [`prepare`] makes the plan of a request. [`run`] contains the main loop, which
//! connects the pure [`run::scheduler`], the workers and the signals. A [`worker`] gets the result of one
//! node: from the cache, or by an [`execution`] whose result [`task::store_result`] stores. All workers share
//! a [`context`]. Each other folder has one topic: [`task`] (environment, locks, diagnosis), [`services`],
//! [`sandbox`] and its [`audit`], [`report`] (what gates judge), [`work_tree_access`] (files that gated tasks
//! must not open) and [`watch`].

pub mod audit;
pub mod context;
pub mod execution;
pub mod location;
pub mod prepare;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod services;
pub mod task;
pub mod watch;
pub mod work_tree_access;
pub mod worker;
