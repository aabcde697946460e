//! The repository of a private worktree: it has its own HEAD, index, configuration and refs, and
//! borrows the objects of the user's repository. It does not know where it is, nor which submodules
//! there are.
//!
//! Everything except the index and new objects is written again for each use, so changes by a task
//! are gone at the next use.

use std::collections::BTreeSet;
use std::fs;
use std::iter::successors;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError, remove_all};
use crate::base::lock::FileLock;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::git_program::{GitDirs, GitProgram};
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::snapshot::{Snapshot, SnapshotEntry};

/// What stays for the next use: the index, since it knows which files are unchanged; objects that the
/// index may name; the notes of the gate; and what `git lfs` fetched.
const KEPT: &[&str] =
    &["index", "objects", "lfs", "taskgate-setup", "taskgate-provided", "taskgate-mirror", LAST_TREE, RULES];

/// Refs that are not copied.
const PRIVATE_REFS: &[&str] =
    &["refs/stash", "refs/bisect/", "refs/worktree/", "refs/rewritten/", "refs/replace/"];

/// Overrides settings of the user's configuration, which is read before it: other paths, hooks, file
/// system monitors, partial checkouts, and less strict comparisons of stats.
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

/// The repository of a private worktree or of a submodule in it.
#[derive(Clone, Debug)]
pub(crate) struct BorrowedRepo<'a> {
    /// The top of its work tree.
    pub(crate) work_dir: &'a Path,
    /// The git folder whose objects, refs and configuration are borrowed.
    pub(crate) source_dir: &'a Path,
    /// The git folder of the user's work tree; it differs from `source_dir` in a linked worktree.
    pub(crate) source_worktree_dir: &'a Path,
    /// Starts git.
    pub(crate) program: &'a GitProgram,
}

/// The file with the id of the tree that was checked out last.
pub(crate) const LAST_TREE: &str = "taskgate-tree";
/// The file with the digest of the rules of conversion at the last checkout.
const RULES: &str = "taskgate-rules";

/// The empty tree, which git knows without an object.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl BorrowedRepo<'_> {
    fn git_dir(&self) -> PathBuf {
        self.work_dir.join(".git")
    }

    /// Writes all files that git needs: HEAD at `commit`, or at the user's branch if it has no commit
    /// yet, and a copy of the user's refs.
    ///
    /// # Errors
    /// A file can't be written, or the refs can't be read.
    pub(crate) fn prepare(&self, commit: Option<&str>) -> Result<(), GitError> {
        let head = match commit {
            Some(commit) => format!("{commit}\n").into_bytes(),
            None => file::read(&self.source_worktree_dir.join("HEAD"))?.unwrap_or_default(),
        };
        self.write_folder(&head)?;
        let place = GitDirs { git_dir: self.source_dir, work_dir: self.work_dir };
        let refs = self.program.run(place, &["for-each-ref", "--format=%(objectname) %(refname)"])?;
        // Refs of a single work tree and those of user commands are not copied.
        let is_shared = |line: &&[u8]| {
            let name = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            !PRIVATE_REFS.iter().any(|private| name.starts_with(private.as_bytes()))
        };
        let refs: Vec<&[u8]> = refs.split_inclusive(|byte| *byte == b'\n').filter(is_shared).collect();
        self.write("packed-refs", &refs.concat())?;
        for name in ["shallow", "info/exclude", "info/attributes"] {
            if let Some(bytes) = file::read(&self.source_dir.join(name))? {
                self.write(name, &bytes)?;
            }
        }
        Ok(())
    }

    /// Writes the files that make a folder a repository.
    fn write_folder(&self, head: &[u8]) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        if git_dir.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            remove_all(&git_dir)?;
        }
        file::make_dir(&git_dir)?;
        let entries = fs::read_dir(&git_dir).map_err(FileError::context("read the folder", &git_dir))?;
        for entry in entries {
            let entry = entry.map_err(FileError::context("read the folder", &git_dir))?;
            if !KEPT.iter().any(|kept| entry.file_name() == *kept) {
                remove_all(&entry.path())?;
            }
        }
        for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
            file::make_dir(&git_dir.join(folder))?;
        }
        self.write("config", &self.config())?;
        let objects = self.source_dir.join("objects");
        self.write("objects/info/alternates", &[objects.as_os_str().as_bytes(), b"\n"].concat())?;
        self.write("HEAD", head)
    }

    fn config(&self) -> Vec<u8> {
        let mut config = b"[core]\n\trepositoryformatversion = 0\n".to_vec();
        let source_config = self.source_dir.join("config");
        let include = |config: &mut Vec<u8>, path: &Path| {
            config.extend(b"[include]\n\tpath = ");
            config.extend(quoted(path));
            config.push(b'\n');
        };
        include(&mut config, &source_config);
        // Without this extension git does not read the file.
        let switch = git2::Config::open(&source_config)
            .and_then(|config| config.get_bool("extensions.worktreeconfig"));
        if switch.unwrap_or(false) {
            include(&mut config, &self.source_worktree_dir.join("config.worktree"));
        }
        config.extend(OVERRIDES.as_bytes());
        // The borrowed configuration may set a work tree, as that of a submodule does.
        config.extend(b"[core]\n\tworktree = ");
        config.extend(quoted(self.work_dir));
        config.push(b'\n');
        config
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        Ok(file::write(&git_dir.join(name), bytes, &git_dir, Durability::Relaxed)?)
    }

    /// Checks out the tree with this id and these entries. Unchanged files are not written, and
    /// ignored files stay. The git process holds `lock` too, because it may live longer than this
    /// process.
    ///
    /// The index takes files for unchanged by their stat. If the rules of conversion have changed
    /// since the last checkout, all files are first removed, so that all are written again.
    ///
    /// # Errors
    /// An object is missing, the disk is full, or something can't be removed.
    pub(crate) fn check_out(
        &self,
        tree: &str,
        entries: &Snapshot,
        rules: &Digest,
        lock: &FileLock,
    ) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        let (written, rules) = (git_dir.join(RULES), rules.hex());
        let place = GitDirs { git_dir: &git_dir, work_dir: self.work_dir };
        let guard =
            self.program.guard(Some(&lock.share().map_err(FileError::context("keep", self.work_dir))?));
        let fill = |tree: &str| {
            let args = ["read-tree", "--reset", "-u", "--no-recurse-submodules", tree];
            self.program.run_without_terminal(place, &args, guard.clone())
        };
        if file::read(&written)?.is_none_or(|former| former != rules.as_bytes()) {
            remove_all(&written)?;
            // Old attribute and ignore files would affect what git writes and cleans.
            fill(EMPTY_TREE)?;
        }
        self.remove_leftover_attribute_files(entries)?;
        fill(tree)?;
        self.program.run_without_terminal(place, &["clean", "-ffdq"], guard)?;
        self.write(RULES, rules.as_bytes())
    }

    /// Removes attribute files that the tree does not have from the folders that it has: git reads
    /// attributes from the work tree if the index has none, and ignored files stay.
    fn remove_leftover_attribute_files(&self, entries: &Snapshot) -> Result<(), GitError> {
        let parents = |entry: &SnapshotEntry| successors(entry.path.parent(), RepoPath::parent);
        let folders: BTreeSet<RepoPath> = entries.entries().iter().flat_map(parents).collect();
        // A symlink where a folder will be leads to files that are not ours.
        let mut real = BTreeSet::new();
        for folder in folders {
            let is_folder = folder.under(self.work_dir).symlink_metadata().is_ok_and(|meta| meta.is_dir());
            if !is_folder || folder.parent().is_some_and(|parent| !real.contains(&parent)) {
                continue;
            }
            let file = folder.child(ATTRIBUTES);
            let place = file.under(self.work_dir);
            if entries.get(&file).is_none() && place.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
                remove_all(&place)?;
            }
            real.insert(folder);
        }
        Ok(())
    }
}

/// Quotes a path for a configuration file of git.
fn quoted(path: &Path) -> Vec<u8> {
    let mut text = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            b'\n' => text.extend(b"\\n"),
            byte => text.push(*byte),
        }
    }
    text.push(b'"');
    text
}
