//! Git's index in memory: what git tracks, and which content it vouches for. It must not know the
//! form of the file (see `index_file`), nor what is on disk.

pub(super) mod file;

use std::cmp::Ordering;

use crate::base::path::RepoPath;
use crate::base::stat::{FileTime, Moment, Stat};
use crate::git::snapshot::{ContentId, Mode};

/// The empty blob. Git writes the size 0 for an entry that it does not trust itself.
const EMPTY: ContentId = ContentId([
    0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2, 0xe4,
    0x8c, 0x53, 0x91,
]);

/// Bytes of an entry before its path, as all versions of the file have them.
pub(crate) const FIXED: usize = 62;

/// The bit of a row's second flags, in their first byte, by which git skips the working directory.
const SKIPPED: u8 = 0x40;

/// A picture of the index, sorted by path. Its rows stay in the form of the file and are read where
/// they are asked for: to unfold 100,000 of them would take longer than to read them.
#[derive(Debug, Default)]
pub(crate) struct Index {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Rows that git leaves out of the working directory.
    skipped: Vec<usize>,
    /// When the index was written.
    pub(crate) written: Option<Moment>,
    /// It vouches for no file that was last changed at this time or before.
    pub(crate) distrusted: Option<FileTime>,
}

/// Where a row lies in the bytes.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u32,
    path: u32,
    len: u32,
}

/// One tracked path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The content that is staged.
    pub(crate) id: ContentId,
    /// As git writes it.
    pub(crate) mode: u32,
    /// What became of the path in the index.
    pub(crate) standing: Standing,
    /// The stat of the file that has this content; all zero if none is known.
    pub(crate) stat: RowStat,
}

/// The part of a stat that the index holds, cut to 32 bits each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RowStat {
    pub(crate) changed: (u32, u32),
    pub(crate) modified: (u32, u32),
    pub(crate) inode: u32,
    pub(crate) size: u32,
}

/// What a row is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Staged.
    Staged,
    /// A stage of a merge that is not done.
    Conflict,
    /// `git add --intent-to-add`: it has no content yet.
    Intended,
}

impl Row {
    /// What kind of entry it is; `None` for a kind that git has not.
    pub(crate) fn kind(&self) -> Option<Mode> {
        match self.mode & 0o170_000 {
            0o100_000 if self.mode & 0o100 != 0 => Some(Mode::Executable),
            0o100_000 => Some(Mode::File),
            0o120_000 => Some(Mode::Symlink),
            0o160_000 => Some(Mode::Submodule),
            _ => None,
        }
    }
}

impl Row {
    /// Reads the fixed part of an entry and its second flags, which are zero where it has none.
    fn read(fixed: &[u8; FIXED], more: u16) -> Self {
        let word = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let mut id = [0; 20];
        id.copy_from_slice(&fixed[40..60]);
        let flags = u16::from_be_bytes([fixed[60], fixed[61]]);
        let standing = match (flags & 0x3000, more & 0x2000) {
            (0, 0) => Standing::Staged,
            (0, _) => Standing::Intended,
            _ => Standing::Conflict,
        };
        let stat = RowStat {
            changed: (word(0), word(4)),
            modified: (word(8), word(12)),
            inode: word(20),
            size: word(36),
        };
        Self { id: ContentId(id), mode: word(24), standing, stat }
    }
}

impl Index {
    /// An index without rows, which will lie in `bytes`.
    pub(crate) fn within(bytes: Vec<u8>, rows: usize) -> Self {
        Self { bytes, places: Vec::with_capacity(rows), ..Self::default() }
    }

    /// The bytes that it was made with.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds the row at `at` of the bytes, whose path lies at `path`. Rows must follow each other,
    /// and the stages of a path count as one; `None` if this one does not follow.
    pub(crate) fn add(&mut self, at: usize, path: std::ops::Range<usize>) -> Option<()> {
        let new = self.bytes.get(path.clone()).filter(|path| !path.is_empty())?;
        if let Some(last) = self.places.len().checked_sub(1) {
            match self.path(last).cmp(new) {
                Ordering::Less => {}
                Ordering::Equal => return Some(()),
                Ordering::Greater => return None,
            }
        }
        let len = u32::try_from(path.len()).ok()?;
        if path.start > at + FIXED && self.bytes[at + FIXED] & SKIPPED != 0 {
            self.skipped.push(self.places.len());
        }
        self.places.push(Place { at: u32::try_from(at).ok()?, path: u32::try_from(path.start).ok()?, len });
        Some(())
    }

    /// Adds a row behind all bytes; see [`Self::add`].
    pub(crate) fn push(&mut self, fixed: &[u8; FIXED], more: u16, path: &[u8]) -> Option<()> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(fixed);
        self.bytes.extend_from_slice(&more.to_be_bytes());
        self.bytes.extend_from_slice(path);
        self.add(at, at + FIXED + 2..self.bytes.len())
    }

    /// Rows that git leaves out of the working directory, as a sparse checkout does.
    pub(crate) fn skipped(&self) -> &[usize] {
        &self.skipped
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The path of a row.
    pub(crate) fn path(&self, row: usize) -> &[u8] {
        let place = self.places[row];
        &self.bytes[place.path as usize..(place.path + place.len) as usize]
    }

    /// A row.
    pub(crate) fn row(&self, row: usize) -> Row {
        let Place { at, path, .. } = self.places[row];
        let bytes = &self.bytes[at as usize..path as usize];
        let more = bytes.get(FIXED..FIXED + 2).map_or(0, |more| u16::from_be_bytes([more[0], more[1]]));
        bytes.first_chunk().map_or_else(|| Row::read(&[0; FIXED], 0), |fixed| Row::read(fixed, more))
    }

    /// The row of exactly this path.
    pub(crate) fn find(&self, path: &RepoPath) -> Option<Row> {
        let at = self.first(0..self.len(), |row| row < path.bytes());
        (at < self.len() && self.path(at) == path.bytes()).then(|| self.row(at))
    }

    /// Whether a row's path starts with `prefix`, which ends with a slash.
    pub(crate) fn has_below(&self, prefix: &RepoPath) -> bool {
        let at = self.first(0..self.len(), |row| row < prefix.bytes());
        at < self.len() && self.path(at).starts_with(prefix.bytes())
    }

    /// The first of these rows whose path is not `before` what is sought.
    pub(crate) fn first(&self, rows: std::ops::Range<usize>, before: impl Fn(&[u8]) -> bool) -> usize {
        let start = rows.start;
        let places = &self.places[rows];
        let is_before =
            |place: &Place| before(&self.bytes[place.path as usize..(place.path + place.len) as usize]);
        start + places.partition_point(is_before)
    }

    /// Whether the content of a file with this stat is sure to be the row's. Git's stat must be the
    /// same in every part, and older than the index: a file that changed in the same tick as git
    /// looked at it would not show.
    pub(crate) fn vouches(&self, row: &Row, stat: &Stat) -> bool {
        row.standing == Standing::Staged
            && row.stat == RowStat::of(stat)
            && (row.stat.size != 0 || row.id == EMPTY)
            && self.distrusted.is_none_or(|time| time < stat.changed)
            && self.written.is_some_and(|written| stat.is_settled(&written))
    }
}

impl RowStat {
    /// As git cuts it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "git cuts it the same way")]
    pub(crate) fn of(stat: &Stat) -> Self {
        let time = |time: FileTime| (time.seconds as u32, time.nanos);
        Self {
            changed: time(stat.changed),
            modified: time(stat.modified),
            inode: stat.inode as u32,
            size: stat.size as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(stat: &RowStat, id: ContentId, flags: u16) -> [u8; FIXED] {
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

    /// An index of one file, and its row.
    fn index(stat: &Stat, id: ContentId) -> (Index, Row) {
        let mut index = Index::default();
        index.push(&fixed(&RowStat::of(stat), id, 0), 0, b"a").unwrap();
        index.written = Some(Moment { device: 0, time: FileTime { seconds: 10, nanos: 3 } });
        let row = index.row(0);
        (index, row)
    }

    #[test]
    fn any_part_of_the_stat_counts() {
        let stat = stat();
        let (index, row) = index(&stat, ContentId([1; 20]));
        assert!(index.vouches(&row, &stat));
        let earlier = |time: FileTime| FileTime { nanos: time.nanos - 1, ..time };
        for other in [
            Stat { inode: 6, ..stat },
            Stat { size: 4, ..stat },
            Stat { modified: earlier(stat.modified), ..stat },
            Stat { changed: earlier(stat.changed), ..stat },
        ] {
            assert!(!index.vouches(&row, &other));
        }
    }

    #[test]
    fn a_file_as_young_as_the_index_is_not_vouched_for() {
        let stat = stat();
        let (mut index, row) = index(&stat, ContentId([1; 20]));
        index.written = Some(Moment { device: 0, time: stat.changed });
        assert!(!index.vouches(&row, &stat));
    }

    #[test]
    fn the_size_that_git_writes_for_doubt_is_not_believed() {
        let stat = Stat { size: 0, ..stat() };
        let (doubted, row) = index(&stat, ContentId([1; 20]));
        assert!(!doubted.vouches(&row, &stat));
        let (empty, row) = index(&stat, EMPTY);
        assert!(empty.vouches(&row, &stat));
    }

    #[test]
    fn paths_must_follow_and_stages_count_as_one() {
        let mut index = Index::default();
        let row = |flags| fixed(&RowStat::default(), EMPTY, flags);
        assert_eq!(index.push(&row(0x1000), 0, b"b"), Some(()));
        assert_eq!(index.push(&row(0x2000), 0, b"b"), Some(()));
        assert_eq!((index.len(), index.row(0).standing), (1, Standing::Conflict));
        assert_eq!(index.push(&row(0), 0, b"a"), None);
        assert_eq!(index.push(&row(0x4000), 0x2000, b"c"), Some(()));
        assert_eq!(index.row(1).standing, Standing::Intended);
        let find = |path: &[u8]| index.find(&RepoPath::from_git(path)).is_some();
        assert!(find(b"b") && find(b"c") && !find(b"a") && !find(b"bb") && !find(b"d"));
    }
}
