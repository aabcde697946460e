//! The file of the index of entries: what a decision needs of each entry, with the stat that the entry's
//! file had. It does not know where the files are, nor when a row may be used.
//!
//! The file is `MAGIC`, the digest of all that follows, the program's version, the number of rows, the
//! rows sorted by key, and the blobs and outputs of all rows. A row is found without reading the others. Damage, or
//! a file of another version, is the same as no file.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::stat::{FileTime, Stat};
use crate::cache::format::entry::{Entry, EntryDraft, StoredOutput, read_stored, write_stored};
use crate::cache::format::wire;
use crate::cache::outputs::output_set::Output;

const MAGIC: &[u8; 8] = b"tgindex1";
/// Two versions may write the same format with other meanings, so each uses only its own file.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The length of a row: two digests, the stat, three numbers, and where its blobs and outputs are.
const ROW_LEN: usize = 2 * Digest::LEN + STAT_LEN + 3 * 8 + 3 * 8;
const STAT_LEN: usize = 3 * 8 + 4 + 2 * 12;
/// Entries with more bytes of outputs or blobs have no row: to compare these with the disk takes longer
/// than to read the entry.
const MAX_OUTPUTS: usize = 64 << 10;
/// The bytes of rows that are kept although the last runs did not use them.
const MAX_UNUSED: usize = 1 << 20;

/// What a decision needs of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct IndexRow {
    /// The stat of the entry's file.
    pub(crate) stat: Stat,
    pub(crate) took: u64,
    pub(crate) passed_at: Timestamp,
    pub(crate) output_digest: Digest,
    /// The blobs that the entry needs.
    pub(crate) blobs: Vec<Digest>,
    /// When a run last used the row and wrote the index, in milliseconds.
    pub(crate) used: u64,
    /// The encoded outputs.
    outputs: Vec<u8>,
}

impl IndexRow {
    /// Returns the row of an entry whose file has this stat; `None` if the entry has too many outputs.
    pub(crate) fn from_entry(entry: &Entry, stat: Stat) -> Option<Self> {
        let row = Self {
            stat,
            took: entry.took,
            passed_at: entry.passed_at,
            output_digest: entry.output_digest,
            blobs: entry.blobs().collect(),
            used: 0,
            outputs: Vec::new(),
        };
        row.with_outputs(&entry.outputs)
    }

    /// Returns the row of an entry that was written from a draft.
    pub(crate) fn from_draft(draft: &EntryDraft<'_>, stat: Stat) -> Option<Self> {
        let row = Self {
            stat,
            took: draft.took,
            passed_at: draft.at,
            output_digest: draft.output_digest,
            blobs: draft.blobs().collect(),
            used: 0,
            outputs: Vec::new(),
        };
        row.with_outputs(&draft.outputs)
    }

    fn with_outputs(self, outputs: &[StoredOutput]) -> Option<Self> {
        if self.blobs.len() * Digest::LEN > MAX_OUTPUTS {
            return None;
        }
        let mut encoded = wire::Encoder::default();
        for stored in outputs {
            write_stored(&mut encoded, stored);
            if encoded.0.len() > MAX_OUTPUTS {
                return None;
            }
        }
        Some(Self { outputs: encoded.0, ..self })
    }

    /// Returns the outputs, sorted by path.
    pub(crate) fn outputs(&self) -> Option<Vec<Output>> {
        let mut from = wire::Decoder(&self.outputs);
        let mut outputs = Vec::new();
        while !from.is_at_end() {
            outputs.push(read_stored(&mut from)?.output);
        }
        Some(outputs)
    }

    /// Returns when the entry's file was last marked as used.
    pub(crate) fn modified(&self) -> SystemTime {
        Timestamp::from(self.stat.modified).system()
    }

    fn size(&self) -> usize {
        ROW_LEN + self.blobs.len() * Digest::LEN + self.outputs.len()
    }
}

/// The content of an index file.
#[derive(Debug, Default)]
pub(crate) struct IndexFile {
    bytes: Vec<u8>,
    /// Where the rows start, and how many there are.
    start: usize,
    len: usize,
}

impl IndexFile {
    /// Returns the rows in the bytes of a file, or none if it is damaged or of another version.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        match check(&bytes) {
            Some((start, len)) => Self { bytes, start, len },
            None => Self::default(),
        }
    }

    /// Returns the number of rows.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the position of a key's row.
    pub(crate) fn position(&self, key: &Digest) -> Option<usize> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            match self.row_bytes(middle)?[..Digest::LEN].cmp(&key.bytes()[..]) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Returns the row at a position, with its key.
    pub(crate) fn row(&self, position: usize) -> Option<(Digest, IndexRow)> {
        let mut from = wire::Decoder(self.row_bytes(position)?);
        let key = Digest::from_bytes(from.array()?);
        let stat = read_stat(&mut from)?;
        let (took, at, used) = (from.u64()?, from.u64()?, from.u64()?);
        let output_digest = Digest::from_bytes(from.array()?);
        let mut number = || usize::try_from(from.u64()?).ok();
        let (offset, blobs, len) = (number()?, number()?, number()?);
        let mut from = wire::Decoder(self.bytes.get(self.start + self.len * ROW_LEN..)?.get(offset..)?);
        let blobs = (0..blobs).map(|_| from.array().map(Digest::from_bytes)).collect::<Option<_>>()?;
        let outputs = from.take(len)?.to_vec();
        let row = IndexRow { stat, took, passed_at: Timestamp(at), output_digest, blobs, used, outputs };
        Some((key, row))
    }

    fn row_bytes(&self, position: usize) -> Option<&[u8]> {
        self.bytes.get(self.start + position * ROW_LEN..)?.get(..ROW_LEN)
    }

    /// Returns all rows by key.
    pub(crate) fn rows(&self) -> BTreeMap<Digest, IndexRow> {
        (0..self.len).filter_map(|position| self.row(position)).collect()
    }
}

/// Returns the bytes of a file with these rows. Of the rows that were not used at the time `now`, only the
/// most recently used ones are kept.
pub(crate) fn encode(mut rows: BTreeMap<Digest, IndexRow>, now: u64) -> Vec<u8> {
    let mut unused: Vec<(u64, Digest)> =
        rows.iter().filter(|(_, row)| row.used != now).map(|(key, row)| (row.used, *key)).collect();
    unused.sort_unstable_by(|a, b| b.cmp(a));
    let mut kept = 0;
    for (_, key) in unused {
        kept += rows.get(&key).map_or(0, IndexRow::size);
        if kept > MAX_UNUSED {
            rows.remove(&key);
        }
    }
    let mut out = wire::Encoder::default();
    out.raw(MAGIC);
    out.raw(&[0; Digest::LEN]);
    out.string(VERSION.as_bytes());
    out.u64(rows.len() as u64);
    let mut offset = 0;
    for (key, row) in &rows {
        out.raw(key.bytes());
        write_stat(&mut out, &row.stat);
        out.u64(row.took);
        out.u64(row.passed_at.0);
        out.u64(row.used);
        out.raw(row.output_digest.bytes());
        out.u64(offset);
        out.u64(row.blobs.len() as u64);
        out.u64(row.outputs.len() as u64);
        offset += (row.size() - ROW_LEN) as u64;
    }
    for row in rows.values() {
        row.blobs.iter().for_each(|blob| out.raw(blob.bytes()));
        out.raw(&row.outputs);
    }
    let start = MAGIC.len() + Digest::LEN;
    let check = Digest::hash(&out.0[start..]);
    out.0[MAGIC.len()..start].copy_from_slice(check.bytes());
    out.0
}

/// Returns where the rows of a sound file start, and how many there are.
fn check(bytes: &[u8]) -> Option<(usize, usize)> {
    let start = MAGIC.len() + Digest::LEN;
    let body = bytes.get(start..)?;
    if bytes[..MAGIC.len()] != *MAGIC || bytes[MAGIC.len()..start] != *Digest::hash(body).bytes() {
        return None;
    }
    let mut from = wire::Decoder(body);
    if from.string()? != VERSION.as_bytes() {
        return None;
    }
    let len = usize::try_from(from.u64()?).ok()?;
    let start = bytes.len() - from.0.len();
    from.take(len.checked_mul(ROW_LEN)?)?;
    Some((start, len))
}

fn write_stat(out: &mut wire::Encoder, stat: &Stat) {
    for number in [stat.device, stat.inode, stat.size] {
        out.u64(number);
    }
    out.u32(stat.mode);
    for time in [stat.modified, stat.changed] {
        out.raw(&time.seconds.to_le_bytes());
        out.u32(time.nanos);
    }
}

fn read_stat(from: &mut wire::Decoder<'_>) -> Option<Stat> {
    Some(Stat {
        device: from.u64()?,
        inode: from.u64()?,
        size: from.u64()?,
        mode: from.u32()?,
        modified: read_time(from)?,
        changed: read_time(from)?,
    })
}

fn read_time(from: &mut wire::Decoder<'_>) -> Option<FileTime> {
    Some(FileTime { seconds: i64::from_le_bytes(from.array()?), nanos: from.u32()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::path::RepoPath;
    use crate::cache::outputs::output_set::OutputContent;
    use proptest::prelude::*;

    fn row(number: u64, outputs: usize) -> IndexRow {
        let stat = Stat {
            device: number,
            inode: 2,
            size: 3,
            mode: 4,
            modified: FileTime { seconds: -5, nanos: 6 },
            changed: FileTime { seconds: 7, nanos: 8 },
        };
        let output = |n: usize| StoredOutput {
            output: Output {
                path: RepoPath::from_git(format!("out/{n}").into_bytes()),
                content: OutputContent::File { mode: 0o644, size: 9, digest: Digest::hash(b"x") },
            },
            packed: None,
        };
        let row = IndexRow {
            stat,
            took: number,
            passed_at: Timestamp(9),
            output_digest: Digest::hash(b"o"),
            blobs: (0..number % 3).map(key).collect(),
            used: 0,
            outputs: Vec::new(),
        };
        row.with_outputs(&(0..outputs).map(output).collect::<Vec<_>>()).unwrap()
    }

    fn key(number: u64) -> Digest {
        Digest::hash(&number.to_le_bytes())
    }

    fn rows(count: u64) -> BTreeMap<Digest, IndexRow> {
        (0..count).map(|number| (key(number), row(number, usize::try_from(number % 4).unwrap()))).collect()
    }

    #[test]
    fn each_row_is_found_by_its_key() {
        for count in [0, 1, 2, 7, 40] {
            let rows = rows(count);
            let file = IndexFile::new(encode(rows.clone(), 0));
            assert_eq!(file.rows(), rows);
            for (key, row) in &rows {
                let found = file.row(file.position(key).unwrap()).unwrap();
                assert_eq!(found, (*key, row.clone()));
                assert_eq!(found.1.outputs().unwrap().len(), usize::try_from(row.took % 4).unwrap());
            }
            assert_eq!(file.position(&key(1000)), None);
        }
    }

    #[test]
    fn entry_with_very_many_outputs_has_no_row() {
        let stored = |n: usize| StoredOutput {
            output: Output {
                path: RepoPath::from_git(format!("out/{n}").into_bytes()),
                content: OutputContent::Folder { mode: 0o755, is_empty: true },
            },
            packed: None,
        };
        let outputs: Vec<StoredOutput> = (0..10_000).map(stored).collect();
        assert_eq!(row(1, 0).with_outputs(&outputs), None);
        assert!(row(1, 0).with_outputs(&outputs[..100]).is_some());
    }

    #[test]
    fn rows_that_are_not_used_are_forgotten_by_age() {
        let used = 1_000;
        let mut all = rows(20_000);
        for (number, row) in all.values_mut().enumerate() {
            row.used = number as u64;
        }
        let (oldest, newest) = (*all.keys().next().unwrap(), *all.keys().next_back().unwrap());
        all.get_mut(&oldest).unwrap().used = used;
        let bytes = encode(all, used);
        assert!(bytes.len() < 2 * MAX_UNUSED);
        let left = IndexFile::new(bytes);
        assert!(left.position(&oldest).is_some() && left.position(&newest).is_some());
        assert!(left.len() < 20_000);
    }

    #[test]
    fn any_flipped_byte_and_any_truncation_discards_all_rows() {
        let good = encode(rows(5), 0);
        assert_eq!(IndexFile::new(good.clone()).len(), 5);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(IndexFile::new(bad).len(), 0, "byte {at}");
            assert_eq!(IndexFile::new(good[..at].to_vec()).len(), 0, "{at} bytes");
        }
        assert_eq!(IndexFile::new([&good[..], b"x"].concat()).len(), 0);
    }

    #[test]
    fn file_of_another_version_is_the_same_as_none() {
        let mut bytes = encode(rows(5), 0);
        let start = MAGIC.len() + Digest::LEN;
        bytes[start + 8] ^= 1;
        let digest = Digest::hash(&bytes[start..]);
        bytes[MAGIC.len()..start].copy_from_slice(digest.bytes());
        assert_eq!(IndexFile::new(bytes).len(), 0);
    }

    proptest! {
        /// Not even a file with a matching digest can make the reader fail.
        #[test]
        fn any_content_is_read_without_a_panic(body in any::<Vec<u8>>(), count in any::<u64>()) {
            let mut out = wire::Encoder::default();
            out.string(VERSION.as_bytes());
            out.u64(count % 8);
            out.raw(&body.repeat(20));
            let bytes = [&MAGIC[..], Digest::hash(&out.0).bytes(), &out.0].concat();
            let file = IndexFile::new(bytes);
            for row in file.rows().values() {
                let _ = row.outputs();
            }
            let _ = file.position(&key(1));
        }
    }
}
