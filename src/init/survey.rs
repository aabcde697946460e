//! The files of a repository near its top, with the texts of those that describe how it is built. It must
//! not know what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

/// Folders are searched down to this many levels below the top.
const DEPTH: usize = 2;
/// No more folders than this are searched.
const MOST_FOLDERS: usize = 1000;
/// A longer file was not written by a person.
const MOST_BYTES: u64 = 1 << 20;
/// Folders with code of others or with test data.
const SKIPPED: &[&str] =
    &["node_modules", "target", "vendor", "venv", "dist", "__pycache__", "testdata", "fixtures"];
/// Files whose text is read.
const READ: &[&str] = &[
    ".gitignore",
    "Cargo.toml",
    "go.mod",
    "package.json",
    "tsconfig.json",
    "pnpm-workspace.yaml",
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
];
/// Untracked files and folders that tasks may need; each folder is searched for them.
const UNTRACKED: &[&str] = &[
    "node_modules",
    ".venv/bin/ruff",
    ".venv/bin/mypy",
    ".venv/bin/pytest",
    ".venv/bin/python",
    "venv/bin/ruff",
    "venv/bin/mypy",
    "venv/bin/pytest",
    "venv/bin/python",
];

/// What is known about a repository.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    folders: BTreeMap<String, Folder>,
    programs: BTreeSet<String>,
    cut: bool,
}

/// What is known about a folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The path from the top; empty for the top itself.
    pub path: String,
    files: BTreeMap<String, Option<String>>,
    untracked: BTreeSet<String>,
}

impl Survey {
    /// Creates a survey of files, given by their paths from the top, with their texts where they are needed.
    /// `has_program` returns whether a program is in PATH.
    pub fn of(
        files: impl IntoIterator<Item = (String, Option<String>)>,
        has_program: impl Fn(&str) -> bool,
    ) -> Self {
        let mut survey = Self::default();
        survey.folders.insert(String::new(), Folder::default());
        for (path, text) in files {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if !is_seen(folder) {
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
        let known = ["python3", "python"].into_iter().filter(|name| has_program(name));
        survey.programs = known.map(str::to_owned).collect();
        survey
    }

    /// Creates a survey of files, given by their paths from `root`, and reads those that are needed. A file
    /// that can't be read is left out.
    pub fn read(root: &Path, paths: &[String], has_program: impl Fn(&str) -> bool) -> Self {
        let text = |path: &String| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            if READ.contains(&name) && is_seen(folder) {
                return text(&root.join(path)).map(|text| (path.clone(), Some(text)));
            }
            Some((path.clone(), None))
        };
        let mut survey = Self::of(paths.iter().filter_map(text), has_program);
        for folder in survey.folders.values_mut() {
            let place = root.join(&folder.path);
            let there = UNTRACKED.iter().filter(|path| place.join(path).exists());
            let is_held = |path: &&&str| {
                let held = format!("{}/", folder.place(path.split('/').next().unwrap_or_default()));
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

    /// The folders, the top first.
    pub fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values()
    }

    /// A folder by its path.
    pub fn folder(&self, path: &str) -> Option<&Folder> {
        self.folders.get(path)
    }

    /// The folder and those above it, the nearest first.
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

    /// Whether a program is in PATH; known of interpreters alone.
    pub fn has_program(&self, name: &str) -> bool {
        self.programs.contains(name)
    }

    /// Whether there are so many folders that some were not looked at.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl Folder {
    /// Whether this is the top.
    pub fn is_top(&self) -> bool {
        self.path.is_empty()
    }

    /// Whether it has a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// The names of its files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The text of a file, if it was read.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.files.get(name)?.as_deref()
    }

    /// The first of these files that it has, with its text.
    pub fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.text(name)?)))
    }

    /// Whether it has this without git holding it.
    pub fn has_untracked(&self, path: &str) -> bool {
        self.untracked.contains(path)
    }

    /// The path of something in it, from the top.
    pub fn place(&self, name: &str) -> String {
        if self.is_top() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

/// Whether a folder is near enough to the top, and nobody else's.
pub(super) fn is_seen(folder: &str) -> bool {
    let mut parts = folder.split('/').filter(|part| !part.is_empty());
    let own = parts.all(|part| !part.starts_with('.') && !SKIPPED.contains(&part));
    own && folder.split('/').count() <= DEPTH
}

fn text(path: &Path) -> Option<String> {
    let file =
        std::fs::File::open(path).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}
