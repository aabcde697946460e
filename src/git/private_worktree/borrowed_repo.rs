//! The repository of a private worktree: HEAD, index, configuration and refs of its own, and objects
//! borrowed from the user's. It must not know which place it is in, nor what submodules there are.
//!
//! All of it but the index and new objects is written anew for each use, so that what a task did to
//! it is gone with the next.

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
use crate::git::program::{GitProgram, Place};
use crate::git::rules::attributes::ATTRIBUTES;
use crate::git::snapshot::{Entry, Snapshot};

/// What the next use takes over: the index, since it knows which files are as they were, objects that
/// it may name, the notes of the gate, and what a former `git lfs` fetched.
const KEPT: &[&str] =
    &["index", "objects", "lfs", "taskgate-setup", "taskgate-provided", "taskgate-mirror", LAST_TREE, RULES];

/// Refs that are not taken over.
const PRIVATE: &[&str] =
    &["refs/stash", "refs/bisect/", "refs/worktree/", "refs/rewritten/", "refs/replace/"];

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
#[derive(Clone, Debug)]
pub(crate) struct OwnRepository<'a> {
    /// The top of its work tree.
    pub(crate) dir: &'a Path,
    /// The git folder whose objects, refs and configuration it borrows.
    pub(crate) lender: &'a Path,
    /// The git folder of the work tree that it stands for, if that is another.
    pub(crate) worktree: &'a Path,
    /// How git is started.
    pub(crate) program: &'a GitProgram,
}

/// The file that has the id of the tree whose files were last written.
pub(crate) const LAST_TREE: &str = "taskgate-tree";
/// The file that says by which rules the files were last written.
const RULES: &str = "taskgate-rules";

/// The tree without entries, which git knows without an object.
const NOTHING: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl OwnRepository<'_> {
    fn git_dir(&self) -> PathBuf {
        self.dir.join(".git")
    }

    /// Writes all that git needs, with HEAD at `commit`, or else at the branch without commits that
    /// the lender's is at, and a picture of the lender's refs.
    ///
    /// # Errors
    /// A file can't be written, or the refs can't be read.
    pub(crate) fn prepare(&self, commit: Option<&str>) -> Result<(), GitError> {
        let head = match commit {
            Some(commit) => format!("{commit}\n").into_bytes(),
            None => file::read(&self.worktree.join("HEAD"))?.unwrap_or_default(),
        };
        self.write_folder(&head)?;
        let place = Place { git_dir: self.lender, work_dir: self.dir };
        let refs = self.program.run(place, &["for-each-ref", "--format=%(objectname) %(refname)"])?;
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
    fn write_folder(&self, head: &[u8]) -> Result<(), GitError> {
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
        self.write("config", &self.config())?;
        let objects = self.lender.join("objects");
        self.write("objects/info/alternates", &[objects.as_os_str().as_bytes(), b"\n"].concat())?;
        self.write("HEAD", head)
    }

    fn config(&self) -> Vec<u8> {
        let mut config = b"[core]\n\trepositoryformatversion = 0\n".to_vec();
        let lenders = self.lender.join("config");
        let include = |config: &mut Vec<u8>, path: &Path| {
            config.extend(b"[include]\n\tpath = ");
            config.extend(quoted(path));
            config.push(b'\n');
        };
        include(&mut config, &lenders);
        // Where this is not switched on, git does not read the file either.
        let switch =
            git2::Config::open(&lenders).and_then(|config| config.get_bool("extensions.worktreeconfig"));
        if switch.unwrap_or(false) {
            include(&mut config, &self.worktree.join("config.worktree"));
        }
        config.extend(OVERRIDES.as_bytes());
        // The lender's work tree may be set in its configuration, as a submodule's is.
        config.extend(b"[core]\n\tworktree = ");
        config.extend(quoted(self.dir));
        config.push(b'\n');
        config
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        Ok(file::write(&git_dir.join(name), bytes, &git_dir, Durability::Relaxed)?)
    }

    /// Makes index and files those of the tree with this id and these entries. Files that are as they
    /// should be are not written, and ignored ones stay. The git that does it keeps `lock` too: it may
    /// live longer than we.
    ///
    /// The index vouches for files by their stat. Where `rules` are not those by which they were
    /// written, all that it knows is removed first, so that all are written anew.
    ///
    /// # Errors
    /// An object is missing, the disk is full, or something can't be removed.
    pub(crate) fn fill(
        &self,
        (tree, entries): (&str, &Snapshot),
        rules: &Digest,
        lock: &FileLock,
    ) -> Result<(), GitError> {
        let git_dir = self.git_dir();
        let (written, rules) = (git_dir.join(RULES), rules.hex());
        let place = Place { git_dir: &git_dir, work_dir: self.dir };
        let guard = self.program.guard(Some(&lock.share().map_err(FileError::of("keep", self.dir))?));
        let fill = |tree: &str| {
            let args = ["read-tree", "--reset", "-u", "--no-recurse-submodules", tree];
            self.program.run_apart(place, &args, guard.clone())
        };
        if file::read(&written)?.is_none_or(|former| former != rules.as_bytes()) {
            remove_all(&written)?;
            // Former attribute and ignore files would have a say in what git writes and cleans.
            fill(NOTHING)?;
        }
        self.remove_strange_rules(entries)?;
        fill(tree)?;
        self.program.run_apart(place, &["clean", "-ffdq"], guard)?;
        self.write(RULES, rules.as_bytes())
    }

    /// Removes the attribute files that the tree lacks from the folders that it has: git asks the work
    /// tree for rules that the index has none of, and ignored files are left where they are.
    fn remove_strange_rules(&self, entries: &Snapshot) -> Result<(), GitError> {
        let parents = |entry: &Entry| successors(entry.path.parent(), RepoPath::parent);
        let folders: BTreeSet<RepoPath> = entries.entries().iter().flat_map(parents).collect();
        // A link that lies where a folder will be leads to what isn't ours.
        let mut real = BTreeSet::new();
        for folder in folders {
            let is_folder = folder.under(self.dir).symlink_metadata().is_ok_and(|meta| meta.is_dir());
            if !is_folder || folder.parent().is_some_and(|parent| !real.contains(&parent)) {
                continue;
            }
            let file = folder.child(ATTRIBUTES);
            let place = file.under(self.dir);
            if entries.get(&file).is_none() && place.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
                remove_all(&place)?;
            }
            real.insert(folder);
        }
        Ok(())
    }
}

/// The name of a file as text that a configuration file of git's takes.
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
