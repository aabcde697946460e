//! Tests a target on folders of this machine, with the real program of a host in the real shell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::env::Env;
use crate::base::wait::wait_until;
use crate::config::deploy::{
    CheckFrom, Connection, Environment, HealthCheck, HealthProbe, Host as HostConfig, Migrations, OnLost,
    Policy, Ports, ReleaseSelector, Role, Router, RunOn, Runs, SshDestination, Traffic, Variables,
};
use crate::config::model::SourceLocation;
use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::{Lease, LeaseRequest, Order};
use crate::deploy::observation::{Observation, SlotState};
use crate::deploy::record::{Ending, What};
use crate::deploy::release::{ArtifactDigest, Release, ReleaseArtifact, ReleaseId, Slot};
use crate::deploy::step::{Instance, Step, StepOutcome, Weights};
use crate::deploy::target::{StepContext, Target, TargetError};
use crate::target::connection::Connector;
use crate::target::host::{CallLimits, Host, HostError, folder_name};
use crate::target::hosts::{ArtifactSource, HostsTarget};
use crate::target::router::driver::{RouterDriver, RouterSite};

/// Artifacts that were packed for a test.
#[derive(Clone, Default)]
struct Packed(Arc<Mutex<BTreeMap<ArtifactDigest, Vec<u8>>>>);

impl ArtifactSource for Packed {
    fn open(&self, digest: &ArtifactDigest) -> io::Result<Box<dyn Read + Send>> {
        let bytes = self.0.lock().unwrap().get(digest).cloned();
        bytes.map_or(Err(io::ErrorKind::NotFound.into()), |bytes| Ok(Box::new(io::Cursor::new(bytes)) as _))
    }
}

impl Packed {
    /// Packs a folder with a file `content`.
    fn pack(&self, content: &str) -> (ArtifactDigest, u64) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        fs::write(dir.path().join("content"), content).unwrap();
        fs::write(dir.path().join("bin/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(dir.path().join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
        let archive = tempfile::tempdir().unwrap();
        let tar = archive.path().join("a.tar");
        duct::cmd!("tar", "-C", dir.path(), "-cf", &tar, ".").run().unwrap();
        let size = fs::metadata(&tar).unwrap().len();
        let sum = duct::cmd!("sha256sum", &tar).read().unwrap();
        let digest = ArtifactDigest(format!("sha256:{}", sum.split(' ').next().unwrap()));
        let packed = duct::cmd!("gzip", "-c", &tar).stdout_capture().run().unwrap().stdout;
        self.0.lock().unwrap().insert(digest.clone(), packed);
        (digest, size)
    }
}

/// The weights of a router that only exists in a test, and the requests that its slots still work on.
#[derive(Clone, Default)]
struct FakeRouter(Arc<Mutex<(Option<Weights>, Vec<u64>)>>);

impl RouterDriver for FakeRouter {
    fn shift(&self, site: &RouterSite<'_>, order: &Order, weights: Weights) -> Result<(), HostError> {
        let limits = CallLimits { timeout: site.timeout, is_stopped: site.is_stopped };
        let script = "cat >\"$path/weights\"";
        let text = format!("{} {}", weights.blue, weights.green);
        site.host.order(order, script, Box::new(io::Cursor::new(text)), limits)?;
        self.0.lock().unwrap().0 = Some(weights);
        Ok(())
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        self.0.lock().unwrap().0.ok_or_else(|| site.host.failed("no weights"))
    }

    fn sample(&self, _: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        Ok(SlotSamples::default())
    }

    fn in_flight(&self, _: &RouterSite<'_>, _: Slot) -> Result<Option<u64>, HostError> {
        Ok(self.0.lock().unwrap().1.pop())
    }
}

/// An environment whose hosts are folders.
struct Fixture {
    dir: tempfile::TempDir,
    packed: Packed,
    router: FakeRouter,
    environment: Environment,
}

const LINE_START: &str =
    "sleep 600 & echo $! >\"$RUN_DIR/$SLOT.pid\"; env >\"$RUN_DIR/$SLOT.env\"; cat content";
const LINE_STOP: &str = "kill $(cat \"$RUN_DIR/{{ slot }}.pid\"); rm \"$RUN_DIR/$SLOT.pid\"";
const LINE_STATUS: &str = "kill -0 $(cat \"$RUN_DIR/$SLOT.pid\")";

impl Fixture {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap(), &["one"])
    }

    fn with_hosts(names: &[&str]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), names)
    }

    fn at(dir: tempfile::TempDir, names: &[&str]) -> Self {
        let run = |name: &&str| {
            let folder = dir.path().join("run").join(name);
            fs::create_dir_all(&folder).unwrap();
            let env = BTreeMap::from([("RUN_DIR".to_owned(), folder.to_str().unwrap().to_owned())]);
            HostConfig { name: (*name).to_owned(), connection: Connection::Local, env }
        };
        let role = Role {
            name: "web".to_owned(),
            artifacts: vec!["api".to_owned()],
            hosts: names.iter().map(run).collect(),
            runs: Runs::Lines {
                start: LINE_START.to_owned(),
                stop: Some(LINE_STOP.to_owned()),
                status: Some(LINE_STATUS.to_owned()),
            },
            ports: Some(Ports { blue: 8001, green: 8002 }),
            variables: Variables::default(),
            health_check: None,
            traffic: None,
            standby: Duration::ZERO,
        };
        let environment = Environment {
            name: "test".to_owned(),
            gate: Vec::new(),
            policy: Policy::default(),
            variables: Variables::default(),
            url: None,
            smoke: Vec::new(),
            keep: NonZeroU32::MIN,
            timeout: Duration::from_secs(60),
            lease: Duration::from_secs(60),
            max_parallel: NonZeroU32::new(4).unwrap(),
            path: format!("{}/{{{{ host }}}}", dir.path().display()),
            roles: vec![role],
            migrations: None,
            location: SourceLocation::default(),
        };
        Self { dir, packed: Packed::default(), router: FakeRouter::default(), environment }
    }

    fn role(&mut self) -> &mut Role {
        &mut self.environment.roles[0]
    }

    fn target(&self) -> HostsTarget {
        self.target_with(connector())
    }

    fn target_with(&self, connector: Arc<Connector>) -> HostsTarget {
        let router = self.router.clone();
        let here = self.dir.path().to_owned();
        HostsTarget::new(
            self.environment.clone(),
            connector,
            Box::new(self.packed.clone()),
            Box::new(move |_| Box::new(router.clone())),
            here,
        )
    }

    fn path(&self, host: &str) -> PathBuf {
        self.dir.path().join(host)
    }

    fn host(&self, name: &str) -> Host {
        let path = self.path(name).to_str().unwrap().to_owned();
        Host::new(name.to_owned(), Connection::Local, path, connector())
    }

    fn release(&self, number: u32, content: &str) -> Release {
        let (digest, size) = self.packed.pack(content);
        let artifact = ReleaseArtifact { digest, image: None, size: Some(size) };
        Release {
            id: ReleaseId(format!("{number}-aaaaaaaa")),
            number,
            commit: "c".to_owned(),
            tree: "t".to_owned(),
            artifacts: BTreeMap::from([("api".to_owned(), artifact)]),
            digest: format!("d{number}"),
            roles: self.environment.roles.clone(),
            migrations: self.environment.migrations.clone(),
            pending: Vec::new(),
            contracts: false,
            previous: None,
            created: Timestamp(1),
            by: "ann".to_owned(),
        }
    }

    fn run_with(
        &self,
        order: &Order,
        step: &Step,
        releases: &[Release],
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> StepOutcome {
        self.run_on(&self.target(), order, step, releases, secrets)
    }

    fn run_on(
        &self,
        target: &HostsTarget,
        order: &Order,
        step: &Step,
        releases: &[Release],
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> StepOutcome {
        let context = StepContext {
            deployed: releases.last().unwrap(),
            releases,
            roles: &self.environment.roles,
            secrets,
            is_stopped: &|| false,
            progress: &|_| {},
        };
        target.run(order, step, &context)
    }

    fn run(&self, order: &Order, step: &Step, releases: &[Release]) -> StepOutcome {
        self.run_with(order, step, releases, &BTreeMap::new())
    }

    fn done(&self, order: &Order, step: &Step, releases: &[Release]) {
        assert_eq!(self.run(order, step, releases), StepOutcome::Done, "{step:?}");
    }

    /// Delivers, stages, starts and commits a release in a slot.
    fn deploy(&self, order: &Order, release: &Release, slot: Slot) {
        let releases = std::slice::from_ref(release);
        let id = &release.id;
        let hosts: Vec<_> = self.environment.roles[0].hosts.iter().map(|host| host.name.clone()).collect();
        for host in &hosts {
            self.done(order, &deliver(host, id), releases);
            self.done(order, &Step::Stage { on: on(host, slot), release: id.clone() }, releases);
            self.done(order, &Step::Start { on: on(host, slot), release: id.clone() }, releases);
        }
        self.done(order, &Step::Commit { release: id.clone() }, releases);
    }

    fn observe(&self) -> Observation {
        self.target().observe(&self.environment.roles).unwrap()
    }

    fn slot(&self, slot: Slot) -> SlotState {
        self.observe().hosts[0].slots.as_ref().unwrap().get(slot).clone()
    }

    fn acquire(&self) -> Order {
        acquire(&self.target(), "d1")
    }
}

impl Drop for Fixture {
    /// Ends what a test has started.
    fn drop(&mut self) {
        for host in fs::read_dir(self.dir.path().join("run")).unwrap() {
            for slot in Slot::ALL {
                let file = host.as_ref().unwrap().path().join(format!("{slot}.pid"));
                if let Ok(pid) = fs::read_to_string(file) {
                    let _ = duct::cmd!("kill", pid.trim()).stderr_null().unchecked().run();
                }
            }
        }
    }
}

fn connector() -> Arc<Connector> {
    connector_with("/usr/bin:/bin")
}

fn connector_with(path: &str) -> Arc<Connector> {
    let variables = [("PATH", path), ("HOME", "/"), ("PRIVATE", "of the deploying process")];
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Arc::new(Connector::new(&Env::new(variables, "/".into())))
}

fn request(deploy: &str, nonce: &str) -> LeaseRequest {
    LeaseRequest {
        deploy: deploy.to_owned(),
        nonce: nonce.to_owned(),
        holder: format!("{deploy} on laptop"),
        duration: Duration::from_secs(600),
        takes_over: None,
    }
}

fn acquire(target: &HostsTarget, deploy: &str) -> Order {
    let request = request(deploy, deploy);
    let lease = target.acquire(&request).unwrap();
    Order { token: lease.token, nonce: request.nonce, deploy: request.deploy }
}

fn on(host: &str, slot: Slot) -> Instance {
    Instance { role: "web".to_owned(), host: host.to_owned(), slot }
}

fn deliver(host: &str, release: &ReleaseId) -> Step {
    Step::Deliver { role: "web".to_owned(), host: host.to_owned(), release: release.clone() }
}

fn failure(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Failed { reason } => reason,
        outcome => panic!("{outcome:?}"),
    }
}

/// Returns the names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn release_goes_through_all_steps() {
    let mut f = Fixture::new();
    f.role().variables.env.insert("LEVEL".to_owned(), "a \"b\" $c".to_owned());
    let order = f.acquire();
    let first = f.release(1, "first");
    f.deploy(&order, &first, Slot::Blue);
    let path = f.path("one");
    assert_eq!(fs::read_to_string(path.join("web/blue/content")).unwrap(), "first");
    assert_eq!(fs::metadata(path.join("web/blue/bin/run")).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(fs::metadata(path.join("web/blue.env")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.join(".taskgate")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_link(path.join("web/current")).unwrap(), Path::new("blue"));
    let env = fs::read_to_string(f.dir.path().join("run/one/blue.env")).unwrap();
    for line in ["SLOT=blue", "PORT=8001", "RELEASE=1-aaaaaaaa", "LEVEL=a \"b\" $c"] {
        assert!(env.lines().any(|known| known == line), "{line}: {env}");
    }
    assert!(!env.contains("PRIVATE"), "{env}");

    let second = f.release(2, "second");
    f.deploy(&order, &second, Slot::Green);
    assert_eq!(fs::read_link(path.join("web/current")).unwrap(), Path::new("green"));
    let observation = f.observe();
    assert_eq!(observation.authority.current, Some(second.id.clone()));
    assert_eq!(observation.authority.releases, [first.clone(), second.clone()]);
    let running = SlotState { release: Some(first.id.clone()), running: Some(true) };
    assert_eq!(f.slot(Slot::Blue), running);

    let stop = Step::Stop { on: on("one", Slot::Blue) };
    f.done(&order, &stop, &[first.clone(), second.clone()]);
    assert_eq!(f.slot(Slot::Blue), SlotState { running: Some(false), ..running });
    f.done(&order, &stop, &[first.clone(), second.clone()]);

    let keep = vec![second.id.clone()];
    let clean = Step::Clean { role: "web".to_owned(), host: "one".to_owned(), keep };
    f.done(&order, &clean, &[first.clone(), second.clone()]);
    assert_eq!(f.observe().authority.releases, [second]);
    // The old slot still links to it.
    assert_eq!(names(&path.join("releases")).len(), 2);
}

#[test]
fn steps_done_twice_have_the_same_effect_as_once() {
    let f = Fixture::new();
    let order = f.acquire();
    let release = f.release(1, "first");
    f.deploy(&order, &release, Slot::Blue);
    let pid = || fs::read_to_string(f.dir.path().join("run/one/blue.pid")).unwrap();
    let before = pid();
    let start = Step::Start { on: on("one", Slot::Blue), release: release.id.clone() };
    f.done(&order, &start, std::slice::from_ref(&release));
    assert_eq!(pid(), before);
    f.done(&order, &Step::Commit { release: release.id.clone() }, std::slice::from_ref(&release));
    assert_eq!(f.observe().authority.releases.len(), 1);
}

#[test]
fn clean_removes_what_is_neither_kept_nor_in_a_slot() {
    let f = Fixture::new();
    let order = f.acquire();
    let releases: Vec<_> = (1..=3).map(|number| f.release(number, &format!("content {number}"))).collect();
    for release in &releases {
        f.done(&order, &deliver("one", &release.id), &releases);
    }
    let last = &releases[2];
    f.done(&order, &Step::Stage { on: on("one", Slot::Blue), release: last.id.clone() }, &releases);
    fs::create_dir(f.path("one").join("releases/.new-1-half-1")).unwrap();
    let clean =
        Step::Clean { role: "web".to_owned(), host: "one".to_owned(), keep: vec![releases[1].id.clone()] };
    f.done(&order, &clean, &releases);
    let mut expected: Vec<_> = releases[1..]
        .iter()
        .map(|release| folder_name(&release.artifacts["api"].digest).to_owned())
        .collect();
    expected.sort();
    assert_eq!(names(&f.path("one").join("releases")), expected);
    let artifacts = f.observe().hosts[0].slots.clone().unwrap().artifacts.unwrap();
    assert_eq!(artifacts.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn several_artifacts_are_folders_of_the_slot() {
    let mut f = Fixture::new();
    f.role().artifacts = vec!["api".to_owned(), "assets".to_owned()];
    let order = f.acquire();
    let mut release = f.release(1, "api");
    let assets = f.release(1, "assets").artifacts.remove("api").unwrap();
    release.artifacts.insert("assets".to_owned(), assets);
    let releases = [release];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Green), release: id.clone() }, &releases);
    for name in ["api", "assets"] {
        let file = f.path("one").join("web/green").join(name).join("content");
        assert_eq!(fs::read_to_string(file).unwrap(), name);
    }
    let clean = Step::Clean { role: "web".to_owned(), host: "one".to_owned(), keep: Vec::new() };
    f.done(&order, &clean, &releases);
    assert_eq!(names(&f.path("one").join("releases")).len(), 2);
}

#[test]
fn image_is_a_variable_of_its_role() {
    let mut f = Fixture::new();
    f.role().artifacts = vec!["api".to_owned()];
    let order = f.acquire();
    let mut release = f.release(1, "api");
    let api = release.artifacts.get_mut("api").unwrap();
    api.image = Some("registry.example.org/api".to_owned());
    let expected = format!("IMAGE=\"registry.example.org/api@{}\"\n", api.digest);
    let mut releases = [release];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    let stage = Step::Stage { on: on("one", Slot::Blue), release: id };
    f.done(&order, &stage, &releases);
    let variables = fs::read_to_string(f.path("one").join("web/blue.env")).unwrap();
    assert!(variables.contains(&expected), "{variables}");
    let other = releases[0].artifacts["api"].clone();
    releases[0].artifacts.insert("other".to_owned(), other);
    releases[0].roles[0].artifacts.push("other".to_owned());
    assert!(failure(f.run(&order, &stage, &releases)).contains("role web has several images"));
}

#[test]
fn lease_is_granted_to_one_and_named_to_others() {
    let f = Fixture::new();
    let target = f.target();
    let lease = target.acquire(&request("d1", "n1")).unwrap();
    assert_eq!((lease.token, lease.deploy.as_str(), lease.holder.as_str()), (1, "d1", "d1 on laptop"));
    assert_eq!(lease.expires.0 - lease.granted.0, 600_000);
    let Err(TargetError::Held(held)) = target.acquire(&request("d2", "n2")) else { panic!("granted") };
    assert_eq!(*held, lease);
    // An unexpired lease can't be taken over, not even by name or by the same person.
    let takes_over = LeaseRequest { takes_over: Some("d1".to_owned()), ..request("d1", "n2") };
    assert!(matches!(target.acquire(&takes_over), Err(TargetError::Held(_))));
    // The answer to the first request may have been lost.
    assert_eq!(target.acquire(&request("d1", "n1")).unwrap().token, 1);
    assert_eq!(f.observe().authority.lease.unwrap().deploy, "d1");
}

#[test]
fn expired_lease_is_taken_over_only_by_name() {
    let f = Fixture::new();
    let target = f.target();
    let short = LeaseRequest { duration: Duration::ZERO, ..request("d1", "n1") };
    target.acquire(&short).unwrap();
    assert!(matches!(target.acquire(&request("d2", "n2")), Err(TargetError::Held(_))));
    let other = LeaseRequest { takes_over: Some("d0".to_owned()), ..request("d2", "n2") };
    assert!(matches!(target.acquire(&other), Err(TargetError::Held(_))));
    let takes_over = LeaseRequest { takes_over: Some("d1".to_owned()), ..request("d2", "n2") };
    let lease = target.acquire(&takes_over).unwrap();
    assert_eq!(lease.token, 2);
    let old = Order { token: 1, nonce: "n1".to_owned(), deploy: "d1".to_owned() };
    let superseded = Err(TargetError::Superseded { by: Some("d2".to_owned()) });
    assert_eq!(target.renew(&old), superseded);
    assert_eq!(target.release(&old), superseded);
    assert_eq!(target.record(&old, &What::Unfrozen { by: "ann".to_owned() }), superseded);
}

#[test]
fn lease_is_renewed_and_given_back() {
    let f = Fixture::new();
    let target = f.target();
    let lease = target.acquire(&LeaseRequest { duration: Duration::ZERO, ..request("d1", "n1") }).unwrap();
    let order = Order { token: lease.token, nonce: "n1".to_owned(), deploy: "d1".to_owned() };
    target.renew(&order).unwrap();
    target.release(&order).unwrap();
    target.release(&order).unwrap();
    assert_eq!(f.observe().authority.lease, None);
    assert!(matches!(target.renew(&order), Err(TargetError::Failed { .. })));
    assert_eq!(target.acquire(&request("d2", "n2")).unwrap().token, 2);
}

#[test]
fn lease_of_a_deploy_that_has_not_ended_expires_when_it_is_given_back() {
    let f = Fixture::new();
    let target = f.target();
    let lease = target.acquire(&request("d1", "n1")).unwrap();
    let order = Order { token: lease.token, nonce: "n1".to_owned(), deploy: "d1".to_owned() };
    target.record(&order, &What::Resumed { by: "ann".to_owned() }).unwrap();
    target.release(&order).unwrap();
    let seen = f.observe();
    let left = seen.authority.lease.unwrap();
    assert!(left.deploy == "d1" && left.expires <= seen.now, "{left:?}");
    // Another command may have the lease meanwhile, and gives it back whole.
    let taken = LeaseRequest { takes_over: Some("d1".to_owned()), ..request("freeze", "n2") };
    let taken = target.acquire(&taken).unwrap();
    target
        .release(&Order { token: taken.token, nonce: "n2".to_owned(), deploy: "freeze".to_owned() })
        .unwrap();
    assert_eq!(f.observe().authority.lease, None);
}

#[test]
fn of_many_requests_at_once_one_is_granted() {
    let f = Fixture::new();
    let granted: Mutex<Vec<Lease>> = Mutex::default();
    let refused: Mutex<Vec<Lease>> = Mutex::default();
    thread::scope(|scope| {
        for number in 0..6 {
            let (granted, refused, f) = (&granted, &refused, &f);
            scope.spawn(move || {
                match f.target().acquire(&request(&format!("d{number}"), &format!("n{number}"))) {
                    Ok(lease) => granted.lock().unwrap().push(lease),
                    Err(TargetError::Held(lease)) => refused.lock().unwrap().push(*lease),
                    Err(error) => panic!("{error}"),
                }
            });
        }
    });
    let granted = granted.into_inner().unwrap();
    assert_eq!(granted.len(), 1);
    let refused = refused.into_inner().unwrap();
    assert_eq!(refused.len(), 5);
    assert!(refused.iter().all(|lease| *lease == granted[0]));
}

#[test]
fn every_order_with_an_old_token_or_another_nonce_is_refused() {
    let f = Fixture::new();
    let old = f.acquire();
    let releases = [f.release(1, "first"), f.release(2, "second")];
    f.deploy(&old, &releases[0], Slot::Blue);
    f.target().release(&old).unwrap();
    let order = acquire(&f.target(), "d2");
    let other_nonce = Order { nonce: "other".to_owned(), ..order.clone() };
    let id = releases[0].id.clone();
    let steps = [
        deliver("one", &releases[1].id),
        Step::Stage { on: on("one", Slot::Green), release: id.clone() },
        Step::Start { on: on("one", Slot::Blue), release: id.clone() },
        Step::Stop { on: on("one", Slot::Blue) },
        Step::Commit { release: id.clone() },
        Step::Clean { role: "web".to_owned(), host: "one".to_owned(), keep: Vec::new() },
    ];
    for order in [&old, &other_nonce] {
        for step in &steps {
            let outcome = f.run(order, step, &releases);
            assert_eq!(outcome, StepOutcome::Superseded { by: Some("d2".to_owned()) }, "{step:?}");
        }
        let host = f.host("one");
        let done = host.order(order, "touch \"$path/done\"", Box::new(io::empty()), CallLimits::short());
        assert_eq!(done, Err(HostError::Superseded { by: Some("d2".to_owned()) }));
    }
    assert!(!f.path("one").join("done").exists());
    assert_eq!(f.slot(Slot::Blue).running, Some(true));
    assert_eq!(f.slot(Slot::Green).release, None);
}

#[test]
fn hosts_learn_the_token_when_the_lease_is_granted() {
    let f = Fixture::with_hosts(&["one", "two"]);
    let old = f.acquire();
    f.target().release(&old).unwrap();
    acquire(&f.target(), "d2");
    let stop = Step::Stop { on: on("two", Slot::Blue) };
    let releases = [f.release(1, "first")];
    assert_eq!(f.run(&old, &stop, &releases), StepOutcome::Superseded { by: Some("d2".to_owned()) });
}

#[test]
fn history_is_that_of_the_last_deploy_from_its_start() {
    let f = Fixture::new();
    let target = f.target();
    let order = f.acquire();
    let ended =
        |reason: &str| What::Ended { ending: Ending::Succeeded, serving: None, reason: reason.to_owned() };
    target.record(&order, &ended("it's \"quoted\"\n \"record\":\"started\" \\n")).unwrap();
    target.record(&order, &What::Intent { step: Step::Expand }).unwrap();
    let records = f.observe().authority.records;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].what, ended("it's \"quoted\"\n \"record\":\"started\" \\n"));
    assert_eq!((records[1].deploy.as_str(), records[1].token), ("d1", 1));
    assert!(records[1].at.0 > 1_600_000_000_000);

    // A power failure has cut off the last line.
    let file = f.path("one").join(".taskgate/records");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() - 5]).unwrap();
    target.record(&order, &ended("last")).unwrap();
    let records = f.observe().authority.records;
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].what, ended("last"));

    target.record(&order, &What::Frozen { by: "ann".to_owned(), reason: "holidays".to_owned() }).unwrap();
    assert_eq!(f.observe().authority.frozen, Some(("ann".to_owned(), "holidays".to_owned())));
    target.record(&order, &What::Unfrozen { by: "bob".to_owned() }).unwrap();
    assert_eq!(f.observe().authority.frozen, None);
    assert_eq!(f.observe().authority.records.len(), 4);
}

#[test]
fn observe_changes_nothing() {
    let f = Fixture::new();
    let observation = f.observe();
    assert_eq!(observation.authority.current, None);
    assert!(observation.now.0 > 1_600_000_000_000);
    assert!(!f.path("one").exists());
}

#[test]
fn artifact_with_another_digest_is_refused() {
    let f = Fixture::new();
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let digest = releases[0].artifacts["api"].digest.clone();
    let other = f.packed.pack("other").0;
    let bytes = f.packed.0.lock().unwrap()[&other].clone();
    f.packed.0.lock().unwrap().insert(digest.clone(), bytes);
    let reason = failure(f.run(&order, &deliver("one", &releases[0].id), &releases));
    assert_eq!(reason, format!("one: the digest of what arrived is {other}, not {digest}"));
    assert!(names(&f.path("one").join("releases")).is_empty());
    let stage = Step::Stage { on: on("one", Slot::Blue), release: releases[0].id.clone() };
    let reason = failure(f.run(&order, &stage, &releases));
    assert!(reason.contains("artifact api is not on this host"), "{reason}");
}

/// Yields some bytes, and then waits until it is dropped.
struct Hanging {
    bytes: io::Cursor<Vec<u8>>,
    is_reached: Arc<Mutex<bool>>,
}

impl Read for Hanging {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        if length == 0 {
            *self.is_reached.lock().unwrap() = true;
            loop {
                thread::park();
            }
        }
        Ok(length)
    }
}

#[test]
fn delivery_that_is_stopped_leaves_nothing_half() {
    let f = Fixture::new();
    let order = f.acquire();
    let (digest, size) = f.packed.pack("first");
    let mut bytes = f.packed.0.lock().unwrap()[&digest].clone();
    bytes.truncate(bytes.len() / 2);
    let is_reached = Arc::new(Mutex::new(false));
    let hanging = Hanging { bytes: io::Cursor::new(bytes), is_reached: Arc::clone(&is_reached) };
    let is_stopped = || *is_reached.lock().unwrap();
    let limits = CallLimits { timeout: Duration::from_secs(60), is_stopped: &is_stopped };
    let result = f.host("one").deliver(&order, &digest, Some(size), Box::new(hanging), limits);
    assert_eq!(result, Err(HostError::Interrupted { host: "one".to_owned() }));
    let artifacts = f.host("one").observe(false, &[]).unwrap().artifacts;
    assert!(artifacts.is_empty(), "{artifacts:?}");
    // What a killed call has left is removed by the next deploy.
    fs::create_dir_all(f.path("one").join("releases/.new-0-x-1")).unwrap();
    let releases = [f.release(1, "first")];
    f.done(&order, &deliver("one", &releases[0].id), &releases);
    let left = names(&f.path("one").join("releases"));
    assert_eq!(left.iter().filter(|name| !name.starts_with(".new-1-")).count(), 1, "{left:?}");
}

#[test]
fn failing_lines_are_reported_with_what_they_printed() {
    let mut f = Fixture::new();
    f.role().runs = Runs::Lines {
        start: "echo reading config; echo 'no port: hidden-value' >&2; exit 3".to_owned(),
        stop: Some("true".to_owned()),
        status: None,
    };
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Blue), release: id.clone() }, &releases);
    let secrets =
        BTreeMap::from([("web".to_owned(), BTreeMap::from([("KEY".to_owned(), "hidden-value".to_owned())]))]);
    let start = Step::Start { on: on("one", Slot::Blue), release: id };
    let reason = failure(f.run_with(&order, &start, &releases, &secrets));
    assert!(reason.contains("exit status 3: reading config no port: ***"), "{reason}");
    assert!(!reason.contains("hidden-value"), "{reason}");
    assert_eq!(f.slot(Slot::Blue).running, None);
}

#[test]
fn start_of_a_slot_with_another_release_is_refused() {
    let f = Fixture::new();
    let order = f.acquire();
    let releases = [f.release(1, "first"), f.release(2, "second")];
    f.deploy(&order, &releases[0], Slot::Blue);
    let start = Step::Start { on: on("one", Slot::Blue), release: releases[1].id.clone() };
    let reason = failure(f.run(&order, &start, &releases));
    assert_eq!(reason, "one: web/blue contains release 1-aaaaaaaa, not 2-aaaaaaaa");
}

#[test]
fn line_that_takes_too_long_is_ended() {
    let mut f = Fixture::new();
    f.environment.timeout = Duration::from_secs(1);
    f.role().runs =
        Runs::Lines { start: "sleep 100".to_owned(), stop: Some("true".to_owned()), status: None };
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Blue), release: id.clone() }, &releases);
    let start = Step::Start { on: on("one", Slot::Blue), release: id };
    let reason = failure(f.run(&order, &start, &releases));
    assert_eq!(reason, "one: `sleep 100`: was ended after 1 seconds");
}

#[test]
#[cfg(target_os = "linux")]
fn secrets_are_in_the_file_of_variables_and_in_no_argument_list() {
    let mut f = Fixture::new();
    let all =
        "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$p; echo; done >\"$RUN_DIR/args\" 2>/dev/null; true";
    f.role().runs = Runs::Lines { start: all.to_owned(), stop: Some("true".to_owned()), status: None };
    let secret = format!("hidden-{}", std::process::id());
    let secrets = BTreeMap::from([
        ("web".to_owned(), BTreeMap::from([("DATABASE_URL".to_owned(), secret.clone())])),
        ("worker".to_owned(), BTreeMap::from([("OTHER".to_owned(), "of another role".to_owned())])),
    ]);
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    let steps = [
        deliver("one", &id),
        Step::Stage { on: on("one", Slot::Blue), release: id.clone() },
        Step::Start { on: on("one", Slot::Blue), release: id.clone() },
        Step::Commit { release: id },
    ];
    for step in &steps {
        assert_eq!(f.run_with(&order, step, &releases, &secrets), StepOutcome::Done);
    }
    let args = fs::read_to_string(f.dir.path().join("run/one/args")).unwrap();
    assert!(args.contains("timeout"), "{args}");
    assert!(!args.contains(&secret));
    // The file of variables is the only one that contains it.
    let found = duct::cmd!("grep", "-rl", &secret, f.dir.path()).read().unwrap();
    assert_eq!(found, f.path("one").join("web/blue.env").to_str().unwrap());
    let text = fs::read_to_string(found).unwrap();
    assert!(text.contains(&format!("DATABASE_URL=\"{secret}\"\n")) && !text.contains("OTHER"), "{text}");
}

#[test]
fn order_that_is_carried_out_does_not_hold_up_renewals() {
    let mut f = Fixture::new();
    let go = f.dir.path().join("go");
    let start = format!("touch \"$RUN_DIR/here\"; while ! test -e {}; do sleep 0.01; done", go.display());
    f.role().runs = Runs::Lines { start, stop: Some("true".to_owned()), status: None };
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Blue), release: id.clone() }, &releases);
    thread::scope(|scope| {
        let start = Step::Start { on: on("one", Slot::Blue), release: id };
        let (f, order, releases) = (&f, &order, &releases);
        let started = scope.spawn(move || f.run(order, &start, releases));
        while !f.dir.path().join("run/one/here").exists() {
            assert!(!started.is_finished());
            thread::yield_now();
        }
        f.target().renew(order).unwrap();
        f.observe();
        f.target().record(order, &What::Intent { step: Step::Expand }).unwrap();
        assert!(!started.is_finished());
        fs::write(&go, "").unwrap();
        assert_eq!(started.join().unwrap(), StepOutcome::Done);
    });
}

/// Programs that stand before those of the system, and kill the calling shell before it has used `limit` of them.
struct KillingPrograms {
    dir: tempfile::TempDir,
}

impl KillingPrograms {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names = "awk cat chmod date dd df flock grep gzip ln mkdir mv rm sed sha256sum sync tail tar wc";
        for name in names.split(' ') {
            let shown = dir.path().display();
            let script = format!(
                "#!/bin/sh\nPATH=/usr/bin:/bin\necho >>{shown}/used\nread -r limit <{shown}/limit\n\
                 [ $(wc -c <{shown}/used) -lt $limit ] || kill -9 0\nexec {name} \"$@\"\n"
            );
            let file = dir.path().join(name);
            fs::write(&file, script).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { dir }
    }

    fn connector(&self, limit: u32) -> Arc<Connector> {
        fs::write(self.dir.path().join("limit"), format!("{limit}\n")).unwrap();
        fs::write(self.dir.path().join("used"), "").unwrap();
        connector_with(&format!("{}:/usr/bin:/bin", self.dir.path().display()))
    }

    /// Repeats `act`, each time with a connection that is killed a little later, until it is done. `check` runs
    /// after each time. Returns how often it was killed.
    fn kill_at_every_program(
        &self,
        mut act: impl FnMut(Arc<Connector>) -> Result<(), String>,
        check: impl Fn(),
    ) -> u32 {
        const MOST: u32 = 200;
        for limit in 1..MOST {
            let result = act(self.connector(limit));
            check();
            match result {
                Ok(()) => return limit - 1,
                Err(reason) => assert!(reason.contains("the shell was killed"), "{reason}"),
            }
        }
        panic!("it is never done");
    }
}

#[test]
fn host_that_is_killed_at_any_moment_has_the_old_or_the_new_state() {
    let f = Fixture::new();
    let programs = KillingPrograms::new();
    let order = f.acquire();
    let releases = [f.release(1, "first"), f.release(2, "second")];
    let [old, new] = [&releases[0].id, &releases[1].id];
    f.deploy(&order, &releases[0], Slot::Blue);
    f.done(&order, &Step::Stop { on: on("one", Slot::Blue) }, &releases);
    let path = f.path("one");
    let run = |step: Step| {
        let (f, order, releases) = (&f, &order, &releases);
        move |connector| match f.run_on(&f.target_with(connector), order, &step, releases, &BTreeMap::new()) {
            StepOutcome::Done => Ok(()),
            outcome => Err(format!("{outcome:?}")),
        }
    };

    let complete = |digest: &ArtifactDigest, content: &str| {
        let folder = path.join("releases").join(folder_name(digest));
        fs::read_to_string(folder.join("content")).unwrap() == content && folder.join("bin/run").exists()
    };
    let killed = programs.kill_at_every_program(run(deliver("one", new)), || {
        let artifacts = f.observe().hosts[0].slots.clone().unwrap().artifacts.unwrap();
        let digest = &releases[1].artifacts["api"].digest;
        assert!(!artifacts.contains(folder_name(digest)) || complete(digest, "second"));
        assert!(complete(&releases[0].artifacts["api"].digest, "first"));
    });
    assert!(killed > 10, "{killed}");

    let stage = Step::Stage { on: on("one", Slot::Blue), release: new.clone() };
    let killed = programs.kill_at_every_program(run(stage), || {
        let Some(release) = f.slot(Slot::Blue).release else { return };
        let expected = if release == *old { "first" } else { "second" };
        assert_eq!(fs::read_to_string(path.join("web/blue/content")).unwrap(), expected);
        let env = fs::read_to_string(path.join("web/blue.env")).unwrap();
        assert!(env.contains(&format!("RELEASE=\"{release}\"")), "{env}");
    });
    assert!(killed > 10, "{killed}");

    let killed = programs.kill_at_every_program(run(Step::Commit { release: new.clone() }), || {
        let authority = f.observe().authority;
        let current = authority.current.unwrap();
        assert!(current == *old || current == *new);
        assert!(authority.releases.iter().any(|release| release.id == current));
        assert_eq!(authority.releases[0], releases[0]);
    });
    assert!(killed > 10, "{killed}");

    let written = std::cell::Cell::new(0);
    let record = |connector| {
        let result = f.target_with(connector).record(&order, &What::Intent { step: Step::Expand });
        result.map_err(|error| error.to_string())
    };
    let killed = programs.kill_at_every_program(record, || {
        let records = f.observe().authority.records.len();
        assert!(records >= written.get());
        written.set(records);
    });
    assert!(killed > 5 && written.get() >= 1, "{killed}");

    f.target().release(&order).unwrap();
    let acquire = |connector| {
        let result = f.target_with(connector).acquire(&request("d2", "n2"));
        result.map(drop).map_err(|error| error.to_string())
    };
    let killed = programs.kill_at_every_program(acquire, || {
        let lease = f.observe().authority.lease;
        assert!(lease.is_none_or(|lease| lease.deploy == "d2"));
    });
    assert!(killed > 5, "{killed}");
}

/// A small file system, mounted for one test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Returns `None` where nothing can be mounted.
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted =
            duct::cmd!("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", at).stderr_null().unchecked().run();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = duct::cmd!("umount", "-l", &self.0).unchecked().run();
    }
}

#[test]
fn full_disk_refuses_a_delivery_but_not_the_records_of_a_rollback() {
    let f = Fixture::new();
    let path = f.path("one");
    let Some(_disk) = SmallDisk::mount(&path) else { return };
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    f.deploy(&order, &releases[0], Slot::Blue);
    let fill = format!("cat /dev/zero >{}/big", path.display());
    duct::cmd!("/bin/sh", "-c", fill).stderr_null().unchecked().run().unwrap();
    let other = [f.release(2, "second")];
    let reason = failure(f.run(&order, &deliver("one", &other[0].id), &other));
    assert!(reason.contains("one: no space: "), "{reason}");
    let target = f.target();
    for _ in 0..3 {
        target.record(&order, &What::Intent { step: Step::Expand }).unwrap();
        target.renew(&order).unwrap();
    }
    f.done(&order, &Step::Stage { on: on("one", Slot::Green), release: releases[0].id.clone() }, &releases);
    assert_eq!(f.observe().authority.records.len(), 3);
    assert!(!path.join(".taskgate/reserve").exists());
}

#[test]
fn unreachable_host_is_part_of_what_is_observed() {
    let mut f = Fixture::new();
    let order = f.acquire();
    f.deploy(&order, &f.release(1, "first"), Slot::Blue);
    // Nothing listens there, and a machine without `ssh` can't reach it either.
    let destination = SshDestination { host: "127.0.0.1".to_owned(), port: Some(1) };
    let connection = Connection::Ssh(destination);
    f.role().hosts.push(HostConfig { name: "two".to_owned(), connection, env: BTreeMap::new() });
    let observation = f.observe();
    assert!(observation.hosts[0].slots.is_ok());
    assert!(observation.hosts[1].slots.is_err());
    let outcome = f.run(&order, &Step::Stop { on: on("two", Slot::Blue) }, &[f.release(2, "second")]);
    assert!(matches!(outcome, StepOutcome::Unreachable { .. } | StepOutcome::Failed { .. }), "{outcome:?}");
}

/// Answers HTTP requests with these bodies, the last one for ever.
fn serve(mut bodies: Vec<String>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 2000];
            let _ = stream.read(&mut request);
            let body = if bodies.len() > 1 { bodies.remove(0) } else { bodies[0].clone() };
            let head = if body.is_empty() { "503 Service Unavailable" } else { "200 OK" };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    port
}

fn check(probe: HealthProbe) -> HealthCheck {
    HealthCheck {
        probe,
        release: Some(ReleaseSelector::Pointer("/release".to_owned())),
        timeout: Duration::from_secs(20),
        interval: Duration::from_millis(5),
        from: CheckFrom::Here,
    }
}

fn start_with_check(f: &mut Fixture, check: HealthCheck) -> StepOutcome {
    f.role().health_check = Some(check);
    let order = f.acquire();
    let releases = [f.release(8, "first")];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Blue), release: id.clone() }, &releases);
    f.run(&order, &Step::Start { on: on("one", Slot::Blue), release: id }, &releases)
}

#[test]
fn start_waits_until_the_release_itself_answers() {
    let mut f = Fixture::new();
    let old = r#"{"release": "7-bbbbbbbb"}"#.to_owned();
    let port = serve(vec![String::new(), old, r#"{"release": "8-aaaaaaaa"}"#.to_owned()]);
    f.role().ports = Some(Ports { blue: port, green: 1 });
    let probe = HealthProbe::Http("http://127.0.0.1:{{ port }}/health".to_owned());
    assert_eq!(start_with_check(&mut f, check(probe)), StepOutcome::Done);
}

#[test]
fn answer_of_the_old_release_fails_the_start() {
    let mut f = Fixture::new();
    let port = serve(vec![r#"{"release": "7-bbbbbbbb"}"#.to_owned()]);
    let probe = HealthProbe::Http(format!("http://127.0.0.1:{port}/health"));
    let check = HealthCheck { timeout: Duration::from_secs(5), ..check(probe) };
    let reason = failure(start_with_check(&mut f, check));
    let expected = "one: health check failed after 5s: release 7-bbbbbbbb answered, not 8-aaaaaaaa: another process serves there";
    assert_eq!(reason, expected);
}

#[test]
fn health_check_ends_with_the_process_and_shows_what_it_printed() {
    let mut f = Fixture::new();
    f.role().runs = Runs::Lines {
        start: "echo 'no database at db:5432'; true".to_owned(),
        stop: Some("true".to_owned()),
        status: Some("false".to_owned()),
    };
    let check = HealthCheck {
        timeout: Duration::from_secs(600),
        ..check(HealthProbe::Command("echo refused >&2; exit 7".to_owned()))
    };
    let reason = failure(start_with_check(&mut f, check));
    assert!(reason.contains("nothing runs in the slot any more: "), "{reason}");
    assert!(reason.contains("exit status 7: refused"), "{reason}");
    assert!(reason.ends_with("; it printed: no database at db:5432"), "{reason}");
}

#[test]
fn command_probe_runs_in_the_slot() {
    let mut f = Fixture::new();
    let line =
        "test -e content && test \"$SLOT\" = {{ slot }} && printf '{\"release\": \"%s\"}' \"$RELEASE\"";
    assert_eq!(start_with_check(&mut f, check(HealthProbe::Command(line.to_owned()))), StepOutcome::Done);
    let mut f = Fixture::new();
    let check = HealthCheck {
        timeout: Duration::from_secs(5),
        interval: Duration::from_secs(5),
        ..check(HealthProbe::Command("echo not yet >&2; exit 4".to_owned()))
    };
    let reason = failure(start_with_check(&mut f, check));
    assert!(reason.contains("exit status 4: not yet"), "{reason}");
}

#[test]
fn migrations_run_in_the_release_with_its_variables() {
    let mut f = Fixture::new();
    f.environment.migrations = Some(Migrations {
        run_on: RunOn::FirstHost,
        pending: "echo m1; echo; echo m2".to_owned(),
        expand: "test \"$(cat content)\" = first && echo \"$RELEASE $KEY\" >\"$RUN_DIR/expanded\"".to_owned(),
        contract: None,
        revert: Some("echo no such table >&2; exit 9".to_owned()),
        irreversible: false,
        rehearsal: None,
    });
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let secrets = BTreeMap::from([("web".to_owned(), BTreeMap::from([("KEY".to_owned(), "k1".to_owned())]))]);
    let migrations = f.environment.migrations.clone().unwrap();
    let pending = f.target().pending(&migrations, &releases[0], &secrets);
    assert_eq!(pending, Ok(vec!["m1".to_owned(), "m2".to_owned()]));
    f.done(&order, &deliver("one", &releases[0].id), &releases);
    assert_eq!(f.run_with(&order, &Step::Expand, &releases, &secrets), StepOutcome::Done);
    let written = fs::read_to_string(f.dir.path().join("run/one/expanded")).unwrap();
    assert_eq!(written, "1-aaaaaaaa k1\n");
    let reason = failure(f.run(&order, &Step::Revert, &releases));
    assert!(reason.contains("exit status 9: no such table"), "{reason}");
    let reason = failure(f.run(&order, &Step::Contract, &releases));
    assert_eq!(reason, "one: the release has no `migrations.contract`");
}

#[test]
fn migrations_here_run_only_for_the_newest_token() {
    let mut f = Fixture::new();
    f.environment.migrations = Some(Migrations {
        run_on: RunOn::Here,
        pending: "true".to_owned(),
        expand: "test \"$(cat content)\" = first && echo $RELEASE >\"$RUN_DIR/expanded\"".to_owned(),
        contract: None,
        revert: None,
        irreversible: true,
        rehearsal: None,
    });
    let releases = [f.release(1, "first")];
    let old = f.acquire();
    f.target().release(&old).unwrap();
    let order = acquire(&f.target(), "d2");
    assert!(matches!(f.run(&old, &Step::Expand, &releases), StepOutcome::Superseded { .. }));
    assert!(!f.dir.path().join("run/one/expanded").exists());
    f.done(&order, &Step::Expand, &releases);
    assert_eq!(fs::read_to_string(f.dir.path().join("run/one/expanded")).unwrap(), "1-aaaaaaaa\n");
}

#[test]
fn router_gets_orders_and_its_host_is_the_authority() {
    let mut f = Fixture::with_hosts(&["one"]);
    f.role().hosts[0].connection = Connection::Local;
    f.role().traffic = Some(Traffic {
        steps: vec![100],
        every: Duration::ZERO,
        bake: Duration::ZERO,
        router: Router::Command { shift: String::new(), read: String::new() },
        on: Connection::Local,
        drain: Duration::from_secs(20),
        analysis: None,
        on_lost: OnLost::Hold,
    });
    let order = f.acquire();
    assert_eq!(f.target().authority().name(), "one");
    let releases = [f.release(1, "first")];
    let shift = Step::Shift { role: "web".to_owned(), weights: Weights::new(Slot::Blue, 30) };
    f.done(&order, &shift, &releases);
    assert_eq!(fs::read_to_string(f.path("one").join("weights")).unwrap(), "30 70");
    assert_eq!(f.observe().weights["web"], Ok(Weights { blue: 30, green: 70 }));
    f.router.0.lock().unwrap().1 = vec![0, 2, 3];
    f.done(&order, &Step::Drain { role: "web".to_owned(), slot: Slot::Green }, &releases);
    assert!(f.router.0.lock().unwrap().1.is_empty());
    let old = Order { token: 0, ..order };
    assert!(matches!(f.run(&old, &shift, &releases), StepOutcome::Superseded { .. }));
}

#[test]
fn what_runs_already_is_seen_taken_over_and_stopped_later() {
    let mut f = Fixture::new();
    let run = f.dir.path().join("run/one");
    f.role().runs = Runs::Lines {
        start: "true".to_owned(),
        stop: Some(format!("rm {}/$SLOT.running", run.display())),
        status: Some(format!("test -e {}/$SLOT.running", run.display())),
    };
    fs::write(run.join("green.running"), "").unwrap();
    assert_eq!(f.slot(Slot::Green), SlotState { release: None, running: Some(true) });
    assert_eq!(f.slot(Slot::Blue), SlotState { release: None, running: Some(false) });
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Green), release: id.clone() }, &releases);
    f.done(&order, &Step::Commit { release: id.clone() }, &releases);
    assert_eq!(f.slot(Slot::Green), SlotState { release: Some(id), running: Some(true) });
    f.done(&order, &Step::Stop { on: on("one", Slot::Green) }, &releases);
    assert!(!run.join("green.running").exists());
}

#[test]
fn processes_that_have_died_count_as_stopped() {
    let mut f = Fixture::new();
    let mark = f.dir.path().join("run/one/runs");
    f.role().runs = Runs::Lines {
        start: format!("touch {}", mark.display()),
        // As `kill $(cat pid)` does, it fails if nothing runs.
        stop: Some(format!("rm {}", mark.display())),
        status: Some(format!("test -e {}", mark.display())),
    };
    let order = f.acquire();
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    f.done(&order, &deliver("one", &id), &releases);
    f.done(&order, &Step::Stage { on: on("one", Slot::Green), release: id.clone() }, &releases);
    let start = Step::Start { on: on("one", Slot::Green), release: id };
    let stop = Step::Stop { on: on("one", Slot::Green) };
    f.run(&order, &start, &releases);
    fs::remove_file(&mark).unwrap();
    f.done(&order, &stop, &releases);

    // While they run, a failing line is a failure.
    f.run(&order, &start, &releases);
    fs::remove_file(&mark).unwrap();
    fs::create_dir(&mark).unwrap();
    let outcome = f.run(&order, &stop, &releases);
    assert!(matches!(&outcome, StepOutcome::Failed { reason } if reason.contains("rm ")), "{outcome:?}");
}

#[test]
fn stop_and_status_of_a_systemd_unit_are_derived() {
    use crate::target::hosts::{status_line, stop_line};
    let start = "sudo -n systemctl --user start shop@{{ slot }}";
    assert_eq!(stop_line(start, None).unwrap(), "sudo -n systemctl --user stop shop@{{ slot }}");
    assert_eq!(
        status_line(start, None).unwrap(),
        "sudo -n systemctl --user is-active --quiet shop@{{ slot }}"
    );
    assert_eq!(stop_line(start, Some("x")).unwrap(), "x");
    for start in
        ["./start.sh", "systemctl start a; systemctl start b", "systemctl enable a", "echo systemctl start"]
    {
        assert_eq!(stop_line(start, None), None, "{start}");
    }
}

/// Delivers and stages a release with lines of a test.
fn staged(f: &Fixture, order: &Order) -> ([Release; 1], Step) {
    let releases = [f.release(1, "first")];
    let id = releases[0].id.clone();
    f.done(order, &deliver("one", &id), &releases);
    f.done(order, &Step::Stage { on: on("one", Slot::Blue), release: id.clone() }, &releases);
    (releases, Step::Start { on: on("one", Slot::Blue), release: id })
}

/// Whether an order is being carried out.
fn is_locked(f: &Fixture) -> bool {
    let lock = f.path("one").join(".taskgate/orders.lock");
    let taken = duct::cmd!("flock", "-n", lock, "true").unchecked().run().unwrap();
    !taken.status.success()
}

#[test]
#[cfg(target_os = "linux")]
fn line_holds_the_lock_as_long_as_it_lives_and_what_it_leaves_behind_does_not() {
    let mut f = Fixture::new();
    let go = f.dir.path().join("go");
    // It kills the shell of the call, which is the parent of `timeout`.
    let start = format!(
        "sleep 600 & echo $! >\"$RUN_DIR/$SLOT.pid\"; read -r _ _ _ shell _ </proc/$PPID/stat; kill -9 $shell; \
         touch \"$RUN_DIR/here\"; while ! test -e {}; do sleep 0.01; done",
        go.display()
    );
    f.role().runs = Runs::Lines { start, stop: Some("true".to_owned()), status: None };
    let order = f.acquire();
    let (releases, start) = staged(&f, &order);
    let outcome = f.run(&order, &start, &releases);
    assert!(matches!(outcome, StepOutcome::Unreachable { .. }), "{outcome:?}");
    wait_until("the line", || f.dir.path().join("run/one/here").exists());
    assert!(is_locked(&f));
    fs::write(&go, "").unwrap();
    wait_until("the lock", || !is_locked(&f));
    let pid = fs::read_to_string(f.dir.path().join("run/one/blue.pid")).unwrap();
    duct::cmd!("kill", "-0", pid.trim()).run().unwrap();
}

#[test]
fn request_to_stop_is_passed_on_to_the_line() {
    let mut f = Fixture::new();
    let start =
        "trap 'touch \"$RUN_DIR/ended\"; exit 0' TERM; touch \"$RUN_DIR/here\"; while :; do sleep 0.01; done";
    f.role().runs = Runs::Lines { start: start.to_owned(), stop: Some("true".to_owned()), status: None };
    let order = f.acquire();
    let (releases, start) = staged(&f, &order);
    let run = f.dir.path().join("run/one");
    let context = StepContext {
        deployed: &releases[0],
        releases: &releases,
        roles: &f.environment.roles,
        secrets: &BTreeMap::new(),
        is_stopped: &|| run.join("here").exists(),
        progress: &|_| {},
    };
    assert_eq!(f.target().run(&order, &start, &context), StepOutcome::Interrupted);
    wait_until("the line to end", || run.join("ended").exists() && !is_locked(&f));
}

#[test]
#[cfg(target_os = "linux")]
fn lines_do_not_ignore_signals() {
    let mut f = Fixture::new();
    let start = "grep SigIgn /proc/self/status >\"$RUN_DIR/signals\"";
    f.role().runs = Runs::Lines { start: start.to_owned(), stop: Some("true".to_owned()), status: None };
    let order = f.acquire();
    let (releases, start) = staged(&f, &order);
    f.done(&order, &start, &releases);
    let text = fs::read_to_string(f.dir.path().join("run/one/signals")).unwrap();
    let mask = u64::from_str_radix(text.split_whitespace().last().unwrap(), 16).unwrap();
    // INT and QUIT.
    assert_eq!(mask & 0b110, 0, "{text}");
}

#[test]
fn authority_whose_disk_is_a_new_one_grants_tokens_that_the_other_hosts_accept() {
    let f = Fixture::with_hosts(&["one", "two"]);
    for deploy in ["d1", "d2", "d3"] {
        let order = acquire(&f.target(), deploy);
        f.target().release(&order).unwrap();
    }
    let order = acquire(&f.target(), "d4");
    let release = f.release(7, "first");
    f.deploy(&order, &release, Slot::Blue);
    fs::remove_dir_all(f.path("one")).unwrap();
    let target = f.target();
    let authority = target.observe(&f.environment.roles).unwrap().authority;
    assert_eq!(authority.damaged, ["one: it has no history, but two contains 7-aaaaaaaa"]);
    assert_eq!(authority.last_number, 7);
    let order = acquire(&target, "d5");
    assert_eq!(order.token, 5);
    f.done(&order, &Step::Stop { on: on("two", Slot::Blue) }, &[release]);
}

#[test]
fn half_a_secret_is_not_shown() {
    let mut f = Fixture::new();
    // The last 2000 bytes begin within the secret.
    let start = "printf 'password=hidden-value\\n%01990d\\n' 0; exit 1";
    f.role().runs = Runs::Lines { start: start.to_owned(), stop: Some("true".to_owned()), status: None };
    let order = f.acquire();
    let (releases, start) = staged(&f, &order);
    let secrets =
        BTreeMap::from([("web".to_owned(), BTreeMap::from([("KEY".to_owned(), "hidden-value".to_owned())]))]);
    let reason = failure(f.run_with(&order, &start, &releases, &secrets));
    let (_, printed) = reason.split_once("exit status 1: ").unwrap();
    assert!(printed.starts_with("000") && !printed.contains("value"), "{reason}");
}

#[test]
fn traffic_goes_to_no_instance_that_is_stopping() {
    let mut f = Fixture::new();
    f.role().runs = Runs::Lines {
        start: "echo start >>\"$RUN_DIR/log\"; touch \"$RUN_DIR/runs\"".to_owned(),
        // It asks the process to end, and fails before it does.
        stop: Some(
            "echo stop >>\"$RUN_DIR/log\"; test -e \"$RUN_DIR/ends\" || exit 1; rm \"$RUN_DIR/runs\""
                .to_owned(),
        ),
        status: Some("test -e \"$RUN_DIR/runs\"".to_owned()),
    };
    let order = f.acquire();
    let (releases, start) = staged(&f, &order);
    f.done(&order, &start, &releases);
    failure(f.run(&order, &Step::Stop { on: on("one", Slot::Blue) }, &releases));
    let run = f.dir.path().join("run/one");
    fs::write(run.join("ends"), "").unwrap();
    // It still runs, and its release is the right one, but it was told to end.
    f.done(&order, &start, &releases);
    assert_eq!(fs::read_to_string(run.join("log")).unwrap(), "start\nstop\nstop\nstart\n");
}

#[test]
fn commit_on_a_full_disk_leaves_the_old_release_current() {
    let f = Fixture::new();
    let path = f.path("one");
    let Some(_disk) = SmallDisk::mount(&path) else { return };
    let order = f.acquire();
    let releases = [f.release(1, "first"), f.release(2, "second")];
    f.deploy(&order, &releases[0], Slot::Blue);
    f.done(&order, &deliver("one", &releases[1].id), &releases);
    fs::remove_file(path.join(".taskgate/reserve")).unwrap();
    let fill = format!("cat /dev/zero >{}/big", path.display());
    duct::cmd!("/bin/sh", "-c", fill).stderr_null().unchecked().run().unwrap();
    let reason = failure(f.run(&order, &Step::Commit { release: releases[1].id.clone() }, &releases));
    assert!(reason.contains("can't write"), "{reason}");
    let authority = f.observe().authority;
    assert_eq!(authority.current.as_ref(), Some(&releases[0].id));
    assert_eq!(authority.releases, releases[..1]);
    assert_eq!(authority.damaged, Vec::<String>::new());
}

#[test]
fn files_that_were_cut_off_are_noticed_or_made_up_for() {
    let f = Fixture::new();
    let order = f.acquire();
    f.target().release(&order).unwrap();
    let order = acquire(&f.target(), "d2");
    let release = f.release(1, "first");
    f.deploy(&order, &release, Slot::Blue);
    let target = f.target();
    target.record(&order, &What::Frozen { by: "ann".to_owned(), reason: "holidays".to_owned() }).unwrap();
    let state = f.path("one").join(".taskgate");
    let cut = |name: &str, length: usize| {
        let whole = fs::read(state.join(name)).unwrap();
        fs::write(state.join(name), &whole[..length]).unwrap();
        whole
    };
    let whole = cut("frozen", 10);
    assert!(f.observe().authority.frozen.unwrap().1.contains("lost"));
    fs::write(state.join("frozen"), whole).unwrap();
    // The lease still knows the token, and then the history.
    cut("token", 0);
    target.renew(&order).unwrap();
    cut("lease", 20);
    assert_eq!(acquire(&target, "d3").token, 3);
    let whole = cut("releases", 100);
    let authority = f.observe().authority;
    assert_eq!((authority.current, authority.releases.len()), (None, 0));
    assert_eq!(authority.damaged, ["one: .taskgate/releases was cut off"]);
    fs::write(state.join("releases"), whole).unwrap();
    cut("slots/web.blue.release", 3);
    assert_eq!(f.slot(Slot::Blue), SlotState { release: None, running: Some(true) });
    cut("slots/web.blue.stop", 12);
    let order = acquire_over(&f.target(), "d4", "d3");
    let reason = failure(f.run(&order, &Step::Stop { on: on("one", Slot::Blue) }, &[release]));
    assert!(reason.contains("web.blue.stop was cut off"), "{reason}");
}

/// Takes a lease that is given back first.
fn acquire_over(target: &HostsTarget, deploy: &str, former: &str) -> Order {
    let order = Order { token: 3, nonce: former.to_owned(), deploy: former.to_owned() };
    target.release(&order).unwrap();
    acquire(target, deploy)
}

#[test]
fn records_that_were_lost_while_a_deploy_is_unfinished_are_noticed() {
    let f = Fixture::new();
    let order = f.acquire();
    let target = f.target();
    target.record(&order, &What::Resumed { by: "ann".to_owned() }).unwrap();
    let damaged = f.observe().authority.damaged;
    assert_eq!(damaged, ["one: the records of deploy d1 are lost, which has not ended"]);
    let ended = What::Ended { ending: Ending::Succeeded, serving: None, reason: String::new() };
    target.record(&order, &ended).unwrap();
    assert_eq!(f.observe().authority.damaged, Vec::<String>::new());
}

#[test]
fn clock_that_was_wrong_by_hours_keeps_nobody_waiting() {
    let f = Fixture::new();
    let programs = tempfile::tempdir().unwrap();
    fs::write(programs.path().join("date"), "#!/bin/sh\necho $(($(/bin/date +%s) + 20000))\n").unwrap();
    fs::set_permissions(programs.path().join("date"), fs::Permissions::from_mode(0o755)).unwrap();
    let connector = connector_with(&format!("{}:/usr/bin:/bin", programs.path().display()));
    f.target_with(connector).acquire(&request("d1", "n1")).unwrap();
    let observation = f.observe();
    assert!(observation.authority.lease.unwrap().expires <= observation.now);
    let takes_over = LeaseRequest { takes_over: Some("d1".to_owned()), ..request("d2", "n2") };
    assert_eq!(f.target().acquire(&takes_over).unwrap().token, 2);
}

#[test]
fn folder_may_have_spaces_and_quotes_in_its_name() {
    let dir = tempfile::Builder::new().prefix("it's a $HOME ").tempdir().unwrap();
    let f = Fixture::at(dir, &["one"]);
    let order = f.acquire();
    let release = f.release(1, "first");
    f.deploy(&order, &release, Slot::Blue);
    assert_eq!(f.slot(Slot::Blue), SlotState { release: Some(release.id.clone()), running: Some(true) });
    let releases = [release];
    f.done(&order, &Step::Stop { on: on("one", Slot::Blue) }, &releases);
    let keep = vec![releases[0].id.clone()];
    f.done(&order, &Step::Clean { role: "web".to_owned(), host: "one".to_owned(), keep }, &releases);
    assert_eq!(names(&f.path("one").join("releases")).len(), 1);
}
