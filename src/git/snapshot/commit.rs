//! The snapshots of commits and of the index, which are not checked out. They must not know the
//! work tree.
//!
//! The content of an entry is what a checkout would write, so that a commit's snapshot is the same
//! as that of its clean work tree. Where a filter may change bytes at checkout, git is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use git2::{ObjectType, Oid};

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::index::Standing;
use crate::git::repository::Repository;
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::rules::attributes::{Attributes, Macros};
use crate::git::rules::outer_attribute_files;
use crate::git::snapshot::checked_out::{Wanted, checked_out};
use crate::git::snapshot::{ContentId, Entry, Mode, Snapshot};

impl Repository {
    /// The snapshot of a tree, by its id. Of git's filter drivers only `filters` may run.
    ///
    /// # Errors
    /// An object can't be read, or a filter fails.
    pub fn commit_snapshot(&self, tree: &str, filters: &[String]) -> Result<Snapshot, GitError> {
        let id = Oid::from_str(tree).map_err(GitError::object("read the tree", &tree))?;
        let mut entries = Vec::new();
        self.collect(&self.lock(), id, &RepoPath::top(), &mut entries)?;
        self.as_checked_out(entries, filters)
    }

    /// Writes the tree that a commit would make now and returns its id. `index` is another index
    /// file than the work tree's own, as git names it to hooks. Neither file is touched.
    ///
    /// # Errors
    /// The index holds a conflict or can't be read, or the tree can't be written.
    pub fn staged_tree(&self, index: Option<&Path>) -> Result<String, GitError> {
        let index = self.index_at(index)?;
        let mut staged = git2::Index::new().map_err(GitError::object("write the tree of", &"the index"))?;
        for at in 0..index.len() {
            let row = index.row(at);
            match row.standing {
                Standing::Conflict => {
                    let path = RepoPath::from_git(index.path(at)).to_string();
                    return Err(GitError::Conflict { path });
                }
                Standing::Staged => staged
                    .add(&plain_entry(row.mode, &row.id, index.path(at))?)
                    .map_err(GitError::object("stage", &RepoPath::from_git(index.path(at))))?,
                Standing::Intended => {}
            }
        }
        let tree = staged.write_tree_to(&self.lock());
        Ok(tree.map_err(GitError::object("write the tree of", &"the index"))?.to_string())
    }

    /// Gives each file the content that a checkout would write.
    pub(crate) fn as_checked_out(
        &self,
        mut entries: Vec<Entry>,
        filters: &[String],
    ) -> Result<Snapshot, GitError> {
        let files = self.attribute_files(&entries)?;
        let outer = outer_attribute_files(self)?;
        let settings = self.settings();
        if !settings.converts_all && files.is_empty() && outer.iter().all(Vec::is_empty) {
            return Ok(Snapshot::new(entries));
        }
        let texts = outer.iter().chain(files.get(&RepoPath::top())).map(Vec::as_slice);
        let none = Attributes::none(Macros::of(texts), settings.case);
        let outer = outer.iter().fold(none, |all, text| all.with_file(&RepoPath::top(), text));
        let mut folders = Folders { files: &files, outer, known: BTreeMap::new() };
        let is_changed = |entry: &Entry, folders: &mut Folders<'_>| {
            let effects = folders.attributes(entry.path.parent()).effects(entry.path.bytes());
            settings.converts_all || !effects.within(settings.at_checkout).is_none()
        };
        let wanted: Vec<usize> = (0..entries.len())
            .filter(|at| matches!(entries[*at].mode, Mode::File | Mode::Executable))
            .filter(|at| is_changed(&entries[*at], &mut folders))
            .collect();
        let blobs: Vec<Wanted<'_>> =
            wanted.iter().map(|at| Wanted { id: entries[*at].id, path: &entries[*at].path }).collect();
        let ids = checked_out(self, &files, &blobs, filters)?;
        for (at, id) in wanted.into_iter().zip(ids) {
            entries[at].id = id;
        }
        Ok(Snapshot::new(entries))
    }

    /// The attribute files among the entries, by folder.
    fn attribute_files(&self, entries: &[Entry]) -> Result<BTreeMap<RepoPath, Vec<u8>>, GitError> {
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

/// The attributes of folders, each found out once.
struct Folders<'f> {
    files: &'f BTreeMap<RepoPath, Vec<u8>>,
    outer: Arc<Attributes>,
    known: BTreeMap<RepoPath, Arc<Attributes>>,
}

impl Folders<'_> {
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

/// An entry of an index that knows no file on disk.
fn plain_entry(mode: u32, id: &ContentId, path: &[u8]) -> Result<git2::IndexEntry, GitError> {
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

fn entry(path: RepoPath, mode: Mode, id: ContentId) -> Entry {
    Entry { path, mode, id, stat: None, tracked: true, absent: false }
}

impl Repository {
    fn collect(
        &self,
        inner: &git2::Repository,
        id: Oid,
        folder: &RepoPath,
        entries: &mut Vec<Entry>,
    ) -> Result<(), GitError> {
        let tree = self.tree(inner, id).map_err(GitError::object("read the tree", &id))?;
        for row in &tree {
            let path = folder.child(row.name_bytes());
            let mode = match (row.kind(), row.filemode()) {
                (Some(ObjectType::Tree), _) => {
                    self.collect(inner, row.id(), &path, entries)?;
                    continue;
                }
                (Some(ObjectType::Commit), _) => Mode::Submodule,
                (_, 0o120_000) => Mode::Symlink,
                (_, mode) if mode & 0o100 != 0 => Mode::Executable,
                _ => Mode::File,
            };
            let id = ContentId::from_oid(row.id()).map_err(|error| {
                GitError::object("read", &path)(git2::Error::from_str(&error.to_string()))
            })?;
            entries.push(entry(path, mode, id));
        }
        Ok(())
    }
}
