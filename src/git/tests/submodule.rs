//! Tests of submodules and other repositories inside the work tree.

use std::fs;

use super::work_tree::agree;
use crate::git::snapshot::{ContentId, Mode};
use crate::git::tests::test_repo::{TestRepo, path, paths};

/// Creates a repository with the submodule `sub`, which has a submodule `inner` itself.
fn with_submodule() -> (TestRepo, TestRepo, TestRepo) {
    let inner = TestRepo::with(&[("deep", "1")]);
    let middle = TestRepo::with(&[("file", "1"), (".gitignore", "*.log\n")]);
    middle.git(&["submodule", "--quiet", "add", inner.dir.to_str().unwrap(), "inner"]);
    middle.commit();
    let outer = TestRepo::with(&[("a", "1")]);
    outer.git(&["submodule", "--quiet", "add", middle.dir.to_str().unwrap(), "sub"]);
    outer.git(&["submodule", "--quiet", "update", "--init", "--recursive"]);
    outer.commit();
    (outer, middle, inner)
}

fn id_of(repo: &TestRepo, name: &str) -> ContentId {
    let snapshot = repo.snapshot();
    let entry = snapshot.get(&path(name)).unwrap();
    assert_eq!(entry.mode, Mode::Submodule);
    assert!(snapshot.entries_in(&path(&format!("{name}/file"))).is_empty());
    entry.id
}

#[test]
fn clean_submodule_is_its_commit() {
    let (outer, _middle, _inner) = with_submodule();
    agree(&outer);
    let commit = TestRepo::git_in(&outer.path("sub"), &["rev-parse", "HEAD"], &[]);
    assert_eq!(id_of(&outer, "sub").hex(), commit);
    let repository = outer.repository();
    let tree = repository.resolve("HEAD").unwrap().tree;
    let of_commit = repository.commit_snapshot(&tree, &[]).unwrap();
    assert_eq!(of_commit.get(&path("sub")).unwrap().id.hex(), commit);
}

#[test]
fn any_edit_in_a_submodule_is_noticed() {
    let (outer, _middle, _inner) = with_submodule();
    let reader = outer.reader();
    let clean = id_of(&outer, "sub");
    let mut seen = vec![clean];
    let mut see = || {
        let id = id_of(&outer, "sub");
        assert_eq!(reader.rescan(&[path("sub")]).unwrap()[0].id, id);
        assert!(!seen.contains(&id));
        seen.push(id);
    };
    outer.write("sub/file", "2");
    see();
    outer.write("sub/new", "");
    see();
    outer.write("sub/inner/deep", "2");
    see();
    TestRepo::git_in(&outer.path("sub"), &["add", "--all"], &[]);
    TestRepo::git_in(&outer.path("sub"), &["commit", "--quiet", "--message=x"], &[]);
    see();
    outer.write("sub/ignored.log", "");
    assert_eq!(id_of(&outer, "sub"), *seen.last().unwrap());
    TestRepo::git_in(&outer.path("sub"), &["reset", "--quiet", "--hard", &clean.hex()], &[]);
    TestRepo::git_in(&outer.path("sub"), &["submodule", "--quiet", "update", "--force"], &[]);
    assert_eq!(id_of(&outer, "sub"), clean);
}

#[test]
fn clean_submodule_with_a_filter_is_its_commit() {
    let middle = TestRepo::with(&[(".gitattributes", "*.txt eol=crlf\n"), ("a.txt", "1\n")]);
    let outer = TestRepo::new();
    outer.git(&["submodule", "--quiet", "add", middle.dir.to_str().unwrap(), "sub"]);
    assert_eq!(fs::read_to_string(outer.path("sub/a.txt")).unwrap(), "1\r\n");
    let commit = TestRepo::git_in(&outer.path("sub"), &["rev-parse", "HEAD"], &[]);
    assert_eq!(id_of(&outer, "sub").hex(), commit);
}

#[test]
fn missing_submodule_is_the_recorded_commit_unless_it_has_files() {
    let (outer, _middle, _inner) = with_submodule();
    let recorded = id_of(&outer, "sub");
    fs::remove_dir_all(outer.path("sub")).unwrap();
    assert!(outer.snapshot().get(&path("sub")).is_none(), "its folder is gone");
    fs::create_dir(outer.path("sub")).unwrap();
    assert_eq!(id_of(&outer, "sub"), recorded);
    outer.write("sub/extra", "1");
    let extra = id_of(&outer, "sub");
    outer.write("sub/extra", "2");
    let other = id_of(&outer, "sub");
    assert!(extra != recorded && other != recorded && extra != other);
}

#[test]
fn nested_repository_is_one_entry_with_its_state() {
    let outer = TestRepo::with(&[("a", "1"), (".gitignore", "hidden/\n")]);
    for name in ["nested", "hidden", "empty"] {
        outer.write(&format!("{name}/file"), "1");
        TestRepo::git_in(&outer.path(name), &["init", "--quiet"], &[]);
    }
    TestRepo::git_in(&outer.path("nested"), &["add", "."], &[]);
    TestRepo::git_in(&outer.path("nested"), &["commit", "--quiet", "--message=x"], &[]);
    assert_eq!(paths(&outer.snapshot()), [".gitignore", "a", "empty", "nested"]);
    let commit = TestRepo::git_in(&outer.path("nested"), &["rev-parse", "HEAD"], &[]);
    assert_eq!(id_of(&outer, "nested").hex(), commit);
    for name in ["nested", "empty"] {
        let before = id_of(&outer, name);
        outer.write(&format!("{name}/file"), "2");
        assert_ne!(id_of(&outer, name), before, "{name}");
    }
}

#[test]
fn folder_that_only_looks_like_a_repository_is_a_folder() {
    let repo = TestRepo::with(&[("a", "1")]);
    repo.write("fixture/.git/config", "");
    repo.write("fixture/file", "1");
    assert_eq!(paths(&repo.snapshot()), ["a", "fixture/file"]);
}
