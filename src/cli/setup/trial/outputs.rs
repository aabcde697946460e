//! Turns the files that a task wrote into the patterns of its `outputs`. It must not know how they were found.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::path::RepoPath;
use crate::init::proposals::literal;

/// Folders and files that tools install or keep for themselves. They are no results.
const NO_RESULTS: &[&str] = &[
    "node_modules",
    "bower_components",
    "target",
    "vendor",
    "venv",
    ".venv",
    "env",
    "__pycache__",
    "coverage",
    ".nyc_output",
    "test-results",
    "playwright-report",
    "zig-cache",
    "elm-stuff",
    "_build",
    "deps",
    "Pods",
];
/// Hidden folders that are results; all others belong to tools.
const HIDDEN_RESULTS: &[&str] =
    &[".next", ".output", ".nuxt", ".svelte-kit", ".vercel", ".docusaurus", ".vitepress"];
/// Endings of files that tools keep for themselves.
const NO_RESULT_ENDINGS: &[&str] =
    &[".tsbuildinfo", ".log", ".pyc", ".egg-info", ".pid", ".lock", ".DS_Store", ".tmp"];
/// Usual names of folders with built files.
const BUILT: &[&str] = &[
    "dist",
    "build",
    "lib",
    "out",
    "es",
    "esm",
    "cjs",
    "umd",
    "public",
    "generated",
    "gen",
    "_site",
    "site",
    "types",
    "bin",
    "output",
    "bundle",
    "bundles",
    "docs",
];
/// The number of files in a folder from which on one pattern stands for all of them.
const MANY: usize = 8;
/// The maximum number of patterns of a task.
const MOST: usize = 24;

/// A file or a whole folder that a task wrote.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Written {
    /// The path.
    pub path: RepoPath,
    /// Whether it is a folder in which nothing else is.
    pub is_folder: bool,
}

/// Returns whether a path belongs to a tool or to installed dependencies.
pub fn is_of_tool(path: &RepoPath) -> bool {
    let parts: Vec<String> = path.parts().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    parts.iter().any(|part| {
        NO_RESULTS.contains(&&**part)
            || part.starts_with('.') && !HIDDEN_RESULTS.contains(&&**part)
            || NO_RESULT_ENDINGS.iter().any(|ending| part.ends_with(ending))
    })
}

/// Returns the patterns for ignored files that a task wrote; `None` if there are too many of them.
pub fn ignored_outputs(written: &[Written]) -> Option<Vec<String>> {
    patterns(written.iter().filter(|it| !is_of_tool(&it.path)))
}

/// Returns the patterns for files of the tree that a task wrote; `None` if there are too many of them. `folder` is
/// the folder of the task.
pub fn tracked_outputs(folder: &RepoPath, paths: &[RepoPath]) -> Option<Vec<String>> {
    let below = folder.parts().count();
    let written: BTreeSet<Written> = paths
        .iter()
        .map(|path| {
            let built = path.parts().nth(below).filter(|_| path.is_within(folder));
            let is_built = built.is_some_and(|part| BUILT.iter().any(|name| name.as_bytes() == part))
                && path.parts().count() > below + 1;
            match built {
                Some(part) if is_built => Written { path: folder.child(part), is_folder: true },
                _ => Written { path: path.clone(), is_folder: false },
            }
        })
        .collect();
    patterns(written.iter())
}

fn patterns<'w>(written: impl Iterator<Item = &'w Written>) -> Option<Vec<String>> {
    let mut patterns = BTreeSet::new();
    let mut files: BTreeMap<(Option<RepoPath>, String), Vec<&RepoPath>> = BTreeMap::new();
    for Written { path, is_folder } in written {
        let text = literal(&path.to_string());
        if *is_folder {
            patterns.insert(format!("{text}/**"));
            if path.parts().last() == Some(b".next") {
                patterns.insert(format!("!{text}/cache/**"));
            }
        } else {
            let ending = text.rsplit('/').next().and_then(|name| Some(name.split_once('.')?.1.to_owned()));
            files.entry((path.parent(), ending.unwrap_or_default())).or_default().push(path);
        }
    }
    for ((folder, ending), paths) in files {
        let folder = folder.filter(|folder| !folder.is_top());
        match folder {
            Some(folder) if paths.len() >= MANY && !ending.is_empty() => {
                patterns.insert(format!("{}/*.{ending}", literal(&folder.to_string())));
            }
            _ => patterns.extend(paths.into_iter().map(|path| literal(&path.to_string()))),
        }
    }
    // Exclusions come after what they exclude from: `!` sorts first.
    let (excluded, included): (Vec<String>, Vec<String>) =
        patterns.into_iter().partition(|text| text.starts_with('!'));
    let all: Vec<String> = included.into_iter().chain(excluded).collect();
    (all.len() <= MOST).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn ignored_files_become_few_patterns() {
        let written =
            |text: &str| Written { path: path(text.trim_end_matches('/')), is_folder: text.ends_with('/') };
        let many: Vec<String> = (0..9).map(|n| format!("src/f{n}.d.ts")).collect();
        let cases: &[(&[&str], &[&str])] = &[
            (&["dist/", "node_modules/.cache/", ".eslintcache", "a.tsbuildinfo"], &["dist/**"]),
            (&[".next/"], &[".next/**", "!.next/cache/**"]),
            (&["web/out/", "web/a.js"], &["web/a.js", "web/out/**"]),
            (&["api/__pycache__/", ".pytest_cache/", "target/"], &[]),
        ];
        for (paths, expected) in cases {
            let paths: Vec<Written> = paths.iter().map(|path| written(path)).collect();
            assert_eq!(ignored_outputs(&paths).unwrap(), *expected);
        }
        let many: Vec<Written> = many.iter().map(|path| written(path)).collect();
        assert_eq!(ignored_outputs(&many).unwrap(), ["src/*.d.ts"]);
    }

    #[test]
    fn tracked_outputs_are_built_folders_or_files() {
        let paths = [path("dist/a.js"), path("dist/b/c.js"), path("README.md")];
        assert_eq!(tracked_outputs(&RepoPath::top(), &paths).unwrap(), ["README.md", "dist/**"]);
        let paths = [path("web/lib/a.js"), path("lib/b.js")];
        assert_eq!(tracked_outputs(&path("web"), &paths).unwrap(), ["lib/b.js", "web/lib/**"]);
    }
}
