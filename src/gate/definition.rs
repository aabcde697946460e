//! The tasks.toml of a tree that is not checked out. It must not know what is done with it.

use crate::config::model::Config;
use crate::config::{Source, parse};
use crate::gate::error::GateError;
use crate::git::Repository;
use crate::ground::file::FileError;
use crate::ground::path::RepoPath;

/// The name of the file.
pub const FILE: &str = "tasks.toml";

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
    for base in folders {
        let path = base.child(FILE.as_bytes());
        let Some(bytes) = repository.read_file(tree, &path)? else { continue };
        let text = String::from_utf8(bytes).map_err(|error| {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error());
            FileError::of("read as UTF-8 text", path.as_path())(error)
        })?;
        let name = format!("{what}:{path}");
        let config = parse(&Source { name: &name, text: &text, base: base.clone() });
        return config.map(Some).map_err(GateError::Config);
    }
    Ok(None)
}
