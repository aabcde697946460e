//! Kills, terminates and stops real deploys before and after their calls of the target, under a constant load
//! through real HAProxy, and cuts off the files in which a target remembers what happened.
//!
//! The program knows nothing of this: it calls a target by a program named `sh` in its PATH, and here that is a
//! script which counts the calls and sends a signal to its parent. The processes of a slot are a file: while it
//! exists, the server of the test answers on the slot's port with its content.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::project::ports::free_port;
use crate::project::{CommandOutput, Project, signal, wait_for};

/// How many points of a deploy each test of the matrix tries; the others are left out evenly. With
/// `TASKGATE_FAILPOINTS=all`, none is.
const MOST: usize = 16;
/// The load, in requests a second, which this many threads share.
const RATE: u32 = 100;
const CLIENTS: u32 = 4;

/// The calls of a target that change it.
const SIDE_EFFECTS: [&str; 12] = [
    "acquire", "record", "deliver", "stage", "start", "order", "commit", "point", "stop", "prune", "clean",
    "release",
];

/// Stands in for `sh`. `at` contains the number of a call that has a side effect, `before` or `after`, and a
/// signal. How many other calls there are depends on how long a deploy takes.
const SHELL: &str = r#"#!/bin/sh
case "${2-}" in "exec sh -c "*end-of-program*) ;; *) exec /bin/sh "$@" ;; esac
dir=DIR
[ -e "$dir/at" ] || exec /bin/sh "$@"
input=$dir/input.$$
cat >"$input"
length=${2#*bs=}
kind=$(head -c "${length%% *}" "$input" | tail -n 2 | head -n 1)
case " KINDS " in *" $kind "*) ;; *)
    /bin/sh "$@" <"$input"
    status=$?
    rm -f "$input"
    exit $status
    ;;
esac
export dir kind
number=$(flock "$dir/lock" /bin/sh -c 'echo "$kind" >>"$dir/kinds"; grep -c . "$dir/kinds"')
read -r at when signal <"$dir/at"
if [ "$number $when" = "$at before" ]; then
    kill -"$signal" $PPID
    if [ "$signal" = KILL ]; then exit 1; fi
fi
/bin/sh "$@" <"$input"
status=$?
if [ "$number $when" = "$at after" ]; then kill -"$signal" $PPID; fi
rm -f "$input"
exit $status
"#;

const START: &str =
    "echo \"release=$RELEASE\" >../../run-$SLOT.new && mv ../../run-$SLOT.new ../../run-$SLOT\n";

/// A repository with one environment: one host, behind HAProxy or a router that is a file.
struct Site {
    project: Project,
    proxy: Option<Child>,
    port: u16,
    version: u32,
}

/// Serves what a file contains while it exists, and else closes each connection.
fn serve(listener: TcpListener, file: PathBuf) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, file) = (stream.unwrap(), file.clone());
            thread::spawn(move || {
                let Ok(body) = fs::read_to_string(file) else { return };
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 0) && line != "\r\n" {
                    line.clear();
                }
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all((head + &body).as_bytes());
            });
        }
    });
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

impl Site {
    fn new(has_proxy: bool, more: &str) -> Self {
        let project = Project::new("");
        let srv = project.parent_folder().join("srv");
        fs::create_dir(&srv).unwrap();
        let ports = ["blue", "green"].map(|slot| {
            let (listener, port) = listen();
            serve(listener, srv.join(format!("run-{slot}")));
            port
        });
        let port = free_port();
        let (blue, green, shown) = (ports[0], ports[1], srv.display());
        let router = if has_proxy {
            format!(
                "haproxy = \"{}\", backend = \"shop\"",
                project.parent_folder().join("admin.sock").display()
            )
        } else {
            format!(
                "shift = \"echo blue=$WEIGHT_BLUE green=$WEIGHT_GREEN >{shown}/weights\", \
                 read = \"cat {shown}/weights 2>/dev/null || echo blue=0 green=0\""
            )
        };
        let text = format!(
            r#"[tasks.build]
run = "mkdir -p out && cp app/* out/"
inputs = ["app/**"]
outputs = ["out/**"]

[artifacts.app]
task = "build"

[environments.dev]
driver = "hosts"
path = "{shown}"
artifact = "app"
lease = "3s"
hosts = [{{ local = true }}]
start = "sh out/start"
stop = "rm -f {shown}/run-{{{{ slot }}}}"
status = "test -e {shown}/run-{{{{ slot }}}}"
ports = {{ blue = {blue}, green = {green} }}
health-check = {{ http = "http://127.0.0.1:{{{{ port }}}}/", release = 'pattern:release=(\S+)', timeout = "20s", interval = "50ms" }}
traffic = ["10%", "100%"]
every = "200ms"
bake = "200ms"
drain = "300ms"
router = {{ {router}, on = {{ local = true }} }}
{more}"#
        );
        project.write("tasks.toml", text).write("app/start", START).write(".gitignore", "out\n");
        let folder = project.parent_folder().join("bin");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(project.parent_folder().join("fail")).unwrap();
        let dir = project.parent_folder().join("fail");
        fs::write(
            folder.join("sh"),
            SHELL.replace("DIR", dir.to_str().unwrap()).replace("KINDS", &SIDE_EFFECTS.join(" ")),
        )
        .unwrap();
        fs::set_permissions(folder.join("sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut site = Self { project, proxy: None, port, version: 0 };
        if has_proxy {
            site.start_proxy(ports);
        }
        site
    }

    fn start_proxy(&mut self, ports: [u16; 2]) {
        let folder = self.project.parent_folder();
        let role = "app";
        let config = format!(
            "global\n  stats socket {}/admin.sock mode 600 level admin\ndefaults\n  mode http\n  retries 3\n  \
             timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  timeout check 10s\nfrontend http\n  \
             bind 127.0.0.1:{}\n  default_backend shop\nbackend shop\n  option httpchk GET /\n  \
             server {role}-localhost-blue 127.0.0.1:{} check inter 100ms fall 3 rise 1\n  \
             server {role}-localhost-green 127.0.0.1:{} check inter 100ms fall 3 rise 1\n",
            folder.display(),
            self.port,
            ports[0],
            ports[1]
        );
        let file = folder.join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let proxy = Command::new("haproxy")
            .args(["-q", "-db", "-f"])
            .arg(file)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error}; tests/real/install.sh installs it"));
        // It is ended also if it does not listen.
        self.proxy = Some(proxy);
        wait_for("HAProxy to listen", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn srv(&self) -> PathBuf {
        self.project.parent_folder().join("srv")
    }

    fn fail(&self, name: &str) -> PathBuf {
        self.project.parent_folder().join("fail").join(name)
    }

    /// Returns a command of which each call of the target goes through the script.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.xtask_command(args);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.project.parent_folder().join("bin").display()));
        command
    }

    fn xtask(&self, args: &[&str]) -> CommandOutput {
        self.project.xtask(args)
    }

    /// Commits another version.
    fn next_version(&mut self) {
        self.version += 1;
        self.project.write("app/version", self.version.to_string()).commit("version");
    }

    /// Deploys another version.
    fn deploy(&mut self) {
        self.next_version();
        self.xtask(&["deploy", "--env", "dev"]).ends(0);
    }

    /// Begins a deploy of another version that gets a signal at a call.
    fn deploy_until(&mut self, call: usize, when: &str, signal: &str) -> Child {
        self.next_version();
        fs::write(self.fail("at"), format!("{call} {when} {signal}\n")).unwrap();
        fs::write(self.fail("kinds"), "").unwrap();
        for file in ["out", "err"] {
            let _ = fs::remove_file(self.project.parent_folder().join(file));
        }
        self.project.start_command(self.command(&["deploy", "--env", "dev"]))
    }

    /// Returns the release that the last deploy would make current, if it came that far.
    fn deployed(&self) -> Option<String> {
        let err = fs::read_to_string(self.project.parent_folder().join("err")).unwrap_or_default();
        let line = err.lines().find_map(|line| line.strip_prefix("dev: deploy "))?;
        Some(line.split(',').next()?.to_owned())
    }

    /// Returns the calls with side effects since the last deploy began.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.fail("kinds")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns the old and the new release, which may answer during a deploy.
    fn possible(&self, known: [String; 2]) -> Vec<String> {
        known.into_iter().chain(self.deployed()).collect()
    }

    fn no_more_signals(&self) {
        fs::remove_file(self.fail("at")).unwrap();
    }

    /// Returns the release that is current, by `status`.
    fn current(&self) -> Option<String> {
        let status = self.xtask(&["status", "--env", "dev", "--json"]);
        let value: serde_json::Value = serde_json::from_str(status.out.lines().next().unwrap()).unwrap();
        Some(value["observation"]["authority"]["current"].as_str()?.to_owned())
    }

    /// Returns the releases of the slots that run.
    fn running(&self) -> Vec<String> {
        let files = ["blue", "green"].map(|slot| self.srv().join(format!("run-{slot}")));
        let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        texts.map(|text| text.trim().trim_start_matches("release=").to_owned()).collect()
    }

    /// Checks that all is well and that a release serves, alone.
    #[track_caller]
    fn assert_serves(&self, release: &str) {
        let status = self.xtask(&["status", "--env", "dev"]).ends(0);
        assert!(status.out.contains(&format!("{release} is current")), "{}", status.out);
        assert!(!status.out.contains("in progress"), "{}", status.out);
        assert_eq!(self.running(), [release], "{}", status.out);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut proxy) = self.proxy.take() {
            let _ = proxy.kill();
            let _ = proxy.wait();
        }
    }
}

/// Makes one request and returns the release that answers.
fn request(port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => {
            Ok(body.trim().trim_start_matches("release=").to_owned())
        }
        _ => Err(io::Error::other(text.lines().next().unwrap_or("no answer").to_owned())),
    }
}

/// A constant load.
struct Load {
    is_over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    answers: Arc<Mutex<BTreeSet<String>>>,
    failures: Arc<Mutex<Vec<String>>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let mut load = Self {
            is_over: Arc::default(),
            count: Arc::default(),
            answers: Arc::default(),
            failures: Arc::default(),
            threads: Vec::new(),
        };
        for _ in 0..CLIENTS {
            let (is_over, count) = (Arc::clone(&load.is_over), Arc::clone(&load.count));
            let (answers, failures) = (Arc::clone(&load.answers), Arc::clone(&load.failures));
            load.threads.push(thread::spawn(move || {
                let mut next = Instant::now();
                while !is_over.load(Ordering::SeqCst) {
                    match request(port) {
                        Ok(release) => drop(answers.lock().unwrap().insert(release)),
                        Err(error) => failures.lock().unwrap().push(error.to_string()),
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    next += Duration::from_secs(1) / RATE * CLIENTS;
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            }));
        }
        load
    }

    /// Checks that no request has failed, and that only these releases have answered since the last time.
    #[track_caller]
    fn check(&self, what: &str, releases: &[String]) {
        let failures = self.failures.lock().unwrap().clone();
        assert!(failures.is_empty(), "{what}: {} requests failed: {}", failures.len(), failures[0]);
        let answers = std::mem::take(&mut *self.answers.lock().unwrap());
        assert!(
            !answers.is_empty() && answers.iter().all(|answer| releases.contains(answer)),
            "{what}: {answers:?}"
        );
    }

    fn end(self) -> usize {
        self.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        self.count.load(Ordering::SeqCst)
    }
}

/// A call of a deploy, and when the signal is sent.
#[derive(Clone, Debug)]
struct Point {
    call: usize,
    kind: String,
    when: &'static str,
}

/// Returns the points of a deploy at which something is about to happen or has happened, of which some are left
/// out evenly.
fn points(site: &mut Site, most: usize, offset: usize) -> Vec<Point> {
    let mut child = site.deploy_until(usize::MAX, "before", "KILL");
    assert!(child.wait().unwrap().success());
    site.no_more_signals();
    let mut all = Vec::new();
    for (index, kind) in site.calls().into_iter().enumerate() {
        all.extend(["before", "after"].map(|when| Point { call: index + 1, kind: kind.clone(), when }));
    }
    assert!(all.len() > 40, "{all:?}");
    let is_all = std::env::var("TASKGATE_FAILPOINTS").is_ok_and(|which| which == "all");
    let most = if is_all { all.len() } else { most.min(all.len()) };
    let chosen: Vec<_> =
        (0..most).map(|index| all[(index * all.len() / most + offset) % all.len()].clone()).collect();
    let shown: Vec<_> =
        chosen.iter().map(|Point { call, kind, when }| format!("{when} {call} {kind}")).collect();
    println!("{} of {} points: {}", chosen.len(), all.len(), shown.join(", "));
    chosen
}

/// What a deploy has recorded before it was killed.
fn records(site: &Site, point: &Point) -> usize {
    let calls = site.calls();
    let done = calls.iter().take(if point.when == "before" { point.call - 1 } else { point.call });
    done.filter(|kind| *kind == "record").count()
}

fn kill_at_many_points(action: &str, offset: usize) {
    let mut site = Site::new(true, "");
    site.deploy();
    let points = points(&mut site, MOST, offset);
    let all_records = site.calls().iter().filter(|kind| *kind == "record").count();
    let mut old = site.current().unwrap();
    let load = Load::start(site.port);
    for point in &points {
        let what = format!("{action} {point:?}");
        let mut child = site.deploy_until(point.call, point.when, "KILL");
        let is_killed = child.wait().unwrap().code().is_none();
        site.no_more_signals();
        // There may be a few calls more or less in each deploy, since not each has something to clean up.
        assert!(is_killed || site.calls().len() < point.call + 8, "{what}");
        let status = site.xtask(&["status", "--env", "dev"]);
        let records = records(&site, point);
        if is_killed && (2..all_records - 1).contains(&records) {
            let is_named = ["in progress:", "has not ended"].iter().any(|text| status.out.contains(text));
            assert!(is_named, "{what}: {}", status.out);
        }
        let ended = site.xtask(&["deploy", "--env", "dev", action, "--wait"]);
        let is_over = ended.err.contains("no deploy is unfinished");
        let is_current = ended.err.contains("is already current");
        if is_current {
            site.xtask(&["deploy", "--env", "dev", "--resume"]).ends(0);
        } else if !is_over {
            assert_eq!(ended.status, 0, "{what}: {}{}", ended.out, ended.err);
        }
        let now = site.current().unwrap();
        if !is_over {
            assert_eq!(now != old, action == "--resume" || is_current, "{what}: {}", ended.err);
        }
        site.assert_serves(&now);
        load.check(&what, &site.possible([old, now.clone()]));
        old = now;
    }
    println!("{} requests, none failed", load.end());
}

/// "A cancelled job leaves a lock that needs hand-deleting", and "running for ever after the deploying machine
/// died".
#[test]
fn deploy_that_is_killed_at_any_call_is_resumed_without_a_failed_request() {
    kill_at_many_points("--resume", 0);
}

#[test]
fn deploy_that_is_killed_at_any_call_is_aborted_without_a_failed_request() {
    kill_at_many_points("--abort", 1);
}

#[test]
fn deploy_that_is_terminated_at_any_call_leaves_old_or_new_without_a_failed_request() {
    let mut site = Site::new(true, "");
    site.deploy();
    let points = points(&mut site, 8, 3);
    let mut old = site.current().unwrap();
    let load = Load::start(site.port);
    for point in &points {
        let what = format!("{point:?}");
        let mut child = site.deploy_until(point.call, point.when, "TERM");
        let status = child.wait().unwrap();
        site.no_more_signals();
        let now = site.current().unwrap();
        let err = fs::read_to_string(site.project.parent_folder().join("err")).unwrap();
        match status.code() {
            Some(0) => assert_ne!(now, old, "{what}: {err}"),
            // The release was made current, and not all was done that comes after that.
            Some(7) => {
                assert!(now != old && err.contains(&format!("dev: {now} serves")), "{what}: {err}");
                site.xtask(&["deploy", "--env", "dev", "--resume", "--wait"]).ends(0);
            }
            // Before the lease is granted, the signal just ends the process.
            Some(1 | 5 | 143) | None => assert_eq!(now, old, "{what}: {err}"),
            other => panic!("{what}: {other:?}: {err}"),
        }
        if site.xtask(&["status", "--env", "dev"]).status != 0 {
            site.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]).ends(0);
        }
        site.assert_serves(&now);
        load.check(&what, &site.possible([old, now.clone()]));
        old = now;
    }
    println!("{} requests, none failed", load.end());
}

/// Whether a process is stopped.
fn is_stopped(child: &Child) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
}

#[test]
fn deploy_that_is_stopped_and_taken_over_changes_nothing_when_it_continues() {
    let mut site = Site::new(true, "");
    site.deploy();
    let all = points(&mut site, usize::MAX, 0);
    let stops: Vec<_> = ["stage", "order", "commit", "stop"]
        .iter()
        .filter_map(|kind| all.iter().find(|point| point.kind == *kind && point.when == "after"))
        .collect();
    assert_eq!(stops.len(), 4, "{all:?}");
    let mut old = site.current().unwrap();
    let load = Load::start(site.port);
    for point in stops {
        let what = format!("{point:?}");
        let mut child = site.deploy_until(point.call, point.when, "STOP");
        wait_for("the deploy to stop", || is_stopped(&child));
        site.no_more_signals();
        site.xtask(&["deploy", "--env", "dev", "--resume", "--wait"]).ends(0);
        let now = site.current().unwrap();
        assert_ne!(now, old, "{what}");
        let before = site.xtask(&["status", "--env", "dev"]).ends(0).out;
        signal("CONT", i32::try_from(child.id()).unwrap());
        let ended = child.wait().unwrap();
        let err = fs::read_to_string(site.project.parent_folder().join("err")).unwrap();
        assert!(!ended.success() && err.contains("taken over"), "{what}: {ended:?}: {err}");
        assert_eq!(site.xtask(&["status", "--env", "dev"]).out, before, "{what}");
        site.assert_serves(&now);
        load.check(&what, &[old, now.clone()]);
        old = now;
    }
    println!("{} requests, none failed", load.end());
}

/// "Running for ever after the deploying machine died".
#[test]
fn canary_whose_deployer_is_killed_is_reverted_although_nobody_returns() {
    let mut site = Site::new(true, "on-lost = \"revert\"\n");
    site.deploy();
    let old = site.current().unwrap();
    let text = site.project.read("tasks.toml").replace("every = \"200ms\"", "every = \"10m\"");
    site.project.write("tasks.toml", text);
    let load = Load::start(site.port);
    let mut child = site.deploy_until(usize::MAX, "before", "KILL");
    let weights = |text: &str| site.xtask(&["status", "--env", "dev"]).out.contains(text);
    wait_for("the canary", || weights("router: 90 % blue, 10 % green"));
    signal("KILL", i32::try_from(child.id()).unwrap());
    child.wait().unwrap();
    site.no_more_signals();
    wait_for("the weights to come back", || weights("router: 100 % blue, 0 % green"));
    load.check("canary", &[old.clone(), site.running()[1].clone()]);
    site.xtask(&["status", "--env", "dev"]).ends(7).prints("has not ended");
    site.xtask(&["deploy", "--env", "dev", "--abort"]).ends(0);
    site.assert_serves(&old);
    load.check("canary", &[old]);
    load.end();
}

/// Kills processes, some of which may have ended.
fn kill(pids: &[i32]) {
    for pid in pids {
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
    }
}

#[test]
fn guard_that_is_killed_is_started_again_while_the_lease_is_renewed_and_by_who_resumes() {
    let mut site = Site::new(true, "on-lost = \"revert\"\n");
    site.deploy();
    let text = site.project.read("tasks.toml").replace("every = \"200ms\"", "every = \"10m\"");
    site.project.write("tasks.toml", text);
    let mut child = site.deploy_until(usize::MAX, "before", "KILL");
    site.no_more_signals();
    // Its lock, whose name begins so, is an argument of other processes.
    let mark = format!("{}\0", site.srv().join(".taskgate/guard.app").display());
    let guards = || crate::project::processes(&mark);
    wait_for("the guard", || !guards().is_empty());
    let first = guards();
    kill(&first);
    wait_for("another guard", || !guards().is_empty() && guards() != first);
    // A machine that starts again has none.
    signal("KILL", i32::try_from(child.id()).unwrap());
    child.wait().unwrap();
    wait_for("no guard", || {
        kill(&guards());
        guards().is_empty()
    });
    let mut resumed = site.project.start(&["deploy", "--env", "dev", "--resume", "--wait"]);
    wait_for("the guard of who resumes", || !guards().is_empty());
    signal("KILL", i32::try_from(resumed.id()).unwrap());
    resumed.wait().unwrap();
    let reverted = || site.xtask(&["status", "--env", "dev"]).out.contains("router: 100 % blue, 0 % green");
    wait_for("the weights to come back", reverted);
    site.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]).ends(0);
}

/// Copies a folder over another one.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// Power loss: none of these states can come about by the way files are written, and still none is mistaken for
/// a sound one.
#[test]
fn file_of_the_target_that_was_cut_off_is_noticed_or_does_no_harm() {
    let mut site = Site::new(false, "");
    site.deploy();
    let old = site.current().unwrap();
    let text = site.project.read("tasks.toml").replace("every = \"200ms\"", "every = \"10m\"");
    site.project.write("tasks.toml", text.clone());
    let mut child = site.deploy_until(usize::MAX, "before", "KILL");
    let weights = site.srv().join("weights");
    wait_for("the canary", || fs::read_to_string(&weights).is_ok_and(|text| text.contains("blue=90")));
    signal("KILL", i32::try_from(child.id()).unwrap());
    child.wait().unwrap();
    site.no_more_signals();
    // Wait until the lease has expired.
    wait_for("the lease", || site.xtask(&["status", "--env", "dev"]).out.contains("has not ended"));
    let copied = site.project.parent_folder().join("copied");
    copy(&site.srv(), &copied);
    let state = site.srv().join(".taskgate");
    let names = [
        "records",
        "token",
        "lease",
        "releases",
        "number",
        "begun",
        "slots/app.blue.release",
        "slots/app.green.release",
        "slots/app.blue.stop",
        "slots/app.green.stop",
        "slots/app.blue.status",
        "slots/app.green.started",
    ];
    let mut refused = Vec::new();
    for name in names {
        let whole =
            fs::read(copied.join(".taskgate").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for length in [0, whole.len() / 2, whole.len() - 1] {
            let what = format!("{name} cut off after {length} of {} bytes", whole.len());
            copy(&copied, &site.srv());
            fs::write(state.join(name), &whole[..length]).unwrap();
            let status = site.xtask(&["status", "--env", "dev"]);
            assert_eq!(status.status, 7, "{what}: {}{}", status.out, status.err);
            let aborted = site.xtask(&["deploy", "--env", "dev", "--abort", "--wait"]);
            let shown = format!("{what}: {}{}", aborted.out, aborted.err);
            match aborted.status {
                0 => {
                    assert_eq!(site.current(), Some(old.clone()), "{shown}");
                    assert!(site.running().contains(&old), "{shown}");
                    assert!(fs::read_to_string(&weights).unwrap().contains("blue=100"), "{shown}");
                    if site.xtask(&["status", "--env", "dev"]).status == 0 {
                        assert_eq!(site.running(), std::slice::from_ref(&old), "{shown}");
                    }
                }
                7 => {
                    assert!(
                        ["cut off", "lost", "damaged"].iter().any(|word| aborted.err.contains(word)),
                        "{shown}"
                    );
                    refused.push(what);
                }
                _ => panic!("{shown}"),
            }
        }
    }
    println!("refused: {refused:#?}");
}

/// A small file system.
struct SmallDisk(PathBuf);

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn full_disk_does_not_keep_a_rollback_from_happening() {
    let mut site = Site::new(true, "");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"]).arg(site.srv()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("nothing can be mounted here");
        return;
    }
    let disk = SmallDisk(site.srv());
    site.deploy();
    let first = site.current().unwrap();
    site.deploy();
    let second = site.current().unwrap();
    let fill = format!("cat /dev/zero >{}/big 2>/dev/null", site.srv().display());
    Command::new("sh").args(["-c", &fill]).status().unwrap();
    let load = Load::start(site.port);
    // The old slot was stopped: this is the cold way.
    site.xtask(&["rollback", "--env", "dev"]).ends(0);
    site.assert_serves(&first);
    site.next_version();
    site.xtask(&["deploy", "--env", "dev"]).ends(5).says("no space");
    site.assert_serves(&first);
    load.check("full disk", &[first.clone(), second]);
    load.end();
    drop(disk);
}
