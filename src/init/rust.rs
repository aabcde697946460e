//! What a Cargo.toml leads to. It must not know cargo's other files but by their names.

use crate::init::found::{Candidate, Found, Kind};
use crate::init::manifest::Manifest;
use crate::init::survey::{Folder, Survey};

const FILE: &str = "Cargo.toml";
/// Variables that tell where cargo and its toolchains are.
const VARIABLES: &[&str] = &["?CARGO_HOME", "?RUSTUP_HOME", "?RUSTUP_TOOLCHAIN"];

/// Adds formatting, linting and tests of a package or workspace.
pub(super) fn look(survey: &Survey, folder: &Folder, found: &mut Found) {
    let Some(text) = folder.text(FILE) else { return };
    let Some(manifest) = Manifest::read(text) else {
        found.omit(folder.place(FILE), "it is not TOML");
        return;
    };
    if !manifest.has(&["package"]) && !manifest.has(&["workspace"]) {
        found.omit(folder.place(FILE), "it has neither a package nor a workspace");
        return;
    }
    if is_member(survey, folder, &manifest) {
        return;
    }
    found.pass_env.extend(VARIABLES.iter().map(|name| (*name).to_owned()));
    let tools = vec![found.tool(folder, "rustc", "rustc -vV"), found.tool(folder, "cargo", "cargo -V")];
    let sources = sources(folder, text, found);
    let task = |name: &str, kind, about: &str, run: &str| Candidate {
        about: about.to_owned(),
        run: run.to_owned(),
        inputs: sources.clone(),
        tools: tools.clone(),
        programs: vec!["cargo".to_owned()],
        ..Candidate::new(folder, FILE, name, kind)
    };
    let lock =
        if folder.is_top() { "target".to_owned() } else { super::found::task_name(&folder.path, "target") };
    let fmt = task("fmt", Kind::Format, "Check the formatting", "cargo fmt --all --check");
    found.add(Candidate { fix: Some("cargo fmt --all".to_owned()), ..fmt });
    let run = "cargo clippy --workspace --all-targets -- -D warnings";
    let clippy = task("clippy", Kind::Lint, "Lint with clippy", run);
    let fix = "cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged";
    // A build script may read any file, and there is no telling which.
    let inputs = if builds(folder, text) { whole(folder, text) } else { clippy.inputs };
    found.add(Candidate { fix: Some(fix.to_owned()), locks: vec![lock.clone()], inputs, ..clippy });
    let unit = task("unit", Kind::Test, "Run the tests", "cargo test --workspace");
    let remark =
        "Tests may read any file, so any change runs them again. If you know which, name them in `inputs`.";
    let remark = folder.is_top().then(|| remark.to_owned());
    found.add(Candidate { locks: vec![lock], inputs: whole(folder, text), remark, ..unit });
}

/// Whether it belongs to a workspace that is looked at by itself.
fn is_member(survey: &Survey, folder: &Folder, manifest: &Manifest<'_>) -> bool {
    if manifest.has(&["workspace"]) {
        return false;
    }
    if manifest.has_text(&["package", "workspace"]) {
        return true;
    }
    let above = survey.upward(folder).skip(1).find_map(|above| {
        let root = Manifest::read(above.text(FILE)?)?;
        let below = folder.path.strip_prefix(&above.path)?.trim_start_matches('/').to_owned();
        let excluded = root.texts(&["workspace", "exclude"]).iter().any(|path| {
            let path = path.trim_end_matches('/');
            below == path || below.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        });
        root.has(&["workspace"]).then_some(!excluded)
    });
    above.unwrap_or(false)
}

/// What formatter and linter read: a named set at the top, the folder elsewhere.
fn sources(folder: &Folder, text: &str, found: &mut Found) -> Vec<String> {
    if !folder.is_top() {
        return whole(folder, text);
    }
    let mut files = vec!["**/*.rs".to_owned(), "**/Cargo.toml".to_owned()];
    // What git ignores is no part of the tree. If it is not there yet, cargo makes it.
    let ignores = folder.text(".gitignore").unwrap_or_default();
    if !ignores.lines().any(|line| line.trim().trim_start_matches('/') == "Cargo.lock") {
        files.push("Cargo.lock".to_owned());
    }
    files.push(".cargo/**".to_owned());
    let others = [
        "rust-toolchain.toml",
        "rust-toolchain",
        "rustfmt.toml",
        ".rustfmt.toml",
        "clippy.toml",
        ".clippy.toml",
    ];
    files.extend(others.into_iter().filter(|name| folder.has(name)).map(str::to_owned));
    found.sets.insert("rust".to_owned(), files);
    vec!["@rust".to_owned()]
}

/// All that its tests may read.
fn whole(folder: &Folder, text: &str) -> Vec<String> {
    let leaves = text.contains("\"../");
    if leaves { Vec::new() } else { Candidate::new(folder, FILE, "", Kind::Test).inputs }
}

fn builds(folder: &Folder, text: &str) -> bool {
    folder.has("build.rs") || text.lines().any(|line| line.trim_start().starts_with("build ="))
}
