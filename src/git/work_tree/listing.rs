//! What one folder holds: its names brought together with the rows of the index. It must not know
//! the file system, nor what becomes of a name.

use std::cmp::Ordering;
use std::ops::Range;

use crate::base::digest::Digest;
use crate::git::index::Index;
use crate::git::rules::glob::Kind;
use crate::git::work_tree::content_cache::NamesDigest;
use crate::git::work_tree::folder::Names;

/// A name of a folder and what the index knows of it.
pub(crate) enum Found<'n> {
    File(&'n [u8], Option<usize>),
    Folder(&'n [u8], Range<usize>),
}

impl<'n> Found<'n> {
    pub(crate) fn name(&self) -> (&'n [u8], Kind) {
        match self {
            Self::File(name, _) => (name, Kind::File),
            Self::Folder(name, _) => (name, Kind::Folder),
        }
    }
}

/// Brings the names together with the rows of the index; both are sorted the same way.
pub(crate) fn merge<'n>(index: &Index, rows: Range<usize>, skip: usize, names: &'n Names) -> Vec<Found<'n>> {
    let end = rows.end;
    let mut at = rows.start;
    let each = names.iter().map(|(name, kind)| {
        let is = |at, wanted| at < end && place(&index.path(at)[skip..], name, kind) == wanted;
        // One name of many: it may lie far behind the first row.
        if names.iter().len() == 1 {
            at = index.first(at..end, |row| place(&row[skip..], name, kind) == Ordering::Less);
        }
        while is(at, Ordering::Less) {
            at += 1;
        }
        let start = at;
        match kind {
            Kind::File if is(at, Ordering::Equal) => {
                at += 1;
                Found::File(name, Some(start))
            }
            Kind::File => Found::File(name, None),
            Kind::Folder => {
                at = index.first(at..end, |row| place(&row[skip..], name, kind) != Ordering::Greater);
                Found::Folder(name, start..at)
            }
        }
    });
    each.collect()
}

/// What the folder holds if it holds just what the index has below it.
pub(crate) fn tracked(index: &Index, rows: Range<usize>, skip: usize) -> Vec<Found<'_>> {
    let mut found = Vec::with_capacity(rows.len());
    let mut at = rows.start;
    while at < rows.end {
        let below = &index.path(at)[skip..];
        if let Some(slash) = below.iter().position(|byte| *byte == b'/') {
            let folder = &below[..=slash];
            let end = index.first(at..rows.end, |row| row[skip..].starts_with(folder));
            found.push(Found::Folder(&below[..slash], at..end));
            at = end;
        } else {
            found.push(Found::File(below, Some(at)));
            at += 1;
        }
    }
    found
}

/// A digest of the names of a folder and of what each is.
pub(crate) fn digest<'n>(names: impl Iterator<Item = (&'n [u8], Kind)>) -> NamesDigest {
    let mut bytes = Vec::with_capacity(4096);
    for (name, kind) in names {
        bytes.extend_from_slice(name);
        // Neither byte can be in a name.
        bytes.push(if kind == Kind::Folder { b'/' } else { 0 });
    }
    let digest = Digest::of(&bytes);
    let mut short = NamesDigest::default();
    short.copy_from_slice(&digest.bytes()[..20]);
    short
}

/// Where a row lies, whose path is `rest` below the folder, as seen from a name of the folder. A
/// row is at a folder's place if it lies within the folder.
fn place(rest: &[u8], name: &[u8], kind: Kind) -> Ordering {
    let common = rest.len().min(name.len());
    let next = rest.get(name.len());
    rest[..common].cmp(&name[..common]).then_with(|| match (next, kind) {
        _ if rest.len() < name.len() => Ordering::Less,
        (None, Kind::File) => Ordering::Equal,
        (None, Kind::Folder) => Ordering::Less,
        (Some(_), Kind::File) => Ordering::Greater,
        (Some(next), Kind::Folder) => next.cmp(&b'/'),
    })
}
