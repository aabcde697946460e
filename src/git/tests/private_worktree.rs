//! Tests of private worktrees.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;

use crate::git::private_worktree::remove_unused;
use crate::git::snapshot::digest_entries;
use crate::git::tests::test_repo::{TestRepo, paths};
use crate::git::{CheckoutTarget, GitError, PrivateWorktree, Repository, Warmth, WorkTreeReader};

/// Returns the state of the user's repository, which a private worktree must not change.
fn users_state(repo: &TestRepo) -> Vec<String> {
    let file = |name: &str| format!("{:?}", fs::read(repo.path(name)).ok());
    vec![
        file(".git/index"),
        file(".git/HEAD"),
        file(".git/config"),
        repo.git(&["status", "--porcelain"]),
        repo.git(&["worktree", "list", "--porcelain"]),
        repo.git(&["for-each-ref"]),
        format!("{}", repo.path(".git/worktrees").exists()),
    ]
}

fn check_out(repo: &TestRepo, worktree: &PrivateWorktree, rev: &str) -> Result<(), GitError> {
    let repository = repo.repository();
    let commit = repository.resolve(rev).unwrap();
    let target = CheckoutTarget { tree: &commit.tree, commit: Some(&commit.id), filters: &[] };
    worktree.check_out(&repository, &target).map(|_| ())
}

/// Checks that the worktree contains exactly the tree of `rev`.
#[track_caller]
fn assert_has_tree(repo: &TestRepo, worktree: &PrivateWorktree, rev: &str) {
    let repository = repo.repository();
    let tree = repository.commit_snapshot(&repository.resolve(rev).unwrap().tree, &[]).unwrap();
    let inside = Repository::discover(worktree.path(), &repo.env()).unwrap().unwrap();
    assert_eq!(inside.work_dir(), worktree.path());
    let found = WorkTreeReader::open(&inside, None).unwrap().snapshot().unwrap();
    assert_eq!(
        digest_entries(found.entries()),
        digest_entries(tree.entries()),
        "{:?} {:?}",
        paths(&found),
        paths(&tree)
    );
}

#[test]
fn tree_is_checked_out_outside_the_users_work_tree() {
    let repo = TestRepo::with(&[("a", "1"), ("dir/b", "2"), ("odd\nname", "3"), ("-dash", "4")]);
    symlink("a", repo.path("link")).unwrap();
    repo.chmod("a", 0o755);
    repo.commit();
    repo.write("a", "edited");
    repo.write("new", "");
    repo.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch \"$HOME/hook-ran\" hook-ran\n");
    repo.chmod(".git/hooks/post-checkout", 0o755);
    let before = users_state(&repo);
    let first = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    let second = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    assert_ne!(first.path(), second.path());
    check_out(&repo, &first, "HEAD").unwrap();
    assert_has_tree(&repo, &first, "HEAD");
    assert_eq!(remove_unused(&repo.pool()).unwrap(), 0, "both are in use");
    let path = first.path().to_owned();
    drop(first);
    assert!(path.exists(), "the worktree is kept for the next use");
    drop(second);
    assert_eq!(remove_unused(&repo.pool()).unwrap(), 1);
    assert_eq!(fs::read_dir(repo.pool()).unwrap().count(), 0);
    assert_eq!(users_state(&repo), before);
    assert!(!repo.outside().join("hook-ran").exists(), "no hook ran");
}

#[test]
fn files_of_another_tree_differ_in_whole_seconds() {
    use std::os::unix::fs::MetadataExt as _;
    let repo = TestRepo::with(&[("m.py", "x = 1\n")]);
    repo.write("m.py", "x = 2\n");
    repo.commit();
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    let mut seconds = Vec::new();
    for rev in ["HEAD", "HEAD^", "HEAD"] {
        check_out(&repo, &worktree, rev).unwrap();
        seconds.push(fs::metadata(worktree.path().join("m.py")).unwrap().mtime());
    }
    assert!(seconds[0] < seconds[1] && seconds[1] < seconds[2], "{seconds:?}");
}

#[test]
fn changes_of_an_earlier_use_are_undone() {
    let repo = TestRepo::with(&[(".gitignore", "ignored\n"), ("a", "1"), ("dir/b", "2")]);
    repo.git(&["tag", "one"]);
    fs::remove_dir_all(repo.path("dir")).unwrap();
    repo.write("ignored/now/tracked", "3");
    repo.write("dir", "");
    repo.git(&["add", "--force", "--all"]);
    repo.git(&["commit", "--quiet", "--message=two"]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    let at = |name: &str| worktree.path().join(name);
    let mess: [(&str, &dyn Fn()); 10] = [
        ("nothing", &|| {}),
        ("an edit", &|| fs::write(at("a"), "other").unwrap()),
        ("an ignored file where a folder has to be", &|| {
            let _ = fs::remove_dir_all(at("ignored"));
            fs::write(at("ignored"), "").unwrap();
        }),
        ("an ignored folder that holds the same", &|| {
            let _ = fs::remove_file(at("ignored"));
            fs::create_dir_all(at("ignored/now")).unwrap();
            fs::write(at("ignored/now/tracked"), "other").unwrap();
        }),
        ("a lock of a killed git", &|| fs::write(at(".git/index.lock"), "").unwrap()),
        ("a damaged index", &|| fs::write(at(".git/index"), "DIRC nonsense").unwrap()),
        ("no git folder", &|| fs::remove_dir_all(at(".git")).unwrap()),
        ("a repository among untracked files", &|| {
            repo.git(&["init", "--quiet", at("nested").to_str().unwrap()]);
        }),
        ("a folder that may not be written to", &|| {
            fs::create_dir_all(at("locked/deep")).unwrap();
            fs::write(at("locked/deep/file"), "").unwrap();
            fs::set_permissions(at("locked/deep"), fs::Permissions::from_mode(0o500)).unwrap();
        }),
        ("a branch, a hook and a configuration of its own", &|| {
            repo.git(&["-C", worktree.path().to_str().unwrap(), "checkout", "--quiet", "-b", "mine"]);
            repo.git(&["-C", worktree.path().to_str().unwrap(), "config", "core.autocrlf", "true"]);
            fs::create_dir_all(at(".git/hooks")).unwrap();
        }),
    ];
    for (name, make) in &mess {
        for rev in ["one", "main"] {
            check_out(&repo, &worktree, rev).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_has_tree(&repo, &worktree, rev);
            make();
        }
    }
    check_out(&repo, &worktree, "one").unwrap();
    assert_has_tree(&repo, &worktree, "one");
}

#[test]
fn objects_removed_by_the_user_are_not_needed() {
    let repo = TestRepo::with(&[("a", "1")]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    repo.write("b", "2");
    repo.commit();
    check_out(&repo, &worktree, "HEAD").unwrap();
    repo.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    repo.git(&["gc", "--quiet", "--prune=now"]);
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_has_tree(&repo, &worktree, "HEAD");
}

#[test]
fn branches_and_tags_are_visible_and_stashes_are_not() {
    let repo = TestRepo::with(&[("a", "1")]);
    repo.git(&["tag", "v1"]);
    repo.write("a", "2");
    repo.git(&["stash", "--quiet"]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    let inside = worktree.path().to_str().unwrap().to_owned();
    let refs = repo.git(&["-C", &inside, "for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main\nrefs/tags/v1");
    assert_eq!(repo.git(&["-C", &inside, "describe", "--tags"]), "v1");
}

#[test]
fn worktree_is_reserved_while_its_lock_is_held() {
    let repo = TestRepo::with(&[("a", "1")]);
    let take = || PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    let first = take();
    let path = first.path().to_owned();
    let copy = first.share_lock().unwrap();
    // The first holder is killed, but another process still has a copy of its lock.
    std::mem::forget(first);
    assert_ne!(take().path(), path);
    drop(copy);
}

#[test]
fn line_ends_follow_the_users_settings() {
    let repo = TestRepo::new();
    repo.write("a.txt", "one\n");
    repo.write(".gitattributes", "*.txt text\n");
    repo.commit();
    repo.git(&["config", "core.eol", "crlf"]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a.txt")).unwrap(), "one\r\n");
    // A later change of the user's setting takes effect too.
    repo.git(&["config", "core.eol", "lf"]);
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a.txt")).unwrap(), "one\n");
}

/// Sets all files of a worktree to an old time and refreshes git's index, so that git trusts the index
/// without reading the files.
fn settle(repo: &TestRepo, worktree: &PrivateWorktree) {
    let inside = worktree.path().to_str().unwrap();
    let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for path in repo.git(&["-C", inside, "ls-files"]).lines() {
        let file = fs::File::options().write(true).open(worktree.path().join(path)).unwrap();
        file.set_modified(past).unwrap();
    }
    repo.git(&["-C", inside, "update-index", "--refresh"]);
}

#[test]
fn files_are_rewritten_when_their_attributes_change() {
    let repo = TestRepo::new();
    repo.write("a.txt", "one\n");
    repo.write(".gitattributes", "*.txt eol=crlf\n");
    repo.write(".git/info/exclude", "built\n");
    repo.git(&["add", "--all"]);
    repo.git(&["commit", "--quiet", "--message=crlf"]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    let text = || fs::read_to_string(worktree.path().join("a.txt")).unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\r\n");
    settle(&repo, &worktree);
    fs::write(worktree.path().join("built"), "").unwrap();
    repo.git(&["rm", "--quiet", ".gitattributes"]);
    repo.git(&["commit", "--quiet", "--message=lf"]);
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\n");
    settle(&repo, &worktree);
    repo.git(&["config", "core.autocrlf", "true"]);
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\r\n");
    settle(&repo, &worktree);
    repo.git(&["config", "core.autocrlf", "false"]);
    fs::write(worktree.path().join("untracked"), "").unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\n");
    assert_has_tree(&repo, &worktree, "HEAD");
    // The worktree was never made again from nothing, which would have removed this file.
    assert!(worktree.path().join("built").exists());
}

#[test]
fn attribute_files_written_by_a_task_are_ignored() {
    let repo = TestRepo::new();
    repo.write(".git/info/exclude", "built\n.gitattributes\n");
    repo.write("dir/a.txt", "one\n");
    repo.commit();
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    let path = |name: &str| worktree.path().join(name);
    check_out(&repo, &worktree, "HEAD").unwrap();
    settle(&repo, &worktree);
    fs::create_dir(path("built")).unwrap();
    for left in [".gitattributes", "dir/.gitattributes", "built/.gitattributes"] {
        fs::write(path(left), "*.txt eol=crlf\n").unwrap();
    }
    repo.write("dir/a.txt", "two\n");
    repo.commit();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(path("dir/a.txt")).unwrap(), "two\n");
    assert_has_tree(&repo, &worktree, "HEAD");
    assert!(path("built/.gitattributes").exists());
    // Files that are reached through a symlink don't belong to the worktree.
    fs::remove_dir_all(path("dir")).unwrap();
    symlink(path("built"), path("dir")).unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_has_tree(&repo, &worktree, "HEAD");
    assert!(path("built/.gitattributes").exists());
}

#[test]
fn configuration_of_a_linked_worktree_applies_like_in_git() {
    let repo = TestRepo::with(&[("a.txt", "one\n")]);
    repo.git(&["config", "extensions.worktreeConfig", "true"]);
    repo.git(&["config", "--worktree", "core.autocrlf", "true"]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a.txt")).unwrap(), "one\r\n");
}

#[test]
fn content_hidden_by_a_replacement_is_checked_out() {
    let repo = TestRepo::with(&[("a", "pushed\n")]);
    repo.write("b", "replaced\n");
    let other = repo.git(&["hash-object", "-w", "b"]);
    repo.git(&["replace", &repo.git(&["rev-parse", "HEAD:a"]), &other]);
    let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
    check_out(&repo, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a")).unwrap(), "pushed\n");
}

/// Replaces the content of the work tree with these files.
fn fill(repo: &TestRepo, files: &[(String, String)]) {
    for entry in fs::read_dir(&repo.dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with(".git") {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    for (path, text) in files {
        let path = repo.path(path);
        // Of two paths that can't both exist, only the first is written.
        let fits = path.parent().is_some_and(|parent| parent.ancestors().all(|above| !above.is_file()));
        if fits && !path.is_dir() {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, text).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_can_follow_any_other(
        trees in prop::collection::vec(
            prop::collection::vec(("[abc]{1,2}(/[abc]){0,2}", "[xy]{0,2}"), 0..8), 8..16,
        ),
    ) {
        let repo = TestRepo::with(&[("a", "1")]);
        let worktree = PrivateWorktree::acquire(&repo.pool(), Warmth::Warm).unwrap();
        for tree in trees {
            fill(&repo, &tree);
            repo.git(&["add", "--all"]);
            repo.git(&["commit", "--quiet", "--allow-empty", "--message=next"]);
            check_out(&repo, &worktree, "HEAD").unwrap();
            assert_has_tree(&repo, &worktree, "HEAD");
        }
    }
}
