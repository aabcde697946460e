//! The mark on a private worktree in which tasks run: as long as it is there, what they leave may have
//! been made of files of the user's work tree. It must not know whether it was.

use std::path::Path;

use crate::base::file::{self, Durability, FileError};

/// The file in the private worktree's git folder.
const MARK: &str = "taskgate-unchecked";

/// Whether the mark was left: by a kill, or since tasks opened files of the work tree.
pub fn is_set(git_dir: &Path) -> bool {
    git_dir.join(MARK).symlink_metadata().is_ok()
}

/// Sets the mark.
///
/// # Errors
/// It can't be written.
pub fn set(git_dir: &Path) -> Result<(), FileError> {
    file::write(&git_dir.join(MARK), b"", git_dir, Durability::Relaxed)
}

/// Removes the mark.
///
/// # Errors
/// It can't be removed.
pub fn clear(git_dir: &Path) -> Result<(), FileError> {
    let mark = git_dir.join(MARK);
    match std::fs::remove_file(&mark) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::of("remove", &mark)(error))
        }
        _ => Ok(()),
    }
}
