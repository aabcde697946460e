//! A gate's node: reads the reports of the tasks that it needs and has its rules judged. It must not
//! judge itself.

use crate::engine::baseline;
use crate::engine::context::Context;
use crate::engine::execution::Execution;
use crate::engine::reports::{NoEvidence, Told, Why};
use crate::event::{Ended, Log, Reported, What};
use crate::graph::{NodeId, Role};
use crate::quality::evidence::{Evidence, Verdict};
use crate::quality::{self, Baseline, Basis, Case};
use crate::reason::Reason;
use crate::report::facts::{Facts, Finding};

/// Judges the gate of a node.
pub fn judge(context: &Context<'_>, id: NodeId, reason: &Reason) -> Execution {
    let task = context.world.config.task(context.world.graph.node(id).task);
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
        Err(NoEvidence { path, why }) => (Ended::Report { path, why: why.to_string() }, None),
    };
    Execution {
        started,
        took: context.emitter.millis().saturating_sub(started),
        ended,
        attempts: 1,
        log: Log::default(),
        failed_logs: Vec::new(),
        is_slow: false,
        reported: None,
        evidence,
    }
}

fn evidence(context: &Context<'_>, id: NodeId) -> Result<Evidence, NoEvidence> {
    let world = &context.world;
    let node = world.graph.node(id);
    let snapshot = context.snapshot();
    let library = context.reports(snapshot.as_deref());
    let mut all = Told::default();
    for source in &node.sources {
        let task = world.config.task(world.graph.node(*source).task);
        if world.graph.node(*source).role == Role::Context {
            return Err(NoEvidence { path: task.name.clone(), why: Why::NotRun });
        }
        // What does not run on this system has left no report.
        if task.runs_on(&world.platform.os) {
            all.join(library.read(task, None)?)?;
        }
    }
    let Some(gate) = &world.config.task(node.task).gate else { return Ok(Evidence::default()) };
    let today = baseline::day(context.emitter.clock().now());
    let unasked = Basis { baseline: Baseline::Unasked, today };
    let Basis { baseline, today } = world.gates.get(&node.task).unwrap_or(&unasked);
    let case = Case { rules: &gate.rules, facts: &all.facts, baseline, today: *today };
    Ok(Evidence { reports: all.sources, ..quality::judge(&case) })
}

/// What is told of a task's reports.
pub fn told(facts: Facts) -> Reported {
    let mut tests = facts.tests;
    let mut more_failed = 0;
    if let Some(tests) = &mut tests {
        more_failed = tests.failed.len().saturating_sub(Reported::LISTED);
        tests.failed.truncate(Reported::LISTED);
    }
    let mut findings: Vec<Finding> = facts.findings.into_iter().chain(facts.secrets).flatten().collect();
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.place.cmp(&b.place)));
    let more_findings = findings.len().saturating_sub(Reported::LISTED);
    findings.truncate(Reported::LISTED);
    let coverage = facts.coverage.map(|coverage| coverage.ratio());
    Reported { tests, more_failed, findings, more_findings, coverage }
}
