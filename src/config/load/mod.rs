//! Loads a tasks.toml with the files that it includes and the variables of `env-file`. `tree.rs` says what a
//! tree of files must offer; `include.rs` finds the files.

pub(crate) mod dotenv;
pub(crate) mod env_files;
pub(crate) mod include;
mod tree;

use crate::base::path::RepoPath;
use crate::config::assemble;
use crate::config::model::Config;
use crate::config::source::SourceText;
use include::LoadedFile;
pub use tree::{ConfigTree, FILE, LoadError, TreeEntry};

/// Loads the tasks.toml at `path` and all that it includes. Returns `None` if there is none.
///
/// # Errors
/// Returns all errors of the files, or the error of reading the tree.
pub fn load<L: ConfigTree>(tree: &L, path: &RepoPath) -> Result<Option<Config>, LoadError<L::Error>> {
    let Some(mut files) = include::files(tree, path)? else { return Ok(None) };
    let sink = files.iter_mut().map(|file| std::mem::take(&mut file.sink)).collect();
    let sources: Vec<SourceText<'_>> = files.iter().map(LoadedFile::source).collect();
    let mut config = assemble::parse_files(&sources, sink).map_err(LoadError::Wrong)?;
    env_files::fill(tree, &mut config)?;
    Ok(Some(config))
}
