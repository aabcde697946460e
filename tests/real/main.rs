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

use std::path::{Path, PathBuf};

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

/// Returns the path of something that tests/real/install.sh installs in its own folder.
#[track_caller]
fn installed(path: &str) -> PathBuf {
    let place = std::env::var_os("XTASK_REAL_TOOLS").map(PathBuf::from);
    let place =
        place.unwrap_or_else(|| Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/taskgate-real"));
    let path = place.join(path);
    assert!(path.exists(), "missing: {}; run tests/real/install.sh", path.display());
    path
}
