//! What well-known programs do: check, test, build, or rewrite files. It must not know who calls them.

use crate::init::proposals::TaskKind;
use crate::init::shell_line::ShellCommand;

/// Programs that do one thing, whatever their arguments are.
const PROGRAMS: &[(TaskKind, &[&str])] = &[
    (TaskKind::Format, &["oxfmt", "gofmt", "clang-format", "isort", "black", "taplo", "sort-package-json"]),
    (
        TaskKind::Lint,
        &[
            "eslint",
            "xo",
            "standard",
            "ts-standard",
            "semistandard",
            "oxlint",
            "stylelint",
            "tslint",
            "knip",
            "publint",
            "attw",
            "markdownlint",
            "markdownlint-cli2",
            "madge",
            "sherif",
            "manypkg",
            "depcheck",
            "cspell",
            "ls-lint",
            "syncpack",
            "size-limit",
            "check-dts-exports",
            "editorconfig-checker",
            "flake8",
            "pylint",
            "codespell",
            "bandit",
            "vulture",
            "interrogate",
            "pydocstyle",
            "doc8",
            "golangci-lint",
            "staticcheck",
            "shellcheck",
            "yamllint",
            "actionlint",
            "hadolint",
            "typos",
            "rubocop",
            "standardrb",
            "phpcs",
            "php-cs-fixer",
            "check-manifest",
            "pre-commit",
            "prek",
            "biome",
            "ruff",
            "alex",
            "dpdm",
            "skott",
            "zizmor",
        ],
    ),
    (
        TaskKind::Types,
        &[
            "tsc",
            "vue-tsc",
            "tsgo",
            "svelte-check",
            "tsd",
            "check-dts",
            "dtslint",
            "mypy",
            "pyright",
            "basedpyright",
            "pyrefly",
            "ty",
            "pytype",
            "phpstan",
            "psalm",
            "sorbet",
            "flow",
        ],
    ),
    (
        TaskKind::Test,
        &[
            "vitest", "jest", "mocha", "ava", "tape", "tap", "uvu", "jasmine", "borp", "japa", "pytest",
            "py.test", "unittest", "trial", "rspec", "phpunit", "pest", "ctest", "karma", "bnt", "wtr",
        ],
    ),
    (TaskKind::E2e, &["playwright", "cypress", "wdio", "nightwatch", "codecept", "testcafe"]),
    (
        TaskKind::Build,
        &[
            "tsup",
            "tsdown",
            "rollup",
            "webpack",
            "esbuild",
            "unbuild",
            "obuild",
            "parcel",
            "microbundle",
            "swc",
            "babel",
            "ncc",
            "bunchee",
            "pkgroll",
            "vite-build",
            "zshy",
            "ng-packagr",
            "rolldown",
        ],
    ),
];

/// Returns what a command does, if that is known.
pub(super) fn kind(command: &ShellCommand) -> Option<TaskKind> {
    let program = command.program();
    let first = command.subcommand();
    match (program, first) {
        ("prettier", _) if is_check(command) || is_rewrite(command) => Some(TaskKind::Format),
        ("prettier", _) => None,
        ("dprint", "check" | "fmt") | ("biome" | "ruff", "format") | ("deno" | "cargo", "fmt") => {
            Some(TaskKind::Format)
        }
        ("deno" | "next" | "ng", "lint") | ("cargo", "clippy" | "deny") | ("go", "vet") => {
            Some(TaskKind::Lint)
        }
        ("deno" | "astro" | "cargo", "check") => Some(TaskKind::Types),
        ("cargo", "test" | "nextest") => Some(TaskKind::Test),
        ("bun" | "deno" | "go" | "ng" | "react-scripts", "test") => Some(TaskKind::Test),
        ("vite" | "next" | "nuxt" | "astro" | "ng" | "cargo" | "go" | "react-scripts" | "bun", "build") => {
            Some(TaskKind::Build)
        }
        ("node", _) if command.has_any(&["--test"]) => Some(TaskKind::Test),
        ("tsc" | "vue-tsc" | "tsgo", _) if emits(command) => Some(TaskKind::Build),
        ("playwright" | "cypress", first) if !matches!(first, "test" | "run") => None,
        _ => PROGRAMS.iter().find(|(_, names)| names.contains(&program)).map(|(kind, _)| *kind),
    }
}

/// Returns whether the TypeScript compiler writes files.
fn emits(command: &ShellCommand) -> bool {
    command.args().any(|word| word.starts_with("--outDir") || word.starts_with("--declaration"))
        || command.args().any(|word| {
            word.contains("build") && word.rsplit('.').next() == Some("json") || word.contains(".dist.")
        })
}

fn is_check(command: &ShellCommand) -> bool {
    command.has_any(&["--check", "-c", "--list-different", "-l"])
}

/// Returns whether a command rewrites the files that it checks.
pub(super) fn is_rewrite(command: &ShellCommand) -> bool {
    if is_check(command) {
        return false;
    }
    command.has_any(&["--fix", "--write", "-w", "--apply", "--unsafe", "--fix-dry-run"])
        || match (command.program(), command.subcommand()) {
            ("oxfmt" | "black" | "isort" | "sort-package-json", _) => {
                !command.has_any(&["--diff", "--check-only"])
            }
            ("dprint" | "deno" | "ruff" | "cargo" | "terraform", "format" | "fmt") => true,
            ("gofmt" | "goimports" | "gofumpt", _) => false,
            _ => false,
        }
}

/// Returns the form of a rewriting command that only checks, if it is known.
pub(super) fn check_form(command: &ShellCommand) -> Option<String> {
    let without = |options: &[&str]| {
        let mut text = format!(" {} ", command.text);
        for option in options {
            text = text.replace(&format!(" {option} "), " ");
        }
        text.trim().to_owned()
    };
    match (command.program(), command.subcommand()) {
        ("prettier", _) => {
            let text = format!(" {} ", command.text);
            let text = text.replace(" --write ", " --check ").replace(" -w ", " --check ");
            Some(text.trim().to_owned())
        }
        (
            "eslint" | "stylelint" | "xo" | "standard" | "ts-standard" | "oxlint" | "markdownlint"
            | "markdownlint-cli2",
            _,
        ) => Some(without(&["--fix"])),
        ("biome", _) => Some(without(&["--write", "--fix", "--apply", "--unsafe"])),
        ("oxfmt" | "sort-package-json", _) => Some(format!("{} --check", command.text)),
        ("dprint", "fmt") => Some(command.text.replacen("fmt", "check", 1)),
        ("deno", "fmt") => Some(format!("{} --check", command.text)),
        _ => None,
    }
    // A command that is left as it was still rewrites files.
    .filter(|text| *text != command.text)
}

/// Returns whether a command runs until it is stopped.
pub(super) fn is_endless(command: &ShellCommand) -> bool {
    let watches = |word: &str| matches!(word, "--watch" | "--watchAll" | "--watch=true" | "--ui");
    command.args().any(watches)
        || matches!(
            (command.program(), command.subcommand()),
            ("nodemon", _)
                | (
                    "vite" | "next" | "nuxt" | "astro" | "vitepress" | "wrangler" | "nx",
                    "dev" | "serve" | "start" | "watch" | "preview"
                )
                | ("vitest", "watch" | "dev")
                | ("ng" | "react-scripts", "serve" | "start")
        )
        || command.program() == "vite" && command.args().next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::shell_line::commands;

    #[test]
    fn check_form_of_a_rewriting_command_only_checks() {
        let cases = [
            ("prettier --write .", Some("prettier --check .")),
            ("prettier . -w", Some("prettier . --check")),
            ("eslint --fix src", Some("eslint src")),
            ("biome check --write --unsafe .", Some("biome check .")),
            ("oxfmt", Some("oxfmt --check")),
            ("deno fmt", Some("deno fmt --check")),
            ("rustfmt --fix", None),
        ];
        for (text, expected) in cases {
            let command = &commands(text)[0];
            assert_eq!(check_form(command).as_deref(), expected, "{text}");
            if let Some(check) = check_form(command) {
                assert!(is_rewrite(command), "{text}");
                assert!(!is_rewrite(&commands(&check)[0]), "{check}");
            }
        }
    }

    #[test]
    fn kind_of_a_command_is_known_by_its_program() {
        let cases = [
            ("npx eslint .", Some(TaskKind::Lint)),
            ("prettier -c .", Some(TaskKind::Format)),
            ("tsc --noEmit", Some(TaskKind::Types)),
            ("tsc -p tsconfig.build.json", Some(TaskKind::Build)),
            ("playwright install", None),
            ("playwright test", Some(TaskKind::E2e)),
            ("node --test", Some(TaskKind::Test)),
            ("node a.js", None),
            ("vite build", Some(TaskKind::Build)),
            ("nyc mocha", Some(TaskKind::Test)),
            ("uv run ruff format --check", Some(TaskKind::Format)),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(&commands(text)[0]), expected, "{text}");
        }
    }
}
