//! Loads a tasks.toml with the files that it includes and the variables of `env-file`. `tree.rs` says what a
//! tree of files must offer; `include.rs` finds the files. `remembered.rs` keeps a config for the next command,
//! and `answers.rs` says whether it still holds.

mod answers;
pub(crate) mod dotenv;
pub(crate) mod env_files;
pub(crate) mod include;
mod remembered;
#[cfg(test)]
pub(in crate::config) mod tests;
mod tree;

use crate::base::path::RepoPath;
use crate::config::assemble;
use crate::config::model::Config;
use crate::config::source::SourceText;
use answers::RecordingTree;
use include::LoadedFile;
pub use remembered::ConfigMemory;
pub use tree::{ConfigTree, FILE, LoadError, TreeEntry};

/// Loads the tasks.toml at `path` and all that it includes. Returns `None` if there is none.
///
/// # Errors
/// Returns all errors of the files, or the error of reading the tree.
pub fn load<L: ConfigTree>(tree: &L, path: &RepoPath) -> Result<Option<Config>, LoadError<L::Error>> {
    let Some(outermost) = include::outermost(tree, path)? else { return Ok(None) };
    let mut config = parse(tree, outermost)?;
    env_files::fill(tree, &mut config)?;
    Ok(Some(config))
}

/// Loads like [`load`], but takes a config that an earlier command parsed from the same files. Files with
/// errors are parsed each time.
///
/// # Errors
/// As [`load`].
pub fn load_remembered<L: ConfigTree>(
    tree: &L,
    path: &RepoPath,
    memory: &impl ConfigMemory,
) -> Result<Option<Config>, LoadError<L::Error>> {
    let Some(outermost) = include::outermost(tree, path)? else { return Ok(None) };
    let name = remembered::name(memory.program(), &outermost);
    let known = memory.read(&name).and_then(|bytes| remembered::decode(&name, &bytes, tree, &outermost));
    let mut config = match known {
        Some(config) => config,
        None => {
            let recording = RecordingTree::new(tree);
            let config = parse(&recording, outermost)?;
            if let Some(bytes) = remembered::encode(&name, &config, &recording.into_answers()) {
                memory.write(&name, &bytes);
            }
            config
        }
    };
    env_files::fill(tree, &mut config)?;
    Ok(Some(config))
}

/// Parses the outermost file and all that it includes, without the variables of `env-file`.
fn parse<L: ConfigTree>(tree: &L, outermost: LoadedFile) -> Result<Config, LoadError<L::Error>> {
    let mut files = include::with_included(tree, outermost).map_err(LoadError::Tree)?;
    let sink = files.iter_mut().map(|file| std::mem::take(&mut file.sink)).collect();
    let sources: Vec<SourceText<'_>> = files.iter().map(LoadedFile::source).collect();
    assemble::parse_files(&sources, sink).map_err(LoadError::Wrong)
}
