//! Which changes of the tree are noticed: all that git would report, and also those that filters hide from
//! git.

use crate::project::Project;

const WHOLE: &str = "[tasks.t]\nrun = \"echo ran >> ../ran\"\n";

#[test]
fn untracked_deleted_and_linked_files_count_and_ignored_ones_do_not() {
    let project = Project::new(WHOLE);
    project.write(".gitignore", "*.log\n").write("a", "a").commit("a");
    project.xtask(&["t"]).ends(0);
    project.write("x.log", "ignored").xtask(&["t"]).ends(0);
    project.write("new", "n").xtask(&["t"]).ends(0);
    std::fs::remove_file(project.path("a")).unwrap();
    project.xtask(&["t"]).ends(0);
    std::os::unix::fs::symlink("one", project.path("link")).unwrap();
    project.xtask(&["t"]).ends(0);
    std::fs::remove_file(project.path("link")).unwrap();
    std::os::unix::fs::symlink("two", project.path("link")).unwrap();
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn commit_changes_no_key() {
    let project = Project::new(WHOLE);
    project.write("a", "a");
    project.xtask(&["t"]).ends(0);
    project.commit("a").xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn line_ends_hidden_by_git_are_a_miss() {
    let project = Project::new(WHOLE);
    project.git(&["config", "core.autocrlf", "input"]);
    project.write("a.txt", "one\ntwo\n").commit("a");
    project.xtask(&["t"]).ends(0);
    project.write("a.txt", "one\r\ntwo\r\n");
    project.git(&["add", "a.txt"]);
    project.xtask(&["t"]).ends(0);
    project.write("a.txt", "one\ntwo\n");
    project.xtask(&["t"]).ends(0);
    assert_screens!();
}

#[test]
fn linked_worktree_shares_the_cache() {
    let project = Project::new(WHOLE);
    project.write("a", "a").commit("a");
    project.xtask(&["t"]).ends(0);
    project.git(&["worktree", "add", "-q", "--detach", "../linked"]);
    let ran =
        project.xtask_command(&["t"]).current_dir(project.parent_folder().join("linked")).output().unwrap();
    crate::project::CommandOutput::from_output(ran).ends(0);
    assert_screens!();
}

#[test]
fn users_index_and_tree_are_not_changed() {
    let project = Project::new(WHOLE);
    project.write("a", "a").commit("a").write("a", "b").write("c", "c");
    let before =
        (project.git(&["status", "--porcelain"]), std::fs::read(project.path(".git/index")).unwrap());
    project.xtask(&["t"]).ends(0);
    assert_eq!(std::fs::read(project.path(".git/index")).unwrap(), before.1);
    assert_eq!(project.git(&["status", "--porcelain"]), before.0);
}
