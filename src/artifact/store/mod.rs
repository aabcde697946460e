//! The store of packed artifacts: a folder, a folder on another machine, or a repository of a registry. It must
//! not know which artifacts are needed, nor why.
//!
//! An artifact is kept as a gzipped archive under the digest of the uncompressed archive, so what is read can
//! always be verified: a damaged object is an error that names it, and the next [`Store::put`] replaces it.
//! Objects get their names only when they are complete, and two calls at once do no harm.

mod error;
mod folder;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::artifact::archive::PackedArtifact;
use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::config::deploy::StoreLocation;
use crate::deploy::release::ArtifactDigest;
use crate::target::connection::Connector;
use crate::target::hosts::ArtifactSource;

pub use error::StoreError;
use folder::FolderStore;

/// A store of packed artifacts.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Folder(FolderStore),
}

/// What a store needs of its surroundings.
#[derive(Clone, Copy)]
pub struct StoreContext<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The top of the repository, which relative folders are below.
    pub root: &'a Path,
    /// The clock.
    pub clock: &'a Clock,
    /// Opens connections to other machines.
    pub connector: &'a Arc<Connector>,
    /// The environment of the caller, which says where credentials for registries are.
    pub env: &'a Env,
}

impl Store {
    /// Opens the store at a location. Nothing is created or connected yet.
    ///
    /// # Errors
    /// Such a store is not supported.
    pub fn open(location: &StoreLocation, context: StoreContext<'_>) -> Result<Self, StoreError> {
        let folder = |path: PathBuf| Backend::Folder(FolderStore::new(path, context.clock));
        let backend = match location {
            StoreLocation::StateDir => folder(context.state.join("artifacts")),
            StoreLocation::Folder(path) => folder(context.root.join(path)),
            StoreLocation::Ssh { path, .. } => return Err(unsupported(path)),
            StoreLocation::Oci { registry, .. } => return Err(unsupported(registry)),
        };
        Ok(Self { backend })
    }

    /// Returns whether an artifact is in the store, complete and undamaged.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn has(&self, digest: &ArtifactDigest) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Folder(folder) => folder.has(digest),
        }
    }

    /// Stores an artifact, unless it is there, complete and undamaged.
    ///
    /// # Errors
    /// The store can't be written to, or the packed file is damaged. The store is then as before.
    pub fn put(&self, packed: &PackedArtifact) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Folder(folder) => folder.put(packed),
        }
    }

    /// Opens an artifact: a gzipped archive whose uncompressed bytes have this digest. All of it was verified.
    ///
    /// # Errors
    /// It is missing, damaged, or can't be read.
    pub fn read(&self, digest: &ArtifactDigest) -> Result<Box<dyn Read + Send>, StoreError> {
        match &self.backend {
            Backend::Folder(folder) => Ok(Box::new(folder.read(digest)?)),
        }
    }

    /// Removes all artifacts but those in `keep` and those that were put less than `min_age` ago, which another
    /// deploy may be about to use. Returns the digests of those that were removed.
    ///
    /// # Errors
    /// The store can't be read or written to.
    pub fn retain(
        &self,
        keep: &BTreeSet<ArtifactDigest>,
        min_age: Duration,
    ) -> Result<Vec<ArtifactDigest>, StoreError> {
        match &self.backend {
            Backend::Folder(folder) => folder.retain(keep, min_age),
        }
    }
}

impl ArtifactSource for Store {
    fn open(&self, digest: &ArtifactDigest) -> io::Result<Box<dyn Read + Send>> {
        self.read(digest).map_err(io::Error::other)
    }
}

fn unsupported(store: &str) -> StoreError {
    StoreError::Failed { store: store.to_owned(), reason: "such a store is not supported".to_owned() }
}

/// The end of an object's name.
const SUFFIX: &str = ".tar.gz";
/// The beginning of the names of objects that are not complete.
const INCOMPLETE: &str = ".new-";

/// Returns the name of an object in a folder.
///
/// # Errors
/// The digest is invalid.
fn object_name(digest: &ArtifactDigest) -> Result<String, StoreError> {
    let hex = digest.hex();
    let is_valid = hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    if is_valid && digest.0.starts_with("sha256:") {
        Ok(format!("{hex}{SUFFIX}"))
    } else {
        Err(StoreError::InvalidDigest(digest.clone()))
    }
}

/// Returns the digest of the object with this name, or `None` if it is no object.
fn object_digest(name: &str) -> Option<ArtifactDigest> {
    let digest = ArtifactDigest(format!("sha256:{}", name.strip_suffix(SUFFIX)?));
    object_name(&digest).is_ok().then_some(digest)
}
