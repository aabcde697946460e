//! The secrets of a run: what hides their values in every log. It must not keep the values where
//! anything could print them.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use crate::config::model::Config;
use crate::graph::Graph;
use crate::ground::env::Env;
use crate::process::mask::{Mask, MaskError};

/// What hides the values of all secrets of all tasks of a run: one task may print another's.
#[derive(Clone)]
pub struct Secrets {
    /// Hides them.
    pub mask: Arc<Mask>,
    /// Bytes of the longest form of a value; none if there are no secrets.
    pub longest: usize,
}

impl Secrets {
    /// None, for who runs nothing.
    pub fn none() -> Self {
        Self { mask: Arc::new(Mask::default()), longest: 0 }
    }

    /// Of the tasks of `graph`.
    ///
    /// # Errors
    /// The values are too long to be searched for.
    pub fn of(config: &Config, graph: &Graph, env: &Env) -> Result<Self, MaskError> {
        let tasks = || graph.nodes.iter().map(|node| config.task(node.task));
        let services = tasks().flat_map(|task| &task.uses).map(|id| &config.service(*id).task);
        let values = tasks()
            .chain(services)
            .flat_map(|task| task.secret_env.iter().filter_map(|name| task.passed(env, name)));
        let values: Vec<Vec<u8>> = values.map(|value| value.as_bytes().to_vec()).collect();
        // Base64 makes four bytes of three, and a part of a group may stand at either end.
        let longest = values.iter().map(|value| value.len() * 2 + 4).max().unwrap_or(0);
        Ok(Self { mask: Arc::new(Mask::new(values)?), longest })
    }
}
