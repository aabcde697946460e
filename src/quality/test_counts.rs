//! Judges the rules for tests: how many failed, were skipped, were flaky, and ran.

use super::evidence::{Ruling, Violation};
use super::inputs::GateInputs;
use super::rule_result::{at_most, counted, first_line, missing_facts, number, ruling, verdict};
use ci_reports::facts::{FailedTest, TestTotals, Tests};

/// Returns how many tests ran.
pub(super) fn run(tests: &Tests) -> u64 {
    tests.passed.saturating_add(number(tests.failed.len()))
}

/// Adds the rulings on tests.
pub(super) fn judge(inputs: &GateInputs<'_>, rulings: &mut Vec<Ruling>) {
    let Some(rule) = &inputs.rules.tests else { return };
    let facts = inputs.facts.tests.as_ref();
    let limits =
        [("tests.failed", rule.failed), ("tests.skipped", rule.skipped), ("tests.flaky", rule.flaky)];
    for (name, most) in limits.into_iter().filter_map(|(name, most)| Some((name, most?))) {
        let required = at_most(most);
        let Some(tests) = facts else {
            rulings.push(no_tests(name, required));
            continue;
        };
        let count = match name {
            "tests.failed" => number(tests.failed.len()),
            "tests.skipped" => tests.skipped,
            _ => number(tests.flaky.len()),
        };
        let violations: Vec<Violation> = match name {
            "tests.failed" => failed(tests),
            "tests.flaky" => flaky(tests),
            _ => Vec::new(),
        };
        let all = run(tests).saturating_add(tests.skipped);
        let actual = format!("{count} of {}{}", counted(all, "test"), totals(tests));
        rulings.push(ruling(name, required, actual, verdict(count <= most)).with_violations(violations));
    }
    if let Some(least) = rule.min_count {
        let (name, required) = ("tests.min-count", format!("≥ {least}"));
        rulings.push(match facts {
            Some(tests) => {
                let count = run(tests);
                let actual = format!("{} run{}", counted(count, "test"), totals(tests));
                ruling(name, required, actual, verdict(count >= least))
            }
            None => no_tests(name, required),
        });
    }
}

/// Describes the number of tests that the reports declare and the number that they list, if these
/// differ.
fn totals(tests: &Tests) -> String {
    let Some(TestTotals { declared, listed }) = tests.totals else { return String::new() };
    format!("; {} declared, {listed} listed", counted(declared, "test"))
}

fn no_tests(rule: &str, required: String) -> Ruling {
    missing_facts(rule, required, "tests", "`junit`")
}

fn failed(tests: &Tests) -> Vec<Violation> {
    let mut failed: Vec<&FailedTest> = tests.failed.iter().collect();
    failed.sort();
    let violation = |test: &FailedTest| {
        let text = match first_line(&test.message) {
            "" => test.name.clone(),
            message => format!("{}: {message}", test.name),
        };
        Violation { text, place: test.place.clone(), severity: None }
    };
    failed.into_iter().map(violation).collect()
}

fn flaky(tests: &Tests) -> Vec<Violation> {
    let mut names = tests.flaky.clone();
    names.sort();
    let violation =
        |name| Violation { text: format!("{name}: passed only after a retry"), place: None, severity: None };
    names.into_iter().map(violation).collect()
}
