//! The repository of a private worktree: HEAD, index, configuration and refs of its own, and objects
//! borrowed from the user's. It must not know which place it is in, nor what submodules there are.
//!
//! All of it but the index and new objects is written anew for each use, so that what a task did to
//! it is gone with the next.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::private_worktree::{quoted, remove_all};
use super::program::{GitProgram, Place};
use super::repository::Repository;
use crate::ground::file::{self, Durability, FileError};
use crate::ground::lock::FileLock;

/// What the next use takes over: the index, since it knows which files are as they were, objects that
/// it may name, the notes of the gate, and what a former `git lfs` fetched.
const KEPT: &[&str] = &["index", "objects", "lfs", "taskgate-setup", "taskgate-provided"];

/// Refs that are not taken over.
const PRIVATE: &[&str] = &["refs/stash", "refs/bisect/", "refs/worktree/", "refs/rewritten/"];

/// Overrides what the user's configuration, which is read before it, would bring in: other places,
/// hooks, watchers, partial checkouts, and a lesser trust in the stat of files.
const OVERRIDES: &str = "[core]
\tbare = false
\thooksPath = /dev/null
\tfsmonitor = false
\tuntrackedCache = false
\tsplitIndex = false
\tsparseCheckout = false
\tsparseCheckoutCone = false
\ttrustctime = true
\tcheckStat = default
\tignoreStat = false
\tpreloadIndex = true
[index]
\tsparse = false
\tskipHash = false
[submodule]
\trecurse = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
";

/// A repository in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnRepository<'a> {
    /// The top of its work tree.
    pub(super) dir: &'a Path,
    /// The git folder whose objects it borrows.
    pub(super) lender: &'a Path,
    /// How git is started.
    pub(super) program: &'a GitProgram,
}

impl OwnRepository<'_> {
    fn git_dir(&self) -> PathBuf {
        self.dir.join(".git")
    }

    /// Writes all that git needs, with HEAD at `commit`. What `source` knows of refs is taken over
    /// as a picture, if it is the lender itself.
    ///
    /// # Errors
    /// A file can't be written.
    pub(super) fn prepare(&self, source: &Repository, commit: Option<&str>) -> Result<(), GitError> {
        self.write_folder(commit)?;
        let refs =
            source.program().run(source.place(), &["for-each-ref", "--format=%(objectname) %(refname)"])?;
        // What belongs to one work tree, or to the user's hands alone, is no part of the picture.
        let is_shared = |line: &&[u8]| {
            let name = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            !PRIVATE.iter().any(|private| name.starts_with(private.as_bytes()))
        };
        let refs: Vec<&[u8]> = refs.split_inclusive(|byte| *byte == b'\n').filter(is_shared).collect();
        self.write("packed-refs", &refs.concat())?;
        for name in ["shallow", "info/exclude", "info/attributes"] {
            if let Some(bytes) = file::read(&self.lender.join(name))? {
                self.write(name, &bytes)?;
            }
        }
        Ok(())
    }

    /// Writes what makes a folder a repository.
    ///
    /// # Errors
    /// A file can't be written.
    pub(super) fn write_folder(&self, commit: Option<&str>) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        if git_dir.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            remove_all(&git_dir)?;
        }
        file::make_dir(&git_dir)?;
        let entries = fs::read_dir(&git_dir).map_err(FileError::of("read the folder", &git_dir))?;
        for entry in entries {
            let entry = entry.map_err(FileError::of("read the folder", &git_dir))?;
            if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
                remove_all(&entry.path())?;
            }
        }
        for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            file::make_dir(&git_dir.join(folder))?;
        }
        let mut config = b"[core]\n\trepositoryformatversion = 0\n[include]\n\tpath = ".to_vec();
        config.extend(quoted(&self.lender.join("config")));
        config.push(b'\n');
        config.extend(OVERRIDES.as_bytes());
        // The lender's work tree may be set in its configuration, as a submodule's is.
        config.extend(b"[core]\n\tworktree = ");
        config.extend(quoted(self.dir));
        config.push(b'\n');
        self.write("config", &config)?;
        let objects = self.lender.join("objects");
        self.write("objects/info/alternates", &[objects.as_os_str().as_bytes(), b"\n"].concat())?;
        let head = commit.map_or_else(|| "ref: refs/heads/main\n".to_owned(), |commit| format!("{commit}\n"));
        self.write("HEAD", head.as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        Ok(file::write(&git_dir.join(name), bytes, &git_dir, Durability::Relaxed)?)
    }

    /// Makes index and files those of `tree`. Files that are as they should be are not written, and
    /// ignored ones stay. The git that does it keeps `lock` too: it may live longer than we.
    ///
    /// # Errors
    /// An object is missing, the disk is full, or something can't be removed.
    pub(super) fn fill(&self, tree: &str, lock: &FileLock) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        let place = Place { git_dir: &git_dir, work_dir: self.dir };
        let hold = || lock.share().map_err(FileError::of("keep", self.dir));
        self.program.run_holding(
            place,
            &["read-tree", "--reset", "-u", "--no-recurse-submodules", tree],
            hold()?,
        )?;
        self.program.run_holding(place, &["clean", "-ffdq"], hold()?)?;
        Ok(())
    }
}
