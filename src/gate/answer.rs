//! The answer to a gate's question: known from former runs, or found out by running what is missing.
//! It must not print, nor say what becomes of the push.

use crate::config::model::Config;
use crate::config::stage::Stage;
use crate::engine::launch::Launch;
use crate::engine::prepare::{Prepared, Request, Tree};
use crate::engine::scheduler::OnFailure;
use crate::engine::secrets::Secrets;
use crate::event::{Gated, Summary, Verdict};
use crate::gate::definition;
use crate::gate::error::GateError;
use crate::gate::host::Host;
use crate::gate::probing;
use crate::gate::provision::Provision;
use crate::gate::question::Question;
use crate::git::snapshot::{Snapshot, digest};
use crate::git::{Repository, WorkTreeReader};
use crate::graph::Reach;
use crate::ground::path::RepoPath;
use crate::plan::{CachePolicy, Decision, Plan};

/// What became of a question.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// The tree has no tasks.toml, so nothing is asked of it.
    NoConfig,
    /// Its tasks.toml names no tasks for the stage.
    NoTasks(Stage),
    /// All tasks were run or known; the run's last event has told so.
    Ran {
        /// The run's id.
        run: String,
        /// Its figures.
        summary: Summary,
    },
    /// The setup of the private worktree did not pass, so no task was run.
    SetupFailed(Verdict),
    /// A signal came before anything was run.
    Interrupted(i32),
}

impl Answer {
    /// What it means for whoever asked.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::NoConfig | Self::NoTasks(_) => Verdict::Passed,
            Self::Ran { summary, .. } => summary.verdict,
            Self::SetupFailed(verdict) => *verdict,
            Self::Interrupted(signal) => Verdict::Interrupted { signal: *signal },
        }
    }
}

/// A question with the tasks.toml that it is answered by.
struct Case<'a> {
    question: &'a Question,
    config: &'a Config,
    request: Request,
}

impl Host<'_> {
    /// Answers a question. `folders` are those in which a tasks.toml counts, the outermost first.
    ///
    /// # Errors
    /// The tree, its tasks.toml or the cache can't be read, or the tree can't be checked out.
    pub fn answer(&self, question: &Question, folders: &[RepoPath]) -> Result<Answer, GateError> {
        let config = definition::of_tree(self.repository, &question.tree, folders, &question.what)?;
        let Some(config) = config else { return Ok(Answer::NoConfig) };
        let named = |stage: &&Stage| config.hooks.get(*stage).is_some_and(|names| !names.is_empty());
        let Some(stage) = question.stages.iter().find(named) else {
            return Ok(Answer::NoTasks(question.stages.first().copied().unwrap_or(Stage::PRE_PUSH)));
        };
        let request = Request {
            names: config.hooks.get(stage).cloned().unwrap_or_default(),
            reach: Reach::WithNeeds,
            policy: CachePolicy::Use,
            args: Vec::new(),
        };
        let case = Case { question, config: &config, request };
        match self.known(&case)? {
            Known::Answer(answer) => Ok(answer),
            Known::Not(tree) => self.find_out(&case, &tree),
        }
    }

    /// The answer, if every task is known to have passed; nothing is checked out for it.
    fn known(&self, case: &Case<'_>) -> Result<Known, GateError> {
        let run = self.new_run();
        let root = self.repository.work_dir();
        let tree = Tree::Objects(self.repository, &case.question.tree, &case.config.worktree.filters);
        let prepared = Prepared::gather(case.config, &case.request, tree, self.place(root, &run))?;
        let holds = match &prepared.snapshot {
            Some(snapshot) => {
                let graph = (case.config, &prepared.graph);
                probing::holds(self.repository, root, graph, (&case.question.tree, snapshot))?
            }
            None => false,
        };
        if !holds || !prepared.plan(self.env, |_, plan| is_known(plan)) {
            return Ok(Known::Not(prepared.snapshot.unwrap_or_default()));
        }
        if let Some(signal) = self.inbox.signalled() {
            return Ok(Known::Answer(Answer::Interrupted(signal)));
        }
        self.perform(case, &prepared, (root, None, &run)).map(Known::Answer)
    }

    /// Runs what is missing: in the user's work tree if it is just the staged tree, and otherwise in
    /// a private worktree.
    fn find_out(&self, case: &Case<'_>, tree: &Snapshot) -> Result<Answer, GateError> {
        if let Some(signal) = self.inbox.signalled() {
            return Ok(Answer::Interrupted(signal));
        }
        if case.question.is_staged() && self.is_work_tree(tree)? {
            let root = self.repository.work_dir();
            return self.run_in((root, self.repository), case, (tree, None));
        }
        let wanted = (&*case.question.tree, case.question.commit.as_deref());
        let provided = self.provide(case.config, wanted);
        if let Some(signal) = self.inbox.signalled() {
            // The terminal's Ctrl-C also ends the git that checks out; that is no error of its own.
            return Ok(Answer::Interrupted(signal));
        }
        match provided? {
            Provision::SetupFailed(verdict) => Ok(Answer::SetupFailed(verdict)),
            Provision::Ready(ready) => {
                let hold = ready.hold()?;
                self.run_in((ready.worktree.path(), &ready.repository), case, (tree, Some(&hold)))
            }
        }
    }

    fn is_work_tree(&self, tree: &Snapshot) -> Result<bool, GateError> {
        let reader = WorkTreeReader::open(self.repository, Some(self.state))?;
        Ok(digest(reader.snapshot()?.entries()) == digest(tree.entries()))
    }

    fn run_in(
        &self,
        (root, repository): (&std::path::Path, &Repository),
        case: &Case<'_>,
        (tree, hold): (&Snapshot, Option<&std::fs::File>),
    ) -> Result<Answer, GateError> {
        let run = self.new_run();
        let place = self.place(root, &run);
        let prepared = Prepared::gather(case.config, &case.request, Tree::WorkDir(repository), place)?;
        if let Some(what) = prepared.snapshot.as_ref().and_then(|here| tree.difference(here)) {
            return Err(GateError::Altered { what });
        }
        self.perform(case, &prepared, (root, hold, &run))
    }

    fn perform(
        &self,
        case: &Case<'_>,
        prepared: &Prepared<'_>,
        (root, hold, run): (&std::path::Path, Option<&std::fs::File>, &str),
    ) -> Result<Answer, GateError> {
        let secrets = Secrets::of(case.config, &prepared.graph, self.env)?;
        let conduct = self.conduct(run, case.config);
        let gated = Gated { what: case.question.what.clone(), refs: case.question.refs.clone() };
        let launch = Launch {
            root,
            env: self.env,
            conduct: &conduct,
            on_failure: OnFailure::Stop,
            tree: Some(&case.question.tree),
            gated: Some(gated),
            hold,
            knowledge: None,
        };
        let emitter = self.audience.emitter(run);
        let summary = prepared.launch(&launch, &secrets, (&emitter, self.inbox));
        Ok(Answer::Ran { run: run.to_owned(), summary })
    }
}

/// What a plan from objects came to.
enum Known {
    Answer(Answer),
    /// Something has to be run; the tree.
    Not(Snapshot),
}

/// Whether a plan has nothing left to run.
fn is_known(plan: &Plan) -> bool {
    plan.nodes.iter().all(|node| {
        matches!(node.decision, Decision::Hit(_) | Decision::Skip(_) | Decision::Gathers | Decision::Context)
    })
}
