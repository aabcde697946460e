//! Why the cache can't do what it was asked. It must not know what becomes of the run.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::units;

/// Why something was not looked at, stored or collected. Each is one line.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The disk is full. Nothing was stored.
    #[error("no space left on the disk that holds {}; needed {}", path.display(), units::size(*needed))]
    NoSpace {
        /// The folder on that disk.
        path: PathBuf,
        /// Bytes that were to be written, before compression.
        needed: u64,
    },
    /// One result is larger than the whole cache may be. Nothing was stored.
    #[error("the result takes at least {}, the cache may hold {}", units::size(*needed), units::size(*cap))]
    TooLarge {
        /// Bytes on disk, as far as they were counted.
        needed: u64,
        /// Bytes that the cache may take.
        cap: u64,
    },
    /// An output is neither a file nor a symlink nor a folder.
    #[error("the output {path} is a {kind}, which can't be stored")]
    Special {
        /// Which.
        path: RepoPath,
        /// What it is, as a noun.
        kind: &'static str,
    },
    /// An output lies below something that is not a folder.
    #[error("{path} is {what}, and outputs below it are not stored")]
    NotAFolder {
        /// That which should be a folder.
        path: RepoPath,
        /// What it is instead, with its article.
        what: &'static str,
    },
    /// An output changed while it was read, or since it was collected.
    #[error("the output {path} changed while it was read")]
    Changed {
        /// Which.
        path: RepoPath,
    },
    /// An output holds what must not be stored.
    #[error("the output {path} holds the value of a secret")]
    Secret {
        /// Which.
        path: RepoPath,
    },
    /// A file of the cache is missing or is not what was written.
    #[error("{0}")]
    Damaged(String),
}

/// Whether the disk, or the user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl CacheError {
    /// Turns a full disk into the one line that says so.
    pub(super) fn with_space(self, path: &Path, needed: u64) -> Self {
        match self {
            Self::File(FileError { source, .. }) if is_full(&source) => {
                Self::NoSpace { path: path.to_owned(), needed }
            }
            other => other,
        }
    }
}
