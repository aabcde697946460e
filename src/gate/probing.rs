//! Whether tool probes that were asked in the user's work tree hold for another tree. It must not
//! ask them.
//!
//! A probe such as `rustc -vV` may depend on files: version managers look for theirs in the folder
//! they are called in and above it, and the probe may name a script of the repository. If all of
//! these are the same in both trees, so is the answer. Otherwise the tree is checked out and asked
//! there, which costs time and not truth.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::model::Config;
use crate::git::snapshot::Snapshot;
use crate::git::{GitError, Repository};
use crate::graph::Graph;
use crate::ground::file;
use crate::ground::path::RepoPath;

/// Files that decide which version of a tool answers.
const SELECTORS: &[&str] = &[
    "rust-toolchain",
    "rust-toolchain.toml",
    ".cargo/config",
    ".cargo/config.toml",
    ".nvmrc",
    ".node-version",
    "package.json",
    ".python-version",
    "pyproject.toml",
    "uv.toml",
    "Pipfile",
    ".ruby-version",
    "Gemfile",
    ".java-version",
    ".sdkmanrc",
    "go.mod",
    "go.work",
    ".go-version",
    "global.json",
    ".terraform-version",
    ".tool-versions",
    "mise.toml",
    "mise.local.toml",
    ".mise.toml",
    ".mise.local.toml",
    ".config/mise.toml",
    ".config/mise/config.toml",
    ".envrc",
    "flake.nix",
    "flake.lock",
];

/// Files of the tree below what a probe names that are compared before it is given up.
const MOST: usize = 200;

/// Whether the probes of `graph` answer in the work tree at `root` as they would in `tree`.
///
/// # Errors
/// The tree can't be read.
pub fn holds(
    repository: &Repository,
    root: &Path,
    (config, graph): (&Config, &Graph),
    (tree, snapshot): (&str, &Snapshot),
) -> Result<bool, GitError> {
    let tools: BTreeSet<&String> =
        graph.nodes.iter().flat_map(|node| &config.task(node.task).tools).collect();
    if tools.is_empty() {
        return Ok(true);
    }
    let mut paths = BTreeSet::new();
    for tool in tools.into_iter().filter_map(|name| config.tools.get(name)) {
        paths.extend(selectors(&tool.cwd));
        paths.extend(named(&tool.probe, &tool.cwd, snapshot));
    }
    if paths.len() > MOST + 10 * SELECTORS.len() {
        return Ok(false);
    }
    for path in paths {
        let there = repository.read_file(tree, &path)?;
        // A folder, or a file that can't be read, is not the same as any file.
        let Ok(here) = file::read(&path.under(root)) else { return Ok(false) };
        if here != there {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The places of version files, for a probe that is called in `base`.
fn selectors(base: &RepoPath) -> BTreeSet<RepoPath> {
    let folders = std::iter::successors(Some(base.clone()), RepoPath::parent);
    folders.flat_map(|folder| SELECTORS.iter().filter_map(move |name| folder.join(name))).collect()
}

/// The files of the tree that a probe's line names.
fn named<'s>(
    line: &'s str,
    base: &'s RepoPath,
    snapshot: &'s Snapshot,
) -> impl Iterator<Item = RepoPath> + 's {
    let words = line.split(|c: char| c.is_whitespace() || "'\"`;|&()<>=$,:".contains(c));
    let paths = words.filter(|word| !word.is_empty()).filter_map(|word| base.join(word));
    paths
        .filter(|path| !path.is_top())
        .flat_map(|path| snapshot.within(&path))
        .map(|entry| entry.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot::{ContentId, Entry, Mode};

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn version_files_are_looked_for_upwards() {
        let all = selectors(&path("web/app"));
        for expected in [".nvmrc", "web/.nvmrc", "web/app/.nvmrc", "web/app/.cargo/config.toml"] {
            assert!(all.contains(&path(expected)), "{expected}");
        }
        assert_eq!(all.len(), 3 * SELECTORS.len());
    }

    #[test]
    fn a_probe_depends_on_the_files_it_names() {
        let entry = |text| Entry {
            path: path(text),
            mode: Mode::File,
            id: ContentId([0; 20]),
            stat: None,
            tracked: true,
        };
        let snapshot = Snapshot::new(["tools/v.sh", "tools/lib/x", "src/a", "cat"].map(entry).into());
        let cases = [
            ("rustc -vV", ""),
            ("./tools/v.sh --version", "tools/v.sh"),
            ("sh 'tools/v.sh'; cat x", "tools/v.sh cat"),
            ("make -C tools version", "tools/lib/x tools/v.sh"),
            (". ../outside", ""),
        ];
        for (line, expected) in cases {
            let found: Vec<String> =
                named(line, &RepoPath::top(), &snapshot).map(|path| path.to_string()).collect();
            assert_eq!(found.join(" "), expected, "{line}");
        }
    }
}
