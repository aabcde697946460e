//! Tests which annotations a run has, and in which order.

use super::*;
use crate::reporter::ci::annotations::{Annotation, Annotations, Grade, Omitted, Subject};
use crate::reporter::ci::code_quality::entries;

fn annotations_of(tasks: &[TaskFinished]) -> Annotations {
    Annotations::from_run(&state(&run(tasks)), ROOT)
}

fn lines(annotations: &Annotations) -> String {
    let line = |annotation: &Annotation| {
        let place =
            annotation.location.as_ref().map(|place| format!(" {}:{}", place.path, place.line.unwrap_or(0)));
        format!(
            "{:?} {:?}{} {}",
            annotation.grade,
            annotation.about,
            place.unwrap_or_default(),
            annotation.title
        )
    };
    annotations.known.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_problem_is_annotated_once_and_failures_are_errors() {
    insta::assert_snapshot!(lines(&annotations_of(&shop())), @r"
    Error Test src/cart.rs:12 cart::adds, twice failed
    Error Finding src/db.rs:7 semgrep: sql-injection
    Notice Finding src/cart.rs:90 semgrep: long-line
    Error Rule quality: coverage.min
    Error Task docs failed: exit status 1
    ");
}

#[test]
fn failure_of_a_rule_is_annotated_at_the_finding() {
    let two = vec![
        finding(Severity::High, "rule", Some(spot("a.rs", 3))),
        Finding {
            message: "something else".to_owned(),
            ..finding(Severity::High, "rule", Some(spot("a.rs", 3)))
        },
    ];
    let cases: [(&[&str], [Grade; 2], usize); 5] = [
        // The violation's text is that of the second finding.
        (&["semgrep rule: something else"], [Grade::Warning, Grade::Error], 2),
        // The violation only contains the name of the rule, so the first finding counts, then the next.
        (&["rule"], [Grade::Error, Grade::Warning], 2),
        (&["rule", "rule, again"], [Grade::Error, Grade::Error], 2),
        // The same finding breaks several rules.
        (&["this is rule", "this is rule"], [Grade::Error, Grade::Warning], 2),
        (&["another"], [Grade::Warning, Grade::Warning], 3),
    ];
    for (texts, grades, count) in cases {
        let mut scan = task("scan", Status::Passed, "");
        scan.reported = Some(Box::new(Reported { findings: two.clone(), ..Reported::default() }));
        let mut gate = task("quality", Status::Failed { ended: Ended::Rules { broken: 1 } }, "");
        let violations =
            texts.iter().map(|text| violation(text, Some(spot("a.rs", 3)), Some(Severity::High)));
        let rulings = vec![ruling("findings.high", Judged::Broken, violations.collect())];
        gate.evidence = Some(Box::new(Evidence { rules: rulings, ..Evidence::default() }));
        let annotations = annotations_of(&[scan, gate]);
        let got = [annotations.known[0].grade, annotations.known[1].grade];
        assert_eq!((got, annotations.known.len()), (grades, count), "{texts:?}");
    }
}

#[test]
fn rule_failed_by_a_test_is_annotated_at_the_test() {
    let test = |name: &str| FailedTest { name: name.to_owned(), message: "left: 1".to_owned(), place: None };
    let cases: [(&[&str], &str); 3] = [
        (&["a::b", "c"], "Error Test a::b failed\nError Test c failed"),
        // A violation that matches no failed test is annotated as a rule.
        (&["a::b"], "Error Test a::b failed\nError Rule quality: tests.failed"),
        (&[], "Error Rule quality: tests.failed"),
    ];
    for (known, expected) in cases {
        let mut unit = task("unit", Status::Passed, "");
        let failed = known.iter().map(|name| test(name)).collect();
        let tests = Tests { failed, ..Tests::default() };
        unit.reported = Some(Box::new(Reported { tests: Some(tests), ..Reported::default() }));
        let mut gate = task("quality", Status::Failed { ended: Ended::Rules { broken: 1 } }, "");
        let violations = ["a::b: left: 1", "c: left: 1"].map(|text| violation(text, None, None));
        let rulings = vec![ruling("tests.failed", Judged::Broken, violations.into())];
        gate.evidence = Some(Box::new(Evidence { rules: rulings, ..Evidence::default() }));
        assert_eq!(lines(&annotations_of(&[unit, gate])), expected);
    }
}

#[test]
fn level_of_an_annotation_follows_from_its_effect() {
    let cases = [
        (Severity::Critical, Status::Passed, Grade::Warning),
        (Severity::High, Status::Passed, Grade::Warning),
        (Severity::High, failed(), Grade::Error),
        (Severity::Medium, failed(), Grade::Warning),
        (Severity::Low, failed(), Grade::Notice),
        (Severity::Note, Status::Passed, Grade::Notice),
    ];
    for (severity, status, expected) in cases {
        let mut scan = task("scan", status.clone(), "");
        let findings = vec![finding(severity, "rule", None)];
        scan.reported = Some(Box::new(Reported { findings, ..Reported::default() }));
        assert_eq!(annotations_of(&[scan]).known[0].grade, expected, "{severity:?} {status:?}");
    }
}

#[test]
fn accepted_finding_is_not_annotated() {
    let mut scan = task("scan", Status::Passed, "");
    let accepted =
        Finding { accepted: Some("in a test".to_owned()), ..finding(Severity::High, "rule", None) };
    scan.reported = Some(Box::new(Reported { findings: vec![accepted], ..Reported::default() }));
    assert_eq!(annotations_of(&[scan]), Annotations::default());
}

#[test]
fn errors_come_first_and_then_changed_lines() {
    let annotation = |grade, severity, line: u32| Annotation {
        grade,
        severity,
        about: Subject::Finding,
        location: (line > 0).then(|| spot("a.rs", line)),
        check: String::new(),
        title: String::new(),
        text: String::new(),
    };
    let mut annotations = Annotations {
        known: vec![
            annotation(Grade::Notice, Severity::Note, 10),
            annotation(Grade::Warning, Severity::Critical, 1),
            annotation(Grade::Error, Severity::High, 0),
            annotation(Grade::Error, Severity::High, 2),
            annotation(Grade::Error, Severity::High, 11),
            annotation(Grade::Error, Severity::Critical, 3),
        ],
        unlisted: 0,
    };
    let order = |annotations: &Annotations| -> Vec<u32> {
        annotations
            .known
            .iter()
            .map(|annotation| annotation.location.as_ref().and_then(|place| place.line).unwrap_or(0))
            .collect()
    };
    annotations.sort(None);
    assert_eq!(order(&annotations), [3, 2, 11, 0, 1, 10]);
    annotations.sort(Some(&ChangedLines::from_ranges([("a.rs".to_owned(), (10, 12))])));
    assert_eq!(order(&annotations), [3, 11, 2, 0, 1, 10]);
    let (shown, left) =
        annotations.format_first(2, |annotation| (annotation.grade != Grade::Notice).then(String::new));
    assert_eq!((shown.len(), left), (3, Omitted { by_grade: [1, 0, 2], unlisted: 0 }));
}

#[test]
fn omitted_annotations_are_counted() {
    let cases = [
        ([0, 0, 0], 0, None),
        ([0, 0, 1], 0, Some("1 error")),
        ([1, 2, 3], 0, Some("3 errors, 2 warnings and 1 notice")),
        ([0, 2, 0], 4, Some("2 warnings and 4 of which only the number is known")),
    ];
    for (by_grade, unlisted, expected) in cases {
        assert_eq!(Omitted { by_grade, unlisted }.describe().as_deref(), expected);
    }
}

#[test]
fn code_quality_lists_findings_with_stable_fingerprints() {
    let json = entries(&annotations_of(&shop()));
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap());
    let mut moved = shop();
    let reported = moved[2].reported.as_mut().unwrap();
    reported.findings[1].place.as_mut().unwrap().line = Some(200);
    let fingerprints = |json: &serde_json::Value| -> Vec<String> {
        json.as_array().unwrap().iter().map(|entry| entry["fingerprint"].to_string()).collect()
    };
    assert_eq!(fingerprints(&entries(&annotations_of(&moved))), fingerprints(&json));
    let twice = Reported {
        findings: vec![
            finding(Severity::High, "rule", Some(spot("a", 1))),
            finding(Severity::High, "rule", Some(spot("a", 2))),
        ],
        ..Reported::default()
    };
    let mut scan = task("scan", Status::Passed, "");
    scan.reported = Some(Box::new(twice));
    let prints = fingerprints(&entries(&annotations_of(&[scan])));
    assert_ne!(prints[0], prints[1]);
}
