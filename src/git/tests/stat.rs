//! Tests of snapshots where the stat of a file does not show that it has changed.

use std::fs;

use crate::git::snapshot::Mode;
use crate::git::tests::test_repo::{TestRepo, paths};

#[test]
fn same_size_with_a_restored_mtime_is_noticed() {
    let sandbox = TestRepo::with(&[("a", "one")]);
    let before = sandbox.snapshot();
    let mtime = fs::metadata(sandbox.path("a")).unwrap().modified().unwrap();
    sandbox.write("a", "two");
    fs::File::options().append(true).open(sandbox.path("a")).unwrap().set_modified(mtime).unwrap();
    let after = sandbox.snapshot();
    assert_eq!(before.entries()[0].stat.unwrap().modified, after.entries()[0].stat.unwrap().modified);
    assert_ne!(before.entries()[0].id, after.entries()[0].id);
}

#[test]
fn executable_bit_alone_is_noticed() {
    let sandbox = TestRepo::with(&[("a", "one")]);
    let before = sandbox.snapshot();
    sandbox.chmod("a", 0o755);
    let after = sandbox.snapshot();
    assert_eq!(after.entries()[0].mode, Mode::Executable);
    assert_eq!(before.entries()[0].id, after.entries()[0].id);
}

#[test]
fn edit_in_the_clock_tick_of_git_add_is_noticed() {
    for round in 0..30 {
        let sandbox = TestRepo::new();
        sandbox.write("a", "one");
        sandbox.git(&["add", "a"]);
        sandbox.write("a", "two");
        let expected = crate::git::snapshot::ContentId::of_blob(b"two").unwrap();
        assert_eq!(sandbox.snapshot().entries()[0].id, expected, "round {round}");
    }
}

#[test]
fn edit_in_the_clock_tick_of_the_last_read_is_noticed() {
    for round in 0..30 {
        let sandbox = TestRepo::new();
        sandbox.write("a", "one");
        let reader = sandbox.reader();
        let before = reader.snapshot().unwrap();
        reader.save().unwrap();
        sandbox.write("a", "two");
        assert_ne!(before.entries()[0].id, reader.snapshot().unwrap().entries()[0].id, "{round}");
        assert_ne!(before.entries()[0].id, sandbox.snapshot().entries()[0].id, "round {round}");
    }
}

#[test]
fn hashed_files_are_cached() {
    let sandbox = TestRepo::new();
    sandbox.write("a", "one");
    sandbox.next_tick();
    let reader = sandbox.reader();
    let before = reader.snapshot().unwrap();
    reader.save().unwrap();
    // The next reader must use the stored digests.
    let state = sandbox.state().join("stats");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 1);
    let again = sandbox.reader();
    assert_eq!(again.snapshot().unwrap().entries(), before.entries());
    assert!(
        fs::read_dir(&state).unwrap().all(|entry| entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .ends_with(".inputs"))
    );
}

#[test]
fn new_file_in_a_cached_folder_is_noticed() {
    let sandbox = TestRepo::with(&[("a/1", "x"), ("b/2", "x")]);
    let look = || {
        let reader = sandbox.reader();
        let found = paths(&reader.snapshot().unwrap());
        reader.save().unwrap();
        found
    };
    assert_eq!(look(), ["a/1", "b/2"]);
    assert_eq!(look(), ["a/1", "b/2"], "from memory");
    sandbox.write("a/new", "");
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    sandbox.git(&["add", "."]);
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    // A file that is removed from the index is still on disk.
    sandbox.git(&["rm", "-q", "--cached", "b/2"]);
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    fs::remove_file(sandbox.path("a/new")).unwrap();
    fs::remove_file(sandbox.path("a/1")).unwrap();
    sandbox.write("a/1/inner", "");
    assert_eq!(look(), ["a/1/inner", "b/2"]);
}

#[test]
fn new_file_in_the_clock_tick_of_the_read_is_noticed() {
    for round in 0..30 {
        let sandbox = TestRepo::with(&[("a/1", "x")]);
        sandbox.write("a/2", "");
        let reader = sandbox.reader();
        reader.snapshot().unwrap();
        sandbox.write("a/3", "");
        reader.save().unwrap();
        sandbox.git(&["add", "--all"]);
        fs::remove_file(sandbox.path("a/3")).unwrap();
        sandbox.write("a/4", "");
        assert_eq!(paths(&sandbox.snapshot()), ["a/1", "a/2", "a/4"], "round {round}");
    }
}
