//! Evaluates the trace of one execution in a sandbox against the work tree. [`findings`] decides what is
//! undeclared.

use std::path::{Path, PathBuf};

use open_trace::{Doubt, DoubtKind, Trace};

use crate::base::path::RepoPath;
use crate::config::model::{Command, TaskId};
use crate::engine::audit::collector::Audit;
use crate::engine::audit::findings::{self, AuditRoots, Declared, FsEntry};
use crate::engine::context::Context;
use crate::engine::sandbox::Sandbox;
use crate::event::Ended;
use crate::git::snapshot::Snapshot;
use crate::graph::{Node, NodeId};
use crate::key::inputs::InputSet;

/// Returns the audit of a node that was executed in `sandbox` and ended with `ended`; `None` if it was not
/// started.
pub fn evaluate(context: &Context<'_>, id: NodeId, sandbox: &Sandbox, ended: &Ended) -> Option<Audit> {
    let node = context.inputs.graph.node(id);
    let none =
        || Trace { doubts: vec![Doubt { kind: DoubtKind::Unreported, program: None }], ..Trace::default() };
    let mut trace = match Trace::load(&sandbox.report()) {
        Ok(trace) => trace,
        Err(_) if matches!(ended, Ended::NotStarted { .. } | Ended::Service { .. }) => return None,
        Err(_) => none(),
    };
    if matches!(context.inputs.config.task(node.task).command(), Some(Command::Rust(_))) {
        // The program contains the task's function. It is the task itself, not an input.
        let own = context.inputs.env.program_path().canonicalize().unwrap_or_default();
        trace.files.retain(|seen| seen.path.as_path() != own);
    }
    let trees = work_trees(context);
    let roots = AuditRoots { sandbox: &sandbox.tree(), work_trees: &trees };
    let root = trees.first().cloned().unwrap_or_default();
    let snapshot = context.tree.snapshot()?;
    let inputs = InputSet::new(context.inputs.config, context.inputs.graph, node);
    let would_read = |path: &RepoPath| inputs.contains(path);
    let declared = declared(context, node, &inputs, &snapshot, &would_read);
    let mut audit_findings =
        findings::evaluate(&trace, &declared, &roots, &|path| existing_entry(&root, path));
    // Services are not traced, so only the task's own inputs can count as unopened.
    let own = &context.inputs.config.task(node.task).inputs;
    audit_findings.unopened.retain(|path| own.matches(path));
    if !trace.is_complete() {
        audit_findings.unopened.clear();
    }
    Some(Audit {
        task: node.task,
        doubts: trace.doubts,
        findings: audit_findings,
        inputs: declared.inputs.len(),
    })
}

fn declared<'a>(
    context: &Context<'a>,
    node: &Node,
    inputs: &InputSet<'_>,
    snapshot: &'a Snapshot,
    would_read: &'a dyn Fn(&RepoPath) -> bool,
) -> Declared<'a> {
    let config = context.inputs.config;
    let task = config.task(node.task);
    let known: Vec<TaskId> = node
        .sources
        .iter()
        .map(|source| context.inputs.graph.node(*source).task)
        .chain([node.task])
        .collect();
    let others = config.ids().filter(|id| !known.contains(id)).map(|id| config.task(id));
    let mut entries: Vec<_> = inputs.select(snapshot).collect();
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Declared {
        snapshot,
        inputs: entries,
        outputs: known.iter().map(|id| &config.task(*id).outputs).collect(),
        others: others.map(|task| (task.name.as_str(), &task.outputs)).collect(),
        base: RepoPath::from_git(task.place.file.as_bytes()).parent().unwrap_or_default(),
        would_read,
    }
}

/// Returns the work tree, and the main work tree, which contains the state directory; both without symlinks.
fn work_trees(context: &Context<'_>) -> Vec<PathBuf> {
    let state = context.store.as_ref().map(|store| store.state);
    let git = state.and_then(Path::parent).filter(|folder| folder.ends_with(".git"));
    let all = [Some(context.location.root), git.and_then(Path::parent)];
    let mut trees: Vec<PathBuf> = all
        .into_iter()
        .flatten()
        .map(|tree| tree.canonicalize().unwrap_or_else(|_| tree.to_owned()))
        .collect();
    trees.dedup();
    trees
}

/// Returns what exists at a path of the work tree.
fn existing_entry(root: &Path, path: &RepoPath) -> Option<FsEntry> {
    let full = path.under(root);
    full.symlink_metadata().ok()?;
    let leads_to = full.canonicalize().ok();
    let real_path = leads_to.as_ref().and_then(|real| real.strip_prefix(root).ok()).map(findings::repo_path);
    let is_folder = full.is_dir();
    // Git has no empty folders, so they can't be declared.
    if is_folder && std::fs::read_dir(&full).is_ok_and(|mut entries| entries.next().is_none()) {
        return None;
    }
    Some(FsEntry { is_folder, real_path: real_path.unwrap_or_else(|| path.clone()) })
}
