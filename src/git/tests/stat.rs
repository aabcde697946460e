//! Tests of snapshots where the stat of a file does not show that it has changed.

use std::fs;

use crate::git::snapshot::Mode;
use crate::git::tests::test_repo::{TestRepo, paths};

#[test]
fn same_size_with_a_restored_mtime_is_noticed() {
    let repo = TestRepo::with(&[("a", "one")]);
    let before = repo.snapshot();
    let mtime = fs::metadata(repo.path("a")).unwrap().modified().unwrap();
    repo.write("a", "two");
    fs::File::options().append(true).open(repo.path("a")).unwrap().set_modified(mtime).unwrap();
    let after = repo.snapshot();
    assert_eq!(before.entries()[0].stat.unwrap().modified, after.entries()[0].stat.unwrap().modified);
    assert_ne!(before.entries()[0].id, after.entries()[0].id);
}

#[test]
fn executable_bit_alone_is_noticed() {
    let repo = TestRepo::with(&[("a", "one")]);
    let before = repo.snapshot();
    repo.chmod("a", 0o755);
    let after = repo.snapshot();
    assert_eq!(after.entries()[0].mode, Mode::Executable);
    assert_eq!(before.entries()[0].id, after.entries()[0].id);
}

#[test]
fn edit_in_the_clock_tick_of_git_add_is_noticed() {
    for round in 0..30 {
        let repo = TestRepo::new();
        repo.write("a", "one");
        repo.git(&["add", "a"]);
        repo.write("a", "two");
        let expected = crate::git::snapshot::ContentId::of_blob(b"two").unwrap();
        assert_eq!(repo.snapshot().entries()[0].id, expected, "round {round}");
    }
}

#[test]
fn edit_in_the_clock_tick_of_the_last_read_is_noticed() {
    for round in 0..30 {
        let repo = TestRepo::new();
        repo.write("a", "one");
        let reader = repo.reader();
        let before = reader.snapshot().unwrap();
        reader.save().unwrap();
        repo.write("a", "two");
        assert_ne!(before.entries()[0].id, reader.snapshot().unwrap().entries()[0].id, "{round}");
        assert_ne!(before.entries()[0].id, repo.snapshot().entries()[0].id, "round {round}");
    }
}

#[test]
fn hashed_files_are_cached() {
    let repo = TestRepo::new();
    repo.write("a", "one");
    repo.next_tick();
    let reader = repo.reader();
    let before = reader.snapshot().unwrap();
    reader.save().unwrap();
    // The next reader must use the stored digests.
    let state = repo.state().join("stats");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 2);
    let again = repo.reader();
    assert_eq!(again.snapshot().unwrap().entries(), before.entries());
    let is_state =
        |path: std::path::PathBuf| ["inputs", "contents"].iter().any(|end| path.extension().unwrap() == *end);
    assert!(fs::read_dir(&state).unwrap().all(|entry| is_state(entry.unwrap().path())));
}

#[test]
fn new_file_in_a_cached_folder_is_noticed() {
    let repo = TestRepo::with(&[("a/1", "x"), ("b/2", "x")]);
    let look = || {
        let reader = repo.reader();
        let found = paths(&reader.snapshot().unwrap());
        reader.save().unwrap();
        found
    };
    assert_eq!(look(), ["a/1", "b/2"]);
    assert_eq!(look(), ["a/1", "b/2"], "the digest is read from the cache");
    repo.write("a/new", "");
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    repo.git(&["add", "."]);
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    // A file that is removed from the index is still on disk.
    repo.git(&["rm", "-q", "--cached", "b/2"]);
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    fs::remove_file(repo.path("a/new")).unwrap();
    fs::remove_file(repo.path("a/1")).unwrap();
    repo.write("a/1/inner", "");
    assert_eq!(look(), ["a/1/inner", "b/2"]);
}

#[test]
fn new_file_in_the_clock_tick_of_the_read_is_noticed() {
    for round in 0..30 {
        let repo = TestRepo::with(&[("a/1", "x")]);
        repo.write("a/2", "");
        let reader = repo.reader();
        reader.snapshot().unwrap();
        repo.write("a/3", "");
        reader.save().unwrap();
        repo.git(&["add", "--all"]);
        fs::remove_file(repo.path("a/3")).unwrap();
        repo.write("a/4", "");
        assert_eq!(paths(&repo.snapshot()), ["a/1", "a/2", "a/4"], "round {round}");
    }
}
