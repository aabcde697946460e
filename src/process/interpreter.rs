//! The interpreter that the first line of a script names, and whether it is there. It must not start
//! anything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::process::program::find_program;

/// The kernel reads no more of a first line.
const MOST: u64 = 256;

/// What the first line of a script names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interpreter {
    /// The interpreter as it is written, with the program that `env` is to find.
    pub text: String,
    /// Whether its name ends with a carriage return, since the script has line ends of Windows.
    pub has_carriage_return: bool,
    /// Whether there is no such program.
    pub is_missing: bool,
}

/// Returns what the first line of the script at `path` names; `None` if it is no script.
pub fn of_script(path: &Path, search: Option<&OsStr>, dir: &Path) -> Option<Interpreter> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(MOST).read_to_end(&mut start).ok()?;
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
    // After an argument the carriage return is a part of that, and not of the interpreter's name.
    let has_carriage_return = has_carriage_return && line.trim_end().ends_with(text.rsplit(' ').next()?);
    Some(Interpreter { text, has_carriage_return, is_missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_script_names_its_interpreter() {
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
            std::fs::write(&path, text).unwrap();
            let found = of_script(&path, Some(OsStr::new("/usr/bin:/bin")), dir.path());
            let found = found.as_ref().map(|it| (it.text.as_str(), it.has_carriage_return, it.is_missing));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
