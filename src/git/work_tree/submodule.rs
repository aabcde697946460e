//! The content of submodules and of other repositories inside the work tree. It does not know how
//! they are found.

use crate::base::digest::FieldHasher;
use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::repository::{Commit, Repository};
use crate::git::snapshot::tree_id::tree_id;
use crate::git::snapshot::{ContentId, Snapshot};

/// Computes the content of repositories inside the work tree.
pub(crate) trait SubmoduleContent: Sync {
    /// Returns the content of the repository at `path`, for which the index has the commit
    /// `recorded`; `None` if it is neither recorded nor a repository.
    fn content_id(&self, path: &RepoPath, recorded: Option<ContentId>)
    -> Result<Option<ContentId>, GitError>;
}

/// Returns the content of a checked-out submodule: its commit if its files are those of the commit,
/// otherwise an id of both, so that an edit inside is a change.
pub(crate) fn checked_out_content(repository: &Repository, files: &Snapshot) -> Result<ContentId, GitError> {
    let commit = repository.head_commit()?;
    match &commit {
        Some(commit) if is_clean(repository, commit, files)? => {
            let id = git2::Oid::from_str(&commit.id).ok();
            match id.and_then(|id| id.as_bytes().try_into().ok()) {
                Some(id) => Ok(ContentId(id)),
                None => Ok(changed_content(commit.id.as_bytes(), files)),
            }
        }
        Some(commit) => Ok(changed_content(commit.id.as_bytes(), files)),
        None => Ok(changed_content(b"no commit", files)),
    }
}

/// Returns the content of a submodule that is not checked out: the recorded commit, unless there are
/// files.
pub(crate) fn plain_folder_content(recorded: ContentId, files: &Snapshot) -> ContentId {
    if files.entries().is_empty() { recorded } else { changed_content(&recorded.0, files) }
}

fn is_clean(repository: &Repository, commit: &Commit, files: &Snapshot) -> Result<bool, GitError> {
    if tree_id(files)? == commit.tree {
        return Ok(true);
    }
    // With a filter its files may still be what a checkout of the commit writes.
    match repository.commit_snapshot(&commit.tree, repository.opener().permitted_filters()) {
        Ok(checked_out) => Ok(checked_out.digest() == files.digest()),
        // If a driver is not permitted, the unknown content costs a hit at worst.
        Err(GitError::Filter { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn changed_content(commit: &[u8], files: &Snapshot) -> ContentId {
    let mut fields = FieldHasher::new("taskgate changed submodule 1");
    fields.add(commit).add(files.digest().bytes());
    let digest = fields.digest();
    let mut id = [0; 20];
    id.copy_from_slice(&digest.bytes()[..20]);
    ContentId(id)
}
