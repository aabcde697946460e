//! The locks that a node holds while it runs, so that concurrent runs don't disturb each other. This module
//! must not know how the node ends.
//!
//! A node takes either all its locks or none, and releases them when it has ended. So two nodes never wait
//! for each other, even if they are in different runs.
//!
//! - The lock of its key. One run at a time executes a key; the others use its result.
//! - The locks that the task names with `locks`.
//! - Within one work tree, an exclusive lock of its outputs and shared locks of the outputs that it reads.
//!   So another run does not overwrite what a task is reading.
//!
//! A task may start this program. The inner run does not wait for a named lock that the task holds, since the
//! task itself waits for the inner run. If it needs the key that the task holds, it fails, since it would
//! wait for itself.

use std::path::PathBuf;

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::lock::FileLock;
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::location::Store;
use crate::engine::task::task_env::{self, task_id};
use crate::graph::NodeId;
use crate::history::output_writers::{self, OutputWriters};
use crate::plan::StorePermit;
use crate::process::orphans::RUN_VARIABLE;

/// Why a node can't get its locks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LockError {
    /// Another run holds one. The node tries again later.
    Busy,
    /// The task that started this run holds one until this run has ended. The text explains that.
    SelfDeadlock(String),
}

/// A lock that a node needs.
struct LockRequest {
    path: PathBuf,
    kind: LockKind,
    /// What the node waits for if another run holds it.
    waits_for: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LockKind {
    /// The lock of a key.
    Key,
    /// A lock that the task names.
    Name,
    /// The exclusive lock of outputs, to write them.
    Written,
    /// The shared lock of outputs, to read them.
    Read,
}

impl LockRequest {
    fn try_lock(&self) -> Result<Option<FileLock>, FileError> {
        if self.kind == LockKind::Read {
            FileLock::try_named_shared(&self.path)
        } else {
            FileLock::named(&self.path)
        }
    }
}

/// Acquires the locks that a node needs to be executed.
///
/// # Errors
/// Another run holds one of them.
pub fn acquire_for_execution(
    context: &Context<'_>,
    id: NodeId,
    permit: Option<&StorePermit>,
) -> Result<Vec<FileLock>, LockError> {
    let Some(store) = &context.store else { return Ok(Vec::new()) };
    let task = context.task(id);
    let mut wanted = Vec::new();
    if let Some(permit) = permit {
        let waits_for = "another run that executes it".to_owned();
        wanted.push(LockRequest {
            path: lock_path(store, &format!("key-{}", permit.key().hex())),
            kind: LockKind::Key,
            waits_for,
        });
    }
    for name in task.run().map_or(&[][..], |run| &run.locks) {
        let waits_for = format!("the lock `{name}`, which another run holds");
        let file = format!("name-{}", Digest::hash(name.as_bytes()).short());
        wanted.push(LockRequest { path: lock_path(store, &file), kind: LockKind::Name, waits_for });
    }
    wanted.extend(outputs_lock(context, store, task));
    wanted.extend(source_locks(context, store, id));
    acquire(context, id, &wanted).inspect(|_| record_writer(context, store, task))
}

/// Acquires the locks that a node needs to restore its outputs.
///
/// # Errors
/// Another run holds one of them.
pub fn acquire_for_restore(context: &Context<'_>, id: NodeId) -> Result<Vec<FileLock>, LockError> {
    let Some(store) = &context.store else { return Ok(Vec::new()) };
    let task = context.task(id);
    let wanted: Vec<LockRequest> = outputs_lock(context, store, task).into_iter().collect();
    acquire(context, id, &wanted).inspect(|_| record_writer(context, store, task))
}

/// Records that this run writes the outputs of a task from now on.
fn record_writer(context: &Context<'_>, store: &Store<'_>, task: &Task) {
    if task.outputs.is_empty() || task.is_gate() {
        return;
    }
    let recorded =
        OutputWriters::new(store.state).record(context.location.root, &task.name, &context.options.run_id);
    if let Err(error) = recorded {
        context.emitter.warn_unwritten(&error);
    }
}

fn lock_path(store: &Store<'_>, name: &str) -> PathBuf {
    store.state.join("locks").join(name)
}

fn outputs_lock(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Option<LockRequest> {
    let path = outputs_lock_path(context, store, task)?;
    Some(LockRequest {
        path,
        kind: LockKind::Written,
        waits_for: "another run that uses its outputs".to_owned(),
    })
}

/// Returns the locks of the outputs that a node reads. A gate needs none: the reports that it reads are
/// compared with what the tasks wrote.
fn source_locks(context: &Context<'_>, store: &Store<'_>, id: NodeId) -> Vec<LockRequest> {
    if context.task(id).is_gate() {
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

/// Returns the lock file of a task's outputs in this work tree. Returns `None` if it has no outputs, or if
/// this run was started by a task of another run, which may hold the lock until this run has ended.
fn outputs_lock_path(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Option<PathBuf> {
    let is_inner = context.inputs.env.var(RUN_VARIABLE).is_some();
    if task.outputs.is_empty() || is_inner {
        return None;
    }
    let outputs_id = output_writers::outputs_id(context.location.root, &task.name);
    Some(lock_path(store, &format!("outputs-{}", outputs_id.hex())))
}

fn acquire(context: &Context<'_>, id: NodeId, wanted: &[LockRequest]) -> Result<Vec<FileLock>, LockError> {
    let mut held = Vec::with_capacity(wanted.len());
    for lock in wanted {
        match lock.try_lock() {
            Ok(Some(taken)) => {
                if matches!(lock.kind, LockKind::Key | LockKind::Name) {
                    // Without the signature, a run that the task starts waits for this lock like for any
                    // other.
                    let _ = taken.sign(&own_id(context, id));
                }
                held.push(taken);
            }
            Ok(None) => match (lock.kind, is_held_by_parent(context, lock)) {
                (LockKind::Name, true) => {}
                (LockKind::Key, true) => {
                    let why =
                        "the task that started this run is already running it, so it would wait for itself";
                    return Err(LockError::SelfDeadlock(why.to_owned()));
                }
                _ => {
                    context.report_waiting(id, &lock.waits_for);
                    return Err(LockError::Busy);
                }
            },
            // Without a lock file a task may be executed twice, which does no harm: storing is atomic. If
            // nothing can be written, there is no other run to exclude.
            Err(error) => context.emitter.warn_unwritten(&error),
        }
    }
    Ok(held)
}

/// Returns the text with which this run signs a task's locks.
fn own_id(context: &Context<'_>, id: NodeId) -> String {
    task_id(&context.options.run_id, &context.task(id).name)
}

/// Returns whether a lock is held by a task that has started this run.
fn is_held_by_parent(context: &Context<'_>, lock: &LockRequest) -> bool {
    let parents = task_env::parent_tasks(context.inputs.env);
    !parents.is_empty() && FileLock::holder(&lock.path).is_some_and(|holder| parents.contains(&holder))
}
