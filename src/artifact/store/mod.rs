//! The store of packed artifacts: a folder, a folder on another machine, or a repository of a registry. It must
//! not know which artifacts are needed, nor why.
//!
//! An artifact is kept as a gzipped archive under the digest of the uncompressed archive, so what is read can
//! always be verified: a damaged object is an error that names it, and the next [`Store::put`] replaces it.
//! `object.rs` has the names of objects; each kind of store has a file of its own.
//! Objects get their names only when they are complete, and two calls at once do no harm.

mod download;
mod error;
mod folder;
mod object;
mod oci;
mod oci_auth;
mod remote_folder;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::artifact::archive::PackedArtifact;
use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::config::deploy::{Connection, StoreLocation};
use crate::deploy::release::ArtifactDigest;
use crate::target::connection::Connector;
use crate::target::hosts::ArtifactSource;

pub use error::StoreError;
use folder::FolderStore;
use oci::OciStore;
use remote_folder::RemoteFolderStore;

/// A store of packed artifacts.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Folder(FolderStore),
    RemoteFolder(RemoteFolderStore),
    Oci(OciStore),
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
    pub fn open(location: &StoreLocation, context: StoreContext<'_>) -> Self {
        let folder = |path: PathBuf| Backend::Folder(FolderStore::new(path, context.clock));
        let temp = context.state.join("artifacts");
        let backend = match location {
            StoreLocation::StateDir => folder(context.state.join("artifacts")),
            StoreLocation::Folder(path) => folder(context.root.join(path)),
            StoreLocation::Ssh { destination, path } => {
                let on = Connection::Ssh(destination.clone());
                Backend::RemoteFolder(RemoteFolderStore::new(context.connector, on, path, temp))
            }
            StoreLocation::Oci { registry, repository } => {
                Backend::Oci(OciStore::new(registry, repository, context.env, temp))
            }
        };
        Self { backend }
    }

    /// Returns whether an artifact is in the store, complete and undamaged.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn has(&self, digest: &ArtifactDigest) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Folder(store) => store.has(digest),
            Backend::RemoteFolder(store) => store.has(digest),
            Backend::Oci(store) => store.has(digest),
        }
    }

    /// Stores an artifact, unless it is there, complete and undamaged.
    ///
    /// # Errors
    /// The store can't be written to, or the packed file is damaged. The store is then as before.
    pub fn put(&self, packed: &PackedArtifact) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Folder(store) => store.put(packed),
            Backend::RemoteFolder(store) => store.put(packed),
            Backend::Oci(store) => store.put(packed),
        }
    }

    /// Opens an artifact: a gzipped archive whose uncompressed bytes have this digest. All of it was verified.
    ///
    /// # Errors
    /// It is missing, damaged, or can't be read.
    pub fn read(&self, digest: &ArtifactDigest) -> Result<Box<dyn Read + Send>, StoreError> {
        match &self.backend {
            Backend::Folder(store) => Ok(Box::new(store.read(digest)?)),
            Backend::RemoteFolder(store) => Ok(Box::new(store.read(digest)?)),
            Backend::Oci(store) => Ok(Box::new(store.read(digest)?)),
        }
    }

    /// Removes all artifacts but those in `keep` and those that were put less than `min_age` ago, which another
    /// deploy may be about to use. Returns the digests of those that were removed. From a registry nothing is
    /// removed: registries have retention rules of their own, and most of them forbid deleting.
    ///
    /// # Errors
    /// The store can't be read or written to.
    pub fn retain(
        &self,
        keep: &BTreeSet<ArtifactDigest>,
        min_age: Duration,
    ) -> Result<Vec<ArtifactDigest>, StoreError> {
        match &self.backend {
            Backend::Folder(store) => store.retain(keep, min_age),
            Backend::RemoteFolder(store) => store.retain(keep, min_age),
            Backend::Oci(_) => Ok(Vec::new()),
        }
    }
}

impl ArtifactSource for Store {
    fn open(&self, digest: &ArtifactDigest) -> io::Result<Box<dyn Read + Send>> {
        self.read(digest).map_err(io::Error::other)
    }
}
