//! Leftovers: report files that lie there before an attempt begins. Those that the task wrote itself,
//! now or in a former run, are taken out; all others are noted, so that one which the attempt leaves
//! as it was is no evidence of it. It must not read a report.
//!
//! What git tracks is never taken out, nor what is not byte for byte what the task is known to have left
//! in this work tree: a pattern may match more than was meant, and people put files where a task once
//! wrote.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, Fields};
use crate::base::path::RepoPath;
use crate::base::stat::{Moment, Stat};
use crate::cache::{Content, Entry, Output};
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::report::reports;
use crate::event::Ended;
use crate::history::reports::{Left, Written};

/// What lies where the attempts of a task write their reports.
pub struct Leftovers<'a> {
    context: &'a Context<'a>,
    task: &'a Task,
    since: Since,
    /// What the task left.
    own: Left,
    /// Files that stayed when the present attempt began.
    before: HashMap<RepoPath, Identity>,
}

/// When an attempt began.
#[derive(Clone, Copy, Debug)]
struct Since {
    /// By the system's clock.
    system: Timestamp,
    /// By that of the file system on which its work tree lies, as a rule.
    local: Option<Moment>,
}

impl Since {
    /// Whether a file is from before.
    fn is_after(&self, stat: &Stat) -> bool {
        /// The steps of the coarsest clock that another file system gives its files: two seconds, on FAT.
        const COARSE: i64 = 2;
        let modified = stat.modified;
        match self.local.filter(|local| local.device == stat.device) {
            // What came out of an archive has no fraction of a second.
            Some(local) if modified.nanos == 0 => modified.seconds < local.time.seconds,
            Some(local) => modified < local.time,
            None => modified.seconds + COARSE < i64::try_from(self.system.0 / 1000).unwrap_or(i64::MAX),
        }
    }
}

/// The identity of a file's content, and of the symlink that leads to it. A clock that is too coarse
/// for it makes what was written anew look as if it were not: that fails, and never passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Identity(Option<Stat>, Option<Stat>);

impl Identity {
    fn of(path: &Path) -> Self {
        let stat = |about: io::Result<fs::Metadata>| about.ok().map(|about| Stat::of(&about));
        Self(stat(fs::symlink_metadata(path)), stat(fs::metadata(path)))
    }
}

impl<'a> Leftovers<'a> {
    /// Of a task that is about to be executed.
    pub fn of(context: &'a Context<'a>, task: &'a Task) -> Self {
        let written = context.store.as_ref().filter(|_| !task.reports.is_empty());
        let own = written.map(|store| Written::new(&store.state, context.location.root).of(&task.name));
        let own = own.unwrap_or_default();
        Self {
            context,
            task,
            since: Since { system: Timestamp(0), local: None },
            own,
            before: HashMap::new(),
        }
    }

    /// Takes out what the next attempt, whose work tree is at `place`, shall write anew, and notes
    /// what else lies there.
    pub fn clear(&mut self, place: &Path) {
        // Most tasks report nothing; the clock of a file system is read by writing to it.
        if self.task.reports.is_empty() {
            return;
        }
        let snapshot = self.context.tree.snapshot();
        let is_tracked = |path: &RepoPath| {
            // Where the tree is not known, everything may be tracked.
            snapshot.as_ref().is_none_or(|tree| tree.get(path).is_some_and(|entry| entry.tracked))
        };
        let mut found = reports::lying(self.task, place).unwrap_or_default();
        if let Some(store) = &self.context.store {
            let own = |path: &&RepoPath| self.is_own(path, place) && !is_tracked(path);
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
        let local = self.context.store.as_ref().and_then(|store| Moment::now(&store.state).ok());
        self.since = Since { system: self.context.emitter.clock().now(), local };
    }

    /// Whether what lies there is still what the task left.
    fn is_own(&self, path: &RepoPath, place: &Path) -> bool {
        self.own.get(path).is_some_and(|left| digest(&path.under(place)).is_ok_and(|now| now == *left))
    }

    /// An attempt at `place` is over: what it wrote is the task's own.
    pub fn note(&mut self, place: &Path) {
        let found = reports::lying(self.task, place).unwrap_or_default();
        let written = found.into_iter().filter(|path| !self.is_as_before(path, &path.under(place)));
        let written: Left =
            written.filter_map(|path| Some((path.clone(), digest(&path.under(place)).ok()?))).collect();
        self.own.extend(written);
    }

    /// Whether a file was not written by the present attempt.
    pub fn is_stale(&self, path: &RepoPath, place: &Path) -> bool {
        let on_disk = path.under(place);
        let is_old = || fs::metadata(&on_disk).is_ok_and(|about| self.since.is_after(&Stat::of(&about)));
        self.is_as_before(path, &on_disk) || is_old()
    }

    fn is_as_before(&self, path: &RepoPath, on_disk: &Path) -> bool {
        self.before.get(path).is_some_and(|before| *before == Identity::of(on_disk))
    }

    /// Remembers what is the task's own for later runs. What a failed or audited attempt wrote in a
    /// sandbox went with that.
    pub fn remember(&self, ended: &Ended) {
        let stays = !self.task.sandbox || ended.is_pass();
        if stays && self.context.options.audit_collector().is_none() {
            remember(self.context, self.task, &self.own);
        }
    }
}

/// Remembers the reports of an entry that was restored: they are the task's own as well.
pub fn remember_restored(context: &Context<'_>, task: &Task, entry: &Entry) {
    let restored = entry.outputs().filter(|output| reports::is_one(task, &output.path));
    let row = |output: &Output| match &output.content {
        Content::File { digest, .. } => Some((output.path.clone(), *digest)),
        Content::Symlink { target } => Some((output.path.clone(), of_symlink(target))),
        Content::Folder { .. } => None,
    };
    remember(context, task, &restored.filter_map(row).collect());
}

fn remember(context: &Context<'_>, task: &Task, own: &Left) {
    let Some(store) = context.store.as_ref().filter(|_| !own.is_empty()) else { return };
    if let Err(error) = Written::new(&store.state, context.location.root).add(&task.name, own) {
        context.emitter.warn_unwritten(&error);
    }
}

/// The digest of a file, or of a symlink itself.
fn digest(path: &Path) -> io::Result<Digest> {
    let about = fs::symlink_metadata(path)?;
    // Whoever opens a pipe may wait for ever.
    if !about.is_file() && !about.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if about.is_symlink() {
        return Ok(of_symlink(fs::read_link(path)?.as_os_str().as_bytes()));
    }
    reports::digest(path)
}

fn of_symlink(target: &[u8]) -> Digest {
    Fields::new("taskgate symlink").add(target).digest()
}
