//! Tests of snapshots of a work tree.

use std::fs;
use std::os::unix::fs::symlink;

use crate::git::snapshot::Mode;
use crate::git::tests::test_repo::{TestRepo, os, path, paths};
use crate::git::{Repository, WorkTreeReader, tree_id};

pub(super) fn agree(sandbox: &TestRepo) {
    let snapshot = sandbox.snapshot();
    assert_eq!(tree_id(&snapshot).unwrap(), sandbox.tree_by_git(), "{:?}", paths(&snapshot));
}

#[test]
fn tree_id_is_the_one_that_git_computes() {
    let sandbox = TestRepo::with(&[("a", "1"), ("b/c", "2"), ("b.d", "3"), ("b/e/f", "4"), ("gone/x", "")]);
    agree(&sandbox);
    sandbox.write("new/file", "5");
    sandbox.write("a", "other");
    fs::remove_dir_all(sandbox.path("gone")).unwrap();
    sandbox.chmod("b/c", 0o755);
    symlink("nowhere", sandbox.path("link")).unwrap();
    agree(&sandbox);
}

#[test]
fn repository_without_an_index_is_read() {
    let sandbox = TestRepo::new();
    assert!(sandbox.snapshot().entries().is_empty());
    sandbox.write("a", "1");
    assert_eq!(paths(&sandbox.snapshot()), ["a"]);
    assert_eq!(sandbox.repository().head_commit().unwrap(), None);
}

#[test]
fn folder_replaced_by_a_symlink_has_no_files() {
    let sandbox = TestRepo::with(&[("dir/a", "1"), ("other/a", "1")]);
    fs::remove_dir_all(sandbox.path("dir")).unwrap();
    symlink("other", sandbox.path("dir")).unwrap();
    let reader = sandbox.reader();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(paths(&snapshot), ["dir", "other/a"]);
    assert_eq!(snapshot.entries()[0].mode, Mode::Symlink);
    assert!(!snapshot.entries()[0].tracked);
    assert!(reader.rescan(&[path("dir/a")]).unwrap().is_empty());
    agree(&sandbox);
}

#[test]
fn swapped_files_and_folders_are_noticed() {
    let sandbox = TestRepo::with(&[("a", "1"), ("b/c", "2"), ("b.x", "3")]);
    fs::remove_file(sandbox.path("a")).unwrap();
    fs::remove_dir_all(sandbox.path("b")).unwrap();
    sandbox.write("a/inner", "1");
    sandbox.write("b", "2");
    agree(&sandbox);
}

// The library can create pipes on Linux only.
#[cfg(target_os = "linux")]
#[test]
fn named_pipe_is_ignored_and_does_not_block() {
    let sandbox = TestRepo::with(&[("a", "1"), ("b", "2")]);
    fs::remove_file(sandbox.path("a")).unwrap();
    for name in ["a", "pipe"] {
        rustix::fs::mknodat(rustix::fs::CWD, sandbox.path(name), rustix::fs::FileType::Fifo, 0o644.into(), 0)
            .unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.path("socket")).unwrap();
    assert_eq!(paths(&sandbox.snapshot()), ["b"]);
    assert!(sandbox.reader().rescan(&[path("pipe"), path("a")]).unwrap().is_empty());
}

#[test]
fn unreadable_file_is_named() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    sandbox.write("dir/secret", "x");
    sandbox.chmod("dir/secret", 0o000);
    if fs::read(sandbox.path("dir/secret")).is_ok() {
        return; // The superuser reads everything.
    }
    let error = sandbox.reader().snapshot().unwrap_err().to_string();
    assert!(error.contains("dir/secret"), "{error}");
}

#[test]
fn non_utf8_names_are_kept() {
    let sandbox = TestRepo::new();
    fs::create_dir(sandbox.dir.join(os(b"d\xff"))).unwrap();
    for name in [&b"d\xff/f\xfe"[..], b"tracked\xfd", b"a\nb"] {
        fs::write(sandbox.dir.join(os(name)), "x").unwrap();
    }
    agree(&sandbox);
    sandbox.commit();
    fs::write(sandbox.dir.join(os(b"new\xff.\xfe")), "x").unwrap();
    fs::write(sandbox.path(".gitignore"), b"*.\xfe\n").unwrap();
    agree(&sandbox);
}

#[test]
fn linked_worktree_has_its_own_files_and_shares_the_repository() {
    let sandbox = TestRepo::with(&[("a", "1"), ("sub/b", "2")]);
    let linked = sandbox.outside().join("linked");
    sandbox.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    fs::write(linked.join("a"), "other").unwrap();
    let repository = Repository::discover(&linked.join("sub"), &sandbox.env()).unwrap().unwrap();
    assert_eq!(repository.work_dir(), linked);
    assert_eq!(repository.common_dir(), sandbox.path(".git"));
    assert_ne!(repository.git_dir(), repository.common_dir());
    let reader = WorkTreeReader::open(&repository, Some(&sandbox.state())).unwrap();
    assert_ne!(tree_id(&reader.snapshot().unwrap()).unwrap(), tree_id(&sandbox.snapshot()).unwrap());
    fs::write(linked.join("a"), "1").unwrap();
    assert_eq!(tree_id(&reader.snapshot().unwrap()).unwrap(), tree_id(&sandbox.snapshot()).unwrap());
}

#[test]
fn read_only_state_folder_only_costs_time() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    sandbox.write("a", "2");
    sandbox.write("blocked", "not a folder");
    let expected = tree_id(&sandbox.snapshot()).unwrap();
    for state in [None, Some(sandbox.path("blocked/state"))] {
        let reader = WorkTreeReader::open(&sandbox.repository(), state.as_deref()).unwrap();
        assert_eq!(tree_id(&reader.snapshot().unwrap()).unwrap(), expected);
        assert!(reader.save().is_ok(), "nothing was learnt that could be saved");
    }
}

#[test]
fn state_folder_in_the_work_tree_is_ignored() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    fs::rename(sandbox.path(".git"), sandbox.path(".hidden")).unwrap();
    sandbox.write(".git", "gitdir: .hidden\n");
    assert_eq!(paths(&sandbox.snapshot()), ["a"]);
}
