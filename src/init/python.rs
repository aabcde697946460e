//! Tasks of a Python project: ruff, mypy, pytest. It knows Python packages only by their names.

use crate::base::tool_files;
use crate::init::package_manager::quote_word;
use crate::init::package_manifest::TomlManifest;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

const MARKS: &[&str] = &["pyproject.toml", "setup.cfg", "setup.py", "requirements.txt"];
/// Variables with the folders of interpreters and environments.
const VARIABLES: &[&str] = &["?VIRTUAL_ENV", "?PYENV_ROOT", "?PYENV_VERSION", "?UV_CACHE_DIR"];
/// The inputs of linters and type checkers at the top, besides the known configuration files. All TOML files
/// are inputs because a configuration file can extend another one.
const SOURCES: &[&str] =
    &["**/*.py", "**/*.pyi", "**/*.pyw", "**/*.ipynb", "**/*.toml", "!**/tasks.toml", "@python-settings"];

/// Files that say whether a project refers to files outside of its folder.
const TEXTS: &[&str] = &[
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "pytest.ini",
    "mypy.ini",
    "ruff.toml",
    "requirements.txt",
    "requirements-dev.txt",
    "dev-requirements.txt",
];

/// A Python project.
struct Project<'s> {
    folder: &'s Folder,
    mark: &'static str,
    manifest: Option<TomlManifest<'s>>,
    runner: Runner,
    /// Whether it refers to files outside of its folder.
    reads_outside: bool,
    /// The package manager that runs Python, if it is known.
    python: Option<&'static str>,
}

/// How tools are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    Uv,
    Poetry,
    /// By their names, or by their paths in a virtual environment.
    Plain,
}

/// Adds tasks for the tools that the project is configured for.
pub(super) fn propose(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    let Some(mark) = MARKS.iter().copied().find(|name| folder.has(name)) else { return };
    let manifest = folder.text("pyproject.toml").map(TomlManifest::read);
    if let Some(None) = manifest {
        found.omit(folder.path_of("pyproject.toml"), "it is not TOML");
    }
    let has = |lock: &str| survey.upward(folder).any(|above| above.has(lock));
    let runner = match (has("uv.lock"), has("poetry.lock")) {
        (true, _) => Runner::Uv,
        (_, true) => Runner::Poetry,
        _ => Runner::Plain,
    };
    let leaves = TEXTS.iter().filter_map(|name| folder.text(name)).any(reads_outside);
    let python = ["python3", "python"].into_iter().find(|name| survey.has_program(name));
    let project =
        Project { folder, mark, manifest: manifest.flatten(), runner, reads_outside: leaves, python };
    let before = found.tasks.len();
    if project.uses_ruff() {
        project.ruff(found);
    }
    if project.uses_mypy() {
        project.mypy(found);
    }
    if project.uses_pytest(survey) {
        project.pytest(found);
    }
    if found.tasks.len() > before {
        found.pass_env.extend(VARIABLES.iter().map(|name| (*name).to_owned()));
    } else {
        found.omit(folder.path_of(mark), "it uses none of ruff, mypy and pytest");
    }
}

impl Project<'_> {
    fn says(&self, path: &[&str]) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.has(path))
    }

    /// Returns whether one of the project's lists of dependencies names `package`.
    fn depends_on(&self, package: &str) -> bool {
        let is_it = |text: &str| {
            let rest = text.trim().strip_prefix(package);
            rest.is_some_and(|rest| {
                !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
            })
        };
        let listed = self.manifest.as_ref().is_some_and(|manifest| {
            let mut texts = manifest.texts(&["project", "dependencies"]);
            texts.extend(manifest.texts_below(&["project", "optional-dependencies"]));
            texts.extend(manifest.texts_below(&["dependency-groups"]));
            texts.extend(manifest.texts(&["tool", "uv", "dev-dependencies"]));
            texts.extend(manifest.keys(&["tool", "poetry", "dependencies"]));
            texts.extend(manifest.keys(&["tool", "poetry", "dev-dependencies"]));
            for group in manifest.keys(&["tool", "poetry", "group"]) {
                texts.extend(manifest.keys(&["tool", "poetry", "group", group, "dependencies"]));
            }
            texts.into_iter().any(is_it)
        });
        let files = ["requirements.txt", "requirements-dev.txt", "dev-requirements.txt"];
        listed || files.iter().filter_map(|name| self.folder.text(name)).flat_map(str::lines).any(is_it)
    }

    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.folder.has(name))
    }

    fn has_section(&self, section: &str) -> bool {
        self.folder.text("setup.cfg").is_some_and(|text| text.lines().any(|line| line.trim() == section))
    }

    fn uses_ruff(&self) -> bool {
        self.says(&["tool", "ruff"]) || self.has_any(&["ruff.toml", ".ruff.toml"]) || self.depends_on("ruff")
    }

    fn uses_mypy(&self) -> bool {
        self.says(&["tool", "mypy"]) || self.has_any(&["mypy.ini", ".mypy.ini"]) || self.has_section("[mypy]")
    }

    fn uses_pytest(&self, survey: &Survey) -> bool {
        let is_test = |name: &str| name.strip_suffix(".py").is_some_and(|stem| stem.starts_with("test_"));
        let tests = survey.folder(&self.folder.path_of("tests"));
        self.says(&["tool", "pytest"])
            || self.has_any(&["pytest.ini", "conftest.py"])
            || self.has_section("[tool:pytest]")
            || tests.is_some_and(|tests| tests.names().any(|name| is_test(name) || name == "conftest.py"))
    }

    fn ruff(&self, found: &mut Proposals) {
        let call = self.call("ruff");
        let check = self.task("ruff", TaskKind::Lint, "Lint with ruff", found);
        let (run, fix) = (format!("{call} check ."), Some(format!("{call} check --fix .")));
        found.add(Candidate { run, fix, ..check });
        // A project that uses black does not format with ruff.
        if self.says(&["tool", "black"]) || self.depends_on("black") {
            return;
        }
        let format = self.task("ruff-format", TaskKind::Format, "Check the formatting", found);
        let (run, fix) = (format!("{call} format --check ."), Some(format!("{call} format .")));
        found.add(Candidate { run, fix, ..format });
    }

    fn mypy(&self, found: &mut Proposals) {
        let names_files =
            ["files", "packages", "modules"].iter().any(|key| self.says(&["tool", "mypy", key]));
        let call = self.call("mypy");
        let run = if names_files { call } else { format!("{call} .") };
        let task = self.task("mypy", TaskKind::Types, "Check the types", found);
        found.add(Candidate { run, ..task });
    }

    fn pytest(&self, found: &mut Proposals) {
        let task = self.task("pytest", TaskKind::Test, "Run the tests", found);
        let remark = "Tests may read any file, so any change runs them again. If you know which files, list them in `inputs`.";
        let remark = self.folder.is_top().then(|| remark.to_owned());
        found.add(Candidate { run: self.call("pytest"), remark, ..task });
    }

    /// Creates a task that calls `tool`.
    fn task(&self, name: &str, kind: TaskKind, about: &str, found: &mut Proposals) -> Candidate {
        let tool = name.split('-').next().unwrap_or(name);
        // The probes run the tool and the interpreter in the same way as the task does.
        let mut tools = vec![found.tool(self.folder, tool, &self.probe(&self.call(tool)))];
        let python = match self.runner {
            Runner::Uv | Runner::Poetry => Some(self.call("python")),
            Runner::Plain => {
                self.venv("python").or(self.python.map(str::to_owned)).map(|python| quote_word(&python))
            }
        };
        if let Some(python) = python {
            tools.push(found.tool(self.folder, "python", &self.probe(&python)));
        }
        let program = match self.runner {
            Runner::Uv => "uv".to_owned(),
            Runner::Poetry => "poetry".to_owned(),
            Runner::Plain => self.here(tool),
        };
        let mut task = Candidate {
            about: about.to_owned(),
            tools,
            programs: vec![program],
            ..Candidate::new(self.folder, self.mark, name, kind)
        };
        if self.reads_outside {
            task.inputs.clear();
        } else if !self.folder.is_top() {
            // Tools also look for their configuration in the folders above.
            task.inputs.push(found.settings("python-settings", tool_files::PYTHON));
        } else if kind != TaskKind::Test {
            task.inputs = Self::sources(found);
        }
        if let Some(path) = self.venv(tool).filter(|_| self.runner == Runner::Plain) {
            found.links.insert(self.folder.path_of(path.split('/').next().unwrap_or_default()));
        }
        task
    }

    /// Returns the path of a tool in the project's virtual environment.
    fn venv(&self, tool: &str) -> Option<String> {
        [".venv", "venv"]
            .into_iter()
            .map(|folder| format!("{folder}/bin/{tool}"))
            .find(|path| self.folder.has_untracked(path))
    }

    /// Returns how a tool is called in the project's folder.
    fn here(&self, tool: &str) -> String {
        self.venv(tool).unwrap_or_else(|| tool.to_owned())
    }

    /// Returns the command that prints a tool's version. The messages that uv prints when it creates an
    /// environment are not part of the version, so they are only shown if the command fails.
    fn probe(&self, call: &str) -> String {
        match self.runner {
            Runner::Uv => format!("{call} --version 2>/dev/null || {call} --version"),
            Runner::Poetry | Runner::Plain => format!("{call} --version"),
        }
    }

    fn call(&self, tool: &str) -> String {
        match self.runner {
            Runner::Uv => format!("uv run {tool}"),
            Runner::Poetry => format!("poetry run {tool}"),
            Runner::Plain => quote_word(&self.here(tool)),
        }
    }

    /// Returns the inputs of linters and type checkers at the top.
    fn sources(found: &mut Proposals) -> Vec<String> {
        found.settings("python-settings", tool_files::PYTHON);
        found.sets.insert("python".to_owned(), SOURCES.iter().map(|name| (*name).to_owned()).collect());
        vec!["@python".to_owned()]
    }
}

/// Returns whether a file refers to another folder: by a path, or as a member of a workspace.
fn reads_outside(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines.any(|line| {
        // A configuration file that ruff extends is already an input.
        let extends = line.starts_with("extend ") || line.starts_with("extend=");
        (line.contains("../") || line.contains("\"..\"") || line.contains("'..'")) && !extends
            || line.contains("workspace = true")
            || line.contains("workspace=true")
    })
}
