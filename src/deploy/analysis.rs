//! Judges the traffic of a slot by what was measured of it. It must not know where the figures come from.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{text, units};
use crate::config::deploy::{Analysis, Inconclusive};
use crate::deploy::release::Slot;
use crate::deploy::step::StepOutcome;

/// What a source says of both slots of a role. A slot of which it says nothing is `None`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct SlotSamples {
    /// Of the slot `blue`.
    pub blue: Option<Sample>,
    /// Of the slot `green`.
    pub green: Option<Sample>,
}

impl SlotSamples {
    /// Returns what the source says of a slot.
    pub fn get(&self, slot: Slot) -> Option<&Sample> {
        match slot {
            Slot::Blue => self.blue.as_ref(),
            Slot::Green => self.green.as_ref(),
        }
    }

    /// Returns what later counters are compared with, if `self` was it until `last`. Those of a source that was
    /// restarted since then begin at zero.
    #[must_use]
    pub fn restarted(self, last: &Self, now: &Self) -> Self {
        let start = |start: Option<Sample>, last: Option<Sample>, now: Option<Sample>| match (last, now) {
            (Some(last), Some(now)) if !now.is_window && now.requests < last.requests => {
                Some(Sample::default())
            }
            _ => start.or(now),
        };
        Self { blue: start(self.blue, last.blue, now.blue), green: start(self.green, last.green, now.green) }
    }
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

/// What was measured of a slot between two moments.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// The number of requests.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The mean time of a request.
    pub mean: Option<Duration>,
    /// The 95th percentile of the time of a request.
    pub p95: Option<Duration>,
    /// Whether the source was restarted meanwhile, so that earlier requests are missing.
    pub is_restarted: bool,
}

impl Figures {
    /// Returns the share of failed requests in percent.
    #[expect(clippy::cast_precision_loss, reason = "no slot has 2^52 requests")]
    pub fn error_rate(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.errors as f64 / self.requests as f64 * 100.0 }
    }

    /// Returns what happened between two samples of a slot.
    fn between(start: Option<&Sample>, now: &Sample) -> Result<Self, Unknown> {
        let Sample { requests, errors, mean, p95, is_window } = *now;
        let mut figures = Self { requests, errors, mean, p95, is_restarted: false };
        if !is_window {
            let start = start.ok_or(Unknown::NoStart)?;
            if requests < start.requests {
                figures.is_restarted = true;
            } else if errors < start.errors {
                return Err(Unknown::ErrorsFell { from: start.errors, to: errors });
            } else {
                figures.requests -= start.requests;
                figures.errors -= start.errors;
                figures.mean = mean_since(start, now);
            }
        }
        if figures.errors > figures.requests {
            return Err(Unknown::MoreErrors { requests: figures.requests, errors: figures.errors });
        }
        Ok(figures)
    }
}

/// Over how many of its last requests a source of counters averages their time. That is so of HAProxy.
const AVERAGED: u64 = 512;

/// Returns the mean time of the requests between two samples of counters, whose means are those of the last
/// requests, also of those before the first sample.
fn mean_since(start: &Sample, now: &Sample) -> Option<Duration> {
    let (Some(before), Some(after)) = (start.mean, now.mean) else { return now.mean };
    let new = now.requests.saturating_sub(start.requests);
    let averaged = now.requests.min(AVERAGED);
    if new == 0 || new >= averaged {
        return now.mean;
    }
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let earlier = before.saturating_mul(count(averaged - new));
    Some(after.saturating_mul(count(averaged)).saturating_sub(earlier) / count(new))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = text::count(usize::try_from(self.requests).unwrap_or(usize::MAX), "request");
        write!(f, "{requests}, {:.2} % failed", self.error_rate())?;
        if let Some(mean) = self.mean {
            write!(f, ", mean {}", units::duration(mean))?;
        }
        if let Some(p95) = self.p95 {
            write!(f, ", p95 {}", units::duration(p95))?;
        }
        Ok(())
    }
}

/// What is known of the traffic of a role while one of its slots is judged, for people and programs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// The slot that is judged.
    pub slot: Slot,
    /// What is thought of it so far.
    pub verdict: Verdict,
    /// The reason, one line.
    pub reason: String,
    /// What was measured of `blue`, if the source says anything of it.
    pub blue: Option<Figures>,
    /// What was measured of `green`, if the source says anything of it.
    pub green: Option<Figures>,
    /// The limits of the slot that is judged.
    pub limits: Limits,
}

/// What a measurement says so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No limit is exceeded.
    Good,
    /// A limit is exceeded.
    Bad,
    /// Not enough is known.
    Inconclusive,
}

/// The limits of an analysis. One that is `None` is not judged.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// The share of failed requests in percent.
    pub error_rate: Option<f64>,
    /// The mean time of a request.
    pub mean: Option<Duration>,
    /// The 95th percentile of the time of a request.
    pub p95: Option<Duration>,
    /// How many requests are necessary.
    pub min_requests: u64,
}

impl Measurement {
    /// Collects what was measured between two samples, and the judgement of it.
    pub fn new(
        analysis: &Analysis,
        slot: Slot,
        judgement: &Judgement,
        start: Option<&SlotSamples>,
        now: Result<&SlotSamples, &str>,
    ) -> Self {
        let figures = |slot| measured(slot, start, now).ok();
        let verdict = match judgement {
            Judgement::Pass(_) => Verdict::Good,
            Judgement::Fail { .. } => Verdict::Bad,
            Judgement::Inconclusive(_) => Verdict::Inconclusive,
        };
        Self {
            slot,
            verdict,
            reason: judgement.to_string(),
            blue: figures(Slot::Blue),
            green: figures(Slot::Green),
            limits: Limits {
                error_rate: analysis.error_rate,
                mean: analysis.mean,
                p95: analysis.p95,
                min_requests: analysis.min_requests,
            },
        }
    }

    /// Returns what was measured of a slot.
    pub fn figures(&self, slot: Slot) -> Option<&Figures> {
        match slot {
            Slot::Blue => self.blue.as_ref(),
            Slot::Green => self.green.as_ref(),
        }
    }
}

/// The judgement of a slot's traffic.
#[derive(Clone, PartialEq, Debug)]
pub enum Judgement {
    /// It is good.
    Pass(Figures),
    /// It is bad: the deploy goes back at once.
    Fail {
        /// What was measured.
        figures: Figures,
        /// The limits that were exceeded.
        exceeded: Vec<Exceeded>,
    },
    /// Not enough is known.
    Inconclusive(Unknown),
}

/// A limit that was exceeded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Exceeded {
    /// Too many requests failed.
    ErrorRate {
        /// The share of failed requests in percent.
        rate: f64,
        /// The limit.
        limit: f64,
    },
    /// Requests take too long in the mean.
    Mean {
        /// The time.
        time: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The slowest requests take too long.
    P95 {
        /// The time.
        time: Duration,
        /// The limit.
        limit: Duration,
    },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorRate { rate, limit } => {
                write!(f, "{rate:.2} % of the requests failed, more than {limit} %")
            }
            Self::Mean { time, limit } => {
                write!(
                    f,
                    "the mean time is {}, more than {}",
                    units::duration(*time),
                    units::duration(*limit)
                )
            }
            Self::P95 { time, limit } => {
                write!(f, "p95 is {}, more than {}", units::duration(*time), units::duration(*limit))
            }
        }
    }
}

/// Why a measurement says nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unknown {
    /// The source can't be asked.
    #[error("the source does not answer: {0}")]
    NoAnswer(String),
    /// The source does not know the slot.
    #[error("the source says nothing of {0}")]
    NoSample(Slot),
    /// There is no sample of the start.
    #[error("the source said nothing at the start of the measurement")]
    NoStart,
    /// The number of failed requests fell, and that of all requests did not.
    #[error("the number of failed requests fell from {from} to {to}")]
    ErrorsFell {
        /// The number at the start.
        from: u64,
        /// The number now.
        to: u64,
    },
    /// More requests failed than there were.
    #[error("{errors} of {requests} requests failed, which can't be")]
    MoreErrors {
        /// The number of requests.
        requests: u64,
        /// The number of failed ones.
        errors: u64,
    },
    /// There were too few requests.
    #[error("{requests} of at least {min} requests so far")]
    FewRequests {
        /// The number of requests.
        requests: u64,
        /// How many are necessary.
        min: u64,
    },
    /// A figure that has a limit is missing.
    #[error("the source does not say {0}")]
    Missing(&'static str),
}

/// Judges the traffic of a slot between two samples. `start` is the first sample that the source gave; `None`:
/// it gave none.
pub fn judge(
    analysis: &Analysis,
    slot: Slot,
    start: Option<&SlotSamples>,
    now: Result<&SlotSamples, &str>,
) -> Judgement {
    match measured(slot, start, now) {
        Ok(figures) => judge_figures(analysis, figures),
        Err(unknown) => Judgement::Inconclusive(unknown),
    }
}

fn measured(
    slot: Slot,
    start: Option<&SlotSamples>,
    now: Result<&SlotSamples, &str>,
) -> Result<Figures, Unknown> {
    let now = now.map_err(|reason| Unknown::NoAnswer(reason.to_owned()))?;
    let now = now.get(slot).ok_or(Unknown::NoSample(slot))?;
    Figures::between(start.and_then(|start| start.get(slot)), now)
}

fn judge_figures(analysis: &Analysis, figures: Figures) -> Judgement {
    // One request is the least of which anything can be said.
    let min = analysis.min_requests.max(1);
    if figures.requests < min {
        return Judgement::Inconclusive(Unknown::FewRequests { requests: figures.requests, min });
    }
    let mut exceeded = Vec::new();
    let mut missing = None;
    if let Some(limit) = analysis.error_rate {
        let rate = figures.error_rate();
        // A limit that is no number is exceeded by every rate.
        if rate.partial_cmp(&limit).is_none_or(Ordering::is_gt) {
            exceeded.push(Exceeded::ErrorRate { rate, limit });
        }
    }
    match (analysis.mean, figures.mean) {
        (Some(limit), Some(time)) if time > limit => exceeded.push(Exceeded::Mean { time, limit }),
        (Some(_), None) => missing = Some("the mean time of a request"),
        _ => {}
    }
    match (analysis.p95, figures.p95) {
        (Some(limit), Some(time)) if time > limit => exceeded.push(Exceeded::P95 { time, limit }),
        (Some(_), None) => missing = Some("the 95th percentile of the time of a request"),
        _ => {}
    }
    match missing {
        _ if !exceeded.is_empty() => Judgement::Fail { figures, exceeded },
        Some(missing) => Judgement::Inconclusive(Unknown::Missing(missing)),
        None => Judgement::Pass(figures),
    }
}

impl Judgement {
    /// Returns how a measurement ends whose last judgement this is: `None` while it goes on, which is until
    /// `is_deadline`, but a failure ends it at once.
    pub fn outcome(&self, analysis: &Analysis, is_deadline: bool) -> Option<StepOutcome> {
        match self {
            Self::Fail { .. } => Some(StepOutcome::Failed { reason: self.to_string() }),
            _ if !is_deadline => None,
            Self::Pass(_) => Some(StepOutcome::Done),
            Self::Inconclusive(_) => Some(match analysis.inconclusive {
                Inconclusive::Continue => StepOutcome::Done,
                Inconclusive::Rollback => StepOutcome::Failed { reason: self.to_string() },
            }),
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(figures) => write!(f, "good: {figures}"),
            Self::Fail { figures, exceeded } => {
                write!(f, "{} ({figures})", text::first_of(exceeded, exceeded.len()))
            }
            Self::Inconclusive(unknown) => write!(f, "inconclusive: {unknown}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::deploy::AnalysisSource;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn analysis() -> Analysis {
        Analysis {
            error_rate: Some(1.0),
            p95: None,
            mean: None,
            min_requests: 50,
            source: AnalysisSource::Router,
            inconclusive: Inconclusive::Rollback,
        }
    }

    fn counters(requests: u64, errors: u64) -> SlotSamples {
        let green = Sample { requests, errors, ..Sample::default() };
        SlotSamples {
            blue: Some(Sample { requests: 9_000, errors: 9_000, ..Sample::default() }),
            green: Some(green),
        }
    }

    fn judged(analysis: &Analysis, start: &SlotSamples, now: &SlotSamples) -> String {
        judge(analysis, Slot::Green, Some(start), Ok(now)).to_string()
    }

    #[test]
    fn only_the_difference_of_the_new_slot_counts() {
        let start = counters(1_000, 900);
        for (requests, errors, expected) in [
            (1_100, 900, "good: 100 requests, 0.00 % failed"),
            (1_100, 901, "good: 100 requests, 1.00 % failed"),
            (1_100, 902, "2.00 % of the requests failed, more than 1 % (100 requests, 2.00 % failed)"),
            (1_049, 949, "inconclusive: 49 of at least 50 requests so far"),
            (1_000, 900, "inconclusive: 0 of at least 50 requests so far"),
            (1_100, 899, "inconclusive: the number of failed requests fell from 900 to 899"),
            (1_100, 1_001, "inconclusive: 101 of 100 requests failed, which can't be"),
            (60, 0, "good: 60 requests, 0.00 % failed"),
            (60, 30, "50.00 % of the requests failed, more than 1 % (60 requests, 50.00 % failed)"),
            (10, 0, "inconclusive: 10 of at least 50 requests so far"),
        ] {
            assert_eq!(judged(&analysis(), &start, &counters(requests, errors)), expected);
        }
    }

    #[test]
    fn restart_of_the_source_is_noticed() {
        let judgement = judge(&analysis(), Slot::Green, Some(&counters(1_000, 0)), Ok(&counters(60, 0)));
        assert!(matches!(judgement, Judgement::Pass(Figures { is_restarted: true, requests: 60, .. })));
    }

    #[test]
    fn counters_that_have_grown_again_after_a_restart_are_those_since_the_restart() {
        let samples = [counters(1_000, 900), counters(10, 9), counters(1_100, 905)];
        let mut start = samples[0];
        for pair in samples.windows(2) {
            start = start.restarted(&pair[0], &pair[1]);
        }
        assert!(judged(&analysis(), &samples[0], &samples[2]).starts_with("5.00 %"));
        assert!(judged(&analysis(), &start, &samples[2]).starts_with("82.27 %"));
    }

    #[test]
    fn mean_time_is_that_of_the_new_requests() {
        let sample = |requests, mean| {
            let green = Sample { requests, mean: Some(MS(mean)), ..Sample::default() };
            SlotSamples { blue: None, green: Some(green) }
        };
        let limited = Analysis { error_rate: None, mean: Some(MS(300)), min_requests: 5, ..analysis() };
        let fails = |start: &SlotSamples, now: &SlotSamples| {
            judged(&limited, start, now).starts_with("the mean time is ")
        };
        // 20 requests of 600 ms after 280 fast ones, and fast ones after slow ones.
        assert!(fails(&sample(280, 1), &sample(300, 40)));
        assert!(!fails(&sample(280, 600), &sample(300, 561)));
        assert!(fails(&sample(10_000, 1), &sample(10_100, 120)));
    }

    #[test]
    fn no_data_is_never_a_pass() {
        let (start, now) = (counters(0, 0), counters(100, 0));
        let none = SlotSamples::default();
        let cases = [
            (Some(&start), Err("connection refused"), "the source does not answer: connection refused"),
            (Some(&start), Ok(&none), "the source says nothing of green"),
            (None, Ok(&now), "the source said nothing at the start of the measurement"),
            (Some(&none), Ok(&now), "the source said nothing at the start of the measurement"),
        ];
        for (start, now, expected) in cases {
            let judgement = judge(&analysis(), Slot::Green, start, now);
            assert_eq!(judgement.to_string(), format!("inconclusive: {expected}"));
        }
        let mut without_min = analysis();
        without_min.min_requests = 0;
        assert!(judged(&without_min, &start, &start).starts_with("inconclusive"));
    }

    #[test]
    fn missing_figure_with_a_limit_is_inconclusive_unless_another_fails() {
        let mut analysis = analysis();
        analysis.p95 = Some(MS(500));
        let (start, good, bad) = (counters(0, 0), counters(100, 0), counters(100, 50));
        let missing = "inconclusive: the source does not say the 95th percentile of the time of a request";
        assert_eq!(judged(&analysis, &start, &good), missing);
        assert!(judged(&analysis, &start, &bad).starts_with("50.00 % of the requests failed"));
        analysis.mean = Some(MS(100));
        let with = |mean, p95| {
            let green = Sample {
                requests: 100,
                errors: 0,
                mean: Some(MS(mean)),
                p95: Some(MS(p95)),
                is_window: true,
            };
            SlotSamples { blue: None, green: Some(green) }
        };
        let none = SlotSamples::default();
        assert_eq!(
            judged(&analysis, &none, &with(100, 500)),
            "good: 100 requests, 0.00 % failed, mean 100 ms, p95 500 ms"
        );
        assert!(
            judged(&analysis, &none, &with(101, 501))
                .starts_with("the mean time is 101 ms, more than 100 ms, p95 is 501 ms, more than 500 ms")
        );
    }

    #[test]
    fn limit_that_is_no_number_fails() {
        let mut analysis = analysis();
        analysis.error_rate = Some(f64::NAN);
        let judgement = judge(&analysis, Slot::Green, Some(&counters(0, 0)), Ok(&counters(100, 0)));
        assert!(matches!(judgement, Judgement::Fail { .. }));
    }

    #[test]
    fn failure_ends_at_once_and_the_rest_at_the_deadline() {
        let analysis = analysis();
        let lenient = Analysis { inconclusive: Inconclusive::Continue, ..analysis.clone() };
        let of = |requests, errors| {
            judge(&analysis, Slot::Green, Some(&counters(0, 0)), Ok(&counters(requests, errors)))
        };
        let (pass, fail, unknown) = (of(100, 0), of(100, 9), of(1, 0));
        let is_failed = |outcome: Option<StepOutcome>| matches!(outcome, Some(StepOutcome::Failed { .. }));
        for is_deadline in [false, true] {
            assert!(is_failed(fail.outcome(&analysis, is_deadline)));
            assert!(is_failed(fail.outcome(&lenient, is_deadline)));
        }
        for one in [&pass, &unknown] {
            assert_eq!(one.outcome(&analysis, false), None);
        }
        assert_eq!(pass.outcome(&analysis, true), Some(StepOutcome::Done));
        assert!(is_failed(unknown.outcome(&analysis, true)));
        assert_eq!(unknown.outcome(&lenient, true), Some(StepOutcome::Done));
    }
}
