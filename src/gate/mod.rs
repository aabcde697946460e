//! The gate decides whether a tree may be pushed or committed. It may if every task that the tree's own
//! tasks.toml names for the stage has passed for exactly this tree. This module does not print, and does
//! not know how a hook is installed.
//!
//! Read in this order:
//! 1. [`push`] parses what git is about to push, and [`question`] creates one question per distinct tree.
//! 2. [`answer`] reads the tree's tasks.toml from git's objects ([`definition`]) and plans from objects too.
//!    If every task is a hit, the gate passes and nothing is checked out. Tool probes can't run on objects,
//!    so they run in the user's work tree; [`probing`] decides whether their results are valid for the tree.
//! 3. Otherwise, if the user's work tree has exactly the files of the tree, the missing tasks run there.
//! 4. Otherwise, or if one of these files was written meanwhile, [`prepare_worktree`] checks the tree out in a private worktree, links or copies what `[worktree]`
//!    names and runs its setup. Only the missing tasks run there. The run passes only if the tasks did not
//!    change the tree, because exactly the tested tree is pushed.
//!
//! [`stored_results`] returns the stored results of tasks of a tree, from which deploys make artifacts.
//!
//! [`context`] contains what a gate works with: the repository, the environment and the observer.

pub mod push;
pub mod question;

pub mod answer;
pub mod definition;
pub mod probing;
pub mod stored_results;

pub mod prepare_worktree;

pub mod context;
pub mod error;
pub mod remote_url;
