//! Files written whole or not at all. It must not know what is in them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A file operation that failed, and on what.
#[derive(Debug, thiserror::Error)]
#[error("can't {attempt} {}", path.display())]
pub struct FileError {
    /// What was attempted, as a verb.
    pub attempt: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`.
    pub fn of(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { attempt, path, source }
    }
}

/// How surely a written file outlives a power cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Flushed to the disk before it gets its name.
    Synced,
    /// Left to the operating system: for what can be made again.
    Relaxed,
}

/// Writes `bytes` to `path` by a temporary file in `temp`, which lies on the same file system.
/// Readers see the old file or the new one, never a part.
///
/// # Errors
/// A folder is missing or the disk is full; `path` is then as it was.
pub fn write(path: &Path, bytes: &[u8], temp: &Path, durability: Durability) -> Result<(), FileError> {
    let mut file =
        tempfile::NamedTempFile::new_in(temp).map_err(FileError::of("make a temporary file in", temp))?;
    file.write_all(bytes).map_err(FileError::of("write", path))?;
    if durability == Durability::Synced {
        file.as_file().sync_data().map_err(FileError::of("flush", path))?;
    }
    file.persist(path).map_err(|error| FileError::of("rename into place", path)(error.error))?;
    Ok(())
}

/// Writes `bytes` to `path` by a temporary file beside it, unless something has that name; tells
/// whether it did.
///
/// # Errors
/// The folder can't be written to, or the disk is full.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // As any new file, it may be read by whom the umask lets.
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(FileError::of("make a temporary file in", folder))?;
    file.write_all(bytes).map_err(FileError::of("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FileError::of("rename into place", path)(error.error)),
    }
}

/// Reads a file; `None` if there is none.
///
/// # Errors
/// It is there and can't be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("read", path)(error)),
    }
}

/// Removes a file, or a folder and all in it, even if a task has made folders in it read-only. What is
/// gone already is fine.
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
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of("remove", path)(error)),
        _ => Ok(()),
    }
}

fn make_writable(folder: &Path) {
    // What can't be changed shows when it can't be removed.
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

/// Makes a folder and its parents.
///
/// # Errors
/// It can't be made, or a file has its name.
pub fn make_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::of("make the folder", path))
}

/// Opens a file for appending and makes it if it is missing.
///
/// # Errors
/// It can't be opened.
pub fn open_append(path: &Path) -> Result<File, FileError> {
    File::options().create(true).append(true).open(path).map_err(FileError::of("open", path))
}
