//! The text of one tasks.toml. It must not know what the text says.

use crate::base::path::RepoPath;

/// A tasks.toml to be read.
#[derive(Clone, Debug)]
pub struct Source<'s> {
    /// The file as messages name it.
    pub name: &'s str,
    /// What is in it.
    pub text: &'s str,
    /// The folder that holds it.
    pub base: RepoPath,
    /// The project that it is within the file that includes it, and so on; empty for the outermost.
    pub project: &'s str,
}
