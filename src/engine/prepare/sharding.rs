//! Narrows a prepared plan to one shard. [`crate::shard`] decides how it is split.
//!
//! Each machine prepares the whole plan with all its probes, so that the digest shows whether the machines
//! agree. Only then is the graph cut down to the tasks of this shard.

use std::collections::BTreeMap;

use crate::base::digest::Digest;
use crate::base::env::Env;
use crate::base::text::count;
use crate::config::model::TaskId;
use crate::engine::prepare::Prepared;
use crate::git::snapshot::Snapshot;
use crate::graph::{Graph, NodeId, Reach, Role};
use crate::key::Field;
use crate::key::explanation::displayed_fields;
use crate::plan::{PlanInputs, definition};
use crate::run_manifest::PlanDigest;
use crate::run_manifest::display::named;
use crate::shard::plan::ShardPlan;
use crate::shard::{self, Shard, ShardTask, Split, Timings};

/// Why a plan can't be split.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ShardingError {
    /// A task needs a gate, and gates are judged after all shards.
    #[error("`{task}` needs the gate `{gate}`, which is judged when all shards are merged")]
    NeedsGate {
        /// The task.
        task: String,
        /// The gate.
        gate: String,
    },
}

/// The tasks that are split, with their nodes.
struct ShardableTasks {
    nodes: Vec<NodeId>,
    work: Vec<ShardTask>,
}

impl Prepared<'_> {
    /// Narrows the plan to one shard.
    ///
    /// # Errors
    /// A task can't run in any shard.
    pub fn narrow_to_shard(
        &mut self,
        shard: Shard,
        timings: &Timings,
        env: &Env,
    ) -> Result<(), ShardingError> {
        let tasks = self.tasks(timings)?;
        let split = shard::split(&tasks.work, shard.count);
        let (plan, all) = self.definitions(&tasks, &split, shard, env);
        let mut elsewhere: BTreeMap<String, Vec<Field>> = all
            .into_iter()
            .map(|(task, fields)| (task, displayed_fields(&fields, &self.secrets.mask)))
            .collect();
        let mine = split.runs.get(shard.index - 1).map_or(&[][..], |runs| runs);
        for task in mine {
            elsewhere.remove(&tasks.work[*task].name);
        }
        let selected: Vec<TaskId> =
            mine.iter().map(|task| self.graph.node(tasks.nodes[*task]).task).collect();
        let has_context = self.graph.nodes.iter().any(|node| node.role == Role::Context);
        let gates = self.gates();
        let mut shard_plan = ShardPlan { shard, plan_digest: plan, elsewhere, gates, notes: Vec::new() };
        shard_plan.notes = notes(&shard_plan, &tasks.work, &split, mine);
        self.notes.extend(shard_plan.notes.iter().cloned());
        let reach = if has_context { Reach::Only } else { Reach::Shard };
        self.graph = Graph::new(self.config, &selected, reach);
        self.shard_plan = Some(shard_plan);
        Ok(())
    }

    /// Returns the names of the requested gates.
    fn gates(&self) -> Vec<String> {
        let nodes = self.graph.nodes.iter().filter(|node| node.role == Role::Selected);
        let gates = nodes.map(|node| self.config.task(node.task)).filter(|task| task.is_gate());
        gates.map(|task| task.name.clone()).collect()
    }

    /// Returns the tasks to run, with their costs and needs.
    fn tasks(&self, timings: &Timings) -> Result<ShardableTasks, ShardingError> {
        let task = |id: NodeId| self.config.task(self.graph.node(id).task);
        let runs = |id: &NodeId| {
            let node = self.graph.node(*id);
            node.role == Role::Selected && task(*id).run().is_some()
        };
        let nodes: Vec<NodeId> = self.graph.ids().filter(runs).collect();
        let indices: BTreeMap<NodeId, usize> = nodes.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        let names: Vec<&str> = nodes.iter().map(|id| task(*id).name.as_str()).collect();
        let costs = shard::costs(&names, timings);
        let mut work = Vec::with_capacity(nodes.len());
        for (id, cost) in nodes.iter().zip(costs) {
            let sources = &self.graph.node(*id).sources;
            let name = task(*id).name.clone();
            let gate = sources
                .iter()
                .find(|need| task(**need).is_gate() && self.graph.node(**need).role == Role::Selected);
            if let Some(gate) = gate {
                return Err(ShardingError::NeedsGate { task: name, gate: task(*gate).name.clone() });
            }
            let needs = sources.iter().filter_map(|need| indices.get(need).copied()).collect();
            // A task that does not run on this system costs nothing in any shard: all shards run on the same
            // platform.
            let cost = if task(*id).runs_on(&self.platform().os) { cost } else { 0 };
            work.push(ShardTask { name, cost, needs });
        }
        Ok(ShardableTasks { nodes, work })
    }

    /// Returns the plan's digest and the definition of each task.
    fn definitions(
        &self,
        tasks: &ShardableTasks,
        split: &Split,
        shard: Shard,
        env: &Env,
    ) -> (Digest, BTreeMap<String, Vec<Field>>) {
        let (digests, knowledge) = (self.digests(), self.knowledge());
        let inputs: PlanInputs<'_> = self.plan_inputs(env, &digests, &*knowledge);
        let nothing = Snapshot::default();
        let snapshot = self.snapshot.as_ref().unwrap_or(&nothing);
        let fields = tasks.nodes.iter().map(|id| definition(&inputs, *id, snapshot).fields);
        let definitions = tasks.work.iter().zip(&split.owner).zip(fields);
        let mut definitions: Vec<_> =
            definitions.map(|((work, owner), fields)| (work, *owner, fields)).collect();
        definitions.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        let mut plan = PlanDigest::default();
        plan.note("shards", &shard.count.to_string());
        for name in &self.names {
            plan.note("name", name);
        }
        for gate in self.gates() {
            plan.note("gate", &gate);
        }
        for (work, owner, fields) in &definitions {
            plan.note(&work.name, &format!("{} {owner}", work.cost)).task(fields);
        }
        let fields = definitions.into_iter().map(|(work, _, fields)| (work.name.clone(), fields));
        (plan.digest(), fields.collect())
    }
}

/// Returns the notes about a shard for the reader.
fn notes(shard_plan: &ShardPlan, work: &[ShardTask], split: &Split, mine: &[usize]) -> Vec<String> {
    let Shard { index, count: shards } = shard_plan.shard;
    let digest = &shard_plan.plan_digest.short()[..8];
    let all = count(work.len(), "task");
    let mut notes = vec![if mine.is_empty() {
        format!("shard {index} of {shards}: none of {all}, so there is nothing to run · plan {digest}")
    } else {
        format!("shard {index} of {shards}: {} of {all} · plan {digest}", mine.len())
    }];
    // Tasks that run in the same shards share a note.
    let mut together: BTreeMap<&Vec<usize>, Vec<&str>> = BTreeMap::new();
    for (task, shards) in split.shared.iter().filter(|(task, _)| mine.contains(task)) {
        together.entry(shards).or_default().push(&work[*task].name);
    }
    for (shards, names) in &mut together {
        names.sort_unstable();
        let verb = if names.len() == 1 { "runs" } else { "run" };
        notes.push(format!("{} {verb} in {}", named(names), numbered(shards)));
    }
    if !shard_plan.gates.is_empty() {
        let gates: Vec<&str> = shard_plan.gates.iter().map(String::as_str).collect();
        notes.push(format!("left to `xtask merge-runs`: {}", named(&gates)));
    }
    notes
}

/// Returns a text such as `shards 1, 2 and 4`, for shards that are counted from 0.
fn numbered(shards: &[usize]) -> String {
    let numbers: Vec<String> = shards.iter().map(|shard| (shard + 1).to_string()).collect();
    match numbers.split_last() {
        Some((last, [])) => format!("shard {last}"),
        Some((last, rest)) => format!("shards {} and {last}", rest.join(", ")),
        None => "no shard".to_owned(),
    }
}
