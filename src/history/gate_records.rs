//! Records of gates that passed: the facts of a tree, with which later trees are compared. It does
//! not know which trees are compared.
//!
//! Each tree has a folder with a file for each gate, so that simultaneous runs do not conflict.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::quality::evidence::BaselineFacts;

/// The number of trees that are kept. Once there are twice as many, the oldest are removed.
const KEPT: usize = 1000;

/// The records of a repository's gates.
#[derive(Clone, Debug)]
pub struct GateRecords {
    folder: PathBuf,
}

/// The record of one gate, as it is in a file or on a line.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GateRecord {
    /// The gate's name.
    pub gate: String,
    /// The facts of its tree.
    pub record: BaselineFacts,
}

impl GateRecords {
    /// Returns the records in a state directory.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("facts") }
    }

    /// Returns the record of a gate for a tree; `None` if there is none or it can't be read.
    pub fn get(&self, tree: &str, gate: &str) -> Option<BaselineFacts> {
        let bytes = file::read(&self.path(tree, gate)).ok()??;
        let recorded: GateRecord = serde_json::from_slice(&bytes).ok()?;
        (recorded.gate == gate).then_some(recorded.record)
    }

    /// Returns all records of a tree, sorted by the names of the gates.
    pub fn for_tree(&self, tree: &str) -> Vec<GateRecord> {
        let entries = fs::read_dir(self.folder.join(tree)).into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok();
        let mut all: Vec<GateRecord> = entries.filter_map(read).collect();
        all.sort_by(|a, b| a.gate.cmp(&b.gate));
        all
    }

    /// Stores the record of a gate for a tree.
    ///
    /// # Errors
    /// The record can't be written.
    pub fn add(&self, tree: &str, recorded: &GateRecord) -> Result<(), FileError> {
        let path = self.path(tree, &recorded.gate);
        let folder = self.folder.join(tree);
        file::make_dir(&folder)?;
        let text = serde_json::to_vec(recorded)
            .map_err(|error| FileError::context("write", &path)(std::io::Error::other(error)))?;
        file::write(&path, &text, &folder, Durability::Relaxed)?;
        self.prune();
        Ok(())
    }

    fn path(&self, tree: &str, gate: &str) -> PathBuf {
        self.folder.join(tree).join(Digest::hash(gate.as_bytes()).short())
    }

    /// Removes the oldest trees if there are too many. Errors are ignored.
    fn prune(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut trees: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        if trees.len() <= 2 * KEPT {
            return;
        }
        trees.sort_by_cached_key(|path| path.metadata().and_then(|of| of.modified()).ok());
        for old in &trees[..trees.len() - KEPT] {
            let _ = fs::remove_dir_all(old);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(gate: &str, tests: u64) -> GateRecord {
        GateRecord {
            gate: gate.to_owned(),
            record: BaselineFacts { tests: Some(tests), ..BaselineFacts::default() },
        }
    }

    #[test]
    fn gate_finds_its_record_of_a_tree() {
        let dir = tempfile::tempdir().unwrap();
        let records = GateRecords::new(dir.path());
        assert_eq!(records.get("tree", "quality"), None);
        records.add("tree", &recorded("quality", 1)).unwrap();
        records.add("tree", &recorded("quality", 2)).unwrap();
        records.add("tree", &recorded("api:quality", 3)).unwrap();
        assert_eq!(records.get("tree", "quality").and_then(|record| record.tests), Some(2));
        assert_eq!(records.get("other", "quality"), None);
        let all: Vec<String> = records.for_tree("tree").into_iter().map(|one| one.gate).collect();
        assert_eq!(all, ["api:quality", "quality"]);
    }

    #[test]
    fn damaged_record_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let records = GateRecords::new(dir.path());
        records.add("tree", &recorded("quality", 1)).unwrap();
        fs::write(records.path("tree", "quality"), "{").unwrap();
        assert_eq!(records.get("tree", "quality"), None);
        assert_eq!(records.for_tree("tree"), []);
    }

    #[test]
    fn oldest_trees_are_removed_beyond_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let records = GateRecords::new(dir.path());
        for tree in 0..=2 * KEPT {
            fs::create_dir_all(records.folder.join(tree.to_string())).unwrap();
        }
        records.add("newest", &recorded("quality", 1)).unwrap();
        assert_eq!(fs::read_dir(&records.folder).unwrap().count(), KEPT);
        assert!(records.get("newest", "quality").is_some());
    }
}
