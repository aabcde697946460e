//! The submodules of a private worktree: checked out like it, at the commits that its tree names,
//! from what the user has of them. They must not reach the network.

use std::path::{Path, PathBuf};

use super::error::GitError;
use super::own_repository::OwnRepository;
use super::private_worktree::remove_all;
use super::repository::{Commit, Repository};
use super::snapshot::{Mode, Snapshot};
use crate::ground::file;
use crate::ground::lock::FileLock;
use crate::ground::path::RepoPath;

/// Checks out the submodules of the tree `wanted`, which is checked out at `dir` already. One that
/// the user never initialised stays an empty folder, as in the user's own work tree.
///
/// # Errors
/// The user has the submodule and lacks the commit.
pub(super) fn check_out(
    source: &Repository,
    (dir, wanted): (&Path, &Snapshot),
    lock: &FileLock,
) -> Result<(), GitError> {
    for entry in wanted.entries().iter().filter(|entry| entry.mode == Mode::Submodule) {
        let commit = entry.id.hex();
        let place = entry.path.under(dir);
        let Some(lender) = lender(source, dir, &entry.path) else {
            remove_all(&place)?;
            file::make_dir(&place)?;
            continue;
        };
        let tree = tree_of(&lender, &commit)
            .ok_or_else(|| GitError::Submodule { path: entry.path.to_string(), commit: commit.clone() })?;
        let own = OwnRepository { dir: &place, lender: &lender, program: source.program() };
        own.write_folder(Some(&commit))?;
        own.fill(&tree, lock)?;
        // The submodule, as it is checked out now, has its own.
        if let Some(inner) = source.opener().open(&place)? {
            let files = inner.commit_snapshot(&tree, &[])?;
            check_out_inner(source, &lender, (&place, &files), lock)?;
        }
    }
    Ok(())
}

/// The same one level further down: submodules of a submodule lie in its own git folder.
fn check_out_inner(
    source: &Repository,
    lender: &Path,
    (dir, wanted): (&Path, &Snapshot),
    lock: &FileLock,
) -> Result<(), GitError> {
    if !wanted.entries().iter().any(|entry| entry.mode == Mode::Submodule) {
        return Ok(());
    }
    match source.opener().open_git_dir(lender)? {
        Some(lender) => check_out(&lender, (dir, wanted), lock),
        None => Ok(()),
    }
}

/// The git folder of the user's clone of the submodule at `path`; `None` if there is none.
fn lender(source: &Repository, dir: &Path, path: &RepoPath) -> Option<PathBuf> {
    let is_repository = |git_dir: &PathBuf| git_dir.join("objects").is_dir();
    let named = name(dir, path).into_iter().flat_map(|name| {
        [source.git_dir(), source.common_dir()].map(|git_dir| git_dir.join("modules").join(&name))
    });
    let mut known = named.filter(is_repository);
    // An old one keeps its git folder inside.
    known.next().or_else(|| Some(path.under(source.work_dir()).join(".git")).filter(is_repository))
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
