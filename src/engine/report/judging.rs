//! A gate's node: gathers what the reports of the tasks say that it needs, and has its rules judged. It
//! must not judge itself.

use std::sync::Arc;

use crate::config::model::Task;
use crate::engine::context::Context;
use crate::engine::execution::Execution;
use crate::engine::report::baseline;
use crate::engine::report::finished;
use crate::engine::report::reports::{NoEvidence, Told, Why};
use crate::event::{Ended, What};
use crate::graph::{NodeId, Role};
use crate::quality::evidence::{Evidence, Verdict};
use crate::quality::{self, Absent, Baseline, Basis, Case};
use crate::reason::Reason;

/// Judges the gate of a node.
pub fn judge(context: &Context<'_>, id: NodeId, reason: &Reason) -> Execution {
    let task = context.task(id);
    let started = context.emitter.millis();
    context.emitter.emit(What::TaskStarted {
        task: task.name.clone(),
        attempt: 1,
        reason: reason.clone(),
        expected: context.expected(id),
    });
    let (ended, evidence) = match evidence(context, id) {
        Ok(evidence) => {
            let broken = evidence.rulings.iter().filter(|ruling| ruling.verdict == Verdict::Broken).count();
            let ended = if broken == 0 { Ended::Exit { code: 0 } } else { Ended::Rules { broken } };
            (ended, Some(Box::new(evidence)))
        }
        Err(lack) => (lack.ended(&context.secrets.mask), None),
    };
    let took = context.emitter.millis().saturating_sub(started);
    Execution { took, ended, attempts: 1, evidence, ..Execution::new(started) }
}

fn evidence(context: &Context<'_>, id: NodeId) -> Result<Evidence, NoEvidence> {
    let world = &context.inputs;
    let node = world.graph.node(id);
    let _alone = context.shelf.judge_alone();
    // What one task alone reports is judged where it lies: it may be large.
    let mut all: Option<Arc<Told>> = None;
    let mut absent = Vec::new();
    for source in &node.sources {
        let task = world.config.task(world.graph.node(*source).task);
        if world.graph.node(*source).role == Role::Context {
            return Err(NoEvidence { path: task.name.clone(), why: Why::NotRun });
        }
        if task.reports.is_empty() {
            continue;
        }
        // What does not run on this system has left no report.
        if !task.runs_on(&world.platform.os) {
            absent.push(absent_here(task, &world.platform.os));
            continue;
        }
        let told = finished::load(context, *source)?;
        all = Some(match all.take() {
            None => told,
            Some(former) => {
                let mut joined = Arc::unwrap_or_clone(former);
                joined.join(Arc::unwrap_or_clone(told))?;
                Arc::new(joined)
            }
        });
    }
    let all = all.unwrap_or_default();
    let Some(gate) = &world.config.task(node.task).gate else { return Ok(Evidence::default()) };
    let today = baseline::day(context.emitter.clock().now());
    let unasked = Basis { baseline: Baseline::Unasked, today };
    let Basis { baseline, today } = world.gates.get(&node.task).unwrap_or(&unasked);
    let case = Case { rules: &gate.rules, facts: &all.facts, baseline, today: *today, absent: &absent };
    let reports = all.sources.iter().map(|source| source.shown(&|path| context.secrets.mask.distinct(path)));
    Ok(Evidence { reports: reports.collect(), ..quality::judge(&case) })
}

/// A task that does not run on this system, as the rules take it.
pub fn absent_here(task: &Task, os: &str) -> Absent {
    let kinds = task.reports.iter().map(|report| report.kind).collect();
    Absent { task: task.name.clone(), kinds, os: os.to_owned() }
}
