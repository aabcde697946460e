//! What one folder holds: its names brought together with the rows of the index. It must not know
//! the file system, nor what becomes of a name.

use std::cmp::Ordering;
use std::ops::Range;

use crate::base::digest::Digest;
use crate::git::index::Index;
use crate::git::rules::glob::PathKind;
use crate::git::work_tree::content_cache::NamesDigest;
use crate::git::work_tree::folder::FolderNames;

/// A name of a folder and what the index knows of it.
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

/// Brings the names together with the rows of the index; both are sorted the same way.
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
        // One name of many: it may lie far behind the first row.
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

/// What the folder holds if it holds just what the index has below it.
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

/// A digest of the names of a folder and of what each is.
pub(crate) fn names_digest<'n>(names: impl Iterator<Item = (&'n [u8], PathKind)>) -> NamesDigest {
    let mut bytes = Vec::with_capacity(4096);
    for (name, kind) in names {
        bytes.extend_from_slice(name);
        // Neither byte can be in a name.
        bytes.push(if kind == PathKind::Folder { b'/' } else { 0 });
    }
    let digest = Digest::of(&bytes);
    let mut short = NamesDigest::default();
    short.copy_from_slice(&digest.bytes()[..20]);
    short
}

/// Where a row lies, whose path is `rest` below the folder, as seen from a name of the folder. A
/// row is at a folder's place if it lies within the folder.
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
