//! `xtask`: the list, the help and the version.

use crate::project::{CommandOutput, Project};

#[test]
fn tasks_are_listed_by_group() {
    let project = Project::new(
        r#"
        [tasks.ci]
        needs = ["lint"]
        [tasks.fmt]
        group = "lint"
        run = "cargo fmt"
        [tasks.clippy]
        group = "lint"
        description = "Lint it"
        run = "x"
        "#,
    );
    insta::assert_snapshot!("list", project.xtask(&[]).ends(0).out);
}

#[test]
fn empty_file_gets_an_example_task() {
    Project::new("").xtask(&[]).ends(0);
    assert_screens!();
}

#[test]
fn missing_tasks_toml_is_reported_with_the_searched_folder() {
    let project = Project::new("");
    std::fs::remove_file(project.path("tasks.toml")).unwrap();
    project.xtask(&[]).ends(3);
    assert_screens!();
}

#[test]
fn help_of_each_command_has_an_example() {
    let project = Project::new("");
    project.xtask(&["--help"]).ends(0);
    for command in ["run", "plan", "why", "graph", "fix", "log", "init", "cache", "schema", "completions"] {
        project.xtask(&[command, "--help"]).ends(0);
    }
    project.xtask(&["--version"]).ends(0);
    project.xtask(&["ci", "--no-such-option"]).ends(2);
    assert_screens!();
}

#[test]
#[cfg(target_os = "linux")]
fn unwritable_output_is_a_failure() {
    let project = Project::new("");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = project.xtask_command(&[]).stdout(full).output().unwrap();
    CommandOutput::from_output(output).ends(5);
    assert_screens!();
}

#[test]
fn closed_pipe_is_not_a_failure() {
    let project = Project::new("");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = CommandOutput::from_output(project.xtask_command(&[]).stdout(writer).output().unwrap()).ends(0);
    assert_eq!(ran.err, "");
}

#[test]
fn deleted_current_folder_is_reported() {
    let project = Project::new("");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" list";
    let program = project.xtask_command(&[]).get_program().to_owned();
    let output = project.command("sh").args(["-c", script]).arg(program).output().unwrap();
    CommandOutput::from_output(output).ends(5);
    assert_screens!();
}
