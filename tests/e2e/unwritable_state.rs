//! Tests that the tasks' verdict stays the same if the state can't be written: there is only one warning.

#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt as _;

use crate::project::{CommandOutput, Project};

const TASKS: &str = r#"
    [tasks.good]
    run = "cat a > out"
    inputs = ["a"]
    outputs = ["out"]

    [tasks.bad]
    run = "exit 7"
    inputs = ["a"]

    [tasks.other]
    run = "cat a"
    inputs = ["a"]

    [tasks.sand]
    run = "cat a > made"
    inputs = ["a"]
    outputs = ["made"]
    sandbox = true

    [hooks]
    pre-push = ["good", "other"]
    "#;

fn project() -> Project {
    let project = Project::new(TASKS);
    project.write("a", "one\n").write(".gitignore", "out\nmade\n").commit("files");
    project
}

/// Runs a script in a mount namespace of its own, so its mounts end with it. `$X` is the program.
fn run_with_mount(project: &Project, script: &str) -> CommandOutput {
    let own_user = if rustix::process::geteuid().is_root() { "-m" } else { "-mr" };
    let mut command = project.command("unshare");
    command.args([own_user, "sh", "-c", script]).env("X", env!("CARGO_BIN_EXE_xtask"));
    let ran = CommandOutput::from_output(command.output().unwrap());
    assert!(
        !ran.err.contains("unshare:") && !ran.err.contains("mount:"),
        "this test needs to mount: run it as root, or allow user namespaces\n{}",
        ran.err
    );
    ran
}

const READ_ONLY: &str = "mount --bind .git .git && mount -o remount,bind,ro .git && ";

#[track_caller]
fn assert_one_warning(ran: &CommandOutput) {
    assert_eq!(ran.err.matches("warning: ").count(), 1, "there is one warning:\n{}", ran.err);
}

#[test]
fn verdicts_are_right_in_a_read_only_repository() {
    let project = project();
    let passed = run_with_mount(&project, &format!("{READ_ONLY} $X good other")).ends(0);
    let passed = passed.says("2 ran").says("warning: state can't be written: ").says("Read-only file system");
    assert_one_warning(&passed);
    let failed = run_with_mount(&project, &format!("{READ_ONLY} $X --keep-going good bad")).ends(1);
    assert_one_warning(&failed.says("✗ bad"));
    // Stored results are still found, and outputs are restored from them.
    project.xtask(&["good", "other"]).ends(0);
    std::fs::remove_file(project.path("out")).unwrap();
    let hit = run_with_mount(&project, &format!("{READ_ONLY} $X good other")).ends(0);
    assert_one_warning(&hit.says("nothing ran").says("outputs restored"));
    assert_eq!(project.read("out"), "one\n");
    run_with_mount(&project, &format!("{READ_ONLY} $X gate HEAD")).ends(0).says("passed");
    assert_one_warning(&run_with_mount(&project, &format!("{READ_ONLY} $X --force good other")).ends(0));
}

#[test]
fn sandboxed_task_runs_in_a_read_only_repository() {
    let project = project();
    assert_one_warning(&run_with_mount(&project, &format!("{READ_ONLY} $X sand")).ends(0).says("✓ sand"));
    assert_eq!(project.read("made"), "one\n");
}

#[test]
fn read_only_commands_need_no_state() {
    let project = project();
    for args in [
        "",
        "plan",
        "run --dry-run good",
        "why good",
        "graph",
        "schema",
        "completions bash",
        "log",
        "cache stats",
        "doctor",
        "plan --at HEAD",
        "run --affected=HEAD good",
    ] {
        let ran = run_with_mount(&project, &format!("{READ_ONLY} $X {args}")).ends(0);
        assert!(!ran.err.contains("can't be written") || args.contains("affected"), "{args}: {}", ran.err);
    }
    run_with_mount(&project, &format!("{READ_ONLY} $X cache gc")).ends(5).says("Read-only file system");
    run_with_mount(&project, &format!("{READ_ONLY} $X run --manifest m.json good"))
        .ends(5)
        .says("the manifest");
}

#[test]
fn plan_of_a_commit_with_other_line_ends_needs_no_state() {
    let project = project();
    project.write(".gitattributes", "a text eol=crlf\n").commit("line ends");
    run_with_mount(&project, &format!("{READ_ONLY} $X plan --at HEAD")).ends(0).prints("good");
}

#[test]
fn gate_of_a_new_tree_only_needs_a_folder_outside_the_repository() {
    let project = project();
    project.write("notes", "");
    assert_one_warning(&run_with_mount(&project, &format!("{READ_ONLY} $X gate HEAD")).ends(0).says("2 ran"));
    let nowhere = "XDG_CACHE_HOME=$PWD/cache TMPDIR=$PWD/tmp";
    let script = format!("{READ_ONLY} {nowhere} $X gate HEAD");
    run_with_mount(&project, &script).ends(5).says("is in the work tree").says("hint: set XDG_CACHE_HOME");
}

#[test]
fn full_disk_does_not_change_the_verdict() {
    let project = project();
    // The disk is so small that not even the record of the run fits.
    let full = "mkdir -p .git/xtask && mount -t tmpfs -o size=4k tmpfs .git/xtask && \
                head -c 4096 /dev/zero > .git/xtask/full;";
    assert_one_warning(&run_with_mount(&project, &format!("{full} $X good other")).ends(0).says("2 ran"));
    assert_one_warning(&run_with_mount(&project, &format!("{full} $X bad")).ends(1).says("✗ bad"));
}

#[test]
fn file_size_limit_does_not_change_the_verdict() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "true"
        inputs = ["a"]
        "#,
    );
    project.write("a", "one\n").commit("a");
    let script = "ulimit -f 0; $X t";
    let mut command = project.command("sh");
    command.args(["-c", script]).env("X", env!("CARGO_BIN_EXE_xtask"));
    assert_one_warning(&CommandOutput::from_output(command.output().unwrap()).ends(0).says("✓ t"));
}

#[test]
fn state_of_another_user_does_not_change_the_verdict() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become another user.
        return;
    }
    let project = project();
    project.xtask(&["good"]).ends(0);
    // The whole repository is readable, but only the work tree is writable.
    for path in [project.parent_folder(), project.root()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    std::fs::remove_file(project.path("out")).unwrap();
    let script = "exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/nonexistent \
                  GIT_CONFIG_GLOBAL=$G $X good other";
    // libgit2 only reads the configuration in the user's home folder.
    project.git(&["config", "--global", "--add", "safe.directory", "*"]);
    let script = script.replace("HOME=/nonexistent", "HOME=$H");
    let home = project.parent_folder().join("home");
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command("sh");
    command.args(["-c", &script]).env("X", env!("CARGO_BIN_EXE_xtask")).env("H", home).env("G", "/dev/null");
    let ran = CommandOutput::from_output(command.output().unwrap()).ends(0).says("✓ good").says("✓ other");
    assert_one_warning(&ran.says("Permission denied"));
}

/// A library in which `flock` always fails, as on some network file systems and folders shared by a host.
const NO_LOCKS: &str = r"
#include <errno.h>
int flock(int fd, int operation) { (void)fd; (void)operation; errno = ENOLCK; return -1; }
";

#[test]
fn file_system_without_locks_changes_neither_verdicts_nor_results() {
    let project = project();
    let (source, library) =
        (project.parent_folder().join("nolocks.c"), project.parent_folder().join("nolocks.so"));
    std::fs::write(&source, NO_LOCKS).unwrap();
    let built = project.command("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(built.unwrap().success());
    let run = || {
        let mut command = project.xtask_command(&["good", "other"]);
        CommandOutput::from_output(command.env("LD_PRELOAD", &library).output().unwrap()).ends(0)
    };
    assert_one_warning(&run().says("2 ran"));
    run().says("nothing ran");
}

#[test]
fn full_disk_fails_the_store_and_not_the_run() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "head -c 3000000 /dev/urandom > out"
        inputs = ["?in"]
        outputs = ["out"]
        "#,
    );
    project.write(".gitignore", "out\n").commit("ignore");
    // The state is on a small disk, in a mount namespace that ends with the program.
    let script = format!(
        "mkdir -p .git/xtask && mount -t tmpfs -o size=1m tmpfs .git/xtask && {xtask} t; status=$?; \
         {xtask} cache verify && exit $status",
        xtask = env!("CARGO_BIN_EXE_xtask")
    );
    let own_user = if rustix::process::geteuid().is_root() { "-m" } else { "-mr" };
    let ran = CommandOutput::from_output(
        project.command("unshare").args([own_user, "sh", "-c", &script]).output().unwrap(),
    );
    assert!(
        !ran.err.contains("unshare") && !ran.err.contains("mount:"),
        "this test needs to mount a disk: run it as root, or allow user namespaces\n{}",
        ran.err
    );
    let ran = ran.ends(0).says("✓ t").says("no space left on the disk").prints("clean");
    assert_eq!(ran.err.matches("warning: ").count(), 1, "there is one warning:\n{}", ran.err);
    assert_eq!(std::fs::metadata(project.path("out")).unwrap().len(), 3_000_000);
}
