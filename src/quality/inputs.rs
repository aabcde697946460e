//! What the rules of a gate are judged with: the facts, the baseline, the day, and which tasks do not
//! run on this system.

use super::evidence::Record;
use super::rules::{Day, Rules};
use ci_reports::{Facts, ReportKind};

/// What a gate is judged with besides its rules and its reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    /// The baseline.
    pub baseline: Baseline,
    /// The current day.
    pub today: Day,
}

/// What the rules are judged with.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// The facts of all reports.
    pub facts: &'a Facts,
    /// The baseline.
    pub baseline: &'a Baseline,
    /// The current day, for suppressions that expire.
    pub today: Day,
    /// The tasks that would write reports, but do not run on this system.
    pub absent: &'a [Absent],
}

/// A task that writes reports, but does not run on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub task: String,
    /// The kinds of its reports.
    pub kinds: Vec<ReportKind>,
    /// This system.
    pub os: String,
}

/// The record of the tree that this one is compared with.
#[derive(Clone, PartialEq, Debug)]
pub enum Baseline {
    /// No rule needs one.
    Unasked,
    /// There is none.
    Absent {
        /// Why, and what to do, as a clause.
        why: String,
    },
    /// It exists and can't be read.
    Unreadable {
        /// What is wrong and what to do, as a clause.
        why: String,
    },
    /// It is known.
    Known {
        /// The commit, such as `1a2b3c4 (merge base with origin/main)`.
        of: String,
        /// Its record.
        record: Record,
    },
}
