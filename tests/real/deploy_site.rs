//! An environment for tests of deploys: a scratch repository, hosts with real processes, and perhaps a proxy. What
//! the tests of all kinds of environments need is here; what they test is not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::time::Instant;

use crate::load::{Class, Load, Tally, request};
use crate::project::ports::{free_port, free_port_on};
use crate::project::{CommandOutput, Project, wait_for};
use crate::proxy::{Backends, FileProxy, Proxy};
use crate::sshd::Hosts;

/// What distributes the requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Router {
    /// Nothing: the old processes stop before the new ones start.
    None,
    /// Shell lines.
    Lines,
    Haproxy,
    Nginx,
}

/// What of tasks.toml differs between tests.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The name of the environment.
    pub(crate) environment: String,
    /// How many of the hosts are part of it.
    pub(crate) hosts: usize,
    /// The value of the variable `COLOR`.
    pub(crate) color: String,
    /// How long the old slot runs on.
    pub(crate) standby: Option<String>,
    pub(crate) every: String,
    /// More keys of the role.
    pub(crate) role: String,
}

pub(crate) struct Site {
    pub(crate) project: Project,
    pub(crate) router: Router,
    pub(crate) settings: Settings,
    /// The hosts, if they are reached by ssh.
    pub(crate) hosts: Option<Hosts>,
    pub(crate) proxy: Option<Proxy>,
    file_proxy: Option<FileProxy>,
    backends: Backends,
    /// The port of the proxy.
    pub(crate) port: u16,
    version: u32,
}

impl Site {
    /// Creates an environment with this number of hosts: ssh hosts, or this machine.
    pub(crate) fn new(router: Router, hosts: usize, is_ssh: bool) -> Self {
        let project = Project::new("");
        fs::copy(server_program(), project.path("server")).unwrap();
        project.publish();
        let dir = project.parent_folder();
        fs::create_dir(dir.join("run")).unwrap();
        let backends = backends(hosts);
        // The router has a machine of its own.
        let with_router = usize::from(router != Router::None);
        let servers = is_ssh.then(|| Hosts::start(hosts + with_router));
        let (mut port, mut proxy, mut file_proxy) = (free_port(), None, None);
        match router {
            Router::None => {}
            Router::Lines => {
                let started = FileProxy::start(dir.join("weights"), backends.clone());
                port = started.port();
                file_proxy = Some(started);
            }
            Router::Haproxy => proxy = Some(Proxy::haproxy(&dir, port, &backends)),
            Router::Nginx => proxy = Some(Proxy::nginx(&dir, port, &backends)),
        }
        let settings = Settings {
            environment: "live".to_owned(),
            hosts,
            color: "blue".to_owned(),
            standby: None,
            every: "1s".to_owned(),
            role: String::new(),
        };
        let site =
            Self { project, router, settings, hosts: servers, proxy, file_proxy, backends, port, version: 0 };
        site.write_settings();
        site
    }

    /// Returns the addresses of the hosts that are part of the environment.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.backends.addresses[..self.settings.hosts]
    }

    /// Returns the folder that belongs to the environment on a host.
    pub(crate) fn srv(&self, host: &str) -> PathBuf {
        self.project.parent_folder().join("srv").join(&self.settings.environment).join(host)
    }

    /// Returns the id of the current release, or an empty text.
    pub(crate) fn current(&self) -> String {
        // The machine with the records has it in the first line before the releases.
        let folders = fs::read_dir(self.srv("")).into_iter().flatten();
        let files = folders.map(|entry| entry.unwrap().path().join(".taskgate/releases"));
        let text = files.filter_map(|file| fs::read_to_string(file).ok()).collect::<String>();
        text.lines().next().unwrap_or_default().trim().to_owned()
    }

    /// Writes tasks.toml.
    pub(crate) fn write_settings(&self) {
        let Settings { environment, color, standby, every, role, .. } = &self.settings;
        let dir = self.project.parent_folder();
        let dir = dir.display();
        let hosts: Vec<_> = self
            .addresses()
            .iter()
            .enumerate()
            .map(|(number, address)| match &self.hosts {
                Some(_) => format!("{{ ssh = \"{}\", name = \"{address}\" }}", Hosts::name(number)),
                None => format!("{{ local = true, name = \"{address}\" }}"),
            })
            .collect();
        let hosts = hosts.join(", ");
        let on = match &self.hosts {
            Some(_) => format!("{{ ssh = \"{}\" }}", Hosts::name(self.backends.addresses.len())),
            None => "{ local = true }".to_owned(),
        };
        let router = match self.router {
            Router::None => String::new(),
            Router::Lines => format!(
                r#"router = {{ shift = "echo blue=$WEIGHT_BLUE green=$WEIGHT_GREEN >{dir}/weights.new && mv {dir}/weights.new {dir}/weights", read = "cat {dir}/weights 2>/dev/null || echo blue=0 green=0", on = {on} }}"#
            ),
            Router::Haproxy => {
                format!(r#"router = {{ haproxy = "{dir}/admin.sock", backend = "shop", on = {on} }}"#)
            }
            Router::Nginx => format!(
                r#"router = {{ nginx = "{dir}/shop.conf", upstream = "shop", url = "http://127.0.0.1:{}/", reload = "{dir}/bin/nginx -s reload", on = {on} }}"#,
                self.port
            ),
        };
        // Only HAProxy says when the last request has ended.
        let drain = if self.router == Router::Haproxy { "30s" } else { "2s" };
        let standby = standby.iter().map(|time| format!("standby = \"{time}\"\n")).collect::<String>();
        let traffic = if self.router == Router::None {
            String::new()
        } else {
            format!(
                "traffic = [\"50%\", \"100%\"]\nevery = \"{every}\"\ndrain = \"{drain}\"\n{standby}{router}\n"
            )
        };
        let Backends { blue, green, .. } = self.backends;
        let text = format!(
            r#"[tasks.build]
run = "rm -rf out && mkdir out && cp app/* server out/"
inputs = ["app/**", "server"]
outputs = ["out/**"]

[tasks.smoke]
run = "test ! -e app/smokes"

[artifacts.app]
task = "build"

[environments.{environment}]
driver = "hosts"
path = "{dir}/srv/{environment}/{{{{ host }}}}"
env = {{ COLOR = "{color}" }}
url = "http://127.0.0.1:{port}"
smoke = ["smoke"]
keep = 2
lease = "10s"

[environments.{environment}.roles.web]
artifact = "app"
hosts = [{hosts}]
start = "cd out && sh ./start {{{{ host }}}}"
stop = "start-stop-daemon --stop --quiet --oknodo --retry TERM/60/KILL/5 --remove-pidfile --pidfile {dir}/run/{{{{ host }}}}.{{{{ slot }}}}"
status = "start-stop-daemon --status --pidfile {dir}/run/{{{{ host }}}}.{{{{ slot }}}}"
ports = {{ blue = {blue}, green = {green} }}
health-check = {{ http = "http://{{{{ host }}}}:{{{{ port }}}}/health", release = "/release", timeout = "20s", interval = "100ms" }}
{traffic}{role}"#,
            port = self.port
        );
        let start = format!(
            r#"test ! -e broken || {{ echo "it is broken" >&2; exit 1; }}
test ! -e broken-on || ! grep -qxF "$1" broken-on || {{ echo "it is broken on $1" >&2; exit 1; }}
exec start-stop-daemon --start --quiet --background --make-pidfile --pidfile {dir}/run/$1.$SLOT \
    --chdir "$PWD" --startas "$PWD/server" -- "$1"
"#
        );
        self.project.write("tasks.toml", text).write("app/start", start).write(".gitignore", "out\n");
    }

    /// Commits another version. Its artifact contains these files besides the program.
    pub(crate) fn write_version(&mut self, files: &[(&str, &str)]) {
        self.version += 1;
        fs::remove_dir_all(self.project.path("app")).unwrap();
        self.write_settings();
        self.project.write("app/version", self.version.to_string());
        for (name, text) in files {
            self.project.write(&format!("app/{name}"), text);
        }
        self.project.commit(&format!("version {}", self.version));
    }

    fn path_variable(&self) -> String {
        let own = self.hosts.as_ref().map(|hosts| format!("{}:", hosts.dir().join("bin").display()));
        let path = std::env::var("PATH").unwrap();
        format!("{}{path}:/usr/sbin:/sbin", own.unwrap_or_default())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.xtask_command(args);
        command.args(["--env", &self.settings.environment]).env("PATH", self.path_variable());
        command
    }

    /// Runs a command on the environment.
    pub(crate) fn xtask(&self, args: &[&str]) -> CommandOutput {
        let start = Instant::now();
        let output = CommandOutput::from_output(self.command(args).output().unwrap());
        println!("  {} took {:.1?}", args.join(" "), start.elapsed());
        output
    }

    /// Starts a command on the environment in the background.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.project.start_command(self.command(args))
    }

    /// Returns the classes of requests that must not fail. nginx closes idle connections when it is reloaded, and
    /// the small proxy keeps connections at their slot.
    pub(crate) fn safe_classes(&self) -> &'static [Class] {
        match self.router {
            Router::None => &[],
            Router::Haproxy => &[Class::Get, Class::SlowPost, Class::KeepAlive],
            Router::Lines | Router::Nginx => &[Class::Get, Class::SlowPost],
        }
    }

    /// Starts a load on the router, if there is one.
    pub(crate) fn load(&self) -> Option<Load> {
        (self.router != Router::None).then(|| Load::start(self.port, self.safe_classes()))
    }

    /// Ends a load: if there is a router, no request may have failed, and only these releases may have answered.
    #[track_caller]
    pub(crate) fn end_load(&self, load: Option<Load>, releases: &[&str]) -> Option<Tally> {
        let tally = load?.end();
        tally.assert_good(self.safe_classes(), releases);
        Some(tally)
    }

    /// Returns the releases that answer: through the router, or on the hosts if there is none.
    pub(crate) fn answers(&self) -> BTreeSet<String> {
        if self.router != Router::None {
            let answers = (0..12).map(|_| request(("127.0.0.1", self.port), "GET /"));
            return answers.map(|answer| answer.unwrap_or_else(|error| error.to_string())).collect();
        }
        self.addresses().iter().flat_map(|host| self.running(host)).map(|(_, release)| release).collect()
    }

    /// Returns the slots of a host that answer, and with which release.
    pub(crate) fn running(&self, host: &str) -> BTreeMap<&'static str, String> {
        let ports = [("blue", self.backends.blue), ("green", self.backends.green)];
        let answers = ports.map(|(slot, port)| (slot, request((host, port), "GET /")));
        answers.into_iter().filter_map(|(slot, answer)| Some((slot, answer.ok()?))).collect()
    }

    /// Returns what the health check of a host says.
    pub(crate) fn health(&self, host: &str) -> String {
        let ports = [self.backends.blue, self.backends.green];
        ports.iter().filter_map(|port| request((host, *port), "GET /health").ok()).collect()
    }

    /// Checks that a release is current, answers, and is the only one that runs on each host.
    #[track_caller]
    pub(crate) fn assert_serves(&self, release: &str) {
        assert_eq!(self.current(), release);
        assert_eq!(self.answers(), BTreeSet::from([release.to_owned()]));
        for host in self.addresses() {
            let running: Vec<_> = self.running(host).into_values().collect();
            assert_eq!(running, [release], "{host}");
        }
    }

    /// Returns the process of each slot: its name and its process id.
    pub(crate) fn processes(&self) -> BTreeMap<String, String> {
        let files = fs::read_dir(self.project.parent_folder().join("run")).unwrap();
        let process = |file: &Path| {
            let pid = fs::read_to_string(file).ok()?.trim().to_owned();
            let line =
                fs::read_to_string(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
            line.contains("server").then_some((file.file_name()?.to_str()?.to_owned(), pid))
        };
        files.filter_map(|file| process(&file.unwrap().path())).collect()
    }

    /// Kills a process as the system would. `name` is that of a host and a slot; an empty one means all.
    pub(crate) fn kill(&self, name: &str) {
        for (slot, pid) in self.processes().into_iter().filter(|(slot, _)| slot.starts_with(name)) {
            let _ = Command::new("kill").args(["-9", &pid]).status();
            // The pid must be free as well, or it still counts as running.
            wait_for(&format!("{slot} to end"), || !Path::new(&format!("/proc/{pid}")).exists());
        }
    }

    /// Returns the ports of the slots.
    pub(crate) fn ports(&self) -> [u16; 2] {
        [self.backends.blue, self.backends.green]
    }

    /// Starts what is in a slot of a host by hand.
    pub(crate) fn start_slot(&self, host: &str, slot: &str) {
        let script = "set -a; . \"$1.env\"; set +a; cd \"$1/out\" && sh ./start \"$2\"";
        let started = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.srv(host).join("web").join(slot))
            .arg(host)
            .env("PATH", self.path_variable())
            .status();
        assert!(started.unwrap().success());
    }

    /// Starts on each host what the link `current` names, as the system does after a start.
    pub(crate) fn start_current(&self) {
        for host in self.addresses() {
            let slot = fs::read_link(self.srv(host).join("web/current")).unwrap();
            self.start_slot(host, slot.to_str().unwrap());
        }
        wait_for("the processes to listen", || {
            self.addresses().iter().all(|host| !self.running(host).is_empty())
        });
    }

    /// Starts a process in a slot by hand, which answers with `release`.
    pub(crate) fn start_by_hand(&self, slot: &str, release: &str) {
        let port = if slot == "blue" { self.backends.blue } else { self.backends.green };
        let app = self.project.parent_folder().join("by-hand");
        fs::create_dir_all(&app).unwrap();
        fs::copy(self.project.path("app/start"), app.join("start")).unwrap();
        let _ = fs::copy(server_program(), app.join("server"));
        for host in self.addresses() {
            let started = Command::new("sh")
                .args(["./start", host])
                .current_dir(&app)
                .env("PATH", self.path_variable())
                .env("SLOT", slot)
                .env("PORT", port.to_string())
                .env("RELEASE", release)
                .status();
            assert!(started.unwrap().success());
        }
        let is_there = |host: &String| self.running(host).get(slot).is_some_and(|known| known == release);
        wait_for("the processes to listen", || self.addresses().iter().all(is_there));
    }

    /// Sets the weights of the router by hand: one slot gets everything.
    pub(crate) fn set_weights(&self, slot: &str) {
        let dir = self.project.parent_folder();
        let other = if slot == "blue" { "green" } else { "blue" };
        let weights = if slot == "blue" { "blue=100 green=0\n" } else { "blue=0 green=100\n" };
        match self.router {
            Router::None => {}
            Router::Lines => fs::write(dir.join("weights"), weights).unwrap(),
            Router::Haproxy => {
                let lines: Vec<_> = self
                    .addresses()
                    .iter()
                    .map(|host| {
                        format!(
                            "set server shop/web-{host}-{slot} weight 100;set server shop/web-{host}-{slot} state ready;\
                             set server shop/web-{host}-{other} state drain"
                        )
                    })
                    .collect();
                let script = format!("echo '{}' | socat - {}/admin.sock", lines.join(";"), dir.display());
                assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
            }
            Router::Nginx => {
                let port = if slot == "blue" { self.backends.blue } else { self.backends.green };
                let servers = self.addresses().iter().map(|host| format!("server {host}:{port};\n"));
                let servers = servers.collect::<String>();
                fs::write(dir.join("shop.conf"), format!("upstream shop {{\n{servers}}}\n")).unwrap();
                let reload = Command::new(dir.join("bin/nginx")).args(["-s", "reload"]).status();
                assert!(reload.unwrap().success());
            }
        }
    }

    /// Returns a digest of each file of the target, the refs of both repositories, and the processes.
    pub(crate) fn state(&self) -> (BTreeMap<PathBuf, u64>, String, BTreeMap<String, String>) {
        let bare = self.project.bare();
        let refs = self.project.git(&["for-each-ref"])
            + &self.project.git(&["--git-dir", bare.to_str().unwrap(), "for-each-ref"]);
        (files(&self.project.parent_folder().join("srv")), refs, self.processes())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.file_proxy.take());
        for pid in self.processes().values() {
            let _ = Command::new("kill").args(["-9", pid]).status();
        }
    }
}

/// Returns a digest of the content of each file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let mut hasher = DefaultHasher::new();
        if path.is_symlink() {
            fs::read_link(&path).unwrap().hash(&mut hasher);
        } else if path.is_dir() {
            found.extend(files(&path));
            continue;
        } else {
            fs::read(&path).unwrap().hash(&mut hasher);
        }
        found.insert(path, hasher.finish());
    }
    found
}

/// Returns the program that the tests deploy. It is compiled once.
fn server_program() -> &'static Path {
    static PROGRAM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = PROGRAM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("shop_server");
        let source = format!("{}/../tests/real/shop_server.rs", env!("CARGO_MANIFEST_DIR"));
        let options = ["--edition", "2024", "-C", "opt-level=1", "-C", "strip=symbols", "-o"];
        let built = Command::new("rustc").args(options).arg(&program).arg(&source).status();
        assert!(built.unwrap().success(), "rustc can't compile {source}");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, program)
    });
    program
}

/// Returns addresses of this machine, and two ports that are free on all of them.
fn backends(hosts: usize) -> Backends {
    let addresses: Vec<_> = (1..=hosts).map(|number| format!("127.0.0.{number}")).collect();
    let shown: Vec<_> = addresses.iter().map(String::as_str).collect();
    let (blue, green) = (free_port_on(&shown), free_port_on(&shown));
    Backends { addresses, blue, green }
}
