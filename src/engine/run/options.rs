//! The options of a run: how it is carried out.

use crate::engine::audit::collector::AuditCollector;
use crate::engine::run::scheduler::OnFailure;
use crate::engine::watch::WatchSession;
use crate::event::Gated;

/// How a run is carried out.
#[derive(Clone)]
pub struct RunOptions<'a> {
    /// The run's id.
    pub run_id: String,
    /// The number of job slots.
    pub jobs: u32,
    /// Whether other tasks still run after one has failed.
    pub on_failure: OnFailure,
    /// Whether results are stored.
    pub results: ResultMode<'a>,
    /// Whether an event is emitted for each line of output.
    pub streams: bool,
    /// Whether the logs of hits are read from the cache.
    pub wants_hit_logs: bool,
    /// The tree's id, if it is known already.
    pub tree_id: Option<&'a str>,
    /// What is gated, if a gate starts the run. Such a run passes only if its tasks do not change the tree.
    pub gated: Option<Gated>,
    /// What the runs of `watch` share, if this is one of them. Services then stay up after the run.
    pub watching: Option<&'a WatchSession>,
}

/// What is done with the results of a run.
#[derive(Clone, Copy, Debug)]
pub enum ResultMode<'a> {
    /// Results are stored and restored.
    Store,
    /// Nothing is stored, restored or locked.
    Discard,
    /// Each task is audited in a sandbox. Its audit is collected, and its result is not stored.
    Audit(&'a AuditCollector),
}

impl RunOptions<'_> {
    /// Returns the options of a run that stores results and ends at the first failure.
    pub fn new(run_id: &str, jobs: u32) -> Self {
        Self {
            run_id: run_id.to_owned(),
            jobs,
            on_failure: OnFailure::Stop,
            results: ResultMode::Store,
            streams: false,
            wants_hit_logs: false,
            tree_id: None,
            gated: None,
            watching: None,
        }
    }
}

impl<'a> RunOptions<'a> {
    /// Returns where audits are collected, if tasks are audited.
    pub fn audit_collector(&self) -> Option<&'a AuditCollector> {
        match self.results {
            ResultMode::Audit(collector) => Some(collector),
            ResultMode::Store | ResultMode::Discard => None,
        }
    }
}
