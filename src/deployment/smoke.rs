//! Runs the smoke tasks of an environment against a release, in the tree that the release was made from. It must
//! not know what follows from their result.

use crate::base::path::RepoPath;
use crate::config::deploy::Environment;
use crate::config::model::Config;
use crate::deploy::release::{Release, ReleaseId};
use crate::deploy::step::StepOutcome;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::event::Verdict;
use crate::gate::context::GateContext;
use crate::gate::definition;
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::Provision;

/// Runs the smoke tasks of an environment.
pub struct Smoke<'a> {
    /// What tasks are run with.
    pub context: &'a GateContext<'a>,
    /// The folders that may contain tasks.toml, the outermost first.
    pub folders: &'a [RepoPath],
    /// The environment.
    pub environment: &'a Environment,
    /// The release that is deployed.
    pub release: &'a Release,
}

impl Smoke<'_> {
    /// Runs the tasks. They get the address of the environment as `URL` and the id as `RELEASE`.
    pub fn run(&self, id: &ReleaseId) -> StepOutcome {
        match self.verdict(id) {
            Ok(Verdict::Passed | Verdict::Superseded) => StepOutcome::Done,
            Ok(Verdict::Failed) => StepOutcome::Failed { reason: "a smoke task failed".to_owned() },
            Ok(Verdict::Interrupted { .. }) => StepOutcome::Interrupted,
            Err(error) => StepOutcome::Failed { reason: format!("smoke tasks can't be run: {error}") },
        }
    }

    fn verdict(&self, id: &ReleaseId) -> Result<Verdict, GateError> {
        let Release { commit, tree, .. } = self.release;
        let what = commit.get(..7).unwrap_or(commit);
        let config = definition::load_config(self.context.repository, tree, self.folders, what)?;
        let Some(config) = config.map(|config| self.with_variables(config, id)) else {
            return Ok(Verdict::Failed);
        };
        let names = self.environment.smoke.iter().filter_map(|task| config.tasks.get(task.0));
        let request = Request::new(names.map(|task| task.name.clone()).collect());
        match self.context.provide(&config, tree, Some(commit))? {
            Provision::SetupFailed(verdict) => Ok(verdict),
            Provision::Ready(ready) => {
                let hold = ready.hold()?;
                let here = Tree::WorkDir(&ready.repository);
                let location = self.context.location(ready.worktree.path(), here, Some(commit));
                let access = self.context.access()?;
                let location = RunLocation { env: &ready.env, hold: Some(&hold), access, ..location };
                let run = self.context.new_run();
                let prepared = Prepared::load(&config, &request, location, self.context.clock, &run)?;
                let options = self.context.options(&run, &config);
                let emitter = self.context.observer.emitter(&run, &self.context.clock.restarted());
                let inbox = self.context.listen()?;
                let summary = prepared.plan(&ready.env, |inputs, plan| {
                    prepared.launch(inputs, plan, location, &options, &emitter, inbox)
                });
                self.context.release(&ready)?;
                Ok(summary.verdict)
            }
        }
    }

    /// The variables are part of the tasks' keys, so a result of another release is never used.
    fn with_variables(&self, mut config: Config, id: &ReleaseId) -> Config {
        for task in &self.environment.smoke {
            let Some(task) = config.tasks.get_mut(task.0) else { continue };
            let variables = &mut task.env.variables.set;
            variables.insert("RELEASE".to_owned(), id.0.clone());
            if let Some(url) = &self.environment.url {
                variables.insert("URL".to_owned(), url.clone());
            }
        }
        config
    }
}
