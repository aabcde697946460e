//! The form of git's index file, versions 2 to 4. It must not know what the rows are used for.
//!
//! The checksum at its end is not verified, as git itself does not: it would cost more than all the
//! rest, and a damaged id can only be a miss. What this reader does not know, such as a split or
//! sparse index, it leaves to `git ls-files`.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::index::{Index, RowStat, Standing};
use super::snapshot::ContentId;
use crate::ground::stat::{Moment, Stat};

const HEADER: usize = 12;
const CHECKSUM: usize = 20;
/// Bytes of an entry before its path, without the extended flags.
const FIXED: usize = 62;

/// What reading the file came to.
#[derive(Debug)]
pub(super) enum Read {
    /// All of it was understood.
    Done(Index),
    /// It has a form that only git knows.
    Unknown,
}

/// Reads the index file; there is none before the first `git add`.
pub(super) fn read(path: &Path) -> io::Result<Read> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Done(Index::default())),
        Err(error) => return Err(error),
    };
    // Git replaces the file and never writes into it, so this is the stat of what is read.
    let stat = Stat::of(&file.metadata()?);
    let mut bytes = Vec::with_capacity(usize::try_from(stat.size).unwrap_or(0) + 1);
    file.read_to_end(&mut bytes)?;
    Ok(match parse(&bytes) {
        Some(mut index) => {
            index.written = Some(Moment { device: stat.device, time: stat.modified });
            Read::Done(index)
        }
        None => Read::Unknown,
    })
}

fn parse(bytes: &[u8]) -> Option<Index> {
    let body = bytes.get(..bytes.len().checked_sub(CHECKSUM)?)?;
    if body.get(..4)? != b"DIRC" {
        return None;
    }
    let version = number(body, 4)?;
    let count = number(body, 8)? as usize;
    if !(2..=4).contains(&version) || count > body.len() / FIXED {
        return None;
    }
    let mut index = Index::with_capacity(count, body.len().saturating_sub(count * FIXED));
    let mut at = HEADER;
    let mut path = Vec::new();
    for _ in 0..count {
        at = entry(body, at, version, (&mut path, &mut index))?;
    }
    extensions_are_known(body, at).then_some(index)
}

/// Reads the entry at `at` and returns the place of the next.
fn entry(body: &[u8], at: usize, version: u32, (path, index): (&mut Vec<u8>, &mut Index)) -> Option<usize> {
    let fixed: &[u8; FIXED] = body.get(at..at + FIXED)?.try_into().ok()?;
    let word = |place: usize| number(fixed, place * 4);
    let flags = u16::from_be_bytes([fixed[60], fixed[61]]);
    let is_extended = version >= 3 && flags & 0x4000 != 0;
    let more = if is_extended { number(body.get(at..)?, FIXED - 2)? & 0xffff } else { 0 };
    let start = at + FIXED + if is_extended { 2 } else { 0 };
    let (name, next): (&[u8], usize) = if version == 4 {
        let (cut, start) = varint(body, start)?;
        path.truncate(path.len().checked_sub(cut)?);
        let len = body.get(start..)?.iter().position(|byte| *byte == 0)?;
        path.extend_from_slice(&body[start..start + len]);
        (path, start + len + 1)
    } else {
        let len = match usize::from(flags & 0xfff) {
            0xfff => body.get(start..)?.iter().position(|byte| *byte == 0)?,
            len => len,
        };
        // One to eight zeros end the entry at a multiple of eight.
        (body.get(start..start + len)?, at + ((start - at + len) / 8 + 1) * 8)
    };
    let standing = match (flags & 0x3000, more & 0x2000) {
        (0, 0) => Standing::Staged,
        (0, _) => Standing::Intended,
        _ => Standing::Conflict,
    };
    let stat = RowStat {
        changed: (word(0)?, word(1)?),
        modified: (word(2)?, word(3)?),
        inode: word(5)?,
        size: word(9)?,
    };
    let id = ContentId(fixed[40..60].try_into().ok()?);
    index.push(name, (word(6)?, id), standing, stat)?;
    Some(next)
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

/// The index from what `git ls-files --stage -z` prints. It has no stats, so it vouches for nothing.
pub(super) fn from_listing(listing: &[u8]) -> Option<Index> {
    let mut index = Index::default();
    for line in listing.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (fields, path) = (std::str::from_utf8(&line[..tab]).ok()?, &line[tab + 1..]);
        let mut fields = fields.split(' ');
        let mode = u32::from_str_radix(fields.next()?, 8).ok()?;
        let id = git2::Oid::from_str(fields.next()?).ok()?;
        let standing = if fields.next()? == "0" { Standing::Listed } else { Standing::Conflict };
        let id = ContentId(id.as_bytes().try_into().ok()?);
        index.push(path, (mode, id), standing, RowStat::default())?;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_index_is_left_to_git() {
        assert!(parse(b"").is_none());
        assert!(parse(&[0; 40]).is_none());
        let empty = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0], &[0; 20]].concat();
        assert!(parse(&empty).is_some());
        let too_many = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 9], &[0; 20]].concat();
        assert!(parse(&too_many).is_none());
        let split = [b"DIRC".as_slice(), &[0, 0, 0, 2, 0, 0, 0, 0], b"link", &[0; 24]].concat();
        assert!(parse(&split).is_none());
    }

    #[test]
    fn numbers_are_read_as_git_writes_them() {
        for (bytes, expected) in [(&[0_u8][..], 0), (&[127], 127), (&[0x80, 0], 128), (&[0x80, 0x7f], 255)] {
            assert_eq!(varint(bytes, 0), Some((expected, bytes.len())));
        }
        assert_eq!(varint(&[0x80], 0), None);
    }
}
