//! What is needed to judge the rules of a gate: the facts, the baseline, the current day, and which
//! tasks do not run on this system.

use super::evidence::BaselineFacts;
use super::rules::{Day, Rules};
use ci_reports::{Facts, ReportKind};

/// The baseline and the day with which a gate is judged. Its rules and reports are passed
/// separately.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgingContext {
    /// The baseline.
    pub baseline: Baseline,
    /// The current day.
    pub today: Day,
}

/// Everything that is needed to judge the rules of a gate.
#[derive(Clone, Copy, Debug)]
pub struct GateInputs<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// The facts of all reports.
    pub facts: &'a Facts,
    /// The baseline.
    pub baseline: &'a Baseline,
    /// The current day, for suppressions that expire.
    pub today: Day,
    /// The tasks that would write reports but do not run on this system.
    pub unavailable: &'a [UnavailableTask],
}

/// A task that writes reports but does not run on this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailableTask {
    /// The name of the task.
    pub task: String,
    /// The kinds of its reports.
    pub kinds: Vec<ReportKind>,
    /// The name of this system.
    pub os: String,
}

/// The record of the commit that this tree is compared with.
#[derive(Clone, PartialEq, Debug)]
pub enum Baseline {
    /// No rule needs a baseline.
    NotNeeded,
    /// There is no baseline.
    Missing {
        /// Why there is none and what to do, as a clause.
        why: String,
    },
    /// The baseline exists but can't be read.
    Unreadable {
        /// What is wrong and what to do, as a clause.
        why: String,
    },
    /// The baseline was found.
    Known {
        /// The commit, such as `1a2b3c4 (merge base with origin/main)`.
        of: String,
        /// The record of the commit.
        record: BaselineFacts,
    },
}
