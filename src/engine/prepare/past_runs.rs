//! Answers the planner's questions from the cache and the history.

use std::path::Path;

use crate::base::digest::Digest;
use crate::cache::{Cache, Lookup, OutputState};
use crate::config::model::Task;
use crate::history::tasks::LazyHistory;
use crate::key::explanation::Explanation;
use crate::plan::{Knowledge, LastRun, PastResults, StoredResult};

/// The number of stored entries that a miss is compared with.
const MAX_COMPARED: usize = 3;

/// Knowledge from the cache and the history of a state directory.
pub struct StoredKnowledge<'a> {
    cache: &'a Cache,
    history: &'a LazyHistory,
    /// The work tree whose outputs are compared; `None` if the tree is not checked out.
    root: Option<&'a Path>,
}

impl<'a> StoredKnowledge<'a> {
    /// Returns the knowledge of a cache and a history, for the work tree at `root`.
    pub fn new(cache: &'a Cache, history: &'a LazyHistory, root: Option<&'a Path>) -> Self {
        Self { cache, history, root }
    }
}

impl Knowledge for StoredKnowledge<'_> {
    fn look_up(&self, task: &Task, key: &Digest) -> Lookup<StoredResult> {
        self.cache.outcome(key, self.root, &task.outputs).map(|stored| StoredResult {
            at: stored.passed_at,
            took: stored.took,
            outputs: stored.output_digest,
            differs: match stored.outputs {
                OutputState::Intact => None,
                OutputState::Differs(what) => Some(what),
            },
        })
    }

    fn past_results(&self, task: &Task, key: &Digest) -> PastResults {
        let Some(past) = self.history.get().task(&task.name) else {
            return PastResults { last: LastRun::Never, entries: Vec::new() };
        };
        let last = match past.failed.as_deref() {
            Some(failed) if failed == key.hex() => LastRun::FailedWithThisKey,
            Some(_) if past.took.is_empty() && past.keys.is_empty() => LastRun::NeverPassed,
            _ => LastRun::Other,
        };
        let entries = past
            .keys
            .iter()
            .take(MAX_COMPARED)
            .filter_map(|key| match self.cache.lookup(&Digest::parse(key)?) {
                Lookup::Hit(entry) => Explanation::decode(&self.cache.explanation(&entry).ok()?),
                Lookup::Absent | Lookup::Damaged(_) => None,
            })
            .collect();
        PastResults { last, entries }
    }

    fn outputs_on_disk(&self, task: &Task) -> Option<Digest> {
        let collected = self.cache.collect(self.root?, &task.outputs).ok()?;
        Some(collected.digest())
    }
}

/// The knowledge outside a repository, which has neither a cache nor a history.
pub struct NoHistory;

impl Knowledge for NoHistory {
    fn look_up(&self, _: &Task, _: &Digest) -> Lookup<StoredResult> {
        Lookup::Absent
    }

    fn past_results(&self, _: &Task, _: &Digest) -> PastResults {
        PastResults { last: LastRun::Never, entries: Vec::new() }
    }

    fn outputs_on_disk(&self, _: &Task) -> Option<Digest> {
        None
    }
}
