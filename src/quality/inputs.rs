//! What the rules of a gate are judged with: the facts, the baseline, the day, and which tasks do not
//! run on this system.

use super::evidence::Record;
use super::rules::{Day, Rules};
use ci_reports::{Facts, ReportKind};

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
    /// What could have told more and is not run here.
    pub absent: &'a [Absent],
}

/// A task that writes reports, and not on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub task: String,
    /// The kinds of its reports.
    pub kinds: Vec<ReportKind>,
    /// This system.
    pub os: String,
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
    /// There is one, and it can't be read.
    Unreadable {
        /// Which, what is wrong with it, and what to do, as a clause.
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
