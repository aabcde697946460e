//! Commands that run tasks.
//!
//! This file has `xtask run`, and so `xtask ci`. [`affected`] selects tasks by changes, [`fix`] and [`watch`]
//! are the other commands; they run through [`run_in`] and [`run_prepared`].

pub mod affected;
pub mod fix;
pub mod watch;

use std::cell::{Cell, OnceCell};
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::Args;

use crate::base::ci::CiService;
use crate::base::file::FileError;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::hooks::install;
use crate::cli::manifest_files;
use crate::cli::project::Project;
use crate::cli::reporters::{GateReporters, ReporterOptions, SharedReporters};
use crate::cli::session::{LOOKING, Session};
use crate::cli::shards::{self, ShardArgs};
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request, TreeReading};
use crate::engine::run::inbox::{Inbox, LazyInbox};
use crate::engine::run::options::RunOptions;
use crate::engine::run::scheduler::OnFailure;
use crate::engine::task::task_env::parent_run;
use crate::engine::watch::WatchSession;
use crate::event::Summary;
use crate::gate::context::GateContext;
use crate::gate::prepare_worktree::Provision;
use crate::git::{GitError, Warmth};
use crate::graph::Reach;
use crate::history::runs::{self, RunsError};
use crate::plan::CachePolicy;
use crate::reporter::Output;
use crate::reporter::style::Tone;

/// Arguments of `run`.
#[derive(Args, Debug, Clone, Default)]
pub struct RunArgs {
    /// Tasks or groups
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// How to start tasks
    #[command(flatten)]
    pub scheduling: SchedulingArgs,
    /// Run cached tasks too
    #[arg(short, long)]
    pub force: bool,
    /// Neither read nor write the cache
    #[arg(long, conflicts_with = "force")]
    pub no_cache: bool,
    /// The tree, and the part of its plan
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Show what would run, as `plan` does
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// What to show and to write
    #[command(flatten)]
    pub reporters: ReporterOptions,
    /// Write the run's manifest, for `diff-run` and `merge-runs`
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Arguments for the one task that is named
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// Arguments of `run` and `watch` about how tasks are started.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct SchedulingArgs {
    /// The number of job slots [default: `settings.jobs`, or one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: Option<u32>,
    /// Continue with tasks that don't need a failed one
    #[arg(short, long)]
    pub keep_going: bool,
}

/// Arguments of `run` and `plan` that select a tree and a part of its plan. The help is that of `run`.
#[derive(Args, Debug, Clone, Default)]
pub struct SelectionArgs {
    /// Run the tree of this commit, in a private worktree
    #[arg(long, value_name = "REV")]
    pub at: Option<String>,
    /// Run only what the changes since the merge base with this branch can reach [default: origin/HEAD]
    #[arg(long, value_name = "BASE", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "at")]
    pub affected: Option<String>,
    /// Run without what the tasks need
    #[arg(long)]
    pub only: bool,
    /// The part of the plan
    #[command(flatten)]
    pub shard: ShardArgs,
}

impl SelectionArgs {
    /// Returns the tasks that `--only` leaves in the plan.
    pub fn reach(&self) -> Reach {
        if self.only { Reach::Only } else { Reach::WithNeeds }
    }

    /// Narrows a request to the tasks that `--affected` selects.
    ///
    /// # Errors
    /// A name is unknown, the base is missing, or a tree can't be read.
    pub fn narrow_to_affected(&self, project: &Project, request: &mut Request) -> Result<(), Failure> {
        if let Some(base) = &self.affected {
            let affected = affected::affected_tasks(project, &request.names, base)?;
            request.tasks = Some(affected.tasks);
            request.notes = affected.notes;
        }
        Ok(())
    }
}

/// Runs the named tasks.
///
/// # Errors
/// A name is unknown, the tree can't be read, or a report can't be written.
pub fn run(session: &Session, args: &RunArgs) -> Result<End, Failure> {
    // The program ends after the run, and gives back all memory at once. Freeing thousands of tasks one by one
    // would take longer.
    if let Some(rev) = &args.selection.at {
        let project = ManuallyDrop::new(Project::open(&session.env, &session.dir)?);
        return run_commit(session, args, &project, rev);
    }
    let busy = session.busy(LOOKING);
    // What is affected is found out first, which may take long, and then the tree is read.
    let (project, reading) = match args.selection.affected {
        Some(_) => (Project::open(&session.env, &session.dir)?, None),
        None => Project::open_with_tree(&session.env, &session.dir)?,
    };
    let project = ManuallyDrop::new(project);
    let mut request = request(args);
    args.selection.narrow_to_affected(&project, &mut request)?;
    drop(busy);
    let location = project.location(&session.env);
    let end = run_in(session, args, &request, &project.config, location, &LazyInbox::default(), reading)?;
    warn_of_missing_hook(session, &project, &args.names)?;
    Ok(end)
}

/// Warns after a run of what a hook checks if git does not call the hook. CI systems need no hook, and a run that a
/// task has started is not the user's.
fn warn_of_missing_hook(session: &Session, project: &Project, names: &[String]) -> Result<(), Failure> {
    if session.env.is_set("CI")
        || CiService::detect(&session.env).is_some()
        || parent_run(&session.env).is_some()
    {
        return Ok(());
    }
    if let Some(text) = install::missing_hook(session, project, names)? {
        session.eprint(&format!("{} {text}\n", session.paint_err().tone(Tone::Odd, "warning:")));
    }
    Ok(())
}

/// Runs the tree of a commit in a private worktree.
fn run_commit(session: &Session, args: &RunArgs, project: &Project, rev: &str) -> Result<End, Failure> {
    let repository = project.repository()?;
    let commit = repository.resolve(rev)?;
    let config = project.config_at(&commit)?;
    let state = repository.common_dir().join("xtask");
    let inbox = LazyInbox::default();
    let listener = GateReporters::new(session, &state);
    let host = GateContext {
        repository,
        state: &state,
        env: &session.env,
        clock: &session.clock,
        inbox: &inbox,
        observer: &listener,
        warmth: Warmth::Warm,
        jobs: args.scheduling.jobs,
        runs: Cell::new(0),
        access: OnceCell::new(),
    };
    match host.provide(&config, &commit.tree, Some(&commit.id))? {
        Provision::SetupFailed(verdict) => Ok(verdict.into()),
        Provision::Ready(ready) => {
            let hold = ready.hold()?;
            let session = &Session { env: ready.env.clone(), ..session.clone() };
            let tree = Tree::WorkDir(&ready.repository);
            let location = RunLocation {
                env: &ready.env,
                hold: Some(&hold),
                access: host.access()?,
                ..host.location(ready.worktree.path(), tree, Some(&commit.id))
            };
            let end = run_in(session, args, &request(args), &config, location, &inbox, None)?;
            host.release(&ready)?;
            Ok(end)
        }
    }
}

/// Runs a request in a work tree, and listens for signals on `inbox`. `reading` is the tree if it was read already.
///
/// # Errors
/// A name is unknown, the tree can't be read, or a report can't be written.
pub fn run_in(
    session: &Session,
    args: &RunArgs,
    request: &Request,
    config: &Config,
    location: RunLocation<'_>,
    inbox: &LazyInbox,
    reading: Option<Result<TreeReading, GitError>>,
) -> Result<End, Failure> {
    if args.manifest.is_some() && location.state.is_none() {
        return Err(Failure::NoRepository { what: "runs are not recorded and have no manifest" });
    }
    let run_id = runs::new_id(session.clock.now(), std::process::id());
    let busy = session.busy(LOOKING);
    let mut prepared = Prepared::load_with(reading, config, request, location, &session.clock, &run_id)?;
    drop(busy);
    shards::narrow_to_shard(session, &mut prepared, &args.selection.shard)?;
    let inbox = inbox.get().map_err(Failure::signals)?;
    let (summary, reporters) = run_prepared(session, args, &prepared, location, &run_id, inbox, None)?;
    let copied = match (&args.manifest, location.state) {
        (Some(path), Some(state)) => {
            manifest_files::copy(session, state, &run_id, path).map_err(|failure| match failure {
                Failure::Runs(RunsError::NoManifest(_)) => {
                    let source = std::io::Error::other("the run could not store it in the state directory");
                    Failure::File(FileError { attempt: "write the manifest", path: path.clone(), source })
                }
                other => other,
            })
        }
        _ => Ok(()),
    };
    match end(&reporters, &summary)? {
        End::Passed => copied.map(|()| End::Passed),
        // A failed run is reported as failed, whatever else went wrong.
        end => {
            if let Err(failure) = copied {
                session.eprint(&format!("warning: can't write the manifest: {failure}\n"));
            }
            Ok(end)
        }
    }
}

/// Runs a prepared plan, with the reporters of `args`.
///
/// # Errors
/// A report can't be opened.
pub fn run_prepared(
    session: &Session,
    args: &RunArgs,
    prepared: &Prepared<'_>,
    location: RunLocation<'_>,
    run_id: &str,
    inbox: &Inbox,
    watching: Option<&WatchSession>,
) -> Result<(Summary, SharedReporters), Failure> {
    let options = RunOptions {
        streams: args.reporters.output == Output::Stream,
        wants_hit_logs: args.reporters.output == Output::All,
        on_failure: if args.scheduling.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop },
        watching,
        ..RunOptions::new(run_id, prepared.config.slots(args.scheduling.jobs))
    };
    let reporters = args.reporters.open(session, run_id, location.state)?;
    // The time of each round of `watch` counts from its own start.
    let clock = if watching.is_some() { session.clock.restarted() } else { session.clock.clone() };
    let emitter = reporters.emitter(&clock);
    let summary = prepared.plan(location.env, |plan_inputs, plan| {
        prepared.launch(plan_inputs, plan, location, &options, &emitter, inbox)
    });
    Ok((summary, reporters))
}

/// Returns the request that `args` stand for.
pub fn request(args: &RunArgs) -> Request {
    Request {
        reach: args.selection.reach(),
        policy: match (args.no_cache, args.force) {
            (true, _) => CachePolicy::Off,
            (_, true) => CachePolicy::Force,
            _ => CachePolicy::Use,
        },
        args: args.args.clone(),
        ..Request::new(args.names.clone())
    }
}

fn end(reporters: &SharedReporters, summary: &Summary) -> Result<End, Failure> {
    let end = End::from(summary.verdict);
    match reporters.failure() {
        // A failed run is reported as failed, whatever else went wrong.
        Some(failure) if end == End::Passed => Err(failure),
        _ => Ok(end),
    }
}
