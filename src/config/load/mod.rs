//! A tasks.toml with all that belongs to it: the files that it includes and the variables of `env-file`.

pub(crate) mod dotenv;
pub(crate) mod env_files;
pub(crate) mod include;
mod tree;

use crate::base::path::RepoPath;
use crate::config::assemble;
use crate::config::model::Config;
use crate::config::source::Source;
use include::Member;
pub use tree::{FILE, Library, Listed, LoadError};

/// Reads the tasks.toml at `path`, and all that it includes; `None` if there is none.
///
/// # Errors
/// All that is wrong with them, or the tree can't be read.
pub fn load<L: Library>(tree: &L, path: &RepoPath) -> Result<Option<Config>, LoadError<L::Error>> {
    let Some(mut members) = include::members(tree, path)? else { return Ok(None) };
    let findings = members.iter_mut().map(|member| std::mem::take(&mut member.findings)).collect();
    let sources: Vec<Source<'_>> = members.iter().map(Member::source).collect();
    let mut config = assemble::parse_all(&sources, findings).map_err(LoadError::Wrong)?;
    env_files::fill(tree, &mut config)?;
    Ok(Some(config))
}
