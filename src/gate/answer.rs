//! Answers a gate's question: from the stored results, or by running the tasks that have none.
//! This module must not print, and does not decide whether the push goes ahead.

use std::fs::File;
use std::path::Path;

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::config::hook_stage::Stage;
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::event::{Gated, Summary, Verdict};
use crate::gate::context::GateContext;
use crate::gate::definition;
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::Provision;
use crate::gate::prepare_worktree::setup_paths;
use crate::gate::probing;
use crate::gate::question::Question;
use crate::git::snapshot::Snapshot;
use crate::git::{Repository, Warmth, WorkTreeReader};
use crate::plan::{Decision, Plan, PlanInputs};

/// The answer to a question.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// The tree has no tasks.toml, so no task is required.
    NoConfig,
    /// The tree's tasks.toml names no tasks for the stage.
    NoTasks(Stage),
    /// A run ended, and its last event has reported the result. If all tasks had stored results, it ran
    /// none of them.
    Ran {
        /// The id of the run.
        run: String,
        /// The summary of the run.
        summary: Summary,
    },
    /// The setup of the private worktree didn't pass, so no task was run.
    SetupFailed(Verdict),
    /// A signal arrived before anything was run.
    Interrupted(i32),
}

impl Answer {
    /// Returns the verdict that follows from the answer.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NoConfig | Self::NoTasks(_) => Verdict::Passed,
            Self::Ran { summary, .. } => summary.verdict,
            Self::SetupFailed(verdict) => *verdict,
            Self::Interrupted(signal) => Verdict::Interrupted { signal: *signal },
        }
    }
}

/// A question, together with the config and the tasks that answer it.
struct PlannedQuestion<'a> {
    question: &'a Question,
    config: &'a Config,
    request: Request,
    /// Counts from the moment the question was asked.
    clock: Clock,
}

impl GateContext<'_> {
    /// Answers a question. tasks.toml is looked for in `folders`, which start with the outermost.
    ///
    /// # Errors
    /// Fails if the tree, its tasks.toml or the cache can't be read, or if the tree can't be checked out.
    pub fn answer(&self, question: &Question, folders: &[RepoPath]) -> Result<Answer, GateError> {
        let config = definition::load_config(self.repository, &question.tree, folders, &question.what)?;
        let Some(config) = config else { return Ok(Answer::NoConfig) };
        let Some(case) = PlannedQuestion::new(question, &config, &self.clock.restarted()) else {
            return Ok(Answer::NoTasks(question.stages.first().copied().unwrap_or(Stage::PRE_PUSH)));
        };
        match self.stored_answer(&case)? {
            StoredAnswer::Found(answer) => Ok(answer),
            StoredAnswer::Missing(tree) => self.run_missing(&case, &tree),
        }
    }

    /// Returns the location of a plan that reads the tree from git's objects.
    fn objects_location<'c>(&'c self, case: &'c PlannedQuestion<'_>) -> RunLocation<'c> {
        let tree = Tree::Objects(self.repository, &case.question.tree, &case.config.worktree.filters);
        self.location(self.repository.work_dir(), tree, case.question.commit.as_deref())
    }

    /// Returns the answer if every task is known to have passed, and otherwise the snapshot of the tree.
    /// Nothing is checked out.
    fn stored_answer(&self, case: &PlannedQuestion<'_>) -> Result<StoredAnswer, GateError> {
        let run = self.new_run();
        let root = self.repository.work_dir();
        let location = self.objects_location(case);
        let prepared = Prepared::load(case.config, &case.request, location, self.clock, &run)?;
        let holds = match &prepared.snapshot {
            Some(snapshot) => {
                let (graph, tree) = (&prepared.graph, &case.question.tree);
                let probes = &prepared.probes;
                probing::probes_are_valid(self.repository, root, case.config, graph, tree, snapshot, probes)?
            }
            None => false,
        };
        // The same plan is checked and then executed. A second plan might have to run a task, and the task
        // would run in the user's work tree.
        let options = RunOptions { results: ResultMode::Discard, ..self.options(&run, case.config) };
        let known = prepared.plan(self.env, |plan_inputs, plan| {
            let is_known = holds && has_nothing_to_run(plan);
            is_known.then(|| self.run(case, &prepared, plan_inputs, plan, location, options)).transpose()
        })?;
        Ok(match known {
            Some(answer) => StoredAnswer::Found(answer),
            None => StoredAnswer::Missing(prepared.snapshot.unwrap_or_default()),
        })
    }

    /// Runs the missing tasks: in the user's work tree if it has exactly the files of the tree, and otherwise,
    /// or if one of these files changes meanwhile, in a private worktree.
    fn run_missing(&self, case: &PlannedQuestion<'_>, tree: &Snapshot) -> Result<Answer, GateError> {
        if let Some(signal) = self.inbox.signalled() {
            return Ok(Answer::Interrupted(signal));
        }
        let may_be_in_place = self.warmth == Warmth::Warm && !case.config.worktree.always_private;
        if may_be_in_place
            && self.has_what_the_setup_makes(case.config)
            && self.is_work_tree(tree)?
            && let Some(answer) = self.run_in_place(case, tree)?
        {
            return Ok(answer);
        }
        let provided = self.provide(case.config, &case.question.tree, case.question.commit.as_deref());
        if let Some(signal) = self.inbox.signalled() {
            // Ctrl-C in the terminal also stops the git process of the checkout. Its failure isn't reported.
            return Ok(Answer::Interrupted(signal));
        }
        match provided? {
            Provision::SetupFailed(verdict) => Ok(Answer::SetupFailed(verdict)),
            Provision::Ready(ready) => {
                let hold = ready.hold()?;
                let root = ready.worktree.path();
                let answer = self.run_in(root, &ready.repository, &ready.env, case, tree, Some(&hold))?;
                self.release(&ready)?;
                Ok(answer)
            }
        }
    }

    /// Returns whether the user's work tree has the ignored paths that the setup makes in a private worktree.
    fn has_what_the_setup_makes(&self, config: &Config) -> bool {
        let Some(setup) = &config.worktree.setup else { return true };
        setup_paths::exist(self.state, setup, self.repository.work_dir())
    }

    fn is_work_tree(&self, tree: &Snapshot) -> Result<bool, GateError> {
        let reader = WorkTreeReader::open(self.repository, Some(self.state))?;
        let here = reader.snapshot()?;
        // In a sparse checkout, some files are missing on the disk, so the tree can't be tested here.
        let is_whole = !here.entries().iter().any(|entry| entry.not_checked_out);
        Ok(is_whole && here.digest() == tree.digest())
    }

    /// Runs the missing tasks in the user's work tree. Returns `None` if it no longer has, or did not have at
    /// all times, exactly the files of the tree.
    fn run_in_place(&self, case: &PlannedQuestion<'_>, tree: &Snapshot) -> Result<Option<Answer>, GateError> {
        let root = self.repository.work_dir();
        match self.run_in(root, self.repository, self.env, case, tree, None) {
            Err(GateError::TreeModified { .. })
            | Ok(Answer::Ran { summary: Summary { verdict: Verdict::Superseded, .. }, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn run_in(
        &self,
        root: &Path,
        repository: &Repository,
        env: &Env,
        case: &PlannedQuestion<'_>,
        tree: &Snapshot,
        hold: Option<&File>,
    ) -> Result<Answer, GateError> {
        let run = self.new_run();
        let in_place = hold.is_none();
        // Opened files are only watched if tasks run in a private worktree: otherwise they run in the user's.
        let access = hold.map_or(Ok(None), |_| self.access())?;
        let tree_here = Tree::WorkDir(repository);
        let location = self.location(root, tree_here, case.question.commit.as_deref());
        let location = RunLocation { env, hold, access, ..location };
        let prepared = Prepared::load(case.config, &case.request, location, self.clock, &run)?;
        if let Some(what) = prepared.snapshot.as_ref().and_then(|here| tree.first_difference(here)) {
            return Err(GateError::TreeModified { what });
        }
        let gated = Gated { in_place, ..case.gated() };
        let options = RunOptions { gated: Some(gated), ..self.options(&run, case.config) };
        prepared
            .plan(env, |plan_inputs, plan| self.run(case, &prepared, plan_inputs, plan, location, options))
    }

    fn run(
        &self,
        case: &PlannedQuestion<'_>,
        prepared: &Prepared<'_>,
        plan_inputs: &PlanInputs<'_>,
        plan: &Plan,
        location: RunLocation<'_>,
        options: RunOptions<'_>,
    ) -> Result<Answer, GateError> {
        if let Some(signal) = self.inbox.signalled() {
            return Ok(Answer::Interrupted(signal));
        }
        let gated = options.gated.unwrap_or_else(|| case.gated());
        let options = RunOptions { tree_id: Some(&case.question.tree), gated: Some(gated), ..options };
        let emitter = self.observer.emitter(&options.run_id, &case.clock);
        let summary = prepared.launch(plan_inputs, plan, location, &options, &emitter, self.listen()?);
        Ok(Answer::Ran { run: options.run_id, summary })
    }
}

impl<'a> PlannedQuestion<'a> {
    /// Creates the case, or returns `None` if tasks.toml names no tasks for any of the question's stages.
    fn new(question: &'a Question, config: &'a Config, clock: &Clock) -> Option<Self> {
        let named = question.stages.iter().filter_map(|stage| config.hooks.get(stage));
        let names = match &*question.names {
            [] => named.into_iter().find(|names| !names.is_empty())?.clone(),
            names => names.to_vec(),
        };
        Some(Self { question, config, request: Request::new(names), clock: clock.clone() })
    }

    /// Returns what the events of a run say about the question.
    fn gated(&self) -> Gated {
        Gated { name: self.question.what.clone(), refs: self.question.refs.clone(), in_place: false }
    }
}

/// The result of planning from git's objects.
enum StoredAnswer {
    Found(Answer),
    /// At least one task has to be run. Contains the snapshot of the tree.
    Missing(Snapshot),
}

/// Returns whether a plan has nothing left to run.
fn has_nothing_to_run(plan: &Plan) -> bool {
    plan.nodes.iter().all(|node| {
        matches!(
            node.decision,
            Decision::Hit(_) | Decision::Skip(_) | Decision::Aggregate | Decision::Context
        )
    })
}
