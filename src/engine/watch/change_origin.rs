//! Decides who changed a file while tasks ran: a person or a task. It is pure: it must not read a file.
//!
//! The system does not report who wrote a file, so this is a guess. A new file that git does not track counts
//! as written by a task, and is ignored until it changes while nothing runs. If a person made it after all,
//! it is noticed at the next edit, of this or a tracked file. Every other change counts as made by a person,
//! unless the same file changes in many consecutive runs without any other cause.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::path::RepoPath;
use crate::decision_reason::FileChange;
use crate::git::snapshot::Snapshot;

/// How many consecutive runs may be started by a change of the same file during the run before.
const MAX_ROUNDS: u32 = 10;

/// Remembers which paths of a work tree are written by tasks.
#[derive(Clone, Debug, Default)]
pub struct ChangeTracker {
    /// Paths that tasks write.
    by_tasks: BTreeSet<RepoPath>,
    /// The number of consecutive runs in which a path changed.
    in_a_row: BTreeMap<RepoPath, u32>,
    /// Paths that changed in the current run.
    this_round: BTreeSet<RepoPath>,
}

/// A change of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathChange {
    /// The path.
    pub path: RepoPath,
    /// How it changed.
    pub how: FileChange,
    /// Whether git tracks the path.
    pub is_tracked: bool,
}

/// Returns all differences between two trees, sorted by path.
pub fn changes_between(before: &Snapshot, after: &Snapshot) -> Vec<PathChange> {
    let tracked =
        |path: &RepoPath| after.get(path).or_else(|| before.get(path)).is_some_and(|entry| entry.tracked);
    let changed = before.changes(after).into_iter().map(|(path, how)| PathChange {
        is_tracked: tracked(&path),
        path,
        how,
    });
    let new = after.entries().iter().filter(|entry| before.get(&entry.path).is_none());
    let added = new.map(|entry| PathChange {
        path: entry.path.clone(),
        how: FileChange::Added,
        is_tracked: entry.tracked,
    });
    let mut all: Vec<PathChange> = changed.chain(added).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

impl ChangeTracker {
    /// Begins a run. `without_change` is true if nothing has changed since the previous run. Paths that
    /// git tracks by now no longer count as written by tasks.
    pub fn begin_round(&mut self, without_change: bool, is_tracked: impl Fn(&RepoPath) -> bool) {
        self.by_tasks.retain(|path| !is_tracked(path));
        let last = std::mem::take(&mut self.this_round);
        self.in_a_row.retain(|path, _| without_change && last.contains(path));
        if without_change {
            for path in last {
                *self.in_a_row.entry(path).or_insert(0) += 1;
            }
        }
    }

    /// Returns the changes during a run that count as made by a person.
    pub fn user_changes<'c>(&mut self, changes: &'c [PathChange]) -> Vec<&'c PathChange> {
        let mut by_user = Vec::new();
        for change in changes {
            if self.by_tasks.contains(&change.path) {
                continue;
            }
            if change.how == FileChange::Added && !change.is_tracked {
                self.by_tasks.insert(change.path.clone());
                continue;
            }
            self.this_round.insert(change.path.clone());
            if self.in_a_row.get(&change.path).is_none_or(|rounds| *rounds < MAX_ROUNDS) {
                by_user.push(change);
            }
        }
        by_user
    }

    /// Records changes while nothing ran, which are made by a person.
    pub fn record_user_changes<'c>(&mut self, changed: impl Iterator<Item = &'c RepoPath>) {
        for path in changed {
            self.by_tasks.remove(path);
        }
    }

    /// Returns paths that count as written by a task from the current run on.
    pub fn suspected_outputs(&self) -> impl Iterator<Item = &RepoPath> {
        self.in_a_row
            .iter()
            .filter(|(path, rounds)| **rounds == MAX_ROUNDS && self.this_round.contains(*path))
            .map(|(path, _)| path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, how: FileChange, is_tracked: bool) -> PathChange {
        PathChange { path: RepoPath::from_git(path.as_bytes()), how, is_tracked }
    }

    #[test]
    fn new_untracked_file_counts_as_written_by_a_task() {
        let mut authors = ChangeTracker::default();
        let log = change("run.log", FileChange::Added, false);
        let source = change("src/a", FileChange::Changed, true);
        assert_eq!(authors.user_changes(&[log.clone(), source.clone()]), [&source]);
        let again = change("run.log", FileChange::Changed, false);
        authors.begin_round(true, |_| false);
        assert!(authors.user_changes(std::slice::from_ref(&again)).is_empty());
        // After a person edits it while nothing runs, its changes count.
        authors.record_user_changes([&again.path].into_iter());
        assert_eq!(authors.user_changes(std::slice::from_ref(&again)), [&again]);
    }

    #[test]
    fn file_that_changes_in_many_runs_counts_as_written_by_a_task() {
        let mut authors = ChangeTracker::default();
        let change = change("src/a", FileChange::Changed, true);
        let rounds = (0..100).find(|round| {
            authors.begin_round(*round > 0, |_| true);
            authors.user_changes(std::slice::from_ref(&change)).is_empty()
        });
        assert_eq!(rounds, Some(MAX_ROUNDS));
        assert_eq!(authors.suspected_outputs().count(), 1);
        authors.begin_round(false, |_| true);
        assert_eq!(authors.user_changes(std::slice::from_ref(&change)).len(), 1);
    }
}
