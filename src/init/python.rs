//! Tasks of a Python project: linters, formatters, type checkers, pytest. It knows Python packages only by
//! their names.

use std::collections::BTreeSet;

use crate::base::tool_files;
use crate::init::check_tools;
use crate::init::ci_commands::CiCommands;
use crate::init::make;
use crate::init::package_manager::quote_word;
use crate::init::package_manifest::TomlManifest;
use crate::init::pre_commit;
use crate::init::proposals::{Candidate, Install, Proposals, TaskKind};
use crate::init::python_facts::{Listing, listing, pip_arguments, runner_commands};
use crate::init::shell_line::ShellCommand;
use crate::init::survey::{Folder, Survey};

const MARKS: &[&str] = &[
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "requirements.txt",
    "requirements-dev.txt",
    "Pipfile",
    "tox.ini",
];
/// Variables that choose the interpreter.
const VARIABLES: &[&str] = &["?VIRTUAL_ENV", "?PYENV_VERSION"];
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

/// A tool that checks files.
struct Checker {
    name: &'static str,
    /// The package that contains it.
    package: &'static str,
    kind: TaskKind,
    about: &'static str,
    /// Its arguments, unless the project calls it with others.
    args: &'static str,
    /// The arguments with which it fixes what it finds.
    fix: Option<&'static str>,
    /// The key below `tool` in pyproject.toml.
    key: &'static str,
    /// Files that configure it.
    files: &'static [&'static str],
    /// Its section in setup.cfg and tox.ini.
    section: &'static str,
    /// Its hooks for pre-commit.
    hooks: &'static [&'static str],
    /// Whether its configuration is only for editors if it is not a dependency.
    needs_listing: bool,
}

const CHECKERS: &[Checker] = &[
    Checker {
        name: "ruff",
        package: "ruff",
        kind: TaskKind::Lint,
        about: "Lint with ruff",
        args: "check .",
        fix: Some("check --fix ."),
        key: "ruff",
        files: &["ruff.toml", ".ruff.toml"],
        section: "",
        hooks: &["ruff", "ruff-check"],
        needs_listing: false,
    },
    Checker {
        name: "ruff-format",
        package: "ruff",
        kind: TaskKind::Format,
        about: "Check the formatting",
        args: "format --check .",
        fix: Some("format ."),
        key: "ruff",
        files: &["ruff.toml", ".ruff.toml"],
        section: "",
        hooks: &["ruff-format"],
        needs_listing: false,
    },
    Checker {
        name: "black",
        package: "black",
        kind: TaskKind::Format,
        about: "Check the formatting",
        args: "--check .",
        fix: Some("."),
        key: "black",
        files: &[],
        section: "",
        hooks: &["black", "black-jupyter"],
        needs_listing: false,
    },
    Checker {
        name: "isort",
        package: "isort",
        kind: TaskKind::Format,
        about: "Check the order of imports",
        args: "--check-only --diff .",
        fix: Some("."),
        key: "isort",
        files: &[".isort.cfg"],
        section: "[isort]",
        hooks: &["isort"],
        needs_listing: false,
    },
    Checker {
        name: "flake8",
        package: "flake8",
        kind: TaskKind::Lint,
        about: "Lint with flake8",
        args: "",
        fix: None,
        key: "flake8",
        files: &[".flake8"],
        section: "[flake8]",
        hooks: &["flake8"],
        needs_listing: false,
    },
    Checker {
        name: "mypy",
        package: "mypy",
        kind: TaskKind::Types,
        about: "Check the types",
        args: ".",
        fix: None,
        key: "mypy",
        files: &["mypy.ini", ".mypy.ini"],
        section: "[mypy]",
        hooks: &["mypy"],
        needs_listing: false,
    },
    Checker {
        name: "pyright",
        package: "pyright",
        kind: TaskKind::Types,
        about: "Check the types with pyright",
        args: "",
        fix: None,
        key: "pyright",
        files: &["pyrightconfig.json"],
        section: "",
        hooks: &["pyright", "pyright-pretty"],
        needs_listing: true,
    },
    Checker {
        name: "basedpyright",
        package: "basedpyright",
        kind: TaskKind::Types,
        about: "Check the types with basedpyright",
        args: "",
        fix: None,
        key: "basedpyright",
        files: &[],
        section: "",
        hooks: &["basedpyright"],
        needs_listing: true,
    },
    Checker {
        name: "ty",
        package: "ty",
        kind: TaskKind::Types,
        about: "Check the types with ty",
        args: "check",
        fix: None,
        key: "ty",
        files: &["ty.toml"],
        section: "",
        hooks: &["ty"],
        needs_listing: true,
    },
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
    /// The commands that CI and the project's own runners call.
    calls: Vec<ShellCommand>,
    /// The hooks that pre-commit runs.
    hooks: BTreeSet<String>,
}

/// How tools are called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    Uv,
    Poetry,
    Pdm,
    Pipenv,
    Hatch,
    /// By their names, or by their paths in a virtual environment.
    Plain,
}

/// Adds tasks for the tools that the project uses.
pub(super) fn propose(survey: &Survey, ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    let Some(mark) = MARKS.iter().copied().find(|name| folder.has(name)) else { return };
    let manifest = folder.text("pyproject.toml").map(TomlManifest::read);
    if let Some(None) = manifest {
        found.omit(folder.path_of("pyproject.toml"), "it is not TOML");
    }
    let leaves = TEXTS.iter().filter_map(|name| folder.text(name)).any(reads_outside);
    let python = ["python3", "python"].into_iter().find(|name| survey.has_program(name));
    let in_ci = ci.all.iter().filter(|it| it.folder == folder.path && !it.command.text.contains('$'));
    let calls = in_ci.map(|it| it.command.clone()).chain(make::called_commands(ci, folder));
    let calls = calls.chain(runner_commands(folder)).collect();
    let mut project = Project {
        folder,
        mark,
        manifest: manifest.flatten(),
        runner: Runner::Plain,
        reads_outside: leaves,
        python,
        calls,
        hooks: if folder.is_top() { pre_commit::hooks(folder) } else { BTreeSet::new() },
    };
    project.runner = project.find_runner(survey);
    let before = found.tasks.len();
    for checker in CHECKERS {
        if project.uses(checker) {
            project.check(checker, found);
        }
    }
    if project.uses_pytest(survey) {
        project.pytest(survey, found);
    }
    if found.tasks.len() > before {
        project.install(before, found);
        found.pass_env.extend(VARIABLES.iter().map(|name| (*name).to_owned()));
    } else if mark != "tox.ini"
        && !project.says(&["tool", "uv", "workspace"])
        && (folder.is_top() || mark != "requirements.txt")
    {
        found.omit(folder.path_of(mark), "it names no linter, no type checker and no pytest");
    }
}

impl Project<'_> {
    fn find_runner(&self, survey: &Survey) -> Runner {
        let has = |lock: &str| survey.upward(self.folder).any(|above| above.has(lock));
        let has_venv = self.venv("python").is_some();
        match () {
            () if has("uv.lock") => Runner::Uv,
            () if has("poetry.lock") => Runner::Poetry,
            () if has("pdm.lock") => Runner::Pdm,
            () if has_venv => Runner::Plain,
            () if has("Pipfile.lock") || has("Pipfile") => Runner::Pipenv,
            () if self.says(&["tool", "hatch", "envs"]) || has("hatch.toml") => Runner::Hatch,
            () => Runner::Plain,
        }
    }

    fn says(&self, path: &[&str]) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.has(path))
    }

    fn listing(&self, package: &str) -> Option<Listing> {
        listing(self.folder, self.manifest.as_ref(), package)
    }

    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.folder.has(name))
    }

    fn has_section(&self, file: &str, section: &str) -> bool {
        self.folder.text(file).is_some_and(|text| text.lines().any(|line| line.trim() == section))
    }

    /// Returns the arguments with which the project calls a checker, if they are known.
    fn called(&self, checker: &Checker) -> Option<Vec<&str>> {
        let is_it = |call: &&ShellCommand| {
            let program = checker.name.split('-').next().unwrap_or_default();
            let is_format = call.subcommand() == "format";
            call.is_plain
                && call.program() == program
                && (program != "ruff" || is_format == (checker.name == "ruff-format"))
                && !call.has_any(&["--version", "--help", "clean", "version"])
                && !check_tools::is_rewrite(call)
                // A matrix or another tool decides these.
                && !call.args().any(|word| word.contains(['{', '<']) || word.starts_with("--output"))
        };
        let call = self.calls.iter().find(is_it)?;
        Some(call.args().collect())
    }

    fn uses(&self, checker: &Checker) -> bool {
        let is_configured = self.says(&["tool", checker.key])
            || self.has_any(checker.files)
            || !checker.section.is_empty()
                && (self.has_section("setup.cfg", checker.section)
                    || self.has_section("tox.ini", checker.section));
        let in_hooks = checker.hooks.iter().any(|hook| self.hooks.contains(*hook));
        // A project that uses black does not format with ruff.
        if checker.name == "ruff-format" && self.called(checker).is_none() {
            let uses_black = self.says(&["tool", "black"]) || self.listing("black").is_some();
            if uses_black || self.hooks.contains("black") {
                return false;
            }
        }
        let is_listed = self.listing(checker.package).is_some();
        self.called(checker).is_some()
            || is_listed && (is_configured || !in_hooks)
            || is_configured && !in_hooks && !checker.needs_listing
    }

    fn uses_pytest(&self, survey: &Survey) -> bool {
        let is_test = |path: &str| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let is_file = name.strip_suffix(".py").is_some_and(|stem| {
                stem.starts_with("test_") || stem.ends_with("_test") || stem == "conftest"
            });
            is_file && folder.split('/').any(|part| matches!(part, "tests" | "test" | "testing"))
        };
        let own = if self.folder.is_top() { 0 } else { self.folder.path.len() + 1 };
        self.says(&["tool", "pytest"])
            || self.has_any(&["pytest.ini", "conftest.py", "pytest.toml"])
            || self.has_section("setup.cfg", "[tool:pytest]")
            || self.has_section("tox.ini", "[pytest]")
            || self.listing("pytest").is_some()
            || self.calls.iter().any(|call| matches!(call.program(), "pytest" | "py.test"))
            || survey.files_below(&self.folder.path).any(|path| {
                // Other projects below have tasks of their own.
                let rest = path.get(own..).unwrap_or_default();
                is_test(rest) && rest.starts_with("test")
            })
    }

    fn check(&self, checker: &Checker, found: &mut Proposals) {
        let program = checker.name.split('-').next().unwrap_or_default();
        let call = self.call(program);
        let names_files =
            ["files", "packages", "modules"].iter().any(|key| self.says(&["tool", "mypy", key]))
                || ["files =", "files="].iter().any(|key| {
                    let files = ["mypy.ini", ".mypy.ini", "setup.cfg"];
                    let mut texts = files.iter().filter_map(|name| self.folder.text(name));
                    texts.any(|text| text.lines().any(|line| line.starts_with(key)))
                });
        let args = match self.called(checker) {
            Some(args) => args.iter().map(|word| quote_word(word)).collect::<Vec<_>>().join(" "),
            None if checker.name == "mypy" && names_files => String::new(),
            None => checker.args.to_owned(),
        };
        // What it fixes are the files that it checks.
        let fix = checker.fix.map(|fix| match self.called(checker) {
            Some(args) => {
                let checks = ["--check", "--check-only", "--diff", "-c", "--no-fix"];
                let words = args.iter().filter(|word| !checks.contains(*word));
                let words: Vec<String> = words.map(|word| quote_word(word)).collect();
                words.join(" ").replacen(
                    "check",
                    if checker.name == "ruff" { "check --fix" } else { "check" },
                    1,
                )
            }
            None => fix.to_owned(),
        });
        let task = self.task(checker.name, checker.kind, checker.about, found);
        let run = format!("{call} {args}").trim_end().to_owned();
        found.add(Candidate { run, fix: fix.map(|fix| format!("{call} {fix}")), ..task });
    }

    fn pytest(&self, survey: &Survey, found: &mut Proposals) {
        let task = self.task("pytest", TaskKind::Test, "Run the tests", found);
        let remark = "Tests may read any file, so any change runs them again. If you know which files, list them in `inputs`.";
        let remark = self.folder.is_top().then(|| remark.to_owned());
        let args = self.pytest_args(survey).into_iter().map(|word| format!(" {}", quote_word(word)));
        let run = format!("{}{}", self.call("pytest"), args.collect::<String>());
        found.add(Candidate { run, remark, ..task });
    }

    /// Returns the arguments with which the project's CI calls pytest: those that choose tests.
    fn pytest_args(&self, survey: &Survey) -> Vec<&str> {
        let calls = self.calls.iter().filter(|call| call.program() == "pytest" && call.is_plain);
        let is_plain = |call: &&ShellCommand| !call.args().any(|word| word.contains(['{', '$']));
        let Some(call) = calls.into_iter().find(is_plain) else { return Vec::new() };
        let paths: Vec<&str> = call.args().filter(|word| self.is_path(survey, word)).collect();
        let mut args: Vec<&str> = Vec::new();
        let words: Vec<&str> = call.args().collect();
        for pair in words.windows(2).filter(|pair| matches!(pair[0], "-m" | "-k" | "--ignore")) {
            args.extend(pair);
        }
        args.extend(call.args().filter(|word| word.starts_with("--ignore=")));
        args.extend(paths);
        args
    }

    fn is_path(&self, survey: &Survey, word: &str) -> bool {
        let path = word.trim_start_matches("./").trim_end_matches('/');
        !word.starts_with('-') && !path.is_empty() && survey.has_file(&self.folder.path_of(path))
    }

    /// Creates a task that calls `tool`.
    fn task(&self, name: &str, kind: TaskKind, about: &str, found: &mut Proposals) -> Candidate {
        let tool = name.split('-').next().unwrap_or(name);
        // The probes run the tool and the interpreter in the same way as the task does.
        let mut tools = vec![found.tool(self.folder, tool, &self.probe(&self.call(tool)))];
        let python = match self.runner {
            Runner::Plain => {
                self.venv("python").or(self.python.map(str::to_owned)).map(|python| quote_word(&python))
            }
            _ => Some(self.call("python")),
        };
        if let Some(python) = python {
            tools.push(found.tool(self.folder, "python", &self.probe(&python)));
        }
        let mut task = Candidate {
            about: about.to_owned(),
            tools,
            programs: vec![self.program().map_or_else(|| self.here(tool), str::to_owned)],
            ..Candidate::new(self.folder, self.mark, name, kind)
        };
        if self.runner == Runner::Plain && self.venv(tool).is_none() {
            task.advice = Some("if it is missing, create `.venv` with the project and its tools".to_owned());
        }
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

    /// Adds the command that creates the project's virtual environment again, for the tasks after the first
    /// `before`.
    fn install(&self, before: usize, found: &mut Proposals) {
        let Some(python) = self.venv("python").filter(|_| self.runner == Runner::Plain) else { return };
        let venv = python.split('/').next().unwrap_or_default();
        let mut packages: Vec<&str> = vec!["pytest"];
        packages.extend(CHECKERS.iter().map(|checker| checker.package));
        packages.dedup();
        packages.retain(|package| {
            let path = format!("{venv}/bin/{package}");
            let mut own = found.tasks[before..].iter();
            own.any(|task| task.run.split(' ').next() == Some(&*path))
        });
        let (args, files) = pip_arguments(self.folder, self.manifest.as_ref(), &packages);
        if args.is_empty() {
            return;
        }
        let pip = format!("{venv}/bin/pip");
        // Older versions of pip know no groups.
        let upgrade = if args.iter().any(|arg| arg.starts_with("--group")) {
            format!(" && {pip} install --quiet --upgrade pip")
        } else {
            String::new()
        };
        // A folder that git does not ignore is removed between gates. uv lets the folder ignore itself.
        let ignores = self.folder.text(".gitignore").unwrap_or_default();
        let is_ignored = ignores.lines().any(|line| line.trim().trim_matches('/') == venv);
        let ignore = if is_ignored { String::new() } else { format!(" && echo '*' > {venv}/.gitignore") };
        let run =
            format!("python3 -m venv {venv}{ignore}{upgrade} && {pip} install --quiet {}", args.join(" "));
        let inputs = files.iter().map(|name| self.folder.path_of(name)).collect();
        found.installs.push(Install { folder: self.folder.path.clone(), run, inputs });
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
            Runner::Uv | Runner::Hatch | Runner::Pipenv => {
                format!("{call} --version 2>/dev/null || {call} --version")
            }
            Runner::Poetry | Runner::Pdm | Runner::Plain => format!("{call} --version"),
        }
    }

    /// Returns the program that runs others in the project's environment.
    fn program(&self) -> Option<&'static str> {
        match self.runner {
            Runner::Uv => Some("uv"),
            Runner::Poetry => Some("poetry"),
            Runner::Pdm => Some("pdm"),
            Runner::Pipenv => Some("pipenv"),
            Runner::Hatch => Some("hatch"),
            Runner::Plain => None,
        }
    }

    fn call(&self, tool: &str) -> String {
        let Some(program) = self.program() else { return quote_word(&self.here(tool)) };
        let wanted = if self.runner == Runner::Uv { self.listing(tool) } else { None };
        match wanted {
            Some(Listing::Group(group)) => format!("uv run --group {} {tool}", quote_word(&group)),
            Some(Listing::Extra(extra)) => format!("uv run --extra {} {tool}", quote_word(&extra)),
            _ => format!("{program} run {tool}"),
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
