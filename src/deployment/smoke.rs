//! Runs the smoke tasks of an environment against a release, in the tree that the release was made from. It must
//! not know what follows from their result.

use crate::base::path::RepoPath;
use crate::config::deploy::{CheckFrom, Environment, HealthProbe};
use crate::config::model::Config;
use crate::deploy::plan::Plan;
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::step::{Step, StepOutcome};
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::event::Verdict;
use crate::gate::context::GateContext;
use crate::gate::definition;
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::Provision;
use crate::target::variables::fill;

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
    /// The address that the tasks get.
    pub url: Option<&'a str>,
}

/// Returns where smoke tasks reach a new release that the router does not send requests to yet: scheme, host and
/// port of the health check of the first role with a router, on its first host; `None` if that has no address of its
/// own for a slot, or is not one for this machine.
pub fn staged_url(release: &Release, plan: &Plan) -> Option<String> {
    let role = release.roles.iter().find(|role| role.traffic.is_some())?;
    let check = role.health_check.as_ref().filter(|check| check.from == CheckFrom::Here)?;
    let HealthProbe::Http(url) = &check.probe else { return None };
    let (scheme, rest) = url.split_once("://")?;
    let address = rest.split(['/', '?', '#']).next()?;
    let on = plan.steps().find_map(|planned| match &planned.step {
        Step::Start { on, release: started } if *started == release.id && on.role == role.name => Some(on),
        _ => None,
    })?;
    let of = |slot: Slot| {
        let port = role.ports.map(|ports| match slot {
            Slot::Blue => ports.blue,
            Slot::Green => ports.green,
        });
        let port = port.map(|port| port.to_string()).unwrap_or_default();
        fill(address, &[("slot", slot.name()), ("host", &on.host), ("port", &port)])
    };
    (of(on.slot) != of(on.slot.other())).then(|| format!("{scheme}://{}", of(on.slot)))
}

impl Smoke<'_> {
    /// Runs the tasks. They get the address as `URL` and the id as `RELEASE`.
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
            if let Some(url) = self.url {
                variables.insert("URL".to_owned(), url.to_owned());
            }
        }
        config
    }
}
