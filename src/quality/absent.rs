//! Facts that no report has since the task that would tell them does not run on this system. It must
//! not know which tasks there are.

use super::evidence::Ruling;
use super::inputs::Case;
use ci_reports::{Facts, ReportKind};

/// What a family of rules is about, and whether there is nothing of it.
type Family = (&'static str, &'static [ReportKind], fn(&Facts) -> bool);

/// The families by what the names of their rules begin with.
const FAMILIES: [Family; 7] = [
    ("tests", &[ReportKind::Junit], |facts| facts.tests.is_none()),
    ("coverage", &[ReportKind::Lcov, ReportKind::Cobertura], |facts| facts.coverage.is_none()),
    ("findings", &[ReportKind::Sarif], |facts| facts.findings.is_none()),
    ("secrets", &[ReportKind::Secrets, ReportKind::Sarif], |facts| facts.secrets.is_none()),
    ("licences", &[ReportKind::Cyclonedx, ReportKind::Spdx], |facts| facts.packages.is_none()),
    ("performance", &[ReportKind::K6], |facts| facts.measures.is_empty()),
    ("sonar", &[ReportKind::Sonar], |facts| facts.sonar.is_none()),
];

/// Names the tasks that would tell what rules miss, instead of the kinds of reports that nobody lacks.
pub(super) fn explain(case: &Case<'_>, rulings: &mut [Ruling]) {
    for (family, kinds, is_missing) in FAMILIES {
        // Plain facts may tell anything.
        let tells = |kind: &ReportKind| *kind == ReportKind::Facts || kinds.contains(kind);
        let absent = case.absent.iter().filter(|absent| absent.kinds.iter().any(tells));
        let tasks: Vec<&str> = absent.clone().map(|absent| absent.task.as_str()).collect();
        let Some(os) = absent.map(|absent| &absent.os).next().filter(|_| is_missing(case.facts)) else {
            continue;
        };
        let verb = if tasks.len() == 1 { "does" } else { "do" };
        let is_of = |ruling: &&mut Ruling| {
            ruling.rule.split(['.', ' ', '[']).next().is_some_and(|word| word == family)
        };
        for ruling in rulings.iter_mut().filter(is_of) {
            ruling.fact = format!(
                "no report here says anything of it: {}, which would, {verb} not run on {os}",
                tasks.join(", ")
            );
        }
    }
}
