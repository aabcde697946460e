//! Judges the rules of a gate and returns the evidence for the verdict. It reads no files: facts,
//! rules, the baseline and the day are passed in.
//!
//! Read [`rules`] (what a gate can require) and [`evidence`] (what a verdict consists of) first,
//! then [`judge`], then the file of one family of rules, such as `coverage`. `inputs` contains what
//! the rules are judged with, and `rule_result` builds the rulings of all families.
//!
//! All rules are judged, even if one is broken. Each ruling says what is required, what was found,
//! and which files and lines broke the rule. A rule without a baseline to compare with is not
//! broken. A rule is broken if no report contains its facts, or if its baseline exists and can't be
//! read.

mod coverage;
pub mod evidence;
mod findings;
mod inputs;
mod licences;
mod percent;
mod performance;
mod rule_result;
pub mod rules;
mod sonar;
mod suppressions;
mod test_counts;
#[cfg(test)]
mod tests;
mod unavailable;

use ci_reports::Facts;
use evidence::{BaselineFacts, Evidence};
pub use inputs::{Baseline, GateInputs, JudgingContext, UnavailableTask};
use suppressions::Suppressions;

/// Judges all rules. The caller adds the list of reports to the evidence.
pub fn judge(inputs: &GateInputs<'_>) -> Evidence {
    let suppressions = Suppressions::new(&inputs.rules.suppressions, inputs.today);
    let mut rulings = Vec::new();
    coverage::judge(inputs, &mut rulings);
    test_counts::judge(inputs, &mut rulings);
    findings::judge(inputs, &suppressions, &mut rulings);
    licences::judge(inputs, &suppressions, &mut rulings);
    performance::judge(inputs, &mut rulings);
    sonar::judge(inputs, &mut rulings);
    unavailable::explain_missing(inputs, &mut rulings);
    // Suppressions come last: only now is it known which of them were used.
    rulings.extend(suppressions.judge());
    let baseline = match inputs.baseline {
        _ if !inputs.rules.need_baseline() => None,
        Baseline::NotNeeded => None,
        Baseline::Missing { why } | Baseline::Unreadable { why } => Some(format!("none: {why}")),
        Baseline::Known { of, .. } => Some(of.clone()),
    };
    Evidence {
        rules: rulings,
        reports: Vec::new(),
        baseline,
        unused_suppressions: suppressions.unused(),
        record: record(inputs.facts),
    }
}

/// Returns the record that later trees are compared with.
fn record(facts: &Facts) -> BaselineFacts {
    BaselineFacts {
        coverage: facts.coverage.as_ref().map(|coverage| coverage::ratio(coverage.files.iter())),
        tests: facts.tests.as_ref().map(test_counts::run),
        findings: facts.findings.as_deref().map(findings::counts),
    }
}
