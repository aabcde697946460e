//! Tests that no process survives a run and nothing hangs, no matter how the run ends.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;

use crate::project::{Project, processes, signal, wait_for};

/// Creates a project with a task whose processes can be found by `mark`, and whose `finally` writes a file.
fn project_with_sleep(mark: &str) -> Project {
    Project::new(&format!(
        r#"
        [tasks.t]
        run = "sleep {mark} & sleep {mark}"
        inputs = ["?in"]
        finally = "echo cleaned >> ../cleaned"
        "#
    ))
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

fn status(child: &mut Child) -> i32 {
    let status = child.wait().unwrap();
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// Starts the task and waits until both of its `sleep` processes run.
fn started(project: &Project, mark: &str) -> Child {
    let child = project.start(&["t"]);
    let line = format!("sleep\0{mark}");
    wait_for("the task runs", || processes(&line).len() >= 2);
    child
}

#[track_caller]
fn assert_no_process_left(mark: &str) {
    wait_for("no process is left", || processes(mark).is_empty());
}

#[test]
fn each_signal_ends_all_processes_and_runs_finally() {
    for (name, number, mark) in [("INT", 2, "61.0101"), ("TERM", 15, "61.0102"), ("HUP", 1, "61.0103")] {
        let project = project_with_sleep(mark);
        let mut child = started(&project, mark);
        signal(name, pid(&child));
        assert_eq!(status(&mut child), 128 + number, "{name}");
        assert!(processes(mark).is_empty(), "{name}: no process is left when the runner ends");
        assert_eq!(project.lines("../cleaned"), ["cleaned"], "{name}");
        let log = project.xtask(&["log", "--last"]).ends(0);
        assert!(log.out.contains(&format!("SIG{name}")) && log.out.contains("interrupted:"), "{}", log.out);
        project.xtask(&["plan", "t"]).ends(0).prints("miss");
    }
}

#[test]
fn kill_of_the_runner_leaves_no_process_and_stores_nothing() {
    let mark = "61.0201";
    let project = project_with_sleep(mark);
    let mut child = started(&project, mark);
    signal("KILL", pid(&child));
    assert_eq!(status(&mut child), 137);
    assert_no_process_left(mark);
    assert!(project.cache_files().is_empty());
    project.xtask(&["log", "--last"]).ends(0).prints("the run was killed, or is still running");
    project.xtask(&["plan", "t"]).ends(0).prints("miss");
}

#[test]
fn process_that_left_its_group_is_ended_with_the_run() {
    let mark = "61.0301";
    let project = Project::new(&format!(
        "[tasks.t]\nrun = \"setsid sh -c ': > ../up; exec sleep {mark}' & until [ -e ../up ]; do sleep 0.01; done\"\n"
    ));
    project.xtask(&["t"]).ends(0).says("outlived its task and was stopped");
    assert_no_process_left(mark);
    let project = Project::new(&format!("[tasks.t]\nrun = \"setsid sleep {mark} & sleep {mark}\"\n"));
    let mut child = started(&project, mark);
    signal("KILL", pid(&child));
    status(&mut child);
    assert_no_process_left(mark);
}

#[test]
fn second_interrupt_kills_what_ignored_the_first() {
    let mark = "61.0401";
    let project = Project::new(&format!(
        "[tasks.t]\nrun = \"trap '' TERM INT; sleep {mark} & while true; do sleep {mark}; done\"\n"
    ));
    let mut child = started(&project, mark);
    signal("INT", pid(&child));
    wait_for("the first signal is received", || {
        std::fs::read_to_string(project.parent_folder().join("err"))
            .unwrap()
            .contains("a second signal kills them")
    });
    signal("INT", pid(&child));
    assert_eq!(status(&mut child), 130);
    assert!(processes(mark).is_empty());
}

#[test]
fn background_process_that_keeps_the_pipe_open_does_not_block_the_run() {
    let mark = "61.0501";
    let project = Project::new(&format!("[tasks.t]\nrun = \"sleep {mark} & echo done\"\n"));
    project.xtask(&["t", "-o", "grouped"]).ends(0).says("done");
    assert_no_process_left(mark);
}

#[test]
fn interrupted_run_of_a_commit_frees_the_worktree() {
    let mark = "61.0601";
    let project = project_with_sleep(mark);
    let mut child = project.start(&["t", "--at", "HEAD"]);
    let line = format!("sleep\0{mark}");
    wait_for("the task runs", || processes(&line).len() >= 2);
    signal("INT", pid(&child));
    assert_eq!(status(&mut child), 130);
    assert_eq!(project.git(&["worktree", "list"]).lines().count(), 1);
    let free = || project.xtask(&["cache", "gc"]).ends(0).out.contains("removed 1 private worktree");
    assert!(free());
    // The worktree of a killed run can be removed once all its processes are dead.
    let mut child = project.start(&["t", "--at", "HEAD"]);
    wait_for("the task runs", || processes(&line).len() >= 2);
    signal("KILL", pid(&child));
    status(&mut child);
    assert_no_process_left(mark);
    wait_for("the worktree is not in use", free);
    assert_eq!(project.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn output_of_an_endless_task_is_bounded() {
    let project = Project::new("[tasks.t]\nrun = \"head -c 400000000 /dev/zero | tr '\\\\0' x; exit 1\"\n");
    // The program may use less memory than the task prints, so it can't keep all of the output.
    let program = format!("ulimit -v 350000; exec {} t --format json", env!("CARGO_BIN_EXE_xtask"));
    let ran = crate::project::CommandOutput::from_output(
        project.command("sh").args(["-c", &program]).output().unwrap(),
    )
    .ends(1);
    let events = ran.events();
    let finished = events.iter().find(|event| event["event"] == "task-finished").unwrap();
    let left_out = finished["log"]["left_out"].as_u64().unwrap();
    assert_eq!(left_out, 400_000_000 - (8 << 20));
}

#[test]
fn daemon_with_a_hidden_environment_is_ended_with_the_run() {
    let mark = format!("hidden-{}", std::process::id());
    let daemon = crate::project::server::daemon();
    let project = Project::new(&format!("[tasks.t]\nrun = \"{} {mark}\"\n", daemon.display()));
    project.xtask(&["t"]).ends(0).says("outlived its task and was stopped");
    assert_eq!(processes(&mark), Vec::<i32>::new());
    // A daemon of another run must not be stopped.
    let mut other = project.command(&daemon).arg(&mark).spawn().unwrap();
    other.wait().unwrap();
    wait_for("the daemon runs", || !processes(&mark).is_empty());
    project.xtask(&["run", "t", "--force"]).ends(0).says("outlived its task and was stopped");
    let left = processes(&mark);
    assert_eq!(left.len(), 1, "the test's own daemon");
    signal("KILL", left[0]);
}
