//! Which files each task wrote as its reports, or had restored as such: they are its own, and may go
//! before it writes them anew. It must not know whether one is there, nor what is in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::ground::digest::Digest;
use crate::ground::file::{self, Durability, FileError};
use crate::ground::path::RepoPath;

/// Paths that are kept of a task. A task that gives its reports ever new names leaves more.
const MOST: usize = 10_000;

/// The reports of all tasks of a repository.
#[derive(Clone, Debug)]
pub struct Written {
    folder: PathBuf,
}

impl Written {
    /// Those below a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("reports") }
    }

    /// What a task is known to have written; of a damaged record, what is whole.
    pub fn of(&self, task: &str) -> BTreeSet<RepoPath> {
        let bytes = file::read(&self.path(task)).ok().flatten().unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == 0).map_or(&[][..], |end| &bytes[..end]);
        whole.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(RepoPath::from_git).collect()
    }

    /// Adds what a task has written.
    ///
    /// # Errors
    /// It can't be written.
    pub fn add(&self, task: &str, paths: &BTreeSet<RepoPath>) -> Result<(), FileError> {
        let mut known = self.of(task);
        if paths.is_subset(&known) {
            return Ok(());
        }
        known.extend(paths.iter().cloned());
        // Of too many, those that were just written are what is likely to lie there the next time.
        let kept = if known.len() > MOST { paths } else { &known };
        let bytes: Vec<u8> = kept.iter().take(MOST).flat_map(|path| [path.bytes(), &[0]].concat()).collect();
        file::make_dir(&self.folder)?;
        file::write(&self.path(task), &bytes, &self.folder, Durability::Relaxed)
    }

    fn path(&self, task: &str) -> PathBuf {
        self.folder.join(Digest::of(task.as_bytes()).short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<RepoPath> {
        names.iter().map(|name| RepoPath::from_git(name.as_bytes())).collect()
    }

    #[test]
    fn what_was_written_once_stays_known_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let written = Written::new(dir.path());
        assert_eq!(written.of("a"), paths(&[]));
        written.add("a", &paths(&["out/a.xml", "out/line\nend.xml"])).unwrap();
        written.add("a", &paths(&["out/b.xml"])).unwrap();
        written.add("b", &paths(&["c"])).unwrap();
        assert_eq!(written.of("a"), paths(&["out/a.xml", "out/line\nend.xml", "out/b.xml"]));
        let many: Vec<String> = (0..MOST).map(|number| number.to_string()).collect();
        let many = paths(&many.iter().map(String::as_str).collect::<Vec<_>>());
        written.add("a", &many).unwrap();
        assert_eq!(written.of("a"), many);
    }

    #[test]
    fn of_a_record_that_was_cut_off_only_whole_paths_count() {
        let dir = tempfile::tempdir().unwrap();
        let written = Written::new(dir.path());
        written.add("a", &paths(&["a.xml", "b.xml"])).unwrap();
        std::fs::write(written.path("a"), b"a.xml\0b.x").unwrap();
        assert_eq!(written.of("a"), paths(&["a.xml"]));
        std::fs::write(written.path("a"), b"a.x").unwrap();
        assert_eq!(written.of("a"), paths(&[]));
    }
}
