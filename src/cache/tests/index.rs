//! Tests of the index of entries: it only saves time, and no change of an entry is missed.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::base::stat::{Moment, Stat};
use crate::cache::{Cache, StoredOutcome};
use proptest::prelude::*;

/// Waits until a file that is written now has a later time than all files so far.
fn tick(f: &Fixture) {
    let temp = f.cache.dirs.temp();
    let before = Moment::now(&temp).unwrap();
    wait_until("the clock of the file system", || Moment::now(&temp).unwrap().time > before.time);
}

/// Opens the cache again when all entries so far can be indexed.
fn settled(f: &Fixture) -> Cache {
    tick(f);
    f.reopened()
}

fn store_plain(f: &Fixture, name: &str) {
    f.store(name, &OutputSet::default()).unwrap();
}

fn outcome(f: &Fixture, cache: &Cache, name: &str, list: &[&str]) -> Lookup<StoredOutcome> {
    cache.outcome(&key(name), Some(&f.root()), &patterns(list))
}

fn entry_path(f: &Fixture, name: &str) -> PathBuf {
    f.cache.dirs.file(FileKind::Entry, &key(name))
}

fn index_path(f: &Fixture) -> PathBuf {
    f.cache.dirs.entry_index()
}

/// Returns whether a decision about a key would open no file.
fn is_indexed(cache: &Cache, name: &str) -> bool {
    cache.indexed(&key(name)).is_some()
}

#[test]
fn stored_and_read_entries_are_indexed_and_decided_the_same() {
    let f = Fixture::new();
    f.write("dist/a", "a");
    f.store("a", &f.collect(&["dist"])).unwrap();
    store_plain(&f, "plain");
    let cache = settled(&f);
    for (name, list) in [("a", &["dist"][..]), ("plain", &[])] {
        assert!(is_indexed(&cache, name), "{name}");
        let by_entry = cache.outcome_by_entry(&key(name), Some(&f.root()), &patterns(list));
        assert_eq!(outcome(&f, &cache, name, list), by_entry);
        assert_eq!(by_entry, outcome(&f, &f.cache, name, list));
        assert!(matches!(by_entry, Lookup::Hit(_)));
    }

    f.cache.save().unwrap();
    fs::remove_file(index_path(&f)).unwrap();
    let cache = f.reopened();
    assert!(!is_indexed(&cache, "a"));
    assert!(matches!(outcome(&f, &cache, "a", &["dist"]), Lookup::Hit(_)));
    cache.save().unwrap();
    assert!(is_indexed(&f.reopened(), "a"), "an entry that was read is indexed");
    assert!(!is_indexed(&f.reopened(), "plain"), "it was not looked up");
}

#[test]
fn changed_outputs_are_found_and_need_the_whole_entry() {
    let f = Fixture::new();
    f.write("dist/large", incompressible("large", 100_000));
    f.store("a", &f.collect(&["dist"])).unwrap();
    let cache = settled(&f);
    f.write("dist/large", "edited");
    match outcome(&f, &cache, "a", &["dist"]) {
        Lookup::Hit(stored) => {
            assert_eq!(stored.outputs, OutputState::Differs("dist/large was edited".to_owned()));
        }
        other => panic!("{other:?}"),
    }
    let blob = f.files().into_iter().find(|path| path.starts_with(f.state().join("cache/blobs"))).unwrap();
    fs::remove_file(blob).unwrap();
    assert!(matches!(outcome(&f, &f.reopened(), "a", &["dist"]), Lookup::Damaged(_)));
    assert!(matches!(f.reopened().outcome(&key("a"), None, &patterns(&["dist"])), Lookup::Damaged(_)));
}

#[test]
fn removed_entry_is_no_hit_of_a_run_that_has_read_the_index() {
    type Removal = fn(&Fixture, &Path);
    let removals: [(&str, Removal); 5] = [
        ("by hand", |_, path| fs::remove_file(path).unwrap()),
        ("folder by hand", |_, path| fs::remove_dir_all(path.parent().unwrap()).unwrap()),
        ("forget", |f, _| f.cache.forget(&key("a")).unwrap()),
        ("clear", |f, _| _ = f.cache.clear().unwrap()),
        ("gc", |f, _| _ = Cache::open(&f.state(), 0, &Clock::system()).gc().unwrap()),
    ];
    for (how, remove) in removals {
        let f = Fixture::new();
        store_plain(&f, "a");
        let cache = settled(&f);
        assert!(is_indexed(&cache, "a"), "{how}");
        remove(&f, &entry_path(&f, "a"));
        assert_eq!(outcome(&f, &cache, "a", &[]), Lookup::Absent, "{how}");
        assert_eq!(outcome(&f, &f.reopened(), "a", &[]), Lookup::Absent, "{how}");
    }
}

#[test]
fn damaged_entry_is_found_and_repaired_although_it_is_indexed() {
    let f = Fixture::new();
    store_plain(&f, "a");
    let cache = settled(&f);
    let path = entry_path(&f, "a");
    let (mut bytes, modified) = (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    for cache in [cache, f.reopened()] {
        assert!(matches!(outcome(&f, &cache, "a", &[]), Lookup::Damaged(_)));
    }
    assert_eq!(f.cache.verify(Repair::Remove).unwrap().removed, 1);
    assert_eq!(outcome(&f, &f.reopened(), "a", &[]), Lookup::Absent);
    store_plain(&f, "a");
    assert!(matches!(outcome(&f, &settled(&f), "a", &[]), Lookup::Hit(_)));
}

#[test]
fn damage_at_any_byte_of_the_index_costs_only_time() {
    let f = Fixture::new();
    for name in ["a", "b", "c"] {
        store_plain(&f, name);
    }
    settled(&f);
    let good = fs::read(index_path(&f)).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] = !bad[at];
        fs::write(index_path(&f), if at % 2 == 0 { bad } else { good[..at].to_vec() }).unwrap();
        let cache = f.reopened();
        assert!(!is_indexed(&cache, "a"), "byte {at}");
        for name in ["a", "b", "c"] {
            assert!(matches!(outcome(&f, &cache, name, &[]), Lookup::Hit(_)), "byte {at}");
        }
        assert_eq!(outcome(&f, &cache, "d", &[]), Lookup::Absent);
        cache.save().unwrap();
        assert!(is_indexed(&f.reopened(), "a"), "it was written again: byte {at}");
    }
}

#[test]
fn use_by_the_index_counts_and_protects_from_garbage_collection() {
    let f = Fixture::new();
    store_plain(&f, "a");
    let path = entry_path(&f, "a");
    let now = || Timestamp(f.time.load(Ordering::Relaxed)).system();
    fs::File::open(&path).unwrap().set_modified(now() - Duration::from_secs(7200)).unwrap();
    tick(&f);
    let cache = f.reopened();
    assert!(matches!(outcome(&f, &cache, "a", &[]), Lookup::Hit(_)));
    fs::File::open(&path).unwrap().set_modified(now() - Duration::from_secs(7200)).unwrap();
    tick(&f);
    assert!(matches!(outcome(&f, &f.reopened(), "a", &[]), Lookup::Hit(_)));
    assert_eq!(path.metadata().unwrap().modified().unwrap(), now());
}

#[test]
fn entry_that_may_still_change_unnoticed_is_not_indexed() {
    let f = Fixture::new();
    store_plain(&f, "a");
    let index = f.cache.index();
    let stat = Stat::new(&entry_path(&f, "a").symlink_metadata().unwrap());
    let entry = f.hit("a");
    f.cache.save().unwrap();
    index.add_read(
        &entry,
        Stat { changed: crate::base::stat::FileTime { seconds: i64::MAX, nanos: 0 }, ..stat },
    );
    fs::remove_file(index_path(&f)).ok();
    f.cache.save().unwrap();
    assert!(!index_path(&f).exists());
}

#[test]
fn rows_of_runs_at_the_same_time_are_merged_and_never_wrong() {
    let f = Fixture::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let f = &f;
            scope.spawn(move || {
                for round in 0..10 {
                    let cache = Cache::open(&f.state(), CAP, &Clock::system());
                    let name = format!("{thread} {round}");
                    store(&cache, &name, &OutputSet::default(), &f.root()).unwrap();
                    for known in 0..round {
                        let name = format!("{thread} {known}");
                        assert!(matches!(outcome(f, &cache, &name, &[]), Lookup::Hit(_)), "{name}");
                    }
                    if round % 3 == 2 {
                        let gone = format!("{thread} {}", round - 1);
                        cache.forget(&key(&gone)).unwrap();
                        assert_eq!(outcome(f, &cache, &gone, &[]), Lookup::Absent, "{gone}");
                        store(&cache, &gone, &OutputSet::default(), &f.root()).unwrap();
                    }
                }
            });
        }
    });
    let cache = settled(&f);
    for thread in 0..4 {
        for round in 0..10 {
            let name = format!("{thread} {round}");
            assert!(matches!(outcome(&f, &cache, &name, &[]), Lookup::Hit(_)), "{name}");
        }
    }
    assert_eq!(f.temps(), 0);
    f.assert_clean();
}

/// What may happen to a cache between two runs, or while a run goes on.
#[derive(Clone, Copy, Debug)]
enum Step {
    Store(u8),
    Remove(u8),
    Edit(u8, u8),
    Forget(u8),
    Swap(u8, u8),
    Clear,
    Repair,
    Reopen,
    DamageIndex(u8),
    TruncateIndex(u8),
    OldIndex,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..4u8;
    prop_oneof![
        4 => name().prop_map(Step::Store),
        2 => name().prop_map(Step::Remove),
        2 => (name(), any::<u8>()).prop_map(|(name, at)| Step::Edit(name, at)),
        1 => name().prop_map(Step::Forget),
        1 => (name(), name()).prop_map(|(a, b)| Step::Swap(a, b)),
        1 => Just(Step::Clear),
        1 => Just(Step::Repair),
        4 => Just(Step::Reopen),
        1 => any::<u8>().prop_map(Step::DamageIndex),
        1 => any::<u8>().prop_map(Step::TruncateIndex),
        1 => Just(Step::OldIndex),
    ]
}

fn carry_out(f: &Fixture, cache: &mut Cache, old: &mut Option<Vec<u8>>, step: Step) {
    let path = |name: u8| entry_path(f, &name.to_string());
    let index = index_path(f);
    let edit_index = |edit: &dyn Fn(&mut Vec<u8>)| {
        if let Ok(mut bytes) = fs::read(&index) {
            edit(&mut bytes);
            fs::write(&index, bytes).unwrap();
        }
    };
    match step {
        Step::Store(name) => {
            // Each result is another one, so that a row of an older result shows.
            static STORED: AtomicU64 = AtomicU64::new(0);
            let took = STORED.fetch_add(1, Ordering::Relaxed);
            let outputs = OutputSet::default();
            let new = NewEntry {
                task: "t",
                explanation: b"why",
                log: "",
                took,
                at: Timestamp(took),
                outputs: &outputs,
                forbidden: None,
            };
            let _ = cache.store(&key(&name.to_string()), &new, &f.root());
        }
        Step::Remove(name) => _ = fs::remove_file(path(name)),
        Step::Edit(name, at) => {
            if let Ok(mut bytes) = fs::read(path(name)) {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= 1;
                fs::write(path(name), bytes).unwrap();
            }
        }
        Step::Forget(name) => cache.forget(&key(&name.to_string())).unwrap(),
        Step::Swap(a, b) => {
            if path(b).parent().unwrap().exists() {
                let _ = fs::rename(path(a), path(b));
            }
        }
        Step::Clear => _ = f.cache.clear().unwrap(),
        Step::Repair => _ = f.cache.verify(Repair::Remove).unwrap(),
        Step::Reopen => {
            tick(f);
            cache.save().unwrap();
            *cache = Cache::open(&f.state(), CAP, &Clock::system());
        }
        Step::DamageIndex(at) => edit_index(&|bytes| {
            let at = usize::from(at) * 7 % bytes.len().max(1);
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 0x40);
        }),
        Step::TruncateIndex(len) => edit_index(&|bytes| bytes.truncate(usize::from(len))),
        Step::OldIndex => match (&*old, fs::read(&index)) {
            (Some(bytes), _) => fs::write(&index, bytes).unwrap(),
            (None, now) => *old = now.ok(),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn index_never_changes_a_decision(steps in proptest::collection::vec(step(), 1..30)) {
        let f = Fixture::new();
        let mut cache = f.reopened();
        let mut old = None;
        for step in steps {
            carry_out(&f, &mut cache, &mut old, step);
            for name in 0..4u8 {
                let name = name.to_string();
                let with_index = outcome(&f, &cache, &name, &[]);
                let without = cache.outcome_by_entry(&key(&name), Some(&f.root()), &patterns(&[]));
                prop_assert_eq!(with_index, without, "{} after {:?}", name, step);
            }
        }
    }
}
