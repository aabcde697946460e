//! Tasks of a Cargo package or workspace. It knows cargo's other files only by their names.

use crate::base::tool_files;
use crate::init::package_manifest::TomlManifest;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

const FILE: &str = "Cargo.toml";
/// Variables that select the toolchain; the probes of the tools show its version.
const VARIABLES: &[&str] = &["?RUSTUP_TOOLCHAIN"];

/// A comment on tasks whose inputs are all files.
const REMARK: &str = "Code may include and tests may read any file, so any change runs it again. If you know which files, list them in `inputs`.";

/// Adds tasks for formatting, linting and tests of a package or workspace.
pub(super) fn propose(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    let Some(text) = folder.text(FILE) else { return };
    let Some(manifest) = TomlManifest::read(text) else {
        found.omit(folder.path_of(FILE), "it is not TOML");
        return;
    };
    if !manifest.has(&["package"]) && !manifest.has(&["workspace"]) {
        found.omit(folder.path_of(FILE), "it has neither a package nor a workspace");
        return;
    }
    if is_member(survey, folder, &manifest) {
        return;
    }
    found.pass_env.extend(VARIABLES.iter().map(|name| (*name).to_owned()));
    let tools = vec![found.tool(folder, "rustc", "rustc -vV"), found.tool(folder, "cargo", "cargo -V")];
    let settings = found.settings("rust-settings", tool_files::RUST);
    let sources = sources(folder, text, &settings, found);
    let compiled = compiled(folder, text, &settings);
    let task = |name: &str, kind, about: &str, run: &str| Candidate {
        about: about.to_owned(),
        run: run.to_owned(),
        inputs: sources.clone(),
        tools: tools.clone(),
        programs: vec!["cargo".to_owned()],
        ..Candidate::new(folder, FILE, name, kind)
    };
    let lock = if folder.is_top() {
        "target".to_owned()
    } else {
        super::proposals::task_name(&folder.path, "target")
    };
    let fmt = task("fmt", TaskKind::Format, "Check the formatting", "cargo fmt --all --check");
    found.add(Candidate { fix: Some("cargo fmt --all".to_owned()), ..fmt });
    let run = "cargo clippy --workspace --all-targets -- -D warnings";
    let clippy = task("clippy", TaskKind::Lint, "Lint with clippy", run);
    let fix = "cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged";
    let remark = folder.is_top().then(|| REMARK.to_owned());
    found.add(Candidate {
        fix: Some(fix.to_owned()),
        locks: vec![lock.clone()],
        inputs: compiled.clone(),
        remark: remark.clone(),
        ..clippy
    });
    let unit = task("unit", TaskKind::Test, "Run the tests", "cargo test --workspace");
    found.add(Candidate { locks: vec![lock], inputs: compiled, remark, ..unit });
}

/// Returns whether it belongs to a workspace that has its own tasks.
fn is_member(survey: &Survey, folder: &Folder, manifest: &TomlManifest<'_>) -> bool {
    if manifest.has(&["workspace"]) {
        return false;
    }
    if manifest.has_text(&["package", "workspace"]) {
        return true;
    }
    let above = survey.upward(folder).skip(1).find_map(|above| {
        let root = TomlManifest::read(above.text(FILE)?)?;
        let below = folder.path.strip_prefix(&above.path)?.trim_start_matches('/').to_owned();
        let excluded = root.texts(&["workspace", "exclude"]).iter().any(|path| {
            let path = path.trim_end_matches('/');
            below == path || below.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
        });
        root.has(&["workspace"]).then_some(!excluded)
    });
    above.unwrap_or(false)
}

/// Returns the inputs of the formatter: a named set for the top, else the folder.
fn sources(folder: &Folder, text: &str, settings: &str, found: &mut Proposals) -> Vec<String> {
    if !folder.is_top() {
        return compiled(folder, text, settings);
    }
    found.sets.insert("rust".to_owned(), vec!["**/*.rs".to_owned(), settings.to_owned()]);
    vec!["@rust".to_owned()]
}

/// Returns the inputs of compilers and tests: code and build scripts can include any file.
fn compiled(folder: &Folder, text: &str, settings: &str) -> Vec<String> {
    let leaves = text.contains("\"../");
    if folder.is_top() || leaves {
        return Vec::new();
    }
    let own = Candidate::new(folder, FILE, "", TaskKind::Test).inputs;
    own.into_iter().chain([settings.to_owned()]).collect()
}
