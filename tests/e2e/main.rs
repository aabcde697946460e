//! Real signals, real kills, real races, real disks.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "a test fails by saying what is wrong, and stands in for the user's shell"
)]

#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../project/mod.rs"]
#[macro_use]
mod project;

mod apart;
mod disk;
mod needed;
mod push;
mod push_ends;
mod races;
mod runs_at_once;
mod signals;
mod state;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(target_os = "linux")]
mod trace;
mod watch;
#[cfg(target_os = "linux")]
mod work_tree_access;
