//! Tests of storing and looking up.

use super::*;
use crate::cache::SecretMatcher;

type Make<'a> = &'a dyn Fn(&Fixture);

#[test]
fn stored_entry_is_found() {
    let f = Fixture::new();
    assert_eq!(f.cache.lookup(&key("a")), Lookup::Absent);
    f.write("dist/app.js", "app");
    f.write("dist/big", incompressible("big", 100_000));
    let outputs = f.collect(&["dist"]);
    f.store("a", &outputs).unwrap();
    for cache in [&f.cache, &f.reopened()] {
        let entry = hit(cache, "a");
        assert_eq!((entry.task(), entry.took(), entry.passed_at()), ("a", 1234, Timestamp(99)));
        assert_eq!(cache.log(&entry).unwrap(), "it passed\n");
        assert_eq!(cache.explanation(&entry).unwrap(), b"why");
        assert_eq!(entry.output_digest(), outputs.digest());
        assert!(entry.outputs().eq(outputs.outputs()));
        assert_eq!(cache.lookup(&key("b")), Lookup::Absent);
    }
    assert_eq!(f.files().len(), 2, "small files are in the entry, the large one is a blob");
    assert_eq!(f.temps(), 0);
    f.assert_clean();
}

#[test]
fn second_store_replaces_the_first_and_shares_its_blobs() {
    let f = Fixture::new();
    f.write("dist/big", incompressible("big", 100_000));
    f.stored("a", &["dist"]);
    f.write("dist/copy", incompressible("big", 100_000));
    f.stored("b", &["dist"]);
    let entry = f.stored("a", &["dist"]);
    assert_eq!(entry.outputs().filter(|output| !output.is_folder()).count(), 2);
    assert_eq!(f.files().len(), 3);
}

#[test]
fn long_logs_and_explanations_are_stored_beside_the_entry() {
    let f = Fixture::new();
    let log: String = incompressible("log", 200_000).iter().map(|byte| char::from(byte % 90 + 33)).collect();
    let explanation = incompressible("explanation", 3_000_000);
    let new = NewEntry {
        task: "t",
        explanation: &explanation,
        log: &log,
        took: 1,
        at: Timestamp(2),
        outputs: &OutputSet::default(),
        forbidden: None,
    };
    f.cache.store(&key("a"), &new, &f.root()).unwrap();
    let entry = f.hit("a");
    assert!(entry.size() < 1000, "{}", entry.size());
    assert_eq!(f.cache.log(&entry).unwrap(), log);
    assert_eq!(f.cache.explanation(&entry).unwrap(), explanation);
    f.assert_clean();
}

#[test]
fn many_small_files_share_packs() {
    let f = Fixture::new();
    for i in 0..300 {
        f.write(&format!("dist/{}/{i}", i % 7), incompressible(&i.to_string(), 40_000));
    }
    let entry = f.stored("a", &["dist"]);
    assert_eq!(entry.packs.len(), 2, "12 MB in packs of 8 MiB");
    assert!(entry.size() < 40_000, "{}", entry.size());
    f.remove("dist");
    f.cache.restore(&f.root(), &patterns(&["dist"]), &entry, &|_| false).unwrap();
    assert_eq!(f.state_of(&["dist"], &entry), OutputState::Intact);
    assert_eq!(f.read("dist/3/3"), Some(incompressible("3", 40_000)));
}

#[test]
fn outputs_with_a_secret_are_refused() {
    let holds = |bytes: &[u8]| bytes.windows(7).any(|window| window == b"hunter2");
    let forbidden = SecretMatcher { contains: &holds, longest: 7 };
    let across = |at: usize| {
        let mut bytes = vec![b'.'; 600_000];
        bytes[at..at + 7].copy_from_slice(b"hunter2");
        bytes
    };
    let cases: [(&str, Make<'_>); 5] = [
        ("dist/small", &|f| f.write("dist/small", "password=hunter2")),
        ("dist/large", &|f| f.write("dist/large", across((256 << 10) - 3))),
        ("dist/late", &|f| f.write("dist/late", across(599_993))),
        ("dist/hunter2.txt", &|f| f.write("dist/hunter2.txt", "")),
        ("dist/link", &|f| f.link("dist/link", "to/hunter2")),
    ];
    for (name, make) in cases {
        let f = Fixture::new();
        f.write("dist/innocent", incompressible("innocent", 100_000));
        make(&f);
        let outputs = f.collect(&["dist"]);
        let new = NewEntry {
            task: "t",
            explanation: b"",
            log: "",
            took: 1,
            at: Timestamp(2),
            outputs: &outputs,
            forbidden: Some(&forbidden),
        };
        let refused = |f: &Fixture| match f.cache.store(&key("a"), &new, &f.root()) {
            Err(CacheError::Secret { path }) => assert_eq!(path.to_string(), name),
            other => panic!("{name}: {other:?}"),
        };
        refused(&f);
        assert!(f.files().is_empty() && f.temps() == 0, "{name}");
        // It is refused even if a run without secrets has stored the same content.
        f.store("other", &outputs).unwrap();
        refused(&f);
        assert_eq!(f.cache.lookup(&key("a")), Lookup::Absent);
    }
}

#[test]
fn output_changed_since_collection_is_not_stored() {
    for len in [10, 100_000] {
        let f = Fixture::new();
        f.write("dist/a", incompressible("one", len));
        let outputs = f.collect(&["dist"]);
        let changes: [&dyn Fn(); 4] = [
            &|| f.write("dist/a", incompressible("two", len)),
            &|| f.write("dist/a", incompressible("one", len + 1)),
            &|| f.remove("dist/a"),
            &|| f.link("dist/a", "/etc/passwd"),
        ];
        for change in changes {
            change();
            let stored = f.store("a", &outputs);
            assert!(matches!(&stored, Err(CacheError::Changed { path }) if path.to_string() == "dist/a"));
        }
        assert!(f.files().is_empty() && f.temps() == 0);
    }
}

#[test]
fn output_larger_than_the_cache_is_refused() {
    let f = Fixture::with_cap(150_000);
    f.write("dist/fits", incompressible("fits", 100_000));
    f.stored("a", &["dist"]);
    f.write("dist/more", incompressible("more", 100_000));
    let refused = f.store("b", &f.collect(&["dist"]));
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("the cache is limited to 146.5 KiB"), "{text}");
    f.hit("a");
    assert_eq!((f.files().len(), f.temps()), (2, 0));
}

#[test]
fn threads_can_store_the_same_key() {
    let f = Fixture::new();
    f.write("dist/a", incompressible("a", 100_000));
    f.write("dist/b", "b");
    let outputs = f.collect(&["dist"]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    f.store("a", &outputs).unwrap();
                    f.hit("a");
                }
            });
        }
    });
    assert_eq!((f.files().len(), f.temps()), (2, 0));
    f.assert_clean();
}

#[test]
fn key_lock_has_one_holder() {
    let f = Fixture::new();
    let held = f.cache.lock(&key("a")).unwrap();
    assert!(held.is_some());
    assert!(f.reopened().lock(&key("a")).unwrap().is_none());
    assert!(f.cache.lock(&key("b")).unwrap().is_some());
    drop(held);
    assert!(f.reopened().lock(&key("a")).unwrap().is_some());
}

/// A small file system, mounted for one test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = duct::cmd!("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir.path())
            .stdout_null()
            .stderr_null()
            .unchecked()
            .run();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = duct::cmd!("umount", "-l", self.0.path()).unchecked().run();
    }
}

#[test]
fn full_disk_fails_the_store_with_one_line() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let f = Fixture::new();
    let state = disk.0.path().join("state");
    let cache = Cache::open(&state, CAP, &Clock::system());
    f.write("dist/a", incompressible("a", 400_000));
    let first = cache.collect(&f.root(), &patterns(&["dist"])).unwrap();
    store(&cache, "a", &first, &f.root()).unwrap();
    for len in [2_000_000, 500_000] {
        f.write("dist/b", incompressible("b", len));
        f.write("dist/c", incompressible("c", 300_000));
        let second = cache.collect(&f.root(), &patterns(&["dist"])).unwrap();
        let text = store(&cache, "b", &second, &f.root()).unwrap_err().to_string();
        let expected = format!("no space left on the disk of {}", state.display());
        assert!(text.starts_with(&expected) && text.contains("; needed "), "{text}");
        assert!(!text.contains('\n'));
    }
    assert_eq!(fs::read_dir(state.join("cache/tmp")).unwrap().count(), 0);
    hit(&cache, "a");
    assert_eq!(cache.lookup(&key("b")), Lookup::Absent);
    assert!(cache.verify(Repair::Report).unwrap().is_clean());
}

#[test]
fn full_disk_leaves_outputs_unchanged() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let f = Fixture::new();
    let large = |f: &Fixture| f.write("dist/large", incompressible("large", 3_000_000));
    let small =
        |f: &Fixture| (0..50).for_each(|i| f.write(&format!("dist/{i}"), incompressible("s", 40_000)));
    for (name, make) in [("large", &large as Make<'_>), ("small", &small)] {
        make(&f);
        let entry = f.stored(name, &["dist"]);
        f.remove("dist");
        let root = disk.0.path().join(name);
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::write(root.join("dist/old"), "old").unwrap();
        let restored = f.cache.restore(&root, &patterns(&["dist"]), &entry, &|_| false);
        let text = restored.unwrap_err().to_string();
        assert!(text.starts_with("no space left on the disk of"), "{text}");
        let left: Vec<_> = fs::read_dir(root.join("dist")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["old"], "{name}");
    }
}
