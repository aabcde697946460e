//! The shelf: what the reports of tasks said when their task ended, for the gates of the same run. It
//! must not judge.
//!
//! What another task does to a report afterwards is none of a gate's business; where the task was a
//! hit, its report is read when a gate asks, and has to be the one of the cache.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::digest::Digest;
use crate::config::model::Config;
use crate::engine::report::reports::Told;
use crate::graph::{Graph, NodeId, Role};

/// What is known of the reports of each node that is asked for them.
#[derive(Debug, Default)]
pub struct Shelf {
    places: Mutex<HashMap<NodeId, Place>>,
    judging: Mutex<()>,
}

/// The place of one node.
#[derive(Debug, Default)]
struct Place {
    /// How many will still ask.
    asked: usize,
    held: Option<Held>,
}

/// What is known of the reports of a node.
#[derive(Clone, Debug)]
pub enum Held {
    /// It was executed, and they said this.
    Told(Arc<Told>),
    /// It is a hit, and they are outputs under this key.
    Stored(Digest),
}

impl Shelf {
    /// For the gates of a graph.
    pub fn of(config: &Config, graph: &Graph) -> Self {
        let mut places: HashMap<NodeId, Place> = HashMap::new();
        let judged = |id: &NodeId| {
            let node = graph.node(*id);
            node.role == Role::Selected && config.task(node.task).gate.is_some()
        };
        for source in graph.ids().filter(judged).flat_map(|gate| &graph.node(gate).sources) {
            places.entry(*source).or_default().asked += 1;
        }
        Self { places: Mutex::new(places), judging: Mutex::default() }
    }

    /// For all that these nodes report, of which each is asked for once.
    pub fn of_all(nodes: impl Iterator<Item = NodeId>) -> Self {
        let places = nodes.map(|id| (id, Place { asked: 1, held: None })).collect();
        Self { places: Mutex::new(places), judging: Mutex::default() }
    }

    /// Whether anyone will ask for the reports of a node.
    pub fn wants(&self, id: NodeId) -> bool {
        self.places().get(&id).is_some_and(|place| place.asked > 0)
    }

    /// Holds what is known of a node's reports, if anyone will ask for it.
    pub fn put(&self, id: NodeId, held: Held) {
        if let Some(place) = self.places().get_mut(&id).filter(|place| place.asked > 0) {
            place.held = Some(held);
        }
    }

    /// What is known of a node's reports. The last who asks takes it away.
    pub fn take(&self, id: NodeId) -> Option<Held> {
        let mut places = self.places();
        let place = places.get_mut(&id)?;
        place.asked = place.asked.saturating_sub(1);
        if place.asked == 0 { place.held.take() } else { place.held.clone() }
    }

    /// One who would have asked for these will not.
    pub fn release(&self, ids: &[NodeId]) {
        for id in ids {
            drop(self.take(*id));
        }
    }

    /// One gate is judged at a time. Reports may be large, and a gate that joins several has them to
    /// itself while others still ask for them: there are never more than two of each in memory.
    pub fn judge_alone(&self) -> MutexGuard<'_, ()> {
        self.judging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, HashMap<NodeId, Place>> {
        // Each change is one step, so the places are whole even if another thread panicked.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_goes_with_the_last_who_asks() {
        let id = NodeId(0);
        let held = || Held::Told(Arc::new(Told::default()));
        let places = HashMap::from([(id, Place { asked: 2, held: None })]);
        let shelf = Shelf { places: Mutex::new(places), ..Shelf::default() };
        assert!(shelf.wants(id) && !shelf.wants(NodeId(1)));
        shelf.put(id, held());
        shelf.put(NodeId(1), held());
        assert!(matches!(shelf.take(id), Some(Held::Told(told)) if Arc::strong_count(&told) == 2));
        assert!(matches!(shelf.take(id), Some(Held::Told(told)) if Arc::strong_count(&told) == 1));
        assert!(!shelf.wants(id) && shelf.take(id).is_none());
        shelf.put(id, held());
        assert!(shelf.take(id).is_none() && shelf.take(NodeId(1)).is_none());
    }
}
