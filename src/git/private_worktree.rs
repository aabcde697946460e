//! Private worktrees: a commit checked out in a folder of our own, beside the user's work tree,
//! which is not touched. They must not know what runs in them.
//!
//! Each has a lock file beside its folder, held as long as it is in use. What a killed process left
//! behind has a lock that nobody holds, and is swept away by the next one.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::repository::{Commit, Repository};
use crate::ground::file::{self, FileError};
use crate::ground::lock::FileLock;

/// Git names its own record of a worktree after the folder, so the name says whose it is.
const PREFIX: &str = "taskgate-";

/// A detached worktree that is removed when this is dropped.
#[derive(Debug)]
pub struct PrivateWorktree {
    path: PathBuf,
    /// `<git common dir>/worktrees`, where git keeps its records of worktrees.
    records: PathBuf,
    /// `None` once it was removed.
    lock: Option<FileLock>,
}

impl PrivateWorktree {
    /// Checks out `commit` below `state_dir`. No hook runs, and nothing of the user's own work
    /// tree, index, HEAD or configuration changes.
    ///
    /// # Errors
    /// Git can't check it out, or the disk is full; nothing is left behind then.
    pub fn create(repository: &Repository, commit: &Commit, state_dir: &Path) -> Result<Self, GitError> {
        let home = state_dir.join("worktrees");
        file::make_dir(&home)?;
        let home = home.canonicalize().map_err(FileError::of("find", &home))?;
        let (path, lock) = free_place(&home)?;
        let worktree = Self { path, records: repository.common_dir().join("worktrees"), lock: Some(lock) };
        // What a killed process left in this place.
        worktree.clear()?;
        let fixed = ["-c", "core.sparseCheckout=false", "worktree", "add", "--detach", "--force", "--quiet"];
        let args: Vec<&OsStr> =
            fixed.iter().map(OsStr::new).chain([worktree.path.as_os_str(), OsStr::new(&commit.id)]).collect();
        repository.program().run(repository.place(), &args)?;
        Ok(worktree)
    }

    /// The top of its files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it, and git's record of it.
    ///
    /// # Errors
    /// A file can't be removed. The next [`sweep`] tries again.
    pub fn remove(mut self) -> Result<(), GitError> {
        let cleared = self.clear();
        self.lock = None;
        cleared
    }

    /// Does what a kill does: the lock is free and the files stay.
    #[cfg(test)]
    pub(super) fn abandon(mut self) {
        self.lock = None;
    }

    fn clear(&self) -> Result<(), GitError> {
        forget(&self.records, &self.path)?;
        remove_all(&self.path)?;
        Ok(())
    }
}

impl Drop for PrivateWorktree {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What can't be removed now is left for the next sweep.
            let _ = self.clear();
        }
    }
}

/// Removes the private worktrees below `state_dir` that nobody uses any more, and returns how many.
///
/// # Errors
/// One of them can't be removed; the others are.
pub fn sweep(repository: &Repository, state_dir: &Path) -> Result<usize, GitError> {
    let Ok(home) = state_dir.join("worktrees").canonicalize() else { return Ok(0) };
    let records = repository.common_dir().join("worktrees");
    let mut paths: Vec<PathBuf> =
        children(&home)?.into_iter().filter(|path| path.extension().is_none() && is_ours(path)).collect();
    // Of some only git's record is left.
    for record in children(&records)? {
        paths.extend(place_of(&record).filter(|path| path.parent() == Some(&home) && is_ours(path)));
    }
    paths.sort();
    paths.dedup();
    let mut removed = 0;
    let mut failure = None;
    for path in paths {
        let Some(lock) = FileLock::named(&lock_of(&path))? else { continue };
        let worktree = PrivateWorktree { path, records: records.clone(), lock: Some(lock) };
        match worktree.remove() {
            Ok(()) => removed += 1,
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(removed), Err)
}

/// The first place that nobody uses, and its lock.
fn free_place(home: &Path) -> Result<(PathBuf, FileLock), FileError> {
    let mut number = 1_u32;
    loop {
        let path = home.join(format!("{PREFIX}{number}"));
        if let Some(lock) = FileLock::named(&lock_of(&path))? {
            return Ok((path, lock));
        }
        number += 1;
    }
}

fn lock_of(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

fn is_ours(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()))
}

/// Removes git's record of the worktree at `path`, as `git worktree prune` would, and no other.
fn forget(records: &Path, path: &Path) -> Result<(), FileError> {
    for record in children(records)? {
        if place_of(&record).as_deref() == Some(path) {
            remove_all(&record)?;
        }
    }
    // Git removes the folder with its last record too; it is not empty otherwise.
    let _ = fs::remove_dir(records);
    Ok(())
}

/// The worktree that a record of git's speaks of.
fn place_of(record: &Path) -> Option<PathBuf> {
    let text = file::read(&record.join("gitdir")).ok()??;
    let place = Path::new(OsStr::from_bytes(text.trim_ascii_end()));
    // With `worktree.useRelativePaths` it is relative to the record.
    let place = record.join(place.parent()?);
    let parent = place.parent()?.canonicalize().ok()?;
    Some(parent.join(place.file_name()?))
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(FileError::of("read the folder", folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(FileError::of("read the folder", folder)(error)),
    }
}

/// Removes a folder and all in it, even if a task has made folders in it read-only.
fn remove_all(path: &Path) -> Result<(), FileError> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of("remove", path)(error)),
        _ => Ok(()),
    }
}

fn make_writable(folder: &Path) {
    // What can't be changed shows when it can't be removed.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}
