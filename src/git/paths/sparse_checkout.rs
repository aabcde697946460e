//! The files that a sparse checkout leaves out of the work tree, read from the index and from git's
//! objects.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::paths::browse::FolderEntry;
use crate::git::repository::Repository;
use crate::git::snapshot::{Mode, SnapshotEntry};

impl Repository {
    /// Returns the content of a file that is left out, or the target of a symlink; `None` for other
    /// paths, and for files that exist on disk anyway.
    ///
    /// # Errors
    /// The index or the content can't be read.
    pub fn sparse_file(&self, path: &RepoPath) -> Result<Option<(Mode, Vec<u8>)>, GitError> {
        // This comes first, so that the index is not read for files that are checked out.
        if path.under(self.work_dir()).symlink_metadata().is_ok() {
            return Ok(None);
        }
        let all = self.sparse_files()?;
        let Ok(at) = all.binary_search_by(|file| file.path.cmp(path)) else { return Ok(None) };
        Ok(Some((all[at].mode, self.read_blob(&all[at].id)?)))
    }

    /// Returns the names in a folder that are left out, sorted. Of the files only those are included
    /// whose name ends with `ending`.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn sparse_names(&self, folder: &RepoPath, ending: &str) -> Result<Vec<FolderEntry>, GitError> {
        let depth = folder.parts().count();
        let mut names = Vec::new();
        for file in self.sparse_files()?.iter().filter(|file| file.path.is_within(folder)) {
            let mut below = file.path.parts().skip(depth);
            let Some(part) = below.next() else { continue };
            let is_folder = below.next().is_some();
            if (is_folder || part.ends_with(ending.as_bytes()))
                && !folder.child(part).under(self.work_dir()).exists()
            {
                names.push(FolderEntry { path: folder.child(part), is_folder });
            }
        }
        names.dedup();
        Ok(names)
    }

    /// Returns the files of the index that a sparse checkout leaves out and that do not exist on
    /// disk.
    pub fn not_checked_out(&self) -> Vec<RepoPath> {
        let is_sparse = self.lock().config().and_then(|config| config.get_bool("core.sparseCheckout"));
        if !is_sparse.unwrap_or(false) {
            return Vec::new();
        }
        let Ok(index) = self.index() else { return Vec::new() };
        let paths = (0..index.len()).map(|at| RepoPath::from_git(index.path(at)));
        paths.filter(|path| path.under(self.work_dir()).symlink_metadata().is_err()).collect()
    }

    /// Returns all files that are left out, sorted by path, as the index had them at the first call.
    fn sparse_files(&self) -> Result<&[SnapshotEntry], GitError> {
        if let Some(known) = self.known_sparse_files().get() {
            return Ok(known);
        }
        let index = self.index()?;
        let file = |at: &usize| {
            let entry = index.entry(*at);
            let path = RepoPath::from_git(index.path(*at));
            Some(SnapshotEntry {
                path,
                mode: entry.mode()?,
                id: entry.id,
                stat: None,
                tracked: true,
                not_checked_out: true,
            })
        };
        let all = index.skip_worktree().iter().filter_map(file);
        let all = all.filter(|file| file.mode != Mode::Submodule).collect();
        Ok(self.known_sparse_files().get_or_init(|| all))
    }
}
