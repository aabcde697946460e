//! Tests with real git repositories.

mod chain;
mod commit;
mod index;
mod private_worktree;
mod random;
mod random_edits;
mod remote_refs;
mod repository;
mod rescan;
mod rules;
mod stat;
mod submodule;
pub(super) mod test_repo;
mod work_tree;
