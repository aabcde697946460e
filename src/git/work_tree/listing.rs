//! Matches the names of a folder with the entries of the index. It does not know the file system.

use std::cmp::Ordering;
use std::ops::Range;

use crate::base::digest::Digest;
use crate::git::index::Index;
use crate::git::rules::glob::PathKind;
use crate::git::work_tree::content_cache::NamesDigest;
use crate::git::work_tree::folder::FolderNames;

/// A name in a folder and its entries in the index.
pub(crate) enum ListedName<'n> {
    File(&'n [u8], Option<usize>),
    Folder(&'n [u8], Range<usize>),
}

impl<'n> ListedName<'n> {
    pub(crate) fn name(&self) -> (&'n [u8], PathKind) {
        match self {
            Self::File(name, _) => (name, PathKind::File),
            Self::Folder(name, _) => (name, PathKind::Folder),
        }
    }
}

/// Matches the names with the entries of the index. Both are sorted the same way.
pub(crate) fn match_with_index<'n>(
    index: &Index,
    rows: Range<usize>,
    skip: usize,
    names: &'n FolderNames,
) -> Vec<ListedName<'n>> {
    let end = rows.end;
    let mut at = rows.start;
    let each = names.iter().map(|(name, kind)| {
        let is = |at, wanted| at < end && compare_with_name(&index.path(at)[skip..], name, kind) == wanted;
        // A single name may be far after the first entry.
        if names.iter().len() == 1 {
            at = index.partition_point(at..end, |row| {
                compare_with_name(&row[skip..], name, kind) == Ordering::Less
            });
        }
        while is(at, Ordering::Less) {
            at += 1;
        }
        let start = at;
        match kind {
            PathKind::File if is(at, Ordering::Equal) => {
                at += 1;
                ListedName::File(name, Some(start))
            }
            PathKind::File => ListedName::File(name, None),
            PathKind::Folder => {
                at = index.partition_point(at..end, |row| {
                    compare_with_name(&row[skip..], name, kind) != Ordering::Greater
                });
                ListedName::Folder(name, start..at)
            }
        }
    });
    each.collect()
}

/// Returns the names that the folder has if it contains exactly what the index has below it.
pub(crate) fn tracked_names(index: &Index, rows: Range<usize>, skip: usize) -> Vec<ListedName<'_>> {
    let mut found = Vec::with_capacity(rows.len());
    let mut at = rows.start;
    while at < rows.end {
        let below = &index.path(at)[skip..];
        if let Some(slash) = below.iter().position(|byte| *byte == b'/') {
            let folder = &below[..=slash];
            let end = index.partition_point(at..rows.end, |row| row[skip..].starts_with(folder));
            found.push(ListedName::Folder(&below[..slash], at..end));
            at = end;
        } else {
            found.push(ListedName::File(below, Some(at)));
            at += 1;
        }
    }
    found
}

/// Returns a digest of the names in a folder and of their kinds.
pub(crate) fn names_digest<'n>(names: impl Iterator<Item = (&'n [u8], PathKind)>) -> NamesDigest {
    let mut bytes = Vec::with_capacity(4096);
    for (name, kind) in names {
        bytes.extend_from_slice(name);
        // Neither byte can be in a name.
        bytes.push(if kind == PathKind::Folder { b'/' } else { 0 });
    }
    let digest = Digest::hash(&bytes);
    let mut short = NamesDigest::default();
    short.copy_from_slice(&digest.bytes()[..20]);
    short
}

/// Compares an entry, whose path below the folder is `rest`, with a name of the folder. Entries
/// inside a folder compare as equal to the folder's name.
fn compare_with_name(rest: &[u8], name: &[u8], kind: PathKind) -> Ordering {
    let common = rest.len().min(name.len());
    let next = rest.get(name.len());
    rest[..common].cmp(&name[..common]).then_with(|| match (next, kind) {
        _ if rest.len() < name.len() => Ordering::Less,
        (None, PathKind::File) => Ordering::Equal,
        (None, PathKind::Folder) => Ordering::Less,
        (Some(_), PathKind::File) => Ordering::Greater,
        (Some(next), PathKind::Folder) => next.cmp(&b'/'),
    })
}
