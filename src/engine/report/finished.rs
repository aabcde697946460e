//! The reports of a task that has finished: as they were when it ended or, of a hit, as they are now if
//! they are still those that were stored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::cache::{Content, Lookup};
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::report::reports::{self, Library, NoEvidence, Told, Why};
use crate::engine::report::shelf::Held;
use crate::git::snapshot::Snapshot;
use crate::graph::NodeId;

/// Returns a reader of reports in the work tree, which speak of the files of this snapshot.
pub fn library<'s>(context: &'s Context<'_>, snapshot: Option<&'s Snapshot>) -> Library<'s> {
    Library {
        root: context.location.root,
        place: context.location.root,
        snapshot,
        mask: &context.secrets.mask,
    }
}

/// What the reports of a node said when its task ended; of a hit, what they say now, provided that
/// they are what was stored.
///
/// # Errors
/// A report is not what its task left, or is no evidence.
pub fn load(context: &Context<'_>, id: NodeId) -> Result<Arc<Told>, NoEvidence> {
    let task = context.task(id);
    let key = match context.shelf.take(id) {
        Some(Held::Told(told)) => return Ok(told),
        Some(Held::Stored(key)) => Some(key),
        // In an audit nothing is kept: what an earlier run left has to do.
        None => None,
    };
    let stored = key.map(|key| stored(context, task, &key)).transpose()?;
    let snapshot = context.tree.snapshot();
    let told = library(context, snapshot.as_deref()).read(task, None);
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
    let lookup = context.store.as_ref().map(|store| store.cache.lookup(key));
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
    let root = context.location.root;
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
