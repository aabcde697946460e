//! Where the file of a CI system is: where the system looks for it, or beside the file that people wrote. It
//! must not know what is in it.

use super::{github, gitlab};
use crate::config::model::Provider;

/// The name of a file beside one that people wrote.
const BESIDE: &str = "taskgate";

/// The options of the choice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// The name that the user asked for.
    pub name: Option<&'a str>,
    /// Whether a file that people wrote is replaced.
    pub force: bool,
}

/// Returns the path of the file: of the generated one, or else of one that is still to be written.
pub fn choose(
    provider: Provider,
    paths: &[String],
    is_generated: &dyn Fn(&str) -> bool,
    choice: Choice<'_>,
) -> String {
    let (usual, folder) = match provider {
        Provider::GitHub => (github::PATH, github::FOLDER),
        Provider::GitLab => (gitlab::PATH, gitlab::FOLDER),
    };
    let has = |path: &str| paths.iter().any(|other| other == path);
    let named = |name: &str| format!("{folder}{name}.yml");
    if let Some(found) = generated(provider, paths, is_generated) {
        return found;
    }
    let is_taken = has(usual) || has(&usual.replace(".yml", ".yaml"));
    match (provider, choice.name) {
        (Provider::GitHub, Some(name)) => named(name),
        (Provider::GitLab, Some(name)) if is_taken => named(name),
        _ if is_taken && !choice.force => named(BESIDE),
        _ => usual.to_owned(),
    }
}

/// Returns the generated file of a CI system.
fn generated(provider: Provider, paths: &[String], is_generated: &dyn Fn(&str) -> bool) -> Option<String> {
    let (usual, folder) = match provider {
        Provider::GitHub => (github::PATH, github::FOLDER),
        Provider::GitLab => (gitlab::PATH, gitlab::FOLDER),
    };
    let usual = paths.iter().filter(|path| *path == usual);
    let others = paths.iter().filter(|path| is_in(path, folder));
    usual.chain(others).find(|path| is_generated(path)).cloned()
}

/// Returns the workflows of GitHub.
pub fn github_workflows(paths: &[String]) -> impl Iterator<Item = &String> {
    paths.iter().filter(|path| is_in(path, github::FOLDER))
}

fn is_in(path: &str, folder: &str) -> bool {
    let name = path.strip_prefix(folder).filter(|name| !name.contains('/'));
    name.is_some_and(|name| [".yml", ".yaml"].iter().any(|ending| name.ends_with(ending)))
}

/// Returns whether a name can be that of a file and of its last job.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && name != "shard"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_beside_those_that_people_wrote() {
        let ours = ".github/workflows/mine.yml";
        let none = Choice::default();
        let cases: &[(&[&str], Provider, Choice<'_>, &str)] = &[
            (&[], Provider::GitHub, none, ".github/workflows/ci.yml"),
            (&[".github/workflows/test.yml"], Provider::GitHub, none, ".github/workflows/ci.yml"),
            (&[".github/workflows/ci.yml"], Provider::GitHub, none, ".github/workflows/taskgate.yml"),
            (&[".github/workflows/ci.yaml"], Provider::GitHub, none, ".github/workflows/taskgate.yml"),
            (
                &[".github/workflows/ci.yml"],
                Provider::GitHub,
                Choice { force: true, ..none },
                ".github/workflows/ci.yml",
            ),
            (&[], Provider::GitHub, Choice { name: Some("x"), ..none }, ".github/workflows/x.yml"),
            (&[".github/workflows/ci.yml", ours], Provider::GitHub, none, ours),
            (&[], Provider::GitLab, Choice { name: Some("x"), ..none }, ".gitlab-ci.yml"),
            (&[".gitlab-ci.yml"], Provider::GitLab, none, ".gitlab/taskgate.yml"),
            (&[".gitlab-ci.yml"], Provider::GitLab, Choice { name: Some("x"), ..none }, ".gitlab/x.yml"),
        ];
        for (paths, provider, choice, expected) in cases {
            let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
            let found = choose(*provider, &paths, &|path| path == ours, *choice);
            assert_eq!(found, *expected, "{paths:?} {choice:?}");
        }
    }

    #[test]
    fn name_can_be_that_of_a_job() {
        for (name, ok) in [
            ("ci", true),
            ("my-checks_2", true),
            ("2", false),
            ("a b", false),
            ("a/b", false),
            ("shard", false),
            ("", false),
        ] {
            assert_eq!(is_name(name), ok, "{name}");
        }
    }
}
