//! Tasks that are functions of the repository's own program, tested with `examples/rust-tasks`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::project::{CommandOutput, Project};

/// Returns the path of the example's program, and builds it first: `cargo test` does not build it if only
/// some tests are selected.
fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let args = ["build", "--quiet", "--locked", "--package", "xtask", "--example", "rust-tasks"];
        let programs = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // The tests may have been built in another target folder than the usual one.
        cargo.args(args).arg("--target-dir").arg(programs.parent().unwrap());
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.unwrap().success(), "the example can't be built");
        programs.join("examples").join("rust-tasks")
    };
    PROGRAM.get_or_init(build).clone()
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rust-tasks")
}

/// Creates a repository with the example, in which the task that runs cargo does nothing. Tasks get
/// `LLVM_PROFILE_FILE`, as a program that is built to measure coverage would write into the work tree
/// without it.
fn project() -> Project {
    let read = |path: &str| std::fs::read_to_string(example().join(path)).unwrap();
    let tasks = read("tasks.toml")
        .replace("run = \"cargo test --quiet --package palette\"", "run = \"true\"")
        .replace("pass-env = [", "pass-env = [\"?LLVM_PROFILE_FILE\", ");
    let project = Project::new(&tasks);
    for path in ["README.md", "schema/colors.txt", "src/colors.rs", "xtask/src/main.rs", ".cargo/config.toml"]
    {
        project.write(path, read(path));
    }
    project.commit("the example");
    project
}

fn run(project: &Project, args: &[&str]) -> CommandOutput {
    CommandOutput::from_output(command(project, args).output().unwrap())
}

fn command(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(program());
    command.args(args);
    command
}

#[test]
fn lock_file_of_the_example_is_current() {
    // This only needs the package index, which cargo has read for the repository's own lock file.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["update", "--workspace", "--locked", "--offline"]).current_dir(example());
    let ran = cargo.output().unwrap();
    assert!(
        ran.status.success(),
        "hint: cd examples/rust-tasks && cargo update --workspace\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn example_passes_and_is_cached() {
    let project = project();
    let made = project.read("src/colors.rs");
    run(&project, &["ci"]).ends(0);
    assert_eq!(project.read("src/colors.rs"), made, "the example's own file is what its task makes");
    run(&project, &["ci"]).ends(0);
    run(&project, &["log", "--last", "--task", "codegen"]).ends(0);
    project.write("src/colors.rs", "");
    run(&project, &["codegen"]).ends(0);
    assert_eq!(project.read("src/colors.rs"), made);
    assert_screens!();
}

#[test]
fn changed_code_of_the_program_is_a_miss() {
    let project = project();
    run(&project, &["codegen"]).ends(0);
    let code = project.read("xtask/src/main.rs");
    project.write("xtask/src/main.rs", code + "\n// edited\n");
    run(&project, &["codegen"]).ends(0);
    project.write("README.md", "no code\n");
    run(&project, &["codegen"]).ends(0);
    assert_screens!();
}

#[test]
fn error_of_a_function_is_its_log_and_status() {
    let project = project();
    project.write("schema/colors.txt", "ink #1b1b1f\npaper white\n");
    run(&project, &["codegen"]).ends(1);
    project.write("other.md", "[here](nowhere)").write("schema/colors.txt", "ink #1b1b1f\n");
    run(&project, &["run", "links", "--", "other.md"]).ends(1);
    assert_screens!();
}

#[test]
fn another_program_reports_what_is_missing() {
    let project = project();
    project.xtask(&["codegen"]).ends(1);
    project.write(
        "tasks.toml",
        r"
        [tasks.a]
        rust = 'code-gen'
        [tasks.b]
        run = 'true'
        rust = 'codegen'
        ",
    );
    run(&project, &["a"]).ends(3);
    project.write("tasks.toml", "[tasks.a]\nrust = 'code-gen'\n");
    run(&project, &["a"]).ends(1);
    assert_screens!();
}
