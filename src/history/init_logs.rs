//! The results of the tasks that `xtask init` left out, with their logs, one line of JSON each, in
//! `<state>/init.jsonl`. It does not know how they are displayed.

use std::path::Path;

use crate::base::file::{self, Durability, FileError};
use crate::event::TaskFinished;

const FILE: &str = "init.jsonl";

/// Replaces the recorded results.
///
/// # Errors
/// The file can't be written.
pub fn write(state: &Path, results: &[TaskFinished]) -> Result<(), FileError> {
    file::make_dir(state)?;
    // Results consist of texts and numbers, so they can always be written as JSON.
    let lines = results.iter().filter_map(|result| serde_json::to_string(result).ok());
    let text: String = lines.map(|line| line + "\n").collect();
    file::write(&state.join(FILE), text.as_bytes(), state, Durability::Relaxed)
}

/// Returns the recorded results; `None` if nothing is recorded. A line that this version does not know is
/// skipped.
///
/// # Errors
/// The file can't be read.
pub fn read(state: &Path) -> Result<Option<Vec<TaskFinished>>, FileError> {
    let Some(bytes) = file::read(&state.join(FILE))? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
}
