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
fn state_of_user(sandbox: &TestRepo) -> Vec<String> {
    let file = |name: &str| format!("{:?}", fs::read(sandbox.path(name)).ok());
    vec![
        file(".git/index"),
        file(".git/HEAD"),
        file(".git/config"),
        sandbox.git(&["status", "--porcelain"]),
        sandbox.git(&["worktree", "list", "--porcelain"]),
        sandbox.git(&["for-each-ref"]),
        format!("{}", sandbox.path(".git/worktrees").exists()),
    ]
}

fn check_out(sandbox: &TestRepo, worktree: &PrivateWorktree, rev: &str) -> Result<(), GitError> {
    let repository = sandbox.repository();
    let commit = repository.resolve(rev).unwrap();
    let target = CheckoutTarget { tree: &commit.tree, commit: Some(&commit.id), filters: &[] };
    worktree.check_out(&repository, &target).map(|_| ())
}

/// Checks that the worktree contains exactly the tree of `rev`.
#[track_caller]
fn holds(sandbox: &TestRepo, worktree: &PrivateWorktree, rev: &str) {
    let repository = sandbox.repository();
    let tree = repository.commit_snapshot(&repository.resolve(rev).unwrap().tree, &[]).unwrap();
    let inside = Repository::discover(worktree.path(), &sandbox.env()).unwrap().unwrap();
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
    let sandbox = TestRepo::with(&[("a", "1"), ("dir/b", "2"), ("odd\nname", "3"), ("-dash", "4")]);
    symlink("a", sandbox.path("link")).unwrap();
    sandbox.chmod("a", 0o755);
    sandbox.commit();
    sandbox.write("a", "edited");
    sandbox.write("new", "");
    sandbox.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch \"$HOME/hook-ran\" hook-ran\n");
    sandbox.chmod(".git/hooks/post-checkout", 0o755);
    let before = state_of_user(&sandbox);
    let first = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    let second = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    assert_ne!(first.path(), second.path());
    check_out(&sandbox, &first, "HEAD").unwrap();
    holds(&sandbox, &first, "HEAD");
    assert_eq!(remove_unused(&sandbox.pool()).unwrap(), 0, "both are in use");
    let path = first.path().to_owned();
    drop(first);
    assert!(path.exists(), "it stays for the next use");
    drop(second);
    assert_eq!(remove_unused(&sandbox.pool()).unwrap(), 1);
    assert_eq!(fs::read_dir(sandbox.pool()).unwrap().count(), 0);
    assert_eq!(state_of_user(&sandbox), before);
    assert!(!sandbox.outside().join("hook-ran").exists(), "no hook ran");
}

#[test]
fn files_of_another_tree_differ_in_whole_seconds() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = TestRepo::with(&[("m.py", "x = 1\n")]);
    sandbox.write("m.py", "x = 2\n");
    sandbox.commit();
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    let mut seconds = Vec::new();
    for rev in ["HEAD", "HEAD^", "HEAD"] {
        check_out(&sandbox, &worktree, rev).unwrap();
        seconds.push(fs::metadata(worktree.path().join("m.py")).unwrap().mtime());
    }
    assert!(seconds[0] < seconds[1] && seconds[1] < seconds[2], "{seconds:?}");
}

#[test]
fn changes_of_an_earlier_use_are_undone() {
    let sandbox = TestRepo::with(&[(".gitignore", "ignored\n"), ("a", "1"), ("dir/b", "2")]);
    sandbox.git(&["tag", "one"]);
    fs::remove_dir_all(sandbox.path("dir")).unwrap();
    sandbox.write("ignored/now/tracked", "3");
    sandbox.write("dir", "");
    sandbox.git(&["add", "--force", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message=two"]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
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
            sandbox.git(&["init", "--quiet", at("nested").to_str().unwrap()]);
        }),
        ("a folder that may not be written to", &|| {
            fs::create_dir_all(at("locked/deep")).unwrap();
            fs::write(at("locked/deep/file"), "").unwrap();
            fs::set_permissions(at("locked/deep"), fs::Permissions::from_mode(0o500)).unwrap();
        }),
        ("a branch, a hook and a configuration of its own", &|| {
            sandbox.git(&["-C", worktree.path().to_str().unwrap(), "checkout", "--quiet", "-b", "mine"]);
            sandbox.git(&["-C", worktree.path().to_str().unwrap(), "config", "core.autocrlf", "true"]);
            fs::create_dir_all(at(".git/hooks")).unwrap();
        }),
    ];
    for (name, make) in &mess {
        for rev in ["one", "main"] {
            check_out(&sandbox, &worktree, rev).unwrap_or_else(|error| panic!("{name}: {error}"));
            holds(&sandbox, &worktree, rev);
            make();
        }
    }
    check_out(&sandbox, &worktree, "one").unwrap();
    holds(&sandbox, &worktree, "one");
}

#[test]
fn objects_removed_by_the_user_are_not_needed() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    sandbox.write("b", "2");
    sandbox.commit();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    sandbox.git(&["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&["gc", "--quiet", "--prune=now"]);
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    holds(&sandbox, &worktree, "HEAD");
}

#[test]
fn branches_and_tags_are_visible_and_stashes_are_not() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    sandbox.git(&["tag", "v1"]);
    sandbox.write("a", "2");
    sandbox.git(&["stash", "--quiet"]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    let inside = worktree.path().to_str().unwrap().to_owned();
    let refs = sandbox.git(&["-C", &inside, "for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main\nrefs/tags/v1");
    assert_eq!(sandbox.git(&["-C", &inside, "describe", "--tags"]), "v1");
}

#[test]
fn worktree_is_reserved_while_its_lock_is_held() {
    let sandbox = TestRepo::with(&[("a", "1")]);
    let take = || PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
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
    let sandbox = TestRepo::new();
    sandbox.write("a.txt", "one\n");
    sandbox.write(".gitattributes", "*.txt text\n");
    sandbox.commit();
    sandbox.git(&["config", "core.eol", "crlf"]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a.txt")).unwrap(), "one\r\n");
    // A later change of the user's setting takes effect too.
    sandbox.git(&["config", "core.eol", "lf"]);
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a.txt")).unwrap(), "one\n");
}

/// Sets all files of a worktree to an old time and refreshes git's index, so that git trusts the index
/// without reading the files.
fn settle(sandbox: &TestRepo, worktree: &PrivateWorktree) {
    let inside = worktree.path().to_str().unwrap();
    let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for path in sandbox.git(&["-C", inside, "ls-files"]).lines() {
        let file = fs::File::options().write(true).open(worktree.path().join(path)).unwrap();
        file.set_modified(past).unwrap();
    }
    sandbox.git(&["-C", inside, "update-index", "--refresh"]);
}

#[test]
fn files_are_rewritten_when_their_attributes_change() {
    let sandbox = TestRepo::new();
    sandbox.write("a.txt", "one\n");
    sandbox.write(".gitattributes", "*.txt eol=crlf\n");
    sandbox.write(".git/info/exclude", "built\n");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message=crlf"]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    let text = || fs::read_to_string(worktree.path().join("a.txt")).unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\r\n");
    settle(&sandbox, &worktree);
    fs::write(worktree.path().join("built"), "").unwrap();
    sandbox.git(&["rm", "--quiet", ".gitattributes"]);
    sandbox.git(&["commit", "--quiet", "--message=lf"]);
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\n");
    settle(&sandbox, &worktree);
    sandbox.git(&["config", "core.autocrlf", "true"]);
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\r\n");
    settle(&sandbox, &worktree);
    sandbox.git(&["config", "core.autocrlf", "false"]);
    fs::write(worktree.path().join("untracked"), "").unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(text(), "one\n");
    holds(&sandbox, &worktree, "HEAD");
    // The worktree was never made again from nothing, which would have removed this file.
    assert!(worktree.path().join("built").exists());
}

#[test]
fn attribute_files_written_by_a_task_are_ignored() {
    let sandbox = TestRepo::new();
    sandbox.write(".git/info/exclude", "built\n.gitattributes\n");
    sandbox.write("dir/a.txt", "one\n");
    sandbox.commit();
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    let path = |name: &str| worktree.path().join(name);
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    settle(&sandbox, &worktree);
    fs::create_dir(path("built")).unwrap();
    for left in [".gitattributes", "dir/.gitattributes", "built/.gitattributes"] {
        fs::write(path(left), "*.txt eol=crlf\n").unwrap();
    }
    sandbox.write("dir/a.txt", "two\n");
    sandbox.commit();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(path("dir/a.txt")).unwrap(), "two\n");
    holds(&sandbox, &worktree, "HEAD");
    assert!(path("built/.gitattributes").exists());
    // Files that are reached through a symlink don't belong to the worktree.
    fs::remove_dir_all(path("dir")).unwrap();
    symlink(path("built"), path("dir")).unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    holds(&sandbox, &worktree, "HEAD");
    assert!(path("built/.gitattributes").exists());
}

#[test]
fn configuration_of_a_linked_worktree_applies_like_in_git() {
    let sandbox = TestRepo::with(&[("a.txt", "one\n")]);
    sandbox.git(&["config", "extensions.worktreeConfig", "true"]);
    sandbox.git(&["config", "--worktree", "core.autocrlf", "true"]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a.txt")).unwrap(), "one\r\n");
}

#[test]
fn content_hidden_by_a_replacement_is_checked_out() {
    let sandbox = TestRepo::with(&[("a", "pushed\n")]);
    sandbox.write("b", "replaced\n");
    let other = sandbox.git(&["hash-object", "-w", "b"]);
    sandbox.git(&["replace", &sandbox.git(&["rev-parse", "HEAD:a"]), &other]);
    let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
    check_out(&sandbox, &worktree, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(worktree.path().join("a")).unwrap(), "pushed\n");
}

/// Replaces the content of the work tree with these files.
fn fill(sandbox: &TestRepo, files: &[(String, String)]) {
    for entry in fs::read_dir(&sandbox.dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with(".git") {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    for (path, text) in files {
        let path = sandbox.path(path);
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
        let sandbox = TestRepo::with(&[("a", "1")]);
        let worktree = PrivateWorktree::acquire(&sandbox.pool(), Warmth::Warm).unwrap();
        for tree in trees {
            fill(&sandbox, &tree);
            sandbox.git(&["add", "--all"]);
            sandbox.git(&["commit", "--quiet", "--allow-empty", "--message=next"]);
            check_out(&sandbox, &worktree, "HEAD").unwrap();
            holds(&sandbox, &worktree, "HEAD");
        }
    }
}
