//! Reads the commands of git hooks that husky, lefthook and simple-git-hooks install. It must not know which of
//! them are checks.

use serde_json::Value;

use crate::base::yaml;
use crate::init::ci_commands::CiCommand;
use crate::init::package_scripts::{FILE, parse_package};
use crate::init::shell_line::commands;
use crate::init::survey::{Folder, Survey};

const HOOKS: &[&str] = &["pre-commit", "pre-push"];
const LEFTHOOK: &[&str] = &["lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".lefthook.yaml"];

/// Returns the commands that run before a commit or a push.
pub(super) fn read(survey: &Survey) -> Vec<CiCommand> {
    let mut all = Vec::new();
    let mut add = |file: &str, folder: &str, text: &str| {
        for command in commands(text) {
            all.push(CiCommand { file: file.to_owned(), folder: folder.to_owned(), job: 0, command });
        }
    };
    if let Some(husky) = survey.folder(".husky") {
        for name in HOOKS {
            let text = husky.text(name).unwrap_or_default();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with(['.', '#']));
            add(&husky.path_of(name), "", &lines.collect::<Vec<_>>().join("\n"));
        }
    }
    let Some(top) = survey.folder("") else { return all };
    if let Some((file, text)) = top.first_existing(LEFTHOOK)
        && let Ok(value) = yaml::parse(text)
    {
        for hook in HOOKS {
            lefthook(&value[hook], &mut |folder, line| add(file, folder, line));
        }
    }
    for (hook, line) in package_hooks(top) {
        if HOOKS.contains(&hook.as_str()) {
            add(FILE, "", &line);
        }
    }
    all
}

/// Passes on the lines of a hook, with the folders they run in.
fn lefthook(hook: &Value, add: &mut impl FnMut(&str, &str)) {
    let jobs = hook["jobs"].as_array().into_iter().flatten();
    let commands = hook["commands"].as_object().into_iter().flatten().map(|(_, command)| command);
    for job in jobs.chain(commands) {
        if let Some(line) = job["run"].as_str() {
            add(job["root"].as_str().unwrap_or_default().trim_matches('/'), line);
        }
        lefthook(&job["group"], add);
    }
}

/// Returns the hooks that a package.json has for simple-git-hooks or an old husky.
fn package_hooks(top: &Folder) -> Vec<(String, String)> {
    let Some(file) = top.text(FILE).and_then(parse_package) else { return Vec::new() };
    let tables = [file["simple-git-hooks"].as_object(), file["husky"]["hooks"].as_object()];
    let hooks = tables.into_iter().flatten().flatten();
    hooks.filter_map(|(hook, line)| Some((hook.clone(), line.as_str()?.to_owned()))).collect()
}
