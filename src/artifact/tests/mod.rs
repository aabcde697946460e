//! Tests of artifacts and stores in temporary folders.

mod registry;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::artifact::archive::{PackedArtifact, digest_of_gzipped};
use crate::artifact::outputs::{OutputsError, TaskOutputs};
use crate::artifact::pack::{PackError, pack};
use crate::artifact::store::{Store, StoreContext, StoreError};
use crate::base::clock::{Clock, Timestamp};
use crate::base::digest::Digest;
use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns};
use crate::cache::{Cache, CacheError, Lookup, NewEntry};
use crate::config::deploy::{SshDestination, StoreLocation};
use crate::deploy::release::ArtifactDigest;
use crate::target::connection::Connector;

/// A work tree, and a state directory with a cache.
pub(super) struct Fixture {
    dir: tempfile::TempDir,
    cache: Cache,
    clock: Clock,
}

fn patterns(texts: &[&str]) -> Patterns {
    let base = RepoPath::top();
    let parse = |text: &&str| Pattern::parse(text, PatternBase { base: &base, anchored: true }).unwrap();
    Patterns::new(texts.iter().map(|text| Item::including(Matcher::Pattern(parse(text)))).collect())
}

impl Fixture {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["root", "state", "temp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let clock = Clock::system();
        let cache = Cache::open(&dir.path().join("state"), 1 << 30, &clock);
        Self { dir, cache, clock }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("root")
    }

    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.root().join(path), Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn outputs(&self) -> Result<TaskOutputs, OutputsError> {
        TaskOutputs::from_folder(&self.cache, &self.root(), &patterns(&["dist"]))
    }

    fn pack(&self) -> Result<PackedArtifact, PackError> {
        pack(&self.outputs().unwrap(), &self.path("temp"))
    }

    /// Packs `dist` with one file of this content.
    pub(super) fn artifact(&self, content: impl AsRef<[u8]>) -> PackedArtifact {
        self.write("dist/app", content);
        self.pack().unwrap()
    }

    fn store(&self, kind: Kind) -> Store {
        let location = match kind {
            Kind::Folder => StoreLocation::StateDir,
            Kind::Ssh => StoreLocation::Ssh {
                destination: SshDestination { host: "files".to_owned(), port: None },
                path: self.objects(kind).to_str().unwrap().to_owned(),
            },
        };
        self.store_at(&location)
    }

    /// Returns the folder with the objects of a store.
    fn objects(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Folder => self.path("state/artifacts"),
            Kind::Ssh => self.path("far away/it's here"),
        }
    }

    fn store_at(&self, location: &StoreLocation) -> Store {
        let (state, root, bin) = (self.path("state"), self.root(), self.path("bin"));
        // It runs what it should run elsewhere on this machine.
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            let script =
                "#!/bin/sh\nfor last; do case $last in -N) exit 0 ;; esac; done\nexec sh -c \"$last\"\n";
            fs::write(bin.join("ssh"), script).unwrap();
            fs::set_permissions(bin.join("ssh"), Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        let env =
            Env::new([("PATH".into(), path.into()), ("HOME".into(), root.clone().into())], root.clone());
        let connector = Arc::new(Connector::new(&env));
        let context =
            StoreContext { state: &state, root: &root, clock: &self.clock, connector: &connector, env: &env };
        Store::open(location, context)
    }
}

/// The kinds of stores that need no server.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Folder,
    /// By a program named `ssh` that stays on this machine.
    Ssh,
}

const KINDS: [Kind; 2] = [Kind::Folder, Kind::Ssh];

/// Returns the gzipped bytes of an artifact in a store.
pub(super) fn read(store: &Store, digest: &ArtifactDigest) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    store.read(digest)?.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

/// Returns all paths below a folder with kind, mode and content.
fn listing(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let shown = if meta.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                folders.push(path.clone());
                format!("folder {:o}", meta.permissions().mode())
            } else {
                format!("{:o} {:?}", meta.permissions().mode(), fs::read(&path).unwrap())
            };
            found.push((path.strip_prefix(folder).unwrap().to_owned(), shown));
        }
    }
    found.sort();
    found
}

fn unpack(packed: &PackedArtifact, into: &Path) {
    fs::create_dir_all(into).unwrap();
    duct::cmd!("tar", "-xpzf", packed.path(), "-C", into).run().unwrap();
}

#[test]
fn archive_has_the_digest_that_it_had_in_the_first_version() {
    let fixture = Fixture::new();
    fixture.write("dist/bin/run", "#!/bin/sh\n");
    fixture.mode("dist/bin/run", 0o755);
    fixture.write("dist/app.js", "app");
    fixture.write("dist/größe/\u{fe0f}", [0, 255, 10]);
    fixture.write(&format!("dist/{}/{}", "long-".repeat(30), "name-".repeat(20)), "long");
    fs::create_dir(fixture.root().join("dist/empty")).unwrap();
    symlink("../app.js", fixture.root().join("dist/bin/link")).unwrap();
    let long = format!("../{}/{}", "long-".repeat(30), "name-".repeat(20));
    symlink(long, fixture.root().join("dist/bin/long")).unwrap();
    let packed = fixture.pack().unwrap();
    assert_eq!(packed.digest().0, GOLDEN, "stored artifacts would get other digests");
    assert_eq!(packed.size() % 512, 0);
    assert_eq!(digest_of_gzipped(packed.open().unwrap()).unwrap(), *packed.digest());

    let into = fixture.path("unpacked");
    unpack(&packed, &into);
    assert_eq!(listing(&into.join("dist")), listing(&fixture.root().join("dist")));
}

const GOLDEN: &str = "sha256:dd67d7487553ef507d5bb2df3c5af0711bd420e2db66255f27327782aa98c2bf";

#[test]
fn what_another_machine_may_do_differently_does_not_change_the_digest() {
    let fixture = Fixture::new();
    fixture.write("dist/a", "a");
    fixture.write("dist/b/c", "c");
    let digest = fixture.pack().unwrap().digest().clone();
    fixture.mode("dist/a", 0o600);
    fixture.mode("dist/b/c", 0o664);
    fixture.mode("dist/b", 0o700);
    fs::File::open(fixture.root().join("dist/a")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(*fixture.pack().unwrap().digest(), digest);
    fixture.mode("dist/a", 0o700);
    assert_ne!(*fixture.pack().unwrap().digest(), digest);
}

#[test]
fn stored_result_and_folder_of_the_run_pack_equally() {
    let fixture = Fixture::new();
    fixture.write("dist/small", "small");
    fixture.write("dist/large", vec![7; 300_000]);
    fixture.write("dist/sub/x", "x");
    fixture.mode("dist/small", 0o755);
    symlink("small", fixture.root().join("dist/link")).unwrap();
    // Nobody may write to this folder, not even while the outputs are restored and removed.
    fixture.mode("dist/sub", 0o555);
    let from_folder = fixture.pack().unwrap();
    let key = Digest::hash(b"key");
    let patterns = patterns(&["dist"]);
    let outputs = fixture.cache.collect(&fixture.root(), &patterns).unwrap();
    let new = NewEntry {
        task: "build",
        explanation: b"",
        log: "",
        took: 1,
        at: Timestamp(0),
        outputs: &outputs,
        forbidden: None,
    };
    fixture.cache.store(&key, &new, &fixture.root()).unwrap();
    fixture.mode("dist/sub", 0o755);
    let Lookup::Hit(entry) = fixture.cache.lookup(&key) else { panic!("no entry") };
    let temp = fixture.path("temp");
    let restored = TaskOutputs::from_entry(&fixture.cache, &entry, &patterns, &temp).unwrap();
    let from_entry = pack(&restored, &temp).unwrap();
    assert_eq!(from_entry.digest(), from_folder.digest());
    drop((restored, from_entry, from_folder));
    assert_eq!(fs::read_dir(temp).unwrap().count(), 0, "a temporary file stays");
}

#[test]
fn what_can_not_be_packed_is_named() {
    let cases = [
        ("/etc/passwd", "dist/x can't be packed: it links to /etc/passwd, which is outside of the outputs"),
        ("../../x", "dist/x can't be packed: it links to ../../x, which is outside of the outputs"),
        ("../src", "dist/x can't be packed: it links to ../src, which is not an output of the task"),
        ("gone", "dist/x can't be packed: it links to gone, which is not an output of the task"),
        ("x", "dist/x can't be packed: it links to x, which leads back to it"),
    ];
    for (target, expected) in cases {
        let fixture = Fixture::new();
        fixture.write("src", "");
        fixture.write("dist/app", "");
        symlink(target, fixture.root().join("dist/x")).unwrap();
        assert_eq!(fixture.pack().unwrap_err().to_string(), expected);
    }
    let fixture = Fixture::new();
    assert_eq!(
        fixture.outputs().unwrap_err().to_string(),
        "nothing matches the declared output dist",
        "a missing output"
    );
    fixture.write("dist/app", "");
    let _socket = std::os::unix::net::UnixListener::bind(fixture.root().join("dist/socket")).unwrap();
    let error = fixture.outputs().unwrap_err();
    assert!(matches!(error, OutputsError::Cache(CacheError::Special { kind: "socket", .. })), "{error}");
    let none = TaskOutputs::from_folder(&fixture.cache, &fixture.root(), &Patterns::default());
    assert!(matches!(none, Err(OutputsError::None)));
}

#[test]
fn file_that_changes_after_its_task_is_not_packed() {
    for content in ["other", "longer than before", ""] {
        let fixture = Fixture::new();
        fixture.write("dist/app", "first");
        let outputs = fixture.outputs().unwrap();
        fixture.write("dist/app", content);
        let error = pack(&outputs, &fixture.path("temp")).unwrap_err();
        assert_eq!(error.to_string(), "dist/app changed while it was packed");
    }
}

/// A name of a file, which may contain any byte that a file system accepts.
fn file_name() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![Just(b'a'), Just(b'.'), Just(b' '), Just(b'-'), Just(b'\\'), Just(0xff_u8), 1..=255_u8];
    let is_possible =
        |name: &Vec<u8>| !name.contains(&b'/') && name != b"." && name != b".." && name != b".git";
    vec(byte, 1..40).prop_filter("a possible name", is_possible)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn equal_outputs_make_equal_archives_that_unpack_to_them(
        files in btree_map(vec(file_name(), 1..4), (vec(any::<u8>(), 0..600), any::<bool>()), 1..8),
    ) {
        let mut digests = BTreeSet::new();
        // Files are created in both orders.
        for is_reversed in [false, true] {
            let fixture = Fixture::new();
            let mut files: Vec<_> = files.iter().collect();
            if is_reversed {
                files.reverse();
            }
            for (parts, (content, is_executable)) in &files {
                let path = parts.iter().fold(fixture.root().join("dist"), |path, part| path.join(OsStr::from_bytes(part)));
                // A name may be a folder of one file and a file of its own: then it stays what it is.
                if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::write(&path, content).is_ok() {
                    let mode = if *is_executable { 0o755 } else { 0o644 };
                    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                }
            }
            let packed = fixture.pack().unwrap();
            let into = fixture.path("unpacked");
            unpack(&packed, &into);
            prop_assert_eq!(listing(&into.join("dist")), listing(&fixture.root().join("dist")));
            let is_prefix = |one: &Vec<Vec<u8>>, other: &Vec<Vec<u8>>| one != other && other.starts_with(one);
            let all: Vec<_> = files.iter().map(|(parts, _)| *parts).collect();
            if !all.iter().any(|one| all.iter().any(|other| is_prefix(one, other))) {
                digests.insert(packed.digest().clone());
            }
        }
        prop_assert!(digests.len() <= 1);
    }
}

#[test]
fn artifact_is_stored_once_and_read_again() {
    for kind in KINDS {
        let fixture = Fixture::new();
        let store = fixture.store(kind);
        let packed = fixture.artifact("one");
        assert!(!store.has(packed.digest()).unwrap());
        let missing = read(&store, packed.digest()).unwrap_err();
        assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
        store.put(&packed).unwrap();
        store.put(&packed).unwrap();
        assert!(store.has(packed.digest()).unwrap());
        for _ in 0..2 {
            let bytes = read(&store, packed.digest()).unwrap();
            assert_eq!(digest_of_gzipped(&*bytes).unwrap(), *packed.digest());
        }
        assert_eq!(fs::read_dir(fixture.objects(kind)).unwrap().count(), 1);
    }
}

#[test]
fn large_artifact_is_read_in_parts() {
    let fixture = Fixture::new();
    let mut content = vec![0; 40 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let packed = fixture.artifact(content);
    let store = fixture.store(Kind::Ssh);
    store.put(&packed).unwrap();
    let (mut one, mut two) = (store.read(packed.digest()).unwrap(), store.read(packed.digest()).unwrap());
    // Both readers have a position of their own.
    let mut first = vec![0; 1000];
    one.read_exact(&mut first).unwrap();
    assert_eq!(digest_of_gzipped(&mut two).unwrap(), *packed.digest());
    assert_eq!(digest_of_gzipped(first.chain(one)).unwrap(), *packed.digest());
}

#[test]
fn relative_folder_of_a_store_is_below_the_repository() {
    let fixture = Fixture::new();
    let packed = fixture.artifact("one");
    fixture.store_at(&StoreLocation::Folder("store".to_owned())).put(&packed).unwrap();
    assert_eq!(fs::read_dir(fixture.root().join("store")).unwrap().count(), 1);
    let absolute = StoreLocation::Folder(fixture.path("elsewhere").to_str().unwrap().to_owned());
    fixture.store_at(&absolute).put(&packed).unwrap();
    assert_eq!(fs::read_dir(fixture.path("elsewhere")).unwrap().count(), 1);
}

#[test]
fn object_that_is_cut_off_or_changed_is_never_accepted_and_is_replaced() {
    for kind in KINDS {
        let fixture = Fixture::new();
        let packed = fixture.artifact("one");
        fixture.store(kind).put(&packed).unwrap();
        let digest = packed.digest();
        let object = fixture.objects(kind).join(format!("{}.tar.gz", digest.hex()));
        let whole = fs::read(&object).unwrap();
        let cut_off = (0..whole.len()).map(|length| whole[..length].to_vec());
        let longer = [[&*whole, b"x"].concat(), [&*whole, &*whole].concat()];
        let other = fs::read(fixture.artifact("two").path()).unwrap();
        // The first bytes are the header of gzip, which does not belong to the content. A call by ssh takes time.
        let step = if kind == Kind::Ssh { 16 } else { 1 };
        let flipped = (10..whole.len()).step_by(step).map(|position| {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            bytes
        });
        for (number, bytes) in cut_off.chain(longer).chain([other]).chain(flipped).enumerate() {
            fs::write(&object, bytes).unwrap();
            let store = fixture.store(kind);
            let error = read(&store, digest).unwrap_err();
            assert!(matches!(&error, StoreError::Damaged { .. }), "{kind:?} {number}: {error}");
            assert!(error.to_string().contains(object.to_str().unwrap()), "{error}");
            assert!(!store.has(digest).unwrap(), "{kind:?} {number}");
        }
        let store = fixture.store(kind);
        store.put(&packed).unwrap();
        assert_eq!(digest_of_gzipped(&*read(&store, digest).unwrap()).unwrap(), *digest);
    }
}

#[test]
fn damaged_file_of_an_artifact_is_not_stored() {
    for kind in KINDS {
        let fixture = Fixture::new();
        let packed = fixture.artifact("one");
        fs::write(packed.path(), "damaged").unwrap();
        assert!(matches!(fixture.store(kind).put(&packed), Err(StoreError::Damaged { .. })));
        assert_eq!(fs::read_dir(fixture.objects(kind)).map_or(0, Iterator::count), 0);
    }
}

#[test]
fn transfer_that_is_cut_off_leaves_nothing() {
    let fixture = Fixture::new();
    let mut content = vec![0; 10_000];
    blake3::Hasher::new().finalize_xof().fill(&mut content);
    let packed = fixture.artifact(content);
    let store = fixture.store(Kind::Ssh);
    // The connection is lost after the program and a part of the archive.
    let script = "#!/bin/sh\nfor last; do case $last in -N) exit 0 ;; esac; done\n\
                  head -c \"$(cat \"${0%/*}/length\")\" | sh -c \"$last\"\n";
    fs::write(fixture.path("bin/ssh"), script).unwrap();
    let mut failed = 0;
    for length in (0..20_000).step_by(400) {
        fs::write(fixture.path("bin/length"), length.to_string()).unwrap();
        match store.put(&packed) {
            Ok(()) => break,
            Err(_) => failed += 1,
        }
        assert_eq!(fs::read_dir(fixture.objects(Kind::Ssh)).map_or(0, Iterator::count), 0, "{length}");
    }
    assert!(failed > 20, "{failed}");
    assert!(fixture.store(Kind::Ssh).has(packed.digest()).unwrap());
}

#[test]
fn many_that_store_at_once_do_no_harm() {
    for kind in KINDS {
        let fixture = Fixture::new();
        let packed = fixture.artifact(vec![3; 100_000]);
        let store = fixture.store(kind);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| store.put(&packed).unwrap());
                scope.spawn(|| match read(&store, packed.digest()) {
                    Ok(bytes) => assert_eq!(digest_of_gzipped(&*bytes).unwrap(), *packed.digest()),
                    Err(error) => assert!(matches!(error, StoreError::Missing { .. }), "{error}"),
                });
            }
        });
        assert_eq!(fs::read_dir(fixture.objects(kind)).unwrap().count(), 1);
    }
}

#[test]
fn only_old_artifacts_that_nobody_keeps_are_removed() {
    for kind in KINDS {
        let fixture = Fixture::new();
        let store = fixture.store(kind);
        let day = Duration::from_secs(24 * 60 * 60);
        let none = BTreeSet::new();
        assert_eq!(store.retain(&none, day).unwrap(), []);
        let [kept, unused, again, recent] =
            ["kept", "unused", "again", "recent"].map(|content| fixture.artifact(content));
        for packed in [&kept, &unused, &again, &recent] {
            store.put(packed).unwrap();
        }
        let folder = fixture.objects(kind);
        fs::write(folder.join(".new-killed"), "").unwrap();
        fs::write(folder.join("README"), "").unwrap();
        fs::write(folder.join("other.tar.gz"), "").unwrap();
        assert_eq!(store.retain(&none, day).unwrap(), []);
        let past = Clock::system().now().system() - 2 * day;
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if !path.to_str().unwrap().contains(recent.digest().hex()) {
                fs::File::options().append(true).open(path).unwrap().set_modified(past).unwrap();
            }
        }
        store.put(&again).unwrap();
        let keep = BTreeSet::from([kept.digest().clone()]);
        assert_eq!(store.retain(&keep, day).unwrap(), [unused.digest().clone()], "{kind:?}");
        for packed in [&kept, &again, &recent] {
            assert!(store.has(packed.digest()).unwrap(), "{kind:?}");
        }
        let has = |name: &str| folder.join(name).exists();
        assert!(!has(".new-killed") && has("README") && has("other.tar.gz"), "{kind:?}");
    }
}

#[test]
fn text_that_is_no_digest_is_never_a_path() {
    let long = "A".repeat(64);
    for kind in KINDS {
        let fixture = Fixture::new();
        let store = fixture.store(kind);
        for text in ["", "sha256:", "sha256:../../etc/passwd", &format!("sha256:{long}"), &"a".repeat(64)] {
            let error = store.has(&ArtifactDigest(text.to_owned())).unwrap_err();
            assert!(matches!(error, StoreError::InvalidDigest(_)), "{text}: {error}");
        }
    }
}

#[test]
fn store_that_can_not_be_reached_says_why() {
    let fixture = Fixture::new();
    let packed = fixture.artifact("one");
    let store = fixture.store(Kind::Ssh);
    fs::write(fixture.path("bin/ssh"), "#!/bin/sh\necho 'Connection refused' >&2; exit 255\n").unwrap();
    let expected = format!("ssh://files{}: Connection refused", fixture.objects(Kind::Ssh).display());
    assert_eq!(store.put(&packed).unwrap_err().to_string(), expected);
    assert_eq!(store.has(packed.digest()).unwrap_err().to_string(), expected);
}
