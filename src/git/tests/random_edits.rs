//! Tests that a snapshot that uses all that is remembered equals one that is made from nothing, after random
//! edits, and with damaged state.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::sample::select;

use crate::git::snapshot::{Snapshot, digest_entries};
use crate::git::tests::test_repo::{TestRepo, git_command};
use crate::git::{WorkTreeReader, tree_id};

const PATHS: &[&str] =
    &["a", "b.log", "d/a", "d/b.log", "d/e/a", "d/e/c", "d.x", "f/a", "f/g/h/a", "f/g/b", "ä"];
const FOLDERS: &[&str] = &["d", "d/e", "f", "f/g", "new", "d/new"];
const TEXTS: &[&str] = &["x\n", "y\n", "x\r\n", "y\r\n", "", "$Id$\n", "long\n"];
const IGNORES: &[&str] = &["*.log", "!b.log", "a", "/d", "e/", "new", "", "!a", "d/e/c"];
const ATTRIBUTES: &[&str] =
    &["", "* text=auto", "*.log text eol=crlf", "a text", "* -text", "a ident", "d/** text=auto eol=crlf"];

#[derive(Clone, Debug)]
enum Edit {
    Write(&'static str, &'static str),
    /// Writes and restores the time of the last change of the content.
    WriteUnseen(&'static str, &'static str),
    Touch(&'static str, u64),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    MakeFolder(&'static str),
    Chmod(&'static str, u32),
    Link(&'static str),
    Ignore(Option<&'static str>, &'static str),
    Attribute(Option<&'static str>, &'static str),
    Git(&'static [&'static str]),
    /// Makes git look at all files at a later time, so that it trusts their stats.
    Settle,
    /// Compares the snapshots, and saves what was read.
    Look,
    /// Damages all that was saved: the number says how, and where.
    Damage(usize),
}

fn an_edit() -> impl Strategy<Value = Edit> {
    let path = || select(PATHS);
    let anything = || prop_oneof![select(PATHS), select(FOLDERS)];
    let folder = || proptest::option::of(select(FOLDERS));
    let git: &[&[&str]] = &[
        &["add", "--all"],
        &["commit", "--quiet", "--allow-empty", "--all", "--message=x"],
        &["status", "--short"],
        &["reset", "--quiet"],
        &["rm", "--quiet", "-r", "--cached", "--ignore-unmatch", "d/e"],
        &["update-index", "--index-version", "4"],
    ];
    prop_oneof![
        6 => (path(), select(TEXTS)).prop_map(|(path, text)| Edit::Write(path, text)),
        2 => (path(), select(TEXTS)).prop_map(|(path, text)| Edit::WriteUnseen(path, text)),
        1 => (anything(), 0..3_u64).prop_map(|(path, days)| Edit::Touch(path, days)),
        2 => (anything(), anything()).prop_map(|(from, to)| Edit::Rename(from, to)),
        2 => anything().prop_map(Edit::Remove),
        1 => select(FOLDERS).prop_map(Edit::MakeFolder),
        1 => (anything(), select(vec![0o755, 0o644, 0o600])).prop_map(|(path, mode)| Edit::Chmod(path, mode)),
        1 => path().prop_map(Edit::Link),
        1 => (folder(), select(IGNORES)).prop_map(|(folder, line)| Edit::Ignore(folder, line)),
        1 => (folder(), select(ATTRIBUTES)).prop_map(|(folder, line)| Edit::Attribute(folder, line)),
        3 => select(git).prop_map(Edit::Git),
        4 => Just(Edit::Settle),
        5 => Just(Edit::Look),
        1 => any::<usize>().prop_map(Edit::Damage),
    ]
}

fn make_room(repo: &TestRepo, path: &str) {
    let path = repo.path(path);
    for above in path.ancestors().skip(1).take_while(|above| above.starts_with(&repo.dir)) {
        if above.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(above).unwrap();
        }
    }
    if path.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
        fs::remove_file(&path).unwrap();
    } else if path.is_dir() {
        fs::remove_dir_all(&path).unwrap();
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
}

fn apply(repo: &TestRepo, edit: &Edit) {
    let modified = |path: &str| {
        let meta = repo.path(path).symlink_metadata().ok()?;
        meta.is_file().then(|| meta.modified().unwrap())
    };
    let set_modified = |path: &str, time| {
        fs::File::options().append(true).open(repo.path(path)).unwrap().set_modified(time).unwrap();
    };
    let in_folder = |folder: Option<&str>, name: &str| match folder {
        Some(folder) => format!("{folder}/{name}"),
        None => name.to_owned(),
    };
    match edit {
        Edit::Write(path, text) => {
            make_room(repo, path);
            repo.write(path, text);
        }
        Edit::WriteUnseen(path, text) => {
            if let Some(before) = modified(path) {
                repo.write(path, text);
                set_modified(path, before);
            }
        }
        Edit::Touch(path, days) => {
            if modified(path).is_some() {
                set_modified(path, UNIX_EPOCH + Duration::from_secs(days * 86_400));
            }
        }
        Edit::Rename(from, to) => {
            if !to.starts_with(from) && !from.starts_with(to) && repo.path(from).symlink_metadata().is_ok() {
                make_room(repo, to);
                let _ = fs::rename(repo.path(from), repo.path(to));
            }
        }
        Edit::Remove(path) => match repo.path(path).symlink_metadata() {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(repo.path(path)).unwrap(),
            Ok(_) => fs::remove_file(repo.path(path)).unwrap(),
            Err(_) => {}
        },
        Edit::MakeFolder(path) => {
            make_room(repo, path);
            fs::create_dir(repo.path(path)).unwrap();
        }
        Edit::Chmod(path, mode) => {
            if modified(path).is_some() {
                repo.chmod(path, *mode);
            }
        }
        Edit::Link(path) => {
            make_room(repo, path);
            symlink("nowhere", repo.path(path)).unwrap();
        }
        Edit::Ignore(folder, line) => {
            let path = in_folder(*folder, ".gitignore");
            make_room(repo, &path);
            repo.write(&path, line);
        }
        Edit::Attribute(folder, line) => {
            let path = in_folder(*folder, ".gitattributes");
            make_room(repo, &path);
            repo.write(&path, line);
        }
        Edit::Git(args) => {
            // It may fail: before the first commit, for example, there is nothing to reset to.
            let _ = git_command(&repo.dir).args(*args).output().unwrap();
        }
        Edit::Settle => repo.settle(),
        Edit::Look => look(repo),
        Edit::Damage(how) => damage(repo, *how),
    }
}

/// Compares the snapshot that uses what is remembered with one made from nothing.
fn look(repo: &TestRepo) {
    let reader = repo.reader();
    let fast = reader.snapshot().unwrap();
    let slow = WorkTreeReader::open_distrusting(&repo.repository()).snapshot().unwrap();
    let slow = Snapshot::new(slow.entries().to_vec());
    // Both are asked for before the entries, which are then not made yet.
    assert_eq!(fast.digest(), digest_entries(slow.entries()));
    assert_eq!(tree_id(&fast).unwrap(), tree_id(&slow).unwrap());
    assert_eq!(fast.entries(), slow.entries());
    assert_eq!(fast.digest(), slow.digest());
    reader.save().unwrap();
}

fn damage(repo: &TestRepo, how: usize) {
    for file in fs::read_dir(repo.state().join("stats")).into_iter().flatten() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let at = how / 4 % bytes.len().max(1);
        match how % 4 {
            0 => bytes.truncate(at),
            1 => bytes.push(0),
            2 => bytes.clear(),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1),
        }
        fs::write(&path, bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn snapshot_with_state_equals_one_from_nothing(edits in proptest::collection::vec(an_edit(), 20..50)) {
        let repo = TestRepo::with(&[("a", "x\n"), ("d/a", "x\n"), ("d/e/c", "y\r\n"), ("f/g/b", "x\n")]);
        for edit in &edits {
            apply(&repo, edit);
        }
        look(&repo);
        look(&repo);
    }
}

#[test]
fn converted_file_with_the_bytes_of_its_blob_is_read_once() {
    let repo = TestRepo::with(&[
        (".gitattributes", "* text=auto\n"),
        ("a", "x\n"),
        ("d/b", "y\n"),
        ("d/c", "z\r\n"),
    ]);
    let contents = || {
        let files = fs::read_dir(repo.state().join("stats")).unwrap();
        files.map(|file| file.unwrap().path()).find(|path| path.extension().unwrap() == "contents")
    };
    look(&repo);
    fs::remove_file(contents().unwrap()).unwrap();
    // The line ends of one file are not those of its blob.
    look(&repo);
    let text = fs::read(contents().unwrap()).unwrap();
    let has = |path: &[u8]| text.windows(path.len()).any(|part| part == path);
    assert!(has(b"d/c") && !has(b"d/b"), "{}", text.escape_ascii());
    let before = repo.snapshot();
    apply(&repo, &Edit::WriteUnseen("d/b", "q\n"));
    look(&repo);
    assert_ne!(repo.snapshot().digest(), before.digest());
}

#[test]
fn stored_tree_of_a_folder_is_not_used_after_an_edit() {
    let repo = TestRepo::with(&[("a", "1"), ("d/b", "2"), ("d/e/c", "3"), ("f/g", "4")]);
    look(&repo);
    for path in ["d/e/c", "f/new", "a"] {
        repo.write(path, "edited");
        look(&repo);
    }
    fs::remove_dir_all(repo.path("d/e")).unwrap();
    look(&repo);
}
