//! Reads the work tree again while a watched run is going on.

use crate::engine::context::Context;
use crate::engine::watch::change_origin::{PathChange, changes_between};
use crate::engine::watch::{affected_nodes, without_outputs};

/// Reads the tree again. Tasks that read changed files and have no result yet are stopped, and start again in
/// the next run.
pub fn rescan(context: &Context<'_>) {
    let (Some(watching), Some(store), Some(before)) =
        (context.watching, &context.store, context.tree.snapshot())
    else {
        return;
    };
    // A tree that can't be read now is read again when the run is over.
    let Ok(after) = store.tree.snapshot() else { return };
    let (config, graph) = (context.inputs.config, context.inputs.graph);
    let changes = without_outputs(config, graph, changes_between(&before, &after));
    let by_user = watching.changes().user_changes(&changes).into_iter().cloned().collect::<Vec<_>>();
    let by_user: Vec<&PathChange> = by_user.iter().collect();
    let mut invalidation = context.invalidation();
    for (id, change) in affected_nodes(config, graph, &by_user) {
        invalidation.supersede(id, change);
    }
}
