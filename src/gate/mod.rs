//! The gate: may this tree be pushed, or committed? It asks whether every task that the tree's own
//! tasks.toml names for the stage is known to have passed for exactly this tree. It must not print,
//! nor know how a hook is installed.
//!
//! 1. [`push`] reads what git is about to push; [`question`] makes one question of each distinct
//!    tree.
//! 2. [`definition`] reads the tasks.toml of that tree from git's objects, and the plan is made from
//!    objects too. If every task is a hit, that is the answer: nothing is checked out.
//! 3. Otherwise [`provision`] checks the tree out in a private worktree and makes it ready, and only
//!    what is missing runs there ([`answer`]). The user's work tree, index and HEAD are not touched.
//!    What git does not hold is made again there by [`mirror`], so that nothing leads back into the
//!    work tree.
//! 4. A run passes only if its tasks left the tree as it was: what was tested is what is pushed.
//!
//! Tool probes are the one thing that a plan from objects can't ask in the tree itself; [`probing`]
//! says when the user's work tree will do.

pub mod answer;
pub mod connection;
pub mod definition;
pub mod error;
pub mod host;
pub mod installed;
pub mod mirror;
pub mod probing;
pub mod provision;
pub mod push;
pub mod question;
pub mod setup;
pub mod unchecked;
