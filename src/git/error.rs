//! The errors of git, of its repositories and of the work tree.

use std::io;
use std::path::PathBuf;

use crate::base::file::FileError;

/// An error of git, of a repository or of the work tree.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// A file or folder can't be used.
    #[error("{}: {}", .0, .0.source)]
    File(#[from] FileError),
    /// A repository can't be read.
    #[error("can't {attempt} {}: {}", path.display(), source.message())]
    Repository {
        /// The attempted action, as a verb.
        attempt: &'static str,
        /// The path of the repository.
        path: PathBuf,
        /// The error of libgit2.
        source: git2::Error,
    },
    /// A repository has a format that libgit2 does not support.
    #[error("{} {}, which libgit2, the library that taskgate reads repositories with, does not support", path.display(), form)]
    Unsupported {
        /// The repository, or a folder in it.
        path: PathBuf,
        /// The unsupported format.
        form: UnsupportedFormat,
    },
    /// A repository belongs to another user.
    #[error("{} belongs to another user, and git reads it only if that is permitted", path.display())]
    Foreign {
        /// The repository, as it must be written in `safe.directory`.
        path: PathBuf,
    },
    /// A repository has no work tree.
    #[error("{} is a bare repository, so there are no files to run tasks on", path.display())]
    Bare {
        /// The repository.
        path: PathBuf,
    },
    /// A revision does not name a commit.
    #[error("`{rev}` is not a commit: {}", source.message())]
    Revision {
        /// The revision as the user wrote it.
        rev: String,
        /// The error of libgit2.
        source: git2::Error,
    },
    /// There is no merge base with a branch or commit.
    #[error("can't compare with `{base}`: {why}")]
    NoBase {
        /// The branch or commit.
        base: String,
        /// Why there is none.
        why: NoBaseReason,
        /// The arguments of the `git fetch` that makes it available, and commands that must follow
        /// it.
        fetch: String,
    },
    /// An object of the repository can't be used.
    #[error("can't {attempt} {object}: {}", source.message())]
    Object {
        /// The attempted action, as a verb.
        attempt: &'static str,
        /// The object's id or name.
        object: String,
        /// The error of libgit2.
        source: git2::Error,
    },
    /// The index has the conflicts of an unfinished merge.
    #[error("the index has an unresolved conflict in {path}")]
    Conflict {
        /// The first path with a conflict.
        path: String,
    },
    /// The result of a checkout differs from the tree.
    #[error("the tree {tree} can't be checked out: {what}")]
    CheckOut {
        /// The tree's id.
        tree: String,
        /// The first difference.
        what: String,
    },
    /// No folder for private worktrees and sandboxes can be used.
    #[error("no folder can be used for private worktrees and sandboxes: {why}")]
    NoPool {
        /// Why each of the folders can't be used.
        why: String,
    },
    /// The user's clone of a submodule lacks a commit.
    #[error("the submodule {path} has no commit {commit} here")]
    Submodule {
        /// The path of the submodule.
        path: String,
        /// The missing commit.
        commit: String,
    },
    /// A file needs a filter driver that is not permitted.
    #[error("{path} needs the filter `{filter}`, which tasks.toml does not permit")]
    Filter {
        /// The file.
        path: String,
        /// The driver's name.
        filter: String,
    },
    /// The git program can't be started.
    #[error("can't run `git {what}`: {source}")]
    Start {
        /// Its subcommand.
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The git program failed.
    #[error("`git {what}` failed: {message}")]
    Program {
        /// Its subcommand.
        what: String,
        /// Its standard error, or how it ended.
        message: String,
    },
}

/// A format of repositories that libgit2 does not support.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnsupportedFormat {
    /// Object ids other than SHA-1.
    #[error("has {0} object ids")]
    Objects(String),
    /// Refs are stored in a reftable.
    #[error("keeps its refs in the format `reftable`")]
    Reftable,
    /// An extension of git.
    #[error("uses git's extension `{0}`")]
    Extension(String),
}

impl UnsupportedFormat {
    /// Recognizes an unsupported format in a message of libgit2.
    fn from_message(message: &str) -> Option<Self> {
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

/// Why there is no merge base.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoBaseReason {
    /// No revision has that name.
    #[error("this clone has no such commit")]
    Unknown,
    /// The clone is shallow and does not have the merge base.
    #[error("the history of this clone ends before it")]
    Shallow,
    /// The histories have no commit in common.
    #[error("it has no commit in common with HEAD")]
    Unrelated,
    /// HEAD has no commit yet.
    #[error("there is no commit yet")]
    Unborn,
}

impl GitError {
    /// Returns a closure for `map_err`: an object can't be used.
    pub(super) fn object(attempt: &'static str, object: &impl ToString) -> impl FnOnce(git2::Error) -> Self {
        let object = object.to_string();
        move |source| Self::Object { attempt, object, source }
    }

    /// Returns a closure for `map_err`: a repository can't be used.
    pub(super) fn repository(
        attempt: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(git2::Error) -> Self {
        let path = path.to_owned();
        move |source: git2::Error| {
            if source.code() == git2::ErrorCode::Owner {
                return Self::Foreign { path: owned_path(source.message()).unwrap_or(path) };
            }
            match UnsupportedFormat::from_message(source.message()) {
                Some(form) => Self::Unsupported { path, form },
                None => Self::Repository { attempt, path, source },
            }
        }
    }
}

/// Returns the repository that a message of libgit2 about its owner names.
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
    fn unsupported_formats_are_recognised_by_libgit2_messages() {
        let form = |message: &str| UnsupportedFormat::from_message(message).map(|form| form.to_string());
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
    fn path_to_permit_is_the_top_of_the_work_tree() {
        for path in ["/a b/c", "/a b/c/", "/a b/c/.git", "/a b/c/.git/"] {
            let message = format!("repository path '{path}' is not owned by current user");
            assert_eq!(owned_path(&message), Some(PathBuf::from("/a b/c")), "{path}");
        }
    }
}
