//! The id of the git tree that a snapshot would be, computed without writing any object. It must
//! not know where the snapshot was taken.

use std::fmt::Write as _;

use git2::{ObjectType, Oid};
use rayon::prelude::*;

use crate::git::error::GitError;
use crate::git::snapshot::{Entry, Snapshot};

/// Folders of fewer entries are not worth a thread.
const WORTHWHILE: usize = 2000;

/// The id of the tree object, in hexadecimal: what `git write-tree` prints after `git add --all`,
/// if git changes no bytes on the way and there is no repository in the repository.
///
/// # Errors
/// libgit2 refuses to hash.
pub fn tree_id(snapshot: &Snapshot) -> Result<String, GitError> {
    tree(snapshot.entries(), 0).map(|id| id.to_string()).map_err(GitError::object("hash", &"the tree"))
}

/// One row of a tree: a file, or all entries of a folder.
struct Row<'e> {
    name: &'e [u8],
    entries: &'e [Entry],
    is_folder: bool,
}

/// The tree of `entries`, whose paths share their first `skip` bytes.
fn tree(entries: &[Entry], skip: usize) -> Result<Oid, git2::Error> {
    let rows: Vec<Row<'_>> = rows(entries, skip).collect();
    let id = |row: &Row<'_>| {
        if row.is_folder {
            tree(row.entries, skip + row.name.len() + 1)
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

fn rows(entries: &[Entry], skip: usize) -> impl Iterator<Item = Row<'_>> {
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
        Some(Row { name, entries, is_folder: slash.is_some() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_tree_has_its_known_id() {
        assert_eq!(tree_id(&Snapshot::default()).unwrap(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }
}
