//! Writes the tree of all files of the work tree, and trees that differ from another by one file. It must not
//! know what the trees are for.

use std::fs;
use std::io;
use std::path::Path;

use git2::Oid;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::Repository;

/// The tree of all files of the work tree, with an index of its own.
#[derive(Debug)]
pub struct WorkDirTree {
    /// The id of the tree.
    pub id: String,
    index: tempfile::TempPath,
}

impl Repository {
    /// Writes the tree that a commit of all files would have, tracked and untracked but not ignored. The
    /// user's index is not changed. `state` is the folder of a temporary index.
    ///
    /// # Errors
    /// A file can't be read, or git can't write the objects.
    pub fn write_work_dir_tree(&self, state: &Path) -> Result<WorkDirTree, GitError> {
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
        Ok(WorkDirTree { id: String::from_utf8_lossy(&id).trim().to_owned(), index })
    }

    /// Writes files of a tree to the work tree again, as a checkout does.
    ///
    /// # Errors
    /// A file can't be written.
    pub fn restore_files(&self, tree: &WorkDirTree, paths: &[RepoPath]) -> Result<(), GitError> {
        for path in paths {
            let args =
                ["checkout-index".as_ref(), "--force".as_ref(), "--".as_ref(), path.as_path().as_os_str()];
            self.program().run_with_index(self.dirs(), &args, &tree.index)?;
        }
        Ok(())
    }

    /// Stores a file of the work tree as an object, and returns the object's id.
    ///
    /// # Errors
    /// The file can't be read, or the object can't be written.
    pub fn store_file(&self, path: &RepoPath) -> Result<String, GitError> {
        let id = self.lock().blob_path(&path.under(self.work_dir()));
        Ok(id.map_err(GitError::object("store", path))?.to_string())
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
