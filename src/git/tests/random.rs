//! Tests with random work trees: the snapshot must be the tree that git itself would write.

use std::fs;
use std::os::unix::fs::symlink;

use proptest::prelude::*;
use proptest::sample::select;

use super::work_tree::agree;
use crate::base::path::RepoPath;
use crate::git::tests::test_repo::{TestRepo, git_command, path};

const NAMES: &[&str] = &["a", "b", "ab", "a.b", "b.log", "{a,b}", "x y", "ä", "-", "a0"];

#[derive(Clone, Debug)]
enum Step {
    Write(String, u8),
    Executable(String),
    Link(String),
    Remove(String),
    Ignore(String, Vec<String>),
    ForceAdd(String),
    Stage,
    /// Reads the work tree and saves what was read, for later steps.
    Look,
}

fn a_path() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(NAMES), 1..4).prop_map(|parts| parts.join("/"))
}

fn a_pattern() -> impl Strategy<Value = String> {
    let tokens = [
        "a",
        "b",
        "ab",
        "a",
        "b",
        ".",
        "b.log",
        "*",
        "*",
        "**",
        "**",
        "/",
        "/",
        "/",
        "?",
        "[ab]",
        "[!a]",
        "[",
        "]",
        "[[:alpha:]]",
        "{a,b}",
        "\\",
        "\\ ",
        " ",
        "!",
        "#",
        "ä",
        "-",
        "0",
        "\r",
        "x y",
    ];
    proptest::collection::vec(select(tokens.to_vec()), 1..6).prop_map(|tokens| tokens.concat())
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (a_path(), 0..3_u8).prop_map(|(path, text)| Step::Write(path, text)),
        1 => a_path().prop_map(Step::Executable),
        1 => a_path().prop_map(Step::Link),
        1 => a_path().prop_map(Step::Remove),
        2 => (a_path(), proptest::collection::vec(a_pattern(), 1..4)).prop_map(|(path, lines)| Step::Ignore(path, lines)),
        1 => a_path().prop_map(Step::ForceAdd),
        1 => Just(Step::Stage),
        2 => Just(Step::Look),
    ]
}

/// Removes everything that would prevent a file at `path`, and creates its folder.
fn make_room(repo: &TestRepo, path: &str) {
    let mut parent = String::new();
    for part in path.split('/') {
        if !parent.is_empty() && fs::symlink_metadata(repo.path(&parent)).is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(repo.path(&parent)).unwrap();
        }
        parent = if parent.is_empty() { part.to_owned() } else { format!("{parent}/{part}") };
    }
    remove(repo, path);
    fs::create_dir_all(repo.path(path).parent().unwrap()).unwrap();
}

fn remove(repo: &TestRepo, path: &str) {
    match fs::symlink_metadata(repo.path(path)) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(repo.path(path)).unwrap(),
        Ok(_) => fs::remove_file(repo.path(path)).unwrap(),
        Err(_) => {}
    }
}

fn take(repo: &TestRepo, step: &Step) {
    match step {
        Step::Write(path, text) => {
            make_room(repo, path);
            repo.write(path, [*text; 3]);
        }
        Step::Executable(path) => {
            make_room(repo, path);
            repo.write(path, "x");
            repo.chmod(path, 0o755);
        }
        Step::Link(path) => {
            make_room(repo, path);
            // A symlink to itself is avoided: git does not notice that files below it are gone.
            let is_itself = path == "a" || path.ends_with("/a");
            symlink(if is_itself { "nowhere" } else { "a" }, repo.path(path)).unwrap();
        }
        Step::Remove(path) => remove(repo, path),
        Step::Ignore(path, lines) => {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let file =
                if folder.is_empty() { ".gitignore".to_owned() } else { format!("{folder}/.gitignore") };
            make_room(repo, &file);
            repo.write(&file, lines.join("\n"));
        }
        Step::ForceAdd(path) => {
            if repo.path(path).exists() {
                // It may fail: git refuses a path that is reached through a symlink.
                let _ = git_command(&repo.dir).args(["add", "--force", path]).output().unwrap();
            }
        }
        Step::Stage => {
            repo.git(&["add", "--all"]);
        }
        Step::Look => {
            let reader = repo.reader();
            reader.snapshot().unwrap();
            reader.save().unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_work_tree_has_the_tree_id_that_git_computes(steps in proptest::collection::vec(a_step(), 1..40), folder in a_path()) {
        let repo = TestRepo::new();
        for step in &steps {
            take(&repo, step);
        }
        agree(&repo);
        let reader = repo.reader();
        let snapshot = reader.snapshot().unwrap();
        prop_assert_eq!(reader.rescan(&[path(&folder)]).unwrap(), snapshot.entries_in(&path(&folder)));
        let again = reader.rescan(&[RepoPath::top()]).unwrap();
        prop_assert_eq!(again, snapshot.entries());
    }
}

/// Each pattern must ignore exactly the paths that it ignores for git.
#[test]
fn any_ignore_file_matches_like_in_git() {
    let repo = TestRepo::new();
    for one in NAMES {
        repo.write(&format!("top/{one}/{one}"), "");
        for other in ["a", "b", "ab", "b.log"] {
            repo.write(&format!("{one}/{other}/a/b"), "");
            repo.write(&format!("{one}/{other}/b.log"), "");
        }
    }
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let lists = (proptest::collection::vec(a_pattern(), 1..4), proptest::collection::vec(a_pattern(), 1..4));
    let result = runner.run(&lists, |(top, inner)| {
        repo.write(".gitignore", top.join("\n"));
        repo.write("top/.gitignore", inner.join("\n"));
        let args = ["ls-files", "--others", "--exclude-standard", "-z"];
        let listed = git_command(&repo.dir).args(args).output().unwrap().stdout;
        let mut expected: Vec<RepoPath> =
            listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(RepoPath::from_git).collect();
        expected.sort();
        let found: Vec<RepoPath> = repo.snapshot().entries().iter().map(|entry| entry.path.clone()).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
