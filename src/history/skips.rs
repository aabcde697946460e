//! Skips: gates that were bypassed with a reason, one line of JSON each, in `<state>/skips.jsonl`. It
//! does not decide what may be skipped.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::base::file::{self, FileError};

/// A gate that was bypassed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Skip {
    /// The time.
    pub at: Timestamp,
    /// The user, as named by git's configuration or the system.
    #[serde(alias = "who")]
    pub user: String,
    /// The git hook.
    pub stage: String,
    /// The reason that the user gave.
    pub reason: String,
    /// The trees that were not checked.
    #[serde(alias = "what")]
    pub trees: Vec<SkippedTree>,
}

/// A tree that a bypassed gate would have checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SkippedTree {
    /// The tree's id.
    pub tree: String,
    /// The commit's id, if the tree is that of a commit.
    pub commit: Option<String>,
    /// The refs that were pushed.
    pub refs: Vec<String>,
}

/// The skips of a repository.
#[derive(Clone, Debug)]
pub struct Skips {
    path: PathBuf,
    state: PathBuf,
}

impl Skips {
    /// Returns the skips in a state directory.
    pub fn new(state: &Path) -> Self {
        Self { path: state.join("skips.jsonl"), state: state.to_owned() }
    }

    /// Adds a skip.
    ///
    /// # Errors
    /// The skip can't be written. A bypass must leave a record.
    pub fn add(&self, skip: &Skip) -> Result<(), FileError> {
        file::make_dir(&self.state)?;
        let mut line = serde_json::to_vec(skip)
            .map_err(|error| FileError::context("write", &self.path)(std::io::Error::other(error)))?;
        line.push(b'\n');
        let mut file = file::open_append(&self.path)?;
        // One write, so that two simultaneous ones do not mix.
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(FileError::context("write", &self.path))
    }

    /// Returns all skips, oldest first. A line that can't be read is skipped.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn all(&self) -> Result<Vec<Skip>, FileError> {
        let bytes = file::read(&self.path)?.unwrap_or_default();
        let lines = bytes.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_skips_are_read_and_damaged_lines_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let skips = Skips::new(&dir.path().join("state"));
        assert_eq!(skips.all().unwrap(), []);
        let skip = |reason: &str| Skip {
            at: Timestamp(5),
            user: "A <a@example.com>".to_owned(),
            stage: "pre-push".to_owned(),
            reason: reason.to_owned(),
            trees: vec![SkippedTree {
                tree: "t".to_owned(),
                commit: Some("c".to_owned()),
                refs: vec!["refs/heads/main".to_owned()],
            }],
        };
        skips.add(&skip("one\ntwo")).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join("state/skips.jsonl"))
            .unwrap()
            .write_all(b"{\"half\n")
            .unwrap();
        skips.add(&skip("three")).unwrap();
        assert_eq!(skips.all().unwrap(), [skip("one\ntwo"), skip("three")]);
    }
}
