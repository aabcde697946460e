//! `xtask run`, and so `xtask ci`: plans and runs. It must not decide how.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use crate::base::file::FileError;
use crate::cli::Session;
use crate::cli::affected;
use crate::cli::args::RunArgs;
use crate::cli::exit::{End, Failure};
use crate::cli::gate::Listener;
use crate::cli::manifests;
use crate::cli::project::Project;
use crate::cli::shards;
use crate::cli::voices::{Chorus, Voices};
use crate::config::model::Config;
use crate::engine::context::Conduct;
use crate::engine::prepare::{Place, Prepared, Request, Tree};
use crate::engine::report::baseline::Line;
use crate::engine::run::inbox::{Inbox, LazyInbox};
use crate::engine::run::launch::{Keeps, Launch};
use crate::engine::run::scheduler::OnFailure;
use crate::engine::watch::Watching;
use crate::engine::work_tree_access::WorkTreeAccess;
use crate::event::Summary;
use crate::gate::host::Host;
use crate::gate::provision::Provision;
use crate::git::{Age, Repository};
use crate::graph::Reach;
use crate::history::runs::{self, RunsError};
use crate::plan::CachePolicy;
use crate::reporter::Output;

/// Where a run takes place.
#[derive(Clone, Copy)]
pub struct Spot<'a> {
    /// The top of the work tree.
    pub root: &'a Path,
    /// The repository of that work tree.
    pub repository: Option<&'a Repository>,
    /// The state directory.
    pub state: Option<&'a Path>,
    /// An open file whose lock keeps the work tree, if it is a private one.
    pub hold: Option<&'a std::fs::File>,
    /// What notices tasks that open files of the user's work tree, if that is not where they run.
    pub access: Option<&'a WorkTreeAccess>,
    /// Where in the history the tree stands.
    pub line: Option<Line<'a>>,
}

/// Runs what `args` name.
///
/// # Errors
/// A name is unknown, the tree can't be read, or a report can't be written.
pub fn perform(session: &Session, args: &RunArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    match &args.at {
        Some(rev) => at(session, args, &project, rev),
        None => {
            let mut request = request(args);
            if let Some(base) = &args.affected {
                let reached = affected::reached(&project, &args.names, base)?;
                request.tasks = Some(reached.tasks);
                request.notes = reached.notes;
            }
            let state = project.state();
            let spot = project.spot(state.as_deref());
            here_with(session, (args, &request), &project.config, spot, &LazyInbox::default())
        }
    }
}

/// Runs the tree of a commit in a private worktree.
fn at(session: &Session, args: &RunArgs, project: &Project, rev: &str) -> Result<End, Failure> {
    let repository = project.repository()?;
    let commit = repository.resolve(rev)?;
    let config = project.at(&commit)?;
    let state = repository.common_dir().join("xtask");
    let inbox = LazyInbox::default();
    let listener = Listener::new(session, &state);
    let host = Host {
        repository,
        state: &state,
        env: &session.env,
        clock: &session.clock,
        inbox: &inbox,
        audience: &listener,
        age: Age::Warm,
        jobs: args.jobs,
        runs: Cell::new(0),
        access: OnceCell::new(),
    };
    match host.provide(&config, (&commit.tree, Some(&commit.id)))? {
        Provision::SetupFailed(verdict) => Ok(verdict.into()),
        Provision::Ready(ready) => {
            let hold = ready.hold()?;
            let (clock, dir) = (session.clock.clone(), session.dir.clone());
            let session = &Session { env: ready.env.clone(), clock, dir, color: session.color };
            let spot = Spot {
                root: ready.worktree.path(),
                repository: Some(&ready.repository),
                state: Some(&state),
                hold: Some(&hold),
                access: host.access()?,
                line: Some(Line { repository, commit: Some(&commit.id) }),
            };
            let end = here_with(session, (args, &request(args)), &config, spot, &inbox)?;
            host.release(&ready)?;
            Ok(end)
        }
    }
}

/// Runs in a work tree.
///
/// # Errors
/// As [`perform`].
pub fn here(session: &Session, args: &RunArgs, config: &Config, spot: Spot<'_>) -> Result<End, Failure> {
    here_with(session, (args, &request(args)), config, spot, &LazyInbox::default())
}

/// Runs in a work tree, hearing signals from `inbox`.
///
/// # Errors
/// As [`perform`].
pub fn here_with(
    session: &Session,
    (args, request): (&RunArgs, &Request),
    config: &Config,
    spot: Spot<'_>,
    inbox: &LazyInbox,
) -> Result<End, Failure> {
    if args.manifest.is_some() && spot.state.is_none() {
        return Err(Failure::NoRepository { what: "there is no manifest of its runs" });
    }
    let run = runs::new_id(session.clock.now(), std::process::id());
    let mut prepared = prepare(session, request, config, (spot, &run))?;
    shards::narrow(session, &mut prepared, &args.part)?;
    let system = |source| Failure::System { attempt: "listen for signals".to_owned(), source };
    let inbox = inbox.get().map_err(system)?;
    let (summary, chorus) = launch(session, (args, &prepared), (spot, &run), (inbox, None))?;
    let copied = match (&args.manifest, spot.state) {
        (Some(path), Some(state)) => {
            manifests::copy(session, (state, &run), path).map_err(|failure| match failure {
                Failure::Runs(RunsError::NoManifest(_)) => {
                    let source = std::io::Error::other("the run could not keep it in the state directory");
                    Failure::File(FileError { attempt: "write the manifest", path: path.clone(), source })
                }
                other => other,
            })
        }
        _ => Ok(()),
    };
    match end(&chorus, &summary)? {
        End::Passed => copied.map(|()| End::Passed),
        // A failed run is told as failed, whatever else went wrong.
        end => {
            if let Err(failure) = copied {
                session.tell(&format!("warning: the manifest is not written: {failure}\n"));
            }
            Ok(end)
        }
    }
}

/// Gathers what the plan of a run with this id is made from.
///
/// # Errors
/// A name is unknown, or the tree can't be read.
pub fn prepare<'a>(
    session: &'a Session,
    request: &Request,
    config: &'a Config,
    (spot, run): (Spot<'a>, &'a str),
) -> Result<Prepared<'a>, Failure> {
    let tree = spot.repository.map_or(Tree::None, Tree::WorkDir);
    let Spot { root, state, line, .. } = spot;
    let place = Place { root, state, env: &session.env, run, clock: &session.clock, line };
    Ok(Prepared::gather(config, request, tree, place)?)
}

/// Runs what was prepared, with the voices that `args` name.
///
/// # Errors
/// Secrets can't be hidden, or a report can't be opened.
pub fn launch(
    session: &Session,
    (args, prepared): (&RunArgs, &Prepared<'_>),
    (spot, run): (Spot<'_>, &str),
    (inbox, watching): (&Inbox, Option<&Watching>),
) -> Result<(Summary, Chorus), Failure> {
    let config = prepared.config;
    let conduct = Conduct {
        jobs: config.slots(args.jobs),
        streams: args.output == Output::Stream,
        wants_hit_logs: args.output == Output::All,
        run: run.to_owned(),
    };
    let chorus = Voices::of(args).open(session, run, spot.state)?;
    let launch = Launch {
        root: spot.root,
        conduct: &conduct,
        on_failure: if args.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop },
        tree: None,
        gated: None,
        hold: spot.hold,
        access: spot.access,
        keeps: Keeps::Results,
        watching,
    };
    // The time of each round counts from its own start.
    let clock = if watching.is_some() { session.clock.restarted() } else { session.clock.clone() };
    let emitter = chorus.emitter(&clock);
    let summary =
        prepared.plan(&session.env, |world, plan| prepared.launch((world, plan), &launch, (&emitter, inbox)));
    Ok((summary, chorus))
}

/// What `args` ask to be planned.
pub fn request(args: &RunArgs) -> Request {
    Request {
        names: args.names.clone(),
        reach: if args.only { Reach::Only } else { Reach::WithNeeds },
        policy: match (args.no_cache, args.force) {
            (true, _) => CachePolicy::Off,
            (_, true) => CachePolicy::Force,
            _ => CachePolicy::Use,
        },
        args: args.args.clone(),
        tasks: None,
        notes: Vec::new(),
    }
}

fn end(chorus: &Chorus, summary: &Summary) -> Result<End, Failure> {
    let end = End::from(summary.verdict);
    match chorus.failure() {
        // A failed run is told as failed, whatever else went wrong.
        Some(failure) if end == End::Passed => Err(failure),
        _ => Ok(end),
    }
}
