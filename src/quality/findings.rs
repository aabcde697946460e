//! Judges the rules for findings and secrets.

use std::collections::{BTreeMap, HashSet};
use std::ptr;

use super::evidence::{Ruling, Verdict, Violation};
use super::inputs::{Baseline, GateInputs};
use super::rule_result::{at_most, first_line, missing_facts, number, ruling, verdict};
use super::suppressions::{Suppressions, Unsuppressed};
use ci_reports::facts::{Finding, Severity};

/// Returns the number of findings with each fingerprint. Suppressed findings are included: they
/// must not count as new when their suppression ends.
pub(super) fn counts(findings: &[Finding]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.fingerprint()).or_insert(0) += 1;
    }
    counts
}

/// Adds the rulings on findings and secrets.
pub(super) fn judge(inputs: &GateInputs<'_>, suppressions: &Suppressions<'_>, rulings: &mut Vec<Ruling>) {
    if let Some(rule) = &inputs.rules.findings {
        let limits = [
            ("findings.critical", rule.critical, Some(Severity::Critical)),
            ("findings.high", rule.high, Some(Severity::High)),
            ("findings.medium", rule.medium, Some(Severity::Medium)),
            ("findings.low", rule.low, Some(Severity::Low)),
            ("findings.note", rule.note, Some(Severity::Note)),
            ("findings.total", rule.total, None),
        ];
        for (name, most, severity) in limits {
            let Some(most) = most else { continue };
            rulings.push(match &inputs.facts.findings {
                Some(findings) => {
                    let of =
                        |finding: &&Finding| severity.is_none_or(|severity| finding.severity == severity);
                    let unsuppressed = suppressions.filter(findings.iter().filter(of));
                    judge_maximum(name, most, &unsuppressed, violation)
                }
                None => no_findings(name, at_most(most)),
            });
        }
        rulings.extend(rule.new.map(|most| judge_new(most, inputs, suppressions)));
    }
    if let Some(most) = inputs.rules.secrets {
        rulings.push(match &inputs.facts.secrets {
            Some(secrets) => judge_maximum(
                "secrets",
                most,
                &suppressions.filter(secrets.iter()),
                violation_without_message,
            ),
            None => {
                let kinds = "`secrets`, or a `sarif` of a scanner for secrets,";
                missing_facts("secrets", at_most(most), "secrets", kinds)
            }
        });
    }
}

fn no_findings(rule: &str, required: String) -> Ruling {
    missing_facts(rule, required, "findings", "`sarif`")
}

/// Judges a maximum for the findings that are not suppressed.
fn judge_maximum(
    rule: &str,
    most: u64,
    unsuppressed: &Unsuppressed<'_>,
    violation: fn(&Finding) -> Violation,
) -> Ruling {
    let count = number(unsuppressed.counted.len());
    let actual = format!("{count}{}", unsuppressed.accepted);
    ruling(rule, at_most(most), actual, verdict(count <= most))
        .with_violations(unsuppressed.counted.iter().map(|finding| violation(finding)))
}

/// Judges a maximum for the findings that the baseline does not contain.
fn judge_new(most: u64, inputs: &GateInputs<'_>, suppressions: &Suppressions<'_>) -> Ruling {
    let name = "findings.new";
    let Some(findings) = &inputs.facts.findings else { return no_findings(name, at_most(most)) };
    let unjudged = |why: &str| ruling(name, at_most(most), format!("not compared: {why}"), Verdict::Unjudged);
    let record = match inputs.baseline {
        Baseline::Known { record, .. } => record,
        Baseline::Missing { why } => return unjudged(why),
        Baseline::Unreadable { why } => {
            return ruling(name, at_most(most), format!("can't be compared: {why}"), Verdict::Broken);
        }
        Baseline::NotNeeded => return unjudged("no baseline was requested"),
    };
    let Some(known) = &record.findings else {
        return unjudged("the baseline has no findings on record");
    };
    let mut unsuppressed = suppressions.filter(findings.iter());
    let mut known = known.clone();
    // The baseline's record includes findings that are suppressed now. They are subtracted, so that
    // they do not hide new findings with the same fingerprint.
    let counted: HashSet<*const Finding> =
        unsuppressed.counted.iter().map(|one| ptr::from_ref(*one)).collect();
    for accepted in findings.iter().filter(|finding| !counted.contains(&ptr::from_ref(*finding))) {
        if let Some(left) = known.get_mut(&accepted.fingerprint()) {
            *left = left.saturating_sub(1);
        }
    }
    // If several findings have the same fingerprint, the first ones are taken as known.
    unsuppressed.counted.retain(|finding| match known.get_mut(&finding.fingerprint()) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    judge_maximum(name, most, &unsuppressed, violation)
}

fn violation(finding: &Finding) -> Violation {
    let text = match first_line(&finding.message) {
        "" => format!("{} ({})", finding.rule, finding.tool),
        message => format!("{}: {message} ({})", finding.rule, finding.tool),
    };
    Violation { text, place: finding.place.clone(), severity: Some(finding.severity) }
}

/// Returns a violation without the finding's message: scanners may quote the secret in it.
fn violation_without_message(finding: &Finding) -> Violation {
    let text = format!("{} ({})", finding.rule, finding.tool);
    Violation { text, place: finding.place.clone(), severity: Some(finding.severity) }
}
