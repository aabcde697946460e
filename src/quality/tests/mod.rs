//! Tests of judging: each fact at, below and above its limit, and that a changed fact changes only
//! its own ruling.

mod baseline;
mod random;
mod suppressions;
mod thresholds;
mod violations;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::evidence::{LISTED, Ruling, Verdict};
use super::rules::{Bound, Comparison, Coverage, Day, Findings, Licences, Rules, Suppression, Tests};
use super::*;
use crate::base::path::RepoPath;
use crate::base::pattern::{Pattern, PatternBase};
use ci_reports::ReportKind;
use ci_reports::facts::{
    self, FailedTest, Finding, LineCoverage, LineRanges, Location, Measure, Package, Ratio, Severity,
    SonarStatus, Unit,
};

const TODAY: Day = Day { year: 2026, month: 6, day: 15 };

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text, PatternBase { base: &RepoPath::top(), anchored: false }).unwrap()
}

fn bound(name: &str, comparison: Comparison, value: f64, unit: Unit, written: &str) -> Bound {
    Bound { name: name.to_owned(), comparison, value, unit, written: written.to_owned() }
}

/// Returns rules of all families.
fn rules() -> Rules {
    Rules {
        coverage: Some(Coverage {
            min: Some(80.0),
            max_drop: Some(2.0),
            paths: vec![(pattern("billing/**"), 100.0)],
        }),
        tests: Some(Tests { failed: Some(0), skipped: Some(2), flaky: Some(1), min_count: Some(10) }),
        findings: Some(Findings {
            critical: Some(0),
            high: Some(0),
            medium: Some(1),
            low: Some(2),
            note: Some(3),
            total: Some(4),
            new: Some(0),
        }),
        secrets: Some(0),
        licences: Some(Licences { allow: vec!["MIT".to_owned(), "BSD-*".to_owned()], deny: Vec::new() }),
        performance: vec![
            bound("http.p95", Comparison::AtMost, 100.0, Unit::Millis, "<= 100 ms"),
            bound("checks.rate", Comparison::AtLeast, 0.99, Unit::Share, ">= 99 %"),
        ],
        sonar: true,
        suppressions: Vec::new(),
    }
}

fn lines(reached: &[(u32, u32)], missed: &[(u32, u32)]) -> LineCoverage {
    LineCoverage { reached: LineRanges(reached.to_vec()), missed: LineRanges(missed.to_vec()) }
}

fn finding(rule: &str, severity: Severity, path: &str, line: u32) -> Finding {
    Finding {
        severity,
        tool: "scan".to_owned(),
        rule: rule.to_owned(),
        message: format!("{rule} is here\nand more"),
        place: Some(Location { path: path.to_owned(), line: Some(line), end_line: None }),
        content: Some(format!("digest of {rule}")),
        accepted: None,
    }
}

fn package(name: &str, licences: &[&str]) -> Package {
    let licences = licences.iter().map(|&licence| licence.to_owned()).collect();
    Package { name: name.to_owned(), version: "1.0".to_owned(), licences }
}

/// Returns facts that are exactly at the limits of all [`rules`].
fn facts() -> Facts {
    let measure = |value, unit| Measure { value, unit };
    Facts {
        tests: Some(facts::Tests {
            passed: 10,
            failed: Vec::new(),
            skipped: 2,
            flaky: vec!["slow one".to_owned()],
            totals: None,
        }),
        coverage: Some(facts::Coverage {
            files: BTreeMap::from([
                ("billing/a.rs".to_owned(), lines(&[(1, 20)], &[])),
                ("src/b.rs".to_owned(), lines(&[(1, 60)], &[(61, 75), (77, 77), (80, 83)])),
            ]),
        }),
        findings: Some(vec![
            finding("style", Severity::Note, "src/b.rs", 3),
            finding("style", Severity::Low, "src/b.rs", 4),
        ]),
        secrets: Some(Vec::new()),
        packages: Some(vec![package("one", &["MIT OR GPL-3.0-only"]), package("two", &["BSD-3-Clause"])]),
        measures: BTreeMap::from([
            ("http.p95".to_owned(), measure(100.0, Unit::Millis)),
            ("checks.rate".to_owned(), measure(0.99, Unit::Share)),
        ]),
        sonar: Some(SonarStatus { status: "OK".to_owned(), broken: Vec::new() }),
    }
}

fn baseline() -> Baseline {
    let record = BaselineFacts { coverage: Some(Ratio { part: 82, whole: 100 }), ..record(&facts()) };
    Baseline::Known { of: "1a2b3c4 (merge base with origin/main)".to_owned(), record }
}

fn judged(rules: &Rules, facts: &Facts, baseline: &Baseline) -> Evidence {
    judge(&GateInputs { rules, facts, baseline, today: TODAY, unavailable: &[] })
}

fn one<'e>(evidence: &'e Evidence, rule: &str) -> &'e Ruling {
    evidence.rules.iter().find(|ruling| ruling.rule == rule).unwrap()
}

/// Formats all rulings, one per line.
fn drawn(evidence: &Evidence) -> String {
    let mut text = String::new();
    for Ruling { rule, required, actual, verdict, violations, more } in &evidence.rules {
        text.push_str(&format!("{verdict:?} | {rule} | {required} | {actual}\n"));
        for violation in violations {
            let place = violation.place.as_ref().map(|place| format!("{}:{:?} ", place.path, place.line));
            text.push_str(&format!("    {}{}\n", place.unwrap_or_default(), violation.text));
        }
        if *more > 0 {
            text.push_str(&format!("    {more} more\n"));
        }
    }
    text
}
