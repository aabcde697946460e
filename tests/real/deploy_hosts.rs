//! Tests the driver `hosts` over real ssh: three servers on loopback ports, each a host with a folder of its
//! own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use taskgate::base::clock::Timestamp;
use taskgate::base::env::Env;
use taskgate::config::deploy::{
    CheckFrom, Connection, Environment, HealthCheck, HealthProbe, Host as HostConfig, Policy,
    ReleaseSelector, Role, Runs, SshDestination, Variables,
};
use taskgate::config::model::SourceLocation;
use taskgate::deploy::lease::{LeaseRequest, Order};
use taskgate::deploy::record::What;
use taskgate::deploy::release::{ArtifactDigest, Release, ReleaseArtifact, ReleaseId, Slot};
use taskgate::deploy::step::{Instance, Step, StepOutcome};
use taskgate::deploy::target::{StepContext, Target as _, TargetError};
use taskgate::target::connection::Connector;
use taskgate::target::host::{CallLimits, Host, HostError, HostLine, LineFolder, LineKind};
use taskgate::target::hosts::{ArtifactSource, HostsTarget};

use crate::sshd::Hosts;

/// An artifact in a file.
#[derive(Clone)]
struct Packed {
    digest: ArtifactDigest,
    size: u64,
    file: PathBuf,
}

impl ArtifactSource for Packed {
    fn open(&self, _: &ArtifactDigest) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs::File::open(&self.file)?))
    }
}

impl Packed {
    fn new(dir: &Path) -> Self {
        let script = "mkdir content && echo hello >content/text && head -c 3000000 /dev/urandom >content/big && \
                      tar -C content -cf a.tar . && gzip -k a.tar && sha256sum a.tar";
        let printed = Command::new("sh").args(["-c", script]).current_dir(dir).output().unwrap();
        let printed = String::from_utf8(printed.stdout).unwrap();
        Self {
            digest: ArtifactDigest(format!("sha256:{}", printed.split(' ').next().unwrap())),
            size: fs::metadata(dir.join("a.tar")).unwrap().len(),
            file: dir.join("a.tar.gz"),
        }
    }
}

struct Fixture {
    hosts: Hosts,
    environment: Environment,
    packed: Packed,
}

const NOT_STOPPED: &(dyn Fn() -> bool + Sync) = &|| false;

impl Fixture {
    fn new() -> Self {
        let hosts = Hosts::start(3);
        let packed = Packed::new(hosts.dir());
        let host = |number| {
            let run = hosts.dir().join("run").join(Hosts::name(number));
            fs::create_dir_all(&run).unwrap();
            HostConfig {
                name: Hosts::name(number),
                connection: Connection::Ssh(SshDestination { host: Hosts::name(number), port: None }),
                env: BTreeMap::from([("RUN_DIR".to_owned(), run.to_str().unwrap().to_owned())]),
            }
        };
        let probe = "test -e text && echo \"release=$RELEASE\"";
        let role = Role {
            name: "web".to_owned(),
            artifacts: vec!["api".to_owned()],
            hosts: (0..3).map(host).collect(),
            runs: Runs::Lines {
                start: "sleep 600 & echo $! >\"$RUN_DIR/$SLOT.pid\"; env >\"$RUN_DIR/env\"".to_owned(),
                stop: Some("kill $(cat \"$RUN_DIR/$SLOT.pid\"); rm \"$RUN_DIR/$SLOT.pid\"".to_owned()),
                status: Some("kill -0 $(cat \"$RUN_DIR/$SLOT.pid\")".to_owned()),
            },
            ports: None,
            variables: Variables::default(),
            health_check: Some(HealthCheck {
                probe: HealthProbe::Command(probe.to_owned()),
                release: Some(ReleaseSelector::Pattern(r"release=(\S+)".to_owned())),
                timeout: Duration::from_secs(60),
                interval: Duration::from_millis(50),
                from: CheckFrom::Here,
            }),
            traffic: None,
            standby: Duration::ZERO,
        };
        let environment = Environment {
            name: "production".to_owned(),
            gate: Vec::new(),
            policy: Policy::default(),
            variables: Variables::default(),
            url: None,
            smoke: Vec::new(),
            keep: NonZeroU32::new(2).unwrap(),
            timeout: Duration::from_secs(60),
            lease: Duration::from_secs(60),
            max_parallel: NonZeroU32::new(3).unwrap(),
            path: format!("{}/srv/{{{{ host }}}}", hosts.dir().display()),
            roles: vec![role],
            migrations: None,
            location: SourceLocation::default(),
        };
        Self { hosts, environment, packed }
    }

    fn connector(&self) -> Arc<Connector> {
        Arc::new(Connector::new(&Env::new(self.hosts.variables(), self.hosts.dir().to_owned())))
    }

    /// Returns a target with connections of its own, as another process has it.
    fn target(&self) -> HostsTarget {
        HostsTarget::new(
            self.environment.clone(),
            self.connector(),
            Box::new(self.packed.clone()),
            Box::new(|_| panic!("there is no router")),
            self.hosts.dir().to_owned(),
        )
    }

    fn host(&self, number: usize) -> Host {
        let config = &self.environment.roles[0].hosts[number];
        let path = self.path(number).to_str().unwrap().to_owned();
        Host::new(config.name.clone(), config.connection.clone(), path, self.connector())
    }

    fn path(&self, number: usize) -> PathBuf {
        self.hosts.dir().join("srv").join(Hosts::name(number))
    }

    fn release(&self) -> Release {
        let artifact =
            ReleaseArtifact { digest: self.packed.digest.clone(), image: None, size: Some(self.packed.size) };
        Release {
            id: ReleaseId("1-aaaaaaaa".to_owned()),
            number: 1,
            commit: "c".to_owned(),
            tree: "t".to_owned(),
            artifacts: BTreeMap::from([("api".to_owned(), artifact)]),
            digest: "d".to_owned(),
            roles: self.environment.roles.clone(),
            migrations: None,
            pending: Vec::new(),
            contracts: false,
            previous: None,
            created: Timestamp(1),
            by: "ann".to_owned(),
        }
    }

    fn run(&self, target: &HostsTarget, order: &Order, step: &Step) -> StepOutcome {
        let release = self.release();
        let secrets = BTreeMap::from([(
            "web".to_owned(),
            BTreeMap::from([("KEY".to_owned(), "hidden-value".to_owned())]),
        )]);
        let context = StepContext {
            deployed: &release,
            releases: &[],
            roles: &release.roles,
            secrets: &secrets,
            is_stopped: NOT_STOPPED,
            progress: &|_| {},
        };
        target.run(order, step, &context)
    }

    /// Brings the release to a host and starts it.
    fn start(&self, target: &HostsTarget, order: &Order, number: usize) -> Vec<StepOutcome> {
        let release = self.release().id;
        let host = Hosts::name(number);
        let on = Instance { role: "web".to_owned(), host: host.clone(), slot: Slot::Blue };
        let steps = [
            Step::Deliver { role: "web".to_owned(), host, release: release.clone() },
            Step::Stage { on: on.clone(), release: release.clone() },
            Step::Start { on, release },
        ];
        steps.iter().map(|step| self.run(target, order, step)).collect()
    }
}

impl Drop for Fixture {
    /// Ends what a test has started.
    fn drop(&mut self) {
        for number in 0..3 {
            let file = self.hosts.dir().join("run").join(Hosts::name(number)).join("blue.pid");
            if let Ok(pid) = fs::read_to_string(file) {
                let _ = Command::new("kill").arg(pid.trim()).status();
            }
        }
    }
}

fn request(deploy: &str) -> LeaseRequest {
    LeaseRequest {
        deploy: deploy.to_owned(),
        nonce: format!("nonce of {deploy}"),
        holder: format!("{deploy} on laptop"),
        duration: Duration::from_secs(600),
        takes_over: None,
    }
}

fn acquire(target: &HostsTarget, deploy: &str) -> Order {
    let request = request(deploy);
    let lease = target.acquire(&request).unwrap();
    Order { token: lease.token, nonce: request.nonce, deploy: request.deploy }
}

#[test]
fn release_is_deployed_to_three_hosts_with_one_connection_each() {
    let f = Fixture::new();
    let target = f.target();
    let order = acquire(&target, "d1");
    let id = f.release().id;
    thread::scope(|scope| {
        for number in 0..3 {
            let (f, target, order) = (&f, &target, &order);
            scope.spawn(move || {
                let outcomes = f.start(target, order, number);
                assert!(outcomes.iter().all(|outcome| *outcome == StepOutcome::Done), "{outcomes:?}");
            });
        }
    });
    assert_eq!(f.run(&target, &order, &Step::Commit { release: id.clone() }), StepOutcome::Done);
    target.record(&order, &What::Intent { step: Step::Smoke { release: id.clone() } }).unwrap();
    let observation = target.observe(&f.environment.roles).unwrap();
    assert_eq!(observation.authority.current, Some(id.clone()));
    assert_eq!(observation.authority.records.len(), 1);
    for (number, state) in observation.hosts.iter().enumerate() {
        let slots = state.slots.as_ref().unwrap();
        assert_eq!((slots.blue.release.as_ref(), slots.blue.running), (Some(&id), Some(true)));
        assert_eq!(fs::read_link(f.path(number).join("web/current")).unwrap(), Path::new("blue"));
        assert_eq!(f.hosts.logins(number), 1, "host {number}");
        let env =
            fs::read_to_string(f.hosts.dir().join("run").join(Hosts::name(number)).join("env")).unwrap();
        assert!(env.contains("KEY=hidden-value\n") && env.contains("SLOT=blue\n"), "{env}");
    }
    let stop = Step::Stop { on: Instance { role: "web".to_owned(), host: Hosts::name(2), slot: Slot::Blue } };
    assert_eq!(f.run(&target, &order, &stop), StepOutcome::Done);
    let observation = target.observe(&f.environment.roles).unwrap();
    assert_eq!(observation.hosts[2].slots.as_ref().unwrap().blue.running, Some(false));
}

#[test]
fn health_check_is_made_on_the_host_with_curl() {
    let mut f = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 2000]);
            let head = ["503 Starting", "200 OK\r\nX-Release: 0-old", "200 OK\r\nX-Release: 1-aaaaaaaa"]
                [number.min(2)];
            let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let check = f.environment.roles[0].health_check.as_mut().unwrap();
    check.probe = HealthProbe::Http(format!("http://127.0.0.1:{port}/health"));
    check.release = Some(ReleaseSelector::Header("x-release".to_owned()));
    check.from = CheckFrom::Host;
    let target = f.target();
    let order = acquire(&target, "d1");
    let outcomes = f.start(&target, &order, 0);
    assert!(outcomes.iter().all(|outcome| *outcome == StepOutcome::Done), "{outcomes:?}");
}

#[test]
fn host_without_power_is_reported_and_does_not_stop_the_others() {
    let mut f = Fixture::new();
    let target = f.target();
    let order = acquire(&target, "d1");
    f.hosts.kill_server(1);
    let outcomes = f.start(&target, &order, 1);
    assert!(matches!(&outcomes[0], StepOutcome::Unreachable { host, .. } if host == "web2"), "{outcomes:?}");
    let outcomes = f.start(&target, &order, 2);
    assert!(outcomes.iter().all(|outcome| *outcome == StepOutcome::Done), "{outcomes:?}");
    let observation = target.observe(&f.environment.roles).unwrap();
    let is_reached: Vec<_> = observation.hosts.iter().map(|host| host.slots.is_ok()).collect();
    assert_eq!(is_reached, [true, false, true]);
    f.hosts.start_server(1);
    let outcomes = f.start(&target, &order, 1);
    assert!(outcomes.iter().all(|outcome| *outcome == StepOutcome::Done), "{outcomes:?}");
    f.hosts.kill_server(0);
    let error = target.observe(&f.environment.roles).unwrap_err();
    assert!(matches!(&error, TargetError::Unreachable { host, .. } if host == "web1"), "{error}");
}

/// A line that changes something, in the folder of the environment.
fn changing(line: &str) -> HostLine<'_> {
    HostLine { folder: LineFolder::Environment, line, variables: "", kind: LineKind::Change }
}

#[test]
fn migration_goes_on_under_the_lock_if_the_connection_is_lost() {
    let mut f = Fixture::new();
    let target = f.target();
    let order = acquire(&target, "d1");
    let run = f.hosts.dir().join("run/web1");
    let line = format!(
        "cd {}; touch here; while ! test -e go; do sleep 0.05; done; echo printed; echo printed >&2; sleep 0.2; \
         echo printed; touch done",
        run.display()
    );
    let outcome = thread::scope(|scope| {
        let (host, order) = (f.host(0), &order);
        let limits = CallLimits { timeout: Duration::from_secs(60), is_stopped: NOT_STOPPED };
        let running = scope.spawn(move || host.run_line(Some(order), changing(&line), limits));
        while !run.join("here").exists() {
            thread::sleep(Duration::from_millis(10));
        }
        f.hosts.kill_server(0);
        running.join().unwrap()
    });
    assert!(matches!(outcome, Err(HostError::Unreachable { .. })), "{outcome:?}");
    f.hosts.start_server(0);
    let lock = f.path(0).join(".taskgate/orders.lock");
    let is_locked = || !Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success();
    assert!(is_locked());
    fs::write(run.join("go"), "").unwrap();
    // Another order waits until it has ended.
    let limits = CallLimits { timeout: Duration::from_secs(60), is_stopped: NOT_STOPPED };
    let question = format!("test -e {}/done && echo yes", run.display());
    let printed = f.host(0).run_line(Some(&order), changing(&question), limits);
    assert_eq!(printed, Ok(b"yes\n".to_vec()));
}

#[test]
fn unknown_host_key_is_explained() {
    let f = Fixture::new();
    f.hosts.forget_keys();
    let error = f.target().observe(&f.environment.roles).unwrap_err().to_string();
    let expected =
        "web1: can't be reached: its host key is unknown; hint: connect once and compare the key: ssh web1";
    assert_eq!(error, expected);
}

#[test]
fn of_many_requests_at_once_one_is_granted() {
    let f = Fixture::new();
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..6 {
            let (f, results) = (&f, &results);
            scope.spawn(move || {
                let result = f.target().acquire(&request(&format!("d{number}")));
                results.lock().unwrap().push(result);
            });
        }
    });
    let results = results.into_inner().unwrap();
    let granted: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(granted.len(), 1, "{results:?}");
    for result in &results {
        match result {
            Ok(lease) => assert_eq!(lease, granted[0]),
            Err(TargetError::Held(lease)) => assert_eq!(**lease, *granted[0]),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn laptop_that_wakes_up_after_its_lease_was_taken_over_changes_nothing() {
    let f = Fixture::new();
    let sleeper = f.target();
    let request = LeaseRequest { duration: Duration::ZERO, ..request("d1") };
    let lease = sleeper.acquire(&request).unwrap();
    let old = Order { token: lease.token, nonce: request.nonce, deploy: request.deploy };
    let other = f.target();
    let takes_over = LeaseRequest { takes_over: Some("d1".to_owned()), ..self::request("d2") };
    other.acquire(&takes_over).unwrap();
    for number in 0..3 {
        let outcomes = f.start(&sleeper, &old, number);
        let superseded = StepOutcome::Superseded { by: Some("d2".to_owned()) };
        assert!(outcomes.iter().all(|outcome| *outcome == superseded), "{outcomes:?}");
        assert!(!f.path(number).join("web").exists());
    }
}

/// Yields half of a file, and then waits.
struct Half {
    bytes: io::Cursor<Vec<u8>>,
    is_reached: Arc<AtomicBool>,
}

impl Half {
    fn new(packed: &Packed) -> (Self, Arc<AtomicBool>) {
        let bytes = fs::read(&packed.file).unwrap();
        let bytes = io::Cursor::new(bytes[..bytes.len() / 2].to_vec());
        let is_reached = Arc::new(AtomicBool::new(false));
        (Self { bytes, is_reached: Arc::clone(&is_reached) }, is_reached)
    }
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        if length == 0 {
            self.is_reached.store(true, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
        Ok(length)
    }
}

#[test]
fn delivery_that_is_cut_off_leaves_nothing_half() {
    let mut f = Fixture::new();
    let target = f.target();
    let order = acquire(&target, "d1");
    let host = f.host(1);
    // Once by the deploying machine, and once by a connection that is lost.
    let (half, is_reached) = Half::new(&f.packed);
    let is_stopped = || is_reached.load(Ordering::SeqCst);
    let limits = CallLimits { timeout: Duration::from_secs(60), is_stopped: &is_stopped };
    let result = host.deliver(&order, &f.packed.digest, Some(f.packed.size), Box::new(half), limits);
    assert_eq!(result, Err(HostError::Interrupted { host: "web2".to_owned() }));

    let (half, is_reached) = Half::new(&f.packed);
    let (digest, size) = (f.packed.digest.clone(), f.packed.size);
    let result = thread::scope(|scope| {
        let (host, order) = (&host, &order);
        let delivery = scope.spawn(move || {
            let limits = CallLimits { timeout: Duration::from_secs(60), is_stopped: NOT_STOPPED };
            host.deliver(order, &digest, Some(size), Box::new(half), limits)
        });
        while !is_reached.load(Ordering::SeqCst) {
            assert!(!delivery.is_finished());
            thread::yield_now();
        }
        f.hosts.kill_server(1);
        delivery.join().unwrap()
    });
    assert!(matches!(result, Err(HostError::Unreachable { .. })), "{result:?}");
    f.hosts.start_server(1);
    assert_eq!(f.host(1).observe(false, &[]).unwrap().artifacts, Vec::<String>::new());
    let outcomes = f.start(&target, &order, 1);
    assert!(outcomes.iter().all(|outcome| *outcome == StepOutcome::Done), "{outcomes:?}");
    assert_eq!(fs::read_to_string(f.path(1).join("web/blue/text")).unwrap(), "hello\n");
}
