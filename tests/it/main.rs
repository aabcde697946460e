//! Each command through the program, a file per command.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../project/mod.rs"]
mod project;

mod at;
mod cache;
mod config;
mod fix;
mod graph;
mod list;
mod log;
mod outputs;
mod plan;
mod reports;
mod run;
mod secrets;
mod snapshot;
mod why;
