//! A task for the hooks of pre-commit. It must not know what the hooks do.

use std::collections::BTreeSet;

use crate::base::yaml;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

const FILE: &str = ".pre-commit-config.yaml";

/// Returns the ids of the hooks that run for all files by default.
pub(super) fn hooks(folder: &Folder) -> BTreeSet<String> {
    let Some(file) = folder.text(FILE).and_then(|text| yaml::parse(text).ok()) else {
        return BTreeSet::new();
    };
    let repos = file["repos"].as_array().into_iter().flatten();
    let hooks = repos.flat_map(|repo| repo["hooks"].as_array().into_iter().flatten());
    let is_default = |stages: Option<&Vec<serde_json::Value>>| {
        stages.is_none_or(|stages| stages.iter().any(|stage| stage == "pre-commit" || stage == "commit"))
    };
    let hooks = hooks.filter(|hook| is_default(hook["stages"].as_array()));
    hooks.filter_map(|hook| Some(hook["id"].as_str()?.to_owned())).collect()
}

/// Adds a task that runs the hooks, without those whose tools have tasks.
pub(super) fn propose(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    // pre-commit only looks for its file at the top.
    if !folder.is_top() || !folder.has(FILE) {
        return;
    }
    let hooks = hooks(folder);
    let own: Vec<&String> = hooks.iter().filter(|hook| has_task(found, hook)).collect();
    if !hooks.is_empty() && own.len() == hooks.len() {
        found.omit(FILE, "other tasks do all that its hooks do");
        return;
    }
    let call = if survey.folder("").is_some_and(|top| top.has("uv.lock")) {
        let text = folder.text("pyproject.toml").unwrap_or_default();
        // uv installs it if it is not a dependency.
        if text.contains("\"pre-commit") { "uv run pre-commit" } else { "uvx pre-commit" }
    } else if folder.has_untracked(".venv/bin/pre-commit") {
        ".venv/bin/pre-commit"
    } else {
        "pre-commit"
    };
    let tool = found.tool(folder, "pre-commit", &format!("{call} --version"));
    found.pass_env.insert("?PRE_COMMIT_HOME".to_owned());
    let skipped: Vec<&str> = own.into_iter().map(String::as_str).collect();
    let (skip, remark) = match &*skipped {
        [] => (String::new(), "Checks all files, not only the staged ones.".to_owned()),
        skipped => {
            let remark =
                "Checks all files, not only the staged ones. The hooks in SKIP have tasks of their own.";
            (format!("SKIP={} ", skipped.join(",")), remark.to_owned())
        }
    };
    found.add(Candidate {
        about: "Run the hooks of pre-commit".to_owned(),
        run: format!("{skip}{call} run --all-files --show-diff-on-failure"),
        tools: vec![tool],
        programs: vec![call.split(' ').next().unwrap_or(call).to_owned()],
        // Many hooks fix what they find.
        rewrites: true,
        remark: Some(remark),
        ..Candidate::new(folder, FILE, "pre-commit", TaskKind::Lint)
    });
}

/// Returns whether a task at the top does what a hook does.
fn has_task(found: &Proposals, hook: &str) -> bool {
    let name = match hook {
        "ruff-check" => "ruff",
        "black-jupyter" => "black",
        "cargo-check" | "clippy" => "clippy",
        hook => hook,
    };
    found.tasks.iter().any(|task| task.folder.is_empty() && task.name == name)
}
