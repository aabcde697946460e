//! Private worktrees: a tree checked out in a folder of our own, apart from the user's work tree,
//! which is not touched. They must not know what runs in them.
//!
//! A private worktree is a repository of its own ([`crate::git::private_worktree::borrowed_repo`]) that borrows the user's
//! objects, so nothing that runs in it can reach the user's configuration, refs, stash or index.
//! They are in the repository's pool ([`crate::git::private_worktree::pool`]). Each has a lock file beside its folder, held
//! as long as it is in use, by whatever process of a run lives longest; its files stay for the next
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
use crate::git::private_worktree::borrowed_repo::{LAST_TREE, OwnRepository};
use crate::git::repository::Repository;
use crate::git::snapshot::Snapshot;
use crate::git::work_tree::reader::WorkTreeReader;

/// What the folders of the pool are called, before their number.
const PREFIX: &str = "gate-";

/// Whether a private worktree may hold what former uses left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// It may: files that git ignores, such as build outputs, stay.
    Warm,
    /// It may not.
    Cold,
}

/// What is to be checked out.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The tree's id.
    pub tree: &'a str,
    /// The commit that HEAD is to name; `None` before the first one.
    pub commit: Option<&'a str>,
    /// Filter drivers that may run.
    pub filters: &'a [String],
}

/// A place of the pool, kept until this is dropped.
#[derive(Debug)]
pub struct PrivateWorktree {
    path: PathBuf,
    lock: FileLock,
}

impl PrivateWorktree {
    /// Takes the first place in the folder of a pool that nobody uses.
    ///
    /// # Errors
    /// The place can't be made, or can't be emptied.
    pub fn take(pool: &Path, age: Age) -> Result<Self, GitError> {
        file::make_dir(pool)?;
        let home = pool.canonicalize().map_err(FileError::of("find", pool))?;
        let mut number = 1_u32;
        let worktree = loop {
            let path = home.join(format!("{PREFIX}{number}"));
            if let Some(lock) = FileLock::named(&lock_of(&path))? {
                break Self { path, lock };
            }
            number += 1;
        };
        if age == Age::Cold {
            remove_all(&worktree.path)?;
        }
        Ok(worktree)
    }

    /// Removes all that former uses left.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn empty(&self) -> Result<(), GitError> {
        Ok(remove_all(&self.path)?)
    }

    /// The top of its files.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its git folder.
    pub fn git_dir(&self) -> PathBuf {
        self.path.join(".git")
    }

    /// The open lock file. Whoever keeps a copy of it open keeps the place.
    ///
    /// # Errors
    /// There are too many open files.
    pub fn hold(&self) -> io::Result<File> {
        self.lock.share()
    }

    /// Checks out `target` from the user's repository. Afterwards the files that git tracks or does
    /// not ignore are exactly those of the tree, which is returned. No hook runs, and no filter driver
    /// but those that are permitted.
    ///
    /// # Errors
    /// A filter driver is needed and not permitted, an object is missing, or the disk is full.
    pub fn check_out(&self, source: &Repository, target: &Target<'_>) -> Result<Snapshot, GitError> {
        let wanted = source.commit_snapshot(target.tree, target.filters)?;
        // What stands in the way of a warm one, be it damage or leftovers, is not in that of a cold one.
        if self.path.exists() {
            match self.try_check_out(source, target, &wanted) {
                Ok(None) => return Ok(wanted),
                // A cold one would come no further, and the warm one is worth keeping.
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

    /// The repository that it is, once something was checked out, for which `filters` may run.
    ///
    /// # Errors
    /// It was damaged since.
    pub fn open(&self, source: &Repository, filters: &[String]) -> Result<Repository, GitError> {
        let opened = source.opener().permitting(filters).open(&self.path)?;
        opened.ok_or_else(|| GitError::Bare { path: self.path.clone() })
    }

    /// Checks out; what then still differs from the tree.
    fn try_check_out(
        &self,
        source: &Repository,
        target: &Target<'_>,
        wanted: &Snapshot,
    ) -> Result<Option<String>, GitError> {
        let own = OwnRepository {
            dir: &self.path,
            lender: source.common_dir(),
            worktree: source.git_dir(),
            program: source.program(),
        };
        own.prepare(target.commit)?;
        let last = self.git_dir().join(LAST_TREE);
        wait_for_new_times(&last, target.tree)?;
        own.fill((target.tree, wanted), &source.rules(wanted, target.filters)?, &self.lock)?;
        submodules::check_out(source, (&self.path, wanted), target.filters, &self.lock)?;
        file::write(&last, target.tree.as_bytes(), &self.git_dir(), Durability::Relaxed)?;
        let repository = self.open(source, target.filters)?;
        let found = WorkTreeReader::open(&repository, None)?.snapshot()?;
        Ok(wanted.difference(&found))
    }
}

/// Waits until the files of another tree than the last, which was written when `last` was, get times
/// that differ in whole seconds from those of the last: Python takes what it compiled of a source with
/// the same second and size.
fn wait_for_new_times(last: &Path, tree: &str) -> Result<(), FileError> {
    // The kernel's time of files may be a few milliseconds behind.
    const LAG: u64 = 20;
    let (Some(former), Ok(meta)) = (file::read(last)?, last.metadata()) else { return Ok(()) };
    let now = Clock::system().now().0;
    let next = u64::try_from(meta.mtime()).unwrap_or(0).saturating_add(1).saturating_mul(1000) + LAG;
    // A later time is that of a clock that was set back since.
    if former != tree.as_bytes() && (now..=now + 1000 + LAG).contains(&next) {
        thread::sleep(Duration::from_millis(next - now));
    }
    Ok(())
}

/// Removes the private worktrees in the folder of a pool that nobody uses, and returns how many.
///
/// # Errors
/// One of them can't be removed; the others are.
pub(crate) fn remove_free(pool: &Path) -> Result<usize, GitError> {
    let Ok(home) = pool.canonicalize() else { return Ok(0) };
    let mut removed = 0;
    let mut failure = None;
    for path in children(&home)? {
        if !is_one(&path) {
            continue;
        }
        let Some(_lock) = FileLock::named(&lock_of(&path))? else { continue };
        match remove_all(&path) {
            Ok(()) => removed += 1,
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(removed), |error| Err(error.into()))
}

fn lock_of(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Whether the path is that of a private worktree, and not of its lock.
pub(crate) fn is_one(path: &Path) -> bool {
    let is_named = path.file_name().is_some_and(|name| name.as_bytes().starts_with(PREFIX.as_bytes()));
    is_named && path.extension().is_none()
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
