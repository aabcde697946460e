//! The survey: what lies in the folder of hooks. It must not know what is wanted there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::base::file::FileError;
use crate::config::stage::Stage;
use crate::hooks::shim::{self, Shim};

/// What ends the name of a hook that was there before ours.
const KEPT: &str = ".before-xtask";

/// What is there for one stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The stage.
    pub stage: Stage,
    /// The hook.
    pub hook: Hook,
    /// What is kept of the hook before.
    pub kept: Kept,
}

/// The hook of a stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// None.
    Absent,
    /// Ours, as it would be written now, and git runs it.
    Ours,
    /// Ours of another version, or git does not run it.
    Stale,
    /// Somebody else's.
    Foreign,
}

/// What is kept of a hook that was there before ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// The very same as the hook that is there: an install was ended half-way.
    Same,
    /// Another hook.
    Other,
}

/// The file of a stage's hook.
pub fn hook_path(folder: &Path, stage: Stage) -> PathBuf {
    folder.join(stage.name())
}

/// The file that keeps a stage's former hook.
pub fn kept_path(folder: &Path, stage: Stage) -> PathBuf {
    folder.join(format!("{}{KEPT}", stage.name()))
}

/// What lies in `folder`, for each stage.
///
/// # Errors
/// A hook can't be read.
pub fn survey(folder: &Path, shim: &Shim) -> Result<Vec<Found>, FileError> {
    Stage::all().map(|stage| look(folder, stage, shim)).collect()
}

fn look(folder: &Path, stage: Stage, shim: &Shim) -> Result<Found, FileError> {
    let hook = read(&hook_path(folder, stage))?;
    let kept = read(&kept_path(folder, stage))?;
    let state = match &hook {
        None => Hook::Absent,
        Some(File { text, .. }) if !shim::is_ours(text) => Hook::Foreign,
        Some(File { text, runs: true }) if *text == shim.text(stage).as_bytes() => Hook::Ours,
        Some(_) => Hook::Stale,
    };
    let kept = match (&kept, &hook) {
        (None, _) => Kept::Nothing,
        (Some(kept), Some(hook)) if kept.text == hook.text => Kept::Same,
        (Some(_), _) => Kept::Other,
    };
    Ok(Found { stage, hook: state, kept })
}

/// A hook's file.
struct File {
    text: Vec<u8>,
    /// Whether git runs it.
    runs: bool,
}

/// `None` if there is none. A link that leads nowhere is a hook that says nothing.
fn read(path: &Path) -> Result<Option<File>, FileError> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    match fs::read(path) {
        Ok(text) => {
            let runs = path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0);
            Ok(Some(File { text, runs }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some(File { text: Vec::new(), runs: false }))
        }
        Err(error) => Err(FileError::of("read the hook", path)(error)),
    }
}
