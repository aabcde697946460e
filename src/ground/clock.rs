//! Time, passed in: the wall clock and the time since a start. It must not know what is timed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// As the operating system counts it.
    pub fn system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }

    /// How long ago this was at `now`; nothing if it is yet to come.
    pub fn age(self, now: Self) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }

    /// `2026-11-21T09:30:00Z`.
    pub fn rfc3339(self) -> String {
        humantime::format_rfc3339_seconds(self.system()).to_string()
    }
}

/// What a run reads the time from.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { since: Instant },
    Manual { millis: Arc<AtomicU64> },
}

impl Clock {
    /// The system's clock; its count starts now.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn system() -> Self {
        Self(Source::System { since: Instant::now() })
    }

    /// The same clock, with its count starting now.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn restarted(&self) -> Self {
        match &self.0 {
            Source::System { .. } => Self(Source::System { since: Instant::now() }),
            Source::Manual { .. } => self.clone(),
        }
    }

    /// A clock that stands still until the returned number of milliseconds is changed.
    pub fn manual() -> (Self, Arc<AtomicU64>) {
        let millis = Arc::new(AtomicU64::new(0));
        (Self(Source::Manual { millis: Arc::clone(&millis) }), millis)
    }

    /// The wall clock.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the system's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Manual { millis } => Timestamp(millis.load(Ordering::Relaxed)),
        }
    }

    /// The time since the clock was made; it never goes back.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { since } => since.elapsed(),
            Source::Manual { millis } => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}
