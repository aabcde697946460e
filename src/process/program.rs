//! The program that a name means, looked up in a given PATH. It must not know who is looking, nor
//! remember what it found.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a name is no program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProgramError {
    /// No folder of PATH has it.
    #[error("there is no program `{}` in PATH", .0.display())]
    Unknown(PathBuf),
    /// No file has the path.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// The path is a folder's.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The file may not be executed.
    #[error("{} is not executable; make it so with chmod +x", .0.display())]
    NotExecutable(PathBuf),
}

/// The absolute path of the program `name`. With a slash it is a path taken from `dir`; without one
/// it is searched in the folders of `path`, of which relative ones are taken from `dir` too.
///
/// # Errors
/// There is none, or the nearest candidate can't be executed.
pub fn find_program(name: &OsStr, path: Option<&OsStr>, dir: &Path) -> Result<PathBuf, ProgramError> {
    if name.as_bytes().contains(&b'/') {
        let candidate = dir.join(name);
        return check(&candidate).map(|()| candidate);
    }
    let unknown = || ProgramError::Unknown(PathBuf::from(name));
    if name.is_empty() {
        return Err(unknown());
    }
    let mut nearest = None;
    for folder in path.into_iter().flat_map(|path| path.as_bytes().split(|byte| *byte == b':')) {
        let candidate = dir.join(OsStr::from_bytes(folder)).join(name);
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error @ ProgramError::NotExecutable(_)) => nearest = nearest.or(Some(error)),
            Err(_) => {}
        }
    }
    Err(nearest.unwrap_or_else(unknown))
}

/// Whether a file can be executed, as far as can be told without doing so.
pub(super) fn check(file: &Path) -> Result<(), ProgramError> {
    match fs::metadata(file) {
        Err(_) => Err(ProgramError::Missing(file.to_owned())),
        Ok(meta) if !meta.is_file() => Err(ProgramError::NotAFile(file.to_owned())),
        Ok(_) if access(file, Access::EXEC_OK).is_err() => Err(ProgramError::NotExecutable(file.to_owned())),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_name_is_searched_as_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (name, mode) in [("one/tool", 0o644), ("two/tool", 0o755), ("two/data", 0o644), ("here", 0o755)] {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(root.join("one/folder")).unwrap();
        let path = format!("{}/none:one:{}/two", root.display(), root.display());
        let find = |name: &str, path: &str| find_program(OsStr::new(name), Some(OsStr::new(path)), root);
        assert_eq!(find("tool", &path), Ok(root.join("two/tool")));
        assert_eq!(find("here", ""), Ok(root.join("here")));
        assert_eq!(find("./here", &path), Ok(root.join("./here")));
        assert_eq!(find("data", &path), Err(ProgramError::NotExecutable(root.join("two/data"))));
        assert_eq!(find("folder", &path), Err(ProgramError::Unknown("folder".into())));
        assert_eq!(find("one/folder", &path), Err(ProgramError::NotAFile(root.join("one/folder"))));
        assert_eq!(find("one/tool", &path), Err(ProgramError::NotExecutable(root.join("one/tool"))));
        assert_eq!(find("two/none", &path), Err(ProgramError::Missing(root.join("two/none"))));
        assert_eq!(find("", &path), Err(ProgramError::Unknown("".into())));
        assert!(find_program(OsStr::new("tool"), None, root).is_err());
    }
}
