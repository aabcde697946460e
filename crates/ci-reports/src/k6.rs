//! Reads the summary of a k6 run in JSON: the values of its metrics.
//!
//! There are two forms. The data of `handleSummary` contain the type of each metric and what it
//! measures. `--summary-export` writes only values, so units are known only for k6's own metrics.
//! The forms also differ in thresholds: `true` means that a threshold was crossed in
//! `--summary-export`, while `ok: true` means that it was not crossed in `handleSummary`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::facts::{Facts, Measure, Unit};
use super::json::Named;
use super::source::Source;
use super::{ParseError, ReportKind, json, text};

/// The maximum size of a summary in bytes.
const MOST: u64 = 64 << 20;

/// k6's own metrics that measure times but have names that don't end in `_duration`.
const TIMES: [&str; 7] = [
    "http_req_blocked",
    "http_req_connecting",
    "http_req_receiving",
    "http_req_sending",
    "http_req_tls_handshaking",
    "http_req_waiting",
    "ws_connecting",
];

#[derive(Deserialize)]
struct Summary {
    metrics: Option<Named<Metric>>,
    results: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Metric {
    #[serde(rename = "type")]
    kind: Option<String>,
    contains: Option<String>,
    values: Option<Named<Value>>,
    thresholds: Option<Named<Threshold>>,
    #[serde(flatten)]
    flat: Named<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Threshold {
    Whole { ok: bool },
    Crossed(bool),
}

impl Threshold {
    fn crossed(&self) -> bool {
        match self {
            Self::Whole { ok } => !ok,
            Self::Crossed(crossed) => *crossed,
        }
    }
}

/// Reads a report.
pub(crate) fn read(source: Source<'_>) -> Result<Facts, ParseError> {
    let summary: Summary = json::read_small(source, ReportKind::K6.format(), MOST)?;
    let malformed = |what: String| ParseError::malformed(ReportKind::K6.format(), what);
    let Some(Named(metrics)) = summary.metrics else {
        let other = "it is the machine-readable summary; use `--summary-export` or `handleSummary` of k6";
        let what = if summary.results.is_some() { other } else { "it has no `metrics`" };
        return Err(malformed(what.to_owned()));
    };
    let mut measures = BTreeMap::new();
    let mut crossed = 0_u32;
    for (name, metric) in &metrics {
        let shown = text::one_line(name, 200);
        let thresholds = metric.thresholds.iter().flat_map(|Named(thresholds)| thresholds);
        crossed += thresholds.map(|(_, threshold)| u32::from(threshold.crossed())).sum::<u32>();
        for (aggregate, value) in &metric.values.as_ref().unwrap_or(&metric.flat).0 {
            let value = value
                .as_f64()
                .ok_or_else(|| malformed(format!("`{shown}` has a value that is not a number")))?;
            let (aggregate, unit) = metric.measure(name, aggregate);
            let figure = format!("{shown}.{aggregate}");
            // Two different names may become the same name in rules: `p95` and `p(95)`.
            if measures.contains_key(&figure) {
                return Err(malformed(format!("the measure `{figure}` is there twice")));
            }
            measures.insert(figure, Measure { value, unit });
        }
    }
    let counted = |name: &str| measures.get(name).is_some_and(|measure| measure.value > 0.0);
    if !["iterations.count", "http_reqs.count", "grpc_req_duration.count", "ws_sessions.count"]
        .into_iter()
        .any(counted)
    {
        return Err(ParseError::nothing_examined("no iteration was run and no request was made"));
    }
    let crossed = Measure { value: f64::from(crossed), unit: Unit::Number };
    measures.insert("thresholds.crossed".to_owned(), crossed);
    Ok(Facts { measures, ..Facts::default() })
}

impl Metric {
    /// Returns the name and the unit of a value: `p(95)` becomes `p95`.
    fn measure(&self, name: &str, aggregate: &str) -> (String, Unit) {
        let plain = text::one_line(&aggregate.replace(['(', ')'], ""), 60);
        // `--summary-export` calls the share `value`, next to the counts `passes` and `fails`.
        let is_rate = match &self.kind {
            Some(kind) => kind == "rate",
            None => self.flat.0.contains_key("passes") && self.flat.0.contains_key("fails"),
        };
        if is_rate {
            return match &*plain {
                "rate" | "value" => ("rate".to_owned(), Unit::Share),
                _ => (plain, Unit::Number),
            };
        }
        let is_counter = match &self.kind {
            Some(kind) => kind == "counter",
            None => self.flat.0.contains_key("count") && self.flat.0.contains_key("rate"),
        };
        // A count has no unit of time or data, even if the metric measures times.
        if plain == "count" && !is_counter {
            return (plain, Unit::Number);
        }
        let unit = match self.contains.as_deref() {
            Some("time") => Unit::Millis,
            Some("data") => Unit::Bytes,
            Some(_) => Unit::Number,
            None => known_unit(name),
        };
        (plain, unit)
    }
}

/// Returns the unit of one of k6's own metrics. A name may have tags, such as
/// `http_reqs{status:200}`.
fn known_unit(name: &str) -> Unit {
    let name = name.split('{').next().unwrap_or(name);
    if TIMES.contains(&name)
        || (name.ends_with("_duration") && is_own(name))
        || name.starts_with("browser_web_vital_")
    {
        // The layout shift is the only web vital that is not a time.
        return if name == "browser_web_vital_cls" { Unit::Number } else { Unit::Millis };
    }
    match name {
        "data_received" | "data_sent" | "browser_data_received" | "browser_data_sent" => Unit::Bytes,
        _ => Unit::Number,
    }
}

fn is_own(name: &str) -> bool {
    ["http_req_", "iteration_", "group_", "grpc_req_", "ws_session_", "browser_http_req_"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let facts = crate::read(ReportKind::K6, &mut text.as_bytes()).map_err(|error| error.to_string())?;
        let shown =
            |(name, measure): (&String, &Measure)| format!("{name} {} {:?}", measure.value, measure.unit);
        Ok(facts.measures.iter().map(shown).collect())
    }

    #[test]
    fn both_summary_formats_give_the_same_facts() {
        let flat = r#"{"root_group": {}, "metrics": {
            "http_req_duration": {"avg": 1.5, "p(95)": 3, "thresholds": {"p(95)<500": false, "avg<1": true}},
            "http_req_failed": {"passes": 1, "fails": 3, "value": 0.25},
            "data_sent": {"count": 900, "rate": 9.5}, "own_time": {"avg": 2},
            "http_reqs": {"count": 4, "rate": 0.5}, "vus": {"value": 1, "min": 1, "max": 2}}}"#;
        let whole = r#"{"options": {}, "state": {}, "metrics": {
            "http_req_duration": {"type": "trend", "contains": "time", "values": {"avg": 1.5, "p(95)": 3},
                "thresholds": {"p(95)<500": {"ok": true}, "avg<1": {"ok": false}}},
            "http_req_failed": {"type": "rate", "contains": "default", "values": {"passes": 1, "fails": 3, "rate": 0.25}},
            "data_sent": {"type": "counter", "contains": "data", "values": {"count": 900, "rate": 9.5}},
            "own_time": {"type": "trend", "contains": "default", "values": {"avg": 2}},
            "http_reqs": {"type": "counter", "contains": "default", "values": {"count": 4, "rate": 0.5}},
            "vus": {"type": "gauge", "contains": "default", "values": {"value": 1, "min": 1, "max": 2}}}}"#;
        let measures = [
            "data_sent.count 900 Bytes",
            "data_sent.rate 9.5 Bytes",
            "http_req_duration.avg 1.5 Millis",
            "http_req_duration.p95 3 Millis",
            "http_req_failed.fails 3 Number",
            "http_req_failed.passes 1 Number",
            "http_req_failed.rate 0.25 Share",
            "http_reqs.count 4 Number",
            "http_reqs.rate 0.5 Number",
            "own_time.avg 2 Number",
            "thresholds.crossed 1 Number",
            "vus.max 2 Number",
            "vus.min 1 Number",
            "vus.value 1 Number",
        ];
        assert_eq!(read(flat).unwrap(), measures);
        assert_eq!(read(whole).unwrap(), measures);
    }

    #[test]
    fn run_without_requests_is_empty() {
        for metrics in ["{}", r#"{"vus": {"value": 1}}"#, r#"{"iterations": {"count": 0, "rate": 0}}"#] {
            let error = read(&format!("{{\"metrics\": {metrics}}}")).unwrap_err();
            assert_eq!(error, "nothing was examined: no iteration was run and no request was made");
        }
    }

    #[test]
    fn other_json_is_an_error() {
        let cases = [
            ("{}", "it has no `metrics`"),
            (r#"{"results": {}, "version": "1"}"#, "machine-readable summary"),
            (r#"{"metrics": {"a": {"avg": "x"}}}"#, "`a` has a value that is not a number"),
            (r#"{"metrics": {"a": {"thresholds": {"x": 3}}}}"#, "Threshold"),
            (
                r#"{"metrics": {"http_reqs": {"count": 9}, "http_reqs": {"count": 1}}}"#,
                "duplicate key `http_reqs`",
            ),
            (
                r#"{"metrics": {"a": {"thresholds": {"p(95)<500": true, "p(95)<500": false}}}}"#,
                "duplicate key `p(95)<500`",
            ),
            (r#"{"metrics": {"a": {"avg": 9, "avg": 1}}}"#, "duplicate key `avg`"),
            (
                r#"{"metrics": {"a": {"type": "trend", "values": {"avg": 9, "avg": 1}}}}"#,
                "duplicate key `avg`",
            ),
            (r#"{"metrics": {"a": {"p(95)": 9, "p95": 1}}}"#, "the measure `a.p95` is there twice"),
            (r#"{"metrics": 3}"#, "expected a map (line 1, column 14)"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
