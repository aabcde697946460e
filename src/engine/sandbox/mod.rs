//! Sandboxes: folders that are made for one execution each and contain only copies of what its task declares.
//! This module must not know the task, nor what happens to its outputs. [`workdir`] decides whether a task
//! runs in a sandbox.
//!
//! Files are copied, since a task may write to what it reads. Sandboxes are in the repository's pool, outside
//! the work tree: a tool that searches the parent folders finds no file of the work tree. Next to each is a
//! lock file, which the run holds. The sandbox of a killed run is no longer locked; the next run removes it.

pub mod workdir;

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::base::file::{self, FileError};
use crate::base::lock::FileLock;
use crate::base::path::RepoPath;
use crate::cache::CacheError;
use crate::git::{GitError, PoolFinder};

/// The folder in a sandbox that replaces the top of the work tree.
const TREE: &str = "tree";
/// The file in a sandbox to which the tracer writes its report.
const REPORT: &str = "report";

/// Why a sandbox can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no tree.
    #[error("a sandbox is only possible in a git repository")]
    NoTree,
    /// A sparse checkout leaves the task's folder out.
    #[error("this sparse checkout leaves {0} out; hint: git sparse-checkout add {0}")]
    LeftOut(RepoPath),
    /// The run was stopped.
    #[error("stopped while the sandbox was created")]
    Stopped,
    /// A file can't be copied, or a folder can't be made.
    #[error("can't create its sandbox: {0}: {source}", source = .0.source)]
    File(#[from] FileError),
    /// The files of a submodule can't be listed.
    #[error("can't create its sandbox: {0}")]
    Git(#[from] GitError),
    /// The outputs of a needed task can't be listed.
    #[error("can't create its sandbox: {0}")]
    Cache(#[from] CacheError),
}

/// The sandboxes of one run.
#[derive(Debug)]
pub struct Sandboxes<'a> {
    finder: PoolFinder<'a>,
    run: String,
    next: AtomicU32,
    cleaned: OnceLock<()>,
}

/// A folder for one execution. It is removed when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    folder: PathBuf,
    _lock: FileLock,
}

/// The contents of a sandbox, by paths of the repository.
#[derive(Debug, Default)]
pub struct SandboxContents {
    /// Files and symlinks.
    pub files: BTreeSet<RepoPath>,
    /// Folders that exist even if they are empty.
    pub folders: BTreeSet<RepoPath>,
}

impl<'a> Sandboxes<'a> {
    /// Returns the sandboxes of `run`, in the pool that `finder` finds.
    pub fn new(finder: PoolFinder<'a>, run: &str) -> Self {
        Self { finder, run: run.to_owned(), next: AtomicU32::new(1), cleaned: OnceLock::new() }
    }

    /// Creates an empty sandbox.
    ///
    /// # Errors
    /// The folder can't be made.
    pub fn create(&self) -> Result<Sandbox, SandboxError> {
        // The pool gives real names, without symlinks: git compares them with `GIT_CEILING_DIRECTORIES`, and
        // traces contain them.
        let parent = self.finder.open()?.sandboxes();
        file::make_dir(&parent)?;
        // A folder that can't be removed does no harm to this run; `xtask cache gc` reports it.
        self.cleaned.get_or_init(|| drop(remove_unused_in(&parent)));
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let folder = parent.join(format!("{}-{number}", self.run));
            let Some(lock) = FileLock::named(&lock_path(&folder))? else { continue };
            let sandbox = Sandbox { folder, _lock: lock };
            file::make_dir(&sandbox.tree())?;
            return Ok(sandbox);
        }
    }
}

impl Sandbox {
    /// Returns the folder that replaces the top of the work tree.
    pub fn tree(&self) -> PathBuf {
        self.folder.join(TREE)
    }

    /// Returns the folder of the sandbox, which contains [`Self::tree`]. Git must not look for a repository
    /// above it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of the tracer's report.
    pub fn report(&self) -> PathBuf {
        self.folder.join(REPORT)
    }

    /// Copies the contents from the work tree at `root`, with modes and times, as long as `keep_going` returns
    /// true.
    ///
    /// # Errors
    /// A file is gone or can't be read, or the disk is full.
    pub fn fill(
        &self,
        contents: &SandboxContents,
        root: &Path,
        keep_going: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), SandboxError> {
        let tree = self.tree();
        let parents = contents.files.iter().filter_map(RepoPath::parent);
        let folders: BTreeSet<RepoPath> = parents.chain(contents.folders.iter().cloned()).collect();
        for folder in &folders {
            file::make_dir(&folder.under(&tree))?;
        }
        let files: Vec<&RepoPath> = contents.files.iter().collect();
        files.par_iter().try_for_each(|path| {
            if !keep_going() {
                return Err(SandboxError::Stopped);
            }
            let source = path.under(root);
            Ok(copy(&source, &path.under(&tree)).map_err(FileError::context("copy", &source))?)
        })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A process may still write to it. Then a later run removes the rest.
        let _ = file::remove_all(&self.folder);
    }
}

fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let meta = source.symlink_metadata()?;
    if meta.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(source)?, target);
    }
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no longer a file"));
    }
    fs::copy(source, target)?;
    // Tools such as make compare times. A read-only file keeps the time of the copy.
    if let (Ok(modified), Ok(file)) = (meta.modified(), File::options().append(true).open(target)) {
        file.set_times(FileTimes::new().set_modified(modified))?;
    }
    Ok(())
}

/// Removes the sandboxes that are not in use, including those that earlier versions left in the state
/// directory, and returns how many.
///
/// # Errors
/// One of them can't be removed.
pub fn remove_unused(finder: &PoolFinder<'_>) -> Result<usize, FileError> {
    let old_folder = finder.state.join("sandboxes");
    let mut removed = remove_unused_in(&old_folder)?;
    // It is empty if nothing uses it.
    let _ = fs::remove_dir(old_folder);
    for pool in finder.existing() {
        removed += remove_unused_in(&pool.sandboxes())?;
    }
    Ok(removed)
}

fn remove_unused_in(parent: &Path) -> Result<usize, FileError> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(FileError::context("list", parent)(error)),
    };
    // A run that was killed between two steps may have left only the lock file.
    let folders: BTreeSet<PathBuf> = entries.flatten().map(|entry| entry.path().with_extension("")).collect();
    let mut removed = 0;
    let mut failure = None;
    for folder in folders {
        let Some(_lock) = FileLock::named(&lock_path(&folder))? else { continue };
        if !folder.exists() {
            continue;
        }
        match file::remove_all(&folder) {
            Ok(()) => removed += 1,
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(removed), Err)
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::base::env::Env;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    /// Returns an environment whose cache folder is in `dir`, and a state directory.
    fn place(dir: &Path) -> (Env, PathBuf) {
        let state = dir.join("repository/xtask");
        fs::create_dir_all(&state).unwrap();
        (Env::new([("XDG_CACHE_HOME".into(), dir.join("cache").into())], dir.into()), state)
    }

    #[test]
    fn sandbox_has_its_contents_and_is_removed_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/script"), "x").unwrap();
        fs::set_permissions(root.join("a/b/script"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::write(root.join("other"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("a/link")).unwrap();
        let (env, state) = place(dir.path());
        let finder = PoolFinder { state: &state, env: &env, root: None };
        let sandbox = Sandboxes::new(finder, "run").create().unwrap();
        let contents = SandboxContents {
            files: [path("a/b/script"), path("a/link")].into(),
            folders: [path("work/dir")].into(),
        };
        sandbox.fill(&contents, &root, &|| true).unwrap();
        let tree = sandbox.tree();
        let mode = tree.join("a/b/script").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o555);
        assert_eq!(fs::read_link(tree.join("a/link")).unwrap(), Path::new("nowhere"));
        assert!(tree.join("work/dir").is_dir() && !tree.join("other").exists());
        assert!(matches!(sandbox.fill(&contents, &root, &|| false), Err(SandboxError::Stopped)));
        drop(sandbox);
        assert_eq!(fs::read_dir(finder.open().unwrap().sandboxes()).unwrap().count(), 0);
    }

    #[test]
    fn only_unused_sandboxes_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (env, state) = place(dir.path());
        let finder = PoolFinder { state: &state, env: &env, root: None };
        let sandboxes = finder.open().unwrap().sandboxes();
        let left = sandboxes.join("left-1");
        fs::create_dir_all(left.join("tree")).unwrap();
        fs::write(sandboxes.join("lone-1.lock"), "").unwrap();
        let held = Sandboxes::new(finder, "held");
        fs::create_dir_all(sandboxes.join("left-2")).unwrap();
        fs::create_dir_all(state.join("sandboxes/former-1/tree")).unwrap();
        let sandbox = held.create().unwrap();
        assert!(!left.exists());
        fs::create_dir_all(&left).unwrap();
        assert_eq!(remove_unused(&finder).unwrap(), 2);
        assert!(!state.join("sandboxes").exists());
        assert!(sandbox.tree().is_dir() && !left.exists());
        assert!(!sandboxes.join("lone-1.lock").exists());
    }
}
