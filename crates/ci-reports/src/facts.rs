//! Facts: what reports say, in one form for all formats. It must not know formats, nor what is
//! demanded of facts.
//!
//! Numerators and denominators are kept, never percentages, so that facts of several reports can be
//! added up. Of what a scanner found in a file only a digest is kept: a finding may be a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ParseError;

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
    pub sonar: Option<SonarStatus>,
}

/// What one file of a report says. Tools that write a file for each class, package or project write
/// files in which nothing was run, so whether anything was examined is asked of all files together.
#[derive(Clone, PartialEq, Debug)]
pub struct ReportFile {
    /// What it says.
    pub facts: Facts,
    /// Why it says that nothing was examined, if it does.
    pub nothing: Option<ParseError>,
}

impl From<Facts> for ReportFile {
    fn from(facts: Facts) -> Self {
        Self { facts, nothing: None }
    }
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
    /// Of the reports that declare more tests than they list; `None`: there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<TestTotals>,
}

/// The number of tests that a report declares and the smaller one that it lists. Tools count attempts,
/// assertions or tests that they leave out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TestTotals {
    /// So many are declared.
    pub declared: u64,
    /// So many are listed.
    pub listed: u64,
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
    pub place: Option<Location>,
}

/// A place in a file, as a report writes it: relative to the repository, or to the folder that its
/// tool ran in, or absolute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Location {
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
    pub files: BTreeMap<String, LineCoverage>,
}

/// Lines of one file. Two reports that speak of the same file are joined line by line.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LineCoverage {
    /// Lines that were reached.
    pub reached: LineRanges,
    /// Lines that could be reached and were not.
    pub missed: LineRanges,
}

/// Line numbers in ascending order, as first and last of each unbroken stretch.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineRanges(pub Vec<(u32, u32)>);

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
    pub place: Option<Location>,
    /// A digest of what stands there, without its blanks; `None` until it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Why the report itself says that it is accepted, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
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
pub struct SonarStatus {
    /// `OK` or `ERROR`, as the server says it.
    pub status: String,
    /// Conditions that are not met, in the server's words.
    pub broken: Vec<String>,
}

/// Two reports tell a figure of the same name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("two reports tell the measure `{name}`: name one of them in another way, or leave one out")]
pub struct DuplicateMeasure {
    /// The figure's name.
    pub name: String,
}

impl Facts {
    /// What two reports say together: tests are added up, lines of the same file are joined line by
    /// line, findings and packages are put behind each other.
    ///
    /// # Errors
    /// Both tell a figure of the same name, of which only one can count.
    pub fn join(mut self, other: Self) -> Result<Self, DuplicateMeasure> {
        for (name, measure) in other.measures {
            if self.measures.contains_key(&name) {
                return Err(DuplicateMeasure { name });
            }
            self.measures.insert(name, measure);
        }
        self.tests = both(self.tests, other.tests, Tests::join);
        self.coverage = both(self.coverage, other.coverage, Coverage::join);
        self.findings = both(self.findings, other.findings, Vec::extend);
        self.secrets = both(self.secrets, other.secrets, Vec::extend);
        self.packages = both(self.packages, other.packages, Vec::extend);
        self.sonar = both(self.sonar, other.sonar, SonarStatus::join);
        Ok(self)
    }
}

fn both<T>(one: Option<T>, two: Option<T>, join: impl Fn(&mut T, T)) -> Option<T> {
    match (one, two) {
        (Some(mut one), Some(two)) => {
            join(&mut one, two);
            Some(one)
        }
        (one, two) => one.or(two),
    }
}

impl Tests {
    /// How many were run.
    pub fn count(&self) -> u64 {
        self.passed.saturating_add(self.failed.len() as u64)
    }

    fn join(&mut self, other: Self) {
        // What no report could count is as many as can be.
        self.passed = self.passed.saturating_add(other.passed);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.failed.extend(other.failed);
        self.flaky.extend(other.flaky);
        self.totals = both(self.totals, other.totals, |totals, more| {
            totals.declared = totals.declared.saturating_add(more.declared);
            totals.listed = totals.listed.saturating_add(more.listed);
        });
    }
}

impl Coverage {
    /// Lines that were reached, of all.
    pub fn ratio(&self) -> Ratio {
        self.files.values().map(LineCoverage::ratio).fold(Ratio::default(), |sum, ratio| Ratio {
            part: sum.part.saturating_add(ratio.part),
            whole: sum.whole.saturating_add(ratio.whole),
        })
    }

    /// Adds what is said of one file.
    pub fn add(&mut self, file: String, lines: &LineCoverage) {
        self.files.entry(file).or_default().join(lines);
    }

    fn join(&mut self, other: Self) {
        for (file, lines) in other.files {
            self.add(file, &lines);
        }
    }
}

impl LineCoverage {
    /// Lines that were reached, of all.
    pub fn ratio(&self) -> Ratio {
        let part = self.reached.len();
        Ratio { part, whole: part.saturating_add(self.missed.len()) }
    }
}

impl Finding {
    /// What makes it the same finding in another tree: its rule, what stands there and the file, so
    /// that it stays the same when it moves to another line. Where nothing is known of what stands
    /// there, its message.
    pub fn fingerprint(&self) -> String {
        let (what, text) = match &self.content {
            Some(content) => ("content", content),
            None => ("message", &self.message),
        };
        let path = self.place.as_ref().map_or("", |place| &place.path);
        let mut hasher = blake3::Hasher::new();
        // The length before each field, so that no two lists of fields have the same bytes.
        for field in ["finding", &self.rule, what, text, path] {
            hasher.update(&(field.len() as u64).to_le_bytes()).update(field.as_bytes());
        }
        short_hex(hasher.finalize())
    }
}

impl SonarStatus {
    fn join(&mut self, other: Self) {
        if self.status == "OK" {
            self.status = other.status;
        }
        self.broken.extend(other.broken);
    }
}

/// The digest of a stretch of a file without its blanks, in a few digits, so that a new indentation
/// makes no new finding.
pub fn content_digest(text: &str) -> String {
    let dense: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    short_hex(blake3::hash(dense.as_bytes()))
}

/// The first twelve digits of a digest: enough to tell two findings apart.
fn short_hex(digest: blake3::Hash) -> String {
    digest.to_hex()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &str, path: &str, line: u32, message: &str, content: Option<&str>) -> Finding {
        Finding {
            severity: Severity::High,
            tool: "tool".to_owned(),
            rule: rule.to_owned(),
            message: message.to_owned(),
            place: Some(Location { path: path.to_owned(), line: Some(line), end_line: None }),
            content: content.map(content_digest),
            accepted: None,
        }
    }

    #[test]
    fn a_finding_stays_the_same_when_it_moves() {
        let one = finding("r", "a.py", 3, "m", Some("eval( x )"));
        let cases = [
            (finding("r", "a.py", 9, "m", Some("\teval(x)\r\n")), true),
            (finding("r", "a.py", 9, "in other words", Some("eval(x)")), true),
            (finding("s", "a.py", 3, "m", Some("eval(x)")), false),
            (finding("r", "b.py", 3, "m", Some("eval(x)")), false),
            (finding("r", "a.py", 3, "m", Some("eval(y)")), false),
            (finding("r", "a.py", 3, "m", None), false),
        ];
        for (other, same) in cases {
            assert_eq!(one.fingerprint() == other.fingerprint(), same, "{other:?}");
        }
        let bare = finding("r", "a.py", 3, "m", None);
        assert_eq!(bare.fingerprint(), finding("r", "a.py", 8, "m", None).fingerprint());
        assert_ne!(bare.fingerprint(), finding("r", "a.py", 3, "n", None).fingerprint());
    }

    #[test]
    fn facts_are_added_up() {
        let lines = |reached: &[u32], missed: &[u32]| {
            LineCoverage::new(
                LineRanges::from_lines(reached.to_vec()),
                &LineRanges::from_lines(missed.to_vec()),
            )
        };
        let failed = |name: &str| FailedTest { name: name.to_owned(), message: String::new(), place: None };
        let mut one = Facts {
            tests: Some(Tests {
                passed: 2,
                failed: vec![failed("a")],
                skipped: 1,
                flaky: vec!["f".to_owned()],
                totals: Some(TestTotals { declared: 3, listed: 1 }),
            }),
            coverage: Some(Coverage::default()),
            findings: Some(vec![finding("r", "a", 1, "m", None)]),
            ..Facts::default()
        };
        let mut other = one.clone();
        one.coverage.as_mut().unwrap().add("a.rs".to_owned(), &lines(&[1], &[2, 3]));
        other.coverage.as_mut().unwrap().add("a.rs".to_owned(), &lines(&[2], &[1, 4]));
        other.coverage.as_mut().unwrap().add("b.rs".to_owned(), &lines(&[], &[7]));
        other.secrets = Some(Vec::new());
        other.sonar = Some(SonarStatus { status: "OK".to_owned(), broken: Vec::new() });

        let joined = one.join(other).unwrap();
        let tests = joined.tests.unwrap();
        assert_eq!((tests.passed, tests.count(), tests.skipped, tests.flaky.len()), (4, 6, 2, 2));
        assert_eq!(tests.totals, Some(TestTotals { declared: 6, listed: 2 }));
        let coverage = joined.coverage.unwrap();
        assert_eq!(coverage.files["a.rs"], lines(&[1, 2], &[3, 4]));
        assert_eq!(coverage.ratio(), Ratio { part: 2, whole: 5 });
        assert_eq!(joined.findings.unwrap().len(), 2);
        assert_eq!(joined.secrets, Some(Vec::new()));
        assert_eq!(joined.packages, None);
        assert_eq!(joined.sonar.unwrap().status, "OK");
    }

    #[test]
    fn sums_end_where_numbers_end() {
        let tests = |passed, skipped| Facts {
            tests: Some(Tests { passed, skipped, ..Tests::default() }),
            ..Facts::default()
        };
        let joined = tests(u64::MAX, 1).join(tests(u64::MAX - 1, u64::MAX)).unwrap().tests.unwrap();
        assert_eq!((joined.passed, joined.skipped, joined.count()), (u64::MAX, u64::MAX, u64::MAX));
        let failed = vec![FailedTest { name: "a".to_owned(), message: String::new(), place: None }];
        assert_eq!(Tests { passed: u64::MAX, failed, ..Tests::default() }.count(), u64::MAX);
    }

    #[test]
    fn a_measure_told_twice_is_no_fact() {
        let measured = |name: &str| Facts {
            measures: BTreeMap::from([(name.to_owned(), Measure { value: 1.0, unit: Unit::Bytes })]),
            ..Facts::default()
        };
        assert_eq!(measured("a").join(measured("b")).unwrap().measures.len(), 2);
        assert_eq!(measured("a").join(measured("a")), Err(DuplicateMeasure { name: "a".to_owned() }));
    }

    #[test]
    fn one_sonar_project_that_fails_fails() {
        let sonar = |status: &str, broken: &[&str]| SonarStatus {
            status: status.to_owned(),
            broken: broken.iter().map(|text| (*text).to_owned()).collect(),
        };
        for (mut one, two) in
            [(sonar("OK", &[]), sonar("ERROR", &["x"])), (sonar("ERROR", &["x"]), sonar("OK", &[]))]
        {
            one.join(two);
            assert_eq!(one, sonar("ERROR", &["x"]));
        }
    }
}
