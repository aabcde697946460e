//! Returns the stored results of tasks of a tree, with their outputs. This module runs no task, and does not know
//! what the outputs are for.

use std::collections::BTreeMap;

use crate::cache::{Cache, Entry, Lookup};
use crate::config::model::{Config, TaskId};
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::gate::context::GateContext;
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::Provision;
use crate::gate::probing;
use crate::gate::question::Question;
use crate::plan::Decision;

/// The stored results of tasks, and the cache that they are in.
pub struct StoredResults {
    /// The cache.
    pub cache: Cache,
    /// The results, by their tasks. A task without a stored result is missing.
    pub entries: BTreeMap<TaskId, Entry>,
}

impl GateContext<'_> {
    /// Returns the stored results of these tasks for the tree of a question. If probes of tools must run in the
    /// tree, it is checked out, but only if `may_check_out`.
    ///
    /// # Errors
    /// Fails if the tree or the cache can't be read, or if the tree can't be checked out.
    pub fn stored_results(
        &self,
        question: &Question,
        config: &Config,
        tasks: &[TaskId],
        may_check_out: bool,
    ) -> Result<StoredResults, GateError> {
        let names = tasks.iter().map(|task| config.task(*task).name.clone()).collect();
        let request = Request::new(names);
        let root = self.repository.work_dir();
        let tree = Tree::Objects(self.repository, &question.tree, &config.worktree.filters);
        let location = self.location(root, tree, question.commit.as_deref());
        let prepared = Prepared::load(config, &request, location, self.clock, &self.new_run())?;
        let is_valid = match &prepared.snapshot {
            Some(snapshot) => probing::probes_are_valid(
                self.repository,
                root,
                config,
                &prepared.graph,
                &question.tree,
                snapshot,
                &prepared.probes,
            )?,
            None => false,
        };
        if is_valid || !may_check_out {
            let mut results = self.results(config, &prepared, tasks);
            if !is_valid {
                results.entries.clear();
            }
            return Ok(results);
        }
        let ready = match self.provide(config, &question.tree, question.commit.as_deref())? {
            Provision::Ready(ready) => ready,
            Provision::SetupFailed(_) => return Ok(self.results(config, &prepared, &[])),
        };
        let hold = ready.hold()?;
        let here = Tree::WorkDir(&ready.repository);
        let location = self.location(ready.worktree.path(), here, question.commit.as_deref());
        let location = RunLocation { env: &ready.env, hold: Some(&hold), ..location };
        let prepared = Prepared::load(config, &request, location, self.clock, &self.new_run())?;
        let results = self.results(config, &prepared, tasks);
        self.release(&ready)?;
        Ok(results)
    }

    fn results(&self, config: &Config, prepared: &Prepared<'_>, tasks: &[TaskId]) -> StoredResults {
        let cache = Cache::open(self.state, config.settings.cache_size, self.clock);
        let entries = prepared.plan(self.env, |inputs, plan| {
            let nodes = inputs.graph.nodes.iter().zip(&plan.nodes);
            let hits = nodes.filter(|(node, planned)| {
                tasks.contains(&node.task) && matches!(planned.decision, Decision::Hit(_))
            });
            let entry = |task, digest| match cache.lookup(digest) {
                Lookup::Hit(entry) => Some((task, *entry)),
                Lookup::Absent | Lookup::Damaged(_) => None,
            };
            hits.filter_map(|(node, planned)| entry(node.task, &planned.key.as_ref()?.digest)).collect()
        });
        StoredResults { cache, entries }
    }
}
