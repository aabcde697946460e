//! Reads and writes the text files of a repository. It must not know what is in them.

use std::path::Path;

use crate::base::file::{self, Durability, FileError};
use crate::cli::failure::Failure;

/// Returns the text of a file. A file that is not UTF-8 was not written by us, and is shown as well as
/// possible.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    Ok(file::read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Writes a file. An existing one keeps its permissions.
pub(super) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("."));
    file::make_dir(folder)?;
    if file::write_new(path, text.as_bytes())? {
        return Ok(());
    }
    let kept = std::fs::metadata(path).map_err(FileError::context("look at", path))?.permissions();
    file::write(path, text.as_bytes(), folder, Durability::Synced)?;
    std::fs::set_permissions(path, kept).map_err(FileError::context("set the permissions of", path))?;
    Ok(())
}
