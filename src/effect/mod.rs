//! Effect: whether the file patterns of a config have any on a tree. Tasks that read no file at all are
//! refused; single patterns that match nothing are warned of, each with its likely reason. It must not
//! know where the tree comes from, so that a commit and a work tree are judged alike.
//!
//! `check.rs` judges the patterns, `advice.rs` finds why one matches nothing, `unused.rs` finds sets, tools
//! and services that nothing uses.

mod advice;
mod check;
mod matching;
mod unused;

use crate::base::path::RepoPath;
use crate::base::pattern::Pattern;
use crate::config::diagnostic::Diagnostics;
use crate::warning::Warning;
pub use check::check;
pub use unused::unused;

/// What is known of a tree besides its files. It words reasons, and decides no error.
pub trait Tree {
    /// Whether git ignores the path.
    fn ignores(&self, path: &RepoPath) -> bool;
    /// Where the symlink at `path` leads to, if that can be told.
    fn link(&self, path: &RepoPath) -> Option<String>;
    /// The top of the work tree, as an absolute path.
    fn root(&self) -> Option<String>;
    /// Whether the pattern matches a file that git has and that is not checked out, as in a sparse
    /// checkout.
    fn is_absent(&self, pattern: &Pattern) -> bool;
}

/// Warnings of a plan.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    /// The first of them, by file and line.
    pub listed: Vec<Warning>,
    /// How many more there are.
    pub more: usize,
}

/// What patterns come to on a tree.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// The tasks whose inputs match no file at all.
    pub refused: Option<Diagnostics>,
    /// Single patterns without effect.
    pub warnings: Warnings,
}
