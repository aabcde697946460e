//! Questions about the history: the merge base of a commit and a branch, the lines that a commit
//! changed, and notes on commits. The files are independent of each other.

pub(super) mod changed_lines;
mod merge_base;
pub(super) mod notes;
