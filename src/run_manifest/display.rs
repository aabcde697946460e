//! Formats the difference between two runs as text. It must not find differences.

use crate::base::text::{count, first_of};
use std::collections::BTreeMap;

use super::difference::{Cause, Difference, Side};
use crate::decision_reason::Reason;
use crate::event::Status;

/// How many changes of one task are listed.
const LISTED: usize = 10;
/// How many tasks are named when they have the same difference.
const NAMED: usize = 8;

impl Difference {
    /// Returns lines for the trees, the platforms, the tasks and, last, the differences without effect. Tasks
    /// with the same difference share a line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let some = format!("{} of {} differ", self.tasks.len(), count(self.compared, "task"));
        if let Some([a, b]) = &self.trees {
            lines.push(format!(
                "the trees differ: {} in A, {} in B; {some}",
                tree(a.as_ref()),
                tree(b.as_ref())
            ));
        } else if self.is_none() {
            lines.push(format!("no difference in {}", count(self.compared, "task")));
        } else {
            lines.push(some);
        }
        if let Some([a, b]) = &self.platforms {
            lines.push(format!("the platforms differ: {a} → {b}"));
        }
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (task, causes) in &self.tasks {
            groups.entry(clause(causes)).or_default().push(task);
        }
        let mut groups: Vec<(Vec<&str>, String)> =
            groups.into_iter().map(|(clause, tasks)| (tasks, clause)).collect();
        groups.sort_unstable();
        lines.extend(groups.iter().map(|(tasks, clause)| format!("{}: {clause}", named(tasks))));
        let remark = |remark: &super::difference::EnvironmentChange| {
            format!(
                "remark: {} is {} in A, {} in B; that makes no difference",
                remark.field, remark.a, remark.b
            )
        };
        lines.extend(self.environment.iter().map(remark));
        lines
    }
}

fn clause(causes: &[Cause]) -> String {
    first_of(causes, LISTED)
}

/// Formats a list of names, such as `a, b and 3 more`.
pub fn named(names: &[&str]) -> String {
    first_of(names, NAMED)
}

/// Returns the abbreviated id of a tree.
pub fn tree(id: Option<&String>) -> String {
    id.map_or_else(|| "no tree".to_owned(), |id| id.chars().take(10).collect())
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const HIDDEN: &str = "it depends on something that its key does not hold";
        match self {
            Self::OnlyIn { run } => write!(f, "only in {run}"),
            Self::Changed { change } => write!(f, "{change}"),
            Self::Follows { task } => write!(f, "because {task} differs"),
            Self::Platform => f.write_str("because the platforms differ"),
            Self::Outputs => write!(f, "wrote other outputs with the same key: {HIDDEN}"),
            Self::Verdict { a, b } if a.is_pass() && b.is_pass() => {
                write!(f, "{} in A, {} in B with the same key", status_word(a), status_word(b))
            }
            Self::Verdict { a, b } => {
                write!(f, "{} in A, {} in B with the same key: {HIDDEN}", ended(a), ended(b))
            }
            Self::NotRun { run, why, other } => {
                let there = if *run == Side::A { Side::B } else { Side::A };
                let other = other.as_ref().map_or("not run", status_word);
                write!(f, "{other} in {there}, not run in {run}{}", because(why.as_ref()))
            }
            Self::NoKey { run, why } => write!(f, "has no key in {run}{}", because(why.as_ref())),
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::A { "A" } else { "B" })
    }
}

fn because(why: Option<&Reason>) -> String {
    why.map(|why| format!(": {why}")).unwrap_or_default()
}

fn ended(status: &Status) -> String {
    match status {
        Status::Failed { ended } => format!("failed ({ended})"),
        status => status_word(status).to_owned(),
    }
}

fn status_word(status: &Status) -> &'static str {
    match status {
        Status::Passed | Status::Hit => "passed",
        Status::Flaky => "flaky",
        Status::Failed { .. } => "failed",
        Status::Stopped => "stopped",
        Status::Skipped => "skipped",
    }
}
