//! Reads which hooks are in the hooks folder. This module does not know which hooks are wanted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::base::file::FileError;
use crate::config::hook_stage::Stage;
use crate::hooks::managers::{self, Manager};
use crate::hooks::shim::{self, Shim};

/// The ending of the name under which an earlier hook is kept.
const KEPT: &str = ".before-xtask";

/// The hooks that exist for one stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StageHooks {
    /// The stage.
    pub stage: Stage,
    /// The state of the hook that git runs.
    pub hook: Hook,
    /// The state of the kept hook.
    pub kept: KeptHook,
}

/// The state of a stage's hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// There is no hook.
    Absent,
    /// Our hook, up to date and executable.
    Ours,
    /// Our hook, but with another text than it would get now, or not executable.
    Stale,
    /// A hook that we did not write and that calls ours.
    Calling,
    /// A hook that we did not write.
    Foreign,
}

/// The state of the earlier hook that was kept when ours was installed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeptHook {
    /// No hook is kept.
    Nothing,
    /// The kept hook equals the current one, because an install was interrupted.
    Same,
    /// The kept hook differs from the current one, or there is no current one.
    Other,
}

/// Returns the path of a stage's hook.
pub fn hook_path(folder: &Path, stage: Stage) -> PathBuf {
    folder.join(stage.name())
}

/// Returns the path of a stage's kept hook.
pub fn kept_path(folder: &Path, stage: Stage) -> PathBuf {
    folder.join(format!("{}{KEPT}", stage.name()))
}

/// Returns the state of the hooks in `folder`, for each stage.
///
/// # Errors
/// Fails if a hook can't be read.
pub fn survey(folder: &Path, shim: &Shim, managers: &[Manager]) -> Result<Vec<StageHooks>, FileError> {
    Stage::all().map(|stage| survey_stage(folder, stage, shim, managers)).collect()
}

/// Returns the state of the hooks in `folder` for one stage.
///
/// # Errors
/// Fails if a hook can't be read.
pub fn survey_stage(
    folder: &Path,
    stage: Stage,
    shim: &Shim,
    managers: &[Manager],
) -> Result<StageHooks, FileError> {
    let hook = read(&hook_path(folder, stage))?;
    let kept = read(&kept_path(folder, stage))?;
    let state = match &hook {
        None => Hook::Absent,
        Some(HookFile { text, runs }) if !shim::is_ours(text) => {
            let text = String::from_utf8_lossy(text);
            let by_manager = |one: &Manager| one.wrote(&text) && one.calls(stage, |_| None);
            // pre-commit calls the hook that it found.
            let legacy = read(&folder.join(format!("{}.legacy", stage.name())))?;
            let is_legacy = legacy.is_some_and(|legacy| legacy.runs && shim::is_ours(&legacy.text));
            let is_calling = managers::calls(&text, stage)
                || managers.iter().any(by_manager)
                || is_legacy && text.contains("pre-commit");
            if *runs && is_calling { Hook::Calling } else { Hook::Foreign }
        }
        Some(HookFile { text, runs: true }) if *text == shim.text(stage).as_bytes() => Hook::Ours,
        Some(_) => Hook::Stale,
    };
    let kept = match (&kept, &hook) {
        (None, _) => KeptHook::Nothing,
        (Some(kept), Some(hook)) if kept.text == hook.text => KeptHook::Same,
        (Some(_), _) => KeptHook::Other,
    };
    Ok(StageHooks { stage, hook: state, kept })
}

/// The file of a hook.
struct HookFile {
    text: Vec<u8>,
    /// Whether it is executable, so that git runs it.
    runs: bool,
}

/// Reads a hook, or returns `None` if there is none. A dangling symlink counts as an empty hook.
fn read(path: &Path) -> Result<Option<HookFile>, FileError> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    match fs::read(path) {
        Ok(text) => {
            let runs = path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0);
            Ok(Some(HookFile { text, runs }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Some(HookFile { text: Vec::new(), runs: false }))
        }
        Err(error) => Err(FileError::context("read the hook", path)(error)),
    }
}
