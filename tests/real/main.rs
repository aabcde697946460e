//! Tests with real components: the examples as users would run them, with `PostgreSQL`, Redis, node and
//! Python, and generated workflows in programs that run them without CI systems. `.ci/run` installs what they
//! need. If something is missing, the tests fail and name it.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::format_collect,
    clippy::print_stdout,
    reason = "a test fails by saying what is wrong, stands in for the user's shell, and prints what it measured"
)]

#[allow(dead_code, reason = "each test program uses its own part")]
#[path = "../project/mod.rs"]
#[macro_use]
mod project;

#[path = "../conformance/mod.rs"]
mod conformance;

mod artifact_store;
mod deploy_analysis;
mod deploy_compose;
mod deploy_conformance;
mod deploy_example;
mod deploy_failpoints;
mod deploy_hosts;
mod deploy_own;
mod deploy_postgres;
mod deploy_router;
mod deploy_secrets;
mod deploy_site;
mod docker;
mod large_report;
mod load;
mod proxy;
mod rust_program;
mod shop;
mod sshd;
mod tutorial;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod version_managers;
mod workflows;
