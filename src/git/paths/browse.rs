//! Lists the folders of a tree and of the work tree, for callers that look for files by name.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid};

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::index::Index;
use crate::git::repository::Repository;

/// A file or folder in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderEntry {
    /// The path of the file or folder.
    pub path: RepoPath,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Repository {
    /// Returns the first file at or below `path` in a tree; `None` if there is none. The tree is
    /// checked out at `dir`, where submodules are read.
    ///
    /// # Errors
    /// The tree can't be read.
    pub fn first_file(&self, tree: &str, path: &RepoPath, dir: &Path) -> Result<Option<RepoPath>, GitError> {
        let inner = self.lock();
        let id = Oid::from_str(tree).map_err(GitError::object("read the tree", &tree))?;
        let tree = inner.find_tree(id).map_err(GitError::object("read the tree", &tree))?;
        let found = first_file(&inner, &tree, path);
        if let Some(found) = found.map_err(GitError::object("read", &path))? {
            return Ok(Some(found));
        }
        // The files of a submodule are in the submodule's own tree.
        let above = std::iter::successors(path.parent(), RepoPath::parent).filter(|folder| !folder.is_top());
        for folder in above {
            let is_submodule =
                tree.get_path(folder.as_path()).is_ok_and(|entry| entry.kind() == Some(ObjectType::Commit));
            let inside = path.as_path().strip_prefix(folder.as_path()).ok();
            let (true, Some(inside)) = (is_submodule, inside) else { continue };
            let Ok(submodule) = git2::Repository::open(folder.under(dir)) else { continue };
            let Ok(head) = submodule.head().and_then(|head| head.peel_to_tree()) else { continue };
            let inside = RepoPath::from_git(inside.as_os_str().as_bytes());
            let found = first_file(&submodule, &head, &inside).map_err(GitError::object("read", &path))?;
            if let Some(found) = found {
                return Ok(folder.join(&found.to_string()));
            }
        }
        Ok(None)
    }

    /// Lists a folder of a tree, sorted; the list is empty if there is no such folder.
    ///
    /// # Errors
    /// The tree can't be read.
    pub fn browse_tree(&self, tree: &str, folder: &RepoPath) -> Result<Vec<FolderEntry>, GitError> {
        let inner = self.lock();
        let id = if folder.is_top() {
            Oid::from_str(tree).map_err(GitError::object("read the tree", &tree))?
        } else {
            match self.entry_at(&inner, tree, folder)? {
                Some(entry) if entry.kind() == Some(ObjectType::Tree) => entry.id(),
                _ => return Ok(Vec::new()),
            }
        };
        let found = self.tree(&inner, id).map_err(GitError::object("read the tree", &id))?;
        let mut names: Vec<FolderEntry> = found
            .iter()
            .filter(|entry| matches!(entry.kind(), Some(ObjectType::Tree | ObjectType::Blob)))
            .map(|entry| FolderEntry {
                path: folder.child(entry.name_bytes()),
                is_folder: entry.kind() == Some(ObjectType::Tree),
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// Lists a folder of the work tree, sorted and without what git ignores; the list is empty if
    /// there is no such folder. Of the files only those are included whose name ends with `ending`.
    ///
    /// # Errors
    /// The folder can't be read.
    pub fn browse_work_tree(&self, folder: &RepoPath, ending: &str) -> Result<Vec<FolderEntry>, GitError> {
        let names = browse_folder(self.work_dir(), folder, ending)?;
        // libgit2 keeps the index for the next folder, but can't read a split or sparse one.
        let known = self.lock().index().ok();
        let own = if known.is_none() { self.index()? } else { Index::default() };
        let inner = self.lock();
        let is_tracked = |name: &FolderEntry| {
            let prefix = name.path.child(b"");
            match &known {
                Some(index) if name.is_folder => {
                    index.find_prefix(std::ffi::OsStr::from_bytes(prefix.bytes())).is_ok()
                }
                Some(index) => index.get_path(name.path.as_path(), 0).is_some(),
                None if name.is_folder => own.has_path_below(&prefix),
                None => own.find(&name.path).is_some(),
            }
        };
        let is_ignored = |name: &FolderEntry| inner.is_path_ignored(name.path.as_path()).unwrap_or(false);
        Ok(names.into_iter().filter(|name| is_tracked(name) || !is_ignored(name)).collect())
    }
}

/// Returns the first file at or below `path` in a tree.
fn first_file(
    repository: &git2::Repository,
    tree: &git2::Tree<'_>,
    path: &RepoPath,
) -> Result<Option<RepoPath>, git2::Error> {
    let entry = match tree.get_path(path.as_path()) {
        Ok(entry) => entry,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut path = path.clone();
    let mut object = entry.to_object(repository);
    // Git has no empty folders, but a tree may have one.
    while let Ok(Some(folder)) = object.as_ref().map(|object| object.as_tree().cloned()) {
        let Some(first) = folder.get(0) else { return Ok(None) };
        path = path.child(first.name_bytes());
        object = first.to_object(repository);
    }
    Ok(Some(path))
}

/// Lists a folder without git, sorted; the list is empty if there is no such folder.
///
/// # Errors
/// The folder can't be read.
pub fn browse_folder(root: &Path, folder: &RepoPath, ending: &str) -> Result<Vec<FolderEntry>, FileError> {
    let path = folder.under(root);
    // The files of a submodule, or of another repository inside this one, are not in the tree.
    let mut above = Some(folder.clone());
    while let Some(folder) = above.filter(|folder| !folder.is_top()) {
        if folder.under(root).join(".git").symlink_metadata().is_ok() {
            return Ok(Vec::new());
        }
        above = folder.parent();
    }
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(FileError::context("read the folder", &path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(FileError::context("read the folder", &path))?;
        let name = entry.file_name();
        let kind = entry.file_type().map_err(FileError::context("look at", &entry.path()))?;
        // A symlink counts as a file, as in the tree, whatever its target is.
        let is_wanted = (kind.is_file() || kind.is_symlink()) && name.as_bytes().ends_with(ending.as_bytes());
        // A submodule, or another repository inside this one, is a single entry in the tree.
        let is_folder = kind.is_dir() && entry.path().join(".git").symlink_metadata().is_err();
        if name != ".git" && (is_folder || is_wanted) {
            names.push(FolderEntry { path: folder.child(name.as_bytes()), is_folder });
        }
    }
    names.sort();
    Ok(names)
}
