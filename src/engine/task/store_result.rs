//! Stores the result of a passed execution, if it may be stored. Nothing may be stored that could make a
//! later hit wrong.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::digest::{Digest, FieldHasher};
use crate::cache::{CacheError, NewEntry, OutputContent, OutputSet, SecretMatcher};
use crate::engine::context::Context;
use crate::engine::execution::Execution;
use crate::engine::location::Store;
use crate::engine::report::error::ReportErrorKind;
use crate::engine::task::dependency_outputs;
use crate::event::{Level, Status, Stored};
use crate::git::snapshot::Snapshot;
use crate::graph::NodeId;
use crate::key::Contribution;
use crate::key::explanation::Explanation;
use crate::key::inputs::InputSet;
use crate::plan::{Planned, StorePermit};

/// A passed execution.
pub struct PassedExecution<'a> {
    /// Its key and decision.
    pub planned: &'a Planned,
    /// The right to store its result, if there is one.
    pub permit: Option<&'a StorePermit>,
    /// The tree it was started on.
    pub before: Option<&'a Snapshot>,
    /// Its outcome.
    pub execution: &'a Execution,
    /// Its status.
    pub status: &'a Status,
    /// A text that names the needed outputs that had changed before it started; `None` if none had.
    pub changed_outputs: Option<&'a str>,
}

/// What was done with the result of an execution.
#[derive(Clone, Debug)]
pub struct StoreOutcome {
    /// Whether it is stored.
    pub stored: Stored,
    /// What the task contributes to the keys of those that need it.
    pub contribution: Option<Contribution>,
    /// Whether its result does not belong to its key.
    pub tainted: bool,
}

impl StoreOutcome {
    /// Returns the outcome for a task that did not pass.
    pub fn not_passed() -> Self {
        Self { stored: Stored::NotTried, contribution: None, tainted: false }
    }
}

/// Stores a result if that is allowed, and returns what it contributes to other keys.
pub fn store_if_allowed(context: &Context<'_>, id: NodeId, passed: &PassedExecution<'_>) -> StoreOutcome {
    let node = context.inputs.graph.node(id);
    let task = context.inputs.config.task(node.task);
    let (Some(store), Some(before)) = (&context.store, passed.before) else {
        let key = passed.planned.key.as_ref();
        let contribution = key.map(|key| Contribution::Key(key.digest));
        return StoreOutcome { stored: Stored::NotTried, contribution, tainted: false };
    };
    let changed_input = first_change(context, id, store, before);
    let change = changed_input.as_ref().map(|what| format!("{what} while it ran"));
    let changed_outputs = || {
        passed.changed_outputs.map(str::to_owned).or_else(|| dependency_outputs::changed_outputs(context, id))
    };
    let change = change.or_else(changed_outputs);
    if let Some(what) = changed_input.or_else(|| change.clone()) {
        context.records.add_change(format!("{}: {what}", task.name));
    }
    let left_out = missing_inputs(context, id, before);
    let tainted = change.is_some() || left_out.is_some() || context.nodes.tainted_need(node).is_some();
    let no = |why: String| Stored::No { why };
    let mut contribution = passed.planned.key.as_ref().map(|key| Contribution::Key(key.digest));
    let mut outputs = Arc::new(OutputSet::default());
    let mut refusal = None;
    if !task.outputs.is_empty() {
        match store.cache.collect(context.location.root, &task.outputs) {
            Ok(collected) => {
                contribution = Some(Contribution::Outputs(collected.digest()));
                refusal = unmatched(collected.unmatched());
                if let Some(why) = unstored_report(passed.execution, &collected) {
                    // Gates got other facts than the file on disk contains, so no gate may be a hit with this
                    // key.
                    contribution = Some(Contribution::Outputs(unique_digest(context, &task.name)));
                    refusal = Some(why);
                }
                outputs = Arc::new(collected);
                if !node.needed_by.is_empty() {
                    context.nodes.record_outputs(id, &outputs);
                }
            }
            Err(error) => {
                // Its outputs are unknown, so no later task may be a hit with them.
                contribution = Some(Contribution::Outputs(unique_digest(context, &task.name)));
                refusal = Some(error.to_string());
            }
        }
        context.tree.refresh(task, store.tree);
    }
    let kept = |stored| StoreOutcome { stored, contribution, tainted };
    let Some(permit) = passed.permit else { return kept(Stored::NotTried) };
    if let Some(why) = change {
        return kept(no(why));
    }
    if let Some(why) = left_out {
        return kept(no(why));
    }
    if *passed.status == Status::Flaky {
        return kept(no("it is flaky".to_owned()));
    }
    if let Some(why) = &passed.execution.unsure {
        return kept(no(why.clone()));
    }
    if let Some(need) = context.nodes.tainted_need(node) {
        let name = context.name(need);
        return kept(no(if missing_inputs(context, need, before).is_some() {
            format!("{name} ran without inputs that this sparse checkout leaves out")
        } else {
            format!("the inputs of {name} changed while it ran")
        }));
    }
    if let Some(why) = refusal {
        return kept(no(why));
    }
    kept(store_entry(context, id, store, passed, permit, &outputs))
}

fn store_entry(
    context: &Context<'_>,
    id: NodeId,
    store: &Store<'_>,
    passed: &PassedExecution<'_>,
    permit: &StorePermit,
    outputs: &OutputSet,
) -> Stored {
    let node = context.inputs.graph.node(id);
    let task = context.inputs.config.task(node.task);
    let inputs = InputSet::new(context.inputs.config, context.inputs.graph, node);
    let (Some(before), Some(key)) = (passed.before, &passed.planned.key) else { return Stored::NotTried };
    let explanation = Explanation::new(&key.fields, inputs.select(before), &context.secrets.mask).encode();
    let secrets = context.secrets;
    let holds = |bytes: &[u8]| secrets.forbidden.contains(bytes);
    let forbidden =
        (secrets.longest > 0).then_some(SecretMatcher { contains: &holds, longest: secrets.longest });
    let entry = NewEntry {
        task: &task.name,
        explanation: &explanation,
        log: &passed.execution.stored_log(),
        took: passed.execution.took,
        at: context.emitter.clock().now(),
        outputs,
        forbidden: forbidden.as_ref(),
    };
    match store.cache.store(&permit.key(), &entry, context.location.root) {
        Ok(()) => {
            context.records.add_stored(permit.key(), context.emitter.clock().now());
            Stored::Yes
        }
        Err(error) => {
            let is_state = match &error {
                CacheError::NoSpace { .. } => true,
                CacheError::File(error) => error.path.starts_with(store.state),
                _ => false,
            };
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            // It contains the name of an output.
            let text = context.secrets.mask.text(&text);
            if let CacheError::File(error) = &error
                && is_state
            {
                context.emitter.warn_unwritten(error);
                return Stored::No { why: "state can't be written".to_owned() };
            }
            let warning = || format!("{} is not stored: {text}", task.name);
            if is_state {
                context.emitter.warn_unwritten_with(warning);
            } else {
                context.emitter.notice(Level::Warning, warning());
            }
            Stored::No { why: text }
        }
    }
}

/// Returns the first change of the inputs since the task was started.
fn first_change(context: &Context<'_>, id: NodeId, store: &Store<'_>, before: &Snapshot) -> Option<String> {
    let node = context.inputs.graph.node(id);
    let inputs = InputSet::new(context.inputs.config, context.inputs.graph, node);
    match store.tree.rescan(&inputs.folders()) {
        Ok(entries) => inputs.first_change(before, &Snapshot::new(entries)),
        Err(error) => Some(format!("its inputs could not be read again ({error})")),
    }
}

/// Returns why a pass is not valid for the key, if the sparse checkout leaves inputs out.
fn missing_inputs(context: &Context<'_>, id: NodeId, before: &Snapshot) -> Option<String> {
    let node = context.inputs.graph.node(id);
    let inputs = InputSet::new(context.inputs.config, context.inputs.graph, node);
    let mut absent = inputs.select(before).filter(|entry| entry.not_checked_out);
    let first = &absent.next()?.path;
    let what = match absent.count() {
        0 => format!("{first} is"),
        1 => format!("{first} and another input are"),
        others => format!("{first} and {others} other inputs are"),
    };
    // A file at the top of the repository has no folder to add, so its own name is shown.
    let folder = first.parent().filter(|folder| !folder.is_top());
    let add = folder.map_or_else(|| format!("/{first}"), |folder| folder.to_string());
    Some(format!("{what} left out of this sparse checkout; hint: git sparse-checkout add {add}"))
}

fn unmatched(patterns: &[String]) -> Option<String> {
    let first = patterns.first()?;
    Some(format!("its output `{first}` was not written"))
}

/// Returns why a report that was read is not the one among the task's outputs; `None` if all are.
fn unstored_report(execution: &Execution, collected: &OutputSet) -> Option<String> {
    let reports = execution.reports.as_ref()?;
    let outputs = collected.outputs().iter();
    let outputs_by_path: HashMap<String, &OutputContent> =
        outputs.map(|output| (output.path.to_string(), &output.content)).collect();
    reports.sources.iter().find_map(|source| {
        let path = &source.path;
        match outputs_by_path.get(path) {
            Some(OutputContent::File { digest, .. }) if digest.hex() == source.digest => None,
            // A later hit would read the symlink's target, which may have changed by then.
            Some(OutputContent::Symlink { .. }) => {
                Some(format!("its report {path}: {}", ReportErrorKind::Symlink))
            }
            Some(OutputContent::File { .. } | OutputContent::Folder { .. }) | None => {
                Some(format!("its report {path} was changed after it ended; do two tasks write it?"))
            }
        }
    })
}

/// Returns a digest that never occurs again.
fn unique_digest(context: &Context<'_>, task: &str) -> Digest {
    let mut fields = FieldHasher::new("taskgate unknown outputs");
    fields.add(context.options.run_id.as_bytes()).add(task.as_bytes());
    fields.digest()
}
