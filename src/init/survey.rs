//! Lists the files near the top of a repository and reads those that describe how it is built. It must not
//! know what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

/// How many levels of folders below the top are searched.
const DEPTH: usize = 2;
/// The maximum number of folders that are searched.
const MOST_FOLDERS: usize = 1000;
/// The maximum number of bytes that are read from a file. Files written by people are shorter.
const MOST_BYTES: u64 = 1 << 20;
/// Folders with code of other projects or with test data. They are skipped.
const SKIPPED: &[&str] = &[
    "node_modules",
    "target",
    "vendor",
    "third_party",
    "venv",
    "dist",
    "__pycache__",
    "testdata",
    "fixtures",
    "__fixtures__",
    "examples",
    "example",
    "templates",
    "playground",
    "playgrounds",
];
/// Hidden folders that are searched all the same.
const HIDDEN: &[&str] = &[".github", ".github/workflows", ".husky"];
/// Files whose text is read.
const READ: &[&str] = &[
    ".gitignore",
    "Cargo.toml",
    "go.mod",
    "package.json",
    "pnpm-workspace.yaml",
    "turbo.json",
    "nx.json",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "noxfile.py",
    "pytest.ini",
    "mypy.ini",
    "ruff.toml",
    ".ruff.toml",
    "hatch.toml",
    "Pipfile",
    "rust-toolchain",
    "rust-toolchain.toml",
    "lefthook.yml",
    "lefthook.yaml",
    ".lefthook.yml",
    ".lefthook.yaml",
    ".pre-commit-config.yaml",
    ".gitlab-ci.yml",
    "Taskfile.yml",
    "Taskfile.yaml",
    "taskfile.yml",
    "taskfile.yaml",
    "mise.toml",
    ".mise.toml",
    "CMakeLists.txt",
    "CMakePresets.json",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Gemfile",
    "Rakefile",
    "composer.json",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "justfile",
    "Justfile",
    ".justfile",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yaml",
    "docker-compose.override.yml",
];
/// Untracked files and folders that tasks may need; each folder is searched for them.
const UNTRACKED: &[&str] = &[
    "node_modules",
    ".venv/bin/python",
    ".venv/bin/ruff",
    ".venv/bin/black",
    ".venv/bin/isort",
    ".venv/bin/flake8",
    ".venv/bin/mypy",
    ".venv/bin/pyright",
    ".venv/bin/basedpyright",
    ".venv/bin/ty",
    ".venv/bin/pytest",
    ".venv/bin/pre-commit",
    "venv/bin/python",
    "venv/bin/ruff",
    "venv/bin/black",
    "venv/bin/isort",
    "venv/bin/flake8",
    "venv/bin/mypy",
    "venv/bin/pyright",
    "venv/bin/basedpyright",
    "venv/bin/ty",
    "venv/bin/pytest",
    "venv/bin/pre-commit",
];

/// The result of searching a repository.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    folders: BTreeMap<String, Folder>,
    programs: BTreeSet<String>,
    paths: BTreeSet<String>,
    cut: bool,
}

/// The files of one folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The path from the top; empty for the top itself.
    pub path: String,
    files: BTreeMap<String, Option<String>>,
    untracked: BTreeSet<String>,
}

impl Survey {
    /// Creates a survey of files, given by their paths from the top, with the texts of those that are needed.
    /// `has_program` returns whether a program is in PATH.
    pub fn new(
        files: impl IntoIterator<Item = (String, Option<String>)>,
        has_program: impl Fn(&str) -> bool,
    ) -> Self {
        let mut survey = Self::default();
        survey.folders.insert(String::new(), Folder::default());
        for (path, text) in files {
            survey.paths.insert(path.clone());
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if !is_searched(folder) {
                continue;
            }
            if survey.folders.len() >= MOST_FOLDERS && !survey.folders.contains_key(folder) {
                survey.cut = true;
                continue;
            }
            let entry = survey.folders.entry(folder.to_owned()).or_default();
            folder.clone_into(&mut entry.path);
            entry.files.insert(name.to_owned(), text);
        }
        let known = ["python3", "python", "cargo-nextest", "golangci-lint"]
            .into_iter()
            .filter(|name| has_program(name));
        survey.programs = known.map(str::to_owned).collect();
        survey
    }

    /// Creates a survey of files, given by their paths from `root`, and reads those that are needed. A file
    /// that can't be read is left out.
    pub fn read(root: &Path, paths: &[String], has_program: impl Fn(&str) -> bool) -> Self {
        let text = |path: &String| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            if is_read(folder, name) && is_searched(folder) {
                return text(&root.join(path)).map(|text| (path.clone(), Some(text)));
            }
            Some((path.clone(), None))
        };
        let mut survey = Self::new(paths.iter().filter_map(text), has_program);
        for folder in survey.folders.values_mut() {
            let place = root.join(&folder.path);
            let there = UNTRACKED.iter().filter(|path| place.join(path).exists());
            let is_held = |path: &&&str| {
                let held = format!("{}/", folder.path_of(path.split('/').next().unwrap_or_default()));
                paths.iter().any(|path| path.starts_with(&held))
            };
            folder.untracked = there.filter(|path| !is_held(path)).map(|path| (*path).to_owned()).collect();
        }
        survey
    }

    /// Returns the survey with untracked files and folders added.
    #[cfg(test)]
    pub(super) fn with_untracked(mut self, folder: &str, path: &str) -> Self {
        self.folders.entry(folder.to_owned()).or_default().untracked.insert(path.to_owned());
        self
    }

    /// Returns the folders, starting with the top.
    pub fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values()
    }

    /// Returns the folder with this path.
    pub fn folder(&self, path: &str) -> Option<&Folder> {
        self.folders.get(path)
    }

    /// Returns the folder and those above it, the nearest first.
    pub fn upward<'s>(&'s self, folder: &'s Folder) -> impl Iterator<Item = &'s Folder> {
        let mut path = Some(folder.path.as_str());
        std::iter::from_fn(move || {
            let here = path?;
            path = match here.rsplit_once('/') {
                Some((above, _)) => Some(above),
                None if here.is_empty() => None,
                None => Some(""),
            };
            Some(self.folders.get(here))
        })
        .flatten()
    }

    /// Returns whether a program is in PATH. Only a few are known.
    pub fn has_program(&self, name: &str) -> bool {
        self.programs.contains(name)
    }

    /// Returns whether there is a file of the repository at this path or below it.
    pub fn has_file(&self, path: &str) -> bool {
        self.paths.contains(path) || self.files_below(path).next().is_some()
    }

    /// Returns the paths of the repository's files in a folder and in those below it.
    pub fn files_below<'s>(&'s self, folder: &str) -> impl Iterator<Item = &'s str> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let paths = self.paths.range(start.clone()..);
        paths.map(String::as_str).take_while(move |path| path.starts_with(&start))
    }

    /// Returns whether some folders were skipped because there are too many.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Folder {
    /// Returns whether this is the top.
    pub fn is_top(&self) -> bool {
        self.path.is_empty()
    }

    /// Returns whether it has a file with this name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Returns the names of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Returns the text of a file, if it was read.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.files.get(name)?.as_deref()
    }

    /// Returns the first of these files that it has, with its text.
    pub fn first_existing<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    /// Returns whether it has this file or folder and git does not track it.
    pub fn has_untracked(&self, path: &str) -> bool {
        self.untracked.contains(path)
    }

    /// Returns the path of a file in this folder, from the top.
    pub fn path_of(&self, name: &str) -> String {
        if self.is_top() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

/// Returns whether a folder is near enough to the top and not one that is skipped.
pub(super) fn is_searched(folder: &str) -> bool {
    if HIDDEN.contains(&folder) {
        return true;
    }
    let mut parts = folder.split('/').filter(|part| !part.is_empty());
    let own = parts.all(|part| !part.starts_with(['.', '_']) && !SKIPPED.contains(&part));
    own && folder.split('/').count() <= DEPTH
}

/// Returns whether a file's text is read.
fn is_read(folder: &str, name: &str) -> bool {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    READ.contains(&name)
        || HIDDEN.contains(&folder)
        || name.starts_with("tsconfig") && ends(&[".json"])
        || name.contains("requirements") && ends(&[".txt"])
        || (name.contains(".config.") || name.starts_with("vitest."))
            && ends(&[".js", ".ts", ".mjs", ".mts", ".cjs", ".cts"])
}

fn text(path: &Path) -> Option<String> {
    let file =
        std::fs::File::open(path).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}
