//! Tests stores of artifacts on real servers: a folder behind sshd, and Debian's `docker-registry`.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use taskgate::artifact::archive::PackedArtifact;
use taskgate::artifact::outputs::TaskOutputs;
use taskgate::artifact::pack::pack;
use taskgate::artifact::store::{Store, StoreContext, StoreError};
use taskgate::base::clock::Clock;
use taskgate::base::env::Env;
use taskgate::base::path::RepoPath;
use taskgate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns};
use taskgate::cache::Cache;
use taskgate::config::deploy::{SshDestination, StoreLocation};
use taskgate::deploy::release::ArtifactDigest;
use taskgate::target::connection::Connector;

use crate::project::ports::free_port;
use crate::sshd::Hosts;

/// Packs a folder `dist` with one file of this content.
fn artifact(dir: &Path, content: &str) -> PackedArtifact {
    fs::create_dir_all(dir.join("root/dist")).unwrap();
    fs::write(dir.join("root/dist/app"), content).unwrap();
    let cache = Cache::open(&dir.join("state"), 1 << 30, &Clock::system());
    let base = RepoPath::top();
    let dist = Pattern::parse("dist", PatternBase { base: &base, anchored: true }).unwrap();
    let patterns = Patterns::new(vec![Item::including(Matcher::Pattern(dist))]);
    let outputs = TaskOutputs::from_folder(&cache, &dir.join("root"), &patterns).unwrap();
    pack(&outputs, dir).unwrap()
}

fn store(dir: &Path, location: &StoreLocation, env: &Env) -> Store {
    let connector = Arc::new(Connector::new(env));
    let (state, clock) = (dir.join("state"), Clock::system());
    Store::open(
        location,
        StoreContext { state: &state, root: dir, clock: &clock, connector: &connector, env },
    )
}

fn read(store: &Store, digest: &ArtifactDigest) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    store.read(digest)?.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

/// Returns what `tar` prints of the file in an artifact.
fn content(dir: &Path, packed: &[u8]) -> String {
    fs::write(dir.join("read.tar.gz"), packed).unwrap();
    let printed = Command::new("tar").args(["-xzOf", "read.tar.gz", "dist/app"]).current_dir(dir).output();
    String::from_utf8(printed.unwrap().stdout).unwrap()
}

#[test]
fn artifacts_are_kept_behind_ssh() {
    let hosts = Hosts::start(1);
    let dir = hosts.dir().to_owned();
    let env = Env::new(hosts.variables(), dir.clone());
    let destination = SshDestination { host: Hosts::name(0), port: None };
    let folder = dir.join("srv/artifacts");
    let location = StoreLocation::Ssh { destination, path: folder.to_str().unwrap().to_owned() };
    let store = store(&dir, &location, &env);
    let (one, two) = (artifact(&dir, "one"), artifact(&dir, "two"));
    assert!(matches!(read(&store, one.digest()), Err(StoreError::Missing { .. })));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| store.put(&one).unwrap());
        }
    });
    store.put(&two).unwrap();
    assert!(store.has(one.digest()).unwrap() && store.has(two.digest()).unwrap());
    assert_eq!(content(&dir, &read(&store, one.digest()).unwrap()), "one");
    fs::write(folder.join(format!("{}.tar.gz", two.digest().hex())), "damaged").unwrap();
    assert!(matches!(read(&store, two.digest()), Err(StoreError::Damaged { .. })));
    store.put(&two).unwrap();
    assert_eq!(content(&dir, &read(&store, two.digest()).unwrap()), "two");
    let past = Clock::system().now().system() - Duration::from_secs(7200);
    for entry in fs::read_dir(&folder).unwrap() {
        fs::File::options().append(true).open(entry.unwrap().path()).unwrap().set_modified(past).unwrap();
    }
    let keep = BTreeSet::from([two.digest().clone()]);
    assert_eq!(store.retain(&keep, Duration::from_secs(3600)).unwrap(), [one.digest().clone()]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(hosts.logins(0), 1);
}

/// A registry in a folder of its own.
struct Registry {
    dir: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Registry {
    /// Starts it. With `users`, only these may enter.
    fn start(users: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let shown = dir.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {shown}/data}}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n"
        );
        if let Some(users) = users {
            fs::write(dir.path().join("users"), users).unwrap();
            config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {shown}/users}}}}\n"));
        }
        fs::write(dir.path().join("config.yml"), config).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry: {error}; tests/real/install.sh installs it"));
        let registry = Self { dir, port, process };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(registry.dir.path().join("log")).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60), "the registry does not listen: {log}");
            thread::sleep(Duration::from_millis(10));
        }
        registry
    }

    /// Opens a repository, with the configuration of docker in the folder of the registry.
    fn store(&self) -> Store {
        let dir = self.dir.path();
        let env = Env::new([("DOCKER_CONFIG".into(), dir.into())], dir.to_owned());
        let registry = format!("127.0.0.1:{}", self.port);
        store(dir, &StoreLocation::Oci { registry, repository: "shop/artifacts".to_owned() }, &env)
    }

    fn log_in(&self, auth: &str) {
        let config = format!(r#"{{"auths": {{"127.0.0.1:{}": {{"auth": "{auth}"}}}}}}"#, self.port);
        fs::write(self.dir.path().join("config.json"), config).unwrap();
    }

    /// Returns the files of all archives.
    fn archives(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().join("data/docker/registry/v2/blobs")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
                    found.push(path);
                }
            }
        }
        found
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn artifacts_are_kept_in_a_registry() {
    let registry = Registry::start(None);
    let dir = registry.dir.path();
    let store = registry.store();
    let (one, two) = (artifact(dir, "one"), artifact(dir, "two"));
    assert!(matches!(read(&store, one.digest()), Err(StoreError::Missing { .. })));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| registry.store().put(&one).unwrap());
        }
    });
    assert_eq!(content(dir, &read(&store, one.digest()).unwrap()), "one");
    assert!(matches!(read(&store, two.digest()), Err(StoreError::Missing { .. })), "another tag");
    let archives = registry.archives();
    store.put(&one).unwrap();
    assert_eq!(registry.archives(), archives, "it is uploaded only once");

    // Other tools can read it too.
    let tag = format!("docker://127.0.0.1:{}/shop/artifacts:tar-{}", registry.port, one.digest().hex());
    let inspected = Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &tag]).output();
    let inspected =
        inspected.unwrap_or_else(|error| panic!("skopeo: {error}; tests/real/install.sh installs it"));
    let manifest = String::from_utf8(inspected.stdout).unwrap();
    assert!(manifest.contains(r#""artifactType":"application/vnd.taskgate.artifact.v1""#), "{manifest}");
}

#[test]
fn damaged_blob_of_a_registry_is_never_accepted_and_is_replaced() {
    let registry = Registry::start(None);
    let dir = registry.dir.path();
    let packed = artifact(dir, "one");
    registry.store().put(&packed).unwrap();
    let [blob] = &registry.archives()[..] else { panic!("one archive") };
    let whole = fs::read(blob).unwrap();
    for length in 0..whole.len() {
        fs::write(blob, &whole[..length]).unwrap();
        let error = read(&registry.store(), packed.digest()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{length}: {error}");
    }
    assert!(!registry.store().has(packed.digest()).unwrap());
    registry.store().put(&packed).unwrap();
    assert_eq!(content(dir, &read(&registry.store(), packed.digest()).unwrap()), "one");
    for archive in registry.archives() {
        fs::remove_file(archive).unwrap();
    }
    let error = read(&registry.store(), packed.digest()).unwrap_err();
    assert!(error.to_string().contains("its layer is missing"), "{error}");
    registry.store().put(&packed).unwrap();
    assert_eq!(content(dir, &read(&registry.store(), packed.digest()).unwrap()), "one");
}

#[test]
fn registry_with_a_password_lets_in_who_has_logged_in() {
    // The password is `U*U`.
    let registry =
        Registry::start(Some("test:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"));
    let dir = registry.dir.path();
    let packed = artifact(dir, "one");
    let error = registry.store().put(&packed).unwrap_err().to_string();
    let hint = format!("hint: docker login 127.0.0.1:{}", registry.port);
    assert!(error.contains("no credentials in") && error.ends_with(&hint), "{error}");
    registry.log_in("dGVzdDp3cm9uZw==");
    let error = registry.store().put(&packed).unwrap_err().to_string();
    assert!(error.contains("status 401") && error.ends_with(&hint), "{error}");
    registry.log_in("dGVzdDpVKlU=");
    registry.store().put(&packed).unwrap();
    assert_eq!(content(dir, &read(&registry.store(), packed.digest()).unwrap()), "one");
}

#[test]
fn registry_that_does_not_answer_is_an_error() {
    let registry = Registry::start(None);
    let packed = artifact(registry.dir.path(), "one");
    let store = registry.store();
    drop(registry);
    for error in [store.has(packed.digest()).unwrap_err(), read(&store, packed.digest()).unwrap_err()] {
        assert!(matches!(error, StoreError::Failed { .. }), "{error}");
        assert!(error.to_string().starts_with("oci://127.0.0.1:"), "{error}");
    }
}
