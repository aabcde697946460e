//! A file with the metadata of files and values computed from their contents, so that unchanged
//! files are not read again. This module must not know what the values mean, nor which files are
//! worth an entry.
//!
//! If the file is lost, this costs time but never gives a wrong answer: a damaged file counts as
//! empty. An entry is used only if all metadata of the file are the same. It is only stored if the
//! file had settled before it was read (see [`Stat::is_settled`]).

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::base::stat::{FileTime, Moment, Stat};

const MAGIC: &[u8; 8] = b"tgstat1\n";
const STAT_LEN: usize = 8 * 5 + 4 * 3;

/// Values of `N` bytes, by the name and the metadata of a file.
#[derive(Debug, Default)]
pub struct StatCache<const N: usize> {
    bytes: Vec<u8>,
    /// The entries of the file, sorted by name. Their ranges are in `bytes`.
    loaded: Vec<CachedStat<N>>,
    /// The changes since the file was read: new values, and `None` for removed names.
    fresh: HashMap<Vec<u8>, Option<(Stat, [u8; N])>>,
}

#[derive(Debug, Clone)]
struct CachedStat<const N: usize> {
    name: Range<usize>,
    stat: Stat,
    value: [u8; N],
}

impl<const N: usize> StatCache<N> {
    /// Reads the file. A missing or damaged one is an empty cache.
    pub fn load(path: &Path) -> Self {
        let bytes = file::read(path).ok().flatten().unwrap_or_default();
        match parse(&bytes) {
            Some(loaded) => Self { bytes, loaded, fresh: HashMap::new() },
            None => Self { bytes: Vec::new(), loaded: Vec::new(), fresh: HashMap::new() },
        }
    }

    /// Returns the value of `name`, if it was stored with exactly this `stat`.
    pub fn get(&self, name: &[u8], stat: &Stat) -> Option<[u8; N]> {
        if let Some(fresh) = self.fresh.get(name) {
            return fresh.filter(|(known, _)| known == stat).map(|(_, value)| value);
        }
        let row = self.loaded.binary_search_by(|row| self.bytes[row.name.clone()].cmp(name)).ok()?;
        let row = &self.loaded[row];
        (row.stat == *stat).then_some(row.value)
    }

    /// Stores a value, unless the file may have changed unnoticed after `before`, the time before
    /// its content was read.
    pub fn insert(&mut self, name: &[u8], stat: &Stat, value: [u8; N], before: &Moment) {
        if stat.is_settled(before) {
            self.fresh.insert(name.to_owned(), Some((*stat, value)));
        }
    }

    /// Removes all names for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&[u8]) -> bool) {
        for (name, row) in &mut self.fresh {
            if !keep(name) {
                *row = None;
            }
        }
        for row in &self.loaded {
            let name = &self.bytes[row.name.clone()];
            if !keep(name) {
                self.fresh.insert(name.to_owned(), None);
            }
        }
    }

    /// Returns how many names the file had when it was read.
    pub fn len(&self) -> usize {
        self.loaded.len()
    }

    /// Returns whether the file had no names.
    pub fn is_empty(&self) -> bool {
        self.loaded.is_empty()
    }

    /// Returns whether there is something to save.
    pub fn is_changed(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Writes the file if anything changed.
    ///
    /// # Errors
    /// The disk is full or the folder is gone. The old file is then unchanged.
    pub fn save(&self, path: &Path, temp: &Path) -> Result<(), FileError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<(&[u8], &Stat, &[u8; N])> =
            Vec::with_capacity(self.loaded.len() + self.fresh.len());
        for row in &self.loaded {
            let name = &self.bytes[row.name.clone()];
            if !self.fresh.contains_key(name) {
                rows.push((name, &row.stat, &row.value));
            }
        }
        rows.extend(
            self.fresh.iter().filter_map(|(name, row)| row.as_ref().map(|(s, v)| (name.as_slice(), s, v))),
        );
        rows.sort_unstable_by_key(|(name, ..)| *name);
        let mut body = Vec::with_capacity(rows.len() * (STAT_LEN + N + 40));
        for (name, stat, value) in rows {
            write_row(&mut body, name, stat, value);
        }
        let mut bytes = Vec::with_capacity(body.len() + 40);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(Digest::hash(&body).bytes());
        bytes.extend_from_slice(&body);
        file::write(path, &bytes, temp, Durability::Relaxed)
    }
}

fn write_row(body: &mut Vec<u8>, name: &[u8], stat: &Stat, value: &[u8]) {
    body.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
    body.extend_from_slice(name);
    for number in [stat.device, stat.inode, stat.size] {
        body.extend_from_slice(&number.to_le_bytes());
    }
    body.extend_from_slice(&stat.mode.to_le_bytes());
    for time in [stat.modified, stat.changed] {
        body.extend_from_slice(&time.seconds.to_le_bytes());
        body.extend_from_slice(&time.nanos.to_le_bytes());
    }
    body.extend_from_slice(value);
}

fn parse<const N: usize>(bytes: &[u8]) -> Option<Vec<CachedStat<N>>> {
    let start = MAGIC.len() + Digest::LEN;
    let body = bytes.get(start..)?;
    if bytes.get(..MAGIC.len())? != MAGIC || bytes[MAGIC.len()..start] != *Digest::hash(body).bytes() {
        return None;
    }
    let mut rows = Vec::new();
    let mut reader = Reader { bytes, at: start };
    while reader.at < bytes.len() {
        let len = u32::from_le_bytes(reader.take()?) as usize;
        let name = reader.at..reader.at.checked_add(len)?;
        bytes.get(name.clone())?;
        reader.at = name.end;
        let stat = Stat {
            device: u64::from_le_bytes(reader.take()?),
            inode: u64::from_le_bytes(reader.take()?),
            size: u64::from_le_bytes(reader.take()?),
            mode: u32::from_le_bytes(reader.take()?),
            modified: reader.time()?,
            changed: reader.time()?,
        };
        rows.push(CachedStat { name, stat, value: reader.take()? });
    }
    Some(rows)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const L: usize>(&mut self) -> Option<[u8; L]> {
        let value = self.bytes.get(self.at..self.at + L)?.try_into().ok()?;
        self.at += L;
        Some(value)
    }

    fn time(&mut self) -> Option<FileTime> {
        Some(FileTime { seconds: i64::from_le_bytes(self.take()?), nanos: u32::from_le_bytes(self.take()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(size: u64) -> Stat {
        Stat { size, changed: FileTime { seconds: 10, nanos: 5 }, ..Stat::default() }
    }

    fn moment(seconds: i64, nanos: u32) -> Moment {
        Moment { device: 0, time: FileTime { seconds, nanos } }
    }

    #[test]
    fn saved_entries_are_loaded_and_any_flipped_byte_discards_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stats");
        let mut cache = StatCache::<4>::load(&path);
        cache.insert(b"a/b", &stat(1), *b"abcd", &moment(11, 0));
        cache.insert(b"a", &stat(2), *b"efgh", &moment(11, 0));
        cache.save(&path, dir.path()).unwrap();
        let loaded = StatCache::<4>::load(&path);
        assert_eq!(loaded.get(b"a/b", &stat(1)), Some(*b"abcd"));
        assert_eq!(loaded.get(b"a", &stat(2)), Some(*b"efgh"));
        assert_eq!(loaded.get(b"a", &stat(3)), None);
        let bytes = std::fs::read(&path).unwrap();
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert_eq!(StatCache::<4>::load(&path).get(b"a", &stat(2)), None, "byte {i}");
        }
    }

    #[test]
    fn file_that_may_change_unnoticed_is_not_cached() {
        let mut cache = StatCache::<1>::default();
        cache.insert(b"same tick", &stat(1), [1], &moment(10, 5));
        cache.insert(b"older", &stat(1), [1], &moment(10, 6));
        assert_eq!(cache.get(b"same tick", &stat(1)), None);
        assert_eq!(cache.get(b"older", &stat(1)), Some([1]));
    }

    #[test]
    fn deleted_files_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stats");
        let mut cache = StatCache::<1>::default();
        cache.insert(b"a", &stat(1), [1], &moment(11, 0));
        cache.insert(b"b", &stat(1), [1], &moment(11, 0));
        cache.save(&path, dir.path()).unwrap();
        let mut cache = StatCache::<1>::load(&path);
        cache.retain(|name| name == b"a");
        cache.save(&path, dir.path()).unwrap();
        let cache = StatCache::<1>::load(&path);
        assert!(cache.get(b"a", &stat(1)).is_some() && cache.get(b"b", &stat(1)).is_none());
    }
}
