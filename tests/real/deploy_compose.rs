//! Tests the driver `compose` with a real Docker engine: the service `api` has slots, the service `db` keeps a file in
//! a volume that `api` reads when it starts.

use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::conformance::{self, Deployed, Fault};
use crate::docker::{Docker, Registry};
use crate::project::Project;
use crate::project::ports::free_port;
use crate::sshd::Hosts;

/// How long a test waits for something.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes an image of `app/serve`, pushes it if it can, and writes its name. Version numbers are part of the image.
const IMAGE: &str = r#"set -eu
export DOCKER_HOST=$1 name=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p out "$root/bin"
cp app/* "$root/"
cp /bin/busybox "$root/bin/"
if [ -e app/broken ]; then command='["/nothing"]'; else command='["/bin/busybox", "sh", "/serve"]'; fi
tar -C "$root" -c . | docker import -c "CMD $command" - "$name" >out/image
case $name in
*/*)
    docker push -q "$name" >/dev/null
    docker image inspect -f '{{index .RepoDigests 0}}' "$name" >out/image
    docker image rm "$name" >/dev/null
    ;;
esac
"#;

/// Answers `/health` on the port 8080, unless there is a file `silent`.
const SERVE: &str = r#"b=/bin/busybox
if [ -e /silent ]; then exec $b sleep 1000; fi
tries=0
until $b wget -q -O /rows http://db:8000/rows || [ $tries -ge 100 ]; do
    tries=$((tries + 1))
    $b sleep 0.1
done
$b mkdir -p /www
release=$RELEASE
[ ! -e /old ] || release=$($b cat /old)
echo "{\"release\":\"$release\",\"rows\":\"$($b cat /rows)\",\"level\":\"$LOG_LEVEL\",\"key\":\"${#KEY}\"}" >/www/health
exec $b httpd -f -p 8080 -h /www
"#;

const COMPOSE: &str = r#"version: "3.8"
services:
  api:
    image: DEFAULT
    ports: ["127.0.0.1:${PORT}:8080"]
    depends_on: [db]
    volumes: ["uploads:/uploads"]
    stop_grace_period: 1s
  db:
    image: DEFAULT
    command: ["/bin/busybox", "httpd", "-f", "-p", "8000", "-h", "/data"]
    volumes: ["data:/data"]
    stop_grace_period: 1s
volumes:
  data:
  uploads:
"#;

struct Shop {
    project: Project,
    ports: [u16; 2],
    registry: RefCell<Option<Registry>>,
    /// The last that is dropped: it holds the lock of all engines.
    docker: Docker,
}

impl Shop {
    fn new(registry: Option<Registry>, more: &str) -> Self {
        let docker = Docker::start();
        let project = Project::new("");
        let ports = free_ports();
        let name = match &registry {
            Some(registry) => format!("{}/shop/api", registry.address()),
            None => "shop-api".to_owned(),
        };
        let host = docker.host();
        let text = format!(
            r#"[tasks.image]
run = "sh image.sh '{host}' '{name}'"
inputs = ["app/**", "image.sh"]
outputs = ["out/**"]

[artifacts.api]
task = "image"
image = "{name}"

[environments.staging]
driver = "compose"
path = "{path}"
file = "deploy/compose.yml"
services = ["api"]
artifacts = {{ api = "api" }}
ports = {{ blue = {}, green = {} }}
health-check = {{ http = "http://127.0.0.1:{{{{ port }}}}/health", release = "/release", timeout = "15s", interval = "100ms" }}
secret-env = ["KEY"]
keep = 3
lease = "10s"
{more}
[environments.staging.env]
LOG_LEVEL = "info"
"#,
            ports[0],
            ports[1],
            path = project.parent_folder().join("srv/shop").display(),
        );
        project.write("tasks.toml", text).write(".gitignore", "out\n").write("image.sh", IMAGE);
        // The image of the shared service is not that of a release.
        let base = project.parent_folder().join("base");
        fs::create_dir_all(base.join("bin")).unwrap();
        fs::copy("/bin/busybox", base.join("bin/busybox")).unwrap();
        // A new volume gets what the image has there.
        fs::create_dir_all(base.join("data")).unwrap();
        fs::write(base.join("data/rows"), "none\n").unwrap();
        let import = format!("tar -C '{}' -c . | docker import - db:1", base.display());
        let imported = Command::new("sh").args(["-c", &import]).env("DOCKER_HOST", &host).output().unwrap();
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
        project.write("deploy/compose.yml", COMPOSE.replace("DEFAULT", "db:1"));
        let shop = Self { project, ports, registry: RefCell::new(registry), docker };
        shop.commit_version(1, None);
        shop
    }

    fn local() -> Self {
        Self::new(None, "")
    }

    /// Returns the answers of the slots, as JSON.
    fn answers(&self) -> Vec<serde_json::Value> {
        let answers = self.ports.iter().filter_map(|port| get(*port).ok());
        answers.map(|body| serde_json::from_str(&body).unwrap()).collect()
    }

    /// Returns the answer of the only slot that runs.
    fn answer(&self) -> serde_json::Value {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    fn srv(&self) -> std::path::PathBuf {
        self.project.parent_folder().join("srv/shop")
    }
}

impl Deployed for Shop {
    fn project(&self) -> &Project {
        &self.project
    }

    fn name(&self) -> &'static str {
        "staging"
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![("DOCKER_HOST", self.docker.host()), ("KEY", "hidden \"value\" $x".to_owned())]
    }

    fn commit_version(&self, number: u32, fault: Option<Fault>) {
        for file in ["broken", "silent", "old"] {
            let _ = fs::remove_file(self.project.path("app").join(file));
        }
        self.project.write("app/serve", SERVE).write("app/version", format!("{number}\n"));
        match fault {
            None => {}
            Some(Fault::Start) => drop(self.project.write("app/broken", "")),
            Some(Fault::Check) => drop(self.project.write("app/silent", "")),
            Some(Fault::OldAnswers) => drop(self.project.write("app/old", self.serving())),
        }
        self.project.commit(&format!("version {number}"));
    }

    fn commit_configuration(&self) {
        let text = self.project.read("tasks.toml").replace("\"info\"", "\"debug\"");
        self.project.write("tasks.toml", text).commit("log more");
    }

    fn serving(&self) -> String {
        self.answer()["release"].as_str().unwrap().to_owned()
    }

    fn state(&self) -> String {
        let all = ["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.State}}"];
        let images = ["images", "--format", "{{.ID}} {{.Tag}}", "--filter", "reference=taskgate/*"];
        format!("{}\n{}", self.docker.run(&all), self.docker.run(&images))
    }

    /// What no container uses is gone, too.
    fn cut_off(&self) {
        if let Some(registry) = &mut *self.registry.borrow_mut() {
            registry.stop();
        }
        let _ = fs::remove_dir_all(self.project.path(".git/xtask/artifacts"));
        self.docker.run(&["system", "prune", "-af"]);
    }
}

/// Returns the body of an answer.
fn get(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    match text.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(text)),
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    [(); N].map(|()| free_port())
}

#[test]
fn releases_follow_each_other_and_share_a_database() {
    let shop = Shop::local();
    conformance::releases_follow_each_other(&shop);
    assert_eq!(shop.answer()["level"], "debug");
    assert_eq!(shop.answer()["key"], "17");
    // The second slot must not come with an empty database.
    shop.docker.run(&["exec", "shop-staging_db_1", "/bin/busybox", "sh", "-c", "echo kept >/data/rows"]);
    let database = shop.docker.run(&["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", "shop-staging_db_1"]);
    for number in 4..=5 {
        shop.commit_version(number, None);
        shop.xtask("deploy", &[]).ends(0);
        assert_eq!(shop.answer()["rows"], "kept");
    }
    let after = shop.docker.run(&["inspect", "-f", "{{.Id}} {{.State.StartedAt}}", "shop-staging_db_1"]);
    assert_eq!(after, database);
    // Releases 3 to 5 are kept.
    let tags = shop.docker.run(&["images", "--format", "{{.Tag}}", "taskgate/shop-staging-api"]);
    let mut tags: Vec<_> = tags.lines().map(|tag| tag.split('-').next().unwrap()).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["3", "4", "5"]);
    let saved = fs::read_dir(shop.srv().join("images")).unwrap();
    let saved = saved.filter(|file| file.as_ref().unwrap().path().to_str().unwrap().ends_with(".tar.gz"));
    // Two releases have the same image.
    assert_eq!(saved.count(), 3);
    let projects = shop.docker.run(&["ps", "--format", "{{.Label \"com.docker.compose.project\"}}"]);
    let mut projects: Vec<_> = projects.lines().collect();
    projects.sort_unstable();
    assert_eq!(projects, ["shop-staging", "shop-staging-blue"]);
}

#[test]
fn version_that_does_not_start_does_not_serve() {
    conformance::faulty_version_does_not_serve(&Shop::local(), Fault::Start);
}

#[test]
fn version_that_does_not_answer_does_not_serve_and_its_output_is_kept() {
    let shop = Shop::local();
    conformance::faulty_version_does_not_serve(&shop, Fault::Check);
    let log = fs::read_to_string(shop.srv().join("app/blue.log")).unwrap();
    assert!(log.contains("== /shop-staging-blue_api_1: exit status"), "{log}");
}

#[test]
fn answer_of_the_old_release_is_no_success() {
    conformance::faulty_version_does_not_serve(&Shop::local(), Fault::OldAnswers);
}

#[test]
fn rollback_needs_no_registry_and_survives_a_prune() {
    let shop = Shop::new(Some(Registry::start()), "");
    conformance::rollback_fetches_nothing(&shop);
}

#[test]
fn project_of_somebody_else_is_refused() {
    let shop = Shop::local();
    let file = shop.project.path("deploy/compose.yml");
    let up = Command::new("docker-compose")
        .args(["-p", "shop-staging", "-f"])
        .arg(file)
        .args(["up", "-d", "db"])
        .env("DOCKER_HOST", shop.docker.host())
        .env("PORT", "1")
        .output()
        .unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    let refused = shop.xtask("deploy", &[]).ends(1);
    refused
        .says("is in the compose project shop-staging, but was started in")
        .says("docker compose -p shop-staging down");
    shop.xtask("deploy", &["--adopt"]).ends(6).says("there is nothing to adopt");
}

/// HAProxy in front of both slots.
struct Proxy {
    process: Child,
    port: u16,
}

impl Proxy {
    fn start(shop: &Shop, dir: &std::path::Path, port: u16) -> Self {
        let [blue, green] = shop.ports;
        let config = format!(
            "global\n  stats socket {0}/admin.sock mode 600 level admin\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 60s\n  timeout server 60s\nfrontend http\n  bind 127.0.0.1:{port}\n  \
             default_backend shop\nbackend shop\n  server app-localhost-blue 127.0.0.1:{blue} check inter 100ms \
             disabled\n  server app-localhost-green 127.0.0.1:{green} check inter 100ms disabled\n",
            dir.display()
        );
        let file = dir.join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let process = Command::new("/usr/sbin/haproxy")
            .args(["-q", "-db", "-f"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error}; tests/real/install.sh installs it"));
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "haproxy does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn no_request_fails_behind_haproxy_in_deploys_and_rollbacks() {
    let dir = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let router = format!(
        "traffic = [\"50%\", \"100%\"]\nevery = \"1s\"\nbake = \"1s\"\ndrain = \"5s\"\nstandby = \"30m\"\n\
         router = {{ haproxy = \"{}/admin.sock\", backend = \"shop\", on = {{ local = true }} }}\n",
        dir.path().display()
    );
    let shop = Shop::new(Some(Registry::start()), &router);
    let proxy = Proxy::start(&shop, dir.path(), port);
    shop.xtask("deploy", &[]).ends(0);
    let through = || serde_json::from_str::<serde_json::Value>(&get(proxy.port).unwrap()).unwrap();
    assert!(through()["release"].as_str().unwrap().starts_with("1-"));
    let (is_over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures = thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    while !is_over.load(Ordering::SeqCst) {
                        match get(proxy.port) {
                            Ok(_) => drop(count.fetch_add(1, Ordering::SeqCst)),
                            Err(error) => failures.push(error.to_string()),
                        }
                        thread::sleep(Duration::from_millis(10));
                    }
                    failures
                })
            })
            .collect();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            shop.commit_version(2, None);
            shop.xtask("deploy", &[]).ends(0);
            assert!(through()["release"].as_str().unwrap().starts_with("2-"));
            if let Some(registry) = &mut *shop.registry.borrow_mut() {
                registry.stop();
            }
            // The old slot still runs.
            assert_eq!(shop.answers().len(), 2);
            shop.xtask("rollback", &[]).ends(0).does_not_say("stage");
            assert!(through()["release"].as_str().unwrap().starts_with("1-"));
        }));
        is_over.store(true, Ordering::SeqCst);
        let failures: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        result.map(|()| failures)
    });
    assert_eq!(failures.unwrap(), Vec::<String>::new());
    assert!(count.load(Ordering::SeqCst) > 100);
}

#[test]
fn project_on_another_machine_is_reached_over_ssh() {
    let mut hosts = Hosts::start(1);
    let shop = Shop::new(Some(Registry::start()), "host = { ssh = \"web1\" }\n");
    // The other machine has an engine of its own.
    hosts.set_environment(0, &format!("DOCKER_HOST={}", shop.docker.host()));
    let ssh = hosts.variables();
    let run = |command: &str| {
        let mut xtask = shop.project.xtask_command(&[command, "--env", "staging"]);
        xtask.envs(ssh.iter().map(|(name, value)| (name, value))).env("KEY", "x");
        crate::project::CommandOutput::from_output(xtask.env_remove("DOCKER_HOST").output().unwrap())
    };
    run("deploy").ends(0);
    shop.assert_serves(1);
    shop.commit_version(2, None);
    run("deploy").ends(0);
    shop.assert_serves(2);
    if let Some(registry) = &mut *shop.registry.borrow_mut() {
        registry.stop();
    }
    run("rollback").ends(0);
    shop.assert_serves(1);
}
