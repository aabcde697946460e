//! The form of git's index file, versions 2 to 4. It must not know what the rows are used for.
//!
//! The checksum at its end is not verified, as git itself does not: it would cost more than all the
//! rest, and a damaged id can only be a miss. What this reader does not know, such as a split or
//! sparse index, it leaves to `git ls-files`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::base::stat::{Moment, Stat};
use crate::git::index::{FIXED, Index};

const HEADER: usize = 12;
const CHECKSUM: usize = 20;

/// What reading the file came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// All of it was understood.
    Done(Index),
    /// It has a form that only git knows.
    Unknown,
}

/// Reads the index file; there is none before the first `git add`.
pub(crate) fn read(path: &Path) -> io::Result<Read> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Done(Index::default())),
        Err(error) => return Err(error),
    };
    // Git replaces the file and never writes into it, so this is the stat of what is read.
    let stat = Stat::of(&file.metadata()?);
    let mut bytes = vec![0; usize::try_from(stat.size).map_err(io::Error::other)?];
    // Two threads, as the time goes into fresh memory; a shorter file is an error.
    let half = bytes.len() / 2;
    let (first, second) = bytes.split_at_mut(half);
    let (first, second) =
        rayon::join(|| file.read_exact_at(first, 0), || file.read_exact_at(second, half as u64));
    first.and(second)?;
    Ok(match parse(bytes) {
        Some(mut index) => {
            index.written = Some(Moment { device: stat.device, time: stat.modified });
            Read::Done(index)
        }
        None => Read::Unknown,
    })
}

fn parse(mut bytes: Vec<u8>) -> Option<Index> {
    let end = bytes.len().checked_sub(CHECKSUM)?;
    bytes.truncate(end);
    if bytes.get(..4)? != b"DIRC" {
        return None;
    }
    let version = number(&bytes, 4)?;
    let count = number(&bytes, 8)? as usize;
    if !(2..=4).contains(&version) || count > end / FIXED {
        return None;
    }
    let mut at = HEADER;
    if version == 4 {
        let mut index = Index::within(Vec::with_capacity(end * 2), count);
        let mut path = Vec::new();
        for _ in 0..count {
            at = shortened(&bytes, at, (&mut path, &mut index))?;
        }
        return extensions_are_known(&bytes, at).then_some(index);
    }
    let mut index = Index::within(bytes, count);
    for _ in 0..count {
        let (start, flags) = flags(index.bytes(), at, version)?;
        let len = match usize::from(flags & 0xfff) {
            0xfff => length(index.bytes().get(start..)?)?,
            len => len,
        };
        index.add(at, start..start + len)?;
        // One to eight zeros end the entry at a multiple of eight.
        at += ((start - at + len) / 8 + 1) * 8;
    }
    extensions_are_known(index.bytes(), at).then_some(index)
}

/// Where the path of the entry at `at` starts, and the entry's flags.
fn flags(bytes: &[u8], at: usize, version: u32) -> Option<(usize, u16)> {
    let flags = u16::from_be_bytes(*bytes.get(at + FIXED - 2..)?.first_chunk()?);
    match (flags & 0x4000, version) {
        (0, _) => Some((at + FIXED, flags)),
        (_, 2) => None,
        _ => Some((at + FIXED + 2, flags)),
    }
}

/// Reads an entry of version 4, whose path is given by what differs from the former path, and
/// returns the place of the next.
fn shortened(bytes: &[u8], at: usize, (path, index): (&mut Vec<u8>, &mut Index)) -> Option<usize> {
    let (start, _) = flags(bytes, at, 4)?;
    let more = if start > at + FIXED { number(bytes, at + FIXED - 2)? & 0xffff } else { 0 };
    let (cut, start) = varint(bytes, start)?;
    path.truncate(path.len().checked_sub(cut)?);
    let len = length(bytes.get(start..)?)?;
    path.extend_from_slice(&bytes[start..start + len]);
    index.push(bytes.get(at..)?.first_chunk()?, u16::try_from(more).ok()?, path)?;
    Some(start + len + 1)
}

/// Bytes before the next zero.
fn length(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == 0)
}

/// An extension in capitals may be skipped; any other changes what the entries mean.
fn extensions_are_known(body: &[u8], mut at: usize) -> bool {
    while at < body.len() {
        let Some(len) = number(body, at + 4) else { return false };
        if !body[at].is_ascii_uppercase() {
            return false;
        }
        at += 8 + len as usize;
    }
    at == body.len()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A number in git's offset encoding, and the place behind it.
fn varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
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

/// The index from what `git ls-files -t --stage -z` prints. It has no stats, so it vouches for nothing.
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
    fn a_damaged_index_is_left_to_git() {
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
    fn numbers_are_read_as_git_writes_them() {
        for (bytes, expected) in [(&[0_u8][..], 0), (&[127], 127), (&[0x80, 0], 128), (&[0x80, 0x7f], 255)] {
            assert_eq!(varint(bytes, 0), Some((expected, bytes.len())));
        }
        assert_eq!(varint(&[0x80], 0), None);
    }
}
