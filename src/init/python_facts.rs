//! What the files of a Python project say of its tools: where each is a dependency, and with which arguments
//! tox, nox, hatch and the like call it. It must not know which tools become tasks.

use regex::Regex;

use crate::init::package_manifest::TomlManifest;
use crate::init::shell_line::{ShellCommand, commands};
use crate::init::survey::Folder;

/// Where a package is a dependency.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Listing {
    /// In the dependencies of the project, or in a group that is always installed.
    Always,
    /// In a group of dependencies.
    Group(String),
    /// In an extra.
    Extra(String),
}

/// Returns whether a requirement such as `pytest>=8` is of a package.
fn is_of(text: &str, package: &str) -> bool {
    let rest = text.trim().strip_prefix(package);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')))
}

/// Returns the arguments with which pip installs a project and these packages, and the files that it reads.
pub(super) fn pip_arguments(
    folder: &Folder,
    manifest: Option<&TomlManifest<'_>>,
    packages: &[&str],
) -> (Vec<String>, Vec<String>) {
    let names = |text: &&str| packages.iter().any(|package| is_of(text, package));
    let (mut args, mut files) = (Vec::new(), Vec::new());
    let mut listed = Vec::new();
    for name in
        folder.names().filter(|name| name.contains("requirements") && name.rsplit('.').next() == Some("txt"))
    {
        let text = folder.text(name).unwrap_or_default();
        if name == "requirements.txt" || text.lines().any(|line| names(&line)) {
            args.push(format!("-r {name}"));
            files.push(name.to_owned());
            listed.extend(text.lines());
        }
    }
    let (mut extras, mut is_package) = (Vec::new(), folder.has("setup.py"));
    if let Some(manifest) = manifest {
        is_package |= manifest.has(&["project"]) || manifest.has(&["build-system"]);
        for group in manifest.keys(&["dependency-groups"]) {
            let texts = manifest.texts(&["dependency-groups", group]);
            if texts.iter().any(names) {
                args.push(format!("--group {group}"));
                listed.extend(texts);
            }
        }
        for extra in manifest.keys(&["project", "optional-dependencies"]) {
            let texts = manifest.texts(&["project", "optional-dependencies", extra]);
            if texts.iter().any(names) {
                extras.push(extra.to_owned());
                listed.extend(texts);
            }
        }
    }
    let marks = ["pyproject.toml", "setup.py", "setup.cfg"];
    files.extend(marks.iter().filter(|name| folder.has(name)).map(|name| (*name).to_owned()));
    if is_package {
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        args.push(if extras.is_empty() { "-e .".to_owned() } else { format!("-e '.{extras}'") });
    }
    let unlisted = packages.iter().filter(|package| !listed.iter().any(|text| is_of(text, package)));
    args.extend(unlisted.map(|package| (*package).to_owned()));
    (args, files)
}

/// Returns where a package is a dependency of a project.
pub(super) fn listing(
    folder: &Folder,
    manifest: Option<&TomlManifest<'_>>,
    package: &str,
) -> Option<Listing> {
    let is_it = |text: &&str| is_of(text, package);
    let has = |texts: Vec<&str>| texts.iter().any(is_it);
    if let Some(manifest) = manifest {
        let always = manifest.texts(&["tool", "uv", "default-groups"]);
        let mut texts = manifest.texts(&["project", "dependencies"]);
        texts.extend(manifest.texts(&["tool", "uv", "dev-dependencies"]));
        texts.extend(manifest.texts_below(&["tool", "pdm", "dev-dependencies"]));
        texts.extend(manifest.keys(&["tool", "poetry", "dependencies"]));
        texts.extend(manifest.keys(&["tool", "poetry", "dev-dependencies"]));
        for group in manifest.keys(&["tool", "poetry", "group"]) {
            texts.extend(manifest.keys(&["tool", "poetry", "group", group, "dependencies"]));
        }
        if has(texts) {
            return Some(Listing::Always);
        }
        let mut groups = manifest.keys(&["dependency-groups"]);
        // The groups that uv installs come first.
        groups.sort_by_key(|group| *group != "dev" && !always.contains(group));
        if let Some(group) = groups.iter().find(|group| has(manifest.texts(&["dependency-groups", group]))) {
            let installed = if always.is_empty() { *group == "dev" } else { always.contains(group) };
            let included = manifest.includes(&["dependency-groups", "dev"], group);
            return Some(if installed || included {
                Listing::Always
            } else {
                Listing::Group((*group).to_owned())
            });
        }
        for extra in manifest.keys(&["project", "optional-dependencies"]) {
            if has(manifest.texts(&["project", "optional-dependencies", extra])) {
                return Some(Listing::Extra(extra.to_owned()));
            }
        }
    }
    let requirements = folder.names().filter(|name| name.contains("requirements") || *name == "Pipfile");
    let lines = requirements.filter_map(|name| folder.text(name)).flat_map(str::lines);
    let old = ["setup.py", "setup.cfg"].iter().filter_map(|name| folder.text(name)).flat_map(str::lines);
    let old = old.flat_map(|line| line.split(['"', '\'', ' ', ',']));
    let is_listed = lines.chain(old).any(|line| is_it(&line));
    is_listed.then_some(Listing::Always)
}

/// Returns the commands that tox, nox, hatch and other runners of a project call.
pub(super) fn runner_commands(folder: &Folder) -> Vec<ShellCommand> {
    let mut lines = Vec::new();
    for name in ["tox.ini", "setup.cfg"] {
        lines.extend(folder.text(name).map(tox_commands).unwrap_or_default());
    }
    if let Some(text) = folder.text("noxfile.py") {
        lines.extend(quoted_calls(text, r#"session\.run\(\s*((?:"[^"]*"\s*,?\s*)+)"#));
    }
    for text in ["pyproject.toml", "hatch.toml"].iter().filter_map(|name| folder.text(name)) {
        lines.extend(script_lines(text));
    }
    let plain = |line: &String| !line.contains(['{', '$', '%']);
    lines.iter().filter(|line| plain(line)).flat_map(|line| commands(line)).collect()
}

/// Returns the lines of all `commands` of a tox.ini, without conditions and `{posargs}`.
fn tox_commands(text: &str) -> Vec<String> {
    let Ok(posargs) = Regex::new(r"\{posargs[^}]*\}") else { return Vec::new() };
    let (mut lines, mut is_in) = (Vec::new(), false);
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            is_in = line.starts_with("commands");
        }
        if !is_in {
            continue;
        }
        let line =
            line.split_once('=').filter(|_| line.starts_with("commands")).map_or(line, |(_, rest)| rest);
        let line = posargs.replace_all(line, "");
        let line = line.trim().trim_start_matches('-').trim();
        // A factor in front says for which environments the command is.
        let line = match line.split_once(": ") {
            Some((factors, rest)) if !factors.contains(' ') => rest,
            _ => line,
        };
        if !line.is_empty() && !line.starts_with('#') {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// Returns the quoted words that follow each match of a pattern, as lines.
fn quoted_calls(text: &str, pattern: &str) -> Vec<String> {
    let (Ok(pattern), Ok(word)) = (Regex::new(pattern), Regex::new(r#""([^"]*)""#)) else {
        return Vec::new();
    };
    let line = |found: &str| {
        let words = word.captures_iter(found).filter_map(|words| Some(words.get(1)?.as_str().to_owned()));
        words
            .map(|word| shlex::try_quote(&word).map(Into::into).unwrap_or(word))
            .collect::<Vec<_>>()
            .join(" ")
    };
    pattern.captures_iter(text).filter_map(|found| Some(line(found.get(1)?.as_str()))).collect()
}

/// Returns the lines of the scripts in the sections of runners of a pyproject.toml.
fn script_lines(text: &str) -> Vec<String> {
    let Ok(quoted) = Regex::new(r#"=\s*"([^"]+)"|^\s*"([^"]+)",?\s*$"#) else { return Vec::new() };
    let (mut lines, mut section) = (Vec::new(), "");
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim().trim_matches(['[', ']']);
        }
        if section.starts_with("tool.tox") && line.contains("[\"") {
            lines.extend(quoted_calls(line, r#"\[\s*((?:"[^"]*"\s*,?\s*)+)"#));
        }
        let is_script = section.starts_with("tool.hatch.envs") && section.ends_with("scripts")
            || section.starts_with("envs.") && section.ends_with("scripts")
            || ["tool.pdm.scripts", "tool.poe.tasks", "tool.taskipy.tasks"].contains(&section);
        if let Some(found) = quoted.captures(line).filter(|_| is_script) {
            lines.extend(found.get(1).or(found.get(2)).map(|line| line.as_str().replace("{args}", "")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_tox_are_without_conditions() {
        let text = "\
[testenv]
deps = pytest
commands =
    tests: pytest {posargs}
    # note
    mypy: mypy src
[testenv:lint]
commands = ruff check {posargs:src} .
allowlist_externals = make
";
        assert_eq!(tox_commands(text), ["pytest", "mypy src", "ruff check  ."]);
    }

    #[test]
    fn calls_of_nox_are_commands() {
        let text = "def lint(session):\n    session.install(\"x\")\n    session.run(\n        \"mypy\", \"--strict\",\n        *session.posargs)\n";
        assert_eq!(quoted_calls(text, r#"session\.run\(\s*((?:"[^"]*"\s*,?\s*)+)"#), ["mypy --strict"]);
    }

    #[test]
    fn scripts_of_runners_are_commands() {
        let text = "[tool.hatch.envs.default.scripts]\ntest = \"pytest {args}\"\n[tool.tox.env.x]\ncommands = [[\"pyright\", \"src\"]]\n[tool.other]\na = \"b\"\n";
        assert_eq!(script_lines(text), ["pytest ", "pyright src"]);
    }
}
