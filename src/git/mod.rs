//! Git: the snapshots of trees, private worktrees and refs. It must not know of tasks.

pub mod snapshot;
