//! The snapshot of a tree: the mode and the content id of each path. The tree can be that of a
//! commit, of the index or of the work tree. `commit` takes the snapshots of commits and of the
//! index, `checked_out` asks git for contents that a checkout converts, `known_conversions` remembers them, `tree_id` computes the id of
//! a snapshot's tree, and `written_tree` writes the tree of the work tree. `unchanged` has the files of a work
//! tree as rows of git's index.

pub(super) mod checked_out;
mod commit;
pub(super) mod entry;
mod known_conversions;
pub(super) mod tree_id;
pub(super) mod unchanged;
pub(super) mod written_tree;

use std::sync::{Arc, OnceLock};

use crate::base::digest::{Digest, FieldHasher};
use crate::base::path::RepoPath;
use crate::base::stat::FileTime;
use crate::decision_reason::FileChange;
pub use crate::git::snapshot::entry::{ContentId, Mode, SnapshotEntry};
use crate::git::snapshot::unchanged::{EntryFields, WorkTreeFiles};

/// The entries of a tree, sorted by the bytes of their paths. Clones share the entries.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Arc<SnapshotContent>);

#[derive(Debug, Default)]
struct SnapshotContent {
    /// The entries, once they are needed. Often only their digest is.
    entries: OnceLock<Vec<SnapshotEntry>>,
    /// What the entries are made from, if it is not the entries themselves.
    files: WorkTreeFiles,
}

impl Snapshot {
    /// Creates a snapshot of these entries, in any order.
    pub fn new(mut entries: Vec<SnapshotEntry>) -> Self {
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        }
        Self::from_sorted(entries)
    }

    /// Creates a snapshot of entries that are already sorted.
    pub(crate) fn from_sorted(entries: Vec<SnapshotEntry>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.path < b.path), "entries are sorted and unique");
        let content = SnapshotContent { entries: entries.into(), files: WorkTreeFiles::default() };
        Self(Arc::new(content))
    }

    /// Creates the snapshot of a work tree.
    pub(crate) fn from_files(files: WorkTreeFiles) -> Self {
        Self(Arc::new(SnapshotContent { entries: OnceLock::new(), files }))
    }

    /// Returns all entries, sorted by the bytes of their paths.
    pub fn entries(&self) -> &[SnapshotEntry] {
        self.0.entries.get_or_init(|| self.0.files.entries())
    }

    /// Returns the first entry at `folder` or below it.
    pub fn first_in(&self, folder: &RepoPath) -> Option<&SnapshotEntry> {
        if folder.is_top() && self.0.entries.get().is_none() {
            return self.0.files.first();
        }
        let entries = self.entries();
        let first = |path: &RepoPath| entries.get(entries.partition_point(|entry| entry.path < *path));
        first(folder)
            .filter(|entry| entry.path == *folder)
            .or_else(|| first(&folder.child(b"")).filter(|entry| entry.path.is_within(folder)))
    }

    /// Returns the digest of all entries.
    pub fn digest(&self) -> Digest {
        match self.0.entries.get() {
            Some(entries) => digest_entries(entries),
            None => digest_fields(self.0.files.fields()),
        }
    }

    /// Returns the files of the work tree from which the snapshot was made.
    fn files(&self) -> &WorkTreeFiles {
        &self.0.files
    }

    /// Returns the entry of a path.
    pub fn get(&self, path: &RepoPath) -> Option<&SnapshotEntry> {
        let entries = self.entries();
        entries.binary_search_by(|entry| entry.path.cmp(path)).ok().map(|index| &entries[index])
    }

    /// Returns the entry at `folder` itself if there is one, or else all entries below it.
    pub fn entries_in(&self, folder: &RepoPath) -> &[SnapshotEntry] {
        let entries = self.entries();
        if folder.is_top() {
            return entries;
        }
        let start = entries.partition_point(|entry| entry.path < *folder);
        if entries.get(start).is_some_and(|entry| entry.path == *folder) {
            return &entries[start..=start];
        }
        let below = folder.child(b"");
        let start = entries.partition_point(|entry| entry.path < below);
        let len = entries[start..].partition_point(|entry| entry.path.is_within(folder));
        &entries[start..start + len]
    }

    /// Returns the paths that are changed or missing in `after`. Paths that only `after` has are not
    /// included.
    pub fn changes(&self, after: &Self) -> Vec<(RepoPath, FileChange)> {
        let change = |entry: &SnapshotEntry| match after.get(&entry.path) {
            None => Some(FileChange::Removed),
            Some(other) if other.id != entry.id => Some(FileChange::Changed),
            Some(other) if other.mode != entry.mode => Some(FileChange::Mode),
            Some(_) => None,
        };
        self.entries().iter().filter_map(|entry| Some((entry.path.clone(), change(entry)?))).collect()
    }

    /// Returns the paths that were written, added or removed between two snapshots of a work tree, even if they
    /// have the same content again. Each comes with a description and the time of its last change, if it is
    /// known.
    pub fn touched_paths(&self, after: &Self) -> Vec<(String, RepoPath, Option<FileTime>)> {
        let mut touched = Vec::new();
        let mut add = |path: &RepoPath, how: &str, at: Option<FileTime>| {
            touched.push((format!("{path} {how}"), path.clone(), at));
        };
        for entry in self.entries() {
            match after.get(&entry.path) {
                None => add(&entry.path, "was removed", None),
                Some(now) => {
                    let at = now.stat.map(|stat| stat.changed_at());
                    let is_written = entry.mode != Mode::Submodule && entry.stat != now.stat;
                    if entry.id != now.id || entry.mode != now.mode {
                        add(&entry.path, "changed", at);
                    } else if is_written {
                        add(&entry.path, "was written", at);
                    }
                }
            }
        }
        for entry in after.entries().iter().filter(|entry| self.get(&entry.path).is_none()) {
            add(&entry.path, "was added", entry.stat.map(|stat| stat.changed_at()));
        }
        touched
    }

    /// Describes the first difference between this snapshot and `other`; returns `None` if they are
    /// equal.
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        if self.digest() == other.digest() {
            return None;
        }
        let changed = self.changes(other).into_iter().next().map(|(path, how)| format!("{path} {how}"));
        let added = || other.entries().iter().find(|entry| self.get(&entry.path).is_none());
        Some(changed.or_else(|| added().map(|entry| format!("{} added", entry.path))).unwrap_or_default())
    }

    /// Returns this snapshot with the entries for which `is_replaced` is true, all of them within
    /// `folders`, replaced by `entries`; and the paths that have changed.
    pub fn with_replaced(
        &self,
        is_replaced: impl Fn(&RepoPath) -> bool,
        folders: &[RepoPath],
        entries: Vec<SnapshotEntry>,
    ) -> (Self, Vec<RepoPath>) {
        let old = folders.iter().flat_map(|folder| self.entries_in(folder));
        let old: Vec<&SnapshotEntry> = old.filter(|entry| is_replaced(&entry.path)).collect();
        let new = Self::new(entries);
        let is_same = |a: &SnapshotEntry, b: &SnapshotEntry| a.id == b.id && a.mode == b.mode;
        let gone = old.iter().copied().filter(|entry| new.get(&entry.path).is_none());
        let other = |entry: &&SnapshotEntry| !self.get(&entry.path).is_some_and(|was| is_same(was, entry));
        let changed =
            gone.chain(new.entries().iter().filter(other)).map(|entry| entry.path.clone()).collect();
        let replaced: std::collections::HashSet<&RepoPath> = old.iter().map(|entry| &entry.path).collect();
        let kept = self.entries().iter().filter(|entry| !replaced.contains(&entry.path)).cloned();
        (Self::new(kept.chain(new.entries().iter().cloned()).collect()), changed)
    }
}

/// The number of entries in one field of the digest.
const ENTRIES_PER_FIELD: usize = 256;

/// Returns the digest of a list of entries: their paths, modes and contents, in order.
pub fn digest_entries<'a>(entries: impl IntoIterator<Item = &'a SnapshotEntry>) -> Digest {
    digest_fields(entries.into_iter().map(|entry| (entry.path.bytes(), entry.mode, entry.id)))
}

fn digest_fields<'a>(entries: impl Iterator<Item = EntryFields<'a>>) -> Digest {
    let mut fields = FieldHasher::new("taskgate tree 1");
    // Many entries share a field, because hashing few long fields takes less time. Each entry starts
    // with its length.
    let mut rows = Vec::with_capacity(ENTRIES_PER_FIELD * 100);
    for (at, (path, mode, id)) in entries.enumerate() {
        if at % ENTRIES_PER_FIELD == 0 && at > 0 {
            fields.add(&rows);
            rows.clear();
        }
        rows.extend_from_slice(&(path.len() as u64).to_le_bytes());
        rows.extend_from_slice(path);
        rows.extend_from_slice(&mode.octal().to_le_bytes());
        rows.extend_from_slice(&id.0);
    }
    fields.add(&rows);
    fields.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(paths: &[&str]) -> Snapshot {
        Snapshot::new(
            paths
                .iter()
                .map(|path| SnapshotEntry {
                    path: RepoPath::from_git(path.as_bytes()),
                    mode: Mode::File,
                    id: ContentId([0; 20]),
                    stat: None,
                    tracked: true,
                    not_checked_out: false,
                })
                .collect(),
        )
    }

    #[test]
    fn subtree_has_all_entries_of_the_folder_and_no_others() {
        let snapshot = snapshot(&["a/x", "a.b", "a/y/z", "ab/c", "b"]);
        let within = |folder: &str| -> Vec<String> {
            let folder = RepoPath::from_git(folder.as_bytes());
            snapshot.entries_in(&folder).iter().map(|entry| entry.path.to_string()).collect()
        };
        assert_eq!(within("a"), ["a/x", "a/y/z"]);
        assert_eq!(within("b"), ["b"]);
        assert_eq!(within("c"), Vec::<String>::new());
        assert_eq!(within("").len(), 5);
    }

    #[test]
    fn digest_covers_mode_content_and_path() {
        let base = snapshot(&["a", "b"]);
        let mut seen = vec![digest_entries(base.entries())];
        for change in 0..3 {
            let mut entries = base.entries().to_vec();
            match change {
                0 => entries[0].mode = Mode::Executable,
                1 => entries[0].id = ContentId([1; 20]),
                _ => entries[0].path = RepoPath::from_git(&b"c"[..]),
            }
            let digest = digest_entries(&entries);
            assert!(!seen.contains(&digest));
            seen.push(digest);
        }
    }
}
