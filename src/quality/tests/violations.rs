//! Tests of what is reported about a broken rule.

use super::*;

#[test]
fn all_failed_rules_are_reported_with_their_causes() {
    let mut facts = facts();
    let files = &mut facts.coverage.as_mut().unwrap().files;
    files.insert("billing/a.rs".to_owned(), lines(&[(1, 9)], &[(10, 20)]));
    let tests = facts.tests.as_mut().unwrap();
    tests.failed = vec![
        FailedTest {
            name: "b::fails".to_owned(),
            message: "expected 1\nfound 2".to_owned(),
            place: Some(Location { path: "src/b.rs".to_owned(), line: Some(7), end_line: None }),
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
    facts.sonar = Some(SonarStatus {
        status: "ERROR".to_owned(),
        broken: vec!["new_coverage is 61.2, not ≥ 80".to_owned()],
    });
    insta::assert_snapshot!(drawn(&judged(&rules(), &facts, &baseline())), @r#"
    Broken | coverage.min | ≥ 80 % | 69.0 % (69 of 100 lines)
        src/b.rs:Some(61) 20 of 80 lines not covered: 61-75, 77, 80-83
        billing/a.rs:Some(10) 11 of 20 lines not covered: 10-20
    Broken | coverage.max-drop | at most 2 points less than before | 69.0 %, 13.0 points less than 82.0 %
        src/b.rs:Some(61) 20 of 80 lines not covered: 61-75, 77, 80-83
        billing/a.rs:Some(10) 11 of 20 lines not covered: 10-20
    Broken | coverage.paths."billing/**" | ≥ 100 % | 45.0 % (9 of 20 lines)
        billing/a.rs:Some(10) 11 of 20 lines not covered: 10-20
    Broken | tests.failed | none | 2 of 12 tests
        a::fails
        src/b.rs:Some(7) b::fails: expected 1
    Broken | tests.skipped | ≤ 2 | 9 of 12 tests
    Broken | tests.flaky | ≤ 1 | 2 of 12 tests
        another: passed only after a retry
        slow one: passed only after a retry
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
fn rule_without_a_report_fails() {
    let evidence = judged(&rules(), &Facts::default(), &baseline());
    assert!(evidence.rules.iter().all(|ruling| ruling.verdict == Verdict::Broken));
    assert_eq!(evidence.rules.len(), judged(&rules(), &facts(), &baseline()).rules.len());
    insta::assert_snapshot!(drawn(&evidence), @r#"
    Broken | coverage.min | ≥ 80 % | no report is about coverage; add `lcov` or `cobertura` to the `reports` of a task
    Broken | coverage.max-drop | at most 2 points less than before | no report is about coverage; add `lcov` or `cobertura` to the `reports` of a task
    Broken | coverage.paths."billing/**" | ≥ 100 % | no report is about coverage; add `lcov` or `cobertura` to the `reports` of a task
    Broken | tests.failed | none | no report is about tests; add `junit` to the `reports` of a task
    Broken | tests.skipped | ≤ 2 | no report is about tests; add `junit` to the `reports` of a task
    Broken | tests.flaky | ≤ 1 | no report is about tests; add `junit` to the `reports` of a task
    Broken | tests.min-count | ≥ 10 | no report is about tests; add `junit` to the `reports` of a task
    Broken | findings.critical | none | no report is about findings; add `sarif` to the `reports` of a task
    Broken | findings.high | none | no report is about findings; add `sarif` to the `reports` of a task
    Broken | findings.medium | ≤ 1 | no report is about findings; add `sarif` to the `reports` of a task
    Broken | findings.low | ≤ 2 | no report is about findings; add `sarif` to the `reports` of a task
    Broken | findings.note | ≤ 3 | no report is about findings; add `sarif` to the `reports` of a task
    Broken | findings.total | ≤ 4 | no report is about findings; add `sarif` to the `reports` of a task
    Broken | findings.new | none | no report is about findings; add `sarif` to the `reports` of a task
    Broken | secrets | none | no report is about secrets; add `secrets`, or a `sarif` of a scanner for secrets, to the `reports` of a task
    Broken | licences | MIT, BSD-* | no report is about packages; add `cyclonedx` or `spdx` to the `reports` of a task
    Broken | performance."http.p95" | ≤ 100 ms | no report is about performance; add `k6` or `facts` to the `reports` of a task
    Broken | performance."checks.rate" | ≥ 99 % | no report is about performance; add `k6` or `facts` to the `reports` of a task
    Broken | sonar | ok | no report is about SonarQube; add `sonar` to the `reports` of a task
    "#);
    // A coverage report without lines does not satisfy the rules.
    let none = Facts { packages: Some(Vec::new()), coverage: Some(facts::Coverage::default()), ..facts() };
    let evidence = judged(&rules(), &none, &baseline());
    for rule in ["coverage.min", "coverage.max-drop"] {
        assert_eq!(one(&evidence, rule).verdict, Verdict::Broken, "{rule}");
    }
    // A project without dependencies has no forbidden licence.
    let licences = one(&evidence, "licences");
    assert_eq!((licences.verdict, &*licences.actual), (Verdict::Holds, "0 packages"));
    let other = Facts {
        measures: BTreeMap::from([("http.p9".to_owned(), Measure { value: 1.0, unit: Unit::Millis })]),
        ..facts()
    };
    let evidence = judged(&rules(), &other, &baseline());
    assert_eq!(
        one(&evidence, "performance.\"http.p95\"").actual,
        "no report has this metric; did you mean `http.p9`?"
    );
}

#[test]
fn number_of_listed_causes_is_limited() {
    let findings = (0..250).map(|line| finding("x", Severity::High, "a", line)).collect();
    let rules =
        Rules { findings: Some(Findings { total: Some(0), ..Findings::default() }), ..Rules::default() };
    let facts = Facts { findings: Some(findings), ..Facts::default() };
    let ruling = &judged(&rules, &facts, &Baseline::NotNeeded).rules[0];
    assert_eq!((ruling.violations.len(), ruling.more), (LISTED, 150));
}

#[test]
fn secrets_are_reported_without_the_quoted_text() {
    let facts = Facts { secrets: Some(vec![finding("aws-key", Severity::High, "a", 1)]), ..Facts::default() };
    let rules = Rules { secrets: Some(0), ..Rules::default() };
    let evidence = judged(&rules, &facts, &Baseline::NotNeeded);
    assert_eq!(evidence.rules[0].violations[0].text, "aws-key (scan)");
}

#[test]
fn task_of_another_system_that_has_the_report_is_named() {
    let absent = |task: &str, kind| UnavailableTask {
        task: task.to_owned(),
        kinds: vec![kind],
        os: "linux".to_owned(),
    };
    let facts_of = |absent: &[UnavailableTask], facts: &Facts| {
        let (rules, baseline) = (&rules(), &baseline());
        let evidence = judge(&GateInputs { rules, facts, baseline, today: TODAY, unavailable: absent });
        (one(&evidence, "tests.failed").actual.clone(), one(&evidence, "sonar").actual.clone())
    };
    let none = Facts::default();
    let usual = facts_of(&[], &none);
    assert!(usual.0.ends_with("add `junit` to the `reports` of a task"), "{}", usual.0);
    let (tests, sonar) =
        facts_of(&[absent("mac", ReportKind::Junit), absent("win", ReportKind::Lcov)], &none);
    assert_eq!(tests, "no report here covers it: mac does not run on linux");
    assert_eq!(sonar, usual.1, "no task has a report of this kind");
    let (tests, sonar) =
        facts_of(&[absent("mac", ReportKind::Facts), absent("win", ReportKind::Junit)], &none);
    assert!(tests.ends_with("mac, win do not run on linux"), "{tests}");
    assert!(sonar.ends_with("mac does not run on linux"), "{sonar}");
    assert_eq!(
        facts_of(&[absent("mac", ReportKind::Junit)], &facts()),
        facts_of(&[], &facts()),
        "nothing is missing"
    );
}
