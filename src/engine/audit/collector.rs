//! The audits of a run: which tasks are audited, and what was found for each.

use std::sync::{Mutex, PoisonError};

use open_trace::Doubt;

use crate::config::model::{Config, TaskId};
use crate::engine::audit::findings::AuditFindings;
use crate::graph::{Graph, Reach};

/// The audit of one task.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The task.
    pub task: TaskId,
    /// Why the trace may be incomplete; empty if it is complete.
    pub doubts: Vec<Doubt>,
    /// What was found.
    pub findings: AuditFindings,
    /// How many files the task declares.
    pub inputs: usize,
}

/// Collects the audits of all workers.
#[derive(Debug, Default)]
pub struct AuditCollector(Mutex<Vec<Audit>>);

impl AuditCollector {
    /// Adds an audit.
    pub fn add(&self, audit: Audit) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(audit);
    }

    /// Returns all audits, in no particular order.
    pub fn into_audits(self) -> Vec<Audit> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the tasks to audit: of the selected tasks, those with a command, and in place of aggregates the
/// tasks that they need.
pub fn audited_tasks(config: &Config, selected: &[TaskId]) -> Vec<TaskId> {
    let graph = Graph::new(config, selected, Reach::WithNeeds);
    let mut tasks: Vec<TaskId> = Vec::new();
    for node in graph.nodes.iter().filter(|node| selected.contains(&node.task)) {
        if config.task(node.task).is_aggregate() {
            tasks.extend(node.sources.iter().map(|source| graph.node(*source).task));
        } else {
            tasks.push(node.task);
        }
    }
    // A gate opens only the reports of its tasks.
    tasks.retain(|task| !config.task(*task).is_gate());
    tasks.sort_unstable();
    tasks.dedup();
    tasks
}
