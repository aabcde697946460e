//! The context that all workers of a run share. It makes no decisions; [`super::worker`] does.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::base::digest::Digest;
use crate::config::model::{ServiceId, Task, TaskId};
use crate::engine::location::{RunLocation, Store};
use crate::engine::report::store::ReportStore;
use crate::engine::run::Run;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::Notification;
use crate::engine::run::options::RunOptions;
use crate::engine::run::state::{NodeResult, NodeStates, PrintedOnce, RunRecords, RunTree};
use crate::engine::sandbox::Sandboxes;
use crate::engine::services::identity::Identities;
use crate::engine::services::{ServiceEnv, Services};
use crate::engine::task::command::ProgramCache;
use crate::engine::task::secrets::Secrets;
use crate::engine::watch::{Invalidation, WatchSession};
use crate::event::{Level, What};
use crate::git::PoolFinder;
use crate::graph::NodeId;
use crate::history::tasks::History;
use crate::plan::{Plan, PlanInputs};
use crate::process::guard::Guard;
use crate::process::stop::Stop;

/// The context of a run.
pub struct Context<'a> {
    /// What the plan was made from.
    pub inputs: PlanInputs<'a>,
    /// The plan.
    pub plan: &'a Plan,
    /// Where the run takes place.
    pub location: RunLocation<'a>,
    /// The cache and the work tree of a repository; `None` outside one.
    pub store: Option<Store<'a>>,
    /// How the run is carried out.
    pub options: &'a RunOptions<'a>,
    /// The emitter of events.
    pub emitter: &'a Emitter,
    /// The secrets of the run, which are masked in logs and searched for in outputs.
    pub secrets: &'a Secrets,
    /// The paths of programs that were already looked up.
    pub programs: ProgramCache,
    /// Creates the sandboxes of tasks with `sandbox = true`; `None` outside a repository.
    pub sandboxes: Option<Sandboxes<'a>>,
    /// The running services.
    pub services: &'a Services,
    /// What the reports of finished tasks say, for the gates of the run.
    pub report_store: ReportStore,
    /// What the runs of `watch` share, if this is one of them.
    pub watching: Option<&'a WatchSession>,
    /// Stops the tasks.
    pub stop: Stop,
    /// Stops `finally` commands.
    pub stop_finally: Stop,
    /// The results of the nodes so far.
    pub nodes: NodeStates<'a>,
    /// The tree, with what tasks of this run wrote into it.
    pub tree: RunTree<'a>,
    /// What the run stores for later runs.
    pub records: RunRecords,
    /// Messages that are printed once.
    pub printed_once: PrintedOnce,
    notes: Sender<Notification>,
    guard: OnceLock<Option<Arc<Guard>>>,
    expected: OnceLock<Vec<Option<u64>>>,
    invalidation: Mutex<Invalidation>,
}

impl<'a> Context<'a> {
    /// Returns the context of a run that has not started.
    pub fn new(run: &'a Run<'a>, emitter: &'a Emitter, notes: Sender<Notification>) -> Self {
        let Run { inputs: plan_inputs, plan, location, store, options, services, secrets, .. } = *run;
        Self {
            inputs: plan_inputs,
            plan,
            location,
            options,
            emitter,
            secrets,
            programs: ProgramCache::default(),
            sandboxes: store.map(|store| {
                let root = plan_inputs.config.worktree.root.as_deref();
                Sandboxes::new(PoolFinder { state: store.state, env: plan_inputs.env, root }, &options.run_id)
            }),
            store,
            services,
            report_store: ReportStore::new(plan_inputs.config, plan_inputs.graph),
            watching: options.watching,
            invalidation: Mutex::default(),
            stop: Stop::new(),
            stop_finally: Stop::new(),
            notes,
            guard: OnceLock::new(),
            expected: OnceLock::new(),
            nodes: NodeStates::new(plan),
            tree: RunTree::new(plan_inputs.snapshot),
            records: RunRecords::default(),
            printed_once: PrintedOnce::default(),
        }
    }

    /// Says that the command of a node has passed and its result is about to be stored.
    pub fn notify_storing(&self, id: NodeId) {
        // The main loop receives as long as there is a worker.
        let _ = self.notes.send(Notification::Storing(id));
    }

    /// Returns a node's task.
    pub fn task(&self, id: NodeId) -> &'a Task {
        self.inputs.config.task(self.inputs.graph.node(id).task)
    }

    /// Returns the name of a node's task.
    pub fn name(&self, id: NodeId) -> &'a str {
        &self.task(id).name
    }

    /// Returns the guard, and starts it at the first call. The guard kills processes that outlive this one.
    pub fn guard(&self) -> Option<Arc<Guard>> {
        let start = || match Guard::start(self.inputs.env.program(), &self.options.run_id, self.location.hold)
        {
            Ok(guard) => Some(Arc::new(guard)),
            Err(error) => {
                let text = format!("tasks may outlive a killed run, since its guard can't start: {error}");
                self.emitter.notice(Level::Warning, text);
                None
            }
        };
        self.guard.get_or_init(start).clone()
    }

    /// Returns the environment in which services are started.
    pub fn service_env(&self) -> ServiceEnv<'_> {
        ServiceEnv {
            config: self.inputs.config,
            env: self.inputs.env,
            root: self.location.root.to_owned(),
            emitter: self.emitter,
            mask: Arc::clone(&self.secrets.mask),
            hold: self.location.hold,
            stop: self.stop.clone(),
            is_retry: false,
            identity: Box::new(|id| self.service_identity(id)),
        }
    }

    /// Returns the identity of a service, by which a watched run decides whether a running one can be
    /// used again. Other runs start each service themselves.
    fn service_identity(&self, id: ServiceId) -> Option<Digest> {
        self.watching?;
        let graph = self.inputs.graph;
        let contribution = |task: TaskId| {
            let node = graph.ids().find(|node| graph.node(*node).task == task)?;
            self.nodes.contribution(node)
        };
        let snapshot = self.tree.snapshot();
        let (config, env) = (self.inputs.config, self.inputs.env);
        let identities =
            Identities { config, env, snapshot: snapshot.as_deref(), contribution: &contribution };
        Some(identities.identity(id))
    }

    /// Sets the expected duration of each task, from the history.
    pub fn set_expected(&self, history: &History) {
        let expected = self.inputs.graph.ids().map(|id| history.expected(self.name(id))).collect();
        // Set once, before any worker starts.
        let _ = self.expected.set(expected);
    }

    /// Returns how long a node's task is expected to take, in milliseconds.
    pub fn expected(&self, id: NodeId) -> Option<u64> {
        *self.expected.get()?.get(id.0)?
    }

    /// Emits an event, once for each node, that says what the node waits for.
    pub fn report_waiting(&self, id: NodeId, on: &str) {
        if self.printed_once.is_first_wait(id) {
            self.emitter.emit(What::TaskWaits { task: self.name(id).to_owned(), on: on.to_owned() });
        }
    }

    /// Returns whether any process was started.
    pub fn has_started(&self) -> bool {
        self.guard.get().is_some()
    }

    /// Records the result of a node, for the nodes that need it.
    pub fn finish(&self, id: NodeId, result: NodeResult) {
        self.nodes.finish(id, result);
        if self.watching.is_some() {
            self.invalidation().finish(id);
        }
    }

    /// Locks and returns the list of nodes that are out of date.
    pub fn invalidation(&self) -> MutexGuard<'_, Invalidation> {
        self.invalidation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
