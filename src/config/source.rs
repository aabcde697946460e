//! The text of one tasks.toml. It must not know what the text says.

use crate::base::path::RepoPath;

/// The text of a tasks.toml, before it is parsed.
#[derive(Clone, Debug)]
pub struct SourceText<'s> {
    /// The file, as messages name it.
    pub name: &'s str,
    /// Its content.
    pub text: &'s str,
    /// The folder that contains it.
    pub base: RepoPath,
    /// The project that the file is, such as `api:auth`; empty for the outermost file.
    pub project: &'s str,
}
