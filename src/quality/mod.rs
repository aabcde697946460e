//! Quality: rules over facts, and the evidence of a verdict. Pure: facts, rules, what was recorded
//! before and the day go in; it must not read files, tasks.toml or a clock.
//!
//! All rules are judged, not only up to the first that is broken, and each ruling carries what was
//! demanded, what is the case, and which files and lines broke it. A rule that can't be judged for
//! want of a baseline says so and is not broken; a rule for which no report has a fact is, and so is
//! one whose baseline is there and can't be read.

mod absent;
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

use ci_reports::Facts;
use evidence::{Evidence, Record};
pub use inputs::{Absent, Baseline, Basis, Case};
use suppressions::Suppressions;

/// Judges all rules. Which reports the facts are of is for the caller to add.
pub fn judge(case: &Case<'_>) -> Evidence {
    let suppressions = Suppressions::new(&case.rules.suppressions, case.today);
    let mut rulings = Vec::new();
    coverage::judge(case, &mut rulings);
    test_counts::judge(case, &mut rulings);
    findings::judge(case, &suppressions, &mut rulings);
    licences::judge(case, &suppressions, &mut rulings);
    performance::judge(case, &mut rulings);
    sonar::judge(case, &mut rulings);
    absent::explain(case, &mut rulings);
    // Last, when it is known which of them were of use.
    rulings.extend(suppressions.judge());
    let baseline = match case.baseline {
        _ if !case.rules.ask_baseline() => None,
        Baseline::Unasked => None,
        Baseline::Absent { why } | Baseline::Unreadable { why } => Some(format!("none: {why}")),
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

/// What later trees are compared with.
fn record(facts: &Facts) -> Record {
    Record {
        coverage: facts.coverage.as_ref().map(|coverage| coverage::ratio(coverage.files.iter())),
        tests: facts.tests.as_ref().map(test_counts::run),
        findings: facts.findings.as_deref().map(findings::counts),
    }
}
