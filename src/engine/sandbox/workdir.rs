//! Where an attempt takes place: in the work tree, or in a sandbox that is made for it and whose
//! outputs are put in place behind it. It must not run anything.

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

/// The variable that names folders above which git looks for no repository.
const CEILING: &str = "GIT_CEILING_DIRECTORIES";

/// A folder that stands for the top of the work tree.
#[derive(Debug)]
pub struct Workdir {
    root: PathBuf,
    sandbox: Option<Sandbox>,
    is_traced: bool,
}

impl Workdir {
    /// That of the next attempt of a node.
    ///
    /// # Errors
    /// It is to be a sandbox, and there can't be one.
    pub fn create(context: &Context<'_>, id: NodeId) -> Result<Self, SandboxError> {
        let task = context.task(id);
        let is_traced = context.options.audit_collector().is_some();
        if !task.sandbox && !is_traced {
            return Ok(Self { root: context.location.root.to_owned(), sandbox: None, is_traced });
        }
        let (Some(sandboxes), Some(store), Some(snapshot)) =
            (&context.sandboxes, &context.store, context.tree.snapshot())
        else {
            return Err(SandboxError::NoTree);
        };
        let sandbox = sandboxes.create()?;
        let stock = contents(context, id, store, &snapshot)?;
        let goes_on = || context.stop.request() == crate::process::stop::StopRequest::None;
        sandbox.fill(&stock, context.location.root, &goes_on)?;
        Ok(Self { root: sandbox.tree(), sandbox: Some(sandbox), is_traced })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a command gets here.
    pub fn env(&self, mut of_task: EnvVars) -> EnvVars {
        if let Some(sandbox) = &self.sandbox {
            // A folder above it, such as the home folder, may be a repository.
            of_task.retain(|(name, _)| name != CEILING);
            of_task.push((CEILING.into(), sandbox.folder().into()));
        }
        of_task
    }

    /// The attempt's command as it is started here: through a tracer, if it is audited.
    pub fn command(&self, context: &Context<'_>, spawn: Spawn) -> Spawn {
        let Some(sandbox) = self.sandbox.as_ref().filter(|_| self.is_traced) else { return spawn };
        through_tracer(context, spawn, &sandbox.report(), None)
    }

    /// Ends it: what a passing attempt has declared as its outputs takes its place in the work tree,
    /// and all else of a sandbox goes. Of an audited one, the trace goes to the desk instead.
    pub fn finish(self, context: &Context<'_>, id: NodeId, ended: Ended) -> Ended {
        let Some(sandbox) = self.sandbox else { return ended };
        if let Some(desk) = context.options.audit_collector() {
            if let Some(audit) = evaluation::evaluate(context, id, &sandbox, &ended) {
                desk.add(audit);
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

/// Starts the command through a tracer that writes its report to `report`, of all files or only of
/// those below a folder.
pub fn through_tracer(context: &Context<'_>, spawn: Spawn, report: &Path, below: Option<&Path>) -> Spawn {
    let below = below.into_iter().flat_map(|folder| ["--below".into(), folder.into()]);
    let words = [report.into(), "--".into(), spawn.program.into()];
    let words = [TRACE_ARGUMENT.into()].into_iter().chain(below).chain(words);
    let args: Vec<OsString> = words.chain(spawn.args).collect();
    Spawn { program: context.inputs.env.program().to_owned(), args, ..spawn }
}

/// All that a task declares, and what the tasks that it needs left.
fn contents(
    context: &Context<'_>,
    id: NodeId,
    store: &Store<'_>,
    snapshot: &Snapshot,
) -> Result<SandboxContents, SandboxError> {
    let world = &context.inputs;
    let node = world.graph.node(id);
    let mut stock = SandboxContents::default();
    for entry in InputSet::new(world.config, world.graph, node).select(snapshot) {
        if entry.absent {
            continue;
        }
        if entry.mode == Mode::Submodule {
            stock.files.extend(store.tree.files_inside(&entry.path)?);
            stock.folders.insert(entry.path.clone());
        } else {
            stock.files.insert(entry.path.clone());
        }
    }
    for source in &node.sources {
        let needed = world.config.task(world.graph.node(*source).task);
        // What does not run on this system leaves nothing that would be in the key.
        if needed.outputs.is_empty() || !needed.runs_on(&world.platform.os) {
            continue;
        }
        for output in store.cache.collect(context.location.root, &needed.outputs)?.outputs() {
            let kind = if output.is_folder() { &mut stock.folders } else { &mut stock.files };
            kind.insert(output.path.clone());
        }
    }
    stock.folders.insert(world.config.task(node.task).cwd.clone());
    Ok(stock)
}

/// Puts outputs in place. What went wrong, as a clause.
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
    let moved = store.cache.transfer(&sandbox.tree(), context.location.root, &task.outputs, &is_tracked);
    moved.map(|_| ()).map_err(|error| error.to_string())
}
