//! Tests of each fact at, below and above its limit.

use super::*;

/// Returns the rules whose verdicts change if the facts of [`facts`] are changed, with their new
/// verdicts.
fn changed(change: impl FnOnce(&mut Facts)) -> Vec<(String, Verdict)> {
    let before = judged(&rules(), &facts(), &baseline());
    let mut facts = facts();
    change(&mut facts);
    let after = judged(&rules(), &facts, &baseline());
    assert_eq!(before.rules.len(), after.rules.len());
    let both = before.rules.iter().zip(&after.rules);
    both.filter(|(before, after)| before.verdict != after.verdict)
        .map(|(_, after)| (after.rule.clone(), after.verdict))
        .collect()
}

fn only(rule: &str) -> Vec<(String, Verdict)> {
    vec![(rule.to_owned(), Verdict::Broken)]
}

#[test]
fn values_at_the_threshold_pass() {
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
fn value_beyond_its_threshold_fails_only_its_own_rule() {
    let file = |facts: &mut Facts, path: &str, lines: LineCoverage| {
        facts.coverage.as_mut().unwrap().files.insert(path.to_owned(), lines);
    };
    assert_eq!(changed(|_| {}), []);
    // 779 of 980 lines are reached. The drop from 82 % is then also more than two points.
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
fn finding_fails_the_rule_of_its_severity() {
    // These rules do not limit new findings, so only the rule of the tested severity can break.
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
            let evidence = judged(&rule(severity, 3), &facts, &Baseline::NotNeeded);
            assert_eq!(evidence.holds(), count <= 3, "{count} of {severity:?}");
            assert_eq!(evidence.rules[1].verdict, Verdict::Holds);
            assert_eq!(evidence.rules[0].violations.len(), if count <= 3 { 0 } else { 4 });
        }
    }
}
