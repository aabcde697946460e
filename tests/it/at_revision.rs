//! Tests of `--at REV`, which runs a commit's tree in a private worktree.

use crate::project::Project;

const TASKS: &str = r#"
    [tasks.t]
    run = "cat a; echo ran >> $HOME/ran"
    inputs = ["a"]
    "#;

#[test]
fn commit_is_run_and_the_work_tree_is_unchanged() {
    let project = Project::new(TASKS);
    project.write("a", "one\n").commit("one").write("a", "two\n");
    project.git(&["stash", "-q"]);
    project.git(&["stash", "apply", "-q"]);
    let before = (project.git(&["status", "--porcelain"]), project.git(&["stash", "list"]));
    project.xtask(&["t", "--at", "HEAD", "-o", "grouped"]).ends(0);
    assert_eq!(project.read("a"), "two\n");
    assert_eq!((project.git(&["status", "--porcelain"]), project.git(&["stash", "list"])), before);
    assert_eq!(
        project.git(&["worktree", "list"]).lines().count(),
        1,
        "git does not list the private worktree"
    );
    assert_eq!(
        project.worktrees(),
        ["gate-1"],
        "the worktree is kept for the next use, and its lock is free"
    );
    project.xtask(&["cache", "gc"]).ends(0);
    assert!(project.worktrees().is_empty());
    project.xtask(&["t", "--at", "HEAD"]).ends(0);
    project.git(&["checkout", "-q", "."]);
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn unknown_revision_is_an_error() {
    let project = Project::new(TASKS);
    project.xtask(&["t", "--at", "nowhere"]).ends(5);
    assert_screens!();
}
