//! The position of a commit in the history: its merge base with a branch, and its parent. It does not
//! know what is compared.

use git2::{ErrorCode, Oid};

use crate::git::error::{GitError, NoBaseReason};
use crate::git::repository::{Commit, Repository};

impl Repository {
    /// Returns the merge base of a commit (HEAD if it is `None`) and of the first of `bases` that
    /// names a commit, and the name of that base. If only a remote has a branch, the remote's is
    /// used.
    ///
    /// # Errors
    /// No base names a commit, or this clone has no commit in common.
    pub fn merge_base(&self, of: Option<&str>, bases: &[&str]) -> Result<(String, Commit), GitError> {
        let first = bases.first().copied().unwrap_or("HEAD");
        let remotes: Vec<String> = self.remotes().into_iter().map(|(name, _)| name).collect();
        let none = |base: &str, why| {
            let fetch = fetch(base, &remotes);
            GitError::NoBase { base: base.to_owned(), why, fetch }
        };
        let head = match of {
            Some(id) => id.to_owned(),
            None => self.head_commit()?.ok_or_else(|| none(first, NoBaseReason::Unborn))?.id,
        };
        let inner = self.lock();
        let commit = |rev: &str| inner.revparse_single(rev).and_then(|object| object.peel_to_commit()).ok();
        let of_a_remote = |base: &str| {
            remotes.iter().find_map(|remote| {
                let branch = commit(&format!("refs/remotes/{remote}/{base}"))?;
                Some((format!("{remote}/{base}"), branch))
            })
        };
        let named = |base: &&str| commit(base).map(|commit| ((*base).to_owned(), commit));
        let found = bases.iter().find_map(|base| named(base).or_else(|| of_a_remote(base)));
        let cut = || if inner.is_shallow() { NoBaseReason::Shallow } else { NoBaseReason::Unrelated };
        let Some((name, base)) = found else {
            let why = if inner.is_shallow() { NoBaseReason::Shallow } else { NoBaseReason::Unknown };
            return Err(none(first, why));
        };
        let head = Oid::from_str(&head).map_err(GitError::object("find", &head))?;
        match inner.merge_base(head, base.id()) {
            Ok(id) => {
                let commit = inner.find_commit(id).map_err(GitError::object("read", &id))?;
                Ok((name, Commit::from_git2(&commit)))
            }
            Err(error) if error.code() == ErrorCode::NotFound => Err(none(&name, cut())),
            Err(error) => Err(GitError::object("find the merge base with", &name)(error)),
        }
    }

    /// Returns the first parent of a commit; `None` if it has none, or none in this clone.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn parent(&self, id: &str) -> Result<Option<Commit>, GitError> {
        let inner = self.lock();
        let oid = Oid::from_str(id).map_err(GitError::object("find", &id))?;
        let commit = inner.find_commit(oid).map_err(GitError::object("read", &id))?;
        // A shallow clone has the parent's id but not the parent.
        Ok(commit.parent(0).ok().map(|parent| Commit::from_git2(&parent)))
    }
}

/// Returns the arguments of the `git fetch` that makes a base available, and commands that must
/// follow it.
fn fetch(base: &str, remotes: &[String]) -> String {
    let of = |remote: &str| Some((remote.to_owned(), base.strip_prefix(remote)?.strip_prefix('/')?));
    let usual = || {
        let is_usual = |remote: &&String| *remote == "origin";
        let remote = remotes.iter().find(is_usual).or(remotes.first());
        (remote.map_or_else(|| "origin".to_owned(), String::clone), base)
    };
    let named = remotes.iter().map(String::as_str).chain(["origin"]).find_map(of);
    let (remote, branch) = named.unwrap_or_else(usual);
    let is_id = branch.len() >= 7 && branch.bytes().all(|byte| byte.is_ascii_hexdigit());
    if branch == "HEAD" {
        // Only the remote knows which branch that is.
        let all = format!("{remote} '+refs/heads/*:refs/remotes/{remote}/*'");
        format!("{all} && git remote set-head {remote} --auto")
    } else if is_id || branch.contains(['~', '^', '@', ':', ' ']) {
        remote
    } else {
        format!("{remote} {branch}:refs/remotes/{remote}/{branch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_base_is_fetched_from_the_remote_that_has_it() {
        let all = "'+refs/heads/*:refs/remotes/origin/*' && git remote set-head origin --auto";
        for (base, remotes, expected) in [
            ("main", &["origin"][..], "origin main:refs/remotes/origin/main"),
            ("origin/main", &["origin"], "origin main:refs/remotes/origin/main"),
            ("release/1.2", &["origin"], "origin release/1.2:refs/remotes/origin/release/1.2"),
            ("up/main", &["origin", "up"], "up main:refs/remotes/up/main"),
            ("main", &["up"], "up main:refs/remotes/up/main"),
            ("origin/main", &[], "origin main:refs/remotes/origin/main"),
            ("main", &[], "origin main:refs/remotes/origin/main"),
            ("origin/HEAD", &["origin"], &format!("origin {all}")),
            ("HEAD~3", &["origin"], "origin"),
            ("0123abc", &["origin"], "origin"),
        ] {
            let remotes: Vec<String> = remotes.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(fetch(base, &remotes), expected, "{base} {remotes:?}");
        }
    }
}
