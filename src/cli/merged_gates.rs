//! The gates of a run in shards, judged by what all shards reported. It must not read reports, nor
//! decide what a rule demands.

use std::collections::BTreeMap;

use crate::cli::Session;
use crate::cli::exit::Failure;
use crate::cli::project::Project;
use crate::config::model::{Config, Task, TaskId};
use crate::engine::baseline::{self, Standing};
use crate::event::{Ended, Status, TaskFinished};
use crate::git::{WorkTreeReader, tree_id};
use crate::graph::{Graph, Reach};
use crate::history::records::{Recorded, Records};
use crate::manifest::merge::Merged;
use crate::manifest::phrases::tree;
use crate::quality::evidence::{Evidence, Verdict};
use crate::quality::{self, Basis, Case};
use crate::reason::Reason;
use crate::report::Facts;

/// What became of a gate.
pub struct Judged {
    /// Its name.
    pub name: String,
    /// What its verdict rests on; `None` if it could not be judged.
    pub evidence: Option<Evidence>,
    /// Why it could not.
    pub unjudged: Option<String>,
}

impl Judged {
    /// Whether it was judged and no rule is broken.
    pub fn holds(&self) -> bool {
        self.evidence.as_ref().is_some_and(Evidence::holds)
    }

    fn not(name: &str, why: String) -> Self {
        Self { name: name.to_owned(), evidence: None, unjudged: Some(why) }
    }

    /// The same as a run tells it.
    pub fn finished(&self) -> TaskFinished {
        let rulings = self.evidence.iter().flat_map(|evidence| &evidence.rulings);
        let broken = rulings.filter(|ruling| ruling.verdict == Verdict::Broken).count();
        let ended = match &self.unjudged {
            Some(why) => Ended::NotStarted { why: why.clone() },
            None => Ended::Rules { broken },
        };
        let status = if self.holds() { Status::Passed } else { Status::Failed { ended } };
        TaskFinished {
            attempts: 1,
            evidence: self.evidence.clone().map(Box::new),
            ..TaskFinished::new(&self.name, status, Reason::FirstRun)
        }
    }
}

/// Judges the gates that the shards left, by the rules of the work tree, which has to be theirs.
///
/// # Errors
/// The work tree is another, or can't be read.
pub fn judge(session: &Session, merged: &Merged) -> Result<Vec<Judged>, Failure> {
    let gates = &merged.manifest.gates;
    if gates.is_empty() {
        return Ok(Vec::new());
    }
    if !merged.missing.is_empty() {
        let why = |name: &String| Judged::not(name, "not all shards are there".to_owned());
        return Ok(gates.iter().map(why).collect());
    }
    let project = Project::open(&session.env, &session.dir)?;
    let state = project.state();
    let snapshot = WorkTreeReader::open(project.repository()?, state.as_deref())?.snapshot()?;
    let here = tree_id(&snapshot)?;
    if merged.manifest.tree.as_ref() != Some(&here) {
        let runs = tree(merged.manifest.tree.as_ref());
        return Err(Failure::OtherTree { runs, here: tree(Some(&here)) });
    }
    let config = &project.config;
    let ids: Vec<TaskId> = config
        .ids()
        .filter(|id| config.task(*id).gate.is_some() && gates.contains(&config.task(*id).name))
        .collect();
    let graph = Graph::of(config, &ids, Reach::Only);
    let standing = Standing {
        line: project.line(),
        state: state.as_deref(),
        snapshot: Some(&snapshot),
        now: session.clock.now(),
    };
    let bases = baseline::of_gates(config, &graph, standing);
    let judged: Vec<Judged> = gates.iter().map(|name| judged(config, merged, name, &bases)).collect();
    if let Some(state) = state {
        record(&Records::new(&state), &here, &judged)?;
    }
    Ok(judged)
}

/// Keeps what gates that passed say of the tree, for later trees to be compared with.
fn record(records: &Records, tree: &str, judged: &[Judged]) -> Result<(), Failure> {
    for gate in judged.iter().filter(|gate| gate.holds()) {
        if let Some(evidence) = &gate.evidence {
            records.add(tree, &Recorded { gate: gate.name.clone(), record: evidence.record.clone() })?;
        }
    }
    Ok(())
}

fn judged(config: &Config, merged: &Merged, name: &str, bases: &BTreeMap<TaskId, Basis>) -> Judged {
    let id = config.ids().find(|id| config.task(*id).name == *name);
    let found = id.and_then(|id| Some((config.task(id), config.task(id).gate.as_ref()?, bases.get(&id)?)));
    let Some((task, gate, basis)) = found else {
        return Judged::not(name, "tasks.toml has no such gate".to_owned());
    };
    // All shards are of one platform: its system and its architecture.
    let os = merged.manifest.platform.split(' ').next().unwrap_or_default();
    let facts = match merged_facts(&merged.manifest.facts, &sources(config, task, os)) {
        Ok(facts) => facts,
        Err(why) => return Judged::not(name, why),
    };
    let Basis { baseline, today } = basis;
    let case = Case { rules: &gate.rules, facts: &facts, baseline, today: *today };
    Judged { name: name.to_owned(), evidence: Some(quality::judge(&case)), unjudged: None }
}

/// The tasks whose reports a gate reads, by their names.
fn sources<'c>(config: &'c Config, gate: &Task, os: &str) -> Vec<&'c str> {
    let mut names: Vec<&str> = Vec::new();
    let mut stack: Vec<TaskId> = gate.needs.clone();
    while let Some(id) = stack.pop() {
        let task = config.task(id);
        if task.is_aggregate() {
            stack.extend(&task.needs);
        } else if !task.reports.is_empty() && task.runs_on(os) && !names.contains(&task.name.as_str()) {
            names.push(&task.name);
        }
    }
    names.sort_unstable();
    names
}

/// What these tasks reported, as one.
///
/// Errors: why that can't be told. What is not known is never taken for nothing.
fn merged_facts(known: &BTreeMap<String, Facts>, tasks: &[&str]) -> Result<Facts, String> {
    let mut all = Facts::default();
    for task in tasks {
        let facts = known.get(*task).ok_or_else(|| format!("no shard has what {task} reports"))?;
        all = all.join(facts.clone()).map_err(|twice| format!("{twice}, also by {task}"))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::facts::{Measure, Tests, Unit};

    #[test]
    fn what_is_not_known_is_not_nothing() {
        let tests = |passed| Facts { tests: Some(Tests { passed, ..Tests::default() }), ..Facts::default() };
        let p95 = Measure { value: 1.0, unit: Unit::Millis };
        let measured = Facts { measures: BTreeMap::from([("p95".to_owned(), p95)]), ..Facts::default() };
        let known = BTreeMap::from([
            ("a".to_owned(), tests(2)),
            ("b".to_owned(), tests(3)),
            ("c".to_owned(), measured.clone()),
            ("d".to_owned(), measured),
        ]);
        assert_eq!(merged_facts(&known, &["a", "b"]).unwrap(), tests(5));
        assert_eq!(merged_facts(&known, &["a", "x"]).unwrap_err(), "no shard has what x reports");
        let twice = merged_facts(&known, &["c", "d"]).unwrap_err();
        assert!(
            twice.starts_with("two reports tell the measure `p95`") && twice.ends_with("also by d"),
            "{twice}"
        );
    }
}
