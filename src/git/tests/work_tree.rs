//! Tests of snapshots of a work tree.

use std::fs;
use std::os::unix::fs::symlink;

use crate::git::snapshot::Mode;
use crate::git::tests::test_repo::{TestRepo, os, path, paths};
use crate::git::{Repository, WorkTreeReader, tree_id};

pub(super) fn agree(repo: &TestRepo) {
    let snapshot = repo.snapshot();
    assert_eq!(tree_id(&snapshot).unwrap(), repo.tree_by_git(), "{:?}", paths(&snapshot));
}

#[test]
fn tree_id_is_the_one_that_git_computes() {
    let repo = TestRepo::with(&[("a", "1"), ("b/c", "2"), ("b.d", "3"), ("b/e/f", "4"), ("gone/x", "")]);
    agree(&repo);
    repo.write("new/file", "5");
    repo.write("a", "other");
    fs::remove_dir_all(repo.path("gone")).unwrap();
    repo.chmod("b/c", 0o755);
    symlink("nowhere", repo.path("link")).unwrap();
    agree(&repo);
}

#[test]
fn repository_without_an_index_is_read() {
    let repo = TestRepo::new();
    assert!(repo.snapshot().entries().is_empty());
    repo.write("a", "1");
    assert_eq!(paths(&repo.snapshot()), ["a"]);
    assert_eq!(repo.repository().head_commit().unwrap(), None);
}

#[test]
fn folder_replaced_by_a_symlink_has_no_files() {
    let repo = TestRepo::with(&[("dir/a", "1"), ("other/a", "1")]);
    fs::remove_dir_all(repo.path("dir")).unwrap();
    symlink("other", repo.path("dir")).unwrap();
    let reader = repo.reader();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(paths(&snapshot), ["dir", "other/a"]);
    assert_eq!(snapshot.entries()[0].mode, Mode::Symlink);
    assert!(!snapshot.entries()[0].tracked);
    assert!(reader.rescan(&[path("dir/a")]).unwrap().is_empty());
    agree(&repo);
}

#[test]
fn swapped_files_and_folders_are_noticed() {
    let repo = TestRepo::with(&[("a", "1"), ("b/c", "2"), ("b.x", "3")]);
    fs::remove_file(repo.path("a")).unwrap();
    fs::remove_dir_all(repo.path("b")).unwrap();
    repo.write("a/inner", "1");
    repo.write("b", "2");
    agree(&repo);
}

// The library can create pipes on Linux only.
#[cfg(target_os = "linux")]
#[test]
fn named_pipe_is_ignored_and_does_not_block() {
    let repo = TestRepo::with(&[("a", "1"), ("b", "2")]);
    fs::remove_file(repo.path("a")).unwrap();
    for name in ["a", "pipe"] {
        rustix::fs::mknodat(rustix::fs::CWD, repo.path(name), rustix::fs::FileType::Fifo, 0o644.into(), 0)
            .unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(repo.path("socket")).unwrap();
    assert_eq!(paths(&repo.snapshot()), ["b"]);
    assert!(repo.reader().rescan(&[path("pipe"), path("a")]).unwrap().is_empty());
}

#[test]
fn unreadable_file_is_named() {
    let repo = TestRepo::with(&[("a", "1")]);
    repo.write("dir/secret", "x");
    repo.chmod("dir/secret", 0o000);
    if fs::read(repo.path("dir/secret")).is_ok() {
        return; // The superuser reads everything.
    }
    let error = repo.reader().snapshot().unwrap_err().to_string();
    assert!(error.contains("dir/secret"), "{error}");
}

#[test]
fn non_utf8_names_are_kept() {
    let repo = TestRepo::new();
    fs::create_dir(repo.dir.join(os(b"d\xff"))).unwrap();
    for name in [&b"d\xff/f\xfe"[..], b"tracked\xfd", b"a\nb"] {
        fs::write(repo.dir.join(os(name)), "x").unwrap();
    }
    agree(&repo);
    repo.commit();
    fs::write(repo.dir.join(os(b"new\xff.\xfe")), "x").unwrap();
    fs::write(repo.path(".gitignore"), b"*.\xfe\n").unwrap();
    agree(&repo);
}

#[test]
fn linked_worktree_has_its_own_files_and_shares_the_repository() {
    let repo = TestRepo::with(&[("a", "1"), ("sub/b", "2")]);
    let linked = repo.outside().join("linked");
    repo.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    fs::write(linked.join("a"), "other").unwrap();
    let repository = Repository::discover(&linked.join("sub"), &repo.env()).unwrap().unwrap();
    assert_eq!(repository.work_dir(), linked);
    assert_eq!(repository.common_dir(), repo.path(".git"));
    assert_ne!(repository.git_dir(), repository.common_dir());
    let reader = WorkTreeReader::open(&repository, Some(&repo.state())).unwrap();
    assert_ne!(tree_id(&reader.snapshot().unwrap()).unwrap(), tree_id(&repo.snapshot()).unwrap());
    fs::write(linked.join("a"), "1").unwrap();
    assert_eq!(tree_id(&reader.snapshot().unwrap()).unwrap(), tree_id(&repo.snapshot()).unwrap());
}

#[test]
fn read_only_state_folder_only_costs_time() {
    let repo = TestRepo::with(&[("a", "1")]);
    repo.write("a", "2");
    repo.write("blocked", "not a folder");
    let expected = tree_id(&repo.snapshot()).unwrap();
    for state in [None, Some(repo.path("blocked/state"))] {
        let reader = WorkTreeReader::open(&repo.repository(), state.as_deref()).unwrap();
        assert_eq!(tree_id(&reader.snapshot().unwrap()).unwrap(), expected);
        assert!(reader.save().is_ok(), "there is nothing to save");
    }
}

#[test]
fn state_folder_in_the_work_tree_is_ignored() {
    let repo = TestRepo::with(&[("a", "1")]);
    fs::rename(repo.path(".git"), repo.path(".hidden")).unwrap();
    repo.write(".git", "gitdir: .hidden\n");
    assert_eq!(paths(&repo.snapshot()), ["a"]);
}
