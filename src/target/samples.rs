//! Asks Prometheus or a command how the requests of both slots went. It must not judge them.

use std::time::Duration;

use serde::Deserialize;

use crate::deploy::analysis::{Sample, SlotSamples};
use crate::deploy::release::{ReleaseId, Slot};
use crate::target::host::{CallLimits, Host, HostLine, LineFolder, LineKind};
use crate::target::variables::fill;

/// The queries to a Prometheus server.
pub struct Queries<'a> {
    /// The URL of the server.
    pub url: &'a str,
    /// The number of requests in the window.
    pub requests: &'a str,
    /// The number of failed requests in the window.
    pub errors: Option<&'a str>,
    /// The 95th percentile in seconds.
    pub p95: Option<&'a str>,
}

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MOST: u64 = 1 << 20;

/// Asks Prometheus for both slots, with `window` as the time that is looked at.
///
/// # Errors
/// The server does not answer, or its answer can't be understood.
pub fn from_prometheus(
    queries: &Queries<'_>,
    release: &ReleaseId,
    window: Duration,
) -> Result<SlotSamples, String> {
    let window = seconds(window);
    let ask = |query: &str, slot: Slot| {
        let query = fill(query, &[("slot", slot.name()), ("release", &release.0), ("window", &window)]);
        let text = get(queries.url, &query)?;
        parse_prometheus(&text).map_err(|reason| format!("Prometheus: {reason}, query {query}"))
    };
    each_slot(|slot| {
        let Some(requests) = ask(queries.requests, slot)? else { return Ok(None) };
        // Without a series of failed requests, none has failed. What is not a number says nothing.
        let errors = queries.errors.map_or(Ok(None), |query| ask(query, slot))?.unwrap_or_default();
        let p95 = queries.p95.map_or(Ok(None), |query| ask(query, slot))?;
        if !requests.is_finite() || !errors.is_finite() {
            return Ok(None);
        }
        Ok(Some(CommandSample { requests, errors: Some(errors), p95, mean: None }.sample()))
    })
}

/// Asks a shell line, which is run once for each slot on `host`. `needs_errors`: it must say how many requests
/// failed.
///
/// # Errors
/// The line fails, or prints no JSON object of figures.
pub fn from_command(
    line: &str,
    host: &Host,
    release: &ReleaseId,
    window: Duration,
    needs_errors: bool,
) -> Result<SlotSamples, String> {
    let window = seconds(window);
    each_slot(|slot| {
        let line = fill(line, &[("slot", slot.name()), ("release", &release.0), ("window", &window)]);
        let limits = CallLimits { timeout: ANSWER, is_stopped: &|| false };
        let folder = LineFolder::Environment;
        let asked = HostLine { folder, line: &line, variables: "", kind: LineKind::Question };
        let printed = host.run_line(None, asked, limits).map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&printed);
        let printed = printed.trim();
        if printed.is_empty() {
            return Ok(None);
        }
        let sample: CommandSample =
            serde_json::from_str(printed).map_err(|error| format!("`{line}` printed no figures: {error}"))?;
        if needs_errors && sample.errors.is_none() {
            return Err(format!("`{line}` printed no `errors`"));
        }
        if !sample.is_possible() {
            return Err(format!("`{line}` printed impossible figures: {printed}"));
        }
        Ok(Some(sample.sample()))
    })
}

/// Returns a window as Prometheus writes it.
fn seconds(window: Duration) -> String {
    format!("{}s", window.as_secs().max(1))
}

fn each_slot(mut ask: impl FnMut(Slot) -> Result<Option<Sample>, String>) -> Result<SlotSamples, String> {
    Ok(SlotSamples { blue: ask(Slot::Blue)?, green: ask(Slot::Green)? })
}

/// What a command prints. Times are in seconds.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
struct CommandSample {
    requests: f64,
    #[serde(default)]
    errors: Option<f64>,
    #[serde(default)]
    p95: Option<f64>,
    #[serde(default)]
    mean: Option<f64>,
}

impl CommandSample {
    fn is_possible(&self) -> bool {
        let times = [self.p95, self.mean].into_iter().flatten();
        [Some(self.requests), self.errors]
            .into_iter()
            .flatten()
            .chain(times)
            .all(|value| value.is_finite() && value >= 0.0)
    }

    /// Returns the figures as a sample of a window. `increase()` of Prometheus estimates, so its counts are not
    /// whole numbers.
    fn sample(self) -> Sample {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast to u64 saturates"
        )]
        let whole = |value: f64| value.round() as u64;
        // A time that is not a number is that of no requests.
        let time = |value: Option<f64>| value.and_then(|value| Duration::try_from_secs_f64(value).ok());
        Sample {
            requests: whole(self.requests),
            errors: whole(self.errors.unwrap_or_default()),
            mean: time(self.mean),
            p95: time(self.p95),
            is_window: true,
        }
    }
}

fn get(url: &str, query: &str) -> Result<String, String> {
    let url = format!("{}/api/v1/query", url.trim_end_matches('/'));
    let config =
        ureq::Agent::config_builder().timeout_global(Some(ANSWER)).max_redirects(3).proxy(None).build();
    let response = ureq::Agent::new_with_config(config).get(&url).query("query", query).call();
    let mut response = response.map_err(|error| format!("GET {url}: {error}"))?;
    let body = response.body_mut().with_config().limit(MOST).read_to_string();
    body.map_err(|error| format!("GET {url}: {error}"))
}

/// Parses the answer to an instant query. Returns `None` if there is no series.
fn parse_prometheus(text: &str) -> Result<Option<f64>, String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "the answer is not JSON".to_owned())?;
    let result = json.pointer("/data/result").ok_or_else(|| "the answer has no result".to_owned())?;
    let value = match json.pointer("/data/resultType").and_then(serde_json::Value::as_str) {
        Some("scalar") => result.get(1),
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([]) => return Ok(None),
            Some([series]) => series.pointer("/value/1"),
            _ => return Err("there is more than one series; hint: use sum(…)".to_owned()),
        },
        _ => return Err("the result is neither a scalar nor a vector".to_owned()),
    };
    let value = value.and_then(serde_json::Value::as_str).and_then(|value| value.parse::<f64>().ok());
    let value = value.ok_or_else(|| "the result is not a number".to_owned())?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_prometheus_is_one_number() {
        let vector = |series: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
        };
        let one = r#"{"metric":{},"value":[1,"12.6"]}"#;
        assert_eq!(parse_prometheus(&vector(one)), Ok(Some(12.6)));
        assert_eq!(parse_prometheus(&vector("")), Ok(None));
        let nan = parse_prometheus(&vector(r#"{"metric":{},"value":[1,"NaN"]}"#));
        assert!(nan.is_ok_and(|value| value.is_some_and(f64::is_nan)));
        assert!(parse_prometheus(&vector(&format!("{one},{one}"))).unwrap_err().contains("more than one"));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"3"]}}"#;
        assert_eq!(parse_prometheus(scalar), Ok(Some(3.0)));
        assert!(parse_prometheus("<html>").is_err());
        assert!(parse_prometheus(r#"{"status":"error"}"#).is_err());
    }

    #[test]
    fn figures_of_a_command_are_those_of_a_window() {
        let sample: CommandSample =
            serde_json::from_str(r#"{"requests": 100, "errors": 1, "p95": 0.2}"#).unwrap();
        assert!(sample.is_possible());
        let expected = Sample {
            requests: 100,
            errors: 1,
            mean: None,
            p95: Some(Duration::from_millis(200)),
            is_window: true,
        };
        assert_eq!(sample.sample(), expected);
        let sample: CommandSample = serde_json::from_str(r#"{"requests": -1}"#).unwrap();
        assert!(!sample.is_possible());
    }
}
