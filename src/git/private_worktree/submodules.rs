//! Checks out the submodules of a private worktree, at the commits that its tree names, from the
//! user's clones of them. It does not use the network.

use std::path::{Path, PathBuf};

use crate::base::file::{self, remove_all};
use crate::base::lock::FileLock;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::private_worktree::borrowed_repo::BorrowedRepo;
use crate::git::repository::{Commit, Repository};
use crate::git::snapshot::{Mode, Snapshot};

/// Checks out the submodules of the tree `wanted`, which is already checked out at `dir`. A submodule
/// that the user never initialized stays an empty folder, as in the user's own work tree.
///
/// # Errors
/// The user's clone lacks the commit, or a file needs a filter driver that is not among `filters`.
pub(crate) fn check_out(
    source: &Repository,
    dir: &Path,
    wanted: &Snapshot,
    filters: &[String],
    lock: &FileLock,
) -> Result<(), GitError> {
    let source_dirs = [source.git_dir(), source.common_dir()];
    let user = Some(source.work_dir());
    SubmoduleParent { source, git_dirs: &source_dirs, work_dir: user, filters, lock }.check_out(dir, wanted)
}

/// A repository with submodules: the user's repository, or a submodule of it.
struct SubmoduleParent<'a> {
    source: &'a Repository,
    /// The git folders that contain the clones of its submodules.
    git_dirs: &'a [&'a Path],
    /// The user's work tree of the repository, if it is known.
    work_dir: Option<&'a Path>,
    filters: &'a [String],
    lock: &'a FileLock,
}

impl SubmoduleParent<'_> {
    fn check_out(&self, dir: &Path, wanted: &Snapshot) -> Result<(), GitError> {
        for entry in wanted.entries().iter().filter(|entry| entry.mode == Mode::Submodule) {
            let place = entry.path.under(dir);
            match self.clone_of(dir, &entry.path) {
                Some(source_dir) => self.check_out_one(&place, &entry.path, &source_dir, &entry.id.hex())?,
                None => {
                    remove_all(&place)?;
                    file::make_dir(&place)?;
                }
            }
        }
        Ok(())
    }

    fn check_out_one(
        &self,
        place: &Path,
        path: &RepoPath,
        source_dir: &Path,
        commit: &str,
    ) -> Result<(), GitError> {
        let missing = || GitError::Submodule { path: path.to_string(), commit: commit.to_owned() };
        let tree = tree_of(source_dir, commit).ok_or_else(missing)?;
        let own = BorrowedRepo {
            work_dir: place,
            source_dir,
            source_worktree_dir: source_dir,
            program: self.source.program(),
        };
        own.prepare(Some(commit))?;
        let inner =
            self.source.opener().with_permitted_filters(self.filters).open(place)?.ok_or_else(missing)?;
        // Fails for a driver that is not permitted, before git could run it.
        let files =
            inner.commit_snapshot(&tree, self.filters).map_err(|error| with_outer_path(path, error))?;
        own.check_out(&tree, &files, &inner.conversion_digest(&files, self.filters)?, self.lock)?;
        // The clones of a submodule's submodules are in its own git folder.
        let user = self.work_dir.map(|user| path.under(user));
        let parent = SubmoduleParent { git_dirs: &[source_dir], work_dir: user.as_deref(), ..*self };
        parent.check_out(place, &files).map_err(|error| with_outer_path(path, error))
    }

    /// Returns the git folder of the user's clone of the submodule at `path`; `None` if there is
    /// none.
    fn clone_of(&self, dir: &Path, path: &RepoPath) -> Option<PathBuf> {
        let is_repository = |git_dir: &PathBuf| git_dir.join("objects").is_dir();
        let named = module_name(dir, path);
        let named =
            named.iter().flat_map(|name| self.git_dirs.iter().map(move |dir| dir.join("modules").join(name)));
        // Old versions of git kept the git folder inside the submodule.
        let inside = self.work_dir.map(|user| path.under(user).join(".git"));
        named.chain(inside).find(is_repository)
    }
}

/// Returns an error of a submodule with paths relative to the outer repository.
fn with_outer_path(path: &RepoPath, error: GitError) -> GitError {
    match error {
        GitError::Filter { path: file, filter } => {
            GitError::Filter { path: format!("{path}/{file}"), filter }
        }
        GitError::Submodule { path: inner, commit } => {
            GitError::Submodule { path: format!("{path}/{inner}"), commit }
        }
        error => error,
    }
}

/// Returns the name of the submodule at `path` in .gitmodules of the tree.
fn module_name(dir: &Path, path: &RepoPath) -> Option<String> {
    let config = git2::Config::open(&dir.join(".gitmodules")).ok()?;
    let mut entries = config.entries(Some("submodule\\..*\\.path")).ok()?;
    while let Some(entry) = entries.next() {
        let entry = entry.ok()?;
        if entry.value_bytes() == path.bytes() {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let name = name.strip_prefix("submodule.")?.strip_suffix(".path")?.to_owned();
            // Git too rejects a name that leads out of the folder of modules.
            return (!name.starts_with('/') && !name.split('/').any(|part| part == "..")).then_some(name);
        }
    }
    None
}

fn tree_of(git_dir: &Path, commit: &str) -> Option<String> {
    let repository = git2::Repository::open_bare(git_dir).ok()?;
    let commit = repository.find_commit(git2::Oid::from_str(commit).ok()?).ok()?;
    Some(Commit::from_git2(&commit).tree)
}
