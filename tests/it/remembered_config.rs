//! The configuration that a command remembers for the next: it is shared by commands, programs and work
//! trees, and damage or a change of the files makes no difference.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::project::{Project, flip_bit};

const TASKS: &str = r#"
    [tasks.fmt]
    run = "cargo fmt"
    "#;

/// Creates a project that has a state directory, as after a run.
fn project() -> Project {
    let project = Project::new(TASKS);
    fs::create_dir(project.state()).unwrap();
    project
}

/// Returns the remembered configurations, each with the number of its file: one that is written again has
/// another number.
fn remembered(project: &Project) -> BTreeMap<PathBuf, u64> {
    let entries = fs::read_dir(project.state().join("config")).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.path(), entry.metadata().unwrap().ino())).collect()
}

fn list(project: &Project, program: &Path) -> String {
    let output = project.command(program).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn next_command_uses_the_remembered_configuration() {
    let project = project();
    let first = project.xtask(&[]).ends(0).out;
    let files = remembered(&project);
    assert_eq!(files.len(), 1);
    assert_eq!(project.xtask(&[]).ends(0).out, first);
    project.xtask(&["plan", "fmt"]).ends(0);
    assert_eq!(remembered(&project), files);
}

#[test]
fn changed_tasks_toml_is_seen_and_errors_are_reported_each_time() {
    let project = project();
    project.xtask(&[]).ends(0).prints("cargo fmt");
    project.write("tasks.toml", "[tasks.fmt]\nrun = \"other\"\n");
    project.xtask(&[]).ends(0).prints("other");
    let files = remembered(&project);
    project.write("tasks.toml", "[tasks.fmt]\nrn = \"other\"\n");
    let first = project.xtask(&[]).ends(3).says("run").err;
    assert_eq!(project.xtask(&[]).ends(3).err, first);
    assert_eq!(remembered(&project), files);
    project.write("tasks.toml", TASKS);
    project.xtask(&[]).ends(0).prints("cargo fmt");
    assert_eq!(remembered(&project), files, "the configuration of the same bytes is still known");
}

#[test]
fn included_file_that_appears_changes_or_becomes_ignored_is_seen() {
    let project = project();
    project.write("tasks.toml", "include = ['?*/tasks.toml']\n[tasks.t]\nrun = 'top'\n");
    project.xtask(&[]).ends(0);
    project.write("a/tasks.toml", "[tasks.t]\nrun = 'appears'\n");
    project.xtask(&[]).ends(0).prints("appears");
    project.write("a/tasks.toml", "[tasks.t]\nrun = 'changes'\n");
    project.xtask(&[]).ends(0).prints("changes");
    project.write(".gitignore", "a\n");
    assert!(!project.xtask(&[]).ends(0).out.contains("a:t"));
    project.git(&["add", "-f", "a/tasks.toml"]);
    project.xtask(&[]).ends(0).prints("changes");
    fs::remove_file(project.path("a/tasks.toml")).unwrap();
    assert!(!project.xtask(&[]).ends(0).out.contains("a:t"));
}

#[test]
fn damaged_file_is_written_again() {
    let project = project();
    let expected = project.xtask(&[]).ends(0).out;
    let path = remembered(&project).into_keys().next().unwrap();
    let whole = fs::read(&path).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        flip_bit(&path, at);
        assert_eq!(project.xtask(&[]).ends(0).out, expected);
        assert_eq!(fs::read(&path).unwrap(), whole);
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(project.xtask(&[]).ends(0).out, expected);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn two_programs_share_one_state_directory() {
    let project = project();
    let own = Path::new(env!("CARGO_BIN_EXE_xtask"));
    let copy = project.parent_folder().join("xtask");
    fs::copy(own, &copy).unwrap();
    let expected = list(&project, own);
    assert_eq!(list(&project, &copy), expected);
    let files = remembered(&project);
    assert_eq!(files.len(), 2);
    for program in [own, &copy, own] {
        assert_eq!(list(&project, program), expected);
    }
    assert_eq!(remembered(&project), files, "none replaces the file of the other");
    project.write("tasks.toml", "[tasks.new]\nrun = 'new'\n");
    for program in [&copy, own] {
        assert!(list(&project, program).contains("new"));
    }
}

#[test]
fn linked_worktrees_share_what_is_remembered() {
    let project = project();
    let other = project.parent_folder().join("other");
    project.git(&["worktree", "add", "-q", other.to_str().unwrap()]);
    let expected = project.xtask(&[]).ends(0).out;
    let files = remembered(&project);
    let dir = other.to_str().unwrap();
    assert_eq!(project.xtask(&["-C", dir]).ends(0).out, expected);
    assert_eq!(remembered(&project), files);
    fs::write(other.join("tasks.toml"), "[tasks.new]\nrun = 'new'\n").unwrap();
    project.xtask(&["-C", dir]).ends(0).prints("new");
    assert_eq!(project.xtask(&[]).ends(0).out, expected);
}

#[test]
fn only_the_newest_configurations_are_kept() {
    let project = project();
    project.xtask(&[]).ends(0);
    // As a killed command leaves it.
    let rest = project.state().join("config/.tmpAbCdEf");
    fs::write(&rest, "half").unwrap();
    for round in 0..40 {
        project.write("tasks.toml", format!("[tasks.t]\nrun = 'echo {round}'\n"));
        project.xtask(&[]).ends(0).prints(&format!("echo {round}"));
    }
    assert_eq!(remembered(&project).len(), 32);
    assert!(!rest.exists());
}

#[test]
fn command_without_a_run_leaves_no_trace() {
    let project = Project::new(TASKS);
    project.xtask(&[]).ends(0);
    assert!(!project.state().exists());
}

#[test]
fn nothing_is_said_if_it_cannot_be_remembered() {
    let project = Project::new(TASKS);
    fs::write(project.state(), "a file").unwrap();
    assert!(list(&project, Path::new(env!("CARGO_BIN_EXE_xtask"))).contains("cargo fmt"));
}
