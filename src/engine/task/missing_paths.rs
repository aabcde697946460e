//! Finds the files that a failed task lacked in a private worktree, from its log and from the files of the
//! work tree that git does not have, and proposes what to write into tasks.toml. Pure: it must not know the
//! file system.

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::path::RepoPath;
use crate::config::model::{Config, ProvidedPattern, Task, TaskId};
use crate::failure_hint::{Hint, Remedy};

/// How many lines at the end of a log are read.
const MAX_LINES: usize = 1000;
/// How many missing files or folders are reported.
const MAX_FOUND: usize = 5;
/// Folders into which package managers install. They can be linked.
const PACKAGES: &[&[u8]] =
    &[b"node_modules", b".venv", b"venv", b"vendor", b"Pods", b"deps", b".yarn", b"bower_components"];
/// Folders whose content a build tool makes again, so that they are never provided.
const BUILD: &[&[u8]] = &[b"target", b"__pycache__", b".pytest_cache", b".mypy_cache", b".ruff_cache"];

/// A file or folder of the work tree that is not part of the pushed tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UntrackedPath {
    /// Its path. If git tracks nothing in a folder, this is the folder.
    pub path: RepoPath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether git ignores it.
    pub is_ignored: bool,
    /// Whether it is a folder that git does not ignore as a whole, although it tracks nothing in it.
    pub is_container: bool,
    /// The folders in it in which programs and packages are found by their names, such as
    /// `node_modules/.bin`.
    pub lookup_folders: Vec<RepoPath>,
}

/// The log of a task that failed in a private worktree, and what is known about the files.
pub struct FailedLog<'a> {
    /// The log.
    pub log: &'a str,
    /// The folder in which the task ran.
    pub cwd: &'a RepoPath,
    /// The paths that the log may use for the top of the private worktree.
    pub tops: &'a [&'a Path],
    /// What the work tree contains besides the tracked files.
    pub untracked: &'a [UntrackedPath],
    /// Returns whether a path exists in the work tree and not in the private worktree.
    pub is_missing: &'a dyn Fn(&RepoPath) -> bool,
}

/// A file or folder that the work tree has and the private worktree lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissingPath<'a> {
    /// The file or folder.
    pub found: &'a UntrackedPath,
    /// The path at or below it that the log names.
    pub named: RepoPath,
}

impl MissingPath<'_> {
    /// Returns the path to provide.
    fn path(&self) -> &RepoPath {
        if self.found.is_container { &self.named } else { &self.found.path }
    }
}

impl<'a> FailedLog<'a> {
    /// Returns what the log says was missing, in the order of the log.
    pub fn missing_paths(&self) -> Vec<MissingPath<'a>> {
        let log = without_escapes(self.log);
        let skipped = log.lines().count().saturating_sub(MAX_LINES);
        let mut found: Vec<MissingPath<'a>> = Vec::new();
        for line in log.lines().skip(skipped) {
            let says_missing = says_missing(line);
            for word in words(line) {
                if let Some(missing) = self.missing_path(word, says_missing)
                    && !found.iter().any(|known| known.path() == missing.path())
                {
                    found.push(missing);
                }
            }
        }
        found.truncate(MAX_FOUND);
        found
    }

    /// Returns the missing file or folder that a word of the log names.
    fn missing_path(&self, word: &str, says_missing: bool) -> Option<MissingPath<'a>> {
        let by_path = || self.paths(word).into_iter().find_map(|path| self.at(&path, says_missing));
        if word.contains('/') {
            let by_path = by_path();
            if by_path.is_some() || !says_missing {
                return by_path;
            }
            let relative = word.trim_start_matches("../").trim_start_matches("./");
            return if relative.len() < word.len() { self.by_end(relative) } else { self.by_name(word) };
        }
        if says_missing { by_path().or_else(|| self.by_name(word)) } else { None }
    }

    /// Returns the paths in the tree that a word may mean.
    fn paths(&self, word: &str) -> Vec<RepoPath> {
        let word = word.strip_prefix("file://").unwrap_or(word);
        if word.starts_with('/') {
            let below = self.tops.iter().find_map(|top| Path::new(word).strip_prefix(top).ok());
            let path = below.and_then(|below| RepoPath::top().join(below.to_str()?));
            return path.into_iter().collect();
        }
        [self.cwd, &RepoPath::top()].into_iter().filter_map(|folder| folder.join(word)).collect()
    }

    /// Returns the untracked file or folder that contains a path. If a line says that something is missing,
    /// the path may lack an ending.
    fn at(&self, path: &RepoPath, says_missing: bool) -> Option<MissingPath<'a>> {
        let found = self.untracked.iter().find(|untracked| path.is_within(&untracked.path))?;
        let is_missing = (self.is_missing)(path) || (says_missing && (self.is_missing)(&found.path));
        is_missing.then(|| MissingPath { found, named: path.clone() })
    }

    /// Returns the untracked file or folder whose path ends with the beginning of `relative`, which a file in
    /// an unknown folder imports.
    fn by_end(&self, relative: &str) -> Option<MissingPath<'a>> {
        let path = RepoPath::top().join(relative)?;
        let above = std::iter::successors(Some(path.clone()), RepoPath::parent).filter(|it| !it.is_top());
        let beginnings: Vec<RepoPath> = above.collect();
        let matches: Vec<MissingPath<'a>> = self
            .untracked
            .iter()
            .filter_map(|found| {
                let beginning = beginnings.iter().find(|beginning| ends_with(&found.path, beginning))?;
                let rest = path.as_path().strip_prefix(beginning.as_path()).ok()?;
                let named = found.path.join(rest.to_str()?)?;
                (self.is_missing)(&found.path).then_some(MissingPath { found, named })
            })
            .collect();
        let near = matches.iter().find(|missing| missing.found.path.is_within(self.cwd));
        near.or_else(|| matches.first().filter(|_| matches.len() == 1)).cloned()
    }

    /// Returns the folder in which a program or a package of this name is installed.
    fn by_name(&self, name: &str) -> Option<MissingPath<'a>> {
        let count = if name.starts_with('@') { 2 } else { 1 };
        let package = name.split('/').take(count).collect::<Vec<_>>().join("/");
        let module = package.split('.').next().unwrap_or_default();
        let names = [package.clone(), module.to_owned(), format!("{module}.py")];
        let names: BTreeSet<&str> = names.iter().map(String::as_str).filter(|name| name.len() > 1).collect();
        let installed = |found: &'a UntrackedPath| {
            let mut paths = found.lookup_folders.iter().flat_map(|folder| {
                names.iter().filter_map(|name| folder.join(name)).filter(move |path| path != folder)
            });
            paths.find(|path| (self.is_missing)(path)).map(|named| MissingPath { found, named })
        };
        let is_near = |missing: &MissingPath<'_>| {
            missing.found.path.parent().is_some_and(|parent| self.cwd.is_within(&parent))
        };
        let matches: Vec<MissingPath<'a>> = self.untracked.iter().filter_map(installed).collect();
        let near = matches.iter().filter(|missing| is_near(missing));
        near.max_by_key(|missing| missing.found.path.bytes().len()).or(matches.first()).cloned()
    }
}

/// Returns the hints with what to write into tasks.toml so that a task has the missing files.
pub fn hints(
    missing: &[MissingPath<'_>],
    untracked: &[UntrackedPath],
    config: &Config,
    task: &Task,
) -> Vec<Hint> {
    let mut hints = Vec::new();
    let (mut link, mut copy) = (BTreeSet::new(), BTreeSet::new());
    for lacked in missing {
        let MissingPath { found, named } = lacked;
        let name = found.path.parts().last().unwrap_or_default();
        let hint = |remedy| Hint::NotInTree { paths: vec![lacked.path().to_string()], remedy };
        if !found.is_ignored {
            hints.push(hint(Remedy::Add));
        } else if let Some(writer) = writer(config, named, found) {
            if writer.name != task.name
                && !needs(config, task).iter().any(|id| config.task(*id).name == writer.name)
            {
                let (task, needs) = (task.name.clone(), writer.name.clone());
                hints.push(hint(Remedy::Needs { task, needs }));
            }
        } else if found.is_folder && PACKAGES.contains(&name) {
            // The packages of a workspace are of no use without those of the others.
            let same = untracked.iter().filter(|other| {
                other.is_ignored && other.is_folder && other.path.parts().last() == Some(name)
            });
            link.extend(same.map(|other| &other.path));
        } else if !BUILD.contains(&name) {
            copy.insert(lacked.path());
        }
    }
    let listed = &config.worktree;
    let mut provide = |paths: BTreeSet<&RepoPath>,
                       listed: &[RepoPath],
                       listed_patterns: &[ProvidedPattern],
                       remedy: fn(Vec<String>) -> Remedy| {
        if paths.is_empty() {
            return;
        }
        let old = listed.iter().map(|path| {
            let mark = if config.worktree.may_miss.contains(path) { "?" } else { "" };
            format!("{mark}{}", relative(&config.base, path))
        });
        let mut list: Vec<String> = old.chain(listed_patterns.iter().map(ProvidedPattern::text)).collect();
        for text in patterns(&paths.iter().map(|path| relative(&config.base, path)).collect::<Vec<_>>()) {
            if !list.contains(&text) {
                list.push(text);
            }
        }
        let paths = paths.iter().map(ToString::to_string).collect();
        hints.push(Hint::NotInTree { paths, remedy: remedy(list) });
    };
    provide(link, &listed.link, &listed.link_patterns, |list| Remedy::Link { list });
    provide(copy, &listed.copy, &listed.copy_patterns, |list| Remedy::Copy { list });
    hints
}

/// Returns the task whose outputs contain a path.
fn writer<'c>(config: &'c Config, named: &RepoPath, found: &UntrackedPath) -> Option<&'c Task> {
    let writes = |task: &&Task| {
        let is_below = |folder: &RepoPath| found.is_folder && folder.is_within(&found.path);
        task.outputs.matches(named) || task.outputs.folders().iter().any(is_below)
    };
    config.tasks.iter().find(writes)
}

/// Returns the tasks that a task needs, directly or through others.
fn needs(config: &Config, task: &Task) -> BTreeSet<TaskId> {
    let mut all = BTreeSet::new();
    let mut next: Vec<TaskId> = task.needs.clone();
    while let Some(id) = next.pop() {
        if all.insert(id) {
            next.extend(&config.task(id).needs);
        }
    }
    all
}

/// Returns a path as a tasks.toml in `base` writes it.
fn relative(base: &RepoPath, path: &RepoPath) -> String {
    let (base, path): (Vec<&[u8]>, Vec<&[u8]>) = (base.parts().collect(), path.parts().collect());
    let common = base.iter().zip(&path).take_while(|(ours, theirs)| ours == theirs).count();
    let up = std::iter::repeat_n("..".to_owned(), base.len() - common);
    let down = path[common..].iter().map(|part| String::from_utf8_lossy(part).into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// Returns the paths, with `*` in place of the names of folders that are beside each other and contain the
/// same.
fn patterns(paths: &[String]) -> Vec<String> {
    let pattern = |path: &String| {
        let (folder, name) = path.rsplit_once('/')?;
        Some(match folder.rsplit_once('/') {
            Some((above, _)) => format!("{above}/*/{name}"),
            None => format!("*/{name}"),
        })
    };
    let mut texts: Vec<String> = Vec::new();
    for path in paths {
        let text = pattern(path)
            .filter(|text| paths.iter().filter(|other| pattern(other).as_ref() == Some(text)).count() > 1);
        let text = text.unwrap_or_else(|| path.clone());
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

fn ends_with(path: &RepoPath, end: &RepoPath) -> bool {
    path.bytes().strip_suffix(end.bytes()).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
}

/// Returns whether a line says that something is missing.
fn says_missing(line: &str) -> bool {
    const SIGNS: &[&str] = &[
        "not found",
        "cannot find",
        "can't find",
        "could not find",
        "couldn't find",
        "could not locate",
        "unable to",
        "no such file",
        "nosuchfile",
        "filenotfound",
        "no module named",
        "no matching file",
        "missing",
        "resolve",
        "enoent",
        "not exist",
        "doesn't exist",
        "couldn't read",
        "could not read",
        "cannot read",
        "can't read",
        "open",
        "failed to load",
        "failed to read",
        "failed to find",
        "failed to spawn",
        "not installed",
        "install",
        "unknown command",
        "not the tsc command",
    ];
    let lower = line.to_lowercase();
    SIGNS.iter().any(|sign| lower.contains(sign))
}

/// Returns the words of a line that may be names or paths, without line numbers and what surrounds them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "'\"`‘’“”()[]{}<>,;=|".contains(c);
    line.split(ends).filter_map(|word| {
        let mut word = word.trim_end_matches([':', '.', '!', '?', '…', '/']);
        while let Some((front, number)) = word.rsplit_once(':') {
            if !number.bytes().all(|byte| byte.is_ascii_digit()) {
                break;
            }
            word = front;
        }
        (word.len() > 1 && word.chars().any(char::is_alphanumeric)).then_some(word)
    })
}

/// Returns a log without the escape sequences that colour it.
fn without_escapes(log: &str) -> String {
    let mut text = String::with_capacity(log.len());
    let mut chars = log.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            let is_end = |c: &char| c.is_ascii_alphabetic();
            chars.find(is_end);
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceText, parse};

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    fn ignored(text: &str, lookup_folders: &[&str]) -> UntrackedPath {
        let is_folder = text.ends_with('/');
        let folder = path(text.trim_end_matches('/'));
        let lookup_folders = lookup_folders.iter().map(|name| folder.join(name).unwrap()).collect();
        UntrackedPath { path: folder, is_folder, is_ignored: true, is_container: false, lookup_folders }
    }

    /// The work tree of the tests: what git ignores, and files in it.
    fn untracked() -> Vec<UntrackedPath> {
        vec![
            ignored("node_modules/", &["", ".bin", "@types"]),
            ignored("packages/a/node_modules/", &["", ".bin"]),
            ignored("packages/b/node_modules/", &[""]),
            ignored(".venv/", &["bin", "lib/python3.12/site-packages"]),
            ignored("packages/a/dist/", &[]),
            ignored("config/.env", &[]),
            ignored("logs/", &[]),
            UntrackedPath { is_ignored: false, ..ignored("src/new.rs", &[]) },
        ]
    }

    fn found(log: &str, cwd: &str) -> Vec<String> {
        let untracked = untracked();
        let inside = [
            "node_modules/react",
            "node_modules/.bin/eslint",
            "node_modules/@scope/lib",
            "node_modules/@types/node",
            "packages/a/node_modules/left",
            ".venv/bin/pytest",
            ".venv/lib/python3.12/site-packages/yaml",
            ".venv/lib/python3.12/site-packages/six.py",
            "packages/a/dist/index.js",
        ];
        let is_missing = |asked: &RepoPath| {
            untracked.iter().any(|known| known.path == *asked) || inside.contains(&&*asked.to_string())
        };
        let log = FailedLog {
            log,
            cwd: &path(cwd),
            tops: &[Path::new("/gate/1")],
            untracked: &untracked,
            is_missing: &is_missing,
        };
        log.missing_paths().iter().map(|missing| missing.found.path.to_string()).collect()
    }

    #[test]
    fn missing_files_are_found_by_the_messages_of_common_tools() {
        let top: &[(&str, &[&str])] = &[
            ("sh: 1: eslint: not found", &["node_modules"]),
            ("Error: Cannot find module 'react'\nRequire stack:\n- /gate/1/src/a.js", &["node_modules"]),
            ("\u{1b}[31mTS2307\u{1b}[0m: Cannot find module '@scope/lib/x' or its types", &["node_modules"]),
            ("error TS2688: Cannot find type definition file for 'node'.", &["node_modules"]),
            ("ModuleNotFoundError: No module named 'yaml.nodes'", &[".venv"]),
            ("ImportError: cannot import: No module named six", &[".venv"]),
            ("error: Failed to spawn: `pytest`", &[".venv"]),
            ("/gate/1/.venv/bin/pytest: No such file or directory", &[".venv"]),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'config/.env'", &["config/.env"]),
            ("open /gate/1/config/.env: no such file or directory", &["config/.env"]),
            (
                "Cannot find module './dist/index'\nRequire stack:\n- /gate/1/packages/a/x.js",
                &["packages/a/dist"],
            ),
            ("error: couldn't read `src/new.rs`: No such file or directory (os error 2)", &["src/new.rs"]),
            ("at load (file:///gate/1/packages/a/dist/index.js:12:5)", &["packages/a/dist"]),
            ("Local package.json exists, but node_modules missing", &["node_modules"]),
            ("assertion failed: 1 == 2 in src/lib.rs, see logs", &[]),
            ("Cannot find module 'unknown'", &[]),
            ("ENOENT: no such file or directory, open '/elsewhere/config/.env'", &[]),
        ];
        for (log, expected) in top {
            assert_eq!(found(log, ""), *expected, "{log}");
        }
    }

    #[test]
    fn names_are_looked_up_from_the_folder_of_the_task() {
        assert_eq!(found("Cannot find module 'left'", "packages/a"), ["packages/a/node_modules"]);
        assert_eq!(found("Cannot find module 'react'", "packages/a"), ["node_modules"]);
        assert_eq!(found("ENOENT: no such file, open '.env'", "config"), ["config/.env"]);
        assert_eq!(found("Cannot find module '../../dist'", "packages/a/src"), ["packages/a/dist"]);
    }

    fn hinted(tasks: &str, missing: &[&str]) -> Vec<String> {
        let config =
            parse(&SourceText { name: "tasks.toml", text: tasks, base: RepoPath::top(), project: "" });
        let (config, untracked) = (config.unwrap(), untracked());
        let missing: Vec<MissingPath<'_>> = missing
            .iter()
            .map(|text| {
                let found = untracked.iter().find(|known| path(text).is_within(&known.path)).unwrap();
                MissingPath { found, named: path(text) }
            })
            .collect();
        let task = config.tasks.iter().find(|task| task.name == "test").unwrap();
        hints(&missing, &untracked, &config, task).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hint_has_the_line_to_add() {
        let plain = "[tasks.test]\nrun = 'x'\n";
        let linked = "[tasks.test]\nrun = 'x'\n[worktree]\nlink = ['?a', '.venv']\n";
        let built = "[tasks.build]\nrun = 'x'\noutputs = ['packages/a/dist/**']\n[tasks.test]\nrun = 'x'\n";
        let needed = format!("{built}needs = ['build']\n");
        let link = "[worktree] of tasks.toml: link = [";
        for (tasks, missing, expected) in [
            (plain, "node_modules/react", format!("{link}\"node_modules\", \"packages/*/node_modules\"]")),
            (linked, ".venv/bin/pytest", format!("{link}\"?a\", \".venv\"]")),
            (plain, "config/.env", "[worktree] of tasks.toml: copy = [\"config/.env\"]".to_owned()),
            (built, "packages/a/dist/x.js", "add to the task test: needs = [\"build\"]".to_owned()),
            (built, "packages/a/dist", "add to the task test: needs = [\"build\"]".to_owned()),
            (plain, "src/new.rs", "git add src/new.rs".to_owned()),
        ] {
            let hints = hinted(tasks, &[missing]);
            assert!(hints.len() == 1 && hints[0].ends_with(&expected), "{hints:?}");
        }
        assert_eq!(hinted(&needed, &["packages/a/dist"]), <[String; 0]>::default());
    }

    #[test]
    fn path_is_written_relative_to_the_folder_of_tasks_toml() {
        for (base, text, expected) in
            [("", "a/b", "a/b"), ("a", "a/b", "b"), ("a/c", "a/b", "../b"), ("x", "a", "../a")]
        {
            assert_eq!(relative(&path(base), &path(text)), expected);
        }
    }
}
