//! The locks that a node holds while it runs, so that runs at the same time don't disturb each other.
//! They must not know what becomes of the node.
//!
//! A node takes all its locks at once or none, and gives them back when it has ended; so no two nodes
//! wait for each other, whatever runs they belong to.
//!
//! - Its key's: one run at a time executes a key, the others take its result.
//! - Those that the task names with `locks`.
//! - In one work tree, its outputs' alone, and those of the tasks whose outputs it reads together with
//!   others that read them: another run, even one with other sources, does not write over what a task
//!   is just reading.
//!
//! A task may call this program. What its run wants and the task holds already is not waited for: a
//! name is the task's and so its run's, and a key is that of a task which needs itself.

use std::path::PathBuf;

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::lock::FileLock;
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::location::Store;
use crate::engine::task::task_env::{self, task_id};
use crate::graph::NodeId;
use crate::history::writers::{self, Writers};
use crate::plan::StorePermit;
use crate::process::orphans::RUN_VARIABLE;

/// Why a node can't have its locks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockError {
    /// Another run holds one, which is told: it tries again later.
    Busy,
    /// The task that this run is a part of holds one until this run has ended; a clause.
    SelfDeadlock(String),
}

/// A lock that a node wants.
struct LockRequest {
    path: PathBuf,
    kind: LockKind,
    /// What the node waits for if it can't have it.
    waits_for: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LockKind {
    /// The key's.
    Key,
    /// One that the task names.
    Name,
    /// Outputs, to write them.
    Written,
    /// Outputs, to read them.
    Read,
}

impl LockRequest {
    fn try_lock(&self) -> Result<Option<FileLock>, FileError> {
        if self.kind == LockKind::Read {
            FileLock::named_shared(&self.path)
        } else {
            FileLock::named(&self.path)
        }
    }
}

/// What a node needs to be executed.
///
/// Errors: it can't have them.
pub fn acquire_for_execution(
    context: &Context<'_>,
    id: NodeId,
    permit: Option<&StorePermit>,
) -> Result<Vec<FileLock>, LockError> {
    let Some(store) = &context.store else { return Ok(Vec::new()) };
    let task = context.task(id);
    let mut wanted = Vec::new();
    if let Some(permit) = permit {
        let on = "another run that has it in work".to_owned();
        wanted.push(LockRequest {
            path: lock_path(store, &format!("key-{}", permit.key().hex())),
            kind: LockKind::Key,
            waits_for: on,
        });
    }
    for name in &task.locks {
        let on = format!("the lock `{name}`, which another run holds");
        let file = format!("name-{}", Digest::of(name.as_bytes()).short());
        wanted.push(LockRequest { path: lock_path(store, &file), kind: LockKind::Name, waits_for: on });
    }
    wanted.extend(outputs(context, store, task));
    wanted.extend(sources(context, store, id));
    acquire(context, id, &wanted).inspect(|_| record_writer(context, store, task))
}

/// What a node needs for its outputs to be put in place.
///
/// Errors: it can't have them.
pub fn acquire_for_restore(context: &Context<'_>, id: NodeId) -> Result<Vec<FileLock>, LockError> {
    let Some(store) = &context.store else { return Ok(Vec::new()) };
    let task = context.task(id);
    let wanted: Vec<LockRequest> = outputs(context, store, task).into_iter().collect();
    acquire(context, id, &wanted).inspect(|_| record_writer(context, store, task))
}

/// Notes that this run writes the outputs of a task from now on.
fn record_writer(context: &Context<'_>, store: &Store<'_>, task: &Task) {
    if task.outputs.is_empty() || task.gate.is_some() {
        return;
    }
    let noted = Writers::new(&store.state).note(context.location.root, &task.name, &context.options.run_id);
    if let Err(error) = noted {
        context.emitter.warn_unwritten(&error);
    }
}

fn lock_path(store: &Store<'_>, name: &str) -> PathBuf {
    store.state.join("locks").join(name)
}

fn outputs(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Option<LockRequest> {
    let path = outputs_lock_path(context, store, task)?;
    Some(LockRequest {
        path,
        kind: LockKind::Written,
        waits_for: "another run that has its outputs in use".to_owned(),
    })
}

/// A gate takes none: what it reads is compared with what the tasks said that they wrote.
fn sources(context: &Context<'_>, store: &Store<'_>, id: NodeId) -> Vec<LockRequest> {
    if context.task(id).gate.is_some() {
        return Vec::new();
    }
    let sources = context.inputs.graph.node(id).sources.iter().map(|source| context.task(*source));
    let wanted = sources.filter_map(|source| {
        let path = outputs_lock_path(context, store, source)?;
        Some(LockRequest {
            path,
            kind: LockKind::Read,
            waits_for: format!("another run that writes the outputs of {}", source.name),
        })
    });
    wanted.collect()
}

/// The lock of a task's outputs in this work tree; none if it has no outputs, or if this run is part of
/// a task of another one: that one may hold what this one would wait for.
fn outputs_lock_path(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Option<PathBuf> {
    let is_inner = context.inputs.env.var(RUN_VARIABLE).is_some();
    if task.outputs.is_empty() || is_inner {
        return None;
    }
    let place = writers::place(context.location.root, &task.name);
    Some(lock_path(store, &format!("outputs-{}", place.hex())))
}

fn acquire(context: &Context<'_>, id: NodeId, wanted: &[LockRequest]) -> Result<Vec<FileLock>, LockError> {
    let mut held = Vec::with_capacity(wanted.len());
    for lock in wanted {
        match lock.try_lock() {
            Ok(Some(taken)) => {
                if matches!(lock.kind, LockKind::Key | LockKind::Name) {
                    // Who can't sign is waited for like anybody else.
                    let _ = taken.sign(&own_id(context, id));
                }
                held.push(taken);
            }
            Ok(None) => match (lock.kind, is_held_by_parent(context, lock)) {
                (LockKind::Name, true) => {}
                (LockKind::Key, true) => {
                    let why =
                        "it is in work already, by the task that calls this run: it would wait for itself";
                    return Err(LockError::SelfDeadlock(why.to_owned()));
                }
                _ => {
                    context.report_waiting(id, &lock.waits_for);
                    return Err(LockError::Busy);
                }
            },
            // A lock that can't be made costs a second execution at worst: the store is atomic.
            // Where no one can write, there is no other run to keep out.
            Err(error) => context.emitter.warn_unwritten(&error),
        }
    }
    Ok(held)
}

/// What this run signs a task's locks with.
fn own_id(context: &Context<'_>, id: NodeId) -> String {
    task_id(&context.options.run_id, &context.task(id).name)
}

/// Whether one of the tasks that this run is a part of holds a lock.
fn is_held_by_parent(context: &Context<'_>, lock: &LockRequest) -> bool {
    let around = task_env::parent_tasks(context.inputs.env);
    !around.is_empty() && FileLock::holder(&lock.path).is_some_and(|holder| around.contains(&holder))
}
