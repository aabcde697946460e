//! The tests of a `JUnit` report, added up. It must not know XML.

use std::collections::HashMap;

use crate::ParseError;
use crate::budget::Budget;
use crate::facts::{FailedTest, Tests};

/// What became of one case.
pub(super) enum Outcome {
    Passed,
    /// It passed when tried again.
    Flaky,
    Skipped,
    Failed(FailedTest),
}

/// Tests so far.
pub(super) struct Tally {
    tests: Tests,
    budget: Budget,
    /// Where cases of one name are one test: these.
    joined: Option<Joined>,
}

/// Tests by their names.
#[derive(Default)]
struct Joined {
    /// In their order.
    tests: Vec<(String, Outcome)>,
    places: HashMap<String, usize>,
}

impl Tally {
    /// None.
    pub(super) fn new() -> Self {
        Self { tests: Tests::default(), budget: Budget::new(), joined: None }
    }

    /// From now on, cases of one name are one test.
    pub(super) fn join_names(&mut self) {
        self.joined.get_or_insert_with(Default::default);
    }

    /// Whether cases of one name are one test.
    pub(super) fn joins_names(&self) -> bool {
        self.joined.is_some()
    }

    /// Adds a case.
    pub(super) fn case(&mut self, (name, outcome): (String, Outcome)) -> Result<(), ParseError> {
        let Some(Joined { tests, places }) = &mut self.joined else {
            return self.add(name, outcome);
        };
        match places.get(&name) {
            Some(place) => {
                let known = &mut tests[*place].1;
                let before = std::mem::replace(known, Outcome::Skipped);
                *known = match (before, outcome) {
                    (Outcome::Failed(failed), _) | (_, Outcome::Failed(failed)) => Outcome::Failed(failed),
                    (Outcome::Skipped, other) | (other, Outcome::Skipped) => other,
                    _ => Outcome::Flaky,
                };
            }
            None => {
                // The name is held twice.
                self.budget.keep(2 * name.len())?;
                places.insert(name.clone(), tests.len());
                tests.push((name, outcome));
            }
        }
        Ok(())
    }

    /// Adds something that failed and is no case.
    pub(super) fn failed(&mut self, test: FailedTest) -> Result<(), ParseError> {
        self.add(String::new(), Outcome::Failed(test))
    }

    /// Counts up to so many of those that passed as not run. How many these were.
    pub(super) fn not_run(&mut self, count: u64) -> u64 {
        let count = count.min(self.tests.passed);
        self.tests.passed -= count;
        self.tests.skipped += count;
        count
    }

    /// All tests.
    pub(super) fn end(mut self) -> Result<Tests, ParseError> {
        for (name, outcome) in self.joined.take().unwrap_or_default().tests {
            self.add(name, outcome)?;
        }
        Ok(self.tests)
    }

    fn add(&mut self, name: String, outcome: Outcome) -> Result<(), ParseError> {
        match outcome {
            Outcome::Passed => self.tests.passed += 1,
            Outcome::Skipped => self.tests.skipped += 1,
            Outcome::Flaky => {
                self.budget.keep(name.len())?;
                self.tests.passed += 1;
                self.tests.flaky.push(name);
            }
            Outcome::Failed(test) => {
                self.budget.keep(test.name.len() + test.message.len())?;
                self.tests.failed.push(test);
            }
        }
        Ok(())
    }
}
