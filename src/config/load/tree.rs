//! The files of one tree, such as a work tree or a commit, so that the same code loads a config from both. It
//! must not know what the files say.

use crate::base::links::{LinkTarget, follow};
use crate::base::path::RepoPath;
use crate::config::diagnostic::Diagnostics;

/// The usual name of a file with tasks.
pub const FILE: &str = "tasks.toml";

/// Reads the files of one tree that may contain tasks.
pub trait ConfigTree {
    /// The error of reading the tree.
    type Error;

    /// Lists the files, symlinks and folders in a folder, sorted. Files and symlinks whose names don't end
    /// with `.toml` may be left out. A missing folder is empty. No part of its path is a symlink.
    ///
    /// # Errors
    /// The folder can't be read.
    fn list(&self, folder: &RepoPath) -> Result<Vec<TreeEntry>, Self::Error>;

    /// Returns the target of a symlink; `None` if there is no symlink at this path.
    ///
    /// # Errors
    /// It can't be read.
    fn link(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Returns the text of a file; `None` if the tree does not have it. No part of its path is a symlink.
    ///
    /// # Errors
    /// The file can't be read, or is not text.
    fn read(&self, path: &RepoPath) -> Result<Option<String>, Self::Error>;

    /// Returns the content of a file that may not be part of the tree, such as one that git ignores.
    ///
    /// # Errors
    /// The file can't be read.
    fn read_beside(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Returns the name of a file in messages.
    fn name(&self, path: &RepoPath) -> String;
}

/// A file or folder in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path.
    pub path: RepoPath,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// The error of loading a config.
#[derive(Debug)]
pub enum LoadError<E> {
    /// A file is invalid.
    Wrong(Diagnostics),
    /// The tree can't be read.
    Tree(E),
}

/// Returns the text of a file in the form that is the same in each tree: a checkout may write other line ends
/// than the commit has, and some editors begin a file with a byte order mark. TOML allows to change line ends
/// in strings.
pub(crate) fn plain(text: String) -> String {
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.contains("\r\n") { text.replace("\r\n", "\n") } else { text }
}

/// Reads a file by the same rules in each tree; see [`ConfigTree::read_beside`].
pub(crate) fn read_beside<L: ConfigTree>(tree: &L, path: &RepoPath) -> Result<Option<Vec<u8>>, L::Error> {
    match follow(path, |path| tree.link(path))? {
        LinkTarget::To(at) => tree.read_beside(&at),
        LinkTarget::Cycle => Ok(None),
        // A file of variables may be outside the tree.
        LinkTarget::Outside { .. } => tree.read_beside(path),
    }
}
