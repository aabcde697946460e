//! A run of a plan, from its start to its summary.
//!
//! Read [`launch`] (makes a [`Run`] of a prepared plan), [`main_loop`], the pure [`scheduler`] that it
//! asks what starts when, and [`inbox`], where it hears from workers and of signals. [`emitter`] hands
//! events to reporters; [`manifest`] writes down what the run was.

pub mod emitter;
pub mod inbox;
pub mod launch;
pub mod main_loop;
pub mod manifest;
pub mod scheduler;
pub mod state;

use crate::effect::Warnings;
use crate::engine::context::{Conduct, Site};
use crate::engine::run::scheduler::OnFailure;
use crate::engine::services::Services;
use crate::engine::task::secrets::Secrets;
use crate::engine::watch::Watching;
use crate::event::{Gated, Level};
use crate::history::tasks::LazyHistory;
use crate::plan::{Plan, World};
use crate::shard::plan::ShardPlan;

/// A run that is ready to start.
pub struct Run<'a> {
    /// What the plan was made from.
    pub world: World<'a>,
    /// The plan.
    pub plan: &'a Plan,
    /// Where the run takes place.
    pub site: &'a Site<'a>,
    /// How it runs.
    pub conduct: &'a Conduct,
    /// What a failure means for the rest.
    pub on_failure: OnFailure,
    /// How long tasks took formerly.
    pub history: &'a LazyHistory,
    /// The names that were asked for.
    pub names: &'a [String],
    /// The tree's git id.
    pub tree: Option<String>,
    /// Which part of a larger plan it runs, if it is one.
    pub part: Option<&'a ShardPlan>,
    /// What hides secrets.
    pub secrets: &'a Secrets,
    /// What the reader has to know before the run.
    pub notices: Vec<(Level, String)>,
    /// Declarations of tasks.toml that have no effect here.
    pub warnings: &'a Warnings,
    /// The services that are up, and come up.
    pub services: &'a Services,
    /// What rounds share, if this is one of several; then services stay up behind it.
    pub watching: Option<&'a Watching>,
    /// What is gated, if the run answers a gate's question. Then it passes only if its tasks leave
    /// the tree as it is.
    pub gated: Option<Gated>,
}
