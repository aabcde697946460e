//! Walks a work tree: visits its folders in parallel and matches each with the index, to produce the
//! entries of a snapshot. It does not know what the entries are for.
//!
//! Each folder is a job. A job lists its folder once and looks at each name relative to the open
//! folder. Results are put together at the end in the order of the names, which is the order of a
//! tree, so the whole need not be sorted.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::Scope;
use rayon::prelude::*;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::stat::{ShortStat, Stat};
use crate::git::error::GitError;
use crate::git::index::IndexEntry;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::rules::attributes::{Attributes, Conversions};
use crate::git::rules::glob::PathKind;
use crate::git::rules::ignore::IGNORE;
use crate::git::rules::ignore::IgnoreRules;
use crate::git::settings::PropertySource;
use crate::git::snapshot::unchanged::WorkTreeFiles;
use crate::git::snapshot::{ContentId, Mode, SnapshotEntry};
use crate::git::work_tree::content_cache::CacheSession;
use crate::git::work_tree::folder::{FolderRef, OpenFolder};
use crate::git::work_tree::listing::{ListedName, match_with_index, names_digest, tracked_names};
use crate::git::work_tree::state::WorkTreeState;
use crate::git::work_tree::submodule::SubmoduleContent;
use crate::git::work_tree::verified_rows::RowSet;

/// A folder with more names is visited by several threads.
const LARGE: usize = 1024;

/// A walk of the work tree.
pub(crate) struct Walk<'t> {
    tree: &'t WorkTreeState,
    submodules: &'t dyn SubmoduleContent,
    session: CacheSession<'t>,
    /// The rows of files that have the bytes of their blobs although git may convert them.
    verified: Arc<RowSet>,
    /// Only entries at this path or below it are returned.
    target: &'t RepoPath,
    results: Mutex<Vec<FolderResult>>,
    failure: Mutex<Option<GitError>>,
}

/// What was found in a folder.
#[derive(Default)]
struct FolderResult {
    /// The rows of the index whose files are unchanged.
    unchanged: Vec<Range<usize>>,
    /// Those that are not known to be verified yet.
    verified: Vec<usize>,
    /// All other entries, in order.
    entries: Vec<SnapshotEntry>,
    /// The subfolders: the index of the entry that follows each, and the index of its result.
    folders: Vec<(usize, usize)>,
}

/// The result of visiting a name.
enum Visited {
    /// A file that is as this row of the index has it.
    Unchanged(usize),
    /// Likewise, and this was found out by reading it.
    Verified(usize),
    Entry(SnapshotEntry),
    Folder(usize),
}

/// A folder that is to be visited.
struct FolderJob {
    path: RepoPath,
    rows: Range<usize>,
    ignores: Arc<IgnoreRules>,
    attributes: Arc<Attributes>,
    wanted: WantedFiles,
    result: usize,
}

/// Which files of a folder are included.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WantedFiles {
    /// Tracked files, and untracked files that are not ignored.
    All,
    /// Tracked files only, because the folder itself is ignored.
    Tracked,
}

impl FolderJob {
    /// Returns the length of the folder's path and the slash after it.
    fn prefix_len(&self) -> usize {
        if self.path.is_top() { 0 } else { self.path.bytes().len() + 1 }
    }
}

impl FolderResult {
    fn add_unchanged(&mut self, row: usize) {
        match self.unchanged.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => self.unchanged.push(row..row + 1),
        }
    }

    fn add(&mut self, item: Option<Visited>) {
        match item {
            Some(Visited::Unchanged(row)) => self.add_unchanged(row),
            Some(Visited::Verified(row)) => {
                self.add_unchanged(row);
                self.verified.push(row);
            }
            Some(Visited::Entry(entry)) => self.entries.push(entry),
            Some(Visited::Folder(result)) => self.folders.push((self.entries.len(), result)),
            None => {}
        }
    }
}

impl<'t> Walk<'t> {
    pub(crate) fn new(
        tree: &'t WorkTreeState,
        submodules: &'t dyn SubmoduleContent,
        target: &'t RepoPath,
    ) -> Self {
        Self {
            tree,
            submodules,
            session: tree.cache.session(),
            verified: tree.verified.rows(),
            target,
            results: Mutex::new(vec![FolderResult::default()]),
            failure: Mutex::new(None),
        }
    }

    /// Returns all files, and how many folders were looked up in the cache.
    pub(crate) fn files(self) -> Result<(WorkTreeFiles, usize), GitError> {
        let top = FolderJob {
            path: RepoPath::top(),
            rows: 0..self.tree.index.len(),
            ignores: Arc::clone(&self.tree.ignores),
            attributes: self.tree.outer_attributes().map_err(self.file_error("read", &RepoPath::top()))?,
            wanted: WantedFiles::All,
            result: 0,
        };
        // The folders on the way to the target, and a target without folders, need no other thread.
        rayon::in_place_scope(|scope| self.visit_folder(scope, &top));
        if let Some(failure) = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(failure);
        }
        let mut results = self.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut others = Vec::with_capacity(results.iter().map(|result| result.entries.len()).sum());
        append_in_order(&mut results, 0, &mut others);
        self.tree
            .verified
            .add(&results.iter().flat_map(|result| &result.verified).copied().collect::<Vec<_>>());
        let unchanged = results.into_iter().flat_map(|result| result.unchanged).collect();
        let mut files = WorkTreeFiles::new(Arc::clone(&self.tree.index), unchanged, others);
        if !self.tree.not_checked_out.is_empty() {
            let mut entries = files.entries();
            add_not_checked_out(&self.tree.not_checked_out, self.target, &mut entries);
            files = WorkTreeFiles::new(Arc::default(), Vec::new(), entries);
        }
        Ok((files, self.session.folders()))
    }

    fn visit_folder<'s>(&'s self, scope: &Scope<'s>, job: &FolderJob) {
        match self.list_folder(scope, job) {
            Ok(found) => self.results.lock().unwrap_or_else(PoisonError::into_inner)[job.result] = found,
            Err(error) => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
            }
        }
    }

    fn list_folder<'s>(&'s self, scope: &Scope<'s>, job: &FolderJob) -> Result<FolderResult, GitError> {
        let failed = || self.file_error("read the folder", &job.path);
        let Some(folder) = self.tree.top.open_below(&job.path).map_err(failed())? else {
            return Ok(FolderResult::default());
        };
        if let Some(name) = next_part(&job.path, self.target) {
            let names = folder.find_name(name).map_err(failed())?;
            // The folders on the way to the target may have rules.
            let job = self.with_rules(job, &folder, |_| true)?;
            return self.visit_names(
                scope,
                &folder,
                &job,
                &match_with_index(&self.tree.index, job.rows.clone(), job.prefix_len(), &names),
            );
        }
        let stat = folder.stat().map_err(failed())?;
        let stat = Some(stat).filter(|stat| Some(stat.device) == self.tree.dated_device);
        let known = stat.and_then(|stat| self.session.folder_names(&job.path, &stat));
        if let Some(known) = known {
            let tracked = tracked_names(&self.tree.index, job.rows.clone(), job.prefix_len());
            if names_digest(tracked.iter().map(ListedName::name)) == known {
                let has = |name: &[u8]| tracked.iter().any(|found| found.name() == (name, PathKind::File));
                let job = self.with_rules(job, &folder, has)?;
                return self.visit_names(scope, &folder, &job, &tracked);
            }
        }
        // The clock must be read before the names.
        let _ = stat.and_then(|_| self.session.start());
        let names = folder.names().map_err(failed())?;
        if let Some(stat) = stat {
            let digest = names_digest(names.iter());
            if known != Some(digest) {
                self.session.remember_folder_names(&job.path, &stat, digest);
            }
        }
        let job = self.with_rules(job, &folder, |name| names.has_file(name))?;
        self.visit_names(
            scope,
            &folder,
            &job,
            &match_with_index(&self.tree.index, job.rows.clone(), job.prefix_len(), &names),
        )
    }

    /// Visits each name of a folder.
    fn visit_names<'s>(
        &'s self,
        scope: &Scope<'s>,
        folder: &OpenFolder,
        job: &FolderJob,
        found: &[ListedName<'_>],
    ) -> Result<FolderResult, GitError> {
        let look = |found: &ListedName<'_>| match found {
            ListedName::File(name, row) => self.visit_file(folder.as_ref(), job, name, *row),
            ListedName::Folder(name, rows) => self.visit_subfolder(scope, folder.as_ref(), job, name, rows),
        };
        let mut result = FolderResult::default();
        if found.len() > LARGE {
            let items: Vec<_> = found.par_iter().with_min_len(LARGE / 4).map(look).collect();
            items.into_iter().try_for_each(|item| item.map(|item| result.add(item)))?;
        } else {
            found.iter().try_for_each(|found| look(found).map(|item| result.add(item)))?;
        }
        Ok(result)
    }

    /// Returns the job with the rules of the folder's own ignore and attribute files.
    fn with_rules(
        &self,
        job: &FolderJob,
        folder: &OpenFolder,
        has: impl Fn(&[u8]) -> bool,
    ) -> Result<FolderJob, GitError> {
        let text = |name: &[u8]| {
            if has(name) {
                folder.as_ref().read_file(name).map_err(self.file_error("read", &job.path.child(name)))
            } else {
                Ok(None)
            }
        };
        let mut ignores = Arc::clone(&job.ignores);
        if job.wanted == WantedFiles::All
            && let Some(text) = text(IGNORE)?
        {
            ignores = ignores.with_file(&job.path, &text);
        }
        let mut attributes = Arc::clone(&job.attributes);
        let texts = [text(ATTRIBUTES)?, self.tree.staged_attributes(&job.path).map(<[u8]>::to_vec)];
        for text in texts.iter().flatten() {
            attributes = attributes.with_file(&job.path, text);
        }
        Ok(FolderJob { path: job.path.clone(), rows: job.rows.clone(), ignores, attributes, ..*job })
    }

    fn visit_subfolder<'s>(
        &'s self,
        scope: &Scope<'s>,
        folder: FolderRef<'_>,
        job: &FolderJob,
        name: &[u8],
        rows: &Range<usize>,
    ) -> Result<Option<Visited>, GitError> {
        let path = job.path.child(name);
        if self.tree.is_git_dir(&path) {
            return Ok(None);
        }
        let mut wanted = job.wanted;
        if rows.is_empty() {
            let row = self.tree.index.find(&path).filter(|row| row.mode() == Some(Mode::Submodule));
            if row.is_none()
                && (job.wanted == WantedFiles::Tracked || job.ignores.ignores(path.bytes(), PathKind::Folder))
            {
                return Ok(None);
            }
            let failed = self.file_error("read the folder", &path);
            let is_repository = folder.stat(&[name, b"/.git"].concat()).map_err(failed)?.is_some();
            if row.is_some() || is_repository {
                let recorded = row.map(|row| row.id);
                if let Some(id) = self.submodules.content_id(&path, recorded)? {
                    let tracked = row.is_some();
                    let entry = SnapshotEntry {
                        path,
                        mode: Mode::Submodule,
                        id,
                        stat: None,
                        tracked,
                        not_checked_out: false,
                    };
                    return Ok(self.is_wanted(entry.path.bytes()).then_some(Visited::Entry(entry)));
                }
            }
        } else if job.wanted == WantedFiles::All && job.ignores.ignores(path.bytes(), PathKind::Folder) {
            wanted = WantedFiles::Tracked;
        }
        let result = {
            let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push(FolderResult::default());
            results.len() - 1
        };
        let job = FolderJob {
            path,
            rows: rows.clone(),
            ignores: Arc::clone(&job.ignores),
            attributes: Arc::clone(&job.attributes),
            wanted,
            result,
        };
        if self.target.is_within(&job.path) {
            self.visit_folder(scope, &job);
        } else {
            scope.spawn(move |scope| self.visit_folder(scope, &job));
        }
        Ok(Some(Visited::Folder(result)))
    }

    fn visit_file(
        &self,
        folder: FolderRef<'_>,
        job: &FolderJob,
        name: &[u8],
        at: Option<usize>,
    ) -> Result<Option<Visited>, GitError> {
        let row = at.map(|at| self.tree.index.entry(at));
        let row = row.as_ref();
        let failed = |error| self.file_error("read", &job.path.child(name))(error);
        let mut stat = None;
        if let (Some(at), Some(row)) = (at, row) {
            // Most files are unchanged, so nothing is allocated for them.
            let path = self.tree.index.path(at);
            if !self.is_wanted(path) {
                return Ok(None);
            }
            stat = folder.stat(name).map_err(failed)?;
            if stat.is_some_and(|stat| self.is_unchanged(job, path, (at, row), &stat)) {
                return Ok(Some(Visited::Unchanged(at)));
            }
        }
        let path = job.path.child(name);
        if row.is_none() {
            let is_ignored =
                || job.wanted == WantedFiles::Tracked || job.ignores.ignores(path.bytes(), PathKind::File);
            if !self.is_wanted(path.bytes()) || is_ignored() {
                return Ok(None);
            }
            stat = folder.stat(name).map_err(failed)?;
        }
        let Some(stat) = stat else { return Ok(None) };
        let known = self.file_content(folder, &path, name, stat);
        let Some((read, id)) = known.map_err(failed)? else { return Ok(None) };
        let mode = self.mode(&read, row);
        if let (Some(at), Some(row)) = (at, row)
            && (row.id, row.mode(), stat) == (id, Some(mode), read)
            && self.has_stat(row, &stat)
        {
            return Ok(Some(Visited::Verified(at)));
        }
        let entry = SnapshotEntry {
            path,
            mode,
            id,
            stat: Some(ShortStat::new(&read)),
            tracked: row.is_some(),
            not_checked_out: false,
        };
        Ok(Some(Visited::Entry(entry)))
    }

    /// Returns the content of a file that had this stat, and the stat that belongs to the content; `None` if
    /// there is no file.
    fn file_content(
        &self,
        folder: FolderRef<'_>,
        path: &RepoPath,
        name: &[u8],
        stat: Stat,
    ) -> io::Result<Option<(Stat, ContentId)>> {
        if stat.is_symlink() {
            let Some(target) = folder.read_link(name)? else { return Ok(None) };
            return Ok(Some((stat, ContentId::of_blob(&target)?)));
        }
        if !stat.is_file() {
            return Ok(None);
        }
        self.session.content_id(folder, path, name, stat)
    }

    /// Returns whether a file with this stat certainly is what a row of the index has: its mode, and its content.
    fn is_unchanged(&self, job: &FolderJob, path: &[u8], row: (usize, &IndexEntry), stat: &Stat) -> bool {
        let (at, row) = row;
        row.mode() == Some(self.mode(stat, Some(row)))
            && self.has_stat(row, stat)
            && (self.verified.contains(at)
                || self.tree.index.is_up_to_date(row, stat)
                    && (stat.is_symlink() || self.is_unfiltered(job, path)))
    }

    /// Returns whether a file has not changed since git looked at it.
    fn has_stat(&self, row: &IndexEntry, stat: &Stat) -> bool {
        self.has_same_kind(row, stat) && self.tree.index.has_stat(row, stat)
    }

    /// Returns whether the file on disk has the same kind as the entry of the index.
    fn has_same_kind(&self, row: &IndexEntry, stat: &Stat) -> bool {
        match row.mode() {
            Some(Mode::File | Mode::Executable) => stat.is_file(),
            Some(Mode::Symlink) => {
                stat.is_symlink() || (self.tree.settings.symlinks == PropertySource::Index && stat.is_file())
            }
            _ => false,
        }
    }

    /// Returns whether the file at a path certainly has the bytes of its blob.
    fn is_unfiltered(&self, job: &FolderJob, path: &[u8]) -> bool {
        self.tree.settings.conversions_on_add == Conversions::NONE
            && job.attributes.conversions(path).is_empty()
    }

    fn mode(&self, stat: &Stat, row: Option<&IndexEntry>) -> Mode {
        let settings = &self.tree.settings;
        let recorded = row.and_then(IndexEntry::mode);
        if stat.is_symlink()
            || (settings.symlinks == PropertySource::Index && recorded == Some(Mode::Symlink))
        {
            return Mode::Symlink;
        }
        let executable = match settings.executable_bit {
            PropertySource::Disk => stat.is_executable(),
            PropertySource::Index => recorded == Some(Mode::Executable),
        };
        if executable { Mode::Executable } else { Mode::File }
    }

    /// Returns whether a path is at the target or below it.
    fn is_wanted(&self, path: &[u8]) -> bool {
        let target = self.target.bytes();
        target.is_empty() || matches!(path.strip_prefix(target), Some([] | [b'/', ..]))
    }

    /// Returns a closure for `map_err`.
    fn file_error(&self, attempt: &'static str, path: &RepoPath) -> impl FnOnce(io::Error) -> GitError {
        move |source| GitError::File(FileError { attempt, path: path.under(&self.tree.dir), source })
    }
}

/// Returns the part of `target` after `folder`; `None` if `folder` is the target or within it.
fn next_part<'t>(folder: &RepoPath, target: &'t RepoPath) -> Option<&'t [u8]> {
    target.parts().nth(folder.parts().count())
}

/// Adds the entries that a sparse checkout leaves out, except where another file has taken their
/// place.
fn add_not_checked_out(absent: &[SnapshotEntry], target: &RepoPath, entries: &mut Vec<SnapshotEntry>) {
    let is_free = |path: &RepoPath| {
        let at = entries.partition_point(|entry| entry.path < *path);
        let is_taken = entries.get(at).is_some_and(|entry| entry.path == *path);
        let below = path.child(b"");
        let at = entries.partition_point(|entry| entry.path < below);
        !is_taken && !entries.get(at).is_some_and(|entry| entry.path.is_within(path))
    };
    let wanted = absent.iter().filter(|entry| entry.path.is_within(target));
    let absent: Vec<SnapshotEntry> = wanted.filter(|entry| is_free(&entry.path)).cloned().collect();
    if !absent.is_empty() {
        entries.extend(absent);
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
}

/// Moves a folder's entries, and those of its subfolders, to the end of `entries`.
fn append_in_order(results: &mut [FolderResult], result: usize, entries: &mut Vec<SnapshotEntry>) {
    let found = &mut results[result];
    let (mut own, folders) = (std::mem::take(&mut found.entries), std::mem::take(&mut found.folders));
    if folders.is_empty() {
        entries.append(&mut own);
        return;
    }
    let mut own = own.into_iter();
    let mut taken = 0;
    for (before, result) in folders {
        entries.extend(own.by_ref().take(before - taken));
        taken = before;
        append_in_order(results, result, entries);
    }
    entries.extend(own);
}
