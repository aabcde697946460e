//! What can go wrong with git. It must not know what the caller does about it.

use std::io;
use std::path::PathBuf;

use crate::ground::file::FileError;

/// A failure of git, of its repository or of the work tree.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// A file or folder.
    #[error("{}: {}", .0, .0.source)]
    File(#[from] FileError),
    /// A repository that can't be read.
    #[error("can't {attempt} {}: {}", path.display(), source.message())]
    Repository {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// On which path.
        path: PathBuf,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// A repository without a work tree.
    #[error("{} is a bare repository, so there are no files to run tasks on", path.display())]
    Bare {
        /// The repository.
        path: PathBuf,
    },
    /// A revision that is none.
    #[error("`{rev}` names no commit: {}", source.message())]
    Revision {
        /// As it was given.
        rev: String,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// A base that there is no way to.
    #[error("`{base}` is no base to compare with: {why}")]
    NoBase {
        /// What was looked for.
        base: String,
        /// What stands in the way.
        why: NoBase,
        /// What `git fetch` has to be given for it to be there, and what has to follow.
        fetch: String,
    },
    /// An object of the repository.
    #[error("can't {attempt} {object}: {}", source.message())]
    Object {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// Its id or name.
        object: String,
        /// What libgit2 said.
        source: git2::Error,
    },
    /// The index holds a merge that is not done.
    #[error("the index has an unresolved conflict in {path}")]
    Conflict {
        /// The path in conflict.
        path: String,
    },
    /// A checkout that did not come to what was to be checked out.
    #[error("the tree {tree} can't be checked out: {what}")]
    CheckOut {
        /// Its id.
        tree: String,
        /// What is not as it should be.
        what: String,
    },
    /// There is no folder for private worktrees and sandboxes.
    #[error("there is no folder for private worktrees and sandboxes: {why}")]
    NoPool {
        /// Why none of the folders that were tried can be used.
        why: String,
    },
    /// A submodule whose commit the user does not have.
    #[error("the submodule {path} has no commit {commit} here")]
    Submodule {
        /// Where it lies.
        path: String,
        /// The commit.
        commit: String,
    },
    /// A file that only a filter driver can check out.
    #[error("{path} goes through the filter `{filter}`, and tasks.toml does not permit it to run")]
    Filter {
        /// Which file.
        path: String,
        /// The driver's name.
        filter: String,
    },
    /// The git program could not be run.
    #[error("can't run `git {what}`: {source}")]
    Start {
        /// Its subcommand.
        what: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The git program failed.
    #[error("`git {what}` failed: {message}")]
    Program {
        /// Its subcommand.
        what: String,
        /// What it said on standard error, or how it ended.
        message: String,
    },
}

/// Why there is no base to compare with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoBase {
    /// No revision of that name.
    #[error("it names no commit here")]
    Unknown,
    /// The history is cut off before it.
    #[error("the history of this clone is cut off before it")]
    Shallow,
    /// It has no commit in common with HEAD.
    #[error("it has no commit in common with HEAD")]
    Unrelated,
    /// HEAD has no commit yet.
    #[error("there is no commit yet")]
    Unborn,
}

impl GitError {
    /// For `map_err`: an object that could not be used.
    pub(super) fn object(attempt: &'static str, object: &impl ToString) -> impl FnOnce(git2::Error) -> Self {
        let object = object.to_string();
        move |source| Self::Object { attempt, object, source }
    }

    /// For `map_err`: a repository that could not be used.
    pub(super) fn repository(
        attempt: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(git2::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Repository { attempt, path, source }
    }
}
