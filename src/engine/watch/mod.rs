//! The state of `watch` across its runs: the services that stay up, and which tasks are out of date because
//! their inputs changed while the run was going on.
//!
//! Read [`WatchSession`] and [`Invalidation`], then [`change_origin`] (did a person or a task change a file?)
//! and [`rescan`] (reads the tree during a run). This module must not decide when a run starts.

pub mod change_origin;
pub mod rescan;

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

/// What the runs of `watch` share.
pub struct WatchSession {
    /// The services that stay up between runs.
    pub services: Services,
    changes: Mutex<ChangeTracker>,
}

/// Which nodes of a run are out of date.
#[derive(Default)]
pub struct Invalidation {
    /// Nodes that have their result.
    finished: HashSet<NodeId>,
    /// The stop of the current attempt of each running node.
    running: BTreeMap<NodeId, Stop>,
    /// Nodes that have to start again, each with the file that changed.
    superseded: BTreeMap<NodeId, PathChange>,
}

impl WatchSession {
    /// Returns a session whose service processes get the mark `mark`.
    pub fn new(mark: String) -> Self {
        Self { services: Services::new(mark), changes: Mutex::default() }
    }

    /// Locks and returns the tracker of changes.
    pub fn changes(&self) -> MutexGuard<'_, ChangeTracker> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Invalidation {
    /// Records that an attempt of a node has begun. `stop` stops the attempt.
    pub fn begin(&mut self, id: NodeId, stop: &Stop) {
        if self.superseded.contains_key(&id) {
            stop.terminate();
        }
        self.running.insert(id, stop.clone());
    }

    /// Records that an attempt of a node has ended.
    pub fn end(&mut self, id: NodeId) {
        self.running.remove(&id);
    }

    /// Records that a node has its result.
    pub fn finish(&mut self, id: NodeId) {
        self.finished.insert(id);
    }

    /// Returns the change because of which a node has to start again.
    pub fn superseded(&self, id: NodeId) -> Option<&PathChange> {
        self.superseded.get(&id)
    }

    /// Records that a node has to start again, if it has no result yet, and stops its attempt.
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

/// Returns the changes that are not changes of declared outputs.
pub fn without_outputs(config: &Config, graph: &Graph, mut changes: Vec<PathChange>) -> Vec<PathChange> {
    let outputs: Vec<_> = graph.nodes.iter().map(|node| &config.task(node.task).outputs).collect();
    changes.retain(|change| !outputs.iter().any(|patterns| patterns.matches(&change.path)));
    changes
}

/// Returns the tasks that are affected by these changes, each with the first change of an input or of a file
/// that may select another version of a tool.
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

/// Returns a text that names the first changes.
pub fn describe_changes(changes: &[&PathChange]) -> String {
    first_of(changes.iter().map(|change| format!("{} {}", change.path, change.how)), 3)
}

/// Returns whether one of the paths is, or contains, an env file of a task of the graph.
pub fn affects_env_files(config: &Config, graph: &Graph, paths: &[RepoPath]) -> bool {
    let tasks = || graph.nodes.iter().map(|node| config.task(node.task));
    let services = tasks().flat_map(|task| &task.env.uses).map(|id| &config.service(*id).env);
    let mut files = tasks().map(|task| &task.env).chain(services).flat_map(|env| &env.variables.files);
    files.any(|file| paths.iter().any(|path| file.path.is_within(path)))
}
