//! The files of a work tree, most of which are as git's index has them. Such a file is the number of its row in
//! the index, so that a tree without changes takes neither time nor memory for each of its files. It does not
//! know how it was found out that a file is unchanged.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::base::path::RepoPath;
use crate::git::index::Index;
use crate::git::index::known_trees::TreesByFolder;
use crate::git::snapshot::entry::{ContentId, Mode, SnapshotEntry};

/// The files of a work tree.
#[derive(Debug, Default)]
pub(crate) struct WorkTreeFiles {
    index: Arc<Index>,
    /// The rows of the files that are as the index has them; sorted, and as few ranges as possible.
    unchanged: Vec<Range<usize>>,
    /// All other entries, sorted by path. None of them has the path of an unchanged file.
    others: Vec<SnapshotEntry>,
    first: OnceLock<Option<SnapshotEntry>>,
}

/// What git sees of an entry.
pub(crate) type EntryFields<'f> = (&'f [u8], Mode, ContentId);

enum Row<'f> {
    Unchanged(usize),
    Other(&'f SnapshotEntry),
}

impl WorkTreeFiles {
    /// Returns the files of these rows of the index, in any order, and these other entries, sorted by path.
    pub(crate) fn new(index: Arc<Index>, mut rows: Vec<Range<usize>>, others: Vec<SnapshotEntry>) -> Self {
        rows.sort_unstable_by_key(|range| range.start);
        let mut unchanged: Vec<Range<usize>> = Vec::new();
        for range in rows {
            match unchanged.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => unchanged.push(range),
            }
        }
        debug_assert!(others.is_sorted_by(|a, b| a.path < b.path), "entries are sorted and unique");
        Self { index, unchanged, others, first: OnceLock::new() }
    }

    /// Returns all entries, sorted by path.
    pub(crate) fn entries(&self) -> Vec<SnapshotEntry> {
        let mut entries = Vec::with_capacity(self.len());
        entries.extend(self.rows().map(|row| self.entry(&row)));
        entries
    }

    /// Returns the first entry.
    pub(crate) fn first(&self) -> Option<&SnapshotEntry> {
        self.first.get_or_init(|| self.rows().next().map(|row| self.entry(&row))).as_ref()
    }

    /// Iterates over what git sees of each entry, in the order of their paths.
    pub(crate) fn fields(&self) -> impl Iterator<Item = EntryFields<'_>> {
        self.rows().map(|row| match row {
            Row::Unchanged(row) => {
                let (mode, id) = self.mode_and_id(row);
                (self.index.path(row), mode, id)
            }
            Row::Other(entry) => (entry.path.bytes(), entry.mode, entry.id),
        })
    }

    /// Returns the id of the whole tree, if all files are as the index has them and git has stored their tree.
    pub(crate) fn known_tree(&self) -> Option<ContentId> {
        let all = 0..self.index.len();
        let is_unchanged = self.others.is_empty() && self.unchanged == [all.clone()];
        let tree = self.index.trees.top().filter(|_| is_unchanged)?;
        (tree.entries == all.end).then_some(tree.id)
    }

    /// Returns the trees that git has stored.
    pub(crate) fn stored_trees(&self) -> TreesByFolder {
        self.index.trees.by_folder()
    }

    /// Returns whether all entries of a folder in the index, and `count` of them, are unchanged files. `prefix`
    /// is the path of the folder with a slash after it.
    pub(crate) fn is_unchanged(&self, prefix: &[u8], count: usize) -> bool {
        let start = self.index.partition_point(0..self.index.len(), |path| path < prefix);
        let is_inside = |row: usize| row < self.index.len() && self.index.path(row).starts_with(prefix);
        let end = start + count;
        let is_whole = count > 0 && is_inside(start) && is_inside(end - 1) && !is_inside(end);
        let at = self.unchanged.partition_point(|range| range.end <= start);
        is_whole && self.unchanged.get(at).is_some_and(|range| range.start <= start && range.end >= end)
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.unchanged.iter().map(ExactSizeIterator::len).sum::<usize>() + self.others.len()
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut unchanged = self.unchanged.iter().flat_map(Clone::clone).peekable();
        let mut others = self.others.iter().peekable();
        std::iter::from_fn(move || match (unchanged.peek(), others.peek()) {
            (Some(row), Some(other)) if self.index.path(*row) > other.path.bytes() => {
                others.next().map(Row::Other)
            }
            (None, _) => others.next().map(Row::Other),
            _ => unchanged.next().map(Row::Unchanged),
        })
    }

    fn entry(&self, row: &Row<'_>) -> SnapshotEntry {
        match row {
            Row::Unchanged(row) => {
                let (mode, id) = self.mode_and_id(*row);
                SnapshotEntry {
                    path: RepoPath::from_git(self.index.path(*row)),
                    mode,
                    id,
                    stat: Some(self.index.entry(*row).stat),
                    tracked: true,
                    not_checked_out: false,
                }
            }
            Row::Other(entry) => (*entry).clone(),
        }
    }

    fn mode_and_id(&self, row: usize) -> (Mode, ContentId) {
        let entry = self.index.entry(row);
        // An unchanged file has a mode.
        (entry.mode().unwrap_or(Mode::File), entry.id)
    }
}
