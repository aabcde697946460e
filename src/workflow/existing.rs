//! The jobs of workflows that people wrote. It must not know what is done with them, and reads what it can:
//! what is no workflow has no jobs.

use serde_json::{Map, Value};

use super::step::Step;
use crate::base::yaml;

/// Words in the names of workflows and jobs that don't check changes.
const OTHER_PURPOSES: [&str; 3] = ["release", "publish", "deploy"];

/// A job of a workflow that runs for pushes or pull requests.
#[derive(Clone, Debug)]
pub struct Job {
    /// The path of the workflow.
    pub workflow: String,
    /// Its id.
    pub id: String,
    /// Its steps.
    pub steps: Vec<Step>,
    /// Its matrix.
    pub matrix: Map<String, Value>,
    /// Whether it starts services.
    pub has_services: bool,
}

impl Job {
    /// Returns its name in messages.
    pub fn label(&self) -> String {
        format!("{} ({})", self.workflow, self.id)
    }
}

/// Returns the jobs of a GitHub workflow that check pushes or pull requests on a Linux machine.
pub fn github_jobs(path: &str, text: &str) -> Vec<Job> {
    let Ok(workflow) = yaml::parse(text) else { return Vec::new() };
    if !is_for_changes(&workflow["on"]) {
        return Vec::new();
    }
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    jobs.filter(|(_, job)| !is_elsewhere(&job["runs-on"]) && job["container"].is_null())
        .filter(|(id, _)| !OTHER_PURPOSES.iter().any(|word| path.contains(word) || id.contains(word)))
        .map(|(id, job)| Job {
            workflow: path.to_owned(),
            id: id.clone(),
            steps: steps(job, text),
            matrix: job["strategy"]["matrix"].as_object().cloned().unwrap_or_default(),
            has_services: job["services"].as_object().is_some_and(|services| !services.is_empty()),
        })
        .collect()
}

/// Returns whether these events include changes of branches.
fn is_for_changes(on: &Value) -> bool {
    let is_one = |name: &str| ["push", "pull_request", "merge_group", "workflow_call"].contains(&name);
    match on {
        Value::String(name) => is_one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is_one),
        Value::Object(events) => events
            .iter()
            .any(|(name, event)| is_one(name) && (event["tags"].is_null() || !event["branches"].is_null())),
        _ => false,
    }
}

fn is_elsewhere(runs_on: &Value) -> bool {
    let text = runs_on.to_string();
    !text.contains("${{") && ["windows", "macos"].iter().any(|system| text.contains(system))
}

fn steps(job: &Value, text: &str) -> Vec<Step> {
    let folder = &job["defaults"]["run"]["working-directory"];
    let steps = job["steps"].as_array().into_iter().flatten().filter_map(Value::as_object);
    steps
        .map(|keys| {
            let mut keys = keys.clone();
            if keys.contains_key("run") && !folder.is_null() && !keys.contains_key("working-directory") {
                keys.insert("working-directory".to_owned(), folder.clone());
            }
            let comment = keys.get("uses").and_then(Value::as_str).and_then(|uses| comment(text, uses));
            Step { keys, comment }
        })
        .collect()
}

/// Returns the comment after an action. It names the version, which bots update with the commit.
fn comment(text: &str, uses: &str) -> Option<String> {
    let after = text.lines().find_map(|line| line.split_once(uses).map(|(_, after)| after))?;
    after.split_once('#').map(|(_, comment)| comment.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_for_changes_on_linux_are_read() {
        let on = |on: &str| {
            let text = format!(
                "on: {on}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: x/y@0 # v1\n      - run: make\n  w:\n    runs-on: windows-latest\n  c:\n    container: alpine\n  publish-x:\n    runs-on: x\n"
            );
            github_jobs("w.yml", &text).into_iter().map(|job| job.label()).collect::<Vec<_>>()
        };
        let cases: &[(&str, &[&str])] = &[
            ("push", &["w.yml (a)"]),
            ("[push, pull_request]", &["w.yml (a)"]),
            ("{push: {branches: [main], tags: [x]}}", &["w.yml (a)"]),
            ("{push: {tags: [x]}}", &[]),
            ("{schedule: [{cron: x}]}", &[]),
        ];
        for (events, expected) in cases {
            assert_eq!(on(events), *expected, "{events}");
        }
        assert_eq!(github_jobs("w.yml", "a: [").len(), 0);
    }

    #[test]
    fn steps_keep_their_version_and_folder() {
        let text = "on: push\njobs:\n  a:\n    defaults: {run: {working-directory: web}}\n    steps:\n    - uses: x/y@0123 # v1\n    - run: make\n";
        let jobs = github_jobs("w.yml", text);
        assert_eq!(jobs[0].steps[0].comment.as_deref(), Some("v1"));
        assert_eq!(jobs[0].steps[1].keys["working-directory"], "web");
    }
}
