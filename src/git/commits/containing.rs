//! Which branches and tags have a commit. It must not know why that matters.

use git2::{BranchType, Oid};

use crate::git::error::GitError;
use crate::git::repository::Repository;

impl Repository {
    /// Returns the names of the branches that contain a commit: those of the remote as they were last fetched, or
    /// those of this repository if it has no such remote.
    ///
    /// # Errors
    /// A branch can't be read.
    pub fn branches_with(&self, commit: &str, remote: &str) -> Result<Vec<String>, GitError> {
        let has_remote = self.remotes().iter().any(|(name, _)| name == remote);
        let inner = self.lock();
        let failed = || GitError::object("find the branches of", &commit);
        let id = Oid::from_str(commit).map_err(failed())?;
        let kind = if has_remote { BranchType::Remote } else { BranchType::Local };
        let mut names = Vec::new();
        for branch in inner.branches(Some(kind)).map_err(failed())? {
            let (branch, _) = branch.map_err(failed())?;
            let Some(name) = branch.name().ok().flatten() else { continue };
            let name = if has_remote {
                name.strip_prefix(remote).and_then(|name| name.strip_prefix('/'))
            } else {
                Some(name)
            };
            let (Some(name), Some(tip)) = (name, branch.get().target()) else { continue };
            if tip == id || inner.graph_descendant_of(tip, id).map_err(failed())? {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Returns the names of the tags that point to a commit.
    ///
    /// # Errors
    /// A tag can't be read.
    pub fn tags_of(&self, commit: &str) -> Result<Vec<String>, GitError> {
        let inner = self.lock();
        let failed = || GitError::object("find the tags of", &commit);
        let id = Oid::from_str(commit).map_err(failed())?;
        let mut names = Vec::new();
        for reference in inner.references_glob("refs/tags/*").map_err(failed())? {
            let reference = reference.map_err(failed())?;
            let is_here = reference.peel_to_commit().is_ok_and(|commit| commit.id() == id);
            if let (true, Ok(name)) = (is_here, reference.shorthand()) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Returns whether `commit` is an ancestor of `other`, and not the same.
    ///
    /// # Errors
    /// A commit is missing.
    pub fn is_older(&self, commit: &str, other: &str) -> Result<bool, GitError> {
        let failed = || GitError::object("compare", &commit);
        let (commit, other) =
            (Oid::from_str(commit).map_err(failed())?, Oid::from_str(other).map_err(failed())?);
        self.lock().graph_descendant_of(other, commit).map_err(failed())
    }
}
