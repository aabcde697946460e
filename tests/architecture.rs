//! Checks the layers: imports go down only, each file says what lives in it, and only the upper
//! layers print.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room and its height. A room imports only lower ones. Rooms of one height are neighbours
/// that don't know each other; a fraction makes a chain within a floor.
const ROOMS: &[(&str, f32)] = &[
    ("ground", 0.0),
    ("process", 0.1),
    ("report", 0.8),
    ("quality", 0.9),
    ("reason", 1.0),
    ("warning", 1.0),
    ("hint", 1.0),
    ("config", 1.0),
    ("event", 1.1),
    ("git", 2.0),
    ("cache", 2.0),
    ("history", 2.0),
    ("watch", 2.0),
    ("sonar", 2.0),
    ("select", 3.0),
    ("graph", 3.1),
    ("shard", 3.15),
    ("key", 3.2),
    ("effect", 3.22),
    ("affected", 3.25),
    ("plan", 3.3),
    ("manifest", 3.4),
    ("engine", 4.0),
    ("hooks", 4.0),
    ("init", 4.0),
    ("workflow", 4.0),
    ("gate", 4.1),
    ("reporter", 5.0),
    ("cli", 6.0),
    ("program", 6.1),
];

const VAGUE: &[&str] = &["utils", "util", "helpers", "helper", "common", "manager", "misc", "shared_code"];

struct File {
    path: PathBuf,
    room: String,
    text: String,
}

/// The files of the program.
fn sources() -> Vec<File> {
    files_below("src")
}

fn files_below(top: &str) -> Vec<File> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
    let mut files = Vec::new();
    let mut stack = vec![top.clone()];
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let inside = path.strip_prefix(&top).unwrap();
                let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let room = first.trim_end_matches(".rs").to_owned();
                files.push(File { text: fs::read_to_string(&path).unwrap(), room, path });
            }
        }
    }
    assert!(files.len() > 30, "the files below {} were not found", top.display());
    files
}

/// Returns the text up to the unit tests, which may import anything; of a file of tests, none.
fn code(file: &File) -> &str {
    if is_of_tests(file) { "" } else { file.text.split("#[cfg(test)]\nmod tests {").next().unwrap() }
}

fn is_of_tests(file: &File) -> bool {
    let is_below = file.path.iter().any(|part| part == "tests");
    is_below || file.path.ends_with("tests.rs") || file.path.ends_with("git/sandbox.rs")
}

fn heights() -> BTreeMap<&'static str, f32> {
    ROOMS.iter().copied().collect()
}

#[test]
fn imports_go_down_only() {
    let heights = heights();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources().iter().filter(|file| file.room != "lib") {
        let own = heights.get(&*file.room).unwrap_or_else(|| panic!("src/{} has no floor", file.room));
        for (number, line) in code(file).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for part in line.split("crate::").skip(1) {
                let room: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(other) = heights.get(&*room) else {
                    wrong.push(format!("{}:{}: `{room}` is no room", file.path.display(), number + 1));
                    continue;
                };
                seen += 1;
                if room != file.room && other >= own {
                    wrong.push(format!(
                        "{}:{}: {} imports {room}",
                        file.path.display(),
                        number + 1,
                        file.room
                    ));
                }
            }
        }
    }
    assert!(seen > 100, "the imports were not found");
    assert!(wrong.is_empty(), "imports that go up or sideways:\n{}", wrong.join("\n"));
}

#[test]
fn files_say_what_lives_in_them() {
    let mut wrong = Vec::new();
    for file in sources().into_iter().chain(files_below("tests")) {
        let shown = file.path.display();
        if !file.text.starts_with("//!") {
            wrong.push(format!("{shown}: the first line does not say what lives here"));
        }
        let stem = file.path.file_stem().unwrap().to_str().unwrap();
        if VAGUE.contains(&stem) {
            wrong.push(format!("{shown}: the name says nothing"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_upper_floors_print() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !["reporter", "cli"].contains(&&*file.room)) {
        for (number, line) in code(file).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            let prints = ["println!", "print!(", "io::stdout()", "io::stderr()"];
            // Asking whether a stream is a terminal prints nothing.
            if prints.iter().any(|print| line.contains(print)) && !line.contains("is_terminal") {
                wrong.push(format!("{}:{}: {}", file.path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "printed below the reporters:\n{}", wrong.join("\n"));
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (room, _) in ROOMS {
        assert!(map.contains(&format!("`{room}")), "ARCHITECTURE.md does not name `{room}`");
    }
}
