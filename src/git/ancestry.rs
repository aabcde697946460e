//! Where a commit stands in the history: its merge base with a branch, its parent. It must not know
//! what is compared.

use git2::{ErrorCode, Oid};

use super::error::{GitError, NoBase};
use super::repository::{Commit, Repository};

impl Repository {
    /// The merge base of a commit, HEAD if none is named, and the first of `bases` that names a
    /// commit, with that name.
    ///
    /// # Errors
    /// None of them does, or there is no common commit in what this clone has of the history.
    pub fn merge_base<'b>(&self, of: Option<&str>, bases: &[&'b str]) -> Result<(&'b str, Commit), GitError> {
        let first = bases.first().copied().unwrap_or("HEAD");
        let none = |base: &str, why| GitError::NoBase { base: base.to_owned(), why };
        let head = match of {
            Some(id) => id.to_owned(),
            None => self.head_commit()?.ok_or_else(|| none(first, NoBase::Unborn))?.id,
        };
        let inner = self.lock();
        let commit = |rev: &str| inner.revparse_single(rev).and_then(|object| object.peel_to_commit()).ok();
        let found = bases.iter().find_map(|base| Some((*base, commit(base)?)));
        let cut = || if inner.is_shallow() { NoBase::Shallow } else { NoBase::Unrelated };
        let Some((name, base)) = found else {
            let why = if inner.is_shallow() { NoBase::Shallow } else { NoBase::Unknown };
            return Err(none(first, why));
        };
        let head = Oid::from_str(&head).map_err(GitError::object("find", &head))?;
        match inner.merge_base(head, base.id()) {
            Ok(id) => {
                let commit = inner.find_commit(id).map_err(GitError::object("read", &id))?;
                Ok((name, Commit::of(&commit)))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Err(none(name, cut())),
            Err(error) => Err(GitError::object("find the merge base with", &name)(error)),
        }
    }

    /// The first parent of a commit; `None` if it has none, or none in this clone.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn parent(&self, id: &str) -> Result<Option<Commit>, GitError> {
        let inner = self.lock();
        let oid = Oid::from_str(id).map_err(GitError::object("find", &id))?;
        let commit = inner.find_commit(oid).map_err(GitError::object("read", &id))?;
        // A shallow clone has the parent's name and not the parent.
        Ok(commit.parent(0).ok().map(|parent| Commit::of(&parent)))
    }
}
