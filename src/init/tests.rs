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
    parse(&Source { name: "tasks.toml", text, base: RepoPath::top() })
        .unwrap_or_else(|diagnostics| panic!("{}\n{text}", diagnostics.render(false)))
}

/// The text without the head that all have.
fn body(text: &str) -> &str {
    text.split_once("has git ask at each push\n").unwrap().1
}

#[test]
fn a_task_is_found_for_each_thing_that_is_set_up() {
    let scripts = |scripts: &str| format!("{{\"scripts\": {{{scripts}}}}}");
    let manager = scripts("\"lint\": \"x\"").replacen('{', "{\"packageManager\": \"pnpm@9.1.0\", ", 1);
    let js = scripts("\"lint\": \"x\", \"lint:fix\": \"y\", \"type-check\": \"x\", \"test:e2e\": \"x\"");
    let cases: &[(&[(&str, &str)], &[&str])] = &[
        (&[("package.json", &manager), ("yarn.lock", "")], &["lint: pnpm run lint"]),
        (
            &[("package.json", &js), ("yarn.lock", "")],
            &["lint: yarn run lint", "typecheck: yarn run type-check", "e2e: yarn run test:e2e"],
        ),
        (
            &[("web/package.json", &scripts("\"test\": \"x\"")), ("pnpm-lock.yaml", "")],
            &["web-test: pnpm run test in web"],
        ),
        (&[("bun.lock", ""), ("package.json", &scripts("\"build\": \"x\""))], &["build: bun run build"]),
        (
            &[("go.mod", "")],
            &[
                "gofmt: files=$(gofmt -l .); echo \"$files\"; test -z \"$files\"",
                "vet: go vet ./...",
                "go-test: go test ./...",
            ],
        ),
        (&[("requirements.txt", "ruff==0.5\nblack\n")], &["ruff: ruff check ."]),
        (&[("requirements.txt", "ruff-lsp\nflask\n")], &[]),
        (
            &[("pyproject.toml", "[tool.ruff]\n[tool.mypy]\nfiles = [\"src\"]\n"), ("uv.lock", "")],
            &["ruff: uv run ruff check .", "ruff-format: uv run ruff format --check .", "mypy: uv run mypy"],
        ),
        (
            &[
                ("pyproject.toml", "[tool.poetry.group.dev.dependencies]\nruff = \"*\"\nblack = \"*\"\n"),
                ("poetry.lock", ""),
                ("tests/test_a.py", ""),
            ],
            &["ruff: poetry run ruff check .", "pytest: poetry run pytest"],
        ),
        (
            &[("api/setup.cfg", "[mypy]\n[tool:pytest]\n")],
            &["api-mypy: mypy . in api", "api-pytest: pytest in api"],
        ),
        (&[("tests/test_a.py", "")], &[]),
        (&[("Makefile", "lint test:\n\tx\nother:\n\tx\n")], &["lint: make lint", "test: make test"]),
        (&[("justfile", "fmt-check:\n  x\ne2e:\n  x\n")], &["fmt-check: just fmt-check", "e2e: just e2e"]),
        (
            &[("package.json", &scripts("\"lint\": \"x\"")), ("Makefile", "lint check integration:\n")],
            &["lint: npm run lint", "integration: make integration"],
        ),
        (
            &[(".pre-commit-config.yaml", "repos: []\n")],
            &["pre-commit: pre-commit run --all-files --show-diff-on-failure"],
        ),
        (
            &[
                ("a/b/go.mod", ""),
                ("a/b/c/package.json", &js),
                (".x/go.mod", ""),
                ("node_modules/go.mod", ""),
            ],
            &[
                "a-b-gofmt: files=$(gofmt -l .); echo \"$files\"; test -z \"$files\" in a/b",
                "a-b-vet: go vet ./... in a/b",
                "a-b-go-test: go test ./... in a/b",
            ],
        ),
        (
            &[
                ("Cargo.toml", "[workspace]\nmembers = [\"a\"]\nexclude = [\"b\"]\n"),
                ("a/Cargo.toml", "[package]\n"),
                ("b/Cargo.toml", "[package]\n"),
            ],
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
    ];
    for (files, expected) in cases {
        let found = found(files);
        assert_eq!(commands(&found), *expected, "{files:?}");
        read(&text(&found, None));
        read(&text(&found, Some("a reason")));
    }
}

#[test]
fn what_is_no_task_is_told_with_the_reason() {
    let cases: &[(&[(&str, &str)], &[&str])] = &[
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
    insta::assert_snapshot!(text(&found, None));
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
    insta::assert_snapshot!(body(&text(&found, None)));
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
    insta::assert_snapshot!(body(&write(&found, &standings, Tried::Once)));
}

#[test]
fn nothing_at_all() {
    let written = write(&found(&[("README.md", "")]), &[], Tried::Not);
    assert_eq!(read(&written).named("ci").len(), 1);
    insta::assert_snapshot!(body(&written));
}
