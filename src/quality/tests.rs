//! Tests of judging: each fact at, below and above what is demanded, and that nothing but its own
//! ruling changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::evidence::{LISTED, Ruling, Verdict};
use super::rules::{Bound, Comparison, Coverage, Findings, Licences, Suppression, Tests};
use super::*;
use crate::ground::path::RepoPath;
use crate::ground::pattern::{Origin, Pattern};
use crate::report::facts::{
    self, FailedTest, Finding, Lines, Measure, Package, Ranges, Ratio, Severity, Sonar, Spot, Unit,
};

const TODAY: Day = Day { year: 2026, month: 6, day: 15 };

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text, Origin { base: &RepoPath::top(), anchored: false }).unwrap()
}

fn bound(name: &str, comparison: Comparison, value: f64, unit: Unit, written: &str) -> Bound {
    Bound { name: name.to_owned(), comparison, value, unit, written: written.to_owned() }
}

/// Rules of all families.
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

fn lines(reached: &[(u32, u32)], missed: &[(u32, u32)]) -> Lines {
    Lines { reached: Ranges(reached.to_vec()), missed: Ranges(missed.to_vec()) }
}

fn finding(rule: &str, severity: Severity, path: &str, line: u32) -> Finding {
    Finding {
        severity,
        tool: "scan".to_owned(),
        rule: rule.to_owned(),
        message: format!("{rule} is here\nand more"),
        place: Some(Spot { path: path.to_owned(), line: Some(line), end_line: None }),
        content: Some(format!("digest of {rule}")),
        accepted: None,
    }
}

fn package(name: &str, licences: &[&str]) -> Package {
    let licences = licences.iter().map(|&licence| licence.to_owned()).collect();
    Package { name: name.to_owned(), version: "1.0".to_owned(), licences }
}

/// Facts that hold all of [`rules`], each just so.
fn facts() -> Facts {
    let measure = |value, unit| Measure { value, unit };
    Facts {
        tests: Some(facts::Tests {
            passed: 10,
            failed: Vec::new(),
            skipped: 2,
            flaky: vec!["slow one".to_owned()],
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
        sonar: Some(Sonar { status: "OK".to_owned(), broken: Vec::new() }),
    }
}

fn baseline() -> Baseline {
    let record = Record { coverage: Some(Ratio { part: 82, whole: 100 }), ..record(&facts()) };
    Baseline::Known { of: "1a2b3c4 (merge base with origin/main)".to_owned(), record }
}

fn judged(rules: &Rules, facts: &Facts, baseline: &Baseline) -> Evidence {
    judge(&Case { rules, facts, baseline, today: TODAY })
}

/// The rules whose rulings differ from those of [`facts`] after a change, with their verdicts.
fn changed(change: impl FnOnce(&mut Facts)) -> Vec<(String, Verdict)> {
    let before = judged(&rules(), &facts(), &baseline());
    let mut facts = facts();
    change(&mut facts);
    let after = judged(&rules(), &facts, &baseline());
    assert_eq!(before.rulings.len(), after.rulings.len());
    let both = before.rulings.iter().zip(&after.rulings);
    both.filter(|(before, after)| before.verdict != after.verdict)
        .map(|(_, after)| (after.rule.clone(), after.verdict))
        .collect()
}

fn only(rule: &str) -> Vec<(String, Verdict)> {
    vec![(rule.to_owned(), Verdict::Broken)]
}

fn one<'e>(evidence: &'e Evidence, rule: &str) -> &'e Ruling {
    evidence.rulings.iter().find(|ruling| ruling.rule == rule).unwrap()
}

/// All rulings, a line each.
fn drawn(evidence: &Evidence) -> String {
    let mut text = String::new();
    for Ruling { rule, demand, fact, verdict, breaches, more } in &evidence.rulings {
        text.push_str(&format!("{verdict:?} | {rule} | {demand} | {fact}\n"));
        for breach in breaches {
            let place = breach.place.as_ref().map(|place| format!("{}:{:?} ", place.path, place.line));
            text.push_str(&format!("    {}{}\n", place.unwrap_or_default(), breach.text));
        }
        if *more > 0 {
            text.push_str(&format!("    {more} more\n"));
        }
    }
    text
}

#[test]
fn facts_at_the_threshold_hold() {
    let evidence = judged(&rules(), &facts(), &baseline());
    assert!(evidence.holds());
    assert_eq!(evidence.baseline.as_deref(), Some("1a2b3c4 (merge base with origin/main)"));
    insta::assert_snapshot!(drawn(&evidence), @r#"
    Holds | coverage.min | ≥ 80 % | 80.0 % (80 of 100 lines)
    Holds | coverage.max-drop | at most 2 points less than before | 80.0 %, 2.0 points less than 82.0 %
    Holds | coverage.paths."billing/**" | ≥ 100 % | 100.0 % (20 of 20 lines)
    Holds | tests.failed | none | 0 of 12 tests
    Holds | tests.skipped | ≤ 2 | 2 of 12 tests
    Holds | tests.flaky | ≤ 1 | 1 of 12 tests
    Holds | tests.min-count | ≥ 10 | 10 tests run
    Holds | findings.critical | none | 0
    Holds | findings.high | none | 0
    Holds | findings.medium | ≤ 1 | 0
    Holds | findings.low | ≤ 2 | 1
    Holds | findings.note | ≤ 3 | 1
    Holds | findings.total | ≤ 4 | 2
    Holds | findings.new | none | 0
    Holds | secrets | none | 0
    Holds | licences | MIT, BSD-* | 2 packages
    Holds | performance."http.p95" | ≤ 100 ms | 100 ms
    Holds | performance."checks.rate" | ≥ 99 % | 99 %
    Holds | sonar | ok | ok
    "#);
}

#[test]
fn a_fact_beyond_its_threshold_breaks_its_own_rule_alone() {
    let file = |facts: &mut Facts, path: &str, lines: Lines| {
        facts.coverage.as_mut().unwrap().files.insert(path.to_owned(), lines);
    };
    assert_eq!(changed(|_| {}), []);
    // 799 of 1,000; the drop from 82 % is more than two points then, too.
    let below = changed(|facts| file(facts, "src/b.rs", lines(&[(1, 779)], &[(780, 980)])));
    assert_eq!(below, [only("coverage.min"), only("coverage.max-drop")].concat());
    let billing = changed(|facts| file(facts, "billing/a.rs", lines(&[(1, 20)], &[(21, 21)])));
    assert!(billing.contains(&only("coverage.paths.\"billing/**\"")[0]), "{billing:?}");
    let moved = changed(|facts| {
        let files = &mut facts.coverage.as_mut().unwrap().files;
        let lines = files.remove("billing/a.rs").unwrap();
        files.insert("elsewhere/a.rs".to_owned(), lines);
    });
    assert_eq!(moved, only("coverage.paths.\"billing/**\""));
    let failed = |name: &str| FailedTest { name: name.to_owned(), message: String::new(), place: None };
    assert_eq!(changed(|facts| facts.tests.as_mut().unwrap().failed.push(failed("t"))), only("tests.failed"));
    assert_eq!(changed(|facts| facts.tests.as_mut().unwrap().skipped = 3), only("tests.skipped"));
    assert_eq!(
        changed(|facts| facts.tests.as_mut().unwrap().flaky.push("x".to_owned())),
        only("tests.flaky")
    );
    assert_eq!(changed(|facts| facts.tests.as_mut().unwrap().passed = 9), only("tests.min-count"));
    assert_eq!(changed(|facts| facts.tests.as_mut().unwrap().passed = 11), []);
    assert_eq!(
        changed(|facts| facts.secrets.as_mut().unwrap().push(finding("key", Severity::High, "a", 1))),
        only("secrets")
    );
    let packages = |package: Package| changed(|facts| facts.packages.as_mut().unwrap().push(package));
    assert_eq!(packages(package("three", &["MIT"])), []);
    assert_eq!(packages(package("three", &["GPL-3.0-only"])), only("licences"));
    assert_eq!(packages(package("three", &["MIT", "GPL-3.0-only"])), only("licences"));
    assert_eq!(packages(package("three", &[])), only("licences"));
    assert_eq!(packages(package("three", &["NOASSERTION"])), only("licences"));
    let measure = |name: &str, value: f64, unit: Unit| {
        changed(|facts| {
            facts.measures.insert(name.to_owned(), Measure { value, unit });
        })
    };
    assert_eq!(measure("http.p95", 99.9, Unit::Millis), []);
    assert_eq!(measure("http.p95", 100.000_1, Unit::Millis), only("performance.\"http.p95\""));
    assert_eq!(measure("http.p95", f64::NAN, Unit::Millis), only("performance.\"http.p95\""));
    assert_eq!(measure("http.p95", 1.0, Unit::Number), only("performance.\"http.p95\""));
    assert_eq!(measure("checks.rate", 0.989_999, Unit::Share), only("performance.\"checks.rate\""));
    assert_eq!(changed(|facts| facts.sonar.as_mut().unwrap().status = "ERROR".to_owned()), only("sonar"));
    assert_eq!(changed(|facts| facts.sonar.as_mut().unwrap().status = String::new()), only("sonar"));
}

#[test]
fn findings_break_the_rule_of_their_severity() {
    // In these rules none is new, and only the severity in question can be broken.
    let rule = |severity: Severity, most: u64| {
        let mut rule = Findings { total: Some(100), ..Findings::default() };
        match severity {
            Severity::Critical => rule.critical = Some(most),
            Severity::High => rule.high = Some(most),
            Severity::Medium => rule.medium = Some(most),
            Severity::Low => rule.low = Some(most),
            Severity::Note => rule.note = Some(most),
        }
        Rules { findings: Some(rule), ..Rules::default() }
    };
    let all = [Severity::Note, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    for severity in all {
        for count in [2, 3, 4] {
            let mut findings: Vec<Finding> =
                (0..count).map(|line| finding("x", severity, "a", line)).collect();
            findings.extend(
                all.iter().filter(|other| **other != severity).map(|other| finding("y", *other, "a", 1)),
            );
            let facts = Facts { findings: Some(findings), ..Facts::default() };
            let evidence = judged(&rule(severity, 3), &facts, &Baseline::Unasked);
            assert_eq!(evidence.holds(), count <= 3, "{count} of {severity:?}");
            assert_eq!(evidence.rulings[1].verdict, Verdict::Holds);
            assert_eq!(evidence.rulings[0].breaches.len(), if count <= 3 { 0 } else { 4 });
        }
    }
}

#[test]
fn all_that_is_broken_is_told_with_what_broke_it() {
    let mut facts = facts();
    let files = &mut facts.coverage.as_mut().unwrap().files;
    files.insert("billing/a.rs".to_owned(), lines(&[(1, 9)], &[(10, 20)]));
    let tests = facts.tests.as_mut().unwrap();
    tests.failed = vec![
        FailedTest {
            name: "b::fails".to_owned(),
            message: "expected 1\nfound 2".to_owned(),
            place: Some(Spot { path: "src/b.rs".to_owned(), line: Some(7), end_line: None }),
        },
        FailedTest { name: "a::fails".to_owned(), message: String::new(), place: None },
    ];
    (tests.skipped, tests.passed) = (9, 1);
    tests.flaky.push("another".to_owned());
    facts.findings = Some(vec![
        finding("weak-hash", Severity::High, "src/b.rs", 9),
        finding("injection", Severity::Critical, "src/a.rs", 2),
    ]);
    facts.secrets = Some(vec![finding("aws-key", Severity::High, "deploy.sh", 1)]);
    facts.packages.as_mut().unwrap().extend([package("readline", &["GPL-3.0-only"]), package("odd", &[])]);
    facts.measures.insert("http.p95".to_owned(), Measure { value: 112.437_21, unit: Unit::Millis });
    facts.measures.insert("checks.rate".to_owned(), Measure { value: 0.989_999_9, unit: Unit::Share });
    facts.sonar = Some(Sonar {
        status: "ERROR".to_owned(),
        broken: vec!["new_coverage is 61.2, not ≥ 80".to_owned()],
    });
    insta::assert_snapshot!(drawn(&judged(&rules(), &facts, &baseline())), @r#"
    Broken | coverage.min | ≥ 80 % | 69.0 % (69 of 100 lines)
        src/b.rs:Some(61) 20 of 80 lines not reached: 61-75, 77, 80-83
        billing/a.rs:Some(10) 11 of 20 lines not reached: 10-20
    Broken | coverage.max-drop | at most 2 points less than before | 69.0 %, 13.0 points less than 82.0 %
        src/b.rs:Some(61) 20 of 80 lines not reached: 61-75, 77, 80-83
        billing/a.rs:Some(10) 11 of 20 lines not reached: 10-20
    Broken | coverage.paths."billing/**" | ≥ 100 % | 45.0 % (9 of 20 lines)
        billing/a.rs:Some(10) 11 of 20 lines not reached: 10-20
    Broken | tests.failed | none | 2 of 12 tests
        a::fails
        src/b.rs:Some(7) b::fails: expected 1
    Broken | tests.skipped | ≤ 2 | 9 of 12 tests
    Broken | tests.flaky | ≤ 1 | 2 of 12 tests
        another: passed only when tried again
        slow one: passed only when tried again
    Broken | tests.min-count | ≥ 10 | 3 tests run
    Broken | findings.critical | none | 1
        src/a.rs:Some(2) injection: injection is here (scan)
    Broken | findings.high | none | 1
        src/b.rs:Some(9) weak-hash: weak-hash is here (scan)
    Holds | findings.medium | ≤ 1 | 0
    Holds | findings.low | ≤ 2 | 0
    Holds | findings.note | ≤ 3 | 0
    Holds | findings.total | ≤ 4 | 2
    Broken | findings.new | none | 2
        src/a.rs:Some(2) injection: injection is here (scan)
        src/b.rs:Some(9) weak-hash: weak-hash is here (scan)
    Broken | secrets | none | 1
        deploy.sh:Some(1) aws-key (scan)
    Broken | licences | MIT, BSD-* | 2 of 4 packages not allowed
        odd 1.0: unknown
        readline 1.0: GPL-3.0-only
    Broken | performance."http.p95" | ≤ 100 ms | 112.437 ms
    Broken | performance."checks.rate" | ≥ 99 % | 98.99999 %
    Broken | sonar | ok | error
        new_coverage is 61.2, not ≥ 80
    "#);
}

#[test]
fn what_no_report_speaks_of_is_broken() {
    let evidence = judged(&rules(), &Facts::default(), &baseline());
    assert!(evidence.rulings.iter().all(|ruling| ruling.verdict == Verdict::Broken));
    assert_eq!(evidence.rulings.len(), judged(&rules(), &facts(), &baseline()).rulings.len());
    insta::assert_snapshot!(drawn(&evidence), @r#"
    Broken | coverage.min | ≥ 80 % | no report says anything of coverage; add `lcov` or `cobertura` to the `reports` of a task
    Broken | coverage.max-drop | at most 2 points less than before | no report says anything of coverage; add `lcov` or `cobertura` to the `reports` of a task
    Broken | coverage.paths."billing/**" | ≥ 100 % | no report says anything of coverage; add `lcov` or `cobertura` to the `reports` of a task
    Broken | tests.failed | none | no report says anything of tests; add `junit` to the `reports` of a task
    Broken | tests.skipped | ≤ 2 | no report says anything of tests; add `junit` to the `reports` of a task
    Broken | tests.flaky | ≤ 1 | no report says anything of tests; add `junit` to the `reports` of a task
    Broken | tests.min-count | ≥ 10 | no report says anything of tests; add `junit` to the `reports` of a task
    Broken | findings.critical | none | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | findings.high | none | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | findings.medium | ≤ 1 | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | findings.low | ≤ 2 | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | findings.note | ≤ 3 | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | findings.total | ≤ 4 | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | findings.new | none | no report says anything of findings; add `sarif` to the `reports` of a task
    Broken | secrets | none | no report says anything of secrets; add `secrets`, or a `sarif` of a scanner for secrets, to the `reports` of a task
    Broken | licences | MIT, BSD-* | no report says anything of packages; add `cyclonedx` or `spdx` to the `reports` of a task
    Broken | performance."http.p95" | ≤ 100 ms | no report says anything of performance; add `k6` or `facts` to the `reports` of a task
    Broken | performance."checks.rate" | ≥ 99 % | no report says anything of performance; add `k6` or `facts` to the `reports` of a task
    Broken | sonar | ok | no report says anything of SonarQube; add `sonar` to the `reports` of a task
    "#);
    // A list without anything is not that.
    let none = Facts { packages: Some(Vec::new()), coverage: Some(facts::Coverage::default()), ..facts() };
    let evidence = judged(&rules(), &none, &baseline());
    for rule in ["licences", "coverage.min", "coverage.max-drop"] {
        assert_eq!(one(&evidence, rule).verdict, Verdict::Broken, "{rule}");
    }
    let other = Facts {
        measures: BTreeMap::from([("http.p9".to_owned(), Measure { value: 1.0, unit: Unit::Millis })]),
        ..facts()
    };
    let evidence = judged(&rules(), &other, &baseline());
    assert_eq!(
        one(&evidence, "performance.\"http.p95\"").fact,
        "no report has this figure; did you mean `http.p9`?"
    );
}

#[test]
fn without_a_baseline_only_what_compares_is_unjudged() {
    let absent = Baseline::Absent { why: "nothing is recorded of 1a2b3c4".to_owned() };
    let evidence = judged(&rules(), &facts(), &absent);
    let unjudged: Vec<&str> = evidence
        .rulings
        .iter()
        .filter(|ruling| ruling.verdict == Verdict::Unjudged)
        .map(|ruling| ruling.rule.as_str())
        .collect();
    assert_eq!(unjudged, ["coverage.max-drop", "findings.new"]);
    assert!(evidence.holds());
    assert_eq!(evidence.baseline.as_deref(), Some("none: nothing is recorded of 1a2b3c4"));
    assert_eq!(
        one(&evidence, "coverage.max-drop").fact,
        "80.0 % (80 of 100 lines); not compared: nothing is recorded of 1a2b3c4"
    );
    // One that says nothing of it is no baseline either.
    let empty = Baseline::Known { of: "x".to_owned(), record: Record::default() };
    for rule in ["coverage.max-drop", "findings.new"] {
        assert_eq!(one(&judged(&rules(), &facts(), &empty), rule).verdict, Verdict::Unjudged);
    }
    let rules = Rules { secrets: Some(0), ..Rules::default() };
    assert_eq!(judged(&rules, &facts(), &absent).baseline, None, "no rule asks for it");
}

#[test]
fn a_drop_is_measured_in_points_and_a_rise_is_none() {
    let rules =
        Rules { coverage: Some(Coverage { max_drop: Some(2.0), ..Coverage::default() }), ..Rules::default() };
    let cases = [
        ((82, 100), (80, 100), Verdict::Holds, "80.0 %, 2.0 points less than 82.0 %"),
        ((82, 100), (7999, 10_000), Verdict::Broken, "80.0 %, 2.01 points less than 82.0 %"),
        ((82, 100), (799_999, 1_000_000), Verdict::Broken, "80.0 %, 2.0001 points less than 82.0 %"),
        ((82, 100), (90, 100), Verdict::Holds, "90.0 %, 8.0 points more than 82.0 %"),
        ((82, 100), (41, 50), Verdict::Holds, "82.0 %, as many as 82.0 %"),
        ((1, 1), (0, 1), Verdict::Broken, "0.0 %, 100.0 points less than 100.0 %"),
    ];
    for (before, now, verdict, fact) in cases {
        let record =
            Record { coverage: Some(Ratio { part: before.0, whole: before.1 }), ..Record::default() };
        let baseline = Baseline::Known { of: "x".to_owned(), record };
        let (part, whole): (u32, u32) = now;
        let reached = if part == 0 { vec![] } else { vec![(1, part)] };
        let missed = if part == whole { vec![] } else { vec![(part + 1, whole)] };
        let files = BTreeMap::from([("a".to_owned(), lines(&reached, &missed))]);
        let facts = Facts { coverage: Some(facts::Coverage { files }), ..Facts::default() };
        let evidence = judged(&rules, &facts, &baseline);
        assert_eq!((evidence.rulings[0].verdict, &*evidence.rulings[0].fact), (verdict, fact));
    }
}

#[test]
fn new_findings_are_told_by_what_they_are_and_not_by_their_line() {
    let rules =
        Rules { findings: Some(Findings { new: Some(0), ..Findings::default() }), ..Rules::default() };
    let known = vec![finding("a", Severity::Low, "x", 1), finding("a", Severity::Low, "x", 9)];
    let record = record(&Facts { findings: Some(known.clone()), ..Facts::default() });
    let baseline = Baseline::Known { of: "x".to_owned(), record };
    let judged = |findings: Vec<Finding>| {
        let facts = Facts { findings: Some(findings), ..Facts::default() };
        let evidence = judged(&rules, &facts, &baseline);
        (evidence.rulings[0].fact.clone(), evidence.rulings[0].breaches.len(), evidence.holds())
    };
    assert_eq!(judged(known), ("0".to_owned(), 0, true));
    let at = |line| finding("a", Severity::Low, "x", line);
    assert_eq!(judged(vec![at(50), at(70)]), ("0".to_owned(), 0, true), "they moved");
    assert_eq!(judged(vec![at(50)]), ("0".to_owned(), 0, true), "one is gone");
    assert_eq!(judged(vec![at(1), at(9), at(10)]), ("1".to_owned(), 1, false), "one more of its kind");
    assert_eq!(
        judged(vec![finding("a", Severity::Low, "y", 1)]),
        ("1".to_owned(), 1, false),
        "in another file"
    );
    assert_eq!(judged(vec![finding("b", Severity::Low, "x", 1)]), ("1".to_owned(), 1, false), "another rule");
    let accepted = Finding { accepted: Some("on purpose".to_owned()), ..finding("b", Severity::Low, "x", 1) };
    assert_eq!(judged(vec![accepted]), ("0 · 1 accepted in the source".to_owned(), 0, true));
}

fn suppression(rule: &str, path: Option<&str>, expires: Day) -> Suppression {
    Suppression {
        rule: rule.to_owned(),
        licence: None,
        path: path.map(pattern),
        package: None,
        reason: "not reached".to_owned(),
        expires,
        place: "tasks.toml:12".to_owned(),
    }
}

#[test]
fn suppressions_hold_up_to_their_day() {
    let day = |day| Day { day, ..TODAY };
    let facts = Facts {
        findings: Some(vec![
            finding("cve", Severity::High, "web/a.js", 1),
            finding("cve", Severity::High, "web/b.js", 1),
        ]),
        ..Facts::default()
    };
    let judged = |suppressions: Vec<Suppression>| {
        let rules = Rules {
            findings: Some(Findings { high: Some(0), ..Findings::default() }),
            suppressions,
            ..Rules::default()
        };
        let evidence = judged(&rules, &facts, &Baseline::Unasked);
        let told = |ruling: &Ruling| (ruling.fact.clone(), ruling.verdict);
        (told(&evidence.rulings[0]), told(&evidence.rulings[1]))
    };
    let (found, own) = judged(vec![suppression("cve", Some("web/**"), day(15))]);
    assert_eq!(found, ("0 · 2 suppressed: not reached, until 2026-06-15".to_owned(), Verdict::Holds));
    assert_eq!(own, ("1 in force, 0 expired".to_owned(), Verdict::Holds));
    let (found, own) = judged(vec![suppression("cve", Some("web/**"), day(14))]);
    assert_eq!(found, ("2".to_owned(), Verdict::Broken));
    assert_eq!(own, ("0 in force, 1 expired".to_owned(), Verdict::Broken));
    let (found, own) = judged(vec![suppression("cve", Some("web/a.js"), day(16))]);
    assert_eq!(found, ("1 · 1 suppressed: not reached, until 2026-06-16".to_owned(), Verdict::Broken));
    assert_eq!(own.1, Verdict::Holds);
    let other = suppression("other", None, day(16));
    let (found, own) = judged(vec![suppression("cve", None, day(16)), other.clone()]);
    assert_eq!(found.1, Verdict::Holds);
    let idle = "2 in force, 0 expired; 1 suppression matches nothing: other (tasks.toml:12)";
    assert_eq!(own, (idle.to_owned(), Verdict::Holds));
    let (_, own) = judged(vec![Suppression { expires: day(1), ..other }]);
    assert_eq!(own.1, Verdict::Broken, "an expired one is told although it matches nothing");
    // The record is of all, so that none is new when its suppression ends.
    assert_eq!(record(&facts).findings.unwrap().values().sum::<u64>(), 2);
}

#[test]
fn licences_are_suppressed_by_package() {
    let accepted = |licence: &str, package: Option<&str>| Suppression {
        licence: Some(licence.to_owned()),
        package: package.map(str::to_owned),
        ..suppression("licence", None, TODAY)
    };
    let facts = Facts {
        packages: Some(vec![
            package("readline", &["GPL-3.0-only"]),
            package("bash", &["GPL-3.0-only"]),
            package("odd", &[]),
        ]),
        ..Facts::default()
    };
    let left = |suppressions: Vec<Suppression>| {
        let licences = Some(Licences { allow: vec!["MIT".to_owned()], deny: Vec::new() });
        let rules = Rules { licences, suppressions, ..Rules::default() };
        let evidence = judged(&rules, &facts, &Baseline::Unasked);
        evidence.rulings[0].breaches.iter().map(|breach| breach.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(left(vec![]), ["bash 1.0: GPL-3.0-only", "odd 1.0: unknown", "readline 1.0: GPL-3.0-only"]);
    assert_eq!(
        left(vec![accepted("gpl-3.0-only", Some("readline"))]),
        ["bash 1.0: GPL-3.0-only", "odd 1.0: unknown"]
    );
    assert_eq!(left(vec![accepted("GPL-3.0-only", None), accepted("unknown", Some("odd"))]), [""; 0]);
}

#[test]
fn breaches_are_listed_up_to_a_number() {
    let findings = (0..250).map(|line| finding("x", Severity::High, "a", line)).collect();
    let rules =
        Rules { findings: Some(Findings { total: Some(0), ..Findings::default() }), ..Rules::default() };
    let facts = Facts { findings: Some(findings), ..Facts::default() };
    let ruling = &judged(&rules, &facts, &Baseline::Unasked).rulings[0];
    assert_eq!((ruling.breaches.len(), ruling.more), (LISTED, 150));
}

#[test]
fn secrets_are_told_without_what_the_scanner_quotes() {
    let facts = Facts { secrets: Some(vec![finding("aws-key", Severity::High, "a", 1)]), ..Facts::default() };
    let rules = Rules { secrets: Some(0), ..Rules::default() };
    let evidence = judged(&rules, &facts, &Baseline::Unasked);
    assert_eq!(evidence.rulings[0].breaches[0].text, "aws-key (scan)");
}

proptest! {
    #[test]
    fn more_coverage_never_breaks(reached in 0_u32..500, missed in 0_u32..500, min in 0_u32..=1000, before in 0_u64..=100) {
        prop_assume!(missed > 0);
        let rules = Rules {
            coverage: Some(Coverage { min: Some(f64::from(min) / 10.0), max_drop: Some(1.5), paths: vec![(pattern("a"), 50.0)] }),
            ..Rules::default()
        };
        let record = Record { coverage: Some(Ratio { part: before, whole: 100 }), ..Record::default() };
        let baseline = Baseline::Known { of: "x".to_owned(), record };
        let of = |reached: u32, missed: u32| {
            let ranges = |count: u32| if count == 0 { vec![] } else { vec![(1, count)] };
            let files = BTreeMap::from([("a".to_owned(), lines(&ranges(reached), &ranges(missed)))]);
            let facts = Facts { coverage: Some(facts::Coverage { files }), ..Facts::default() };
            judged(&rules, &facts, &baseline).rulings
        };
        for (less, more) in of(reached, missed).iter().zip(&of(reached + 1, missed - 1)) {
            prop_assert!(less.verdict == Verdict::Broken || more.verdict == Verdict::Holds, "{less:?} {more:?}");
        }
    }

    #[test]
    fn the_order_of_findings_is_of_no_matter(
        seeds in proptest::collection::vec((0_u32..3, 0_usize..5, 0_u32..3), 0..12).prop_shuffle(),
    ) {
        let all = [Severity::Note, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let made: Vec<Finding> = seeds
            .iter()
            .map(|(rule, severity, line)| finding(&format!("r{rule}"), all[*severity], "src/b.rs", *line))
            .collect();
        let evidence = |findings: Vec<Finding>| {
            judged(&rules(), &Facts { findings: Some(findings), ..facts() }, &baseline())
        };
        let mut sorted = made.clone();
        sorted.sort();
        prop_assert_eq!(evidence(made), evidence(sorted));
    }
}
