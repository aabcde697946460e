//! The command line. Only this module and the reporters print.
//!
//! This file has the commands as they are typed, and runs the one that was called. Read [`session`] (what all
//! commands get), [`project`] (tasks.toml and its repository), [`failure`] and [`exit`] (errors, hints and
//! exit statuses), then the folder of a command: [`run`], [`inspect`], [`hooks`], [`ci`], [`audit`],
//! [`shards`], [`setup`], [`deploy`], [`completions`]. Each file of a command begins with its arguments.

pub mod audit;
pub mod ci;
pub mod completions;
pub mod config_memory;
pub mod deploy;
pub mod exit;
pub mod failure;
pub mod hooks;
pub mod implicit_run;
pub mod inspect;
pub mod manifest_files;
pub mod open_trace;
pub mod project;
pub mod reporters;
pub mod run;
pub mod session;
pub mod setup;
pub mod shards;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use ::open_trace::{Options, Scope};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::base::name;
use crate::cli::audit::AuditArgs;
use crate::cli::ci::baseline::{self, BaselineArgs};
use crate::cli::ci::files::{self, CiArgs};
use crate::cli::ci::sonar::{self, SonarArgs};
use crate::cli::completions::{CompleteArgs, CompletionsArgs};
use crate::cli::deploy::approve::{self, ApproveArgs};
use crate::cli::deploy::deploy::DeployArgs;
use crate::cli::deploy::freeze::{self, FreezeArgs, UnfreezeArgs};
use crate::cli::deploy::releases::{self, ReleasesArgs};
use crate::cli::deploy::rollback::{self, RollbackArgs};
use crate::cli::deploy::status::{self, StatusArgs};
use crate::cli::exit::End;
use crate::cli::failure::{Failure, describe};
use crate::cli::hooks::gate::{self, GateArgs};
use crate::cli::hooks::hook::{self, HookArgs};
use crate::cli::hooks::install::{self, HooksArgs};
use crate::cli::inspect::diff_run::{self, DiffRunArgs};
use crate::cli::inspect::explain_gate::{self, ExplainGateArgs};
use crate::cli::inspect::graph::{self, GraphArgs};
use crate::cli::inspect::list;
use crate::cli::inspect::log::{self, LogArgs};
use crate::cli::inspect::plan::{self, PlanArgs};
use crate::cli::inspect::why::{self, WhyArgs};
use crate::cli::reporters::Format;
use crate::cli::run::RunArgs;
use crate::cli::run::fix::{self, FixArgs};
use crate::cli::run::watch::{self, WatchArgs};
use crate::cli::session::Session;
use crate::cli::setup::cache::{self, CacheArgs};
use crate::cli::setup::doctor::{self, DoctorArgs};
use crate::cli::setup::init::{self, InitArgs};
use crate::cli::setup::schema;
use crate::cli::shards::merge_runs::{self, MergeRunsArgs};
use crate::engine::task::rust_task::{Functions, Outcome};
use crate::reporter::style::Color;
use crate::select::SelectError;

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
  xtask run test -- --nocapture   pass arguments to one task
  xtask plan ci              what would run, and why
  xtask ci --affected        only what the changes since the merge base can reach
  xtask ci init              write the workflow that makes the same run in CI

A task or group that is named like a command is run with `xtask run NAME`.
Exit status: 0 passed · 1 a task or a gate failed · 2 usage · 3 tasks.toml is invalid
             4 nothing matched · 5 git, cache, disk or network failed · 70 a bug · 128+n signal n"
)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The command; without one, the tasks are listed.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of all commands.
#[derive(Args, Debug, Clone)]
pub struct GlobalArgs {
    /// When to use colours
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    pub color: Color,
    /// Run as if started in this folder
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// A command.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run tasks or groups with all that they need
    #[command(after_help = "Example:\n  xtask run unit --keep-going --junit target/junit.xml")]
    Run(RunArgs),
    /// Run tasks or groups, and run again what a change affects
    #[command(after_help = "Example:\n  xtask watch unit lint")]
    Watch(WatchArgs),
    /// Show what would run, what is cached, and why
    #[command(after_help = "Example:\n  xtask plan ci --json")]
    Plan(PlanArgs),
    /// Show a task's key field by field, and what differs from the nearest entry
    #[command(after_help = "Example:\n  xtask why clippy")]
    Why(WhyArgs),
    /// Draw which task needs which
    #[command(after_help = "Example:\n  xtask graph ci --format mermaid")]
    Graph(GraphArgs),
    /// Run the `fix` commands, one after the other
    #[command(after_help = "Example:\n  xtask fix lint")]
    Fix(FixArgs),
    /// Run tasks in folders with only what they declare, and list what they missed
    #[command(after_help = "\
Example:
  xtask audit unit --json

Exit status 1 if a task opened something that it does not declare, or fails without it. If the
trace is incomplete (as on all systems but Linux), the task is reported as partial, never as clean.")]
    Audit(AuditArgs),
    /// Gate the trees of commits as a push does, so that the push is instant
    #[command(after_help = "\
Examples:
  xtask gate           HEAD's tree, before you push it
  xtask gate v1.2 main each distinct tree once
  xtask gate --staged  what is staged, before you commit it")]
    Gate(GateArgs),
    /// Explain the last verdict of a quality gate: all rules, and what broke them
    #[command(after_help = "Example:\n  xtask explain-gate quality --json")]
    ExplainGate(ExplainGateArgs),
    /// Install git hooks that call the gate
    #[command(after_help = "Example:\n  xtask hooks install")]
    Hooks(HooksArgs),
    /// Called by installed git hooks
    #[command(after_help = "\
Example:
  xtask hook pre-push origin git@example.com:a/b.git   reads git's lines from standard input

XTASK_SKIP=\"reason\" skips the gate; `xtask log --skips` shows who did so and why.")]
    Hook(HookArgs),
    /// Show past runs, their tasks and logs
    #[command(after_help = "\
Examples:
  xtask log                  past runs, newest first
  xtask log --last --failed  the logs of what failed in the last run
  xtask log --skips          the gates that were skipped, by whom and why
  xtask log 093015           the run whose id contains this, printed again")]
    Log(LogArgs),
    /// Explain why two runs of the same tree differ
    #[command(
        name = "diff-run",
        after_help = "\
Examples:
  xtask diff-run last~1 last              the last run but one, and the last
  xtask diff-run laptop.json ci.json      manifests that `run --manifest FILE` wrote

Exit status 1 if they differ. Differences between machines that don't change what runs (jobs, the
CI service) are only mentioned."
    )]
    DiffRun(DiffRunArgs),
    /// Merge the manifests of all shards of a run, and judge its gates
    #[command(
        name = "merge-runs",
        after_help = "\
Example:
  xtask merge-runs shard-*.json --junit junit.xml

Exit status 1 if a shard is missing, is given twice or has failed, or if a gate fails. Manifests
of different trees or plans are refused with exit status 5."
    )]
    MergeRuns(MergeRunsArgs),
    /// Write a first tasks.toml for what is in the repository
    #[command(after_help = "\
Examples:
  xtask init           tries each task once, and writes those that pass
  xtask init --print   writes to standard output, whether or not there is a tasks.toml")]
    Init(InitArgs),
    /// Write or check the files of CI systems; `xtask ci` alone runs the task `ci`
    #[command(after_help = "\
Examples:
  xtask ci init    writes the workflow, the template of pull requests and dependabot.yml
  xtask ci check   shows where they differ from tasks.toml; a good task of group lint")]
    Ci(CiArgs),
    /// Check git, tools, hooks, remotes and the state directory, and say what to do
    #[command(after_help = "Example:\n  xtask doctor --json")]
    Doctor(DoctorArgs),
    /// Show and share what gates recorded, so that other trees can be compared with it
    #[command(after_help = "Example:\n  xtask baseline push     in CI, after `xtask ci` on the main branch")]
    Baseline(BaselineArgs),
    /// Print what a `SonarQube` server says about the analysis that a scanner has just sent
    #[command(after_help = "\
Example, of a task with secret-env = [\"SONAR_TOKEN\"] and reports = { sonar = \"out/sonar.json\" }:
  run = \"sonar-scanner && xtask sonar > out/sonar.json\"")]
    Sonar(SonarArgs),
    /// Deploy a commit: make it current in an environment, or leave what serves as it is
    #[command(after_help = "\
Examples:
  xtask deploy --env staging --plan           every step and the way back; nothing is changed
  xtask deploy --env staging                  HEAD
  xtask deploy --env production v1.2 --wait   after the deploy that is in progress
  xtask deploy --env production --prepare     build, and print the plan that is to be approved
  xtask deploy --env production --resume      continue after the deploying machine died; or --abort

Exit status:
  0  the release is current
  1  it failed, and the old release serves
  5  store, journal or connection failed before anything was changed
  6  policy forbids it now: approval, window, freeze, promotion or another deploy
  7  the target needs attention: see `xtask status`")]
    Deploy(Box<DeployArgs>),
    /// Make the release current again that was before, or an earlier one; needs neither remote nor store
    #[command(after_help = "\
Examples:
  xtask rollback --env production
  xtask rollback --env production --to 41     a number that `xtask releases` lists

Exit status: as `deploy`; 6 if there is no release to go back to.")]
    Rollback(RollbackArgs),
    /// Show what serves where, which deploy is in progress, and what is not as it should be
    #[command(after_help = "\
Example:
  xtask status --env staging

Exit status: 0 everything is as it should be, 5 a target can't be asked, 7 a target needs attention.")]
    Status(StatusArgs),
    /// Show the history of an environment: who, what, when, how long, the outcome and why
    #[command(after_help = "Example:\n  xtask releases --env staging --json")]
    Releases(ReleasesArgs),
    /// Approve one plan of a deploy, once, with the signature of git's `user.signingkey`
    #[command(after_help = "\
Example, with the plan that `xtask deploy --env production --prepare` prints:
  xtask approve --env production 6fd8…")]
    Approve(ApproveArgs),
    /// Stop deploys of an environment; a rollback stays allowed
    #[command(after_help = "Example:\n  xtask freeze --env production \"the shop is on fire\"")]
    Freeze(FreezeArgs),
    /// Allow deploys of an environment again
    #[command(after_help = "Example:\n  xtask unfreeze --env production")]
    Unfreeze(UnfreezeArgs),
    /// Inspect and clean the cache
    #[command(after_help = "Example:\n  xtask cache verify")]
    Cache(CacheArgs),
    /// Call a function that is a task
    #[command(name = "__task", hide = true)]
    Task {
        /// The name of the task.
        name: String,
        /// The arguments of the task.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Print the JSON schema of tasks.toml, for editors, or the reference of its keys
    #[command(after_help = "Example:\n  xtask schema > tasks.schema.json")]
    Schema(schema::SchemaArgs),
    /// Print a script that completes commands, options and names of tasks
    #[command(after_help = "Example:\n  eval \"$(xtask completions bash)\"   in ~/.bashrc")]
    Completions(CompletionsArgs),
    /// Print what can stand at the cursor; called by the scripts of `completions`
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArgs),
    /// End what a killed run left behind; started by each run
    #[command(name = "__guard", hide = true)]
    Guard {
        /// The run's id.
        run: String,
    },
    /// Run a program and report the files that it and all its descendants opened
    #[command(name = crate::process::TRACE_ARGUMENT, hide = true)]
    Trace {
        /// Stop at all system calls.
        #[arg(long)]
        all_stops: bool,
        /// Report only files below this folder that are opened or changed, and end with the program.
        #[arg(long)]
        below: Option<PathBuf>,
        /// Report all paths that are looked up, and end with the program.
        #[arg(long, conflicts_with = "below")]
        lookups: bool,
        /// The file for the report.
        report: PathBuf,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// Runs the program.
pub fn main(words: impl IntoIterator<Item = OsString>, functions: &Functions) -> ExitCode {
    let clock = Clock::system();
    let env = match Env::capture() {
        Ok(env) => env.with_functions(functions.keys().cloned().collect()),
        Err(error) => {
            let text = format!("error: can't find the current folder: {error}\n");
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
            return ExitCode::from(5);
        }
    };
    let command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let typed: Vec<OsString> = words.into_iter().collect();
    let words = implicit_run::insert_run(typed.clone(), &names);
    let first = implicit_run::implicit_task(&typed, &words);
    let parsed = command.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let dir = cli.global.directory.as_ref().map_or_else(|| env.dir().to_owned(), |dir| env.dir().join(dir));
    let session = Session { env, clock, dir, color: cli.global.color };
    // The path is made absolute, so that it can be found below the top of the repository.
    let session = Session { dir: session.dir.canonicalize().unwrap_or(session.dir), ..session };
    if let Some(Command::Task { name, args }) = &cli.command {
        return functions.get(name).map_or_else(report_bug, |function| call_function(function, args));
    }
    if !matches!(cli.command, Some(Command::Trace { .. })) {
        crate::process::session::write_from_background();
    }
    crate::process::file_limit::survive();
    let end = run_command(&session, cli.command);
    if let Err(failure) = &end {
        let meant = first.as_deref().and_then(|first| intended_command(failure, first, &names));
        session.eprint(&describe(failure, meant, session.paint_err()));
    }
    ExitCode::from(exit::exit_status(&end))
}

/// Calls a function and returns an exit status as any program does.
fn call_function(function: &dyn Fn(&[String]) -> Outcome, args: &[String]) -> ExitCode {
    let run = std::panic::AssertUnwindSafe(|| function(args));
    match std::panic::catch_unwind(run) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let mut text = format!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            let _ = writeln!(std::io::stderr().lock(), "{text}");
            ExitCode::from(1)
        }
        // The message of the panic is in the log already.
        Err(_) => ExitCode::from(101),
    }
}

/// Prints that a panic is a bug, and returns its exit status.
pub fn report_bug() -> ExitCode {
    let text = "error: this is a bug in taskgate; please report it with the lines above\n";
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(70)
}

fn run_command(session: &Session, command: Option<Command>) -> Result<End, Failure> {
    match command {
        None => list::run(session),
        Some(Command::Run(args)) if args.dry_run => plan::run(session, &dry_run(args)?),
        Some(Command::Run(args)) => run::run(session, &args),
        Some(Command::Watch(args)) => watch::run(session, args),
        Some(Command::Plan(args)) => plan::run(session, &args),
        Some(Command::Why(args)) => why::run(session, &args),
        Some(Command::Graph(args)) => graph::run(session, &args),
        Some(Command::Fix(args)) => fix::run(session, &args),
        Some(Command::Audit(args)) => audit::run(session, &args),
        Some(Command::Log(args)) => log::run(session, &args),
        Some(Command::ExplainGate(args)) => explain_gate::run(session, &args),
        Some(Command::DiffRun(args)) => diff_run::run(session, &args),
        Some(Command::MergeRuns(args)) => merge_runs::run(session, &args),
        Some(Command::Gate(args)) => gate::run(session, &args),
        Some(Command::Hooks(args)) => install::run(session, &args),
        Some(Command::Hook(args)) => hook::run(session, &args),
        Some(Command::Ci(args)) => files::run(session, args),
        Some(Command::Init(args)) => init::run(session, args),
        Some(Command::Doctor(args)) => doctor::run(session, &args),
        Some(Command::Baseline(args)) => baseline::run(session, &args),
        Some(Command::Sonar(args)) => sonar::run(session, &args),
        Some(Command::Deploy(args)) => deploy::deploy::run(session, &args),
        Some(Command::Rollback(args)) => rollback::run(session, &args),
        Some(Command::Status(args)) => status::run(session, &args),
        Some(Command::Releases(args)) => releases::run(session, &args),
        Some(Command::Approve(args)) => approve::run(session, &args),
        Some(Command::Freeze(args)) => freeze::freeze(session, &args),
        Some(Command::Unfreeze(args)) => freeze::unfreeze(session, &args),
        Some(Command::Cache(args)) => cache::run(session, args.action),
        Some(Command::Schema(args)) => schema::run(session, &args),
        Some(Command::Completions(args)) => completions::run(session, args),
        Some(Command::Complete(args)) => completions::print_candidates(session, args, Cli::command()),
        Some(Command::Guard { run }) => {
            crate::process::guard::guard_main(&run);
            Ok(End::Passed)
        }
        // Called before anything else.
        Some(Command::Task { .. }) => Ok(End::Passed),
        Some(Command::Trace { all_stops, below, lookups, report, command }) => {
            let below = below.map_or(Scope::Everything, Scope::Below);
            let scope = if lookups { Scope::Lookups } else { below };
            let options = Options { scope, stop_at_all_calls: all_stops };
            open_trace::run_traced(session, &report, &command, &options)
        }
    }
}

fn dry_run(args: RunArgs) -> Result<PlanArgs, Failure> {
    if args.no_cache {
        let hint = Some("leave one of them out".to_owned());
        return Err(Failure::Usage { text: "`--dry-run` can't be used with `--no-cache`".to_owned(), hint });
    }
    let json = args.reporters.format == Format::Json;
    Ok(PlanArgs { names: args.names, selection: args.selection, force: args.force, json, args: args.args })
}

/// Returns the command that was probably meant by a first word that is no task.
fn intended_command<'n>(failure: &Failure, first: &str, commands: &'n [String]) -> Option<&'n str> {
    let Failure::Select(SelectError::Unknown { name, .. }) = failure else { return None };
    let open = commands.iter().map(String::as_str).filter(|command| !command.starts_with('_'));
    (name == first).then(|| name::nearest(first, open)).flatten()
}
