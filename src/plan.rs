//! The plan: the key of each node of the graph, and a decision with its reason. It is a pure function of
//! tasks, tree, environment, probes and what the cache knows; it must not run, read or write anything.
//!
//! The same [`resolve`] decides before the run, when the outputs of needed tasks may not be known yet, and
//! during the run, when they are.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;

use rayon::prelude::*;

use crate::base::clock::Timestamp;
use crate::base::digest::Digest;
use crate::base::env::Env;
use crate::cache::Lookup;
use crate::config::model::{CommandVariables, Config, Service, Task, TaskId};
use crate::decision_reason::{Change, Reason};
use crate::git::snapshot::Snapshot;
use crate::graph::{Graph, NodeId, Role};
use crate::key::explanation::Explanation;
use crate::key::inputs::InputSet;
use crate::key::{Contribution, Key, KeyInputs};
use crate::process::secret_mask::Mask;
use crate::quality::JudgingContext;

/// How many changes a reason lists before it only counts them.
const LISTED_CHANGES: usize = 3;

/// Everything that a plan is made from.
#[derive(Clone, Copy)]
pub struct PlanInputs<'a> {
    /// The tasks.
    pub config: &'a Config,
    /// The tasks of the plan and their needs.
    pub graph: &'a Graph,
    /// The tree; `None` outside a repository.
    pub snapshot: Option<&'a Snapshot>,
    /// Digests of input sets in that tree.
    pub digests: &'a InputDigests<'a>,
    /// The caller's variables.
    pub env: &'a Env,
    /// The output of each tool's probe, or an error message.
    pub probes: &'a BTreeMap<String, Result<String, String>>,
    /// The arguments after `--`, and the task that they are for.
    pub args: Option<(TaskId, &'a [String])>,
    /// This machine.
    pub platform: &'a Platform,
    /// Whether and how the cache is used.
    pub policy: CachePolicy,
    /// What is known from earlier runs.
    pub knowledge: &'a dyn Knowledge,
    /// The baseline and the date by which each gate of the graph is judged.
    pub gates: &'a BTreeMap<TaskId, JudgingContext>,
    /// Masks secrets in explanations of keys. It does not enter the keys.
    pub mask: &'a Mask,
}

/// A kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, as Rust names it.
    pub os: String,
    /// Operating system and architecture.
    pub id: String,
}

impl Platform {
    /// Returns the machine this program was built for.
    pub fn here() -> Self {
        let os = std::env::consts::OS.to_owned();
        Self { id: format!("{os} {}", std::env::consts::ARCH), os }
    }
}

/// Whether and how the cache is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CachePolicy {
    /// The cache is read and written.
    Use,
    /// The cache is only written (`--force`).
    Force,
    /// The cache is neither read nor written (`--no-cache`).
    Off,
}

/// What is known from earlier runs. Several threads ask at once.
pub trait Knowledge: Sync {
    /// Looks up a key in the cache, and compares the result with the outputs on disk.
    fn look_up(&self, task: &Task, key: &Digest) -> Lookup<StoredResult>;
    /// Returns the past results of a task that is a miss with this key.
    fn past_results(&self, task: &Task, key: &Digest) -> PastResults;
    /// Returns the digest of the outputs that are on disk now, of a task that is not run.
    fn outputs_on_disk(&self, task: &Task) -> Option<Digest>;
}

/// A stored result, as far as a plan depends on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredResult {
    /// When it was stored.
    pub at: Timestamp,
    /// How long the task took, in milliseconds.
    pub took: u64,
    /// The digest of its outputs.
    pub outputs: Digest,
    /// How the outputs on disk differ from the stored ones, if they do.
    pub differs: Option<String>,
}

/// The past results of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastResults {
    /// The outcome of its last run.
    pub last: LastRun,
    /// The explanations of its last cache entries, newest first. Entries that are gone are left out.
    pub entries: Vec<Explanation>,
}

/// The outcome of the last run of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastRun {
    /// There is no recorded run.
    Never,
    /// It failed, with the same key.
    FailedWithThisKey,
    /// It failed with another key, and never passed.
    NeverPassed,
    /// It passed, or failed with another key.
    Other,
}

/// A node's key and decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The key, if it is known.
    pub key: Option<Key>,
    /// The decision.
    pub decision: Decision,
    /// What the task contributes to the keys of the tasks that need it, if it is known.
    pub contribution: Option<Contribution>,
}

/// Why a node is executed, and whether its result may be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Miss {
    /// The reason.
    pub reason: Reason,
    /// The right to store the result, if the node has a key and its results may be stored.
    pub permit: Option<StorePermit>,
}

/// The right to store a result under a key. Only a decision grants it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StorePermit(Digest);

impl StorePermit {
    /// Returns the key under which the result is stored.
    pub fn key(&self) -> Digest {
        self.0
    }
}

impl Planned {
    /// Returns the miss that a hit becomes when its entry or its outputs turn out to be gone.
    pub fn lost_hit(&self, reason: Reason) -> Miss {
        Miss { reason, permit: self.key.as_ref().map(|key| StorePermit(key.digest)) }
    }
}

/// A decision about a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is a hit. Its outputs may have to be restored.
    Hit(Reason),
    /// It is executed.
    Miss(Miss),
    /// Its key depends on an output that is not known yet.
    Pending(Reason),
    /// It is not run on this machine.
    Skip(Reason),
    /// It can't be run.
    Fail(Reason),
    /// It runs nothing by itself.
    Aggregate,
    /// It is in the graph only for its key.
    Context,
}

impl Decision {
    /// Returns the reason, if the decision has one.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Hit(r) | Self::Pending(r) | Self::Skip(r) | Self::Fail(r) => Some(r),
            Self::Miss(miss) => Some(&miss.reason),
            Self::Aggregate | Self::Context => None,
        }
    }

    /// Returns the name of the decision, as it is shown.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Miss(_) => "miss",
            Self::Pending(_) => "waits",
            Self::Skip(_) => "skip",
            Self::Fail(_) => "fail",
            Self::Aggregate => "gathers",
            Self::Context => "not run",
        }
    }
}

/// The decisions for all nodes of a graph, in their order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The decision for each node.
    pub nodes: Vec<Planned>,
}

impl Plan {
    /// Decides all nodes, the nodes of each level in parallel.
    pub fn new(inputs: &PlanInputs<'_>) -> Self {
        let mut nodes: Vec<Option<Planned>> = vec![None; inputs.graph.nodes.len()];
        for level in inputs.graph.levels() {
            let known = |id: NodeId| nodes[id.0].as_ref().and_then(|planned| planned.contribution);
            let decided: Vec<(NodeId, Planned)> =
                level.into_par_iter().map(|id| (id, resolve(inputs, id, &known))).collect();
            for (id, planned) in decided {
                nodes[id.0] = Some(planned);
            }
        }
        Self { nodes: nodes.into_iter().flatten().collect() }
    }

    /// Returns the number of hits.
    pub fn hits(&self) -> usize {
        self.nodes.iter().filter(|node| matches!(node.decision, Decision::Hit(_))).count()
    }
}

/// Decides one node, given what the nodes that it needs contribute.
pub fn resolve(
    inputs: &PlanInputs<'_>,
    id: NodeId,
    known: &(dyn Fn(NodeId) -> Option<Contribution> + Sync),
) -> Planned {
    let node = inputs.graph.node(id);
    let task = inputs.config.task(node.task);
    let decided = |decision, key, contribution| Planned { key, decision, contribution };
    if task.is_aggregate() {
        return decided(Decision::Aggregate, None, None);
    }
    if !task.runs_on(&inputs.platform.os) {
        let reason = Reason::WrongSystem { os: task.systems().to_vec() };
        return decided(Decision::Skip(reason), None, Some(Contribution::Nothing));
    }
    if let Some(reason) = all_reports_elsewhere(inputs, id) {
        return decided(Decision::Skip(reason), None, Some(Contribution::Nothing));
    }
    if let Some(path) = &task.env.variables.missing_file {
        let reason = Reason::NoEnvFile { path: path.clone(), place: task.place.to_string() };
        return decided(Decision::Fail(reason), None, None);
    }
    if let Some(reason) = failed_probe(inputs, task) {
        return decided(Decision::Fail(reason), None, None);
    }
    let Some(snapshot) = inputs.snapshot else {
        return decided(Decision::Miss(Miss { reason: Reason::NoRepository, permit: None }), None, None);
    };
    let pending = node.sources.iter().find(|source| known(**source).is_none());
    let key = pending.is_none().then(|| key_of(inputs, id, snapshot, known));
    if node.role == Role::Context {
        let contribution = if task.outputs.is_empty() {
            key.as_ref().map(|key| Contribution::Key(key.digest))
        } else {
            inputs.knowledge.outputs_on_disk(task).map(Contribution::Outputs)
        };
        return decided(Decision::Context, key, contribution);
    }
    let by_key = key.as_ref().filter(|_| task.outputs.is_empty()).map(|key| Contribution::Key(key.digest));
    let may_store = task.is_cached() && inputs.policy != CachePolicy::Off;
    let permit = key.as_ref().filter(|_| may_store).map(|key| StorePermit(key.digest));
    let miss = |reason| Decision::Miss(Miss { reason, permit });
    if let Some(reason) = forced_miss(inputs.policy, task) {
        return decided(miss(reason), key, by_key);
    }
    let Some(key) = key else {
        let on = pending
            .map(|id| inputs.config.task(inputs.graph.node(*id).task).name.clone())
            .unwrap_or_default();
        return decided(Decision::Pending(Reason::Waits { on }), None, None);
    };
    let (decision, contribution) = match inputs.knowledge.look_up(task, &key.digest) {
        Lookup::Hit(StoredResult { at, took, outputs, differs }) => {
            let restores = differs.map(|what| inputs.mask.text(&what));
            let reason = Reason::Cached { at, took, restores };
            (Decision::Hit(reason), by_key.or(Some(Contribution::Outputs(outputs))))
        }
        Lookup::Damaged(what) => (miss(Reason::Damaged { what }), by_key),
        Lookup::Absent => (miss(miss_reason(inputs, id, &key, snapshot)), by_key),
    };
    decided(decision, Some(key), contribution)
}

/// Returns the definition of a task as a key in which its needs contribute nothing. It is the same on all
/// machines, even if the needs' outputs are known on only one of them.
pub fn definition(inputs: &PlanInputs<'_>, id: NodeId, snapshot: &Snapshot) -> Key {
    key_of(inputs, id, snapshot, &|_| None)
}

/// Returns why a gate is not judged, if all its reports are written on other systems.
fn all_reports_elsewhere(inputs: &PlanInputs<'_>, id: NodeId) -> Option<Reason> {
    let node = inputs.graph.node(id);
    inputs.config.task(node.task).gate()?;
    let sources = node.sources.iter().map(|source| inputs.config.task(inputs.graph.node(*source).task));
    let reporting: Vec<&Task> = sources.filter(|task| !task.reports().is_empty()).collect();
    let os = &inputs.platform.os;
    let is_elsewhere = !reporting.is_empty() && !reporting.iter().any(|task| task.runs_on(os));
    let tasks = || reporting.iter().map(|task| task.name.clone()).collect();
    is_elsewhere.then(|| Reason::ReadsNothing { tasks: tasks(), os: os.clone() })
}

fn forced_miss(policy: CachePolicy, task: &Task) -> Option<Reason> {
    match policy {
        CachePolicy::Off => Some(Reason::CacheOff),
        _ if !task.is_cached() => Some(Reason::Uncached),
        CachePolicy::Force => Some(Reason::Forced),
        CachePolicy::Use => None,
    }
}

fn failed_probe(inputs: &PlanInputs<'_>, task: &Task) -> Option<Reason> {
    task.tools.iter().find_map(|tool| match inputs.probes.get(tool) {
        Some(Err(what)) => Some(Reason::ProbeFailed { tool: tool.clone(), what: inputs.mask.text(what) }),
        _ => None,
    })
}

/// Returns why there is no entry: the differences from the most similar entry.
fn miss_reason(inputs: &PlanInputs<'_>, id: NodeId, key: &Key, snapshot: &Snapshot) -> Reason {
    let node = inputs.graph.node(id);
    let past = inputs.knowledge.past_results(inputs.config.task(node.task), &key.digest);
    match past.last {
        LastRun::Never => return Reason::FirstRun,
        LastRun::FailedWithThisKey => return Reason::FailedBefore,
        LastRun::NeverPassed => return Reason::NeverPassed,
        LastRun::Other => {}
    }
    let input_set = InputSet::new(inputs.config, inputs.graph, node);
    let now = Explanation::new(&key.fields, input_set.select(snapshot), inputs.mask);
    match past.nearest(&now, inputs.mask) {
        Some(mut changes) if !changes.is_empty() => {
            let more = changes.len().saturating_sub(LISTED_CHANGES);
            changes.truncate(LISTED_CHANGES);
            Reason::Changed { changes, more }
        }
        _ => Reason::NotStored,
    }
}

impl PastResults {
    /// Returns the differences from the most similar entry, which has the fewest.
    pub fn nearest(&self, now: &Explanation, mask: &Mask) -> Option<Vec<Change>> {
        self.entries.iter().map(|entry| now.changes_since(entry, mask)).min_by_key(Vec::len)
    }
}

/// Returns the key of a node all of whose needs are known.
fn key_of(
    inputs: &PlanInputs<'_>,
    id: NodeId,
    snapshot: &Snapshot,
    known: &(dyn Fn(NodeId) -> Option<Contribution> + Sync),
) -> Key {
    let node = inputs.graph.node(id);
    let task = inputs.config.task(node.task);
    let needs = node.sources.iter().map(|source| {
        let name = inputs.config.task(inputs.graph.node(*source).task).name.clone();
        (name, known(*source).unwrap_or(Contribution::Nothing))
    });
    let tools = task.tools.iter().map(|tool| {
        let output = inputs.probes.get(tool).and_then(|probe| probe.clone().ok());
        (tool.clone(), output.unwrap_or_default())
    });
    let services: Vec<&Service> = task.env.uses.iter().map(|id| inputs.config.service(*id)).collect();
    Key::new(&KeyInputs {
        task,
        args: inputs.args.filter(|(receiver, _)| *receiver == node.task).map_or(&[], |(_, args)| args),
        inputs: inputs.digests.get(&InputSet::new(inputs.config, inputs.graph, node), snapshot),
        variables: variables(&task.env.variables, &services, inputs.env),
        secrets: secrets(&task.env.variables, &services, inputs.env),
        tools: tools.collect(),
        needs: needs.collect(),
        services,
        platform: &inputs.platform.id,
        basis: inputs.gates.get(&node.task),
    })
}

/// Returns the declared variables that enter the key, sorted by name. The name of a variable of a service
/// says so.
fn variables(declared: &CommandVariables, services: &[&Service], env: &Env) -> Vec<(String, Option<String>)> {
    let set = declared.set.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
    let passed = |declared: &CommandVariables| {
        let keyed = declared.passed.iter().filter(|pass| pass.keyed);
        // The values of an env file are handled as secrets.
        let keyed = keyed
            .filter(|pass| env.var(&pass.name).is_some() || !declared.from_files.contains_key(&pass.name));
        keyed.map(|pass| (pass.name.clone(), value(env, &pass.name))).collect::<Vec<_>>()
    };
    let mut sorted: BTreeMap<String, Option<String>> = passed(declared).into_iter().chain(set).collect();
    for service in services {
        let name = |variable: &str| format!("{variable} of service {}", service.name);
        sorted.extend(
            passed(&service.env.variables).into_iter().map(|(variable, value)| (name(&variable), value)),
        );
    }
    sorted.into_iter().collect()
}

/// Returns all variables that a task gets from outside its definition.
pub fn passed_variables(declared: &CommandVariables, env: &Env) -> Vec<(String, Option<String>)> {
    let mut all = variables(declared, &[], env);
    all.extend(secrets(declared, &[], env));
    all
}

/// Returns the secrets that enter the key, and the values of env files.
fn secrets(declared: &CommandVariables, services: &[&Service], env: &Env) -> Vec<(String, Option<String>)> {
    let of = |declared: &CommandVariables| {
        // The caller's value takes precedence over the file's.
        let is_passed =
            |name: &String| declared.passed.iter().any(|pass| pass.name == *name) && env.var(name).is_some();
        let from_file = declared
            .from_files
            .iter()
            .filter(|(name, _)| !declared.secret.contains(name))
            .filter(|(name, _)| !is_passed(name));
        let from_file = from_file.map(|(name, value)| (name.clone(), Some(value.0.clone())));
        let secrets = declared.secret.iter().map(|name| (name.clone(), declared.value(env, name).map(text)));
        secrets.chain(from_file).collect::<Vec<_>>()
    };
    let mut all = of(declared);
    for service in services {
        let service_name = |name: String| format!("{name} of service {}", service.name);
        all.extend(of(&service.env.variables).into_iter().map(|(name, value)| (service_name(name), value)));
    }
    all
}

/// Returns a variable's value as text.
fn value(env: &Env, name: &str) -> Option<String> {
    env.var(name).map(text)
}

/// Returns a text that is different for different values, even if they are not UTF-8.
fn text(value: &OsStr) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    value.to_str().map_or_else(|| format!("bytes {}", value.as_bytes().escape_ascii()), str::to_owned)
}

/// The digests of the input sets of a graph. Each distinct set is computed once.
#[derive(Debug, Default)]
pub struct InputDigests<'a>(HashMap<InputSet<'a>, Digest>);

impl<'a> InputDigests<'a> {
    /// Computes the digests for all nodes that have a key.
    pub fn new(config: &'a Config, graph: &Graph, snapshot: &Snapshot) -> Self {
        let mut sets: Vec<InputSet<'a>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for node in &graph.nodes {
            let set = InputSet::new(config, graph, node);
            if !config.task(node.task).is_aggregate() && seen.insert(set.clone()) {
                sets.push(set);
            }
        }
        Self(
            sets.into_par_iter()
                .map(|set| {
                    let digest = set.digest(snapshot);
                    (set, digest)
                })
                .collect(),
        )
    }

    /// Returns the digest of a set. A set that is not in the table is computed from `snapshot`.
    pub fn get(&self, set: &InputSet<'_>, snapshot: &Snapshot) -> Digest {
        self.0.get(set).copied().unwrap_or_else(|| set.digest(snapshot))
    }
}
