//! The shelf: what the reports of tasks said when their task ended, for the gates of the same run. It
//! must not judge.
//!
//! What another task does to a report afterwards is none of a gate's business; where the task was a
//! hit, its report is read when a gate asks, and has to be the one of the cache.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::cache::{Content, Lookup};
use crate::config::model::{Config, Task};
use crate::engine::context::Context;
use crate::engine::report::reports::{self, NoEvidence, Told, Why};
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

/// What the reports of a node said when its task ended; of a hit, what they say now, provided that
/// they are what was stored.
///
/// # Errors
/// A report is not what its task left, or is no evidence.
pub fn told(context: &Context<'_>, id: NodeId) -> Result<Arc<Told>, NoEvidence> {
    let task = context.world.config.task(context.world.graph.node(id).task);
    let key = match context.shelf.take(id) {
        Some(Held::Told(told)) => return Ok(told),
        Some(Held::Stored(key)) => Some(key),
        // In an audit nothing is kept: what an earlier run left has to do.
        None => None,
    };
    let stored = key.map(|key| stored(context, task, &key)).transpose()?;
    let snapshot = context.snapshot();
    let told = context.reports(snapshot.as_deref()).read(task, None);
    if let Some(stored) = stored {
        is_as_stored(context, task, &stored, told.as_ref().ok())?;
    }
    let told = Arc::new(told?);
    if key.is_some() {
        context.shelf.put(id, Held::Told(Arc::clone(&told)));
    }
    Ok(told)
}

/// The reports of an entry, those that are files with their digests.
fn stored(
    context: &Context<'_>,
    task: &Task,
    key: &Digest,
) -> Result<BTreeMap<RepoPath, Option<Digest>>, NoEvidence> {
    let lookup = context.site.store.as_ref().map(|store| store.cache.lookup(key));
    let Some(Lookup::Hit(entry)) = lookup else {
        return Err(NoEvidence { path: task.name.clone(), why: Why::Forgotten });
    };
    let reports = entry.outputs().filter(|output| reports::is_one(task, &output.path));
    let row = |output: &crate::cache::Output| match output.content {
        Content::File { digest, .. } => Ok((output.path.clone(), Some(digest))),
        Content::Folder { .. } => Ok((output.path.clone(), None)),
        // No such entry is made; what it leads to now may be anything.
        Content::Symlink { .. } => Err(NoEvidence { path: output.path.to_string(), why: Why::Linked }),
    };
    reports.map(row).collect()
}

/// Fails if the reports of a hit are others than those that were stored. What was not read, since one
/// of them is no evidence, is digested now.
fn is_as_stored(
    context: &Context<'_>,
    task: &Task,
    stored: &BTreeMap<RepoPath, Option<Digest>>,
    told: Option<&Told>,
) -> Result<(), NoEvidence> {
    let root = &context.site.root;
    let changed = |path: &RepoPath| NoEvidence {
        path: path.to_string(),
        why: Why::Changed { task: task.name.clone() },
    };
    let lying = reports::lying(task, root).unwrap_or_default();
    if let Some(path) = lying.iter().find(|path| !stored.contains_key(*path)) {
        return Err(changed(path));
    }
    let read = told.into_iter().flat_map(|told| &told.sources);
    let read: HashMap<&str, &str> = read.map(|source| (&*source.path, &*source.digest)).collect();
    for (path, digest) in stored {
        let Some(digest) = digest else { continue };
        let is_same = match read.get(&*path.to_string()) {
            Some(read) => *read == digest.hex(),
            None => reports::digest(&path.under(root)).is_ok_and(|now| now == *digest),
        };
        if !is_same {
            return Err(changed(path));
        }
    }
    Ok(())
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
