//! Tests with real pushes to a bare repository: exactly what was tested is pushed.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::project::{CommandOutput, Project, wait_for};

/// A task that passes if a file contains `good`. Each run adds a line to a file in the home folder.
const GRADE: &str = r#"
    [tasks.grade]
    run = "echo ran >> $HOME/ran; grep -q good file"
    inputs = ["file"]
    [hooks]
    pre-push = ["grade"]
    "#;

fn project() -> Project {
    let project = Project::with_gate(GRADE, &["pre-push"]);
    project.write("file", "good\n").commit("good");
    project
}

/// Returns how often the task ran.
fn count_runs(project: &Project) -> usize {
    project.lines("../home/ran").len()
}

#[track_caller]
fn assert_blocked(pushed: CommandOutput, name: &str) {
    let pushed = pushed.ends(1).says("gate: ").says(" failed (").says(&format!("{name} is not pushed"));
    pushed.says("grade").says("the log: xtask log ");
}

#[test]
fn uncommitted_fix_does_not_help() {
    let project = project();
    project.write("file", "bad\n").commit("bad");
    project.write("file", "good\n");
    assert_blocked(project.push(&["main"]), "refs/heads/main");
    project.git(&["add", "file"]);
    assert_blocked(project.push(&["main"]), "refs/heads/main");
    assert_eq!(project.remote("main"), None);
    project.git(&["commit", "-qm", "fixed"]);
    project.push(&["main"]).ends(0).says(" passed (");
    assert_eq!(project.remote("main"), Some(project.git(&["rev-parse", "main"])));
}

#[test]
fn untracked_fix_does_not_help() {
    let tasks = r#"
        [tasks.t]
        run = "test -f needed"
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_gate(tasks, &["pre-push"]);
    project.write("needed", "");
    project.xtask(&["t"]).ends(0);
    project.push(&["main"]).ends(1).says("refs/heads/main is not pushed");
    project.commit("with it");
    project.push(&["main"]).ends(0);
}

#[test]
fn good_commit_passes_with_a_broken_work_tree() {
    let project = project();
    project.write("file", "bad\n").write("tasks.toml", "broken = [").write("other", "");
    project.git(&["add", "file"]);
    let before = project.git_state();
    project.push(&["main"]).ends(0).says(" passed (0 cached, 1 ran, ");
    assert_eq!(project.git_state(), before);
    assert_eq!((project.read("file"), project.read("tasks.toml")), ("bad\n".into(), "broken = [".into()));
}

#[test]
fn each_pushed_branch_and_tag_is_tested() {
    let project = project();
    project.git(&["checkout", "-q", "-b", "other"]);
    project.write("file", "bad\n").commit("bad");
    project.git(&["tag", "-a", "-m", "a tag", "v1"]);
    project.git(&["tag", "-a", "-m", "a tag of a tag", "v2", "v1"]);
    project.git(&["checkout", "-q", "main"]);
    assert_blocked(project.push(&["other"]), "refs/heads/other");
    assert_blocked(project.push(&["v1"]), "refs/tags/v1");
    assert_blocked(project.push(&["v2"]), "refs/tags/v2");
    assert_blocked(project.push(&["main", "other"]), "refs/heads/other");
    assert_blocked(project.push(&["--all"]), "refs/heads/other");
    assert_eq!(project.remote("main"), None);
    project.push(&["main"]).ends(0);
}

#[test]
fn deletion_needs_no_gate_and_does_not_skip_others() {
    let project = project();
    project.push(&["main", "main:old"]).ends(0);
    project.write("file", "bad\n").commit("bad");
    assert_blocked(project.push(&[":old", "main"]), "refs/heads/main");
    assert!(project.remote("old").is_some());
    project.push(&[":old"]).ends(0).does_not_say("gate:");
    assert_eq!(project.remote("old"), None);
}

#[test]
fn detached_head_and_revision_expression_are_pushed_as_a_branch() {
    let project = project();
    project.git(&["checkout", "-q", "--detach"]);
    project.push(&["HEAD:refs/heads/new"]).ends(0);
    project.write("file", "bad\n").commit("bad");
    assert_blocked(project.push(&["HEAD:refs/heads/new"]), "refs/heads/new");
    project.push(&["HEAD~1:refs/heads/newer"]).ends(0).says("1 cached, 0 ran");
    assert!(project.remote("newer").is_some());
}

#[test]
fn each_tree_is_tested_once() {
    let project = project();
    project.git(&["checkout", "-q", "-b", "twin"]);
    project.git(&["commit", "-q", "--amend", "-m", "another commit of the same tree"]);
    let pushed = project.push(&["main", "twin"]).ends(0);
    assert_eq!(pushed.err.matches("gate: ").count(), 1, "{}", pushed.err);
    assert_eq!(count_runs(&project), 1);
}

#[test]
fn passed_tree_is_not_tested_again() {
    let project = project();
    project.push(&["main"]).ends(0);
    project.git(&["commit", "-q", "--amend", "-m", "another message"]);
    project.push(&["-f", "main"]).ends(0).says(" passed (1 cached, 0 ran, ");
    project.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    project.write("unrelated", "").commit("side");
    project.git(&["checkout", "-q", "main"]);
    project.git(&["merge", "-q", "--no-edit", "side"]);
    project.push(&["main"]).ends(0).says("1 cached, 0 ran");
    let second = project.parent_folder().join("second.git");
    project.git(&["init", "-q", "--bare", second.to_str().unwrap()]);
    CommandOutput::from_output(project.push_command(&[second.to_str().unwrap(), "main"]).output().unwrap())
        .ends(0)
        .says("1 cached, 0 ran");
    assert_eq!(count_runs(&project), 1);
    // A tree with a stored result needs no worktree.
    project.git(&["commit", "-q", "--amend", "-m", "once more"]);
    project.push(&["-f", "main"]).ends(0).says("1 cached, 0 ran");
    assert!(project.worktrees().is_empty());
}

#[test]
fn work_tree_run_and_gate_share_results() {
    let project = project();
    project.xtask(&["grade"]).ends(0);
    project.push(&["main"]).ends(0).says("1 cached, 0 ran");
    project.write("file", "good too\n").commit("good too");
    project.push(&["main"]).ends(0).says("0 cached, 1 ran");
    project.xtask(&["grade"]).ends(0).says("nothing ran");
}

#[test]
fn each_tree_is_tested_with_its_own_tasks() {
    let project = project();
    project.git(&["checkout", "-q", "-b", "lenient"]);
    project.write("file", "bad\n");
    project.write("tasks.toml", GRADE.replace("grep -q good file", "true")).commit("lenient");
    project.git(&["checkout", "-q", "main"]);
    project.push(&["lenient"]).ends(0);
    project.git(&["checkout", "-q", "lenient"]);
    project.git(&["checkout", "-q", "-b", "none"]);
    project.git(&["rm", "-q", "tasks.toml"]);
    project.git(&["commit", "-qm", "no tasks"]);
    let untested = "nothing was tested, since its tree has no tasks.toml";
    project.push(&["none"]).ends(0).says(untested).does_not_say("yours is not committed");
    project.write("tasks.toml", GRADE);
    let gate = project.xtask(&["gate"]).ends(0).says(&format!("{untested}; yours is not committed\n"));
    gate.says("hint: git add tasks.toml\n");
    project.write("tasks.toml", "[tasks.t]\nrun = \"false\"\n").commit("no hooks");
    project.push(&["none"]).ends(0).says("has no tasks for pre-push");
    project.write("tasks.toml", "[tasks.t]\nrun = 1\n").commit("wrong");
    let wrong = project.push(&["none"]).ends(1).says(":tasks.toml:2:7").says("refs/heads/none is not pushed");
    assert!(wrong.err.contains("expected a string"), "{}", wrong.err);
}

#[test]
fn ref_to_a_non_commit_is_accepted() {
    let project = project();
    project.git(&["tag", "blob", "main:file"]);
    project.git(&["tag", "-a", "-m", "x", "tree", "main^{tree}"]);
    project.push(&["blob", "tree"]).ends(0).says("refs/tags/blob is not a commit");
}

#[test]
fn tag_can_have_the_name_of_a_branch() {
    let project = project();
    project.write("file", "bad\n").commit("bad");
    project.git(&["tag", "same", "HEAD~1"]);
    project.git(&["branch", "same"]);
    assert_blocked(project.push(&["refs/heads/same"]), "refs/heads/same");
    project.push(&["refs/tags/same"]).ends(0);
}

#[test]
fn task_that_edits_the_tree_leaves_no_pass() {
    let tasks = r#"
        [tasks.t]
        run = "echo more >> file"
        inputs = ["other"]
        [tasks.u]
        run = "true"
        inputs = ["other"]
        [hooks]
        pre-push = ["t", "u"]
        "#;
    let project = Project::with_gate_in_private_worktree(tasks);
    project.write("file", "1\n").write("other", "").commit("files");
    for _ in 0..2 {
        let pushed = project.push(&["main"]).ends(1).says("changed: file changed");
        pushed.says(" failed (0 cached, 2 ran, ").says("refs/heads/main is not pushed");
    }
    assert!(project.xtask(&["plan", "t", "u"]).ends(0).out.matches("miss").count() == 2);
    assert_eq!(project.read("file"), "1\n");
}

/// A gate with a task that needs an ignored folder, and says where it ran.
const INSTALLED: &str = r#"
    [tasks.t]
    run = "pwd; cat node_modules/lib"
    [hooks]
    pre-push = ["t"]
    "#;

/// Returns the log of the last run.
fn last_log(project: &Project) -> String {
    project.xtask(&["log", "--last", "--task", "t"]).ends(0).out
}

#[test]
fn first_push_of_a_clean_work_tree_has_its_ignored_files() {
    let project = Project::with_gate(INSTALLED, &["pre-push"]);
    project.write(".gitignore", "node_modules/\n").commit("ignore").write("node_modules/lib", "installed\n");
    let before = project.git_state();
    project.push(&["main"]).ends(0).says("in your work tree").says(" passed (0 cached, 1 ran, ");
    assert_eq!(project.git_state(), before);
    assert!(last_log(&project).contains(&format!("{}\ninstalled", project.root().display())));
    assert!(project.worktrees().is_empty());
}

#[test]
fn work_tree_that_differs_is_not_used() {
    for what in ["an untracked file", "an edited file", "a changed mode", "a deleted file"] {
        let project = Project::with_gate(INSTALLED, &["pre-push"]);
        project.write(".gitignore", "node_modules/\n").write("file", "").commit("ignore");
        project.write("node_modules/lib", "installed\n");
        match what {
            "an untracked file" => drop(project.write("notes", "").root()),
            "an edited file" => drop(project.write("file", "edited\n").root()),
            "a changed mode" => drop(project.chmod("file", 0o755).root()),
            _ => fs::remove_file(project.path("file")).unwrap(),
        }
        let pushed = project.push(&["main"]).ends(1).does_not_say("gate of main in your work tree");
        pushed.says("hint: node_modules is in your work tree and not in the private worktree");
        assert_eq!(project.worktrees(), ["gate-1"], "{what}");
    }
    // The setting, and an older commit.
    let project = Project::with_gate_in_private_worktree(INSTALLED);
    project.write(".gitignore", "node_modules/\n").commit("ignore").write("node_modules/lib", "");
    project.push(&["main"]).ends(1).says("is in your work tree and not in the private worktree");
    let project = Project::with_gate(INSTALLED, &["pre-push"]);
    project.write(".gitignore", "node_modules/\n").commit("ignore").write("node_modules/lib", "");
    project.write("file", "").commit("newer");
    project.push(&["main~1:refs/heads/old"]).ends(1).says("is in your work tree and not in the private");
    project.xtask(&["gate", "--cold"]).ends(1).says("is in your work tree and not in the private worktree");
    project.xtask(&["gate"]).ends(0).says("in your work tree");
}

#[test]
fn work_tree_without_what_the_setup_makes_is_not_used() {
    let setup = "[worktree]\nsetup = { run = \"mkdir -p node_modules; echo set up > node_modules/lib\", inputs = [] }\n";
    let project = Project::with_gate(&format!("{setup}{INSTALLED}"), &["pre-push"]);
    project.write(".gitignore", "node_modules/\nmade/\n").commit("ignore");
    let push = |text: &str| {
        project.write("file", text).commit(text);
        let pushed = project.push(&["main"]).ends(0).says(" passed (0 cached, 1 ran, ");
        pushed.err.contains("in your work tree")
    };
    assert!(!push("one"));
    assert!(last_log(&project).contains("set up"));
    // It is known by now what the setup makes.
    assert!(!push("two"));
    project.write("node_modules/lib", "installed\n");
    assert!(push("three"));
    assert!(last_log(&project).contains("installed"));
    // Another setup may make other things.
    let tasks = project.read("tasks.toml").replace("echo set up", "echo other");
    project.write("tasks.toml", &tasks);
    assert!(!push("four"));
    assert!(push("five"));
    // What a failed attempt has made counts, too.
    let allowed = project.parent_folder().join("allowed");
    let tasks =
        tasks.replace("echo other", &format!("mkdir -p made; test -e {} && echo third", allowed.display()));
    project.write("tasks.toml", &tasks).write("file", "six").commit("six");
    project.push(&["main"]).ends(1);
    fs::write(&allowed, "").unwrap();
    assert!(!push("seven"));
    assert!(!push("eight"));
    // What is known of it is found out again if it is lost.
    project.write("made/x", "");
    assert!(push("nine"));
    fs::remove_dir_all(project.path(".git/xtask/setup-paths")).unwrap();
    assert!(!push("ten"));
    assert!(push("eleven"));
}

/// A task that has ended before the change, and one that waits for it.
const WAITING: &str = r#"
    [tasks.first]
    run = "echo first >> $HOME/ran"
    inputs = ["other"]
    [tasks.t]
    needs = ["first"]
    run = "echo t >> $HOME/ran; touch ../started; until test -e ../go; do sleep 0.01; done; grep -q good file"
    [hooks]
    pre-push = ["t"]
    "#;

/// Waits until files get times that are later than everything before. They get the time of the clock's last
/// tick, and a result of the same tick counts as stored after the edit.
fn wait_for_the_next_tick(project: &Project) {
    let now = SystemTime::now() + Duration::from_millis(1);
    wait_for("the clock goes on", || {
        project.write("../tick", "");
        project.path("../tick").metadata().unwrap().modified().unwrap() > now
    });
}

#[test]
fn edit_during_a_run_in_the_work_tree_does_not_change_the_verdict() {
    // The pushed tree is good and the edited one is not, and the other way around.
    for (edited, committed, status) in [("bad\n", "good\n", 0), ("good\n", "bad\n", 1)] {
        let project = Project::with_gate(WAITING, &["pre-push"]);
        project.write("file", committed).write("other", "").commit("committed");
        // In the private worktree, `..` is the pool.
        let mut child = project.start_push(&["main"]);
        wait_for("the task runs", || project.path("../started").exists());
        wait_for_the_next_tick(&project);
        project.write("file", edited).write("../go", "");
        wait_for("the private worktree exists", || !project.worktrees().is_empty());
        fs::write(project.pool().unwrap().join("go"), "").unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(status));
        let err = fs::read_to_string(project.parent_folder().join("err")).unwrap();
        assert!(err.contains("changed: file changed during the run in your work tree"), "{err}");
        assert!(err.contains("starts again (0 cached, 2 ran, "), "{err}");
        assert!(
            err.contains("(1 cached, 1 ran, "),
            "what had passed before the edit is not run again: {err}"
        );
        assert_eq!(project.remote("main").is_some(), status == 0);
        assert_eq!(project.lines("../home/ran"), ["first", "t", "t"]);
        assert_eq!(project.read("file"), edited);
    }
}

#[test]
fn file_that_is_edited_back_during_the_run_counts_as_changed() {
    let project = Project::with_gate(WAITING, &["pre-push"]);
    project.write("file", "good\n").write("other", "").commit("committed");
    let mut child = project.start_push(&["main"]);
    wait_for("the task runs", || project.path("../started").exists());
    project.write("file", "bad\n").write("file", "good\n").write("../go", "");
    wait_for("the private worktree exists", || !project.worktrees().is_empty());
    fs::write(project.pool().unwrap().join("go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let err = fs::read_to_string(project.parent_folder().join("err")).unwrap();
    assert!(err.contains("changed: file was written during the run in your work tree"), "{err}");
}

#[test]
fn output_of_the_tree_that_is_edited_during_the_run_counts_as_changed() {
    let tasks = r#"
        [tasks.gen]
        run = "until test -e ../copied; do sleep 0.01; done"
        outputs = ["gen.txt"]
        inputs = ["other"]
        [tasks.check]
        run = """touch ../started; until test -e ../go; do sleep 0.01; done; cp gen.txt ../read; touch ../copied
            until test -e ../end; do sleep 0.01; done; grep -q good ../read"""
        [hooks]
        pre-push = ["check", "gen"]
        "#;
    // If the file is as before when the run ends, only the task read another content.
    for (at_end, what) in
        [("good\n", "changed: gen.txt changed"), ("bad\n", "changed: check: gen.txt was written")]
    {
        let project = Project::with_gate(tasks, &["pre-push"]);
        project.write("gen.txt", "bad\n").write("other", "").commit("committed");
        let mut child = project.start_push(&["main"]);
        wait_for("the task runs", || project.path("../started").exists());
        project.write("gen.txt", "good\n").write("../go", "");
        wait_for("the task has read the file", || project.path("../copied").exists());
        project.write("gen.txt", at_end).write("../end", "");
        wait_for("the private worktree exists", || !project.worktrees().is_empty());
        for name in ["go", "end"] {
            fs::write(project.pool().unwrap().join(name), "").unwrap();
        }
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let err = fs::read_to_string(project.parent_folder().join("err")).unwrap();
        assert!(
            err.contains(&format!("{what} during the run in your work tree; your files stay as they are")),
            "{err}"
        );
        assert_eq!(project.remote("main"), None);
        assert_eq!(project.read("gen.txt"), at_end);
    }
}

#[test]
fn task_that_edits_the_work_tree_leaves_no_pass() {
    let tasks = r#"
        [tasks.t]
        run = "echo more >> file"
        inputs = ["other"]
        [hooks]
        pre-push = ["t"]
        "#;
    let project = Project::with_gate(tasks, &["pre-push"]);
    project.write("file", "1\n").write("other", "").commit("files");
    let pushed =
        project.push(&["main"]).ends(1).says("changed: file changed during the run in your work tree");
    pushed.says("tasks modified files of the tree under test").says("refs/heads/main is not pushed");
    project.xtask(&["plan", "t"]).ends(0).prints("miss");
}

#[test]
fn untracked_input_is_named_once_before_the_push_runs_again() {
    let tasks = r#"
        [tasks.t]
        run = "true"
        [tasks.other]
        run = "true"
        inputs = ["file"]
        [hooks]
        pre-push = ["t", "other"]
        "#;
    let project = Project::with_gate(tasks, &["pre-push"]);
    project.write("file", "").commit("file").write("notes.txt", "");
    let said =
        "note: 1 untracked file is part of this tree: notes.txt; a push without it runs these tasks again";
    project.xtask(&["other"]).ends(0).does_not_say("untracked");
    project.xtask(&["t"]).ends(0).says(said);
    project.xtask(&["t"]).ends(0).does_not_say("untracked");
    project.push(&["main"]).ends(0).says(" passed (1 cached, 1 ran, ").does_not_say("untracked");
    project.write("more.txt", "");
    project
        .xtask(&["t"])
        .ends(0)
        .says("note: 2 untracked files are part of this tree: more.txt, notes.txt; ");
}
