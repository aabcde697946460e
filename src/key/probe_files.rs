//! The files that may change the output of a tool's probe: version files that version managers read, and
//! files that the probe's command names. This module must not know what a probe prints.

use std::collections::BTreeSet;

use crate::base::path::RepoPath;
use crate::config::model::Tool;
use crate::git::snapshot::Snapshot;

/// Files that select the version of a tool.
const SELECTORS: &[&str] = &[
    // rustup, cargo
    "rust-toolchain",
    "rust-toolchain.toml",
    ".cargo/config",
    ".cargo/config.toml",
    // nvm, fnm, nodenv, n, volta and corepack (in package.json), pnpm, yarn
    ".nvmrc",
    ".node-version",
    ".n-node-version",
    "package.json",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "pnpm-workspace.yaml",
    ".bun-version",
    ".dvmrc",
    // pyenv, uv, poetry, pipenv, conda, pixi
    ".python-version",
    ".python-versions",
    "pyproject.toml",
    "uv.toml",
    "poetry.toml",
    "Pipfile",
    "environment.yml",
    "pixi.toml",
    "pixi.lock",
    // rbenv, rvm, jenv, SDKMAN, go, goenv and others
    ".ruby-version",
    ".ruby-gemset",
    "Gemfile",
    ".java-version",
    ".sdkmanrc",
    "go.mod",
    "go.work",
    ".go-version",
    "global.json",
    ".php-version",
    ".perl-version",
    ".swift-version",
    ".zigversion",
    ".terraform-version",
    ".opentofu-version",
    // asdf, mise, proto, aqua
    ".tool-versions",
    "mise.toml",
    "mise.local.toml",
    ".mise.toml",
    ".mise.local.toml",
    "mise/config.toml",
    ".mise/config.toml",
    ".config/mise.toml",
    ".config/mise/config.toml",
    ".prototools",
    "aqua.yaml",
    ".aqua.yaml",
    // direnv, Nix, devbox
    ".envrc",
    "flake.nix",
    "flake.lock",
    "shell.nix",
    "default.nix",
    "devbox.json",
    "devbox.lock",
    "devenv.nix",
    "devenv.lock",
];

/// Programs that run the version of another program that their lock file selects: `uv run ruff --version`.
const LOCKED: &[(&[&str], &[&str])] = &[
    (&["uv", "uvx"], &["uv.lock"]),
    (&["poetry"], &["poetry.lock"]),
    (&["pdm"], &["pdm.lock"]),
    (&["pipenv"], &["Pipfile.lock"]),
    (
        &["npm", "npx", "pnpm", "pnpx", "yarn", "bun", "bunx"],
        &["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"],
    ),
    (&["bundle"], &["Gemfile.lock"]),
    (&["composer"], &["composer.lock"]),
    (&["go"], &["go.sum", "go.work.sum"]),
];

/// Returns the files that may change the output of `tool`'s probe in the tree of `snapshot`, whether they
/// exist or not: version files in its folder and the folders above, and files that its command names.
pub fn probe_files(tool: &Tool, snapshot: &Snapshot) -> BTreeSet<RepoPath> {
    selectors(tool).into_iter().chain(named(&tool.probe, &tool.cwd, snapshot)).collect()
}

/// Returns the paths of version files for the probe of `tool`.
fn selectors(tool: &Tool) -> BTreeSet<RepoPath> {
    let locked =
        LOCKED.iter().filter(|(programs, _)| parts(&tool.probe).any(|word| programs.contains(&word)));
    let names: Vec<&str> =
        SELECTORS.iter().chain(locked.flat_map(|(_, files)| files.iter())).copied().collect();
    let folders = std::iter::successors(Some(tool.cwd.clone()), RepoPath::parent);
    folders.flat_map(|folder| names.iter().filter_map(|name| folder.join(name)).collect::<Vec<_>>()).collect()
}

/// Returns whether the file at `path` may change the output of `tool`'s probe.
pub fn affects_tool(tool: &Tool, path: &RepoPath) -> bool {
    selectors(tool).contains(path)
        || paths_in_line(&tool.probe, &tool.cwd).any(|named| path.is_within(&named))
}

/// Returns the files of the tree that a probe's command names.
fn named<'s>(
    line: &'s str,
    base: &'s RepoPath,
    snapshot: &'s Snapshot,
) -> impl Iterator<Item = RepoPath> + 's {
    paths_in_line(line, base).flat_map(|path| snapshot.entries_in(&path)).map(|entry| entry.path.clone())
}

/// Returns the words of a line that may be paths.
fn paths_in_line<'s>(line: &'s str, base: &'s RepoPath) -> impl Iterator<Item = RepoPath> + 's {
    let paths = parts(line).filter_map(|word| base.join(word));
    paths.filter(|path| !path.is_top())
}

/// Returns the words of a line, without shell operators.
fn parts(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| c.is_whitespace() || "'\"`;|&()<>=$,:".contains(c));
    words.filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot::{ContentId, Mode, SnapshotEntry};

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    #[test]
    fn version_files_of_parent_folders_count() {
        let tool = |probe: &str| Tool { probe: probe.to_owned(), cwd: path("web/app") };
        let all = selectors(&tool("rustc -vV"));
        for expected in [".nvmrc", "web/.nvmrc", "web/app/.nvmrc", "web/app/.cargo/config.toml"] {
            assert!(all.contains(&path(expected)), "{expected}");
        }
        assert_eq!(all.len(), 3 * SELECTORS.len());
        assert!(!all.contains(&path("uv.lock")));
        let all = selectors(&tool("uv run ruff --version"));
        assert!(all.contains(&path("uv.lock")) && all.contains(&path("web/app/uv.lock")));
    }

    #[test]
    fn version_file_affects_its_tool() {
        let tool = Tool { probe: "./tools/v.sh --version".to_owned(), cwd: path("web") };
        for (file, expected) in [
            ("web/.nvmrc", true),
            (".nvmrc", true),
            ("api/.nvmrc", false),
            ("web/tools/v.sh", true),
            ("tools/v.sh", false),
        ] {
            assert_eq!(affects_tool(&tool, &path(file)), expected, "{file}");
        }
    }

    #[test]
    fn probe_depends_on_the_files_it_names() {
        let entry = |text| SnapshotEntry {
            path: path(text),
            mode: Mode::File,
            id: ContentId([0; 20]),
            stat: None,
            tracked: true,
            not_checked_out: false,
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
