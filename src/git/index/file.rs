//! Parses git's index file, versions 2 to 4. It does not know what the entries are used for.
//!
//! The checksum at the end is not verified, and git does not verify it either: it would take longer
//! than all the rest, and a damaged id can only cause a miss. Formats that this parser does not know,
//! such as a split or sparse index, are left to `git ls-files`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::base::stat::{Moment, Stat};
use crate::git::index::known_trees::{KnownTrees, SIGNATURE};
use crate::git::index::{CHECKSUM, FIXED, Index};

const HEADER: usize = 12;

/// The result of reading the file.
#[derive(Debug)]
pub(crate) enum ParsedIndex {
    /// The file was parsed.
    Complete(Index),
    /// The file has a format that only git can read.
    Unsupported,
}

/// Reads the index file. A missing file is an empty index: there is none before the first `git add`.
pub(crate) fn load(path: &Path) -> io::Result<ParsedIndex> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(ParsedIndex::Complete(Index::default()));
        }
        Err(error) => return Err(error),
    };
    // Git replaces the file and never writes into it, so this is the stat of the bytes below.
    let stat = Stat::new(&file.metadata()?);
    let mut bytes = vec![0; usize::try_from(stat.size).map_err(io::Error::other)?];
    // Two threads read, because most of the time is spent on fresh memory. A file that has become
    // shorter is an error.
    let half = bytes.len() / 2;
    let (first, second) = bytes.split_at_mut(half);
    let (first, second) =
        rayon::join(|| file.read_exact_at(first, 0), || file.read_exact_at(second, half as u64));
    first.and(second)?;
    Ok(match parse(bytes) {
        Some(mut index) => {
            index.written = Some(Moment { device: stat.device, time: stat.modified });
            ParsedIndex::Complete(index)
        }
        None => ParsedIndex::Unsupported,
    })
}

fn parse(mut bytes: Vec<u8>) -> Option<Index> {
    let end = bytes.len().checked_sub(CHECKSUM)?;
    let checksum = *bytes.last_chunk()?;
    bytes.truncate(end);
    if bytes.get(..4)? != b"DIRC" {
        return None;
    }
    let version = read_u32(&bytes, 4)?;
    let count = read_u32(&bytes, 8)? as usize;
    if !(2..=4).contains(&version) || count > end / FIXED {
        return None;
    }
    let mut at = HEADER;
    if version == 4 {
        let mut index = Index::with_capacity(Vec::with_capacity(end * 2), count);
        index.checksum = checksum;
        let mut path = Vec::new();
        for _ in 0..count {
            at = read_v4_entry(&bytes, at, &mut path, &mut index)?;
        }
        index.trees = read_extensions(&bytes, at)?;
        return Some(index);
    }
    let mut index = Index::with_capacity(bytes, count);
    index.checksum = checksum;
    for _ in 0..count {
        let (start, flags) = path_start_and_flags(index.bytes(), at, version)?;
        let len = match usize::from(flags & 0xfff) {
            0xfff => length_to_zero(index.bytes().get(start..)?)?,
            len => len,
        };
        index.add(at, start..start + len)?;
        // One to eight zeros pad the entry to a multiple of eight.
        at += ((start - at + len) / 8 + 1) * 8;
    }
    index.trees = read_extensions(index.bytes(), at)?;
    Some(index)
}

/// Returns the start of the path of the entry at `at`, and the entry's flags.
fn path_start_and_flags(bytes: &[u8], at: usize, version: u32) -> Option<(usize, u16)> {
    let flags = u16::from_be_bytes(*bytes.get(at + FIXED - 2..)?.first_chunk()?);
    match (flags & 0x4000, version) {
        (0, _) => Some((at + FIXED, flags)),
        (_, 2) => None,
        _ => Some((at + FIXED + 2, flags)),
    }
}

/// Adds an entry of version 4, whose path is stored as the difference from the previous path, and
/// returns the position of the next entry.
fn read_v4_entry(bytes: &[u8], at: usize, path: &mut Vec<u8>, index: &mut Index) -> Option<usize> {
    let (start, _) = path_start_and_flags(bytes, at, 4)?;
    let more = if start > at + FIXED { read_u32(bytes, at + FIXED - 2)? & 0xffff } else { 0 };
    let (cut, start) = read_varint(bytes, start)?;
    path.truncate(path.len().checked_sub(cut)?);
    let len = length_to_zero(bytes.get(start..)?)?;
    path.extend_from_slice(&bytes[start..start + len]);
    index.push(bytes.get(at..)?.first_chunk()?, u16::try_from(more).ok()?, path)?;
    Some(start + len + 1)
}

/// Returns the number of bytes before the next zero.
fn length_to_zero(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == 0)
}

/// Returns the trees in the extensions. Fails unless all others can be skipped: those whose name starts with a
/// capital letter. The rest change the meaning of the entries.
fn read_extensions(body: &[u8], mut at: usize) -> Option<KnownTrees> {
    let mut trees = KnownTrees::default();
    while at < body.len() {
        let len = read_u32(body, at + 4)? as usize;
        if !body[at].is_ascii_uppercase() {
            return None;
        }
        let start = at + 8;
        at = start + len;
        if body[start - 8..].starts_with(SIGNATURE) {
            trees = KnownTrees::new(body.get(start..at)?);
        }
    }
    (at == body.len()).then_some(trees)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Decodes a number in git's offset encoding; returns it and the position after it.
fn read_varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        value = value.checked_mul(128)?.checked_add(usize::from(byte & 127))?;
        if byte & 128 == 0 {
            return Some((value, at));
        }
        value += 1;
    }
}

/// Parses the output of `git ls-files -t --stage -z`. It has no stats, so no file is taken for
/// unchanged.
pub(crate) fn from_listing(listing: &[u8]) -> Option<Index> {
    let mut index = Index::default();
    for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (fields, path) = (std::str::from_utf8(&line[..tab]).ok()?, &line[tab + 1..]);
        let mut fields = fields.split(' ');
        let more = if fields.next()? == "S" { 0x4000 } else { 0 };
        let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let id = git2::Oid::from_str(fields.next()?).ok()?;
        let stage: u16 = fields.next()?.parse().ok().filter(|stage| *stage < 4)?;
        let mut fixed = [0; FIXED];
        fixed[24..28].copy_from_slice(&mode.to_be_bytes());
        fixed[40..60].copy_from_slice(id.as_bytes().get(..20)?);
        fixed[60..].copy_from_slice(&(stage << 12).to_be_bytes());
        index.push(&fixed, more, path)?;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_index_is_left_to_git() {
        assert!(parse(Vec::new()).is_none());
        assert!(parse(vec![0; 40]).is_none());
        let empty = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0], &[0; 20]].concat();
        assert!(parse(empty).is_some());
        let too_many = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 9], &[0; 20]].concat();
        assert!(parse(too_many).is_none());
        let split = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0], b"link", &[0; 24]].concat();
        assert!(parse(split).is_none());
    }

    #[test]
    fn numbers_are_parsed_in_gits_encoding() {
        for (bytes, expected) in [(&[0_u8][..], 0), (&[127], 127), (&[0x80, 0], 128), (&[0x80, 0x7f], 255)] {
            assert_eq!(read_varint(bytes, 0), Some((expected, bytes.len())));
        }
        assert_eq!(read_varint(&[0x80], 0), None);
    }
}
