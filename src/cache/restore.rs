//! Restoring: outputs put back exactly as an entry has them. It must not know why they differ.
//!
//! Nothing in the work tree is touched before all that is needed has been read and verified, and
//! all that stands in the way has been looked at: contents of packs are in memory then, those of
//! blobs in temporary files. What is right on disk already is left alone.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _};
use tempfile::NamedTempFile;

use crate::cache::Cache;
use crate::cache::blob::{self, UnpackError};
use crate::cache::compare::{Glance, glance};
use crate::cache::content;
use crate::cache::entry::{Entry, Stored};
use crate::cache::error::CacheError;
use crate::cache::output_set::Content;
use crate::cache::place::Kind;
use crate::cache::walk::{self, Found, Holds, Walked};
use crate::ground::digest::Digest;
use crate::ground::file::FileError;
use crate::ground::path::RepoPath;
use crate::ground::pattern::Patterns;
use crate::ground::stat::{Moment, Stat};

/// Why outputs can't be put back. Unless it is [`RestoreError::Midway`], they are as they were.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The cache can't give what is needed, or the disk can't take it.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file that git tracks would have to be deleted.
    #[error("{path} is tracked by git and no output of the stored run")]
    Tracked {
        /// Which.
        path: RepoPath,
    },
    /// Something that is none of the outputs' business stands where an output belongs.
    #[error("{path} stands in the way")]
    InTheWay {
        /// Which.
        path: RepoPath,
    },
    /// The disk failed while outputs were put back.
    #[error("the outputs are put back in part only: {0}")]
    Midway(FileError),
}

/// What has to happen in the work tree.
struct Steps<'e> {
    /// Files and symlinks that are not, or not so, in the entry.
    stale: Vec<RepoPath>,
    /// Outputs that are not on disk as they should be.
    wanted: Vec<&'e Stored>,
}

/// Where the content of a file is, once it is verified.
enum Ready {
    Bytes { pack: usize, range: std::ops::Range<usize> },
    Staged(NamedTempFile),
}

impl Cache {
    /// Puts the outputs of an entry in place below `root` and deletes what else matches `patterns`,
    /// except that a file for which `is_tracked` is true is never deleted.
    ///
    /// # Errors
    /// Something is missing, damaged, in the way, or would be lost; or the disk failed.
    pub fn restore(
        &self,
        root: &Path,
        patterns: &Patterns,
        entry: &Entry,
        is_tracked: &(dyn Fn(&RepoPath) -> bool + Sync),
    ) -> Result<(), RestoreError> {
        let walked = walk::walk(root, patterns).map_err(CacheError::from)?;
        if let Some(blocked) = &walked.blocked {
            return Err(RestoreError::InTheWay { path: blocked.path.clone() });
        }
        let steps = self.steps(root, &walked, entry);
        let outputs: HashSet<&RepoPath> = entry.outputs().map(|output| &output.path).collect();
        if let Some(path) = steps.stale.iter().find(|path| !outputs.contains(path) && is_tracked(path)) {
            return Err(RestoreError::Tracked { path: path.clone() });
        }
        check_way(root, &walked, &steps)?;
        let packs = self.packs(entry, &steps)?;
        let ready = steps.wanted.par_iter().map(|stored| self.ready(root, stored, &packs));
        let ready: Vec<Option<Ready>> = ready.collect::<Result<_, CacheError>>()?;
        let fresh = clear(root, &walked, &steps, &outputs).map_err(RestoreError::Midway)?;
        let install =
            |(stored, ready): (&&Stored, Option<Ready>)| install(root, stored, ready, &packs, &fresh);
        let pairs: Vec<_> = steps.wanted.iter().zip(ready).collect();
        pairs.into_par_iter().map(install).collect::<Result<(), _>>().map_err(RestoreError::Midway)?;
        self.remember(root, &steps);
        Ok(())
    }

    fn steps<'e>(&self, root: &Path, walked: &Walked, entry: &'e Entry) -> Steps<'e> {
        let outputs: BTreeMap<&RepoPath, &Stored> =
            entry.outputs.iter().map(|stored| (&stored.output.path, stored)).collect();
        let mut wanted = Vec::new();
        let mut unread: Vec<(&Found, Digest, &Stored)> = Vec::new();
        for stored in outputs.values() {
            match glance(root, walked, &stored.output) {
                Glance::Same => {}
                Glance::Other(_) => wanted.push(*stored),
                Glance::Unread(found, digest) => unread.push((found, digest, stored)),
            }
        }
        let files: Vec<&Found> = unread.iter().map(|(found, ..)| *found).collect();
        let read = content::digests(root, &files, &self.table(root), &self.place.temp());
        for ((_, digest, stored), read) in unread.into_iter().zip(read) {
            if !read.is_ok_and(|read| read == digest) {
                wanted.push(stored);
            }
        }
        wanted.sort_unstable_by(|a, b| a.output.path.cmp(&b.output.path));
        let is_wanted =
            |path: &RepoPath| wanted.binary_search_by(|stored| stored.output.path.cmp(path)).is_ok();
        // A symlink is replaced by deleting it, and a file that stands for a folder goes too.
        let is_stale = |path: &&RepoPath| match outputs.get(path).map(|stored| &stored.output.content) {
            None => true,
            Some(Content::File { .. }) => false,
            Some(_) => is_wanted(path),
        };
        let stale = walked.files.iter().map(|found| &found.path).filter(is_stale).cloned().collect();
        Steps { stale, wanted }
    }

    /// The packs that are needed, verified.
    fn packs(&self, entry: &Entry, steps: &Steps<'_>) -> Result<Vec<Vec<u8>>, CacheError> {
        let needed: BTreeSet<u32> = steps.wanted.iter().filter_map(|s| s.packed.map(|p| p.pack)).collect();
        let packs = entry.packs.iter().zip(0..);
        let packs =
            packs.map(
                |(pack, number)| {
                    if needed.contains(&number) { self.section(entry, pack) } else { Ok(Vec::new()) }
                },
            );
        packs.collect()
    }

    fn ready(&self, root: &Path, stored: &Stored, packs: &[Vec<u8>]) -> Result<Option<Ready>, CacheError> {
        let Content::File { size, digest, .. } = &stored.output.content else { return Ok(None) };
        let Some(packed) = stored.packed else { return self.stage(root, digest).map(Some) };
        let pack = packed.pack as usize;
        let range = usize::try_from(packed.offset).ok().zip(usize::try_from(*size).ok());
        let range = range.and_then(|(start, len)| Some(start..start.checked_add(len)?));
        match range {
            Some(range) if packs.get(pack).is_some_and(|bytes| bytes.get(range.clone()).is_some()) => {
                Ok(Some(Ready::Bytes { pack, range }))
            }
            _ => Err(CacheError::Damaged(format!("{} lies outside its pack", stored.output.path))),
        }
    }

    /// A blob's content in a temporary file on the file system of the work tree.
    fn stage(&self, root: &Path, digest: &Digest) -> Result<Ready, CacheError> {
        let temp = self.place.temp();
        let device = |path: &Path| path.metadata().map(|meta| meta.dev()).ok();
        let folder: PathBuf = if device(&temp) == device(root) { temp } else { root.to_owned() };
        let no_file = FileError::of("make a temporary file in", &folder);
        let mut file = NamedTempFile::new_in(&folder).map_err(no_file)?;
        let path = self.place.file(Kind::Blob, digest);
        blob::unpack(&path, digest, file.as_file_mut()).map_err(|error| match error {
            UnpackError::Blob(flaw) => CacheError::Damaged(self.damaged_blob(digest, &flaw)),
            UnpackError::Out(error) => {
                CacheError::from(FileError::of("write", file.path())(error)).with_space(&folder, 0)
            }
        })?;
        Ok(Ready::Staged(file))
    }

    /// Remembers what was written, so that it need not be read to be known.
    fn remember(&self, root: &Path, steps: &Steps<'_>) {
        let files = steps.wanted.iter().filter_map(|stored| match &stored.output.content {
            Content::File { digest, .. } => Some((&stored.output.path, *digest)),
            _ => None,
        });
        let stats: Vec<(&RepoPath, Stat, Digest)> = files
            .filter_map(|(path, digest)| {
                let meta = path.under(root).symlink_metadata().ok()?;
                Some((path, Stat::of(&meta), digest))
            })
            .collect();
        if let Ok(after) = Moment::now(&self.place.temp()) {
            let rows = stats.iter().map(|(path, stat, digest)| (path.bytes(), stat, *digest));
            self.table(root).insert(rows, &after);
        }
    }
}

/// Fails if a folder that is needed can't be made, or one that has to go holds something foreign.
fn check_way(root: &Path, walked: &Walked, steps: &Steps<'_>) -> Result<(), RestoreError> {
    let stale: HashSet<&RepoPath> = steps.stale.iter().collect();
    let mut checked: HashSet<RepoPath> = HashSet::new();
    for stored in &steps.wanted {
        let path = &stored.output.path;
        if !matches!(stored.output.content, Content::EmptyFolder) {
            let inside = walked.folders.iter().filter(|(folder, _)| folder.is_within(path));
            if let Some((folder, _)) = inside.into_iter().find(|(_, holds)| **holds == Holds::Foreign) {
                return Err(RestoreError::InTheWay { path: folder.clone() });
            }
        }
        let mut at = path.parent();
        while let Some(folder) = at.take().filter(|folder| !folder.is_top() && !checked.contains(folder)) {
            let meta = folder.under(root).symlink_metadata();
            if meta.is_ok_and(|meta| !meta.is_dir()) && !stale.contains(&folder) {
                return Err(RestoreError::InTheWay { path: folder });
            }
            at = folder.parent();
            checked.insert(folder);
        }
    }
    Ok(())
}

/// Deletes what is stale, with folders that became empty by it, and makes the folders that are
/// needed; gives those that are new.
fn clear(
    root: &Path,
    walked: &Walked,
    steps: &Steps<'_>,
    outputs: &HashSet<&RepoPath>,
) -> Result<HashSet<RepoPath>, FileError> {
    for path in &steps.stale {
        let full = path.under(root);
        crate::cache::place::remove(&full)?;
    }
    let mut kept: HashSet<RepoPath> = HashSet::new();
    for path in outputs {
        let mut at = path.parent();
        while let Some(folder) = at.take().filter(|folder| !kept.contains(folder)) {
            at = folder.parent();
            kept.insert(folder);
        }
    }
    let is_wanted_folder = |folder: &RepoPath| {
        kept.contains(folder)
            || outputs.contains(folder) && !steps.wanted.iter().any(|s| s.output.path == *folder)
    };
    let mut idle: Vec<&RepoPath> = walked.folders.keys().filter(|folder| !is_wanted_folder(folder)).collect();
    idle.sort_unstable_by(|a, b| b.cmp(a));
    for folder in idle.into_iter().filter(|folder| !folder.is_top()) {
        // What is not empty holds something that is not ours.
        let _ = fs::remove_dir(folder.under(root));
    }
    let mut fresh = HashSet::new();
    for stored in &steps.wanted {
        let folder = match stored.output.content {
            Content::EmptyFolder => Some(stored.output.path.clone()),
            _ => stored.output.path.parent(),
        };
        let Some(folder) = folder.filter(|folder| !folder.is_top() && !fresh.contains(folder)) else {
            continue;
        };
        let full = folder.under(root);
        if !full.is_dir() {
            fs::create_dir_all(&full).map_err(FileError::of("make the folder", &full))?;
            fresh.insert(folder);
        }
    }
    Ok(fresh)
}

/// Puts one output in place.
fn install(
    root: &Path,
    stored: &Stored,
    ready: Option<Ready>,
    packs: &[Vec<u8>],
    fresh: &HashSet<RepoPath>,
) -> Result<(), FileError> {
    let path = stored.output.path.under(root);
    match (&stored.output.content, ready) {
        (Content::Symlink { target }, _) => {
            let target = Path::new(std::ffi::OsStr::from_bytes(target));
            std::os::unix::fs::symlink(target, &path).map_err(FileError::of("make the symlink", &path))
        }
        (Content::File { mode, .. }, Some(Ready::Staged(file))) => {
            set_mode(file.as_file(), *mode, &path)?;
            file.persist(&path).map_err(|error| FileError::of("rename into place", &path)(error.error))?;
            Ok(())
        }
        (Content::File { mode, .. }, Some(Ready::Bytes { pack, range })) => {
            let bytes = &packs[pack][range];
            let is_fresh = stored.output.path.parent().is_some_and(|folder| fresh.contains(&folder));
            if is_fresh { create(&path, bytes, *mode) } else { replace(&path, bytes, *mode) }
        }
        _ => Ok(()),
    }
}

/// Writes a file where there is none. If this is cut short, the next comparison sees it.
fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let options = fs::File::options().write(true).create_new(true).mode(mode & 0o777).clone();
    let mut file = options.open(path).map_err(FileError::of("create", path))?;
    file.write_all(bytes).map_err(FileError::of("write", path))?;
    set_mode(&file, mode, path)
}

/// Replaces a file as a whole.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file =
        NamedTempFile::new_in(folder).map_err(FileError::of("make a temporary file in", folder))?;
    file.write_all(bytes).map_err(FileError::of("write", path))?;
    set_mode(file.as_file(), mode, path)?;
    file.persist(path).map_err(|error| FileError::of("rename into place", path)(error.error))?;
    Ok(())
}

fn set_mode(file: &fs::File, mode: u32, path: &Path) -> Result<(), FileError> {
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(FileError::of("set the mode of", path))
}
