//! Tests of snapshots with git indexes of all versions and states.

use std::fs;

use super::work_tree::agree;
use crate::git::snapshot::Mode;
use crate::git::tests::test_repo::{TestRepo, paths};

#[test]
fn index_of_any_version_is_read() {
    for version in ["2", "3", "4"] {
        let repo = TestRepo::with(&[("a", "1"), ("dir/b", "2"), ("dir/b-longer-name", "3"), ("z", "4")]);
        repo.git(&["update-index", "--index-version", version]);
        // Git stores this flag only in an index of version 3 or later.
        repo.git(&["update-index", "--skip-worktree", "z"]);
        repo.settle();
        repo.write("new", "5");
        agree(&repo);
        assert!(matches!(
            crate::git::index::file::load(&repo.path(".git/index")).unwrap(),
            crate::git::index::file::ParsedIndex::Complete(_)
        ));
    }
}

#[test]
fn split_or_sparse_index_is_read() {
    let repo = TestRepo::with(&[("a", "1"), ("dir/b", "2")]);
    repo.git(&["update-index", "--split-index"]);
    repo.write("dir/b", "3");
    repo.write("new", "5");
    agree(&repo);

    let repo = TestRepo::with(&[("a", "1"), ("dir/b", "2"), ("other/deep/c", "3")]);
    repo.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "dir"]);
    let snapshot = repo.snapshot();
    assert_eq!(
        paths(&snapshot),
        ["a", "dir/b", "other/deep/c"],
        "a file that is not checked out does not count as removed"
    );
    assert_eq!(
        snapshot.entries().iter().map(|entry| entry.not_checked_out).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert_eq!(paths(&repo.repository().staged_snapshot()), ["a", "dir/b", "other/deep/c"]);
}

#[test]
fn file_on_disk_counts_whatever_the_index_says() {
    let repo = TestRepo::with(&[("a", "1"), ("b", "2"), ("c", "3")]);
    repo.git(&["update-index", "--assume-unchanged", "a"]);
    repo.git(&["update-index", "--skip-worktree", "b"]);
    let before = repo.snapshot();
    repo.write("a", "x");
    repo.write("b", "x");
    fs::remove_file(repo.path("c")).unwrap();
    let after = repo.snapshot();
    assert_eq!(paths(&after), ["a", "b"]);
    for (old, new) in before.entries().iter().zip(after.entries()) {
        assert_ne!(old.id, new.id, "{:?}", new.path);
    }
}

#[test]
fn file_with_a_conflict_is_read_from_disk() {
    let repo = TestRepo::with(&[("a", "1\n")]);
    repo.git(&["checkout", "-qb", "other"]);
    repo.write("a", "2\n");
    repo.commit();
    repo.git(&["checkout", "-q", "main"]);
    repo.write("a", "3\n");
    repo.commit();
    let merge =
        crate::git::tests::test_repo::git_command(&repo.dir).args(["merge", "-q", "other"]).output().unwrap();
    assert!(!merge.status.success());
    agree(&repo);
    assert!(repo.snapshot().entries()[0].tracked);
    let error = repo.repository().staged_tree(None).unwrap_err();
    assert_eq!(error.to_string(), "the index has an unresolved conflict in a");
}

#[test]
fn without_file_modes_the_index_decides() {
    let repo = TestRepo::with(&[("a", "1"), ("b", "2")]);
    repo.git(&["config", "core.fileMode", "false"]);
    repo.git(&["update-index", "--chmod=+x", "a"]);
    repo.chmod("b", 0o755);
    repo.write("new", "");
    repo.chmod("new", 0o755);
    let modes: Vec<Mode> = repo.snapshot().entries().iter().map(|entry| entry.mode).collect();
    assert_eq!(modes, [Mode::Executable, Mode::File, Mode::File]);
    agree(&repo);
}
