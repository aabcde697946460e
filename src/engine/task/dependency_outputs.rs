//! What a node needs: whether the outputs that its key speaks of are still those that lie there when it
//! starts, and when it has ended. It must not put them right: whoever wrote over them may need that.
//!
//! What tools add among them, such as caches in a folder of packages, is let be; unless another run has
//! written these outputs since this one began, for then nobody knows whose it is.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::cache::{Extras, Lookup, Output, OutputSet, OutputState};
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::location::Store;
use crate::graph::NodeId;
use crate::history::writers::Writers;
use crate::key::Contribution;

/// What a file's time may lag behind the clock, in milliseconds: the kernel gives it in its own ticks.
const TICK: u64 = 10;

/// What of the outputs of the tasks that a node needs is not what they left, as a clause. A gate reads
/// none: it is told what reports said.
pub fn changed_outputs(context: &Context<'_>, id: NodeId) -> Option<String> {
    let store = context.store.as_ref()?;
    let node = context.inputs.graph.node(id);
    if context.inputs.config.task(node.task).gate.is_some() {
        return None;
    }
    node.sources.iter().find_map(|source| {
        let task = context.task(*source);
        let Some(Contribution::Outputs(_)) = context.nodes.contribution(*source) else { return None };
        let made = recorded_outputs(context, store, *source)?;
        let outputs: Vec<&Output> = made.outputs().iter().collect();
        match store.cache.holds(context.location.root, &task.outputs, &outputs, extras(context, store, task))
        {
            OutputState::Intact => None,
            OutputState::Differs(what) => {
                Some(format!("what it needs of {} is no longer what that left: {what}", task.name))
            }
        }
    })
}

/// The outputs that the key of those that need a node speaks of; `None` if nobody knows.
fn recorded_outputs(context: &Context<'_>, store: &Store<'_>, id: NodeId) -> Option<Arc<OutputSet>> {
    if let Some(made) = context.nodes.outputs(id) {
        return Some(made);
    }
    let Lookup::Hit(entry) = store.cache.lookup(&context.nodes.key(id)?) else { return None };
    let made = Arc::new(OutputSet::new(entry.outputs().cloned().collect(), Vec::new()));
    context.nodes.record_outputs(id, &made);
    Some(made)
}

fn extras(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Extras {
    let began = context.emitter.clock().now().0.saturating_sub(context.emitter.millis() + TICK);
    let (writers, run) = (Writers::new(&store.state), &context.options.run_id);
    if writers.other_since(context.location.root, &task.name, run, Timestamp(began)) {
        Extras::Count
    } else {
        Extras::Ignored
    }
}
