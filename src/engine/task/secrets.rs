//! The secrets of a run: masks their values in every log. This module must not store the values where they
//! could be printed.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::base::env::Env;
use crate::config::model::{CommandEnv, CommandVariables, Config};
use crate::engine::task::passed_variables;
use crate::graph::Graph;
use crate::process::secret_mask::{Mask, MaskError};

/// Masks the values of secrets, and finds them in outputs.
#[derive(Clone)]
pub struct Secrets {
    /// Masks the secrets of all tasks, even of those that are not run. A task may print a secret of another
    /// task, and the text that is printed about a task must not depend on which others run.
    pub mask: Arc<Mask>,
    /// Finds the secrets of the plan's tasks in what is to be stored.
    pub forbidden: Mask,
    /// The length in bytes of the longest form of a value that is searched for; 0 without secrets.
    pub longest: usize,
}

impl Secrets {
    /// Returns an empty set, for commands that run nothing.
    pub fn none() -> Self {
        Self { mask: Arc::new(Mask::default()), forbidden: Mask::default(), longest: 0 }
    }

    /// Returns the secrets of the tasks of `config` and of `graph`.
    ///
    /// # Errors
    /// The values are too long to be searched for.
    pub fn new(config: &Config, graph: &Graph, env: &Env) -> Result<Self, MaskError> {
        let services = config.services.iter().map(|service| &service.env);
        let setup = config.worktree.setup.iter().map(|setup| &setup.env);
        let mut all = values(config.tasks.iter().map(|task| &task.env).chain(services).chain(setup), env);
        all.extend(passed_variables::passwords(env).map(|password| password.as_bytes().to_vec()));
        let planned = || graph.nodes.iter().map(|node| &config.task(node.task).env);
        let used = planned().flat_map(|env| &env.uses).map(|id| &config.service(*id).env);
        let planned = values(planned().chain(used), env);
        // Base64 encodes three bytes as four, and there may be an incomplete group at each end.
        let longest = planned.iter().map(|value| value.len() * 2 + 4).max().unwrap_or(0);
        Ok(Self { mask: Arc::new(Mask::new(all)?), forbidden: Mask::new(planned)?, longest })
    }
}

/// Returns the values of the secrets of these tasks and services.
fn values<'t>(commands: impl Iterator<Item = &'t CommandEnv>, env: &Env) -> Vec<Vec<u8>> {
    let of =
        |declared: &'t CommandVariables| declared.secret.iter().filter_map(|name| declared.value(env, name));
    commands
        .flat_map(|command| of(&command.variables).map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>())
        .collect()
}
