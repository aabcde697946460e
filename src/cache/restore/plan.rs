//! The plan of a restore: what must be removed and created, and whether that is allowed. It does not
//! change anything.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::base::units;
use crate::cache::error::{CacheError, is_full};
use crate::cache::format::entry::StoredOutput;
use crate::cache::outputs::compare::{self, StatComparison};
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Output, OutputContent};
use crate::cache::outputs::table::StatTable;
use crate::cache::outputs::walk::{self, FolderContent, FoundFile, WalkResult};

/// Why outputs were not restored. Each message is one line. Unless it is [`Self::Partial`], nothing
/// was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A file of the cache is missing or damaged.
    #[error("{0}")]
    Damaged(String),
    /// The entry has a path that is not an output of this task, or not a valid path.
    #[error("the entry contains {path}, which is not an output of the task")]
    InvalidOutput {
        /// The path.
        path: RepoPath,
    },
    /// A file that git tracks would have to be deleted.
    #[error("{path} would be deleted, but git tracks it")]
    Tracked {
        /// The file.
        path: RepoPath,
    },
    /// Something that is not an output is where an output belongs.
    #[error("{path} is in the way: {what}")]
    InTheWay {
        /// Its path.
        path: RepoPath,
        /// Why it is in the way, as a clause.
        what: &'static str,
    },
    /// The disk is full.
    #[error("no space left on the disk of {}; needed {}", path.display(), units::size(*needed))]
    NoSpace {
        /// A folder on that disk.
        path: PathBuf,
        /// The bytes to be written.
        needed: u64,
    },
    /// The outputs to be moved can't be read.
    #[error(transparent)]
    UnreadableOutputs(#[from] CacheError),
    /// A file operation failed before anything was changed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file operation failed after some outputs were restored.
    #[error("outputs were only partly restored: {0}: {source}", source = .0.source)]
    Partial(FileError),
}

impl RestoreError {
    /// Turns the error of a full disk into [`Self::NoSpace`].
    pub(crate) fn from_file_error(error: FileError, path: &Path, needed: u64) -> Self {
        if is_full(&error.source) {
            Self::NoSpace { path: path.to_owned(), needed }
        } else {
            Self::File(error)
        }
    }
}

/// What a restore does, in this order.
#[derive(Debug, Default)]
pub(crate) struct RestorePlan {
    /// Files and symlinks to remove.
    pub(crate) remove: Vec<RepoPath>,
    /// Folders to remove if they are empty by then, the deepest first.
    pub(crate) prune: Vec<RepoPath>,
    /// Folders to create, the highest first.
    pub(crate) folders: Vec<RepoPath>,
    /// Outputs to write, by their index.
    pub(crate) writes: Vec<PlannedWrite>,
    /// Folders that get this mode once everything is written, the deepest first.
    pub(crate) modes: Vec<(RepoPath, u32)>,
}

/// An output to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PlannedWrite {
    pub(crate) index: usize,
    pub(crate) destination: Destination,
}

/// Whether something is at the path of an output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Destination {
    Free,
    Taken,
}

/// Where outputs are restored, and which files must not be deleted there.
#[derive(Clone, Copy)]
pub(crate) struct RestoreTarget<'a> {
    pub(crate) root: &'a Path,
    pub(crate) patterns: &'a Patterns,
    pub(crate) is_tracked: &'a dyn Fn(&RepoPath) -> bool,
}

impl RestorePlan {
    /// Compares the disk with the outputs. Contents are read if the stat is unknown.
    pub(crate) fn new(
        target: &RestoreTarget<'_>,
        outputs: &[StoredOutput],
        table: &StatTable,
        temp: &Path,
    ) -> Result<Self, RestoreError> {
        let above = folders_above(outputs, target.patterns)?;
        let walked = walk::walk(target.root, target.patterns)?;
        if let Some(blocked) = walked.blocked {
            let what = if blocked.what == "a symlink" { "it is a symlink" } else { "it is not a folder" };
            return Err(RestoreError::InTheWay { path: blocked.path, what });
        }
        let mut plan = Self::default();
        plan.compare(target, outputs, &walked, table, temp);
        plan.plan_removals(target, outputs, &walked, &above)?;
        plan.plan_folders(target, outputs, &walked, &above)?;
        Ok(plan)
    }

    /// Finds the outputs that must be written.
    fn compare(
        &mut self,
        target: &RestoreTarget<'_>,
        outputs: &[StoredOutput],
        walked: &WalkResult,
        table: &StatTable,
        temp: &Path,
    ) {
        let mut unread: Vec<(usize, &FoundFile, Digest)> = Vec::new();
        for (index, output) in outputs.iter().map(|stored| &stored.output).enumerate() {
            match compare::compare_stat(target.root, walked, output) {
                StatComparison::Same => {}
                StatComparison::Different(_) if output.is_folder() => {
                    if !walked.folders.contains_key(&output.path) {
                        self.folders.push(output.path.clone());
                    }
                    if let OutputContent::Folder { mode, .. } = output.content {
                        self.modes.push((output.path.clone(), mode));
                    }
                }
                StatComparison::Different(_) => {
                    let is_taken = walked.file(&output.path).is_some();
                    let at = if is_taken { Destination::Taken } else { Destination::Free };
                    self.writes.push(PlannedWrite { index, destination: at });
                }
                StatComparison::NeedsDigest(found, digest) => unread.push((index, found, digest)),
            }
        }
        // Parents come before their children in this order.
        self.modes.reverse();
        let files: Vec<&FoundFile> = unread.iter().map(|(_, found, _)| *found).collect();
        let digests = content::hash_files(target.root, &files, table, temp);
        for ((index, _, wanted), read) in unread.into_iter().zip(digests) {
            // Files that can't be read are written again, like edited ones.
            if read.ok() != Some(wanted) {
                self.writes.push(PlannedWrite { index, destination: Destination::Taken });
            }
        }
    }

    /// Finds what must be removed: what matches and is not an output.
    fn plan_removals(
        &mut self,
        target: &RestoreTarget<'_>,
        outputs: &[StoredOutput],
        walked: &WalkResult,
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
            if (target.is_tracked)(&found.path) {
                return Err(RestoreError::Tracked { path: found.path.clone() });
            }
            self.remove.push(found.path.clone());
        }
        let starts = target.patterns.folders();
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
            for (folder, found) in walked.folders.iter().filter(|(folder, _)| folder.is_within(path)) {
                if found.content == FolderContent::Foreign {
                    let what = "it contains files that are not outputs";
                    return Err(RestoreError::InTheWay { path: folder.clone(), what });
                }
                prune.insert(folder.clone());
            }
        }
        self.prune = prune.into_iter().rev().collect();
        Ok(())
    }

    /// Finds the folders that must be created.
    fn plan_folders(
        &mut self,
        target: &RestoreTarget<'_>,
        outputs: &[StoredOutput],
        walked: &WalkResult,
        above: &BTreeSet<RepoPath>,
    ) -> Result<(), RestoreError> {
        // Folders are created only for outputs that are written.
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
        // Parents come first, so nothing below a missing folder is checked.
        for folder in needed.into_iter().filter(|folder| !walked.folders.contains_key(folder)) {
            let is_below_missing = folder.parent().is_some_and(|parent| missing.contains(&parent));
            if is_below_missing || removed.contains(&folder) {
                missing.insert(folder);
                continue;
            }
            let full = folder.under(target.root);
            match full.symlink_metadata() {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => {
                    return Err(RestoreError::InTheWay { path: folder, what: "it is not a folder" });
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    missing.insert(folder);
                }
                Err(error) => return Err(FileError::context("look at", &full)(error).into()),
            }
        }
        self.folders = missing.into_iter().collect();
        Ok(())
    }
}

/// Returns all folders above outputs, except the root. Fails unless each output is a path inside the
/// root that the patterns match, and no output is below another.
fn folders_above(outputs: &[StoredOutput], patterns: &Patterns) -> Result<BTreeSet<RepoPath>, RestoreError> {
    let outside = |output: &Output| RestoreError::InvalidOutput { path: output.path.clone() };
    let mut above = BTreeSet::new();
    let mut previous: Option<&RepoPath> = None;
    for output in outputs.iter().map(|stored| &stored.output) {
        let is_in_order = previous.is_none_or(|previous| *previous < output.path);
        let is_output = match output.content {
            OutputContent::Folder { .. } => walk::is_output(patterns, &output.path),
            _ => patterns.matches(&output.path),
        };
        if !is_in_order || !is_valid_path(output.path.bytes()) || !is_output {
            return Err(outside(output));
        }
        previous = Some(&output.path);
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

/// Returns whether bytes are a path inside the root and outside git's own folder.
fn is_valid_path(path: &[u8]) -> bool {
    !path.contains(&0)
        && path
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b"..") && !part.eq_ignore_ascii_case(b".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_the_outputs_are_valid() {
        for path in ["a", "a/b", "a/.gitignore", "..a", "a/...", "\u{e9}"] {
            assert!(is_valid_path(path.as_bytes()), "{path}");
        }
        for path in
            ["", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".git", "a/.git/b", ".GIT/x", "a\0b"]
        {
            assert!(!is_valid_path(path.as_bytes()), "{path}");
        }
    }
}
