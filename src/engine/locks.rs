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

use std::path::PathBuf;

use crate::config::model::Task;
use crate::engine::context::{Context, Store};
use crate::event::Level;
use crate::graph::NodeId;
use crate::ground::digest::Digest;
use crate::ground::file::FileError;
use crate::ground::lock::FileLock;
use crate::history::writers::Writers;
use crate::key::Key;
use crate::plan::CachePolicy;
use crate::process::strays::RUN_VARIABLE;

/// A lock that a node wants.
struct Wanted {
    path: PathBuf,
    is_shared: bool,
    /// What the node waits for if it can't have it.
    on: String,
}

impl Wanted {
    fn take(&self) -> Result<Option<FileLock>, FileError> {
        if self.is_shared { FileLock::named_shared(&self.path) } else { FileLock::named(&self.path) }
    }
}

/// What a node needs to be executed. `None` if another run holds one of them, which is told.
pub fn of_execution(context: &Context<'_>, id: NodeId, key: Option<&Key>) -> Option<Vec<FileLock>> {
    let Some(store) = &context.site.store else { return Some(Vec::new()) };
    let task = task_of(context, id);
    let mut wanted = Vec::new();
    if let Some(key) = key.filter(|_| task.cache && context.world.policy != CachePolicy::Off) {
        let on = "another run that has it in work".to_owned();
        wanted.push(alone(store, &format!("key-{}", key.digest.hex()), on));
    }
    for name in &task.locks {
        let on = format!("the lock `{name}`, which another run holds");
        wanted.push(alone(store, &format!("name-{}", Digest::of(name.as_bytes()).short()), on));
    }
    wanted.extend(outputs(context, store, task));
    wanted.extend(sources(context, store, id));
    take(context, id, &wanted).inspect(|_| note_writer(context, store, task))
}

/// What a node needs for its outputs to be put in place. `None` as in [`of_execution`].
pub fn of_restore(context: &Context<'_>, id: NodeId) -> Option<Vec<FileLock>> {
    let Some(store) = &context.site.store else { return Some(Vec::new()) };
    let task = task_of(context, id);
    let wanted: Vec<Wanted> = outputs(context, store, task).into_iter().collect();
    take(context, id, &wanted).inspect(|_| note_writer(context, store, task))
}

/// Notes that this run writes the outputs of a task from now on.
fn note_writer(context: &Context<'_>, store: &Store<'_>, task: &Task) {
    if task.outputs.is_empty() || task.gate.is_some() {
        return;
    }
    let noted = Writers::new(&store.state).note(&context.site.root, &task.name, &context.conduct.run);
    if let Err(error) = noted {
        context.emitter.notice(Level::Warning, format!("{}: {error}", task.name));
    }
}

fn alone(store: &Store<'_>, name: &str, on: String) -> Wanted {
    Wanted { path: store.state.join("locks").join(name), is_shared: false, on }
}

fn outputs(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Option<Wanted> {
    let path = place(context, store, task)?;
    Some(Wanted { path, is_shared: false, on: "another run that has its outputs in use".to_owned() })
}

/// A gate takes none: what it reads is compared with what the tasks said that they wrote.
fn sources(context: &Context<'_>, store: &Store<'_>, id: NodeId) -> Vec<Wanted> {
    if task_of(context, id).gate.is_some() {
        return Vec::new();
    }
    let sources = context.world.graph.node(id).sources.iter().map(|source| task_of(context, *source));
    let wanted = sources.filter_map(|source| {
        let path = place(context, store, source)?;
        Some(Wanted {
            path,
            is_shared: true,
            on: format!("another run that writes the outputs of {}", source.name),
        })
    });
    wanted.collect()
}

/// The lock of a task's outputs in this work tree; none if it has no outputs, or if this run is part of
/// a task of another one: that one may hold what this one would wait for.
fn place(context: &Context<'_>, store: &Store<'_>, task: &Task) -> Option<PathBuf> {
    let is_inner = context.world.env.var(RUN_VARIABLE).is_some();
    if task.outputs.is_empty() || is_inner {
        return None;
    }
    let identity = [context.site.root.as_os_str().as_encoded_bytes(), b"\0", task.name.as_bytes()].concat();
    Some(store.state.join("locks").join(format!("outputs-{}", Digest::of(&identity).hex())))
}

fn take(context: &Context<'_>, id: NodeId, wanted: &[Wanted]) -> Option<Vec<FileLock>> {
    let mut held = Vec::with_capacity(wanted.len());
    for lock in wanted {
        match lock.take() {
            Ok(Some(lock)) => held.push(lock),
            Ok(None) => {
                context.tell_waiting(id, &lock.on);
                return None;
            }
            // A lock that can't be made costs a second execution at worst: the store is atomic.
            Err(error) => {
                let text = format!("{}: {error}", task_of(context, id).name);
                context.emitter.notice(Level::Warning, text);
            }
        }
    }
    Some(held)
}

fn task_of<'a>(context: &Context<'a>, id: NodeId) -> &'a Task {
    context.world.config.task(context.world.graph.node(id).task)
}
