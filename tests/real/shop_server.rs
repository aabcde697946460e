//! A small HTTP service that tests deploy. It is compiled by itself, so it uses only the standard library.
//!
//! `shop_server ADDRESS` listens on `PORT`. It answers with `RELEASE`, and finishes its requests on TERM. Files
//! in its current folder change what it does: with `sick`, its health check fails; `claims` contains another
//! release to name; `errors` contains N, so that each Nth request fails; `slow` contains milliseconds.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

static IS_ENDING: AtomicBool = AtomicBool::new(false);
static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);
static NUMBER: AtomicU64 = AtomicU64::new(0);
/// The upper bounds of the histogram's buckets, in seconds.
const BOUNDS: [f64; 6] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0];

extern "C" fn on_term(_: i32) {
    IS_ENDING.store(true, Ordering::SeqCst);
}

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

struct Service {
    release: String,
    slot: String,
    color: String,
    is_sick: bool,
    errors: u64,
    slow: Duration,
    /// Requests by status, and by the bucket of their time.
    requests: Mutex<(BTreeMap<u16, u64>, [u64; BOUNDS.len()], u64, f64)>,
}

fn main() {
    unsafe { signal(15, on_term) };
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let file = |name: &str| fs::read_to_string(name).ok().map(|text| text.trim().to_owned());
    let service = Arc::new(Service {
        release: file("claims").unwrap_or_else(|| variable("RELEASE")),
        slot: variable("SLOT"),
        color: variable("COLOR"),
        is_sick: file("sick").is_some(),
        errors: file("errors").map_or(0, |text| text.parse().unwrap()),
        slow: Duration::from_millis(file("slow").map_or(0, |text| text.parse().unwrap())),
        requests: Mutex::new((BTreeMap::from([(200, 0), (500, 0)]), [0; BOUNDS.len()], 0, 0.0)),
    });
    let address = env::args().nth(1).unwrap();
    let listener = TcpListener::bind(format!("{address}:{}", variable("PORT"))).unwrap();
    listener.set_nonblocking(true).unwrap();
    while !IS_ENDING.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                IN_FLIGHT.fetch_add(1, Ordering::SeqCst);
                let service = Arc::clone(&service);
                thread::spawn(move || {
                    service.talk(&stream);
                    IN_FLIGHT.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
    // Connections that the system has accepted meanwhile are requests as well.
    while let Ok((stream, _)) = listener.accept() {
        service.talk(&stream);
    }
    drop(listener);
    while IN_FLIGHT.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(5));
    }
}

impl Service {
    /// Answers the requests of a connection.
    fn talk(&self, stream: &TcpStream) {
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        // An idle connection is closed soon after the service was asked to end.
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            loop {
                match reader.read_line(&mut head) {
                    Ok(0) => return,
                    Ok(_) if head.ends_with("\r\n\r\n") => break,
                    Ok(_) => {}
                    Err(_) if head.is_empty() && IS_ENDING.load(Ordering::SeqCst) => return,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            let length: u64 = length.map_or(0, |text| text.trim().parse().unwrap());
            std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink()).unwrap();
            let closes = lower.contains("connection: close") || IS_ENDING.load(Ordering::SeqCst);
            let (status, body) = self.answer(head.split(' ').nth(1).unwrap_or("/"));
            let connection = if closes { "close" } else { "keep-alive" };
            let text = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
                body.len()
            );
            let mut stream = stream;
            if stream.write_all(text.as_bytes()).is_err() || closes {
                return;
            }
        }
    }

    fn answer(&self, path: &str) -> (u16, String) {
        match path {
            "/health" if self.is_sick => (503, "sick".to_owned()),
            "/health" => {
                (200, format!(r#"{{"release": "{}", "color": "{}"}}"#, self.release, self.color))
            }
            "/metrics" => (200, self.metrics()),
            _ => {
                let start = Instant::now();
                let wait = path.strip_prefix("/wait/").map_or(0, |text| text.parse().unwrap());
                thread::sleep(self.slow + Duration::from_millis(wait));
                let number = NUMBER.fetch_add(1, Ordering::SeqCst) + 1;
                let status = if self.errors > 0 && number % self.errors == 0 { 500 } else { 200 };
                let took = start.elapsed().as_secs_f64();
                let mut requests = self.requests.lock().unwrap();
                *requests.0.entry(status).or_default() += 1;
                for (bucket, bound) in BOUNDS.iter().enumerate() {
                    requests.1[bucket] += u64::from(took <= *bound);
                }
                requests.2 += 1;
                requests.3 += took;
                (status, self.release.clone())
            }
        }
    }

    fn metrics(&self) -> String {
        let labels = format!("slot=\"{}\",release=\"{}\"", self.slot, self.release);
        let (codes, buckets, count, sum) = &*self.requests.lock().unwrap();
        let mut text = "# TYPE shop_requests_total counter\n".to_owned();
        for (code, number) in codes {
            text += &format!("shop_requests_total{{{labels},code=\"{code}\"}} {number}\n");
        }
        text += "# TYPE shop_seconds histogram\n";
        for (bucket, bound) in BOUNDS.iter().enumerate() {
            text += &format!("shop_seconds_bucket{{{labels},le=\"{bound}\"}} {}\n", buckets[bucket]);
        }
        text += &format!("shop_seconds_bucket{{{labels},le=\"+Inf\"}} {count}\n");
        text + &format!("shop_seconds_sum{{{labels}}} {sum}\nshop_seconds_count{{{labels}}} {count}\n")
    }
}
