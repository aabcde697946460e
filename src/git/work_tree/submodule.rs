//! Submodules and other repositories inside the work tree: what counts as their content. It must
//! not know how they are found.

use crate::base::digest::Fields;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::{Commit, Repository};
use crate::git::snapshot::tree_id::tree_id;
use crate::git::snapshot::{ContentId, Snapshot, digest};

/// Finds out the content of repositories inside the work tree.
pub(crate) trait Nested: Sync {
    /// The content of the repository at `path`, for which the index has the commit `recorded`.
    /// `None` if it is neither recorded nor a repository.
    fn content(&self, path: &RepoPath, recorded: Option<ContentId>) -> Result<Option<ContentId>, GitError>;
}

/// The content of a checked-out submodule: its commit, if its files are what the commit holds.
/// Otherwise an id of both, so that an edit inside is seen.
pub(crate) fn content(repository: &Repository, files: &Snapshot) -> Result<ContentId, GitError> {
    let commit = repository.head_commit()?;
    match &commit {
        Some(commit) if is_clean(repository, commit, files)? => {
            let id = git2::Oid::from_str(&commit.id).ok();
            match id.and_then(|id| id.as_bytes().try_into().ok()) {
                Some(id) => Ok(ContentId(id)),
                None => Ok(mixed(commit.id.as_bytes(), files)),
            }
        }
        Some(commit) => Ok(mixed(commit.id.as_bytes(), files)),
        None => Ok(mixed(b"no commit", files)),
    }
}

/// The content of a submodule that is not checked out: the recorded commit, unless there are files.
pub(crate) fn content_of_plain(recorded: ContentId, files: &Snapshot) -> ContentId {
    if files.entries().is_empty() { recorded } else { mixed(&recorded.0, files) }
}

fn is_clean(repository: &Repository, commit: &Commit, files: &Snapshot) -> Result<bool, GitError> {
    if tree_id(files)? == commit.tree {
        return Ok(true);
    }
    // Its files may still be what a checkout of the commit writes, if a filter is at work.
    match repository.commit_snapshot(&commit.tree, repository.opener().permitted()) {
        Ok(checked_out) => Ok(digest(checked_out.entries()) == digest(files.entries())),
        // Where a driver is not permitted, not knowing costs a hit, not its truth.
        Err(GitError::Filter { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn mixed(commit: &[u8], files: &Snapshot) -> ContentId {
    let mut fields = Fields::new("taskgate changed submodule 1");
    fields.add(commit).add(digest(files.entries()).bytes());
    let digest = fields.digest();
    let mut id = [0; 20];
    id.copy_from_slice(&digest.bytes()[..20]);
    ContentId(id)
}
