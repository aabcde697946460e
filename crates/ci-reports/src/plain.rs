//! Reads plain facts in JSON, a format that any script can write. taskgate's `docs/facts.md` describes it.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::facts::{
    Coverage, Facts, FailedTest, Finding, LineCoverage, LineRanges, Location, Measure, Package, Severity,
    Tests, Unit,
};
use super::json::{Digested, Named};
use super::source::Source;
use super::{ParseError, ReportKind, json, text};

/// The maximum size of a file in bytes.
const MOST: u64 = 64 << 20;

/// All keys of the format, for suggestions.
const KEYS: [&str; 27] = [
    "facts", "tool", "examined", "measures", "value", "unit", "tests", "passed", "failed", "skipped",
    "flaky", "coverage", "reached", "missed", "findings", "secrets", "severity", "rule", "message", "path",
    "line", "end-line", "snippet", "accepted", "packages", "name", "version",
];

#[derive(Deserialize)]
struct Plain {
    facts: u64,
    tool: Option<String>,
    examined: u64,
    measures: Option<Named<PlainMeasure>>,
    tests: Option<PlainTests>,
    coverage: Option<Named<PlainLines>>,
    findings: Option<Vec<PlainFinding>>,
    secrets: Option<Vec<PlainFinding>>,
    packages: Option<Vec<PlainPackage>>,
}

struct PlainMeasure(Measure);

#[derive(Deserialize)]
struct WholeMeasure {
    value: f64,
    unit: Option<Unit>,
}

#[derive(Deserialize)]
struct PlainTests {
    #[serde(default)]
    passed: u64,
    #[serde(default)]
    failed: Vec<PlainFailure>,
    #[serde(default)]
    skipped: u64,
    #[serde(default)]
    flaky: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PlainFailure {
    name: String,
    #[serde(default)]
    message: String,
    path: Option<String>,
    line: Option<u32>,
    end_line: Option<u32>,
}

#[derive(Deserialize)]
struct PlainLines {
    #[serde(default)]
    reached: Vec<LineRange>,
    #[serde(default)]
    missed: Vec<LineRange>,
}

/// A line or a range of lines.
struct LineRange(u32, u32);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PlainFinding {
    severity: Option<Severity>,
    rule: String,
    message: Option<String>,
    path: Option<String>,
    line: Option<u32>,
    end_line: Option<u32>,
    snippet: Option<Digested>,
    accepted: Option<String>,
}

#[derive(Deserialize)]
struct PlainPackage {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    licences: Vec<String>,
}

/// Reads a file of plain facts.
pub(crate) fn read(source: Source<'_>) -> Result<Facts, ParseError> {
    let (plain, unknown): (Plain, _) = json::read_known(source, ReportKind::Facts.format(), MOST)?;
    let malformed = |what: String| Err(ParseError::malformed(ReportKind::Facts.format(), what));
    if plain.facts != 1 {
        return malformed(format!("version {} is not supported; only 1 is", plain.facts));
    }
    if let Some(path) = unknown.first() {
        return malformed(unknown_key(path));
    }
    if plain.examined == 0 {
        return Err(ParseError::nothing_examined("`examined` is 0"));
    }
    let tool = text::one_line(plain.tool.as_deref().unwrap_or("facts"), 100);
    let facts = Facts {
        tests: plain.tests.map(tests).transpose()?,
        coverage: plain.coverage.map(coverage).transpose()?,
        findings: plain.findings.map(|list| list.into_iter().map(|one| finding(one, &tool)).collect()),
        secrets: plain.secrets.map(|list| list.into_iter().map(|one| secret(one, &tool)).collect()),
        packages: plain.packages.map(packages).transpose()?,
        measures: plain
            .measures
            .into_iter()
            .flat_map(|Named(measures)| measures)
            .map(|(name, PlainMeasure(measure))| (name, measure))
            .collect(),
        sonar: None,
    };
    if facts == Facts::default() {
        let what = "it has none of `measures`, `tests`, `coverage`, `findings`, `secrets` and `packages`";
        return malformed(what.to_owned());
    }
    Ok(facts)
}

fn unknown_key(path: &str) -> String {
    let path = text::one_line(path, 200);
    let key = path.rsplit('.').next().unwrap_or_default();
    let near = KEYS
        .into_iter()
        .chain(["licences"])
        .map(|known| (strsim::damerau_levenshtein(key, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(3));
    match near {
        // The key is known, but not allowed in this object.
        Some((0, _)) | None => format!("unknown key `{path}`"),
        Some((_, known)) => format!("unknown key `{path}`; did you mean `{known}`?"),
    }
}

fn tests(plain: PlainTests) -> Result<Tests, ParseError> {
    let failed = |test: PlainFailure| FailedTest {
        place: location(test.path, test.line, test.end_line),
        name: text::one_line(&test.name, 500),
        message: text::few_lines(&test.message),
    };
    let tests = Tests {
        passed: plain.passed,
        failed: plain.failed.into_iter().map(failed).collect(),
        skipped: plain.skipped,
        flaky: plain.flaky.iter().map(|name| text::one_line(name, 500)).collect(),
        totals: None,
    };
    let all = tests.passed.checked_add(tests.skipped);
    if all.and_then(|all| all.checked_add(tests.failed.len() as u64)).is_none() {
        return Err(ParseError::malformed(
            ReportKind::Facts.format(),
            "`tests` has more tests than can be counted",
        ));
    }
    if tests.count() == 0 {
        return Err(ParseError::nothing_examined("no test was run"));
    }
    Ok(tests)
}

fn coverage(Named(plain): Named<PlainLines>) -> Result<Coverage, ParseError> {
    let ranges = |list: Vec<LineRange>| {
        LineRanges::from_ranges(list.into_iter().map(|LineRange(a, b)| (a, b)).collect())
    };
    let mut coverage = Coverage::default();
    for (file, lines) in plain {
        coverage
            .add(file.replace('\\', "/"), &LineCoverage::new(ranges(lines.reached), &ranges(lines.missed)));
    }
    if coverage.ratio().whole == 0 {
        return Err(ParseError::nothing_examined("`coverage` has no lines"));
    }
    Ok(coverage)
}

fn finding(plain: PlainFinding, tool: &str) -> Finding {
    let rule = text::one_line(&plain.rule, 200);
    Finding {
        severity: plain.severity.unwrap_or(Severity::Medium),
        tool: tool.to_owned(),
        message: plain.message.map_or_else(|| rule.clone(), |message| text::one_line(&message, 300)),
        rule,
        place: location(plain.path, plain.line, plain.end_line),
        content: plain.snippet.map(|digest| digest.0),
        accepted: plain.accepted.map(|reason| text::one_line(&reason, 300)),
    }
}

/// Converts a secret. Its message is replaced by its rule, since it may contain the secret.
fn secret(plain: PlainFinding, tool: &str) -> Finding {
    let severity = Some(plain.severity.unwrap_or(Severity::High));
    finding(PlainFinding { message: None, severity, ..plain }, tool)
}

fn packages(plain: Vec<PlainPackage>) -> Result<Vec<Package>, ParseError> {
    if plain.is_empty() {
        return Err(ParseError::nothing_examined("`packages` is empty"));
    }
    let package = |one: PlainPackage| {
        let licences = one.licences.iter().map(|licence| text::whole_line(licence));
        Ok(Package {
            licences: licences.collect::<Option<_>>().ok_or_else(|| ParseError::long_licence(&one.name))?,
            name: text::one_line(&one.name, 300),
            version: text::one_line(&one.version, 100),
        })
    };
    plain.into_iter().map(package).collect()
}

fn location(path: Option<String>, line: Option<u32>, end_line: Option<u32>) -> Option<Location> {
    path.map(|path| Location { path: path.replace('\\', "/"), line, end_line })
}

impl<'de> Deserialize<'de> for PlainMeasure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = PlainMeasure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or an object with `value` and `unit`")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<PlainMeasure, E> {
                Ok(PlainMeasure(Measure { value, unit: Unit::Number }))
            }

            #[expect(clippy::cast_precision_loss, reason = "a figure is as exact as JSON's numbers are")]
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<PlainMeasure, E> {
                self.visit_f64(value as f64)
            }

            #[expect(clippy::cast_precision_loss, reason = "a figure is as exact as JSON's numbers are")]
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<PlainMeasure, E> {
                self.visit_f64(value as f64)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PlainMeasure, A::Error> {
                let WholeMeasure { value, unit } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
                Ok(PlainMeasure(Measure { value, unit: unit.unwrap_or(Unit::Number) }))
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

impl<'de> Deserialize<'de> for LineRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = LineRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line, or an array of a first and a last line")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<LineRange, E> {
                let line =
                    u32::try_from(value).map_err(|_| E::custom("the number of a line is too large"))?;
                Ok(LineRange(line, line))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LineRange, A::Error> {
                match (seq.next_element()?, seq.next_element()?, seq.next_element::<u32>()?) {
                    (Some(first), Some(last), None) if first <= last => Ok(LineRange(first, last)),
                    _ => {
                        Err(de::Error::custom("a range of lines is a first and a last line, such as [3, 7]"))
                    }
                }
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Facts, String> {
        crate::read(ReportKind::Facts, &mut text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn all_parts_of_the_format_are_read() {
        let facts = read(include_str!("../tests/reports/facts/all.json")).unwrap();
        assert_eq!(facts.measures["bundle.size"], Measure { value: 320_000.0, unit: Unit::Bytes });
        assert_eq!(facts.measures["modules"], Measure { value: 12.0, unit: Unit::Number });
        assert_eq!(facts.measures["startup"], Measure { value: 180.5, unit: Unit::Millis });
        let tests = facts.tests.unwrap();
        assert_eq!((tests.passed, tests.skipped, tests.failed.len(), tests.flaky.len()), (3, 1, 1, 1));
        assert_eq!(tests.failed[0].place.as_ref().unwrap().line, Some(12));
        assert_eq!(facts.coverage.unwrap().files["src/a.rs"].reached, LineRanges(vec![(1, 2), (5, 9)]));
        let findings = facts.findings.unwrap();
        assert_eq!((findings[0].severity, findings[0].tool.as_str()), (Severity::High, "my-scanner"));
        assert!(findings[0].content.is_some());
        let secrets = facts.secrets.unwrap();
        assert_eq!((secrets[0].message.as_str(), secrets[0].severity), ("token", Severity::High));
        assert_eq!(facts.packages.unwrap()[0].licences, ["MIT OR Apache-2.0"]);
    }

    #[test]
    fn licence_is_read_whole_or_is_an_error() {
        let package = |licence: &str| {
            read(&format!(
                r#"{{"facts": 1, "examined": 1, "packages": [{{"name": "a", "licences": ["{licence}"]}}]}}"#
            ))
        };
        let long = format!("{}GPL-3.0-only", "MIT AND ".repeat(1_000));
        assert_eq!(package(&long).unwrap().packages.unwrap()[0].licences, [long]);
        let error = package(&"MIT AND ".repeat(9_000)).unwrap_err();
        assert_eq!(error, "too large: a licence of `a` has more than 64 KiB");
    }

    #[test]
    fn duplicate_key_is_an_error() {
        let cases = [
            (r#"{"facts": 1, "examined": 3, "measures": {"a": 9, "a": 1}}"#, "duplicate key `a`"),
            (
                r#"{"facts": 1, "examined": 3, "coverage": {"x.py": {"missed": [1]}, "x.py": {"reached": [1]}}}"#,
                "duplicate key `x.py`",
            ),
            (
                r#"{"facts": 1, "examined": 3, "findings": [{"rule": "r"}], "findings": []}"#,
                "duplicate field `findings`",
            ),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let cases = [
            (r#"{"facts": 2, "examined": 1}"#, "version 2 is not supported; only 1 is"),
            (r#"{"examined": 1}"#, "missing field `facts`"),
            (r#"{"facts": 1, "findings": []}"#, "missing field `examined`"),
            (r#"{"facts": 1, "examined": 0, "findings": []}"#, "nothing was examined: `examined` is 0"),
            (r#"{"facts": 1, "examined": 3}"#, "it has none of `measures`"),
            (r#"{"facts": 1, "examined": 3, "measures": {}}"#, "it has none of `measures`"),
            (
                r#"{"facts": 1, "examined": 3, "findngs": []}"#,
                "unknown key `findngs`; did you mean `findings`?",
            ),
            (
                r#"{"facts": 1, "examined": 3, "tests": {"faild": []}}"#,
                "unknown key `tests.faild`; did you mean `failed`?",
            ),
            (
                r#"{"facts": 1, "examined": 3, "measures": {"a": {"value": 1, "unit": "bytes", "of": 3}}}"#,
                "unknown key `measures.a.of`",
            ),
            (
                r#"{"facts": 1, "examined": 3, "measures": {"a": {"value": 1, "unit": "kilobytes"}}}"#,
                "unknown variant `kilobytes`",
            ),
            (r#"{"facts": 1, "examined": 3, "measures": {"a": "1"}}"#, "expected a number, or an object"),
            (
                r#"{"facts": 1, "examined": 3, "tests": {"skipped": 4}}"#,
                "nothing was examined: no test was run",
            ),
            (
                r#"{"facts": 1, "examined": 3, "tests": {"passed": 18446744073709551615, "failed": [{"name": "a"}]}}"#,
                "`tests` has more tests than can be counted",
            ),
            (
                r#"{"facts": 1, "examined": 3, "tests": {"passed": 18446744073709551615, "skipped": 1}}"#,
                "`tests` has more tests than can be counted",
            ),
            (r#"{"facts": 1, "examined": 3, "packages": []}"#, "nothing was examined: `packages` is empty"),
            (
                r#"{"facts": 1, "examined": 3, "coverage": {"a": {}}}"#,
                "nothing was examined: `coverage` has no lines",
            ),
            (r#"{"facts": 1, "examined": 3, "coverage": {"a": {"missed": [[3, 1]]}}}"#, "such as [3, 7]"),
            (r#"{"facts": 1, "examined": -1, "findings": []}"#, "invalid value"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert_eq!(
            read(r#"{"facts": 1, "examined": 3, "findings": []}"#).unwrap().findings,
            Some(Vec::new())
        );
    }
}
