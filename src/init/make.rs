//! Proposes tasks for the targets of a Makefile, the recipes of a justfile, and the tasks of Taskfile.yml and
//! mise.toml, by their names. It only looks at their commands to see which of them only call others.

use crate::base::yaml;
use crate::init::ci_commands::CiCommands;
use crate::init::package_manifest::TomlManifest;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::shell_line::{ShellCommand, commands};
use crate::init::survey::Folder;

const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];
const JUSTFILES: &[&str] = &["justfile", "Justfile", ".justfile"];
const TASKFILES: &[&str] = &["Taskfile.yml", "Taskfile.yaml", "taskfile.yml", "taskfile.yaml"];
const MISE_FILES: &[&str] = &["mise.toml", ".mise.toml"];

/// Known names of targets, each with its kind, the kinds of tasks that make it unnecessary, and a
/// description.
const KNOWN: &[(&[&str], TaskKind, &[TaskKind], &str)] = &[
    (
        &[
            "fmt-check",
            "format-check",
            "check-format",
            "check-fmt",
            "fmt:check",
            "format:check",
            "check:format",
        ],
        TaskKind::Format,
        &[TaskKind::Format],
        "Check the formatting",
    ),
    (&["lint", "linters", "lint:check"], TaskKind::Lint, &[TaskKind::Lint], "Lint"),
    (
        &["typecheck", "type-check", "check-types", "mypy"],
        TaskKind::Types,
        &[TaskKind::Types],
        "Check the types",
    ),
    (&["check", "checks"], TaskKind::Lint, &[TaskKind::Lint, TaskKind::Test], "Check"),
    (&["build"], TaskKind::Build, &[TaskKind::Build], "Build"),
    (
        &["test", "tests", "unit", "unit-test", "unit-tests", "test-unit", "test:unit"],
        TaskKind::Test,
        &[TaskKind::Test],
        "Run the tests",
    ),
    (
        &["integration", "test-integration", "integration-test", "integration-tests", "test:integration"],
        TaskKind::Integration,
        &[TaskKind::Integration],
        "Run the integration tests",
    ),
    (
        &["e2e", "test-e2e", "e2e-test", "test:e2e"],
        TaskKind::E2e,
        &[TaskKind::E2e],
        "Run the end-to-end tests",
    ),
    (&["ci", "verify", "validate"], TaskKind::Test, &[TaskKind::Lint, TaskKind::Test], "Check everything"),
];

/// A target, recipe or task.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Target {
    name: String,
    /// The targets that it needs.
    needs: Vec<String>,
    /// Its commands.
    body: String,
}

/// Adds tasks for targets with known names, unless other tasks do the same.
pub(super) fn propose(ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    if let Some((file, text)) = folder.first_existing(MAKEFILES) {
        add(ci, folder, file, &["make"], &targets(text), found);
    }
    if let Some((file, text)) = folder.first_existing(JUSTFILES) {
        add(ci, folder, file, &["just"], &recipes(text), found);
    }
    if let Some((file, text)) = folder.first_existing(TASKFILES) {
        add(ci, folder, file, &["task"], &taskfile(text), found);
    }
    if let Some((file, text)) = folder.first_existing(MISE_FILES) {
        add(ci, folder, file, &["mise", "run"], &mise(text), found);
    }
}

/// Returns the commands of all targets that CI makes, or that have known names if it makes none.
pub(super) fn called_commands(ci: &CiCommands, folder: &Folder) -> Vec<ShellCommand> {
    let mut all = Vec::new();
    for (files, program) in [(MAKEFILES, "make"), (JUSTFILES, "just")] {
        let Some((_, text)) = folder.first_existing(files) else { continue };
        let targets = if program == "make" { targets(text) } else { recipes(text) };
        let in_ci: Vec<&str> = ci.calls(&folder.path, program).map(|it| it.command.subcommand()).collect();
        let is_known = |name: &str| KNOWN.iter().any(|(names, ..)| names.contains(&name));
        for target in &targets {
            if in_ci.contains(&&*target.name) || in_ci.is_empty() && is_known(&target.name) {
                all.extend(commands(&target.body).into_iter().filter(|it| !it.text.contains('$')));
            }
        }
    }
    all
}

fn add(
    ci: &CiCommands,
    folder: &Folder,
    file: &str,
    call: &[&str],
    targets: &[Target],
    found: &mut Proposals,
) {
    let place = folder.path_of(file);
    let Some(program) = call.first() else { return };
    let named = |name: &str| targets.iter().find(|target| target.name == name);
    let (mut taken, mut covered, mut same) = (Vec::new(), Vec::new(), Vec::new());
    for (names, kind, makes_needless, about) in KNOWN {
        let in_ci = |name: &&&str| ci.calls(&folder.path, program).any(|it| it.command.has_any(&[**name]));
        let there = names.iter().filter(|name| named(name).is_some());
        let Some(target) = there.clone().find(in_ci).or(there.clone().next()).and_then(|name| named(name))
        else {
            continue;
        };
        // What only calls others is done when they are.
        let calls_others = target.body.trim().is_empty() && !target.needs.is_empty();
        let has_kind = makes_needless.iter().any(|kind| found.has_below(folder, *kind));
        if calls_others && target.needs.iter().all(|name| taken.contains(name) || covered.contains(name)) {
            covered.push(target.name.clone());
            continue;
        }
        // A compiler runs for tests, too.
        let is_called = ci.calls(&folder.path, program).any(|it| it.command.has_any(&[&target.name]));
        if *kind == TaskKind::Build && !is_called && !found.tasks.is_empty() {
            continue;
        }
        if has_kind {
            covered.push(target.name.clone());
            same.push(format!("`{}`", target.name));
            continue;
        }
        taken.push(target.name.clone());
        let tool = found.tool(folder, program, &format!("{program} --version"));
        let run = format!("{} {}", call.join(" "), target.name);
        let name = target.name.replace(':', "-");
        found.add(Candidate {
            about: (*about).to_owned(),
            run,
            tools: vec![tool],
            programs: vec![(*program).to_owned()],
            // The files that its commands read are unknown, so the inputs are the whole tree.
            inputs: Vec::new(),
            ..Candidate::new(folder, file, &name, *kind)
        });
    }
    if !same.is_empty() {
        found.omit(format!("{} of {place}", same.join(", ")), "other tasks do the like");
    }
    let is_other = |name: &&str| !taken.iter().chain(&covered).any(|known| known == name);
    let others: Vec<&str> =
        targets.iter().map(|target| target.name.as_str()).filter(is_other).take(12).collect();
    if !others.is_empty() && folder.is_top() {
        found.remarks.push(format!("{place} has also: {}", others.join(", ")));
    }
}

/// Returns the targets of a Makefile, without pattern rules, special targets and computed names.
fn targets(text: &str) -> Vec<Target> {
    let mut all: Vec<Target> = Vec::new();
    // The targets that the next indented lines belong to.
    let mut current: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix('\t') {
            for target in all.iter_mut().filter(|target| current.contains(&target.name)) {
                target.body.push_str(command.trim_start_matches(['@', '-', '+']));
                target.body.push('\n');
            }
            continue;
        }
        if line.is_empty() || line.starts_with([' ', '#', '.']) {
            continue;
        }
        current.clear();
        let Some((names, rest)) = line.split_once(':') else { continue };
        let is_text = names.contains(['(', ')', ',', '\'', '"', '=']);
        if rest.starts_with('=') || rest.starts_with(":=") || is_text {
            continue;
        }
        let (needs, inline) = rest.split_once(';').unwrap_or((rest, ""));
        let needs = needs.trim_start_matches(':').split('#').next().unwrap_or_default();
        let needs: Vec<String> = needs.split_whitespace().map(str::to_owned).collect();
        current = names.split_whitespace().filter(|name| is_plain(name)).map(str::to_owned).collect();
        for name in &current {
            keep(
                Target { name: name.clone(), needs: needs.clone(), body: inline.trim().to_owned() },
                &mut all,
            );
        }
    }
    all
}

/// Returns the recipes of a justfile that can be run without arguments.
fn recipes(text: &str) -> Vec<Target> {
    let mut all: Vec<Target> = Vec::new();
    let mut is_in = false;
    for line in text.lines() {
        if line.starts_with(['\t', ' ']) {
            if let Some(target) = all.last_mut().filter(|_| is_in) {
                target.body.push_str(line.trim_start().trim_start_matches(['@', '-']));
                target.body.push('\n');
            }
            continue;
        }
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        is_in = false;
        let Some((head, rest)) = line.split_once(':') else { continue };
        let mut words = head.trim_start_matches('@').split_whitespace();
        let name = words.next().unwrap_or_default();
        let bare = words.all(|word| word.contains('=') || word.starts_with('*'));
        if rest.starts_with('=') || !bare || name.starts_with('_') || !is_plain(name) {
            continue;
        }
        is_in = true;
        let needs = rest.split('#').next().unwrap_or_default().replace("&&", " ");
        let needs = needs.split_whitespace().map(|word| word.trim_matches(['(', ')']).to_owned()).collect();
        keep(Target { name: name.to_owned(), needs, body: String::new() }, &mut all);
    }
    all
}

/// Returns the tasks of a Taskfile.yml that are not internal.
fn taskfile(text: &str) -> Vec<Target> {
    let Ok(file) = yaml::parse(text) else { return Vec::new() };
    let mut all = Vec::new();
    for (name, task) in file["tasks"].as_object().into_iter().flatten() {
        let is_own = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':'));
        if !is_own || task["internal"] == true {
            continue;
        }
        let list = |value: &serde_json::Value| -> Vec<serde_json::Value> {
            value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
        };
        let (mut needs, mut body) = (Vec::new(), String::new());
        let items = list(&task["deps"]).into_iter().map(|item| (item, true));
        let items = items.chain(list(&task["cmds"]).into_iter().map(|item| (item, false)));
        for (item, is_need) in items.chain([(task["cmd"].clone(), false), (task.clone(), false)]) {
            match (item["task"].as_str(), item["cmd"].as_str(), item.as_str()) {
                (Some(task), ..) => needs.push(task.to_owned()),
                (_, _, Some(task)) if is_need => needs.push(task.to_owned()),
                (_, Some(line), _) | (_, _, Some(line)) => body.push_str(&format!("{line}\n")),
                _ => {}
            }
        }
        keep(Target { name: name.clone(), needs, body }, &mut all);
    }
    all
}

/// Returns the tasks of a mise.toml.
fn mise(text: &str) -> Vec<Target> {
    let Some(file) = TomlManifest::read(text) else { return Vec::new() };
    let target = |name: &str| {
        let texts = |key: &str| -> Vec<String> {
            let path = ["tasks", name, key];
            let one = file.text(&path).into_iter();
            one.chain(file.texts(&path)).map(str::to_owned).collect()
        };
        let body = texts("run").into_iter().chain(file.text(&["tasks", name]).map(str::to_owned));
        Target { name: name.to_owned(), needs: texts("depends"), body: body.collect::<Vec<_>>().join("\n") }
    };
    file.keys(&["tasks"]).into_iter().map(target).collect()
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn keep(target: Target, all: &mut Vec<Target>) {
    match all.iter_mut().find(|known| known.name == target.name) {
        Some(known) => known.needs.extend(target.needs),
        None => all.push(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(targets: &[Target]) -> Vec<String> {
        let one = |it: &Target| {
            format!("{}({}) {}", it.name, it.needs.join(" "), it.body.trim().replace('\n', "; "))
        };
        targets.iter().map(|target| one(target).trim().to_owned()).collect()
    }

    #[test]
    fn targets_are_distinguished_from_other_lines() {
        let text = "\
CC := gcc\nX = a:b\nURL ::= x\n.PHONY: lint test\nlint test: deps # both\n\t@echo a: b\n%.o: %.c\n\tcc\n\
$(OUT)/x: y\nbuild::\n\ttrue\n# note: no\nexport FOO=a:b\n";
        assert_eq!(shown(&targets(text)), ["lint(deps) echo a: b", "test(deps) echo a: b", "build() true"]);
    }

    #[test]
    fn recipe_that_needs_arguments_is_not_a_task() {
        let text = "\
set shell := [\"sh\", \"-c\"]\nversion := \"1\"\n@lint:\n  echo a: b\ntest *args: build\n  x\n\
deploy target:\n  y\nserve port='1':\n  x\n[private]\n_hidden:\n  x\nalias t := test\nbuild:\n  x\n";
        assert_eq!(shown(&recipes(text)), ["lint() echo a: b", "test(build) x", "serve() x", "build() x"]);
    }

    #[test]
    fn tasks_of_taskfile_and_mise_are_read() {
        let text = "version: '3'\ntasks:\n  lint:\n    deps: [gen]\n    cmds:\n      - golangci-lint run\n      - task: vet\n  test: go test ./...\n  'x-*':\n    cmds: [y]\n";
        assert_eq!(shown(&taskfile(text)), ["lint(gen vet) golangci-lint run", "test() go test ./..."]);
        let text = "[tools]\nnode = \"22\"\n[tasks.lint]\nrun = [\"a\", \"b\"]\ndepends = [\"c\"]\n[tasks]\ntest = \"x\"\n";
        let mut all = shown(&mise(text));
        all.sort();
        assert_eq!(all, ["lint(c) a; b", "test() x"]);
    }
}
