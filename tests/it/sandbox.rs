//! `sandbox = true`: the task always runs in a folder that contains only what it declares.

use std::os::unix::fs::PermissionsExt as _;

use crate::project::{Project, processes, signal, wait_for};

const GEN: &str = r"
    [tasks.gen]
    run = '''
    echo ran; mkdir -p dist/sub dist/empty; cp in dist/a; chmod 750 dist/a; ln -s a dist/link; echo deep > dist/sub/b; echo junk > junk
    '''
    inputs = ['in']
    outputs = ['dist/**']
    sandbox = true
    ";

/// Creates a repository with an input, an undeclared file, and ignored outputs.
fn project(tasks: &str) -> Project {
    let project = Project::without_git(tasks);
    project.write("in", "in\n").write("undeclared", "u\n").write(".gitignore", "dist\n*.log\n");
    project.git(&["init", "-q", "-b", "main"]);
    project.commit("first");
    project
}

/// Returns the paths in the folder of outputs.
fn outputs(project: &Project) -> String {
    let listing = project.command("sh").args(["-c", "find dist | sort | xargs"]).output().unwrap();
    String::from_utf8(listing.stdout).unwrap().trim().to_owned()
}

#[test]
fn declared_outputs_are_restored_exactly_and_other_files_dropped() {
    let project = project(GEN);
    project.write("dist/stale", "s").write("dist/sub/stale", "s").write("dist/a", "old");
    project.xtask(&["gen"]).ends(0);
    let expected = "dist dist/a dist/empty dist/link dist/sub dist/sub/b";
    assert_eq!(outputs(&project), expected);
    assert_eq!((project.read("dist/a").as_str(), project.read("dist/link").as_str()), ("in\n", "in\n"));
    assert_eq!(project.path("dist/a").metadata().unwrap().permissions().mode() & 0o777, 0o750);
    assert!(!project.path("junk").exists());
    assert_eq!((project.sandboxes(), project.git(&["status", "--porcelain"])), (0, String::new()));
    project.xtask(&["gen"]).ends(0);
    std::fs::remove_dir_all(project.path("dist")).unwrap();
    project.xtask(&["gen"]).ends(0);
    assert_eq!(outputs(&project), expected);
    project.write("in", "new\n");
    project.xtask(&["gen"]).ends(0);
    assert_eq!(project.read("dist/a"), "new\n");
    assert_screens!();
}

#[test]
fn undeclared_read_fails_with_its_log_and_keeps_old_outputs() {
    let tasks = r"
        [tasks.t]
        run = 'mkdir -p dist; echo new > dist/a; cat undeclared'
        inputs = ['in']
        outputs = ['dist/**']
        ";
    let project = project(tasks);
    project.xtask(&["t"]).ends(0);
    project.write("dist/a", "old\n");
    project.write("tasks.toml", format!("{tasks}sandbox = true\n"));
    project.xtask(&["t"]).ends(1);
    assert_eq!((project.read("dist/a").as_str(), project.sandboxes()), ("old\n", 0));
    assert_screens!();
}

#[test]
fn each_attempt_has_its_own_sandbox_and_finally_runs_in_the_last() {
    let project = project("");
    let counter = project.parent_folder().join("count");
    let run = format!(
        "test ! -e mark; echo x > mark; echo x >> {c}; test $(wc -l < {c}) = 2",
        c = counter.display()
    );
    let log = project.parent_folder().join("log");
    let tasks = format!(
        r"
        [tasks.t]
        run = '{run}'
        finally = 'cat mark in > {}'
        inputs = ['in']
        retries = 1
        sandbox = true
        ",
        log.display()
    );
    project.write("tasks.toml", tasks).commit("task");
    project.xtask(&["t"]).ends(0);
    assert_eq!(std::fs::read_to_string(log).unwrap(), "x\nin\n");
    assert_eq!(project.sandboxes(), 0);
    assert_screens!();
}

#[test]
fn needed_outputs_and_the_folder_of_the_task_exist() {
    let tasks = r"
        [tasks.use]
        run = 'cat ../../dist/link; test ! -e ../../in; pwd'
        cwd = 'some/where'
        needs = ['gen']
        inputs = []
        ";
    let project =
        project(&format!("[defaults]\nsandbox = true\n{}{tasks}", GEN.replace("sandbox = true\n", "")));
    project.xtask(&["use", "--output", "grouped"]).ends(0);
    assert!(!project.path("some").exists());
    assert_screens!();
}

#[test]
fn tracked_output_that_is_no_longer_written_is_not_deleted() {
    let project = project(
        r"
        [tasks.t]
        run = 'mkdir lib; echo a > lib/a'
        inputs = ['in']
        outputs = ['lib/**']
        sandbox = true
        ",
    );
    project.write("lib/b", "b\n").commit("tracked");
    project.xtask(&["t"]).ends(1);
    assert!(!project.path("lib/a").exists());
    assert_eq!(project.read("lib/b"), "b\n");
    assert_screens!();
}

#[test]
fn sandbox_needs_a_repository_and_a_command() {
    let project = Project::without_git(
        r"
        [tasks.t]
        run = 'true'
        sandbox = true
        ",
    );
    project.xtask(&["t"]).ends(1);
    project.write(
        "tasks.toml",
        r"
        [tasks.t]
        run = 'true'
        [tasks.all]
        needs = ['t']
        sandbox = true
        ",
    );
    project.xtask(&["all"]).ends(3);
    project.write(
        "tasks.toml",
        r"
        [tasks.t]
        run = 'true'
        sandbox = 'yes'
        ",
    );
    project.xtask(&["t"]).ends(3);
    assert_screens!();
}

#[test]
fn fix_runs_in_the_work_tree() {
    let project = project(
        r"
        [tasks.t]
        run = 'true'
        fix = 'echo fixed > undeclared'
        inputs = []
        sandbox = true
        ",
    );
    project.xtask(&["fix", "t"]).ends(0);
    assert_eq!(project.read("undeclared"), "fixed\n");
}

#[test]
fn sandbox_of_a_killed_run_is_removed() {
    let tasks = r"
        [tasks.t]
        run = 'sleep 61.0909'
        inputs = ['in']
        sandbox = true
        [tasks.u]
        run = 'true'
        inputs = []
        sandbox = true
        ";
    let project = project(tasks);
    let killed = || {
        let mut child = project.start(&["t"]);
        wait_for("the task runs", || !processes("sleep\u{0}61.0909").is_empty());
        assert!(project.sandboxes() > 0);
        // A sandbox that is in use is not removed.
        project.xtask(&["cache", "gc"]).ends(0);
        assert!(!processes("61.0909").is_empty() && project.sandboxes() > 0);
        signal("KILL", i32::try_from(child.id()).unwrap());
        child.wait().unwrap();
        wait_for("the guard ends the task", || processes("61.0909").is_empty());
        assert!(project.sandboxes() > 0);
    };
    killed();
    project.xtask(&["cache", "gc"]).ends(0);
    assert_eq!(project.sandboxes(), 0);
    killed();
    project.xtask(&["u"]).ends(0);
    assert_eq!(project.sandboxes(), 0);
    assert_screens!();
}
