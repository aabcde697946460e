//! Finds the program that a name means in a given PATH, and the interpreter that a script names. It must
//! not start anything, nor remember what it found.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a name is not a program that can be started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProgramError {
    /// No folder of PATH has it.
    #[error("program `{}` not found in PATH", .0.display())]
    Unknown(PathBuf),
    /// No file has the path.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// The path is that of a folder.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// The file is not executable.
    #[error("{path} is not executable; hint: chmod +x {path}", path = .0.display())]
    NotExecutable(PathBuf),
}

/// Returns the absolute path of the program `name`. A name with a slash is a path relative to `dir`. A
/// name without one is looked up in the folders of `path`, which may be relative to `dir` too.
///
/// # Errors
/// There is no such program, or only one that is not executable.
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

/// Checks that a file can be executed, as far as that is known without doing so.
pub(super) fn check(file: &Path) -> Result<(), ProgramError> {
    match fs::metadata(file) {
        Err(_) => Err(ProgramError::Missing(file.to_owned())),
        Ok(meta) if !meta.is_file() => Err(ProgramError::NotAFile(file.to_owned())),
        Ok(_) if access(file, Access::EXEC_OK).is_err() => Err(ProgramError::NotExecutable(file.to_owned())),
        Ok(_) => Ok(()),
    }
}

/// The kernel reads no more of a script's first line.
const FIRST_LINE: u64 = 256;

/// The interpreter that the first line of a script names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interpreter {
    /// The interpreter as written, with the program that `env` is to find.
    pub text: String,
    /// Whether its name ends with a carriage return, because the script has CRLF line ends.
    pub has_carriage_return: bool,
    /// Whether that program does not exist.
    pub is_missing: bool,
}

impl Interpreter {
    /// Returns the interpreter of the script at `path`, or `None` if it is not a script.
    pub fn of_script(path: &Path, search: Option<&OsStr>, dir: &Path) -> Option<Self> {
        let mut start = Vec::new();
        File::open(path).ok()?.take(FIRST_LINE).read_to_end(&mut start).ok()?;
        let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line).into_owned();
        let has_carriage_return = line.ends_with('\r');
        let mut words = line.split_whitespace();
        let program = words.next()?;
        let calls_env = program.rsplit('/').next() == Some("env");
        let called =
            if calls_env { words.find(|word| !word.starts_with('-') && !word.contains('=')) } else { None };
        let is_there = |name: &str| find_program(OsStr::new(name), search, dir).is_ok();
        let is_missing = !is_there(program) || called.is_some_and(|name| !is_there(name));
        let text = called.map_or_else(|| program.to_owned(), |name| format!("{program} {name}"));
        // After an argument, the carriage return is part of the argument.
        let has_carriage_return = has_carriage_return && line.trim_end().ends_with(text.rsplit(' ').next()?);
        Some(Self { text, has_carriage_return, is_missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn name_is_looked_up_as_a_shell_does() {
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

    #[test]
    fn first_line_of_a_script_names_its_interpreter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        let cases = [
            ("#!/bin/sh\necho\n", Some(("/bin/sh", false, false))),
            ("#! /bin/sh -e\r\n", Some(("/bin/sh", false, false))),
            ("#!/bin/sh\r\necho\r\n", Some(("/bin/sh", true, false))),
            ("#!/usr/bin/env sh\r\n", Some(("/usr/bin/env sh", true, false))),
            ("#!/usr/bin/env -S pyhton -u\n", Some(("/usr/bin/env pyhton", false, true))),
            ("#!/no/such/bash\n", Some(("/no/such/bash", false, true))),
            ("echo\n", None),
            ("#!", None),
            ("", None),
        ];
        for (text, expected) in cases {
            fs::write(&path, text).unwrap();
            let found = Interpreter::of_script(&path, Some(OsStr::new("/usr/bin:/bin")), dir.path());
            let found = found.as_ref().map(|it| (it.text.as_str(), it.has_carriage_return, it.is_missing));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
