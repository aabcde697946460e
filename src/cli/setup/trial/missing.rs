//! What a task that failed in a private worktree may lack there, besides the ignored files that its log names. Pure.

use std::collections::BTreeSet;

use crate::base::path::RepoPath;
use crate::init::proposals::Install;

/// Parts of messages about something that does not exist.
const MISSING: &[&str] = &[
    "not found",
    "cannot find",
    "can't find",
    "could not find",
    "couldn't find",
    "no such file",
    "enoent",
    "could not resolve",
    "couldn't resolve",
    "failed to resolve",
    "failed to load",
    "unable to resolve",
    "cannot resolve",
    "module_not_found",
    "no module named",
    "does not exist",
    "doesn't exist",
    "not installed",
    "unresolved import",
    "missing",
    "ts6305",
    "ts2307",
    "ts7016",
    "has not been built",
    "undefined",
    "not set",
    "importerror",
];
/// The files of package managers, the commands that install from them, and what they create.
const INSTALLS: &[(&str, &str, &str, &str)] = &[
    ("package-lock.json", "npm ci", "package.json", "node_modules"),
    ("npm-shrinkwrap.json", "npm ci", "package.json", "node_modules"),
    ("pnpm-lock.yaml", "pnpm install --frozen-lockfile", "package.json", "node_modules"),
    ("yarn.lock", "yarn install --frozen-lockfile", "package.json", "node_modules"),
    ("bun.lock", "bun install --frozen-lockfile", "package.json", "node_modules"),
    ("bun.lockb", "bun install --frozen-lockfile", "package.json", "node_modules"),
    ("uv.lock", "uv sync", "pyproject.toml", ".venv"),
    ("poetry.lock", "poetry install", "pyproject.toml", ".venv"),
    ("pdm.lock", "pdm install", "pyproject.toml", ".venv"),
    ("composer.lock", "composer install", "composer.json", "vendor"),
];

/// What a private worktree gets for a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Additions {
    /// Tasks that it needs.
    pub needs: BTreeSet<String>,
    /// Folders that are linked.
    pub links: BTreeSet<String>,
    /// Files and folders that are copied.
    pub copies: BTreeSet<String>,
    /// Commands that install dependencies.
    pub setups: BTreeSet<Install>,
}

impl Additions {
    /// Returns whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether other tasks can use some of it.
    pub fn is_shared(&self) -> bool {
        !(self.links.is_empty() && self.copies.is_empty() && self.setups.is_empty())
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: Self) {
        self.needs.extend(other.needs);
        self.links.extend(other.links);
        self.copies.extend(other.copies);
        self.setups.extend(other.setups);
    }
}

/// Returns whether a log says that something does not exist.
pub fn says_missing(log: &str) -> bool {
    let log = log.to_lowercase();
    MISSING.iter().any(|words| log.contains(words))
}

/// Returns whether a log names a path, either from the top or from the folder of its task.
pub fn names_path(log: &str, path: &RepoPath, folder: &str) -> bool {
    let path = path.to_string();
    let inner = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    [Some(&*path), inner].into_iter().flatten().any(|path| {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        path.len() > 2
            && log.match_indices(path).any(|(at, _)| {
                let before = log[..at].chars().next_back();
                let after = log[at + path.len()..].chars().next();
                !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
            })
    })
}

/// Returns the command that installs the dependencies of `folder` or of one above it, if they are not installed
/// there. If a folder has several lock files, that of one of `programs` counts. `has` returns whether the tree
/// has a file, `exists` whether the work tree has a path.
pub fn install(
    folder: &str,
    programs: &[String],
    has: &dyn Fn(&RepoPath) -> bool,
    exists: &dyn Fn(&RepoPath) -> bool,
) -> Option<Install> {
    let folder = RepoPath::from_git(folder.as_bytes());
    let mut folders = std::iter::successors(Some(folder), RepoPath::parent);
    folders.find_map(|folder| {
        let is_missing = |(lock, _, _, made): &&(&str, &str, &str, &str)| {
            has(&folder.child(lock.as_bytes())) && !exists(&folder.child(made.as_bytes()))
        };
        let found: Vec<_> = INSTALLS.iter().filter(is_missing).collect();
        let is_own =
            |(_, run, ..): &&&(&str, &str, &str, &str)| programs.iter().any(|it| run.starts_with(&**it));
        let (lock, run, manifest, _) = found.iter().find(is_own).or(found.first())?;
        let inputs = [lock, manifest].map(|name| folder.child(name.as_bytes()));
        Some(Install {
            folder: folder.to_string(),
            run: (*run).to_owned(),
            inputs: inputs.iter().filter(|path| has(path)).map(ToString::to_string).collect(),
        })
    })
}

/// Names of extras and groups of a Python project with the tools of its tasks.
const PYTHON_GROUPS: &[&str] =
    &["dev", "develop", "development", "test", "tests", "testing", "lint", "typing", "all"];

/// Returns a `pip install` that also installs the extras and groups for development which `pyproject` declares.
pub fn with_python_groups(install: Install, pyproject: &str) -> Install {
    if !install.run.contains("pip install") {
        return install;
    }
    let extras = keys(pyproject, "[project.optional-dependencies]");
    let groups = keys(pyproject, "[dependency-groups]");
    let mut run = install.run;
    if !extras.is_empty()
        && let Some(start) = run.strip_suffix(" -e .")
    {
        run = format!("{start} -e '.[{}]'", extras.join(","));
    }
    if let Some(group) = groups.first() {
        run.push_str(&format!(" --group {group}"));
    }
    Install { run, ..install }
}

/// Returns those of [`PYTHON_GROUPS`] that are keys of a table.
fn keys(text: &str, table: &str) -> Vec<&'static str> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != table).skip(1);
    let own: Vec<&str> = lines.take_while(|line| !line.starts_with('[')).collect();
    let has =
        |name: &str| own.iter().any(|line| line.split_once('=').is_some_and(|(key, _)| key.trim() == name));
    PYTHON_GROUPS.iter().copied().filter(|name| has(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn named_paths_are_whole_words() {
        for (log, name, folder, expected) in [
            ("can't open 'web/.env'", "web/.env", "", true),
            ("can't open '.env'", "web/.env", "web", true),
            ("can't open '.env'", "web/.env", "", false),
            ("can't open 'x.env'", "web/.env", "web", false),
            ("ENOENT ./dist/a.js", "dist", "", true),
            ("distance", "dist", "", false),
        ] {
            assert_eq!(names_path(log, &path(name), folder), expected, "{log}");
        }
    }

    #[test]
    fn install_follows_from_the_nearest_lock_file() {
        let tree = ["package-lock.json", "package.json", "api/uv.lock", "api/pyproject.toml"];
        let has = |path: &RepoPath| tree.contains(&&*path.to_string());
        let found = |folder: &str, existing: &str| {
            install(folder, &[], &has, &|path| path.to_string() == existing)
                .map(|it| (it.folder, it.run, it.inputs))
        };
        let own = |folder: &str, run: &str, inputs: [&str; 2]| {
            Some((folder.to_owned(), run.to_owned(), inputs.map(str::to_owned).to_vec()))
        };
        assert_eq!(found("packages/a", ""), own("", "npm ci", ["package-lock.json", "package.json"]));
        assert_eq!(found("api", ""), own("api", "uv sync", ["api/uv.lock", "api/pyproject.toml"]));
        assert_eq!(found("packages/a", "node_modules"), None);
    }

    #[test]
    fn one_of_several_lock_files_is_that_of_the_program() {
        let run = |programs: &[&str]| {
            let programs: Vec<String> = programs.iter().map(|it| (*it).to_owned()).collect();
            let has = |path: &RepoPath| ["package-lock.json", "pnpm-lock.yaml"].contains(&&*path.to_string());
            install("", &programs, &has, &|_| false).unwrap().run
        };
        assert_eq!(run(&["node", "pnpm"]), "pnpm install --frozen-lockfile");
        assert_eq!(run(&["node", "npm"]), "npm ci");
        assert_eq!(run(&["make"]), "npm ci");
    }

    #[test]
    fn extras_for_development_are_installed() {
        let install = |run: &str| Install { folder: String::new(), run: run.to_owned(), inputs: Vec::new() };
        let text = "[project]\nname = \"x\"\n\n[project.optional-dependencies]\ndev = [\n  \"ruff\",\n]\ndocs = []\ntest = []\n[dependency-groups]\ndev = []\n";
        let run = |line: &str| with_python_groups(install(line), text).run;
        assert_eq!(run("v/bin/pip install -e ."), "v/bin/pip install -e '.[dev,test]' --group dev");
        assert_eq!(run("uv sync"), "uv sync");
        assert_eq!(with_python_groups(install("pip install -e ."), "").run, "pip install -e .");
    }
}
