//! Keeps what the reports of tasks say until the gates of the same run have asked for it.
//!
//! What happens to a report after its task ended does not matter to a gate. The reports of a hit are
//! read when a gate asks for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::digest::Digest;
use crate::config::model::Config;
use crate::engine::report::reader::TaskReports;
use crate::graph::{Graph, NodeId, Role};

/// The reports of all nodes that somebody will ask for.
#[derive(Debug, Default)]
pub struct ReportStore {
    nodes: Mutex<HashMap<NodeId, NodeReports>>,
    judging: Mutex<()>,
}

/// The reports of one node.
#[derive(Debug, Default)]
struct NodeReports {
    /// How many times they will still be asked for.
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
            node.role == Role::Selected && config.task(node.task).gate.is_some()
        };
        for source in graph.ids().filter(is_judged).flat_map(|gate| &graph.node(gate).sources) {
            nodes.entry(*source).or_default().pending += 1;
        }
        Self { nodes: Mutex::new(nodes), judging: Mutex::default() }
    }

    /// Creates a store in which the reports of each of these nodes will be asked for once.
    pub fn for_nodes(nodes: impl Iterator<Item = NodeId>) -> Self {
        let nodes = nodes.map(|id| (id, NodeReports { pending: 1, state: None })).collect();
        Self { nodes: Mutex::new(nodes), judging: Mutex::default() }
    }

    /// Returns whether somebody will ask for the reports of a node.
    pub fn is_wanted(&self, id: NodeId) -> bool {
        self.nodes().get(&id).is_some_and(|node| node.pending > 0)
    }

    /// Stores what is known of a node's reports, if somebody will ask for them.
    pub fn put(&self, id: NodeId, state: ReportState) {
        if let Some(node) = self.nodes().get_mut(&id).filter(|node| node.pending > 0) {
            node.state = Some(state);
        }
    }

    /// Returns what is known of a node's reports. The last one who asks removes it from the store.
    pub fn take(&self, id: NodeId) -> Option<ReportState> {
        let mut nodes = self.nodes();
        let node = nodes.get_mut(&id)?;
        node.pending = node.pending.saturating_sub(1);
        if node.pending == 0 { node.state.take() } else { node.state.clone() }
    }

    /// Notes that one who would have asked for the reports of these nodes will not.
    pub fn release(&self, ids: &[NodeId]) {
        for id in ids {
            drop(self.take(*id));
        }
    }

    /// Waits until no other gate is being judged. Reports may be large, and a gate that joins several
    /// copies them while others still ask for them: so at most two copies of each are in memory.
    pub fn lock_judging(&self) -> MutexGuard<'_, ()> {
        self.judging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<NodeId, NodeReports>> {
        // Each change is a single step, so the map is consistent even if another thread panicked.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_removed_when_the_last_one_has_asked() {
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
