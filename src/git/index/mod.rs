//! Git's index in memory: the paths that git tracks, and the content that it knows of unchanged
//! files. It does not know the format of the file, which `file` parses, nor the disk.

pub(super) mod file;
pub(super) mod known_trees;

use std::cmp::Ordering;

use crate::base::digest::{Digest, FieldHasher};
use crate::base::path::RepoPath;
use crate::base::stat::{FileTime, Moment, ShortStat, Stat};
use crate::git::index::known_trees::KnownTrees;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::snapshot::entry::{ContentId, Mode};

/// The empty blob. Git writes the size 0 for an entry whose stat it does not trust itself.
const EMPTY: ContentId = ContentId([
    0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2, 0xe4,
    0x8c, 0x53, 0x91,
]);

/// Bytes of an entry before its path, in all versions of the file.
pub(crate) const FIXED: usize = 62;

/// The length of git's checksum at the end of the file.
pub(crate) const CHECKSUM: usize = 20;

/// The bit of an entry's extended flags, in their first byte, that means "skip the work tree".
const SKIP_WORKTREE: u8 = 0x40;

/// The index at the time it was read, sorted by path. Entries stay in the format of the file and are
/// decoded on access: decoding 100,000 of them at once takes longer than reading the file.
#[derive(Debug, Default)]
pub(crate) struct Index {
    bytes: Vec<u8>,
    positions: Vec<EntryPosition>,
    /// The entries that git does not check out, as in a sparse checkout.
    skip_worktree: Vec<usize>,
    /// The entries of attribute files.
    attribute_files: Vec<usize>,
    /// The ids of the trees of folders, as git stores them in the index.
    pub(crate) trees: KnownTrees,
    /// Git's checksum of the file.
    pub(crate) checksum: [u8; CHECKSUM],
    /// The time at which the index was written.
    pub(crate) written: Option<Moment>,
    /// Files that were last changed at this time or before are never taken for unchanged.
    pub(crate) distrusted_until: Option<FileTime>,
}

/// The position of an entry and of its path in the bytes.
#[derive(Clone, Copy, Debug)]
struct EntryPosition {
    at: u32,
    path: u32,
    len: u32,
}

/// A tracked path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexEntry {
    /// The staged content.
    pub(crate) id: ContentId,
    /// The mode as git writes it.
    pub(crate) raw_mode: u32,
    /// Whether the entry is staged, in conflict or only announced.
    pub(crate) state: EntryState,
    /// The stat of the file with this content; all zero if it is unknown.
    pub(crate) stat: ShortStat,
}

/// The state of an entry of the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EntryState {
    /// The entry is staged.
    Staged,
    /// The entry is a stage of an unfinished merge.
    Conflict,
    /// The entry was added with `git add --intent-to-add` and has no content yet.
    IntentToAdd,
}

impl IndexEntry {
    /// Returns the kind of the entry; `None` if git has no such kind.
    pub(crate) fn mode(&self) -> Option<Mode> {
        match self.raw_mode & 0o170_000 {
            0o100_000 if self.raw_mode & 0o100 != 0 => Some(Mode::Executable),
            0o100_000 => Some(Mode::File),
            0o120_000 => Some(Mode::Symlink),
            0o160_000 => Some(Mode::Submodule),
            _ => None,
        }
    }
}

impl IndexEntry {
    /// Decodes the fixed part of an entry and its extended flags, which are zero if it has none.
    fn decode(fixed: &[u8; FIXED], more: u16) -> Self {
        let word = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let mut id = [0; 20];
        id.copy_from_slice(&fixed[40..60]);
        let flags = u16::from_be_bytes([fixed[60], fixed[61]]);
        let state = match (flags & 0x3000, more & 0x2000) {
            (0, 0) => EntryState::Staged,
            (0, _) => EntryState::IntentToAdd,
            _ => EntryState::Conflict,
        };
        let stat = ShortStat {
            changed: (word(0), word(4)),
            modified: (word(8), word(12)),
            inode: word(20),
            size: word(36),
        };
        Self { id: ContentId(id), raw_mode: word(24), state, stat }
    }
}

impl Index {
    /// Returns an index without entries whose entries will be in `bytes`.
    pub(crate) fn with_capacity(bytes: Vec<u8>, rows: usize) -> Self {
        Self { bytes, positions: Vec::with_capacity(rows), ..Self::default() }
    }

    /// Returns the bytes of the entries.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds the entry at position `at` of the bytes, with its path at `path`. Entries must be added
    /// in order, and the stages of a path count as one. Returns `None` if the entry is out of order.
    pub(crate) fn add(&mut self, at: usize, path: std::ops::Range<usize>) -> Option<()> {
        let new = self.bytes.get(path.clone()).filter(|path| !path.is_empty())?;
        if let Some(last) = self.positions.len().checked_sub(1) {
            match self.path(last).cmp(new) {
                Ordering::Less => {}
                Ordering::Equal => return Some(()),
                Ordering::Greater => return None,
            }
        }
        let len = u32::try_from(path.len()).ok()?;
        if matches!(new.strip_suffix(ATTRIBUTES), Some([] | [.., b'/'])) {
            self.attribute_files.push(self.positions.len());
        }
        if path.start > at + FIXED && self.bytes[at + FIXED] & SKIP_WORKTREE != 0 {
            self.skip_worktree.push(self.positions.len());
        }
        self.positions.push(EntryPosition {
            at: u32::try_from(at).ok()?,
            path: u32::try_from(path.start).ok()?,
            len,
        });
        Some(())
    }

    /// Appends an entry to the bytes; see [`Self::add`].
    pub(crate) fn push(&mut self, fixed: &[u8; FIXED], more: u16, path: &[u8]) -> Option<()> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(fixed);
        self.bytes.extend_from_slice(&more.to_be_bytes());
        self.bytes.extend_from_slice(path);
        self.add(at, at + FIXED + 2..self.bytes.len())
    }

    /// Returns the entries that git does not check out, as in a sparse checkout.
    pub(crate) fn skip_worktree(&self) -> &[usize] {
        &self.skip_worktree
    }

    /// Returns the entries of attribute files.
    pub(crate) fn attribute_files(&self) -> &[usize] {
        &self.attribute_files
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.positions.len()
    }

    /// Returns the path of an entry.
    pub(crate) fn path(&self, row: usize) -> &[u8] {
        let place = self.positions[row];
        &self.bytes[place.path as usize..(place.path + place.len) as usize]
    }

    /// Returns an entry.
    pub(crate) fn entry(&self, row: usize) -> IndexEntry {
        let EntryPosition { at, path, .. } = self.positions[row];
        let bytes = &self.bytes[at as usize..path as usize];
        let more = bytes.get(FIXED..FIXED + 2).map_or(0, |more| u16::from_be_bytes([more[0], more[1]]));
        bytes
            .first_chunk()
            .map_or_else(|| IndexEntry::decode(&[0; FIXED], 0), |fixed| IndexEntry::decode(fixed, more))
    }

    /// Returns the entry with exactly this path.
    pub(crate) fn find(&self, path: &RepoPath) -> Option<IndexEntry> {
        let at = self.partition_point(0..self.len(), |row| row < path.bytes());
        (at < self.len() && self.path(at) == path.bytes()).then(|| self.entry(at))
    }

    /// Returns whether the path of any entry starts with `prefix`, which ends with a slash.
    pub(crate) fn has_path_below(&self, prefix: &RepoPath) -> bool {
        let at = self.partition_point(0..self.len(), |row| row < prefix.bytes());
        at < self.len() && self.path(at).starts_with(prefix.bytes())
    }

    /// Returns the first of these entries for whose path `before` is false.
    pub(crate) fn partition_point(
        &self,
        rows: std::ops::Range<usize>,
        before: impl Fn(&[u8]) -> bool,
    ) -> usize {
        let start = rows.start;
        let places = &self.positions[rows];
        let is_before = |place: &EntryPosition| {
            before(&self.bytes[place.path as usize..(place.path + place.len) as usize])
        };
        start + places.partition_point(is_before)
    }

    /// Returns whether a file with this stat certainly has the content of the entry, unless git converts it.
    pub(crate) fn is_up_to_date(&self, row: &IndexEntry, stat: &Stat) -> bool {
        self.has_stat(row, stat) && self.distrusted_until.is_none_or(|time| time < stat.changed)
    }

    /// Returns whether a file with this stat has not changed since git looked at it. The stat must be equal in
    /// every part and older than the index: a change in the same tick of the clock as git's look at the file
    /// would not show in the stat.
    pub(crate) fn has_stat(&self, row: &IndexEntry, stat: &Stat) -> bool {
        row.state == EntryState::Staged
            && row.stat == ShortStat::new(stat)
            && (row.stat.size != 0 || row.id == EMPTY)
            && self.written.is_some_and(|written| stat.is_settled(&written))
    }

    /// Returns a digest of the whole index.
    pub(crate) fn digest(&self) -> Digest {
        let mut fields = FieldHasher::new("taskgate index 1");
        fields.number(self.len() as u64).number(self.bytes.len() as u64).add(&self.checksum);
        // Git can be told not to compute it.
        if self.checksum == [0; CHECKSUM] {
            fields.add(&self.bytes);
        }
        fields.digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(stat: &ShortStat, id: ContentId, flags: u16) -> [u8; FIXED] {
        let mut fixed = [0; FIXED];
        let words = [
            stat.changed.0,
            stat.changed.1,
            stat.modified.0,
            stat.modified.1,
            0,
            stat.inode,
            0o100_644,
            0,
            0,
            stat.size,
        ];
        for (at, word) in words.into_iter().enumerate() {
            fixed[at * 4..at * 4 + 4].copy_from_slice(&word.to_be_bytes());
        }
        fixed[40..60].copy_from_slice(&id.0);
        fixed[60..].copy_from_slice(&flags.to_be_bytes());
        fixed
    }

    fn stat() -> Stat {
        Stat {
            inode: (7 << 32) + 5,
            size: 3,
            modified: FileTime { seconds: 10, nanos: 1 },
            changed: FileTime { seconds: 10, nanos: 2 },
            ..Stat::default()
        }
    }

    /// Returns an index with one file, and the file's entry.
    fn index(stat: &Stat, id: ContentId) -> (Index, IndexEntry) {
        let mut index = Index::default();
        index.push(&fixed(&ShortStat::new(stat), id, 0), 0, b"a").unwrap();
        index.written = Some(Moment { device: 0, time: FileTime { seconds: 10, nanos: 3 } });
        let row = index.entry(0);
        (index, row)
    }

    #[test]
    fn any_difference_of_the_stat_is_a_change() {
        let stat = stat();
        let (index, row) = index(&stat, ContentId([1; 20]));
        assert!(index.is_up_to_date(&row, &stat));
        let earlier = |time: FileTime| FileTime { nanos: time.nanos - 1, ..time };
        for other in [
            Stat { inode: 6, ..stat },
            Stat { size: 4, ..stat },
            Stat { modified: earlier(stat.modified), ..stat },
            Stat { changed: earlier(stat.changed), ..stat },
        ] {
            assert!(!index.is_up_to_date(&row, &other));
        }
    }

    #[test]
    fn file_as_new_as_the_index_is_not_trusted() {
        let stat = stat();
        let (mut index, row) = index(&stat, ContentId([1; 20]));
        index.written = Some(Moment { device: 0, time: stat.changed });
        assert!(!index.is_up_to_date(&row, &stat));
    }

    #[test]
    fn size_zero_of_a_racy_entry_is_not_trusted() {
        let stat = Stat { size: 0, ..stat() };
        let (doubted, row) = index(&stat, ContentId([1; 20]));
        assert!(!doubted.is_up_to_date(&row, &stat));
        let (empty, row) = index(&stat, EMPTY);
        assert!(empty.is_up_to_date(&row, &stat));
    }

    #[test]
    fn paths_must_be_sorted_and_stages_count_as_one() {
        let mut index = Index::default();
        let row = |flags| fixed(&ShortStat::default(), EMPTY, flags);
        assert_eq!(index.push(&row(0x1000), 0, b"b"), Some(()));
        assert_eq!(index.push(&row(0x2000), 0, b"b"), Some(()));
        assert_eq!((index.len(), index.entry(0).state), (1, EntryState::Conflict));
        assert_eq!(index.push(&row(0), 0, b"a"), None);
        assert_eq!(index.push(&row(0x4000), 0x2000, b"c"), Some(()));
        assert_eq!(index.entry(1).state, EntryState::IntentToAdd);
        let find = |path: &[u8]| index.find(&RepoPath::from_git(path)).is_some();
        assert!(find(b"b") && find(b"c") && !find(b"a") && !find(b"bb") && !find(b"d"));
    }
}
