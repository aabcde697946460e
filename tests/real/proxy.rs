//! Proxies for tests of deploys: HAProxy and nginx as they are installed, and a small one that reads its weights
//! from a file, for routers of shell lines.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for a proxy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a proxy distributes requests to.
#[derive(Clone, Debug)]
pub(crate) struct Backends {
    /// The addresses of the hosts.
    pub(crate) addresses: Vec<String>,
    /// The port of the slot blue.
    pub(crate) blue: u16,
    /// The port of the slot green.
    pub(crate) green: u16,
}

/// A process that is a proxy.
pub(crate) struct Proxy {
    command: Vec<String>,
    port: u16,
    process: Option<Child>,
}

impl Proxy {
    /// Starts HAProxy with the socket `admin.sock` and the backend `shop` in a folder. Blue gets all requests.
    pub(crate) fn haproxy(dir: &Path, port: u16, backends: &Backends) -> Self {
        let mut config = format!(
            "global\n  stats socket {0}/admin.sock mode 600 level admin\ndefaults\n  mode http\n  \
             timeout connect 5s\n  timeout client 120s\n  timeout server 120s\nfrontend http\n  \
             bind 127.0.0.1:{port}\n  default_backend shop\nbackend shop\n",
            dir.display()
        );
        for (slot, port, more) in [("blue", backends.blue, ""), ("green", backends.green, " disabled")] {
            for host in &backends.addresses {
                config.push_str(&format!(
                    "  server web-{host}-{slot} {host}:{port} weight 100 check inter 200ms{more}\n"
                ));
            }
        }
        let file = dir.join("haproxy.cfg");
        fs::write(&file, config).unwrap();
        let command = ["haproxy", "-q", "-db", "-f", file.to_str().unwrap()];
        Self::start_command(command.map(str::to_owned).to_vec(), port)
    }

    /// Starts nginx with the include file `shop.conf`, and writes a program `bin/nginx` that reloads it. Blue gets
    /// all requests.
    pub(crate) fn nginx(dir: &Path, port: u16, backends: &Backends) -> Self {
        let servers = backends.addresses.iter().map(|host| format!("server {host}:{};\n", backends.blue));
        let servers = servers.collect::<String>();
        fs::write(dir.join("shop.conf"), format!("upstream shop {{\n{servers}}}\n")).unwrap();
        let shown = dir.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {shown}/temp-{name};"))
            .join(" ");
        let user = if is_root() { "user root;" } else { "" };
        let config = format!(
            "{user} worker_processes 2; pid {shown}/nginx.pid; error_log {shown}/error.log;\nevents {{ }}\nhttp {{\n\
             access_log off; {temporary} include {shown}/shop.conf;\nserver {{ listen 127.0.0.1:{port};\n\
             location / {{ proxy_pass http://shop; proxy_read_timeout 120s; }} }} }}\n"
        );
        let file = dir.join("nginx.conf");
        fs::write(&file, config).unwrap();
        fs::create_dir_all(dir.join("bin")).unwrap();
        let wrapper = dir.join("bin/nginx");
        let script = format!(
            "#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/usr/sbin\nexec nginx -c {} -e {shown}/error.log \"$@\"\n",
            file.display()
        );
        fs::write(&wrapper, script).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        let command = [wrapper.to_str().unwrap(), "-g", "daemon off;"];
        Self::start_command(command.map(str::to_owned).to_vec(), port)
    }

    fn start_command(command: Vec<String>, port: u16) -> Self {
        let mut proxy = Self { command, port, process: None };
        proxy.start();
        proxy
    }

    /// Starts it again.
    pub(crate) fn start(&mut self) {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let program = &self.command[0];
        let mut process = Command::new(program)
            .args(&self.command[1..])
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/real/install.sh installs it"));
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "{program} has ended; is it installed?");
            assert!(start.elapsed() < PATIENCE, "{program} does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(process);
    }

    /// Ends it. nginx ends its workers only if it is asked to.
    pub(crate) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

/// A proxy in this process that passes connections on by the weights in a file `blue=N green=N`.
pub(crate) struct FileProxy {
    is_over: Arc<AtomicBool>,
    port: u16,
}

impl FileProxy {
    /// Starts it.
    pub(crate) fn start(weights: PathBuf, backends: Backends) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_over);
        thread::spawn(move || {
            let number = Arc::new(AtomicU64::new(0));
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (weights, backends) = (weights.clone(), backends.clone());
                let number = Arc::clone(&number);
                thread::spawn(move || pass_on(stream, &weights, &backends, &number));
            }
        });
        Self { is_over, port }
    }

    /// Returns its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for FileProxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pass_on(stream: io::Result<TcpStream>, weights: &Path, backends: &Backends, number: &AtomicU64) {
    let Ok(mut client) = stream else { return };
    let text = fs::read_to_string(weights).unwrap_or_default();
    let weight = |slot: &str| {
        let found = text.split_whitespace().find_map(|word| word.strip_prefix(slot));
        found.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
    };
    let (blue, green) = (weight("blue="), weight("green="));
    if blue + green == 0 {
        return;
    }
    // 37 and 100 have no common divisor, so all shares are met within a hundred requests.
    let number = number.fetch_add(1, Ordering::SeqCst);
    let port = if number * 37 % (blue + green) < blue { backends.blue } else { backends.green };
    let host = &backends.addresses[usize::try_from(number).unwrap() % backends.addresses.len()];
    let Ok(mut server) = TcpStream::connect((&**host, port)) else {
        let _ = client.write_all(b"HTTP/1.1 502 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    };
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut server, &mut client);
    let _ = client.shutdown(Shutdown::Both);
}
