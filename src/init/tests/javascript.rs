//! Tests of JavaScript packages.

use super::*;
use crate::init::Candidate;

#[test]
fn scripts_run_with_the_declared_package_manager() {
    let scripts = |scripts: &str| format!("{{\"scripts\": {{{scripts}}}}}");
    let pnpm = scripts("\"lint\": \"x\"").replacen('{', "{\"packageManager\": \"pnpm@9.1.0\", ", 1);
    let many = scripts("\"lint\": \"x\", \"lint:fix\": \"y\", \"type-check\": \"z\", \"test:e2e\": \"e\"");
    let (test, build) = (scripts("\"test\": \"x\""), scripts("\"build\": \"x\""));
    check(&[
        (&[("package.json", &pnpm), ("yarn.lock", "")], &["lint: pnpm run lint"]),
        (
            &[("package.json", &many), ("yarn.lock", "")],
            &["lint: yarn run lint", "typecheck: yarn run type-check", "e2e: yarn run test:e2e"],
        ),
        (&[("web/package.json", &test), ("pnpm-lock.yaml", "")], &["web-test: pnpm run test in web"]),
        (&[("bun.lock", ""), ("package.json", &build)], &["build: bun run build"]),
        (&[("a/b/c/package.json", &test), ("node_modules/package.json", &test)], &[]),
    ]);
}

#[test]
fn members_of_a_workspace_have_tasks_of_their_own() {
    let member = |script: &str, line: &str| format!("{{\"scripts\": {{\"{script}\": \"{line}\"}}}}");
    let (lint, none) = (member("lint", "x"), member("test", "no test specified"));
    let test = member("test", "x");
    let npm = r#"{"workspaces": ["packages/*", "!packages/old"], "scripts": {"build": "x"}}"#;
    let files = [
        ("package.json", npm),
        ("packages/a/package.json", &lint),
        ("packages/b/package.json", &test),
        ("packages/c/package.json", &none),
        ("packages/old/package.json", &lint),
    ];
    let all = found(&files);
    assert_eq!(
        commands(&all),
        [
            "build: npm run build",
            "packages-a-lint: npm run lint in packages/a",
            "packages-b-test: npm run test in packages/b",
        ]
    );
    assert_eq!(
        omissions(&all),
        [
            "script `test` of packages/c/package.json: it is the placeholder that npm writes",
            "packages/old/package.json: it is not a member of the workspace above it",
        ]
    );
    let pnpm = [
        ("package.json", "{}"),
        ("pnpm-workspace.yaml", "packages:\n  - 'packages/**' # all\n\ncatalog:\n  - x\n"),
        ("packages/a/package.json", &lint),
    ];
    assert_eq!(commands(&found(&pnpm)), ["packages-a-lint: pnpm run lint in packages/a"]);
    let yarn = [("package.json", npm), ("yarn.lock", ""), ("packages/a/package.json", &lint)];
    assert_eq!(
        commands(&found(&yarn)),
        ["build: yarn run build", "packages-a-lint: yarn run lint in packages/a"]
    );
}

#[test]
fn npm_workspace_gets_tasks() {
    let files = [
        (
            "package.json",
            r#"{"workspaces": ["packages/*"], "scripts": {"format:check": "x", "format": "y", "dev": "z"}}"#,
        ),
        ("packages/a/package.json", r#"{"scripts": {"lint": "x", "typecheck": "y", "test": "z"}}"#),
        ("docker-compose.yml", "services:\n  db:\n    ports:\n      - 5432:5432\n  mail:\n    image: x\n"),
        ("deploy/compose.yaml", "services: {}\n"),
    ];
    let found = propose_tasks(&survey(&files).with_untracked("", "node_modules"));
    insta::assert_snapshot!(body(&text(&found, None)), @r##"
    # Sets of files, used as "@name" in `inputs`. A task runs again if one of its inputs changed; without
    # `inputs` these are all files. Add what a task reads besides. Files that configure tools are named
    # whether or not they exist: a task has to run again when one is added.
    [files]
    node-settings = [
        "**/package.json", "**/.nvmrc", "**/.node-version", "**/package-lock.json",
        "**/npm-shrinkwrap.json", "**/.npmrc", "**/pnpm-lock.yaml", "**/pnpm-workspace.yaml",
        "**/.pnpmfile.cjs", "**/.pnpmfile.mjs", "**/yarn.lock", "**/.yarnrc", "**/.yarnrc.yml",
        "**/.yarn/**", "**/.pnp.cjs", "**/.pnp.js", "**/.pnp.loader.mjs", "**/bun.lock", "**/bun.lockb",
        "**/bunfig.toml", "**/.bun-version", "**/deno.json", "**/deno.jsonc", "**/deno.lock",
        "**/tsconfig*.json", "**/jsconfig*.json", "**/eslint.config.*", "**/.eslintrc", "**/.eslintrc.*",
        "**/.eslintignore", "**/.prettierrc", "**/.prettierrc.*", "**/prettier.config.*",
        "**/.prettierignore", "**/.editorconfig", "**/stylelint.config.*", "**/.stylelintrc",
        "**/.stylelintrc.*", "**/.stylelintignore", "**/biome.json", "**/biome.jsonc", "**/.biome.json",
        "**/.biome.jsonc", "**/.oxlintrc.json", "**/oxlint.json", "**/babel.config.*", "**/.babelrc",
        "**/.babelrc.*", "**/.swcrc", "**/postcss.config.*", "**/.postcssrc", "**/.postcssrc.*",
        "**/tailwind.config.*", "**/.browserslistrc", "**/browserslist", "**/vite.config.*",
        "**/vitest.config.*", "**/vitest.workspace.*", "**/jest.config.*", "**/jest.setup.*", "**/.mocharc",
        "**/.mocharc.*", "**/.nycrc", "**/.nycrc.*", "**/nyc.config.*", "**/.c8rc", "**/.c8rc.*",
        "**/webpack.config.*", "**/rollup.config.*", "**/next.config.*", "**/tsup.config.*",
        "**/playwright.config.*", "**/cypress.config.*", "**/turbo.json", "**/nx.json", "**/lerna.json",
        "**/rush.json", "**/.tool-versions", "**/mise.toml", "**/.mise.toml", "**/.config/mise.toml",
        "**/.config/mise/config.toml",
    ]

    # Commands that print the versions of tools. If the output changes, the tasks that name the tool run again.
    [tools]
    node = "node --version"
    npm = "npm --version"

    # For all tasks. A task gets a few basic variables, and those that it names in `env` and `pass-env`.
    [defaults]
    timeout = "30m"

    # The tasks or groups that must pass before a push. `xtask hooks install` turns this on.
    [hooks]
    pre-push = ["ci"]

    # A push is tested in a private worktree, which has no ignored files of its own at first.
    [worktree]
    # It gets hard links to these ignored files.
    link = ["node_modules"]

    [tasks.ci]
    description = "Everything that must pass before a push"
    needs = ["lint", "unit"]   # groups, or names of tasks

    # ---- package.json

    [tasks.format]
    description = "Check the formatting"
    group = "lint"
    run = "npm run format:check"
    fix = "npm run format"
    tools = ["node", "npm"]

    # ---- packages/a/package.json

    [tasks.packages-a-lint]
    description = "Lint"
    group = "lint"
    run = "npm run lint"
    cwd = "packages/a"
    inputs = ["packages/a/**", "@node-settings"]
    tools = ["node", "npm"]

    [tasks.packages-a-typecheck]
    description = "Check the types"
    group = "lint"
    run = "npm run typecheck"
    cwd = "packages/a"
    inputs = ["packages/a/**", "@node-settings"]
    tools = ["node", "npm"]

    [tasks.packages-a-test]
    description = "Run the tests"
    group = "unit"
    run = "npm run test"
    cwd = "packages/a"
    inputs = ["packages/a/**", "@node-settings"]
    tools = ["node", "npm"]

    # ---- docker-compose.yml

    # Its services. A task that uses one names it: services = ["db"]
    # [services.db]
    # run = "docker compose up db"
    # ready = { tcp = "127.0.0.1:5432", timeout = "30s" }
    # [services.mail]
    # run = "docker compose up mail"
    # ready = { log = "ready", timeout = "30s" }   # it publishes no port

    # deploy/compose.yaml could not be read by `xtask init`, so its services are not shown here.

    # ---- Found, but not written as a task
    #
    #   script `dev` of package.json: it runs until it is stopped
    "##);
}

/// Returns the field of each task, by its name.
fn fields(found: &Proposals, field: impl Fn(&Candidate) -> String) -> Vec<String> {
    found.tasks.iter().map(|task| format!("{}: {}", task.name, field(task))).collect()
}

fn package(scripts: &[(&str, &str)]) -> String {
    let scripts: serde_json::Map<String, serde_json::Value> =
        scripts.iter().map(|(name, line)| ((*name).to_owned(), (*line).into())).collect();
    serde_json::json!({ "scripts": scripts }).to_string()
}

#[test]
fn script_that_calls_others_is_not_a_task_of_its_own() {
    let cases: &[Case<'_>] = &[
        (
            &[("check", "npm run lint && npm run types"), ("lint", "eslint ."), ("types", "tsc --noEmit")],
            &["lint: npm run lint", "typecheck: npm run types"],
        ),
        (
            &[("test", "npm run lint && npm run build && ava"), ("lint", "xo"), ("build", "tsc")],
            &["lint: npm run lint", "test: npm exec -- ava", "build: npm run build"],
        ),
        (
            &[("test", "run-s test:*"), ("test:lint", "eslint ."), ("test:unit", "jest")],
            &["lint: npm run test:lint", "test: npm run test:unit"],
        ),
        (&[("test", "xo && ava")], &["test: npm run test"]),
        (&[("test", "mocha"), ("test:ci", "nyc npm test")], &["test: npm run test"]),
        (&[("lint", "eslint ."), ("eslint", "npx eslint .")], &["lint: npm run lint"]),
        (&[("test", "npm run test")], &[]),
        (&[("test", "vitest"), ("lint", "eslint . --watch")], &["test: npm run test -- --run"]),
        (&[("build", "npm run build:js && cp a b"), ("build:js", "tsc")], &["build: npm run build"]),
    ];
    for (scripts, expected) in cases {
        assert_eq!(commands(&found(&[("package.json", &package(scripts))])), *expected, "{scripts:?}");
    }
    let built = found(&[("package.json", &package(&[("test", "npm run build && ava"), ("build", "tsc")]))]);
    assert_eq!(fields(&built, |task| task.needs.join(" ")), ["test: build", "build: "]);
}

#[test]
fn script_that_rewrites_files_is_the_fix_of_a_check() {
    let fix = |task: &Candidate| format!("{} | {}", task.run, task.fix.as_deref().unwrap_or("-"));
    let cases: &[Case<'_>] = &[
        (&[("format", "prettier --write .")], &["format: npm exec -- prettier --check . | npm run format"]),
        (&[("lint", "eslint --fix src")], &["lint: npm exec -- eslint src | npm run lint"]),
        (
            &[
                ("lint", "eslint ."),
                ("eslint:fix", "eslint . --fix"),
                ("format", "prettier -c ."),
                ("pretty", "prettier -w ."),
            ],
            &["format: npm run format | npm run pretty", "lint: npm run lint | npm run eslint:fix"],
        ),
        (&[("format", "own-formatter --write")], &[]),
    ];
    for (scripts, expected) in cases {
        assert_eq!(fields(&found(&[("package.json", &package(scripts))]), fix), *expected, "{scripts:?}");
    }
}

#[test]
fn task_of_a_member_reads_what_the_member_uses() {
    let root = r#"{"workspaces": ["packages/*"], "scripts": {"test": "turbo run test"}}"#;
    let core =
        r#"{"name": "core", "main": "dist/index.js", "scripts": {"build": "tsup", "test": "vitest run"}}"#;
    let app = r#"{"name": "app", "dependencies": {"core": "workspace:*"}, "scripts": {"test": "vitest run", "lint": "eslint ."}}"#;
    let files = [
        ("package.json", root),
        ("pnpm-lock.yaml", ""),
        (".gitignore", "dist/\n"),
        ("packages/core/package.json", core),
        ("packages/app/package.json", app),
        ("packages/app/vitest.config.ts", "import shared from '../../vitest.shared'\n"),
        ("vitest.shared.ts", ""),
        ("packages/other/package.json", r#"{"name": "other", "scripts": {"dev": "vite"}}"#),
    ];
    let found = found(&files);
    let shown =
        |task: &Candidate| format!("{:?} {:?} {:?}", task.inputs, task.needs, task.outputs).replace('"', "");
    assert_eq!(
        fields(&found, shown),
        [
            "packages-app-lint: [packages/app/**, packages/core/**, vitest.shared.ts, @node-settings] [] []",
            "packages-app-test: [packages/app/**, packages/core/**, vitest.shared.ts, @node-settings] [packages-core-build] []",
            "packages-core-test: [packages/core/**, @node-settings] [] []",
            "packages-core-build: [packages/core/**, @node-settings] [] [packages/core/dist/**]",
        ]
    );
    read(&text(&found, None));
}

#[test]
fn scripts_that_ci_runs_are_tasks() {
    let scripts = package(&[
        ("test", "vitest run"),
        ("test:browser", "vitest run --project browser"),
        ("test:slow", "vitest run --project slow"),
        ("check:circular", "madge --circular src"),
        ("build", "tsup"),
    ]);
    let workflow = "\
on: [push]
jobs:
  test:
    steps:
      - run: |
          pnpm build
          pnpm test
          pnpm test:browser
      - run: pnpm check:circular
  release:
    steps:
      - run: pnpm publish
";
    let files = [("package.json", &*scripts), ("pnpm-lock.yaml", ""), (".github/workflows/ci.yml", workflow)];
    let all = found(&files);
    assert_eq!(
        commands(&all),
        [
            "lint: pnpm run check:circular",
            "test: pnpm run test",
            "test-browser: pnpm run test:browser",
            "build: pnpm run build",
        ]
    );
    assert_eq!(all.tasks[1].needs, ["build"]);
    assert_eq!(omissions(&all), ["script `test:slow` of package.json: CI does not run it"]);
}
