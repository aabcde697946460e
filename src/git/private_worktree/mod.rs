//! Private worktrees: a tree checked out in a folder of our own, apart from the user's work tree,
//! which is not changed. They do not know what runs in them.
//!
//! A private worktree is a repository ([`borrowed_repo`]) that borrows the user's objects, so nothing
//! that runs in it can change the user's configuration, refs, stash or index. `submodules` checks out
//! its submodules. Private worktrees are in the repository's [`pool`]. Each has a lock file beside
//! its folder, held by all processes of a run for as long as they live. Its files stay for the next
//! use.

mod borrowed_repo;
pub(super) mod pool;
mod submodules;

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::file::{self, Durability, FileError, remove_all};
use crate::base::lock::FileLock;
use crate::git::error::GitError;
use crate::git::private_worktree::borrowed_repo::{BorrowedRepo, LAST_TREE};
use crate::git::repository::Repository;
use crate::git::snapshot::Snapshot;
use crate::git::work_tree::reader::WorkTreeReader;

/// The prefix of the folders in the pool, before their number.
const PREFIX: &str = "gate-";

/// Whether a private worktree may contain files of earlier uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Warmth {
    /// It may: files that git ignores, such as build outputs, stay.
    Warm,
    /// It may not.
    Cold,
}

/// What to check out.
#[derive(Clone, Copy, Debug)]
pub struct CheckoutTarget<'a> {
    /// The tree's id.
    pub tree: &'a str,
    /// The commit that HEAD will name; `None` before the first commit.
    pub commit: Option<&'a str>,
    /// Filter drivers that may run.
    pub filters: &'a [String],
}

/// A private worktree in use. It is released when this is dropped.
#[derive(Debug)]
pub struct PrivateWorktree {
    path: PathBuf,
    lock: FileLock,
}

impl PrivateWorktree {
    /// Acquires the first private worktree of a pool that is not in use, and creates one if there is
    /// none.
    ///
    /// # Errors
    /// The folder can't be created or emptied.
    pub fn acquire(pool: &Path, age: Warmth) -> Result<Self, GitError> {
        file::make_dir(pool)?;
        let real_pool = pool.canonicalize().map_err(FileError::context("find", pool))?;
        let mut number = 1_u32;
        let worktree = loop {
            let path = real_pool.join(format!("{PREFIX}{number}"));
            if let Some(lock) = FileLock::named(&lock_path(&path))? {
                break Self { path, lock };
            }
            number += 1;
        };
        if age == Warmth::Cold {
            remove_all(&worktree.path)?;
        }
        Ok(worktree)
    }

    /// Removes all files.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn clear(&self) -> Result<(), GitError> {
        Ok(remove_all(&self.path)?)
    }

    /// Returns the top of its files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its git folder.
    pub fn git_dir(&self) -> PathBuf {
        self.path.join(".git")
    }

    /// Returns a copy of the open lock file. The private worktree stays in use while a copy is open.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn share_lock(&self) -> io::Result<File> {
        self.lock.share()
    }

    /// Checks out `target` from the user's repository and returns the snapshot of the tree.
    /// Afterwards the files that git tracks or does not ignore are exactly those of the tree. No hook
    /// runs, and only permitted filter drivers do.
    ///
    /// # Errors
    /// A filter driver is needed and not permitted, an object is missing, or the disk is full.
    pub fn check_out(&self, source: &Repository, target: &CheckoutTarget<'_>) -> Result<Snapshot, GitError> {
        let wanted = source.commit_snapshot(target.tree, target.filters)?;
        // If damage or leftovers prevent a checkout over old files, a checkout into an empty folder
        // succeeds.
        if self.path.exists() {
            match self.try_check_out(source, target, &wanted) {
                Ok(None) => return Ok(wanted),
                // The same error would occur in an empty folder, and the old files are worth keeping.
                Err(error @ (GitError::Submodule { .. } | GitError::Filter { .. })) => return Err(error),
                Ok(Some(_)) | Err(_) => {}
            }
        }
        remove_all(&self.path)?;
        match self.try_check_out(source, target, &wanted)? {
            None => Ok(wanted),
            Some(what) => Err(GitError::CheckOut { tree: target.tree.to_owned(), what }),
        }
    }

    /// Opens the repository of the private worktree after a checkout. `filters` may run in it.
    ///
    /// # Errors
    /// The repository was damaged since the checkout.
    pub fn open(&self, source: &Repository, filters: &[String]) -> Result<Repository, GitError> {
        let opened = source.opener().with_permitted_filters(filters).open(&self.path)?;
        opened.ok_or_else(|| GitError::Bare { path: self.path.clone() })
    }

    /// Checks out `target`, and returns the first difference from the tree that remains.
    fn try_check_out(
        &self,
        source: &Repository,
        target: &CheckoutTarget<'_>,
        wanted: &Snapshot,
    ) -> Result<Option<String>, GitError> {
        let own = BorrowedRepo {
            work_dir: &self.path,
            source_dir: source.common_dir(),
            source_worktree_dir: source.git_dir(),
            program: source.program(),
        };
        own.prepare(target.commit)?;
        let last = self.git_dir().join(LAST_TREE);
        wait_for_new_times(&last, target.tree)?;
        own.check_out(target.tree, wanted, &source.conversion_digest(wanted, target.filters)?, &self.lock)?;
        submodules::check_out(source, &self.path, wanted, target.filters, &self.lock)?;
        file::write(&last, target.tree.as_bytes(), &self.git_dir(), Durability::Relaxed)?;
        let repository = self.open(source, target.filters)?;
        let found = WorkTreeReader::open(&repository, None)?.snapshot()?;
        Ok(wanted.first_difference(&found))
    }
}

/// Waits until files of another tree get modification times in a later second than those of the last
/// tree, which was written when `last` was: Python takes its compiled file for current if the source
/// has the same second and size.
fn wait_for_new_times(last: &Path, tree: &str) -> Result<(), FileError> {
    // The kernel's file times may lag by a few milliseconds.
    const LAG: u64 = 20;
    let (Some(last_id), Ok(meta)) = (file::read(last)?, last.metadata()) else { return Ok(()) };
    let now = Clock::system().now().0;
    let next = u64::try_from(meta.mtime()).unwrap_or(0).saturating_add(1).saturating_mul(1000) + LAG;
    // A later time means that the clock was set back.
    if last_id != tree.as_bytes() && (now..=now + 1000 + LAG).contains(&next) {
        thread::sleep(Duration::from_millis(next - now));
    }
    Ok(())
}

/// Removes the unused private worktrees of a pool, and returns how many.
///
/// # Errors
/// A private worktree can't be removed; the others are.
pub(crate) fn remove_unused(pool: &Path) -> Result<usize, GitError> {
    let Ok(real_pool) = pool.canonicalize() else { return Ok(0) };
    let mut removed = 0;
    let mut failure = None;
    for path in folder_paths(&real_pool)? {
        if !is_private_worktree(&path) {
            continue;
        }
        let Some(_lock) = FileLock::named(&lock_path(&path))? else { continue };
        match remove_all(&path) {
            Ok(()) => removed += 1,
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(removed), |error| Err(error.into()))
}

fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Returns whether a path is that of a private worktree, not of its lock.
pub(crate) fn is_private_worktree(path: &Path) -> bool {
    let is_named = path.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()));
    is_named && path.extension().is_none()
}

fn folder_paths(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(FileError::context("read the folder", folder)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(FileError::context("read the folder", folder)(error)),
    }
}
