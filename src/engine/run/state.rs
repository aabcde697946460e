//! The state that changes during a run: the results of its nodes, its tree, the data to store for later runs,
//! and the messages that were printed. Each type is shared by the workers and has its own lock.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::cache::OutputSet;
use crate::config::model::Task;
use crate::engine::task::diagnosis;
use crate::failure_hint::Hint;
use crate::git::WorkTreeReader;
use crate::git::snapshot::Snapshot;
use crate::graph::{Node, NodeId};
use crate::history::gate_records::GateRecord;
use crate::history::tasks::RecordedExecution;
use crate::key::Contribution;
use crate::key::inputs::InputSet;
use crate::plan::{Plan, Planned};

/// The part of a finished node's result on which later nodes depend.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeResult {
    /// What it contributes to the keys of other nodes.
    pub contribution: Option<Contribution>,
    /// Whether its result does not belong to its key, since its inputs changed while it ran.
    pub tainted: bool,
}

/// The state of all nodes of a run.
pub struct NodeStates<'a> {
    plan: &'a Plan,
    states: Mutex<Vec<NodeState>>,
}

#[derive(Clone, Default)]
struct NodeState {
    result: NodeResult,
    /// The decision, if it was made again during the run.
    decided: Option<Arc<Planned>>,
    outputs: Option<Arc<OutputSet>>,
}

impl<'a> NodeStates<'a> {
    /// Returns the states before the run.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, states: Mutex::new(vec![NodeState::default(); plan.nodes.len()]) }
    }

    /// Records the result of a node.
    pub fn finish(&self, id: NodeId, result: NodeResult) {
        lock(&self.states)[id.0].result = result;
    }

    /// Returns what a finished node contributes to keys.
    pub fn contribution(&self, id: NodeId) -> Option<Contribution> {
        lock(&self.states)[id.0].result.contribution
    }

    /// Returns the contributions of the nodes whose results a node reads.
    pub fn source_contributions(&self, node: &Node) -> HashMap<NodeId, Option<Contribution>> {
        let states = lock(&self.states);
        node.sources.iter().map(|source| (*source, states[source.0].result.contribution)).collect()
    }

    /// Returns the first need of a node whose result does not belong to its key, although the node's own key
    /// contains that key.
    pub fn tainted_need(&self, node: &Node) -> Option<NodeId> {
        let states = lock(&self.states);
        let is_tainted = |need: &&NodeId| {
            let result = states[need.0].result;
            result.tainted && !matches!(result.contribution, Some(Contribution::Outputs(_)))
        };
        node.sources.iter().find(is_tainted).copied()
    }

    /// Records a decision that was made again.
    pub fn redecide(&self, id: NodeId, planned: Arc<Planned>) {
        lock(&self.states)[id.0].decided = Some(planned);
    }

    /// Returns the decision of a node that was made again during the run, if there is one.
    pub fn redecided(&self, id: NodeId) -> Option<Arc<Planned>> {
        lock(&self.states)[id.0].decided.clone()
    }

    /// Returns the key of a node as it was last decided, if it has one.
    pub fn key(&self, id: NodeId) -> Option<Digest> {
        let states = lock(&self.states);
        let planned = states[id.0].decided.as_deref().unwrap_or(&self.plan.nodes[id.0]);
        planned.key.as_ref().map(|key| key.digest)
    }

    /// Records the outputs of a node, for the nodes that need it.
    pub fn record_outputs(&self, id: NodeId, outputs: &Arc<OutputSet>) {
        lock(&self.states)[id.0].outputs = Some(Arc::clone(outputs));
    }

    /// Returns the outputs of a node, if they were recorded.
    pub fn outputs(&self, id: NodeId) -> Option<Arc<OutputSet>> {
        lock(&self.states)[id.0].outputs.clone()
    }
}

/// The tree of a run, including changes that its tasks made.
pub struct RunTree<'a> {
    planned: Option<&'a Snapshot>,
    written: RwLock<WrittenTree>,
}

#[derive(Default)]
struct WrittenTree {
    /// The tree as it is now, if it is no longer the one of the plan.
    snapshot: Option<Arc<Snapshot>>,
    /// Paths of the tree that tasks of this run changed.
    changed: Vec<RepoPath>,
}

impl<'a> RunTree<'a> {
    /// Returns the tree of the plan; `None` outside a repository.
    pub fn new(planned: Option<&'a Snapshot>) -> Self {
        Self { planned, written: RwLock::default() }
    }

    /// Returns the snapshot as it is for a task that starts now.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let written = self.written.read().unwrap_or_else(PoisonError::into_inner);
        written.snapshot.clone().or_else(|| self.planned.cloned().map(Arc::new))
    }

    /// Returns the snapshot as it is for a task that starts now, and whether tasks of this run changed
    /// one of these inputs.
    pub fn snapshot_for(&self, inputs: &InputSet<'_>) -> (Option<Arc<Snapshot>>, bool) {
        let written = self.written.read().unwrap_or_else(PoisonError::into_inner);
        let is_changed = written.changed.iter().any(|path| inputs.contains(path));
        (written.snapshot.clone().or_else(|| self.planned.cloned().map(Arc::new)), is_changed)
    }

    /// Reads the paths of the tree again that a task may have written, so that the keys of later tasks
    /// match what these tasks will read.
    pub fn refresh(&self, task: &Task, reader: &WorkTreeReader) {
        if task.outputs.is_empty() {
            return;
        }
        let folders = task.outputs.folders();
        let Ok(entries) = reader.rescan(&folders) else { return };
        let mut written = self.written.write().unwrap_or_else(PoisonError::into_inner);
        let before = written.snapshot.clone().or_else(|| self.planned.cloned().map(Arc::new));
        let Some(before) = before else { return };
        let entries = entries.into_iter().filter(|entry| task.outputs.matches(&entry.path)).collect();
        let (after, changed) = before.with_replaced(|path| task.outputs.matches(path), &folders, entries);
        if !changed.is_empty() {
            written.snapshot = Some(Arc::new(after));
            written.changed.extend(changed);
        }
    }
}

/// What a run stores for later runs when it ends.
#[derive(Default)]
pub struct RunRecords(Mutex<Records>);

#[derive(Default)]
struct Records {
    executions: Vec<(String, RecordedExecution)>,
    stored: Vec<(Digest, Timestamp)>,
    gates: Vec<GateRecord>,
    changes: Vec<String>,
}

impl RunRecords {
    /// Adds an execution of a task, for the history.
    pub fn add_execution(&self, task: &str, execution: RecordedExecution) {
        lock(&self.0).executions.push((task.to_owned(), execution));
    }

    /// Adds a key under which a result was stored at the time `at`.
    pub fn add_stored(&self, key: Digest, at: Timestamp) {
        lock(&self.0).stored.push((key, at));
    }

    /// Adds the findings of a gate that passed, for comparison with later trees.
    pub fn add_gate(&self, recorded: GateRecord) {
        lock(&self.0).gates.push(recorded);
    }

    /// Adds what changed while a task ran that passed, so that its result says nothing about the tree.
    pub fn add_change(&self, what: String) {
        lock(&self.0).changes.push(what);
    }

    /// Removes and returns all executions.
    pub fn take_executions(&self) -> Vec<(String, RecordedExecution)> {
        std::mem::take(&mut lock(&self.0).executions)
    }

    /// Removes and returns all keys under which results were stored, with the times.
    pub fn take_stored(&self) -> Vec<(Digest, Timestamp)> {
        std::mem::take(&mut lock(&self.0).stored)
    }

    /// Removes and returns what changed while tasks ran that passed.
    pub fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0).changes)
    }

    /// Removes and returns the findings of gates.
    pub fn take_gates(&self) -> Vec<GateRecord> {
        std::mem::take(&mut lock(&self.0).gates)
    }
}

/// Remembers messages that are printed only once in a run.
#[derive(Default)]
pub struct PrintedOnce {
    waiting: Mutex<HashSet<NodeId>>,
    variables: Mutex<BTreeSet<String>>,
}

impl PrintedOnce {
    /// Returns whether this is the first time that a node has to wait.
    pub fn is_first_wait(&self, id: NodeId) -> bool {
        lock(&self.waiting).insert(id)
    }

    /// Returns the hints without variables that a hint of the run has named before.
    pub fn new_hints(&self, hints: Vec<Hint>) -> Vec<Hint> {
        diagnosis::without_repeated(hints, &mut lock(&self.variables))
    }
}

/// Locks a mutex. Each change is a single step, so the data is consistent even if another thread panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
