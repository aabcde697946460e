//! Tests that a task of a gate fails if it opens tracked files of the user's work tree, and that no other
//! task does.

use std::fs;
use std::path::Path;

use open_trace::Trace;

use crate::project::{CommandOutput, Project, processes, server, signal, wait_for};

/// Creates a repository whose commit contains `bad` and whose work tree contains `good`, with a task that
/// runs this command. In the command, `ROOT` is replaced by the path of the work tree.
fn project_with(run: &str) -> Project {
    project_with_files(run, "")
}

fn project_with_files(run: &str, more: &str) -> Project {
    let project = Project::with_gate_in_private_worktree("");
    assert_can_trace(&project);
    let text = format!(
        r"
        [tasks.t]
        run = '''{run}'''
        inputs = ['file']
        {more}
        [hooks]
        pre-push = ['t']
        pre-commit = ['t']
        "
    );
    let text = text.replace("ROOT", project.root().to_str().unwrap());
    project
        .write("tasks.toml", text)
        .write("file", "bad\n")
        .write("lib/other", "bad\n")
        .write("script", "#!/bin/sh\nexit 1\n")
        .chmod("script", 0o755)
        .write(".gitignore", "linked\nignored\n")
        .commit("bad")
        .write("file", "good\n")
        .write("lib/other", "good\n")
        .write("script", "#!/bin/sh\nexit 0\n")
        .write("ignored/file", "good\n");
    project
}

/// Fails if programs can't be traced here: without a tracer, these tests would prove nothing.
#[track_caller]
fn assert_can_trace(project: &Project) {
    let report = project.parent_folder().join("can-trace");
    project.xtask(&["__trace", report.to_str().unwrap(), "--", "true"]).ends(0);
    let doubts = Trace::load(&report).unwrap().doubts;
    assert!(doubts.is_empty(), "programs can't be traced here, so this can't be tested: {doubts:?}");
}

#[track_caller]
fn assert_blocked(pushed: CommandOutput, files: &str) -> CommandOutput {
    pushed
        .ends(1)
        .says("files of your work tree instead of the gated tree: ")
        .says(files)
        .says("install it there with `setup` in `[worktree]`")
        .says("refs/heads/main is not pushed")
}

#[track_caller]
fn is_stored(project: &Project, expected: bool) {
    let plan = project.xtask(&["gate", "--format", "json"]);
    let started = plan.events().into_iter().find(|event| event["event"] == "run-started").unwrap();
    assert_eq!(started["hits"] == 1, expected, "{}", plan.out);
}

#[test]
fn task_that_reads_the_work_tree_is_blocked_each_time() {
    for (run, files) in [
        ("grep good ROOT/file", "file (by grep)"),
        ("cd ROOT && grep good file", "file (by grep)"),
        ("(sh -c 'exec 3< ROOT/file; exit 0' & wait)", "file (by "),
        ("ROOT/script", "script (by "),
        ("sh ROOT/script && cat ROOT/lib/other", "lib/other (by cat), script (by "),
        ("ln -s ROOT/lib there; cat there/other", "lib/other (by cat, through there/other)"),
        ("cat ROOT/file ROOT/ignored/file >&2; exit 0", "file (by cat)"),
    ] {
        let project = project_with(run);
        for _ in 0..2 {
            assert_blocked(project.push(&["main"]), files);
        }
        assert_eq!(project.remote("main"), None, "{run}");
        assert_eq!(project.read("file"), "good\n");
    }
}

#[test]
fn link_into_the_work_tree_is_named() {
    let setup = "[worktree]\nsetup = 'ln -sfn ROOT/linked linked'\n";
    let project = project_with_files("cat linked/lib/other", setup);
    fs::create_dir(project.path("linked")).unwrap();
    std::os::unix::fs::symlink("../lib", project.path("linked/lib")).unwrap();
    assert_blocked(project.push(&["main"]), "lib/other (by cat, through linked/lib/other)");
}

#[test]
fn thread_that_reads_the_work_tree_is_noticed() {
    let project = project_with(&format!("{} ROOT/file", server::threads().display()));
    assert_blocked(project.push(&["main"]), "file (by threads)");
}

#[test]
fn task_that_writes_to_the_work_tree_is_blocked() {
    for (run, files) in [
        ("echo more >> ROOT/file", "file (by "),
        ("cp file new && mv -f new ROOT/file", "file (by mv)"),
        ("rm -f ROOT/file", "file (by rm)"),
        ("truncate -s 0 ROOT/file", "file (by truncate)"),
    ] {
        let project = project_with(run);
        assert_blocked(project.push(&["main"]), files).says("changed files of your work tree");
        // Without changes in the work tree, the task runs under the tracer only the second time.
        let project = project_with(run);
        project.git(&["commit", "-qam", "good"]);
        assert_blocked(project.push(&["main"]), files).says("changed files of your work tree");
    }
}

#[test]
fn each_gate_in_a_private_worktree_notices_access() {
    let project = project_with("grep good ROOT/file");
    project.xtask(&["gate"]).ends(1).says("file (by grep)");
    project.xtask(&["run", "t", "--at", "HEAD"]).ends(1).says("file (by grep)");
    project.git(&["add", "file"]);
    project.write("file", "good too\n");
    project.xtask(&["gate", "--staged"]).ends(1).says("file (by grep)");
    project.hook("pre-commit");
    let commit =
        CommandOutput::from_output(project.command("git").args(["commit", "-m", "x"]).output().unwrap());
    assert_ne!(commit.status, 0);
    commit.says("file (by grep)");
    // A run in the work tree itself may read its files.
    let tasks = project.read("tasks.toml").replace("in-place = false", "in-place = true");
    project.write("tasks.toml", tasks);
    project.git(&["add", "-A"]);
    project.xtask(&["gate", "--staged"]).ends(0).does_not_say("opened");
    project.xtask(&["run", "t", "--force"]).ends(0).does_not_say("work tree");
}

#[test]
fn untracked_files_and_files_of_the_gate_are_allowed() {
    for run in [
        "echo ran >> $HOME/ran; cat ROOT/ignored/file",
        "echo ran >> $HOME/ran; cat file lib/other; ./script || true",
        "echo ran >> $HOME/ran; ls ROOT ROOT/lib; test -e ROOT/file && stat ROOT/file && readlink -f ROOT/file",
        "echo ran >> $HOME/ran; git status; git -C ROOT rev-parse HEAD; cat ROOT/.gitignore",
    ] {
        for is_committed in [false, true] {
            let project = project_with(run);
            if is_committed {
                project.commit("good");
            }
            project.push(&["main"]).ends(0).does_not_say("note:").does_not_say("warning:");
            assert_eq!(project.lines("../home/ran").len(), 1, "{run}");
            is_stored(&project, true);
        }
    }
}

#[test]
fn cache_filled_by_the_first_run_hides_nothing() {
    // Like make and cargo, the task does not open a file again that is up to date, neither in the same gate
    // nor in the next one.
    let project = project_with_files(
        "test -e ignored/made || { mkdir ignored; grep good ROOT/file > ignored/made; }",
        "",
    );
    for _ in 0..2 {
        assert_blocked(project.push(&["main"]), "file (by grep)");
    }
    // The file is also noticed if an earlier gate was killed.
    let run = "echo ran >> $HOME/ran; test -e ignored/made || { mkdir ignored; cat ROOT/file > ignored/made; \
               touch $HOME/made; test -e $HOME/go || sleep 6373.1; }; grep good ignored/made";
    let project = project_with(run);
    let mut child = project.start(&["gate"]);
    wait_for("the task has written its file", || project.parent_folder().join("home/made").exists());
    signal("KILL", i32::try_from(child.id()).unwrap());
    child.wait().unwrap();
    wait_for("no process is left", || processes("6373.1").is_empty());
    fs::write(project.parent_folder().join("home/go"), "").unwrap();
    assert_blocked(project.push(&["main"]), "file (by cat)");
}

#[test]
fn compiled_python_file_counts_as_its_source() {
    let project = project_with("cat ROOT/lib/__pycache__/mod.cpython-312.pyc");
    project.write(".gitignore", "__pycache__\n").write("lib/mod.py", "").commit("python");
    project.write("lib/__pycache__/mod.cpython-312.pyc", "");
    project.xtask(&["gate"]).ends(1).says("lib/mod.py (by cat, through ");
}

#[test]
fn file_that_is_equal_in_the_gate_must_not_be_opened() {
    let project = project_with("echo ran >> $HOME/ran; cat ROOT/file");
    project.commit("good");
    assert_blocked(project.push(&["main"]), "file (by cat)").says("it runs again under a tracer");
    assert_eq!(project.lines("../home/ran").len(), 2);
}

/// A command that waits until the test has done something.
const WAITS: &str = "echo ran >> $HOME/ran; touch $HOME/waits; until test -e $HOME/go; do sleep 0.01; done";

/// Pushes a project whose task waits, and meanwhile reads a tracked file of the work tree.
#[track_caller]
fn push_while_others_read(project: &Project) -> CommandOutput {
    let home = project.parent_folder().join("home");
    let child =
        project.push_command(&["origin", "main"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_for("the task waits", || home.join("waits").exists());
    assert_eq!(project.read("lib/other"), "good\n");
    fs::write(home.join("go"), "").unwrap();
    CommandOutput::from_output(child.wait_with_output().unwrap())
}

#[test]
fn access_by_an_unrelated_program_only_costs_a_second_run() {
    let project = project_with(WAITS);
    project.commit("good");
    let pushed = push_while_others_read(&project).ends(0);
    pushed.says("t: a program opened lib/other in your work tree while it ran; it runs again under a tracer");
    assert_eq!(project.lines("../home/ran").len(), 2);
    assert!(project.remote("main").is_some());
    is_stored(&project, true);
    // If the work tree differs from the commit, the task is traced from the start.
    let project = project_with(WAITS);
    push_while_others_read(&project).ends(0).does_not_say("note:");
    assert_eq!(project.lines("../home/ran").len(), 1);
    is_stored(&project, true);
}

#[test]
fn untraceable_task_counts_without_the_tracer() {
    let debugger = server::debugger();
    let failed = "t: failed under the tracer (a process tried to trace another); it runs again without it";
    let run = format!("echo ran >> $HOME/ran; {} true", debugger.display());
    let project = project_with(&run);
    project.push(&["main"]).ends(0).says(failed);
    assert_eq!(project.lines("../home/ran").len(), 2);
    is_stored(&project, true);
    // If the work tree is equal to the gated tree and no file of it is opened, there is no tracer.
    let project = project_with(&run);
    project.commit("good");
    project.push(&["main"]).ends(0).does_not_say("note:");
    assert_eq!(project.lines("../home/ran").len(), 1);
    // A task that reads the work tree can prevent the tracing, but the access is still noticed.
    let project = project_with(&format!("grep good ROOT/file | {} cat", debugger.display()));
    assert_blocked(project.push(&["main"]), "file (by grep)");
    let project = project_with(&format!("{} true && grep good ROOT/file", debugger.display()));
    let pushed = project.push(&["main"]).ends(0).says(failed);
    pushed.says("it or another program opened file in your work tree while it ran").says("is not stored");
    is_stored(&project, false);
    // A task that fails without the tracer too keeps its own result.
    let project = project_with(&format!("{} false", debugger.display()));
    project.push(&["main"]).ends(1).says(failed).says("exit status 1");
    // A task that fails for a reason unrelated to the tracer runs only once.
    let project = project_with("echo ran >> $HOME/ran; exit 3");
    project
        .push(&["main"])
        .ends(1)
        .says("exit status 3")
        .says("t: ran under a tracer, since your work tree differs");
    assert_eq!(project.lines("../home/ran").len(), 1);
}

#[test]
fn setup_that_reads_the_work_tree_is_blocked() {
    let project = project_with_files("true", "[worktree]\nsetup = 'cat ROOT/file'\n");
    for _ in 0..2 {
        let pushed = project.push(&["main"]).ends(1).says("file (by cat)");
        pushed.says("the setup of its worktree failed").says("refs/heads/main is not pushed");
    }
}

#[test]
fn service_that_reads_the_work_tree_stores_nothing() {
    let service =
        "[services.s]\nrun = '''while :; do cat ROOT/file; echo >> $HOME/reads; sleep 0.02; done'''\n";
    let service = format!("{service}ready = {{ log = 'good' }}\n");
    let run = "begun=$(wc -l < $HOME/reads); until [ $(wc -l < $HOME/reads) -gt $((begun + 2)) ]; do sleep 0.02; done";
    let project = project_with_files(run, "");
    let text =
        project.read("tasks.toml").replace("inputs = ['file']\n", "inputs = ['file']\nservices = ['s']\n");
    let service = service.replace("ROOT", project.root().to_str().unwrap());
    project.write("tasks.toml", format!("{text}{service}"));
    project.git(&["commit", "-qm", "service", "tasks.toml"]);
    let pushed = project.push(&["main"]).ends(0);
    pushed.says("t: it or another program opened file in your work tree").says("may have been a service");
    is_stored(&project, false);
}

#[test]
fn blocked_task_is_not_retried_and_its_finally_runs_once() {
    let run = "echo ran >> $HOME/ran; grep good ROOT/file";
    let project = project_with_files(run, "retries = 3\nfinally = 'echo over >> $HOME/over'\n");
    assert_blocked(project.push(&["main"]), "file (by grep)");
    assert_eq!(project.lines("../home/ran").len(), 1);
    assert_eq!(project.lines("../home/over").len(), 1);
}

#[test]
fn background_processes_of_a_traced_task_do_not_block() {
    let mark = "6371.25";
    let project = project_with(&format!("cat ROOT/file; setsid sleep {mark} & sleep 0.1"));
    assert_blocked(project.push(&["main"]), "file (by cat)");
    wait_for("no process is left", || processes(mark).is_empty());
}

#[test]
fn interrupt_and_kill_end_a_traced_task() {
    for name in ["INT", "KILL"] {
        let mark = format!("6372.{}", name.len());
        let project = project_with(&format!("sleep {mark}"));
        let mut child = project.start(&["gate"]);
        wait_for("the task runs under the tracer", || !processes(&format!("sleep\0{mark}")).is_empty());
        signal(name, i32::try_from(child.id()).unwrap());
        child.wait().unwrap();
        wait_for("no process is left", || processes(&mark).is_empty());
        assert_not_stored(&project);
    }
}

#[track_caller]
fn assert_not_stored(project: &Project) {
    assert_eq!(project.cache_files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn without_file_watching_each_task_is_traced() {
    let without = |project: &Project, args: &str| {
        let line = format!("echo 0 > /proc/sys/user/max_inotify_instances && exec {args}");
        let mut command = project.command("unshare");
        CommandOutput::from_output(command.args(["-Ur", "sh", "-c", &line]).output().unwrap())
    };
    let probe = without(&Project::without_git(""), "true");
    assert_eq!(probe.status, 0, "there are no user namespaces here, so this can't be tested: {}", probe.err);
    let xtask = Path::new(env!("CARGO_BIN_EXE_xtask")).display();
    let project = project_with("echo ran >> $HOME/ran; grep good ROOT/file");
    without(&project, &format!("{xtask} gate")).ends(1).says("file (by grep)");
    assert_eq!(project.lines("../home/ran").len(), 1);
    // A task that can't be traced runs again without the tracer.
    let project = project_with(&format!("echo ran >> $HOME/ran; {} true", server::debugger().display()));
    let ran = without(&project, &format!("{xtask} gate")).ends(0);
    ran.says("failed under the tracer").says("would not be noticed");
    assert_eq!(project.lines("../home/ran").len(), 2);
    is_stored(&project, true);
    // If neither way works, there is only one message.
    let project = project_with("true");
    let inner = project.parent_folder().join("report");
    let outer = format!("{xtask} __trace {} -- {xtask} gate", inner.display());
    let ran = without(&project, &outer).ends(0);
    assert_eq!(ran.err.matches("would not be noticed").count(), 1, "{}", ran.err);
    is_stored(&project, true);
}

#[test]
fn files_of_submodules_belong_to_the_work_tree() {
    let project = project_with("cat ROOT/sub/inner");
    let inner = project.parent_folder().join("inner");
    let git = |args: &[&str]| {
        let output = project.command("git").current_dir(&inner).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::create_dir(&inner).unwrap();
    git(&["init", "-q"]);
    fs::write(inner.join("inner"), "x").unwrap();
    git(&["add", "-A"]);
    git(&["commit", "-qm", "inner"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "add", "-q"];
    project.git(&[&add[..], &[inner.to_str().unwrap(), "sub"]].concat());
    project.git(&["commit", "-qm", "sub"]);
    project.xtask(&["gate"]).ends(1).says("sub/inner (by cat)");
}
