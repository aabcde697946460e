//! The walk of a work tree: its folders in parallel, each merged with the rows of the index, into
//! the entries of a snapshot. It must not know what the entries are for.
//!
//! Each folder is a job of its own. It lists the folder once and looks at each name relative to the
//! open folder. What a job finds has a slot; at the end the slots are put together in the order of
//! the names, which is the order of a tree, so nothing has to be sorted as a whole.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::Scope;
use rayon::prelude::*;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::stat::Stat;
use crate::git::error::GitError;
use crate::git::index::Row;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::rules::attributes::{Attributes, Effects};
use crate::git::rules::glob::Kind;
use crate::git::rules::ignore::IGNORE;
use crate::git::rules::ignore::IgnoreRules;
use crate::git::settings::Source;
use crate::git::snapshot::{ContentId, Entry, Mode};
use crate::git::work_tree::content_cache::Look;
use crate::git::work_tree::folder::{At, Folder};
use crate::git::work_tree::listing::{Found, digest, merge, tracked};
use crate::git::work_tree::state::WorkTree;
use crate::git::work_tree::submodule::Nested;

/// A folder with more names is looked at by many threads.
const LARGE: usize = 1024;

/// One walk.
pub(crate) struct Walk<'t> {
    tree: &'t WorkTree,
    nested: &'t dyn Nested,
    look: Look<'t>,
    /// Only what is at this path or below it.
    target: &'t RepoPath,
    slots: Mutex<Vec<Slot>>,
    failure: Mutex<Option<GitError>>,
}

/// What was found in a folder, in order.
#[derive(Default)]
struct Slot {
    entries: Vec<Entry>,
    /// The folders below: before which of the entries each stands, and its slot.
    folders: Vec<(usize, usize)>,
}

/// What a name of a folder came to.
enum Item {
    Entry(Entry),
    Folder(usize),
}

/// A folder that is still to be looked at.
struct Job {
    path: RepoPath,
    rows: Range<usize>,
    ignores: Arc<IgnoreRules>,
    attributes: Arc<Attributes>,
    reach: Reach,
    slot: usize,
}

/// Which files of a folder are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Tracked, and untracked that are not ignored.
    All,
    /// Tracked: the folder itself is ignored.
    Tracked,
}

impl Job {
    /// Bytes of the paths of its rows before the part below the folder.
    fn skip(&self) -> usize {
        if self.path.is_top() { 0 } else { self.path.bytes().len() + 1 }
    }
}

impl Slot {
    fn add(&mut self, item: Option<Item>) {
        match item {
            Some(Item::Entry(entry)) => self.entries.push(entry),
            Some(Item::Folder(slot)) => self.folders.push((self.entries.len(), slot)),
            None => {}
        }
    }
}

impl<'t> Walk<'t> {
    pub(crate) fn new(tree: &'t WorkTree, nested: &'t dyn Nested, target: &'t RepoPath) -> Self {
        Self {
            tree,
            nested,
            look: tree.memory.look(),
            target,
            slots: Mutex::new(vec![Slot::default()]),
            failure: Mutex::new(None),
        }
    }

    /// All entries, sorted, and how many of them the index did not vouch for.
    pub(crate) fn entries(self) -> Result<(Vec<Entry>, usize), GitError> {
        let top = Job {
            path: RepoPath::top(),
            rows: 0..self.tree.index.len(),
            ignores: Arc::clone(&self.tree.ignores),
            attributes: self.tree.outer_attributes().map_err(self.failed("read", &RepoPath::top()))?,
            reach: Reach::All,
            slot: 0,
        };
        rayon::scope(|scope| self.visit(scope, &top));
        if let Some(failure) = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(failure);
        }
        let mut slots = self.slots.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::with_capacity(slots.iter().map(|slot| slot.entries.len()).sum());
        gather(&mut slots, 0, &mut entries);
        add_absent(&self.tree.absent, self.target, &mut entries);
        Ok((entries, self.look.used()))
    }

    fn visit<'s>(&'s self, scope: &Scope<'s>, job: &Job) {
        match self.folder(scope, job) {
            Ok(found) => self.slots.lock().unwrap_or_else(PoisonError::into_inner)[job.slot] = found,
            Err(error) => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
            }
        }
    }

    fn folder<'s>(&'s self, scope: &Scope<'s>, job: &Job) -> Result<Slot, GitError> {
        let failed = || self.failed("read the folder", &job.path);
        let Some(folder) = self.tree.top.below(&job.path).map_err(failed())? else {
            return Ok(Slot::default());
        };
        if let Some(name) = next_part(&job.path, self.target) {
            let names = folder.name(name).map_err(failed())?;
            // Rules apply on the way to the target, but it is not known whether there are any.
            let job = self.with_rules(job, &folder, |_| true)?;
            return self.slot(
                scope,
                &folder,
                &job,
                &merge(&self.tree.index, job.rows.clone(), job.skip(), &names),
            );
        }
        let stat = folder.stat().map_err(failed())?;
        let stat = Some(stat).filter(|stat| Some(stat.device) == self.tree.dated);
        let known = stat.and_then(|stat| self.look.names(&job.path, &stat));
        if let Some(known) = known {
            let tracked = tracked(&self.tree.index, job.rows.clone(), job.skip());
            if digest(tracked.iter().map(Found::name)) == known {
                let has = |name: &[u8]| tracked.iter().any(|found| found.name() == (name, Kind::File));
                let job = self.with_rules(job, &folder, has)?;
                return self.slot(scope, &folder, &job, &tracked);
            }
        }
        // The clock is read before the names are.
        let _ = stat.and_then(|_| self.look.before());
        let names = folder.names().map_err(failed())?;
        if let Some(stat) = stat {
            let digest = digest(names.iter());
            if known != Some(digest) {
                self.look.remember_names(&job.path, &stat, digest);
            }
        }
        let job = self.with_rules(job, &folder, |name| names.has_file(name))?;
        self.slot(scope, &folder, &job, &merge(&self.tree.index, job.rows.clone(), job.skip(), &names))
    }

    /// Looks at each name of a folder.
    fn slot<'s>(
        &'s self,
        scope: &Scope<'s>,
        folder: &Folder,
        job: &Job,
        found: &[Found<'_>],
    ) -> Result<Slot, GitError> {
        let look = |found: &Found<'_>| match found {
            Found::File(name, row) => self.file(folder.at(), job, name, *row),
            Found::Folder(name, rows) => self.subfolder(scope, folder.at(), job, (name, rows)),
        };
        let mut slot = Slot { entries: Vec::with_capacity(found.len()), folders: Vec::new() };
        if found.len() > LARGE {
            let items: Vec<_> = found.par_iter().with_min_len(LARGE / 4).map(look).collect();
            items.into_iter().try_for_each(|item| item.map(|item| slot.add(item)))?;
        } else {
            found.iter().try_for_each(|found| look(found).map(|item| slot.add(item)))?;
        }
        Ok(slot)
    }

    /// The job with the rules that the folder itself holds.
    fn with_rules(&self, job: &Job, folder: &Folder, has: impl Fn(&[u8]) -> bool) -> Result<Job, GitError> {
        let text = |name: &[u8]| {
            if has(name) {
                folder.at().text(name).map_err(self.failed("read", &job.path.child(name)))
            } else {
                Ok(None)
            }
        };
        let mut ignores = Arc::clone(&job.ignores);
        if job.reach == Reach::All
            && let Some(text) = text(IGNORE)?
        {
            ignores = ignores.with_file(&job.path, &text);
        }
        let mut attributes = Arc::clone(&job.attributes);
        let texts = [text(ATTRIBUTES)?, self.tree.staged_attributes(&job.path).map(<[u8]>::to_vec)];
        for text in texts.iter().flatten() {
            attributes = attributes.with_file(&job.path, text);
        }
        Ok(Job { path: job.path.clone(), rows: job.rows.clone(), ignores, attributes, ..*job })
    }

    fn subfolder<'s>(
        &'s self,
        scope: &Scope<'s>,
        folder: At<'_>,
        job: &Job,
        (name, rows): (&[u8], &Range<usize>),
    ) -> Result<Option<Item>, GitError> {
        let path = job.path.child(name);
        if self.tree.is_own(&path) {
            return Ok(None);
        }
        let mut reach = job.reach;
        if rows.is_empty() {
            let row = self.tree.index.find(&path).filter(|row| row.kind() == Some(Mode::Submodule));
            if row.is_none()
                && (job.reach == Reach::Tracked || job.ignores.ignore(path.bytes(), Kind::Folder))
            {
                return Ok(None);
            }
            let failed = self.failed("read the folder", &path);
            let is_repository = folder.stat(&[name, b"/.git"].concat()).map_err(failed)?.is_some();
            if row.is_some() || is_repository {
                let recorded = row.map(|row| row.id);
                if let Some(id) = self.nested.content(&path, recorded)? {
                    let tracked = row.is_some();
                    let entry = Entry { path, mode: Mode::Submodule, id, stat: None, tracked, absent: false };
                    return Ok(self.is_wanted(&entry.path).then_some(Item::Entry(entry)));
                }
            }
        } else if job.reach == Reach::All && job.ignores.ignore(path.bytes(), Kind::Folder) {
            reach = Reach::Tracked;
        }
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.push(Slot::default());
            slots.len() - 1
        };
        let job = Job {
            path,
            rows: rows.clone(),
            ignores: Arc::clone(&job.ignores),
            attributes: Arc::clone(&job.attributes),
            reach,
            slot,
        };
        scope.spawn(move |scope| self.visit(scope, &job));
        Ok(Some(Item::Folder(slot)))
    }

    fn file(
        &self,
        folder: At<'_>,
        job: &Job,
        name: &[u8],
        row: Option<usize>,
    ) -> Result<Option<Item>, GitError> {
        let path = job.path.child(name);
        let row = row.map(|row| self.tree.index.row(row));
        let row = row.as_ref();
        let is_ignored = || job.reach == Reach::Tracked || job.ignores.ignore(path.bytes(), Kind::File);
        if !self.is_wanted(&path) || (row.is_none() && is_ignored()) {
            return Ok(None);
        }
        let known = self.content(folder, job, (&path, name), row);
        let Some((stat, id)) = known.map_err(self.failed("read", &path))? else { return Ok(None) };
        let mode = self.mode(&stat, row);
        let entry = Entry { path, mode, id, stat: Some(stat), tracked: row.is_some(), absent: false };
        Ok(Some(Item::Entry(entry)))
    }

    fn content(
        &self,
        folder: At<'_>,
        job: &Job,
        (path, name): (&RepoPath, &[u8]),
        row: Option<&Row>,
    ) -> io::Result<Option<(Stat, ContentId)>> {
        let Some(stat) = folder.stat(name)? else { return Ok(None) };
        if stat.is_dir() || !(stat.is_file() || stat.is_symlink()) {
            return Ok(None);
        }
        if let Some(row) = row
            && self.is_kind(row, &stat)
            && self.tree.index.vouches(row, &stat)
            && (stat.is_symlink() || self.is_unfiltered(job, path))
        {
            return Ok(Some((stat, row.id)));
        }
        if stat.is_symlink() {
            let Some(target) = folder.target(name)? else { return Ok(None) };
            return Ok(Some((stat, ContentId::of_blob(&target)?)));
        }
        self.look.file(folder, path, name, stat)
    }

    /// Whether the row speaks of the kind of file that is on disk.
    fn is_kind(&self, row: &Row, stat: &Stat) -> bool {
        match row.kind() {
            Some(Mode::File | Mode::Executable) => stat.is_file(),
            Some(Mode::Symlink) => {
                stat.is_symlink() || (self.tree.settings.symlinks == Source::Index && stat.is_file())
            }
            _ => false,
        }
    }

    /// Whether the blob of a path is sure to be what is on disk.
    fn is_unfiltered(&self, job: &Job, path: &RepoPath) -> bool {
        self.tree.settings.on_add == Effects::NONE && job.attributes.effects(path.bytes()).is_none()
    }

    fn mode(&self, stat: &Stat, row: Option<&Row>) -> Mode {
        let settings = &self.tree.settings;
        let recorded = row.and_then(Row::kind);
        if stat.is_symlink() || (settings.symlinks == Source::Index && recorded == Some(Mode::Symlink)) {
            return Mode::Symlink;
        }
        let executable = match settings.executable_bit {
            Source::Disk => stat.is_executable(),
            Source::Index => recorded == Some(Mode::Executable),
        };
        if executable { Mode::Executable } else { Mode::File }
    }

    /// A file or submodule on the way to the target is not what is asked for.
    fn is_wanted(&self, path: &RepoPath) -> bool {
        path.is_within(self.target)
    }

    /// For `map_err`.
    fn failed(&self, attempt: &'static str, path: &RepoPath) -> impl FnOnce(io::Error) -> GitError {
        move |source| GitError::File(FileError { attempt, path: path.under(&self.tree.dir), source })
    }
}

/// The part of `target` that follows `folder`; `None` if `folder` is the target or lies within it.
fn next_part<'t>(folder: &RepoPath, target: &'t RepoPath) -> Option<&'t [u8]> {
    target.parts().nth(folder.parts().count())
}

/// Adds what a sparse checkout leaves out, where nothing took its place.
fn add_absent(absent: &[Entry], target: &RepoPath, entries: &mut Vec<Entry>) {
    let is_free = |path: &RepoPath| {
        let at = entries.partition_point(|entry| entry.path < *path);
        let is_taken = entries.get(at).is_some_and(|entry| entry.path == *path);
        let below = path.child(b"");
        let at = entries.partition_point(|entry| entry.path < below);
        !is_taken && !entries.get(at).is_some_and(|entry| entry.path.is_within(path))
    };
    let wanted = absent.iter().filter(|entry| entry.path.is_within(target));
    let absent: Vec<Entry> = wanted.filter(|entry| is_free(&entry.path)).cloned().collect();
    if !absent.is_empty() {
        entries.extend(absent);
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    }
}

/// Moves all that a slot holds, and the slots of the folders below it, behind the entries.
fn gather(slots: &mut [Slot], slot: usize, entries: &mut Vec<Entry>) {
    let Slot { entries: mut own, folders } = std::mem::take(&mut slots[slot]);
    if folders.is_empty() {
        entries.append(&mut own);
        return;
    }
    let mut own = own.into_iter();
    let mut taken = 0;
    for (before, slot) in folders {
        entries.extend(own.by_ref().take(before - taken));
        taken = before;
        gather(slots, slot, entries);
    }
    entries.extend(own);
}
