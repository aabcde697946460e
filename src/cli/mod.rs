//! The door: arguments as typed → validated request → one short file per command. Only this floor
//! and the reporters print.

pub mod affected;
pub mod args;
pub mod audit;
pub mod baseline;
pub mod cache;
pub mod ci;
pub mod ci_service;
pub mod completions;
pub mod diff_run;
pub mod doctor;
pub mod exit;
pub mod explain_gate;
pub mod findings;
pub mod fix;
pub mod gate;
pub mod graph;
pub mod hook;
pub mod hooks;
pub mod init;
pub mod list;
pub mod log;
pub mod manifests;
pub mod merge_runs;
pub mod merged_gates;
pub mod plan;
pub mod project;
pub mod run;
pub mod schema;
pub mod shards;
pub mod skips;
pub mod sonar;
pub mod trace;
pub mod trial;
pub mod voices;
pub mod watch;
pub mod why;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::base::name;
use crate::cli::args::{Cli, Command, RunArgs};
use crate::cli::exit::{End, Failure};
use crate::engine::task::rust_task::{Functions, Outcome};
use crate::reporter::story::cut;
use crate::reporter::style::{Color, Paint, Tone};
use crate::select::SelectError;

/// What all commands are given.
pub struct Session {
    /// The caller's environment.
    pub env: Env,
    /// The time, counted from the start of the program.
    pub clock: Clock,
    /// The folder to start from.
    pub dir: PathBuf,
    /// When to colour.
    pub color: Color,
}

impl Session {
    /// Colours for standard output.
    pub fn paint_out(&self) -> Paint {
        self.color.paint(&self.env, self.env.terminal().stdout)
    }

    /// Colours for standard error.
    pub fn paint_err(&self) -> Paint {
        self.color.paint(&self.env, self.env.terminal().stderr)
    }

    /// Writes a result to standard output. A reader that has gone away is no failure.
    ///
    /// # Errors
    /// The disk that it is redirected to is full, or such.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::System { attempt: "write to standard output".to_owned(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// Writes a message to standard error.
    pub fn tell(&self, text: &str) {
        // Where even this fails there is nobody left to tell.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// `path` as the caller means it.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }
}

/// Runs the program.
pub fn main(words: impl IntoIterator<Item = OsString>, functions: &Functions) -> ExitCode {
    let clock = Clock::system();
    let env = match Env::capture() {
        Ok(env) => env.with_functions(functions.keys().cloned().collect()),
        Err(error) => {
            let text = format!("error: can't tell the current folder: {error}\n");
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
            return ExitCode::from(5);
        }
    };
    let command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let typed: Vec<OsString> = words.into_iter().collect();
    let words = args::with_run(typed.clone(), &names);
    let first = args::first_name(&typed, &words);
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
    // A folder that was named is made whole, so that it can be found below the repository's top.
    let session = Session { dir: session.dir.canonicalize().unwrap_or(session.dir), ..session };
    if let Some(Command::Task { name, args }) = &cli.command {
        return functions.get(name).map_or_else(bug, |function| called(function, args));
    }
    if !matches!(cli.command, Some(Command::Trace { .. } | Command::Stopped { .. })) {
        crate::process::session::write_from_background();
    }
    crate::process::file_limit::outlive();
    let end = perform(&session, cli.command);
    if let Err(failure) = &end {
        let meant = first.as_deref().and_then(|first| meant_command(failure, first, &names));
        session.tell(&describe(&session, failure, meant));
    }
    ExitCode::from(exit::status(&end))
}

/// What a function came to, as any program tells it.
fn called(function: &dyn Fn(&[String]) -> Outcome, args: &[String]) -> ExitCode {
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
        // What the panic said is in the log already.
        Err(_) => ExitCode::from(101),
    }
}

/// What a panic ends with.
pub fn bug() -> ExitCode {
    let text = "error: this is a bug in taskgate; please report it with the lines above\n";
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(70)
}

fn perform(session: &Session, command: Option<Command>) -> Result<End, Failure> {
    match command {
        None => list::perform(session),
        Some(Command::Run(args)) if args.dry_run => plan::perform(session, &dry_run(args)?),
        Some(Command::Run(args)) => run::perform(session, &args),
        Some(Command::Watch(args)) => watch::perform(session, args),
        Some(Command::Plan(args)) => plan::perform(session, &args),
        Some(Command::Why(args)) => why::perform(session, &args),
        Some(Command::Graph(args)) => graph::perform(session, &args),
        Some(Command::Fix(args)) => fix::perform(session, &args),
        Some(Command::Audit(args)) => audit::perform(session, &args),
        Some(Command::Log(args)) => log::perform(session, &args),
        Some(Command::ExplainGate(args)) => explain_gate::perform(session, &args),
        Some(Command::DiffRun(args)) => diff_run::perform(session, &args),
        Some(Command::MergeRuns(args)) => merge_runs::perform(session, &args),
        Some(Command::Gate(args)) => gate::perform(session, &args),
        Some(Command::Hooks(args)) => hooks::perform(session, &args),
        Some(Command::Hook(args)) => hook::perform(session, &args),
        Some(Command::Ci(args)) => ci::perform(session, args),
        Some(Command::Init(args)) => init::perform(session, args),
        Some(Command::Doctor(args)) => doctor::perform(session, &args),
        Some(Command::Baseline(args)) => baseline::perform(session, &args),
        Some(Command::Sonar(args)) => sonar::perform(session, &args),
        Some(Command::Cache(args)) => cache::perform(session, args.action),
        Some(Command::Schema) => schema::perform(session),
        Some(Command::Completions(args)) => completions::perform(session, args),
        Some(Command::Complete(args)) => completions::answer(session, args),
        Some(Command::Guard { run }) => {
            crate::process::guard::guard_main(&run);
            Ok(End::Passed)
        }
        // It was called before anything else was looked at.
        Some(Command::Task { .. }) => Ok(End::Passed),
        Some(Command::Trace { all_stops, below, report, command }) => {
            trace::perform(session, &report, &command, trace::stops(all_stops), below)
        }
        Some(Command::Stopped { all_stops, narrow, tracer, command }) => {
            Ok(trace::become_traced(session, tracer, &command, trace::stops(all_stops), narrow))
        }
    }
}

fn dry_run(args: RunArgs) -> Result<args::PlanArgs, Failure> {
    if args.no_cache {
        let hint = Some("leave one of them out".to_owned());
        return Err(Failure::Usage {
            text: "`--dry-run` tells what the cache knows, and `--no-cache` forbids to look".to_owned(),
            hint,
        });
    }
    let json = args.format == args::Format::Json;
    Ok(args::PlanArgs {
        names: args.names,
        at: args.at,
        affected: args.affected,
        only: args.only,
        part: args.part,
        force: args.force,
        json,
        args: args.args,
    })
}

/// The command that was probably meant by the first word, which is the name of no task.
fn meant_command<'n>(failure: &Failure, first: &str, commands: &'n [String]) -> Option<&'n str> {
    let Failure::Select(SelectError::Unknown { name, .. }) = failure else { return None };
    let open = commands.iter().map(String::as_str).filter(|command| !command.starts_with('_'));
    (name == first).then(|| name::nearest(first, open)).flatten()
}

/// What a failure is told by: what happened, its causes, and what to do. `meant` is a command that
/// was probably meant in place of an unknown name.
fn describe(session: &Session, failure: &Failure, meant: Option<&str>) -> String {
    if let Failure::Config(diagnostics) = failure {
        return diagnostics.render(session.paint_err().is_colored());
    }
    let paint = session.paint_err();
    let mut text = format!("{} {failure}", paint.tone(Tone::Bad, "error:"));
    // What git says is in the message already.
    let mut source = std::error::Error::source(failure).filter(|_| !matches!(failure, Failure::Git(_)));
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text = cut_lines(&text);
    text.push('\n');
    if let Some(hint) = exit::hint(failure, meant).map(|hint| cut_lines(&hint)) {
        text = format!("{text}{} {hint}\n", paint.tone(Tone::Strong, "hint:"));
    }
    text
}

/// At most so many characters of each line: a name may be as long as an argument can be.
fn cut_lines(text: &str) -> String {
    const MOST: usize = 1000;
    text.split('\n').map(|line| cut(line, MOST)).collect::<Vec<_>>().join("\n")
}
