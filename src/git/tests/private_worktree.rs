//! Private worktrees.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::git::sandbox::{Sandbox, paths};
use crate::git::{PrivateWorktree, Repository, WorkTreeReader, sweep, tree_id};

/// All that a private worktree must leave alone.
fn state_of_user(sandbox: &Sandbox) -> Vec<String> {
    let file = |name: &str| format!("{:?}", fs::read(sandbox.path(name)).ok());
    vec![
        file(".git/index"),
        file(".git/HEAD"),
        file(".git/config"),
        sandbox.git(&["status", "--porcelain"]),
        sandbox.git(&["worktree", "list", "--porcelain"]),
        sandbox.git(&["for-each-ref"]),
        format!("{:?}", fs::read_dir(sandbox.path(".git/worktrees")).map(Iterator::count).ok()),
    ]
}

#[test]
fn a_commit_is_checked_out_beside_the_users_work_tree() {
    let sandbox = Sandbox::with(&[("a", "1"), ("dir/b", "2")]);
    sandbox.write("a", "edited");
    sandbox.write("new", "");
    sandbox.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch \"$HOME/hook-ran\" hook-ran\n");
    sandbox.chmod(".git/hooks/post-checkout", 0o755);
    let before = state_of_user(&sandbox);
    let repository = sandbox.repository();
    let commit = repository.resolve("HEAD").unwrap();
    let private = PrivateWorktree::create(&repository, &commit, &sandbox.state()).unwrap();
    let inside = Repository::discover(private.path(), &sandbox.env()).unwrap().unwrap();
    assert_eq!(inside.common_dir(), repository.common_dir());
    let snapshot = WorkTreeReader::open(&inside, None).unwrap().snapshot().unwrap();
    assert_eq!(paths(&snapshot), ["a", "dir/b"]);
    assert_eq!(tree_id(&snapshot).unwrap(), commit.tree);
    let other = PrivateWorktree::create(&repository, &commit, &sandbox.state()).unwrap();
    assert_ne!(other.path(), private.path());
    assert_eq!(sweep(&repository, &sandbox.state()).unwrap(), 0, "both are in use");
    let path = private.path().to_owned();
    // A task may leave folders that are read-only, and change files.
    fs::create_dir(path.join("locked")).unwrap();
    fs::write(path.join("locked/file"), "").unwrap();
    fs::set_permissions(path.join("locked"), fs::Permissions::from_mode(0o500)).unwrap();
    private.remove().unwrap();
    drop(other);
    assert!(!path.exists());
    assert_eq!(fs::read_dir(sandbox.state().join("worktrees")).unwrap().count(), 0);
    assert_eq!(state_of_user(&sandbox), before);
    assert!(!sandbox.outside().join("hook-ran").exists(), "no hook ran");
}

#[test]
fn what_a_killed_process_left_is_swept_away() {
    let sandbox = Sandbox::with(&[("a", "1")]);
    let user = sandbox.outside().join("mine");
    sandbox.git(&["worktree", "add", "--quiet", user.to_str().unwrap()]);
    let before = state_of_user(&sandbox);
    let repository = sandbox.repository();
    let commit = repository.resolve("HEAD").unwrap();
    let private = || PrivateWorktree::create(&repository, &commit, &sandbox.state()).unwrap();
    let (whole, no_files, no_record, used) = (private(), private(), private(), private());
    let places: Vec<_> = [&whole, &no_files, &no_record].map(|one| one.path().to_owned()).into();
    // A killed process frees its locks and does nothing else.
    for one in [whole, no_files, no_record] {
        one.abandon();
    }
    fs::remove_dir_all(&places[1]).unwrap();
    fs::remove_dir_all(sandbox.path(".git/worktrees").join(places[2].file_name().unwrap())).unwrap();
    assert_eq!(sweep(&repository, &sandbox.state()).unwrap(), 3);
    assert!(used.path().join("a").exists());
    drop(used);
    assert_eq!(state_of_user(&sandbox), before);
    assert!(user.join("a").exists(), "the user's own worktree stays");
    assert_eq!(sweep(&repository, &sandbox.state()).unwrap(), 0);
}

#[test]
fn a_place_that_was_left_full_is_used_again() {
    let sandbox = Sandbox::with(&[("a", "1")]);
    let repository = sandbox.repository();
    let commit = repository.resolve("HEAD").unwrap();
    let first = PrivateWorktree::create(&repository, &commit, &sandbox.state()).unwrap();
    let path = first.path().to_owned();
    fs::write(path.join("stray"), "").unwrap();
    first.abandon();
    let second = PrivateWorktree::create(&repository, &commit, &sandbox.state()).unwrap();
    assert_eq!(second.path(), path);
    assert!(path.join("a").exists() && !path.join("stray").exists());
}

#[test]
fn a_commit_that_cannot_be_checked_out_leaves_nothing() {
    let sandbox = Sandbox::with(&[("a", "1")]);
    let repository = sandbox.repository();
    let before = state_of_user(&sandbox);
    let commit = crate::git::Commit { id: "0".repeat(39) + "1", tree: String::new() };
    let error = PrivateWorktree::create(&repository, &commit, &sandbox.state()).unwrap_err();
    assert!(error.to_string().starts_with("`git worktree add` failed"), "{error}");
    assert_eq!(fs::read_dir(sandbox.state().join("worktrees")).unwrap().count(), 0);
    assert_eq!(state_of_user(&sandbox), before);
}
