//! The ids of the trees of folders that git stores in its index, the extension `TREE`. They do not know the
//! entries of the index.
//!
//! Git writes the id of a folder's tree when it commits, and removes it as soon as an entry in the folder
//! changes. So the id is that of the entries, and a tree need not be hashed again.

use std::collections::HashMap;

use crate::git::snapshot::entry::ContentId;

/// The name of the extension.
pub(crate) const SIGNATURE: &[u8; 4] = b"TREE";

/// No path of a folder is longer.
const LONGEST_PATH: usize = 4096;

/// The extension, which is parsed when it is needed.
#[derive(Debug, Default)]
pub(crate) struct KnownTrees(Vec<u8>);

/// The tree of a folder, by the folder's path with a slash after it; the path of the top is empty.
pub(crate) type TreesByFolder = HashMap<Vec<u8>, KnownTree>;

/// The tree of a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct KnownTree {
    /// The number of entries in the folder and below it.
    pub(crate) entries: usize,
    /// The id of the tree.
    pub(crate) id: ContentId,
}

impl KnownTrees {
    /// Returns the trees with this content of the extension.
    pub(crate) fn new(extension: &[u8]) -> Self {
        Self(extension.to_vec())
    }

    /// Returns the tree of the top, if it is known.
    pub(crate) fn top(&self) -> Option<KnownTree> {
        let mut rest = &*self.0;
        (take_row(&mut rest)?).tree
    }

    /// Returns all known trees. The map is empty if the extension is missing or damaged.
    pub(crate) fn by_folder(&self) -> TreesByFolder {
        let mut rest = &*self.0;
        let mut trees = HashMap::new();
        let is_whole = collect(&mut rest, &mut Vec::new(), &mut trees).is_some();
        if is_whole && rest.is_empty() { trees } else { HashMap::new() }
    }
}

struct Row<'r> {
    name: &'r [u8],
    tree: Option<KnownTree>,
    folders: usize,
}

/// Takes the row of a folder: its name, a zero, the number of its entries or -1, the number of its subfolders,
/// and the id if the number of entries is known.
fn take_row<'r>(rest: &mut &'r [u8]) -> Option<Row<'r>> {
    let name = take_until(rest, 0)?;
    let entries = std::str::from_utf8(take_until(rest, b' ')?).ok()?;
    let folders = std::str::from_utf8(take_until(rest, b'\n')?).ok()?.parse().ok()?;
    let tree = match entries.parse::<usize>() {
        Ok(entries) => {
            let (id, after) = rest.split_first_chunk::<20>()?;
            *rest = after;
            Some(KnownTree { entries, id: ContentId(*id) })
        }
        Err(_) => None,
    };
    Some(Row { name, tree, folders })
}

/// Collects the tree of the next folder and those of its subfolders. `path` is that of the folder's parent.
fn collect(rest: &mut &[u8], path: &mut Vec<u8>, trees: &mut TreesByFolder) -> Option<()> {
    let row = take_row(rest)?;
    let len = path.len();
    // Only a damaged extension is deeper.
    if len > LONGEST_PATH {
        return None;
    }
    if !row.name.is_empty() {
        path.extend_from_slice(row.name);
        path.push(b'/');
    }
    if let Some(tree) = row.tree {
        trees.insert(path.clone(), tree);
    }
    for _ in 0..row.folders {
        // A subfolder without a name would never end.
        if rest.first() == Some(&0) {
            return None;
        }
        collect(rest, path, trees)?;
    }
    path.truncate(len);
    Some(())
}

fn take_until<'r>(rest: &mut &'r [u8], end: u8) -> Option<&'r [u8]> {
    let at = rest.iter().position(|byte| *byte == end)?;
    let (taken, after) = (&rest[..at], &rest[at + 1..]);
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(entries: usize, id: u8) -> KnownTree {
        KnownTree { entries, id: ContentId([id; 20]) }
    }

    #[test]
    fn trees_of_folders_are_parsed_and_invalid_ones_are_left_out() {
        let bytes = [
            b"\x003 2\n".as_slice(),
            &[1; 20],
            b"a\x00-1 1\n",
            b"b\x001 0\n",
            &[2; 20],
            b"c\x001 0\n",
            &[3; 20],
        ]
        .concat();
        let trees = KnownTrees::new(&bytes);
        let expected = [(b"".as_slice(), known(3, 1)), (b"a/b/", known(1, 2)), (b"c/", known(1, 3))];
        assert_eq!(trees.by_folder(), expected.map(|(path, tree)| (path.to_vec(), tree)).into());
        assert_eq!(trees.top(), Some(known(3, 1)));
        for end in 0..bytes.len() {
            assert!(KnownTrees::new(&bytes[..end]).by_folder().is_empty(), "cut at {end}");
        }
        let more = [&*bytes, b"x"].concat();
        assert!(KnownTrees::new(&more).by_folder().is_empty());
    }
}
