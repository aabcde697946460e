//! The rules of a gate, as they are written in tasks.toml. This module must not know where facts
//! come from.

use serde::{Deserialize, Serialize};

use crate::base::pattern::Pattern;
use ci_reports::facts::Unit;

/// The rules of one gate. A field that is `None` or empty requires nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// The rules in `coverage`.
    pub coverage: Option<Coverage>,
    /// The rules in `tests`.
    pub tests: Option<Tests>,
    /// The rules in `findings`.
    pub findings: Option<Findings>,
    /// The number in `secrets`: the maximum number of secrets.
    pub secrets: Option<u64>,
    /// The rules in `licences`.
    pub licences: Option<Licences>,
    /// The bounds in `performance`, in the order of the file.
    pub performance: Vec<Bound>,
    /// Whether `sonar = "ok"` is written.
    pub sonar: bool,
    /// The entries of `suppress`, in the order of the file.
    pub suppressions: Vec<Suppression>,
}

/// Rules for line coverage, in percent of all lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The minimum coverage of all files.
    pub min: Option<f64>,
    /// The maximum drop compared with the baseline, in percentage points.
    pub max_drop: Option<f64>,
    /// The minimum coverage of the files that match a pattern, in the order of the file.
    pub paths: Vec<(Pattern, f64)>,
}

/// Rules for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// The maximum number of failed tests.
    pub failed: Option<u64>,
    /// The maximum number of skipped tests.
    pub skipped: Option<u64>,
    /// The maximum number of tests that pass only when they are repeated.
    pub flaky: Option<u64>,
    /// The minimum number of tests that run.
    pub min_count: Option<u64>,
}

/// Rules for the findings of scanners: the maximum number for each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The maximum number of critical findings.
    pub critical: Option<u64>,
    /// The maximum number of findings of high severity.
    pub high: Option<u64>,
    /// The maximum number of findings of medium severity.
    pub medium: Option<u64>,
    /// The maximum number of findings of low severity.
    pub low: Option<u64>,
    /// The maximum number of notes.
    pub note: Option<u64>,
    /// The maximum number of findings of any severity.
    pub total: Option<u64>,
    /// The maximum number of findings that the baseline does not contain.
    pub new: Option<u64>,
}

/// Rules for licences. Each entry is an id or a name, in which `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licences {
    /// The licences that are allowed. If it is empty, all are allowed except those in `deny`.
    pub allow: Vec<String>,
    /// The licences that are not allowed.
    pub deny: Vec<String>,
}

/// A bound for a performance measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The name of the measure.
    pub name: String,
    /// How the measure must compare with `value`.
    pub comparison: Comparison,
    /// The number to compare with.
    pub value: f64,
    /// The unit of `value`; [`Unit::Number`] if none is written.
    pub unit: Unit,
    /// The comparison and the value as they are written in the file.
    pub written: String,
}

/// How a measure must compare with the value of its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// Less than: `<`.
    Less,
    /// At most: `<=`.
    AtMost,
    /// More than: `>`.
    More,
    /// At least: `>=`.
    AtLeast,
    /// Equal to: `==`.
    Equal,
}

/// Findings, secrets or packages that are accepted until a certain day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suppression {
    /// The id of the scanner's rule, or `licence`.
    pub rule: String,
    /// The licence as it is written in the report, if licences are suppressed.
    pub licence: Option<String>,
    /// The files to which it applies; `None` for all files.
    pub path: Option<Pattern>,
    /// The package to which a licence's suppression applies; `None` for all packages.
    pub package: Option<String>,
    /// The reason for accepting them.
    pub reason: String,
    /// The last day on which the suppression applies.
    pub expires: Day,
    /// Where the suppression is written, such as `tasks.toml:12`.
    pub location: String,
}

/// A day of the calendar. Earlier days are less than later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Day {
    /// The year of the common era.
    pub year: i32,
    /// The month, from 1 to 12.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Rules {
    /// Returns the names of the rules that are set, as in tasks.toml and in its order.
    pub fn names(&self) -> Vec<&'static str> {
        let set = [
            ("coverage", self.coverage.is_some()),
            ("tests", self.tests.is_some()),
            ("findings", self.findings.is_some()),
            ("secrets", self.secrets.is_some()),
            ("licences", self.licences.is_some()),
            ("performance", !self.performance.is_empty()),
            ("sonar", self.sonar),
        ];
        set.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect()
    }

    /// Returns whether a rule compares with a baseline.
    pub fn need_baseline(&self) -> bool {
        self.coverage.as_ref().is_some_and(|coverage| coverage.max_drop.is_some())
            || self.findings.is_some_and(|findings| findings.new.is_some())
    }
}
