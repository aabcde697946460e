//! Tests of snapshots with attributes and ignore rules.

use std::fs;

use super::work_tree::agree;
use crate::git::snapshot::Snapshot;
use crate::git::tests::test_repo::{TestRepo, path, paths};

#[test]
fn line_ends_hidden_by_git_are_noticed() {
    for (key, value) in [("core.autocrlf", "true"), ("core.autocrlf", "input")] {
        let sandbox = TestRepo::new();
        sandbox.git(&["config", key, value]);
        sandbox.write("a", "one\r\n");
        sandbox.commit();
        let crlf = sandbox.snapshot();
        sandbox.write("a", "one\n");
        sandbox.git(&["add", "--all"]);
        sandbox.settle();
        let lf = sandbox.snapshot();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "git sees no change");
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
        let sandbox = TestRepo::new();
        sandbox.git(&["config", "filter.same.clean", "echo same"]);
        sandbox.write(".gitattributes", attributes);
        sandbox.write("a.txt", first);
        sandbox.commit();
        let one = sandbox.snapshot();
        sandbox.write("a.txt", second);
        sandbox.git(&["add", "--all"]);
        sandbox.settle();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "git sees no change: {attributes}");
        let other = sandbox.snapshot();
        assert_ne!(one.get(&path("a.txt")).unwrap().id, other.get(&path("a.txt")).unwrap().id);
    }
}

#[test]
fn deleted_attribute_file_counts_while_it_is_staged() {
    let sandbox = TestRepo::new();
    sandbox.write("sub/.gitattributes", "* eol=crlf\n");
    sandbox.write("sub/a", "one\r\n");
    sandbox.commit();
    let before = sandbox.snapshot();
    fs::remove_file(sandbox.path("sub/.gitattributes")).unwrap();
    let after = sandbox.snapshot();
    let id = |snapshot: &Snapshot| snapshot.get(&path("sub/a")).unwrap().id;
    assert_eq!(id(&before), id(&after));
}

#[test]
fn tracked_file_in_an_ignored_folder_is_included() {
    let sandbox = TestRepo::with(&[("build/kept/a", "1"), ("build/b", "2"), ("src/c", "3")]);
    sandbox.write(".gitignore", "build/\n*.log\n");
    sandbox.write("build/new", "");
    sandbox.write("build/kept/new", "");
    sandbox.write("src/x.log", "");
    agree(&sandbox);
    let snapshot = sandbox.snapshot();
    assert_eq!(paths(&snapshot), [".gitignore", "build/b", "build/kept/a", "src/c"]);
    assert!(!snapshot.entries()[0].tracked && snapshot.entries()[1].tracked);
}

#[test]
fn rules_outside_the_tree_apply() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    sandbox.write(".git/info/exclude", "*.one\n");
    sandbox.write("../.config/git/ignore", "*.two\n*.three\n");
    sandbox.write(".gitignore", "!keep.two\n");
    for name in ["x.one", "x.two", "keep.two", "x.three"] {
        sandbox.write(name, "");
    }
    assert_eq!(paths(&sandbox.snapshot()), [".gitignore", "a", "keep.two"]);
    sandbox.git(&["config", "core.excludesFile", "~/none"]);
    assert!(paths(&sandbox.snapshot()).contains(&"x.two".to_owned()));
}

/// A file on disk was written with rules that are no longer in effect, and git does not read it again, since
/// its stat is unchanged.
#[test]
fn content_hidden_by_former_rules_is_noticed() {
    let text = b"one\r\n";
    for by_attribute in [false, true] {
        let sandbox = TestRepo::with(&[("a.txt", "one\n"), (".gitattributes", "")]);
        if by_attribute {
            sandbox.write(".gitattributes", "*.txt eol=crlf\n");
            sandbox.commit();
        } else {
            sandbox.git(&["config", "core.autocrlf", "true"]);
        }
        fs::remove_file(sandbox.path("a.txt")).unwrap();
        sandbox.git(&["checkout", "--", "a.txt"]);
        // Git reads a file again if its time is in the same second as that of the index.
        let file = fs::File::options().append(true).open(sandbox.path("a.txt")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)).unwrap();
        sandbox.settle();
        assert_eq!(fs::read(sandbox.path("a.txt")).unwrap(), text);
        let reader = sandbox.reader();
        reader.snapshot().unwrap();
        reader.save().unwrap();
        if by_attribute {
            sandbox.write(".gitattributes", "");
            sandbox.git(&["commit", "--quiet", "--all", "--message=x"]);
        } else {
            sandbox.git(&["config", "core.autocrlf", "false"]);
        }
        sandbox.settle();
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "", "git sees no change");
        let id = |snapshot: &Snapshot| snapshot.get(&path("a.txt")).unwrap().id;
        let expected = crate::git::snapshot::ContentId::of_blob(text).unwrap();
        for _ in 0..2 {
            let reader = sandbox.reader();
            assert_eq!(id(&reader.snapshot().unwrap()), expected);
            reader.save().unwrap();
        }
    }
}
