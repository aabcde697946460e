//! Whether a service is ready: what is asked of it, and whether somebody else answers already. It
//! must not start or end a service.

use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::config::model::{Probe, Ready};
use crate::engine::claims::Address;
use crate::engine::ports::Ports;
use crate::engine::service::Running;
use crate::ground::clock::Clock;
use crate::ground::units;
use crate::process::stop::{Demand, Stop};

/// The time between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// How long an answer may take, if less is not left.
const ANSWER: Duration = Duration::from_secs(5);
/// How long the last answer may take, so that it says more than that it came too late.
const SHORTEST: Duration = Duration::from_millis(500);

/// Runs a command that asks.
pub type Ask = Box<dyn Fn(Duration, &Stop) -> Result<(), String> + Send + Sync>;

/// Something that is asked until it says yes.
pub enum Question {
    /// Nothing.
    Nothing,
    /// Whether something listens at this address.
    Tcp(String),
    /// Whether a GET of this URL succeeds.
    Http(String),
    /// Whether it printed the awaited line.
    Line(String),
    /// Whether a command succeeds. It gets the time that is left and what ends it, and says what went
    /// wrong.
    Command(Ask),
}

/// Why a service is not ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotReady {
    /// It has ended; its own end says how.
    Ended,
    /// The run is to end.
    Stopped,
    /// It took too long; a clause says what was asked and what the last answer was.
    Late(String),
}

impl Question {
    /// What `ready` asks, with the ports put in; a command is asked by `command`.
    pub fn of(ready: &Ready, ports: &Ports, command: impl FnOnce() -> Ask) -> Self {
        match &ready.probe {
            None => Self::Nothing,
            Some(Probe::Tcp(address)) => Self::Tcp(ports.fill(address)),
            Some(Probe::Http(url)) => Self::Http(ports.fill(url)),
            Some(Probe::Log(pattern)) => Self::Line(pattern.clone()),
            Some(Probe::Command(_)) => Self::Command(command()),
        }
    }

    /// Where it is asked, if that is a place that is known.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Tcp(address) => Address::of_tcp(address),
            Self::Http(url) => Address::of_http(url),
            Self::Nothing | Self::Line(_) | Self::Command(_) => None,
        }
    }

    /// Who answers before the service was started can't be the service. A clause says who does.
    pub fn answered_by_another(&self, port: Option<u16>, stop: &Stop) -> Option<String> {
        let is_over = || stop.demand() != Demand::None;
        let taken = |port: &u16| {
            let bound = TcpListener::bind(("127.0.0.1", *port));
            bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        };
        if let Some(port) = port.filter(|port| taken(port)) {
            return Some(format!("port {port} is taken: something else listens on it already"));
        }
        match self {
            Self::Tcp(address) if impatient(address, connect, ANSWER, is_over).is_ok() => {
                Some(format!("{address} is taken: something else listens there already"))
            }
            Self::Http(url) if impatient(url, get, ANSWER, is_over).is_ok() => {
                Some(format!("something else answers at {url} already"))
            }
            _ => None,
        }
    }

    /// Asks until the answer is yes.
    ///
    /// # Errors
    /// It has ended, or does not become ready in time, or `stop` was thrown.
    pub fn wait(&self, running: &Running, timeout: Duration, stop: &Stop) -> Result<(), NotReady> {
        let clock = Clock::system();
        loop {
            let left = timeout.saturating_sub(clock.elapsed());
            let answer = self.ask(running, left.max(SHORTEST), stop);
            if running.end().is_some() {
                return Err(NotReady::Ended);
            }
            let Err(said) = answer else { return Ok(()) };
            if stop.demand() != Demand::None {
                return Err(NotReady::Stopped);
            }
            if clock.elapsed() >= timeout {
                return Err(NotReady::Late(format!("{said} after {}", units::duration(timeout))));
            }
            running.wait(PAUSE.min(timeout.saturating_sub(clock.elapsed())));
        }
    }

    fn ask(&self, running: &Running, most: Duration, stop: &Stop) -> Result<(), String> {
        let is_over = || stop.demand() != Demand::None || running.end().is_some();
        match self {
            Self::Nothing => Ok(()),
            Self::Tcp(address) => impatient(address, connect, most.min(ANSWER), is_over),
            Self::Http(url) => impatient(url, get, most.min(ANSWER), is_over),
            Self::Line(_) if running.has_matched() => Ok(()),
            Self::Line(pattern) => Err(format!("no line of it matched `{pattern}`")),
            Self::Command(ask) => {
                // It may well wait by itself, but not for a service that has ended.
                let stop = stop.inner();
                let _stay = running.join(&stop);
                ask(most, &stop)
            }
        }
    }
}

/// Asks somebody who may take long to answer, on a thread of its own that is left alone once nobody
/// cares for the answer any more.
fn impatient(
    whom: &str,
    ask: fn(&str, Duration) -> Result<(), String>,
    most: Duration,
    is_over: impl Fn() -> bool,
) -> Result<(), String> {
    let (sender, receiver) = mpsc::channel();
    let asked = whom.to_owned();
    let thread = std::thread::Builder::new().name("readiness".to_owned());
    let started = thread.spawn(move || drop(sender.send(ask(&asked, most))));
    started.map_err(|error| format!("{whom} can't be asked ({error})"))?;
    loop {
        match receiver.recv_timeout(PAUSE) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if !is_over() => {}
            Err(_) => return Err(format!("{whom} gave no answer yet")),
        }
    }
}

fn connect(address: &str, most: Duration) -> Result<(), String> {
    let none = |what: String| Err(format!("nothing listened at {address} ({what})"));
    let addresses = match address.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return none(error.to_string()),
    };
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, most) {
            // Where nobody listens, the system may connect a free port with itself.
            Ok(stream) if stream.local_addr().ok() == stream.peer_addr().ok() => {
                "nobody but ourselves".clone_into(&mut last);
            }
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    none(last)
}

fn get(url: &str, most: Duration) -> Result<(), String> {
    // Not by way of the caller's proxy: it knows another 127.0.0.1.
    let config =
        ureq::Agent::config_builder().timeout_global(Some(most)).max_redirects(0).proxy(None).build();
    match ureq::Agent::new_with_config(config).get(url).call() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{url} gave no good answer ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn an_answer_below_400_is_good() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health", server.local_addr().unwrap());
        for (status, good) in
            [("200 OK", true), ("302 Found", true), ("404 Not Found", false), ("503 No", false)]
        {
            let answer = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = server.accept().unwrap();
                    let _ = stream.read(&mut [0; 1024]);
                    let text = format!(
                        "HTTP/1.1 {status}\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(text.as_bytes()).unwrap();
                });
                get(&url, ANSWER)
            });
            assert_eq!(answer.is_ok(), good, "{status}: {answer:?}");
        }
        assert!(connect(&server.local_addr().unwrap().to_string(), ANSWER).is_ok());
        drop(server);
        assert!(get(&url, ANSWER).is_err());
    }
}
