//! A run of a plan, from its start to its summary.
//!
//! Read [`options`], [`launch`] (makes a [`Run`] from a prepared plan), [`main_loop`], the pure
//! [`scheduler`], which decides when each node starts, and [`inbox`], on which the main loop receives
//! outcomes and signals. [`workers`] are the threads that run nodes. [`emitter`] passes events to reporters. [`manifest`] writes the manifest of the run.

pub mod emitter;
pub mod inbox;
pub mod launch;
pub mod main_loop;
pub mod manifest;
pub mod options;
pub mod scheduler;
pub mod state;
pub mod workers;

use crate::config_lint::Warnings;
use crate::engine::location::RunLocation;
use crate::engine::location::Store;
use crate::engine::run::options::RunOptions;
use crate::engine::services::Services;
use crate::engine::task::secrets::Secrets;
use crate::history::tasks::LazyHistory;
use crate::plan::{Plan, PlanInputs};
use crate::shard::plan::ShardPlan;

/// A run that is ready to start.
pub struct Run<'a> {
    /// What the plan was made from.
    pub inputs: PlanInputs<'a>,
    /// The plan.
    pub plan: &'a Plan,
    /// Where the run takes place.
    pub location: RunLocation<'a>,
    /// The cache and the work tree of a repository; `None` outside one.
    pub store: Option<Store<'a>>,
    /// How the run is carried out.
    pub options: &'a RunOptions<'a>,
    /// How long tasks took in earlier runs.
    pub history: &'a LazyHistory,
    /// The names that were given on the command line.
    pub names: &'a [String],
    /// The tree's git id.
    pub tree: Option<String>,
    /// The shard of a plan that is run, if the plan was split.
    pub shard_plan: Option<&'a ShardPlan>,
    /// The secrets of the run.
    pub secrets: &'a Secrets,
    /// Notes for the reader that are printed before the run.
    pub notes: Vec<String>,
    /// Declarations of tasks.toml that have no effect on this tree.
    pub warnings: &'a Warnings,
    /// The running services, and those that the run starts.
    pub services: &'a Services,
}
