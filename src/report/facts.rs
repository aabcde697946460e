//! Facts: what reports say, in one form for all formats. It must not know formats, nor what is
//! demanded of facts.
//!
//! Numerators and denominators are kept, never percentages, so that facts of several reports can be
//! added up. Of what a scanner found in a file only a digest is kept: a finding may be a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one or more reports say.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Of tests; `None`: no report speaks of tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
    /// Of lines that tests reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Of what scanners found, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// Of secrets that scanners found. A report of findings that names no scanner for secrets says
    /// nothing of secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<Finding>>,
    /// Of the packages that something is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<Package>>,
    /// Figures by their names, such as `http_req_duration.p95`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, Measure>,
    /// The verdict of a `SonarQube` server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sonar: Option<Sonar>,
}

/// Tests that were run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tests {
    /// How many passed, those that passed only when tried again among them.
    pub passed: u64,
    /// Those that failed, or ended with an error.
    pub failed: Vec<FailedTest>,
    /// How many were not run.
    pub skipped: u64,
    /// The names of those that passed only when tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<String>,
}

/// A test that failed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct FailedTest {
    /// Its name, with its class or suite in front of it.
    pub name: String,
    /// What it said, cut to a few lines.
    pub message: String,
    /// Where it is or where it failed, as far as the report says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Spot>,
}

/// A place in a file, as a report writes it: relative to the repository, or to the folder that its
/// tool ran in, or absolute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Spot {
    /// The file, with `/` between its parts.
    pub path: String,
    /// The line, from 1, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The last line, if there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
}

/// Lines that tests reached, by the file as the report names it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Lines of each file.
    pub files: BTreeMap<String, Lines>,
}

/// Lines of one file. Two reports that speak of the same file are joined line by line.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lines {
    /// Lines that were reached.
    pub reached: Ranges,
    /// Lines that could be reached and were not.
    pub missed: Ranges,
}

/// Line numbers in ascending order, as first and last of each unbroken stretch.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(pub Vec<(u32, u32)>);

/// How many of how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// So many.
    pub part: u64,
    /// Of so many.
    pub whole: u64,
}

/// Something that a scanner found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// The scanner.
    pub tool: String,
    /// The scanner's id of what it looks for.
    pub rule: String,
    /// One line.
    pub message: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Spot>,
    /// A digest of what stands there, without its blanks; `None` until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Why the report itself says that it is accepted, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

impl Finding {
    /// What tells it from others whatever line it stands on.
    pub fn fingerprint(&self) -> String {
        let path = self.place.as_ref().map_or("", |place| place.path.as_str());
        let parts = [&*self.rule, self.content.as_deref().unwrap_or_default(), path];
        crate::ground::digest::Digest::of(parts.join("\0").as_bytes()).hex()
    }
}

/// How grave a finding is. The gravest is the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A remark (SARIF's `note` and `none`).
    Note,
    /// `security-severity` below 4.0.
    Low,
    /// `security-severity` below 7.0; SARIF's `warning`.
    Medium,
    /// `security-severity` below 9.0; SARIF's `error`.
    High,
    /// `security-severity` of 9.0 and above.
    Critical,
}

/// A package that something is made of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Package {
    /// Its name, with its namespace if it has one.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences as the report writes them: SPDX expressions, ids or names, all of which hold;
    /// none: the report knows none.
    pub licences: Vec<String>,
}

/// A figure.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measure {
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: Unit,
}

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// Bytes.
    Bytes,
    /// A share of one; 0.5 is 50 %.
    Share,
    /// A mere number.
    Number,
}

/// The verdict of a `SonarQube` server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sonar {
    /// `OK` or `ERROR`, as the server says it.
    pub status: String,
    /// Conditions that are not met, in the server's words.
    pub broken: Vec<String>,
}
