//! Tests of tasks.toml: all errors are reported at once, each with its place and a hint.

use crate::project::Project;

#[test]
fn all_errors_are_reported_at_once() {
    let project = Project::new(
        r#"
include = ["x/tasks.toml"]

[tasks.a]
runn = "true"
needs = ["b"]

[tasks.b]
run = 3
needs = ["a"]
timeout = "soon"

[tasks.c]
run = "true"
inputs = ["../outside/**"]
outputs = ["dist/**"]
matrix = { python = ["3.11"] }

[tasks.d]
run = "true"
outputs = ["dist/app"]
needs = ["clipy"]
"#,
    );
    let ran = project.xtask(&["a"]).ends(3);
    insta::assert_snapshot!("errors", ran.err);
}

#[test]
fn syntax_error_is_reported_with_its_place() {
    let project = Project::new("[tasks.a\nrun = \"true\"\n");
    project.xtask(&[]).ends(3);
    assert_screens!();
}

#[test]
fn design_example_is_loaded() {
    let project = Project::new(
        r#"
[settings]
jobs = 0
cache-size = "10 GiB"
shell = ["sh", "-ec"]

[files]
rust = ["**/*.rs", "**/Cargo.toml", "Cargo.lock", "!target/**"]

[tools]
rustc = "rustc -vV"

[defaults]
timeout = "30m"

[tasks.ci]
needs = ["lint", "integration"]

[tasks.clippy]
description = "Lint with clippy"
group = "lint"
run = "cargo clippy --workspace --all-targets -- -D warnings"
fix = "cargo clippy --fix --allow-dirty"
inputs = ["@rust"]
tools = ["rustc"]

[tasks.build]
run = "cargo build --release"
inputs = ["@rust"]
outputs = ["target/release/app"]
env = { RUSTFLAGS = "-D warnings" }
pass-env = ["CARGO_HOME"]
secret-env = ["REGISTRY_TOKEN"]

[tasks.integration]
group = "integration"
run = ["cargo", "nextest", "run", "--profile", "integration"]
needs = ["build"]
timeout = "10m"
slow-after = "2m"
retries = 2
locks = ["port-5432"]
slots = 2
os = ["linux"]
finally = "docker compose down"
"#,
    );
    project.xtask(&[]).ends(0);
    project.xtask(&["graph", "ci"]).ends(0);
    assert_screens!();
}
