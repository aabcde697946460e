//! Leftovers: report files that lie there before an attempt begins. Those that the task wrote itself,
//! now or in a former run, are taken out; all others are noted, so that one which the attempt leaves
//! as it was is no evidence of it. It must not read a report.
//!
//! What git tracks is never taken out, nor what nobody knows the task to have written: a pattern may
//! match more than was meant.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::cache::Entry;
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::reports;
use crate::event::Level;
use crate::ground::clock::Timestamp;
use crate::ground::path::RepoPath;
use crate::ground::stat::Stat;
use crate::history::reports::Written;

/// The steps of the coarsest clock that a file system gives its files: two seconds, on FAT. What a
/// file's time says is compared no closer than that.
const COARSE: Duration = Duration::from_secs(2);

/// What lies where the attempts of a task write their reports.
pub struct Leftovers<'a> {
    context: &'a Context<'a>,
    task: &'a Task,
    since: Timestamp,
    /// Files that are the task's own.
    own: BTreeSet<RepoPath>,
    /// Files that stayed when the present attempt began.
    before: HashMap<RepoPath, Identity>,
}

/// The identity of a file's content, and of the symlink that leads to it. A clock that is too coarse
/// for it makes what was written anew look as if it were not: that fails, and never passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity(Option<Stat>, Option<Stat>);

impl Identity {
    fn of(path: &Path) -> Self {
        let stat = |about: std::io::Result<fs::Metadata>| about.ok().map(|about| Stat::of(&about));
        Self(stat(fs::symlink_metadata(path)), stat(fs::metadata(path)))
    }
}

impl<'a> Leftovers<'a> {
    /// Of a task that is about to be executed.
    pub fn of(context: &'a Context<'a>, task: &'a Task) -> Self {
        let written = context.site.store.as_ref().filter(|_| !task.reports.is_empty());
        let own = written.map(|store| Written::new(&store.state).of(&task.name)).unwrap_or_default();
        Self { context, task, since: Timestamp(0), own, before: HashMap::new() }
    }

    /// Takes out what the next attempt, whose work tree is at `place`, shall write anew, and notes
    /// what else lies there.
    pub fn clear(&mut self, place: &Path) {
        let snapshot = self.context.snapshot();
        let is_tracked = |path: &RepoPath| {
            // Where the tree is not known, everything may be tracked.
            snapshot.as_ref().is_none_or(|tree| tree.get(path).is_some_and(|entry| entry.tracked))
        };
        let mut found = reports::lying(self.task, place).unwrap_or_default();
        if let Some(store) = &self.context.site.store {
            let own = |path: &&RepoPath| self.own.contains(*path) && !is_tracked(path);
            let own: Vec<RepoPath> = found.iter().filter(own).cloned().collect();
            // What can't be taken out is noted as all else is.
            if !own.is_empty() && store.cache.take_out(place, own).is_ok() {
                found.retain(|path| fs::symlink_metadata(path.under(place)).is_ok());
            }
        }
        self.before = found
            .into_iter()
            .map(|path| {
                let identity = Identity::of(&path.under(place));
                (path, identity)
            })
            .collect();
        self.since = self.context.emitter.clock().now();
    }

    /// An attempt at `place` is over: what it wrote is the task's own.
    pub fn note(&mut self, place: &Path) {
        let found = reports::lying(self.task, place).unwrap_or_default();
        let written = found.into_iter().filter(|path| !self.is_as_before(path, &path.under(place)));
        let written: Vec<RepoPath> = written.collect();
        self.own.extend(written);
    }

    /// Whether a file, `modified` at that time, was not written by the present attempt.
    pub fn is_stale(&self, path: &RepoPath, on_disk: &Path, modified: SystemTime) -> bool {
        self.is_as_before(path, on_disk) || modified + COARSE < self.since.system()
    }

    fn is_as_before(&self, path: &RepoPath, on_disk: &Path) -> bool {
        self.before.get(path).is_some_and(|before| *before == Identity::of(on_disk))
    }

    /// Remembers what is the task's own for later runs.
    pub fn remember(&self) {
        remember(self.context, self.task, &self.own);
    }
}

/// Remembers the reports of an entry that was restored: they are the task's own as well.
pub fn remember_restored(context: &Context<'_>, task: &Task, entry: &Entry) {
    let restored = entry.outputs().map(|output| &output.path).filter(|path| reports::is_one(task, path));
    remember(context, task, &restored.cloned().collect());
}

fn remember(context: &Context<'_>, task: &Task, own: &BTreeSet<RepoPath>) {
    let Some(store) = context.site.store.as_ref().filter(|_| !own.is_empty()) else { return };
    if let Err(error) = Written::new(&store.state).add(&task.name, own) {
        let text = format!("{}: its reports may have to be deleted by hand: {error}", task.name);
        context.emitter.notice(Level::Warning, text);
    }
}
