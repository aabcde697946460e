//! A Docker engine for tests, with a data folder of its own, and Debian's `docker-registry`. Both end with the value.
//! A test never uses the engine of the machine: it removes all that it finds there.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::project::ports::free_port;

/// How long a test waits for a server.
const PATIENCE: Duration = Duration::from_secs(120);

/// Only one engine at a time changes the machine's packet filter.
static ONE: Mutex<()> = Mutex::new(());

/// A Docker engine.
pub(crate) struct Docker {
    dir: tempfile::TempDir,
    process: Child,
    _one: MutexGuard<'static, ()>,
}

impl Docker {
    /// Starts an engine.
    pub(crate) fn start() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        for program in ["dockerd", "docker", "docker-compose"] {
            let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            let found = std::env::split_paths(path).any(|folder| folder.join(program).exists());
            assert!(found, "{program} is missing; tests/real/install.sh installs it");
        }
        let busybox = Path::new("/bin/busybox").exists();
        assert!(busybox, "/bin/busybox is missing; tests/real/install.sh installs busybox-static");
        let dir = tempfile::Builder::new().prefix("xt-docker-").tempdir().unwrap();
        let log = dir.path().join("log");
        let process = Command::new("dockerd")
            .arg("--data-root")
            .arg(dir.path().join("data"))
            .arg("--exec-root")
            .arg(dir.path().join("exec"))
            .arg("--pidfile")
            .arg(dir.path().join("pid"))
            .arg("--host")
            .arg(Self::address(dir.path()))
            .args(["--bridge", "none", "--default-address-pool", "base=10.213.0.0/16,size=24"])
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("dockerd: {error}; tests/real/install.sh installs it"));
        let mut docker = Self { dir, process, _one: one };
        let start = Instant::now();
        while !docker.command(&["version"]).output().unwrap().status.success() {
            let has_ended = docker.process.try_wait().unwrap().is_some();
            if has_ended || start.elapsed() > PATIENCE {
                let log = fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                panic!(
                    "dockerd does not start: {last:#?}; it needs root, iptables, and a kernel with overlayfs and \
                     bridges; tests/real/install.sh installs docker.io"
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
        docker
    }

    fn address(dir: &Path) -> String {
        format!("unix://{}/socket", dir.display())
    }

    /// Returns the value of `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        Self::address(self.dir.path())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).env("DOCKER_HOST", self.host()).stdin(Stdio::null());
        command
    }

    /// Runs `docker`, which must succeed, and returns what it prints.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Ok(containers) = self.command(&["ps", "-aq"]).output() {
            let containers = String::from_utf8_lossy(&containers.stdout).into_owned();
            let containers: Vec<_> = containers.split_whitespace().collect();
            if !containers.is_empty() {
                let _ = self.command(&[&["rm", "-f"], containers.as_slice()].concat()).output();
            }
        }
        let _ = self.command(&["network", "prune", "-f"]).output();
        // It ends what it has started only if it is asked to end.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// A registry of images on a loopback port.
pub(crate) struct Registry {
    dir: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Registry {
    /// Starts a registry.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("xt-registry-").tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: \
             {{rootdirectory: {}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            dir.path().display()
        );
        fs::write(dir.path().join("config.yml"), config).unwrap();
        let mut registry = Self { dir, port, process: None };
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(registry.dir.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("docker-registry: {error}; tests/real/install.sh installs it"));
        registry.process = Some(process);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "docker-registry does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// Returns its address.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}
