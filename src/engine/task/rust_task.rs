//! Tasks that are functions of the repository's own program. This module decides which program runs the
//! function, and whether that program matches the tree. It must not know what a function does.
//!
//! In the work tree, the running program runs the function, since `cargo xtask` has just built it from that
//! tree; a program that is older than its sources is refused. A private worktree has another tree, so
//! `cargo xtask` builds the program there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::env::Env;
use crate::base::file;

/// The result of a function. An error is appended to the task's log.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The functions of a program, by the names in tasks.toml. Each gets the arguments after `--`.
pub type Functions = BTreeMap<String, Box<dyn Fn(&[String]) -> Outcome>>;

/// The hidden command that calls a function. The function's name and its arguments follow.
pub const ARGUMENT: &str = "__task";

/// A placeholder for the path of the program until it is known.
pub const PROGRAM: &str = "xtask";

/// Returns the words that call the function with the running program.
///
/// # Errors
/// This program has no such function, or is older than its sources. The error is the message for the user.
pub fn with_this_program(words: Vec<String>, env: &Env) -> Result<Vec<String>, String> {
    let name = words.get(2).map_or("", String::as_str);
    if !env.functions().iter().any(|known| known == name) {
        let known = match env.functions() {
            [] => "this program has none; hint: cargo xtask".to_owned(),
            known => format!("this program has {}", known.join(", ")),
        };
        return Err(format!("there is no Rust task `{name}`: {known}"));
    }
    if let Some(newer) = newer_source(env.program_path()) {
        let newer = newer.display();
        return Err(format!("this program is older than {newer}; hint: rebuild it with `cargo xtask`"));
    }
    let program = env.program().to_string_lossy().into_owned();
    Ok(std::iter::once(program).chain(words.into_iter().skip(1)).collect())
}

/// Returns the words that build the program of a private worktree and call the function.
pub fn with_cargo(words: Vec<String>) -> Vec<String> {
    ["cargo".to_owned()].into_iter().chain(words).collect()
}

/// Returns a source that was written after `program` was built. Cargo lists the sources of a program in a
/// file in the same folder; without that file, returns `None`.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let modified = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let built: SystemTime = modified(program)?;
    let notes = file::read(&program.with_extension("d")).ok()??;
    let newer = |path: &PathBuf| modified(path).is_some_and(|written| written > built);
    sources(&String::from_utf8_lossy(&notes)).into_iter().find(newer)
}

/// Returns the paths after the colon of a make rule, in which spaces are escaped with `\`.
fn sources(notes: &str) -> Vec<PathBuf> {
    let line = notes.lines().next().unwrap_or_default();
    let Some((_, rest)) = line.split_once(": ") else { return Vec::new() };
    let plain = rest.replace("\\ ", "\0");
    plain.split(' ').filter(|path| !path.is_empty()).map(|path| path.replace('\0', " ").into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_dep_file_is_read() {
        let notes = "/t/debug/xtask: /r/xtask/src/main.rs /r/a\\ b/lib.rs  /r/build.rs\n\n/r/build.rs:\n";
        let expected = ["/r/xtask/src/main.rs", "/r/a b/lib.rs", "/r/build.rs"].map(PathBuf::from);
        assert_eq!(sources(notes), expected);
        assert!(sources("").is_empty());
    }

    #[test]
    fn program_is_as_old_as_its_oldest_build() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("main.rs"), "").unwrap();
        std::fs::write(path("xtask"), "").unwrap();
        let age = |name: &str, seconds| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(path(name)).unwrap().set_modified(time).unwrap();
        };
        age("main.rs", 1000);
        age("xtask", 2000);
        assert_eq!(newer_source(&path("xtask")), None);
        std::fs::write(path("xtask.d"), format!("x: {}\n", path("main.rs").display())).unwrap();
        assert_eq!(newer_source(&path("xtask")), None);
        age("main.rs", 3000);
        assert_eq!(newer_source(&path("xtask")), Some(path("main.rs")));
    }
}
