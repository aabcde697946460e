//! Explains missing facts by naming the tasks that do not run on this system.

use super::evidence::Ruling;
use super::inputs::GateInputs;
use ci_reports::{Facts, ReportKind};

/// A family of rules: its name, the kinds of reports that contain its facts, and a check for
/// whether the facts are missing.
type RuleFamily = (&'static str, &'static [ReportKind], fn(&Facts) -> bool);

/// All families. The name is the first word of the names of their rules.
const FAMILIES: [RuleFamily; 7] = [
    ("tests", &[ReportKind::Junit], |facts| facts.tests.is_none()),
    ("coverage", &[ReportKind::Lcov, ReportKind::Cobertura], |facts| facts.coverage.is_none()),
    ("findings", &[ReportKind::Sarif], |facts| facts.findings.is_none()),
    ("secrets", &[ReportKind::Secrets, ReportKind::Sarif], |facts| facts.secrets.is_none()),
    ("licences", &[ReportKind::Cyclonedx, ReportKind::Spdx], |facts| facts.packages.is_none()),
    ("performance", &[ReportKind::K6], |facts| facts.measures.is_empty()),
    ("sonar", &[ReportKind::Sonar], |facts| facts.sonar.is_none()),
];

/// Rewrites the facts of rulings that have no report, so that they name the tasks that do not run
/// on this system.
pub(super) fn explain_missing(inputs: &GateInputs<'_>, rulings: &mut [Ruling]) {
    for (family, kinds, is_missing) in FAMILIES {
        // A file of plain facts may contain facts of any kind.
        let tells = |kind: &ReportKind| *kind == ReportKind::Facts || kinds.contains(kind);
        let absent = inputs.unavailable.iter().filter(|absent| absent.kinds.iter().any(tells));
        let tasks: Vec<&str> = absent.clone().map(|absent| absent.task.as_str()).collect();
        let Some(os) = absent.map(|absent| &absent.os).next().filter(|_| is_missing(inputs.facts)) else {
            continue;
        };
        let verb = if tasks.len() == 1 { "does" } else { "do" };
        let is_of = |ruling: &&mut Ruling| {
            ruling.rule.split(['.', ' ', '[']).next().is_some_and(|word| word == family)
        };
        for ruling in rulings.iter_mut().filter(is_of) {
            ruling.actual = format!("no report here covers it: {} {verb} not run on {os}", tasks.join(", "));
        }
    }
}
