//! Writes the tree of all files of the work tree, and trees that differ from another by one file. It must not
//! know what the trees are for.

use std::fs;
use std::io;
use std::path::Path;

use git2::Oid;

use crate::base::file::FileError;
use crate::git::error::GitError;
use crate::git::repository::Repository;

impl Repository {
    /// Writes the tree that a commit of all files would have, tracked and untracked but not ignored. The
    /// user's index is not changed. `state` is the folder of a temporary index.
    ///
    /// # Errors
    /// A file can't be read, or git can't write the objects.
    pub fn write_work_dir_tree(&self, state: &Path) -> Result<String, GitError> {
        fs::create_dir_all(state).map_err(FileError::context("create", state))?;
        let file = tempfile::Builder::new().prefix("index-").tempfile_in(state);
        let index = file.map_err(FileError::context("create a file in", state))?.into_temp_path();
        let own = self.git_dir().join("index");
        match fs::copy(&own, &index) {
            Ok(_) => {}
            // git does not accept an empty file as an index.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::remove_file(&index).map_err(FileError::context("remove", &index))?;
            }
            Err(error) => return Err(FileError::context("copy", &own)(error).into()),
        }
        self.program().run_with_index(self.dirs(), &["add", "--all"], &index)?;
        let id = self.program().run_with_index(self.dirs(), &["write-tree"], &index)?;
        Ok(String::from_utf8_lossy(&id).trim().to_owned())
    }

    /// Writes a tree that differs from `tree` in one file at its top, and returns its id.
    ///
    /// # Errors
    /// An object can't be read or written.
    pub fn tree_with_file(&self, tree: &str, name: &str, content: &[u8]) -> Result<String, GitError> {
        let inner = self.lock();
        let write = || -> Result<Oid, git2::Error> {
            let base = inner.find_tree(Oid::from_str(tree)?)?;
            let mut builder = inner.treebuilder(Some(&base))?;
            builder.insert(name, inner.blob(content)?, 0o100_644)?;
            builder.write()
        };
        Ok(write().map_err(GitError::object("write a tree with", &name))?.to_string())
    }
}
