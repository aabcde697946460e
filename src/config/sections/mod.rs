//! The tables of tasks.toml: a file for each, which reads its keys and reports what is wrong with them.
//! Start with `tasks.rs`; `common_keys.rs` has what `[defaults]` and tasks share.

pub(crate) mod bounds;
pub(crate) mod ci;
pub(crate) mod common_keys;
pub(crate) mod drafts;
pub(crate) mod file_sets;
pub(crate) mod gate_rules;
pub(crate) mod gates;
pub(crate) mod hooks;
pub(crate) mod outputs;
pub(crate) mod reports;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod suppressions;
pub(crate) mod tasks;
pub(crate) mod variables;
pub(crate) mod worktree;
