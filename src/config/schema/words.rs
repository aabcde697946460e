//! What each key of each table means and takes, in one list a table: the description of tasks.toml
//! that its schema is written from. It must not know how a schema is written.
//!
//! A new key needs a line here and one in `keys.rs`; a test tells which of them is missing. A
//! key that `keys.rs` only plans may have its line already: it enters the schema when it is known.

use super::shape::Shape;
use crate::config::sections::ci::SHARDS;

/// A key and what is to be known of it.
pub(super) struct Word {
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    /// A sentence for who writes the file.
    pub(super) about: &'static str,
}

const fn word(key: &'static str, shape: Shape, about: &'static str) -> Word {
    Word { key, shape, about }
}

pub(super) const TOP: &[Word] = &[
    word(
        "include",
        Shape::Paths,
        "Other files with tasks, such as [\"services/*/tasks.toml\"]: their tasks are named `api:test`, their paths are relative to their folder.",
    ),
    word("settings", Shape::Table("settings"), ""),
    word(
        "files",
        Shape::Each("sets"),
        "Named sets of files: `rust = [\"**/*.rs\"]` is used as \"@rust\"; `!` excludes.",
    ),
    word(
        "tools",
        Shape::Each("probes"),
        "Shell lines that print what tool is used: `rustc = \"rustc -vV\"`; the output enters the key of each task that names the tool. `node = { run = \"node --version\", cwd = \"web\" }` asks in a folder.",
    ),
    word("defaults", Shape::Table("defaults"), ""),
    word("tasks", Shape::Each("task"), "The tasks, each as `[tasks.NAME]`."),
    word(
        "services",
        Shape::Each("service"),
        "Long-lived processes that tasks use, each as `[services.NAME]`.",
    ),
    word("gates", Shape::Each("gate"), "Rules over what tasks report, each as `[gates.NAME]`."),
    word(
        "hooks",
        Shape::Stages,
        "Which tasks and groups gate which stage of git, such as `pre-push = [\"ci\"]`.",
    ),
    word("worktree", Shape::Table("worktree"), ""),
    word("ci", Shape::Table("ci"), ""),
];

pub(super) const CI: &[Word] = &[
    word("run", Shape::Names, "Tasks and groups that CI runs; the default is [\"ci\"]."),
    word(
        "shards",
        Shape::Between { least: 1, most: SHARDS },
        "Over how many machines they are spread; the default is 1.",
    ),
    word(
        "timings",
        Shape::Text,
        "A file of recorded durations, by which the tasks are spread over the machines.",
    ),
    word(
        "branches",
        Shape::Names,
        "Branches whose pushes are run; left out: those that the generated file names, or the default branch.",
    ),
    word(
        "providers",
        Shape::Providers,
        "CI systems that are used; left out: those whose files are there, and that of the remote `origin`.",
    ),
    word(
        "install",
        Shape::Line,
        "A shell line that puts `xtask` on the machine; left out: `cargo install`, or nothing where the repository builds its own; \"\": nothing.",
    ),
    word("timeout", Shape::Duration, "How long a machine may take; the default is \"1h\"."),
];

pub(super) const SETTINGS: &[Word] = &[
    word("jobs", Shape::Count { least: 0 }, "How many job slots there are; 0, the default, is one per core."),
    word("cache-size", Shape::Size, "How much the cache may take; the default is \"10 GiB\"."),
    word(
        "shell",
        Shape::Argv,
        "What runs a command that is a string; the default is [\"sh\", \"-ec\"], and a task may name its own.",
    ),
];

/// Of commands: tasks, services, the setup of a worktree, and the defaults for all tasks.
pub(super) const COMMANDS: &[Word] = &[
    word("description", Shape::Line, "What it is for, on one line of plain text."),
    word(
        "run",
        Shape::Command,
        "The command: a string is a line for the shell, an array is a program and its arguments.",
    ),
    word("shell", Shape::Argv, "What runs commands that are strings, such as [\"bash\", \"-ec\"]."),
    word(
        "cwd",
        Shape::Text,
        "The folder it runs in, relative to the one that holds this file, which is the default.",
    ),
    word(
        "inputs",
        Shape::Patterns,
        "Files it reads, as gitignore-style globs; \"@rust\" is a set of `[files]`, `!` excludes, `?` in front says that it may match nothing; left out: the whole tree.",
    ),
    word("needs", Shape::Names, "Tasks or groups that must have passed before."),
    word("services", Shape::Names, "Services that it uses; each is started when it is first needed."),
    word("env", Shape::Variables, "Variables that are set, such as { RUSTFLAGS = \"-D warnings\" }."),
    word(
        "env-file",
        Shape::OneOrMore,
        "Files with variables, a `NAME=value` a line; what they hold enters the key.",
    ),
    word(
        "pass-env",
        Shape::VariableNames,
        "Variables of the caller that are passed on; a value enters the key, but not that of \"?NAME\".",
    ),
    word(
        "secret-env",
        Shape::VariableNames,
        "Variables of the caller that are passed on, enter the key as a digest and are masked in every log.",
    ),
    word("tools", Shape::Names, "Names of `[tools]` whose output enters the key."),
    word("timeout", Shape::Duration, "How long it may run, such as \"10m\" or \"1h 30m\"; then it is ended."),
    word("slow-after", Shape::Duration, "After how long it is called slow, such as \"2m\"."),
    word(
        "retries",
        Shape::Count { least: 0 },
        "How many further attempts there are; a pass after a failure is flaky and not stored; the default is 0.",
    ),
    word(
        "locks",
        Shape::LockNames,
        "Names with one holder at a time, also across runs, such as [\"port-5432\"].",
    ),
    word("slots", Shape::Count { least: 1 }, "How many job slots it takes; the default is 1."),
    word("os", Shape::Systems, "Systems it runs on; left out: all."),
    word("cache", Shape::Flag, "Whether its result is stored and reused; the default is true."),
    word("sandbox", Shape::Flag, "Whether it is only shown the files that it declares."),
];

/// Of tasks alone.
pub(super) const TASK: &[Word] = &[
    word(
        "run",
        Shape::Command,
        "The command: a string is a line for the shell, an array is a program and its arguments; a task without it gathers its `needs`.",
    ),
    word("rust", Shape::Text, "The function of this name in the repository's own xtask is the task."),
    word(
        "group",
        Shape::Name,
        "A label that tasks share, such as \"lint\"; its name stands for all of them.",
    ),
    word("fix", Shape::Command, "What `xtask fix` runs to repair what the task complains of."),
    word("finally", Shape::Command, "Runs behind the task, also after a failure, a timeout or Ctrl-C."),
    word(
        "outputs",
        Shape::Paths,
        "Files it writes, which are stored and restored; patterns are anchored to the folder of this file, `?` in front says that it may not be written.",
    ),
    word("reports", Shape::Table("reports"), ""),
    word(
        "matrix",
        Shape::Matrix,
        "Makes a task for each combination of values: with { python = [\"3.11\", \"3.12\"] } there are NAME[python=3.11] and NAME[python=3.12], and {{ matrix.python }} is the value.",
    ),
];

/// Of services alone.
pub(super) const SERVICE: &[Word] = &[
    word("run", Shape::Command, "The command, which goes on until it is ended."),
    word(
        "port",
        Shape::Port,
        "The port it listens on, or \"auto\" for a free one; {{ services.NAME.port }} in commands and `env` stands for it.",
    ),
    word("ready", Shape::Table("ready"), ""),
    word("stop", Shape::Table("stop"), ""),
];

pub(super) const READY: &[Word] = &[
    word(
        "tcp",
        Shape::Address,
        "Something listens at this address, such as \"localhost:5432\"; localhost is both 127.0.0.1 and ::1.",
    ),
    word(
        "unix",
        Shape::Text,
        "Something listens on this Unix socket, such as \"{{ services.NAME.dir }}/server.sock\"; a relative path starts at the service's `cwd`.",
    ),
    word(
        "http",
        Shape::Url,
        "A GET of this URL is answered with a status below 400, such as \"http://localhost:8080/health\". The certificate of an https:// address of this machine is not checked.",
    ),
    word(
        "log",
        Shape::Text,
        "A line of its output matches this regular expression; also a last line without a line end, such as a prompt.",
    ),
    word("command", Shape::Command, "This command ends with 0."),
    word("timeout", Shape::Duration, "How long it may take; the default is \"30s\"."),
];

pub(super) const STOP: &[Word] = &[
    word("signal", Shape::Signal, "What it is sent; the default is \"SIGTERM\"."),
    word("grace", Shape::Duration, "How long it has then until it is killed; the default is \"10s\"."),
];

pub(super) const TOOL: &[Word] = &[
    word("run", Shape::NonBlank, "A shell line that prints what tool is used."),
    word("cwd", Shape::Text, "The folder that it is run in, relative to that of this file."),
];

pub(super) const WORKTREE: &[Word] = &[
    word(
        "root",
        Shape::Line,
        "The folder that has the private worktrees and sandboxes, outside of the repository, such as \"/var/cache/xtask\" or \"~/worktrees\"; the default is in the user's cache folder.",
    ),
    word(
        "link",
        Shape::Names,
        "Files and folders of the work tree that git ignores and that are recreated with hard links, such as [\"node_modules\"]; \"?PATH\" may be missing.",
    ),
    word(
        "copy",
        Shape::Names,
        "Files and folders of the work tree that git ignores and that are copied, such as [\".env.test\"]; \"?PATH\" may be missing.",
    ),
    word("filters", Shape::Texts, "Filter drivers of git that may run, such as [\"lfs\"]."),
    word(
        "setup",
        Shape::CommandOr("setup"),
        "Runs in a private worktree before its tasks, and again when its inputs, tools or command changed.",
    ),
];

pub(super) const REPORTS: &[Word] = &[
    word("junit", Shape::OneOrSome, "JUnit XML, as pytest, jest, nextest, surefire and playwright write it."),
    word("lcov", Shape::OneOrSome, "LCOV: lines that tests reached."),
    word("cobertura", Shape::OneOrSome, "Cobertura XML: lines that tests reached."),
    word("sarif", Shape::OneOrSome, "SARIF 2.1.0: what scanners and linters found."),
    word("secrets", Shape::OneOrSome, "SARIF 2.1.0 all of whose results are secrets."),
    word(
        "cyclonedx",
        Shape::OneOrSome,
        "A CycloneDX bill of materials in JSON: packages with their licences.",
    ),
    word("spdx", Shape::OneOrSome, "An SPDX bill of materials in JSON: packages with their licences."),
    word("k6", Shape::OneOrSome, "The summary of k6 in JSON: figures of a load test."),
    word("sonar", Shape::OneOrSome, "The answer of SonarQube's `api/qualitygates/project_status`."),
    word("facts", Shape::OneOrSome, "taskgate's own plain facts in JSON, for anything else."),
    word(
        "partial",
        Shape::NonBlank,
        "Why the scanner of `sarif` or `secrets` may note errors, by which it left something out; without it they fail the task.",
    ),
];

/// Of gates alone.
pub(super) const GATE: &[Word] = &[
    word(
        "of",
        Shape::SomeNames,
        "Tasks or groups whose reports it reads; left out: all of this file and of those it includes.",
    ),
    word(
        "base",
        Shape::Revision,
        "The branch or revision whose merge base it is compared with, such as \"origin/main\".",
    ),
    word(
        "baseline",
        Shape::Path,
        "A committed file with the facts of a former tree, for when no others are known.",
    ),
    word(
        "by-name",
        Shape::Flag,
        "Judge it only where it is named, as on the command line or in `needs`; the default is whenever all that it reads is run.",
    ),
    word("coverage", Shape::Table("coverage"), ""),
    word("tests", Shape::Table("tests"), ""),
    word("findings", Shape::Table("findings"), ""),
    word("secrets", Shape::Count { least: 0 }, "How many secrets may be found at most."),
    word("licences", Shape::Table("licences"), ""),
    word(
        "performance",
        Shape::Bounds,
        "Bounds of figures, such as { \"http_req_duration.p95\" = \"<= 100ms\" }.",
    ),
    word("sonar", Shape::Only("ok"), "The quality gate of the SonarQube server is passed."),
    word(
        "suppress",
        Shape::Several("suppression"),
        "Findings and licences that are accepted, each with a reason and a day on which that ends.",
    ),
];

pub(super) const COVERAGE: &[Word] = &[
    word("min", Shape::Percent, "At least so many percent of all lines."),
    word("max-drop", Shape::Percent, "At most so many points less than the baseline."),
    word(
        "paths",
        Shape::Percentages,
        "At least so many percent of the files of a pattern, such as { \"billing/**\" = 100 }.",
    ),
];

pub(super) const TESTS: &[Word] = &[
    word("failed", Shape::Count { least: 0 }, "At most so many fail."),
    word("skipped", Shape::Count { least: 0 }, "At most so many are skipped."),
    word("flaky", Shape::Count { least: 0 }, "At most so many pass only when tried again."),
    word("min-count", Shape::Count { least: 0 }, "At least so many are run."),
];

pub(super) const FINDINGS: &[Word] = &[
    word("critical", Shape::Count { least: 0 }, "At most so many critical ones."),
    word("high", Shape::Count { least: 0 }, "At most so many high ones; SARIF's `error` is one."),
    word("medium", Shape::Count { least: 0 }, "At most so many medium ones; SARIF's `warning` is one."),
    word("low", Shape::Count { least: 0 }, "At most so many low ones."),
    word("note", Shape::Count { least: 0 }, "At most so many remarks."),
    word("total", Shape::Count { least: 0 }, "At most so many of any severity."),
    word("new", Shape::Count { least: 0 }, "At most so many that the baseline does not have."),
];

pub(super) const LICENCES: &[Word] = &[
    word(
        "allow",
        Shape::Licences,
        "Licences that packages may have, `*` for any characters; left out: all that are not denied.",
    ),
    word("deny", Shape::Licences, "Licences that no package may have, `*` for any characters."),
];

pub(super) const SUPPRESSION: &[Word] = &[
    word("rule", Shape::NonBlank, "The scanner's id of what is accepted, such as \"CVE-2024-1\"."),
    word("path", Shape::Glob, "Where, as a glob; left out: anywhere."),
    word("licence", Shape::NonBlank, "The licence that is accepted, as the report writes it."),
    word("package", Shape::NonBlank, "The package that may have the licence; left out: any."),
    word("reason", Shape::NonBlank, "Why."),
    word("expires", Shape::Day, "The last day on which it holds, such as 2026-12-31."),
];
