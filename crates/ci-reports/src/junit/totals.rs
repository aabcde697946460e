//! Compares the totals that suites of a `JUnit` report declare with the cases that they list.
//!
//! - A suite that declares more tests than it lists left some out (mocha leaves out pending tests
//!   and those after a failed hook), or counts attempts (Surefire, Gradle), assertions (Catch2,
//!   doctest) or other things. The totals are kept. The report is rejected if it mentions no test
//!   that was skipped, repeated or failed, and its tool is not known to count something else: the
//!   missing tests may have failed.
//! - A suite that declares fewer tests than it lists has skipped tests that it does not count
//!   (Boost.Test, Ginkgo 1), tests that did not run and are not marked (jest's `todo`), or a test
//!   that failed twice. The remaining difference counts as skipped tests.
//! - A suite that declares more failures than it lists counts as failed itself. Some tools count
//!   one assertion both as a failure and as an error; this is not an extra failure.

use super::cases::{ListedTests, Outcome, Tally};
use crate::facts::TestTotals;
use crate::text;
use crate::xml::Element;

/// A suite while it is read, with the totals of the suites in it.
#[derive(Default)]
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) file: Option<String>,
    /// Whether its element is `testsuites`.
    is_group: bool,
    /// Whether the root element is `testsuites`.
    in_group: bool,
    /// The number of tests that it declares.
    tests: Option<u64>,
    failures: Option<u64>,
    errors: Option<u64>,
    skipped: Option<u64>,
    /// Whether any version of Catch2 wrote it.
    is_catch2: bool,
    /// What it lists.
    listed: ListedTests,
    /// The number of its direct children: cases and suites.
    children: u64,
    /// The number of suites that are its direct children.
    suites: u64,
    /// The number of cases that are its direct children.
    own_cases: u64,
    /// The number of listed cases that it does not count itself.
    uncounted: u64,
    /// The greatest numbers of tests and of skipped tests that it or any suite in it declares.
    greatest: GreatestTotals,
    /// What is known about the suites in it, at any depth.
    nested: NestedSuites,
    /// Properties of its cases.
    cases: CaseCounts,
}

#[derive(Clone, Copy, Default)]
struct GreatestTotals {
    tests: u64,
    skipped: u64,
}

#[derive(Clone, Copy, Default)]
struct NestedSuites {
    /// Whether a suite declares errors.
    errors: bool,
    /// Whether a suite has no attribute for failures.
    silent: bool,
    /// Whether a suite declares no tests, or a number that differs from what it lists.
    differs: bool,
}

/// How many cases have certain properties.
#[derive(Clone, Copy, Default)]
struct CaseCounts {
    are_run: u64,
    are_go: u64,
    /// Whether a case has a count of assertions. `assertions` is the sum of these counts.
    assert: bool,
    assertions: u64,
    /// Whether a suite has `disabled`, which shows that `GoogleTest` or `CTest` wrote it. Both
    /// count cases.
    are_listed_alone: bool,
}

impl Suite {
    /// Creates a suite from its start tag.
    ///
    /// # Errors
    /// The number of failures that it declares is invalid.
    pub(super) fn new(element: &Element, outer: Option<&Self>) -> Result<Self, String> {
        // A total of tests that is negative or not a number is ignored.
        let is_positive = |name: &str| element.get(name).is_some_and(|value| !value.trim().starts_with('-'));
        let count = |name: &str| element.count(name).ok().flatten().filter(|_| is_positive(name));
        let is_group = element.name == "testsuites";
        let skipped = ["skipped", "skip", "skips", "disabled", "ignored"].map(count);
        Ok(Self {
            name: text::one_line(element.get("name").unwrap_or_default(), 300),
            file: element.get("file").or_else(|| element.get("filepath")).map(str::to_owned),
            is_group,
            in_group: outer.map_or(is_group, |outer| outer.in_group),
            tests: count("tests"),
            failures: element.count("failures")?,
            errors: element.count("errors")?,
            skipped: skipped.into_iter().flatten().reduce(u64::saturating_add),
            is_catch2: element.get("hostname") == Some("tbd"),
            cases: CaseCounts {
                are_listed_alone: element.get("disabled").is_some(),
                ..CaseCounts::default()
            },
            ..Self::default()
        })
    }

    /// Returns its name, or `otherwise` if it has none.
    pub(super) fn name_or(&self, otherwise: &str) -> String {
        if self.name.is_empty() { otherwise.to_owned() } else { self.name.clone() }
    }

    /// Adds a case that is directly in it.
    pub(super) fn add(&mut self, case: ListedTests, outcome: &Outcome) {
        let has_failed = matches!(outcome, Outcome::Failed(_));
        self.children += 1;
        self.own_cases += 1;
        self.listed.cases += 1;
        let failures = case.failures.max(u64::from(has_failed));
        self.listed.failures = self.listed.failures.saturating_add(failures);
        self.listed.failed = self.listed.failed.saturating_add(failures.min(1));
        self.listed.skipped += u64::from(matches!(outcome, Outcome::Skipped));
        self.listed.attempts += case.attempts;
        self.cases.are_run += u64::from(case.is_run);
        self.cases.are_go += u64::from(case.is_go);
        self.cases.assert |= case.assertions.is_some();
        self.cases.assertions = self.cases.assertions.saturating_add(case.assertions.unwrap_or_default());
    }

    /// Counts a failure that is in the suite but in none of its cases.
    pub(super) fn failed_itself(&mut self) {
        self.listed.failures = self.listed.failures.saturating_add(1);
        self.listed.failed = self.listed.failed.saturating_add(1);
    }

    /// Counts a skipped test if the suite itself is marked as skipped.
    pub(super) fn skipped_itself(&mut self, is_skipped: bool) {
        self.greatest.skipped += u64::from(is_skipped);
    }

    /// Adds the totals of a suite that is a direct child and has ended.
    pub(super) fn add_suite(&mut self, inner: &Self) {
        let (own, its) = (&mut self.listed, &inner.listed);
        own.cases += its.cases;
        // Declared numbers can be of any size, so they must not overflow.
        own.failures = own.failures.saturating_add(its.failures);
        own.failed = own.failed.saturating_add(its.failed);
        own.skipped += its.skipped;
        own.attempts += its.attempts;
        self.children += 1;
        self.suites += 1;
        self.uncounted += inner.uncounted;
        self.greatest.tests = self.greatest.tests.saturating_add(inner.greatest.tests);
        self.greatest.skipped = self.greatest.skipped.saturating_add(inner.greatest.skipped);
        self.nested.errors |= inner.errors.is_some() || inner.nested.errors;
        self.nested.silent |= inner.failures.is_none() || inner.nested.silent;
        self.nested.differs |= inner.tests != Some(its.cases) || inner.nested.differs;
        self.cases.are_run += inner.cases.are_run;
        self.cases.are_go += inner.cases.are_go;
        self.cases.assert |= inner.cases.assert;
        self.cases.assertions = self.cases.assertions.saturating_add(inner.cases.assertions);
        self.cases.are_listed_alone |= inner.cases.are_listed_alone;
    }

    /// Counts failures that are declared but not listed, and returns a message about them.
    pub(super) fn unlisted_failures(&mut self, gaps: &Gaps) -> Option<String> {
        let failures = self.failures.unwrap_or_default();
        let errors = if self.errors_are_messages(gaps) { 0 } else { self.errors.unwrap_or_default() };
        let declared = failures.saturating_add(errors);
        let ListedTests { failures: elements, failed, attempts, .. } = self.listed;
        let there = elements.max(failed);
        let explained = there.saturating_add(attempts);
        if declared <= explained || (failed > 0 && failures.max(errors) <= explained) {
            return None;
        }
        self.listed.failures += declared - explained;
        self.listed.failed += declared - explained;
        let what = match (failures, errors) {
            (count, 0) => counted(count, "failure"),
            (0, count) => counted(count, "error"),
            (failures, errors) => {
                format!("{} and {}", counted(failures, "failure"), counted(errors, "error"))
            }
        };
        Some(format!("{what} declared, {there} listed"))
    }

    /// Returns whether its `errors` are printed messages instead of failures. gotestsum's root
    /// counts the lines that `go` wrote to stderr, and the suites of Go packages have no `errors`.
    /// Qt Test 5 counts warnings.
    fn errors_are_messages(&self, gaps: &Gaps) -> bool {
        let is_go = self.listed.cases > 0 && self.cases.are_go == self.listed.cases;
        let by_gotestsum = self.is_group
            && is_go
            && self.suites > 0
            && self.own_cases == 0
            && !self.nested.errors
            && !self.nested.silent
            && self.failures.is_some();
        by_gotestsum || (gaps.is_qt && self.listed.cases > 0)
    }

    /// Returns whether its `tests` are assertions, as in reports of Catch2, doctest and Nightwatch.
    fn counts_assertions(&self) -> bool {
        let are_run = self.cases.are_run == self.listed.cases && !self.cases.are_listed_alone;
        let are_counted = self.tests.is_some_and(|tests| tests <= self.cases.assertions);
        self.listed.cases > 0 && (are_run || self.is_catch2 || are_counted)
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The differences between what a report declares and what it lists.
#[derive(Default)]
pub(super) struct Gaps {
    /// Whether Qt Test wrote the report.
    is_qt: bool,
    /// The name of the first suite that declares more tests than it lists for no known reason, with
    /// both numbers.
    first: Option<(String, u64, u64)>,
    /// Whether the report mentions a test that was skipped, repeated or failed.
    says_more: bool,
    /// The root suite, after it has ended.
    pub(super) whole: Option<Suite>,
}

impl Gaps {
    /// Detects the tool by the name of a property.
    pub(super) fn property(&mut self, element: &Element) {
        self.is_qt |= matches!(element.get("name"), Some("QTestVersion" | "QtVersion"));
    }

    /// Compares what a suite declares with what it lists. It must be called when the suite ends.
    pub(super) fn compare(&mut self, suite: &mut Suite, tally: &mut Tally) {
        let listed = suite.listed;
        let declared = suite.skipped.unwrap_or_default();
        self.says_more |= declared > 0 || listed.skipped > 0 || suite.greatest.skipped > 0;
        self.says_more |= listed.failures > 0 || listed.failed > 0 || listed.attempts > 0;
        suite.greatest.skipped = suite.greatest.skipped.max(declared).max(listed.skipped);
        suite.greatest.tests = suite.greatest.tests.max(listed.cases);
        // node counts the direct children of a suite, including suites.
        let Some(declared) = suite.tests.filter(|declared| *declared != suite.children) else { return };
        suite.greatest.tests = suite.greatest.tests.max(declared);
        if declared > listed.cases {
            // Newman's root counts its scripts. It declares no failures, and the totals of its
            // suites are correct.
            let counts_others = suite.is_group
                && suite.failures.is_none()
                && suite.errors.is_none()
                && suite.suites > 0
                && !suite.nested.differs;
            if !counts_others && !suite.counts_assertions() {
                let name = suite.name_or("a suite");
                self.first.get_or_insert((name, declared, listed.cases));
            }
        } else if listed.attempts == 0
            && !tally.joins_names()
            && (suite.own_cases > 0 || suite.nested.differs)
        {
            // jest includes skipped tests in its total, but not tests that are still to be written.
            // It lists the latter as cases without a mark.
            let counts_skipped = suite.skipped.is_some() && suite.in_group && !suite.cases.assert;
            let skipped = if counts_skipped { 0 } else { listed.skipped };
            let counted = listed.cases - suite.uncounted;
            let missing =
                counted.saturating_sub(declared).saturating_sub(listed.failed).saturating_sub(skipped);
            suite.uncounted += tally.not_run(missing);
        }
    }

    /// Returns an error message if tests that are declared but not listed may have failed.
    pub(super) fn unexplained(&self, is_pytest: bool) -> Option<String> {
        let (name, declared, there) = self.first.as_ref()?;
        // pytest counts passed subtests without writing cases for them.
        let by_pytest = is_pytest && *there > 0;
        (!self.says_more && !by_pytest)
            .then(|| format!("`{name}` says that it has {declared} tests, and has {there}"))
    }

    /// Returns the number of skipped tests that are declared but not listed. Also returns the
    /// totals, if more tests are declared than listed.
    pub(super) fn totals(&self) -> (u64, Option<TestTotals>) {
        let Some(Suite { greatest: most, listed, .. }) = &self.whole else { return (0, None) };
        let gap = most.tests.saturating_sub(listed.cases);
        if gap == 0 {
            return (0, None);
        }
        let hidden = most.skipped.saturating_sub(listed.skipped).min(gap);
        (hidden, Some(TestTotals { declared: most.tests, listed: listed.cases }))
    }
}
