//! The folder in which an attempt runs: the work tree, or a sandbox that is made for the attempt and whose
//! outputs are moved into the work tree afterwards. This module must not start the task.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::base::path::RepoPath;
use crate::config::model::Task;
use crate::engine::audit::evaluation;
use crate::engine::context::Context;
use crate::engine::location::Store;
use crate::engine::sandbox::{Sandbox, SandboxContents, SandboxError};
use crate::engine::task::task_env::EnvVars;
use crate::event::Ended;
use crate::git::snapshot::{Mode, Snapshot};
use crate::graph::NodeId;
use crate::key::inputs::InputSet;
use crate::process::TRACE_ARGUMENT;
use crate::process::spawn::Spawn;

/// The variable with the folders at which git stops to look for a repository in parent folders.
const CEILING: &str = "GIT_CEILING_DIRECTORIES";

/// The folder of an attempt: the top of the work tree, or what replaces it.
#[derive(Debug)]
pub struct Workdir {
    root: PathBuf,
    sandbox: Option<Sandbox>,
    is_traced: bool,
}

impl Workdir {
    /// Creates the folder of the next attempt of a node.
    ///
    /// # Errors
    /// It has to be a sandbox, and that can't be made.
    pub fn create(context: &Context<'_>, id: NodeId) -> Result<Self, SandboxError> {
        let task = context.task(id);
        let is_traced = context.options.audit_collector().is_some();
        if !task.is_sandboxed() && !is_traced {
            return Ok(Self { root: context.location.root.to_owned(), sandbox: None, is_traced });
        }
        let (Some(sandboxes), Some(store), Some(snapshot)) =
            (&context.sandboxes, &context.store, context.tree.snapshot())
        else {
            return Err(SandboxError::NoTree);
        };
        let sandbox = sandboxes.create()?;
        let contents = contents(context, id, store, &snapshot)?;
        let keep_going = || context.stop.request() == crate::process::stop::StopRequest::None;
        sandbox.fill(&contents, context.location.root, &keep_going)?;
        Ok(Self { root: sandbox.tree(), sandbox: Some(sandbox), is_traced })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the environment of a command in this folder.
    pub fn env(&self, mut vars: EnvVars) -> EnvVars {
        if let Some(sandbox) = &self.sandbox {
            // A parent folder, such as the home folder, may be a repository.
            vars.retain(|(name, _)| name != CEILING);
            vars.push((CEILING.into(), sandbox.folder().into()));
        }
        vars
    }

    /// Returns the command of the attempt; if it is audited, one that runs it under the tracer.
    pub fn command(&self, context: &Context<'_>, spawn: Spawn) -> Spawn {
        let Some(sandbox) = self.sandbox.as_ref().filter(|_| self.is_traced) else { return spawn };
        through_tracer(context, spawn, &sandbox.report(), None)
    }

    /// Finishes the attempt: moves the declared outputs of a passed one into the work tree and removes the
    /// sandbox. The trace of an audited attempt goes to the collector instead.
    pub fn finish(self, context: &Context<'_>, id: NodeId, ended: Ended) -> Ended {
        let Some(sandbox) = self.sandbox else { return ended };
        if let Some(collector) = context.options.audit_collector() {
            if let Some(audit) = evaluation::evaluate(context, id, &sandbox, &ended) {
                collector.add(audit);
            }
            return ended;
        }
        let task = context.task(id);
        match &context.store {
            Some(store) if ended.is_pass() && !task.outputs.is_empty() => {
                match move_outputs(context, task, store, &sandbox) {
                    Ok(()) => ended,
                    Err(why) => Ended::Outputs { why },
                }
            }
            _ => ended,
        }
    }
}

/// Returns a command that runs under a tracer, which reports all opened files to `report`, or only those
/// below a folder.
pub fn through_tracer(context: &Context<'_>, spawn: Spawn, report: &Path, below: Option<&Path>) -> Spawn {
    let below = below.into_iter().flat_map(|folder| ["--below".into(), folder.into()]);
    let words = [report.into(), "--".into(), spawn.program.into()];
    let words = [TRACE_ARGUMENT.into()].into_iter().chain(below).chain(words);
    let args: Vec<OsString> = words.chain(spawn.args).collect();
    Spawn { program: context.inputs.env.program().to_owned(), args, ..spawn }
}

/// Returns the files that a task declares, and the outputs of the tasks that it needs.
fn contents(
    context: &Context<'_>,
    id: NodeId,
    store: &Store<'_>,
    snapshot: &Snapshot,
) -> Result<SandboxContents, SandboxError> {
    let plan_inputs = &context.inputs;
    let node = plan_inputs.graph.node(id);
    let mut contents = SandboxContents::default();
    for entry in InputSet::new(plan_inputs.config, plan_inputs.graph, node).select(snapshot) {
        if entry.not_checked_out {
            continue;
        }
        if entry.mode == Mode::Submodule {
            contents.files.extend(store.tree.files_inside(&entry.path)?);
            contents.folders.insert(entry.path.clone());
        } else {
            contents.files.insert(entry.path.clone());
        }
    }
    for source in &node.sources {
        let needed = plan_inputs.config.task(plan_inputs.graph.node(*source).task);
        // A task that does not run on this system has no outputs in the key.
        if needed.outputs.is_empty() || !needed.runs_on(&plan_inputs.platform.os) {
            continue;
        }
        for output in store.cache.collect(context.location.root, &needed.outputs)?.outputs() {
            let kind = if output.is_folder() { &mut contents.folders } else { &mut contents.files };
            kind.insert(output.path.clone());
        }
    }
    contents.folders.insert(plan_inputs.config.task(node.task).env.cwd.clone());
    Ok(contents)
}

/// Moves outputs into the work tree. The error is a message without the task's name.
fn move_outputs(
    context: &Context<'_>,
    task: &Task,
    store: &Store<'_>,
    sandbox: &Sandbox,
) -> Result<(), String> {
    let snapshot = context.tree.snapshot();
    let is_tracked = |path: &RepoPath| {
        snapshot.as_ref().and_then(|snapshot| snapshot.get(path)).is_some_and(|entry| entry.tracked)
    };
    let transferred =
        store.cache.transfer(&sandbox.tree(), context.location.root, &task.outputs, &is_tracked);
    transferred.map(|_| ()).map_err(|error| error.to_string())
}
