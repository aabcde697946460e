//! Files that are written completely or not at all. This module must not know what is in them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A failed file operation and its path.
#[derive(Debug, thiserror::Error)]
#[error("can't {attempt} {}", path.display())]
pub struct FileError {
    /// What was attempted, as a verb.
    pub attempt: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

impl FileError {
    /// Returns a function for `map_err` that adds the attempt and the path.
    pub fn context(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { attempt, path, source }
    }
}

/// Whether a written file must survive a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It is flushed to the disk before it gets its name.
    Synced,
    /// The operating system decides when to flush it. This is for files that can be created again.
    Relaxed,
}

/// Writes `bytes` to `path` through a temporary file in `temp`, which must be on the same file
/// system. Readers see either the old file or the new one, never a part of it.
///
/// # Errors
/// A folder is missing or the disk is full. `path` is then unchanged.
pub fn write(path: &Path, bytes: &[u8], temp: &Path, durability: Durability) -> Result<(), FileError> {
    let mut file = tempfile::NamedTempFile::new_in(temp)
        .map_err(FileError::context("make a temporary file in", temp))?;
    file.write_all(bytes).map_err(FileError::context("write", path))?;
    if durability == Durability::Synced {
        file.as_file().sync_data().map_err(FileError::context("flush", path))?;
    }
    file.persist(path).map_err(|error| FileError::context("rename into place", path)(error.error))?;
    Ok(())
}

/// Writes `bytes` to `path` through a temporary file next to it, unless `path` exists. Returns
/// whether it was written.
///
/// # Errors
/// The folder can't be written to, or the disk is full.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // The umask decides who may read the file, as for any new file.
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(FileError::context("make a temporary file in", folder))?;
    file.write_all(bytes).map_err(FileError::context("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FileError::context("rename into place", path)(error.error)),
    }
}

/// Reads a file. Returns `None` if it does not exist.
///
/// # Errors
/// It exists but can't be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::context("read", path)(error)),
    }
}

/// Removes a file, or a folder with all its contents, even if a task made folders in it read-only.
/// A missing path is not an error.
///
/// # Errors
/// Something in it can't be removed.
pub fn remove_all(path: &Path) -> Result<(), FileError> {
    let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let removed = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    let removed = match removed {
        Err(error) if is_dir && error.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::context("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn make_writable(folder: &Path) {
    // If the permissions can't be changed, the removal fails and reports it.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// It can't be created, or a file has its name.
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::context("make the folder", path))
}

/// Opens a file for appending, and creates it if it is missing.
///
/// # Errors
/// It can't be opened.
pub fn open_append(path: &Path) -> Result<File, FileError> {
    File::options().create(true).append(true).open(path).map_err(FileError::context("open", path))
}
