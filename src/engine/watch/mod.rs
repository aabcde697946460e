//! What a run must know that is one of many rounds: the services that stay up, and which of its tasks
//! are out of date because their inputs changed meanwhile. It must not know what starts a round.

pub mod change_origin;
pub mod look_again;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::path::RepoPath;
use crate::base::text::first_of;
use crate::config::model::{Config, Tool};
use crate::engine::services::Services;
use crate::engine::watch::change_origin::{ChangeTracker, PathChange};
use crate::graph::{Graph, NodeId};
use crate::key::inputs::InputSet;
use crate::key::probe_files;
use crate::process::stop::Stop;

/// What rounds share.
pub struct WatchSession {
    /// The services that stay up between rounds.
    pub services: Services,
    changes: Mutex<ChangeTracker>,
}

/// Which nodes of a run are out of date.
#[derive(Default)]
pub struct Invalidation {
    /// Nodes that have their result.
    finished: HashSet<NodeId>,
    /// What ends the present attempt of a node.
    running: BTreeMap<NodeId, Stop>,
    /// Nodes that must start again, each with the file that changed.
    superseded: BTreeMap<NodeId, PathChange>,
}

impl WatchSession {
    /// Of rounds whose services are marked with `mark`.
    pub fn new(mark: String) -> Self {
        Self { services: Services::new(mark), changes: Mutex::default() }
    }

    /// Who wrote what.
    pub fn changes(&self) -> MutexGuard<'_, ChangeTracker> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Invalidation {
    /// A node's attempt begins, which `stop` ends.
    pub fn begin(&mut self, id: NodeId, stop: &Stop) {
        if self.superseded.contains_key(&id) {
            stop.terminate();
        }
        self.running.insert(id, stop.clone());
    }

    /// A node's attempt has ended.
    pub fn end(&mut self, id: NodeId) {
        self.running.remove(&id);
    }

    /// A node has its result.
    pub fn finish(&mut self, id: NodeId) {
        self.finished.insert(id);
    }

    /// The file for which a node must start again.
    pub fn superseded(&self, id: NodeId) -> Option<&PathChange> {
        self.superseded.get(&id)
    }

    /// Marks a node without a result.
    fn supersede(&mut self, id: NodeId, change: &PathChange) {
        if self.finished.contains(&id) || self.superseded.contains_key(&id) {
            return;
        }
        self.superseded.insert(id, change.clone());
        if let Some(stop) = self.running.get(&id) {
            stop.terminate();
        }
    }
}

/// Those of `changes` that declared outputs don't account for.
pub fn without_outputs(config: &Config, graph: &Graph, mut changes: Vec<PathChange>) -> Vec<PathChange> {
    let outputs: Vec<_> = graph.nodes.iter().map(|node| &config.task(node.task).outputs).collect();
    changes.retain(|change| !outputs.iter().any(|patterns| patterns.matches(&change.path)));
    changes
}

/// The first of these paths that a task of the graph reads, or by which a tool of it may be another,
/// for each such task.
pub fn affected_nodes<'c>(
    config: &Config,
    graph: &Graph,
    changes: &[&'c PathChange],
) -> Vec<(NodeId, &'c PathChange)> {
    let nodes = graph.ids().filter(|id| !config.task(graph.node(*id).task).is_aggregate());
    nodes
        .filter_map(|id| {
            let inputs = InputSet::new(config, graph, graph.node(id));
            let tools = &config.task(graph.node(id).task).tools;
            let tools: Vec<&Tool> = tools.iter().filter_map(|name| config.tools.get(name)).collect();
            let reads = |path: &RepoPath| {
                inputs.contains(path) || tools.iter().any(|tool| probe_files::affects_tool(tool, path))
            };
            let change = changes.iter().find(|change| reads(&change.path))?;
            Some((id, *change))
        })
        .collect()
}

/// Paths as a person is told of them.
pub fn describe_changes(changes: &[&PathChange]) -> String {
    first_of(changes.iter().map(|change| format!("{} {}", change.path, change.how)), 3)
}

/// Whether one of the paths is, or lies above, a file of variables that a task of the graph names.
pub fn affects_env_files(config: &Config, graph: &Graph, paths: &[RepoPath]) -> bool {
    let tasks = || graph.nodes.iter().map(|node| config.task(node.task));
    let services = tasks().flat_map(|task| &task.uses).map(|id| &config.service(*id).task);
    let mut files = tasks().chain(services).flat_map(|task| &task.env_files);
    files.any(|file| paths.iter().any(|path| file.path.is_within(path)))
}
