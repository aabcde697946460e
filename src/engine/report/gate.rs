//! Runs a gate: collects what the reports of its tasks say, and has [`quality`] judge its rules.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::cache::{Lookup, Output, OutputContent};
use crate::config::model::Task;
use crate::decision_reason::Reason;
use crate::engine::context::Context;
use crate::engine::execution::Execution;
use crate::engine::report::baseline;
use crate::engine::report::error::{ReportError, ReportErrorKind};
use crate::engine::report::reader::{self, ReportReader, TaskReports};
use crate::engine::report::store::ReportState;
use crate::event::{Ended, What};
use crate::graph::{NodeId, Role};
use crate::quality::evidence::{Evidence, Verdict};
use crate::quality::{self, Baseline, GateInputs, JudgingContext, UnavailableTask};

/// Runs the gate of a node.
pub fn run(context: &Context<'_>, id: NodeId, reason: &Reason) -> Execution {
    let task = context.task(id);
    let started = context.emitter.millis();
    context.emitter.emit(What::TaskStarted {
        task: task.name.clone(),
        attempt: 1,
        reason: reason.clone(),
        expected: context.expected(id),
    });
    let (ended, evidence) = match judge(context, id) {
        Ok(evidence) => {
            let broken = evidence.rules.iter().filter(|ruling| ruling.verdict == Verdict::Broken).count();
            let ended = if broken == 0 { Ended::Exit { code: 0 } } else { Ended::Rules { broken } };
            (ended, Some(Box::new(evidence)))
        }
        Err(error) => (error.ended(&context.secrets.mask), None),
    };
    let took = context.emitter.millis().saturating_sub(started);
    Execution { took, ended, attempts: 1, evidence, ..Execution::new(started) }
}

fn judge(context: &Context<'_>, id: NodeId) -> Result<Evidence, ReportError> {
    let plan_inputs = &context.inputs;
    let node = plan_inputs.graph.node(id);
    let _lock = context.report_store.lock_judging();
    // The reports of a single task are not copied, as they may be large.
    let mut all: Option<Arc<TaskReports>> = None;
    let mut absent = Vec::new();
    for source in &node.sources {
        let task = plan_inputs.config.task(plan_inputs.graph.node(*source).task);
        if plan_inputs.graph.node(*source).role == Role::Context {
            return Err(ReportError { path: task.name.clone(), kind: ReportErrorKind::TaskNotRun });
        }
        if task.reports().is_empty() {
            continue;
        }
        if !task.runs_on(&plan_inputs.platform.os) {
            absent.push(absent_task(task, &plan_inputs.platform.os));
            continue;
        }
        let reports = load_reports(context, *source)?;
        all = Some(match all.take() {
            None => reports,
            Some(before) => {
                let mut joined = Arc::unwrap_or_clone(before);
                joined.join(Arc::unwrap_or_clone(reports))?;
                Arc::new(joined)
            }
        });
    }
    let all = all.unwrap_or_default();
    let Some(gate) = plan_inputs.config.task(node.task).gate() else { return Ok(Evidence::default()) };
    let today = baseline::day(context.emitter.clock().now());
    let unasked = JudgingContext { baseline: Baseline::NotNeeded, today };
    let JudgingContext { baseline, today } = plan_inputs.gates.get(&node.task).unwrap_or(&unasked);
    let case =
        GateInputs { rules: &gate.rules, facts: &all.facts, baseline, today: *today, unavailable: &absent };
    let reports =
        all.sources.iter().map(|source| source.with_mapped_path(&|path| context.secrets.mask.distinct(path)));
    Ok(Evidence { reports: reports.collect(), ..quality::judge(&case) })
}

/// Returns a task that does not run on this system, in the form that the rules take.
pub fn absent_task(task: &Task, os: &str) -> UnavailableTask {
    let kinds = task.reports().iter().map(|report| report.kind).collect();
    UnavailableTask { task: task.name.clone(), kinds, os: os.to_owned() }
}

/// Returns what the reports of a node said when its task ended. The reports of a hit are read now, and
/// must still be those that were stored.
///
/// # Errors
/// A report has changed since its task ended, or can't be used as evidence.
pub fn load_reports(context: &Context<'_>, id: NodeId) -> Result<Arc<TaskReports>, ReportError> {
    let task = context.task(id);
    let key = match context.report_store.take(id) {
        Some(ReportState::Read(reports)) => return Ok(reports),
        Some(ReportState::Cached(key)) => Some(key),
        // An audit stores nothing, so the reports of an earlier run are used.
        None => None,
    };
    let stored = key.map(|key| stored_reports(context, task, &key)).transpose()?;
    let snapshot = context.tree.snapshot();
    let root = context.location.root;
    let reader =
        ReportReader { root, workdir: root, snapshot: snapshot.as_deref(), mask: &context.secrets.mask };
    let reports = reader.read(task, None);
    if let Some(stored) = stored {
        check_unchanged(context, task, &stored, reports.as_ref().ok())?;
    }
    let reports = Arc::new(reports?);
    if key.is_some() {
        context.report_store.put(id, ReportState::Read(Arc::clone(&reports)));
    }
    Ok(reports)
}

/// Returns the reports of a cache entry, with the digests of those that are files.
fn stored_reports(
    context: &Context<'_>,
    task: &Task,
    key: &Digest,
) -> Result<BTreeMap<RepoPath, Option<Digest>>, ReportError> {
    let lookup = context.store.as_ref().map(|store| store.cache.lookup(key));
    let Some(Lookup::Hit(entry)) = lookup else {
        return Err(ReportError { path: task.name.clone(), kind: ReportErrorKind::NotCached });
    };
    let reports = entry.outputs().filter(|output| reader::is_report(task, &output.path));
    let digest = |output: &Output| match output.content {
        OutputContent::File { digest, .. } => Ok((output.path.clone(), Some(digest))),
        OutputContent::Folder { .. } => Ok((output.path.clone(), None)),
        // Such an entry is never stored, because the target could be changed.
        OutputContent::Symlink { .. } => {
            Err(ReportError { path: output.path.to_string(), kind: ReportErrorKind::Symlink })
        }
    };
    reports.map(digest).collect()
}

/// Checks that the reports of a hit are those that were stored. Reports that were not read, because an
/// earlier one can't be used as evidence, are hashed now.
fn check_unchanged(
    context: &Context<'_>,
    task: &Task,
    stored: &BTreeMap<RepoPath, Option<Digest>>,
    read: Option<&TaskReports>,
) -> Result<(), ReportError> {
    let root = context.location.root;
    let changed = |path: &RepoPath| ReportError {
        path: path.to_string(),
        kind: ReportErrorKind::Changed { task: task.name.clone() },
    };
    let existing = reader::find_report_files(task, root).unwrap_or_default();
    if let Some(path) = existing.iter().find(|path| !stored.contains_key(*path)) {
        return Err(changed(path));
    }
    let sources = read.into_iter().flat_map(|reports| &reports.sources);
    let digests: HashMap<&str, &str> = sources.map(|source| (&*source.path, &*source.digest)).collect();
    for (path, digest) in stored {
        let Some(digest) = digest else { continue };
        let is_same = match digests.get(&*path.to_string()) {
            Some(read) => *read == digest.hex(),
            None => reader::file_digest(&path.under(root)).is_ok_and(|now| now == *digest),
        };
        if !is_same {
            return Err(changed(path));
        }
    }
    Ok(())
}
