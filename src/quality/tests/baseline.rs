//! Tests of rules that compare with an earlier tree.

use super::*;

#[test]
fn without_a_baseline_only_comparisons_are_skipped() {
    let absent = Baseline::Missing { why: "no record for 1a2b3c4".to_owned() };
    let evidence = judged(&rules(), &facts(), &absent);
    let unjudged: Vec<&str> = evidence
        .rules
        .iter()
        .filter(|ruling| ruling.verdict == Verdict::Unjudged)
        .map(|ruling| ruling.rule.as_str())
        .collect();
    assert_eq!(unjudged, ["coverage.max-drop", "findings.new"]);
    assert!(evidence.holds());
    assert_eq!(evidence.baseline.as_deref(), Some("none: no record for 1a2b3c4"));
    assert_eq!(
        one(&evidence, "coverage.max-drop").actual,
        "80.0 % (80 of 100 lines); not compared: no record for 1a2b3c4"
    );
    // A baseline whose record lacks the needed facts is treated as a missing one.
    let empty = Baseline::Known { of: "x".to_owned(), record: BaselineFacts::default() };
    for rule in ["coverage.max-drop", "findings.new"] {
        assert_eq!(one(&judged(&rules(), &facts(), &empty), rule).verdict, Verdict::Unjudged);
    }
    let rules = Rules { secrets: Some(0), ..Rules::default() };
    assert_eq!(judged(&rules, &facts(), &absent).baseline, None, "no rule needs a baseline");
}

#[test]
fn unreadable_baseline_fails_comparisons() {
    let broken = Baseline::Unreadable { why: "base.json can't be read".to_owned() };
    let evidence = judged(&rules(), &facts(), &broken);
    for rule in ["coverage.max-drop", "findings.new"] {
        let ruling = one(&evidence, rule);
        let outcome = (ruling.verdict, &*ruling.actual);
        assert_eq!(outcome, (Verdict::Broken, "can't be compared: base.json can't be read"), "{rule}");
    }
    assert_eq!(evidence.rules.iter().filter(|ruling| ruling.verdict != Verdict::Holds).count(), 2);
}

#[test]
fn drop_is_measured_in_points_and_a_rise_is_not_a_drop() {
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
        let record = BaselineFacts {
            coverage: Some(Ratio { part: before.0, whole: before.1 }),
            ..BaselineFacts::default()
        };
        let baseline = Baseline::Known { of: "x".to_owned(), record };
        let (part, whole): (u32, u32) = now;
        let reached = if part == 0 { vec![] } else { vec![(1, part)] };
        let missed = if part == whole { vec![] } else { vec![(part + 1, whole)] };
        let files = BTreeMap::from([("a".to_owned(), lines(&reached, &missed))]);
        let facts = Facts { coverage: Some(facts::Coverage { files }), ..Facts::default() };
        let evidence = judged(&rules, &facts, &baseline);
        assert_eq!((evidence.rules[0].verdict, &*evidence.rules[0].actual), (verdict, fact));
    }
}

#[test]
fn new_findings_are_identified_by_content_and_not_by_line() {
    let rules =
        Rules { findings: Some(Findings { new: Some(0), ..Findings::default() }), ..Rules::default() };
    let known = vec![finding("a", Severity::Low, "x", 1), finding("a", Severity::Low, "x", 9)];
    let record = record(&Facts { findings: Some(known.clone()), ..Facts::default() });
    let baseline = Baseline::Known { of: "x".to_owned(), record };
    let judged = |findings: Vec<Finding>| {
        let facts = Facts { findings: Some(findings), ..Facts::default() };
        let evidence = judged(&rules, &facts, &baseline);
        (evidence.rules[0].actual.clone(), evidence.rules[0].violations.len(), evidence.holds())
    };
    assert_eq!(judged(known), ("0".to_owned(), 0, true));
    let at = |line| finding("a", Severity::Low, "x", line);
    assert_eq!(judged(vec![at(50), at(70)]), ("0".to_owned(), 0, true), "the findings moved");
    assert_eq!(judged(vec![at(50)]), ("0".to_owned(), 0, true), "one finding is fixed");
    assert_eq!(
        judged(vec![at(1), at(9), at(10)]),
        ("1".to_owned(), 1, false),
        "one more finding of the same kind"
    );
    assert_eq!(
        judged(vec![finding("a", Severity::Low, "y", 1)]),
        ("1".to_owned(), 1, false),
        "a finding in another file"
    );
    assert_eq!(
        judged(vec![finding("b", Severity::Low, "x", 1)]),
        ("1".to_owned(), 1, false),
        "a finding of another rule"
    );
    let accepted = Finding { accepted: Some("on purpose".to_owned()), ..finding("b", Severity::Low, "x", 1) };
    assert_eq!(judged(vec![accepted]), ("0 · 1 accepted in the source".to_owned(), 0, true));
}
