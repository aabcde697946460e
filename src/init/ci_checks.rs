//! Proposes the checks that CI or a git hook runs and that no other file suggests, and lists those that are not taken. It
//! must not know workflows.

use std::collections::{BTreeMap, BTreeSet};

use crate::init::check_tools;
use crate::init::ci_commands::{CiCommand, CiCommands};
use crate::init::hook_commands;
use crate::init::package_scripts::{Package, Part};
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::shell_line::{ShellCommand, commands};
use crate::init::survey::Survey;

/// The most commands that are listed.
const MOST: usize = 8;
/// Programs with a version that a probe can print.
const PROBED: &[&str] = &[
    "actionlint",
    "codespell",
    "hadolint",
    "markdownlint",
    "markdownlint-cli2",
    "shellcheck",
    "taplo",
    "typos",
    "yamllint",
    "zizmor",
];
/// Programs whose calls other modules read.
const READ: &[&str] =
    &["make", "just", "task", "mise", "tox", "nox", "pre-commit", "prek", "gofmt", "golangci-lint"];

/// Adds a task for each check of CI or a git hook that no task does.
pub(super) fn propose(survey: &Survey, ci: &CiCommands, found: &mut Proposals) {
    let mut left: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut count = 0;
    let hooks = hook_commands::read(survey);
    for it in ci.all.iter().chain(&hooks) {
        let command = &it.command;
        let has_tasks = found
            .tasks
            .iter()
            .any(|task| task.folder == it.folder && task.programs.iter().any(|own| own == command.program()));
        if READ.contains(&command.program()) || matches!(command.program(), "cargo" | "go") && has_tasks {
            continue;
        }
        if is_script(survey, it) || is_done(found, it) {
            continue;
        }
        let kind = check_tools::kind(command).filter(|kind| *kind != TaskKind::Build);
        let is_whole =
            command.is_plain && !command.text.contains(['$', '{']) && !check_tools::is_rewrite(command);
        let Some(folder) = survey.folder(&it.folder) else { continue };
        match kind {
            Some(kind) if is_whole && kind != TaskKind::E2e => {
                let name = match command.program() {
                    program @ ("cargo" | "go" | "deno" | "bun") => {
                        format!("{program}-{}", command.subcommand())
                    }
                    program => program.to_owned(),
                };
                let mut task =
                    Candidate::new(folder, it.file.rsplit('/').next().unwrap_or(&it.file), &name, kind);
                task.about = format!("Run {name} as {} does", it.file);
                task.run.clone_from(&command.text);
                task.origin.clone_from(&it.file);
                // Which files it reads is unknown.
                task.inputs.clear();
                let program = first_program(command);
                if PROBED.contains(&&*program) {
                    task.tools.push(found.tool(folder, &program, &format!("{program} --version")));
                }
                task.programs.push(program);
                found.add(task);
            }
            Some(_) => count += usize::from(left.entry(&it.file).or_default().insert(command.text.clone())),
            None if is_check_script(command) => {
                count += usize::from(left.entry(&it.file).or_default().insert(command.text.clone()));
            }
            None => {}
        }
    }
    let mut rest = MOST;
    for (file, texts) in left {
        let shown: Vec<String> = texts.iter().take(rest).map(|text| format!("`{text}`")).collect();
        rest = rest.saturating_sub(shown.len());
        if !shown.is_empty() {
            let who = if hooks.iter().any(|it| it.file == file) { "a git hook" } else { "CI" };
            let it = if shown.len() == 1 { "it" } else { "them" };
            found.omit(
                format!("{} of {file}", shown.join(", ")),
                format!("{who} runs {it}, and no task does"),
            );
        }
    }
    if count > MOST {
        found.remarks.push(format!("CI runs {} more checks", count - MOST));
    }
}

/// Returns whether a command runs a script of a package.json.
fn is_script(survey: &Survey, it: &CiCommand) -> bool {
    let folder = survey.folder(&it.folder);
    let package = folder.and_then(|folder| Package::read(survey, folder));
    package
        .is_some_and(|package| package.resolve(&it.command).iter().any(|part| !matches!(part, Part::Tool(_))))
}

/// Returns whether a task in the same folder calls the same program.
fn is_done(found: &Proposals, it: &CiCommand) -> bool {
    let verb = |command: &ShellCommand| match command.program() {
        "cargo" | "go" | "ruff" | "bun" | "deno" => format!("{} {}", command.program(), command.subcommand()),
        program => program.to_owned(),
    };
    let wanted = verb(&it.command);
    let by_task = found.tasks.iter().any(|task| {
        task.folder == it.folder && commands(&task.run).iter().any(|command| verb(command) == wanted)
    });
    by_task || found.programs_run.contains(&(it.folder.clone(), it.command.program().to_owned()))
}

/// Returns the program that starts a command.
fn first_program(command: &ShellCommand) -> String {
    let words = command.text.split_whitespace();
    let mut words = words.filter(|word| !command.env.iter().any(|env| env == word));
    words.next().unwrap_or_default().to_owned()
}

/// Returns whether a command is a script of the repository with the name of a check.
fn is_check_script(command: &ShellCommand) -> bool {
    let path = match (command.program(), command.args().next()) {
        ("bash" | "sh" | "node" | "python" | "python3" | "bun", Some(path)) => path,
        (path, _) => path,
    };
    let Some((_, name)) = path.rsplit_once('/') else { return false };
    let is_own =
        !path.starts_with(['/', '~', '$']) && !path.contains("node_modules") && !path.contains("vendor/");
    is_own && ["test", "lint", "check", "verify", "validate"].iter().any(|word| name.contains(word))
}
