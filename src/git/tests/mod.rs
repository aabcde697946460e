//! Tests over real repositories.

mod commit;
mod index;
mod private_worktree;
mod random;
mod repository;
mod rescan;
mod rules;
pub(super) mod sandbox;
mod stat;
mod submodule;
mod work_tree;
