//! Looks at the work tree again while a watched run goes on.

use crate::engine::context::Context;
use crate::engine::watch::change_origin::{PathChange, changes_between};
use crate::engine::watch::{affected_nodes, without_outputs};

/// Looks what has changed since the run began, and has those tasks start again in the next round
/// that read it and have no result yet.
pub fn look_again(context: &Context<'_>) {
    let (Some(watching), Some(store), Some(before)) =
        (context.watching, &context.store, context.tree.snapshot())
    else {
        return;
    };
    // A tree that can't be read just now is looked at again when the round is over.
    let Ok(after) = store.tree.snapshot() else { return };
    let (config, graph) = (context.inputs.config, context.inputs.graph);
    let changes = without_outputs(config, graph, changes_between(&before, &after));
    let by_hand = watching.changes().user_changes(&changes).into_iter().cloned().collect::<Vec<_>>();
    let by_hand: Vec<&PathChange> = by_hand.iter().collect();
    let mut standing = context.invalidation();
    for (id, change) in affected_nodes(config, graph, &by_hand) {
        standing.supersede(id, change);
    }
}
