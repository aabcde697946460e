//! The command line as it was typed. It must not know what the words in it stand for.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::audit::AuditArgs;
use crate::cli::baseline::BaselineArgs;
use crate::cli::ci::CiArgs;
use crate::cli::ci_service::Ci;
use crate::cli::completions::{CompleteArgs, CompletionsArgs};
use crate::cli::diff_run::DiffRunArgs;
use crate::cli::explain_gate::ExplainGateArgs;
use crate::cli::init::InitArgs;
use crate::cli::merge_runs::MergeRunsArgs;
use crate::cli::sonar::SonarArgs;
use crate::cli::watch::WatchArgs;
use crate::config::stage::Stage;
use crate::reporter::Output;
use crate::reporter::style::Color;
use crate::shard::Shard;

/// Runs the tasks of tasks.toml in parallel, each cached by the git tree of what it reads.
#[derive(Parser, Debug)]
#[command(
    name = "xtask",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  xtask                      list tasks and groups
  xtask ci                   run the task or group `ci` and all it needs
  xtask lint unit -k         run two groups, and go on after a failure
  xtask run test -- --nocapture   hand arguments to one task
  xtask plan ci              what would run, and why
  xtask ci --affected        only what the changes since the merge base can reach
  xtask ci init              write the workflow that makes the same run in CI

A task or group that is named like a command is run with `xtask run NAME`.
Exit status: 0 passed · 1 a task or a gate failed · 2 usage · 3 tasks.toml is wrong · 4 nothing matched
             5 git, cache, disk or network failed · 70 a bug · 128+n signal n"
)]
pub struct Cli {
    /// What applies to all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do; lists the tasks if it is left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What applies to all commands.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Colour the output
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub color: Color,
    /// Do as if started in this folder
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run tasks or groups with what they need
    #[command(after_help = "Example:\n  xtask run unit --keep-going --junit target/junit.xml")]
    Run(RunArgs),
    /// Run tasks or groups, and again what a change affects
    #[command(after_help = "Example:\n  xtask watch unit lint")]
    Watch(WatchArgs),
    /// Tell what would run, what is cached, and why
    #[command(after_help = "Example:\n  xtask plan ci --json")]
    Plan(PlanArgs),
    /// Tell a task's key field by field, and what differs from the nearest entry
    #[command(after_help = "Example:\n  xtask why clippy")]
    Why(WhyArgs),
    /// Draw what needs what
    #[command(after_help = "Example:\n  xtask graph ci --format mermaid")]
    Graph(GraphArgs),
    /// Run the `fix` commands, one after the other
    #[command(after_help = "Example:\n  xtask fix lint")]
    Fix(FixArgs),
    /// Run tasks in folders that hold only what they declare, and tell what they missed
    #[command(after_help = "\
Example:
  xtask audit unit --json

Exit status 1 if a task got at something that it does not declare, or fails without it. Where not all
could be seen (elsewhere than on Linux nothing can), a task is told as partial, never as clean.")]
    Audit(AuditArgs),
    /// Gate commits' trees as a push does, so that the push is a lookup
    #[command(after_help = "\
Examples:
  xtask gate           HEAD's tree, before you push it
  xtask gate v1.2 main each distinct tree once
  xtask gate --staged  what is staged, before you commit it")]
    Gate(GateArgs),
    /// Tell why a quality gate's last verdict is what it is: all rules, and what broke them
    #[command(after_help = "Example:\n  xtask explain-gate quality --json")]
    ExplainGate(ExplainGateArgs),
    /// Have git call the gate
    #[command(after_help = "Example:\n  xtask hooks install")]
    Hooks(HooksArgs),
    /// What an installed git hook calls
    #[command(after_help = "\
Example:
  xtask hook pre-push origin git@example.com:a/b.git   reads git's lines from standard input

XTASK_SKIP=\"reason\" lets git go on without the gate; `xtask log --skips` shows who did so and why.")]
    Hook(HookArgs),
    /// Show past runs, their tasks and logs
    #[command(after_help = "\
Examples:
  xtask log                  past runs, newest first
  xtask log --last --failed  the logs of what failed in the last run
  xtask log --skips          the gates that were skipped, by whom and why
  xtask log 093015           the run whose id contains this, drawn again")]
    Log(LogArgs),
    /// Tell in words why two runs of the same tree differ
    #[command(
        name = "diff-run",
        after_help = "\
Examples:
  xtask diff-run last~1 last              the last run but one, and the last
  xtask diff-run laptop.json ci.json      manifests that `run --manifest FILE` wrote

Exit status 1 if they differ. What two machines may differ in without running something else (jobs, the
calling CI) is told as a remark and is no difference."
    )]
    DiffRun(DiffRunArgs),
    /// Merge the manifests of all shards of a run, and judge its gates
    #[command(
        name = "merge-runs",
        after_help = "\
Example:
  xtask merge-runs shard-*.json --junit junit.xml

Exit status 1 if a shard is missing, is there twice or has failed, or if a gate fails. Manifests of
different trees or plans are refused with exit status 5."
    )]
    MergeRuns(MergeRunsArgs),
    /// Write a first tasks.toml for what is in the repository
    #[command(after_help = "\
Examples:
  xtask init           tries each task once, and writes those that pass
  xtask init --print   writes to standard output, whether or not there is a tasks.toml")]
    Init(InitArgs),
    /// Write or check the files of CI systems; `xtask ci` alone runs what is named `ci`
    #[command(after_help = "\
Examples:
  xtask ci init    writes the workflow, the template of pull requests and dependabot.yml
  xtask ci check   tells where they differ from tasks.toml; made to be a task of group lint")]
    Ci(CiArgs),
    /// Check git, tools, hooks, remotes and the state directory, and say what to do
    #[command(after_help = "Example:\n  xtask doctor --json")]
    Doctor(DoctorArgs),
    /// Show and share what gates recorded, for other trees to be compared with
    #[command(after_help = "Example:\n  xtask baseline push     in CI, behind `xtask ci` on the main branch")]
    Baseline(BaselineArgs),
    /// Print what a `SonarQube` server says of the analysis that a scanner has just sent it
    #[command(after_help = "\
Example, of a task with secret-env = [\"SONAR_TOKEN\"] and reports = { sonar = \"out/sonar.json\" }:
  run = \"sonar-scanner && xtask sonar > out/sonar.json\"")]
    Sonar(SonarArgs),
    /// Look after the cache
    #[command(after_help = "Example:\n  xtask cache verify")]
    Cache(CacheArgs),
    /// Calls a function that is a task
    #[command(name = "__task", hide = true)]
    Task {
        /// Its name.
        name: String,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the JSON schema of tasks.toml, for editors
    #[command(after_help = "Example:\n  xtask schema > tasks.schema.json")]
    Schema,
    /// Print a script that completes commands, options and names of tasks
    #[command(after_help = "Example:\n  eval \"$(xtask completions bash)\"   in ~/.bashrc")]
    Completions(CompletionsArgs),
    /// Tells a shell what could stand at the cursor; called by the scripts of `completions`
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
    /// Ends what a killed run left behind; started by each run
    #[command(name = "__guard", hide = true)]
    Guard {
        /// The run's id.
        run: String,
    },
    /// Runs a program and reports which files it and all its descendants opened
    #[command(name = "__trace", hide = true)]
    Trace {
        /// Stop at all system calls.
        #[arg(long)]
        all_stops: bool,
        /// Report only files below this folder that are opened or changed, and end with the program.
        #[arg(long)]
        below: Option<PathBuf>,
        /// Where the report goes.
        report: PathBuf,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Becomes a program once its tracer is there; started by `__trace`
    #[command(name = "__stopped", hide = true)]
    Stopped {
        /// Stop at all system calls.
        #[arg(long)]
        all_stops: bool,
        /// Stop only at calls that open or change files.
        #[arg(long)]
        narrow: bool,
        /// The tracer's process id.
        tracer: i32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// Arguments of `run`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch as it was typed")]
#[derive(Args, Debug, Clone, Default)]
pub struct RunArgs {
    /// Tasks or groups
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// How many job slots there are [default: `settings.jobs`, or one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Go on with what does not need a failed task
    #[arg(short, long)]
    pub keep_going: bool,
    /// Run also what is cached
    #[arg(short, long)]
    pub force: bool,
    /// Neither read nor write the cache
    #[arg(long, conflicts_with = "force")]
    pub no_cache: bool,
    /// Run the tree of this commit, in a private worktree
    #[arg(long, value_name = "REV")]
    pub at: Option<String>,
    /// Only what the changes since the merge base with this branch can reach [default: origin/HEAD]
    #[arg(long, value_name = "BASE", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "at")]
    pub affected: Option<String>,
    /// Run without what the tasks need
    #[arg(long)]
    pub only: bool,
    /// Which part of the plan
    #[command(flatten)]
    pub part: PartArgs,
    /// Tell what would be done, as `plan` does
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Which logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// How to write what happens: lines for people on stderr, or an event a line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// For which CI service to write it [default: the one that this runs in]
    #[arg(long, value_enum, default_value = "auto", hide_default_value = true, value_name = "SERVICE")]
    pub ci: Ci,
    /// Write a `JUnit` report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a trace that Chrome and Perfetto open
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Write the run's manifest, for `diff-run` and `merge-runs`
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// Arguments for the one task that is named
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// Which part of a plan is meant.
#[derive(Args, Debug, Clone, Default)]
pub struct PartArgs {
    /// Only the K-th of N parts, which have every task between them
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// How long tasks take, to make the parts even: a file that `xtask log --timings` wrote
    #[arg(long, value_name = "FILE", requires = "shard")]
    pub timings: Option<PathBuf>,
}

/// How to write what happens in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Format {
    /// Lines for people.
    #[default]
    Human,
    /// One event a line.
    Json,
}

/// Arguments of `plan`.
#[derive(Args, Debug, Clone)]
pub struct PlanArgs {
    /// Tasks or groups [default: all tasks]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Plan for the tree of this commit, without checking it out
    #[arg(long, value_name = "REV")]
    pub at: Option<String>,
    /// Only what the changes since the merge base with this branch can reach [default: origin/HEAD]
    #[arg(long, value_name = "BASE", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "at")]
    pub affected: Option<String>,
    /// Plan without what the tasks need
    #[arg(long)]
    pub only: bool,
    /// Which part of the plan
    #[command(flatten)]
    pub part: PartArgs,
    /// Plan as if nothing were cached
    #[arg(short, long)]
    pub force: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Arguments for the one task that is named
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// Arguments of `why`.
#[derive(Args, Debug, Clone)]
pub struct WhyArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Arguments that the task would be given
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// Arguments of `graph`.
#[derive(Args, Debug, Clone)]
pub struct GraphArgs {
    /// Tasks or groups [default: all tasks]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How to draw it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: GraphFormat,
}

/// How to draw a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum GraphFormat {
    /// An indented tree.
    #[default]
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
    /// For programs.
    Json,
}

/// Arguments of `gate`.
#[derive(Args, Debug, Clone)]
pub struct GateArgs {
    /// Commits [default: HEAD]
    #[arg(value_name = "REV")]
    pub revs: Vec<String>,
    /// Gate what is staged
    #[arg(long, conflicts_with = "revs")]
    pub staged: bool,
    /// Run in a fresh private worktree instead of a warm one
    #[arg(long)]
    pub cold: bool,
    /// How many job slots there are [default: `settings.jobs`, or one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Which logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// How to write what happens: lines for people on stderr, or an event a line on stdout
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// For which CI service to write it [default: the one that this runs in]
    #[arg(long, value_enum, default_value = "auto", hide_default_value = true, value_name = "SERVICE")]
    pub ci: Ci,
}

/// Arguments of `hooks`.
#[derive(Args, Debug, Clone)]
pub struct HooksArgs {
    /// What to do with them
    #[command(subcommand)]
    pub action: HooksAction,
}

/// What to do with git's hooks.
#[derive(Subcommand, Debug, Clone, Copy, PartialEq, Eq)]
pub enum HooksAction {
    /// Write a hook for each stage that `[hooks]` names; one that is there is kept and runs first
    Install,
    /// Take them out, and put back what was there before
    Uninstall,
    /// Tell which are installed, stale or bypassed
    Status {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `hook`.
#[derive(Args, Debug, Clone)]
pub struct HookArgs {
    /// The stage, by git's name for it
    #[arg(value_name = "STAGE", value_parser = stage)]
    pub stage: Stage,
    /// What git gave the hook
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

fn stage(name: &str) -> Result<Stage, String> {
    Stage::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Stage::all().map(Stage::name).collect();
        format!("not a client-side stage; there are {}", known.join(", "))
    })
}

/// Arguments of `fix`.
#[derive(Args, Debug, Clone)]
pub struct FixArgs {
    /// Tasks or groups [default: all tasks with a `fix`]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// Arguments of `log`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch as it was typed")]
#[derive(Args, Debug, Clone)]
pub struct LogArgs {
    /// A run's id, or a part of it
    #[arg(value_name = "RUN", conflicts_with = "last")]
    pub run: Option<String>,
    /// The last run
    #[arg(long)]
    pub last: bool,
    /// Only what failed
    #[arg(long)]
    pub failed: bool,
    /// The gates that were skipped, by whom and why
    #[arg(long, conflicts_with_all = ["run", "last", "failed", "task"])]
    pub skips: bool,
    /// How long each task takes, as JSON for `--shard`
    #[arg(long, conflicts_with_all = ["run", "last", "failed", "task", "service", "skips"])]
    pub timings: bool,
    /// Only this task, with its log
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,
    /// Only what this service printed
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["task", "failed"])]
    pub service: Option<String>,
    /// Which logs to show
    #[arg(short, long, value_enum, default_value_t, value_name = "WHICH")]
    pub output: Output,
    /// How to write it
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// For which CI service to draw it
    #[arg(long, value_enum, default_value_t, value_name = "SERVICE")]
    pub ci: Ci,
}

/// Arguments of `doctor`.
#[derive(Args, Debug, Clone, Copy)]
pub struct DoctorArgs {
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `cache`.
#[derive(Args, Debug, Clone)]
pub struct CacheArgs {
    /// What to do with it
    #[command(subcommand)]
    pub action: CacheAction,
}

/// What to do with the cache.
#[derive(Subcommand, Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheAction {
    /// Tell how much there is
    Stats,
    /// Read all of it, and remove what is damaged
    Verify,
    /// Remove what was not used for longest until it fits, and what runs left behind
    Gc,
    /// Remove all of it
    Clear,
}

/// Global options that take a value, for finding the first word of a command line.
const WITH_VALUE: &[&str] = &["--color", "--directory", "-C"];

/// The command that is one only in front of its actions.
pub(super) const CI: &str = "ci";

/// The words of a command line with `run` put in front of the first word if that is no command, so
/// that `xtask ci` is `xtask run ci`. As a cargo subcommand the program gets its own name as the
/// first argument, which is dropped.
pub fn with_run(mut words: Vec<OsString>, commands: &[String]) -> Vec<OsString> {
    let program = words.first().map(PathBuf::from).unwrap_or_default();
    if program.file_stem().is_some_and(|name| name == "cargo-xtask")
        && words.get(1).is_some_and(|w| w == "xtask")
    {
        words.remove(1);
    }
    let mut at = 1;
    while let Some(word) = words.get(at).and_then(|word| word.to_str()) {
        let global = WITH_VALUE.contains(&word);
        let joined = word.starts_with("--color=") || word.starts_with("--directory=");
        let joined = joined || word.starts_with("-C") && word.len() > 2;
        if !global && !joined {
            break;
        }
        at += if global { 2 } else { 1 };
    }
    let known = |word: &str| commands.iter().any(|name| name == word);
    let is_global = |word: &str| ["-h", "--help", "-V", "--version"].contains(&word);
    // The name that most repositories give what may be pushed stays that of a task.
    let is_of_files = words.get(at + 1).is_some_and(|next| next == "init" || next == "check");
    let is_task = |word: &str| word == CI && !is_of_files;
    if let Some(word) = words.get(at)
        && !word.to_str().is_some_and(|word| known(word) && !is_task(word) || is_global(word))
    {
        words.insert(at, "run".into());
    }
    words
}

/// The first name in words that [`with_run`] made a run of; `None` if they are of a command.
pub fn first_name(typed: &[OsString], words: &[OsString]) -> Option<String> {
    let at = words.iter().position(|word| word == "run")?;
    let rest = &words[at + 1..];
    let before = typed.len().checked_sub(rest.len() + 1)?;
    let is_made = typed.ends_with(rest) && typed[before] != "run";
    rest.first().filter(|_| is_made)?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_run_and_commands_are_commands() {
        let commands = ["run".to_owned(), "plan".to_owned(), "ci".to_owned()];
        let cases = [
            ("xtask", "xtask"),
            ("xtask ci -k", "xtask run ci -k"),
            ("xtask --jobs 2 ci", "xtask run --jobs 2 ci"),
            ("xtask plan ci", "xtask plan ci"),
            ("xtask -C dir ci", "xtask -C dir run ci"),
            ("xtask --color=never plan", "xtask --color=never plan"),
            ("xtask --version", "xtask --version"),
            ("xtask ci", "xtask run ci"),
            ("xtask ci lint", "xtask run ci lint"),
            ("xtask ci --help", "xtask run ci --help"),
            ("xtask ci init", "xtask ci init"),
            ("xtask -C dir ci check", "xtask -C dir ci check"),
            ("xtask run ci init", "xtask run ci init"),
            ("cargo-xtask xtask ci", "cargo-xtask run ci"),
            ("/bin/cargo-xtask xtask", "/bin/cargo-xtask"),
            ("cargo-xtask ci", "cargo-xtask run ci"),
        ];
        for (line, expected) in cases {
            let words = line.split(' ').map(Into::into).collect();
            let got: Vec<String> =
                with_run(words, &commands).into_iter().map(|word| word.into_string().unwrap()).collect();
            assert_eq!(got.join(" "), expected, "{line}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
