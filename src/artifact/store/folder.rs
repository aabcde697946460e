//! A store in a folder of this machine. It must not know which artifacts are needed.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::artifact::archive::PackedArtifact;
use crate::artifact::store::error::StoreError;
use crate::artifact::store::object::{INCOMPLETE, check, object_digest, object_name};
use crate::base::clock::Clock;
use crate::base::file::{FileError, make_dir};
use crate::deploy::release::ArtifactDigest;

/// What a killed process left is removed after this time.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A store in a folder.
#[derive(Debug)]
pub(crate) struct FolderStore {
    folder: PathBuf,
    clock: Clock,
}

impl FolderStore {
    pub(crate) fn new(folder: PathBuf, clock: &Clock) -> Self {
        Self { folder, clock: clock.clone() }
    }

    pub(crate) fn has(&self, digest: &ArtifactDigest) -> Result<bool, StoreError> {
        match self.read(digest) {
            Ok(_) => Ok(true),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn read(&self, digest: &ArtifactDigest) -> Result<File, StoreError> {
        let path = self.folder.join(object_name(digest)?);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let store = self.folder.display().to_string();
                return Err(StoreError::Missing { store, digest: digest.clone() });
            }
            Err(error) => return Err(FileError::context("read", &path)(error).into()),
        };
        check(&mut file, &path.display().to_string(), digest)?;
        Ok(file)
    }

    pub(crate) fn put(&self, packed: &PackedArtifact) -> Result<(), StoreError> {
        let path = self.folder.join(object_name(packed.digest())?);
        if let Ok(file) = self.read(packed.digest()) {
            // It counts as new, so that nobody removes it before it is used. A folder that belongs to another
            // user does not allow this.
            let _ = file.set_modified(self.clock.now().system());
            return Ok(());
        }
        make_dir(&self.folder)?;
        let write = |source| FileError::context("write to", &self.folder)(source);
        // The umask decides who may read it.
        let mut builder = tempfile::Builder::new();
        builder.prefix(INCOMPLETE).permissions(Permissions::from_mode(0o666));
        let mut new = builder.tempfile_in(&self.folder).map_err(write)?;
        io::copy(&mut packed.open()?, new.as_file_mut()).map_err(write)?;
        check(new.as_file_mut(), &packed.path().display().to_string(), packed.digest())?;
        new.as_file().sync_all().map_err(write)?;
        new.persist(&path).map_err(|error| write(error.error))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(write)?;
        Ok(())
    }

    pub(crate) fn retain(
        &self,
        keep: &BTreeSet<ArtifactDigest>,
        min_age: Duration,
    ) -> Result<Vec<ArtifactDigest>, StoreError> {
        let list = FileError::context("list", &self.folder);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(list)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(list(error).into()),
        };
        let now = self.clock.now().system();
        let mut removed = Vec::new();
        for entry in entries {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let digest = object_digest(name);
            let oldest = match &digest {
                Some(digest) if !keep.contains(digest) => min_age,
                None if name.starts_with(INCOMPLETE) => ABANDONED,
                _ => continue,
            };
            let path = entry.path();
            let modified = match entry.metadata().and_then(|meta| meta.modified()) {
                Ok(modified) => modified,
                // Somebody else has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(FileError::context("look at", &path)(error).into()),
            };
            if now.duration_since(modified).unwrap_or_default() < oldest {
                continue;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::context("remove", &path)(error).into());
                }
                _ => removed.extend(digest),
            }
        }
        removed.sort_unstable();
        Ok(removed)
    }
}
