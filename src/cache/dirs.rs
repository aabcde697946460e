//! The paths of the cache's files below the state directory. It does not know the files' formats.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::base::digest::Digest;
use crate::base::file::{self, FileError};

/// The folders of a cache.
#[derive(Clone, Debug)]
pub(super) struct CacheDirs {
    state: PathBuf,
}

/// The kind of a file of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FileKind {
    /// An entry, named by its key.
    Entry,
    /// A blob, named by the digest of its content.
    Blob,
}

impl FileKind {
    fn folder(self) -> &'static str {
        match self {
            Self::Entry => "entries",
            Self::Blob => "blobs",
        }
    }
}

impl CacheDirs {
    pub(super) fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// Creates the folders that everything else needs.
    pub(super) fn create(&self) -> Result<(), FileError> {
        for folder in ["cache/entries", "cache/blobs", "cache/tmp", "stats", "locks"] {
            file::make_dir(&self.state.join(folder))?;
        }
        Ok(())
    }

    /// Returns the folder for temporary files, on the file system of entries and blobs.
    pub(super) fn temp(&self) -> PathBuf {
        self.state.join("cache/tmp")
    }

    /// Returns the folder for temporary files if it can be written to.
    pub(super) fn writable_temp(&self) -> Option<PathBuf> {
        let temp = self.temp();
        rustix::fs::access(&temp, rustix::fs::Access::WRITE_OK).is_ok().then_some(temp)
    }

    /// Returns the file whose lock separates garbage collection and stores.
    pub(super) fn lock(&self) -> PathBuf {
        self.state.join("cache/lock")
    }

    /// Returns the file with the estimate of the cache's size.
    pub(super) fn size(&self) -> PathBuf {
        self.state.join("cache/size")
    }

    /// Returns the stat table of verified blobs.
    pub(super) fn blob_table(&self) -> PathBuf {
        self.state.join("stats/blobs")
    }

    /// Returns the index of entries.
    pub(super) fn entry_index(&self) -> PathBuf {
        self.state.join("stats/entries")
    }

    /// Returns the stat table of the outputs below `root`.
    pub(super) fn output_table(&self, root: &Path) -> PathBuf {
        let name = Digest::hash(root.as_os_str().as_encoded_bytes()).hex();
        self.state.join("stats").join(format!("{name}.outputs"))
    }

    /// Returns the folder of all stat tables.
    pub(super) fn tables(&self) -> PathBuf {
        self.state.join("stats")
    }

    /// Returns the folder of the locks of keys.
    pub(super) fn key_locks(&self) -> PathBuf {
        self.state.join("locks")
    }

    /// Returns the lock of a key.
    pub(super) fn key_lock(&self, key: &Digest) -> PathBuf {
        self.key_locks().join(key.hex())
    }

    /// Returns the folder of all files of a kind.
    pub(super) fn folder(&self, kind: FileKind) -> PathBuf {
        self.state.join("cache").join(kind.folder())
    }

    /// Returns the file of this kind and name.
    pub(super) fn file(&self, kind: FileKind, name: &Digest) -> PathBuf {
        self.folder(kind).join(Self::name_in_folder(name))
    }

    /// Returns the path of a file relative to the folder of its kind.
    pub(super) fn name_in_folder(name: &Digest) -> String {
        let hex = name.hex();
        format!("{}/{hex}", &hex[..2])
    }

    /// Returns the path of a file relative to the cache, for messages.
    pub(super) fn display_name(kind: FileKind, name: &Digest) -> String {
        format!("{}/{}", kind.folder(), Self::name_in_folder(name))
    }

    /// Lists all files of a kind, in no order. Files with other names are skipped.
    pub(super) fn list(&self, kind: FileKind) -> Result<Vec<(Digest, std::fs::Metadata)>, FileError> {
        let mut all = Vec::new();
        for shard in list_paths(&self.folder(kind))? {
            if !shard.is_dir() {
                continue;
            }
            for path in list_paths(&shard)? {
                let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(Digest::parse)
                else {
                    continue;
                };
                match path.symlink_metadata() {
                    Ok(meta) => all.push((name, meta)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(FileError::context("look at", &path)(error)),
                }
            }
        }
        Ok(all)
    }
}

/// Lists the paths in a folder; a missing folder is empty.
pub(super) fn list_paths(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::context("list", folder)(error)),
    };
    listing.map(|entry| entry.map(|entry| entry.path()).map_err(FileError::context("list", folder))).collect()
}

/// Flushes the folders of these files, each once.
pub(super) fn sync_folders<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<(), FileError> {
    let folders: BTreeSet<&Path> = files.into_iter().filter_map(Path::parent).collect();
    for folder in folders {
        match File::open(folder).and_then(|file| file.sync_all()) {
            // Some file systems, such as those of virtual machines, can't flush a folder.
            Err(error) if !is_unsupported(&error) => return Err(FileError::context("flush", folder)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Returns whether a file system does not know an operation.
fn is_unsupported(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::Unsupported | std::io::ErrorKind::InvalidInput)
}

/// Removes a file. A missing file is not an error.
pub(super) fn remove_file(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::context("remove", path)(error))
        }
        _ => Ok(()),
    }
}
