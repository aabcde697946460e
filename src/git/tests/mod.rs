//! Tests over real repositories.

mod commit;
mod private_worktree;
mod random;
mod repository;
mod rescan;
mod submodule;
mod work_tree;
