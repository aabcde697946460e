//! A constant load of requests for tests of deploys. It counts GET, slow POST and keep-alive requests apart, and
//! notes which release answered each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Class {
    /// A GET with a connection of its own.
    Get,
    /// A POST that takes a while.
    SlowPost,
    /// A GET on a connection that is used again.
    KeepAlive,
}

impl Class {
    fn interval(self) -> Duration {
        Duration::from_millis(if self == Self::SlowPost { 500 } else { 60 })
    }

    fn line(self) -> &'static str {
        if self == Self::SlowPost { "POST /wait/400" } else { "GET /" }
    }
}

/// The answers to a load: how many requests each release answered, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    answers: BTreeMap<(Class, String), usize>,
    failures: BTreeMap<Class, Vec<String>>,
}

impl Tally {
    /// Checks that no request of these classes failed, and that only these releases answered.
    #[track_caller]
    pub(crate) fn assert_good(&self, classes: &[Class], releases: &[&str]) {
        for class in classes {
            let failures = self.failures.get(class);
            assert!(failures.is_none(), "{class:?}: {failures:?}, answers {:?}", self.answers);
        }
        let others: BTreeSet<_> = self
            .answers
            .keys()
            .map(|(_, release)| release)
            .filter(|one| !releases.contains(&&***one))
            .collect();
        assert!(others.is_empty(), "neither of {releases:?}: {:?}", self.answers);
    }

    /// Returns how many requests a release answered.
    pub(crate) fn of(&self, release: &str) -> usize {
        self.answers.iter().filter(|((_, known), _)| known == release).map(|(_, count)| count).sum()
    }
}

/// Requests at a constant rate, until [`Load::end`].
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// Starts requests of these classes to a port of 127.0.0.1, and waits for the first answers.
    pub(crate) fn start(port: u16, classes: &[Class]) -> Self {
        let mut load = Self {
            is_over: Arc::default(),
            answered: Arc::default(),
            tally: Arc::default(),
            threads: Vec::new(),
        };
        for class in classes.iter().copied() {
            let (is_over, answered) = (Arc::clone(&load.is_over), Arc::clone(&load.answered));
            let tally = Arc::clone(&load.tally);
            load.threads.push(thread::spawn(move || {
                let mut client = Client { port, class, connection: None };
                let start = Instant::now();
                for number in 1.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let result = client.request();
                    let mut tally = tally.lock().unwrap();
                    match result {
                        Ok(release) => *tally.answers.entry((class, release)).or_default() += 1,
                        Err(error) => {
                            let text = format!("{error} at {:?}", start.elapsed());
                            tally.failures.entry(class).or_default().push(text);
                        }
                    }
                    drop(tally);
                    answered.fetch_add(1, Ordering::SeqCst);
                    let next = class.interval() * number;
                    thread::sleep(next.saturating_sub(start.elapsed()));
                }
            }));
        }
        load.wait_for_more();
        load
    }

    /// Waits until some more requests were answered.
    pub(crate) fn wait_for_more(&self) {
        let wanted = self.answered.load(Ordering::SeqCst) + 5 * self.threads.len();
        let start = Instant::now();
        while self.answered.load(Ordering::SeqCst) < wanted {
            assert!(start.elapsed() < PATIENCE, "no requests are answered");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for some more answers, ends, and returns what was counted.
    pub(crate) fn end(self) -> Tally {
        self.wait_for_more();
        self.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().unwrap();
        }
        std::mem::take(&mut *self.tally.lock().unwrap())
    }
}

struct Client {
    port: u16,
    class: Class,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Makes one request and returns the body.
    fn request(&mut self) -> io::Result<String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(("127.0.0.1", self.port))?,
        };
        let closes = if self.class == Class::KeepAlive { "" } else { "Connection: close\r\n" };
        let answer = exchange(&mut connection, self.class.line(), closes)?;
        if self.class == Class::KeepAlive && !answer.closes {
            self.connection = Some(connection);
        }
        answer.body()
    }
}

struct Answer {
    status: String,
    body: String,
    closes: bool,
}

impl Answer {
    fn body(self) -> io::Result<String> {
        if self.status.contains(" 200 ") { Ok(self.body) } else { Err(io::Error::other(self.status)) }
    }
}

fn connect(address: (&str, u16)) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn exchange(connection: &mut BufReader<TcpStream>, line: &str, closes: &str) -> io::Result<Answer> {
    let request = format!("{line} HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n{closes}\r\n");
    connection.get_mut().write_all(request.as_bytes())?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if connection.read_line(&mut head)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("no answer, only {head:?}")));
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.and_then(|text| text.trim().parse().ok()).unwrap_or(0)];
    connection.read_exact(&mut body)?;
    Ok(Answer {
        status: head.lines().next().unwrap_or_default().to_owned(),
        body: String::from_utf8_lossy(&body).into_owned(),
        closes: lower.contains("connection: close"),
    })
}

/// Makes one request such as `GET /` and returns the body.
pub(crate) fn request(address: (&str, u16), line: &str) -> io::Result<String> {
    exchange(&mut connect(address)?, line, "Connection: close\r\n")?.body()
}
