//! The configuration files of known tools. `init` declares them as inputs, and `audit` reports
//! those that a tool looked for. This module must not know which tools a repository uses.
//!
//! Files that do not exist yet are listed too: without them, a task whose inputs lack `clippy.toml`
//! would still be a hit after somebody adds that file. So each entry is a pattern for any folder,
//! and may match nothing.

/// A tool, and the names of the files that configure it or choose its version. A name may contain wildcards
/// and folders, and applies in any folder of the repository.
#[derive(Clone, Copy, Debug)]
pub struct ToolFiles {
    /// The name of the tool.
    pub tool: &'static str,
    /// Its files.
    pub files: &'static [&'static str],
}

const fn tool(tool: &'static str, files: &'static [&'static str]) -> ToolFiles {
    ToolFiles { tool, files }
}

/// Version managers for more than one language.
const VERSIONS: ToolFiles = tool(
    "versions",
    &[".tool-versions", "mise.toml", ".mise.toml", ".config/mise.toml", ".config/mise/config.toml"],
);

/// Files that cargo and the programs it starts read.
pub const RUST: &[ToolFiles] = &[
    tool(
        "cargo",
        &[
            "Cargo.toml",
            "Cargo.lock",
            ".cargo/**",
            "rust-toolchain.toml",
            "rust-toolchain",
            ".config/nextest.toml",
        ],
    ),
    tool("rustfmt", &["rustfmt.toml", ".rustfmt.toml"]),
    tool("clippy", &["clippy.toml", ".clippy.toml"]),
    tool("cargo-deny", &["deny.toml", ".deny.toml"]),
    VERSIONS,
];

/// Files that tools for Python read.
pub const PYTHON: &[ToolFiles] = &[
    tool(
        "python",
        &["pyproject.toml", "setup.cfg", "setup.py", ".python-version", ".python-versions", "py.typed"],
    ),
    tool("ruff", &["ruff.toml", ".ruff.toml", ".gitignore", ".ignore"]),
    tool("mypy", &["mypy.ini", ".mypy.ini"]),
    tool("pytest", &["pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "conftest.py"]),
    tool("pyright", &["pyrightconfig.json"]),
    tool("isort", &[".isort.cfg", ".editorconfig"]),
    tool("flake8", &[".flake8"]),
    tool("pylint", &["pylintrc", ".pylintrc", "pylintrc.toml", ".pylintrc.toml"]),
    tool("coverage", &[".coveragerc", ".coveragerc.toml"]),
    tool("uv", &["uv.toml", "uv.lock"]),
    tool("poetry", &["poetry.toml", "poetry.lock"]),
    tool("pdm", &["pdm.toml", "pdm.lock"]),
    tool("pipenv", &["Pipfile", "Pipfile.lock"]),
    tool("pip", &["*requirements*.txt", "*requirements*.in", "*constraints*.txt", "requirements/**"]),
    VERSIONS,
];

/// Files that Node.js, its package managers and the tools of packages read.
pub const NODE: &[ToolFiles] = &[
    tool("node", &["package.json", ".nvmrc", ".node-version"]),
    tool("npm", &["package-lock.json", "npm-shrinkwrap.json", ".npmrc"]),
    tool("pnpm", &["pnpm-lock.yaml", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".pnpmfile.mjs"]),
    tool(
        "yarn",
        &["yarn.lock", ".yarnrc", ".yarnrc.yml", ".yarn/**", ".pnp.cjs", ".pnp.js", ".pnp.loader.mjs"],
    ),
    tool("bun", &["bun.lock", "bun.lockb", "bunfig.toml", ".bun-version"]),
    tool("deno", &["deno.json", "deno.jsonc", "deno.lock"]),
    tool("typescript", &["tsconfig*.json", "jsconfig*.json"]),
    tool("eslint", &["eslint.config.*", ".eslintrc", ".eslintrc.*", ".eslintignore"]),
    tool(
        "prettier",
        &[".prettierrc", ".prettierrc.*", "prettier.config.*", ".prettierignore", ".editorconfig"],
    ),
    tool("stylelint", &["stylelint.config.*", ".stylelintrc", ".stylelintrc.*", ".stylelintignore"]),
    tool("biome", &["biome.json", "biome.jsonc", ".biome.json", ".biome.jsonc"]),
    tool("oxlint", &[".oxlintrc.json", "oxlint.json"]),
    tool("babel", &["babel.config.*", ".babelrc", ".babelrc.*"]),
    tool("swc", &[".swcrc"]),
    tool("postcss", &["postcss.config.*", ".postcssrc", ".postcssrc.*"]),
    tool("tailwind", &["tailwind.config.*"]),
    tool("browserslist", &[".browserslistrc", "browserslist"]),
    tool("vite", &["vite.config.*", "vitest.config.*", "vitest.workspace.*"]),
    tool("jest", &["jest.config.*", "jest.setup.*"]),
    tool("mocha", &[".mocharc", ".mocharc.*"]),
    tool("coverage", &[".nycrc", ".nycrc.*", "nyc.config.*", ".c8rc", ".c8rc.*"]),
    tool("bundlers", &["webpack.config.*", "rollup.config.*", "next.config.*", "tsup.config.*"]),
    tool("browsers", &["playwright.config.*", "cypress.config.*"]),
    tool("monorepos", &["turbo.json", "nx.json", "lerna.json", "rush.json"]),
    VERSIONS,
];

/// Files that go and its linters read.
pub const GO: &[ToolFiles] = &[
    tool("go", &["go.mod", "go.sum", "go.work", "go.work.sum", ".go-version"]),
    tool("golangci-lint", &[".golangci.*"]),
    VERSIONS,
];

/// Files that programs read to start other programs.
pub const RUNNERS: &[ToolFiles] = &[
    tool("make", &["Makefile", "makefile", "GNUmakefile", "*.mk"]),
    tool("just", &["justfile", "Justfile", ".justfile"]),
    tool("pre-commit", &[".pre-commit-config.yaml", ".pre-commit-hooks.yaml"]),
    tool("markdownlint", &[".markdownlint.*", ".markdownlint-cli2.*", ".markdownlintignore"]),
    tool("yamllint", &[".yamllint", ".yamllint.yaml", ".yamllint.yml"]),
    tool("shellcheck", &[".shellcheckrc", "shellcheckrc"]),
    tool("hadolint", &[".hadolint.yaml", ".hadolint.yml"]),
    tool("typos", &["typos.toml", "_typos.toml", ".typos.toml"]),
    tool("taplo", &["taplo.toml", ".taplo.toml"]),
];

/// All tools.
pub const ALL: &[&[ToolFiles]] = &[RUST, PYTHON, NODE, GO, RUNNERS];

/// Returns the patterns for the files of these tools, in order and without duplicates.
pub fn patterns(tools: &[ToolFiles]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for file in tools.iter().flat_map(|tool| tool.files) {
        let pattern = format!("**/{file}");
        if !all.contains(&pattern) {
            all.push(pattern);
        }
    }
    all
}

/// Returns the pattern for the file at `path`, if it configures a known tool.
pub fn known(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let mut files = ALL.iter().copied().flatten().flat_map(|tool| tool.files);
    files.find(|file| is_named(path, file)).map(|file| format!("**/{file}"))
}

/// Returns whether `path` ends with `file`, or is in the folder `file`.
fn is_named(path: &str, file: &str) -> bool {
    if let Some(folder) = file.strip_suffix("/**") {
        return path.rsplit('/').skip(1).any(|part| part == folder);
    }
    let parts = file.split('/').count();
    let from = path.rmatch_indices('/').nth(parts - 1).map_or(0, |(at, _)| at + 1);
    path[from..].split('/').count() == parts && fast_glob::glob_match(file, &path[from..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::path::RepoPath;
    use crate::base::pattern::{Pattern, PatternBase};

    #[test]
    fn each_tool_file_matches_in_any_folder() {
        for pattern in ALL.iter().flat_map(|tools| patterns(tools)) {
            let parsed =
                Pattern::parse(&pattern, PatternBase { base: &RepoPath::top(), anchored: false }).unwrap();
            let file = pattern.trim_start_matches("**/").replace("**", "x").replace('*', "x");
            for folder in ["", "a/", "a/b/c/"] {
                let path = RepoPath::from_git(format!("{folder}{file}").as_bytes());
                assert!(parsed.matches(&path), "{pattern} {path}");
            }
        }
    }

    #[test]
    fn tool_file_is_recognised_by_the_end_of_its_path() {
        let cases = [
            ("clippy.toml", Some("**/clippy.toml")),
            ("a/b/.clippy.toml", Some("**/.clippy.toml")),
            ("a/tsconfig.base.json", Some("**/tsconfig*.json")),
            ("a/.cargo/config.toml", Some("**/.cargo/**")),
            ("web/eslint.config.mjs", Some("**/eslint.config.*")),
            (".config/nextest.toml", Some("**/.config/nextest.toml")),
            ("nextest.toml", None),
            ("my-clippy.toml", None),
            ("clippy.toml/x", None),
            ("src/main.rs", None),
        ];
        for (path, expected) in cases {
            assert_eq!(known(path.as_bytes()).as_deref(), expected, "{path}");
        }
        assert_eq!(known(b"\xff/clippy.toml"), None);
    }
}
