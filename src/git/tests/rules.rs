//! Tests of snapshots with attributes and ignore rules.

use std::fs;

use super::work_tree::agree;
use crate::git::snapshot::Snapshot;
use crate::git::tests::test_repo::{TestRepo, path, paths};

#[test]
fn line_ends_hidden_by_git_are_noticed() {
    for (key, value) in [("core.autocrlf", "true"), ("core.autocrlf", "input")] {
        let repo = TestRepo::new();
        repo.git(&["config", key, value]);
        repo.write("a", "one\r\n");
        repo.commit();
        let crlf = repo.snapshot();
        repo.write("a", "one\n");
        repo.git(&["add", "--all"]);
        repo.settle();
        let lf = repo.snapshot();
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "git sees no change");
        assert_ne!(crlf.entries()[0].id, lf.entries()[0].id);
    }
}

#[test]
fn changes_hidden_by_attributes_are_noticed() {
    for (attributes, first, second) in [
        ("* text=auto\n", "one\r\n", "one\n"),
        ("[attr]lines eol=lf\n*.txt lines\n", "one\r\n", "one\n"),
        ("*.txt ident\n", "$Id$\n", "$Id: x $\n"),
        ("*.txt filter=same\n", "one\n", "two\n"),
    ] {
        let repo = TestRepo::new();
        repo.git(&["config", "filter.same.clean", "echo same"]);
        repo.write(".gitattributes", attributes);
        repo.write("a.txt", first);
        repo.commit();
        let one = repo.snapshot();
        repo.write("a.txt", second);
        repo.git(&["add", "--all"]);
        repo.settle();
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "git sees no change: {attributes}");
        let other = repo.snapshot();
        assert_ne!(one.get(&path("a.txt")).unwrap().id, other.get(&path("a.txt")).unwrap().id);
    }
}

#[test]
fn deleted_attribute_file_counts_while_it_is_staged() {
    let repo = TestRepo::new();
    repo.write("sub/.gitattributes", "* eol=crlf\n");
    repo.write("sub/a", "one\r\n");
    repo.commit();
    let before = repo.snapshot();
    fs::remove_file(repo.path("sub/.gitattributes")).unwrap();
    let after = repo.snapshot();
    let id = |snapshot: &Snapshot| snapshot.get(&path("sub/a")).unwrap().id;
    assert_eq!(id(&before), id(&after));
}

#[test]
fn tracked_file_in_an_ignored_folder_is_included() {
    let repo = TestRepo::with(&[("build/kept/a", "1"), ("build/b", "2"), ("src/c", "3")]);
    repo.write(".gitignore", "build/\n*.log\n");
    repo.write("build/new", "");
    repo.write("build/kept/new", "");
    repo.write("src/x.log", "");
    agree(&repo);
    let snapshot = repo.snapshot();
    assert_eq!(paths(&snapshot), [".gitignore", "build/b", "build/kept/a", "src/c"]);
    assert!(!snapshot.entries()[0].tracked && snapshot.entries()[1].tracked);
}

#[test]
fn rules_outside_the_tree_apply() {
    let repo = TestRepo::with(&[("a", "1")]);
    repo.write(".git/info/exclude", "*.one\n");
    repo.write("../.config/git/ignore", "*.two\n*.three\n");
    repo.write(".gitignore", "!keep.two\n");
    for name in ["x.one", "x.two", "keep.two", "x.three"] {
        repo.write(name, "");
    }
    assert_eq!(paths(&repo.snapshot()), [".gitignore", "a", "keep.two"]);
    repo.git(&["config", "core.excludesFile", "~/none"]);
    assert!(paths(&repo.snapshot()).contains(&"x.two".to_owned()));
}

/// A file on disk was written with rules that are no longer in effect, and git does not read it again, since
/// its stat is unchanged.
#[test]
fn content_hidden_by_former_rules_is_noticed() {
    let text = b"one\r\n";
    for by_attribute in [false, true] {
        let repo = TestRepo::with(&[("a.txt", "one\n"), (".gitattributes", "")]);
        if by_attribute {
            repo.write(".gitattributes", "*.txt eol=crlf\n");
            repo.commit();
        } else {
            repo.git(&["config", "core.autocrlf", "true"]);
        }
        fs::remove_file(repo.path("a.txt")).unwrap();
        repo.git(&["checkout", "--", "a.txt"]);
        // Git reads a file again if its time is in the same second as that of the index.
        let file = fs::File::options().append(true).open(repo.path("a.txt")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
        repo.settle();
        assert_eq!(fs::read(repo.path("a.txt")).unwrap(), text);
        let reader = repo.reader();
        reader.snapshot().unwrap();
        reader.save().unwrap();
        if by_attribute {
            repo.write(".gitattributes", "");
            repo.git(&["commit", "--quiet", "--all", "--message=x"]);
        } else {
            repo.git(&["config", "core.autocrlf", "false"]);
        }
        repo.settle();
        assert_eq!(repo.git(&["status", "--porcelain"]), "", "git sees no change");
        let id = |snapshot: &Snapshot| snapshot.get(&path("a.txt")).unwrap().id;
        let expected = crate::git::snapshot::ContentId::of_blob(text).unwrap();
        for _ in 0..2 {
            let reader = repo.reader();
            assert_eq!(id(&reader.snapshot().unwrap()), expected);
            reader.save().unwrap();
        }
    }
}
