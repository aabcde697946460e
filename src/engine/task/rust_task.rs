//! Tasks that are functions of the repository's own program: which program runs one, and whether it is
//! the one that the tree describes. It must not know what a function does.
//!
//! In the work tree it is this very program, which `cargo xtask` has just built from that tree; one that
//! is older than its sources is refused. A private worktree holds another tree, so there the program
//! is built from that tree by `cargo xtask`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::env::Env;
use crate::base::file;

/// What a function comes to; the error is what its log ends with.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// The functions of a program, by the names that tasks call them. Each gets the arguments behind `--`.
pub type Functions = BTreeMap<String, Box<dyn Fn(&[String]) -> Outcome>>;

/// The hidden command by which the program is told to call a function; its name and arguments follow.
pub const ARGUMENT: &str = "__task";

/// What stands in front of it until it is known which program is meant.
pub const PROGRAM: &str = "xtask";

/// The words that call the function in the work tree of this program.
///
/// # Errors
/// This program has no such function, or is older than its sources; a clause says so.
pub fn with_this_program(words: Vec<String>, env: &Env) -> Result<Vec<String>, String> {
    let name = words.get(2).map_or("", String::as_str);
    if !env.functions().iter().any(|known| known == name) {
        let known = match env.functions() {
            [] => "this program has none; run it with the repository's own: cargo xtask".to_owned(),
            known => format!("this program has {}", known.join(", ")),
        };
        return Err(format!("there is no Rust task `{name}`: {known}"));
    }
    if let Some(newer) = newer_source(env.program_path()) {
        let newer = newer.display();
        return Err(format!("this program is older than {newer}: build it anew with `cargo xtask`"));
    }
    let program = env.program().to_string_lossy().into_owned();
    Ok(std::iter::once(program).chain(words.into_iter().skip(1)).collect())
}

/// The words that build the program of a private worktree and call the function.
pub fn with_cargo(words: Vec<String>) -> Vec<String> {
    ["cargo".to_owned()].into_iter().chain(words).collect()
}

/// A source that was written after `program` was built. Cargo notes the sources of a program in a file
/// beside it; without one, nothing is known.
fn newer_source(program: &Path) -> Option<PathBuf> {
    let modified = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let built: SystemTime = modified(program)?;
    let notes = file::read(&program.with_extension("d")).ok()??;
    let newer = |path: &PathBuf| modified(path).is_some_and(|written| written > built);
    sources(&String::from_utf8_lossy(&notes)).into_iter().find(newer)
}

/// The paths behind the colon of a rule as make knows them; a space within a path has a `\` in front.
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
    fn the_notes_of_cargo_are_read() {
        let notes = "/t/debug/xtask: /r/xtask/src/main.rs /r/a\\ b/lib.rs  /r/build.rs\n\n/r/build.rs:\n";
        let expected = ["/r/xtask/src/main.rs", "/r/a b/lib.rs", "/r/build.rs"].map(PathBuf::from);
        assert_eq!(sources(notes), expected);
        assert!(sources("").is_empty());
    }

    #[test]
    fn a_program_is_as_old_as_its_oldest_build() {
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
