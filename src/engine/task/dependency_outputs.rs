//! Checks whether the outputs that a node needs are still those of its key, before it starts and after it has
//! ended. It must not restore them, since another task may need the files that have replaced them.
//!
//! Files that tools add to such outputs, such as caches in a folder of packages, are ignored, unless another
//! run has written these outputs since this run began: then it is unknown who added them.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::cache::{ExtraFiles, Lookup, Output, OutputSet, OutputState};
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::location::Store;
use crate::graph::NodeId;
use crate::history::output_writers::OutputWriters;
use crate::key::Contribution;

/// By how many milliseconds a file's time may be older than the clock, since the kernel counts in ticks.
const TICK: u64 = 10;

/// Returns a text that names the outputs of needed tasks that have changed; `None` if all are unchanged. A
/// gate reads no outputs: it gets the contents of reports that were already read.
pub fn changed_outputs(context: &Context<'_>, id: NodeId) -> Option<String> {
    let store = context.store.as_ref()?;
    let node = context.inputs.graph.node(id);
    if context.inputs.config.task(node.task).is_gate() {
        return None;
    }
    node.sources.iter().find_map(|source| {
        let task = context.task(*source);
        let Some(Contribution::Outputs(_)) = context.nodes.contribution(*source) else { return None };
        let recorded = recorded_outputs(context, store, *source)?;
        let outputs: Vec<&Output> = recorded.outputs().iter().collect();
        match store.cache.compare_outputs(
            context.location.root,
            &task.outputs,
            &outputs,
            extra_files(context, store, task),
        ) {
            OutputState::Intact => None,
            OutputState::Differs(what) => {
                Some(format!("outputs of {} that it needs have changed: {what}", task.name))
            }
        }
    })
}

/// Returns the outputs of a node that are in the keys of the nodes that need it, if they are known.
fn recorded_outputs(context: &Context<'_>, store: &Store<'_>, id: NodeId) -> Option<Arc<OutputSet>> {
    if let Some(recorded) = context.nodes.outputs(id) {
        return Some(recorded);
    }
    let Lookup::Hit(entry) = store.cache.lookup(&context.nodes.key(id)?) else { return None };
    let recorded = Arc::new(OutputSet::new(entry.outputs().cloned().collect(), Vec::new()));
    context.nodes.record_outputs(id, &recorded);
    Some(recorded)
}

fn extra_files(context: &Context<'_>, store: &Store<'_>, task: &Task) -> ExtraFiles {
    let began = context.emitter.clock().now().0.saturating_sub(context.emitter.millis() + TICK);
    let (writers, run) = (OutputWriters::new(store.state), &context.options.run_id);
    if writers.was_other_run_since(context.location.root, &task.name, run, Timestamp(began)) {
        ExtraFiles::Count
    } else {
        ExtraFiles::Ignored
    }
}
