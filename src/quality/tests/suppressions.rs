//! Tests of suppressions, which accept findings and licences until a certain day.

use super::*;

fn suppression(rule: &str, path: Option<&str>, expires: Day) -> Suppression {
    Suppression {
        rule: rule.to_owned(),
        licence: None,
        path: path.map(pattern),
        package: None,
        reason: "not reached".to_owned(),
        expires,
        location: "tasks.toml:12".to_owned(),
    }
}

#[test]
fn suppression_applies_up_to_its_last_day() {
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
        let evidence = judged(&rules, &facts, &Baseline::NotNeeded);
        let outcome = |ruling: &Ruling| (ruling.actual.clone(), ruling.verdict);
        (outcome(&evidence.rules[0]), outcome(&evidence.rules[1]))
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
    assert_eq!(own.1, Verdict::Broken, "an expired suppression is reported even if it matches nothing");
    // The record includes suppressed findings, so that they do not count as new when the
    // suppression ends.
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
        let evidence = judged(&rules, &facts, &Baseline::NotNeeded);
        evidence.rules[0].violations.iter().map(|violation| violation.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(left(vec![]), ["bash 1.0: GPL-3.0-only", "odd 1.0: unknown", "readline 1.0: GPL-3.0-only"]);
    assert_eq!(
        left(vec![accepted("gpl-3.0-only", Some("readline"))]),
        ["bash 1.0: GPL-3.0-only", "odd 1.0: unknown"]
    );
    assert_eq!(left(vec![accepted("GPL-3.0-only", None), accepted("unknown", Some("odd"))]), [""; 0]);
}
