//! What a script of a package.json is for, by its name and by the tools that it runs. It must not know how the
//! scripts are called.

use crate::init::check_tools;
use crate::init::package_scripts::{Flat, Package};
use crate::init::proposals::TaskKind;

/// What a script is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScriptUse {
    /// It checks, tests or builds something.
    Check(TaskKind),
    /// It rewrites files that others check.
    Fix(TaskKind),
    /// It runs until it is stopped.
    Endless,
    /// It watches files, though its name is that of a check.
    Watch,
    /// It is the placeholder that npm writes.
    Placeholder,
    /// Anything else, such as a release.
    Other,
}

/// The kinds with the names of their main scripts, the best first.
pub(super) const MAIN: &[(TaskKind, &[&str])] = &[
    (
        TaskKind::Format,
        &[
            "format:check",
            "fmt:check",
            "check:format",
            "format-check",
            "check-format",
            "prettier:check",
            "format",
            "prettier",
            "fmt",
        ],
    ),
    (TaskKind::Lint, &["lint", "lint:ci", "lint:check", "check:lint", "eslint", "check"]),
    (
        TaskKind::Types,
        &[
            "typecheck",
            "type-check",
            "check-types",
            "check:types",
            "types:check",
            "type:check",
            "check:type",
            "test:types",
            "test:type",
            "lint:types",
            "lint:tsc",
            "types",
            "tsc",
            "check:ts",
        ],
    ),
    (TaskKind::Build, &["build", "compile", "build:all"]),
    (
        TaskKind::Test,
        &[
            "test",
            "test:unit",
            "unit",
            "test:ci",
            "test:run",
            "tests",
            "test:all",
            "test:lib",
            "jest",
            "vitest",
        ],
    ),
    (TaskKind::Integration, &["test:integration", "integration", "test:int"]),
    (
        TaskKind::E2e,
        &["test:e2e", "e2e", "test:playwright", "playwright", "test:browser", "test:cypress", "test"],
    ),
];
/// Scripts that run several checks.
pub(super) const AGGREGATES: &[&str] =
    &["ci", "validate", "verify", "check", "check:all", "check-all", "checks", "test:all", "test-all", "qa"];

/// Words of names, each with the kind it stands for. Those in front decide.
const WORDS: &[(TaskKind, &[&str])] = &[
    (TaskKind::E2e, &["e2e", "playwright", "cypress"]),
    (TaskKind::Integration, &["integration", "int"]),
    (TaskKind::Format, &["format", "formatting", "fmt", "prettier"]),
    (
        TaskKind::Types,
        &["types", "type", "typecheck", "typechecking", "tsc", "typings", "tsd", "dts", "ts", "typescript"],
    ),
    (
        TaskKind::Lint,
        &[
            "lint",
            "linting",
            "eslint",
            "oxlint",
            "stylelint",
            "biome",
            "knip",
            "publint",
            "sherif",
            "spell",
            "spelling",
        ],
    ),
    (TaskKind::Test, &["test", "tests", "unit", "spec", "jest", "vitest", "mocha", "coverage", "pretest"]),
];
const OTHER: &[&str] = &[
    "release",
    "publish",
    "deploy",
    "changeset",
    "changesets",
    "version",
    "bump",
    "clean",
    "docs",
    "doc",
    "storybook",
    "bench",
    "benchmark",
    "perf",
    "generate",
    "gen",
    "codegen",
    "install",
    "setup",
    "migrate",
    "seed",
    "db",
    "docker",
    "staged",
    "precommit",
    "prepush",
    "commit",
    "prepare",
    "prepack",
    "prepublish",
    "prepublishOnly",
    "postinstall",
    "preinstall",
    "postpack",
    "open",
    "report",
    "profile",
    "analyze",
    "debug",
    "affected",
    "changed",
    "patch",
    "smoke",
    "site",
    "website",
    "example",
    "examples",
    "demo",
    "demos",
    "snapshot",
    "snapshots",
    "husky",
];
const ENDLESS: &[&str] = &["dev", "start", "watch", "serve", "preview", "develop"];
const FIXING: &[&str] = &["fix", "write", "autofix", "apply", "update"];

/// Returns what a script is for.
pub(super) fn script_use(package: &Package<'_>, script: &str) -> ScriptUse {
    let flat = package.flat(script);
    let tokens: Vec<&str> = script.split([':', '-', '_', '.', '/', ' ']).collect();
    let has = |words: &[&str]| tokens.iter().any(|token| words.contains(token));
    if package.line(script).is_some_and(|line| line.contains("no test specified")) {
        return ScriptUse::Placeholder;
    }
    let hangs_on = ["pre", "post"].iter().filter_map(|start| script.strip_prefix(start));
    if hangs_on.into_iter().any(|rest| package.line(rest).is_some()) {
        return ScriptUse::Other;
    }
    if has(ENDLESS) || has(&["ui", "headed", "inspect"]) {
        return if ENDLESS.contains(&script) { ScriptUse::Endless } else { ScriptUse::Other };
    }
    if has(OTHER) {
        return ScriptUse::Other;
    }
    let by_tools = tools_kind(&flat);
    let by_name = name_kind(&tokens);
    let rewrites = flat.tools.iter().any(check_tools::is_rewrite);
    if has(FIXING) || rewrites {
        let kind = by_name.or(by_tools).filter(|kind| matches!(kind, TaskKind::Format | TaskKind::Lint));
        // A build or a test may format what it generates.
        match (kind, by_name) {
            (_, Some(kind @ (TaskKind::Build | TaskKind::Test))) if !has(FIXING) => {
                return ScriptUse::Check(kind);
            }
            (Some(kind), _) => return ScriptUse::Fix(kind),
            (None, _) => return ScriptUse::Other,
        }
    }
    let kinds: Vec<Option<TaskKind>> = flat.tools.iter().map(check_tools::kind).collect();
    let kind = if !kinds.is_empty() && kinds.iter().all(|kind| *kind == Some(TaskKind::E2e)) {
        Some(TaskKind::E2e)
    } else if script.starts_with("test") && script != "test" && by_name == Some(TaskKind::Test) {
        // Such as `test:build`, which runs publint.
        by_tools.filter(|kind| *kind != TaskKind::Build).or(by_name)
    } else if AGGREGATES.contains(&script)
        || tokens.first() == Some(&"check")
        || tokens.first() == Some(&"ci")
    {
        by_name.or(by_tools).or(Some(TaskKind::Lint))
    } else {
        by_name
    };
    match kind {
        Some(_) if flat.tools.iter().any(check_tools::is_endless) => ScriptUse::Watch,
        Some(TaskKind::Format) if by_tools.is_none() && ["format", "fmt", "prettier"].contains(&script) => {
            ScriptUse::Fix(TaskKind::Format)
        }
        Some(kind) => ScriptUse::Check(kind),
        None => ScriptUse::Other,
    }
}

/// Returns what all tools of a script do: one kind, or the most expensive of several.
pub(super) fn tools_kind(flat: &Flat) -> Option<TaskKind> {
    let kinds: Vec<TaskKind> = flat.tools.iter().filter_map(check_tools::kind).collect();
    kinds.iter().copied().filter(|kind| *kind != TaskKind::Build).max().or(kinds.first().copied())
}

fn name_kind(tokens: &[&str]) -> Option<TaskKind> {
    if matches!(tokens.first(), Some(&("build" | "compile"))) {
        return Some(TaskKind::Build);
    }
    let has = |words: &[&str]| tokens.iter().any(|token| words.contains(token));
    WORDS.iter().find(|(_, words)| has(words)).map(|(kind, _)| *kind)
}
