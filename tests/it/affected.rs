//! Tests of `--affected`, which runs only the tasks that the changes since a merge base can affect.

use std::fs;

use crate::project::{CommandOutput, Project};

const TASKS: &str = r#"
    [tasks.build]
    run = "mkdir -p out; cat src/* > out/all"
    inputs = ["src/**"]
    outputs = ["out/all"]
    [tasks.test]
    run = "cat out/all tests/*"
    needs = ["build"]
    inputs = ["tests/**"]
    [tasks.docs]
    run = "cat docs/*"
    inputs = ["docs/**"]
    [tasks.ci]
    needs = ["test", "docs"]
    "#;

/// Creates a repository with a branch `work` that is ahead of `main`. `main` also has a new commit.
fn project() -> Project {
    let project = Project::new(TASKS);
    project.write(".gitignore", "out/\n").write("src/a", "").write("tests/t", "").write("docs/d", "");
    project.commit("base");
    project.git(&["checkout", "-q", "-b", "work"]);
    project.write("tests/t", "changed\n").commit("work");
    project.git(&["checkout", "-q", "main"]);
    project.write("docs/d", "main went on\n").commit("main");
    project.git(&["checkout", "-q", "work"]);
    project
}

#[test]
fn only_tasks_affected_since_the_merge_base_run_with_their_needs() {
    let project = project();
    let ran = project.xtask(&["ci", "--affected=main"]).ends(0);
    let base = project.git(&["merge-base", "main", "work"]);
    ran.says(&format!("1 task affected since {} (the merge base with main)", &base[..10]));
    // Uncommitted changes count too, and so do the tasks that depend on them.
    project.write("src/b", "new\n");
    project.xtask(&["ci", "--affected=main"]).ends(0);
    project.xtask(&["docs", "--affected=main"]).ends(0);
    project.xtask(&["plan", "ci", "--affected=main"]).ends(0);
    project.xtask(&["ci", "--affected=main", "--only", "--force"]).ends(0);
    assert_screens!();
}

#[test]
fn default_base_is_the_main_branch_of_the_remote() {
    let project = project();
    project.xtask(&["ci", "--affected"]).ends(5);
    project.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    project.xtask(&["ci", "--affected"]).ends(0);
    project.xtask(&["ci", "--affected=nowhere"]).ends(5);
    // This branch only exists on the remote.
    let url = project.root().display().to_string();
    project.git(&["remote", "add", "origin", &url]);
    project.git(&["update-ref", "refs/remotes/origin/far", "main"]);
    project.xtask(&["ci", "--affected=far"]).ends(0);
    project.git(&["checkout", "-q", "--orphan", "lone"]);
    project.commit("lone");
    project.xtask(&["ci", "--affected=main"]).ends(5);
    project.xtask(&["ci", "--affected=main", "--at", "main"]).ends(2);
    assert_screens!();
}

#[test]
fn base_without_tasks_makes_all_tasks_new() {
    let project = Project::new(TASKS);
    project.write("src/a", "").write("tests/t", "").write("docs/d", "").write(".gitignore", "out/\n");
    project.git(&["rm", "-q", "--cached", "tasks.toml"]);
    project.git(&["commit", "-qm", "without"]);
    project.git(&["tag", "before"]);
    project.commit("with");
    project.xtask(&["ci", "--affected=before"]).ends(0);
    assert_screens!();
}

#[test]
fn shallow_clone_selects_nothing_and_names_the_fetch() {
    let project = project();
    let shallow = project.parent_folder().join("shallow");
    let url = format!("file://{}", project.root().display());
    let path = shallow.to_str().unwrap();
    project.git(&["clone", "-q", "--depth", "1", "--no-single-branch", "--branch", "work", &url, path]);
    let failed = project.xtask(&["-C", path, "ci", "--affected=origin/main"]).ends(5);
    let command = failed.err.split("git fetch").nth(1).unwrap().trim().to_owned();
    let line = format!("cd '{path}' && git fetch -q {command}");
    CommandOutput::from_output(project.command("sh").args(["-c", &line]).output().unwrap()).ends(0);
    let ran = CommandOutput::from_output(
        project.xtask_command(&["-C", path, "ci", "--affected=origin/main"]).output().unwrap(),
    );
    ran.ends(0);
    fs::remove_dir_all(&shallow).unwrap();
    // This clone does not know the name of the remote's main branch.
    project.git(&["branch", "-q", "trunk", "main"]);
    project.git(&["clone", "-q", "--depth", "1", "--branch", "trunk", &url, path]);
    let failed = project.xtask(&["-C", path, "ci", "--affected"]).ends(5);
    let command = failed.err.split("git fetch").nth(1).unwrap().trim().to_owned();
    let line = format!("cd '{path}' && git fetch -q {command}");
    CommandOutput::from_output(project.command("sh").args(["-c", &line]).output().unwrap()).ends(0);
    project.xtask(&["-C", path, "ci", "--affected"]).ends(0);
    fs::remove_dir_all(shallow).unwrap();
    assert_screens!();
}
