//! The secrets of a run: what hides their values in every log. It must not keep the values where
//! anything could print them.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::base::env::Env;
use crate::config::model::{Config, Task};
use crate::graph::Graph;
use crate::process::mask::{Mask, MaskError};

/// What hides the values of secrets.
#[derive(Clone)]
pub struct Secrets {
    /// Hides those of all tasks, whether they are run or not: one task may print another's, and what
    /// is told of a task must not depend on what it is run with.
    pub mask: Arc<Mask>,
    /// Finds those of the tasks of the plan in what is to be stored.
    pub forbidden: Mask,
    /// Bytes of the longest form of a value that it finds; none if there are no secrets.
    pub longest: usize,
}

impl Secrets {
    /// None, for who runs nothing.
    pub fn none() -> Self {
        Self { mask: Arc::new(Mask::default()), forbidden: Mask::default(), longest: 0 }
    }

    /// Those of the tasks of `config`, and of `graph` among them.
    ///
    /// # Errors
    /// The values are too long to be searched for.
    pub fn new(config: &Config, graph: &Graph, env: &Env) -> Result<Self, MaskError> {
        let services = config.services.iter().map(|service| &service.task);
        let setup = config.worktree.setup.as_deref();
        let all = values(config.tasks.iter().chain(services).chain(setup), env);
        let planned = || graph.nodes.iter().map(|node| config.task(node.task));
        let used = planned().flat_map(|task| &task.uses).map(|id| &config.service(*id).task);
        let planned = values(planned().chain(used), env);
        // Base64 makes four bytes of three, and a part of a group may stand at either end.
        let longest = planned.iter().map(|value| value.len() * 2 + 4).max().unwrap_or(0);
        Ok(Self { mask: Arc::new(Mask::new(all)?), forbidden: Mask::new(planned)?, longest })
    }
}

/// The values of the secrets of these tasks.
fn values<'t>(tasks: impl Iterator<Item = &'t Task>, env: &Env) -> Vec<Vec<u8>> {
    let of = |task: &'t Task| task.secret_env.iter().filter_map(|name| task.passed(env, name));
    tasks.flat_map(|task| of(task).map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>()).collect()
}
