//! Snapshots of real repositories.

use std::fs;
use std::os::unix::fs::symlink;

use crate::git::sandbox::{Sandbox, os, path, paths};
use crate::git::snapshot::{Mode, Snapshot};
use crate::git::{Repository, WorkTreeReader, tree_id};

pub(super) fn agree(sandbox: &Sandbox) {
    let snapshot = sandbox.snapshot();
    assert_eq!(tree_id(&snapshot).unwrap(), sandbox.tree_by_git(), "{:?}", paths(&snapshot));
}

#[test]
fn the_tree_is_the_one_that_git_makes() {
    let sandbox = Sandbox::with(&[("a", "1"), ("b/c", "2"), ("b.d", "3"), ("b/e/f", "4"), ("gone/x", "")]);
    agree(&sandbox);
    sandbox.write("new/file", "5");
    sandbox.write("a", "other");
    fs::remove_dir_all(sandbox.path("gone")).unwrap();
    sandbox.chmod("b/c", 0o755);
    symlink("nowhere", sandbox.path("link")).unwrap();
    agree(&sandbox);
}

#[test]
fn a_repository_before_its_first_add_is_read() {
    let sandbox = Sandbox::new();
    assert!(sandbox.snapshot().entries().is_empty());
    sandbox.write("a", "1");
    assert_eq!(paths(&sandbox.snapshot()), ["a"]);
    assert_eq!(sandbox.repository().head_commit().unwrap(), None);
}

#[test]
fn same_size_and_a_restored_mtime_are_seen() {
    let sandbox = Sandbox::with(&[("a", "one")]);
    let before = sandbox.snapshot();
    let mtime = fs::metadata(sandbox.path("a")).unwrap().modified().unwrap();
    sandbox.write("a", "two");
    fs::File::options().append(true).open(sandbox.path("a")).unwrap().set_modified(mtime).unwrap();
    let after = sandbox.snapshot();
    assert_eq!(before.entries()[0].stat.unwrap().modified, after.entries()[0].stat.unwrap().modified);
    assert_ne!(before.entries()[0].id, after.entries()[0].id);
}

#[test]
fn the_executable_bit_alone_is_seen() {
    let sandbox = Sandbox::with(&[("a", "one")]);
    let before = sandbox.snapshot();
    sandbox.chmod("a", 0o755);
    let after = sandbox.snapshot();
    assert_eq!(after.entries()[0].mode, Mode::Executable);
    assert_eq!(before.entries()[0].id, after.entries()[0].id);
}

#[test]
fn an_edit_in_the_tick_of_the_add_is_seen() {
    for round in 0..30 {
        let sandbox = Sandbox::new();
        sandbox.write("a", "one");
        sandbox.git(&["add", "a"]);
        sandbox.write("a", "two");
        let expected = crate::git::content::blob(b"two").unwrap();
        assert_eq!(sandbox.snapshot().entries()[0].id, expected, "round {round}");
    }
}

#[test]
fn an_edit_in_the_tick_of_our_own_look_is_seen() {
    for round in 0..30 {
        let sandbox = Sandbox::new();
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
fn what_was_hashed_is_remembered() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "one");
    sandbox.next_tick();
    let reader = sandbox.reader();
    let before = reader.snapshot().unwrap();
    reader.save().unwrap();
    // Content that can't be read any more must come from memory.
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
fn line_ends_that_git_hides_are_seen() {
    for (key, value) in [("core.autocrlf", "true"), ("core.autocrlf", "input")] {
        let sandbox = Sandbox::new();
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
fn what_attributes_hide_is_seen() {
    for (attributes, first, second) in [
        ("* text=auto\n", "one\r\n", "one\n"),
        ("[attr]lines eol=lf\n*.txt lines\n", "one\r\n", "one\n"),
        ("*.txt ident\n", "$Id$\n", "$Id: x $\n"),
        ("*.txt filter=same\n", "one\n", "two\n"),
    ] {
        let sandbox = Sandbox::new();
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
fn a_deleted_attribute_file_still_counts_while_it_is_staged() {
    let sandbox = Sandbox::new();
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
fn indexes_of_all_versions_are_read() {
    for version in ["2", "3", "4"] {
        let sandbox = Sandbox::with(&[("a", "1"), ("dir/b", "2"), ("dir/b-longer-name", "3"), ("z", "4")]);
        sandbox.git(&["update-index", "--index-version", version]);
        // An extended flag asks for version 3 at least.
        sandbox.git(&["update-index", "--skip-worktree", "z"]);
        sandbox.settle();
        sandbox.write("new", "5");
        agree(&sandbox);
        assert!(matches!(
            crate::git::index_file::read(&sandbox.path(".git/index")).unwrap(),
            crate::git::index_file::Read::Done(_)
        ));
    }
}

#[test]
fn a_split_or_sparse_index_is_read() {
    let sandbox = Sandbox::with(&[("a", "1"), ("dir/b", "2")]);
    sandbox.git(&["update-index", "--split-index"]);
    sandbox.write("dir/b", "3");
    sandbox.write("new", "5");
    agree(&sandbox);

    let sandbox = Sandbox::with(&[("a", "1"), ("dir/b", "2"), ("other/deep/c", "3")]);
    sandbox.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "dir"]);
    assert_eq!(paths(&sandbox.snapshot()), ["a", "dir/b"], "what is not checked out is absent");
    assert_eq!(paths(&sandbox.repository().staged_snapshot()), ["a", "dir/b", "other/deep/c"]);
}

#[test]
fn what_is_on_disk_decides_whatever_the_index_promises() {
    let sandbox = Sandbox::with(&[("a", "1"), ("b", "2"), ("c", "3")]);
    sandbox.git(&["update-index", "--assume-unchanged", "a"]);
    sandbox.git(&["update-index", "--skip-worktree", "b"]);
    let before = sandbox.snapshot();
    sandbox.write("a", "x");
    sandbox.write("b", "x");
    fs::remove_file(sandbox.path("c")).unwrap();
    let after = sandbox.snapshot();
    assert_eq!(paths(&after), ["a", "b"]);
    for (old, new) in before.entries().iter().zip(after.entries()) {
        assert_ne!(old.id, new.id, "{:?}", new.path);
    }
}

#[test]
fn a_conflict_is_what_is_on_disk() {
    let sandbox = Sandbox::with(&[("a", "1\n")]);
    sandbox.git(&["checkout", "-qb", "other"]);
    sandbox.write("a", "2\n");
    sandbox.commit();
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("a", "3\n");
    sandbox.commit();
    let merge =
        crate::git::sandbox::git_command(&sandbox.dir).args(["merge", "-q", "other"]).output().unwrap();
    assert!(!merge.status.success());
    agree(&sandbox);
    assert!(sandbox.snapshot().entries()[0].tracked);
    let error = sandbox.repository().staged_tree(None).unwrap_err();
    assert_eq!(error.to_string(), "the index has an unresolved conflict in a");
}

#[test]
fn without_a_file_mode_the_index_decides() {
    let sandbox = Sandbox::with(&[("a", "1"), ("b", "2")]);
    sandbox.git(&["config", "core.fileMode", "false"]);
    sandbox.git(&["update-index", "--chmod=+x", "a"]);
    sandbox.chmod("b", 0o755);
    sandbox.write("new", "");
    sandbox.chmod("new", 0o755);
    let modes: Vec<Mode> = sandbox.snapshot().entries().iter().map(|entry| entry.mode).collect();
    assert_eq!(modes, [Mode::Executable, Mode::File, Mode::File]);
    agree(&sandbox);
}

#[test]
fn a_folder_that_became_a_symlink_holds_nothing() {
    let sandbox = Sandbox::with(&[("dir/a", "1"), ("other/a", "1")]);
    fs::remove_dir_all(sandbox.path("dir")).unwrap();
    symlink("other", sandbox.path("dir")).unwrap();
    let reader = sandbox.reader();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(paths(&snapshot), ["dir", "other/a"]);
    assert_eq!(snapshot.entries()[0].mode, Mode::Symlink);
    assert!(!snapshot.entries()[0].tracked);
    assert!(reader.rescan(&[path("dir/a")]).unwrap().is_empty());
    agree(&sandbox);
}

#[test]
fn files_and_folders_that_change_places_are_seen() {
    let sandbox = Sandbox::with(&[("a", "1"), ("b/c", "2"), ("b.x", "3")]);
    fs::remove_file(sandbox.path("a")).unwrap();
    fs::remove_dir_all(sandbox.path("b")).unwrap();
    sandbox.write("a/inner", "1");
    sandbox.write("b", "2");
    agree(&sandbox);
}

#[test]
fn a_tracked_file_in_an_ignored_folder_is_kept() {
    let sandbox = Sandbox::with(&[("build/kept/a", "1"), ("build/b", "2"), ("src/c", "3")]);
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
fn rules_outside_the_tree_count() {
    let sandbox = Sandbox::with(&[("a", "1")]);
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

// Only there does the library make pipes.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_neither_hangs_nor_counts() {
    let sandbox = Sandbox::with(&[("a", "1"), ("b", "2")]);
    fs::remove_file(sandbox.path("a")).unwrap();
    for name in ["a", "pipe"] {
        rustix::fs::mknodat(rustix::fs::CWD, sandbox.path(name), rustix::fs::FileType::Fifo, 0o644.into(), 0)
            .unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.path("socket")).unwrap();
    assert_eq!(paths(&sandbox.snapshot()), ["b"]);
    assert!(sandbox.reader().rescan(&[path("pipe"), path("a")]).unwrap().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sandbox = Sandbox::with(&[("a", "1")]);
    sandbox.write("dir/secret", "x");
    sandbox.chmod("dir/secret", 0o000);
    if fs::read(sandbox.path("dir/secret")).is_ok() {
        return; // The superuser reads everything.
    }
    let error = sandbox.reader().snapshot().unwrap_err().to_string();
    assert!(error.contains("dir/secret"), "{error}");
}

#[test]
fn names_that_are_not_text_are_kept() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.dir.join(os(b"d\xff"))).unwrap();
    for name in [&b"d\xff/f\xfe"[..], b"tracked\xfd", b"a\nb"] {
        fs::write(sandbox.dir.join(os(name)), "x").unwrap();
    }
    agree(&sandbox);
    sandbox.commit();
    fs::write(sandbox.dir.join(os(b"new\xff.\xfe")), "x").unwrap();
    fs::write(sandbox.path(".gitignore"), b"*.\xfe\n").unwrap();
    agree(&sandbox);
}

#[test]
fn a_linked_worktree_has_its_own_files_and_shares_the_rest() {
    let sandbox = Sandbox::with(&[("a", "1"), ("sub/b", "2")]);
    let linked = sandbox.outside().join("linked");
    sandbox.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    fs::write(linked.join("a"), "other").unwrap();
    let repository = Repository::discover(&linked.join("sub"), &sandbox.env()).unwrap().unwrap();
    assert_eq!(repository.work_dir(), linked);
    assert_eq!(repository.common_dir(), sandbox.path(".git"));
    assert_ne!(repository.git_dir(), repository.common_dir());
    let reader = WorkTreeReader::open(&repository, Some(&sandbox.state())).unwrap();
    assert_ne!(tree_id(&reader.snapshot().unwrap()).unwrap(), tree_id(&sandbox.snapshot()).unwrap());
    fs::write(linked.join("a"), "1").unwrap();
    assert_eq!(tree_id(&reader.snapshot().unwrap()).unwrap(), tree_id(&sandbox.snapshot()).unwrap());
}

#[test]
fn a_state_folder_that_cannot_be_written_costs_time_only() {
    let sandbox = Sandbox::with(&[("a", "1")]);
    sandbox.write("a", "2");
    sandbox.write("blocked", "not a folder");
    let expected = tree_id(&sandbox.snapshot()).unwrap();
    for state in [None, Some(sandbox.path("blocked/state"))] {
        let reader = WorkTreeReader::open(&sandbox.repository(), state.as_deref()).unwrap();
        assert_eq!(tree_id(&reader.snapshot().unwrap()).unwrap(), expected);
        assert!(reader.save().is_ok(), "nothing was learnt that could be saved");
    }
}

#[test]
fn a_state_folder_in_the_work_tree_is_git_s_own() {
    let sandbox = Sandbox::with(&[("a", "1")]);
    fs::rename(sandbox.path(".git"), sandbox.path(".hidden")).unwrap();
    sandbox.write(".git", "gitdir: .hidden\n");
    assert_eq!(paths(&sandbox.snapshot()), ["a"]);
}

#[test]
fn a_file_that_comes_to_a_remembered_folder_is_seen() {
    let sandbox = Sandbox::with(&[("a/1", "x"), ("b/2", "x")]);
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
    // What leaves the index stays on disk.
    sandbox.git(&["rm", "-q", "--cached", "b/2"]);
    assert_eq!(look(), ["a/1", "a/new", "b/2"]);
    fs::remove_file(sandbox.path("a/new")).unwrap();
    fs::remove_file(sandbox.path("a/1")).unwrap();
    sandbox.write("a/1/inner", "");
    assert_eq!(look(), ["a/1/inner", "b/2"]);
}

#[test]
fn a_file_that_comes_in_the_tick_of_the_look_is_seen() {
    for round in 0..30 {
        let sandbox = Sandbox::with(&[("a/1", "x")]);
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

/// What is on disk was written by rules that no longer hold, and git looks no closer than the stat.
#[test]
fn rules_that_no_longer_hold_are_remembered() {
    let text = b"one\r\n";
    for by_attribute in [false, true] {
        let sandbox = Sandbox::with(&[("a.txt", "one\n"), (".gitattributes", "")]);
        if by_attribute {
            sandbox.write(".gitattributes", "*.txt eol=crlf\n");
            sandbox.commit();
        } else {
            sandbox.git(&["config", "core.autocrlf", "true"]);
        }
        fs::remove_file(sandbox.path("a.txt")).unwrap();
        sandbox.git(&["checkout", "--", "a.txt"]);
        // Git looks closer at a file of the same second as its index.
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
        let expected = crate::git::content::blob(text).unwrap();
        for _ in 0..2 {
            let reader = sandbox.reader();
            assert_eq!(id(&reader.snapshot().unwrap()), expected);
            reader.save().unwrap();
        }
    }
}
