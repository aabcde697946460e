//! The plan of a restore: what has to go, what has to be made, and whether that may be. It must not
//! change anything.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::base::units;
use crate::cache::error::{CacheError, is_full};
use crate::cache::format::entry::Stored;
use crate::cache::outputs::compare::{self, Glance};
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Content, Output};
use crate::cache::outputs::table::Table;
use crate::cache::outputs::walk::{self, Found, Holds, Walked};

/// Why outputs were not restored. Each is one line. Unless it is [`Self::Partly`], nothing was
/// changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file of the cache is missing or is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// Something is named that is not an output of this task, or no path at all.
    #[error("the entry holds {path}, which is not among the outputs")]
    Outside {
        /// What it names.
        path: RepoPath,
    },
    /// A file that git tracks would have to be deleted.
    #[error("{path} would have to be deleted, and git tracks it")]
    Tracked {
        /// Which.
        path: RepoPath,
    },
    /// Something that is no output stands where an output belongs.
    #[error("{path} is in the way: {what}")]
    InTheWay {
        /// What stands there.
        path: RepoPath,
        /// What is wrong with it, as a clause.
        what: &'static str,
    },
    /// The disk is full.
    #[error("no space left on the disk that holds {}; needed {}", path.display(), units::size(*needed))]
    NoSpace {
        /// A folder on that disk.
        path: PathBuf,
        /// Bytes that are to be written.
        needed: u64,
    },
    /// What is to be put in place can't be read.
    #[error(transparent)]
    Unread(#[from] CacheError),
    /// A file operation failed before anything was changed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file operation failed when some outputs were in place already.
    #[error("outputs were restored in part: {0}: {source}", source = .0.source)]
    Partly(FileError),
}

impl RestoreError {
    /// Turns a full disk into the one line that says so.
    pub(crate) fn of(error: FileError, path: &Path, needed: u64) -> Self {
        if is_full(&error.source) {
            Self::NoSpace { path: path.to_owned(), needed }
        } else {
            Self::File(error)
        }
    }
}

/// What a restore does, in this order.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Files and symlinks that go.
    pub(crate) remove: Vec<RepoPath>,
    /// Folders that go if they are empty by then, the deepest first.
    pub(crate) prune: Vec<RepoPath>,
    /// Folders that are made, the highest first.
    pub(crate) folders: Vec<RepoPath>,
    /// Outputs that are written, by their index.
    pub(crate) writes: Vec<Write>,
    /// Folders that get this mode when all is written, the deepest first.
    pub(crate) modes: Vec<(RepoPath, u32)>,
}

/// An output that is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Write {
    pub(crate) index: usize,
    pub(crate) at: Place,
}

/// What is where an output goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    Free,
    Taken,
}

/// Where a restore happens, and what may not be deleted there.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'a> {
    pub(crate) root: &'a Path,
    pub(crate) patterns: &'a Patterns,
    pub(crate) is_tracked: &'a dyn Fn(&RepoPath) -> bool,
}

impl Plan {
    /// Compares what is there with what shall be. Contents are read where stats do not vouch for them.
    pub(crate) fn make(
        ground: &Ground<'_>,
        outputs: &[Stored],
        table: &Table,
        temp: &Path,
    ) -> Result<Self, RestoreError> {
        let above = folders_above(outputs, ground.patterns)?;
        let walked = walk::walk(ground.root, ground.patterns)?;
        if let Some(blocked) = walked.blocked {
            let what = if blocked.what == "a symlink" { "it is a symlink" } else { "it is not a folder" };
            return Err(RestoreError::InTheWay { path: blocked.path, what });
        }
        let mut plan = Self::default();
        plan.compare(ground, outputs, &walked, (table, temp));
        plan.plan_removals(ground, outputs, &walked, &above)?;
        plan.plan_folders(ground, outputs, &walked, &above)?;
        Ok(plan)
    }

    /// Finds the outputs that have to be written.
    fn compare(&mut self, ground: &Ground<'_>, outputs: &[Stored], walked: &Walked, known: (&Table, &Path)) {
        let mut unread: Vec<(usize, &Found, Digest)> = Vec::new();
        for (index, output) in outputs.iter().map(|stored| &stored.output).enumerate() {
            match compare::glance(ground.root, walked, output) {
                Glance::Same => {}
                Glance::Other(_) if output.is_folder() => {
                    if !walked.folders.contains_key(&output.path) {
                        self.folders.push(output.path.clone());
                    }
                    if let Content::Folder { mode, .. } = output.content {
                        self.modes.push((output.path.clone(), mode));
                    }
                }
                Glance::Other(_) => {
                    let is_taken = walked.file(&output.path).is_some();
                    let at = if is_taken { Place::Taken } else { Place::Free };
                    self.writes.push(Write { index, at });
                }
                Glance::Unread(found, digest) => unread.push((index, found, digest)),
            }
        }
        // What holds another comes before it in this order.
        self.modes.reverse();
        let files: Vec<&Found> = unread.iter().map(|(_, found, _)| *found).collect();
        let digests = content::digests(ground.root, &files, known.0, known.1);
        for ((index, _, wanted), read) in unread.into_iter().zip(digests) {
            // What can't be read is written anew, as what was edited is.
            if read.ok() != Some(wanted) {
                self.writes.push(Write { index, at: Place::Taken });
            }
        }
    }

    /// Finds what has to go: what matches and is none of the outputs.
    fn plan_removals(
        &mut self,
        ground: &Ground<'_>,
        outputs: &[Stored],
        walked: &Walked,
        above: &BTreeSet<RepoPath>,
    ) -> Result<(), RestoreError> {
        let mut files = HashSet::new();
        let mut folders = HashSet::new();
        for output in outputs.iter().map(|stored| &stored.output) {
            if output.is_folder() {
                folders.insert(&output.path)
            } else {
                files.insert(&output.path)
            };
        }
        for found in walked.files.iter().filter(|found| !files.contains(&found.path)) {
            if (ground.is_tracked)(&found.path) {
                return Err(RestoreError::Tracked { path: found.path.clone() });
            }
            self.remove.push(found.path.clone());
        }
        let starts = ground.patterns.folders();
        let mut prune: BTreeSet<RepoPath> = BTreeSet::new();
        let parents = self.remove.iter().filter_map(RepoPath::parent);
        for folder in parents.chain(walked.empty.iter().cloned()) {
            let mut at = Some(folder);
            while let Some(folder) = at {
                let stays = folder.is_top() || above.contains(&folder) || folders.contains(&folder);
                if stays || !starts.iter().any(|start| folder.is_within(start)) {
                    break;
                }
                at = folder.parent();
                if !prune.insert(folder) {
                    break;
                }
            }
        }
        for path in files.iter().filter(|path| walked.folders.contains_key(**path)) {
            for (folder, holds) in walked.folders.iter().filter(|(folder, _)| folder.is_within(path)) {
                if holds.holds == Holds::Foreign {
                    let what = "it holds files that are no outputs";
                    return Err(RestoreError::InTheWay { path: folder.clone(), what });
                }
                prune.insert(folder.clone());
            }
        }
        self.prune = prune.into_iter().rev().collect();
        Ok(())
    }

    /// Finds the folders that have to be made.
    fn plan_folders(
        &mut self,
        ground: &Ground<'_>,
        outputs: &[Stored],
        walked: &Walked,
        above: &BTreeSet<RepoPath>,
    ) -> Result<(), RestoreError> {
        // Where nothing is written, nothing is made.
        let written = self.writes.iter().map(|write| &outputs[write.index].output.path);
        let mut needed: BTreeSet<RepoPath> = BTreeSet::new();
        for path in written.chain(&self.folders) {
            let mut at = path.parent();
            while let Some(folder) = at.filter(|folder| above.contains(folder)) {
                at = folder.parent();
                if !needed.insert(folder) {
                    break;
                }
            }
        }
        let removed: HashSet<&RepoPath> = self.remove.iter().collect();
        let mut missing: BTreeSet<RepoPath> = self.folders.drain(..).collect();
        // Parents come first, so what lies below something missing is not looked at.
        for folder in needed.into_iter().filter(|folder| !walked.folders.contains_key(folder)) {
            let is_below_missing = folder.parent().is_some_and(|parent| missing.contains(&parent));
            if is_below_missing || removed.contains(&folder) {
                missing.insert(folder);
                continue;
            }
            let full = folder.under(ground.root);
            match full.symlink_metadata() {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => {
                    return Err(RestoreError::InTheWay { path: folder, what: "it is not a folder" });
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    missing.insert(folder);
                }
                Err(error) => return Err(FileError::of("look at", &full)(error).into()),
            }
        }
        self.folders = missing.into_iter().collect();
        Ok(())
    }
}

/// All folders above outputs, but the root. Fails unless each output is a path
/// inside the root that the patterns match, and none lies below another.
fn folders_above(outputs: &[Stored], patterns: &Patterns) -> Result<BTreeSet<RepoPath>, RestoreError> {
    let outside = |output: &Output| RestoreError::Outside { path: output.path.clone() };
    let mut above = BTreeSet::new();
    let mut former: Option<&RepoPath> = None;
    for output in outputs.iter().map(|stored| &stored.output) {
        let is_in_order = former.is_none_or(|former| *former < output.path);
        let is_asked = match output.content {
            Content::Folder { .. } => walk::is_output(patterns, &output.path),
            _ => patterns.matches(&output.path),
        };
        if !is_in_order || !is_sound(output.path.bytes()) || !is_asked {
            return Err(outside(output));
        }
        former = Some(&output.path);
        let mut at = output.path.parent();
        while let Some(folder) = at.filter(|folder| !folder.is_top()) {
            at = folder.parent();
            if !above.insert(folder) {
                break;
            }
        }
    }
    let files = outputs.iter().map(|stored| &stored.output).filter(|output| !output.is_folder());
    match { files }.find(|output| above.contains(&output.path)) {
        Some(output) => Err(outside(output)),
        None => Ok(above),
    }
}

/// Whether bytes are a path that stays inside the root and out of git's own folder.
fn is_sound(path: &[u8]) -> bool {
    !path.contains(&0)
        && path
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b"..") && !part.eq_ignore_ascii_case(b".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_are_sound() {
        for path in ["a", "a/b", "a/.gitignore", "..a", "a/...", "\u{e9}"] {
            assert!(is_sound(path.as_bytes()), "{path}");
        }
        for path in
            ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".git", "a/.git/b", ".GIT/x", "a\0b"]
        {
            assert!(!is_sound(path.as_bytes()), "{path}");
        }
    }
}
