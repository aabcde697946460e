//! The files of a folder that is no repository, near its top. It must not know what is in them.

use std::path::Path;

use crate::base::file::FileError;
use crate::init::survey::is_seen;

/// The paths of files below `root`, sorted. What is too deep, hidden or nobody's own is left out, and
/// so is what can't be read, and names that are no text.
///
/// # Errors
/// `root` itself can't be listed.
pub fn files(root: &Path) -> Result<Vec<String>, FileError> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let place = root.join(&folder);
        let entries = match std::fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if folder.is_empty() => return Err(FileError::of("list", &place)(error)),
            Err(_) => continue,
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            // A symlink to a folder may lead round in a circle.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && is_seen(&path) => folders.push(path),
                Ok(kind) if !kind.is_dir() => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}
