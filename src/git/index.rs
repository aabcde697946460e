//! Git's index in memory: what git tracks, and which content it vouches for. It must not know the
//! form of the file (see `index_file`), nor what is on disk.

use super::snapshot::{ContentId, Mode};
use crate::ground::path::RepoPath;
use crate::ground::stat::{FileTime, Moment, Stat};

/// The empty blob. Git writes the size 0 for an entry that it does not trust itself.
const EMPTY: ContentId = ContentId([
    0xe6, 0x9d, 0xe2, 0x9b, 0xb2, 0xd1, 0xd6, 0x43, 0x4b, 0x8b, 0x29, 0xae, 0x77, 0x5a, 0xd8, 0xc2, 0xe4,
    0x8c, 0x53, 0x91,
]);

/// A picture of the index, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: Vec<u8>,
    rows: Vec<Row>,
    /// When the index was written.
    pub(super) written: Option<Moment>,
}

/// One tracked path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    start: u32,
    len: u32,
    /// The content that is staged.
    pub(super) id: ContentId,
    /// As git writes it.
    pub(super) mode: u32,
    /// What became of the path in the index.
    pub(super) standing: Standing,
    /// The stat of the file that has this content.
    pub(super) stat: RowStat,
}

/// The part of a stat that the index holds, cut to 32 bits each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct RowStat {
    pub(super) changed: (u32, u32),
    pub(super) modified: (u32, u32),
    pub(super) inode: u32,
    pub(super) size: u32,
}

/// What a row is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Staged, with a stat.
    Staged,
    /// Staged, with no stat known.
    Listed,
    /// A stage of a merge that is not done.
    Conflict,
    /// `git add --intent-to-add`: it has no content yet.
    Intended,
}

impl Row {
    /// What kind of entry it is; `None` for a kind that git has not.
    pub(super) fn kind(&self) -> Option<Mode> {
        match self.mode & 0o170_000 {
            0o100_000 if self.mode & 0o100 != 0 => Some(Mode::Executable),
            0o100_000 => Some(Mode::File),
            0o120_000 => Some(Mode::Symlink),
            0o160_000 => Some(Mode::Submodule),
            _ => None,
        }
    }
}

impl Index {
    /// Makes room for `rows` rows.
    pub(super) fn with_capacity(rows: usize, bytes: usize) -> Self {
        Self { names: Vec::with_capacity(bytes), rows: Vec::with_capacity(rows), written: None }
    }

    /// Adds the row of a path that follows all others; its stages count as one. `None` if it does
    /// not follow.
    pub(super) fn push(
        &mut self,
        path: &[u8],
        (mode, id): (u32, ContentId),
        standing: Standing,
        stat: RowStat,
    ) -> Option<()> {
        if let Some(last) = self.rows.last().copied() {
            match self.path(&last).cmp(path) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => {
                    self.rows.last_mut()?.standing = Standing::Conflict;
                    return Some(());
                }
                std::cmp::Ordering::Greater => return None,
            }
        }
        let start = u32::try_from(self.names.len()).ok()?;
        let len = u32::try_from(path.len()).ok()?;
        self.names.extend_from_slice(path);
        self.rows.push(Row { start, len, id, mode, standing, stat });
        Some(())
    }

    /// All rows.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The path of a row.
    pub(super) fn path(&self, row: &Row) -> &[u8] {
        &self.names[row.start as usize..(row.start + row.len) as usize]
    }

    /// The row of exactly this path.
    pub(super) fn find(&self, path: &RepoPath) -> Option<&Row> {
        let at = self.rows.binary_search_by(|row| self.path(row).cmp(path.bytes())).ok()?;
        self.rows.get(at)
    }

    /// Whether the content of a file with this stat is sure to be the row's. Git's stat must be the
    /// same in every part, and older than the index: a file that changed in the same tick as git
    /// looked at it would not show.
    pub(super) fn vouches(&self, row: &Row, stat: &Stat) -> bool {
        row.standing == Standing::Staged
            && row.stat == RowStat::of(stat)
            && (row.stat.size != 0 || row.id == EMPTY)
            && self.written.is_some_and(|written| stat.is_settled(&written))
    }
}

impl RowStat {
    /// As git cuts it.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "git cuts it the same way")]
    pub(super) fn of(stat: &Stat) -> Self {
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

    fn index() -> (Index, Stat) {
        let stat = Stat {
            inode: (7 << 32) + 5,
            size: 3,
            modified: FileTime { seconds: 10, nanos: 1 },
            changed: FileTime { seconds: 10, nanos: 2 },
            ..Stat::default()
        };
        let mut index = Index::with_capacity(1, 1);
        let content = (0o100_644, ContentId([1; 20]));
        index.push(b"a", content, Standing::Staged, RowStat::of(&stat)).unwrap();
        index.written = Some(Moment { device: 0, time: FileTime { seconds: 10, nanos: 3 } });
        (index, stat)
    }

    #[test]
    fn any_part_of_the_stat_counts() {
        let (index, stat) = index();
        let row = &index.rows()[0];
        assert!(index.vouches(row, &stat));
        let later = |time: FileTime| FileTime { nanos: time.nanos - 1, ..time };
        for other in [
            Stat { inode: 6, ..stat },
            Stat { size: 4, ..stat },
            Stat { modified: later(stat.modified), ..stat },
            Stat { changed: later(stat.changed), ..stat },
        ] {
            assert!(!index.vouches(row, &other));
        }
    }

    #[test]
    fn a_file_as_young_as_the_index_is_not_vouched_for() {
        let (mut index, stat) = index();
        index.written = Some(Moment { device: 0, time: stat.changed });
        assert!(!index.vouches(&index.rows()[0], &stat));
    }

    #[test]
    fn the_size_that_git_writes_for_doubt_is_not_believed() {
        let (mut index, stat) = index();
        let stat = Stat { size: 0, ..stat };
        index.rows[0].stat.size = 0;
        assert!(!index.vouches(&index.rows()[0], &stat));
        index.rows[0].id = EMPTY;
        assert!(index.vouches(&index.rows()[0], &stat));
    }

    #[test]
    fn paths_must_follow_and_stages_count_as_one() {
        let (mut index, _) = index();
        let content = (0o100_644, EMPTY);
        assert_eq!(index.push(b"a", content, Standing::Conflict, RowStat::default()), Some(()));
        assert_eq!(index.rows().len(), 1);
        assert_eq!(index.rows()[0].standing, Standing::Conflict);
        assert_eq!(index.push(b"A", content, Standing::Staged, RowStat::default()), None);
    }
}
