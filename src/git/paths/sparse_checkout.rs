//! What a sparse checkout leaves out of the work tree, read from the index and git's objects, for who
//! looks for files by their names. It must not know what is looked for.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::paths::browse::Name;
use crate::git::repository::Repository;
use crate::git::snapshot::{Entry, Mode};

impl Repository {
    /// The content of a file that is left out, or the target of a symlink; `None` of anything else,
    /// and of what is on disk nevertheless.
    ///
    /// # Errors
    /// The index or the content can't be read.
    pub fn left_out(&self, path: &RepoPath) -> Result<Option<(Mode, Vec<u8>)>, GitError> {
        let all = self.all_left_out()?;
        let Ok(at) = all.binary_search_by(|file| file.path.cmp(path)) else { return Ok(None) };
        if path.under(self.work_dir()).symlink_metadata().is_ok() {
            return Ok(None);
        }
        Ok(Some((all[at].mode, self.read_blob(&all[at].id)?)))
    }

    /// The names in a folder that are left out, sorted. Of files only those are looked at whose name
    /// ends with `ending`.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn left_out_of(&self, folder: &RepoPath, ending: &str) -> Result<Vec<Name>, GitError> {
        let depth = folder.parts().count();
        let mut names = Vec::new();
        for file in self.all_left_out()?.iter().filter(|file| file.path.is_within(folder)) {
            let mut below = file.path.parts().skip(depth);
            let Some(part) = below.next() else { continue };
            let is_folder = below.next().is_some();
            if (is_folder || part.ends_with(ending.as_bytes()))
                && !folder.child(part).under(self.work_dir()).exists()
            {
                names.push(Name { path: folder.child(part), is_folder });
            }
        }
        names.dedup();
        Ok(names)
    }

    /// The files of the index that a sparse checkout leaves out.
    pub fn not_checked_out(&self) -> Vec<RepoPath> {
        let is_sparse = self.lock().config().and_then(|config| config.get_bool("core.sparseCheckout"));
        if !is_sparse.unwrap_or(false) {
            return Vec::new();
        }
        let Ok(index) = self.index() else { return Vec::new() };
        let paths = (0..index.len()).map(|row| RepoPath::from_git(index.path(row)));
        paths.filter(|path| path.under(&self.work_dir()).symlink_metadata().is_err()).collect()
    }

    /// All files that are left out, sorted by path, as the index had them when it was first asked.
    fn all_left_out(&self) -> Result<&[Entry], GitError> {
        if let Some(known) = self.known_left_out().get() {
            return Ok(known);
        }
        let index = self.index()?;
        let file = |at: &usize| {
            let row = index.row(*at);
            let path = RepoPath::from_git(index.path(*at));
            Some(Entry { path, mode: row.kind()?, id: row.id, stat: None, tracked: true, absent: true })
        };
        let all = index.skipped().iter().filter_map(file);
        let all = all.filter(|file| file.mode != Mode::Submodule).collect();
        Ok(self.known_left_out().get_or_init(|| all))
    }
}
