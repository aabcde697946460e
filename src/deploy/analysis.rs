//! Judges the traffic of a slot by what was measured of it.

use std::time::Duration;

/// What a source says of both slots of a role. A slot of which it says nothing is `None`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct SlotSamples {
    /// Of the slot `blue`.
    pub blue: Option<Sample>,
    /// Of the slot `green`.
    pub green: Option<Sample>,
}

/// What a source says of the requests of one slot.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sample {
    /// The number of requests: since the start of the source, or in the window if `is_window`.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The mean time of a request.
    pub mean: Option<Duration>,
    /// The 95th percentile of the time of a request.
    pub p95: Option<Duration>,
    /// Whether the numbers are those of the measured window and not counters that only grow.
    pub is_window: bool,
}
