//! The fields of a gate in its key, apart from its reports: a field for each family of rules, the baseline,
//! and the suppressions that have expired. It must not judge a gate.

use crate::base::digest::Digest;
use crate::config::model::{Gate, Report};
use crate::quality::rules::{Coverage, Day, Findings, Licences, Rules, Suppression, Tests};
use crate::quality::{Baseline, JudgingContext};

/// The rule name of a suppression that names a licence instead of a rule.
const LICENCE: &str = "licence";

/// Returns the reports that a task declares, as text.
pub(super) fn reports(reports: &[Report]) -> String {
    let each = reports.iter().map(|Report { kind, files, partial }| {
        // The reason is for people and does not enter the key.
        let partial = if partial.is_some() { ", which may be partial" } else { "" };
        format!("{} {files}{partial}", kind.name())
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Returns the names and values of a gate's fields. A rule that is not set has none.
pub(super) fn fields(gate: &Gate, basis: Option<&JudgingContext>) -> Vec<(String, String)> {
    let rules = &gate.rules;
    let mut fields: Vec<(&str, String)> = Vec::new();
    fields.extend(rules.coverage.as_ref().map(|rule| ("coverage", coverage(rule))));
    fields.extend(rules.tests.as_ref().map(|rule| ("tests", tests(rule))));
    fields.extend(rules.findings.as_ref().map(|rule| ("findings", findings(rule))));
    fields.extend(rules.secrets.map(|most| ("secrets", most.to_string())));
    fields.extend(rules.licences.as_ref().map(|rule| ("licences", licences(rule))));
    let bounds = rules.performance.iter().map(|bound| format!("{} {}", bound.name, bound.written));
    fields.extend(listed("performance", &bounds.collect::<Vec<_>>()));
    fields.extend(rules.sonar.then(|| ("sonar", "ok".to_owned())));
    let suppressions: Vec<String> = rules.suppressions.iter().map(suppression).collect();
    fields.extend(listed("suppress", &suppressions));
    if let Some(basis) = basis {
        fields.extend(baseline(&basis.baseline).map(|value| ("baseline", value)));
        fields.extend(listed("expired", &expired(rules, basis.today)));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn listed(name: &'static str, values: &[String]) -> Option<(&'static str, String)> {
    (!values.is_empty()).then(|| (name, values.join("; ")))
}

/// Returns the limits that are set, as text.
fn limits<T: ToString, const N: usize>(limits: [(&str, Option<T>); N]) -> Vec<String> {
    let made = limits.into_iter().filter_map(|(name, value)| Some((name, value?)));
    made.map(|(name, value)| format!("{name} {}", value.to_string())).collect()
}

fn coverage(rule: &Coverage) -> String {
    let mut all = limits([("min", rule.min), ("max-drop", rule.max_drop)]);
    all.extend(rule.paths.iter().map(|(pattern, least)| format!("{} {least}", pattern.text())));
    all.join(", ")
}

fn tests(rule: &Tests) -> String {
    let Tests { failed, skipped, flaky, min_count } = *rule;
    limits([("failed", failed), ("skipped", skipped), ("flaky", flaky), ("min-count", min_count)]).join(", ")
}

fn findings(rule: &Findings) -> String {
    let Findings { critical, high, medium, low, note, total, new } = *rule;
    let severities =
        limits([("critical", critical), ("high", high), ("medium", medium), ("low", low), ("note", note)]);
    let others = limits([("total", total), ("new", new)]);
    severities.into_iter().chain(others).collect::<Vec<_>>().join(", ")
}

fn licences(rule: &Licences) -> String {
    format!("allow {:?}, deny {:?}", rule.allow, rule.deny)
}

/// Returns a suppression as text that is different for each suppression: ambiguous parts are quoted.
fn suppression(of: &Suppression) -> String {
    let Suppression { rule, licence, path, package, reason, expires, .. } = of;
    let named = |text: &str| {
        let is_plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "\",;".contains(c));
        if is_plain { text.to_owned() } else { format!("{text:?}") }
    };
    let mut text = match licence {
        Some(licence) if rule == LICENCE => format!("licence {}", named(licence)),
        Some(licence) => format!("rule {}, licence {}", named(rule), named(licence)),
        None => format!("rule {}", named(rule)),
    };
    text.extend(package.iter().map(|package| format!(" of {}", named(package))));
    text.extend(path.iter().map(|path| format!(" in {}", named(path.text()))));
    let is_plain = !reason.contains(|c: char| c.is_control() || "\";".contains(c));
    let reason = if is_plain { reason.clone() } else { format!("{reason:?}") };
    format!("{text}, until {expires}: {reason}")
}

fn expired(rules: &Rules, today: Day) -> Vec<String> {
    let over = rules.suppressions.iter().filter(|suppression| suppression.expires < today);
    over.map(|suppression| suppression.rule.clone()).collect()
}

fn baseline(baseline: &Baseline) -> Option<String> {
    match baseline {
        Baseline::NotNeeded => None,
        Baseline::Missing { why } | Baseline::Unreadable { why } => Some(format!("none: {why}")),
        Baseline::Known { of, record } => {
            // A map of text and numbers can always be written as JSON.
            let record = serde_json::to_vec(record).unwrap_or_default();
            Some(format!("{of}: {}", Digest::hash(&record).short()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::evidence::BaselineFacts;

    fn gate(rules: Rules) -> Gate {
        Gate { rules, baseline: None, base: None, by_name: false }
    }

    fn basis(baseline: Baseline, day: u8) -> JudgingContext {
        JudgingContext { baseline, today: Day { year: 2026, month: 12, day } }
    }

    #[test]
    fn only_rules_that_are_set_have_a_field() {
        assert!(fields(&gate(Rules::default()), None).is_empty());
        let rules = Rules {
            coverage: Some(Coverage { min: Some(80.0), ..Coverage::default() }),
            tests: Some(Tests { failed: Some(0), min_count: Some(1), ..Tests::default() }),
            secrets: Some(0),
            ..Rules::default()
        };
        let fields = fields(&gate(rules), None);
        let shown: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(shown, ["coverage: min 80", "tests: failed 0, min-count 1", "secrets: 0"]);
    }

    #[test]
    fn expired_suppression_changes_the_key() {
        let suppression = Suppression {
            rule: "R1".to_owned(),
            licence: None,
            path: None,
            package: None,
            reason: "known".to_owned(),
            expires: Day { year: 2026, month: 12, day: 10 },
            location: "tasks.toml:3".to_owned(),
        };
        let gate = gate(Rules { suppressions: vec![suppression], ..Rules::default() });
        let at = |day| fields(&gate, Some(&basis(Baseline::NotNeeded, day)));
        assert_eq!(at(9), at(10), "it still applies on its last day");
        assert_eq!(at(11).last(), Some(&("expired".to_owned(), "R1".to_owned())));
    }

    #[test]
    fn suppression_is_readable_and_unambiguous() {
        let plain = Suppression {
            rule: "R1".to_owned(),
            licence: None,
            path: None,
            package: None,
            reason: "known, and harmless".to_owned(),
            expires: Day { year: 2026, month: 12, day: 10 },
            location: String::new(),
        };
        let licence = Suppression {
            rule: LICENCE.to_owned(),
            licence: Some("GPL-3.0-only".to_owned()),
            package: Some("left pad".to_owned()),
            ..plain.clone()
        };
        let cases = [
            (plain.clone(), "rule R1, until 2026-12-10: known, and harmless"),
            (licence.clone(), "licence GPL-3.0-only of \"left pad\", until 2026-12-10: known, and harmless"),
            (
                Suppression { rule: "R1, until".to_owned(), reason: "a; b".to_owned(), ..plain.clone() },
                "rule \"R1, until\", until 2026-12-10: \"a; b\"",
            ),
            (
                Suppression { rule: "L".to_owned(), package: None, ..licence },
                "rule L, licence GPL-3.0-only, until 2026-12-10: known, and harmless",
            ),
        ];
        for (one, expected) in cases {
            assert_eq!(suppression(&one), expected);
        }
    }

    #[test]
    fn other_baseline_changes_the_key() {
        let gate = gate(Rules::default());
        let known = |tests| {
            let record = BaselineFacts { tests: Some(tests), ..BaselineFacts::default() };
            fields(&gate, Some(&basis(Baseline::Known { of: "1a2b".to_owned(), record }, 1)))
        };
        assert_eq!(known(1), known(1));
        assert_ne!(known(1), known(2));
        let none = fields(&gate, Some(&basis(Baseline::Missing { why: "w".to_owned() }, 1)));
        assert_eq!(none, [("baseline".to_owned(), "none: w".to_owned())]);
    }
}
