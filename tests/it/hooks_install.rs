//! Tests of `xtask hooks`: installing hooks, keeping existing ones, and what the shim does when git
//! calls it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::{CommandOutput, Project};

const TASKS: &str = r#"
    [tasks.t]
    run = "test -f good"
    [hooks]
    pre-push = ["t"]
    pre-commit = ["t"]
    "#;

/// Creates a project with a remote and without any of our hooks.
fn project() -> Project {
    let project = Project::with_gate(TASKS, &[]);
    project.git(&["branch", "-q", "broken"]);
    project.write("good", "").commit("good");
    project
}

fn hook(project: &Project, name: &str) -> PathBuf {
    project.path(".git/hooks").join(name)
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the name, mode, time and content of each file in the hooks folder, without git's samples.
fn list_hooks(project: &Project) -> Vec<String> {
    let entries = fs::read_dir(project.path(".git/hooks")).into_iter().flatten();
    let mut rows: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|ending| ending != "sample"))
        .map(|path| {
            let meta = path.symlink_metadata().unwrap();
            let link = fs::read_link(&path).ok();
            let text = fs::read(&path).unwrap_or_default().escape_ascii().to_string();
            format!("{} {:o} {} {link:?} {text}", path.display(), meta.mode(), meta.mtime_nsec())
        })
        .collect();
    rows.sort();
    rows
}

/// Writes programs, each given as folder, name and text, and pushes. `PATH` contains only the folder
/// `first` and the system's folders.
fn push_with(project: &Project, programs: &[(&str, &str, &str)]) -> CommandOutput {
    for (folder, name, text) in programs {
        write(&project.parent_folder().join(folder).join(name), text, 0o755);
    }
    let mut command = project.push_command(&["origin", "main"]);
    command
        .env_remove("CARGO_HOME")
        .env("PATH", format!("{}/first:/usr/bin:/bin", project.parent_folder().display()));
    CommandOutput::from_output(command.output().unwrap())
}

#[test]
fn installed_hooks_gate_and_a_second_install_changes_nothing() {
    let project = project();
    let first = project.xtask(&["hooks", "install"]).ends(0);
    insta::assert_snapshot!(first.out, @r"
    pre-commit: installed
    pre-push: installed
    ");
    let before = list_hooks(&project);
    let second = project.xtask(&["hooks", "install"]).ends(0);
    insta::assert_snapshot!(second.out, @r"
    pre-commit: installed already
    pre-push: installed already
    ");
    assert_eq!(list_hooks(&project), before);
    project.push(&["broken"]).ends(1).says("refs/heads/broken is not pushed");
    project.push(&["main"]).ends(0).says("gate: ");
    insta::assert_snapshot!(project.xtask(&["hooks", "status"]).ends(0).out, @r"
    pre-commit           installed
    pre-push             installed
    ");
    project.xtask(&["hooks", "uninstall"]).ends(0).prints("pre-push: removed");
    assert_eq!(list_hooks(&project), Vec::<String>::new());
    project.xtask(&["hooks", "uninstall"]).ends(0).prints("no hook of taskgate is installed");
    insta::assert_snapshot!(project.xtask(&["hooks", "status"]).ends(1).out, @r"
    pre-commit           not installed: run xtask hooks install
    pre-push             not installed: run xtask hooks install
    ");
}

#[test]
fn existing_hook_runs_first_with_the_same_arguments() {
    let project = project();
    let script = "#!/bin/sh\necho \"$@\" >> ../words; cat > ../stdin; test ! -f ../stop\n";
    write(&hook(&project, "pre-push"), script, 0o755);
    project.xtask(&["hooks", "install"]).ends(0).prints("pre-push: installed; the existing hook runs first");
    project.push(&["main"]).ends(0).says("gate: ");
    let bare = project.bare();
    assert_eq!(project.lines("../words"), [format!("origin {}", bare.display())]);
    let head = project.git(&["rev-parse", "main"]);
    let zero = "0".repeat(40);
    let line = format!("refs/heads/main {head} refs/heads/main {zero}\n");
    assert_eq!(fs::read_to_string(project.path("../stdin")).unwrap(), line);
    write(&project.path("../stop"), "", 0o644);
    project.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
    project.push(&["main"]).ends(1).does_not_say("gate: ");
    fs::remove_file(project.path("../stop")).unwrap();
    project.push(&["broken"]).ends(1).says("refs/heads/broken is not pushed");
    project.xtask(&["hooks", "status"]).ends(0).prints("pre-push.before-xtask runs first");
}

#[test]
fn uninstall_restores_exactly_the_previous_hooks() {
    let project = project();
    write(&project.path("../elsewhere"), "#!/bin/sh\nexit 0\n", 0o755);
    let kinds: [&dyn Fn(&Path); 4] = [
        &|path| write(path, "#!/bin/sh\n: \u{1}\u{7f} no end of line", 0o755),
        &|path| write(path, "not run by git\n", 0o644),
        &|path| symlink("../../../elsewhere", path).unwrap(),
        &|path| symlink("nowhere", path).unwrap(),
    ];
    for make in kinds {
        make(&hook(&project, "pre-push"));
        let before = list_hooks(&project);
        project.xtask(&["hooks", "install"]).ends(0);
        project.push(&["-f", "main:again"]).ends(0).says("gate: ");
        project.push(&[":again"]).ends(0);
        project.xtask(&["hooks", "install"]).ends(0).prints("installed already");
        project.xtask(&["hooks", "uninstall"]).ends(0).prints("the earlier hook is restored");
        assert_eq!(list_hooks(&project), before);
        fs::remove_file(hook(&project, "pre-push")).unwrap();
    }
}

#[test]
fn obstacle_to_the_installation_is_reported() {
    let project = project();
    write(&hook(&project, "pre-push"), "one", 0o755);
    project.xtask(&["hooks", "install"]).ends(0);
    write(&hook(&project, "pre-push"), "two", 0o755);
    let before = list_hooks(&project);
    insta::assert_snapshot!(project.xtask(&["hooks", "install"]).ends(1).out, @r#"
    pre-commit: installed already
    pre-push: not installed: another hook replaced taskgate's, and .git/hooks/pre-push.before-xtask exists already; merge the two, and remove .git/hooks/pre-push.before-xtask
    "#);
    assert_eq!(list_hooks(&project), before);
    // An install was interrupted after the old hook was kept and before ours was written.
    write(&hook(&project, "pre-push"), "one", 0o755);
    project.xtask(&["hooks", "install"]).ends(0).prints("pre-push: installed\n");
    project.xtask(&["hooks", "uninstall"]).ends(0);
    assert_eq!(fs::read_to_string(hook(&project, "pre-push")).unwrap(), "one");
    // Our hook is not executable, so git does not run it.
    fs::remove_file(hook(&project, "pre-push")).unwrap();
    project.xtask(&["hooks", "install"]).ends(0);
    project.chmod(".git/hooks/pre-push", 0o644);
    project.xtask(&["hooks", "status"]).ends(1).prints("pre-push             stale: run xtask hooks install");
    project.xtask(&["hooks", "install"]).ends(0);
    project.xtask(&["hooks", "status"]).ends(0);
    // tasks.toml no longer names tasks for a stage.
    project.write("tasks.toml", TASKS.replace("pre-commit = [\"t\"]\n", ""));
    project.xtask(&["hooks", "status"]).ends(0).prints("though tasks.toml names no tasks for it");
    project.xtask(&["hooks", "install"]).ends(0).prints("pre-commit: removed");
    project.write("tasks.toml", "[tasks.t]\nrun = \"x\"\n");
    project.xtask(&["hooks", "install"]).ends(4).says("has no tasks for a git hook").says("hint: ");
}

#[test]
fn linked_worktrees_and_submodules_have_their_hooks_folder() {
    let project = project();
    let second = project.parent_folder().join("second");
    project.git(&["worktree", "add", "-q", second.to_str().unwrap(), "broken"]);
    project.xtask(&["-C", second.to_str().unwrap(), "hooks", "install"]).ends(0);
    assert!(hook(&project, "pre-push").exists());
    let pushed = project.push_command(&["origin", "broken"]).current_dir(&second).output().unwrap();
    CommandOutput::from_output(pushed).ends(1).says("refs/heads/broken is not pushed");
    let outer = project.parent_folder().join("outer");
    let path = outer.to_str().unwrap();
    project.git(&["init", "-q", path]);
    let root = project.root();
    let add = ["-C", path, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    project.git(&[&add[..], &[root.to_str().unwrap(), "sub"]].concat());
    let inner = outer.join("sub");
    project.xtask(&["-C", inner.to_str().unwrap(), "hooks", "install"]).ends(0);
    assert!(outer.join(".git/modules/sub/hooks/pre-push").exists());
    let commit = project.command("git").current_dir(&inner).args(["rm", "-q", "good"]).status().unwrap();
    assert!(commit.success());
    let commit = project.command("git").current_dir(&inner).args(["commit", "-qm", "bad"]).output().unwrap();
    CommandOutput::from_output(commit).ends(1).says("gate: index failed");
}

#[test]
fn foreign_hooks_folder_gets_instructions() {
    let project = project();
    project.git(&["config", "core.hooksPath", ".husky/_"]);
    write(&project.path(".husky/_/pre-push"), "#!/bin/sh\n", 0o755);
    write(&project.path(".husky/_/pre-commit"), "#!/bin/sh\n", 0o755);
    project.write(".husky/pre-push", "npm test\n");
    let config = project.read(".git/config");
    let ran = project.xtask(&["hooks", "install"]).ends(1).says("core.hooksPath is .husky/_");
    insta::assert_snapshot!(ran.out, @r#"
    create .husky/pre-commit:
        xtask hook pre-commit "$@" || exit $?
    add to .husky/pre-push:
        xtask hook pre-push "$@" || exit $?
    "#);
    insta::assert_snapshot!(project.xtask(&["hooks", "status"]).ends(1).out, @r#"
    pre-commit           bypassed: core.hooksPath is .husky/_; create .husky/pre-commit: xtask hook pre-commit "$@" || exit $?
    pre-push             bypassed: core.hooksPath is .husky/_; add to .husky/pre-push: xtask hook pre-push "$@" || exit $?
    "#);
    let warning = "git does not call taskgate at pre-commit, pre-push; create .husky/pre-commit: xtask hook";
    project
        .xtask(&["t"])
        .says(warning)
        .says("; add to .husky/pre-push: xtask hook pre-push \"$@\" || exit $?\n");
    assert_eq!(project.read(".git/config"), config);
    assert!(!hook(&project, "pre-push").exists());
    for stage in ["pre-push", "pre-commit"] {
        write(&project.path(".husky").join(stage), &format!("xtask hook {stage} \"$@\" || exit $?\n"), 0o644);
    }
    project.xtask(&["hooks", "install"]).ends(0).prints("call xtask already");
    project.xtask(&["hooks", "status"]).ends(0).prints("pre-push             installed: .husky/_ calls it");
    project.xtask(&["t"]).does_not_say("git does not call");
    // Git ignores these files, so a linked worktree does not have them.
    fs::remove_file(project.path(".husky/_/pre-push")).unwrap();
    let missing = ".husky/_/pre-push is missing; run npm install (or npx husky)";
    project
        .xtask(&["hooks", "status"])
        .ends(1)
        .prints(&format!("pre-push             bypassed: {missing}\n"));
    project.xtask(&["hooks", "install"]).ends(1).prints(missing);
    project.xtask(&["t"]).says(&format!("git does not call taskgate at pre-push; {missing}\n"));
    // Any other folder has hooks that git runs itself.
    project.git(&["config", "core.hooksPath", ".husky"]);
    let status = project.xtask(&["hooks", "status"]).ends(1);
    status.prints(
        "pre-push             bypassed: .husky/pre-push is not executable; run chmod +x .husky/pre-push\n",
    );
    project.chmod(".husky/pre-push", 0o755).chmod(".husky/pre-commit", 0o755);
    project.xtask(&["hooks", "status"]).ends(0);
    project.git(&["config", "--unset", "core.hooksPath"]);
    let folder = project.parent_folder().join("hooks");
    project.git(&["config", "--global", "core.hooksPath", folder.to_str().unwrap()]);
    project.xtask(&["hooks", "install"]).ends(1).prints(&format!("create {}/pre-push:", folder.display()));
    // A `core.hooksPath` that points to the repository's own folder is not foreign.
    project.git(&["config", "core.hooksPath", ".git/hooks"]);
    project.xtask(&["hooks", "install"]).ends(0).prints("pre-push: installed\n");
}

const RECORDER: &str =
    "#!/bin/sh\necho \"$0 $*\" >> \"$HOME/called\"; env >> \"$HOME/called\"; cat >> \"$HOME/called\"\n";

#[test]
fn program_is_found_with_the_path_of_a_graphical_client() {
    let project = project();
    let shim = || fs::read_to_string(hook(&project, "pre-push")).unwrap();
    project.xtask(&["hooks", "install"]).ends(0);
    // The hook calls the program that installed it.
    push_with(&project, &[]).ends(0).says("gate: ");
    // If that program is missing, the hook looks in the usual folders.
    let moved = shim().replace(env!("CARGO_BIN_EXE_xtask"), "/nowhere/xtask");
    write(&hook(&project, "pre-push"), &moved, 0o755);
    project.git(&["commit", "-q", "--no-verify", "--allow-empty", "-m", "more"]);
    let missing = push_with(&project, &[]).ends(1).says("xtask is not found");
    missing.says("hint: install taskgate");
    push_with(&project, &[("home/.cargo/bin", "xtask", RECORDER)]).ends(0);
    let called = project.read("../home/called");
    assert!(called.contains("/home/.cargo/bin/xtask hook pre-push origin "), "{called}");
    assert!(called.contains("refs/heads/main"), "{called}");
    // A program on PATH has priority.
    project.git(&["commit", "-q", "--no-verify", "--allow-empty", "-m", "more"]);
    push_with(&project, &[("first", "xtask", RECORDER)]).ends(0);
    assert!(project.read("../home/called").contains("/first/xtask hook pre-push"));
}

#[test]
fn repository_with_its_own_xtask_runs_that() {
    let project = project();
    project.write(".cargo/config.toml", "[alias]\nxtask = \"run --package xtask --\"\n");
    project.write("xtask/Cargo.toml", "[dependencies]\ntaskgate = \"0.1\"\n").commit("own");
    project.xtask(&["hooks", "install"]).ends(0);
    push_with(&project, &[("home/.cargo/bin", "cargo", RECORDER)]).ends(0);
    let called = project.read("../home/called");
    assert!(called.contains("cargo --quiet xtask hook pre-push origin "), "{called}");
    assert!(called.contains("refs/heads/main") && !called.contains("GIT_DIR"), "{called}");
    let mut commit: Command = project.command("git");
    commit.env_remove("CARGO_HOME").env("PATH", "/usr/bin:/bin");
    commit.args(["commit", "-q", "--allow-empty", "-am", "x"]);
    CommandOutput::from_output(commit.output().unwrap()).ends(0);
    let called = project.read("../home/called");
    assert!(called.contains("hook pre-commit") && called.contains("XTASK_INDEX_FILE=/"), "{called}");
    // The hook doesn't call an xtask that doesn't use taskgate.
    project.write("xtask/Cargo.toml", "[dependencies]\n");
    fs::remove_file(project.path("../home/called")).unwrap();
    project.git(&["commit", "-q", "--no-verify", "-am", "other"]);
    push_with(&project, &[]).ends(0).says("gate: ");
    assert!(!project.path("../home/called").exists());
}

#[test]
fn other_hook_manager_gets_an_entry_that_calls_the_hook() {
    let project = project();
    project.write("lefthook.yml", "pre-commit:\n  commands:\n    x:\n      run: true\n").commit("lefthook");
    let warning = "git does not call taskgate at pre-push; run xtask hooks install";
    project.xtask(&["t"]).ends(0).does_not_say(warning);
    let installed = project.xtask(&["hooks", "install"]).ends(0);
    insta::assert_snapshot!(installed.err, @r"
    warning: lefthook replaces git's hooks, and taskgate's with them, when it is installed; add to lefthook.yml:
        pre-commit:
          commands:
            taskgate:
              run: xtask hook pre-commit {0}
        pre-push:
          commands:
            taskgate:
              run: xtask hook pre-push {0}
              use_stdin: true
    ");
    project.xtask(&["t"]).ends(0).does_not_say(warning);
    // What lefthook does when it is installed.
    let lefthooks = "#!/bin/sh\nexec lefthook run pre-push \"$@\"\n";
    write(&hook(&project, "pre-push"), lefthooks, 0o755);
    project.xtask(&["t"]).ends(0).says(warning);
    project.xtask(&["hooks", "status"]).ends(1).prints("pre-push             not installed");
    let entry = "pre-push:\n  commands:\n    taskgate:\n      run: xtask hook pre-push {0}\n";
    project.write("lefthook.yml", entry);
    project.xtask(&["t"]).ends(0).does_not_say(warning);
    project
        .xtask(&["hooks", "status"])
        .prints("pre-push             installed: another hook manager calls it");
    project.xtask(&["hooks", "install"]).ends(0).prints("pre-push: installed already");
    assert_eq!(fs::read_to_string(hook(&project, "pre-push")).unwrap(), lefthooks);
    project.xtask(&["hooks", "uninstall"]).ends(0).prints("pre-push: another hook manager calls it");
    // A CI system has no hooks.
    write(&hook(&project, "pre-push"), "#!/bin/sh\n", 0o755);
    project.xtask_env(&["t"], &[("CI", "true")]).ends(0).does_not_say(warning);
}

#[test]
fn hook_that_pre_commit_kept_is_in_force() {
    let project = project();
    project.xtask(&["hooks", "install"]).ends(0);
    fs::rename(hook(&project, "pre-push"), hook(&project, "pre-push.legacy")).unwrap();
    write(&hook(&project, "pre-push"), "#!/bin/sh\n# File generated by pre-commit\n", 0o755);
    project
        .xtask(&["hooks", "status"])
        .prints("pre-push             installed: another hook manager calls it");
}

#[test]
fn install_says_that_tasks_toml_is_not_committed() {
    let next = "next: git add tasks.toml && git commit ";
    let project = Project::new("");
    project.write("tasks.toml", "[tasks.t]\nrun = \"true\"\n[hooks]\npre-push = [\"t\"]\n");
    project.git(&["rm", "-q", "--cached", "--ignore-unmatch", "tasks.toml"]);
    project.git(&["commit", "-q", "--allow-empty", "-m", "without"]);
    project.xtask(&["hooks", "install"]).ends(0).says(next);
    project.commit("tasks");
    let again = project.xtask(&["hooks", "install"]).ends(0);
    assert!(!again.err.contains(next), "{}", again.err);
}
