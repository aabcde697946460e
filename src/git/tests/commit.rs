//! Tests of snapshots of commits and of the index.

use std::fs;
use std::os::unix::fs::symlink;

use crate::git::snapshot::digest_entries;
use crate::git::tests::test_repo::TestRepo;

#[test]
fn commit_has_the_snapshot_of_its_clean_work_tree() {
    for attributes in
        ["", "*.txt eol=crlf\n", "*.txt ident\n", "*.txt filter=shout\n", "a* working-tree-encoding=UTF-16\n"]
    {
        let sandbox = TestRepo::new();
        sandbox.git(&["config", "filter.shout.smudge", "tr a-z A-Z"]);
        sandbox.git(&["config", "filter.shout.clean", "tr A-Z a-z"]);
        for name in ["sub/a.txt", "sub/b.txt", "sub/odd\nname.txt", "sub/empty.txt", "c.bin"] {
            let text = if name == "sub/empty.txt" { "" } else { "$Id$ one\ntwo\n" };
            sandbox.write(name, text);
        }
        sandbox.chmod("c.bin", 0o755);
        symlink("c.bin", sandbox.path("sub/link.txt")).unwrap();
        sandbox.commit();
        sandbox.write("sub/.gitattributes", attributes);
        sandbox.git(&["add", "sub/.gitattributes"]);
        sandbox.git(&["commit", "--quiet", "--message=attributes"]);
        fs::remove_dir_all(sandbox.path("sub")).unwrap();
        sandbox.git(&["checkout", "--", "."]);
        let repository = sandbox.repository();
        let commit = repository.resolve("HEAD").unwrap();
        let on_disk = sandbox.snapshot();
        let permitted = ["shout".to_owned()];
        let of_commit = repository.commit_snapshot(&commit.tree, &permitted).unwrap();
        let staged = repository.staged_tree(None).unwrap();
        let of_index = repository.commit_snapshot(&staged, &permitted).unwrap();
        assert_eq!(digest_entries(of_commit.entries()), digest_entries(on_disk.entries()), "{attributes}");
        assert_eq!(of_commit.entries(), of_index.entries());
        assert!(of_commit.entries().iter().all(|entry| entry.stat.is_none()));
    }
}

#[test]
fn autocrlf_applies_to_commits() {
    let sandbox = TestRepo::new();
    sandbox.write("a.txt", "one\ntwo\n");
    sandbox.write("b.bin", "\0one\n");
    sandbox.commit();
    sandbox.git(&["config", "core.autocrlf", "true"]);
    fs::remove_file(sandbox.path("a.txt")).unwrap();
    sandbox.git(&["checkout", "--", "a.txt"]);
    assert_eq!(fs::read_to_string(sandbox.path("a.txt")).unwrap(), "one\r\ntwo\r\n");
    let repository = sandbox.repository();
    let tree = repository.resolve("HEAD").unwrap().tree;
    let of_commit = repository.commit_snapshot(&tree, &[]).unwrap();
    assert_eq!(digest_entries(of_commit.entries()), digest_entries(sandbox.snapshot().entries()));
}

#[test]
fn staged_tree_is_the_one_that_a_commit_would_have() {
    let sandbox = TestRepo::with(&[("a", "1"), ("b", "2")]);
    sandbox.write("a", "staged");
    sandbox.git(&["add", "a"]);
    sandbox.write("a", "on disk");
    sandbox.write("later", "");
    sandbox.git(&["add", "--intent-to-add", "later"]);
    let index = fs::read(sandbox.path(".git/index")).unwrap();
    let staged = sandbox.repository().staged_tree(None).unwrap();
    assert_eq!(fs::read(sandbox.path(".git/index")).unwrap(), index, "it is only read");
    assert_eq!(staged, sandbox.git(&["write-tree"]));
    // The hooks of `git commit --all` get another index file from git.
    let other = sandbox.outside().join("index");
    fs::copy(sandbox.path(".git/index"), &other).unwrap();
    sandbox.git(&["reset", "--quiet"]);
    assert_eq!(sandbox.repository().staged_tree(Some(&other)).unwrap(), staged);
    assert_ne!(sandbox.repository().staged_tree(None).unwrap(), staged);
}
