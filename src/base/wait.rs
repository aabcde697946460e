//! Waits for conditions in tests.

use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;

/// Waits until a condition holds, and panics with `what` if that takes a minute.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = Clock::system();
    while !holds() {
        assert!(clock.elapsed() < Duration::from_secs(60), "timed out: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
