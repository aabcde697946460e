//! Tests of damaged cache files, and of their repair.

use super::*;
use crate::base::stat::{FileTime, Moment, Stat};
use crate::cache::RestoreError;

/// Stores an entry with a small output, which is in the entry itself, and two large ones in blobs: one
/// compressed, one not.
fn store_sample() -> Fixture {
    let f = Fixture::new();
    f.write("dist/small", "small");
    f.write("dist/incompressible", incompressible("incompressible", 70_000));
    f.write("dist/text", vec![b'x'; 200_000]);
    f.stored("a", &["dist"]);
    f
}

/// Flips one bit of a file and restores its modification time.
fn flip_bit(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let modified = path.metadata().unwrap().modified().unwrap();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn any_flipped_byte_is_found_reported_and_repaired_by_a_store() {
    let f = store_sample();
    let outputs = f.collect(&["dist"]);
    for path in f.files() {
        let len = fs::read(&path).unwrap().len();
        for at in [0, 8, 41, 80, len / 2, len - 1] {
            flip_bit(&path, at);
            for cache in [f.reopened(), f.reopened()] {
                match cache.lookup(&key("a")) {
                    Lookup::Damaged(what) => assert!(what.contains(&name_of(&path)), "{what}"),
                    other => panic!("byte {at} of {}: {other:?}", path.display()),
                }
                assert_eq!(cache.verify(Repair::Report).unwrap().damage.len(), 1);
            }
            assert!(matches!(f.cache.lookup(&key("a")), Lookup::Damaged(_)));
            f.store("a", &outputs).unwrap();
            f.hit("a");
            hit(&f.reopened(), "a");
            f.assert_clean();
        }
    }
}

#[test]
fn truncated_empty_and_missing_files_are_detected() {
    for cut in [None, Some(0), Some(20), Some(60)] {
        let f = store_sample();
        let outputs = f.collect(&["dist"]);
        for path in f.files() {
            match cut {
                Some(len) => fs::File::options().write(true).open(&path).unwrap().set_len(len).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            match f.reopened().lookup(&key("a")) {
                Lookup::Absent => assert!(cut.is_none() && path.starts_with(f.state().join("cache/entries"))),
                Lookup::Damaged(what) => assert!(what.contains(&name_of(&path)), "{what}"),
                Lookup::Hit(_) => panic!("{cut:?} {}", path.display()),
            }
            f.store("a", &outputs).unwrap();
            f.hit("a");
        }
    }
}

#[test]
fn file_under_a_wrong_name_is_rejected() {
    let f = store_sample();
    let entry = f.cache.dirs.file(FileKind::Entry, &key("a"));
    let other = f.cache.dirs.file(FileKind::Entry, &key("b"));
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::copy(entry, other).unwrap();
    assert!(matches!(f.cache.lookup(&key("b")), Lookup::Damaged(what) if what.contains("its name")));
}

#[test]
fn damaged_blob_is_removed_by_the_next_store() {
    let f = store_sample();
    let blob = f.files().into_iter().find(|path| path.to_str().unwrap().contains("blobs")).unwrap();
    flip_bit(&blob, 50);
    assert!(matches!(f.cache.lookup(&key("a")), Lookup::Damaged(_)));
    // The task runs again, and its output is different.
    f.remove("dist");
    f.write("dist/other", "other");
    f.stored("a", &["dist"]);
    assert!(!blob.exists());
    f.assert_clean();
}

#[test]
fn unchanged_blob_is_verified_once() {
    let f = Fixture::new();
    f.write("dist/large", incompressible("large", 100_000));
    let entry = f.stored("a", &["dist"]);
    let blob = entry.blobs().next().unwrap();
    let path = f.cache.dirs.file(FileKind::Blob, &blob);
    let known = |cache: &Cache| {
        let stat = Stat::new(&path.symlink_metadata().unwrap());
        cache.verified().get(blob.bytes(), &stat)
    };
    wait_until("a blob that was read is in the table of verified blobs", || {
        f.hit("a");
        known(&f.cache).is_some()
    });
    let other = f.reopened();
    assert_eq!(known(&other), Some(blob));
    // The table says that the damaged blob is intact, and the lookup is a hit: so the blob was not read.
    flip_bit(&path, 99);
    let stat = Stat::new(&path.symlink_metadata().unwrap());
    let later = Moment { device: stat.device, time: FileTime { seconds: i64::MAX, nanos: 0 } };
    assert!(matches!(other.lookup(&key("a")), Lookup::Damaged(_)));
    let third = f.reopened();
    third.verified().insert([(&blob.bytes()[..], &stat, blob)], &later);
    hit(&third, "a");
    // Restoring reads the blob and finds the damage. The next store replaces it.
    f.remove("dist");
    let restored = third.restore(&f.root(), &patterns(&["dist"]), &entry, &|_| false);
    assert!(matches!(restored, Err(RestoreError::Damaged(what)) if what.contains(&name_of(&path))));
    f.write("dist/large", incompressible("large", 100_000));
    let outputs = third.collect(&f.root(), &patterns(&["dist"])).unwrap();
    store(&third, "a", &outputs, &f.root()).unwrap();
    hit(&third, "a");
    assert!(third.verify(Repair::Report).unwrap().is_clean());
}

#[test]
fn verify_reports_damage_and_removes_it_on_request() {
    let f = store_sample();
    f.remove("dist");
    f.write("dist/small", "sound");
    f.stored("sound", &["dist"]);
    let blobs: Vec<PathBuf> =
        f.files().into_iter().filter(|path| path.to_str().unwrap().contains("blobs")).collect();
    flip_bit(&blobs[0], 100);
    fs::remove_file(&blobs[1]).unwrap();
    let report = f.cache.verify(Repair::Report).unwrap();
    assert_eq!((report.entries, report.blobs, report.removed), (2, 1, 0));
    let text: Vec<String> = report.damage.iter().map(|one| format!("{}: {}", one.file, one.how)).collect();
    assert_eq!(text.len(), 2, "{text:?}");
    assert!(text[0].contains(&name_of(&blobs[0])) && text[0].contains("checksum is wrong"), "{text:?}");
    assert!(text[1].contains("needs blobs/") && text[1].contains("which is missing"), "{text:?}");
    let report = f.cache.verify(Repair::Remove).unwrap();
    assert_eq!((report.damage.len(), report.removed), (2, 2));
    f.assert_clean();
    assert_eq!(f.cache.lookup(&key("a")), Lookup::Absent);
    f.hit("sound");
}

#[test]
fn lost_or_damaged_tables_only_cost_time() {
    let f = store_sample();
    let entry = f.hit("a");
    f.cache.save().unwrap();
    for damage in 0..2 {
        for path in fs::read_dir(f.state().join("stats")).unwrap().map(|e| e.unwrap().path()) {
            if damage == 0 { fs::write(&path, "nonsense").unwrap() } else { fs::remove_file(&path).unwrap() }
        }
        fs::write(f.cache.dirs.size(), "nonsense").unwrap();
        let cache = Cache::open(&f.state(), CAP, &Clock::system());
        hit(&cache, "a");
        assert_eq!(cache.compare(&f.root(), &patterns(&["dist"]), &entry), OutputState::Intact);
        let outputs = cache.collect(&f.root(), &patterns(&["dist"])).unwrap();
        store(&cache, "b", &outputs, &f.root()).unwrap();
        cache.save().unwrap();
    }
}
