//! Real signals, real kills, real races, real disks.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../project/mod.rs"]
mod project;

mod disk;
mod races;
mod runs_at_once;
mod signals;
