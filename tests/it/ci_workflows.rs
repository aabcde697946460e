//! Tests of `xtask ci init` and `xtask ci check`: written files pass the check, outdated files are reported
//! with their paths, and nothing written by people is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::project::{CommandOutput, Project};

pub(crate) const GITHUB: &str = ".github/workflows/ci.yml";
pub(crate) const GITLAB: &str = ".gitlab-ci.yml";
const BESIDE: &str = ".github/workflows/taskgate.yml";
const DEPENDABOT: &str = ".github/dependabot.yml";
const REQUEST: &str = ".github/pull_request_template.md";

/// One machine.
const ONE: &str = r#"
    [tasks.ci]
    run = "true"
    "#;

/// Two systems, several machines, both CI systems, and names that must be quoted.
const MANY: &str = r#"
    [ci]
    run = ["unit", "wheel[v=a;b]"]
    shards = 4
    timings = "ci/timings.json"
    branches = ["main", "release/*"]
    providers = ["github", "gitlab"]
    install = "cargo install --locked --path tools/xtask"
    timeout = "90m"

    [tasks.unit]
    run = "true"

    [tasks.wheel]
    matrix = { v = ["a;b"] }
    run = "true"
    os = ["linux", "macos"]
    "#;

pub(crate) fn project_with_workflows(tasks: &str) -> Project {
    let project = Project::new(tasks);
    project.xtask(&["ci", "init"]).ends(0);
    project
}

/// Runs `xtask ci check` with a changed file, and restores the file afterwards.
fn check_with(project: &Project, path: &str, (from, to): (&str, &str)) -> CommandOutput {
    let text = project.read(path);
    assert!(text.contains(from), "{path} does not contain {from:?}:\n{text}");
    project.write(path, text.replacen(from, to, 1));
    let ran = project.xtask(&["ci", "check"]);
    project.write(path, text);
    ran
}

#[test]
fn files_for_one_machine() {
    let project = project_with_workflows(ONE);
    insta::assert_snapshot!("one_github", project.read(GITHUB));
    insta::assert_snapshot!("one_request", project.read(REQUEST));
    assert!(!project.path(GITLAB).exists());
}

#[test]
fn files_for_several_machines() {
    let project = project_with_workflows(MANY);
    insta::assert_snapshot!("many_github", project.read(GITHUB));
    insta::assert_snapshot!("many_gitlab", project.read(GITLAB));
}

#[test]
fn generated_files_pass_the_check() {
    for tasks in
        [ONE, MANY, "[ci]\nproviders = [\"gitlab\"]\n[tasks.ci]\nneeds = [\"a\"]\n[tasks.a]\nrun = \"x\"\n"]
    {
        let project = Project::new(tasks);
        project.xtask(&["ci", "check"]).ends(1);
        project.write("Cargo.lock", "").write("web/package.json", "{}").write("Dockerfile", "");
        project.xtask(&["ci", "init"]).ends(0);
        project.xtask(&["ci", "check"]).ends(0);
        project.xtask(&["ci", "init"]).ends(0);
    }
    assert_screens!();
}

#[test]
fn ci_command_is_a_task_without_actions() {
    let project = Project::new("[tasks.ci]\nrun = \"echo the task\"\n");
    project.xtask(&["ci"]).ends(0);
    project.xtask(&["ci", "--force", "-o", "all"]).ends(0);
    project.xtask(&["run", "ci", "init"]).ends(4);
    project.xtask(&["--help"]).ends(0);
    project.xtask(&["ci", "check", "--help"]).ends(0);
    let none = Project::new("[tasks.lint]\nrun = \"true\"\n");
    none.xtask(&["ci", "init"]).ends(4);
    assert_screens!();
}

#[test]
fn each_edit_is_reported_with_its_line() {
    let project = Project::new(MANY);
    project.write("Cargo.lock", "");
    project.xtask(&["ci", "init"]).ends(0);
    let cases = [
        (GITHUB, ("xtask run unit", "xtask run lint")),
        (GITHUB, ("contents: read", "contents: write")),
        (GITHUB, ("permissions:\n  contents: read\n", "")),
        (GITHUB, ("  pull_request:\n", "")),
        (GITHUB, ("shard: [1, 2, 3, 4]", "shard: [1, 2, 4]")),
        (GITHUB, ("fail-fast: false", "fail-fast: true")),
        (GITHUB, ("fetch-depth: 0", "fetch-depth: 1")),
        (GITHUB, ("release/*", "release")),
        (GITHUB, ("      - name: Run the", "      - run: make\n      - name: Run the")),
        (GITHUB, ("de0fac2e4500dabe0009e67214ff5f5447ce83dd", "v6")),
        (GITHUB, ("actions/checkout@", "evil/checkout@")),
        (GITHUB, ("if: ${{ always() }}\n    needs", "needs")),
        (GITHUB, ("name: ci\n", "name: ci\nname: ci\n")),
        (GITHUB, ("    steps:", "   steps:")),
        (GITHUB, ("# xtask: end setup\n", "")),
        (GITHUB, ("name: ci\n", "name: 'ci'\n")),
        (GITHUB, ("  pull_request:\n  merge_group:\n", "  merge_group:\n  pull_request:\n")),
        (GITLAB, ("parallel: 4", "parallel: 3")),
        (GITLAB, ("when: always", "when: on_success")),
        (GITLAB, ("interruptible: true", "interruptible: false")),
        (DEPENDABOT, ("interval: weekly", "interval: daily")),
        (DEPENDABOT, ("- package-ecosystem: cargo", "- package-ecosystem: npm")),
    ];
    for (path, change) in cases {
        check_with(&project, path, change).ends(1).says(&format!("drift: {path}:"));
    }
    for path in [GITHUB, GITLAB, DEPENDABOT] {
        let text = project.read(path);
        fs::remove_file(project.path(path)).unwrap();
        project.xtask(&["ci", "check"]).ends(1);
        project.write(path, text);
    }
    project.xtask(&["ci", "check"]).ends(0);
    assert_screens!();
}

#[test]
fn change_of_tasks_toml_makes_files_stale_until_rewritten() {
    let project = project_with_workflows(MANY);
    let changes = [
        ("shards = 4", "shards = 5"),
        ("\"release/*\"", "\"stable\""),
        ("os = [\"linux\", \"macos\"]", "os = [\"linux\"]"),
        ("timeout = \"90m\"", ""),
        ("run = [\"unit\", \"wheel[v=a;b]\"]", "run = [\"unit\"]"),
    ];
    for (from, to) in changes {
        let tasks = project.read("tasks.toml");
        assert!(tasks.contains(from));
        project.write("tasks.toml", tasks.replace(from, to));
        project.xtask(&["ci", "check"]).ends(1);
        project.xtask(&["ci", "init"]).ends(0);
        project.xtask(&["ci", "check"]).ends(0);
    }
    project.write("web/package.json", "{}");
    project.xtask(&["ci", "check"]).ends(1);
    assert_screens!();
}

#[test]
fn comments_sections_and_pinned_commits_are_allowed() {
    let project = project_with_workflows(MANY);
    let other = "0123456789abcdef0123456789abcdef01234567 # v99";
    let cases = [
        (GITHUB, ("de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", other)),
        (GITHUB, ("name: ci\n", "# a comment\n\nname: ci\n")),
        (GITHUB, ("      # xtask: begin setup\n", "      # xtask: begin setup\n      - run: make\n")),
        (GITHUB, ("  # xtask: begin jobs\n", "  # xtask: begin jobs\n  more:\n    runs-on: x\n")),
        (GITLAB, ("  # xtask: begin setup\n", "  # xtask: begin setup\n  image: rust:1\n")),
        (DEPENDABOT, ("interval: weekly\n", "interval: weekly\n    # a comment\n")),
    ];
    for (path, change) in cases {
        check_with(&project, path, change).ends(0);
    }
}

#[test]
fn section_that_changes_its_surroundings_is_reported() {
    let project = project_with_workflows(MANY);
    let around = "      - run: 'true'\n  never:\n    if: false\n    runs-on: x\n    steps:\n";
    let mark = "      # xtask: begin setup\n";
    check_with(&project, GITHUB, (mark, &format!("{mark}{around}"))).ends(1);
    let mark = "  # xtask: begin jobs\n";
    check_with(&project, GITHUB, (mark, &format!("{mark}    continue-on-error: true\n"))).ends(1);
    let mark = "# xtask: begin jobs\n";
    check_with(&project, GITLAB, (mark, &format!("{mark}  allow_failure: true\n"))).ends(1);
    assert_screens!();
}

#[test]
fn handwritten_parts_are_kept() {
    let project = project_with_workflows(MANY);
    let steps = "      - run: |\n          make   # odd  spaces\n\n";
    let put = |path: &str, part: &str, text: &str| {
        let mark = format!("# xtask: begin {part}\n");
        let there = project.read(path);
        assert!(there.contains(&mark));
        project.write(path, there.replacen(&mark, &format!("{mark}{text}"), 1));
    };
    put(GITHUB, "setup", steps);
    put(GITHUB, "setup-merge", "      - run: merge-only\n");
    put(GITLAB, "setup", "  image: rust:1\n");
    put(GITLAB, "jobs", "pages:\n  script: [make]\n");
    project.write("tasks.toml", project.read("tasks.toml").replace("shards = 4", "shards = 2"));
    project.xtask(&["ci", "init"]).ends(0);
    assert!(project.read(GITHUB).contains(steps));
    assert!(project.read(GITLAB).contains("\n  image: rust:1\n"));
    assert!(project.read(GITLAB).contains("begin jobs\npages:\n  script: [make]\n# xtask: end jobs"));
    project.xtask(&["ci", "check"]).ends(0);
    // With one machine there is no job that merges, so this hand-written part has no place. That is an error,
    // so that it is not lost.
    project.write("tasks.toml", project.read("tasks.toml").replace("shards = 2", "shards = 1"));
    let before = project.read(GITHUB);
    project.xtask(&["ci", "check"]).ends(1);
    project.xtask(&["ci", "init"]).ends(2);
    assert_eq!(project.read(GITHUB), before);
    project.write(GITHUB, before.replace("      - run: merge-only\n", ""));
    project.xtask(&["ci", "init"]).ends(0);
    assert!(project.read(GITHUB).contains(steps));
    // An invalid hand-written part is reported.
    put(GITHUB, "jobs", "- broken\n");
    project.xtask(&["ci", "check"]).ends(1);
    assert_screens!();
}

#[test]
fn workflow_is_written_beside_one_that_people_wrote() {
    let project = Project::new(
        r#"
        [tasks.ci]
        needs = ["lint", "unit"]
        [tasks.lint]
        run = "npm run lint"
        [tasks.unit]
        run = "npm test"
        "#,
    );
    project.write(GITHUB, THEIRS).write("package.json", "{}").write("package-lock.json", "{}");
    project.write(".gitmodules", "").write(".gitattributes", "*.bin filter=lfs\n");
    project.xtask(&["ci", "check"]).ends(1);
    project.xtask(&["ci", "init"]).ends(0);
    assert_eq!(project.read(GITHUB), THEIRS);
    insta::assert_snapshot!("beside_github", project.read(BESIDE));
    project.xtask(&["ci", "check"]).ends(0);
    check_with(&project, BESIDE, ("fetch-depth: 0", "fetch-depth: 1")).ends(1);
    // The setup is the user's now.
    check_with(&project, BESIDE, ("npm ci", "npm install")).ends(0);
    project.write(BESIDE, project.read(BESIDE).replace("npm ci", "npm install"));
    project.xtask(&["ci", "init"]).ends(0);
    assert!(project.read(BESIDE).contains("run: npm install\n"));
    // A generated file is found under any name.
    project.git(&["add", "."]);
    project.git(&["mv", BESIDE, ".github/workflows/checks.yml"]);
    project.xtask(&["ci", "init"]).ends(0);
    assert!(project.read(".github/workflows/checks.yml").contains("\nname: checks\n"));
    assert!(!project.path(BESIDE).exists());
    project.xtask(&["ci", "check"]).ends(0);
    assert_screens!();
}

/// Their workflow; the commands of one job are those of tasks.
const THEIRS: &str = r#"
name: CI
on: [push, pull_request]
jobs:
  check:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [windows-latest, ubuntu-latest]
        node: [18, 20]
    services:
      db: {image: postgres}
    steps:
      - uses: actions/checkout@v4
      - name: Node ${{ matrix.node }}
        uses: actions/setup-node@48b55a011bda9f5d6aeb4c2d9c7362e8dae4041e # v6.4.0
        with: {node-version: "${{ matrix.node }}", cache: npm}
      - if: github.event_name == 'push'
        run: npm install -g npm@11
      - run: |
          # What the tests draw with.
          sudo apt-get update
          sudo apt-get install --yes libcairo2-dev
      - run: npm ci
      - run: npm run lint && npm test -- --coverage
      - uses: codecov/codecov-action@v4
  docs:
    runs-on: ubuntu-latest
    steps:
      - run: npm run docs
"#;

#[test]
fn pipeline_is_written_beside_one_that_people_wrote() {
    let project =
        Project::new("[ci]\nproviders = [\"gitlab\"]\nshards = 2\n[tasks.ci]\nrun = \"npm test\"\n");
    let theirs = "image: node:22\nbefore_script: [npm ci]\nstages: [test]\ntest:\n  script: npm test\n";
    project.write(GITLAB, theirs).write("package.json", "{}");
    project.xtask(&["ci", "init"]).ends(0);
    assert_eq!(project.read(GITLAB), theirs);
    insta::assert_snapshot!("beside_gitlab", project.read(".gitlab/taskgate.yml"));
    project.xtask(&["ci", "check"]).ends(1);
    project.write(GITLAB, format!("include:\n  - local: .gitlab/taskgate.yml\n{theirs}"));
    project.xtask(&["ci", "check"]).ends(0);
    assert_screens!();
}

#[test]
fn setup_follows_from_the_files_of_the_repository() {
    let project = Project::new(
        r#"
        [ci]
        providers = ["github", "gitlab"]

        [tools]
        rustc = "rustc -vV"

        [tasks.ci]
        needs = ["clippy", "web", "api", "tool", "docs"]
        [tasks.clippy]
        run = "cargo clippy"
        tools = ["rustc"]
        [tasks.web]
        run = "pnpm run test"
        cwd = "web"
        [tasks.api]
        run = ["uv", "run", "--directory", "api", "pytest"]
        [tasks.tool]
        run = "cd tool && go test ./..."
        [tasks.docs]
        run = "just docs"
        "#,
    );
    let files = [
        ("Cargo.toml", ""),
        ("rust-toolchain.toml", "[toolchain]\nchannel = \"1.90\"\n"),
        ("web/package.json", r#"{"packageManager": "pnpm@10.1.0+sha512.0"}"#),
        ("web/pnpm-lock.yaml", "lockfileVersion: '9.0'\n"),
        ("web/.nvmrc", "v22.1\n"),
        ("api/uv.lock", ""),
        ("api/pyproject.toml", "[dependency-groups]\ndev = []\ntest = []\n"),
        ("tool/go.mod", "module x\n"),
        ("other/package-lock.json", "{}"),
    ];
    for (path, text) in files {
        project.write(path, text);
    }
    project.xtask(&["ci", "init"]).ends(0);
    insta::assert_snapshot!("setup_github", section(&project.read(GITHUB), "setup"));
    insta::assert_snapshot!("setup_gitlab", section(&project.read(GITLAB), "setup"));
    project.xtask(&["ci", "check"]).ends(0);
    assert_screens!();
}

#[test]
fn setup_of_each_kind_of_repository() {
    let kinds: &[(&str, &[(&str, &str)])] = &[
        ("npm test", &[("package.json", "{}"), ("package-lock.json", "{}"), (".node-version", "20\n")]),
        ("yarn test", &[("package.json", r#"{"packageManager": "yarn@4.1.0"}"#), ("yarn.lock", "")]),
        ("yarn test", &[("package.json", r#"{"engines": {"node": "20.x"}}"#), ("yarn.lock", "")]),
        ("bun test", &[("package.json", "{}"), ("bun.lock", "")]),
        ("pytest", &[("requirements-dev.txt", "pytest\n"), ("requirements.txt", "x\n")]),
        (
            ".venv/bin/pytest",
            &[
                ("pyproject.toml", "[project]\noptional-dependencies.test = []\n"),
                ("setup.py", ""),
                (".python-version", "3.12\n"),
            ],
        ),
        ("pytest", &[("pyproject.toml", "[build-system]\n[project]\ndependencies = [\"x\"]\n")]),
        // Without a build system, only what it depends on is installed.
        (
            "pytest",
            &[(
                "pyproject.toml",
                "[project]\ndependencies = [\"x>=2\", \"y\"]\noptional-dependencies.test = [\"z\"]\n",
            )],
        ),
        ("tox", &[("pyproject.toml", "[project]\n"), ("tox.ini", "")]),
        ("poetry run pytest", &[("pyproject.toml", ""), ("poetry.lock", "")]),
        ("mypy .", &[("pyproject.toml", ""), ("uv.lock", "")]),
        ("mvn verify", &[("pom.xml", "")]),
        ("bundle exec rspec", &[("Gemfile", "")]),
        ("npm test", &[("package.json", "{}"), ("mise.toml", "[tools]\nnode = \"22\"\n")]),
        ("cargo fmt --check && cargo nextest run", &[("Cargo.toml", "")]),
        ("make", &[("README.md", "")]),
    ];
    let mut all = String::new();
    for (line, files) in kinds {
        let project = Project::new(&format!("[tasks.ci]\nrun = \"{line}\"\n"));
        for (path, text) in *files {
            project.write(path, text);
        }
        project.xtask(&["ci", "init"]).ends(0);
        project.xtask(&["ci", "check"]).ends(0);
        let names: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        let setup = section(&project.read(GITHUB), "setup");
        all.push_str(&format!("{line} · {}\n{setup}\n", names.join(" ")));
    }
    insta::assert_snapshot!("setup_of_each_kind", all);
}

/// Returns the lines of a hand-written section.
fn section(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(&format!("# xtask: begin {name}\n")).unwrap();
    let (lines, _) = rest.split_once(&format!("# xtask: end {name}")).unwrap();
    lines.trim_end_matches(' ').to_owned()
}

#[test]
fn name_of_the_workflow_can_be_chosen() {
    let project = Project::new(ONE);
    project.xtask(&["ci", "init", "--name", "a b"]).ends(2);
    project.xtask(&["ci", "init", "--name", "shard"]).ends(2);
    project.xtask(&["ci", "init", "--name", "checks"]).ends(0);
    assert!(project.read(".github/workflows/checks.yml").contains("\n  checks:\n"));
    assert!(!project.path(GITHUB).exists());
    project.xtask(&["ci", "check"]).ends(0);
    project.xtask(&["ci", "init", "--name", "checks"]).ends(0);
    project.xtask(&["ci", "init", "--name", "other"]).ends(2);
    let other = Project::new(ONE);
    other.write(".github/workflows/mine.yml", "name: mine\n");
    other.xtask(&["ci", "init", "--name", "mine"]).ends(2);
    assert_screens!();
}

#[test]
fn handwritten_file_is_not_overwritten() {
    let project = Project::new(ONE);
    project.write(GITHUB, "name: mine\n");
    // Files that do not run anything may be written by users.
    project.write(DEPENDABOT, "version: 2\nupdates: []\n").write("docs/PULL_REQUEST_TEMPLATE.md", "mine\n");
    project.xtask(&["ci", "init"]).ends(0);
    assert_eq!(project.read(GITHUB), "name: mine\n");
    assert_eq!(project.read(DEPENDABOT), "version: 2\nupdates: []\n");
    assert!(!project.path(REQUEST).exists());
    project.xtask(&["ci", "check"]).ends(0);
    fs::remove_file(project.path(BESIDE)).unwrap();
    project.xtask(&["ci", "init", "--force"]).ends(0);
    assert!(project.read(GITHUB).contains("xtask ci") && !project.path(BESIDE).exists());
    project.xtask(&["ci", "check"]).ends(0);
    // Here another bot updates the packages.
    let other = Project::new(ONE);
    other.write("renovate.json", "{}");
    other.xtask(&["ci", "init"]).ends(0);
    other.xtask(&["ci", "check"]).ends(0);
    assert_screens!();
}

/// Runs the step that installs the runner, with programs in place of curl and cargo.
#[test]
fn runner_is_that_of_the_release_or_is_built() {
    let project = project_with_workflows(ONE);
    let workflow = project.read(GITHUB);
    let (_, rest) = workflow.split_once("      - name: Install the runner\n        run: |\n").unwrap();
    let lines = rest.lines().take_while(|line| line.starts_with("          "));
    let install: String = lines.map(|line| format!("{}\n", &line[10..])).collect();
    let executable = |path: &str, text: &str| {
        project.write(path, format!("#!/bin/sh\n{text}"));
        fs::set_permissions(project.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    // The arguments end with: -o FILE URL
    executable("bin/curl", "while [ $# -gt 2 ]; do shift; done\ncp \"$RELEASE/${2##*/}\" \"$1\"\n");
    executable(
        "bin/cargo",
        "echo \"cargo $*\"\n[ \"$7\" != --tag ] || exit 1\nmkdir -p \"$4/bin\"\n\
         printf '#!/bin/sh\\necho built\\n' > \"$4/bin/xtask\"\nchmod +x \"$4/bin/xtask\"\n",
    );
    executable("xtask", "echo released\n");
    let run = |script: &str, release: &str| {
        let path = format!("{}:{}", project.path("bin").display(), std::env::var("PATH").unwrap());
        let mut shell = project.command("bash");
        shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(project.root());
        shell
            .env("PATH", path)
            .env("RELEASE", project.path(release))
            .env("GITHUB_PATH", project.path("found"));
        CommandOutput::from_output(shell.output().unwrap())
    };
    let target = match std::env::consts::OS {
        "linux" => format!("{}-unknown-linux-musl", std::env::consts::ARCH),
        _ => format!("{}-apple-darwin", std::env::consts::ARCH),
    };
    let file = format!("xtask-{}-{target}.tar.gz", env!("CARGO_PKG_VERSION"));
    let pack = format!(
        "mkdir release && tar -czf release/{file} xtask && cd release && \
         {{ sha256sum {file} || shasum -a 256 {file}; }} > {file}.sha256"
    );
    run(&pack, "").ends(0);
    let call = "\"$(tail -n 1 found)/xtask\"";
    let again = "rm -rf .git/xtask/runner found";
    run(&install, "release").ends(0);
    run(call, "").ends(0).prints("released");
    // It is there already.
    run(&install, "nowhere").ends(0);
    run(call, "").ends(0).prints("released");
    // There is no release, and not its tag.
    run(again, "").ends(0);
    run(&install, "nowhere").ends(0).prints("so it is built");
    run(call, "").ends(0).prints("built");
    // The archive was changed.
    run(again, "").ends(0);
    project.write(&format!("release/{file}"), "changed");
    let ran = run(&install, "release");
    assert!(ran.status != 0 && !project.path("found").exists(), "{ran:?}");
}

#[test]
fn facts_unknown_to_a_clone_are_not_stale() {
    let project = Project::new(ONE);
    project.git(&["remote", "add", "origin", "git@gitlab.example.com:group/app.git"]);
    project.git(&["update-ref", "refs/remotes/origin/trunk", "HEAD"]);
    project.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk"]);
    project.xtask(&["ci", "init"]).ends(0);
    project.git(&["remote", "set-url", "origin", "https://github.com/o/app"]);
    project.xtask(&["ci", "init"]).ends(0);
    assert!(project.read(GITHUB).contains("- trunk\n"));
    // A clone in CI has no HEAD of the remote, and perhaps no remote.
    project.git(&["symbolic-ref", "--delete", "refs/remotes/origin/HEAD"]);
    project.xtask(&["ci", "check"]).ends(0);
    project.git(&["remote", "remove", "origin"]);
    project.xtask(&["ci", "check"]).ends(0);
    project.xtask(&["ci", "init"]).ends(0);
    assert_screens!();
}

#[test]
fn badges_are_written_only_on_request() {
    let project = Project::new(ONE);
    project.git(&["remote", "add", "origin", "https://github.com/o/app.git"]);
    project.write("README.md", "# App\n\ntext\n");
    project.xtask(&["ci", "init"]).ends(0);
    assert_eq!(project.read("README.md"), "# App\n\ntext\n");
    project.xtask(&["ci", "init", "--badges"]).ends(0);
    let readme = project.read("README.md");
    assert!(
        readme.starts_with("# App\n\n<!-- xtask: badges -->\n[![ci](https://github.com/o/app/"),
        "{readme}"
    );
    project.git(&["remote", "set-url", "origin", "https://github.com/o/other.git"]);
    project.xtask(&["ci", "init"]).ends(0);
    assert_eq!(project.read("README.md"), readme.replace("/app/", "/other/"));
    assert_screens!();
}

#[test]
fn repositorys_own_runner_is_built_and_not_installed() {
    let project = Project::new(ONE);
    project.write(".cargo/config.toml", "[alias]\nxtask = \"run -p xtask --\"\n");
    // This one is made without taskgate.
    project.write("xtask/Cargo.toml", "[package]\nname = \"xtask\"\n");
    project.xtask(&["ci", "init"]).ends(0);
    assert!(project.read(GITHUB).contains("run: xtask ci\n"));
    project.write("xtask/Cargo.toml", "[package]\nname = \"xtask\"\n[dependencies]\ntaskgate = \"0.1\"\n");
    project.xtask(&["ci", "check"]).ends(1);
    project.xtask(&["ci", "init"]).ends(0);
    let text = project.read(GITHUB);
    assert!(text.contains("run: cargo xtask ci\n") && !text.contains("Install the runner"), "{text}");
    project.xtask(&["-C", ".cargo", "ci", "check"]).ends(0);
}

#[test]
fn problems_in_ci_settings_are_reported() {
    let project = Project::new(
        r#"
        [ci]
        run = ["lnt"]
        shards = 0
        branches = []
        providers = ["gitlap"]
        install = "a\nb"
        timings = "../x"
        timeout = "soon"
        needs = ["a"]
        branches-ignore = ["x"]

        [tasks.lint]
        run = "true"
        "#,
    );
    insta::assert_snapshot!("wrong_ci", project.xtask(&["ci", "init"]).ends(3).err);
    let expression = Project::new("[ci]\nbranches = [\"${{ github.actor }}\"]\n[tasks.ci]\nrun = \"x\"\n");
    expression.xtask(&["ci", "init"]).ends(3).says("a CI system would replace it");
    let outside = Project::without_git(ONE);
    outside.xtask(&["ci", "init"]).ends(5).says("this is not a git repository");
    let included = Project::new("include = [\"a/tasks.toml\"]\n[tasks.ci]\nrun = \"x\"\n");
    included.write("a/tasks.toml", "[ci]\nshards = 2\n");
    included.xtask(&["ci", "check"]).ends(3).says("`[ci]` belongs in the outermost tasks.toml");
}
