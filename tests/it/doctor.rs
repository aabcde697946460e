//! Tests of `xtask doctor`: what it checks, and what it reports.

use std::fs;

use crate::project::Project;

const TASKS: &str = r#"
    [tools]
    sh = "echo shell 5"
    [tasks.t]
    run = "true"
    tools = ["sh"]
    [hooks]
    pre-push = ["t"]
    "#;

/// Returns the name and the state of each check.
fn states(project: &Project, status: i32) -> Vec<(String, String)> {
    let rows = project.xtask(&["doctor", "--json"]).ends(status).json();
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(row, "check"), text(row, "state"))).collect()
}

#[test]
fn healthy_repository_has_no_problems() {
    let project = Project::with_gate(TASKS, &[]);
    project.xtask(&["hooks", "install"]).ends(0);
    let all = [
        "git",
        "repository",
        "tasks.toml",
        "tool sh",
        "hook pre-push",
        "state",
        "worktrees",
        "remote origin",
    ];
    let expected: Vec<_> = all.iter().map(|what| ((*what).to_owned(), "good".to_owned())).collect();
    assert_eq!(states(&project, 0), expected);
    let shown = project.xtask(&["doctor"]).ends(0).prints("✓ tool sh: shell 5 (");
    shown.prints("✓ hook pre-push: installed\n").prints("✓ tasks.toml: 1 task\n");
}

#[test]
fn each_problem_has_its_hint() {
    let project = Project::with_gate(&TASKS.replace("echo shell 5", "no-such-program -V"), &[]);
    let shown = project.xtask(&["doctor"]).ends(1).prints("✗ tool sh: ").prints("fix its probe in [tools]");
    shown.prints("! hook pre-push: not installed: run xtask hooks install");
    project.write("tasks.toml", "[tasks.t]\nrun = 1\n");
    project.xtask(&["doctor"]).ends(1).prints("✗ tasks.toml: 1 error to fix");
    fs::remove_file(project.path("tasks.toml")).unwrap();
    project.xtask(&["doctor"]).ends(1).prints("✗ tasks.toml: there is no tasks.toml");
    project.write("tasks.toml", TASKS);
    project.xtask_env(&["doctor"], &[("XTASK_SKIP", "always")]).ends(0).prints("! XTASK_SKIP: ");
    let outside = Project::without_git(TASKS);
    outside.xtask(&["doctor"]).ends(0).prints("! repository: this is not a git repository");
}

#[test]
fn ssh_remote_gets_the_hint_about_keepalive() {
    let project = Project::new(TASKS);
    project.git(&["remote", "add", "origin", "git@example.com:a/b.git"]);
    project.git(&["remote", "add", "web", "https://example.com/a/b.git"]);
    project.xtask(&["doctor"]).ends(0);
    // The configuration that ssh itself prints is used.
    let ssh = project.parent_folder().join("bin/ssh");
    fs::create_dir(ssh.parent().unwrap()).unwrap();
    let said = "#!/bin/sh\n[ \"$1 $2\" = '-G git@example.com' ] && echo serveraliveinterval 15\n";
    fs::write(&ssh, said).unwrap();
    project.chmod("../bin/ssh", 0o755);
    let path = format!("{}:{}", ssh.parent().unwrap().display(), std::env::var("PATH").unwrap());
    project.xtask_env(&["doctor"], &[("PATH", &path)]).ends(0);
    assert_screens!();
}
