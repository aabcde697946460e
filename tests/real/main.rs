//! Real components: the examples as their readers would run them, with `PostgreSQL`, Redis, node and
//! Python, and generated workflows under what runs them without CI systems. `.ci/run` installs what they need; if something is missing, the tests fail and say what.

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

mod large_report;
mod rust_program;
mod shop;
mod workflows;
