//! Git: repositories, the snapshots of trees, and private worktrees. It does not know tasks.
//!
//! Read `repository` and `snapshot/` first: a [`Repository`] gives [`snapshot::Snapshot`]s of commits
//! and of the index, and `work_tree/` takes the snapshot of the files on disk. `index/` and `rules/`
//! read what git itself reads for that: its index, ignore rules and attributes. `private_worktree/`
//! checks a tree out apart from the user's work tree. `paths/` and `commits/` answer single
//! questions about paths and about the history; `git_program` starts the `git` program.

pub mod activity;
mod commits;
mod error;
mod git_program;
mod hooks_dir;
mod index;
mod paths;
mod private_worktree;
mod repository;
mod rules;
mod settings;
pub mod snapshot;
mod work_tree;

#[cfg(test)]
mod tests;

pub use commits::chain;
pub use commits::changed_lines::ChangedLines;
pub use commits::notes::Notes;
pub use commits::remote_refs::RemoteRefs;
pub use error::{GitError, NoBaseReason, UnsupportedFormat};
pub use git_program::GitProgram;
pub use hooks_dir::HooksDir;
pub use paths::browse;
pub use private_worktree::pool::{Pool, PoolFinder, RemovedWorktrees};
pub use private_worktree::{CheckoutTarget, PrivateWorktree, Warmth};
pub use repository::{Commit, Repository};
pub use snapshot::checked_out::remove_stale_attribute_folders;
pub use snapshot::tree_id::tree_id;
pub use work_tree::reader::WorkTreeReader;
