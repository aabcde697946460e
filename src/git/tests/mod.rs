//! Tests over real repositories.

mod commit;
mod random;
mod repository;
mod rescan;
mod submodule;
mod work_tree;
