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
        let repo = TestRepo::new();
        repo.git(&["config", "filter.shout.smudge", "tr a-z A-Z"]);
        repo.git(&["config", "filter.shout.clean", "tr A-Z a-z"]);
        for name in ["sub/a.txt", "sub/b.txt", "sub/odd\nname.txt", "sub/empty.txt", "c.bin"] {
            let text = if name == "sub/empty.txt" { "" } else { "$Id$ one\ntwo\n" };
            repo.write(name, text);
        }
        repo.chmod("c.bin", 0o755);
        symlink("c.bin", repo.path("sub/link.txt")).unwrap();
        repo.commit();
        repo.write("sub/.gitattributes", attributes);
        repo.git(&["add", "sub/.gitattributes"]);
        repo.git(&["commit", "--quiet", "--message=attributes"]);
        fs::remove_dir_all(repo.path("sub")).unwrap();
        repo.git(&["checkout", "--", "."]);
        let repository = repo.repository();
        let commit = repository.resolve("HEAD").unwrap();
        let on_disk = repo.snapshot();
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
fn converted_contents_are_remembered_until_a_rule_changes() {
    let repo = TestRepo::new();
    repo.write(".gitattributes", "*.txt text eol=crlf\n");
    repo.write("a.txt", "one\ntwo\n");
    repo.write("b.txt", "one\n");
    repo.commit();
    let state = repo.repository().common_dir().join("xtask");
    fs::create_dir_all(&state).unwrap();
    let snapshot = || {
        let repository = repo.repository();
        let tree = repository.resolve("HEAD").unwrap().tree;
        digest_entries(repository.commit_snapshot(&tree, &[]).unwrap().entries())
    };
    let first = snapshot();
    let file = state.join("conversions");
    let remembered = fs::read(&file).unwrap();
    assert_eq!(snapshot(), first);
    assert_eq!(fs::read(&file).unwrap(), remembered);
    // With `eol=lf`, a checkout changes nothing.
    repo.write(".gitattributes", "*.txt text eol=lf\n");
    repo.commit();
    fs::remove_file(&file).unwrap();
    let plain = snapshot();
    assert!(plain != first && !file.exists());
    for config in [["core.eol", "crlf"], ["core.autocrlf", "input"]] {
        repo.write(".gitattributes", "*.txt text\n");
        repo.commit();
        repo.git(&["config", config[0], config[1]]);
        for name in ["a.txt", "b.txt"] {
            fs::remove_file(repo.path(name)).unwrap();
            repo.git(&["checkout", "--", name]);
        }
        assert_eq!(snapshot(), digest_entries(repo.snapshot().entries()), "{config:?}");
    }
}

#[test]
fn autocrlf_applies_to_commits() {
    let repo = TestRepo::new();
    repo.write("a.txt", "one\ntwo\n");
    repo.write("b.bin", "\0one\n");
    repo.commit();
    repo.git(&["config", "core.autocrlf", "true"]);
    fs::remove_file(repo.path("a.txt")).unwrap();
    repo.git(&["checkout", "--", "a.txt"]);
    assert_eq!(fs::read_to_string(repo.path("a.txt")).unwrap(), "one\r\ntwo\r\n");
    let repository = repo.repository();
    let tree = repository.resolve("HEAD").unwrap().tree;
    let of_commit = repository.commit_snapshot(&tree, &[]).unwrap();
    assert_eq!(digest_entries(of_commit.entries()), digest_entries(repo.snapshot().entries()));
}

#[test]
fn staged_tree_is_the_one_that_a_commit_would_have() {
    let repo = TestRepo::with(&[("a", "1"), ("b", "2")]);
    repo.write("a", "staged");
    repo.git(&["add", "a"]);
    repo.write("a", "on disk");
    repo.write("later", "");
    repo.git(&["add", "--intent-to-add", "later"]);
    let index = fs::read(repo.path(".git/index")).unwrap();
    let staged = repo.repository().staged_tree(None).unwrap();
    assert_eq!(fs::read(repo.path(".git/index")).unwrap(), index, "it is only read");
    assert_eq!(staged, repo.git(&["write-tree"]));
    // The hooks of `git commit --all` get another index file from git.
    let other = repo.outside().join("index");
    fs::copy(repo.path(".git/index"), &other).unwrap();
    repo.git(&["reset", "--quiet"]);
    assert_eq!(repo.repository().staged_tree(Some(&other)).unwrap(), staged);
    assert_ne!(repo.repository().staged_tree(None).unwrap(), staged);
}
