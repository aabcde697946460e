//! Tests of reading parts of the work tree again.

use std::fs;

use crate::base::path::RepoPath;
use crate::git::snapshot::{Snapshot, SnapshotEntry};
use crate::git::tests::test_repo::{TestRepo, path};

#[test]
fn rescan_finds_changes_in_its_folders_only() {
    let repo = TestRepo::with(&[("a/1", "x"), ("a/2", "x"), ("a/sub/3", "x"), ("a.b", "x"), ("c/4", "x")]);
    let reader = repo.reader();
    let before = reader.snapshot().unwrap();
    let folders = [path("a"), path("a/sub"), path("a.b"), path("nothing/here")];
    let expected = |snapshot: &Snapshot| -> Vec<SnapshotEntry> {
        let mut all: Vec<SnapshotEntry> =
            [path("a"), path("a.b")].iter().flat_map(|folder| snapshot.entries_in(folder).to_vec()).collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    };
    assert_eq!(reader.rescan(&folders).unwrap(), expected(&before));
    repo.write("a/1", "y");
    fs::remove_file(repo.path("a/2")).unwrap();
    repo.write("a/sub/new", "");
    repo.write("c/4", "y");
    let after = reader.rescan(&folders).unwrap();
    assert_eq!(after, expected(&reader.snapshot().unwrap()));
    let found: Vec<String> = after.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(found, ["a.b", "a/1", "a/sub/3", "a/sub/new"]);
    assert_eq!(reader.rescan(&[RepoPath::top()]).unwrap(), reader.snapshot().unwrap().entries());
    assert_eq!(reader.rescan(&[path("c/4")]).unwrap().len(), 1);
}

#[test]
fn rescan_applies_the_rules_of_parent_folders() {
    let repo = TestRepo::with(&[("a/keep", "x"), (".gitignore", "*.log\nout/\n"), ("out/kept/b", "x")]);
    let sandbox_force = ["add", "--force", "out/kept/b"];
    repo.git(&sandbox_force);
    repo.write("a/x.log", "");
    repo.write("out/kept/new", "");
    repo.write("a/.gitignore", "!y.log\n");
    repo.write("a/y.log", "");
    let reader = repo.reader();
    let snapshot = reader.snapshot().unwrap();
    for folder in ["a", "out", "out/kept", "a/x.log", "a/y.log", "out/kept/b", "out/kept/new"] {
        assert_eq!(reader.rescan(&[path(folder)]).unwrap(), snapshot.entries_in(&path(folder)), "{folder}");
    }
}

#[test]
fn many_threads_share_a_reader() {
    let repo = TestRepo::with(&[("a/1", "x"), ("b/2", "x")]);
    repo.write("a/1", "changed");
    let reader = repo.reader();
    let snapshot = reader.snapshot().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for folder in ["a", "b"] {
                    assert_eq!(reader.rescan(&[path(folder)]).unwrap(), snapshot.entries_in(&path(folder)));
                }
            });
        }
    });
}
