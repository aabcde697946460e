//! Tests of garbage collection, statistics and clearing.

use super::*;
use crate::cache::{GcReport, TaskStats};
use std::time::SystemTime;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn used(f: &Fixture, name: &str) -> SystemTime {
    f.cache.dirs.file(FileKind::Entry, &key(name)).metadata().unwrap().modified().unwrap()
}

fn set_used(f: &Fixture, name: &str, hours_ago: u64) {
    let time = Timestamp(f.time.load(Ordering::Relaxed)).system() - HOUR * u32::try_from(hours_ago).unwrap();
    let path = f.cache.dirs.file(FileKind::Entry, &key(name));
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// Stores an entry with one blob of about 100 kB that only it needs.
fn entry(f: &Fixture, name: &str) {
    f.write("dist/a", incompressible(name, 100_000));
    f.store(name, &f.collect(&["dist"])).unwrap();
}

fn is_hit(f: &Fixture, name: &str) -> bool {
    match f.cache.lookup(&key(name)) {
        Lookup::Hit(_) => true,
        Lookup::Absent => false,
        Lookup::Damaged(what) => panic!("{what}"),
    }
}

#[test]
fn least_recently_used_entry_is_removed_first() {
    let f = Fixture::with_cap(450_000);
    for (name, hours_ago) in [("a", 4), ("b", 3), ("c", 2), ("d", 1)] {
        entry(&f, name);
        set_used(&f, name, hours_ago);
    }
    f.pass(HOUR / 2);
    assert!(is_hit(&f, "a"), "a hit counts as a use");
    entry(&f, "e");
    assert_eq!(["a", "b", "c", "d", "e"].map(|name| is_hit(&f, name)), [true, false, true, true, true]);
    assert_eq!(f.files().len(), 8, "blobs are removed with their entries");
    f.assert_clean();
}

#[test]
fn hit_updates_the_time_of_use_once_an_hour() {
    let f = Fixture::new();
    entry(&f, "a");
    set_used(&f, "a", 2);
    f.hit("a");
    let first = used(&f, "a");
    assert_eq!(first, Timestamp(f.time.load(Ordering::Relaxed)).system());
    f.pass(HOUR / 2);
    f.hit("a");
    assert_eq!(used(&f, "a"), first);
    f.pass(HOUR);
    f.hit("a");
    assert!(used(&f, "a") > first);
}

#[test]
fn blob_of_another_entry_is_kept() {
    let f = Fixture::new();
    entry(&f, "a");
    f.store("b", &f.collect(&["dist"])).unwrap();
    set_used(&f, "a", 5);
    let (clock, _) = Clock::manual();
    let cap = f.cache.stats().unwrap().bytes - 1;
    let small = Cache::open(&f.state(), cap, &clock);
    let report = small.gc().unwrap();
    assert_eq!((report.entries, report.blobs), (1, 0), "{report:?}");
    assert!(!is_hit(&f, "a") && is_hit(&f, "b"));
}

#[test]
fn old_temporary_files_are_removed() {
    let f = Fixture::new();
    entry(&f, "a");
    entry(&f, "b");
    fs::remove_file(f.cache.dirs.file(FileKind::Entry, &key("a"))).unwrap();
    fs::write(f.cache.dirs.temp().join("left"), "x").unwrap();
    fs::write(f.cache.dirs.key_lock(&key("left")), "").unwrap();
    let held = f.cache.lock(&key("held")).unwrap();
    f.assert_clean();
    let report = f.cache.gc().unwrap();
    assert_eq!((report.blobs, report.temps, report.freed), (0, 0, 0), "new files are kept");
    f.pass(25 * HOUR);
    let report = f.cache.gc().unwrap();
    assert_eq!((report.entries, report.blobs, report.temps), (0, 1, 1));
    assert!(report.freed >= 100_000);
    assert!(f.cache.dirs.key_lock(&key("held")).exists());
    assert!(!f.cache.dirs.key_lock(&key("left")).exists());
    drop(held);
    assert!(is_hit(&f, "b"));
    assert_eq!(f.cache.gc().unwrap(), GcReport { left: report.left, ..GcReport::default() });
}

#[test]
fn damaged_entry_is_kept_until_it_is_reported() {
    let f = Fixture::new();
    entry(&f, "a");
    fs::write(f.cache.dirs.file(FileKind::Entry, &key("a")), "rot").unwrap();
    f.cache.gc().unwrap();
    assert!(matches!(f.cache.lookup(&key("a")), Lookup::Damaged(_)));
}

#[test]
fn size_limit_holds_during_many_stores() {
    let f = Fixture::with_cap(1_000_000);
    for i in 0..40 {
        entry(&f, &format!("{i}"));
        assert!(is_hit(&f, &format!("{i}")), "the entry that was just stored exists");
        assert!(f.cache.stats().unwrap().bytes <= 1_000_000);
    }
    f.assert_clean();
}

#[test]
fn concurrent_stores_lookups_restores_and_collections_work() {
    let f = Fixture::with_cap(1_200_000);
    let list = patterns(&["dist"]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (f, list) = (&f, &list);
            scope.spawn(move || {
                let root = f.dir.path().join(format!("root{thread}"));
                fs::create_dir_all(root.join("dist")).unwrap();
                // Each thread opens the cache like a separate process; only the first shares it.
                let own = f.reopened();
                let cache = if thread == 0 { &f.cache } else { &own };
                for round in 0..25 {
                    // Keys and blobs are shared between threads.
                    let name = format!("{}", (round * 3 + thread) % 10);
                    if let Lookup::Hit(entry) = cache.lookup(&key(&name)) {
                        // A collection may take its blobs at any time.
                        let _ = cache.restore(&root, list, &entry, &|_| false);
                    }
                    fs::create_dir_all(root.join("dist")).unwrap();
                    fs::write(root.join("dist/a"), incompressible(&name, 100_000)).unwrap();
                    fs::write(root.join("dist/b"), incompressible("shared", 80_000)).unwrap();
                    let outputs = cache.collect(&root, list).unwrap();
                    store(cache, &name, &outputs, &root).unwrap();
                    match round % 8 {
                        1 => assert_eq!(cache.verify(Repair::Report).unwrap().damage, []),
                        5 => drop(cache.gc().unwrap()),
                        _ => {}
                    }
                }
            });
        }
    });
    f.assert_clean();
    assert_eq!(f.temps(), 0);
    for name in 0..10 {
        is_hit(&f, &name.to_string());
    }
    f.cache.gc().unwrap();
    assert!(f.cache.stats().unwrap().bytes <= 1_200_000);
}

#[test]
fn store_from_a_pool_thread_neither_hangs_nor_collects() {
    use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
    let f = Fixture::with_cap(250_000);
    (0..8).into_par_iter().for_each(|i| {
        let root = f.dir.path().join(format!("root{i}"));
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::write(root.join("dist/a"), incompressible(&i.to_string(), 100_000)).unwrap();
        let outputs = f.cache.collect(&root, &patterns(&["dist"])).unwrap();
        store(&f.cache, &i.to_string(), &outputs, &root).unwrap();
    });
    assert_eq!(f.cache.stats().unwrap().entries, 8);
    assert!(f.cache.gc().unwrap().left <= 250_000);
}

#[test]
fn stats_count_entries_and_bytes() {
    let f = Fixture::new();
    entry(&f, "small");
    f.write("dist/b", incompressible("b", 300_000));
    f.store("big", &f.collect(&["dist"])).unwrap();
    set_used(&f, "small", 3);
    let stats = f.cache.stats().unwrap();
    assert_eq!((stats.entries, stats.blobs, stats.cap), (2, 3 - 1, CAP));
    let now = f.time.load(Ordering::Relaxed);
    assert_eq!(stats.oldest_use.unwrap().0, now - 3 * 3_600_000);
    assert!(stats.newest_use > stats.oldest_use);
    let tasks: Vec<&str> = stats.tasks.iter().map(|TaskStats { task, .. }| task.as_str()).collect();
    assert_eq!(tasks, ["big", "small"]);
    assert!(stats.tasks[0].bytes > 400_000 && stats.tasks[1].bytes < 110_000);
}

#[test]
fn clear_keeps_held_locks() {
    let f = Fixture::new();
    entry(&f, "a");
    let held = f.cache.lock(&key("a")).unwrap();
    let report = f.cache.clear().unwrap();
    assert_eq!((report.entries, report.blobs), (1, 1));
    assert!(f.files().is_empty());
    assert!(f.reopened().lock(&key("a")).unwrap().is_none());
    drop(held);
    assert!(!is_hit(&f, "a"));
    entry(&f, "a");
    assert!(is_hit(&f, "a"));
}
