//! The results on which a gate's verdict is based, for tables, annotations and later runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use ci_reports::facts::{Location, Ratio, Severity};

/// The results of all rules of a gate, and the reports and the baseline that were used.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// The result of each rule, in the order in which the documentation of tasks.toml lists the
    /// rules.
    #[serde(alias = "rulings")]
    pub rules: Vec<Ruling>,
    /// The reports that were read.
    pub reports: Vec<JudgedReport>,
    /// The commit that the tree was compared with, or why there is no baseline. `None` if no rule
    /// needs a baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Suppressions that match nothing and have not expired.
    #[serde(default, alias = "unused", skip_serializing_if = "Vec::is_empty")]
    pub unused_suppressions: Vec<Violation>,
    /// The facts that later trees are compared with.
    pub record: BaselineFacts,
}

/// The result of one rule.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ruling {
    /// The name of the rule in tasks.toml, such as `coverage.min` or `findings.high`.
    pub rule: String,
    /// What the rule requires, such as `≥ 80 %`.
    #[serde(alias = "demand")]
    pub required: String,
    /// What was found, such as `76.2 % (381 of 500 lines)`.
    #[serde(alias = "fact")]
    pub actual: String,
    /// Whether the rule holds.
    pub verdict: Verdict,
    /// What broke the rule, most severe first. There are at most [`LISTED`].
    #[serde(default, alias = "breaches", skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// The number of further violations that are not listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// The maximum number of violations that a ruling lists.
pub const LISTED: usize = 100;

/// Whether a rule holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rule holds.
    Holds,
    /// The rule is broken.
    Broken,
    /// The rule needs a baseline, and there is nothing to compare with.
    Unjudged,
}

/// One cause of a broken rule, such as a failed test.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// A description of one line.
    pub text: String,
    /// The file and the lines that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// The severity, if the violation is a finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// A report that was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JudgedReport {
    /// The task that writes the report.
    pub task: String,
    /// The kind of the report: its key in the task's `reports`.
    pub kind: String,
    /// The path of the file.
    pub path: String,
    /// The digest of the file's contents.
    pub digest: String,
}

impl JudgedReport {
    /// Returns a copy in which the path is mapped by `word`, for display.
    pub fn with_mapped_path(&self, word: &dyn Fn(&str) -> String) -> Self {
        Self { path: word(&self.path), ..self.clone() }
    }
}

/// The facts of a tree that are stored for comparison with later trees. Ratios are stored as two
/// whole numbers, so that nothing is lost by rounding.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BaselineFacts {
    /// The lines that tests reached, out of all lines that can be covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Ratio>,
    /// The number of tests that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<u64>,
    /// The number of findings with each fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<BTreeMap<String, u64>>,
}

impl Evidence {
    /// Returns whether no rule is broken.
    pub fn holds(&self) -> bool {
        self.rules.iter().all(|ruling| ruling.verdict != Verdict::Broken)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
