//! Probes whether a service is ready, and whether another program answers at its address. It must not start
//! or stop a service.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::io::Errno;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::base::clock::Clock;
use crate::base::units;
use crate::config::model::{Probe, Ready};
use crate::engine::services::localhost::{self, LOOPBACKS};
use crate::engine::services::port_registry::Address;
use crate::engine::services::service::RunningService;
use crate::engine::services::service_ports::ServicePorts;
use crate::process::stop::{Stop, StopRequest};

/// The time between two probes.
const PAUSE: Duration = Duration::from_millis(50);
/// The timeout of one probe, unless less time is left.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The least timeout of the last probe. With less, its error could only say that there was no time left.
const MIN_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs a `ready` command.
pub type ReadyCommand = Box<dyn Fn(Duration, &Stop) -> Result<(), String> + Send + Sync>;

/// A probe that is repeated until it succeeds.
pub enum ReadinessProbe {
    /// There is no probe.
    Immediate,
    /// Whether something listens at this address.
    Tcp(String),
    /// Whether something listens on this Unix socket.
    Unix(PathBuf),
    /// Whether a GET of this URL succeeds.
    Http(String),
    /// Whether it printed the awaited line.
    Line(String),
    /// Whether a command succeeds. It gets the time that is left and a stop, and returns an error message.
    Command(ReadyCommand),
}

/// Why a service is not ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotReady {
    /// The service has ended.
    Ended,
    /// The run was stopped.
    Stopped,
    /// It took too long. The text says what was probed and what the last answer was.
    TimedOut(String),
}

impl ReadinessProbe {
    /// Returns the probe of `ready` for a service in the folder `cwd`, with the ports filled in. `command`
    /// makes the runner of a command.
    pub fn new(
        ready: &Ready,
        ports: &ServicePorts,
        cwd: &Path,
        command: impl FnOnce() -> ReadyCommand,
    ) -> Self {
        match &ready.probe {
            None => Self::Immediate,
            Some(Probe::Tcp(address)) => Self::Tcp(ports.fill(address)),
            Some(Probe::Unix(path)) => Self::Unix(cwd.join(ports.fill(path))),
            Some(Probe::Http(url)) => Self::Http(ports.fill(url)),
            Some(Probe::Log(pattern)) => Self::Line(pattern.clone()),
            Some(Probe::Command(_)) => Self::Command(command()),
        }
    }

    /// Returns the address of the probe, if it has one.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Tcp(address) => Address::from_tcp(address),
            Self::Http(url) => Address::from_http(url),
            Self::Unix(path) => Some(Address::Unix(real_path(path))),
            Self::Immediate | Self::Line(_) | Self::Command(_) => None,
        }
    }

    /// Returns an error message if another program already answers at the address, before the service is
    /// started.
    pub fn answered_by_another(&self, port: Option<u16>, stop: &Stop) -> Option<String> {
        let is_over = || stop.request() != StopRequest::None;
        if let Some((port, address)) =
            port.and_then(|port| Some((port, localhost::listener(port, PROBE_TIMEOUT)?)))
        {
            // Only an address other than 127.0.0.1 is named.
            let address = if address.is_ipv4() { "it".to_owned() } else { address.to_string() };
            return Some(format!("port {port} is already in use: another program listens on {address}"));
        }
        self.probe_address(PROBE_TIMEOUT, is_over)?.ok()?;
        match self {
            Self::Tcp(address) => Some(format!("{address} is already in use: another program listens there")),
            Self::Unix(path) => {
                Some(format!("{} is already in use: another program listens on it", path.display()))
            }
            Self::Http(url) => Some(format!("another program already answers at {url}")),
            Self::Immediate | Self::Line(_) | Self::Command(_) => None,
        }
    }

    /// Returns the answer at the address of the probe, if it has one.
    fn probe_address(&self, time_left: Duration, is_over: impl Fn() -> bool) -> Option<Result<(), String>> {
        match self {
            Self::Tcp(address) => {
                let probed = address.clone();
                Some(probe_until(address, move || connect(&probed, time_left), is_over))
            }
            Self::Unix(path) => {
                let probed = path.clone();
                Some(probe_until(&path.display().to_string(), move || connect_unix(&probed), is_over))
            }
            Self::Http(url) => {
                let probed = url.clone();
                Some(probe_until(url, move || get(&probed, time_left), is_over))
            }
            Self::Immediate | Self::Line(_) | Self::Command(_) => None,
        }
    }

    /// Repeats the probe until it succeeds.
    ///
    /// # Errors
    /// The service has ended, does not become ready in time, or `stop` was triggered.
    pub fn wait(&self, running: &RunningService, timeout: Duration, stop: &Stop) -> Result<(), NotReady> {
        let clock = Clock::system();
        loop {
            let left = timeout.saturating_sub(clock.elapsed());
            let answer = self.probe_once(running, left.max(MIN_TIMEOUT), stop);
            if running.end().is_some() {
                return Err(NotReady::Ended);
            }
            let Err(last_error) = answer else { return Ok(()) };
            if stop.request() != StopRequest::None {
                return Err(NotReady::Stopped);
            }
            if clock.elapsed() >= timeout {
                return Err(NotReady::TimedOut(format!("{last_error} after {}", units::duration(timeout))));
            }
            running.wait(PAUSE.min(timeout.saturating_sub(clock.elapsed())));
        }
    }

    fn probe_once(&self, running: &RunningService, time_left: Duration, stop: &Stop) -> Result<(), String> {
        let is_over = || stop.request() != StopRequest::None || running.end().is_some();
        match self {
            Self::Immediate => Ok(()),
            Self::Tcp(_) | Self::Unix(_) | Self::Http(_) => {
                self.probe_address(time_left.min(PROBE_TIMEOUT), is_over).unwrap_or(Ok(()))
            }
            Self::Line(_) if running.has_matched() => Ok(()),
            Self::Line(pattern) => Err(format!("no line of its output matched `{pattern}`")),
            Self::Command(ask) => {
                // The command may wait, but not longer than the service runs.
                let stop = stop.inner();
                let _stay = running.add_user(&stop);
                ask(time_left, &stop)
            }
        }
    }
}

/// Resolves the folder of a socket's path, so that two names of one socket are equal.
fn real_path(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder.zip(path.file_name()).map_or_else(|| path.to_owned(), |(folder, name)| folder.join(name))
}

/// Probes on a separate thread, and no longer waits for it once `is_over` returns true.
fn probe_until(
    address: &str,
    ask: impl FnOnce() -> Result<(), String> + Send + 'static,
    is_over: impl Fn() -> bool,
) -> Result<(), String> {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name("readiness".to_owned());
    let started = thread.spawn(move || drop(sender.send(ask())));
    started.map_err(|error| format!("can't probe {address} ({error})"))?;
    loop {
        match receiver.recv_timeout(PAUSE) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if !is_over() => {}
            Err(_) => return Err(format!("{address} did not answer")),
        }
    }
}

fn connect(address: &str, time_left: Duration) -> Result<(), String> {
    let failure = |what: String| Err(format!("nothing listened at {address} ({what})"));
    let host_and_port = address.rsplit_once(':').map(|(host, port)| (host, port.parse()));
    let Some((host, Ok(port))) = host_and_port else { return failure("invalid address".to_owned()) };
    let addresses = match localhost::addresses(host, port) {
        Ok(addresses) => addresses,
        Err(error) => return failure(error.to_string()),
    };
    // Without IPv6 only the first error is meaningful.
    let mut last_error = None;
    for address in &addresses {
        match localhost::connect(*address, time_left) {
            Ok(()) => return Ok(()),
            Err(error) => last_error = last_error.or(Some(error.to_string())),
        }
    }
    failure(last_error.unwrap_or_else(|| "the host has no address".to_owned()) + &other_address(&addresses))
}

/// Returns text for an error message if something listens at the loopback address that was not probed, and
/// otherwise an empty text. A server decides which of the two addresses it uses for `localhost`.
fn other_address(probed: &[SocketAddr]) -> String {
    let Some(first) = probed.first() else { return String::new() };
    let all = LOOPBACKS.map(|address| SocketAddr::new(address, first.port()));
    let is_own = probed.iter().any(|address| all.contains(address));
    let mut others = all.iter().filter(|address| is_own && !probed.contains(address));
    let other = others.find(|address| localhost::connect(**address, MIN_TIMEOUT).is_ok());
    other.map_or_else(String::new, |other| {
        format!("; something listens at {other}: localhost:{} probes both", other.port())
    })
}

/// Probes all addresses of the host, since another server may listen at one of them.
fn get(url: &str, time_left: Duration) -> Result<(), String> {
    let failure = |why: String| format!("{url} did not answer successfully ({why})");
    let parsed: ureq::http::Uri = url.parse().map_err(|error| failure(format!("{error}")))?;
    let host = parsed.host().unwrap_or_default();
    let default_port = if parsed.scheme_str() == Some("https") { 443 } else { 80 };
    let addresses = localhost::addresses(host, parsed.port_u16().unwrap_or(default_port));
    let addresses = addresses.map_err(|error| failure(error.to_string()))?;
    // There are no trusted certificates for `localhost`.
    let tls = ureq::tls::TlsConfig::builder().disable_verification(localhost::is_localhost(host)).build();
    // Through a proxy, 127.0.0.1 would be the proxy's machine.
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(time_left))
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls)
        .build();
    let mut last_error: Option<ureq::Error> = None;
    for address in &addresses {
        let agent =
            ureq::Agent::with_parts(config.clone(), DefaultConnector::default(), FixedAddress(*address));
        match agent.get(url).call() {
            Ok(_) => return Ok(()),
            // A status is more meaningful than a refused connection at the other address.
            Err(error) if last_error.is_none() || matches!(error, ureq::Error::StatusCode(_)) => {
                last_error = Some(error);
            }
            Err(_) => {}
        }
    }
    Err(failure(match last_error {
        None => "the host has no address".to_owned(),
        Some(error @ ureq::Error::StatusCode(_)) => error.to_string(),
        Some(error) => format!("{error}{}", other_address(&addresses)),
    }))
}

/// Resolves every host name to this address.
#[derive(Debug)]
struct FixedAddress(SocketAddr);

impl Resolver for FixedAddress {
    fn resolve(
        &self,
        _: &ureq::http::Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// Checks whether a process listens on a Unix socket. A socket file whose process has ended refuses
/// connections.
fn connect_unix(path: &Path) -> Result<(), String> {
    let why = match socket(path) {
        Ok(_) => return Ok(()),
        // A datagram socket: a process does listen.
        Err(error) if error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error()) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => "no such file".to_owned(),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => match path.metadata() {
            Ok(meta) if !meta.file_type().is_socket() => "not a socket".to_owned(),
            _ => "no process listens on it".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    Err(format!("nothing listened on {} ({why})", path.display()))
}

/// Connects to a socket. A server can bind a relative path whose absolute form is longer than the system
/// allows, as in a private worktree. On Linux such a socket is reached through its open folder.
fn socket(path: &Path) -> std::io::Result<UnixStream> {
    let is_short = std::os::unix::net::SocketAddr::from_pathname(path).is_ok();
    if let (false, true, Some(folder), Some(name)) =
        (is_short, cfg!(target_os = "linux"), path.parent(), path.file_name())
    {
        let folder = std::fs::File::open(folder)?;
        return UnixStream::connect(format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), name.display()));
    }
    UnixStream::connect(path)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with this status.
    fn answer(server: &TcpListener, status: &str) {
        let (mut stream, _) = server.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let head = format!("HTTP/1.1 {status}\r\nLocation: /x\r\nContent-Length: 0\r\n");
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
    }

    #[test]
    fn each_address_of_localhost_is_probed() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = four.local_addr().unwrap().port();
        let six = match TcpListener::bind(("::1", port)) {
            Ok(six) => six,
            Err(error) => return eprintln!("not tested: the port is not free on ::1 ({error})"),
        };
        let url = format!("http://localhost:{port}/");
        for (first, second, good) in [("404 Not Found", "200 OK", true), ("404 Not Found", "503 No", false)] {
            let said = std::thread::scope(|scope| {
                scope.spawn(|| answer(&four, first));
                scope.spawn(|| answer(&six, second));
                get(&url, PROBE_TIMEOUT)
            });
            assert_eq!(said.is_ok(), good, "{said:?}");
        }
        drop(six);
        let said = std::thread::scope(|scope| {
            scope.spawn(|| answer(&four, "401 Unauthorized"));
            get(&url, PROBE_TIMEOUT)
        });
        assert!(said.as_ref().is_err_and(|why| why.contains("401")), "{said:?}");
    }

    #[test]
    fn status_below_400_is_ready() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health", server.local_addr().unwrap());
        for (status, good) in [
            ("200 OK", true),
            ("204 No Content", true),
            ("302 Found", true),
            ("404 Not Found", false),
            ("503 No", false),
        ] {
            let answer = std::thread::scope(|scope| {
                scope.spawn(|| answer(&server, status));
                get(&url, PROBE_TIMEOUT)
            });
            assert_eq!(answer.is_ok(), good, "{status}: {answer:?}");
        }
        assert!(connect(&server.local_addr().unwrap().to_string(), PROBE_TIMEOUT).is_ok());
        drop(server);
        assert!(get(&url, PROBE_TIMEOUT).is_err());
    }
}
