//! The steps of one task before it starts and after it has ended.
//!
//! Before: [`command`] prepares the command, with [`task_env`], [`secrets`] and [`rust_task`]; [`locks`]
//! takes its locks; [`dependency_outputs`] checks the outputs that it needs. After: [`store_result`] stores
//! the result of a task that passed; [`diagnosis`] finds the cause of a failure, and [`untracked_files`] what a
//! private worktree lacks. [`super::worker`] and [`super::execution`] call these steps.

pub mod command;
pub mod dependency_outputs;
pub mod diagnosis;
pub mod locks;
pub mod missing_paths;
pub mod passed_variables;
pub mod rust_task;
pub mod secrets;
pub mod store_result;
pub mod task_env;
pub mod untracked_files;
