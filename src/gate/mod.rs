//! The gate: may this tree be pushed, or committed? It asks whether every task that the tree's own
//! tasks.toml names for the stage is known to have passed for exactly this tree. This module does not
//! print, and does not know how a hook is installed.
//!
//! Read in this order:
//! 1. [`push`] parses what git is about to push, and [`question`] makes one question of each distinct tree.
//! 2. [`answer`] reads the tree's tasks.toml from git's objects ([`definition`]) and plans from objects too.
//!    If every task is a hit, that is the answer, and nothing is checked out. Tool probes can't be asked in
//!    objects; [`probing`] says when the answers from the user's work tree hold.
//! 3. Otherwise [`worktree`] checks the tree out in a private worktree, provides what `[worktree]` names and
//!    runs its setup. Only the missing tasks run there, and the run passes only if they left the tree as it
//!    was: what was tested is what is pushed.
//!
//! [`context`] is what a gate works with: the repository, the environment, who listens.

pub mod push;
pub mod question;

pub mod answer;
pub mod definition;
pub mod probing;

pub mod worktree;

pub mod context;
pub mod error;
pub mod remote_url;
