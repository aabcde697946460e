//! `xtask run`, and so `xtask ci`: plans and runs. It must not decide how.

use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::Session;
use crate::cli::args::{Format, RunArgs};
use crate::cli::exit::{End, Failure};
use crate::cli::prepare::{Place, Prepared, Request, Tree};
use crate::cli::project::Project;
use crate::config::model::Config;
use crate::engine::context::{Conduct, Site, Store};
use crate::engine::emitter::Emitter;
use crate::engine::inbox::Inbox;
use crate::engine::run::Run;
use crate::engine::scheduler::OnFailure;
use crate::engine::secrets::Secrets;
use crate::event::{Level, Summary};
use crate::git::Repository;
use crate::git::tree_id;
use crate::git::{self, PrivateWorktree};
use crate::graph::Reach;
use crate::history::runs::{self, Runs};
use crate::plan::CachePolicy;
use crate::reporter::json::Json;
use crate::reporter::junit::Junit;
use crate::reporter::plain::Plain;
use crate::reporter::record::Record;
use crate::reporter::terminal::Terminal;
use crate::reporter::trace::Trace;
use crate::reporter::{Output, Reporters};

/// Runs what `args` name.
///
/// # Errors
/// A name is unknown, the tree can't be read, or a report can't be written.
pub fn perform(session: &Session, args: &RunArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    match &args.at {
        Some(rev) => at(session, args, &project, rev),
        None => here(session, args, &project.config, (&project.root, project.repository.as_ref())),
    }
}

/// Runs the tree of a commit in a private worktree.
fn at(session: &Session, args: &RunArgs, project: &Project, rev: &str) -> Result<End, Failure> {
    let repository = project.repository()?;
    let commit = repository.resolve(rev)?;
    let config = project.at(&commit)?;
    let state = repository.common_dir().join("xtask");
    git::sweep(repository, &state)?;
    // From here on a signal must not end the process: the worktree has to be removed.
    let inbox = inbox()?;
    let worktree = PrivateWorktree::create(repository, &commit, &state)?;
    let end = Repository::discover(worktree.path(), &session.env)
        .map_err(Failure::from)
        .and_then(|inner| here_with(session, args, &config, (worktree.path(), inner.as_ref()), &inbox));
    worktree.remove()?;
    end
}

fn inbox() -> Result<Inbox, Failure> {
    Inbox::open().map_err(|source| Failure::System { attempt: "listen for signals".to_owned(), source })
}

/// Runs in a work tree.
///
/// # Errors
/// As [`perform`].
pub fn here(
    session: &Session,
    args: &RunArgs,
    config: &Config,
    place: (&Path, Option<&Repository>),
) -> Result<End, Failure> {
    here_with(session, args, config, place, &Lazy)
}

/// Where the inbox comes from.
trait Listening {
    fn with(&self, use_it: &mut dyn FnMut(&Inbox) -> Result<End, Failure>) -> Result<End, Failure>;
}

/// Opened when the run starts, so that planning can be interrupted as any program.
struct Lazy;

impl Listening for Lazy {
    fn with(&self, use_it: &mut dyn FnMut(&Inbox) -> Result<End, Failure>) -> Result<End, Failure> {
        use_it(&inbox()?)
    }
}

impl Listening for Inbox {
    fn with(&self, use_it: &mut dyn FnMut(&Inbox) -> Result<End, Failure>) -> Result<End, Failure> {
        use_it(self)
    }
}

fn here_with(
    session: &Session,
    args: &RunArgs,
    config: &Config,
    (root, repository): (&Path, Option<&Repository>),
    listening: &dyn Listening,
) -> Result<End, Failure> {
    let run = runs::new_id(session.clock.now(), std::process::id());
    let request = request(args);
    let tree = repository.map_or(Tree::None, Tree::WorkDir);
    let place = Place { root, env: &session.env, run: &run, clock: &session.clock };
    let prepared = Prepared::gather(config, &request, tree, place)?;
    let conduct = Conduct {
        jobs: jobs(args, config),
        streams: args.output == Output::Stream,
        wants_hit_logs: args.output == Output::All,
        run: run.clone(),
    };
    let secrets = Secrets::of(config, &prepared.graph, &session.env)?;
    let reporters = Arc::new(Mutex::new(reporters(session, args, &conduct.run, &prepared)?));
    listening.with(&mut |inbox| {
        let on_failure = if args.keep_going { OnFailure::KeepGoing } else { OnFailure::Stop };
        let sink = Arc::clone(&reporters);
        let emitter = Emitter::new(
            session.clock.clone(),
            Box::new(move |event| sink.lock().unwrap_or_else(PoisonError::into_inner).event(event)),
        );
        let summary = drive(session, (&prepared, &secrets), root, (&conduct, on_failure), (&emitter, inbox));
        let errors = reporters.lock().unwrap_or_else(PoisonError::into_inner).errors();
        end(errors, &summary)
    })
}

fn drive(
    session: &Session,
    (prepared, secrets): (&Prepared<'_>, &Secrets),
    root: &Path,
    (conduct, on_failure): (&Conduct, OnFailure),
    (emitter, inbox): (&Emitter, &Inbox),
) -> Summary {
    let site = Site {
        root: root.to_owned(),
        store: prepared.store.as_ref().zip(prepared.reader.as_ref()).map(|((state, cache), tree)| Store {
            state: state.clone(),
            cache,
            tree,
        }),
    };
    prepared.plan(&session.env, |world, plan| {
        // A tree that has no id can still be run.
        let tree = world.snapshot.and_then(|snapshot| tree_id(snapshot).ok());
        let run = Run {
            world: *world,
            plan,
            site: &site,
            conduct,
            on_failure,
            history: &prepared.history,
            names: &prepared.names,
            tree,
            secrets,
            notices: notices(prepared),
        };
        run.perform(emitter, inbox)
    })
}

/// What the reader has to know before the run.
fn notices(prepared: &Prepared<'_>) -> Vec<(Level, String)> {
    let mut notices: Vec<_> = prepared.warnings.iter().map(|text| (Level::Warning, text.clone())).collect();
    if prepared.store.is_none() {
        notices.push((Level::Note, "this is not a git repository, so nothing is cached".to_owned()));
    }
    notices
}

fn request(args: &RunArgs) -> Request {
    Request {
        names: args.names.clone(),
        reach: if args.only { Reach::Only } else { Reach::WithNeeds },
        policy: match (args.no_cache, args.force) {
            (true, _) => CachePolicy::Off,
            (_, true) => CachePolicy::Force,
            _ => CachePolicy::Use,
        },
        args: args.args.clone(),
    }
}

/// As many job slots as were asked for, or one per core.
pub fn jobs(args: &RunArgs, config: &Config) -> u32 {
    let configured = args.jobs.or(config.settings.jobs.map(NonZeroU32::get));
    configured.unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1))
    })
}

fn reporters(
    session: &Session,
    args: &RunArgs,
    run: &str,
    prepared: &Prepared<'_>,
) -> Result<Reporters, Failure> {
    let mut reporters = Reporters::default();
    let paint = session.paint_err();
    let live = session.env.terminal().stderr && session.env.var("TERM").is_none_or(|term| term != "dumb");
    match args.format {
        Format::Json => reporters.add(Box::new(Json::new(std::io::stdout())), "standard output"),
        Format::Human if live => reporters.add(Box::new(Terminal::new(paint, args.output)), "standard error"),
        Format::Human => {
            reporters.add(Box::new(Plain::new(std::io::stderr(), paint, args.output)), "standard error");
        }
    }
    if let Some(path) = &args.junit {
        reporters.add(Box::new(Junit::new(report(session, path)?)), "the JUnit report");
    }
    if let Some(path) = &args.trace {
        reporters.add(Box::new(Trace::new(report(session, path)?)), "the trace");
    }
    if let Some((state, _)) = &prepared.store {
        let runs = Runs::new(state);
        runs.prune();
        match runs.create(run) {
            Ok(file) => reporters.add(Box::new(Record::new(file)), "the run's record"),
            // A run that can't be looked at later is still a run.
            Err(error) => session.tell(&format!("warning: this run leaves no record: {error}\n")),
        }
    }
    Ok(reporters)
}

/// A report's path, whose folder is made before the run, so that a mistake shows before the wait.
fn report(session: &Session, path: &Path) -> Result<std::path::PathBuf, Failure> {
    let path = session.path(path);
    if let Some(folder) = path.parent() {
        crate::ground::file::make_dir(folder)?;
    }
    Ok(path)
}

fn end(errors: Vec<(&'static str, std::io::Error)>, summary: &Summary) -> Result<End, Failure> {
    let end = End::from(summary.verdict);
    match errors.into_iter().next() {
        // A failed run is told as failed, whatever else went wrong.
        Some((what, source)) if end == End::Passed => {
            Err(Failure::System { attempt: format!("write {what}"), source })
        }
        _ => {
            // What could not be written is worth a line even then.
            let _ = std::io::stderr().flush();
            Ok(end)
        }
    }
}
