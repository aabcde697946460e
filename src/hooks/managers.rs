//! Other hook managers: which of them a repository uses, and what to add to their configuration so that they call
//! our hook. It must not know what is in the hooks folder.
//!
//! They write git's hooks again whenever packages are installed or a hook runs, and do not keep ours: husky sets
//! `core.hooksPath`, simple-git-hooks and lefthook replace the files. pre-commit keeps and calls what was there.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::base::yaml;
use crate::config::hook_stage::Stage;

/// Names of lefthook's configuration, without their endings.
const LEFTHOOK: [&str; 3] = ["lefthook", ".lefthook", ".config/lefthook"];
const LEFTHOOK_ENDINGS: [&str; 4] = ["yml", "yaml", "toml", "json"];
/// Names of the configuration of simple-git-hooks, besides package.json.
const SIMPLE: [&str; 2] = [".simple-git-hooks", "simple-git-hooks"];
const SIMPLE_ENDINGS: [&str; 4] = ["json", "cjs", "js", "mjs"];
const PACKAGE: &str = "package.json";
/// Programs, and their commands, that start another program.
const LAUNCHERS: [&str; 20] = [
    "exec", "command", "env", "cargo", "run", "npx", "npm", "pnpm", "pnpx", "yarn", "bun", "bunx", "dlx",
    "mise", "x", "uv", "uvx", "poetry", "pixi", "direnv",
];
/// What a shell does after `||` to go on as if nothing had failed.
const IGNORING: [&str; 4] = ["true", ":", "exit 0", "return 0"];

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

/// Returns whether the text of a hook calls ours for a stage, so that its failure is the hook's.
pub fn calls(text: &str, stage: Stage) -> bool {
    text.lines().any(|line| is_call(line, stage))
}

/// Returns whether a line of a shell begins with the call of our hook, apart from programs that start it, and does
/// not ignore its failure.
fn is_call(line: &str, stage: Stage) -> bool {
    let unquoted = |word: &str| word.replace(['"', '\''], "");
    let words: Vec<String> = line.split_whitespace().map(unquoted).collect();
    let is_program = |word: &String| word.rsplit('/').next() == Some("xtask");
    let is_start = |word: &String| {
        LAUNCHERS.contains(&word.as_str()) || word.starts_with('-') || word.contains('=') || is_program(word)
    };
    let Some(at) =
        words.windows(2).position(|pair| pair[0] == "hook" && pair[1].trim_end_matches(';') == stage.name())
    else {
        return false;
    };
    let (before, after) = (&words[..at], words[at + 2..].join(" "));
    let after = after.split(" #").next().unwrap_or_default().trim_end();
    let ignored = after.rsplit_once("||").map(|(_, handler)| handler.trim());
    before.iter().all(is_start)
        && before.iter().any(is_program)
        && !ignored.is_some_and(|handler| IGNORING.contains(&handler.trim_end_matches(';')))
        && (after.ends_with("&&") || !after.ends_with('&'))
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
            Kind::SimpleGitHooks => match parsed(&self.file, &self.text) {
                Some(value) => {
                    let section = if self.file == PACKAGE { &value["simple-git-hooks"] } else { &value };
                    section[stage.name()].as_str().is_some_and(|text| calls(text, stage))
                }
                None => {
                    self.text.lines().filter_map(|line| entry(line, stage)).any(|text| is_call(text, stage))
                }
            },
            Kind::Lefthook => parsed(&self.file, &self.text)
                .is_some_and(|value| runs(&value[stage.name()], &|text| calls(text, stage))),
        }
    }

    /// Returns whether it wrote a hook with this text, which does what its configuration says now.
    pub fn wrote(&self, hook: &str) -> bool {
        match self.kind {
            Kind::Lefthook => hook.contains("lefthook"),
            // Its hooks have the text that the configuration had when they were written.
            Kind::SimpleGitHooks => false,
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
    let Ok(package) = serde_json::from_str::<Value>(package) else { return false };
    let has = |key: &str| package.get(key).is_some_and(|packages| packages.get(name).is_some());
    package.get(name).is_some() || has("dependencies") || has("devDependencies")
}

/// Parses a configuration by the ending of its name; `None` if it is a program, or is invalid.
fn parsed(file: &str, text: &str) -> Option<Value> {
    match file.rsplit('.').next()? {
        "json" => serde_json::from_str(text).ok(),
        "toml" => DeTable::parse(text).ok().map(|table| tables(&DeValue::Table(table.into_inner()))),
        "yml" | "yaml" => yaml::parse(text).ok(),
        _ => None,
    }
}

/// Returns the tables, lists and texts of a TOML value; all else is null.
fn tables(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Array(values) => values.iter().map(|value| tables(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), tables(value.get_ref()))).collect()
        }
        _ => Value::Null,
    }
}

/// Returns whether a value has a key `run` below it with a text for which `is_wanted` is true.
fn runs(value: &Value, is_wanted: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::Object(entries) => entries.iter().any(|(key, value)| match value {
            Value::String(text) => key == "run" && is_wanted(text),
            other => runs(other, is_wanted),
        }),
        Value::Array(values) => values.iter().any(|value| runs(value, is_wanted)),
        _ => false,
    }
}

/// Returns the text after the name of a stage in a line of JavaScript: `'pre-push': 'xtask hook pre-push',`.
fn entry(line: &str, stage: Stage) -> Option<&str> {
    let quotes = ['"', '\'', '`'];
    let after = line.trim_start().trim_start_matches(quotes).strip_prefix(stage.name())?;
    let text = after.trim_start_matches(quotes).trim_start().strip_prefix(':')?;
    Some(text.trim().trim_end_matches(',').trim_matches(quotes))
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
        let is_called = |file: &str, text: &str, stage: Stage| {
            let found = managers(&[(file, text)]);
            found.iter().any(|one| one.calls(stage, |path| (path == file).then(|| text.to_owned())))
        };
        for file in [
            "lefthook.yml",
            "package.json",
            ".husky/pre-push",
            ".simple-git-hooks.json",
            ".simple-git-hooks.cjs",
        ] {
            let empty = if file == "package.json" { "{ \"simple-git-hooks\": {} }" } else { "" };
            let added = managers(&[(file, empty)])[0].addition(Stage::PRE_PUSH).text;
            let text = match file {
                "package.json" | ".simple-git-hooks.json" => format!("{{ {added} }}"),
                ".simple-git-hooks.cjs" => format!("module.exports = {{\n  {added},\n}}\n"),
                _ => added,
            };
            assert!(is_called(file, &text, Stage::PRE_PUSH), "{text}");
            assert!(!is_called(file, &text, Stage::PRE_COMMIT), "{text}");
            assert!(!is_called(file, &text.replace("xtask", "echo xtask"), Stage::PRE_PUSH), "{text}");
            let commented = format!("# {}", text.replace('\n', "\n# "));
            assert!(!is_called(file, &commented, Stage::PRE_PUSH), "{commented}");
        }
        for (file, text) in [
            ("package.json", r#"{ "simple-git-hooks": {}, "scripts": { "a": "xtask hook pre-push" } }"#),
            ("package.json", r#"{ "simple-git-hooks": { "pre-commit": "xtask hook pre-push" } }"#),
            (
                "lefthook.yml",
                "pre-commit:\n  jobs:\n    - run: xtask hook pre-push {0}\npre-push:\n  jobs: []\n",
            ),
            ("lefthook.yml", "pre-push:\n  jobs:\n    - name: xtask hook pre-push\n"),
        ] {
            assert!(!is_called(file, text, Stage::PRE_PUSH), "{text}");
        }
        let toml = "[pre-push.commands.taskgate]\nrun = \"xtask hook pre-push {0}\"\n";
        assert!(is_called("lefthook.toml", toml, Stage::PRE_PUSH));
    }

    #[test]
    fn hook_calls_ours_only_if_a_line_begins_with_it_and_its_failure_counts() {
        for line in [
            "xtask hook pre-push",
            "  exec xtask hook pre-push \"$@\"",
            "\"$HOME/.cargo/bin/xtask\" hook pre-push \"$@\" || exit $?",
            "cargo --quiet xtask hook pre-push \"$@\"",
            "cargo run -p xtask -- hook pre-push",
            "A=1 npx xtask hook pre-push; next",
            "xtask hook pre-push \"$@\" || { echo failed; exit 1; }",
        ] {
            assert!(calls(&format!("#!/bin/sh\n{line}\n"), Stage::PRE_PUSH), "{line}");
        }
        for line in [
            "echo \"see xtask hook pre-push\"",
            "# xtask hook pre-push",
            "// xtask hook pre-push",
            "xtask hook pre-commit",
            "xtask hook pre-push-more",
            "myxtask hook pre-push",
            "xtask hook pre-push \"$@\" || true",
            "xtask hook pre-push \"$@\" || true # for now",
            "xtask hook pre-push || exit 0",
            "xtask hook pre-push &",
        ] {
            assert!(!calls(&format!("#!/bin/sh\n{line}\n"), Stage::PRE_PUSH), "{line}");
        }
    }
}
