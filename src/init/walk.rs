//! Lists the files of a folder that is not a repository, near its top. It must not read them.

use std::path::Path;

use crate::base::file::FileError;
use crate::init::survey::is_searched;

/// Returns the paths of files below `root`, sorted. Left out are files that are too deep, hidden or code of
/// others, what can't be read, and names that are not text.
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
            Err(error) if folder.is_empty() => return Err(FileError::context("list", &place)(error)),
            Err(_) => continue,
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            // A symlink to a folder may lead back to a folder above.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && is_searched(&path) => folders.push(path),
                Ok(kind) if !kind.is_dir() => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}
