//! What one task needs around its processes: before it starts, while it runs and after it passed.
//!
//! Before: [`command`] with its [`task_env`], [`secrets`] and [`rust_task`]; [`locks`] that other runs
//! respect; [`dependency_outputs`] that must be those of its key. After: [`store_result`] for one that
//! passed, [`diagnosis`] for one that failed. The steps are in [`super::worker`] and
//! [`super::execution`].

pub mod command;
pub mod dependency_outputs;
pub mod diagnosis;
pub mod locks;
pub mod rust_task;
pub mod secrets;
pub mod store_result;
pub mod task_env;
