//! Tests of what is found in a repository and of the text that is written for it.

use super::text::{Standing, Tried, write};
use super::{Found, Survey, look};
use crate::config::model::Config;
use crate::config::{Source, parse};
use crate::ground::path::RepoPath;

/// A repository of these files.
fn survey(files: &[(&str, &str)]) -> Survey {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())));
    Survey::of(files, |name| name == "python3")
}

fn found(files: &[(&str, &str)]) -> Found {
    look(&survey(files))
}

/// `name: command`, with its folder if it is not the top.
fn commands(found: &Found) -> Vec<String> {
    let place = |folder: &str| if folder.is_empty() { String::new() } else { format!(" in {folder}") };
    found.tasks.iter().map(|task| format!("{}: {}{}", task.name, task.run, place(&task.folder))).collect()
}

fn omissions(found: &Found) -> Vec<String> {
    found.omitted.iter().map(|it| format!("{}: {}", it.what, it.why)).collect()
}

/// The text with all tasks kept, or all left out for a reason.
fn text(found: &Found, why: Option<&str>) -> String {
    let standing = why.map_or(Standing::Kept, |why| Standing::LeftOut(why.to_owned()));
    write(found, &vec![standing; found.tasks.len()], Tried::Once)
}

#[track_caller]
fn read(text: &str) -> Config {
    parse(&Source { name: "tasks.toml", text, base: RepoPath::top(), project: "" })
        .unwrap_or_else(|diagnostics| panic!("{}\n{text}", diagnostics.render(false)))
}

/// The text without the head that all have.
fn body(text: &str) -> &str {
    text.split_once("has git ask at each push\n\n").unwrap().1
}

/// Files, and the commands or omissions that they lead to.
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);

#[track_caller]
fn check(cases: &[Case<'_>]) {
    for (files, expected) in cases {
        let found = found(files);
        assert_eq!(commands(&found), *expected, "{files:?}");
        read(&text(&found, None));
        read(&text(&found, Some("a reason")));
    }
}

#[test]
fn scripts_are_run_by_the_package_manager_that_is_told() {
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
fn python_tools_are_found_where_they_are_set_up() {
    let poetry = "[tool.poetry.group.dev.dependencies]\nruff = \"*\"\nblack = \"*\"\n";
    check(&[
        (&[("requirements.txt", "ruff==0.5\nblack\n")], &["ruff: ruff check ."]),
        (&[("requirements.txt", "ruff-lsp\nflask\n")], &[]),
        (
            &[("pyproject.toml", "[tool.ruff]\n[tool.mypy]\nfiles = [\"src\"]\n"), ("uv.lock", "")],
            &["ruff: uv run ruff check .", "ruff-format: uv run ruff format --check .", "mypy: uv run mypy"],
        ),
        (
            &[("pyproject.toml", poetry), ("poetry.lock", ""), ("tests/test_a.py", "")],
            &["ruff: poetry run ruff check .", "pytest: poetry run pytest"],
        ),
        (
            &[("api/setup.cfg", "[mypy]\n[tool:pytest]\n")],
            &["api-mypy: mypy . in api", "api-pytest: pytest in api"],
        ),
        (&[("tests/test_a.py", "")], &[]),
    ]);
}

#[test]
fn modules_packages_and_targets_are_found() {
    let lint = "{\"scripts\": {\"lint\": \"x\"}}";
    let root = "[workspace]\nmembers = [\"a\"]\nexclude = [\"b\"]\n";
    check(&[
        (
            &[("a/b/go.mod", ""), (".x/go.mod", "")],
            &[
                "a-b-gofmt: files=$(gofmt -l .); echo \"$files\"; test -z \"$files\" in a/b",
                "a-b-vet: go vet ./... in a/b",
                "a-b-go-test: go test ./... in a/b",
            ],
        ),
        (&[("Makefile", "lint test:\n\tx\nother:\n\tx\n")], &["lint: make lint", "test: make test"]),
        (&[("justfile", "fmt-check:\n  x\ne2e:\n  x\n")], &["fmt-check: just fmt-check", "e2e: just e2e"]),
        (
            &[("package.json", lint), ("Makefile", "lint check integration:\n")],
            &["lint: npm run lint", "integration: make integration"],
        ),
        (
            &[(".pre-commit-config.yaml", ""), ("a/.pre-commit-config.yaml", "")],
            &["pre-commit: pre-commit run --all-files --show-diff-on-failure"],
        ),
        (
            &[("Cargo.toml", root), ("a/Cargo.toml", "[package]\n"), ("b/Cargo.toml", "[package]\n")],
            &[
                "fmt: cargo fmt --all --check",
                "clippy: cargo clippy --workspace --all-targets -- -D warnings",
                "unit: cargo test --workspace",
                "b-fmt: cargo fmt --all --check in b",
                "b-clippy: cargo clippy --workspace --all-targets -- -D warnings in b",
                "b-unit: cargo test --workspace in b",
            ],
        ),
        (&[("Cargo.toml", "not toml")], &[]),
        (&[("README.md", "")], &[]),
    ]);
}

#[test]
fn what_a_rust_task_reads_is_the_whole_tree_where_it_can_not_be_told() {
    let inputs = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
        found(files).tasks.into_iter().map(|task| task.inputs).collect()
    };
    let none = Vec::<String>::new();
    let package = ("Cargo.toml", "[package]\n");
    let set = vec!["@rust".to_owned()];
    assert_eq!(inputs(&[package]), [set.clone(), set.clone(), none.clone()]);
    assert_eq!(inputs(&[package, ("build.rs", "")]), [set, none.clone(), none.clone()]);
    let below = vec!["a/**".to_owned()];
    assert_eq!(inputs(&[("a/Cargo.toml", "[package]\n")]), [below.clone(), below.clone(), below]);
    let leaves = "[package]\n[dependencies]\nx = { path = \"../x\" }\n";
    assert_eq!(inputs(&[("a/Cargo.toml", leaves)]), [none.clone(), none.clone(), none]);
    let ignored = found(&[package, (".gitignore", "/target\n/Cargo.lock\n")]);
    assert_eq!(ignored.sets["rust"], ["**/*.rs", "**/Cargo.toml", ".cargo/**"]);
}

#[test]
fn what_is_no_task_is_told_with_the_reason() {
    let cases: &[Case<'_>] = &[
        (
            &[(
                "package.json",
                r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1", "dev": "x", "start": "y"}}"#,
            )],
            &[
                "script `test` of package.json: it is the placeholder that npm writes",
                "scripts `dev`, `start` of package.json: they run until they are ended",
            ],
        ),
        (
            &[("package.json", r#"{"scripts": {"test": "jest --watch", "lint": "x --watch=false"}}"#)],
            &["script `test` of package.json: it watches files and never ends"],
        ),
        (&[("a/package.json", "[")], &["a/package.json: it is not JSON"]),
        (&[("Cargo.toml", "[profile.dev]\n")], &["Cargo.toml: it has neither a package nor a workspace"]),
        (&[("setup.py", "")], &["setup.py: it is set up for none of ruff, mypy and pytest"]),
    ];
    for (files, expected) in cases {
        assert_eq!(omissions(&found(files)), *expected, "{files:?}");
    }
    let make = found(&[("Makefile", "lint deploy clean:\n")]);
    assert_eq!(make.remarks, ["Makefile has also: deploy, clean"]);
}

#[test]
fn members_of_a_workspace_are_run_from_its_root() {
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
fn what_git_does_not_hold_is_linked_to() {
    let files = [
        ("web/package.json", r#"{"scripts": {"lint": "x"}, "dependencies": {"x": "1"}}"#),
        ("setup.py", ""),
        ("pytest.ini", ""),
    ];
    let without = found(&files);
    assert_eq!(without.tasks[1].advice.as_deref(), Some("node_modules is missing: npm ci"));
    let survey = survey(&files).with_untracked("web", "node_modules").with_untracked("", ".venv/bin/pytest");
    let found = look(&survey);
    assert_eq!(commands(&found), ["pytest: .venv/bin/pytest", "web-lint: npm run lint in web"]);
    assert_eq!(found.tasks[1].advice, None);
    let links: Vec<String> =
        read(&text(&found, None)).worktree.link.iter().map(ToString::to_string).collect();
    assert_eq!(links, [".venv", "web/node_modules"]);
}

#[test]
fn odd_names_are_written_so_that_they_are_read_as_they_are() {
    let scripts = r#"{"scripts": {"test": "x"}}"#;
    let files = [
        ("my app \"1\"/package.json", scripts),
        ("@x[1]/package.json", scripts),
        ("-/package.json", scripts),
        ("v1.2/package.json", scripts),
        ("a\\b*/package.json", scripts),
        ("a-b/package.json", scripts),
        ("new\nline/package.json", scripts),
    ];
    let found = found(&files);
    let config = read(&text(&found, None));
    for task in &found.tasks {
        let written = config.tasks.iter().find(|written| written.name == task.name).unwrap();
        assert_eq!(written.cwd.to_string(), task.folder);
        let file = RepoPath::from_git(format!("{}/package.json", task.folder).into_bytes());
        assert!(written.inputs.matches(&file), "{}: {:?}", task.name, written.inputs);
        let other = RepoPath::from_git(&b"other/package.json"[..]);
        assert!(!written.inputs.matches(&other), "{}: {:?}", task.name, written.inputs);
    }
    let mut names: Vec<&str> = found.tasks.iter().map(|task| &*task.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["a-b-test", "a-b-test-2", "my-app--1-test", "new-line-test", "test", "v1.2-test", "x-1-test"]
    );
    // A reason is what a program said.
    read(&text(&found, Some("exit status 1: \u{1b}[31m\"bad\"\r\nevil = 1\u{0}")));
}

#[test]
fn a_folder_that_takes_in_others_reads_more_than_its_own_files() {
    let inputs = |files: &[(&str, &str)]| found(files).tasks.into_iter().next().unwrap().inputs;
    let plain = ("web/package.json", r#"{"scripts": {"lint": "x"}}"#);
    assert_eq!(inputs(&[plain, ("web/yarn.lock", "")]), ["web/**"]);
    assert_eq!(inputs(&[plain, ("pnpm-lock.yaml", "")]), ["web/**", "pnpm-lock.yaml"]);
    let sibling = r#"{"scripts": {"lint": "x"}, "dependencies": {"y": "file:../y"}}"#;
    assert!(inputs(&[("web/package.json", sibling)]).is_empty());
    let member = [("package.json", r#"{"workspaces": ["web"]}"#), ("yarn.lock", ""), plain];
    assert!(inputs(&member).is_empty());
    assert_eq!(
        inputs(&[("api/ruff.toml", ""), ("api/setup.py", ""), ("uv.lock", "")]),
        ["api/**", "uv.lock"]
    );
}

#[test]
fn tools_of_the_same_name_in_two_places_are_two() {
    let survey =
        survey(&[("a/setup.py", ""), ("a/pytest.ini", ""), ("b/setup.py", ""), ("b/pytest.ini", "")])
            .with_untracked("a", ".venv/bin/pytest");
    let found = look(&survey);
    assert_eq!(found.tools["pytest"], "a/.venv/bin/pytest --version");
    assert_eq!(found.tools["b-pytest"], "pytest --version");
    assert_eq!(found.tasks[1].tools, ["b-pytest", "python"]);
}

#[test]
fn a_rust_workspace() {
    let found = found(&[
        ("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n"),
        ("rustfmt.toml", ""),
        ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
        ("Makefile", "lint:\n\tx\nrelease:\n\tx\n"),
    ]);
    insta::assert_snapshot!(text(&found, None), @r##"
    #:schema https://raw.githubusercontent.com/taskgate/taskgate/main/schema/tasks.schema.json
    #
    # The tasks of this repository, for taskgate: it runs them in parallel, takes from its cache what has
    # passed with the same files, tools and variables, and asks before a push whether all of them passed.
    # Written by `xtask init` for what it found here. Each task was tried once and passed; those that did
    # not are comments that say why. Try next:
    #
    #   xtask                  lists the tasks
    #   xtask ci               runs all that has to hold before a push
    #   xtask hooks install    has git ask at each push

    # Sets of files, used as "@name" in `inputs`. A task runs again if one of its inputs changed; without
    # `inputs` these are all files. Add what a task reads besides, such as files that code includes.
    [files]
    rust = ["**/*.rs", "**/Cargo.toml", "Cargo.lock", ".cargo/**", "rustfmt.toml"]

    # What tools say of themselves. If it changes, the tasks that name the tool run again.
    [tools]
    cargo = "cargo -V"
    rustc = "rustc -vV"

    # For all tasks. A task gets a short base of variables and those that are named here or in the task. With `?`
    # in front the value may differ without a task running again.
    [defaults]
    timeout = "30m"
    pass-env = ["?CARGO_HOME", "?RUSTUP_HOME", "?RUSTUP_TOOLCHAIN"]

    # The tasks or groups that each pushed tree has to pass, once `xtask hooks install` was run.
    [hooks]
    pre-push = ["ci"]

    [tasks.ci]
    description = "All that has to hold before a push"
    needs = ["lint", "unit"]   # groups, or names of tasks

    # ---- Cargo.toml

    [tasks.fmt]
    description = "Check the formatting"
    group = "lint"
    run = "cargo fmt --all --check"
    fix = "cargo fmt --all"
    inputs = ["@rust"]
    tools = ["rustc", "cargo"]

    [tasks.clippy]
    description = "Lint with clippy"
    group = "lint"
    run = "cargo clippy --workspace --all-targets -- -D warnings"
    fix = "cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged"
    inputs = ["@rust"]
    tools = ["rustc", "cargo"]
    locks = ["target"]

    # Tests may read any file, so any change runs them again. If you know which, name them in `inputs`.
    [tasks.unit]
    description = "Run the tests"
    group = "unit"
    run = "cargo test --workspace"
    tools = ["rustc", "cargo"]
    locks = ["target"]

    # ---- Seen, and not made a task
    #
    #   Makefile has also: lint, release
    "##);
}

#[test]
fn an_npm_workspace() {
    let files = [
        (
            "package.json",
            r#"{"workspaces": ["packages/*"], "scripts": {"format:check": "x", "format": "y", "dev": "z"}}"#,
        ),
        ("packages/a/package.json", r#"{"scripts": {"lint": "x", "typecheck": "x", "test": "x"}}"#),
        ("docker-compose.yml", "services:\n  db:\n    ports:\n      - 5432:5432\n  mail:\n    image: x\n"),
        ("deploy/compose.yaml", "services: {}\n"),
    ];
    let found = look(&survey(&files).with_untracked("", "node_modules"));
    insta::assert_snapshot!(body(&text(&found, None)), @r##"
    # What tools say of themselves. If it changes, the tasks that name the tool run again.
    [tools]
    node = "node --version"
    npm = "npm --version"

    # For all tasks. A task's variables are a short base and those that it names in `env` and `pass-env`.
    [defaults]
    timeout = "30m"

    # The tasks or groups that each pushed tree has to pass, once `xtask hooks install` was run.
    [hooks]
    pre-push = ["ci"]

    # A pushed tree is tried in a worktree of its own; it is linked to these, which git does not hold.
    [worktree]
    link = ["node_modules"]

    [tasks.ci]
    description = "All that has to hold before a push"
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
    tools = ["node", "npm"]

    [tasks.typecheck]
    description = "Check the types"
    group = "lint"
    run = "npm run typecheck --workspaces --if-present"
    tools = ["node", "npm"]

    [tasks.test]
    description = "Run the tests"
    group = "unit"
    run = "npm run test --workspaces --if-present"
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

    # ---- Seen, and not made a task
    #
    #   script `dev` of package.json: it runs until it is ended
    "##);
}

#[test]
fn a_python_project() {
    let found = found(&[
        ("pyproject.toml", "[tool.ruff]\n[tool.pytest.ini_options]\n"),
        ("requirements.txt", "x\n"),
        (".pre-commit-config.yaml", ""),
    ]);
    let mut standings = vec![Standing::Kept; found.tasks.len()];
    standings[2] = Standing::LeftOut("exit status 1: 1 failed".to_owned());
    insta::assert_snapshot!(body(&write(&found, &standings, Tried::Once)), @r##"
    # Sets of files, used as "@name" in `inputs`. A task runs again if one of its inputs changed; without
    # `inputs` these are all files. Add what a task reads besides, such as files that code includes.
    [files]
    python = ["**/*.py", "**/*.pyi", "**/*.ipynb", "**/pyproject.toml", "requirements.txt"]

    # What tools say of themselves. If it changes, the tasks that name the tool run again.
    [tools]
    pre-commit = "pre-commit --version"
    pytest = "pytest --version"
    python = "python3 --version"
    ruff = "ruff --version"

    # For all tasks. A task gets a short base of variables and those that are named here or in the task. With `?`
    # in front the value may differ without a task running again.
    [defaults]
    timeout = "30m"
    pass-env = ["?PRE_COMMIT_HOME", "?PYENV_ROOT", "?PYENV_VERSION", "?UV_CACHE_DIR", "?VIRTUAL_ENV"]

    # The tasks or groups that each pushed tree has to pass, once `xtask hooks install` was run.
    [hooks]
    pre-push = ["ci"]

    [tasks.ci]
    description = "All that has to hold before a push"
    needs = ["lint"]   # groups, or names of tasks

    # ---- pyproject.toml

    [tasks.ruff]
    description = "Lint with ruff"
    group = "lint"
    run = "ruff check ."
    fix = "ruff check --fix ."
    inputs = ["@python"]
    tools = ["ruff", "python"]

    [tasks.ruff-format]
    description = "Check the formatting"
    group = "lint"
    run = "ruff format --check ."
    fix = "ruff format ."
    inputs = ["@python"]
    tools = ["ruff", "python"]

    # left out: exit status 1: 1 failed
    # # Tests may read any file, so any change runs them again. If you know which, name them in `inputs`.
    # [tasks.pytest]
    # description = "Run the tests"
    # group = "unit"
    # run = "pytest"
    # tools = ["pytest", "python"]

    # ---- .pre-commit-config.yaml

    # Over all files, not over those that are staged alone.
    [tasks.pre-commit]
    description = "Run the hooks of pre-commit"
    group = "lint"
    run = "pre-commit run --all-files --show-diff-on-failure"
    tools = ["pre-commit"]
    "##);
}

#[test]
fn nothing_at_all() {
    let written = write(&found(&[("README.md", "")]), &[], Tried::Not);
    assert_eq!(read(&written).named("ci").len(), 1);
    insta::assert_snapshot!(body(&written), @r##"
    # For all tasks. A task's variables are a short base and those that it names in `env` and `pass-env`.
    [defaults]
    timeout = "30m"

    # The tasks or groups that each pushed tree has to pass, once `xtask hooks install` was run.
    [hooks]
    pre-push = ["ci"]

    [tasks.ci]
    description = "All that has to hold before a push"
    needs = ["lint"]   # groups, or names of tasks

    # Nothing was found here that could be checked, so this task stands for those to come.
    # A task has at least a name and a command; `inputs` are the files that it reads.
    [tasks.hello]
    description = "An example: it passes"
    group = "lint"
    run = "echo hello"
    # inputs = ["src/**"]
    "##);
}
