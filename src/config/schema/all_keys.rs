//! All keys of tasks.toml: a table for each of its tables, and a line for each key with its name, the type of
//! its value and its description. The parser's messages about unknown keys, the JSON schema and the reference
//! of all keys are made from it.
//!
//! To add a key, add a line here and read it in the file of its table in `config/sections/`. Then run
//! `cargo xtask schema > schema/tasks.schema.json` and
//! `cargo xtask schema --markdown > docs/reference.md`.

use crate::config::schema::deploy_keys as deploy;
use crate::config::schema::table_type::{EMPTY, Key, Required, Table, key};
use crate::config::schema::value_type::ValueType;
use crate::config::schema::values::SHARDS;

const NOT_SHARED: &str = "it differs from task to task: write it in each";

/// The kinds of reports, as `ci_reports::Kind` has them.
pub(crate) const KINDS: [&str; 10] =
    ["junit", "lcov", "cobertura", "sarif", "secrets", "cyclonedx", "spdx", "k6", "sonar", "facts"];

/// The rules of a gate.
pub(crate) const RULES: [&str; 7] =
    ["coverage", "tests", "findings", "secrets", "licences", "performance", "sonar"];

// Keys of several tables.
const DESCRIPTION: Key = key("description", ValueType::ListItem, "What it is for, in one line of plain text.");
const SHELL: Key = key("shell", ValueType::Argv, "The program that runs string commands, such as [\"bash\", \"-ec\"].");
const CWD: Key = key("cwd", ValueType::Text, "The folder it runs in, relative to the folder of this file, which is the default.");
const INPUTS: Key = key("inputs", ValueType::Patterns, "The files it reads, as patterns like those of .gitignore. \"@rust\" is a set of `[files]`, `!` in front excludes, `?` in front allows a pattern to match nothing. The default is the whole tree.");
const NEEDS: Key = key("needs", ValueType::NameIndex, "Tasks or groups that must pass before it starts.");
const SERVICES: Key = key("services", ValueType::NameIndex, "Services that it uses. Each starts when it is first needed.");
const ENV: Key = key("env", ValueType::Variables, "Environment variables, such as { RUSTFLAGS = \"-D warnings\" }.");
const ENV_FILE: Key = key("env-file", ValueType::OneOrMore, "Files of environment variables, one `NAME=value` a line. Their values are part of the key.");
const PASS_ENV: Key = key("pass-env", ValueType::VariableNames, "Environment variables that are passed on from the caller. Their values are part of the key, except for \"?NAME\".");
const SECRET_ENV: Key = key("secret-env", ValueType::VariableNames, "Secret environment variables that are passed on from the caller. They are part of the key as a digest, and masked in every log.");
const TOOLS: Key = key("tools", ValueType::NameIndex, "Names of `[tools]` whose versions are part of the key.");
const TIMEOUT: Key = key("timeout", ValueType::Duration, "The time limit, such as \"10m\" or \"1h 30m\", after which it is stopped.");
const SLOW_AFTER: Key = key("slow-after", ValueType::Duration, "The time after which it is reported as slow, such as \"2m\".");
const RETRIES: Key = key("retries", ValueType::Count { least: 0 }, "How many attempts may follow a failed one. A pass after a failure is flaky and is not stored. The default is 0.");
const LOCKS: Key = key("locks", ValueType::LockNames, "Names that only one running task can have, also across runs, such as [\"port-5432\"].");
const SLOTS: Key = key("slots", ValueType::Count { least: 1 }, "How many job slots it takes. The default is 1.");
const OS: Key = key("os", ValueType::Systems, "The operating systems it runs on. The default is all.");
const CACHE: Key = key("cache", ValueType::Flag, "Whether its result is stored and reused. The default is true.");
const SANDBOX: Key = key("sandbox", ValueType::Flag, "Whether it runs in a folder that contains only the files it declares.");
const GROUP: Key = key("group", ValueType::Name, "A label that tasks share, such as \"lint\". Its name refers to all of them.");

pub(crate) static TOP: Table = Table {
    name: "",
    heading: "The top of the file",
    doc: "The tasks of a repository.",
    keys: &[
        key("include", ValueType::Paths, "Other files with tasks, such as [\"services/*/tasks.toml\"]. Their tasks are named like `api:test`, and their paths are relative to their folder."),
        key("settings", ValueType::Table("settings"), ""),
        key("files", ValueType::Each("sets"), "Named sets of files: `rust = [\"**/*.rs\"]` is used as \"@rust\". `!` in front excludes."),
        key("tools", ValueType::Each("probes"), "Shell lines that print the version of a tool: `rustc = \"rustc -vV\"`. The output is part of the key of each task that names the tool. `node = { run = \"node --version\", cwd = \"web\" }` runs in a folder."),
        key("defaults", ValueType::Table("defaults"), ""),
        key("tasks", ValueType::Each("task"), "The tasks, each as `[tasks.NAME]`."),
        key("services", ValueType::Each("service"), "Long-lived processes that tasks use, each as `[services.NAME]`."),
        key("gates", ValueType::Each("gate"), "Quality gates: rules for the reports of tasks, each as `[gates.NAME]`."),
        key("hooks", ValueType::Stages, "The tasks and groups that run in a hook of git, such as `pre-push = [\"ci\"]`."),
        key("worktree", ValueType::Table("worktree"), ""),
        key("ci", ValueType::Table("ci"), ""),
        key("artifacts", ValueType::Each("artifact"), "What deploys take from tasks, each as `[artifacts.NAME]`."),
        key("deploy", ValueType::Table("deploy"), ""),
        key("environments", ValueType::Each("environment"), "Where releases run, each as `[environments.NAME]`."),
    ],
    planned: &[
        ("notify", "remove it"),
        ("cache", "remove it; the size of the cache is `cache-size` in `[settings]`"),
    ],
    elsewhere: &[
        ("task", "tasks are written as `[tasks.NAME]`"),
        ("env", "for all tasks, write it as `[defaults.env]`"),
        ("reports", "it belongs in the task that writes them"),
        ("gate", "gates are written as `[gates.NAME]`"),
        ("artifact", "artifacts are written as `[artifacts.NAME]`"),
        ("environment", "environments are written as `[environments.NAME]`"),
        ("migrations", "they belong in an environment: `[environments.NAME.migrations]`"),
        ("shell jobs cache-size", "it belongs in `[settings]`"),
    ],
    ..EMPTY
};

pub(crate) static SETTINGS: Table = Table {
    name: "settings",
    heading: "`[settings]`",
    doc: "Settings of all runs. Only the outermost file has them.",
    keys: &[
        key("jobs", ValueType::Count { least: 0 }, "How many job slots there are. 0, the default, is one per core."),
        key("cache-size", ValueType::Size, "The size limit of the cache. The default is \"10 GiB\"."),
        key("shell", ValueType::Argv, "The program that runs string commands. The default is [\"sh\", \"-ec\"]."),
    ],
    elsewhere: &[("timeout env", "it belongs in `[defaults]` or in a task")],
    ..EMPTY
};

pub(crate) static DEFAULTS: Table = Table {
    name: "defaults",
    heading: "`[defaults]`",
    doc: "Defaults for all tasks of this file. A task's own value replaces the default; variables and tools are merged.",
    keys: &[
        SHELL, INPUTS, ENV, PASS_ENV, SECRET_ENV, TOOLS, TIMEOUT, SLOW_AFTER, RETRIES, LOCKS, SLOTS, OS,
        CACHE, SANDBOX, SERVICES, ENV_FILE,
    ],
    elsewhere: &[
        ("description group run fix finally cwd outputs reports needs matrix rust", NOT_SHARED),
        ("jobs cache-size", "it belongs in `[settings]`"),
    ],
    ..EMPTY
};

pub(crate) static TASK: Table = Table {
    name: "task",
    heading: "`[tasks.NAME]`",
    doc: "A task: one command, or only `needs`.",
    keys: &[
        DESCRIPTION, GROUP,
        key("run", ValueType::Command, "The command: a string is a line for the shell, an array is a program and its arguments. A task without it only has `needs`."),
        key("fix", ValueType::Command, "The command that `xtask fix` runs to fix what the task complains of."),
        key("finally", ValueType::Command, "The command that runs after the task, also after a failure, a timeout or Ctrl-C."),
        SHELL, CWD, INPUTS,
        key("outputs", ValueType::Paths, "The files it writes, which are stored and restored. Patterns are anchored to the folder of this file. `?` in front allows a pattern to match nothing."),
        key("reports", ValueType::Table("reports"), ""),
        NEEDS,
        key("matrix", ValueType::Matrix, "Makes a task for each combination of values: { python = [\"3.11\", \"3.12\"] } makes NAME[python=3.11] and NAME[python=3.12], in which {{ matrix.python }} is the value."),
        ENV, PASS_ENV, SECRET_ENV, TOOLS, TIMEOUT, SLOW_AFTER, RETRIES, LOCKS, SLOTS, OS, CACHE, SANDBOX,
        SERVICES, ENV_FILE,
        key("rust", ValueType::Text, "The function in the repository's own xtask program that is the task."),
    ],
    required: Required::AnyOf(&["run", "rust", "needs"]),
    elsewhere: &[
        ("command cmd cmds script", "did you mean `run`?"),
        ("depends depends-on depends_on deps", "did you mean `needs`?"),
        ("dir workdir", "did you mean `cwd`?"),
        ("sources", "did you mean `inputs`?"),
        ("generates", "did you mean `outputs`?"),
        ("platforms", "did you mean `os`?"),
        ("report", "did you mean `reports`?"),
        ("gate", "a gate is a table of its own: `[gates.NAME]`"),
        ("coverage", "it is a rule of a gate: `[gates.NAME]`"),
        ("parallel", "tasks always run in parallel, as far as `needs` and `locks` allow"),
    ],
    ..EMPTY
};

pub(crate) static SERVICE: Table = Table {
    name: "service",
    heading: "`[services.NAME]`",
    doc: "A long-lived process that tasks use. It starts when it is first needed, and is stopped at the end of the run.",
    keys: &[
        DESCRIPTION,
        key("run", ValueType::Command, "The command, which runs until it is stopped."),
        SHELL, CWD, INPUTS, NEEDS, SERVICES, ENV, PASS_ENV, SECRET_ENV, TOOLS,
        key("port", ValueType::Port, "The port it listens on, or \"auto\" for a free one. In commands and `env`, {{ services.NAME.port }} is replaced by it."),
        key("ready", ValueType::Table("ready"), ""),
        key("stop", ValueType::Table("stop"), ""),
        ENV_FILE,
    ],
    required: Required::Key("run"),
    elsewhere: &[
        ("command cmd", "did you mean `run`?"),
        ("image", "a service is a command: run = \"docker run --rm …\""),
        ("ports", "did you mean `port`?"),
        ("depends-on depends_on", "did you mean `needs` or `services`?"),
        ("healthcheck", "did you mean `ready`?"),
        ("timeout", "the time that it may take to be ready is `timeout` in `ready`"),
        ("outputs", "what it writes is not kept: remove it"),
        ("reports", "a task writes reports: remove it"),
    ],
    ..EMPTY
};

pub(crate) static READY: Table = Table {
    name: "ready",
    heading: "`ready` of a service",
    doc: "How to know that the service is ready. The default is that something listens on its port.",
    keys: &[
        key("tcp", ValueType::Address, "Ready when something listens at this address, such as \"localhost:5432\". localhost is both 127.0.0.1 and ::1."),
        key("unix", ValueType::Text, "Ready when something listens on this Unix socket, such as \"{{ services.NAME.dir }}/server.sock\". A relative path starts at the service's `cwd`."),
        key("http", ValueType::Url, "Ready when a GET of this URL, such as \"http://localhost:8080/health\", is answered with a status below 400. The certificate of an https:// address of this machine is not checked."),
        key("log", ValueType::Text, "Ready when a line of its output matches this regular expression. The last line may have no line end, such as a prompt."),
        key("command", ValueType::Command, "Ready when this command exits with 0."),
        key("timeout", ValueType::Duration, "How long it may take. The default is \"30s\"."),
    ],
    required: Required::OneOf(&["tcp", "unix", "http", "log", "command"]),
    elsewhere: &[
        ("https", "write http = \"https://…\""),
        ("port", "write tcp = \"localhost:PORT\""),
        ("socket", "did you mean `unix`?"),
    ],
    ..EMPTY
};

pub(crate) static STOP: Table = Table {
    name: "stop",
    heading: "`stop` of a service",
    doc: "How the service is stopped.",
    keys: &[
        key("signal", ValueType::Signal, "The signal that stops it. The default is \"SIGTERM\"."),
        key("grace", ValueType::Duration, "How long it may take to stop before it is killed. The default is \"10s\"."),
    ],
    elsewhere: &[("timeout", "did you mean `grace`?")],
    ..EMPTY
};

pub(crate) static REPORTS: Table = Table {
    name: "reports",
    heading: "`reports` of a task",
    doc: "The reports that the task writes, by kind. Their files are outputs of the task.",
    keys: &[
        key("junit", ValueType::OneOrSome, "JUnit XML, as pytest, jest, nextest, surefire and playwright write it."),
        key("lcov", ValueType::OneOrSome, "LCOV: line coverage."),
        key("cobertura", ValueType::OneOrSome, "Cobertura XML: line coverage."),
        key("sarif", ValueType::OneOrSome, "SARIF 2.1.0: findings of scanners and linters."),
        key("secrets", ValueType::OneOrSome, "SARIF 2.1.0 all of whose results are secrets."),
        key("cyclonedx", ValueType::OneOrSome, "A CycloneDX bill of materials in JSON: packages with their licences."),
        key("spdx", ValueType::OneOrSome, "An SPDX bill of materials in JSON: packages with their licences."),
        key("k6", ValueType::OneOrSome, "The summary of k6 in JSON: metrics of a load test."),
        key("sonar", ValueType::OneOrSome, "The response of SonarQube's `api/qualitygates/project_status`."),
        key("facts", ValueType::OneOrSome, "taskgate's own JSON format, for everything else."),
        key("partial", ValueType::NonBlank, "The reason why the scanner of `sarif` or `secrets` may report errors, so that it did not examine everything. Without it, such errors fail the task."),
    ],
    required: Required::AnyOf(&KINDS),
    elsewhere: &[
        ("xml", "did you mean `junit` or `cobertura`?"),
        ("coverage", "did you mean `lcov` or `cobertura`?"),
        ("tests", "did you mean `junit`?"),
        ("sbom", "did you mean `cyclonedx` or `spdx`?"),
        ("reason incomplete", "did you mean `partial`?"),
    ],
    ..EMPTY
};

pub(crate) static GATE: Table = Table {
    name: "gate",
    heading: "`[gates.NAME]`",
    doc: "A quality gate: rules for the reports of tasks. It runs like a task, after these have passed.",
    keys: &[
        DESCRIPTION, GROUP,
        key("of", ValueType::SomeNames, "The tasks or groups whose reports it reads. The default is all in this file and in the files it includes."),
        key("base", ValueType::Revision, "The branch or revision whose merge base is the baseline, such as \"origin/main\"."),
        key("baseline", ValueType::Path, "A committed file with the facts of an earlier tree, which is used if no others are known."),
        key("by-name", ValueType::Flag, "Whether it runs only if it is named on the command line or in `needs`. Otherwise it runs whenever all tasks that it reads run."),
        key("coverage", ValueType::Table("coverage"), ""),
        key("tests", ValueType::Table("tests"), ""),
        key("findings", ValueType::Table("findings"), ""),
        key("secrets", ValueType::Count { least: 0 }, "The most secrets that may be found."),
        key("licences", ValueType::Table("licences"), ""),
        key("performance", ValueType::Bounds, "Bounds of metrics, such as { \"http_req_duration.p95\" = \"<= 100ms\" }."),
        key("sonar", ValueType::Only("ok"), "Requires that the quality gate of the SonarQube server is passed."),
        key("suppress", ValueType::Several("suppression"), "Findings and licences that are accepted, each with a reason and a last day."),
    ],
    required: Required::AnyOf(&RULES),
    elsewhere: &[
        ("licenses licence license", "did you mean `licences`?"),
        ("needs tasks", "did you mean `of`, the tasks whose reports it reads?"),
        ("run", "a gate runs nothing: it reads the reports of tasks"),
        ("reports", "it belongs in the task that writes them; `of` names the task"),
        ("min", "it belongs in `coverage`: coverage = { min = 80 }"),
        ("max-drop", "it belongs in `coverage`: coverage = { max-drop = 2 }"),
        ("suppressions ignore", "did you mean `suppress`?"),
    ],
    ..EMPTY
};

pub(crate) static COVERAGE: Table = Table {
    name: "coverage",
    heading: "`coverage` of a gate",
    doc: "Rules for line coverage, in percent.",
    keys: &[
        key("min", ValueType::Percent, "The least coverage of all lines, in percent."),
        key("max-drop", ValueType::Percent, "The largest drop below the baseline, in percentage points."),
        key("paths", ValueType::Percentages, "The least coverage of the files that match a pattern, such as { \"billing/**\" = 100 }."),
    ],
    required: Required::Any,
    elsewhere: &[
        ("lines", "did you mean `min`?"),
        ("drop", "did you mean `max-drop`?"),
    ],
    ..EMPTY
};

pub(crate) static TESTS: Table = Table {
    name: "tests",
    heading: "`tests` of a gate",
    doc: "Rules for tests.",
    keys: &[
        key("failed", ValueType::Count { least: 0 }, "The most tests that may fail."),
        key("skipped", ValueType::Count { least: 0 }, "The most tests that may be skipped."),
        key("flaky", ValueType::Count { least: 0 }, "The most tests that may pass only when they are run again."),
        key("min-count", ValueType::Count { least: 0 }, "The least tests that must run."),
    ],
    required: Required::Any,
    elsewhere: &[
        ("count min", "did you mean `min-count`?"),
        ("failures", "did you mean `failed`?"),
        ("errors", "an error counts as `failed`"),
    ],
    ..EMPTY
};

pub(crate) static FINDINGS: Table = Table {
    name: "findings",
    heading: "`findings` of a gate",
    doc: "Limits for findings of scanners and linters.",
    keys: &[
        key("critical", ValueType::Count { least: 0 }, "The most critical findings."),
        key("high", ValueType::Count { least: 0 }, "The most high findings. SARIF's `error` is high."),
        key("medium", ValueType::Count { least: 0 }, "The most medium findings. SARIF's `warning` is medium."),
        key("low", ValueType::Count { least: 0 }, "The most low findings."),
        key("note", ValueType::Count { least: 0 }, "The most notes."),
        key("total", ValueType::Count { least: 0 }, "The most findings of any severity."),
        key("new", ValueType::Count { least: 0 }, "The most findings that the baseline does not have."),
    ],
    required: Required::Any,
    elsewhere: &[
        ("error", "did you mean `high`, which SARIF's `error` is?"),
        ("warning", "did you mean `medium`, which SARIF's `warning` is?"),
        ("max", "did you mean `total`?"),
    ],
    ..EMPTY
};

pub(crate) static LICENCES: Table = Table {
    name: "licences",
    heading: "`licences` of a gate",
    doc: "Rules for the licences of packages.",
    keys: &[
        key("allow", ValueType::Licences, "The licences that packages may have; `*` matches any characters. The default is all that are not denied."),
        key("deny", ValueType::Licences, "The licences that no package may have; `*` matches any characters."),
    ],
    required: Required::Any,
    ..EMPTY
};

pub(crate) static SUPPRESSION: Table = Table {
    name: "suppression",
    heading: "`suppress` of a gate",
    doc: "A finding or licence that is accepted, with a reason and a last day.",
    keys: &[
        key("rule", ValueType::NonBlank, "The scanner's id of the accepted finding, such as \"CVE-2024-1\"."),
        key("path", ValueType::Glob, "The files in which it is accepted, as a pattern. The default is all."),
        key("licence", ValueType::NonBlank, "The accepted licence, as the report writes it."),
        key("package", ValueType::NonBlank, "The package that may have the licence. The default is any."),
        key("reason", ValueType::NonBlank, "Why it is accepted."),
        key("expires", ValueType::Day, "The last day on which it is accepted, such as 2026-12-31."),
    ],
    required: Required::Suppression,
    elsewhere: &[
        ("license", "did you mean `licence`?"),
        ("id", "did you mean `rule`?"),
        ("until expiry", "did you mean `expires`?"),
        ("why", "did you mean `reason`?"),
    ],
    ..EMPTY
};

pub(crate) static WORKTREE: Table = Table {
    name: "worktree",
    heading: "`[worktree]`",
    doc: "What a private worktree needs that git does not have. Only the outermost file has it.",
    keys: &[
        key("root", ValueType::ListItem, "The folder of the private worktrees and sandboxes, outside the repository, such as \"/var/cache/xtask\" or \"~/worktrees\". The default is in the user's cache folder."),
        key("link", ValueType::NameIndex, "Ignored files and folders of the work tree that are recreated with hard links, such as [\"node_modules\", \"packages/*/node_modules\"]. A path with `*` is a pattern. \"?PATH\" may be missing."),
        key("copy", ValueType::NameIndex, "Ignored files and folders of the work tree that are copied, such as [\".env.test\"]. A path with `*` is a pattern. \"?PATH\" may be missing."),
        key("filters", ValueType::Texts, "Filter drivers of git that may run during checkout, such as [\"lfs\"]."),
        key("in-place", ValueType::Flag, "Whether a gate runs tasks in the work tree if that has exactly the files of the tree under test, apart from ignored files. `false`: always in a private worktree."),
        key("setup", ValueType::CommandOr("setup"), "The command that runs in a private worktree before its tasks, and again when its inputs, tools or command changed."),
    ],
    elsewhere: &[
        ("inputs", "it belongs in the setup: `[worktree.setup]` with `run` and `inputs`"),
        ("run", "did you mean `setup`?"),
        ("links", "did you mean `link`?"),
        ("dir", "did you mean `root`?"),
    ],
    ..EMPTY
};

pub(crate) static CI: Table = Table {
    name: "ci",
    heading: "`[ci]`",
    doc: "What `xtask ci init` writes for CI systems. Only the outermost file has it.",
    keys: &[
        key("run", ValueType::NameIndex, "The tasks and groups that CI runs. The default is [\"ci\"]."),
        key("shards", ValueType::Between { least: 1, most: SHARDS }, "How many machines share the tasks. The default is 1."),
        key("timings", ValueType::Text, "A file of recorded durations, by which the tasks are shared out."),
        key("branches", ValueType::NameIndex, "The branches whose pushes are tested. The default is the branches in the generated file, or the default branch."),
        key("providers", ValueType::Providers, "The CI systems in use. The default is those whose files exist, and that of the remote `origin`."),
        key("install", ValueType::ListItem, "A shell line that installs `xtask` on the machine; \"\" installs nothing. The default is the program of a release, which is built if no release has it, or nothing if the repository builds its own."),
        key("timeout", ValueType::Duration, "How long a job on a machine may take. The default is \"1h\"."),
    ],
    elsewhere: &[
        ("needs", "did you mean `run`? A task of this name is `[tasks.ci]`"),
        ("os", "systems come from the tasks' own `os`"),
        ("matrix", "variants come from the tasks' own `matrix`"),
        ("setup", "write the steps between the markers in the generated file, where they are kept"),
        ("branch", "did you mean `branches`?"),
        ("provider", "did you mean `providers`?"),
    ],
    ..EMPTY
};

pub(crate) static TOOL: Table = Table {
    name: "tool",
    heading: "A tool of `[tools]`",
    doc: "A probe that runs in a folder.",
    keys: &[
        key("run", ValueType::NonBlank, "A shell line that prints the version of the tool."),
        key("cwd", ValueType::Text, "The folder it runs in, relative to the folder of this file."),
    ],
    required: Required::Key("run"),
    elsewhere: &[
        ("probe command", "did you mean `run`?"),
        ("version", "write what prints it: `run = \"node --version\"`"),
        ("dir", "did you mean `cwd`?"),
    ],
    ..EMPTY
};

pub(crate) static SETUP: Table = Table {
    name: "setup",
    heading: "`setup` of `[worktree]`",
    doc: "The setup of a private worktree: its command, and what the command depends on.",
    keys: &[
        key("run", ValueType::Command, "The command: a string is a line for the shell, an array is a program and its arguments."),
        INPUTS, SHELL, CWD, ENV, PASS_ENV, SECRET_ENV, TOOLS, TIMEOUT, SLOW_AFTER, DESCRIPTION,
    ],
    required: Required::Key("run"),
    elsewhere: &[("outputs", "what it writes stays in the worktree: remove it")],
    ..EMPTY
};

/// All tables, in the order of the reference.
pub(crate) static TABLES: [&Table; 33] = [
    &TOP, &SETTINGS, &DEFAULTS, &TASK, &SERVICE, &READY, &STOP, &REPORTS, &GATE, &COVERAGE, &TESTS, &FINDINGS,
    &LICENCES, &SUPPRESSION, &WORKTREE, &CI, &TOOL, &SETUP, &deploy::ARTIFACT_TABLE, &deploy::DEPLOY,
    &deploy::ENVIRONMENT, &deploy::ROLE, &deploy::HOST, &deploy::MACHINE, &deploy::PORTS_TABLE,
    &deploy::HEALTH_CHECK_TABLE, &deploy::ROUTER_TABLE, &deploy::ANALYSIS_TABLE, &deploy::ANALYSIS_SOURCE,
    &deploy::MIGRATIONS, &deploy::REHEARSE, &deploy::APPROVAL, &deploy::DEPLOY_WINDOW,
];
