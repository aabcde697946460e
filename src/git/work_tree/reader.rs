//! The snapshot of the work tree as it is on disk. It does not know what the snapshot is used for.
//!
//! Clean files are not opened. The content of a file is taken from git's index if its stat is equal
//! to the index's in every part and older than the index; otherwise from our own cache of stats;
//! otherwise the file is read. Likewise a folder is not listed if its stat is known to be that of a
//! time at which it contained exactly what the index has below it. If git may have converted bytes
//! between blob and disk, the index is not used, because the content of an entry is that of the bytes
//! on disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::{Repository, RepositoryOpener};
use crate::git::snapshot::{ContentId, Mode, Snapshot, SnapshotEntry};
use crate::git::work_tree::state::WorkTreeState;
use crate::git::work_tree::submodule::{self, SubmoduleContent};
use crate::git::work_tree::walk::Walk;

/// Reads the work tree, any number of times and from any thread. The index is read once, at opening;
/// everything else is read again each time.
pub struct WorkTreeReader {
    state: WorkTreeState,
    submodules: SubmoduleReaders,
}

/// The repositories inside the work tree that have been read so far.
struct SubmoduleReaders {
    opener: RepositoryOpener,
    dir: PathBuf,
    state_dir: Option<PathBuf>,
    readers: Mutex<HashMap<RepoPath, Arc<OpenSubmodule>>>,
}

/// An open submodule, or another repository inside the work tree.
struct OpenSubmodule {
    repository: Repository,
    reader: WorkTreeReader,
}

impl std::fmt::Debug for WorkTreeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkTreeReader").field("dir", &self.state.dir).finish_non_exhaustive()
    }
}

impl WorkTreeReader {
    /// Reads the index, the rules, and the cache in `state_dir` if there is such a folder.
    ///
    /// # Errors
    /// The index, an ignore file or an attribute file can't be read.
    pub fn open(repository: &Repository, state_dir: Option<&Path>) -> Result<Self, GitError> {
        let submodules = SubmoduleReaders::new(repository.opener(), repository.work_dir(), state_dir);
        Ok(Self { state: WorkTreeState::load(repository, state_dir)?, submodules })
    }

    /// Returns a reader that reads each file and lists each folder.
    #[cfg(test)]
    pub(crate) fn open_distrusting(repository: &Repository) -> Self {
        use crate::base::stat::FileTime;
        let mut reader = Self::open(repository, None).unwrap();
        let index = Arc::get_mut(&mut reader.state.index).unwrap();
        index.distrusted_until = Some(FileTime { seconds: i64::MAX, nanos: 0 });
        reader.state.dated_device = None;
        reader
    }

    /// Returns all tracked files, and all files that are neither tracked nor ignored, as they are
    /// now.
    ///
    /// # Errors
    /// A file or folder can't be read; the error names it.
    pub fn snapshot(&self) -> Result<Snapshot, GitError> {
        let top = RepoPath::top();
        let (files, folders) = Walk::new(&self.state, &self.submodules, &top).files()?;
        let count = files.len();
        let snapshot = Snapshot::from_files(files);
        self.state.cache.prune(count, folders, |path| !snapshot.entries_in(path).is_empty());
        Ok(snapshot)
    }

    /// Returns the entries at these paths or below them as they are now, sorted. The cost is
    /// proportional to the files there. A path inside a submodule is part of the submodule's entry.
    ///
    /// # Errors
    /// A file or folder can't be read; the error names it.
    pub fn rescan(&self, folders: &[RepoPath]) -> Result<Vec<SnapshotEntry>, GitError> {
        let mut folders: Vec<&RepoPath> = folders.iter().collect();
        folders.sort_unstable();
        // Comparing neighbours is not enough: `a.b` sorts between `a` and `a/b`.
        let mut apart: Vec<&RepoPath> = Vec::with_capacity(folders.len());
        for folder in folders {
            if !is_covered(folder, &apart) {
                apart.push(folder);
            }
        }
        let mut all = Vec::new();
        for folder in apart {
            all.extend(Walk::new(&self.state, &self.submodules, folder).files()?.0.entries());
        }
        all.sort_unstable_by(|a: &SnapshotEntry, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// Returns the paths of the files of the submodule, or other repository, at `path`: those that it
    /// tracks and those that it does not ignore, and the same of repositories inside it.
    ///
    /// # Errors
    /// A file or folder can't be read; the error names it.
    pub fn files_inside(&self, path: &RepoPath) -> Result<Vec<RepoPath>, GitError> {
        let Some(part) = self.submodules.get_or_open(path)? else { return self.submodules.plain_files(path) };
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

    /// Writes the cache to disk, so that the next run need not read the files again.
    ///
    /// # Errors
    /// The cache can't be written. Only time is lost.
    pub fn save(&self) -> Result<(), GitError> {
        self.state.cache.save()?;
        self.state.verified.save(&self.state.index)?;
        let parts: Vec<_> = self.submodules.readers().values().map(Arc::clone).collect();
        parts.iter().try_for_each(|part| part.reader.save())
    }
}

/// Returns whether `folder` or one of its parents is among the sorted folders.
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

impl SubmoduleReaders {
    fn new(opener: &RepositoryOpener, dir: &Path, state_dir: Option<&Path>) -> Self {
        Self {
            opener: opener.clone(),
            dir: dir.to_owned(),
            state_dir: state_dir.map(Path::to_owned),
            readers: Mutex::new(HashMap::new()),
        }
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<RepoPath, Arc<OpenSubmodule>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get_or_open(&self, path: &RepoPath) -> Result<Option<Arc<OpenSubmodule>>, GitError> {
        if let Some(part) = self.readers().get(path) {
            return Ok(Some(Arc::clone(part)));
        }
        let Some(repository) = self.opener.open(&path.under(&self.dir))? else { return Ok(None) };
        let reader = WorkTreeReader::open(&repository, self.state_dir.as_deref())?;
        let part = Arc::new(OpenSubmodule { repository, reader });
        self.readers().insert(path.clone(), Arc::clone(&part));
        Ok(Some(part))
    }
}

impl SubmoduleReaders {
    /// Returns the files of a submodule's folder that is not a repository.
    fn plain_files(&self, path: &RepoPath) -> Result<Vec<RepoPath>, GitError> {
        let dir = path.under(&self.dir);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let plain = Self::new(&self.opener, &dir, None);
        let top = RepoPath::top();
        let (files, _) = Walk::new(&WorkTreeState::without_repository(&dir)?, &plain, &top).files()?;
        Ok(files.entries().iter().map(|entry| path.child(entry.path.bytes())).collect())
    }
}

impl SubmoduleContent for SubmoduleReaders {
    fn content_id(
        &self,
        path: &RepoPath,
        recorded: Option<ContentId>,
    ) -> Result<Option<ContentId>, GitError> {
        if let Some(part) = self.get_or_open(path)? {
            return submodule::checked_out_content(&part.repository, &part.reader.snapshot()?).map(Some);
        }
        let Some(recorded) = recorded else { return Ok(None) };
        let dir = path.under(&self.dir);
        let plain = Self::new(&self.opener, &dir, None);
        let top = RepoPath::top();
        let (files, _) = Walk::new(&WorkTreeState::without_repository(&dir)?, &plain, &top).files()?;
        Ok(Some(submodule::plain_folder_content(recorded, &Snapshot::from_files(files))))
    }
}
