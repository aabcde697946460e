//! Preparing a plan: the snapshot, the probes, the cache and the history that it is made from. It
//! must not decide what is done with the plan.

pub mod knowledge;
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
use crate::effect::{self, Judged, Warnings};
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::knowledge::{NoHistory, StoredKnowledge};
use crate::engine::prepare::tool_probes::ProbeResults;
use crate::engine::report::baseline::{self, BaselineContext};
use crate::engine::run::emitter::write_warning;
use crate::engine::task::secrets::Secrets;
use crate::git::snapshot::Snapshot;
use crate::git::{GitError, WorkTreeReader};
use crate::graph::{Graph, Reach};
use crate::history::tasks::LazyHistory;
use crate::plan::{CachePolicy, InputDigests, Knowledge, Plan, PlanInputs, Platform};
use crate::process::mask::MaskError;
use crate::quality::Basis;
use crate::select::{SelectError, Selection};
use crate::shard::plan::ShardPlan;
use crate::warning;

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct Request {
    /// The names that were given.
    pub names: Vec<String>,
    /// Whether what they need is planned too.
    pub reach: Reach,
    /// Whether and how the cache is used.
    pub policy: CachePolicy,
    /// Arguments for the one task that is named.
    pub args: Vec<String>,
    /// These tasks alone, of those that the names stand for.
    pub tasks: Option<Vec<TaskId>>,
    /// What the reader has to know of this request.
    pub notes: Vec<String>,
}

impl Request {
    /// Returns the request for these names with all they need, from the cache where it can be.
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

/// Everything that a plan is made from.
pub struct Prepared<'a> {
    /// The tasks.
    pub config: &'a Config,
    /// Those that matter here.
    pub graph: Graph,
    /// The names that were given.
    pub names: Vec<String>,
    /// The tree.
    pub snapshot: Option<Snapshot>,
    /// The work tree, to be looked at again.
    pub reader: Option<WorkTreeReader>,
    /// The cache, and where it lies.
    pub store: Option<(PathBuf, Cache)>,
    /// What former runs left on record.
    pub history: LazyHistory,
    /// Why state can't be written, if that is known already.
    pub unwritten: Option<String>,
    /// Declarations of tasks.toml that have no effect here.
    pub warnings: Warnings,
    /// What the reader has to know of the request.
    pub notes: Vec<String>,
    /// What hides secrets.
    pub secrets: Secrets,
    /// Which part of a larger plan this is, if it is one.
    pub shard_plan: Option<ShardPlan>,
    /// Arguments from the command line, and the task that they are for.
    args: Option<(TaskId, Vec<String>)>,
    probes: ProbeResults,
    platform: Platform,
    policy: CachePolicy,
    root: Option<&'a Path>,
    gates: BTreeMap<TaskId, Basis>,
}

/// Why a plan can't be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Names that stand for nothing.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The tree can't be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Inputs of tasks match no file of the tree.
    #[error("tasks.toml is wrong for this tree")]
    NoInputs(Diagnostics),
    /// Secrets can't be hidden, so nothing is told of them.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

impl<'a> Prepared<'a> {
    /// Gathers what the plan of `request` is made from.
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
        let RunLocation { tree, root, env, .. } = location;
        let selection = Selection::of(config, &request.names)?;
        let args = match &*request.args {
            [] => None,
            args => Some((selection.receiver(config)?, args.to_vec())),
        };
        let selected = request.tasks.as_deref().unwrap_or(&selection.tasks);
        let graph = Graph::of(config, selected, request.reach);
        let secrets = Secrets::new(config, &graph, env)?;
        let (probes, reading) = rayon::join(
            || tool_probes::run_probes(config, &graph, env, root, run_id),
            || read_tree(location),
        );
        let reading = reading?;
        let warnings = match &reading.snapshot {
            // Also of what is not affected: it never will be.
            Some(snapshot) if request.tasks.is_some() && request.reach != Reach::Only => {
                let all = Graph::of(config, &selection.tasks, request.reach);
                check_effective(config, &all, snapshot, tree, root)?
            }
            Some(snapshot) => check_effective(config, &graph, snapshot, tree, root)?,
            None => Warnings::default(),
        };
        let open = |state| Cache::open(state, config.settings.cache_size, clock);
        let store = location.state.map(|state| (state.to_owned(), open(state)));
        let standing = BaselineContext {
            origin: location.origin,
            state: location.state,
            snapshot: reading.snapshot.as_ref(),
            now: clock.now(),
        };
        let gates = baseline::gate_bases(config, &graph, standing);
        let history = LazyHistory::new(store.as_ref().map(|(state, _)| state.clone()));
        Ok(Self {
            config,
            graph,
            names: selection.names,
            snapshot: reading.snapshot,
            reader: reading.reader,
            store,
            history,
            unwritten: reading.unwritten,
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

    /// What is known from former runs.
    pub fn knowledge(&self) -> Box<dyn Knowledge + '_> {
        match &self.store {
            Some((_, cache)) => Box::new(StoredKnowledge::new(cache, &self.history, self.root)),
            None => Box::new(NoHistory),
        }
    }

    /// The machine that it is planned for.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The digests of all input sets.
    pub fn digests(&self) -> InputDigests<'_> {
        match &self.snapshot {
            Some(snapshot) => InputDigests::new(self.config, &self.graph, snapshot),
            None => InputDigests::default(),
        }
    }

    /// All of it, as the plan takes it.
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
            probes: &self.probes,
            args: self.args.as_ref().map(|(task, args)| (*task, &**args)),
            platform: &self.platform,
            policy: self.policy,
            knowledge,
            gates: &self.gates,
            mask: &self.secrets.mask,
        }
    }

    /// Makes the plan and hands it to `use_it`, with what it was made from.
    pub fn plan<T>(&self, env: &Env, use_it: impl FnOnce(&PlanInputs<'_>, &Plan) -> T) -> T {
        let digests = self.digests();
        let knowledge = self.knowledge();
        let world = self.plan_inputs(env, &digests, &*knowledge);
        let plan = Plan::new(&world);
        use_it(&world, &plan)
    }
}

/// The declarations of a config that have no effect on a tree, the first of them.
///
/// # Errors
/// The inputs of a task match no file.
fn check_effective(
    config: &Config,
    graph: &Graph,
    snapshot: &Snapshot,
    tree: Tree<'_>,
    root: &Path,
) -> Result<Warnings, PrepareError> {
    let Judged { refused, warnings } = find_ineffective(config, graph, snapshot, tree, root, warning::LISTED);
    refused.map_or(Ok(warnings), |diagnostics| Err(PrepareError::NoInputs(diagnostics)))
}

/// What of a config has no effect on a tree, for the tasks of `graph`: patterns that match nothing, and
/// what nothing uses. At most `most` warnings are listed.
pub fn find_ineffective(
    config: &Config,
    graph: &Graph,
    snapshot: &Snapshot,
    tree: Tree<'_>,
    root: &Path,
    most: usize,
) -> Judged {
    let mut judged =
        effect::check(config, graph, snapshot, &TreeFacts { tree, absent: OnceCell::new(), root }, most);
    for warning in effect::unused(config) {
        if judged.warnings.listed.len() < most {
            judged.warnings.listed.push(warning);
        } else {
            judged.warnings.more += 1;
        }
    }
    judged
}

/// What is known of a tree besides its files.
struct TreeFacts<'a> {
    tree: Tree<'a>,
    /// The files that are not checked out.
    absent: OnceCell<Vec<RepoPath>>,
    root: &'a Path,
}

impl effect::Tree for TreeFacts<'_> {
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

/// What a look at the tree gave.
#[derive(Default)]
struct TreeReading {
    snapshot: Option<Snapshot>,
    reader: Option<WorkTreeReader>,
    unwritten: Option<String>,
}

fn read_tree(location: RunLocation<'_>) -> Result<TreeReading, GitError> {
    match location.tree {
        Tree::None => Ok(TreeReading::default()),
        Tree::Objects(repository, tree, filters) => Ok(TreeReading {
            snapshot: Some(repository.commit_snapshot(tree, filters)?),
            ..TreeReading::default()
        }),
        Tree::WorkDir(repository) => {
            let reader = WorkTreeReader::open(repository, location.state)?;
            let snapshot = reader.snapshot()?;
            // The next look takes longer; that is all that is lost.
            let unwritten = match reader.save() {
                Err(GitError::File(error)) => Some(write_warning(&error)),
                Err(error) => Some(format!("state can't be written: {error}")),
                Ok(()) => None,
            };
            Ok(TreeReading { snapshot: Some(snapshot), reader: Some(reader), unwritten })
        }
    }
}
