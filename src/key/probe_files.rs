//! The files by which the probe of a tool may answer otherwise: those in which version managers look,
//! and those that its line names. It must not know what a probe says.

use std::collections::BTreeSet;

use crate::config::model::Tool;
use crate::git::snapshot::Snapshot;
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

/// The files by which `tool` may answer otherwise in the tree of `snapshot`, be they there or not: the
/// places of version files in the folder that it is called in and above it, and what its line names.
pub fn of(tool: &Tool, snapshot: &Snapshot) -> BTreeSet<RepoPath> {
    selectors(&tool.cwd).into_iter().chain(named(&tool.probe, &tool.cwd, snapshot)).collect()
}

/// The places of version files, for a probe that is called in `base`.
fn selectors(base: &RepoPath) -> BTreeSet<RepoPath> {
    let folders = std::iter::successors(Some(base.clone()), RepoPath::parent);
    folders.flat_map(|folder| SELECTORS.iter().filter_map(move |name| folder.join(name))).collect()
}

/// Whether `tool` may answer otherwise by the file at `path`.
pub fn may_turn(tool: &Tool, path: &RepoPath) -> bool {
    selectors(&tool.cwd).contains(path) || words(&tool.probe, &tool.cwd).any(|named| path.is_within(&named))
}

/// The files of the tree that a probe's line names.
fn named<'s>(
    line: &'s str,
    base: &'s RepoPath,
    snapshot: &'s Snapshot,
) -> impl Iterator<Item = RepoPath> + 's {
    words(line, base).flat_map(|path| snapshot.within(&path)).map(|entry| entry.path.clone())
}

/// The words of a line as paths, as far as they may be some.
fn words<'s>(line: &'s str, base: &'s RepoPath) -> impl Iterator<Item = RepoPath> + 's {
    let words = line.split(|c: char| c.is_whitespace() || "'\"`;|&()<>=$,:".contains(c));
    let paths = words.filter(|word| !word.is_empty()).filter_map(|word| base.join(word));
    paths.filter(|path| !path.is_top())
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
    fn a_file_may_turn_a_tool() {
        let tool = Tool { probe: "./tools/v.sh --version".to_owned(), cwd: path("web") };
        for (file, expected) in [
            ("web/.nvmrc", true),
            (".nvmrc", true),
            ("api/.nvmrc", false),
            ("web/tools/v.sh", true),
            ("tools/v.sh", false),
        ] {
            assert_eq!(may_turn(&tool, &path(file)), expected, "{file}");
        }
    }

    #[test]
    fn a_probe_depends_on_the_files_it_names() {
        let entry = |text| Entry {
            path: path(text),
            mode: Mode::File,
            id: ContentId([0; 20]),
            stat: None,
            tracked: true,
            absent: false,
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
