//! Stores the result of a task that has just passed under another key: that of a config that also declares the
//! outputs of the task. Without it, a build would have to run again once its outputs are known. It must not
//! decide what the outputs are.

use std::path::Path;

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::cache::{CacheError, NewEntry};
use crate::engine::prepare::Prepared;
use crate::key::explanation::Explanation;
use crate::key::inputs::InputSet;
use crate::plan::Decision;

/// A task that has just passed.
#[derive(Clone, Copy, Debug)]
pub struct FreshPass<'a> {
    /// The name.
    pub task: &'a str,
    /// What it printed.
    pub log: &'a str,
    /// How long it took, in milliseconds.
    pub took: u64,
}

/// Stores the result of `pass` with the outputs that the config of `prepared` declares, which are below `root`
/// now. Returns whether it is stored. The caller guarantees that the command is the same and that its inputs
/// have not changed since it ran.
///
/// # Errors
/// An output can't be read, or the result can't be stored.
pub fn adopt_pass(
    prepared: &Prepared<'_>,
    env: &Env,
    root: &Path,
    clock: &Clock,
    pass: FreshPass<'_>,
) -> Result<bool, CacheError> {
    let (Some((_, cache)), Some(snapshot)) = (&prepared.store, &prepared.snapshot) else { return Ok(false) };
    prepared.plan(env, |inputs, plan| {
        let nodes = inputs.graph.nodes.iter().zip(&plan.nodes);
        for (node, planned) in nodes {
            let task = inputs.config.task(node.task);
            if task.name != pass.task {
                continue;
            }
            let (Decision::Miss(miss), Some(key)) = (&planned.decision, &planned.key) else { break };
            let Some(permit) = miss.permit else { break };
            let outputs = cache.collect(root, &task.outputs)?;
            if !outputs.unmatched().is_empty() {
                break;
            }
            let read = InputSet::new(inputs.config, inputs.graph, node);
            let explanation = Explanation::new(&key.fields, read.select(snapshot), inputs.mask).encode();
            let entry = NewEntry {
                task: &task.name,
                explanation: &explanation,
                log: pass.log,
                took: pass.took,
                at: clock.now(),
                outputs: &outputs,
                forbidden: None,
            };
            cache.store(&permit.key(), &entry, root)?;
            return Ok(true);
        }
        Ok(false)
    })
}
