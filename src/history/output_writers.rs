//! Records which run last wrote a task's outputs in a work tree. It does not know the outputs.

use std::path::{Path, PathBuf};

use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, FieldHasher};
use crate::base::file::{self, Durability, FileError};

/// The last writers of a repository: a small file for each task and work tree, written when a task
/// with outputs runs or is restored.
#[derive(Clone, Debug)]
pub struct OutputWriters {
    folder: PathBuf,
}

impl OutputWriters {
    /// Returns the writers in a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("writers") }
    }

    /// Records that `run` is about to write the outputs of `task` in the work tree at `root`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn record(&self, root: &Path, task: &str, run: &str) -> Result<(), FileError> {
        file::make_dir(&self.folder)?;
        file::write(&self.path(root, task), run.as_bytes(), &self.folder, Durability::Relaxed)
    }

    /// Returns whether another run than `run` wrote them at `since` or later.
    pub fn was_other_run_since(&self, root: &Path, task: &str, run: &str, since: Timestamp) -> bool {
        let path = self.path(root, task);
        let Ok(about) = path.metadata() else { return false };
        if about.modified().is_ok_and(|written| written < since.system()) {
            return false;
        }
        // An unreadable file may be that of any run.
        file::read(&path).ok().flatten().is_none_or(|last| last != run.as_bytes())
    }

    fn path(&self, root: &Path, task: &str) -> PathBuf {
        self.folder.join(outputs_id(root, task).short())
    }
}

/// Returns an id for the outputs of a task in the work tree at `root`.
pub fn outputs_id(root: &Path, task: &str) -> Digest {
    let mut fields = FieldHasher::new("taskgate outputs of a work tree");
    fields.add(root.as_os_str().as_encoded_bytes()).add(task.as_bytes());
    fields.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_writer_is_another_run() {
        let dir = tempfile::tempdir().unwrap();
        let writers = OutputWriters::new(dir.path());
        let (root, long_ago, never) = (Path::new("/repo"), Timestamp(0), Timestamp(u64::MAX / 2));
        assert!(!writers.was_other_run_since(root, "gen", "mine", long_ago));
        writers.record(root, "gen", "mine").unwrap();
        assert!(!writers.was_other_run_since(root, "gen", "mine", long_ago));
        writers.record(root, "gen", "theirs").unwrap();
        assert!(writers.was_other_run_since(root, "gen", "mine", long_ago));
        assert!(!writers.was_other_run_since(root, "gen", "mine", never));
        assert!(!writers.was_other_run_since(Path::new("/other"), "gen", "mine", long_ago));
        assert!(!writers.was_other_run_since(root, "use", "mine", long_ago));
    }
}
