//! The submodules of a private worktree: checked out like it, at the commits that its tree names,
//! from what the user has of them. They must not reach the network.

use std::path::{Path, PathBuf};

use crate::base::file::{self, remove_all};
use crate::base::lock::FileLock;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::private_worktree::borrowed_repo::OwnRepository;
use crate::git::repository::{Commit, Repository};
use crate::git::snapshot::{Mode, Snapshot};

/// Checks out the submodules of the tree `wanted`, which is checked out at `dir` already. One that
/// the user never initialised stays an empty folder, as in the user's own work tree.
///
/// # Errors
/// The user has the submodule and lacks the commit, or a file needs a filter driver that is not among
/// `filters`.
pub(crate) fn check_out(
    source: &Repository,
    (dir, wanted): (&Path, &Snapshot),
    filters: &[String],
    lock: &FileLock,
) -> Result<(), GitError> {
    let lenders = [source.git_dir(), source.common_dir()];
    let user = Some(source.work_dir());
    Parent { source, lenders: &lenders, user, filters, lock }.check_out((dir, wanted))
}

/// What has submodules: the user's repository, or a submodule of it.
struct Parent<'a> {
    source: &'a Repository,
    /// The git folders below which clones of its submodules lie.
    lenders: &'a [&'a Path],
    /// The user's work tree of it, where that is known.
    user: Option<&'a Path>,
    filters: &'a [String],
    lock: &'a FileLock,
}

impl Parent<'_> {
    fn check_out(&self, (dir, wanted): (&Path, &Snapshot)) -> Result<(), GitError> {
        for entry in wanted.entries().iter().filter(|entry| entry.mode == Mode::Submodule) {
            let place = entry.path.under(dir);
            match self.lender(dir, &entry.path) {
                Some(lender) => self.check_out_one((&place, &entry.path), &lender, &entry.id.hex())?,
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
        (place, path): (&Path, &RepoPath),
        lender: &Path,
        commit: &str,
    ) -> Result<(), GitError> {
        let missing = || GitError::Submodule { path: path.to_string(), commit: commit.to_owned() };
        let tree = tree_of(lender, commit).ok_or_else(missing)?;
        let own = OwnRepository { dir: place, lender, worktree: lender, program: self.source.program() };
        own.prepare(Some(commit))?;
        let inner = self.source.opener().permitting(self.filters).open(place)?.ok_or_else(missing)?;
        // Refuses drivers before git could run one.
        let files = inner.commit_snapshot(&tree, self.filters).map_err(|error| within(path, error))?;
        own.fill((&tree, &files), &inner.rules(&files, self.filters)?, self.lock)?;
        // Submodules of a submodule lie in its own git folder.
        let user = self.user.map(|user| path.under(user));
        let parent = Parent { lenders: &[lender], user: user.as_deref(), ..*self };
        parent.check_out((place, &files)).map_err(|error| within(path, error))
    }

    /// The git folder of the user's clone of the submodule at `path`; `None` if there is none.
    fn lender(&self, dir: &Path, path: &RepoPath) -> Option<PathBuf> {
        let is_repository = |git_dir: &PathBuf| git_dir.join("objects").is_dir();
        let named = name(dir, path);
        let named =
            named.iter().flat_map(|name| self.lenders.iter().map(move |dir| dir.join("modules").join(name)));
        // An old one keeps its git folder inside.
        let inside = self.user.map(|user| path.under(user).join(".git"));
        named.chain(inside).find(is_repository)
    }
}

/// An error of a submodule, told with paths of the whole.
fn within(path: &RepoPath, error: GitError) -> GitError {
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

/// The name that .gitmodules of the tree has for the submodule at `path`.
fn name(dir: &Path, path: &RepoPath) -> Option<String> {
    let config = git2::Config::open(&dir.join(".gitmodules")).ok()?;
    let mut entries = config.entries(Some("submodule\\..*\\.path")).ok()?;
    while let Some(entry) = entries.next() {
        let entry = entry.ok()?;
        if entry.value_bytes() == path.bytes() {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let name = name.strip_prefix("submodule.")?.strip_suffix(".path")?.to_owned();
            // A name that leads out of the folder of modules is refused by git too.
            return (!name.starts_with('/') && !name.split('/').any(|part| part == "..")).then_some(name);
        }
    }
    None
}

fn tree_of(git_dir: &Path, commit: &str) -> Option<String> {
    let repository = git2::Repository::open_bare(git_dir).ok()?;
    let commit = repository.find_commit(git2::Oid::from_str(commit).ok()?).ok()?;
    Some(Commit::of(&commit).tree)
}
