//! Tests of pushes that are killed at any moment, or whose connection closes: no process is left, and no
//! result is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};

use crate::project::{CommandOutput, Project, processes, signal, wait_for};

/// Returns the command line of this project's hook. It differs from those of other tests that may run at
/// the same time.
fn hook(project: &Project) -> String {
    format!("hook\0pre-push\0origin\0{}", project.bare().display())
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

/// Creates a project whose gate has several slow tasks. The text `mark` identifies their processes.
fn project_with_slow_gate(mark: &str) -> Project {
    let tasks = format!(
        r#"
        [defaults]
        inputs = ["file"]
        [tasks.a]
        run = "sleep 0.2 {mark}; echo x > out"
        outputs = ["out"]
        [tasks.b]
        run = "sh -c 'sleep 0.2 {mark}' & sleep 0.1; wait"
        [tasks.c]
        needs = ["a"]
        run = "cat out; sleep 0.1 {mark}"
        [hooks]
        pre-push = ["a", "b", "c"]
        "#
    );
    let project = Project::with_gate(&tasks, &["pre-push"]);
    project.write(".gitignore", "out\n").write("file", "0\n").commit("first");
    project
}

#[test]
fn interrupted_pushes_leave_nothing() {
    let mark = "0.000007";
    let project = project_with_slow_gate(mark);
    project.write("dirty", "").write("staged", "");
    project.git(&["add", "staged"]);
    project.git(&["stash", "push", "-q"]);
    project.write("staged", "again");
    project.git(&["add", "staged"]);
    // A fixed seed, so that each run of the test uses the same delays.
    let mut seed = 7_u64;
    for round in 0..50 {
        fs::write(project.path("file"), format!("round {round}\n")).unwrap();
        project.git(&["commit", "-qm", "next", "file"]);
        let before = project.git_state();
        let mut child = project.start_push(&["main"]);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // This doesn't wait for a result: the delay determines when the signal is sent.
        std::thread::sleep(std::time::Duration::from_millis((seed >> 33) % 600));
        let name = ["KILL", "TERM", "INT"][round % 3];
        if child.try_wait().unwrap().is_none() {
            // INT goes to the whole group, as from a terminal. Other signals go to git alone, as from a GUI,
            // and in every other round to the hook, if it is running.
            let own = processes(&hook(&project)).first().copied().filter(|_| round % 2 == 0);
            let target = if name == "INT" { -pid(&child) } else { own.unwrap_or_else(|| pid(&child)) };
            // The hook may have ended in the meantime.
            let _ = Command::new("kill").args(["-s", name, "--", &target.to_string()]).output();
        }
        child.wait().unwrap();
        wait_for("no process is left", || {
            processes(mark).is_empty() && processes(&hook(&project)).is_empty()
        });
        assert_eq!(project.git_state(), before, "round {round}, {name}");
    }
    project.write("file", "last\n");
    project.git(&["commit", "-qm", "last", "file"]);
    project.push(&["main"]).ends(0).says(" passed (");
    assert_eq!(project.remote("main"), Some(project.git(&["rev-parse", "main"])));
}

#[test]
fn hook_ends_its_tasks_when_git_is_gone() {
    let mark = "71.0101";
    let tasks = format!(
        r#"
        [tasks.t]
        run = "sleep {mark}"
        [hooks]
        pre-push = ["t"]
        "#
    );
    for name in ["TERM", "KILL"] {
        let project = Project::with_gate(&tasks, &["pre-push"]);
        let mut child = project.start_push(&["main"]);
        wait_for("the task runs", || !processes(&format!("sleep\0{mark}")).is_empty());
        signal(name, pid(&child));
        let status = child.wait().unwrap();
        assert!(status.signal().is_some() || !status.success());
        wait_for("the task is ended", || processes(mark).is_empty());
        wait_for("the hook has ended", || processes(&hook(&project)).is_empty());
        project.xtask(&["plan", "t"]).ends(0).prints("miss");
    }
}

#[test]
fn two_pushes_at_once_from_two_worktrees_are_both_right() {
    let tasks = r#"
        [tasks.t]
        run = "grep -q good file; sleep 0.3; grep -q good file"
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_gate(tasks, &["pre-push"]);
    project.write("file", "good\n").commit("good");
    let second = project.parent_folder().join("second");
    project.git(&["worktree", "add", "-q", "-b", "other", second.to_str().unwrap()]);
    fs::write(second.join("file"), "bad\n").unwrap();
    project.git(&["-C", second.to_str().unwrap(), "commit", "-qam", "bad"]);
    for round in 0..3 {
        project.write("more", format!("{round}")).commit("more");
        let good = project.push_command(&["origin", "main"]).spawn().unwrap();
        let bad = project.push_command(&["origin", "other"]).current_dir(&second).output().unwrap();
        let good = good.wait_with_output().unwrap();
        assert!(good.status.success(), "round {round}");
        CommandOutput::from_output(bad).ends(1).says("refs/heads/other is not pushed");
    }
    assert_eq!((project.remote("other"), project.remote("main").is_some()), (None, true));
}

#[test]
fn test_that_creates_a_repository_changes_no_config_of_the_users() {
    let tasks = r#"
        [tasks.t]
        run = "git init -q; git config user.name nobody; git config --get core.bare || true; git stash list; env"
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_gate_in_private_worktree(tasks);
    let second = project.parent_folder().join("second");
    project.git(&["worktree", "add", "-q", "-b", "other", second.to_str().unwrap()]);
    project.git(&["-C", second.to_str().unwrap(), "commit", "-q", "--allow-empty", "-m", "other"]);
    let config = || fs::read(project.path(".git/config")).unwrap();
    let before = (config(), project.git_state());
    let pushed = project.push_command(&["origin", "other"]).current_dir(&second).output().unwrap();
    CommandOutput::from_output(pushed).ends(0).says("1 ran");
    assert_eq!((config(), project.git_state()), before);
    let log = project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    assert!(!log.contains("GIT_"), "{log}");
}

/// Creates an `ssh` program that runs the remote command on this machine. It ends after four seconds if there is
/// a file `short` beside it.
fn short_lived_ssh(project: &Project) -> String {
    let path = project.parent_folder().join("ssh");
    // The shell gives a background command no standard input, so the script passes it explicitly.
    let script = r#"#!/bin/sh
        while [ $# -gt 1 ]; do shift; done
        exec 3<&0
        sh -c "exec $1" <&3 3<&- &
        exec 3<&-
        server=$!
        (sleep 4; test ! -e "${0%/*}/short" || kill $server 2>/dev/null) 2>/dev/null >/dev/null </dev/null &
        killer=$!
        wait $server
        kill $killer 2>/dev/null
    "#;
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn push_whose_connection_closed_during_the_gate_succeeds_when_repeated() {
    let tasks = "[tasks.t]\nrun = \"sleep 6\"\n[hooks]\npre-push = [\"t\"]\n";
    let project = Project::with_gate(tasks, &["pre-push"]);
    let ssh = short_lived_ssh(&project);
    let push = || {
        let url = format!("somebody@host:{}", project.bare().display());
        let mut command = project.push_command(&[&url, "main"]);
        command.env("GIT_SSH_COMMAND", &ssh).env("GIT_SSH_VARIANT", "simple");
        CommandOutput::from_output(command.output().unwrap())
    };
    let short = project.parent_folder().join("short");
    fs::write(&short, "").unwrap();
    let first = push();
    fs::remove_file(short).unwrap();
    assert_ne!(first.status, 0, "{}", first.err);
    first.says(" passed (");
    assert_eq!(project.remote("main"), None);
    push().ends(0).says("1 cached, 0 ran");
    assert!(project.remote("main").is_some());
}
