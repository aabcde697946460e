//! A small shop. `shop web` answers requests, `shop worker FILE` delivers orders, and `shop customers` makes
//! requests and counts who answers. All settings are variables.

mod customers;
mod postgres;
mod web;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Whether the process was asked to end.
static STOPS: AtomicBool = AtomicBool::new(false);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["web"] => web::serve(),
        ["worker", file] => worker::run(file),
        ["customers", url, rate, file] => customers::run(url, rate, file),
        _ => Err("usage: shop web | worker FILE | customers URL RATE FILE".to_owned()),
    };
    if let Err(error) = result {
        eprintln!("shop: {error}");
        std::process::exit(1);
    }
}

/// Calls `then` when the process is asked to end.
fn on_stop(then: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            STOPS.store(true, Ordering::SeqCst);
            then();
        }
    });
    Ok(())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Returns the id of this release, which `xtask deploy` sets.
fn release() -> String {
    variable("RELEASE").unwrap_or_else(|| "none".to_owned())
}
