//! What all workers of a run share. It must not decide anything.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::cache::{Cache, OutputSet};
use crate::config::model::{ServiceId, TaskId};
use crate::engine::location::RunLocation;
use crate::engine::report::store::ReportStore;
use crate::engine::run::emitter::Emitter;
use crate::engine::run::options::RunOptions;
use crate::engine::sandbox::Sandboxes;
use crate::engine::services::identity::Identities;
use crate::engine::services::{Services, Setting};
use crate::engine::task::command::Programs;
use crate::engine::task::diagnosis;
use crate::engine::task::secrets::Secrets;
use crate::engine::watch::{Standing, Watching};
use crate::event::{Level, What};
use crate::git::snapshot::Snapshot;
use crate::git::{PoolFinder, WorkTreeReader};
use crate::graph::NodeId;
use crate::hint::Hint;
use crate::history::records::Recorded;
use crate::history::tasks::{Execution, History};
use crate::key::Contribution;
use crate::key::inputs::InputSet;
use crate::plan::{InputDigests, Plan, Planned, World, resolve};
use crate::process::guard::Guard;
use crate::process::stop::Stop;
use crate::quality::evidence::Evidence;

/// What a run in a repository has.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The cache.
    pub cache: &'a Cache,
    /// The work tree, to be looked at again.
    pub tree: &'a WorkTreeReader,
}

/// All that workers share.
pub struct Context<'a> {
    /// What the plan was made from.
    pub world: World<'a>,
    /// The plan.
    pub plan: &'a Plan,
    /// Where the run takes place.
    pub location: RunLocation<'a>,
    /// What a repository adds; `None` outside one.
    pub store: Option<Store<'a>>,
    /// How it is carried out.
    pub options: &'a RunOptions<'a>,
    /// Where events go.
    pub emitter: &'a Emitter,
    /// Hides secrets, and finds them in what is to be stored.
    pub secrets: &'a Secrets,
    /// The programs that were found before.
    pub programs: Programs,
    /// Where tasks run that see only what they declare; `None` outside a repository.
    pub sandboxes: Option<Sandboxes<'a>>,
    /// The services that are up.
    pub services: &'a Services,
    /// What the reports of finished tasks say, for those who will ask.
    pub report_store: ReportStore,
    /// What rounds share, if this run is one of several.
    pub watching: Option<&'a Watching>,
    /// Ends what runs.
    pub stop: Stop,
    /// Ends `finally` commands, when even they are to end.
    pub stop_finally: Stop,
    guard: OnceLock<Option<Arc<Guard>>>,
    expected: OnceLock<Vec<Option<u64>>>,
    results: Mutex<Vec<NodeResult>>,
    standing: Mutex<Standing>,
    tree: RwLock<Tree>,
    executions: Mutex<Vec<(String, Execution)>>,
    waiting: Mutex<HashSet<NodeId>>,
    stored: Mutex<Vec<Digest>>,
    records: Mutex<Vec<Recorded>>,
    /// Variables that a hint named already.
    hinted: Mutex<BTreeSet<String>>,
    decided: Mutex<HashMap<NodeId, Planned>>,
    made: Mutex<HashMap<NodeId, Arc<OutputSet>>>,
}

/// What later nodes must know of a finished one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeResult {
    /// What it contributes to keys.
    pub contribution: Option<Contribution>,
    /// Whether what it did is not what its key says, since its inputs changed while it ran.
    pub tainted: bool,
}

/// The tree of the run, with what tasks wrote into it.
#[derive(Clone, Default)]
struct Tree {
    snapshot: Option<Arc<Snapshot>>,
    /// Paths of the snapshot that tasks of this run changed.
    changed: Vec<RepoPath>,
}

impl<'a> Context<'a> {
    /// Of a run that has not started.
    pub fn new(
        world: World<'a>,
        plan: &'a Plan,
        location: RunLocation<'a>,
        store: Option<Store<'a>>,
        options: &'a RunOptions<'a>,
        emitter: &'a Emitter,
        services: &'a Services,
        secrets: &'a Secrets,
    ) -> Self {
        let results = plan.nodes.iter().map(|_| NodeResult::default()).collect();
        Self {
            world,
            plan,
            location,
            options,
            emitter,
            secrets,
            programs: Programs::default(),
            sandboxes: store.map(|store| {
                let root = world.config.worktree.root.as_deref();
                Sandboxes::new(PoolFinder { state: store.state, env: world.env, root }, &options.run_id)
            }),
            store,
            services,
            report_store: ReportStore::new(world.config, world.graph),
            watching: options.watching,
            standing: Mutex::default(),
            stop: Stop::new(),
            stop_finally: Stop::new(),
            guard: OnceLock::new(),
            expected: OnceLock::new(),
            results: Mutex::new(results),
            tree: RwLock::default(),
            executions: Mutex::default(),
            waiting: Mutex::default(),
            stored: Mutex::default(),
            records: Mutex::default(),
            hinted: Mutex::default(),
            decided: Mutex::default(),
            made: Mutex::default(),
        }
    }

    /// The name of a node's task.
    pub fn name(&self, id: NodeId) -> &'a str {
        &self.world.config.task(self.world.graph.node(id).task).name
    }

    /// Returns the hints without variables that another failed task of the run was told of already.
    pub fn untold(&self, hints: Vec<Hint>) -> Vec<Hint> {
        let mut told = self.hinted.lock().unwrap_or_else(PoisonError::into_inner);
        diagnosis::untold(hints, &mut told)
    }

    /// Starts the guard, once: from then on nothing outlives this process.
    pub fn guard(&self) -> Option<Arc<Guard>> {
        let start = || match Guard::start(self.world.env.program(), &self.options.run_id, self.location.hold)
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

    /// What services are started with.
    pub fn setting(&self) -> Setting<'_> {
        Setting {
            config: self.world.config,
            env: self.world.env,
            root: self.location.root.to_owned(),
            emitter: self.emitter,
            mask: Arc::clone(&self.secrets.mask),
            hold: self.location.hold,
            stop: self.stop.clone(),
            is_retry: false,
            identity: Box::new(|id| self.service_identity(id)),
        }
    }

    /// Returns the identity of a service, by which a watched run decides whether one that is up can be
    /// used again. Other runs start each service anew.
    fn service_identity(&self, id: ServiceId) -> Option<Digest> {
        self.watching?;
        let graph = self.world.graph;
        let contribution = |task: TaskId| {
            let node = graph.ids().find(|node| graph.node(*node).task == task)?;
            self.contribution(node)
        };
        let snapshot = self.snapshot();
        let (config, env) = (self.world.config, self.world.env);
        let identities =
            Identities { config, env, snapshot: snapshot.as_deref(), contribution: &contribution };
        Some(identities.identity(id))
    }

    /// Takes from the history how long each task is expected to take.
    pub fn set_expected(&self, history: &History) {
        let expected = self.world.graph.ids().map(|id| history.expected(self.name(id))).collect();
        // Set once, before any worker starts.
        let _ = self.expected.set(expected);
    }

    /// How long a node's task is expected to take, in milliseconds.
    pub fn expected(&self, id: NodeId) -> Option<u64> {
        *self.expected.get()?.get(id.0)?
    }

    /// Tells, once for each standstill, what a node waits for.
    pub fn tell_waiting(&self, id: NodeId, on: &str) {
        if lock(&self.waiting).insert(id) {
            self.emitter.emit(What::TaskWaits { task: self.name(id).to_owned(), on: on.to_owned() });
        }
    }

    /// Whether any process was started.
    pub fn has_started(&self) -> bool {
        self.guard.get().is_some()
    }

    /// Notes a node's result for those that need it.
    pub fn finish(&self, id: NodeId, result: NodeResult) {
        lock(&self.results)[id.0] = result;
        if self.watching.is_some() {
            self.standing().finish(id);
        }
    }

    /// Which nodes are out of date.
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// What a finished node contributes to keys.
    pub fn contribution(&self, id: NodeId) -> Option<Contribution> {
        lock(&self.results)[id.0].contribution
    }

    /// Whether a node that `id` needs, and whose key stands for it, did something else than its key
    /// says; its name, if so.
    pub fn tainted_need(&self, id: NodeId) -> Option<&'a str> {
        let results = lock(&self.results);
        let tainted = |need: &&NodeId| {
            let result = results[need.0];
            result.tainted && !matches!(result.contribution, Some(Contribution::Outputs(_)))
        };
        self.world.graph.node(id).sources.iter().find(tainted).map(|need| self.name(*need))
    }

    /// The snapshot as it is for a task that starts now.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        tree.snapshot.clone().or_else(|| self.world.snapshot.cloned().map(Arc::new))
    }

    /// The decision for a node all of whose needs have passed: the plan's, unless what it was made
    /// from has changed since.
    pub fn decide(&self, id: NodeId) -> Planned {
        let planned = &self.plan.nodes[id.0];
        if planned.key.is_none() && self.world.snapshot.is_none() {
            return planned.clone();
        }
        let node = self.world.graph.node(id);
        // Of the sources alone: there may be a thousand results.
        let results: Vec<(NodeId, Option<Contribution>)> = {
            let results = lock(&self.results);
            node.sources.iter().map(|need| (*need, results[need.0].contribution)).collect()
        };
        let known = |need: NodeId| results.iter().find(|(id, _)| *id == need).and_then(|(_, known)| *known);
        let expected = |need: &NodeId| self.plan.nodes[need.0].contribution;
        let as_planned = node.sources.iter().all(|need| known(*need) == expected(need));
        let inputs = InputSet::of(self.world.config, self.world.graph, node);
        let tree = self.tree.read().unwrap_or_else(PoisonError::into_inner);
        let touched = tree.changed.iter().any(|path| inputs.holds(path));
        if as_planned && !touched && planned.key.is_some() {
            return planned.clone();
        }
        let digests = InputDigests::default();
        let fresh = if touched { &digests } else { self.world.digests };
        let snapshot = tree.snapshot.as_deref().or(self.world.snapshot);
        let world = World { snapshot, digests: fresh, ..self.world };
        let planned = resolve(&world, id, &known);
        lock(&self.decided).insert(id, planned.clone());
        planned
    }

    /// The last decisions that were made anew during the run.
    pub fn decided(&self) -> HashMap<NodeId, Planned> {
        std::mem::take(&mut *lock(&self.decided))
    }

    /// The key of a node as it was last decided, if it has one.
    pub fn key(&self, id: NodeId) -> Option<Digest> {
        let anew = lock(&self.decided).get(&id).map(|planned| planned.key.as_ref().map(|key| key.digest));
        anew.unwrap_or_else(|| self.plan.nodes[id.0].key.as_ref().map(|key| key.digest))
    }

    /// Notes what a node left, for those that need it.
    pub fn note_made(&self, id: NodeId, made: &Arc<OutputSet>) {
        if !self.world.graph.node(id).needed_by.is_empty() {
            lock(&self.made).insert(id, Arc::clone(made));
        }
    }

    /// What a node left, if it was noted.
    pub fn made(&self, id: NodeId) -> Option<Arc<OutputSet>> {
        lock(&self.made).get(&id).cloned()
    }

    /// Takes up what a task wrote to paths that belong to the tree, so that the keys of later tasks
    /// are those of what they will read.
    pub fn take_up_outputs(&self, id: NodeId) {
        let task = self.world.config.task(self.world.graph.node(id).task);
        let (Some(store), false) = (&self.store, task.outputs.is_empty()) else { return };
        let folders = task.outputs.folders();
        let Ok(entries) = store.tree.rescan(&folders) else { return };
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = tree.snapshot.clone().or_else(|| self.world.snapshot.cloned().map(Arc::new))
        else {
            return;
        };
        let entries = entries.into_iter().filter(|entry| task.outputs.matches(&entry.path)).collect();
        let (after, changed) = before.with_replaced(|path| task.outputs.matches(path), &folders, entries);
        if !changed.is_empty() {
            tree.snapshot = Some(Arc::new(after));
            tree.changed.extend(changed);
        }
    }

    /// Notes a key under which a result was stored.
    pub fn note_stored(&self, key: Digest) {
        lock(&self.stored).push(key);
    }

    /// All keys under which results were stored.
    pub fn stored(&self) -> Vec<Digest> {
        lock(&self.stored).clone()
    }

    /// Notes what a gate that passed leaves for later trees.
    pub fn note_record(&self, id: NodeId, evidence: &Evidence) {
        let recorded = Recorded { gate: self.name(id).to_owned(), record: evidence.record.clone() };
        lock(&self.records).push(recorded);
    }

    /// All that was noted for later trees.
    pub fn records(&self) -> Vec<Recorded> {
        std::mem::take(&mut *lock(&self.records))
    }

    /// Notes an execution for the history.
    pub fn note_execution(&self, id: NodeId, execution: Execution) {
        lock(&self.executions).push((self.name(id).to_owned(), execution));
    }

    /// All executions that were noted.
    pub fn executions(&self) -> Vec<(String, Execution)> {
        std::mem::take(&mut *lock(&self.executions))
    }
}

/// A panic elsewhere is reported there; here the data is whole, since each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
