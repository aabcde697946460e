//! Reads the commands of existing workflows of GitHub and GitLab. It must not know which of them are checks.

use serde_json::Value;

use crate::base::yaml;
use crate::init::proposals::Proposals;
use crate::init::shell_line::{ShellCommand, commands};
use crate::init::survey::Survey;

/// The folder of GitHub's workflows.
const GITHUB: &str = ".github/workflows";
/// The file of GitLab.
const GITLAB: &str = ".gitlab-ci.yml";
/// Keys of a GitLab file that are not jobs.
const NOT_JOBS: &[&str] = &["stages", "variables", "workflow", "include", "image", "services", "pages"];

/// A command of a workflow.
#[derive(Clone, Debug)]
pub(super) struct CiCommand {
    /// The workflow's path.
    pub(super) file: String,
    /// The folder that it runs in; empty for the top.
    pub(super) folder: String,
    /// The number of its job, in all workflows.
    pub(super) job: usize,
    /// The command.
    pub(super) command: ShellCommand,
}

/// The commands that CI runs for pushes and pull requests.
#[derive(Clone, Debug, Default)]
pub(super) struct CiCommands {
    /// The commands, in order.
    pub(super) all: Vec<CiCommand>,
    /// Whether a variable makes warnings of rustc errors.
    pub(super) denies_warnings: bool,
    jobs: usize,
}

impl CiCommands {
    /// Reads all workflows. One that can't be read is an omission.
    pub(super) fn read(survey: &Survey, found: &mut Proposals) -> Self {
        let mut ci = Self::default();
        if let Some(folder) = survey.folder(GITHUB) {
            for name in folder.names().filter(|name| matches!(name.rsplit('.').next(), Some("yml" | "yaml")))
            {
                let Some(text) = folder.text(name) else { continue };
                match yaml::parse(text) {
                    Ok(file) if tests_changes(&file) => ci.read_github(&folder.path_of(name), &file),
                    Ok(_) => {}
                    Err(error) => found.omit(folder.path_of(name), error.to_string()),
                }
            }
        }
        if let Some(text) = survey.folder("").and_then(|top| top.text(GITLAB)) {
            match yaml::parse(text) {
                Ok(file) => ci.read_gitlab(&file),
                Err(error) => found.omit(GITLAB, error.to_string()),
            }
        }
        ci
    }

    /// Returns the commands that call one of these programs in a folder, without those that a matrix or
    /// another expression changes.
    pub(super) fn calls<'s>(
        &'s self,
        folder: &'s str,
        program: &'s str,
    ) -> impl Iterator<Item = &'s CiCommand> {
        self.all.iter().filter(move |it| {
            it.folder == folder && it.command.program() == program && !it.command.text.contains("${{")
        })
    }

    fn read_github(&mut self, path: &str, file: &Value) {
        let denies = |value: &Value| {
            let flags = value["env"]["RUSTFLAGS"].as_str();
            flags.is_some_and(|flags| ["-D", "--deny"].iter().any(|option| flags.contains(option)))
        };
        self.denies_warnings |= denies(file);
        let folder_of =
            |value: &Value| value["defaults"]["run"]["working-directory"].as_str().map(str::to_owned);
        let outer = folder_of(file);
        for job in file["jobs"].as_object().into_iter().flatten().map(|(_, job)| job) {
            self.jobs += 1;
            self.denies_warnings |= denies(job);
            let inner = folder_of(job).or_else(|| outer.clone());
            for step in job["steps"].as_array().into_iter().flatten() {
                let Some(run) = step["run"].as_str() else { continue };
                let run = with_variables(run, &[&step["env"], &job["env"], &file["env"]]);
                let folder = step["working-directory"].as_str().map(str::to_owned).or_else(|| inner.clone());
                self.add(path, folder.as_deref().unwrap_or_default(), &run);
            }
        }
    }

    fn read_gitlab(&mut self, file: &Value) {
        for (name, job) in file.as_object().into_iter().flatten() {
            if NOT_JOBS.contains(&name.as_str()) {
                continue;
            }
            self.jobs += 1;
            let script = &job["script"];
            let lines = script.as_array().into_iter().flatten().chain([script]).filter_map(Value::as_str);
            lines.for_each(|line| self.add(GITLAB, "", line));
        }
    }

    fn add(&mut self, file: &str, folder: &str, run: &str) {
        let folder = folder.trim_start_matches("./").trim_matches('/');
        let folder = if folder == "." { "" } else { folder };
        for mut command in commands(run) {
            let folder = match command.folder.take() {
                None => folder.to_owned(),
                Some(below) if folder.is_empty() => below,
                Some(below) => format!("{folder}/{below}"),
            };
            self.all.push(CiCommand { file: file.to_owned(), folder, job: self.jobs, command });
        }
    }
}

/// Replaces expressions such as `${{ env.NAME }}` whose values the workflow has.
fn with_variables(run: &str, tables: &[&Value]) -> String {
    let mut text = run.to_owned();
    for (name, value) in tables.iter().filter_map(|table| table.as_object()).flatten() {
        let Some(value) = value.as_str().filter(|value| !value.contains("${{")) else { continue };
        for form in [format!("${{{{ env.{name} }}}}"), format!("${{{{env.{name}}}}}")] {
            text = text.replace(&form, value);
        }
    }
    text
}

/// Returns whether a workflow runs for pushes to branches or for pull requests.
fn tests_changes(file: &Value) -> bool {
    let is_test = |event: &str| matches!(event, "push" | "pull_request" | "merge_group" | "workflow_call");
    match &file["on"] {
        Value::String(event) => is_test(event),
        Value::Array(events) => events.iter().filter_map(Value::as_str).any(is_test),
        Value::Object(events) => events.iter().any(|(event, filter)| {
            // A workflow for tags makes releases.
            let only_tags = filter.get("tags").is_some() && filter.get("branches").is_none();
            is_test(event) && !only_tags
        }),
        _ => false,
    }
}
