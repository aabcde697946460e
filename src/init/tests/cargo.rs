//! Tests of Rust workspaces.

use super::*;

#[test]
fn rust_task_of_unknown_inputs_reads_the_whole_tree() {
    let inputs = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
        found(files).tasks.into_iter().map(|task| task.inputs).collect()
    };
    let none = Vec::<String>::new();
    let package = ("Cargo.toml", "[package]\n");
    let set = vec!["@rust".to_owned()];
    // Code can include any file.
    assert_eq!(inputs(&[package]), [set, none.clone(), none.clone()]);
    let below = vec!["a/**".to_owned(), "@rust-settings".to_owned()];
    assert_eq!(inputs(&[("a/Cargo.toml", "[package]\n")]), [below.clone(), below.clone(), below]);
    let leaves = "[package]\n[dependencies]\nx = { path = \"../x\" }\n";
    assert_eq!(inputs(&[("a/Cargo.toml", leaves)]), [none.clone(), none.clone(), none]);
}

#[test]
fn rust_workspace_gets_tasks() {
    let found = found(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
        ("rustfmt.toml", ""),
        ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ("Makefile", "lint:\n\tx\nrelease:\n\tx\n"),
    ]);
    insta::assert_snapshot!(text(&found, None), @r##"
    #:schema https://raw.githubusercontent.com/taskgate/taskgate/main/schema/tasks.schema.json
    #
    # The tasks of this repository, for taskgate: it runs them in parallel, takes from its cache what has
    # passed with the same files, tools and variables, and asks before a push whether all of them passed.
    # Written by `xtask init` for what it found here. Each task was tried once and passed; those that did
    # not pass are comments with the reason. Try next:
    #
    #   xtask                  lists the tasks
    #   xtask ci               runs everything that must pass before a push
    #   xtask hooks install    tests each push before git sends it

    # Sets of files, used as "@name" in `inputs`. A task runs again if one of its inputs changed; without
    # `inputs` these are all files. Add what a task reads besides. Files that configure tools are named
    # whether or not they exist: a task has to run again when one is added.
    [files]
    rust = ["**/*.rs", "@rust-settings"]
    rust-settings = [
        "**/Cargo.toml", "**/Cargo.lock", "**/.cargo/**", "**/rust-toolchain.toml", "**/rust-toolchain",
        "**/.config/nextest.toml", "**/rustfmt.toml", "**/.rustfmt.toml", "**/clippy.toml",
        "**/.clippy.toml", "**/deny.toml", "**/.deny.toml", "**/.tool-versions", "**/mise.toml",
        "**/.mise.toml", "**/.config/mise.toml", "**/.config/mise/config.toml",
    ]

    # Commands that print the versions of tools. If the output changes, the tasks that name the tool run again.
    [tools]
    cargo = "cargo -V"
    rustc = "rustc -vV"

    # For all tasks. A task gets a few basic variables, and those that are named here or in the task. With `?`
    # in front, a change of the value does not run the task again.
    [defaults]
    timeout = "30m"
    pass-env = ["?RUSTUP_TOOLCHAIN"]

    # The tasks or groups that must pass before a push. `xtask hooks install` turns this on.
    [hooks]
    pre-push = ["ci"]

    [tasks.ci]
    description = "Everything that must pass before a push"
    needs = ["lint", "unit"]   # groups, or names of tasks

    # ---- Cargo.toml

    [tasks.fmt]
    description = "Check the formatting"
    group = "lint"
    run = "cargo fmt --all --check"
    fix = "cargo fmt --all"
    inputs = ["@rust"]
    tools = ["rustc", "cargo"]

    # Code may include and tests may read any file, so any change runs it again. If you know which files, list them in `inputs`.
    [tasks.clippy]
    description = "Lint with clippy"
    group = "lint"
    run = "cargo clippy --workspace --all-targets -- -D warnings"
    fix = "cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged"
    inputs = ["!tasks.toml"]   # all other files
    tools = ["rustc", "cargo"]
    locks = ["target"]

    # Code may include and tests may read any file, so any change runs it again. If you know which files, list them in `inputs`.
    [tasks.unit]
    description = "Run the tests"
    group = "unit"
    run = "cargo test --workspace"
    inputs = ["!tasks.toml"]   # all other files
    tools = ["rustc", "cargo"]
    locks = ["target"]

    # ---- Found, but not written as a task
    #
    #   `lint` of Makefile: other tasks do the like
    #   Makefile has also: release
    "##);
}

#[test]
fn rust_tasks_have_the_options_of_ci() {
    let workflow = "\
on: push
env:
  FEATURES: --features extra
  RUSTFLAGS: -D warnings
jobs:
  test:
    steps:
      - run: cargo +nightly test
      - run: cargo test --verbose --all ${{ env.FEATURES }}
      - run: cargo test --all --no-default-features
      - run: cargo test --target ${{ matrix.target }}
      - run: cargo clippy -p one
      - run: cargo clippy --all-features
";
    let files = [("Cargo.toml", "[package]\n"), (".github/workflows/ci.yml", workflow)];
    assert_eq!(
        commands(&found(&files)),
        [
            "fmt: cargo fmt --all --check",
            "clippy: cargo clippy --all-features -- -D warnings",
            "unit: cargo test --all --features extra",
            "unit-no-default: cargo test --all --no-default-features",
        ]
    );
    let other = [("Cargo.toml", "[package]\n"), (".gitlab-ci.yml", "test:\n  script:\n    - cargo test\n")];
    assert_eq!(commands(&found(&other)), ["fmt: cargo fmt --all --check", "unit: cargo test"]);
    assert_eq!(omissions(&found(&other)), ["clippy for Cargo.toml: CI does not run it"]);
}
