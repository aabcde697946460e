//! The wall clock, and a clock that stops while this process is suspended. This module must not
//! know what is timed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns the time of the operating system.
    pub fn system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }

    /// Returns how long before `now` this time was. Returns zero if it is later.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }

    /// Formats the time as `2026-11-21T09:30:00Z`.
    pub fn rfc3339(self) -> String {
        humantime::format_rfc3339_seconds(self.system()).to_string()
    }
}

/// The clock of a run.
#[derive(Clone, Debug)]
pub struct Clock(ClockSource);

#[derive(Clone, Debug)]
enum ClockSource {
    System { since: Duration },
    Manual { millis: Arc<AtomicU64> },
}

impl Clock {
    /// Returns the system's clock. Its time starts now.
    pub fn system() -> Self {
        Self(ClockSource::System { since: active() })
    }

    /// Returns the same clock with its time starting now.
    pub fn restarted(&self) -> Self {
        match &self.0 {
            ClockSource::System { .. } => Self::system(),
            ClockSource::Manual { .. } => self.clone(),
        }
    }

    /// Returns a clock and its number of milliseconds. Only the caller changes the number.
    pub fn manual() -> (Self, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(0));
        (Self(ClockSource::Manual { millis: Arc::clone(&millis) }), millis)
    }

    /// Returns the time of the wall clock.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            ClockSource::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            ClockSource::Manual { millis } => Timestamp(millis.load(Ordering::Relaxed)),
        }
    }

    /// Returns the time since the clock was created, without the time in which this process was
    /// suspended. It never goes back.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            ClockSource::System { since } => active().saturating_sub(*since),
            ClockSource::Manual { millis } => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}

/// How long this process has been suspended so far.
struct Suspensions {
    /// The zero point of all clocks.
    start: Option<Instant>,
    /// The total duration of all finished suspensions.
    over: Duration,
    /// The start of the current suspension.
    since: Option<Instant>,
}

static SUSPENSIONS: Mutex<Suspensions> = Mutex::new(Suspensions::NONE);

impl Suspensions {
    const NONE: Self = Self { start: None, over: Duration::ZERO, since: None };

    fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    fn end(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.over += now.saturating_duration_since(since);
        }
    }

    /// Returns the time since the first call in which this process was not suspended.
    fn active(&mut self, now: Instant) -> Duration {
        let now = self.since.unwrap_or(now);
        let start = *self.start.get_or_insert(now);
        now.saturating_duration_since(start).saturating_sub(self.over)
    }
}

/// Stops the time of all clocks until the returned value is dropped. Nothing may time out because this
/// process was suspended.
pub fn suspend() -> SuspensionGuard {
    with_suspensions(Suspensions::begin);
    SuspensionGuard(())
}

/// The guard that [`suspend`] returns.
#[derive(Debug)]
pub struct SuspensionGuard(());

impl Drop for SuspensionGuard {
    fn drop(&mut self) {
        with_suspensions(Suspensions::end);
    }
}

fn active() -> Duration {
    with_suspensions(Suspensions::active)
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
fn with_suspensions<T>(act: impl FnOnce(&mut Suspensions, Instant) -> T) -> T {
    // No code panics while it holds the lock, so a poisoned lock is fine. The time is read under the lock, so
    // clocks never go back.
    let mut suspensions = SUSPENSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    act(&mut suspensions, Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "instants are made from one of the system's")]
    fn clock_stops_while_the_process_is_suspended() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut suspensions = Suspensions::NONE;
        let seconds = Duration::from_secs;
        assert_eq!(suspensions.active(at(0)), seconds(0));
        assert_eq!(suspensions.active(at(10)), seconds(10));
        suspensions.begin(at(12));
        suspensions.begin(at(15));
        assert_eq!(suspensions.active(at(20)), seconds(12));
        suspensions.end(at(100));
        suspensions.end(at(101));
        assert_eq!(suspensions.active(at(103)), seconds(15));
    }
}
