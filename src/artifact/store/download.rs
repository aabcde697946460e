//! Verified copies of the objects of a remote store, so that several hosts get an artifact by one download. It
//! must not know where an object comes from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::artifact::store::error::StoreError;
use crate::artifact::store::object::check;
use crate::base::file::{FileError, make_dir};
use crate::deploy::release::ArtifactDigest;

/// Copies of objects in unnamed files.
#[derive(Debug)]
pub(crate) struct Downloads {
    temp: PathBuf,
    copies: Mutex<BTreeMap<ArtifactDigest, Arc<File>>>,
}

impl Downloads {
    /// Puts copies on the disk of the folder `temp`.
    pub(crate) fn new(temp: PathBuf) -> Self {
        Self { temp, copies: Mutex::default() }
    }

    /// Returns an empty file without a name.
    pub(crate) fn new_file(&self) -> Result<File, StoreError> {
        make_dir(&self.temp)?;
        let file = tempfile::tempfile_in(&self.temp);
        Ok(file.map_err(FileError::context("make a temporary file in", &self.temp))?)
    }

    /// Opens the copy of an artifact. If there is none yet, `fetch` writes it, and it is verified. Errors name
    /// `object`.
    pub(crate) fn open(
        &self,
        digest: &ArtifactDigest,
        object: &str,
        fetch: impl FnOnce(&mut File) -> Result<(), StoreError>,
    ) -> Result<Copy, StoreError> {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match copies.get(digest) {
            Some(file) => Arc::clone(file),
            None => {
                let mut file = self.new_file()?;
                fetch(&mut file)?;
                check(&mut file, object, digest)?;
                let file = Arc::new(file);
                copies.insert(digest.clone(), Arc::clone(&file));
                file
            }
        };
        Ok(Copy { file, position: 0 })
    }
}

/// A reader of a file that others read at the same time.
#[derive(Debug)]
pub(crate) struct Copy {
    file: Arc<File>,
    position: u64,
}

impl Read for Copy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}
