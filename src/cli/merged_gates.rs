//! The gates of a run in shards, judged by what all shards reported. It must not read reports, nor
//! decide what a rule demands.

use std::collections::BTreeMap;

use crate::cli::Session;
use crate::cli::exit::Failure;
use crate::cli::project::Project;
use crate::config::model::{Config, Task, TaskId};
use crate::event::{Ended, Log, Status, Stored, TaskFinished};
use crate::git::{WorkTreeReader, tree_id};
use crate::ground::clock::Timestamp;
use crate::manifest::merge::Merged;
use crate::manifest::phrases::tree;
use crate::quality::evidence::{Evidence, Verdict};
use crate::quality::rules::Day;
use crate::quality::{self, Baseline, Case};
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
        TaskFinished {
            task: self.name.clone(),
            group: None,
            status: if self.holds() { Status::Passed } else { Status::Failed { ended } },
            reason: Reason::FirstRun,
            started: 0,
            took: 0,
            attempts: 1,
            stored: Stored::NotTried,
            log: Log::default(),
            failed_logs: Vec::new(),
            command: String::new(),
            sandboxed: false,
            reported: None,
            evidence: self.evidence.clone().map(Box::new),
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
    let today = day(session.clock.now());
    Ok(gates.iter().map(|name| judged(&project.config, merged, name, today)).collect())
}

fn judged(config: &Config, merged: &Merged, name: &str, today: Day) -> Judged {
    let task = config.tasks.iter().find(|task| task.name == *name);
    let Some((task, gate)) = task.and_then(|task| Some((task, task.gate.as_ref()?))) else {
        return Judged::not(name, "tasks.toml has no such gate".to_owned());
    };
    let facts = match merged_facts(&merged.manifest.facts, &sources(config, task)) {
        Ok(facts) => facts,
        Err(why) => return Judged::not(name, why),
    };
    let baseline = if gate.rules.ask_baseline() {
        Baseline::Absent { why: "shards are not compared with former trees".to_owned() }
    } else {
        Baseline::Unasked
    };
    let case = Case { rules: &gate.rules, facts: &facts, baseline: &baseline, today };
    Judged { name: name.to_owned(), evidence: Some(quality::judge(&case)), unjudged: None }
}

/// The tasks whose reports a gate reads, by their names.
fn sources<'c>(config: &'c Config, gate: &Task) -> Vec<&'c str> {
    let mut names: Vec<&str> = Vec::new();
    let mut stack: Vec<TaskId> = gate.needs.clone();
    while let Some(id) = stack.pop() {
        let task = config.task(id);
        if task.is_aggregate() {
            stack.extend(&task.needs);
        } else if !task.reports.is_empty() && !names.contains(&task.name.as_str()) {
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
        all = joined(all, facts.clone()).map_err(|what| format!("{what} is told twice, also by {task}"))?;
    }
    Ok(all)
}

/// Two facts as one; what both tell of, if they can't be added up.
fn joined(mut one: Facts, other: Facts) -> Result<Facts, String> {
    fn concat<T>(one: Option<Vec<T>>, other: Option<Vec<T>>) -> Option<Vec<T>> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.extend(other);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }
    one.tests = match (one.tests, other.tests) {
        (Some(mut tests), Some(more)) => {
            tests.passed += more.passed;
            tests.skipped += more.skipped;
            tests.failed.extend(more.failed);
            tests.flaky.extend(more.flaky);
            Some(tests)
        }
        (tests, more) => tests.or(more),
    };
    if let Some(coverage) = other.coverage {
        let files = &mut one.coverage.get_or_insert_default().files;
        for (file, lines) in coverage.files {
            if files.insert(file.clone(), lines).is_some() {
                return Err(format!("coverage of {file}"));
            }
        }
    }
    one.findings = concat(one.findings, other.findings);
    one.secrets = concat(one.secrets, other.secrets);
    one.packages = concat(one.packages, other.packages);
    for (name, measure) in other.measures {
        if one.measures.insert(name.clone(), measure).is_some() {
            return Err(name);
        }
    }
    match (&one.sonar, other.sonar) {
        (Some(_), Some(_)) => return Err("the status of sonar".to_owned()),
        (None, Some(sonar)) => one.sonar = Some(sonar),
        (_, None) => {}
    }
    Ok(one)
}

/// The day of a time, in UTC.
fn day(now: Timestamp) -> Day {
    let text = now.rfc3339();
    let mut parts = text.split(['-', 'T']);
    let mut next = || parts.next().unwrap_or_default();
    // A time is always written as year, month and day.
    Day {
        year: next().parse().unwrap_or(i32::MAX),
        month: next().parse().unwrap_or(12),
        day: next().parse().unwrap_or(31),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::facts::{Measure, Tests, Unit};

    #[test]
    fn a_time_is_of_a_day() {
        assert_eq!(day(Timestamp(1_795_258_800_000)), Day { year: 2026, month: 11, day: 21 });
    }

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
        assert_eq!(merged_facts(&known, &["c", "d"]).unwrap_err(), "p95 is told twice, also by d");
    }
}
