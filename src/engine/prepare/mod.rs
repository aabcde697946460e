//! Prepares a plan: reads the snapshot, runs the probes, and opens the cache and the history.
//!
//! Read [`Prepared`], then [`tool_probes`] (the versions of tools), `remembered_probes` (which of them earlier
//! runs remembered), `probe_evidence` (what they depend on; pure), [`past_runs`] (what earlier runs stored) and
//! [`sharding`] (one shard of a plan). This module must not decide what is done with the plan.

pub mod past_runs;
pub mod probe_command;
pub mod probe_evidence;
pub mod remembered_probes;
pub mod sharding;
pub mod tool_probes;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::base::pattern::Pattern;
use crate::cache::Cache;
use crate::config::diagnostic::Diagnostics;
use crate::config::model::{Config, TaskId};
use crate::config_lint::{self, EffectReport, Warnings};
use crate::config_warning;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::past_runs::{NoHistory, StoredKnowledge};
use crate::engine::prepare::probe_command::ProbeContext;
use crate::engine::prepare::tool_probes::Probes;
use crate::engine::report::baseline::{self, BaselineContext};
use crate::engine::run::emitter::write_warning;
use crate::engine::task::secrets::Secrets;
use crate::git::snapshot::Snapshot;
use crate::git::{GitError, Repository, WorkTreeReader};
use crate::graph::{Graph, Reach};
use crate::history::tasks::LazyHistory;
use crate::plan::{CachePolicy, InputDigests, Knowledge, Plan, PlanInputs, Platform};
use crate::process::secret_mask::MaskError;
use crate::quality::JudgingContext;
use crate::select::{SelectError, Selection};
use crate::shard::plan::ShardPlan;

/// A request for a plan.
#[derive(Clone, Debug)]
pub struct Request {
    /// The names that were given.
    pub names: Vec<String>,
    /// Whether the tasks that they need are planned too.
    pub reach: Reach,
    /// Whether and how the cache is used.
    pub policy: CachePolicy,
    /// Arguments for the only task that is named.
    pub args: Vec<String>,
    /// If set, only these of the tasks that the names select.
    pub tasks: Option<Vec<TaskId>>,
    /// Notes for the reader about this request.
    pub notes: Vec<String>,
}

impl Request {
    /// Returns the request for these names and all their needs, with results from the cache.
    pub fn new(names: Vec<String>) -> Self {
        Self {
            names,
            reach: Reach::WithNeeds,
            policy: CachePolicy::Use,
            args: Vec::new(),
            tasks: None,
            notes: Vec::new(),
        }
    }
}

/// Everything that a plan is made from. This type owns the data that [`PlanInputs`] borrows.
pub struct Prepared<'a> {
    /// The tasks.
    pub config: &'a Config,
    /// The tasks of the plan and their needs.
    pub graph: Graph,
    /// The names that were given.
    pub names: Vec<String>,
    /// The tree.
    pub snapshot: Option<Snapshot>,
    /// The reader of the work tree, with which it is read again.
    pub reader: Option<WorkTreeReader>,
    /// The state directory and its cache.
    pub store: Option<(PathBuf, Cache)>,
    /// The history of earlier runs.
    pub history: LazyHistory,
    /// A warning that state can't be written, if that is known already.
    pub write_warning: Option<String>,
    /// Declarations of tasks.toml that have no effect on this tree.
    pub warnings: Warnings,
    /// Notes for the reader about the request.
    pub notes: Vec<String>,
    /// The secrets of the tasks.
    pub secrets: Secrets,
    /// The shard that is planned, if the plan is split.
    pub shard_plan: Option<ShardPlan>,
    /// Arguments from the command line, and the task that they are for.
    args: Option<(TaskId, Vec<String>)>,
    /// The answers of tool probes.
    pub probes: Probes,
    platform: Platform,
    policy: CachePolicy,
    root: Option<&'a Path>,
    gates: BTreeMap<TaskId, JudgingContext>,
}

/// Why a plan can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Names that select nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The tree can't be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Inputs of tasks match no file of the tree.
    #[error("tasks.toml is invalid for this tree")]
    NoInputs(Diagnostics),
    /// Secrets can't be masked.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

impl<'a> Prepared<'a> {
    /// Loads everything that the plan of `request` is made from.
    ///
    /// # Errors
    /// A name is unknown, the tree can't be read, or inputs of a task match no file of it.
    pub fn load(
        config: &'a Config,
        request: &Request,
        location: RunLocation<'a>,
        clock: &Clock,
        run_id: &str,
    ) -> Result<Self, PrepareError> {
        Self::load_with(None, config, request, location, clock, run_id)
    }

    /// Does the same with a tree that was read already, if there is one. Otherwise it is read, and meanwhile is done
    /// what needs no tree.
    ///
    /// # Errors
    /// Likewise.
    pub fn load_with(
        reading: Option<Result<TreeReading, GitError>>,
        config: &'a Config,
        request: &Request,
        location: RunLocation<'a>,
        clock: &Clock,
        run_id: &str,
    ) -> Result<Self, PrepareError> {
        let RunLocation { tree, root, env, .. } = location;
        let selection = Selection::from_names(config, &request.names)?;
        let args = match &*request.args {
            [] => None,
            args => Some((selection.receiver(config)?, args.to_vec())),
        };
        let selected = request.tasks.as_deref().unwrap_or(&selection.tasks);
        let (planned, reading) = rayon::join(
            || {
                let graph = Graph::new(config, selected, request.reach);
                let secrets = Secrets::new(config, &graph, env)?;
                let (state, policy, run) = (location.state, request.policy, run_id);
                let context = ProbeContext { config, graph: &graph, env, root, state, policy, clock, run };
                let probes = tool_probes::answer_probes(context);
                Ok::<_, MaskError>((graph, secrets, probes))
            },
            || reading.unwrap_or_else(|| read_tree(location)),
        );
        let ((graph, secrets, probes), reading) = (planned?, reading?);
        let warnings = match &reading.snapshot {
            // Tasks that are not affected are checked too: a pattern that matches nothing is never affected.
            Some(snapshot) if request.tasks.is_some() && request.reach != Reach::Only => {
                let all = Graph::new(config, &selection.tasks, request.reach);
                check_patterns(config, &all, snapshot, tree, root)?
            }
            Some(snapshot) => check_patterns(config, &graph, snapshot, tree, root)?,
            None => Warnings::default(),
        };
        let open = |state| Cache::open(state, config.settings.cache_size, clock);
        let store = location.state.map(|state| (state.to_owned(), open(state)));
        let baseline_context = BaselineContext {
            origin: location.origin,
            state: location.state,
            snapshot: reading.snapshot.as_ref(),
            now: clock.now(),
        };
        let gates = baseline::gate_bases(config, &graph, baseline_context);
        let history = LazyHistory::new(store.as_ref().map(|(state, _)| state.clone()));
        Ok(Self {
            config,
            graph,
            names: selection.names,
            snapshot: reading.snapshot,
            reader: reading.reader,
            store,
            history,
            write_warning: reading.write_warning.or_else(|| probes.write_warning.clone()),
            warnings,
            notes: request.notes.iter().map(|note| secrets.mask.text(note)).collect(),
            secrets,
            shard_plan: None,
            args,
            probes,
            platform: Platform::here(),
            policy: request.policy,
            root: matches!(tree, Tree::WorkDir(_)).then_some(root),
            gates,
        })
    }

    /// Returns what is known from earlier runs.
    pub fn knowledge(&self) -> Box<dyn Knowledge + '_> {
        match &self.store {
            Some((_, cache)) => Box::new(StoredKnowledge::new(cache, &self.history, self.root)),
            None => Box::new(NoHistory),
        }
    }

    /// Returns the machine that the plan is for.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Returns the digests of all input sets.
    pub fn digests(&self) -> InputDigests<'_> {
        match &self.snapshot {
            Some(snapshot) => InputDigests::new(self.config, &self.graph, snapshot),
            None => InputDigests::default(),
        }
    }

    /// Returns the inputs of the plan.
    pub fn plan_inputs<'w>(
        &'w self,
        env: &'w Env,
        digests: &'w InputDigests<'w>,
        knowledge: &'w dyn Knowledge,
    ) -> PlanInputs<'w> {
        PlanInputs {
            config: self.config,
            graph: &self.graph,
            snapshot: self.snapshot.as_ref(),
            digests,
            env,
            probes: &self.probes.results,
            args: self.args.as_ref().map(|(task, args)| (*task, &**args)),
            platform: &self.platform,
            policy: self.policy,
            knowledge,
            gates: &self.gates,
            mask: &self.secrets.mask,
        }
    }

    /// Makes the plan and calls `use_it` with its inputs and the plan.
    pub fn plan<T>(&self, env: &Env, use_it: impl FnOnce(&PlanInputs<'_>, &Plan) -> T) -> T {
        let digests = self.digests();
        let knowledge = self.knowledge();
        let plan_inputs = self.plan_inputs(env, &digests, &*knowledge);
        let plan = Plan::new(&plan_inputs);
        use_it(&plan_inputs, &plan)
    }
}

/// Returns the first declarations of a config that have no effect on a tree.
///
/// # Errors
/// The inputs of a task match no file.
fn check_patterns(
    config: &Config,
    graph: &Graph,
    snapshot: &Snapshot,
    tree: Tree<'_>,
    root: &Path,
) -> Result<Warnings, PrepareError> {
    let EffectReport { refused, warnings } =
        find_ineffective(config, graph, snapshot, tree, root, config_warning::LISTED);
    refused.map_or(Ok(warnings), |diagnostics| Err(PrepareError::NoInputs(diagnostics)))
}

/// Returns the parts of a config that have no effect on a tree, for the tasks of `graph`: patterns that match
/// nothing, and definitions that nothing uses. At most `most` warnings are listed.
pub fn find_ineffective(
    config: &Config,
    graph: &Graph,
    snapshot: &Snapshot,
    tree: Tree<'_>,
    root: &Path,
    most: usize,
) -> EffectReport {
    let mut judged =
        config_lint::check(config, graph, snapshot, &TreeFacts { tree, absent: OnceCell::new(), root }, most);
    for warning in config_lint::unused(config) {
        if judged.warnings.listed.len() < most {
            judged.warnings.listed.push(warning);
        } else {
            judged.warnings.more += 1;
        }
    }
    judged
}

/// What is known about a tree besides its files.
struct TreeFacts<'a> {
    tree: Tree<'a>,
    /// The files that are not checked out.
    absent: OnceCell<Vec<RepoPath>>,
    root: &'a Path,
}

impl config_lint::TreeLookup for TreeFacts<'_> {
    fn ignores(&self, path: &RepoPath) -> bool {
        self.tree.repository().is_some_and(|repository| repository.ignores(path))
    }

    fn link(&self, path: &RepoPath) -> Option<String> {
        match self.tree {
            Tree::Objects(repository, tree, _) => {
                String::from_utf8(repository.read_file(tree, path).ok()??).ok()
            }
            _ => std::fs::read_link(path.under(self.root)).ok()?.into_os_string().into_string().ok(),
        }
    }

    fn is_absent(&self, pattern: &Pattern) -> bool {
        let Tree::WorkDir(repository) = self.tree else { return false };
        self.absent.get_or_init(|| repository.not_checked_out()).iter().any(|path| pattern.matches(path))
    }

    fn root(&self) -> Option<String> {
        self.root.to_str().map(str::to_owned)
    }
}

/// The result of reading a tree.
#[derive(Default)]
pub struct TreeReading {
    snapshot: Option<Snapshot>,
    reader: Option<WorkTreeReader>,
    write_warning: Option<String>,
}

fn read_tree(location: RunLocation<'_>) -> Result<TreeReading, GitError> {
    match location.tree {
        Tree::None => Ok(TreeReading::default()),
        Tree::Objects(repository, tree, filters) => Ok(TreeReading {
            snapshot: Some(repository.commit_snapshot(tree, filters)?),
            ..TreeReading::default()
        }),
        Tree::WorkDir(repository) => TreeReading::of_work_tree(repository, location.state),
    }
}

impl TreeReading {
    /// Reads the work tree of a repository.
    ///
    /// # Errors
    /// It can't be read.
    pub fn of_work_tree(repository: &Repository, state: Option<&Path>) -> Result<Self, GitError> {
        let reader = WorkTreeReader::open(repository, state)?;
        let snapshot = reader.snapshot()?;
        // The only loss is that the next reading takes longer.
        let unwritten = match reader.save() {
            Err(GitError::File(error)) => Some(write_warning(&error)),
            Err(error) => Some(format!("state can't be written: {error}")),
            Ok(()) => None,
        };
        Ok(Self { snapshot: Some(snapshot), reader: Some(reader), write_warning: unwritten })
    }
}
