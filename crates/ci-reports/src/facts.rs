//! The facts that reports contain, in one form for all formats.
//!
//! Ratios are kept as two numbers instead of percentages, so that the facts of several reports can
//! be added up. Only a digest of a finding's source text is kept, as the text may be a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// The facts of one or more reports.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// The tests; `None` if no report is about tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Tests>,
    /// The lines that tests reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What scanners found, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<Finding>>,
    /// The secrets that scanners found; `None` if no scanner looked for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<Finding>>,
    /// The packages of a list of dependencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<Vec<Package>>,
    /// Measures by name, such as `http_req_duration.p95`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, Measure>,
    /// The verdict of a `SonarQube` server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sonar: Option<SonarStatus>,
}

/// The facts of one file of a report. Tools that write a file for each class or package also write
/// files that contain nothing, so at least one of the files must have examined something.
#[derive(Clone, PartialEq, Debug)]
pub struct ReportFile {
    /// The facts in the file.
    pub facts: Facts,
    /// The reason why nothing was examined, if so.
    pub nothing_examined: Option<ParseError>,
}

impl From<Facts> for ReportFile {
    fn from(facts: Facts) -> Self {
        Self { facts, nothing_examined: None }
    }
}

/// The tests of a report.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tests {
    /// How many passed, including those that passed only when they were repeated.
    pub passed: u64,
    /// The tests that failed or ended with an error.
    pub failed: Vec<FailedTest>,
    /// How many were skipped.
    pub skipped: u64,
    /// The names of the tests that passed only when they were repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<String>,
    /// The totals of reports that declare more tests than they list; `None` if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<TestTotals>,
}

/// The number of tests that a report declares, and the smaller number that it lists. Tools also count
/// attempts, assertions, or tests that they leave out of the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TestTotals {
    /// How many tests are declared.
    pub declared: u64,
    /// How many tests are listed.
    pub listed: u64,
}

/// A test that failed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct FailedTest {
    /// Its name, after the name of its class or suite.
    pub name: String,
    /// The first lines of its message.
    pub message: String,
    /// Where the test is or where it failed, if the report says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
}

/// A location in a file. The path is as it is written in the report: relative to the repository,
/// relative to the folder in which the tool ran, or absolute.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Location {
    /// The path of the file, with `/` as separator.
    pub path: String,
    /// The first line, from 1, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The last line, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_line: Option<u32>,
}

/// The lines that tests reached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// The lines of each file, by its path as it is written in the report.
    pub files: BTreeMap<String, LineCoverage>,
}

/// The lines of one file that tests reached and missed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LineCoverage {
    /// The lines that were reached.
    pub reached: LineRanges,
    /// The executable lines that were not reached.
    pub missed: LineRanges,
}

/// A set of line numbers, as ascending ranges from a first to a last line.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineRanges(pub Vec<(u32, u32)>);

/// A part of a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// The part.
    pub part: u64,
    /// The whole.
    pub whole: u64,
}

/// A problem that a scanner found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// How severe it is.
    pub severity: Severity,
    /// The name of the scanner.
    pub tool: String,
    /// The id of the scanner's rule.
    pub rule: String,
    /// What was found, in one line.
    pub message: String,
    /// Where it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// The [`content_digest`] of the lines there; `None` if they are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The reason for which the report says that the finding is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// How severe a finding is, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// SARIF's `note` and `none`.
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

/// A dependency.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Package {
    /// Its name, after its namespace if it has one.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences, as SPDX expressions, ids or names. All of them apply; empty if none is known.
    pub licences: Vec<String>,
}

/// A number with a unit.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measure {
    /// The number.
    pub value: f64,
    /// The unit.
    pub unit: Unit,
}

/// The unit of a measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds.
    Millis,
    /// Bytes.
    Bytes,
    /// A share of a whole: 0.5 is 50 %.
    Share,
    /// No unit.
    Number,
}

/// The verdict of a `SonarQube` server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SonarStatus {
    /// The status, such as `OK` or `ERROR`.
    pub status: String,
    /// The conditions that are not met.
    pub broken: Vec<String>,
}

/// Two reports have a measure of the same name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("two reports have a measure `{name}`: rename or remove one of them")]
pub struct DuplicateMeasure {
    /// The name of the measure.
    pub name: String,
}

impl Facts {
    /// Joins the facts of two reports: tests are added up, the lines of a file are joined line by line,
    /// findings and packages are appended.
    ///
    /// # Errors
    /// Both have a measure of the same name.
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
    /// Returns how many tests ran.
    pub fn count(&self) -> u64 {
        self.passed.saturating_add(self.failed.len() as u64)
    }

    fn join(&mut self, other: Self) {
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
    /// Returns how many of the executable lines were reached.
    pub fn ratio(&self) -> Ratio {
        self.files.values().map(LineCoverage::ratio).fold(Ratio::default(), |sum, ratio| Ratio {
            part: sum.part.saturating_add(ratio.part),
            whole: sum.whole.saturating_add(ratio.whole),
        })
    }

    /// Adds lines of a file.
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
    /// Returns how many of the executable lines were reached.
    pub fn ratio(&self) -> Ratio {
        let part = self.reached.len();
        Ratio { part, whole: part.saturating_add(self.missed.len()) }
    }
}

impl Finding {
    /// Returns a digest that identifies the finding in other versions of the code. It is made from
    /// the finding's rule, its file and the text of its lines, or from its message if the text is
    /// unknown. A finding that moves to another line keeps its fingerprint.
    pub fn fingerprint(&self) -> String {
        let (what, text) = match &self.content {
            Some(content) => ("content", content),
            None => ("message", &self.message),
        };
        let path = self.place.as_ref().map_or("", |place| &place.path);
        let mut hasher = blake3::Hasher::new();
        // The length is hashed before each field, so that different lists of fields never have the
        // same bytes.
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

/// Returns a short digest of lines without their white space, so that a finding stays the same when
/// its lines are indented.
pub fn content_digest(text: &str) -> String {
    let dense: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    short_hex(blake3::hash(dense.as_bytes()))
}

/// Returns the first twelve digits of a digest, which are enough to distinguish findings.
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
    fn moved_finding_has_the_same_fingerprint() {
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
    fn facts_of_two_reports_are_added() {
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
    fn sums_saturate_at_the_largest_number() {
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
    fn measure_in_two_reports_is_an_error() {
        let measured = |name: &str| Facts {
            measures: BTreeMap::from([(name.to_owned(), Measure { value: 1.0, unit: Unit::Bytes })]),
            ..Facts::default()
        };
        assert_eq!(measured("a").join(measured("b")).unwrap().measures.len(), 2);
        assert_eq!(measured("a").join(measured("a")), Err(DuplicateMeasure { name: "a".to_owned() }));
    }

    #[test]
    fn one_failed_sonar_project_fails_the_joined_status() {
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
