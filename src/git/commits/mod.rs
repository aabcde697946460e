//! Questions about the history: the merge base of a commit and a branch, the lines that a commit
//! changed, notes on commits, the refs of a remote, and branches that only ever grow. The files are independent of each other.

pub mod chain;
pub(super) mod changed_lines;
mod containing;
mod merge_base;
pub(super) mod notes;
pub(super) mod remote_refs;
