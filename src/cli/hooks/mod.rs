//! Commands for git hooks and the gate.
//!
//! Read [`gate`] (asks the gate about commits), then [`hook`] (what git calls, which asks the same gate about
//! a push) and [`install`] (writes the hooks).

pub mod gate;
pub mod hook;
pub mod install;
