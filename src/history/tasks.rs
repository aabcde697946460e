//! What is remembered of each task: its durations, the keys with which it last passed, and the key
//! with which it last failed. If it is lost, only scheduling and the reasons of misses become worse.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;
use crate::base::file::{self, Durability, FileError};
use crate::base::lock::FileLock;

/// The number of durations and keys that are kept for each task.
const KEPT: usize = 5;

/// The history of a task. Each list is newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskHistory {
    /// The durations of executions that passed, in milliseconds.
    pub took: Vec<u64>,
    /// The keys under which results were stored.
    pub keys: Vec<String>,
    /// The key of the last execution, if that one failed.
    pub failed: Option<String>,
}

/// An execution, to be added to a task's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedExecution {
    /// The key, if the task has one.
    pub key: Option<Digest>,
    /// The result.
    pub end: ExecutionEnd,
}

/// The result of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionEnd {
    /// It passed and was stored.
    Stored {
        /// The duration in milliseconds.
        took: u64,
    },
    /// It passed and was not stored.
    Passed {
        /// The duration in milliseconds.
        took: u64,
    },
    /// It failed.
    Failed,
}

/// The histories of all tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    tasks: BTreeMap<String, TaskHistory>,
}

impl History {
    /// Loads the history from a state directory. A missing or damaged one is empty.
    pub fn load(state: &Path) -> Self {
        let bytes = file::read(&path(state)).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Returns the history of a task.
    pub fn task(&self, name: &str) -> Option<&TaskHistory> {
        self.tasks.get(name)
    }

    /// Returns the expected duration of a task, in milliseconds: the median of the known ones.
    pub fn expected(&self, name: &str) -> Option<u64> {
        let mut took = self.task(name)?.took.clone();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }

    /// Returns the expected duration of each task, in milliseconds, by its name.
    pub fn timings(&self) -> BTreeMap<String, u64> {
        self.tasks.keys().filter_map(|name| Some((name.clone(), self.expected(name)?))).collect()
    }

    /// Adds executions to the stored history, which other runs may have changed in the meantime.
    ///
    /// # Errors
    /// The file can't be locked or written.
    pub fn add(state: &Path, executions: &[(String, RecordedExecution)]) -> Result<(), FileError> {
        let _lock = match FileLock::exclusive(&state.join("history.lock")) {
            // At worst the executions of one of two simultaneous runs are lost.
            Err(error) if FileLock::is_unsupported(&error) => None,
            lock => Some(lock?),
        };
        let mut history = Self::load(state);
        for (name, execution) in executions {
            history.tasks.entry(name.clone()).or_default().add(execution);
        }
        let bytes = serde_json::to_vec(&history).unwrap_or_default();
        file::write(&path(state), &bytes, state, Durability::Relaxed)
    }
}

/// The history of a state directory, loaded at the first use: a run of hits does not need it.
#[derive(Debug, Default)]
pub struct LazyHistory {
    state: Option<PathBuf>,
    history: OnceLock<History>,
}

impl LazyHistory {
    /// Returns the history of a state directory, or an empty one without it.
    pub fn new(state: Option<PathBuf>) -> Self {
        Self { state, history: OnceLock::new() }
    }

    /// Returns the history.
    pub fn get(&self) -> &History {
        self.history.get_or_init(|| self.state.as_deref().map(History::load).unwrap_or_default())
    }
}

impl TaskHistory {
    fn add(&mut self, execution: &RecordedExecution) {
        let key = execution.key.map(|key| key.hex());
        match execution.end {
            ExecutionEnd::Stored { took } => {
                push(&mut self.took, took);
                if let Some(key) = key {
                    self.keys.retain(|known| *known != key);
                    push(&mut self.keys, key);
                }
                self.failed = None;
            }
            ExecutionEnd::Passed { took } => {
                push(&mut self.took, took);
                self.failed = None;
            }
            ExecutionEnd::Failed => self.failed = key,
        }
    }
}

fn push<T>(list: &mut Vec<T>, value: T) {
    list.insert(0, value);
    list.truncate(KEPT);
}

fn path(state: &Path) -> PathBuf {
    state.join("history.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_merged_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for took in 1..=7 {
            let key = Digest::hash(&[u8::try_from(took).unwrap()]);
            let execution = RecordedExecution { key: Some(key), end: ExecutionEnd::Stored { took } };
            History::add(dir.path(), &[("a".to_owned(), execution)]).unwrap();
        }
        let failed = RecordedExecution { key: Some(Digest::hash(b"x")), end: ExecutionEnd::Failed };
        History::add(dir.path(), &[("a".to_owned(), failed)]).unwrap();
        let history = History::load(dir.path());
        let past = history.task("a").unwrap();
        assert_eq!(past.took, [7, 6, 5, 4, 3]);
        assert_eq!(past.keys.len(), 5);
        assert_eq!(past.failed, Some(Digest::hash(b"x").hex()));
        assert_eq!(history.expected("a"), Some(5));
        assert_eq!(history.expected("b"), None);
    }

    #[test]
    fn damaged_history_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), b"{\"tasks\":").unwrap();
        assert_eq!(History::load(dir.path()), History::default());
    }
}
