//! The errors of a store. They say which object is meant, and must not know what a deploy does about them.

use crate::base::file::FileError;
use crate::deploy::release::ArtifactDigest;

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The artifact is not there.
    #[error("{store} has no artifact {digest}")]
    Missing {
        /// The store.
        store: String,
        /// The artifact.
        digest: ArtifactDigest,
    },
    /// What is there is not the artifact.
    #[error("{object} is damaged: {damage}; it is replaced when the artifact is stored again")]
    Damaged {
        /// The file or blob.
        object: String,
        /// What is wrong with it.
        damage: String,
    },
    /// Something that is no digest.
    #[error("`{0}` is not the digest of an artifact")]
    InvalidDigest(ArtifactDigest),
    /// A file operation failed.
    #[error("{0}: {reason}", reason = .0.source)]
    File(FileError),
    /// The store can't be reached or refuses.
    #[error("{store}: {reason}")]
    Failed {
        /// The store.
        store: String,
        /// The error, one line.
        reason: String,
    },
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}
