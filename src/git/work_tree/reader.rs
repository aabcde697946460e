//! The snapshot of the working directory as it stands. It must not know what is done with it.
//!
//! A clean file is not opened. Git's index vouches for a file whose stat is the same in every part
//! and older than the index; for others the stat is looked up in a cache of our own, and only then
//! are they read. Likewise a folder is not listed whose stat is that of a time when it was known to
//! hold just what the index has below it. What a filter may have changed between blob and disk is never taken from the
//! index, since the content of an entry is that of the bytes on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::{Opener, Repository};
use crate::git::snapshot::{ContentId, Entry, Mode, Snapshot};
use crate::git::work_tree::state::WorkTree;
use crate::git::work_tree::submodule::{self, Nested};
use crate::git::work_tree::walk::Walk;

/// Reads the working directory, as often as asked and from any thread. The index is a picture of
/// the time of opening; all else is looked at anew each time.
pub struct WorkTreeReader {
    tree: WorkTree,
    inside: Inside,
}

/// The repositories inside the work tree that were looked at so far.
struct Inside {
    opener: Opener,
    dir: PathBuf,
    state_dir: Option<PathBuf>,
    readers: Mutex<HashMap<RepoPath, Arc<Part>>>,
}

/// A repository inside the work tree.
struct Part {
    repository: Repository,
    reader: WorkTreeReader,
}

impl std::fmt::Debug for WorkTreeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkTreeReader").field("dir", &self.tree.dir).finish_non_exhaustive()
    }
}

impl WorkTreeReader {
    /// Reads the index, the rules, and what was remembered in `state_dir`, if there is such a folder.
    ///
    /// # Errors
    /// The index or a file of rules can't be read.
    pub fn open(repository: &Repository, state_dir: Option<&Path>) -> Result<Self, GitError> {
        let inside = Inside::new(repository.opener(), repository.work_dir(), state_dir);
        Ok(Self { tree: WorkTree::of(repository, state_dir)?, inside })
    }

    /// All tracked files, and all that are neither tracked nor ignored, as they are now.
    ///
    /// # Errors
    /// A file or folder can't be read; the error names it.
    pub fn snapshot(&self) -> Result<Snapshot, GitError> {
        let top = RepoPath::top();
        let (entries, used) = Walk::new(&self.tree, &self.inside, &top).entries()?;
        let snapshot = Snapshot::of_sorted(entries);
        self.tree.memory.tidy(used, |path| !snapshot.within(path).is_empty());
        Ok(snapshot)
    }

    /// The entries at these paths or below them, as they are now, sorted. It costs in proportion to
    /// what lies there. What lies inside a submodule is part of the submodule's entry.
    ///
    /// # Errors
    /// A file or folder can't be read; the error names it.
    pub fn rescan(&self, folders: &[RepoPath]) -> Result<Vec<Entry>, GitError> {
        let mut folders: Vec<&RepoPath> = folders.iter().collect();
        folders.sort_unstable();
        // Not only neighbours: `a.b` sorts between `a` and `a/b`.
        let mut apart: Vec<&RepoPath> = Vec::with_capacity(folders.len());
        for folder in folders {
            if !is_covered(folder, &apart) {
                apart.push(folder);
            }
        }
        let mut all = Vec::new();
        for folder in apart {
            all.extend(Walk::new(&self.tree, &self.inside, folder).entries()?.0);
        }
        all.sort_unstable_by(|a: &Entry, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// The paths of the files that make up the submodule at `path`, or the repository there, as it
    /// stands: tracked ones and those that it does not ignore, also of what it holds in turn.
    ///
    /// # Errors
    /// A file or folder can't be read; the error names it.
    pub fn files_inside(&self, path: &RepoPath) -> Result<Vec<RepoPath>, GitError> {
        let Some(part) = self.inside.part(path)? else { return self.inside.plain_files(path) };
        let mut files = Vec::new();
        for entry in part.reader.snapshot()?.entries() {
            let outer = |inner: &RepoPath| path.child(inner.bytes());
            if entry.mode == Mode::Submodule {
                files.extend(part.reader.files_inside(&entry.path)?.iter().map(outer));
            } else {
                files.push(outer(&entry.path));
            }
        }
        Ok(files)
    }

    /// Remembers on disk what was read, so that the next run need not read it.
    ///
    /// # Errors
    /// It can't be written. Nothing but time is lost by that.
    pub fn save(&self) -> Result<(), GitError> {
        self.tree.memory.save()?;
        let parts: Vec<_> = self.inside.readers().values().map(Arc::clone).collect();
        parts.iter().try_for_each(|part| part.reader.save())
    }
}

/// Whether a parent of `folder`, or the folder itself, is among the sorted folders.
fn is_covered(folder: &RepoPath, sorted: &[&RepoPath]) -> bool {
    let mut next = Some(folder.clone());
    while let Some(folder) = next {
        if sorted.binary_search(&&folder).is_ok() {
            return true;
        }
        next = folder.parent();
    }
    false
}

impl Inside {
    fn new(opener: &Opener, dir: &Path, state_dir: Option<&Path>) -> Self {
        Self {
            opener: opener.clone(),
            dir: dir.to_owned(),
            state_dir: state_dir.map(Path::to_owned),
            readers: Mutex::new(HashMap::new()),
        }
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<RepoPath, Arc<Part>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self, path: &RepoPath) -> Result<Option<Arc<Part>>, GitError> {
        if let Some(part) = self.readers().get(path) {
            return Ok(Some(Arc::clone(part)));
        }
        let Some(repository) = self.opener.open(&path.under(&self.dir))? else { return Ok(None) };
        let reader = WorkTreeReader::open(&repository, self.state_dir.as_deref())?;
        let part = Arc::new(Part { repository, reader });
        self.readers().insert(path.clone(), Arc::clone(&part));
        Ok(Some(part))
    }
}

impl Inside {
    /// The files of a submodule's folder that is no repository.
    fn plain_files(&self, path: &RepoPath) -> Result<Vec<RepoPath>, GitError> {
        let dir = path.under(&self.dir);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let plain = Self::new(&self.opener, &dir, None);
        let top = RepoPath::top();
        let (entries, _) = Walk::new(&WorkTree::plain(&dir)?, &plain, &top).entries()?;
        Ok(entries.iter().map(|entry| path.child(entry.path.bytes())).collect())
    }
}

impl Nested for Inside {
    fn content(&self, path: &RepoPath, recorded: Option<ContentId>) -> Result<Option<ContentId>, GitError> {
        if let Some(part) = self.part(path)? {
            return submodule::content(&part.repository, &part.reader.snapshot()?).map(Some);
        }
        let Some(recorded) = recorded else { return Ok(None) };
        let dir = path.under(&self.dir);
        let plain = Self::new(&self.opener, &dir, None);
        let top = RepoPath::top();
        let (files, _) = Walk::new(&WorkTree::plain(&dir)?, &plain, &top).entries()?;
        Ok(Some(submodule::content_of_plain(recorded, &Snapshot::of_sorted(files))))
    }
}
