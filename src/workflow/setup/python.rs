//! What tasks in Python need: an interpreter, uv or another package manager, the packages. It must not know
//! other languages.

use std::borrow::Cow;
use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::need::{Files, Need, Part, Uses, join};
use crate::workflow::step::Step;
use crate::workflow::{pin, rows};

const PROGRAMS: [&str; 14] = [
    "python",
    "python3",
    "pip",
    "pip3",
    "uv",
    "uvx",
    "poetry",
    "pdm",
    "pipenv",
    "pytest",
    "ruff",
    "mypy",
    "hatch",
    "pre-commit",
];
const LOCKS: [&str; 4] = ["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"];
const MANIFESTS: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"];
/// Extras and groups of packages for development.
const DEV: [&str; 10] =
    ["dev", "test", "tests", "testing", "lint", "linting", "typing", "types", "typecheck", "develop"];
/// Files of requirements for development.
const REQUIREMENTS: [&str; 14] = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev_requirements.txt",
    "test_requirements.txt",
    "dev-requirements.txt",
    "requirements-test.txt",
    "test-requirements.txt",
    "requirements-tests.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
    "requirements/testing.txt",
    "requirements/ci.txt",
];
/// Tools that tasks call, which a project does not always list.
const TOOLS: [&str; 13] = [
    "pytest",
    "ruff",
    "mypy",
    "black",
    "isort",
    "flake8",
    "pyright",
    "ty",
    "pylint",
    "tox",
    "nox",
    "pre-commit",
    "hatch",
];
/// Tools that make environments of their own.
const STANDALONE: [&str; 4] = ["tox", "nox", "pre-commit", "hatch"];

/// Returns what the tasks need, if they use Python.
pub(super) fn need(files: &Files<'_>, uses: &Uses) -> Option<Need> {
    let mut folders = uses.locked_roots(files, &LOCKS, &MANIFESTS);
    if !uses.may_call(&PROGRAMS) || folders.is_empty() && !uses.any(&PROGRAMS) {
        return None;
    }
    if folders.is_empty() {
        folders.insert(String::new());
    }
    let has_uv = folders.iter().any(|folder| files.has(folder, "uv.lock")) || uses.any(&["uv", "uvx"]);
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    let (python, label, version) =
        interpreter(files, folders.iter().next().map_or("", String::as_str), has_uv);
    if has_uv {
        labels.push("uv".to_owned());
        // uv brings the interpreter that the project asks for.
        let step = Step::uses(pin::UV).with("enable-cache", true);
        let covered: &[&str] = &["setup-uv", "setup-cached-uv", "install uv", "uv/install.sh"];
        let mut part = Part::toolchain("uv", covered, step);
        part.is_in_image = false;
        parts.push(part.on_debian(
            "curl -LsSf https://astral.sh/uv/install.sh | sh && export PATH=\"$HOME/.local/bin:$PATH\"",
        ));
    } else {
        labels.push(label);
        let line = "apt-get update && apt-get install --yes python3-pip python3-venv python-is-python3";
        parts.push(Part::toolchain("python", &["setup-python"], python).on_debian(line));
    }
    for folder in &folders {
        let project = Project::read(files, uses, folder);
        for (line, covered) in project.lines() {
            labels.push(line.clone());
            parts.push(Part::line("Install the packages", folder, covered, &line));
        }
        // Tools that tasks call by their names are in the environment of uv.
        if project.manager == "uv" && TOOLS.iter().any(|tool| project.calls_plainly(tool)) {
            let line = "echo \"$PWD/.venv/bin\" >> \"$GITHUB_PATH\"";
            let part = Part::line("Find the tools of the environment", folder, &[".venv/bin"], line);
            parts.push(part.on_debian(&format!("export PATH=\"$PWD/{}:$PATH\"", join(folder, ".venv/bin"))));
        }
    }
    Some(Need { label: labels.join(", "), image: format!("python:{version}"), parts })
}

/// Returns the step for an interpreter, where its version is from, and the version.
fn interpreter(files: &Files<'_>, folder: &str, has_uv: bool) -> (Step, String, String) {
    let step = Step::uses(pin::PYTHON);
    let file = [folder, ""].into_iter().find(|folder| files.has(folder, ".python-version"));
    let (step, label, version) = match file {
        Some(folder) => {
            let text = files.text(folder, ".python-version").unwrap_or_default();
            let version = text.lines().next().unwrap_or_default().trim().to_owned();
            (step.with("python-version-file", join(folder, ".python-version")), ".python-version", version)
        }
        None => (step.with("python-version", "3.x"), "3.x", "3".to_owned()),
    };
    let mut parts = version.split('.');
    let is_plain = version.chars().all(|c| c.is_ascii_digit() || c == '.') && !version.is_empty();
    let short = [parts.next(), parts.next()].into_iter().flatten().collect::<Vec<_>>().join(".");
    let has_list = ["pyproject.toml", "requirements.txt"].iter().any(|name| files.has(folder, name));
    // For the cache of poetry, the action needs a poetry that is already installed.
    let has_pip = has_list && !has_uv && !files.has(folder, "poetry.lock");
    let step = if has_pip { step.with("cache", "pip") } else { step };
    (step, format!("Python ({label})"), if is_plain { short } else { "3".to_owned() })
}

/// Returns the packages that a pyproject.toml lists for the project and these extras.
fn dependencies(document: &DeTable<'_>, extras: &[String]) -> Vec<String> {
    let Some(project) = document.get("project").and_then(|it| it.get_ref().as_table()) else {
        return Vec::new();
    };
    let optional = project.get("optional-dependencies").and_then(|it| it.get_ref().as_table());
    let lists = extras.iter().filter_map(|name| optional?.get(name.as_str()));
    let lists = project.get("dependencies").into_iter().chain(lists);
    let arrays = lists.filter_map(|list| list.get_ref().as_array());
    arrays.flatten().filter_map(|it| it.get_ref().as_str()).map(str::to_owned).collect()
}

/// A project in a folder.
struct Project<'f> {
    files: &'f Files<'f>,
    uses: &'f Uses,
    folder: &'f str,
    manager: &'static str,
    /// The extras and groups for development, and whether the project can be installed.
    extras: Vec<String>,
    groups: Vec<String>,
    is_package: bool,
    /// What its pyproject.toml depends on, with the extras.
    dependencies: Vec<String>,
    /// All texts that list packages.
    listed: String,
}

impl<'f> Project<'f> {
    fn read(files: &'f Files<'f>, uses: &'f Uses, folder: &'f str) -> Self {
        let managers =
            [("uv.lock", "uv"), ("poetry.lock", "poetry"), ("pdm.lock", "pdm"), ("Pipfile.lock", "pipenv")];
        let locked = managers.iter().find(|(lock, _)| files.has(folder, lock)).map(|(_, manager)| *manager);
        let calls_uv = uses.any(&["uv", "uvx"]) && files.has(folder, "pyproject.toml");
        let manager = locked.unwrap_or(if calls_uv { "uv" } else { "pip" });
        let manifest = files.text(folder, "pyproject.toml").unwrap_or_default();
        let document = DeTable::parse(&manifest).ok();
        let keys = |path: &[&str]| -> Vec<String> {
            let mut at = document.as_ref().map(toml::Spanned::get_ref);
            for key in path {
                at = at.and_then(|table| match table.get(*key)?.get_ref() {
                    DeValue::Table(table) => Some(table),
                    _ => None,
                });
            }
            let keys = at.into_iter().flat_map(DeTable::keys).map(|key| key.get_ref().to_string());
            keys.filter(|key| DEV.contains(&key.as_str())).collect()
        };
        let texts = REQUIREMENTS.iter().chain(&["setup.py", "setup.cfg", "Pipfile"]);
        let texts = texts.filter_map(|name| files.text(folder, name));
        let listed: String = texts.chain([manifest.clone()]).collect();
        let setup = files.text(folder, "setup.cfg").unwrap_or_default();
        let has_build =
            document.as_ref().is_some_and(|document| document.get_ref().contains_key("build-system"));
        let is_package = has_build || files.has(folder, "setup.py") || setup.contains("[metadata]");
        let (extras, groups) = (keys(&["project", "optional-dependencies"]), keys(&["dependency-groups"]));
        let in_setup = setup
            .split_once("[options.extras_require]")
            .map(|(_, rest)| rest.split("\n[").next().unwrap_or(rest));
        let in_setup = in_setup.into_iter().flat_map(str::lines).filter_map(|line| {
            let name = line.split_once('=')?.0.trim_end();
            DEV.contains(&name).then(|| name.to_owned())
        });
        let extras: Vec<String> = extras.into_iter().chain(in_setup).collect();
        let dependencies = document.as_ref().map_or_else(Vec::new, |it| dependencies(it.get_ref(), &extras));
        Self { files, uses, folder, manager, extras, groups, is_package, dependencies, listed }
    }

    /// Returns whether a task calls a tool by its name, and not through a package manager.
    fn calls_plainly(&self, tool: &str) -> bool {
        self.uses.plain.contains(tool)
    }

    /// Returns the lines that install the packages, with what lines of the same effect contain.
    fn lines(&self) -> Vec<(String, &'static [&'static str])> {
        let names =
            |option: &str, names: &[String]| rows(names.iter().map(|name| format!(" {option} {name}")));
        match self.manager {
            "uv" => {
                let lock = if self.files.has(self.folder, "uv.lock") { " --locked" } else { "" };
                let is_workspace = self.listed.contains("[tool.uv.workspace]");
                let packages = if is_workspace { " --all-packages" } else { "" };
                let groups: Vec<String> = self.groups.iter().filter(|name| *name != "dev").cloned().collect();
                let line = format!(
                    "uv sync{lock}{packages}{}{}",
                    names("--extra", &self.extras),
                    names("--group", &groups)
                );
                vec![(line, &["uv sync", "uv pip install", "uv run"])]
            }
            "poetry" => vec![
                ("pipx install poetry".to_owned(), &["poetry"]),
                ("poetry install --all-extras".to_owned(), &["poetry install", "poetry sync"]),
            ],
            "pdm" => vec![
                ("pipx install pdm".to_owned(), &["pdm"]),
                ("pdm sync --group :all".to_owned(), &["pdm install", "pdm sync"]),
            ],
            "pipenv" => vec![("pipx install pipenv && pipenv sync --dev".to_owned(), &["pipenv"])],
            _ => self.pip().into_iter().collect(),
        }
    }

    /// Returns the line for pip. If tasks call the tools of a virtual environment, it is made.
    fn pip(&self) -> Option<(String, &'static [&'static str])> {
        let has_standalone = STANDALONE.iter().any(|tool| self.calls_plainly(tool));
        let is_alone = has_standalone
            && !TOOLS.iter().any(|tool| !STANDALONE.contains(tool) && self.calls_plainly(tool))
            && !self.uses.any(&["python", "python3"]);
        let mut packages = Vec::new();
        if !is_alone {
            let lists = REQUIREMENTS.iter().filter(|name| self.files.has(self.folder, name));
            packages.extend(lists.map(|name| format!("-r {name}")));
            // A list that names the folder installs the project itself.
            let names_itself = self.listed.lines().any(|line| line.trim().starts_with("-e ."));
            if self.is_package && !names_itself {
                let extras = self.extras.join(",");
                packages.push(if extras.is_empty() {
                    "-e .".to_owned()
                } else {
                    format!("-e '.[{extras}]'")
                });
            } else if !self.is_package {
                // Without a build system there may be nothing to install but what it depends on.
                let quoted = |it: &String| shlex::try_quote(it).ok().map(Cow::into_owned);
                packages.extend(self.dependencies.iter().filter_map(quoted));
            }
            packages.extend(self.groups.iter().map(|name| format!("--group {name}")));
        }
        // The settings of a tool, `[tool.pytest]`, don't install it.
        let lines = self.listed.lines().filter(|line| !line.starts_with('['));
        let listed: BTreeSet<&str> =
            lines.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '-')).collect();
        let missing =
            TOOLS.iter().filter(|tool| self.calls_plainly(tool) && (is_alone || !listed.contains(**tool)));
        packages.extend(missing.map(|tool| (*tool).to_owned()));
        if packages.is_empty() {
            return None;
        }
        let packages = packages.join(" ");
        let venv = [".venv", "venv"].into_iter().find(|name| {
            self.uses.words.iter().any(|word| {
                word.starts_with(&format!("{name}/bin/")) || word.contains(&format!("/{name}/bin/"))
            })
        });
        Some(match venv {
            Some(venv) => (
                format!("python -m venv {venv} && {venv}/bin/pip install {packages}"),
                &["-m venv", "virtualenv"],
            ),
            None => {
                let covered = &["pip install", "/install", "install-", "tox", "nox", "hatch", "uv sync"];
                (format!("python -m pip install {packages}"), covered)
            }
        })
    }
}
