//! Tests of JavaScript packages.

use super::*;

#[test]
fn scripts_run_with_the_declared_package_manager() {
    let scripts = |scripts: &str| format!("{{\"scripts\": {{{scripts}}}}}");
    let pnpm = scripts("\"lint\": \"x\"").replacen('{', "{\"packageManager\": \"pnpm@9.1.0\", ", 1);
    let many = scripts("\"lint\": \"x\", \"lint:fix\": \"y\", \"type-check\": \"x\", \"test:e2e\": \"x\"");
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
fn members_of_a_workspace_run_from_its_root() {
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
            "lint: npm run lint --workspaces --if-present",
            "build: npm run build",
            "test: npm run test --workspace packages/b",
            "packages-old-lint: npm run lint in packages/old",
        ]
    );
    let pnpm = [
        ("package.json", "{}"),
        ("pnpm-workspace.yaml", "packages:\n  - 'packages/**' # all\n\ncatalog:\n  - x\n"),
        ("packages/a/package.json", &lint),
    ];
    assert_eq!(commands(&found(&pnpm)), ["lint: pnpm --recursive --if-present run lint"]);
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
        ("packages/a/package.json", r#"{"scripts": {"lint": "x", "typecheck": "x", "test": "x"}}"#),
        ("docker-compose.yml", "services:\n  db:\n    ports:\n      - 5432:5432\n  mail:\n    image: x\n"),
        ("deploy/compose.yaml", "services: {}\n"),
    ];
    let found = propose_tasks(&survey(&files).with_untracked("", "node_modules"));
    insta::assert_snapshot!(body(&text(&found, None)), @r##"
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

    [tasks.lint]
    description = "Lint"
    group = "lint"
    run = "npm run lint --workspaces --if-present"
    inputs = ["!tasks.toml"]   # all other files
    tools = ["node", "npm"]

    [tasks.typecheck]
    description = "Check the types"
    group = "lint"
    run = "npm run typecheck --workspaces --if-present"
    inputs = ["!tasks.toml"]   # all other files
    tools = ["node", "npm"]

    [tasks.test]
    description = "Run the tests"
    group = "unit"
    run = "npm run test --workspaces --if-present"
    inputs = ["!tasks.toml"]   # all other files
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
