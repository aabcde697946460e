//! What can go wrong with git. It must not know what the caller does about it.

use std::io;
use std::path::PathBuf;

use crate::base::file::FileError;

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
    /// A repository in a form that libgit2 can't read.
    #[error("{} {}, which libgit2, the library that taskgate reads repositories with, does not support", path.display(), form)]
    Unsupported {
        /// The repository, or a folder in it.
        path: PathBuf,
        /// What it uses.
        form: UnsupportedFormat,
    },
    /// A repository that belongs to another user.
    #[error("{} belongs to another user, and git reads it only if that is permitted", path.display())]
    Foreign {
        /// The repository, as `safe.directory` has to name it.
        path: PathBuf,
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
        why: NoBaseReason,
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

/// What a repository uses that libgit2 can't read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnsupportedFormat {
    /// Object ids that are not SHA-1.
    #[error("has {0} object ids")]
    Objects(String),
    /// Refs in a reftable.
    #[error("keeps its refs in the format `reftable`")]
    Reftable,
    /// An extension.
    #[error("uses git's extension `{0}`")]
    Extension(String),
}

impl UnsupportedFormat {
    /// Recognises it in what libgit2 says.
    fn of(message: &str) -> Option<Self> {
        const EXTENSION: &str = "unsupported extension name extensions.";
        if let Some(format) = message.strip_prefix("unknown object format '") {
            let format = format.trim_end_matches('\'');
            return Some(Self::Objects(if format == "sha256" {
                "SHA-256".to_owned()
            } else {
                format.to_owned()
            }));
        }
        match message.strip_prefix(EXTENSION)? {
            "refstorage" => Some(Self::Reftable),
            "objectformat" => Some(Self::Objects("other than SHA-1".to_owned())),
            extension => Some(Self::Extension(extension.to_owned())),
        }
    }
}

/// Why there is no base to compare with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoBaseReason {
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
        move |source: git2::Error| {
            if source.code() == git2::ErrorCode::Owner {
                return Self::Foreign { path: owned_path(source.message()).unwrap_or(path) };
            }
            match UnsupportedFormat::of(source.message()) {
                Some(form) => Self::Unsupported { path, form },
                None => Self::Repository { attempt, path, source },
            }
        }
    }
}

/// The top of the repository that libgit2 names in its message about an owner.
fn owned_path(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once('\'')?;
    let (path, _) = rest.rsplit_once('\'')?;
    let path = path.trim_end_matches('/');
    Some(PathBuf::from(path.strip_suffix("/.git").unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_recognised_by_the_words_of_libgit2() {
        let form = |message: &str| UnsupportedFormat::of(message).map(|form| form.to_string());
        let expect = |text: &str| Some(text.to_owned());
        assert_eq!(form("unknown object format 'sha256'"), expect("has SHA-256 object ids"));
        assert_eq!(
            form("unsupported extension name extensions.refstorage"),
            expect("keeps its refs in the format `reftable`")
        );
        assert_eq!(
            form("unsupported extension name extensions.other"),
            expect("uses git's extension `other`")
        );
        assert_eq!(form("could not find repository"), None);
    }

    #[test]
    fn the_path_to_permit_is_the_top_of_the_work_tree() {
        for path in ["/a b/c", "/a b/c/", "/a b/c/.git", "/a b/c/.git/"] {
            let message = format!("repository path '{path}' is not owned by current user");
            assert_eq!(owned_path(&message), Some(PathBuf::from("/a b/c")), "{path}");
        }
    }
}
