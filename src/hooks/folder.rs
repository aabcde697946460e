//! Changes the files in the hooks folder, so that after a kill at any moment either the old hook or the
//! new one exists. This module does not decide what to change.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::base::file::{self, FileError};
use crate::hooks::change::{HookAction, HookChange};
use crate::hooks::shim::Shim;
use crate::hooks::survey::{hook_path, kept_path};

/// Applies a change.
///
/// # Errors
/// Fails if a file can't be written, renamed or removed.
pub fn apply(folder: &Path, change: &HookChange, shim: &Shim) -> Result<(), FileError> {
    let hook = hook_path(folder, change.stage);
    let kept = kept_path(folder, change.stage);
    match change.action {
        HookAction::Nothing | HookAction::Conflict => Ok(()),
        HookAction::Write => write(folder, &hook, &shim.text(change.stage)),
        HookAction::KeepAndWrite => {
            // A hard link keeps files and symlinks exactly as they are. Some file systems don't support it.
            fs::hard_link(&hook, &kept)
                .or_else(|_| copy(&hook, &kept))
                .map_err(FileError::context("keep", &hook))?;
            write(folder, &hook, &shim.text(change.stage))
        }
        HookAction::Remove => fs::remove_file(&hook).map_err(FileError::context("remove", &hook)),
        HookAction::Restore => {
            // If both names are hard links to the same file, a rename does nothing and leaves both.
            let is_same = fs::read(&hook).ok().zip(fs::read(&kept).ok()).is_some_and(|(a, b)| a == b);
            if is_same {
                fs::remove_file(&kept).map_err(FileError::context("remove", &kept))
            } else {
                fs::rename(&kept, &hook).map_err(FileError::context("restore", &hook))
            }
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.symlink_metadata()?.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to).map(drop)
}

fn write(folder: &Path, path: &Path, text: &str) -> Result<(), FileError> {
    file::make_dir(folder)?;
    let of = |error| FileError::context("write", path)(error);
    let mut temp = tempfile::Builder::new()
        .prefix(".taskgate-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempfile_in(folder)
        .map_err(of)?;
    temp.write_all(text.as_bytes()).map_err(of)?;
    // Set the mode again: the umask may have removed the permission to execute, which git needs.
    temp.as_file().set_permissions(fs::Permissions::from_mode(0o755)).map_err(of)?;
    temp.as_file().sync_data().map_err(of)?;
    temp.persist(path).map(drop).map_err(|error| of(error.error))
}
