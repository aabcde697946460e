//! `shop customers URL RATE FILE`: makes RATE requests a second, of which each tenth is an order, and writes into
//! FILE who has answered. What fails before the first answer is not counted: the shop is not open yet.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{STOPS, on_stop};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Counts {
    /// The number of answers by release, in all and since the file was written last.
    by_release: BTreeMap<String, (usize, usize)>,
    failed: usize,
    last_failure: String,
}

/// Makes requests until SIGTERM, then waits for their answers.
pub fn run(url: &str, rate: &str, file: &str) -> Result<(), String> {
    let address = url.strip_prefix("http://").ok_or("URL has to begin with http://")?.trim_end_matches('/');
    let rate: u32 = rate.parse().map_err(|error| format!("RATE: {error}"))?;
    let pause = Duration::from_secs(1).checked_div(rate).ok_or("RATE is 0")?;
    let counts: Arc<Mutex<Counts>> = Arc::default();
    let in_flight = Arc::new(AtomicUsize::new(0));
    on_stop(|| {})?;
    let mut next = Instant::now();
    let mut number = 0_u32;
    while !STOPS.load(Ordering::SeqCst) {
        // At a constant rate, however long answers take.
        next += pause;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let address = address.to_owned();
        let (shared, under_way) = (Arc::clone(&counts), Arc::clone(&in_flight));
        let target = if number % 10 == 9 { "POST /orders" } else { "GET /" };
        under_way.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            let answer = ask(&address, target);
            shared.lock().unwrap_or_else(PoisonError::into_inner).add(target, answer);
            under_way.fetch_sub(1, Ordering::SeqCst);
        });
        number += 1;
        if number % rate == 0 {
            write(file, &counts)?;
        }
    }
    while in_flight.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(10));
    }
    write(file, &counts)
}

impl Counts {
    fn add(&mut self, target: &str, answer: Result<String, String>) {
        match answer {
            Ok(release) => {
                let (all, recent) = self.by_release.entry(release).or_default();
                *all += 1;
                *recent += 1;
            }
            Err(_) if self.by_release.is_empty() => {}
            Err(reason) => {
                self.failed += 1;
                self.last_failure = format!("{target}: {reason}");
            }
        }
    }
}

/// Writes the counts so that a reader never sees half of them.
fn write(file: &str, counts: &Mutex<Counts>) -> Result<(), String> {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let answered: usize = counts.by_release.values().map(|(all, _)| all).sum();
    let mut text = format!("{} requests, {} failed\n", answered + counts.failed, counts.failed);
    for (release, (all, recent)) in &mut counts.by_release {
        text += &format!("{release}: {all} answers, {recent} in the last second\n");
        *recent = 0;
    }
    if counts.failed > 0 {
        text += &format!("last failure: {}\n", counts.last_failure);
    }
    drop(counts);
    let new = format!("{file}.new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, file)).map_err(|error| format!("{file}: {error}"))
}

/// Makes a request, and returns the release that answers.
fn ask(address: &str, target: &str) -> Result<String, String> {
    let text = exchange(address, target).map_err(|error| error.to_string())?;
    let status = text.split(' ').nth(1).unwrap_or_default();
    let release =
        text.lines().find_map(|line| line.strip_prefix("x-release: ").or(line.strip_prefix("X-Release: ")));
    match release {
        Some(release) if status.starts_with('2') => Ok(release.trim().to_owned()),
        _ => Err(format!("status {status}")),
    }
}

fn exchange(address: &str, target: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{target} HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
