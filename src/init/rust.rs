//! Tasks of a Cargo package or workspace. It knows cargo's other files only by their names.

use crate::base::tool_files;
use crate::init::ci_commands::CiCommands;
use crate::init::package_manager::quote_word;
use crate::init::package_manifest::TomlManifest;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

const FILE: &str = "Cargo.toml";
/// Variables that select the toolchain; the probes of the tools show its version.
const VARIABLES: &[&str] = &["?RUSTUP_TOOLCHAIN"];

/// The most tasks for tests with different features.
const MOST_TESTS: usize = 3;

/// A comment on tasks whose inputs are all files.
const REMARK: &str = "Code may include and tests may read any file, so any change runs it again. If you know which files, list them in `inputs`.";

/// Adds tasks for formatting, linting and tests of a package or workspace.
pub(super) fn propose(survey: &Survey, ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    let Some(text) = folder.text(FILE) else { return };
    let Some(manifest) = TomlManifest::read(text) else {
        found.omit(folder.path_of(FILE), "it is not TOML");
        return;
    };
    if !manifest.has(&["package"]) && !manifest.has(&["workspace"]) {
        found.omit(folder.path_of(FILE), "it has neither a package nor a workspace");
        return;
    }
    if is_member(survey, folder, &manifest) || manifest.has(&["package", "metadata", "cargo-fuzz"]) {
        return;
    }
    let is_below = survey.upward(folder).skip(1).any(|above| above.has(FILE));
    if is_below && !folder.has("Cargo.lock") && ci.calls(&folder.path, "cargo").next().is_none() {
        found.omit(folder.path_of(FILE), "it is not a member of the workspace above it");
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
    let remark = folder.is_top().then(|| REMARK.to_owned());
    let calls = calls(ci, folder);
    // A call for one package leaves others out.
    let is_for_one = |words: &&Vec<String>| {
        words.iter().any(|word| matches!(&**word, "-p" | "--package") || word.starts_with("--package="))
    };
    let clippy_calls = calls.iter().filter(|words| words[0] == "clippy");
    let clippy_call = clippy_calls.clone().find(|words| !is_for_one(words));
    if clippy_calls.count() == 0 && !calls.is_empty() {
        found.omit(format!("clippy for {}", folder.path_of(FILE)), "CI does not run it");
    } else {
        let words =
            clippy_call.map_or("clippy --workspace --all-targets".to_owned(), |words| words.join(" "));
        let denies = clippy_call.is_none() || ci.denies_warnings && !words.contains(" -- ");
        let run = format!("cargo {words}{}", if denies { " -- -D warnings" } else { "" });
        let clippy = task("clippy", TaskKind::Lint, "Lint with clippy", &run);
        let options = words.split(" -- ").next().unwrap_or_default();
        let fix = format!("cargo {options} --fix --allow-dirty --allow-staged");
        found.add(Candidate {
            fix: Some(fix),
            locks: vec![lock.clone()],
            inputs: compiled.clone(),
            remark: remark.clone(),
            ..clippy
        });
    }
    let mut tests: Vec<String> = calls
        .iter()
        .filter(|words| !is_for_one(words))
        .filter(|words| words[0] == "test" || words[0] == "nextest" && survey.has_program("cargo-nextest"))
        .map(|words| words.join(" "))
        .collect();
    tests.dedup();
    tests.truncate(MOST_TESTS);
    if tests.is_empty() {
        tests.push("test --workspace".to_owned());
    }
    for (at, words) in tests.iter().enumerate() {
        let name = if at == 0 { "unit".to_owned() } else { format!("unit-{}", features(words)) };
        let about = if at == 0 { "Run the tests".to_owned() } else { format!("Run the tests with {words}") };
        let unit = task(&name, TaskKind::Test, &about, &format!("cargo {words}"));
        found.add(Candidate {
            locks: vec![lock.clone()],
            inputs: compiled.clone(),
            remark: remark.clone(),
            ..unit
        });
    }
    for words in calls.iter().filter(|words| matches!(&*words[0], "check" | "build")) {
        // A build without features shows code that does not compile without them.
        if words.iter().any(|word| word.contains("features")) {
            let words = words.join(" ");
            let name = format!("check-{}", features(&words));
            let check =
                task(&name, TaskKind::Types, "Compile with other features", &format!("cargo {words}"));
            found.add(Candidate { locks: vec![lock.clone()], inputs: compiled.clone(), ..check });
        }
    }
}

/// Returns the arguments of the calls of cargo in CI that this machine can run, each once.
fn calls(ci: &CiCommands, folder: &Folder) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for it in ci.calls(&folder.path, "cargo") {
        let options =
            ["--target", "--manifest-path", "--target-dir", "-Z", "--no-run", "--bench", "--benches"];
        let is_own = it.command.is_plain
            && !it.command.subcommand().starts_with('+')
            && !it.command.args().any(|word| {
                word.starts_with('+')
                    || word.contains('$')
                    || options.iter().any(|option| {
                        word == *option || word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))
                    })
            });
        let quiet =
            |word: &&str| !matches!(*word, "--verbose" | "-v" | "-vv" | "--quiet" | "-q" | "--locked");
        let words: Vec<String> = it.command.args().filter(quiet).map(quote_word).collect();
        let is_known = words.first().is_some_and(|first| {
            matches!(&**first, "clippy" | "test" | "nextest" | "check" | "build" | "fmt")
        });
        if is_own && is_known && !all.contains(&words) {
            all.push(words);
        }
    }
    all
}

/// Returns the features that a call of cargo chooses, as part of a name.
fn features(words: &str) -> String {
    let mut names = Vec::new();
    let mut parts = words.split([' ', '=']).skip(1);
    while let Some(part) = parts.next() {
        match part {
            "--no-default-features" => names.push("no-default"),
            "--all-features" => names.push("all-features"),
            "--features" | "-F" => names.extend(parts.next()),
            "--doc" => names.push("doc"),
            "--release" | "-r" => names.push("release"),
            "-p" | "--package" => names.extend(parts.next()),
            _ => {}
        }
    }
    let own = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    let text: String = names.join("-").chars().map(own).take(40).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { "more".to_owned() } else { text.to_owned() }
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
