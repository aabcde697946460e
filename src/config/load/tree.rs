//! The files of one tree, such as a work tree or a commit: the same code reads each. It must not know
//! what the files say.

use crate::base::links::{Leads, follow};
use crate::base::path::RepoPath;
use crate::config::diagnostic::Diagnostics;

/// The usual name of a file with tasks.
pub const FILE: &str = "tasks.toml";

/// The files of one tree, as far as they can hold tasks.
pub trait Library {
    /// Why the tree can't be read.
    type Error;

    /// The files, symlinks and folders that a folder holds, sorted; of files and symlinks at least
    /// those whose names end with `.toml`. Nothing if it is none. No part of its path is a symlink.
    ///
    /// # Errors
    /// The folder can't be read.
    fn list(&self, folder: &RepoPath) -> Result<Vec<Listed>, Self::Error>;

    /// What a symlink of the tree points to; `None` if the tree has none at this path.
    ///
    /// # Errors
    /// It can't be read.
    fn link(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Self::Error>;

    /// What a file holds; `None` if the tree does not have it. No part of its path is a symlink.
    ///
    /// # Errors
    /// The file can't be read, or is no text.
    fn read(&self, path: &RepoPath) -> Result<Option<String>, Self::Error>;

    /// What a file holds that need not be part of the tree, such as one that git ignores.
    ///
    /// # Errors
    /// The file can't be read.
    fn read_beside(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Self::Error>;

    /// What messages call a file.
    fn name(&self, path: &RepoPath) -> String;
}

/// What a folder holds under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its path.
    pub path: RepoPath,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// Why there is no config.
#[derive(Debug)]
pub enum LoadError<E> {
    /// A file is wrong.
    Wrong(Diagnostics),
    /// The tree can't be read.
    Tree(E),
}

/// The text of a file as each tree has it: a checkout may write other line ends than a commit has,
/// and some editors begin a file with a byte order mark. TOML lets line ends in texts be changed.
pub(crate) fn plain(text: String) -> String {
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text }
}

/// What a file holds, read by the same rules in each tree; see [`Library::read_beside`].
pub(crate) fn read_beside<L: Library>(tree: &L, path: &RepoPath) -> Result<Option<Vec<u8>>, L::Error> {
    match follow(path, |path| tree.link(path))? {
        Leads::To(at) => tree.read_beside(&at),
        Leads::Nowhere => Ok(None),
        // It need not be part of the tree.
        Leads::Outside { .. } => tree.read_beside(path),
    }
}
