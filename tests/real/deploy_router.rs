//! Tests routers with real HAProxy and nginx on loopback ports, in front of servers of which each answers with
//! its release, under a constant load.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use taskgate::base::clock::Timestamp;
use taskgate::base::env::Env;
use taskgate::config::deploy::{
    Connection, Environment, Host as HostConfig, OnLost, Policy, Ports, Role, Router, Runs, Traffic,
    Variables,
};
use taskgate::config::model::SourceLocation;
use taskgate::deploy::lease::{LeaseRequest, Order};
use taskgate::deploy::release::{ArtifactDigest, Release, ReleaseId, Slot};
use taskgate::deploy::step::{Step, StepOutcome, Weights};
use taskgate::deploy::target::{StepContext, Target as _};
use taskgate::target::connection::Connector;
use taskgate::target::hosts::{ArtifactSource, HostsTarget};
use taskgate::target::router::driver_of;

use crate::project::ports::{free_port, free_port_on};

/// How long a test waits for something.
const PATIENCE: Duration = Duration::from_secs(120);
const OLD: &str = "1-aaaaaaaa";
const NEW: &str = "2-bbbbbbbb";

struct NoArtifacts;

impl ArtifactSource for NoArtifacts {
    fn open(&self, _: &ArtifactDigest) -> io::Result<Box<dyn Read + Send>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Waits until a condition holds.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Lets POST requests end.
type Gate = Arc<AtomicBool>;

/// Starts a server whose answers are its release. Those to POST come when the gate is open.
fn serve(listener: TcpListener, release: &'static str, gate: &Gate) {
    let gate = Arc::clone(gate);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let gate = Arc::clone(&gate);
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                let mut is_post = false;
                while reader.read_line(&mut line).is_ok_and(|count| count > 0) && line != "\r\n" {
                    is_post |= line.starts_with("POST");
                    line.clear();
                }
                while is_post && !gate.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(10));
                }
                let length = release.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{release}"
                );
            });
        }
    });
}

/// Makes one request and returns the body.
fn request(port: u16, method: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    if head.starts_with("HTTP/1.1 200") {
        Ok(body.to_owned())
    } else {
        Err(io::Error::other(head.to_owned()))
    }
}

/// A constant load of GET requests.
struct Load {
    is_over: Arc<AtomicBool>,
    answers: Arc<[AtomicUsize; 2]>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        let threads = (0..2).map(|_| {
            let (is_over, answers) = (Arc::clone(&is_over), Arc::clone(&answers));
            let failures = Arc::clone(&failures);
            thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    match request(port, "GET").as_deref() {
                        Ok(OLD) => drop(answers[0].fetch_add(1, Ordering::SeqCst)),
                        Ok(NEW) => drop(answers[1].fetch_add(1, Ordering::SeqCst)),
                        other => failures.lock().unwrap().push(format!("{other:?}")),
                    }
                    thread::sleep(Duration::from_millis(10));
                }
            })
        });
        let threads = threads.collect();
        Self { is_over, answers, failures, threads }
    }

    /// Returns how many answers of each release come until there are `count`.
    fn count(&self, count: usize) -> [usize; 2] {
        // Requests that are under way were distributed before.
        let now = || [0, 1].map(|number: usize| self.answers[number].load(Ordering::SeqCst));
        let total = |counts: [usize; 2]| counts[0] + counts[1];
        let before = now();
        wait_until("load", || total(now()) >= total(before) + 4);
        let before = now();
        wait_until("load", || total(now()) >= total(before) + count);
        let after = now();
        [after[0] - before[0], after[1] - before[1]]
    }

    fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        assert_eq!(*self.failures.lock().unwrap(), Vec::<String>::new());
    }
}

/// A proxy in front of two slots on two addresses.
struct Fixture {
    dir: tempfile::TempDir,
    environment: Environment,
    /// The port of the proxy.
    port: u16,
    gate: Gate,
    proxy: Option<Child>,
    command: Vec<String>,
}

const HOSTS: [&str; 2] = ["127.0.0.1", "127.0.0.2"];

impl Fixture {
    fn new(router: impl FnOnce(&Path, u16) -> Router) -> Self {
        let dir = tempfile::Builder::new().prefix("xt-router-").tempdir().unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let gate = Gate::default();
        let ports = [OLD, NEW].map(|release| {
            let port = free_port_on(&HOSTS);
            for host in HOSTS {
                serve(TcpListener::bind((host, port)).unwrap(), release, &gate);
            }
            port
        });
        let port = free_port();
        let traffic = Traffic {
            steps: vec![10, 50, 100],
            every: Duration::from_secs(1),
            bake: Duration::ZERO,
            router: router(dir.path(), port),
            on: Connection::Local,
            drain: PATIENCE,
            analysis: None,
            on_lost: OnLost::Hold,
        };
        let host = |name: &str| HostConfig {
            name: name.to_owned(),
            connection: Connection::Local,
            env: BTreeMap::new(),
        };
        let role = Role {
            name: "web".to_owned(),
            artifacts: Vec::new(),
            hosts: HOSTS.map(host).to_vec(),
            runs: Runs::Lines { start: "true".to_owned(), stop: Some("true".to_owned()), status: None },
            ports: Some(Ports { blue: ports[0], green: ports[1] }),
            variables: Variables::default(),
            health_check: None,
            traffic: Some(traffic),
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
            timeout: PATIENCE,
            lease: Duration::from_secs(600),
            max_parallel: NonZeroU32::new(3).unwrap(),
            path: format!("{}/srv/{{{{ host }}}}", dir.path().display()),
            roles: vec![role],
            migrations: None,
            location: SourceLocation::default(),
        };
        Self { dir, environment, port, gate, proxy: None, command: Vec::new() }
    }

    fn haproxy() -> Self {
        let mut f = Self::new(|dir, _| Router::Haproxy {
            socket: dir.join("admin.sock").to_str().unwrap().to_owned(),
            backend: "shop".to_owned(),
            server: "{{ role }}-{{ host }}-{{ slot }}".to_owned(),
            state_file: Some(dir.join("state").to_str().unwrap().to_owned()),
        });
        let dir = f.dir.path().display();
        let mut config = format!(
            "global\n  server-state-file {dir}/state\n  stats socket {dir}/admin.sock mode 600 level admin\ndefaults\n  mode http\n  \
             timeout connect 5s\n  timeout client 120s\n  timeout server 120s\nfrontend http\n  \
             bind 127.0.0.1:{}\n  default_backend shop\nbackend shop\n  load-server-state-from-file global\n",
            f.port
        );
        let ports = f.environment.roles[0].ports.unwrap();
        for (slot, port, more) in [("blue", ports.blue, ""), ("green", ports.green, " disabled")] {
            for host in HOSTS {
                config.push_str(&format!(
                    "  server web-{host}-{slot} {host}:{port} weight 100 check inter 200ms{more}\n"
                ));
            }
        }
        let file = f.dir.path().join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        f.command = vec![
            "haproxy".to_owned(),
            "-q".to_owned(),
            "-db".to_owned(),
            "-f".to_owned(),
            file.to_str().unwrap().to_owned(),
        ];
        f.start_proxy();
        f
    }

    fn nginx() -> Self {
        let mut f = Self::new(|dir, port| Router::Nginx {
            include: dir.join("shop.conf").to_str().unwrap().to_owned(),
            upstream: "shop".to_owned(),
            url: Some(format!("http://127.0.0.1:{port}/")),
            reload: "nginx -s reload".to_owned(),
        });
        let dir = f.dir.path().display().to_string();
        let ports = f.environment.roles[0].ports.unwrap();
        fs::write(
            f.dir.path().join("shop.conf"),
            format!("upstream shop {{ server 127.0.0.1:{0};\n server 127.0.0.2:{0};\n }}\n", ports.blue)
                .replace("{ server", "{\nserver"),
        )
        .unwrap();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {dir}/temp-{name};"))
            .join(" ");
        let user = if is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} worker_processes 2; pid {dir}/nginx.pid; error_log {dir}/error.log;\nevents {{ }}\nhttp {{\n\
             access_log off; {temporary} include {dir}/shop.conf;\nserver {{ listen 127.0.0.1:{};\n\
             location / {{ proxy_pass http://shop; proxy_read_timeout 120s; }} }} }}\n",
            f.port
        );
        let file = f.dir.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let wrapper = f.dir.path().join("bin/nginx");
        let script = format!(
            "#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/usr/sbin\nexec nginx -c {} -e {dir}/error.log \"$@\"\n",
            file.display()
        );
        fs::write(&wrapper, script).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        f.command = vec![wrapper.to_str().unwrap().to_owned(), "-g".to_owned(), "daemon off;".to_owned()];
        f.start_proxy();
        f
    }

    fn start_proxy(&mut self) {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let program = &self.command[0];
        let mut process = Command::new(program)
            .args(&self.command[1..])
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/real/install.sh installs it"));
        wait_until("the proxy does not listen; tests/real/install.sh installs haproxy and nginx", || {
            assert!(process.try_wait().unwrap().is_none(), "{program} has ended; is it installed?");
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        self.proxy = Some(process);
    }

    fn end_proxy(&mut self) {
        if let Some(mut process) = self.proxy.take() {
            // nginx ends its workers only if it is asked to.
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
    }

    fn target(&self) -> HostsTarget {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.dir.path().join("bin").display());
        let env = vec![(OsString::from("PATH"), OsString::from(path))];
        let connector = Arc::new(Connector::new(&Env::new(env, PathBuf::from("/"))));
        let dir = self.dir.path().to_owned();
        HostsTarget::new(self.environment.clone(), connector, Box::new(NoArtifacts), Box::new(driver_of), dir)
    }

    fn set_on_lost(&mut self, on_lost: OnLost) {
        self.environment.roles[0].traffic.as_mut().unwrap().on_lost = on_lost;
    }

    fn run(&self, target: &HostsTarget, order: &Order, step: &Step) -> StepOutcome {
        let release = Release {
            id: ReleaseId(NEW.to_owned()),
            number: 2,
            commit: "c".to_owned(),
            tree: "t".to_owned(),
            artifacts: BTreeMap::new(),
            digest: "d".to_owned(),
            roles: self.environment.roles.clone(),
            migrations: None,
            pending: Vec::new(),
            contracts: false,
            previous: None,
            created: Timestamp(1),
            by: "ann".to_owned(),
        };
        let secrets = BTreeMap::new();
        let context = StepContext {
            deployed: &release,
            releases: &[],
            roles: &release.roles,
            secrets: &secrets,
            is_stopped: &|| false,
            progress: &|_| {},
        };
        target.run(order, step, &context)
    }

    fn shift(&self, target: &HostsTarget, order: &Order, green: u8) -> StepOutcome {
        let weights = Weights { blue: 100 - green, green };
        self.run(target, order, &Step::Shift { role: "web".to_owned(), weights })
    }

    fn weights(&self) -> Result<Weights, String> {
        let observation = self.target().observe(&self.environment.roles).unwrap();
        observation.weights["web"].clone()
    }

    /// Writes down which release is in which slot, as staging does.
    fn fill_slots(&self) {
        let folder = self.dir.path().join("srv").join(HOSTS[0]).join(".taskgate/slots");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("web.blue.release"), format!("{OLD}\n# end\n")).unwrap();
        fs::write(folder.join("web.green.release"), format!("{NEW}\n# end\n")).unwrap();
    }

    /// Lets the lease end as if nobody had renewed it for long.
    fn expire_lease(&self) {
        let file = self.dir.path().join("srv").join(HOSTS[0]).join(".taskgate/lease");
        let text = fs::read_to_string(&file).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        // The token, when it was granted, and when it expires, in seconds.
        lines[2] = lines[1];
        fs::write(file.with_extension("new"), lines.join("\n") + "\n").unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    }

    /// Returns whether the process runs that brings former weights back.
    fn is_guarded(&self) -> bool {
        let file = self.dir.path().join("srv").join(HOSTS[0]).join(".taskgate/guard.web");
        let file = file.to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| String::from_utf8_lossy(&line).contains(file))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.gate.store(true, Ordering::SeqCst);
        self.end_proxy();
    }
}

fn is_root() -> bool {
    let printed = Command::new("id").arg("-u").output().unwrap().stdout;
    printed == b"0\n"
}

fn acquire(target: &HostsTarget, deploy: &str, duration: Duration, takes_over: Option<&str>) -> Order {
    let request = LeaseRequest {
        deploy: deploy.to_owned(),
        nonce: format!("nonce of {deploy}"),
        holder: format!("{deploy} on laptop"),
        duration,
        takes_over: takes_over.map(str::to_owned),
    };
    let lease = target.acquire(&request).unwrap();
    Order { token: lease.token, nonce: request.nonce, deploy: request.deploy }
}

const LONG: Duration = Duration::from_secs(600);

fn shift_back_and_forth(f: &Fixture) {
    f.fill_slots();
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    let load = Load::start(f.port);
    for green in [0, 10, 50, 100, 50, 10, 0] {
        assert_eq!(f.shift(&target, &order, green), StepOutcome::Done, "{green} %");
        assert_eq!(f.weights(), Ok(Weights { blue: 100 - green, green }));
        let [old, new] = load.count(200);
        let share = new * 100 / (old + new);
        let expected = match green {
            0 => 0..=0,
            10 => 3..=20,
            50 => 35..=65,
            _ => 100..=100,
        };
        assert!(expected.contains(&share), "{share} % instead of {green} %");
    }
    load.end();
}

#[test]
fn haproxy_shifts_under_load_without_a_failed_request() {
    let f = Fixture::haproxy();
    shift_back_and_forth(&f);
    let samples =
        f.target().sample(&f.environment.roles[0], &ReleaseId(NEW.to_owned()), Duration::ZERO).unwrap();
    for sample in [samples.blue.unwrap(), samples.green.unwrap()] {
        assert!(sample.requests > 300 && sample.errors == 0 && sample.mean.is_some(), "{sample:?}");
    }
}

#[test]
fn nginx_shifts_under_load_without_a_failed_request() {
    shift_back_and_forth(&Fixture::nginx());
}

#[test]
fn draining_waits_for_a_slow_request() {
    let f = Fixture::haproxy();
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    assert_eq!(f.shift(&target, &order, 0), StepOutcome::Done);
    let is_drained = AtomicBool::new(false);
    thread::scope(|scope| {
        let post = scope.spawn(|| request(f.port, "POST"));
        // The request is at a server before the traffic moves.
        wait_until("the request does not arrive", || {
            let samples =
                target.sample(&f.environment.roles[0], &ReleaseId(NEW.to_owned()), Duration::ZERO).unwrap();
            samples.blue.unwrap().requests > 0
        });
        assert_eq!(f.shift(&target, &order, 100), StepOutcome::Done);
        let drain = scope.spawn(|| {
            let outcome = f.run(&target, &order, &Step::Drain { role: "web".to_owned(), slot: Slot::Blue });
            is_drained.store(true, Ordering::SeqCst);
            outcome
        });
        for _ in 0..20 {
            assert_eq!(request(f.port, "GET").unwrap(), NEW);
        }
        assert!(!is_drained.load(Ordering::SeqCst) && !post.is_finished());
        f.gate.store(true, Ordering::SeqCst);
        assert_eq!(post.join().unwrap().unwrap(), OLD);
        assert_eq!(drain.join().unwrap(), StepOutcome::Done);
    });
}

/// "A proxy restart forgets the weights".
#[test]
fn restarted_haproxy_has_the_weights_of_its_server_state_file() {
    let mut f = Fixture::haproxy();
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    for green in [10, 100] {
        assert_eq!(f.shift(&target, &order, green), StepOutcome::Done);
        f.end_proxy();
        f.start_proxy();
        assert_eq!(f.weights(), Ok(Weights { blue: 100 - green, green }));
    }
}

#[test]
fn restarted_haproxy_has_forgotten_the_weights_and_gets_them_again() {
    let mut f = Fixture::haproxy();
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    assert_eq!(f.shift(&target, &order, 100), StepOutcome::Done);
    assert_eq!(f.weights(), Ok(Weights { blue: 0, green: 100 }));
    f.end_proxy();
    fs::remove_file(f.dir.path().join("state")).unwrap();
    let error = f.weights().unwrap_err();
    assert!(error.contains("HAProxy"), "{error}");
    f.start_proxy();
    assert_eq!(f.weights(), Ok(Weights { blue: 100, green: 0 }));
    assert_eq!(f.shift(&target, &order, 100), StepOutcome::Done);
    assert_eq!(f.weights(), Ok(Weights { blue: 0, green: 100 }));
}

#[test]
fn stale_order_does_not_change_weights() {
    for f in [Fixture::haproxy(), Fixture::nginx()] {
        let target = f.target();
        let old = acquire(&target, "d1", Duration::ZERO, None);
        assert_eq!(f.shift(&target, &old, 10), StepOutcome::Done);
        acquire(&target, "d2", LONG, Some("d1"));
        let outcome = f.shift(&target, &old, 100);
        assert_eq!(outcome, StepOutcome::Superseded { by: Some("d2".to_owned()) });
        assert_eq!(f.weights(), Ok(Weights { blue: 90, green: 10 }));
    }
}

#[test]
fn weights_come_back_if_the_deploy_is_lost() {
    for mut f in [Fixture::haproxy(), Fixture::nginx()] {
        f.set_on_lost(OnLost::Revert);
        let target = f.target();
        let order = acquire(&target, "d1", LONG, None);
        assert_eq!(f.shift(&target, &order, 10), StepOutcome::Done);
        assert_eq!(f.shift(&target, &order, 50), StepOutcome::Done);
        let load = Load::start(f.port);
        f.expire_lease();
        wait_until("the weights do not come back", || f.weights() == Ok(Weights { blue: 100, green: 0 }));
        wait_until("the guard does not end", || !f.is_guarded());
        load.end();
        // One who comes back is too late.
        let outcome = f.shift(&target, &order, 100);
        assert!(matches!(outcome, StepOutcome::Superseded { .. }), "{outcome:?}");
        // Who resumes knows the same former weights.
        let order = acquire(&target, "d2", LONG, Some("d1"));
        assert_eq!(f.shift(&target, &order, 50), StepOutcome::Done);
        f.expire_lease();
        wait_until("the weights do not come back", || f.weights() == Ok(Weights { blue: 100, green: 0 }));
    }
}

#[test]
fn guard_ends_with_the_deploy() {
    let mut f = Fixture::haproxy();
    f.set_on_lost(OnLost::Revert);
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    assert_eq!(f.shift(&target, &order, 10), StepOutcome::Done);
    assert!(f.is_guarded());
    target.renew(&order).unwrap();
    assert_eq!(f.shift(&target, &order, 100), StepOutcome::Done);
    target.release(&order).unwrap();
    wait_until("the guard does not end", || !f.is_guarded());
    assert_eq!(f.weights(), Ok(Weights { blue: 0, green: 100 }));
}

#[test]
fn nginx_keeps_its_file_if_the_new_one_is_refused() {
    let mut f = Fixture::nginx();
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    assert_eq!(f.shift(&target, &order, 10), StepOutcome::Done);
    let before = fs::read_to_string(f.dir.path().join("shop.conf")).unwrap();
    f.environment.roles[0].hosts[1].name = "unknown.invalid".to_owned();
    let outcome = f.shift(&target, &order, 50);
    let StepOutcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("`nginx -t` fails") && reason.contains("unknown.invalid"), "{reason}");
    assert_eq!(fs::read_to_string(f.dir.path().join("shop.conf")).unwrap(), before);
}

#[test]
fn nginx_that_serves_another_release_is_not_success() {
    let mut f = Fixture::nginx();
    f.fill_slots();
    f.environment.timeout = Duration::from_secs(10);
    // The process does not read the file again.
    let Router::Nginx { reload, .. } = &mut f.environment.roles[0].traffic.as_mut().unwrap().router else {
        panic!()
    };
    *reload = "true nginx -s reload".to_owned();
    let target = f.target();
    let order = acquire(&target, "d1", LONG, None);
    let outcome = f.shift(&target, &order, 100);
    let StepOutcome::Failed { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("its answer does not contain 2-bbbbbbbb"), "{reason}");
    // "The proxy's file says green and its process serves blue": what it serves counts.
    assert_eq!(f.weights(), Ok(Weights { blue: 100, green: 0 }));
}
