//! Runs tasks in a private worktree, as a gate does, with the cache. It must not decide which tasks, nor what
//! follows from their results.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::model::{Config, TaskAction};
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::LazyInbox;
use crate::engine::run::options::RunOptions;
use crate::engine::run::scheduler::OnFailure;
use crate::event::{Event, Status, TaskFinished, What};
use crate::gate::context::{GateContext, GateObserver};
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::ReadyWorktree;
use crate::git::snapshot::Snapshot;
use crate::git::{PoolFinder, Repository, Warmth, WorkTreeReader};
use crate::plan::CachePolicy;
use crate::reporter::trial::{failure, trial_reporter};

/// The longest time that a task may take.
const LONGEST: Duration = Duration::from_secs(600);
/// After this time, a line says that a task is still running.
const SLOW: Duration = Duration::from_secs(15);
/// The number of private worktrees whose paths are taken out of logs.
const WORKTREES: u32 = 4;

/// What all runs of a trial share.
pub struct Bench<'a> {
    /// The session.
    pub session: &'a Session,
    /// The user's repository.
    pub repository: &'a Repository,
    /// The state directory.
    pub state: PathBuf,
    /// Where signals arrive.
    pub inbox: &'a LazyInbox,
    /// Receives the events.
    pub observer: TrialObserver<'a>,
}

/// Shows the runs of a trial, and collects the results of the tasks.
pub struct TrialObserver<'a> {
    session: &'a Session,
    finished: Arc<Mutex<Vec<TaskFinished>>>,
    /// What was shown of each task last. The same is not shown again.
    shown: Arc<Mutex<BTreeMap<String, Option<String>>>>,
    /// The texts that are taken out of logs: paths of folders in which tasks run.
    tops: Vec<String>,
}

/// A private worktree with the proposed tasks.
pub struct CheckOut<'a> {
    /// The context of the gate that made it.
    pub context: GateContext<'a>,
    /// The worktree.
    pub ready: ReadyWorktree,
    /// The proposed tasks.
    pub config: Config,
    /// The commit that the tree is based on.
    pub commit: Option<String>,
}

/// What a run of tasks gave.
pub struct TrialRun {
    /// The results, in the order in which the tasks ended.
    pub finished: Vec<TaskFinished>,
    /// When it started.
    pub started: Timestamp,
    /// The tree before it.
    pub before: Snapshot,
}

impl<'a> Bench<'a> {
    /// Creates the bench of a repository whose work tree is at `root`.
    pub fn new(session: &'a Session, repository: &'a Repository, inbox: &'a LazyInbox, root: &Path) -> Self {
        let state = repository.common_dir().join("xtask");
        let finder = PoolFinder { state: &state, env: &session.env, root: None };
        let pool = finder.open().ok().map(|pool| pool.path().to_owned());
        let worktrees = (1..=WORKTREES).filter_map(|n| Some(pool.as_ref()?.join(format!("gate-{n}"))));
        let tops = worktrees.chain([root.to_owned()]).map(|top| top.display().to_string()).collect();
        let observer = TrialObserver::new(session, tops);
        Self { session, repository, state, inbox, observer }
    }

    /// Returns the context of a gate.
    pub fn context(&self, warmth: Warmth) -> GateContext<'_> {
        GateContext {
            repository: self.repository,
            state: &self.state,
            env: &self.session.env,
            clock: &self.session.clock,
            inbox: self.inbox,
            observer: &self.observer,
            warmth,
            jobs: None,
            runs: Cell::new(0),
            access: OnceCell::new(),
        }
    }
}

impl<'a> TrialObserver<'a> {
    /// Creates an observer. `tops` are paths of folders, which are taken out of logs.
    pub fn new(session: &'a Session, tops: Vec<String>) -> Self {
        Self { session, finished: Arc::default(), shown: Arc::default(), tops }
    }

    /// Takes the results that were collected since the last call.
    pub fn take(&self) -> Vec<TaskFinished> {
        std::mem::take(&mut *lock(&self.finished))
    }

    /// Returns a text without the paths of the folders in which tasks ran.
    pub fn tidy(&self, text: &str) -> String {
        tidy(&self.tops, text)
    }
}

impl GateObserver for TrialObserver<'_> {
    fn emitter(&self, _: &str, clock: &Clock) -> Emitter {
        let terminal = self.session.env.terminal().stderr;
        let live = terminal && self.session.env.var("TERM").is_none_or(|term| term != "dumb");
        let tops = self.tops.clone();
        let mut reporter = trial_reporter(self.session.paint_err(), live, move |text| tidy(&tops, text));
        let shows_lines = reporter.shows_lines();
        let finished = Arc::clone(&self.finished);
        let shown = Arc::clone(&self.shown);
        let tops = self.tops.clone();
        let sink = move |event: &Event| {
            let mut event = Cow::Borrowed(event);
            if let What::TaskFinished(task) = &event.what {
                lock(&finished).push(task.clone());
                let outcome = failure(task, |text| tidy(&tops, text));
                if lock(&shown).insert(task.task.clone(), outcome.clone()) == Some(outcome) {
                    let task = TaskFinished { status: Status::Stopped, ..task.clone() };
                    event = Cow::Owned(Event { at: event.at, what: What::TaskFinished(task) });
                }
            }
            // If standard error can't be written to, there is no other place to say so.
            let _ = reporter.event(&event);
        };
        Emitter::new(clock.clone(), Box::new(sink)).with_shown_lines(shows_lines)
    }

    /// Notes are for the gate's user. What matters here follows from the results.
    fn note(&self, _: &str) {}
}

impl CheckOut<'_> {
    /// Runs these tasks and what they need, without stopping at a failure.
    ///
    /// # Errors
    /// The run can't be planned, or signals can't be listened for.
    pub fn run(&self, names: &[String], policy: CachePolicy, bench: &Bench<'_>) -> Result<TrialRun, Failure> {
        let context = &self.context;
        let hold = self.ready.hold()?;
        let run = context.new_run();
        let location = RunLocation { hold: Some(&hold), access: context.access()?, ..self.location() };
        let request = Request { policy, ..Request::new(names.to_vec()) };
        let prepared = Prepared::load(&self.config, &request, location, context.clock, &run)?;
        let options = RunOptions { on_failure: OnFailure::KeepGoing, ..context.options(&run, &self.config) };
        let started = context.clock.now();
        let emitter = bench.observer.emitter(&run, &context.clock.restarted());
        prepared.plan(&self.ready.env, |inputs, plan| {
            Ok::<_, GateError>(prepared.launch(inputs, plan, location, &options, &emitter, context.listen()?))
        })?;
        let before = prepared.snapshot.unwrap_or_default();
        Ok(TrialRun { finished: bench.observer.take(), started, before })
    }

    /// Returns the tree as it is now.
    ///
    /// # Errors
    /// It can't be read.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        Ok(WorkTreeReader::open(&self.ready.repository, Some(self.context.state))?.snapshot()?)
    }

    fn location(&self) -> RunLocation<'_> {
        let tree = Tree::WorkDir(&self.ready.repository);
        let location = self.context.location(self.ready.worktree.path(), tree, self.commit.as_deref());
        RunLocation { env: &self.ready.env, ..location }
    }

    /// Releases the worktree for the next use.
    ///
    /// # Errors
    /// Its mark can't be removed.
    pub fn release(self) -> Result<(), Failure> {
        Ok(self.context.release(&self.ready)?)
    }
}

/// Limits the time of all tasks of a trial. The limits are not part of keys.
pub fn limit_time(config: &mut Config) {
    for task in &mut config.tasks {
        if let TaskAction::Run(run) = &mut task.action {
            run.limits.timeout = Some(run.limits.timeout.map_or(LONGEST, |limit| limit.min(LONGEST)));
            run.limits.slow_after = Some(SLOW);
        }
    }
    if let Some(setup) = &mut config.worktree.setup {
        setup.run.limits.timeout = Some(LONGEST);
        setup.run.limits.slow_after = Some(SLOW);
    }
}

fn tidy(tops: &[String], text: &str) -> String {
    tops.iter().fold(text.to_owned(), |text, top| text.replace(&format!("{top}/"), "").replace(top, "."))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
