//! Judges the gates of a run in shards by the reports of all shards, each under the key that it has in a
//! whole run. It must not read reports, nor decide what a rule demands.

use std::collections::BTreeMap;

use crate::base::digest::Digest;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::model::{Task, TaskId};
use crate::decision_reason::Reason;
use crate::engine::prepare::past_runs::NoHistory;
use crate::engine::report::baseline::{self, BaselineContext};
use crate::engine::report::gate::absent_task;
use crate::event::{Ended, Status, TaskFinished};
use crate::git::{WorkTreeReader, tree_id};
use crate::graph::{Graph, NodeId, Reach};
use crate::history::gate_records::{GateRecord, GateRecords};
use crate::key::explanation::displayed_fields;
use crate::key::{Contribution, Key};
use crate::plan::{CachePolicy, Decision, InputDigests, PlanInputs, Planned, Platform, resolve};
use crate::process::secret_mask::Mask;
use crate::quality::evidence::{Evidence, JudgedReport, Verdict};
use crate::quality::{self, GateInputs, JudgingContext, UnavailableTask};
use crate::run_manifest::display::tree;
use crate::run_manifest::merge::Merged;
use crate::run_manifest::{Manifest, TaskRecord};
use ci_reports::Facts;
use ci_reports::facts::DuplicateMeasure;

/// A gate of a merged run.
pub struct MergedGate {
    /// The name of the gate.
    pub name: String,
    /// The evidence of the verdict; `None` if the gate could not be judged.
    pub evidence: Option<Evidence>,
    /// What the manifest of a whole run says about the gate.
    pub account: TaskRecord,
}

/// Why a gate can't be judged.
enum NotJudged {
    /// It was not reached.
    Skipped(Reason),
    /// What it needs is no evidence.
    Failed(Ended),
}

impl MergedGate {
    /// Returns whether the gate holds, or reads nothing that is written on this system.
    pub fn passes(&self) -> bool {
        self.holds() || self.is_elsewhere()
    }

    fn is_elsewhere(&self) -> bool {
        matches!(self.account.reason, Some(Reason::ReadsNothing { .. }))
    }

    /// Returns whether the gate was judged and no rule is broken.
    pub fn holds(&self) -> bool {
        self.evidence.as_ref().is_some_and(Evidence::holds)
    }

    /// Returns why the gate was not judged.
    pub fn unjudged(&self) -> Option<String> {
        match (&self.evidence, &self.account.status) {
            (Some(_), _) => None,
            (None, Some(Status::Failed { ended: Ended::NotStarted { why } })) => Some(why.clone()),
            (None, Some(Status::Failed { ended })) => Some(ended.to_string()),
            (None, _) => self.account.reason.as_ref().map(Reason::to_string),
        }
    }

    fn new(name: &str, key: Option<Key>, result: Result<Evidence, NotJudged>) -> Self {
        let broken = |evidence: &Evidence| {
            evidence.rules.iter().filter(|ruling| ruling.verdict == Verdict::Broken).count()
        };
        let (status, reason) = match &result {
            Ok(evidence) if evidence.holds() => (Status::Passed, Reason::FirstRun),
            Ok(evidence) => {
                (Status::Failed { ended: Ended::Rules { broken: broken(evidence) } }, Reason::FirstRun)
            }
            Err(NotJudged::Skipped(reason)) => (Status::Skipped, reason.clone()),
            Err(NotJudged::Failed(ended)) => (Status::Failed { ended: ended.clone() }, Reason::FirstRun),
        };
        let account = TaskRecord {
            group: None,
            key: key.as_ref().map(|key| key.digest.hex()),
            // A gate has no secrets.
            fields: key.map(|key| displayed_fields(&key.fields, &Mask::default())).unwrap_or_default(),
            decision: match (&status, &reason) {
                (_, Reason::ReadsNothing { .. }) => "skip",
                (Status::Skipped, _) => "waits",
                _ => "miss",
            }
            .to_owned(),
            reason: Some(reason),
            attempts: u32::from(status != Status::Skipped),
            status: Some(status),
            took: 0,
            outputs: None,
            details: None,
        };
        Self { name: name.to_owned(), evidence: result.ok(), account }
    }

    fn not_judged(name: &str, why: &str) -> Self {
        Self::new(name, None, Err(NotJudged::Failed(Ended::NotStarted { why: why.to_owned() })))
    }

    /// Returns the gate as a finished task.
    pub fn finished(&self) -> TaskFinished {
        let status = self.account.status.clone().unwrap_or(Status::Stopped);
        let reason = self.account.reason.clone().unwrap_or(Reason::Interrupted);
        TaskFinished {
            attempts: self.account.attempts,
            evidence: self.evidence.clone().map(Box::new),
            ..TaskFinished::new(&self.name, status, reason)
        }
    }
}

/// Judges the gates of the merged run by the rules of the work tree, which must be the tree of the shards.
///
/// # Errors
/// The work tree is another tree, or can't be read.
pub fn judge(session: &Session, merged: &Merged) -> Result<Vec<MergedGate>, Failure> {
    let gates = &merged.manifest.gates.names;
    if gates.is_empty() {
        return Ok(Vec::new());
    }
    if !merged.missing.is_empty() {
        return Ok(gates
            .iter()
            .map(|name| MergedGate::not_judged(name, "some shards are missing"))
            .collect());
    }
    let project = Project::open(&session.env, &session.dir)?;
    let state = project.state();
    let snapshot = WorkTreeReader::open(project.repository()?, state)?.snapshot()?;
    let here = tree_id(&snapshot)?;
    if merged.manifest.tree.as_ref() != Some(&here) {
        let runs = tree(merged.manifest.tree.as_ref());
        return Err(Failure::OtherTree { runs, here: tree(Some(&here)) });
    }
    let config = &project.config;
    let ids: Vec<TaskId> = config
        .ids()
        .filter(|id| config.task(*id).is_gate() && gates.contains(&config.task(*id).name))
        .collect();
    let graph = Graph::new(config, &ids, Reach::Only);
    let standing = BaselineContext {
        origin: project.location(&session.env).origin,
        state,
        snapshot: Some(&snapshot),
        now: session.clock.now(),
    };
    let bases = baseline::gate_bases(config, &graph, standing);
    let id = &merged.manifest.platform;
    // The platform of the shards may differ from this machine's: it has the system's name first.
    let platform = Platform { os: id.split(' ').next().unwrap_or_default().to_owned(), id: id.clone() };
    let plan_inputs = PlanInputs {
        config,
        graph: &graph,
        snapshot: Some(&snapshot),
        digests: &InputDigests::default(),
        env: &session.env,
        probes: &BTreeMap::new(),
        args: None,
        platform: &platform,
        policy: CachePolicy::Off,
        knowledge: &NoHistory,
        gates: &bases,
        // A gate has no secrets.
        mask: &Mask::default(),
    };
    let judged: Vec<MergedGate> =
        gates.iter().map(|name| judge_gate(&plan_inputs, &merged.manifest, name)).collect();
    if let Some(state) = state {
        record(&GateRecords::new(state), &here, &judged)?;
    }
    Ok(judged)
}

/// Records what passed gates measured, for comparison with later trees.
fn record(records: &GateRecords, tree: &str, judged: &[MergedGate]) -> Result<(), Failure> {
    for gate in judged.iter().filter(|gate| gate.holds()) {
        if let Some(evidence) = &gate.evidence {
            records.add(tree, &GateRecord { gate: gate.name.clone(), record: evidence.record.clone() })?;
        }
    }
    Ok(())
}

fn judge_gate(plan_inputs: &PlanInputs<'_>, manifest: &Manifest, name: &str) -> MergedGate {
    let task_of = |id: NodeId| plan_inputs.config.task(plan_inputs.graph.node(id).task);
    let id = plan_inputs.graph.ids().find(|id| task_of(*id).name == *name);
    let found = id.and_then(|id| {
        let task = plan_inputs.graph.node(id).task;
        Some((id, plan_inputs.config.task(task).gate()?, plan_inputs.gates.get(&task)?))
    });
    let Some((id, gate, basis)) = found else {
        return MergedGate::not_judged(name, "tasks.toml has no such gate");
    };
    let sources: Vec<&Task> =
        plan_inputs.graph.node(id).sources.iter().map(|source| task_of(*source)).collect();
    let os = &plan_inputs.platform.os;
    let is_run = |task: &&Task| task.runs_on(os) || manifest.gates.facts.contains_key(&task.name);
    let (run, others): (Vec<&Task>, Vec<&Task>) = sources.into_iter().partition(is_run);
    let known = |source: NodeId| contribution(manifest, task_of(source), os);
    let Planned { key, decision, .. } = resolve(plan_inputs, id, &known);
    if let Decision::Skip(reason) = decision
        && !run.iter().any(|task| !task.reports().is_empty())
    {
        return MergedGate::new(name, None, Err(NotJudged::Skipped(reason)));
    }
    let absent: Vec<UnavailableTask> =
        others.iter().filter(|task| !task.reports().is_empty()).map(|task| absent_task(task, os)).collect();
    let result = check_needs(manifest, &run).and_then(|()| {
        let telling: Vec<&str> =
            run.iter().filter(|task| !task.reports().is_empty()).map(|task| task.name.as_str()).collect();
        let (facts, reports) = join_reports(manifest, &telling)?;
        let JudgingContext { baseline, today } = basis;
        let case =
            GateInputs { rules: &gate.rules, facts: &facts, baseline, today: *today, unavailable: &absent };
        Ok(Evidence { reports, ..quality::judge(&case) })
    });
    MergedGate::new(name, key, result)
}

/// Returns what a task of a shard contributes to the keys of tasks that need it; `None` if it did not pass.
fn contribution(manifest: &Manifest, task: &Task, os: &str) -> Option<Contribution> {
    if !task.runs_on(os) {
        return Some(Contribution::Nothing);
    }
    let account = manifest.tasks.get(&task.name).filter(|account| passed(account))?;
    if task.outputs.is_empty() {
        Digest::parse(account.key.as_ref()?).map(Contribution::Key)
    } else {
        Digest::parse(account.outputs.as_ref()?).map(Contribution::Outputs)
    }
}

fn passed(account: &TaskRecord) -> bool {
    account.status.as_ref().is_some_and(Status::is_pass)
}

/// Checks that all tasks passed: reports of a task that did not pass don't count.
fn check_needs(manifest: &Manifest, tasks: &[&Task]) -> Result<(), NotJudged> {
    let failed = tasks.iter().find(|task| !manifest.tasks.get(&task.name).is_some_and(passed));
    failed.map_or(Ok(()), |task| Err(NotJudged::Skipped(Reason::NeedFailed { task: task.name.clone() })))
}

/// Joins the reports of tasks, and returns where they were read. A missing report is an error, never an empty
/// one.
fn join_reports(manifest: &Manifest, tasks: &[&str]) -> Result<(Facts, Vec<JudgedReport>), NotJudged> {
    let mut all = Facts::default();
    let mut sources: Vec<JudgedReport> = Vec::new();
    for task in tasks {
        let unknown = || {
            NotJudged::Failed(Ended::NotStarted {
                why: format!("no shard has the reports of {task}; see the log of the shard that ran it"),
            })
        };
        let facts = manifest.gates.facts.get(*task).ok_or_else(unknown)?;
        let own = manifest.gates.reports.iter().filter(|report| report.task == **task);
        let path = own.clone().next().map(|report| report.path.clone()).unwrap_or_default();
        let twice =
            |twice: DuplicateMeasure| NotJudged::Failed(Ended::Report { path, why: twice.to_string() });
        all = all.join(facts.clone()).map_err(twice)?;
        sources.extend(own.cloned());
    }
    Ok((all, sources))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::run_manifest::{Environment, Inputs, PendingGates, VERSION};
    use ci_reports::facts::{Measure, Tests, Unit};

    fn manifest(facts: BTreeMap<String, Facts>) -> Manifest {
        let reports = facts.keys().map(|task| JudgedReport {
            task: task.clone(),
            kind: "junit".to_owned(),
            path: format!("out/{task}.xml"),
            digest: "d".to_owned(),
        });
        Manifest {
            version: VERSION,
            run: "run".to_owned(),
            started: Timestamp(0),
            took: 0,
            verdict: crate::event::Verdict::Passed,
            names: Vec::new(),
            tree: None,
            plan: String::new(),
            platform: "linux x86_64".to_owned(),
            shard: None,
            environment: Environment::default(),
            tasks: BTreeMap::new(),
            other_shards: BTreeMap::new(),
            gates: PendingGates { names: Vec::new(), reports: reports.collect(), facts },
            inputs: Inputs::default(),
            keys_file: None,
        }
    }

    #[test]
    fn missing_report_is_an_error() {
        let tests = |passed| Facts { tests: Some(Tests { passed, ..Tests::default() }), ..Facts::default() };
        let p95 = Measure { value: 1.0, unit: Unit::Millis };
        let measured = Facts { measures: BTreeMap::from([("p95".to_owned(), p95)]), ..Facts::default() };
        let manifest = manifest(BTreeMap::from([
            ("a".to_owned(), tests(2)),
            ("b".to_owned(), tests(3)),
            ("c".to_owned(), measured.clone()),
            ("d".to_owned(), measured),
        ]));
        let (facts, reports) = join_reports(&manifest, &["a", "b"]).unwrap_or_default();
        assert_eq!(facts, tests(5));
        let paths: Vec<&str> = reports.iter().map(|report| report.path.as_str()).collect();
        assert_eq!(paths, ["out/a.xml", "out/b.xml"], "and no other task's");
        let why = |tasks: &[&str]| match join_reports(&manifest, tasks) {
            Err(NotJudged::Failed(ended)) => ended.to_string(),
            _ => String::new(),
        };
        assert_eq!(
            why(&["a", "x"]),
            "could not be started: no shard has the reports of x; see the log of the shard that ran it"
        );
        let twice = why(&["c", "d"]);
        assert!(twice.starts_with("report out/d.xml: two reports have a measure `p95`"), "{twice}");
    }
}
