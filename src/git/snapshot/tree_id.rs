//! Computes the id of the git tree that a snapshot would be, without writing an object.

use std::fmt::Write as _;

use git2::{ObjectType, Oid};
use rayon::prelude::*;

use crate::git::error::GitError;
use crate::git::index::known_trees::TreesByFolder;
use crate::git::snapshot::unchanged::WorkTreeFiles;
use crate::git::snapshot::{Snapshot, SnapshotEntry};

/// Folders with fewer entries are hashed on one thread.
const WORTHWHILE: usize = 2000;

/// Returns the id of the tree object in hexadecimal: what `git write-tree` prints after `git add
/// --all` if git converts no bytes and there is no repository inside the repository.
///
/// # Errors
/// libgit2 fails to hash.
pub fn tree_id(snapshot: &Snapshot) -> Result<String, GitError> {
    let files = snapshot.files();
    if let Some(id) = files.known_tree() {
        return Ok(id.hex());
    }
    let known = StoredTrees { files, by_folder: files.stored_trees() };
    known.tree(snapshot.entries(), 0).map(|id| id.to_string()).map_err(GitError::object("hash", &"the tree"))
}

/// The trees that git has stored in the index. They are used for folders in which nothing has changed.
struct StoredTrees<'f> {
    files: &'f WorkTreeFiles,
    by_folder: TreesByFolder,
}

/// A row of a tree: a file, or all entries of a folder.
struct TreeRow<'e> {
    name: &'e [u8],
    entries: &'e [SnapshotEntry],
    is_folder: bool,
}

impl StoredTrees<'_> {
    /// Returns the id of the tree of `entries`, whose paths share their first `skip` bytes.
    fn tree(&self, entries: &[SnapshotEntry], skip: usize) -> Result<Oid, git2::Error> {
        let rows: Vec<TreeRow<'_>> = rows(entries, skip).collect();
        let id = |row: &TreeRow<'_>| {
            if row.is_folder {
                let skip = skip + row.name.len() + 1;
                self.stored(row, skip).unwrap_or_else(|| self.tree(row.entries, skip))
            } else {
                Oid::from_bytes(&row.entries[0].id.0)
            }
        };
        let ids: Vec<Result<Oid, git2::Error>> = if entries.len() < WORTHWHILE {
            rows.iter().map(id).collect()
        } else {
            rows.par_iter().map(id).collect()
        };
        let mut bytes = Vec::with_capacity(rows.len() * 50);
        let mut mode = String::new();
        for (row, id) in rows.iter().zip(ids) {
            mode.clear();
            let octal = if row.is_folder { 0o40_000 } else { row.entries[0].mode.octal() };
            // Writing to a string can't fail.
            let _ = write!(mode, "{octal:o} ");
            bytes.extend_from_slice(mode.as_bytes());
            bytes.extend_from_slice(row.name);
            bytes.push(0);
            bytes.extend_from_slice(id?.as_bytes());
        }
        Oid::hash_object(ObjectType::Tree, &bytes)
    }

    /// Returns the stored id of a folder's tree, if nothing has changed in the folder. Its path and the slash
    /// after it are the first `len` bytes of the paths of its entries.
    fn stored(&self, row: &TreeRow<'_>, len: usize) -> Option<Result<Oid, git2::Error>> {
        let prefix = &row.entries.first()?.path.bytes()[..len];
        let stored = self.by_folder.get(prefix)?;
        let is_same = stored.entries == row.entries.len() && self.files.is_unchanged(prefix, stored.entries);
        is_same.then(|| Oid::from_bytes(&stored.id.0))
    }
}

fn rows(entries: &[SnapshotEntry], skip: usize) -> impl Iterator<Item = TreeRow<'_>> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let below = &rest.first()?.path.bytes()[skip..];
        let slash = below.iter().position(|byte| *byte == b'/');
        let name = &below[..slash.unwrap_or(below.len())];
        let len = match slash {
            Some(slash) => {
                rest.partition_point(|entry| entry.path.bytes()[skip..].starts_with(&below[..=slash]))
            }
            None => 1,
        };
        let (entries, others) = rest.split_at(len);
        rest = others;
        Some(TreeRow { name, entries, is_folder: slash.is_some() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_tree_has_its_known_id() {
        assert_eq!(tree_id(&Snapshot::default()).unwrap(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
}
