//! The errors of the cache.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::units;

/// An error of the cache. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The disk is full. Nothing was stored.
    #[error("no space left on the disk of {}; needed {}", path.display(), units::size(*needed))]
    NoSpace {
        /// A folder on that disk.
        path: PathBuf,
        /// The bytes to be written, before compression.
        needed: u64,
    },
    /// The result is larger than the whole cache may be. Nothing was stored.
    #[error("the result needs at least {}, but the cache is limited to {}", units::size(*needed), units::size(*cap))]
    TooLarge {
        /// The bytes on disk, as far as they were counted.
        needed: u64,
        /// The bytes that the cache may take.
        cap: u64,
    },
    /// An output is neither a file nor a symlink nor a folder.
    #[error("the output {path} is a {kind}, which can't be stored")]
    Special {
        /// The output.
        path: RepoPath,
        /// The kind of file, as a noun.
        kind: &'static str,
    },
    /// An output is below a path that is not a folder.
    #[error("{path} is {what}, and outputs below it are not stored")]
    NotAFolder {
        /// The path that should be a folder.
        path: RepoPath,
        /// What it is instead, with an article.
        what: &'static str,
    },
    /// An output changed while it was read, or since it was collected.
    #[error("the output {path} changed while it was read")]
    Changed {
        /// The output.
        path: RepoPath,
    },
    /// An output contains the value of a secret.
    #[error("the output {path} contains the value of a secret")]
    Secret {
        /// The output.
        path: RepoPath,
    },
    /// A file of the cache is missing or damaged.
    #[error("{0}")]
    Damaged(String),
}

/// Returns whether the disk, or the user's quota, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl CacheError {
    /// Turns the error of a full disk into [`Self::NoSpace`].
    pub(super) fn with_space(self, path: &Path, needed: u64) -> Self {
        match self {
            Self::File(FileError { source, .. }) if is_full(&source) => {
                Self::NoSpace { path: path.to_owned(), needed }
            }
            other => other,
        }
    }
}
