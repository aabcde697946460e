//! Hosts for tests: each is an OpenSSH server on a loopback port, with keys of its own, in a temporary folder.
//! `web1` and so on are names of an ssh configuration that a program named `ssh` in that folder uses.

use std::ffi::OsString;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::project::ports::free_port;

/// How long a test waits for a server.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a host has its programs. Files of the user, such as `.bashrc`, are not read: they may be slow.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Some hosts.
pub(crate) struct Hosts {
    dir: tempfile::TempDir,
    servers: Vec<Server>,
}

struct Server {
    port: u16,
    process: Option<Child>,
}

impl Hosts {
    /// Starts `count` servers: `web1`, `web2` and so on.
    pub(crate) fn start(count: usize) -> Self {
        let dir = tempfile::Builder::new().prefix("xt-hosts-").tempdir().unwrap();
        let servers = (0..count).map(|_| Server { port: free_port(), process: None }).collect();
        let mut hosts = Self { dir, servers };
        hosts.write_files();
        for number in 0..count {
            hosts.start_server(number);
        }
        hosts
    }

    /// Returns the temporary folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the name of a host.
    pub(crate) fn name(number: usize) -> String {
        format!("web{}", number + 1)
    }

    /// Returns variables with which `ssh` finds the hosts.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.dir().join("bin").display());
        vec![("PATH".into(), path.into()), ("HOME".into(), self.dir().into())]
    }

    /// Starts a server again.
    pub(crate) fn start_server(&mut self, number: usize) {
        // The server needs this folder if it is started by root.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::options().create(true).append(true).open(self.log(number)).unwrap();
        let server = &mut self.servers[number];
        let config = self.dir.path().join(format!("{}.conf", Self::name(number)));
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("/usr/sbin/sshd: {error}; tests/real/install.sh installs it"));
        server.process = Some(process);
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", server.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "sshd does not listen on {}", server.port);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends a server and all its connections, as if the machine had lost its power.
    pub(crate) fn kill_server(&mut self, number: usize) {
        let Some(mut process) = self.servers[number].process.take() else { return };
        let mut all = vec![process.id()];
        let mut next = 0;
        while let Some(parent) = all.get(next).copied() {
            let children =
                fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            // What the server has started for a login stays: it is not part of the connection.
            let is_server = |pid: &u32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
            };
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(is_server));
            next += 1;
        }
        for pid in all {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        process.wait().unwrap();
    }

    /// Returns the id of a server's process.
    pub(crate) fn pid(&self, number: usize) -> u32 {
        self.servers[number].process.as_ref().unwrap().id()
    }

    /// Returns how often someone has logged in at a host.
    pub(crate) fn logins(&self, number: usize) -> usize {
        let log = fs::read_to_string(self.log(number)).unwrap_or_default();
        log.lines().filter(|line| line.contains("Accepted publickey")).count()
    }

    /// Sets a variable of all programs that are started at a host over ssh: `NAME=value`.
    pub(crate) fn set_environment(&mut self, number: usize, variable: &str) {
        let file = self.dir().join(format!("{}.conf", Self::name(number)));
        let config = fs::read_to_string(&file).unwrap();
        // Only the first such line counts, and it is the last of all.
        fs::write(file, format!("{} {variable}\n", config.trim_end())).unwrap();
        self.kill_server(number);
        self.start_server(number);
    }

    /// Forgets the key of a host.
    pub(crate) fn forget_keys(&self) {
        fs::write(self.dir().join("known_hosts"), "").unwrap();
    }

    fn log(&self, number: usize) -> PathBuf {
        self.dir().join(format!("{}.log", Self::name(number)))
    }

    fn write_files(&self) {
        let dir = self.dir();
        let shown = dir.display();
        keygen(&dir.join("id"));
        fs::copy(dir.join("id.pub"), dir.join("authorized_keys")).unwrap();
        let (mut config, mut known) = (String::new(), String::new());
        for (number, server) in self.servers.iter().enumerate() {
            let (name, port) = (Self::name(number), server.port);
            keygen(&dir.join(format!("{name}.key")));
            let key = fs::read_to_string(dir.join(format!("{name}.key.pub"))).unwrap();
            known.push_str(&format!("[127.0.0.1]:{port} {key}"));
            config.push_str(&format!(
                "Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {shown}/id\n  IdentitiesOnly yes\n  \
                 UserKnownHostsFile {shown}/known_hosts\n  StrictHostKeyChecking yes\n"
            ));
            let server = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/{name}.key\nPidFile none\nUsePAM no\n\
                 StrictModes no\nAuthorizedKeysFile {shown}/authorized_keys\nPasswordAuthentication no\n\
                 PermitRootLogin prohibit-password\nMaxStartups 100\nSetEnv HOME={shown} PATH={PATH}\n"
            );
            fs::write(dir.join(format!("{name}.conf")), server).unwrap();
        }
        fs::write(dir.join("ssh_config"), config).unwrap();
        fs::write(dir.join("known_hosts"), known).unwrap();
        fs::create_dir(dir.join("bin")).unwrap();
        let program = dir.join("bin/ssh");
        fs::write(&program, format!("#!/bin/sh\nexec /usr/bin/ssh -F {shown}/ssh_config \"$@\"\n")).unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for number in 0..self.servers.len() {
            self.kill_server(number);
        }
    }
}

fn keygen(file: &Path) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
    assert!(made.is_ok_and(|status| status.success()), "ssh-keygen; tests/real/install.sh installs it");
}
