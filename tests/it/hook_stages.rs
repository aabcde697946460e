//! Tests of `xtask hook STAGE`, the command that git's hooks call.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::project::{CommandOutput, Project};

const PRE_PUSH: &str = r#"
    [tasks.t]
    run = "grep -q good file"
    [hooks]
    pre-push = ["t"]
    "#;

/// Runs the pre-push hook with `input` as its standard input.
fn pre_push(project: &Project, input: &str) -> CommandOutput {
    let mut child = project
        .xtask_command(&["hook", "pre-push", "origin", "../bare.git"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    CommandOutput::from_output(child.wait_with_output().unwrap())
}

fn commit(project: &Project, args: &[&str]) -> CommandOutput {
    CommandOutput::from_output(project.command("git").arg("commit").args(args).output().unwrap())
}

#[test]
fn pushed_refs_are_parsed_or_block() {
    let project = Project::new(PRE_PUSH);
    project.write("file", "good\n").commit("good");
    let id = project.git(&["rev-parse", "HEAD"]);
    let zero = "0".repeat(40);
    pre_push(&project, "").ends(0);
    pre_push(&project, &format!("HEAD@{{1 day ago}} {id} refs/heads/x {zero}\n")).ends(0);
    pre_push(&project, &format!("(delete) {} refs/heads/x {id}\n", "0".repeat(64))).ends(0);
    for wrong in ["x\n", &format!("a {id} b\n"), &format!("a {id} b {zero}\n\n")] {
        pre_push(&project, wrong).ends(2);
    }
    let unknown = "1".repeat(40);
    pre_push(&project, &format!("a {unknown} b {zero}\n")).ends(5).says(&unknown);
    project.xtask(&["hook", "update"]).ends(2);
    assert_screens!();
}

#[test]
fn skip_is_recorded_with_its_reason() {
    let project = Project::with_gate(PRE_PUSH, &["pre-push"]);
    project.write("file", "bad\n").commit("bad");
    let push = |reason: &str| {
        CommandOutput::from_output(
            project.push_command(&["origin", "main"]).env("XTASK_SKIP", reason).output().unwrap(),
        )
    };
    for empty in ["", "  "] {
        push(empty).ends(1);
    }
    for switch in ["1", "true", "yes", "x", "..."] {
        push(switch).ends(1).says(&format!("XTASK_SKIP={switch} is not a reason"));
    }
    project.xtask(&["log", "--skips"]).ends(0);
    assert_eq!(project.remote("main"), None);
    project.git(&["config", "user.name", "Ann"]);
    project.git(&["config", "user.email", "ann@example.com"]);
    push("the \u{1b}[31mserver burns").ends(0);
    assert!(project.remote("main").is_some());
    let head = project.git(&["rev-parse", "HEAD"]);
    let log = project.xtask(&["log", "--skips"]).ends(0);
    let log = log.prints(&format!("commit {}", &head[..10]));
    assert!(!log.out.contains('\u{1b}'), "{:?}", log.out);
    let json = project.xtask(&["log", "--skips", "--format", "json"]).ends(0).json();
    assert_eq!(json["trees"][0]["commit"], head.as_str());
    assert_eq!(json["trees"][0]["tree"], project.git(&["rev-parse", "HEAD^{tree}"]).as_str());
    // A skipped check doesn't count as a pass.
    project.push(&["main:other"]).ends(1);
    assert_screens!();
}

#[test]
fn push_with_no_verify_leaves_no_pass() {
    let project = Project::with_gate(PRE_PUSH, &["pre-push"]);
    project.write("file", "good\n").commit("good");
    project.push(&["--no-verify", "main"]).ends(0);
    project.xtask(&["plan", "t"]).ends(0);
    project.xtask(&["gate"]).ends(0);
    assert_screens!();
}

#[test]
fn commit_is_gated_by_the_staged_content() {
    let tasks = r#"
        [tasks.t]
        run = "grep -q good file"
        inputs = ["file"]
        [hooks]
        pre-commit = ["t"]
        "#;
    let project = Project::with_gate(tasks, &["pre-commit"]);
    project.write("file", "bad\n");
    project.git(&["add", "file"]);
    project.write("file", "good\n");
    commit(&project, &["-qm", "x"]).ends(1);
    // With `-a` or a path, git runs the hook with a temporary index.
    commit(&project, &["-qam", "all"]).ends(0);
    project.write("file", "bad\n").write("other", "");
    project.git(&["add", "other"]);
    commit(&project, &["-qm", "only the other", "other"]).ends(0);
    commit(&project, &["-qm", "x", "file"]).ends(1);
    assert_eq!(project.git(&["status", "--porcelain"]), " M file");
    let second = project.parent_folder().join("second");
    project.git(&["worktree", "add", "-q", "-b", "other", second.to_str().unwrap()]);
    fs::write(second.join("file"), "bad\n").unwrap();
    let linked = project.command("git").current_dir(&second).args(["commit", "-qam", "x"]).output().unwrap();
    CommandOutput::from_output(linked).ends(1);
    assert_screens!();
}

#[test]
fn partial_commit_is_gated_like_any_other() {
    let tasks = r#"
        [tasks.t]
        run = "grep -q good file"
        inputs = ["file"]
        [hooks]
        pre-commit = ["t"]
        "#;
    let project = Project::with_gate(tasks, &["pre-commit"]);
    project.write("file", "good\n").git(&["add", "file"]);
    project.git(&["config", "core.splitIndex", "true"]);
    project.git(&["update-index", "--split-index"]);
    commit(&project, &["-qm", "good"]).ends(0);
    project.write("file", "bad\n");
    commit(&project, &["-qam", "bad"]).ends(1);
    project.git(&["add", "file"]);
    commit(&project, &["-qm", "bad"]).ends(1);
    assert_screens!();
}

#[test]
fn commit_message_reaches_its_task_and_is_never_cached() {
    let tasks = r#"
        [tasks.msg]
        run = "grep -q good \"$1\""
        [tasks.argv]
        run = ["test", "-f"]
        [hooks]
        commit-msg = ["msg", "argv"]
        "#;
    let project = Project::with_gate(tasks, &["commit-msg"]);
    commit(&project, &["-q", "--allow-empty", "-m", "bad"]).ends(1);
    commit(&project, &["-q", "--allow-empty", "-m", "good"]).ends(0);
    commit(&project, &["-q", "--allow-empty", "-m", "bad again"]).ends(1);
    assert_screens!();
}

#[test]
fn other_stages_run_in_the_work_tree_and_post_stages_have_no_gate() {
    let tasks = r#"
        [tasks.t]
        run = "echo ran \"$#\" >> $HOME/ran; cat file"
        [hooks]
        post-checkout = ["t"]
        post-merge = []
        "#;
    let project = Project::with_gate(tasks, &["post-checkout", "post-merge", "pre-rebase"]);
    project.write("file", "1\n").commit("1");
    let switched = project.command("git").args(["checkout", "-q", "-b", "new"]).output().unwrap();
    CommandOutput::from_output(switched).ends(0);
    assert_eq!(project.lines("../home/ran"), ["ran 0"]);
    // Stages without tasks print nothing.
    project.xtask(&["hook", "post-merge", "0"]).ends(0);
    project.xtask(&["hook", "pre-rebase", "main"]).ends(0);
    assert_screens!();
}

#[test]
fn git_variables_of_a_hook_do_not_reach_tasks() {
    let tasks = r#"
        [tasks.t]
        run = "env; cat; ls -l /proc/self/fd/0"
        [hooks]
        pre-commit = ["t"]
        "#;
    let project = Project::with_gate(tasks, &["pre-commit"]);
    project.write("file", "").git(&["add", "file"]);
    let mut command: Command = project.command("git");
    command.args(["commit", "-qam", "x"]).env("GIT_TRACE2", "0").env("GIT_EDITOR", "x");
    CommandOutput::from_output(command.output().unwrap()).ends(0);
    let log = project.xtask(&["log", "--last", "--task", "t"]).ends(0).out;
    assert!(!log.contains("GIT_") && log.contains("/dev/null"), "{log}");
}
