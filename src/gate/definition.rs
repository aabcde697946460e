//! Loads the tasks.toml of a tree that is not checked out, with all the files that it includes. This
//! module does not know what the config is used for.

use crate::base::file::{self, FileError};
use crate::base::path::RepoPath;
use crate::config::load::{self, ConfigTree, FILE, LoadError, TreeEntry};
use crate::config::model::Config;
use crate::gate::error::GateError;
use crate::git::Repository;

/// The files of a tree, as git stores them.
struct TreeFiles<'a> {
    repository: &'a Repository,
    tree: &'a str,
    /// What messages call the tree: they name a file `what:path`.
    what: &'a str,
}

impl ConfigTree for TreeFiles<'_> {
    type Error = GateError;

    fn list(&self, folder: &RepoPath) -> Result<Vec<TreeEntry>, GateError> {
        let names = self.repository.browse_tree(self.tree, folder)?;
        Ok(names.into_iter().map(|name| TreeEntry { path: name.path, is_folder: name.is_folder }).collect())
    }

    fn link(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, GateError> {
        Ok(self.repository.read_link(self.tree, path)?)
    }

    fn read(&self, path: &RepoPath) -> Result<Option<String>, GateError> {
        let Some(bytes) = self.repository.read_file(self.tree, path)? else { return Ok(None) };
        Ok(Some(text(bytes, path)?))
    }

    fn read_beside(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, GateError> {
        match self.repository.read_file(self.tree, path)? {
            Some(bytes) => Ok(Some(bytes)),
            None => Ok(file::read(&path.under(self.repository.work_dir()))?),
        }
    }

    fn name(&self, path: &RepoPath) -> String {
        format!("{}:{path}", self.what)
    }
}

/// Converts the bytes of a file to text. `path` is only used in the error.
///
/// # Errors
/// Fails if the bytes are not valid UTF-8.
pub fn text(bytes: Vec<u8>, path: &RepoPath) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        FileError::context("read as UTF-8 text", path.as_path())(error)
    })
}

/// Loads the first tasks.toml that `tree` has in one of `folders`, or returns `None` if there is none.
/// Messages name the file `what:path`.
///
/// # Errors
/// Fails if the file is invalid, or if the tree can't be read.
pub fn load_config(
    repository: &Repository,
    tree: &str,
    folders: &[RepoPath],
    what: &str,
) -> Result<Option<Config>, GateError> {
    let files = TreeFiles { repository, tree, what };
    for base in folders {
        let loaded = load::load(&files, &base.child(FILE.as_bytes())).map_err(|error| match error {
            LoadError::Wrong(diagnostics) => GateError::Config(diagnostics),
            LoadError::Tree(error) => error,
        })?;
        if loaded.is_some() {
            return Ok(loaded);
        }
    }
    Ok(None)
}
