//! Hooks in a folder that another program or a person keeps, named by `core.hooksPath`: whether git reaches our
//! hook from there, and what to do if not. It must not write to the folder.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::hook_stage::Stage;
use crate::hooks::managers::{call_line, calls};
use crate::hooks::shim;

/// Why git does not reach our hook from a foreign folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bypass {
    /// The hook does not call ours.
    NoCall {
        /// The file that a person edits.
        file: PathBuf,
        /// Whether it exists.
        exists: bool,
    },
    /// The hook calls ours, but git can't run it.
    NotExecutable(PathBuf),
    /// The file of husky is missing that git runs, and that calls the hook.
    NoHuskyFile(PathBuf),
}

impl Bypass {
    /// Returns what to do. `show` formats a path.
    pub fn advice(&self, stage: Stage, show: impl Fn(&Path) -> String) -> String {
        match self {
            Self::NoCall { .. } => format!("{}: {}", self.place(show), call_line(stage)),
            Self::NotExecutable(_) | Self::NoHuskyFile(_) => self.place(show),
        }
    }

    /// Returns what to do, without the line to add.
    pub fn place(&self, show: impl Fn(&Path) -> String) -> String {
        match self {
            Self::NoCall { file, exists: true } => format!("add to {}", show(file)),
            Self::NoCall { file, exists: false } => format!("create {}", show(file)),
            Self::NotExecutable(file) => {
                let file = show(file);
                format!("{file} is not executable; run chmod +x {file}")
            }
            Self::NoHuskyFile(file) => format!("{} is missing; run npm install (or npx husky)", show(file)),
        }
    }
}

/// Returns why git does not reach our hook from the foreign `folder`; `None` if it does.
pub fn bypass(folder: &Path, stage: Stage) -> Option<Bypass> {
    let husky = husky_folder(folder);
    let file = husky.unwrap_or(folder).join(stage.name());
    let text = fs::read(&file);
    let is_calling = |text: &Vec<u8>| calls(&String::from_utf8_lossy(text), stage) || shim::is_ours(text);
    if !text.as_ref().is_ok_and(is_calling) {
        return Some(Bypass::NoCall { file, exists: text.is_ok() });
    }
    // Git runs this one. husky's calls the other, which need not be executable.
    let run = folder.join(stage.name());
    match run.metadata() {
        Err(_) => Some(Bypass::NoHuskyFile(run)),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => Some(Bypass::NotExecutable(run)),
        Ok(_) => None,
    }
}

/// Returns the folder with the hooks that a person edits, if git runs those that husky has written below it.
fn husky_folder(folder: &Path) -> Option<&Path> {
    folder.parent().filter(|_| folder.file_name().is_some_and(|name| name == "_"))
}
