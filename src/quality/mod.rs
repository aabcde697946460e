//! Quality: rules over facts, and the evidence of a verdict. Pure: facts, rules, what was recorded
//! before and the day go in; it must not read files, tasks.toml or a clock.
//!
//! All rules are judged, not only up to the first that is broken, and each ruling carries what was
//! demanded, what is the case, and which files and lines broke it. A rule that can't be judged for
//! want of a baseline says so and is not broken; a rule for which no report has a fact is.

pub mod evidence;
pub mod rules;

use crate::report::Facts;
use evidence::{Evidence, Record};
use rules::{Day, Rules};

/// What a gate is judged by beside its rules and its reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// What was recorded before.
    pub baseline: Baseline,
    /// The day.
    pub today: Day,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// What all reports say together.
    pub facts: &'a Facts,
    /// What was recorded of the tree that this one is compared with.
    pub baseline: &'a Baseline,
    /// The day, for suppressions that expire.
    pub today: Day,
}

/// What was recorded of the tree that this one is compared with.
#[derive(Clone, PartialEq, Debug)]
pub enum Baseline {
    /// No rule asks for it.
    Unasked,
    /// There is none.
    Absent {
        /// Why, and what to do, as a clause.
        why: String,
    },
    /// This.
    Known {
        /// Whose facts these are, such as `1a2b3c4 (merge base with origin/main)`.
        of: String,
        /// The facts.
        record: Record,
    },
}

/// Judges all rules.
pub fn judge(case: &Case<'_>) -> Evidence {
    let _ = case;
    todo!("H2")
}
