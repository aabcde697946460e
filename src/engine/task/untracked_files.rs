//! Lists what a work tree contains besides the tracked files, and compares it with the private worktree in
//! which a task failed. [`missing_paths`] decides what the task lacked.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::base::path::RepoPath;
use crate::config::model::{Config, Task};
use crate::engine::task::missing_paths::{self, FailedLog, UntrackedPath};
use crate::failure_hint::Hint;
use crate::git::{GitError, Repository};

/// What a work tree contains besides the tracked files.
pub struct UntrackedFiles<'a> {
    root: &'a Path,
    paths: Vec<UntrackedPath>,
}

impl<'a> UntrackedFiles<'a> {
    /// Lists the files of the work tree of `repository`.
    ///
    /// # Errors
    /// Git fails.
    pub fn scan(repository: &'a Repository) -> Result<Self, GitError> {
        let root = repository.work_dir();
        let ignored = repository.ignored_paths()?.into_iter().map(|entry| (entry, true));
        let others = repository.untracked_paths()?.into_iter().map(|entry| (entry, false));
        let paths = ignored.chain(others).map(|(entry, is_ignored)| UntrackedPath {
            is_container: entry.is_folder && !(is_ignored && repository.ignores(&entry.path)),
            lookup_folders: if entry.is_folder { lookup_folders(root, &entry.path) } else { Vec::new() },
            path: entry.path,
            is_folder: entry.is_folder,
            is_ignored,
        });
        Ok(Self { root, paths: paths.collect() })
    }

    /// Returns hints about the files that a task lacked. It failed in the private worktree `root` with this
    /// log.
    pub fn hints(&self, root: &Path, config: &Config, task: &Task, log: &str) -> Vec<Hint> {
        let exists = |path: &RepoPath, root: &Path| path.under(root).symlink_metadata().is_ok();
        let is_missing = |path: &RepoPath| exists(path, self.root) && !exists(path, root);
        let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let failed = FailedLog {
            log,
            cwd: &task.env.cwd,
            tops: &[root, &real],
            untracked: &self.paths,
            is_missing: &is_missing,
        };
        missing_paths::hints(&failed.missing_paths(), &self.paths, config, task)
    }
}

/// Returns the folders in `folder` in which programs and packages are found by their names.
fn lookup_folders(root: &Path, folder: &RepoPath) -> Vec<RepoPath> {
    let within = |names: &[&str]| names.iter().filter_map(|name| folder.join(name)).collect();
    match folder.parts().last() {
        Some(b"node_modules") => within(&["", ".bin", "@types"]),
        Some(b"vendor") => within(&["", "bin"]),
        _ if folder.under(root).join("pyvenv.cfg").is_file() => {
            let libraries = folder.child(b"lib");
            let versions = fs::read_dir(libraries.under(root)).into_iter().flatten().flatten();
            let packages = |version: &OsStr| libraries.child(version.as_bytes()).child(b"site-packages");
            let mut folders: Vec<RepoPath> = within(&["bin"]);
            folders.extend(versions.map(|version| packages(&version.file_name())));
            folders
        }
        _ => Vec::new(),
    }
}
