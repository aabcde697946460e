//! Tests of all readers, with reports that real tools wrote.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::{Completeness, Facts, ParseError, ReportKind, read, read_file};

/// The recorded reports, with a summary of the facts in each.
const RECORDED: &[(ReportKind, &str, &str)] = &[
    (ReportKind::Junit, "pytest/shop.xml", "tests 2 passed 2 failed 2 skipped"),
    (ReportKind::Junit, "pytest/shop-xunit1.xml", "tests 2 passed 2 failed 2 skipped"),
    (
        ReportKind::Junit,
        "pytest/reruns-and-subtests.xml",
        "tests 1 passed 2 failed 0 skipped 1 flaky, 6 declared 5 listed",
    ),
    (ReportKind::Junit, "pytest/subtests.xml", "tests 2 passed 0 failed 0 skipped, 5 declared 2 listed"),
    (ReportKind::Junit, "pytest/broken.xml", "tests 0 passed 1 failed 0 skipped"),
    (ReportKind::Junit, "pytest/none.xml", "nothing was examined: no test was run"),
    (ReportKind::Junit, "jest/sum.xml", "tests 2 passed 1 failed 1 skipped"),
    (ReportKind::Junit, "playwright/till.xml", "tests 2 passed 1 failed 1 skipped"),
    (ReportKind::Junit, "node/node.xml", "tests 2 passed 1 failed 2 skipped"),
    (ReportKind::Junit, "nextest/till.xml", "tests 2 passed 1 failed 0 skipped 1 flaky"),
    (ReportKind::Junit, "surefire/TEST-com.shop.PriceTest.xml", "tests 2 passed 2 failed 1 skipped 1 flaky"),
    (ReportKind::Junit, "gotestsum/till.xml", "tests 1 passed 1 failed 1 skipped"),
    (ReportKind::Junit, "gotestsum/stderr.xml", "tests 1 passed 0 failed 0 skipped"),
    (ReportKind::Junit, "boost/skipped.xml", "tests 2 passed 0 failed 1 skipped"),
    (ReportKind::Junit, "catch2/assertions.xml", "tests 1 passed 0 failed 0 skipped, 3 declared 1 listed"),
    (ReportKind::Junit, "mocha/pending.xml", "tests 1 passed 0 failed 2 skipped, 3 declared 1 listed"),
    (
        ReportKind::Junit,
        "surefire/rerun-flaky.xml",
        "tests 1 passed 0 failed 0 skipped 1 flaky, 3 declared 1 listed",
    ),
    (ReportKind::Junit, "per-file/TEST-on.xml", "tests 1 passed 0 failed 0 skipped"),
    (ReportKind::Junit, "per-file/TEST-off.xml", "nothing was examined: no test was run; 1 were skipped"),
    (ReportKind::Junit, "behave/TESTS-a.xml", "tests 1 passed 2 failed 1 skipped"),
    (ReportKind::Junit, "behave/TESTS-b.xml", "nothing was examined: no test was run; 1 were skipped"),
    (ReportKind::Junit, "boost/failed.xml", "tests 2 passed 2 failed 1 skipped"),
    (ReportKind::Junit, "catch2/failed.xml", "tests 3 passed 2 failed 1 skipped, 13 declared 6 listed"),
    (ReportKind::Junit, "ctest/till.xml", "tests 1 passed 1 failed 3 skipped"),
    (ReportKind::Junit, "cucumber-js/till.xml", "tests 1 passed 2 failed 0 skipped"),
    (ReportKind::Junit, "doctest/failed.xml", "tests 1 passed 2 failed 0 skipped, 6 declared 3 listed"),
    (ReportKind::Junit, "doctest/skipped.xml", "tests 1 passed 0 failed 0 skipped, 3 declared 1 listed"),
    (ReportKind::Junit, "googletest/till.xml", "tests 1 passed 1 failed 3 skipped"),
    (ReportKind::Junit, "jest/todo.xml", "tests 1 passed 0 failed 4 skipped"),
    (ReportKind::Junit, "mocha/hooks.xml", "tests 2 passed 2 failed 2 skipped, 8 declared 4 listed"),
    (ReportKind::Junit, "mocha/off.xml", "nothing was examined: no test was run; 1 were skipped"),
    (ReportKind::Junit, "newman/refused.xml", "tests 2 passed 4 failed 0 skipped"),
    (ReportKind::Junit, "newman/scripts.xml", "tests 2 passed 0 failed 0 skipped"),
    (ReportKind::Junit, "node/nested.xml", "tests 3 passed 0 failed 2 skipped"),
    (ReportKind::Junit, "nose2/till.xml", "tests 1 passed 3 failed 4 skipped"),
    (ReportKind::Junit, "pytest/teardown.xml", "tests 2 passed 8 failed 4 skipped, 18 declared 15 listed"),
    (ReportKind::Junit, "robot/till.xml", "tests 1 passed 1 failed 1 skipped"),
    (
        ReportKind::Junit,
        "unittest-xml-reporting/TEST-test_u.Off.xml",
        "nothing was examined: no test was run; 1 were skipped",
    ),
    (ReportKind::Junit, "unittest-xml-reporting/TEST-test_u.T.xml", "tests 1 passed 3 failed 2 skipped"),
    (
        ReportKind::Junit,
        "unittest-xml-reporting/TEST-unittest.suite._ErrorHolder.xml",
        "tests 0 passed 1 failed 0 skipped",
    ),
    (ReportKind::Junit, "vitest/broken.xml", "tests 2 passed 1 failed 3 skipped"),
    (ReportKind::Lcov, "coverage.py/lcov.info", "coverage 10/12"),
    (ReportKind::Lcov, "jest/lcov.info", "coverage 3/4"),
    (ReportKind::Lcov, "node/lcov.info", "coverage 17/19"),
    (ReportKind::Cobertura, "coverage.py/cobertura.xml", "coverage 10/12"),
    (ReportKind::Cobertura, "jest/cobertura.xml", "coverage 3/4"),
    (ReportKind::Cobertura, "ms-coverage/till.xml", "coverage 2/3"),
    (
        ReportKind::Sarif,
        "semgrep/shop.sarif",
        "findings Note Semgrep OSS empty-name src/price.py:12, High Semgrep OSS shell-of-a-command src/price.py:18",
    ),
    (
        ReportKind::Sarif,
        "bandit/shop.sarif",
        "findings Note Bandit B404 shop/price.py:1, High Bandit B602 shop/price.py:18",
    ),
    (
        ReportKind::Sarif,
        "zizmor/ci.sarif",
        "findings Medium zizmor zizmor/artipacked .github/workflows/ci.yml:6, \
         Medium zizmor zizmor/excessive-permissions .github/workflows/ci.yml:3, \
         High zizmor zizmor/dangerous-triggers .github/workflows/ci.yml:1, \
         High zizmor zizmor/template-injection .github/workflows/ci.yml:7, \
         High zizmor zizmor/unpinned-uses .github/workflows/ci.yml:6",
    ),
    (
        ReportKind::Secrets,
        "secretlint/leak.sarif",
        "secrets High secretlint @secretlint/secretlint-rule-preset-recommend > @secretlint/secretlint-rule-slack \
         leak/config.js:4",
    ),
    (ReportKind::Secrets, "secretlint/none.sarif", "secrets none"),
    (ReportKind::Cyclonedx, "npm/shop.cdx.json", "packages @sindresorhus/is 7.0.1 MIT, left-pad 1.3.0 WTFPL"),
    (
        ReportKind::Cyclonedx,
        "cyclonedx-py/shop.cdx.json",
        "packages idna 3.10 License :: OSI Approved :: BSD License, packaging 24.2 License :: OSI Approved :: Apache \
         Software License + License :: OSI Approved :: BSD License, pip 23.2.1 MIT, setuptools 65.5.0 MIT",
    ),
    (ReportKind::Cyclonedx, "no-dependencies/lib.cdx.json", "packages "),
    (ReportKind::Cyclonedx, "cyclonedx-py/no-dependencies.cdx.json", "packages "),
    (
        ReportKind::Sarif,
        "eslint/unparsable.sarif",
        "not everything was examined: ESLint: Parsing error: Unexpected token ; (file:///home/dev/shop/bad.js)",
    ),
    (
        ReportKind::Sarif,
        "spotbugs/missing-classes.sarif",
        "not everything was examined: SpotBugs: Classes needed for analysis were missing: [shop.Opt]",
    ),
    (ReportKind::Spdx, "npm/shop.spdx.json", "packages @sindresorhus/is 7.0.1 MIT, left-pad 1.3.0 WTFPL"),
    (ReportKind::K6, "k6/summary-export.json", "measures 39"),
    (ReportKind::Sonar, "sonar/failed.json", "sonar ERROR new_coverage is 76.2, less than 80"),
    (
        ReportKind::Facts,
        "facts/all.json",
        "tests 3 passed 1 failed 1 skipped 1 flaky\ncoverage 7/8\nfindings High my-scanner no-eval src/a.js:3\n\
         secrets High my-scanner token config.js:1\npackages left-pad 1.3.0 MIT OR Apache-2.0\nmeasures 3",
    ),
];

/// One complete report of each kind of format.
const WHOLE: [(ReportKind, &str); 9] = [
    (ReportKind::Junit, "pytest/shop.xml"),
    (ReportKind::Lcov, "coverage.py/lcov.info"),
    (ReportKind::Cobertura, "coverage.py/cobertura.xml"),
    (ReportKind::Sarif, "semgrep/shop.sarif"),
    (ReportKind::Cyclonedx, "npm/shop.cdx.json"),
    (ReportKind::Spdx, "npm/shop.spdx.json"),
    (ReportKind::K6, "k6/summary-export.json"),
    (ReportKind::Sonar, "sonar/failed.json"),
    (ReportKind::Facts, "facts/all.json"),
];

fn recorded(path: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read_all(kind: ReportKind, mut bytes: &[u8]) -> Result<Facts, ParseError> {
    read(kind, &mut bytes)
}

fn shown(facts: &Facts) -> String {
    let mut lines = Vec::new();
    if let Some(tests) = &facts.tests {
        let flaky =
            if tests.flaky.is_empty() { String::new() } else { format!(" {} flaky", tests.flaky.len()) };
        let (passed, failed, skipped) = (tests.passed, tests.failed.len(), tests.skipped);
        let totals = tests.totals.map_or_else(String::new, |totals| {
            format!(", {} declared {} listed", totals.declared, totals.listed)
        });
        lines.push(format!("tests {passed} passed {failed} failed {skipped} skipped{flaky}{totals}"));
    }
    if let Some(ratio) = facts.coverage.as_ref().map(super::facts::Coverage::ratio) {
        lines.push(format!("coverage {}/{}", ratio.part, ratio.whole));
    }
    for (name, list) in [("findings", &facts.findings), ("secrets", &facts.secrets)] {
        let one = |finding: &super::facts::Finding| {
            let place =
                finding.place.as_ref().map(|place| format!("{}:{}", place.path, place.line.unwrap_or(0)));
            format!("{:?} {} {} {}", finding.severity, finding.tool, finding.rule, place.unwrap_or_default())
        };
        if let Some(list) = list {
            let all: Vec<_> = list.iter().map(one).collect();
            lines.push(format!("{name} {}", if all.is_empty() { "none".to_owned() } else { all.join(", ") }));
        }
    }
    if let Some(packages) = &facts.packages {
        let one = |package: &super::facts::Package| {
            format!("{} {} {}", package.name, package.version, package.licences.join(" + "))
        };
        lines.push(format!("packages {}", packages.iter().map(one).collect::<Vec<_>>().join(", ")));
    }
    if !facts.measures.is_empty() {
        lines.push(format!("measures {}", facts.measures.len()));
    }
    if let Some(sonar) = &facts.sonar {
        lines.push(format!("sonar {} {}", sonar.status, sonar.broken.join(", ")));
    }
    lines.join("\n")
}

#[test]
fn recorded_reports_have_the_expected_facts() {
    let mut wrong = Vec::new();
    for &(kind, path, expected) in RECORDED {
        let found =
            read_all(kind, &recorded(path)).map_or_else(|error| error.to_string(), |facts| shown(&facts));
        if found != expected {
            wrong.push(format!("{path}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_recording_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let others = ["k6/handle-summary.json", "sonar/passed.json"];
    for tool in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        for file in fs::read_dir(tool).unwrap().map(|entry| entry.unwrap().path()) {
            let path = file.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
            assert!(
                others.contains(&&*path) || RECORDED.iter().any(|(_, known, _)| *known == path),
                "{path}"
            );
        }
    }
}

#[test]
fn report_of_another_kind_is_an_error() {
    for (written, path) in WHOLE {
        let bytes = recorded(path);
        for kind in ReportKind::ALL {
            // SARIF is also the format of reports of secrets.
            let same = kind == written || (kind, written) == (ReportKind::Secrets, ReportKind::Sarif);
            assert_eq!(read_all(kind, &bytes).is_ok(), same, "{path} read as {}", kind.name());
        }
    }
}

#[test]
fn empty_input_is_an_error_for_every_kind() {
    for kind in ReportKind::ALL {
        for empty in [&b""[..], b" \n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"] {
            assert_eq!(read_all(kind, empty), Err(ParseError::Empty), "{}", kind.name());
        }
        assert!(matches!(read_all(kind, &[0; 64]), Err(ParseError::Malformed { .. })), "{}", kind.name());
    }
}

#[test]
fn byte_order_mark_and_blanks_around_a_report_change_nothing() {
    for (kind, path) in WHOLE {
        let bytes = recorded(path);
        let around = [b"\xef\xbb\xbf \r\n", &*bytes, b"\r\n \n"].concat();
        assert_eq!(read_all(kind, &around), read_all(kind, &bytes), "{path}");
    }
}

#[test]
fn truncated_report_is_an_error() {
    for &(kind, path, _) in RECORDED {
        let bytes = recorded(path);
        let whole = bytes.trim_ascii_end().len();
        // A short report is cut after every byte. A long one is cut at regular distances and near
        // its end.
        let cuts = (0..whole).filter(|cut| whole < 3_000 || cut % 61 == 0 || whole - cut < 150);
        for cut in cuts {
            let records =
                kind == ReportKind::Lcov && bytes[..cut].trim_ascii_end().ends_with(b"\nend_of_record");
            // A file that may be incomplete because its tool skipped something must still have its
            // end.
            let part = read_file(kind, Completeness::Partial, &mut &bytes[..cut]);
            let is_nothing =
                |part: &super::ReportFile| kind == ReportKind::Lcov && part.nothing_examined.is_some();
            let error = part.as_ref().map_or(true, is_nothing);
            assert!(error || records, "{path} cut after {cut} bytes");
        }
    }
}

/// Removes a failed element, or everything that is listed, from a recorded report.
#[test]
fn failed_report_still_fails_after_removal_of_any_part() {
    for (path, from, to) in [
        ("boost/failed.xml", "<failure", "</failure>"),
        ("catch2/failed.xml", "<testcase classname=\"c2-bad.global\" name=\"bad\"", "</testcase>"),
        ("doctest/failed.xml", "<testcase", "</testsuite>"),
        ("nose2/till.xml", "<testcase", "</testsuite>"),
        ("robot/till.xml", "<testcase", "</testsuite>"),
        ("gotestsum/till.xml", "<testsuite ", "</testsuites>"),
        ("jest/sum.xml", "<testsuite ", "</testsuites>"),
        ("mocha/hooks.xml", "<testsuite ", "</testsuites>"),
        ("surefire/TEST-com.shop.PriceTest.xml", "<testcase", "</testsuite>"),
    ] {
        let text = String::from_utf8(recorded(path)).unwrap();
        let start = text.find(from).unwrap();
        let end = start + text[start..].rfind(to).unwrap();
        let all = format!("{}{}", &text[..start], &text[end..]);
        let holed = if to.starts_with("</f") || to.starts_with("</testcase") {
            let first = start + text[start..].find(to).unwrap() + to.len();
            format!("{}{}", &text[..start], &text[first..])
        } else {
            all
        };
        let facts = read_all(ReportKind::Junit, holed.as_bytes());
        let fails = facts.as_ref().map_or(true, |facts| !facts.tests.as_ref().unwrap().failed.is_empty());
        assert!(fails, "{path}: {facts:?}");
    }
}

/// A SARIF file with 300,000 results, which is generated while it is read.
struct Large {
    next: u32,
    part: std::io::Cursor<Vec<u8>>,
}

impl std::io::Read for Large {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        const LAST: u32 = 300_000;
        if self.part.position() == self.part.get_ref().len() as u64 && self.next <= LAST {
            let number = self.next;
            self.next += 1;
            self.part = std::io::Cursor::new(if number == LAST { b"]}]}".to_vec() } else { result(number) });
        }
        self.part.read(buffer)
    }
}

fn result(number: u32) -> Vec<u8> {
    let comma = if number == 0 { r#"{"version": "2.1.0", "runs": [{"results": ["# } else { "," };
    let unused = "x".repeat(500);
    format!(
        r#"{comma}{{"ruleId": "rule-{}", "message": {{"text": "Result {number} says what it is and what to do"}},
        "locations": [{{"physicalLocation": {{"artifactLocation": {{"uri": "src/file{number}.py"}},
        "region": {{"startLine": 3, "snippet": {{"text": "call({number})"}}}}}}}}], "codeFlows": [{{"unused": "{unused}"}}]}}"#,
        number % 400
    )
    .into_bytes()
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "reads 200 MB; run it alone, it looks at the memory of the whole process"]
fn large_report_is_read_with_little_memory() {
    let large = Large { next: 0, part: std::io::Cursor::default() };
    let facts = read(ReportKind::Sarif, &mut std::io::BufReader::new(large)).unwrap();
    assert_eq!(facts.findings.unwrap().len(), 300_000);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak: {} MiB", kibibytes >> 10);
    assert!(kibibytes < 1 << 20, "{peak}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_facts_or_an_error(kind in prop::sample::select(&ReportKind::ALL[..]), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_all(kind, &bytes);
    }

    #[test]
    fn mutated_report_gives_facts_or_an_error(
        report in prop::sample::select(RECORDED),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<u8>()), 1..12),
    ) {
        let (kind, path, _) = report;
        let mut bytes = recorded(path);
        for (at, change, byte) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match change {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                2 => bytes.insert(at, b"<>&\"'{}[]:,0-9x\n"[usize::from(byte) % 16]),
                // Duplicate a range of bytes.
                _ => {
                    let end = (at + usize::from(byte)).min(bytes.len());
                    let stretch = bytes[at..end].to_vec();
                    bytes.splice(at..at, stretch);
                }
            }
        }
        let _ = read_all(kind, &bytes);
    }
}
