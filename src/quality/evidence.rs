//! What the verdict of a gate is based on, for tables, annotations and later runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use ci_reports::facts::{Location, Ratio, Severity};

/// Why a gate's verdict is what it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// One for each rule, in the order of tasks.toml's documentation.
    pub rulings: Vec<Ruling>,
    /// The reports that were read.
    pub reports: Vec<Source>,
    /// The commit that the tree was compared with, or why there is no baseline; `None` if no rule needs
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Suppressions that match nothing and have not expired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<Breach>,
    /// What later trees are compared with.
    pub record: Record,
}

/// The result of one rule.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ruling {
    /// The rule as tasks.toml names it, such as `coverage.min` or `findings.high`.
    pub rule: String,
    /// What is demanded, such as `≥ 80 %`.
    pub demand: String,
    /// What was found, such as `76.2 % (381 of 500 lines)`.
    pub fact: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// What broke the rule, most severe first, at most [`LISTED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<Breach>,
    /// How many more breaches there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// How many breaches a ruling lists.
pub const LISTED: usize = 100;

/// Whether a rule holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Broken,
    /// There is nothing to compare with.
    Unjudged,
}

/// Something that broke a rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Breach {
    /// One line.
    pub text: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// The severity, if it is a finding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

/// A report that was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The task that writes it.
    pub task: String,
    /// Its kind, by its key in `reports`.
    pub kind: String,
    /// The file.
    pub path: String,
    /// The digest of its bytes.
    pub digest: String,
}

impl Source {
    /// Returns a copy with its path mapped, for display.
    pub fn shown(&self, word: &dyn Fn(&str) -> String) -> Self {
        Self { path: word(&self.path), ..self.clone() }
    }
}

/// What is kept of a tree's facts for later trees. Numerators and denominators, never percentages.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Lines that tests reached, of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Ratio>,
    /// Tests that were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<u64>,
    /// How often each finding is there, by its fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<BTreeMap<String, u64>>,
}

impl Evidence {
    /// Whether no rule is broken.
    pub fn holds(&self) -> bool {
        self.rulings.iter().all(|ruling| ruling.verdict != Verdict::Broken)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
