//! The names of objects, and what makes an object valid. It must not know how objects are kept.

use std::fs::File;
use std::io::Seek as _;
use std::path::Path;

use crate::artifact::archive::{PackedArtifact, find_damage};
use crate::artifact::store::error::StoreError;
use crate::base::file::FileError;
use crate::deploy::release::ArtifactDigest;

/// The end of an object's name.
const SUFFIX: &str = ".tar.gz";
/// The beginning of the names of objects that are not complete.
pub(crate) const INCOMPLETE: &str = ".new-";

/// Returns the name of an object in a folder.
pub(crate) fn object_name(digest: &ArtifactDigest) -> Result<String, StoreError> {
    if digest.is_valid() {
        Ok(format!("{}{SUFFIX}", digest.hex()))
    } else {
        Err(StoreError::InvalidDigest(digest.clone()))
    }
}

/// Returns the digest of the object with this name, or `None` if it is no object.
pub(crate) fn object_digest(name: &str) -> Option<ArtifactDigest> {
    let digest = ArtifactDigest(format!("sha256:{}", name.strip_suffix(SUFFIX)?));
    digest.is_valid().then_some(digest)
}

/// Fails if a file is not the gzipped archive of this digest. Afterwards the file is at its beginning. Errors
/// name `object`.
pub(crate) fn check(file: &mut File, object: &str, digest: &ArtifactDigest) -> Result<(), StoreError> {
    let read = |source| FileError::context("read", Path::new(object))(source);
    file.rewind().map_err(read)?;
    if let Some(damage) = find_damage(&*file, digest).map_err(read)? {
        return Err(StoreError::Damaged { object: object.to_owned(), damage });
    }
    file.rewind().map_err(read)?;
    Ok(())
}

/// Fails if the file of a packed artifact is damaged.
pub(crate) fn check_packed(packed: &PackedArtifact) -> Result<(), StoreError> {
    check(&mut packed.open()?, &packed.path().display().to_string(), packed.digest())
}
