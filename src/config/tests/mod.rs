//! Tests of the parser: the text of a file, and the config or the formatted diagnostics that it results in.
#![expect(clippy::too_many_lines, reason = "messages are in the tests as users read them")]

mod commands;
mod defaults;
mod deploy;
mod design;
mod errors;
mod file_sets;
mod gates;
mod hooks;
mod known_keys;
mod matrix;
mod names;
mod needs;
mod paths;
pub(super) mod random;
mod values;
mod variables;
mod worktree;

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::base::clock::Clock;
use crate::base::path::RepoPath;
use crate::config::model::{Command, Config, Task, TaskId};
use crate::config::schema::all_keys;
use hook_stage::Stage;
use model::PassEnv;

fn source(text: &str) -> SourceText<'_> {
    SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" }
}

fn parse_ok(text: &str) -> Config {
    let config = parse(&source(text)).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    schema::tests::assert_schema_accepts(text);
    load::tests::assert_remembers(text);
    config
}

fn parse_errors(text: &str) -> String {
    match parse(&source(text)) {
        Ok(config) => panic!("this should be refused: {text}\n{config:?}"),
        Err(diagnostics) => diagnostics.render(false),
    }
}

/// Returns only the messages of the diagnostics, one per line.
fn messages(text: &str) -> Vec<String> {
    match parse(&source(text)) {
        Ok(_) => {
            schema::tests::assert_schema_accepts(text);
            Vec::new()
        }
        Err(diagnostics) => diagnostics.list().map(|diagnostic| diagnostic.message.clone()).collect(),
    }
}

fn path(text: &str) -> RepoPath {
    RepoPath::from_git(text.as_bytes())
}

fn task<'c>(config: &'c Config, name: &str) -> &'c Task {
    config.tasks.iter().find(|task| task.name == name).unwrap()
}

fn need_names<'c>(config: &'c Config, name: &str) -> Vec<&'c str> {
    task(config, name).needs.iter().map(|id| &*config.task(*id).name).collect()
}

pub(in crate::config) use deploy::EXAMPLE as DEPLOY;

pub(super) const DESIGN: &str = r#"
[settings]
jobs = 0                                # 0: one per core
cache-size = "10 GiB"
shell = ["sh", "-ec"]                   # runs a string command; a task may name its own

[files]                                 # named sets, used as "@rust"; gitignore-style globs, "!" excludes
rust = ["**/*.rs", "**/Cargo.toml", "Cargo.lock", "!target/**"]

[tools]                                 # probes; a probe's output enters the key of each task that names it
rustc = "rustc -vV"

[defaults]                              # for every task of this file
timeout = "30m"

[tasks.ci]
needs = ["lint", "unit", "integration", "e2e"]      # tasks or groups

[tasks.clippy]
description = "Lint with clippy"
group = "lint"
run = "cargo clippy --workspace --all-targets -- -D warnings"   # a string is a shell line, an array is an argv
fix = "cargo clippy --fix --allow-dirty"
inputs = ["@rust"]                      # left out: the whole tree
tools = ["rustc"]

[tasks.build]
run = "cargo build --release"
inputs = ["@rust"]
outputs = ["target/release/app"]        # stored and restored; no outputs: only the log and the fact that it passed
env = { RUSTFLAGS = "-D warnings" }
pass-env = ["CARGO_HOME"]               # value enters the key; "?NAME" passes it without entering the key
secret-env = ["REGISTRY_TOKEN"]         # passed, hashed into the key, masked in every log

[tasks.integration]
group = "integration"
run = ["cargo", "nextest", "run", "--profile", "integration"]
needs = ["build"]
timeout = "10m"
slow-after = "2m"
retries = 2                             # a pass after a failure is "flaky": the run passes, nothing is cached
locks = ["port-5432"]                   # never two holders at once
slots = 2                               # job slots it takes
os = ["linux"]
finally = "docker compose down"         # always runs, also after a failure, a timeout or Ctrl-C

[tasks.wheel]
group = "unit"
run = "tox -e py"
cwd = "python"
shell = ["bash", "-c"]
cache = false

[tasks.browser]
group = "e2e"
run = "npx playwright test"
inputs = []
"#;
