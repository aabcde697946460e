//! The worker: gets the result of one node, from the cache or by an execution. It must not know which node is
//! next.
//!
//! The order of the steps ensures that no hit is wrong: take the locks, check whether another run has stored
//! the result meanwhile, execute, check that the inputs are still those of the key, and only then store.

use std::borrow::Cow;
use std::sync::Arc;

use crate::cache::Lookup;
use crate::decision_reason::Reason;
use crate::engine::context::Context;
use crate::engine::execution::{Execution, execute};
use crate::engine::location::Store;
use crate::engine::report::gate;
use crate::engine::report::stale;
use crate::engine::report::store::ReportState;
use crate::engine::run::inbox::NodeOutcome;
use crate::engine::run::state::NodeResult;
use crate::engine::task::command;
use crate::engine::task::dependency_outputs;
use crate::engine::task::diagnosis::{self, FailedTask};
use crate::engine::task::locks;
use crate::engine::task::locks::LockError;
use crate::engine::task::store_result;
use crate::engine::task::untracked_files::UntrackedFiles;
use crate::event::{Ended, Level, Log, Status, Stored, TaskFinished, What};
use crate::failure_hint::Hint;
use crate::graph::NodeId;
use crate::history::gate_records::GateRecord;
use crate::history::tasks::{self, ExecutionEnd};
use crate::key::inputs::InputSet;
use crate::key::{Contribution, Key};
use crate::plan::{CachePolicy, Decision, InputDigests, Miss, PlanInputs, Planned, StoredResult, resolve};
use crate::quality::evidence::Evidence;

/// Runs a node, all of whose needs have passed, and returns its outcome.
pub fn run_node(context: &Context<'_>, id: NodeId) -> NodeOutcome {
    if let Some(reason) = superseded(context, id) {
        context.emitter.emit(What::TaskFinished(result(context, id, Status::Skipped, reason)));
        return NodeOutcome::Superseded;
    }
    let planned = &*decide(context, id);
    match &planned.decision {
        Decision::Aggregate | Decision::Context => finished(Status::Passed),
        Decision::Skip(reason) => {
            let contribution = planned.contribution;
            context.finish(id, NodeResult { contribution, tainted: false });
            context.emitter.emit(What::TaskFinished(result(context, id, Status::Skipped, reason.clone())));
            finished(Status::Skipped)
        }
        Decision::Fail(reason) => {
            let status = Status::Failed { ended: Ended::NotStarted { why: reason.to_string() } };
            let result = with_hints(context, id, result(context, id, status.clone(), reason.clone()));
            context.emitter.emit(What::TaskFinished(result));
            finished(status)
        }
        Decision::Hit(reason) => restore_or_run(context, id, planned, reason),
        Decision::Miss(miss) => run_miss(context, id, planned, miss),
        Decision::Pending(reason) => {
            run_miss(context, id, planned, &Miss { reason: reason.clone(), permit: None })
        }
    }
}

/// Returns the decision for a node all of whose needs have passed: the plan's decision, or a new one if
/// something that the plan was made from has changed since.
fn decide<'a>(context: &Context<'a>, id: NodeId) -> Cow<'a, Planned> {
    let planned = &context.plan.nodes[id.0];
    if planned.key.is_none() && context.inputs.snapshot.is_none() {
        return Cow::Borrowed(planned);
    }
    let node = context.inputs.graph.node(id);
    let contributions = context.nodes.source_contributions(node);
    let known = |need: NodeId| contributions.get(&need).copied().flatten();
    let as_planned = node.sources.iter().all(|need| known(*need) == context.plan.nodes[need.0].contribution);
    let inputs = InputSet::new(context.inputs.config, context.inputs.graph, node);
    let (snapshot, is_changed) = context.tree.snapshot_for(&inputs);
    if as_planned && !is_changed && planned.key.is_some() {
        return Cow::Borrowed(planned);
    }
    let fresh = InputDigests::default();
    let digests = if is_changed { &fresh } else { context.inputs.digests };
    let plan_inputs = PlanInputs { snapshot: snapshot.as_deref(), digests, ..context.inputs };
    let planned = resolve(&plan_inputs, id, &known);
    context.nodes.redecide(id, Arc::new(planned.clone()));
    Cow::Owned(planned)
}

fn finished(status: Status) -> NodeOutcome {
    NodeOutcome::Finished { status, ran: false, is_slow: false, saved: 0 }
}

/// Takes the result from the cache, or executes the node if the cached result can't be used.
fn restore_or_run(context: &Context<'_>, id: NodeId, planned: &Planned, reason: &Reason) -> NodeOutcome {
    let locks = match reason {
        Reason::Cached { restores: Some(_), .. } => locks::acquire_for_restore(context, id),
        _ => Ok(Vec::new()),
    };
    let locks = match locks {
        Ok(locks) => locks,
        Err(refused) => return without_locks(context, id, reason, refused),
    };
    let taken = use_hit(context, id, planned, reason);
    drop(locks);
    taken.unwrap_or_else(|reason| run_miss(context, id, planned, &planned.lost_hit(reason)))
}

/// Takes the result from the cache and restores its outputs.
///
/// # Errors
/// The reason why it can't be used, which makes it a miss.
fn use_hit(
    context: &Context<'_>,
    id: NodeId,
    planned: &Planned,
    reason: &Reason,
) -> Result<NodeOutcome, Reason> {
    let task = context.task(id);
    let restores = matches!(reason, Reason::Cached { restores: Some(_), .. });
    let mut log = Log::default();
    if let (Some(store), Some(key)) = (&context.store, &planned.key)
        && (restores || context.options.wants_hit_logs || task.is_gate())
    {
        match store.cache.lookup(&key.digest) {
            Lookup::Hit(entry) => {
                if restores {
                    restore(context, id, store, &entry)?;
                }
                // A log that can't be read is not an error: it is only not shown.
                log.text = store.cache.log(&entry).unwrap_or_default();
            }
            Lookup::Absent => return Err(Reason::NotStored),
            Lookup::Damaged(what) => return Err(Reason::Damaged { what }),
        }
    }
    let mut result = result(context, id, Status::Hit, reason.clone());
    if task.is_gate() && !log.text.is_empty() {
        let evidence = serde_json::from_str(&std::mem::take(&mut log.text));
        let evidence: Box<Evidence> =
            evidence.map_err(|error| Reason::Damaged { what: format!("its evidence: {error}") })?;
        record_gate(context, id, &evidence);
        result.evidence = Some(evidence);
        context.report_store.release(&context.inputs.graph.node(id).sources);
    }
    if let Some(key) = &planned.key {
        context.report_store.put(id, ReportState::Cached(key.digest));
    }
    context.finish(id, NodeResult { contribution: planned.contribution, tainted: false });
    result.log = log;
    if !task.is_aggregate() {
        context.emitter.emit(What::TaskFinished(result));
    }
    Ok(NodeOutcome::Finished { status: Status::Hit, ran: false, is_slow: false, saved: reason.saved() })
}

fn restore(
    context: &Context<'_>,
    id: NodeId,
    store: &Store<'_>,
    entry: &crate::cache::Entry,
) -> Result<(), Reason> {
    let task = context.task(id);
    let snapshot = context.tree.snapshot();
    let is_tracked = |path: &crate::base::path::RepoPath| {
        snapshot.as_ref().and_then(|snapshot| snapshot.get(path)).is_some_and(|entry| entry.tracked)
    };
    let restored = store.cache.restore(context.location.root, &task.outputs, entry, &is_tracked);
    restored.map_err(|error| Reason::Unrestorable { what: error.to_string() })?;
    stale::save_restored(context, task, entry);
    context.tree.refresh(task, store.tree);
    Ok(())
}

/// Handles a node that can't get its locks. It waits, or fails if it would wait for itself.
fn without_locks(context: &Context<'_>, id: NodeId, reason: &Reason, refused: LockError) -> NodeOutcome {
    let LockError::SelfDeadlock(why) = refused else { return NodeOutcome::Blocked };
    let status = Status::Failed { ended: Ended::NotStarted { why } };
    context.emitter.emit(What::TaskFinished(result(context, id, status.clone(), reason.clone())));
    finished(status)
}

/// Executes a miss, unless another run executes it already.
fn run_miss(context: &Context<'_>, id: NodeId, planned: &Planned, miss: &Miss) -> NodeOutcome {
    let Miss { reason, permit } = miss;
    let locks = match locks::acquire_for_execution(context, id, permit.as_ref()) {
        Ok(locks) => locks,
        Err(refused) => return without_locks(context, id, reason, refused),
    };
    if let Some(hit) = stored_meanwhile(context, id, planned) {
        return hit;
    }
    if let Reason::Damaged { what } = reason {
        let text = format!("{}: the cache entry is damaged and will be replaced: {what}", context.name(id));
        context.emitter.notice(Level::Warning, text);
    }
    let before = context.tree.snapshot();
    let changed_outputs = dependency_outputs::changed_outputs(context, id);
    let mut execution = match context.task(id).gate() {
        Some(_) => gate::run(context, id, reason),
        None => execute(context, id, reason),
    };
    let is_slow = execution.is_slow;
    let superseded_by = superseded(context, id);
    let status = if superseded_by.is_some() { Status::Stopped } else { status(context, &execution) };
    if context.options.audit_collector().is_some() {
        return finish_audited(context, id, reason, execution, status);
    }
    let kept = if status.is_pass() {
        if context.store.is_some() {
            context.notify_storing(id);
        }
        store_result::store_if_allowed(
            context,
            id,
            &store_result::PassedExecution {
                planned,
                permit: permit.as_ref(),
                before: before.as_deref(),
                execution: &execution,
                status: &status,
                changed_outputs: changed_outputs.as_deref(),
            },
        )
    } else {
        report_changed_outputs(context, id, changed_outputs);
        store_result::StoreOutcome::not_passed()
    };
    if let Some(reports) = execution.reports.take().filter(|_| status.is_pass()) {
        context.report_store.put(id, ReportState::Read(Arc::new(reports)));
    }
    if superseded_by.is_none() {
        context.finish(id, NodeResult { contribution: kept.contribution, tainted: kept.tainted });
    }
    if let Some(evidence) = execution.evidence.as_ref().filter(|_| status.is_pass() && !kept.tainted) {
        record_gate(context, id, evidence);
    }
    record_execution(context, id, planned, &execution, &status, &kept.stored);
    drop(locks);
    let why = superseded_by.as_ref().unwrap_or(reason).clone();
    let finished = with_execution(result(context, id, status.clone(), why), execution, kept.stored);
    let finished = with_hints(context, id, finished);
    context.emitter.emit(What::TaskFinished(finished));
    if superseded_by.is_some() {
        return NodeOutcome::Superseded;
    }
    NodeOutcome::Finished { status, ran: true, is_slow, saved: 0 }
}

/// Returns a result with the outcome of its execution.
fn with_execution(result: TaskFinished, execution: Execution, stored: Stored) -> TaskFinished {
    TaskFinished {
        started: execution.started,
        took: execution.took,
        attempts: execution.attempts,
        stored,
        log: execution.log,
        failed_logs: execution.failed_logs,
        reported: execution.reported,
        evidence: execution.evidence,
        ..result
    }
}

/// Returns the result of a failed task with hints about the usual cause.
fn with_hints(context: &Context<'_>, id: NodeId, result: TaskFinished) -> TaskFinished {
    let Status::Failed { ended } = &result.status else { return result };
    let mut hints = diagnosis::hints(&FailedTask {
        task: context.task(id),
        ended,
        log: &result.log.text,
        root: context.location.root,
        env: context.inputs.env,
    });
    let missing = missing_file_hints(context, id, &result.log.text);
    if !missing.is_empty() {
        hints.retain(|hint| !matches!(hint, Hint::CommandNotFound { .. } | Hint::Shell { .. }));
    }
    hints.splice(0..0, missing);
    TaskFinished { hints: context.printed_once.new_hints(hints), ..result }
}

/// Returns hints about files that a task lacked which failed in a private worktree.
fn missing_file_hints(context: &Context<'_>, id: NodeId, log: &str) -> Vec<Hint> {
    let Some(origin) = context.location.origin.filter(|_| context.location.hold.is_some()) else {
        return Vec::new();
    };
    // Without the list there is no hint; the failure is reported anyway.
    let Ok(files) = UntrackedFiles::scan(origin.repository) else { return Vec::new() };
    files.hints(context.location.root, context.inputs.config, context.task(id), log)
}

/// Warns that outputs that a failed task needs have changed since they were written.
fn report_changed_outputs(context: &Context<'_>, id: NodeId, changed_outputs: Option<String>) {
    if let Some(what) = changed_outputs {
        context.emitter.notice(Level::Warning, format!("{}: {what}", context.name(id)));
    }
}

/// Reports an audited execution, whose result is not stored. Tasks that need it run anyway: they are audited
/// with the outputs that an earlier run wrote to the work tree.
fn finish_audited(
    context: &Context<'_>,
    id: NodeId,
    reason: &Reason,
    execution: Execution,
    status: Status,
) -> NodeOutcome {
    let passes = if status == Status::Stopped { status.clone() } else { Status::Passed };
    let result = result(context, id, status, reason.clone());
    let is_slow = execution.is_slow;
    context.emitter.emit(What::TaskFinished(with_execution(result, execution, Stored::NotTried)));
    NodeOutcome::Finished { status: passes, ran: true, is_slow, saved: 0 }
}

/// Returns why a node has to start again in the next run of `watch`.
fn superseded(context: &Context<'_>, id: NodeId) -> Option<Reason> {
    context.watching?;
    let invalidation = context.invalidation();
    let change = invalidation.superseded(id)?;
    Some(Reason::Superseded { path: change.path.clone(), how: change.how })
}

fn status(context: &Context<'_>, execution: &Execution) -> Status {
    match &execution.ended {
        ended if ended.is_pass() && execution.attempts > 1 => Status::Flaky,
        ended if ended.is_pass() => Status::Passed,
        // A task that is killed because the run stops did not fail.
        Ended::Stopped => Status::Stopped,
        Ended::Signal { .. } if context.stop.request() != crate::process::stop::StopRequest::None => {
            Status::Stopped
        }
        ended => Status::Failed { ended: ended.clone() },
    }
}

/// Records the findings of a gate that passed, for comparison with later trees.
fn record_gate(context: &Context<'_>, id: NodeId, evidence: &Evidence) {
    let gate = context.name(id).to_owned();
    context.records.add_gate(GateRecord { gate, record: evidence.record.clone() });
}

/// Uses a result that another run has stored since this run was planned.
fn stored_meanwhile(context: &Context<'_>, id: NodeId, planned: &Planned) -> Option<NodeOutcome> {
    let key = planned.key.as_ref().filter(|_| uses_cache(context, id))?;
    let task = context.task(id);
    let found = context.inputs.knowledge.look_up(task, &key.digest);
    let Lookup::Hit(StoredResult { outputs, differs, .. }) = found else { return None };
    let contribution =
        if task.outputs.is_empty() { Contribution::Key(key.digest) } else { Contribution::Outputs(outputs) };
    let planned = Planned { contribution: Some(contribution), ..planned.clone() };
    if differs.is_some()
        && let (Some(store), Lookup::Hit(entry)) = (&context.store, lookup(context, key))
    {
        restore(context, id, store, &entry).ok()?;
    }
    use_hit(context, id, &planned, &Reason::OtherRun).ok()
}

fn lookup(context: &Context<'_>, key: &Key) -> Lookup {
    context.store.as_ref().map_or(Lookup::Absent, |store| store.cache.lookup(&key.digest))
}

/// Returns whether results of the task may be read from the cache.
fn uses_cache(context: &Context<'_>, id: NodeId) -> bool {
    context.task(id).is_cached() && context.inputs.policy == CachePolicy::Use
}

fn record_execution(
    context: &Context<'_>,
    id: NodeId,
    planned: &Planned,
    execution: &Execution,
    status: &Status,
    stored: &Stored,
) {
    let end = match status {
        Status::Passed if *stored == Stored::Yes => ExecutionEnd::Stored { took: execution.took },
        Status::Passed | Status::Flaky => ExecutionEnd::Passed { took: execution.took },
        Status::Failed { .. } => ExecutionEnd::Failed,
        Status::Hit | Status::Stopped | Status::Skipped => return,
    };
    let key = planned.key.as_ref().map(|key| key.digest);
    context.records.add_execution(context.name(id), tasks::RecordedExecution { key, end });
}

/// Returns a result without an execution.
pub fn result(context: &Context<'_>, id: NodeId, status: Status, reason: Reason) -> TaskFinished {
    let task = context.task(id);
    let args = context.inputs.args.filter(|(receiver, _)| *receiver == context.inputs.graph.node(id).task);
    let args = args.map_or(&[][..], |(_, args)| args);
    TaskFinished {
        group: task.group.clone(),
        started: context.emitter.millis(),
        command: task
            .command()
            .map(|command| command::display(command, args, &context.secrets.mask))
            .unwrap_or_default(),
        sandboxed: task.is_sandboxed(),
        ..TaskFinished::new(&task.name, status, reason)
    }
}
