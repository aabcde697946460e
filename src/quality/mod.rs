//! Judges the rules of a gate and returns the evidence for the verdict. It reads no files: facts,
//! rules, the baseline and the day are passed in.
//!
//! Read [`rules`] (what a gate can demand) and [`evidence`] (what a verdict consists of) first,
//! then [`judge`], then the file of one family of rules, such as `coverage`. `inputs` contains what
//! the rules are judged with, and `ruling` builds the rulings of all families.
//!
//! All rules are judged, even if one is broken. Each ruling says what is demanded, what was found,
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
pub mod rules;
mod ruling;
mod sonar;
mod suppressions;
mod test_counts;
#[cfg(test)]
mod tests;
mod unavailable;

use ci_reports::Facts;
use evidence::{Evidence, Record};
pub use inputs::{Baseline, GateInputs, JudgingContext, UnavailableTask};
use suppressions::Suppressions;

/// Judges all rules. The caller adds the list of reports to the evidence.
pub fn judge(case: &GateInputs<'_>) -> Evidence {
    let suppressions = Suppressions::new(&case.rules.suppressions, case.today);
    let mut rulings = Vec::new();
    coverage::judge(case, &mut rulings);
    test_counts::judge(case, &mut rulings);
    findings::judge(case, &suppressions, &mut rulings);
    licences::judge(case, &suppressions, &mut rulings);
    performance::judge(case, &mut rulings);
    sonar::judge(case, &mut rulings);
    unavailable::explain_missing(case, &mut rulings);
    // Suppressions come last: only now is it known which of them were used.
    rulings.extend(suppressions.judge());
    let baseline = match case.baseline {
        _ if !case.rules.ask_baseline() => None,
        Baseline::NotNeeded => None,
        Baseline::Missing { why } | Baseline::Unreadable { why } => Some(format!("none: {why}")),
        Baseline::Known { of, .. } => Some(of.clone()),
    };
    Evidence {
        rulings,
        reports: Vec::new(),
        baseline,
        unused: suppressions.unused(),
        record: record(case.facts),
    }
}

/// Returns the record that later trees are compared with.
fn record(facts: &Facts) -> Record {
    Record {
        coverage: facts.coverage.as_ref().map(|coverage| coverage::ratio(coverage.files.iter())),
        tests: facts.tests.as_ref().map(test_counts::run),
        findings: facts.findings.as_deref().map(findings::counts),
    }
}
