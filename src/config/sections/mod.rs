//! The tables of tasks.toml. Each file reads the keys of one table and reports errors. Start with `tasks.rs`;
//! `common_keys.rs` has the keys that `[defaults]` and tasks share, `values.rs` the values that several
//! tables have, and `drafts.rs` what is read before names are resolved.

pub(crate) mod ci;
pub(crate) mod common_keys;
pub(crate) mod deploy;
pub(crate) mod drafts;
pub(crate) mod file_sets;
pub(crate) mod gates;
pub(crate) mod hooks;
pub(crate) mod outputs;
pub(crate) mod reports;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod suppressions;
pub(crate) mod tasks;
pub(crate) mod values;
pub(crate) mod variables;
pub(crate) mod worktree;
