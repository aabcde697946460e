//! The snapshots of commits and of the index, which need not be checked out. They do not depend on
//! the work tree.
//!
//! The content of an entry is what a checkout would write, so a commit has the same snapshot as its
//! clean work tree. If git may convert bytes at checkout, git is asked for the result.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::{ObjectType, Oid};

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::index::EntryState;
use crate::git::repository::Repository;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::rules::attributes::{Attributes, Conversions, Macros};
use crate::git::rules::outer_attribute_files;
use crate::git::snapshot::checked_out::{CheckoutBlob, hash_checked_out};
use crate::git::snapshot::known_conversions::KnownConversions;
use crate::git::snapshot::{ContentId, Mode, Snapshot, SnapshotEntry};

impl Repository {
    /// Returns the snapshot of a tree, given its id. Of git's filter drivers only `filters` may run.
    ///
    /// # Errors
    /// An object can't be read, or a filter fails.
    pub fn commit_snapshot(&self, tree: &str, filters: &[String]) -> Result<Snapshot, GitError> {
        let id = Oid::from_str(tree).map_err(GitError::object("read the tree", &tree))?;
        let mut entries = Vec::new();
        self.collect_tree(&self.lock(), id, &RepoPath::top(), &mut entries)?;
        self.convert_as_checked_out(entries, filters)
    }

    /// Returns the files and symlinks below a folder of a tree with their bytes, as git stores them.
    ///
    /// # Errors
    /// An object can't be read.
    pub fn files_below(
        &self,
        tree: &str,
        folder: &RepoPath,
    ) -> Result<Vec<(RepoPath, Mode, Vec<u8>)>, GitError> {
        let mut entries = Vec::new();
        {
            let inner = self.lock();
            let Some(entry) = self.entry_at(&inner, tree, folder)? else { return Ok(Vec::new()) };
            if entry.kind() == Some(ObjectType::Tree) {
                self.collect_tree(&inner, entry.id(), folder, &mut entries)?;
            }
        }
        let read = |entry: SnapshotEntry| Ok((entry.path, entry.mode, self.read_blob(&entry.id)?));
        let is_file = |entry: &SnapshotEntry| entry.mode != Mode::Submodule;
        entries.into_iter().filter(is_file).map(read).collect()
    }

    /// Writes the tree that a commit would have now and returns its id. `index` is the path of
    /// another index file than the work tree's own; git passes one to hooks. Neither file is changed.
    ///
    /// # Errors
    /// The index has a conflict or can't be read, or the tree can't be written.
    pub fn staged_tree(&self, index: Option<&Path>) -> Result<String, GitError> {
        let index = self.index_at(index)?;
        let mut staged = git2::Index::new().map_err(GitError::object("write the tree of", &"the index"))?;
        for at in 0..index.len() {
            let entry = index.entry(at);
            match entry.state {
                EntryState::Conflict => {
                    let path = RepoPath::from_git(index.path(at)).to_string();
                    return Err(GitError::Conflict { path });
                }
                EntryState::Staged => staged
                    .add(&index_entry(entry.raw_mode, &entry.id, index.path(at))?)
                    .map_err(GitError::object("stage", &RepoPath::from_git(index.path(at))))?,
                EntryState::IntentToAdd => {}
            }
        }
        let tree = staged.write_tree_to(&self.lock());
        Ok(tree.map_err(GitError::object("write the tree of", &"the index"))?.to_string())
    }

    /// Replaces the content of each file by what a checkout would write.
    pub(crate) fn convert_as_checked_out(
        &self,
        mut entries: Vec<SnapshotEntry>,
        filters: &[String],
    ) -> Result<Snapshot, GitError> {
        let files = self.attribute_files(&entries)?;
        let outer = outer_attribute_files(self)?;
        let settings = self.settings();
        if !settings.converts_all_files && files.is_empty() && outer.iter().all(Vec::is_empty) {
            return Ok(Snapshot::new(entries));
        }
        let texts = outer.iter().chain(files.get(&RepoPath::top())).map(Vec::as_slice);
        let none = Attributes::empty(Macros::parse(texts), settings.case);
        let outer = outer.iter().fold(none, |all, text| all.with_file(&RepoPath::top(), text));
        let mut folders = FolderAttributes { files: &files, outer, known: BTreeMap::new() };
        let mut wanted = Vec::new();
        let mut blobs = Vec::new();
        let files_of_tree = entries.iter().enumerate();
        for (at, entry) in
            files_of_tree.filter(|(_, entry)| matches!(entry.mode, Mode::File | Mode::Executable))
        {
            let effects = folders.attributes(entry.path.parent()).conversions(entry.path.bytes());
            if settings.converts_all_files
                || !effects.intersection(settings.conversions_on_checkout).is_empty()
            {
                let has_filter = !effects.intersection(Conversions::FILTER).is_empty();
                wanted.push(at);
                blobs.push(CheckoutBlob { id: entry.id, path: &entry.path, has_filter });
            }
        }
        let ids = self.converted_ids(&files, &blobs, filters)?;
        for (at, id) in wanted.into_iter().zip(ids) {
            entries[at].id = id;
        }
        Ok(Snapshot::new(entries))
    }

    /// Returns the content ids that the blobs have after a checkout, in order. What is known from an earlier
    /// call is not converted again, unless a filter driver may have done it: its result may differ each time.
    fn converted_ids(
        &self,
        files: &BTreeMap<RepoPath, Vec<u8>>,
        blobs: &[CheckoutBlob<'_>],
        filters: &[String],
    ) -> Result<Vec<ContentId>, GitError> {
        if blobs.is_empty() {
            return Ok(Vec::new());
        }
        let rules = self.checkout_rules(files)?;
        let known = KnownConversions::load(&self.common_dir().join("xtask"), rules);
        let mut ids: Vec<Option<ContentId>> =
            blobs.iter().map(|blob| known.get(blob).filter(|_| !blob.has_filter)).collect();
        let missing: Vec<usize> = (0..blobs.len()).filter(|at| ids[*at].is_none()).collect();
        let unknown: Vec<CheckoutBlob<'_>> = missing.iter().map(|at| blobs[*at]).collect();
        for (at, id) in missing.iter().zip(hash_checked_out(self, files, &unknown, filters)?) {
            ids[*at] = Some(id);
        }
        let ids: Vec<ContentId> = ids.into_iter().flatten().collect();
        if unknown.iter().any(|blob| !blob.has_filter) {
            let results = blobs.iter().zip(ids.iter().copied());
            known.save(results.filter(|(blob, _)| !blob.has_filter));
        }
        Ok(ids)
    }

    /// Returns the attribute files among the entries, by folder.
    fn attribute_files(&self, entries: &[SnapshotEntry]) -> Result<BTreeMap<RepoPath, Vec<u8>>, GitError> {
        entries
            .iter()
            .filter(|entry| matches!(entry.mode, Mode::File | Mode::Executable))
            .filter_map(|entry| match entry.path.bytes().strip_suffix(ATTRIBUTES)? {
                [] | [.., b'/'] => Some((entry.path.parent()?, &entry.id)),
                _ => None,
            })
            .map(|(folder, id)| Ok((folder, self.read_blob(id)?)))
            .collect()
    }
}

/// The attributes of folders, each computed once.
struct FolderAttributes<'f> {
    files: &'f BTreeMap<RepoPath, Vec<u8>>,
    outer: Arc<Attributes>,
    known: BTreeMap<RepoPath, Arc<Attributes>>,
}

impl FolderAttributes<'_> {
    fn attributes(&mut self, folder: Option<RepoPath>) -> Arc<Attributes> {
        let Some(folder) = folder else { return Arc::clone(&self.outer) };
        if let Some(known) = self.known.get(&folder) {
            return Arc::clone(known);
        }
        let above = self.attributes(folder.parent());
        let here = match self.files.get(&folder) {
            Some(text) => above.with_file(&folder, text),
            None => above,
        };
        self.known.insert(folder, Arc::clone(&here));
        here
    }
}

/// Creates an index entry without a stat.
fn index_entry(mode: u32, id: &ContentId, path: &[u8]) -> Result<git2::IndexEntry, GitError> {
    let id = Oid::from_bytes(&id.0).map_err(GitError::object("read", &id.hex()))?;
    let never = git2::IndexTime::new(0, 0);
    Ok(git2::IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_owned(),
    })
}

fn snapshot_entry(path: RepoPath, mode: Mode, id: ContentId) -> SnapshotEntry {
    SnapshotEntry { path, mode, id, stat: None, tracked: true, not_checked_out: false }
}

impl Repository {
    fn collect_tree(
        &self,
        inner: &git2::Repository,
        id: Oid,
        folder: &RepoPath,
        entries: &mut Vec<SnapshotEntry>,
    ) -> Result<(), GitError> {
        let tree = self.tree(inner, id).map_err(GitError::object("read the tree", &id))?;
        for entry in &tree {
            let path = folder.child(entry.name_bytes());
            let mode = match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Tree), _) => {
                    self.collect_tree(inner, entry.id(), &path, entries)?;
                    continue;
                }
                (Some(ObjectType::Commit), _) => Mode::Submodule,
                (_, 0o120_000) => Mode::Symlink,
                (_, mode) if mode & 0o100 != 0 => Mode::Executable,
                _ => Mode::File,
            };
            let id = ContentId::from_oid(entry.id()).map_err(|error| {
                GitError::object("read", &path)(git2::Error::from_str(&error.to_string()))
            })?;
            entries.push(snapshot_entry(path, mode, id));
        }
        Ok(())
    }
}
