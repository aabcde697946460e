//! Tests of `xtask ci init` and `xtask ci check`: written files pass the check, outdated files are reported
//! with their paths, and nothing written by people is lost.

use std::fs;

use crate::project::{CommandOutput, Project};

pub(crate) const GITHUB: &str = ".github/workflows/ci.yml";
pub(crate) const GITLAB: &str = ".gitlab-ci.yml";
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
        (GITHUB, ("\"release/*\"", "release")),
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
fn handwritten_file_is_not_overwritten() {
    let project = Project::new(ONE);
    project.write(GITHUB, "name: mine\n");
    project.xtask(&["ci", "check"]).ends(1);
    project.xtask(&["ci", "init"]).ends(2);
    assert_eq!(project.read(GITHUB), "name: mine\n");
    assert!(!project.path(REQUEST).exists());
    // Files that do not run anything may be written by users.
    project.write(DEPENDABOT, "version: 2\nupdates: []\n").write("docs/PULL_REQUEST_TEMPLATE.md", "mine\n");
    fs::remove_file(project.path(GITHUB)).unwrap();
    project.xtask(&["ci", "init"]).ends(0);
    assert_eq!(project.read(DEPENDABOT), "version: 2\nupdates: []\n");
    assert!(!project.path(REQUEST).exists());
    project.xtask(&["ci", "check"]).ends(0);
    project.xtask(&["ci", "init", "--force"]).ends(0);
    project.xtask(&["ci", "check"]).ends(0);
    // Here another bot updates the packages.
    let other = Project::new(ONE);
    other.write("renovate.json", "{}");
    other.xtask(&["ci", "init"]).ends(0);
    other.xtask(&["ci", "check"]).ends(0);
    assert_screens!();
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
    assert!(project.read(GITHUB).contains("- \"trunk\""));
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
    project.xtask(&["ci", "init"]).ends(0);
    let text = project.read(GITHUB);
    assert!(text.contains("run: cargo xtask ci\n") && !text.contains("install"), "{text}");
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
