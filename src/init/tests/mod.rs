//! Tests what is found in a repository and the text that is written for it.

mod cargo;
mod javascript;
mod other_builds;
mod python;

use super::text::{Inclusion, TrialMode, tasks_toml};
use super::{Proposals, Survey, propose_tasks};
use crate::base::path::RepoPath;
use crate::base::tool_files::{self, ToolFiles};
use crate::config::model::Config;
use crate::config::{SourceText, parse};

/// Creates a survey of these files.
fn survey(files: &[(&str, &str)]) -> Survey {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), Some((*text).to_owned())));
    Survey::new(files, |name| name == "python3")
}

fn found(files: &[(&str, &str)]) -> Proposals {
    propose_tasks(&survey(files))
}

/// Returns `name: command` for each task, followed by its folder if it is not the top.
fn commands(found: &Proposals) -> Vec<String> {
    let place = |folder: &str| if folder.is_empty() { String::new() } else { format!(" in {folder}") };
    found.tasks.iter().map(|task| format!("{}: {}{}", task.name, task.run, place(&task.folder))).collect()
}

fn omissions(found: &Proposals) -> Vec<String> {
    found.omitted.iter().map(|it| format!("{}: {}", it.what, it.why)).collect()
}

/// Returns the text with all tasks kept, or with all tasks left out for this reason.
fn text(found: &Proposals, why: Option<&str>) -> String {
    let inclusion = why.map_or(Inclusion::Kept, |why| Inclusion::LeftOut(why.to_owned()));
    tasks_toml(found, &vec![inclusion; found.tasks.len()], TrialMode::Once)
}

#[track_caller]
fn read(text: &str) -> Config {
    parse(&SourceText { name: "tasks.toml", text, base: RepoPath::top(), project: "" })
        .unwrap_or_else(|diagnostics| panic!("{}\n{text}", diagnostics.render(false)))
}

/// Returns the text without the header, which is always the same.
fn body(text: &str) -> &str {
    text.split_once("tests each push before git sends it\n\n").unwrap().1
}

/// Files, and the commands or omissions that are expected for them.
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
            ],
        ),
        (&[("Cargo.toml", "not toml")], &[]),
        (&[("README.md", "")], &[]),
    ]);
}

#[test]
fn skipped_candidate_has_a_reason() {
    let cases: &[Case<'_>] = &[
        (
            &[(
                "package.json",
                r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1", "dev": "x", "start": "y"}}"#,
            )],
            &[
                "script `test` of package.json: it is the placeholder that npm writes",
                "scripts `dev`, `start` of package.json: they run until they are stopped",
            ],
        ),
        (
            &[("package.json", r#"{"scripts": {"test": "jest --watch", "lint": "x --watch=false"}}"#)],
            &["script `test` of package.json: it watches files and never ends"],
        ),
        (&[("a/package.json", "[")], &["a/package.json: it is not JSON"]),
        (&[("Cargo.toml", "[profile.dev]\n")], &["Cargo.toml: it has neither a package nor a workspace"]),
        (&[("setup.py", "")], &["setup.py: it names no linter, no type checker and no pytest"]),
    ];
    for (files, expected) in cases {
        assert_eq!(omissions(&found(files)), *expected, "{files:?}");
    }
    let make = found(&[("Makefile", "lint deploy clean:\n")]);
    assert_eq!(make.remarks, ["Makefile has also: deploy, clean"]);
}

#[test]
fn ignored_folders_are_linked() {
    let files = [
        ("web/package.json", r#"{"scripts": {"lint": "x"}, "dependencies": {"x": "1"}}"#),
        ("setup.py", ""),
        ("pytest.ini", ""),
    ];
    let without = found(&files);
    assert_eq!(without.tasks[1].advice.as_deref(), Some("node_modules is missing: npm install"));
    for (lock, install) in [
        ("package-lock.json", "npm ci"),
        ("web/pnpm-lock.yaml", "pnpm install --frozen-lockfile"),
        ("yarn.lock", "yarn install"),
    ] {
        let found = found(&[&files[..], &[(lock, "")]].concat());
        let expected = format!("node_modules is missing: {install}");
        assert_eq!(found.tasks[1].advice.as_deref(), Some(&*expected), "{lock}");
    }
    let pnpm = found(&[&files[..], &[("pnpm-workspace.yaml", "")]].concat());
    assert_eq!(pnpm.tasks[1].advice.as_deref(), Some("node_modules is missing: pnpm install"));
    let survey = survey(&files).with_untracked("web", "node_modules").with_untracked("", ".venv/bin/pytest");
    let found = propose_tasks(&survey);
    assert_eq!(commands(&found), ["pytest: .venv/bin/pytest", "web-lint: npm run lint in web"]);
    assert_eq!(found.tasks[1].advice, None);
    let links: Vec<String> =
        read(&text(&found, None)).worktree.link.iter().map(ToString::to_string).collect();
    assert_eq!(links, [".venv", "web/node_modules"]);
}

#[test]
fn unusual_names_are_quoted() {
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
        assert_eq!(written.env.cwd.to_string(), task.folder);
        let file = RepoPath::from_git(format!("{}/package.json", task.folder).into_bytes());
        assert!(written.inputs.matches(&file), "{}: {:?}", task.name, written.inputs);
        let other = RepoPath::from_git(&b"other/index.js"[..]);
        assert!(!written.inputs.matches(&other), "{}: {:?}", task.name, written.inputs);
    }
    let mut names: Vec<&str> = found.tasks.iter().map(|task| &*task.name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["a-b-test", "a-b-test-2", "my-app--1-test", "new-line-test", "test", "v1.2-test", "x-1-test"]
    );
    // A reason can contain any output of a program.
    read(&text(&found, Some("exit status 1: \u{1b}[31m\"bad\"\r\nevil = 1\u{0}")));
}

#[test]
fn folder_that_includes_others_reads_their_files() {
    let inputs = |files: &[(&str, &str)]| found(files).tasks.into_iter().next().unwrap().inputs;
    let plain = ("web/package.json", r#"{"scripts": {"lint": "x"}}"#);
    assert_eq!(inputs(&[plain, ("web/yarn.lock", "")]), ["web/**", "@node-settings"]);
    assert_eq!(inputs(&[plain, ("pnpm-lock.yaml", "")]), ["web/**", "@node-settings"]);
    let refers = ("web/tsconfig.json", "{\n\"references\": [{\"path\": \"../lib\"}]\n}");
    let lib = ("lib/index.ts", "");
    assert_eq!(inputs(&[plain, refers, lib]), ["web/**", "lib/**", "@node-settings"]);
    let all = ("web/tsconfig.json", "{\n\"include\": [\"..\"]\n}");
    assert!(inputs(&[plain, all]).is_empty());
    let extends = ("web/tsconfig.json", "{\n\"extends\": \"../tsconfig.json\"\n}");
    assert_eq!(inputs(&[plain, extends]), ["web/**", "@node-settings"]);
    let sibling = r#"{"scripts": {"lint": "x"}, "dependencies": {"lib": "file:../lib"}}"#;
    assert_eq!(inputs(&[("web/package.json", sibling), lib]), ["web/**", "lib/**", "@node-settings"]);
    let member = [("package.json", r#"{"workspaces": ["web"]}"#), ("yarn.lock", ""), plain];
    assert_eq!(inputs(&member), ["web/**", "@node-settings"]);
    // Here a workspace is deeper in the tree than another package.
    let deeper = [("js/ws/package.json", r#"{"workspaces": ["p/*"]}"#), plain];
    assert_eq!(inputs(&deeper), ["web/**", "@node-settings"]);
    let python = ("api/setup.py", "");
    assert_eq!(inputs(&[("api/ruff.toml", ""), python, ("uv.lock", "")]), ["api/**", "@python-settings"]);
    assert_eq!(
        inputs(&[("api/ruff.toml", "extend = \"../ruff.toml\""), python]),
        ["api/**", "@python-settings"]
    );
    for text in
        ["[tool.ruff]\n[tool.uv.sources]\nx = { workspace = true }\n", "[tool.ruff]\nsrc = [\"../x\"]\n"]
    {
        assert!(inputs(&[("api/pyproject.toml", text)]).is_empty(), "{text}");
    }
    let module = ("svc/go.mod", "module x\n");
    assert_eq!(inputs(&[module]), ["svc/**", "@go-settings"]);
    assert!(inputs(&[("svc/go.mod", "replace y => ../y\n")]).is_empty());
    assert!(inputs(&[module, ("go.work", "")]).is_empty());
    // It is unknown which files the commands of a Makefile read.
    assert!(inputs(&[("c/Makefile", "test:\n\ttrue\n")]).is_empty());
}

#[test]
fn same_tool_in_two_folders_is_two_tools() {
    let survey =
        survey(&[("a/setup.py", ""), ("a/pytest.ini", ""), ("b/setup.py", ""), ("b/pytest.ini", "")])
            .with_untracked("a", ".venv/bin/pytest");
    let found = propose_tasks(&survey);
    let probe = |name: &str| (found.tools[name].run.as_str(), found.tools[name].folder.as_str());
    assert_eq!(probe("pytest"), (".venv/bin/pytest --version", "a"));
    assert_eq!(probe("b-pytest"), ("pytest --version", "b"));
    assert_eq!(found.tasks[1].tools, ["b-pytest", "b-python"]);
    let config = read(&text(&found, None));
    assert_eq!(config.tools["pytest"].cwd, RepoPath::from_git(&b"a"[..]));
}

#[test]
fn empty_repository_gets_no_tasks() {
    let written = tasks_toml(&found(&[("README.md", "")]), &[], TrialMode::Not);
    assert_eq!(read(&written).named("ci").len(), 1);
    insta::assert_snapshot!(body(&written), @r##"
    # For all tasks. A task gets a few basic variables, and those that it names in `env` and `pass-env`.
    [defaults]
    timeout = "30m"

    # The tasks or groups that must pass before a push. `xtask hooks install` turns this on.
    [hooks]
    pre-push = ["ci"]

    [tasks.ci]
    description = "Everything that must pass before a push"
    needs = ["lint"]   # groups, or names of tasks

    # Nothing was found here that could be a task, so this is an example.
    # A task has at least a name and a command; `inputs` are the files that it reads.
    [tasks.hello]
    description = "An example: it passes"
    group = "lint"
    run = "echo hello"
    # inputs = ["src/**"]
    "##);
}

/// Returns the names of the tasks that have a file with this path as an input.
fn readers(config: &Config, path: &str) -> Vec<String> {
    let path = RepoPath::from_git(path.as_bytes());
    let reads = config.tasks.iter().filter(|task| task.run().is_some() && task.inputs.matches(&path));
    reads.map(|task| task.name.clone()).collect()
}

#[test]
fn configuration_files_of_a_tool_are_inputs_of_its_tasks() {
    let node = r#"{"scripts": {"lint": "eslint ."}}"#;
    let python = "[tool.ruff]\n[tool.mypy]\n[tool.pytest]\n";
    let kinds: [(&[ToolFiles], &str, &str); 4] = [
        (tool_files::RUST, "Cargo.toml", "[package]\n"),
        (tool_files::PYTHON, "pyproject.toml", python),
        (tool_files::NODE, "package.json", node),
        (tool_files::GO, "go.mod", "module x\n"),
    ];
    for (tools, mark, content) in kinds {
        for folder in ["", "a/", "a/b/"] {
            let config = read(&text(&found(&[(&format!("{folder}{mark}"), content)]), None));
            let all: Vec<String> = config
                .tasks
                .iter()
                .filter(|task| task.run().is_some())
                .map(|task| task.name.clone())
                .collect();
            assert!(!all.is_empty(), "{mark}");
            for file in tools.iter().flat_map(|tool| tool.files) {
                let file = file.replace("**", "x").replace('*', "x");
                let above = ["", "a/", "a/b/"].into_iter().filter(|above| folder.starts_with(above));
                for place in above.chain([&*format!("{folder}below/")]) {
                    assert_eq!(
                        readers(&config, &format!("{place}{file}")),
                        all,
                        "{folder}{mark}: {place}{file}"
                    );
                }
            }
            // If the inputs are known, a file of another project is not one of them.
            if !folder.is_empty() {
                assert_eq!(readers(&config, "other/README.md"), Vec::<String>::new(), "{folder}{mark}");
            }
        }
    }
}

#[test]
fn check_of_ci_that_no_file_suggests_is_a_task() {
    let workflow = "\
on: [pull_request]
jobs:
  lint:
    steps:
      - run: pip install codespell
      - run: codespell src
      - run: ./scripts/check-links ${{ matrix.os }}
      - run: make lint
";
    let release = "on:\n  push:\n    tags: ['v*']\njobs:\n  a:\n    steps:\n      - run: shellcheck x\n";
    let found = found(&[
        ("Makefile", "lint:\n\tx\nall: lint\n"),
        (".github/workflows/lint.yml", workflow),
        (".github/workflows/release.yml", release),
        (".github/workflows/bad.yml", "a: [\n"),
    ]);
    assert_eq!(commands(&found), ["lint: make lint", "codespell: codespell src"]);
    let all = omissions(&found);
    assert!(all[0].starts_with(".github/workflows/bad.yml: "), "{all:?}");
    let link = "`./scripts/check-links ${{ matrix.os }}` of .github/workflows/lint.yml: CI runs it, and no task does";
    assert_eq!(all[1..], [link]);
}

#[test]
fn target_that_does_what_another_task_does_is_not_a_task() {
    let make = "ci: lint test\nlint:\n\tgolangci-lint run\ntest:\n\tgo test ./...\n";
    let found = found(&[("Makefile", make)]);
    assert_eq!(commands(&found), ["lint: make lint", "test: make test"]);
    let with_go = self::found(&[("go.mod", "module x\n"), ("Makefile", make), (".golangci.yml", "")]);
    assert!(commands(&with_go).contains(&"golangci-lint: golangci-lint run".to_owned()));
    assert_eq!(omissions(&with_go), ["`lint`, `test` of Makefile: other tasks do the like"]);
}
