//! Finds file patterns of a config that have no effect on a tree. Tasks that would read no file at all are an
//! error; single patterns that match nothing are warnings, each with its likely reason. It must not know
//! where the tree comes from, so that a commit and a work tree are judged alike.
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
use crate::config_warning::Warning;
pub use check::check;
pub use unused::unused;

/// What is known of a tree besides its files. It is needed for reasons only, never for errors.
pub trait TreeLookup {
    /// Returns whether git ignores the path.
    fn ignores(&self, path: &RepoPath) -> bool;
    /// Returns the target of the symlink at `path`, if it is known.
    fn link(&self, path: &RepoPath) -> Option<String>;
    /// Returns the top of the work tree, as an absolute path.
    fn root(&self) -> Option<String>;
    /// Returns whether the pattern matches a file that git has and that is not checked out, as in a sparse
    /// checkout.
    fn is_absent(&self, pattern: &Pattern) -> bool;
}

/// The warnings of a plan.
#[derive(Clone, Debug, Default)]
pub struct Warnings {
    /// The first of them, by file and line.
    pub listed: Vec<Warning>,
    /// How many more there are.
    pub more: usize,
}

/// The result of checking patterns on a tree.
#[derive(Clone, Debug, Default)]
pub struct EffectReport {
    /// The errors of tasks whose inputs match no file.
    pub refused: Option<Diagnostics>,
    /// The patterns without effect.
    pub warnings: Warnings,
}
