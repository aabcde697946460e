//! Other hook managers: which of them a repository uses, and what to add to their configuration so that they call
//! our hook. It must not know what is in the hooks folder.
//!
//! They write git's hooks again whenever packages are installed or a hook runs, and do not keep ours: husky sets
//! `core.hooksPath`, simple-git-hooks and lefthook replace the files. pre-commit keeps and calls what was there.

use crate::config::hook_stage::Stage;

/// Names of lefthook's configuration, without their endings.
const LEFTHOOK: [&str; 3] = ["lefthook", ".lefthook", ".config/lefthook"];
const LEFTHOOK_ENDINGS: [&str; 4] = ["yml", "yaml", "toml", "json"];
/// Names of the configuration of simple-git-hooks, besides package.json.
const SIMPLE: [&str; 2] = [".simple-git-hooks", "simple-git-hooks"];
const SIMPLE_ENDINGS: [&str; 4] = ["json", "cjs", "js", "mjs"];
const PACKAGE: &str = "package.json";

/// A hook manager of a repository.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manager {
    kind: Kind,
    /// The file with its configuration, from the top of the repository; for husky the folder.
    file: String,
    /// The text of the file.
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Husky,
    SimpleGitHooks,
    Lefthook,
}

/// What to add so that a manager calls our hook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addition {
    /// The file, from the top of the repository.
    pub file: String,
    /// The lines.
    pub text: String,
}

/// Returns the hook managers of a repository that replace our hooks. `read` returns the text of a file, and
/// `is_folder` whether there is a folder.
pub fn detect(read: impl Fn(&str) -> Option<String>, is_folder: impl Fn(&str) -> bool) -> Vec<Manager> {
    let package = read(PACKAGE).unwrap_or_default();
    let first = |names: &[&str], endings: &[&str]| {
        let mut paths =
            names.iter().flat_map(|name| endings.iter().map(move |ending| format!("{name}.{ending}")));
        paths.find_map(|path| read(&path).map(|text| (path, text)))
    };
    let mut managers = Vec::new();
    if is_folder(".husky") || depends_on(&package, "husky") {
        managers.push(Manager { kind: Kind::Husky, file: ".husky".to_owned(), text: String::new() });
    }
    if let Some((file, text)) = first(&SIMPLE, &SIMPLE_ENDINGS) {
        managers.push(Manager { kind: Kind::SimpleGitHooks, file, text });
    } else if depends_on(&package, "simple-git-hooks") {
        managers.push(Manager { kind: Kind::SimpleGitHooks, file: PACKAGE.to_owned(), text: package });
    }
    if let Some((file, text)) = first(&LEFTHOOK, &LEFTHOOK_ENDINGS) {
        managers.push(Manager { kind: Kind::Lefthook, file, text });
    }
    managers
}

/// Returns whether the text of a hook, or of a manager's configuration, calls our hook for a stage.
pub fn calls(text: &str, stage: Stage) -> bool {
    let call = format!("xtask hook {stage}");
    text.lines().any(|line| !line.trim_start().starts_with(['#', '/']) && line.contains(&call))
}

/// Returns the shell line that calls our hook for a stage.
pub fn call_line(stage: Stage) -> String {
    format!("xtask hook {stage} \"$@\" || exit $?")
}

impl Manager {
    /// Returns its name.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Husky => "husky",
            Kind::SimpleGitHooks => "simple-git-hooks",
            Kind::Lefthook => "lefthook",
        }
    }

    /// Returns whether its configuration calls our hook for a stage. That of husky is the hook itself.
    pub fn calls(&self, stage: Stage, read: impl Fn(&str) -> Option<String>) -> bool {
        match self.kind {
            Kind::Husky => read(&format!("{}/{stage}", self.file)).is_some_and(|text| calls(&text, stage)),
            Kind::SimpleGitHooks | Kind::Lefthook => calls(&self.text, stage),
        }
    }

    /// Returns whether it wrote a hook with this text.
    pub fn wrote(&self, hook: &str) -> bool {
        match self.kind {
            Kind::Lefthook => hook.contains("lefthook"),
            Kind::SimpleGitHooks => hook.contains("SIMPLE_GIT_HOOKS"),
            // Its hooks are not in the repository's own folder.
            Kind::Husky => false,
        }
    }

    /// Returns what to add to its configuration for a stage.
    pub fn addition(&self, stage: Stage) -> Addition {
        let (file, text) = match self.kind {
            Kind::Husky => (format!("{}/{stage}", self.file), call_line(stage)),
            Kind::SimpleGitHooks => {
                let entry = format!("\"{stage}\": \"xtask hook {stage} \\\"$@\\\"\"");
                let section = format!("\"simple-git-hooks\": {{ {entry} }}");
                (self.file.clone(), if self.file == PACKAGE { section } else { entry })
            }
            Kind::Lefthook => {
                // One hook is written with either of the two.
                let has_jobs = self.text.contains("jobs:");
                let (list, name) =
                    if has_jobs { ("jobs", "- name: taskgate") } else { ("commands", "taskgate:") };
                let stdin = if stage.reads_stdin() { "\n      use_stdin: true" } else { "" };
                let run = format!("run: xtask hook {stage} {{0}}");
                (self.file.clone(), format!("{stage}:\n  {list}:\n    {name}\n      {run}{stdin}"))
            }
        };
        Addition { file, text }
    }
}

/// Returns whether the text of a package.json names a package as a dependency or has its section.
fn depends_on(package: &str, name: &str) -> bool {
    let Ok(package) = serde_json::from_str::<serde_json::Value>(package) else { return false };
    let has = |key: &str| package.get(key).is_some_and(|packages| packages.get(name).is_some());
    package.get(name).is_some() || has("dependencies") || has("devDependencies")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managers(files: &[(&str, &str)]) -> Vec<Manager> {
        let read =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        detect(read, |folder| files.iter().any(|(name, _)| name.starts_with(&format!("{folder}/"))))
    }

    #[test]
    fn managers_are_found_by_their_configuration_or_as_dependencies() {
        let names = |files: &[(&str, &str)]| {
            managers(files).iter().map(|one| format!("{} {}", one.name(), one.file)).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&[("package.json", "{ \"devDependencies\": { \"husky\": \"9\" } }")]),
            ["husky .husky"]
        );
        assert_eq!(names(&[(".husky/pre-commit", "")]), ["husky .husky"]);
        assert_eq!(
            names(&[("package.json", "{ \"simple-git-hooks\": {} }")]),
            ["simple-git-hooks package.json"]
        );
        assert_eq!(names(&[(".simple-git-hooks.cjs", "")]), ["simple-git-hooks .simple-git-hooks.cjs"]);
        assert_eq!(names(&[(".config/lefthook.yml", "")]), ["lefthook .config/lefthook.yml"]);
        assert!(names(&[("package.json", "{ \"dependencies\": { \"a\": \"1\" } }")]).is_empty());
        assert!(names(&[("package.json", "no JSON")]).is_empty());
    }

    #[test]
    fn addition_has_the_form_of_its_manager() {
        let addition = |name: &str, text: &str| {
            let found = managers(&[(name, text)]);
            let addition = found[0].addition(Stage::PRE_PUSH);
            format!("{}\n{}", addition.file, addition.text)
        };
        insta::assert_snapshot!(addition("lefthook.yml", ""), @r"
        lefthook.yml
        pre-push:
          commands:
            taskgate:
              run: xtask hook pre-push {0}
              use_stdin: true
        ");
        insta::assert_snapshot!(addition(".lefthook.yaml", "pre-push:\n  jobs:\n"), @r"
        .lefthook.yaml
        pre-push:
          jobs:
            - name: taskgate
              run: xtask hook pre-push {0}
              use_stdin: true
        ");
        insta::assert_snapshot!(addition("package.json", "{ \"simple-git-hooks\": {} }"), @r#"
        package.json
        "simple-git-hooks": { "pre-push": "xtask hook pre-push \"$@\"" }
        "#);
        insta::assert_snapshot!(addition(".husky/x", ""), @r#"
        .husky/pre-push
        xtask hook pre-push "$@" || exit $?
        "#);
    }

    #[test]
    fn configuration_with_the_addition_calls_our_hook() {
        for (file, text) in
            [("lefthook.yml", ""), ("package.json", "{ \"simple-git-hooks\": {} }"), (".husky/x", "")]
        {
            let found = managers(&[(file, text)]);
            let addition = found[0].addition(Stage::PRE_PUSH);
            let text = format!("{text}\n{}", addition.text);
            assert!(calls(&text, Stage::PRE_PUSH), "{text}");
            assert!(!calls(&text, Stage::PRE_COMMIT), "{text}");
            let commented = format!("# {}", text.replace('\n', "\n# "));
            assert!(!calls(&commented, Stage::PRE_PUSH), "{commented}");
        }
    }
}
