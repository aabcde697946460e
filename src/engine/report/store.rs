//! Keeps the contents of reports until the gates of the same run have taken them.
//!
//! So a change of a report file after its task has ended does not affect a gate. The reports of a hit
//! are read only when a gate needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::digest::Digest;
use crate::config::model::Config;
use crate::engine::report::reader::TaskReports;
use crate::graph::{Graph, NodeId, Role};

/// The reports of all nodes that a gate of the run will still need.
#[derive(Debug, Default)]
pub struct ReportStore {
    nodes: Mutex<HashMap<NodeId, NodeReports>>,
    judging: Mutex<()>,
}

/// The reports of one node.
#[derive(Debug, Default)]
struct NodeReports {
    /// How many gates will still take them.
    pending: usize,
    state: Option<ReportState>,
}

/// What is known of the reports of a node.
#[derive(Clone, Debug)]
pub enum ReportState {
    /// The node was executed, and its reports were read.
    Read(Arc<TaskReports>),
    /// The node is a hit, and its reports are outputs of the cache entry with this key.
    Cached(Digest),
}

impl ReportStore {
    /// Creates the store for the gates of a graph.
    pub fn new(config: &Config, graph: &Graph) -> Self {
        let mut nodes: HashMap<NodeId, NodeReports> = HashMap::new();
        let is_judged = |id: &NodeId| {
            let node = graph.node(*id);
            node.role == Role::Selected && config.task(node.task).is_gate()
        };
        for source in graph.ids().filter(is_judged).flat_map(|gate| &graph.node(gate).sources) {
            nodes.entry(*source).or_default().pending += 1;
        }
        Self { nodes: Mutex::new(nodes), judging: Mutex::default() }
    }

    /// Creates a store in which the reports of each of these nodes will be taken once.
    pub fn for_nodes(nodes: impl Iterator<Item = NodeId>) -> Self {
        let nodes = nodes.map(|id| (id, NodeReports { pending: 1, state: None })).collect();
        Self { nodes: Mutex::new(nodes), judging: Mutex::default() }
    }

    /// Returns whether a gate will still take the reports of a node.
    pub fn is_wanted(&self, id: NodeId) -> bool {
        self.nodes().get(&id).is_some_and(|node| node.pending > 0)
    }

    /// Stores what is known of a node's reports, if a gate will still take them.
    pub fn put(&self, id: NodeId, state: ReportState) {
        if let Some(node) = self.nodes().get_mut(&id).filter(|node| node.pending > 0) {
            node.state = Some(state);
        }
    }

    /// Returns what is known of a node's reports. The last call that is expected removes it from the store.
    pub fn take(&self, id: NodeId) -> Option<ReportState> {
        let mut nodes = self.nodes();
        let node = nodes.get_mut(&id)?;
        node.pending = node.pending.saturating_sub(1);
        if node.pending == 0 { node.state.take() } else { node.state.clone() }
    }

    /// Records that a gate will not take the reports of these nodes, for example since it is skipped.
    pub fn release(&self, ids: &[NodeId]) {
        for id in ids {
            drop(self.take(*id));
        }
    }

    /// Waits until no other gate is being judged, and returns a lock. Reports may be large, and a gate that
    /// joins several copies those that other gates still need. Because of the lock, at most two copies of
    /// each are in memory.
    pub fn lock_judging(&self) -> MutexGuard<'_, ()> {
        self.judging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, NodeReports>> {
        // Each change is a single step, so the map is consistent even after a panic of another thread.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_removed_after_the_last_reader() {
        let id = NodeId(0);
        let read = || ReportState::Read(Arc::new(TaskReports::default()));
        let nodes = HashMap::from([(id, NodeReports { pending: 2, state: None })]);
        let store = ReportStore { nodes: Mutex::new(nodes), ..ReportStore::default() };
        assert!(store.is_wanted(id) && !store.is_wanted(NodeId(1)));
        store.put(id, read());
        store.put(NodeId(1), read());
        assert!(matches!(store.take(id), Some(ReportState::Read(read)) if Arc::strong_count(&read) == 2));
        assert!(matches!(store.take(id), Some(ReportState::Read(read)) if Arc::strong_count(&read) == 1));
        assert!(!store.is_wanted(id) && store.take(id).is_none());
        store.put(id, read());
        assert!(store.take(id).is_none() && store.take(NodeId(1)).is_none());
    }
}
