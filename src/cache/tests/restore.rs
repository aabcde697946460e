//! Tests of restoring outputs.

use super::*;
use crate::cache::{RestoreCounts, RestoreError};
use proptest::prelude::*;
use std::os::unix::fs::MetadataExt as _;

const DIST: &[&str] = &["dist"];

fn restore(f: &Fixture, list: &[&str], entry: &Entry) -> Result<RestoreCounts, RestoreError> {
    f.cache.restore(&f.root(), &patterns(list), entry, &|_| false)
}

/// Creates a work tree with outputs of each kind.
fn all_outputs() -> Fixture {
    let f = Fixture::new();
    for (name, mode, len) in [
        ("a", 0o644, 10),
        ("b", 0o755, 0),
        ("secret", 0o600, 5),
        ("locked", 0o400, 5),
        ("open", 0o666, 5),
        ("suid", 0o4755, 5),
        ("sub/deep/c", 0o644, 3000),
        ("sub/large", 0o750, 200_000),
    ] {
        f.write(&format!("dist/{name}"), incompressible(name, len));
        f.mode(&format!("dist/{name}"), mode);
    }
    f.link("dist/link", "a");
    f.link("dist/sub/dangling", "../../nowhere");
    f.link("dist/way", "sub");
    f.folder("dist/empty/nested");
    f
}

#[test]
fn all_outputs_are_restored_exactly() {
    let f = all_outputs();
    let before = f.collect(DIST);
    let entry = f.stored("a", DIST);
    f.remove("dist");
    let restored = restore(&f, DIST, &entry).unwrap();
    assert_eq!(restored, RestoreCounts { written: 11, removed: 0 });
    assert_eq!(f.collect(DIST), before);
    assert_eq!(f.state_of(DIST, &entry), OutputState::Intact);
    assert_eq!(f.read("dist/sub/large"), Some(incompressible("sub/large", 200_000)));
    assert_eq!(f.temps(), 0);
    assert_eq!(restore(&f, DIST, &entry).unwrap(), RestoreCounts::default());
}

#[test]
fn non_utf8_names_are_restored() {
    use std::os::unix::ffi::OsStrExt as _;
    let f = Fixture::new();
    let name = std::ffi::OsStr::from_bytes(b"dist/\xff\n");
    f.folder("dist");
    fs::write(f.root().join(name), "x").unwrap();
    let entry = f.stored("a", DIST);
    f.remove("dist");
    restore(&f, DIST, &entry).unwrap();
    assert_eq!(fs::read(f.root().join(name)).unwrap(), b"x");
}

type Edit = fn(&Fixture);
type Change = (&'static str, Edit);

/// Changes of the tree of [`all_outputs`] that a restore must undo.
const CHANGES: &[Change] = &[
    ("edit", |f| f.write("dist/a", "edited")),
    ("edit large", |f| f.write("dist/sub/large", incompressible("other", 200_000))),
    ("delete", |f| f.remove("dist/a")),
    ("mode", |f| f.mode("dist/a", 0o777)),
    ("delete a folder", |f| f.remove("dist/sub")),
    ("extra file", |f| f.write("dist/extra", "x")),
    ("extra deep file", |f| f.write("dist/x/y/z", "x")),
    ("extra symlink", |f| f.link("dist/x", "/etc")),
    ("extra empty folder", |f| f.folder("dist/x/y")),
    ("file in an empty folder", |f| f.write("dist/empty/nested/x", "x")),
    ("no empty folder", |f| f.remove("dist/empty")),
    ("folder for a file", |f| {
        f.remove("dist/a");
        f.write("dist/a/b/c", "x");
        f.folder("dist/a/empty");
    }),
    ("file for a folder", |f| {
        f.remove("dist/sub");
        f.write("dist/sub", "x");
    }),
    ("file for an empty folder", |f| {
        f.remove("dist/empty");
        f.write("dist/empty", "x");
    }),
    ("symlink for a file", |f| {
        f.remove("dist/a");
        f.link("dist/a", "../outside/kept");
    }),
    ("symlink for a folder", |f| {
        f.remove("dist/sub");
        f.link("dist/sub", "../outside");
    }),
    ("symlink for an empty folder", |f| {
        f.remove("dist/empty");
        f.link("dist/empty", "../outside");
    }),
    ("file for a symlink", |f| {
        f.remove("dist/link");
        f.write("dist/link", "x");
    }),
    ("folder for a symlink", |f| {
        f.remove("dist/way");
        f.write("dist/way/x", "x");
    }),
    ("symlink elsewhere", |f| {
        f.remove("dist/link");
        f.link("dist/link", "b");
    }),
    ("symlink for all", |f| {
        f.remove("dist");
        f.link("dist", "outside");
    }),
    ("file for all", |f| {
        f.remove("dist");
        f.write("dist", "x");
    }),
    ("nothing", |f| f.remove("dist")),
    ("a pipe", |f| {
        f.remove("dist/a");
        let _ = std::os::unix::net::UnixListener::bind(f.root().join("dist/a")).unwrap();
    }),
];

#[test]
fn each_change_is_undone_and_no_other_file_is_touched() {
    for (name, change) in CHANGES {
        let f = all_outputs();
        f.write("outside/kept", "kept");
        f.write("outside/large", "kept too");
        let before = f.collect(DIST);
        let entry = f.stored("a", DIST);
        change(&f);
        assert_ne!(f.state_of(DIST, &entry), OutputState::Intact, "{name}");
        restore(&f, DIST, &entry).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(f.collect(DIST), before, "{name}");
        assert_eq!(f.read("outside/kept").unwrap(), b"kept", "{name}");
        assert_eq!(f.read("outside/large").unwrap(), b"kept too", "{name}");
        assert_eq!(fs::read_dir(f.root().join("outside")).unwrap().count(), 2, "{name}");
        assert_eq!(f.temps(), 0, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_combination_of_changes_is_undone(picks in proptest::collection::vec(0..CHANGES.len(), 1..6)) {
        let f = all_outputs();
        let before = f.collect(DIST);
        let entry = f.stored("a", DIST);
        for pick in picks {
            // A change panics if an earlier one has removed a file that it needs.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| CHANGES[pick].1(&f)));
        }
        restore(&f, DIST, &entry).unwrap();
        prop_assert_eq!(f.collect(DIST), before);
    }
}

#[test]
fn unchanged_outputs_are_left_alone() {
    let f = all_outputs();
    let entry = f.stored("a", DIST);
    let identity = |name: &str| {
        let meta = f.root().join(name).symlink_metadata().unwrap();
        (meta.ino(), meta.ctime(), meta.ctime_nsec())
    };
    let names = ["dist/b", "dist/sub/large", "dist/link"];
    let before = names.map(identity);
    f.write("dist/a", "edited");
    let restored = restore(&f, DIST, &entry).unwrap();
    assert_eq!(restored, RestoreCounts { written: 1, removed: 0 });
    assert_eq!(names.map(identity), before);
}

#[test]
fn tracked_file_is_never_deleted() {
    let f = all_outputs();
    let entry = f.stored("a", DIST);
    f.write("dist/tracked", "mine");
    f.write("dist/a", "edited");
    let is_tracked = |path: &RepoPath| path.to_string() == "dist/tracked";
    let restored = f.cache.restore(&f.root(), &patterns(DIST), &entry, &is_tracked);
    assert!(matches!(restored, Err(RestoreError::Tracked { path }) if path.to_string() == "dist/tracked"));
    assert_eq!(f.read("dist/tracked").unwrap(), b"mine");
    assert_eq!(f.read("dist/a").unwrap(), b"edited");
    // A tracked file that is also an output of the entry is written like any other output.
    f.remove("dist/tracked");
    let restored = f.cache.restore(&f.root(), &patterns(DIST), &entry, &|_| true);
    assert_eq!(restored.unwrap().written, 1);
}

#[test]
fn files_outside_the_patterns_are_kept() {
    let list = ["dist", "!**/*.log"];
    let f = all_outputs();
    let entry = f.stored("a", &list);
    f.remove("dist/sub");
    f.write("dist/sub/x.log", "log");
    f.write("dist/other/y.log", "log");
    f.write("dist/other/z", "z");
    restore(&f, &list, &entry).unwrap();
    assert_eq!(f.state_of(&list, &entry), OutputState::Intact);
    assert!(f.exists("dist/sub/x.log") && f.exists("dist/other/y.log") && !f.exists("dist/other/z"));
}

#[test]
fn blocked_path_is_an_error_that_changes_nothing() {
    let list = ["dist", "!**/*.log", "gen/out/*.js"];
    let cases: &[(Edit, &str)] = &[
        (
            |f| {
                f.remove("dist/a");
                f.write("dist/a/b/x.log", "log");
            },
            "dist/a/b is in the way: it contains files that are not outputs",
        ),
        (
            |f| {
                f.remove("gen");
                f.link("gen", "elsewhere");
            },
            "gen is in the way: it is a symlink",
        ),
        (
            |f| {
                f.remove("gen");
                f.write("gen", "x");
            },
            "gen is in the way: it is not a folder",
        ),
    ];
    for (change, expected) in cases {
        let f = all_outputs();
        f.write("gen/out/g.js", "generated");
        f.folder("elsewhere");
        let entry = f.stored("a", &list);
        f.write("dist/b", "edited");
        f.write("dist/extra", "extra");
        change(&f);
        assert_eq!(restore(&f, &list, &entry).unwrap_err().to_string(), *expected);
        assert_eq!(f.read("dist/b").unwrap(), b"edited");
        assert_eq!(f.read("dist/extra").unwrap(), b"extra");
        assert!(!f.exists("elsewhere/out"));
        assert_eq!(f.temps(), 0);
    }
}

#[test]
fn damaged_or_missing_blob_leaves_outputs_unchanged() {
    for is_missing in [false, true] {
        let f = all_outputs();
        let entry = f.stored("a", DIST);
        for path in f.files().into_iter().filter(|path| path.to_str().unwrap().contains("blobs")) {
            if is_missing { fs::remove_file(path).unwrap() } else { fs::write(path, "rot").unwrap() }
        }
        f.remove("dist");
        f.write("dist/old", "old");
        let before = f.collect(DIST);
        assert!(matches!(restore(&f, DIST, &entry), Err(RestoreError::Damaged(_))));
        assert_eq!(f.collect(DIST), before);
        assert_eq!(f.temps(), 0);
    }
}

#[test]
fn entry_with_paths_outside_its_outputs_is_refused() {
    let f = Fixture::new();
    f.write("dist/a", "a");
    f.write("dist/b", "b");
    let sound = f.stored("a", DIST);
    for path in ["/etc/x", "../x", "dist/../../x", "other/x", "dist/.git/hooks/x", "dist//x", "", "dist/c/d"]
    {
        let mut entry = sound.clone();
        entry.outputs[0].output.path = RepoPath::from_git(path.as_bytes());
        if path == "dist/c/d" {
            // Here one output is below another one, which is a file.
            entry.outputs[1].output.path = RepoPath::from_git(&b"dist/c"[..]);
            entry.outputs.swap(0, 1);
        }
        let restored = restore(&f, DIST, &entry);
        assert!(matches!(restored, Err(RestoreError::InvalidOutput { .. })), "{path}: {restored:?}");
    }
    restore(&f, DIST, &sound).unwrap();
}

#[test]
fn literal_outputs_keep_neighbouring_files_and_folders() {
    let f = Fixture::new();
    f.write("target/release/app", incompressible("app", 100_000));
    let list = ["target/release/app", "target/none/*.x"];
    let entry = f.stored("a", &list);
    f.write("target/release/app", "edited");
    f.write("target/release/other", "other");
    f.write("target/none/a.x", "extra");
    restore(&f, &list, &entry).unwrap();
    assert_eq!(f.read("target/release/app"), Some(incompressible("app", 100_000)));
    assert!(f.exists("target/release/other") && f.exists("target") && !f.exists("target/none"));
}

#[test]
fn entry_is_restored_into_another_root() {
    let f = all_outputs();
    let entry = f.stored("a", DIST);
    let other = tempfile::tempdir().unwrap();
    f.cache.restore(other.path(), &patterns(DIST), &entry, &|_| false).unwrap();
    assert_eq!(f.cache.compare(other.path(), &patterns(DIST), &entry), OutputState::Intact);
}

#[test]
fn restore_to_another_disk_is_complete() {
    let shm = Path::new("/dev/shm");
    let Ok(other) = tempfile::tempdir_in(shm) else { return };
    let f = all_outputs();
    let entry = f.stored("a", DIST);
    let root = other.path();
    for is_edited in [false, true] {
        if is_edited {
            fs::write(root.join("dist/a"), "edited").unwrap();
            fs::write(root.join("dist/sub/large"), "edited").unwrap();
            fs::remove_file(root.join("dist/link")).unwrap();
            fs::write(root.join("dist/link"), "edited").unwrap();
        }
        f.cache.restore(root, &patterns(DIST), &entry, &|_| false).unwrap();
        assert_eq!(f.cache.compare(root, &patterns(DIST), &entry), OutputState::Intact);
        assert_eq!(fs::read_dir(root).unwrap().count(), 1, "no other file is left");
    }
}
