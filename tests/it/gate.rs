//! Tests of `xtask gate`: private worktrees, what is provided in them, and which trees are tested.

use std::fs;
use std::os::unix::fs::symlink;

use crate::project::Project;
use crate::project::screens::mask;

/// A task that lists a folder of ignored files from earlier runs and then writes a file into it.
const WARM: &str = r#"
    [tasks.t]
    run = "ls build 2>/dev/null || true; mkdir -p build; touch build/x; cat file"
    [hooks]
    pre-push = ["t"]
    "#;

/// Returns the log of the only task of the last run.
fn log(project: &Project) -> String {
    project.xtask(&["log", "--last", "--task", "t"]).ends(0).out
}

fn worktree(project: &Project) -> std::path::PathBuf {
    project.worktree()
}

#[test]
fn each_tree_of_the_revisions_is_tested_once() {
    let project = Project::with_private_gates(
        r#"
        [tasks.t]
        run = "grep -q good file"
        [hooks]
        pre-push = ["t"]
        "#,
    );
    project.write("file", "bad\n").commit("bad").write("file", "good\n").commit("good");
    project.git(&["tag", "-a", "-m", "x", "v1"]);
    let gated = project.xtask(&["gate", "v1", "HEAD", "main"]).ends(0);
    assert_eq!(gated.err.matches("gate: ").count(), 1, "{}", gated.err);
    assert!(gated.out.is_empty());
    project.xtask(&["gate"]).ends(0).says("passed (1 cached, 0 ran, ");
    let failed = project.xtask(&["gate", "main", "main~1"]).ends(1);
    assert_eq!(failed.err.matches("gate: ").count(), 2, "{}", failed.err);
    insta::assert_snapshot!(mask(&failed.err));
    let short = project.git(&["rev-parse", "--short=7", "main~1"]);
    project.xtask(&["log"]).ends(0).prints(&format!("gate of {short}: t: 1 task"));
    let run = failed.err.split("xtask log ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    project.xtask(&["log", &run, "--task", "t"]).ends(0).prints("t: exit status 1");
    // `xtask log` prints the same text again.
    let drawn = project.xtask(&["log", &run]).ends(0).out;
    assert!(failed.err.ends_with(&drawn), "{drawn}");
    project.xtask(&["gate", "nowhere"]).ends(5).says("`nowhere` is not a commit");
    project.xtask(&["gate", "main", "--staged"]).ends(2);
}

#[test]
fn warm_worktree_keeps_ignored_files_and_a_cold_one_nothing() {
    let project = Project::with_private_gates(WARM);
    project.write(".gitignore", "build/\n").write("file", "1\n").write("same", "").commit("1");
    project.xtask(&["gate"]).ends(0);
    assert_eq!(log(&project).lines().skip(1).collect::<Vec<_>>(), ["1"]);
    let modified = |name: &str| fs::metadata(worktree(&project).join(name)).unwrap().modified().unwrap();
    let same = modified("same");
    fs::write(worktree(&project).join("untracked"), "").unwrap();
    fs::write(worktree(&project).join("same"), "damaged").unwrap();
    fs::write(worktree(&project).join("same"), "").unwrap();
    project.write("file", "2\n").commit("2");
    project.xtask(&["gate"]).ends(0);
    assert_eq!(log(&project).lines().skip(1).collect::<Vec<_>>(), ["x", "2"]);
    assert!(!worktree(&project).join("untracked").exists());
    project.write("file", "3\n").commit("3");
    let before = modified("file");
    project.xtask(&["gate", "--cold"]).ends(0);
    assert_eq!(log(&project).lines().skip(1).collect::<Vec<_>>(), ["3"]);
    assert!(modified("file") > before && modified("same") > same);
}

#[test]
fn unchanged_files_keep_their_mtime() {
    let project = Project::with_private_gates(WARM);
    project.write("file", "1\n").write("same", "text\n").write("gone", "").commit("1");
    project.xtask(&["gate"]).ends(0);
    let modified = || fs::metadata(worktree(&project).join("same")).unwrap().modified().unwrap();
    let before = modified();
    fs::remove_file(project.path("gone")).unwrap();
    project.write("file", "2\n").write("new/deep", "").commit("2");
    project.xtask(&["gate"]).ends(0);
    assert_eq!(modified(), before);
    assert!(!worktree(&project).join("gone").exists() && worktree(&project).join("new/deep").exists());
}

#[test]
fn ignored_files_are_linked_and_copied() {
    let tasks = |worktree: &str| {
        format!(
            r#"
            [tasks.t]
            run = "ls -A; cat deps/lib; cat conf/.env; echo changed > conf/.env"
            [hooks]
            pre-push = ["t"]
            [worktree]
            {worktree}
            "#
        )
    };
    let project =
        Project::with_private_gates(&tasks("link = [\"deps\", \"absent\"]\ncopy = [\"conf/.env\"]"));
    project.write(".gitignore", "/deps/\n.env\n").commit("ignore");
    project.write("deps/lib", "library\n").write("conf/.env", "secret\n");
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("library\nsecret"), "{}", log(&project));
    assert_eq!(project.read("conf/.env"), "secret\n", "the copied file is not a link");
    assert!(
        !worktree(&project).join("deps").is_symlink(),
        "nothing in the worktree links to the user's repository"
    );
    // The plan from git's objects has the same keys as the one in the worktree, so this is a hit.
    project.xtask(&["gate"]).ends(0);
    // A path that `[worktree]` no longer names is removed.
    project.write("tasks.toml", tasks("copy = [\"conf/.env\"]").replace("cat deps/lib", "test ! -e deps"));
    project.commit("without");
    project.xtask(&["gate"]).ends(0);
    // The gate doesn't write through a symlink of the tree.
    let outside = project.parent_folder().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "mine").unwrap();
    symlink(&outside, project.path("away")).unwrap();
    project.write("tasks.toml", tasks("copy = [\"away/file\"]")).commit("through a link");
    project.xtask(&["gate"]).ends(1);
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "mine");
    // The gate doesn't replace tracked files.
    project.write("tasks.toml", tasks("link = [\".gitignore\"]")).commit("wrong");
    project.xtask(&["gate"]).ends(1);
    assert_screens!();
}

#[test]
fn patterns_name_ignored_files_in_several_folders() {
    let project = Project::with_private_gates(
        r#"
        [tasks.t]
        run = "cat packages/*/node_modules/lib apps/*/.env; ! test -e other/node_modules; ! test -e packages/a/log"
        [hooks]
        pre-push = ["t"]
        [worktree]
        link = ["packages/*/node_modules", "?none/*/x"]
        copy = ["apps/*/.env"]
        "#,
    );
    project.write(".gitignore", "node_modules/\n.env\nlog\n");
    project.write("packages/a/p", "").write("packages/b/p", "").write("apps/web/a", "").commit("files");
    project.write("packages/a/node_modules/lib", "1\n").write("packages/b/node_modules/lib", "2\n");
    project.write("apps/web/.env", "3\n").write("other/node_modules/lib", "").write("packages/a/log", "");
    project.xtask(&["gate"]).ends(0).does_not_say("note:");
    assert!(log(&project).contains("1\n2\n3\n"), "{}", log(&project));
    // A folder that appears later is provided, too.
    project.write("packages/c/node_modules/lib", "4\n");
    project.xtask(&["cache", "clear"]).ends(0);
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("1\n2\n4\n3\n"), "{}", log(&project));
}

#[test]
fn setup_runs_only_when_its_inputs_changed() {
    let tasks = r#"
        [tasks.t]
        run = "cat deps/list file"
        [hooks]
        pre-push = ["t"]
        [worktree.setup]
        run = "echo ran >> $HOME/ran; mkdir -p deps; cp lock deps/list"
        inputs = ["lock"]
        "#;
    let project = Project::with_private_gates(tasks);
    let ran = || project.lines("../home/ran").len();
    project.write(".gitignore", "deps/\n").write("lock", "1\n").write("file", "a\n").commit("1");
    project.xtask(&["gate"]).ends(0);
    project.write("file", "b\n").commit("2");
    project.xtask(&["gate"]).ends(0);
    assert_eq!(ran(), 1);
    project.write("lock", "2\n").commit("3");
    project.xtask(&["gate"]).ends(0);
    assert_eq!((ran(), log(&project).contains("2\nb")), (2, true));
    project.write("file", "c\n").commit("4");
    project.xtask(&["gate", "--cold"]).ends(0);
    assert_eq!(ran(), 3);
    project.xtask(&["t", "--at", "HEAD~1", "--force"]).ends(0);
    assert_eq!(ran(), 3);
    assert_screens!();
}

#[test]
fn setup_that_fails_or_changes_the_tree_blocks() {
    let tasks = |run: &str| {
        format!(
            r#"
            [tasks.t]
            run = "true"
            [hooks]
            pre-push = ["t"]
            [worktree]
            setup = "{run}"
            "#
        )
    };
    let project = Project::with_private_gates(&tasks("echo no network; exit 7"));
    for _ in 0..2 {
        project.xtask(&["gate"]).ends(1);
    }
    project.write("tasks.toml", tasks("echo >> tasks.toml")).commit("edits");
    project.xtask(&["gate"]).ends(1);
    project.write("tasks.toml", tasks("touch new")).commit("adds");
    project.xtask(&["gate"]).ends(1);
    assert_screens!();
}

#[test]
fn staged_content_is_tested_without_unstaged_changes() {
    let project = Project::new(
        r#"
        [tasks.t]
        run = "grep -q good file; pwd"
        [hooks]
        pre-commit = ["t"]
        "#,
    );
    project.write("file", "good\n");
    project.git(&["add", "file"]);
    // There are no unstaged changes, so the task runs in the user's work tree.
    project.xtask(&["gate", "--staged"]).ends(0);
    assert!(log(&project).contains(project.root().to_str().unwrap()));
    assert!(project.worktrees().is_empty());
    project.write("file", "bad\n");
    project.xtask(&["gate", "--staged"]).ends(0);
    project.git(&["add", "file"]);
    project.write("file", "good\n");
    let index = fs::read(project.path(".git/index")).unwrap();
    project.xtask(&["gate", "--staged"]).ends(1);
    assert_eq!(fs::read(project.path(".git/index")).unwrap(), index);
    assert!(worktree(&project).exists());
    assert_screens!();
}

#[test]
fn probe_runs_in_the_tree_under_test() {
    let tasks = r#"
        [tools]
        v = "cat .tool-versions; sh scripts/v.sh"
        [tasks.t]
        run = "true"
        tools = ["v"]
        inputs = ["?nothing"]
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_private_gates(tasks);
    project.write(".tool-versions", "1\n").write("scripts/v.sh", "echo one\n").commit("1");
    project.xtask(&["gate"]).ends(0);
    for (file, text) in [(".tool-versions", "2\n"), ("scripts/v.sh", "echo two\n")] {
        let committed = project.read(file);
        project.write(file, text);
        // The probe has another result in the work tree, but the gate uses the one of the commit.
        project.xtask(&["gate"]).ends(0);
        project.xtask(&["plan", "t"]).ends(0);
        project.write(file, committed);
    }
    assert_screens!();
}

#[test]
fn remembered_probe_is_not_used_where_a_folder_is_a_symlink() {
    let tasks = r#"
        [tools]
        tool = "cat settings/extra 2> /dev/null || echo none"
        [tasks.t]
        run = "true"
        tools = ["tool"]
        inputs = ["?nothing"]
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_private_gates(tasks);
    project.write("other/extra", "extra\n");
    symlink("other", project.path("settings")).unwrap();
    project.commit("a symlink");
    // In the work tree, the file is missing, and so it is in the commit, at this path.
    fs::remove_file(project.path("settings")).unwrap();
    project.write("settings/version", "1\n");
    project.settle();
    for _ in 0..2 {
        assert_eq!(project.probe_answer(&[]).0, "none");
    }
    project.xtask(&["t"]).ends(0).says("1 ran");
    project.xtask(&["gate"]).ends(0).says("0 cached, 1 ran");
    project.git(&["checkout", "-q", "-f", "."]);
    assert_eq!(project.probe_answer(&[]).0, "extra");
    project.xtask(&["t"]).ends(0).says("1 cached");
}

#[test]
fn filters_run_only_with_permission() {
    let tasks = r#"
        [tasks.t]
        run = "cat big.bin"
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_private_gates(tasks);
    let marker = project.parent_folder().join("smudged");
    project.git(&["config", "filter.big.smudge", &format!("touch '{}'; tr a-z A-Z", marker.display())]);
    project.git(&["config", "filter.big.clean", "tr A-Z a-z"]);
    project.write(".gitattributes", "*.bin filter=big\n*.txt filter=unknown\n");
    project.write("big.bin", "HELLO\n").write("a.txt", "x\n").commit("filtered");
    let hook = project.path(".git/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, format!("#!/bin/sh\ntouch '{}'\n", project.parent_folder().join("hooked").display()))
        .unwrap();
    project.chmod(".git/hooks/post-checkout", 0o755);
    project.xtask(&["gate"]).ends(5);
    assert!(!marker.exists());
    project.write("tasks.toml", format!("{tasks}[worktree]\nfilters = [\"big\"]\n")).commit("permitted");
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("HELLO") && marker.exists());
    assert!(!project.parent_folder().join("hooked").exists(), "no hook ran");
    assert_screens!();
}

#[test]
fn submodules_are_checked_out_at_their_commits() {
    let project = Project::with_private_gates(
        r#"
        [tasks.t]
        run = "cat lib/deep/file; cat lib/new || true; ls empty"
        [hooks]
        pre-push = ["t"]
        "#,
    );
    let library = project.parent_folder().join("library");
    let path = library.to_str().unwrap();
    project.git(&["init", "-q", path]);
    fs::create_dir(library.join("deep")).unwrap();
    fs::write(library.join("deep/file"), "library 1\n").unwrap();
    project.git(&["-C", path, "add", "-A"]);
    project.git(&["-C", path, "commit", "-qm", "1"]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path];
    project.git(&[&add[..], &["lib"]].concat());
    project.git(&[&add[..], &["empty"]].concat());
    project.git(&["submodule", "--quiet", "deinit", "-f", "empty"]);
    fs::remove_dir_all(project.path(".git/modules/empty")).unwrap();
    project.commit("with a submodule");
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("library 1"), "{}", log(&project));
    project.xtask(&["gate"]).ends(0);
    // A new commit of the submodule that exists only in the user's work tree.
    fs::write(project.path("lib/new"), "library 2\n").unwrap();
    project.git(&["-C", "lib", "add", "-A"]);
    project.git(&["-C", "lib", "commit", "-qm", "2"]);
    project.commit("bump");
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("library 2"), "{}", log(&project));
    // A commit of the submodule that doesn't exist anywhere.
    let nowhere = "160000,1234567890123456789012345678901234567890,lib";
    project.git(&["update-index", "--cacheinfo", nowhere]);
    project.git(&["commit", "-qm", "broken"]);
    project.xtask(&["gate"]).ends(5);
    assert_screens!();
}

#[test]
fn submodule_has_its_history_and_its_filters_need_permission() {
    let tasks = r#"
        [tasks.t]
        run = "cat lib/big.bin; git -C lib log --oneline"
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_private_gates(tasks);
    let library = project.parent_folder().join("library");
    let path = library.to_str().unwrap();
    project.git(&["init", "-q", path]);
    project.git(&["-C", path, "commit", "-q", "--allow-empty", "-m", "first"]);
    fs::write(library.join(".gitattributes"), "*.bin filter=big\n").unwrap();
    fs::write(library.join("big.bin"), "hello\n").unwrap();
    project.git(&["-C", path, "add", "-A"]);
    project.git(&["-C", path, "commit", "-qm", "second"]);
    let url = format!("file://{path}");
    let add =
        ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "--depth", "1", &url, "lib"];
    project.git(&add);
    project.commit("with a shallow submodule");
    project.xtask(&["gate"]).ends(0);
    let marker = project.parent_folder().join("smudged");
    let smudge = format!("touch '{}'; tr a-z A-Z", marker.display());
    project.git(&["config", "--global", "filter.big.smudge", &smudge]);
    project.git(&["config", "--global", "filter.big.clean", "tr A-Z a-z"]);
    project.write("other", "").commit("more");
    project.xtask(&["gate"]).ends(5);
    assert!(!marker.exists());
    project.write("tasks.toml", format!("{tasks}[worktree]\nfilters = [\"big\"]\n")).commit("permitted");
    project.xtask(&["gate"]).ends(0);
    assert!(log(&project).contains("HELLO") && marker.exists(), "{}", log(&project));
    project.xtask(&["gate"]).ends(0);
    assert_screens!();
}

#[test]
fn unborn_branch_has_no_commits_in_the_private_worktree() {
    let tasks = r#"
        [tasks.t]
        run = "git log --oneline || true; git status --short"
        [hooks]
        pre-commit = ["t"]
        "#;
    let project = Project::with_private_gates(tasks);
    project.git(&["checkout", "-q", "--orphan", "lone"]);
    project.write("unstaged", "");
    project.xtask(&["gate", "--staged"]).ends(0);
    assert!(log(&project).contains("does not have any commits yet"), "{}", log(&project));
    assert_screens!();
}

#[test]
fn task_cannot_access_the_users_repository() {
    let project = Project::with_private_gates(
        r#"
        [tasks.t]
        run = "git init -q; git config user.name nobody; git branch -q -D victim; git update-ref -d refs/tags/victim; echo >> tasks.toml; git stash -q; git branch new; git tag new; git describe --tags; git commit -q --allow-empty -m x; git stash list; git checkout -q -b more; git remote -v"
        pass-env = ["?GIT_AUTHOR_NAME", "?GIT_AUTHOR_EMAIL", "?GIT_COMMITTER_NAME", "?GIT_COMMITTER_EMAIL"]
        [hooks]
        pre-push = ["t"]
        "#,
    );
    project.git(&["tag", "victim"]);
    project.git(&["branch", "victim"]);
    project.git(&["tag", "-a", "-m", "x", "v1"]);
    project.git(&["remote", "add", "origin", "https://example.com/a.git"]);
    let before = project.git_state();
    project.xtask(&["gate"]).ends(0);
    assert_eq!(project.git_state(), before);
    assert!(log(&project).contains("v1") && log(&project).contains("example.com"), "{}", log(&project));
}
