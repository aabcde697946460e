//! The outputs of a task as files that can be read: those of its cache entry, or of a folder in which it ran.
//! It must not know what becomes of them.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::base::file::{FileError, remove_all};
use crate::base::pattern::Patterns;
use crate::cache::{Cache, CacheError, Entry, Output, RestoreError};

/// The outputs of a task, and a folder with their contents.
#[derive(Debug)]
pub struct TaskOutputs {
    root: Root,
    outputs: Vec<Output>,
}

#[derive(Debug)]
enum Root {
    Folder(PathBuf),
    Restored(TempDir),
}

/// Why the outputs of a task can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    /// The entry can't be restored.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The outputs can't be read.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Declared outputs don't exist.
    #[error("nothing matches the declared output {}", .0.join(", "))]
    Unmatched(Vec<String>),
    /// There are none.
    #[error("the task has no outputs; hint: declare them with `outputs`")]
    None,
}

impl TaskOutputs {
    /// Restores the outputs of a cache entry into a folder below `temp`. `patterns` are those of the task.
    ///
    /// # Errors
    /// The entry is damaged, the disk is full, or there are no outputs.
    pub fn from_entry(
        cache: &Cache,
        entry: &Entry,
        patterns: &Patterns,
        temp: &Path,
    ) -> Result<Self, OutputsError> {
        let dir = tempfile::Builder::new().prefix("artifact-").tempdir_in(temp);
        let dir = dir.map_err(FileError::context("make a temporary folder in", temp))?;
        cache.restore(dir.path(), patterns, entry, &|_| false)?;
        Self::new(Root::Restored(dir), entry.outputs().cloned().collect())
    }

    /// Uses what matches `patterns` in the folder in which a task without stored result ran.
    ///
    /// # Errors
    /// An output can't be read, is a socket, pipe or device, or is missing.
    pub fn from_folder(cache: &Cache, root: &Path, patterns: &Patterns) -> Result<Self, OutputsError> {
        let found = cache.collect(root, patterns)?;
        if !found.unmatched().is_empty() {
            return Err(OutputsError::Unmatched(found.unmatched().to_vec()));
        }
        Self::new(Root::Folder(root.to_owned()), found.outputs().to_vec())
    }

    fn new(root: Root, outputs: Vec<Output>) -> Result<Self, OutputsError> {
        if outputs.is_empty() { Err(OutputsError::None) } else { Ok(Self { root, outputs }) }
    }

    /// Returns the outputs, sorted by the bytes of their paths.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Opens an output that is a file. Its content may have changed since it was collected.
    pub(crate) fn open(&self, output: &Output) -> Result<File, FileError> {
        let root = match &self.root {
            Root::Folder(path) => path,
            Root::Restored(dir) => dir.path(),
        };
        let path = output.path.under(root);
        File::open(&path).map_err(FileError::context("read", &path))
    }
}

impl Drop for TaskOutputs {
    fn drop(&mut self) {
        if let Root::Restored(dir) = &self.root {
            // Outputs may be folders that nobody may write to, which a `TempDir` can't remove.
            let _ = remove_all(dir.path());
        }
    }
}
