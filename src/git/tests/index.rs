//! Tests of snapshots with git indexes of all versions and states.

use std::fs;

use super::work_tree::agree;
use crate::git::snapshot::Mode;
use crate::git::tests::test_repo::{TestRepo, paths};

#[test]
fn index_of_any_version_is_read() {
    for version in ["2", "3", "4"] {
        let sandbox = TestRepo::with(&[("a", "1"), ("dir/b", "2"), ("dir/b-longer-name", "3"), ("z", "4")]);
        sandbox.git(&["update-index", "--index-version", version]);
        // Git stores this flag only in an index of version 3 or later.
        sandbox.git(&["update-index", "--skip-worktree", "z"]);
        sandbox.settle();
        sandbox.write("new", "5");
        agree(&sandbox);
        assert!(matches!(
            crate::git::index::file::load(&sandbox.path(".git/index")).unwrap(),
            crate::git::index::file::ParsedIndex::Complete(_)
        ));
    }
}

#[test]
fn split_or_sparse_index_is_read() {
    let sandbox = TestRepo::with(&[("a", "1"), ("dir/b", "2")]);
    sandbox.git(&["update-index", "--split-index"]);
    sandbox.write("dir/b", "3");
    sandbox.write("new", "5");
    agree(&sandbox);

    let sandbox = TestRepo::with(&[("a", "1"), ("dir/b", "2"), ("other/deep/c", "3")]);
    sandbox.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "dir"]);
    let snapshot = sandbox.snapshot();
    assert_eq!(paths(&snapshot), ["a", "dir/b", "other/deep/c"], "what is not checked out is not removed");
    assert_eq!(
        snapshot.entries().iter().map(|entry| entry.not_checked_out).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert_eq!(paths(&sandbox.repository().staged_snapshot()), ["a", "dir/b", "other/deep/c"]);
}

#[test]
fn file_on_disk_counts_whatever_the_index_says() {
    let sandbox = TestRepo::with(&[("a", "1"), ("b", "2"), ("c", "3")]);
    sandbox.git(&["update-index", "--assume-unchanged", "a"]);
    sandbox.git(&["update-index", "--skip-worktree", "b"]);
    let before = sandbox.snapshot();
    sandbox.write("a", "x");
    sandbox.write("b", "x");
    fs::remove_file(sandbox.path("c")).unwrap();
    let after = sandbox.snapshot();
    assert_eq!(paths(&after), ["a", "b"]);
    for (old, new) in before.entries().iter().zip(after.entries()) {
        assert_ne!(old.id, new.id, "{:?}", new.path);
    }
}

#[test]
fn file_with_a_conflict_is_read_from_disk() {
    let sandbox = TestRepo::with(&[("a", "1\n")]);
    sandbox.git(&["checkout", "-qb", "other"]);
    sandbox.write("a", "2\n");
    sandbox.commit();
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("a", "3\n");
    sandbox.commit();
    let merge = crate::git::tests::test_repo::git_command(&sandbox.dir)
        .args(["merge", "-q", "other"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    agree(&sandbox);
    assert!(sandbox.snapshot().entries()[0].tracked);
    let error = sandbox.repository().staged_tree(None).unwrap_err();
    assert_eq!(error.to_string(), "the index has an unresolved conflict in a");
}

#[test]
fn without_file_modes_the_index_decides() {
    let sandbox = TestRepo::with(&[("a", "1"), ("b", "2")]);
    sandbox.git(&["config", "core.fileMode", "false"]);
    sandbox.git(&["update-index", "--chmod=+x", "a"]);
    sandbox.chmod("b", 0o755);
    sandbox.write("new", "");
    sandbox.chmod("new", 0o755);
    let modes: Vec<Mode> = sandbox.snapshot().entries().iter().map(|entry| entry.mode).collect();
    assert_eq!(modes, [Mode::Executable, Mode::File, Mode::File]);
    agree(&sandbox);
}
