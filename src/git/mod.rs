//! Git: the snapshots of trees, private worktrees and refs. It must not know of tasks.

pub mod activity;
mod ancestry;
mod attributes;
pub mod browse;
mod changed_lines;
mod checked_out;
mod commit_snapshot;
mod content;
mod error;
mod filters;
mod folder;
mod glob;
mod hooks_dir;
mod ignore_rules;
mod index;
mod index_file;
mod left_out;
mod listing;
mod notes;
mod own_repository;
mod pool;
mod private_worktree;
mod program;
mod repository;
mod rules;
mod settings;
pub mod snapshot;
mod submodule;
mod submodules;
mod tracked;
mod tree_id;
mod walk;
mod work_tree;
mod worktree_snapshot;

#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod tests;

pub use changed_lines::ChangedLines;
pub use checked_out::remove_left_overs;
pub use error::{Form, GitError, NoBase};
pub use hooks_dir::HooksDir;
pub use notes::Notes;
pub use pool::{Pool, PoolFinder, Removed};
pub use private_worktree::{Age, PrivateWorktree, Target};
pub use program::GitProgram;
pub use repository::{Commit, Repository};
pub use tree_id::tree_id;
pub use worktree_snapshot::WorkTreeReader;
