//! The tasks.toml of a tree that is not checked out, with all that it includes. It must not know
//! what is done with it.

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
    /// Messages name a file as that of this.
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

/// The text of a file.
///
/// # Errors
/// It is none.
pub fn text(bytes: Vec<u8>, path: &RepoPath) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
        FileError::of("read as UTF-8 text", path.as_path())(error)
    })
}

/// What the first tasks.toml that `tree` has in one of `folders` says; `None` if it has none.
/// Messages name the file as that of `what`.
///
/// # Errors
/// The file is wrong, or the tree can't be read.
pub fn of_tree(
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
