//! Report files that exist before an attempt starts. Those that the task wrote itself, in this run or
//! an earlier one, are removed. All others are remembered: a report that the attempt leaves as it was
//! is stale.
//!
//! A file is only removed if git does not track it and its content is exactly what the task is known
//! to have written in this work tree. A pattern may match other files too, and a person may have
//! replaced a file that a task once wrote.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, FieldHasher};
use crate::base::path::RepoPath;
use crate::base::stat::{Moment, Stat};
use crate::cache::{Entry, Output, OutputContent};
use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::report::reader::{file_digest, find_report_files, is_report};
use crate::event::Ended;
use crate::history::task_reports::{ReportDigests, TaskReportFiles};

/// The report files that exist before an attempt of a task.
pub struct StaleReports<'a> {
    context: &'a Context<'a>,
    task: &'a Task,
    started: AttemptStart,
    /// The digests of the reports that the task itself wrote.
    own: ReportDigests,
    /// The files that existed when the current attempt started.
    existing: HashMap<RepoPath, FileIdentity>,
}

/// When an attempt started.
#[derive(Clone, Copy, Debug)]
struct AttemptStart {
    /// The time of the system's clock.
    system: Timestamp,
    /// The time of the file system's clock, if it is known.
    file_system: Option<Moment>,
}

impl AttemptStart {
    /// Returns whether a file was last modified before the attempt started.
    fn is_after(&self, stat: &Stat) -> bool {
        /// The coarsest resolution of file times, in seconds: that of FAT.
        const COARSEST: i64 = 2;
        let modified = stat.modified;
        match self.file_system.filter(|start| start.device == stat.device) {
            // A time without a fraction usually comes from an archive, so only whole seconds are compared.
            Some(start) if modified.nanos == 0 => modified.seconds < start.time.seconds,
            Some(start) => modified < start.time,
            None => modified.seconds + COARSEST < i64::try_from(self.system.0 / 1000).unwrap_or(i64::MAX),
        }
    }
}

/// The metadata by which a file's content is identified, with that of the symlink that leads to it.
/// If the clock is too coarse to show that a file was rewritten, the file counts as stale, so the
/// task fails rather than passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileIdentity {
    link: Option<Stat>,
    target: Option<Stat>,
}

impl FileIdentity {
    fn new(path: &Path) -> Self {
        let stat = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|metadata| Stat::new(&metadata));
        Self { link: stat(fs::symlink_metadata(path)), target: stat(fs::metadata(path)) }
    }
}

impl<'a> StaleReports<'a> {
    /// Creates the record for a task that is about to be executed.
    pub fn new(context: &'a Context<'a>, task: &'a Task) -> Self {
        let store = context.store.as_ref().filter(|_| !task.reports().is_empty());
        let own =
            store.map(|store| TaskReportFiles::new(store.state, context.location.root).for_task(&task.name));
        Self {
            context,
            task,
            started: AttemptStart { system: Timestamp(0), file_system: None },
            own: own.unwrap_or_default(),
            existing: HashMap::new(),
        }
    }

    /// Removes the reports that the task wrote itself, and remembers the others, before an attempt in
    /// `workdir`.
    pub fn prepare(&mut self, workdir: &Path) {
        // Reading the clock of the file system means writing a file, and most tasks have no reports.
        if self.task.reports().is_empty() {
            return;
        }
        let snapshot = self.context.tree.snapshot();
        let is_tracked = |path: &RepoPath| {
            // Without a snapshot, any file may be tracked.
            snapshot.as_ref().is_none_or(|tree| tree.get(path).is_some_and(|entry| entry.tracked))
        };
        let mut found = find_report_files(self.task, workdir).unwrap_or_default();
        if let Some(store) = &self.context.store {
            let is_removable = |path: &&RepoPath| self.is_own(path, workdir) && !is_tracked(path);
            let own: Vec<RepoPath> = found.iter().filter(is_removable).cloned().collect();
            // Files that can't be removed are remembered like the others.
            if !own.is_empty() && store.cache.remove_files(workdir, own).is_ok() {
                found.retain(|path| fs::symlink_metadata(path.under(workdir)).is_ok());
            }
        }
        self.existing = found
            .into_iter()
            .map(|path| {
                let identity = FileIdentity::new(&path.under(workdir));
                (path, identity)
            })
            .collect();
        let file_system = self.context.store.as_ref().and_then(|store| Moment::now(store.state).ok());
        self.started = AttemptStart { system: self.context.emitter.clock().now(), file_system };
    }

    /// Returns whether a file is exactly what the task wrote.
    fn is_own(&self, path: &RepoPath, workdir: &Path) -> bool {
        self.own.get(path).is_some_and(|own| digest(&path.under(workdir)).is_ok_and(|now| now == *own))
    }

    /// Records the reports that an attempt in `workdir` wrote, after it ended.
    pub fn record_written(&mut self, workdir: &Path) {
        let found = find_report_files(self.task, workdir).unwrap_or_default();
        let written = found.into_iter().filter(|path| !self.is_unchanged(path, &path.under(workdir)));
        let written: ReportDigests =
            written.filter_map(|path| Some((path.clone(), digest(&path.under(workdir)).ok()?))).collect();
        self.own.extend(written);
    }

    /// Returns whether a file was not written by the current attempt.
    pub fn is_stale(&self, path: &RepoPath, workdir: &Path) -> bool {
        let on_disk = path.under(workdir);
        let is_old =
            || fs::metadata(&on_disk).is_ok_and(|metadata| self.started.is_after(&Stat::new(&metadata)));
        self.is_unchanged(path, &on_disk) || is_old()
    }

    fn is_unchanged(&self, path: &RepoPath, on_disk: &Path) -> bool {
        self.existing.get(path).is_some_and(|before| *before == FileIdentity::new(on_disk))
    }

    /// Saves for later runs which reports the task wrote. Those of a failed or audited attempt in a
    /// sandbox were deleted with the sandbox.
    pub fn save(&self, ended: &Ended) {
        let is_kept = !self.task.is_sandboxed() || ended.is_pass();
        if is_kept && self.context.options.audit_collector().is_none() {
            save(self.context, self.task, &self.own);
        }
    }
}

/// Saves for later runs which reports were restored from a cache entry: they are the task's own too.
pub fn save_restored(context: &Context<'_>, task: &Task, entry: &Entry) {
    let restored = entry.outputs().filter(|output| is_report(task, &output.path));
    let digest = |output: &Output| match &output.content {
        OutputContent::File { digest, .. } => Some((output.path.clone(), *digest)),
        OutputContent::Symlink { target } => Some((output.path.clone(), symlink_digest(target))),
        OutputContent::Folder { .. } => None,
    };
    save(context, task, &restored.filter_map(digest).collect());
}

fn save(context: &Context<'_>, task: &Task, own: &ReportDigests) {
    let Some(store) = context.store.as_ref().filter(|_| !own.is_empty()) else { return };
    if let Err(error) = TaskReportFiles::new(store.state, context.location.root).add(&task.name, own) {
        context.emitter.warn_unwritten(&error);
    }
}

/// Returns the digest of a file, or of a symlink itself.
fn digest(path: &Path) -> io::Result<Digest> {
    let metadata = fs::symlink_metadata(path)?;
    // Opening a pipe may block forever.
    if !metadata.is_file() && !metadata.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if metadata.is_symlink() {
        return Ok(symlink_digest(fs::read_link(path)?.as_os_str().as_bytes()));
    }
    file_digest(path)
}

fn symlink_digest(target: &[u8]) -> Digest {
    FieldHasher::new("taskgate symlink").add(target).digest()
}
