//! Compares two runs: for each task, why its key differs, or why it had another result with the same key. It
//! does no I/O, and it must not know how the difference is displayed.
//!
//! Only root causes are listed. If the key of a task differs because of a task that it needs, it *follows*
//! that task. In a chain of such tasks, all follow the first one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Environment, Manifest, TaskRecord};
use crate::decision_reason::{Change, Reason};
use crate::event::Status;
use crate::key::explanation::Explanation;
use crate::key::{Field, FieldKind};
use crate::process::secret_mask::Mask;

/// One of the two runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum Side {
    /// The first run, A.
    A,
    /// The second run, B.
    B,
}

/// How two runs differ.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Difference {
    /// The trees' ids, if they differ.
    pub trees: Option<[Option<String>; 2]>,
    /// The platforms, if they differ.
    pub platforms: Option<[String; 2]>,
    /// The tasks that differ.
    pub tasks: BTreeMap<String, Vec<Cause>>,
    /// The number of compared tasks.
    pub compared: usize,
    /// Differences between the environments. They have no effect on results.
    pub environment: Vec<EnvironmentChange>,
}

/// Why a task differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// Only one of the runs has the task.
    OnlyIn {
        /// The run that has it.
        run: Side,
    },
    /// A field of its key differs.
    Changed {
        /// The difference.
        change: Change,
    },
    /// Its key differs because a needed task's key differs.
    Follows {
        /// The first task of this chain, where the difference comes from.
        task: String,
    },
    /// The platform is the only field of its key that differs.
    Platform,
    /// It has the same key but wrote different outputs.
    Outputs,
    /// It has the same key but ended differently.
    Verdict {
        /// How it ended in A.
        a: Status,
        /// How it ended in B.
        b: Status,
    },
    /// It did not finish in one of the runs.
    NotRun {
        /// The run in which it did not finish.
        run: Side,
        /// The reason, if it is known.
        why: Option<Reason>,
        /// How it ended in the other run.
        other: Option<Status>,
    },
    /// It had no key in one of the runs.
    NoKey {
        /// The run in which it had no key.
        run: Side,
        /// The reason, if it is known.
        why: Option<Reason>,
    },
}

/// A field of the environment that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EnvironmentChange {
    /// The name of the field.
    pub field: &'static str,
    /// The value in A.
    pub a: String,
    /// The value in B.
    pub b: String,
}

impl Difference {
    /// Compares `b` with `a`.
    pub fn between(a: &Manifest, b: &Manifest) -> Self {
        let names: BTreeSet<&String> = a.tasks.keys().chain(b.tasks.keys()).collect();
        let mut found: BTreeMap<&str, Vec<Cause>> = BTreeMap::new();
        for name in &names {
            let causes = match (a.tasks.get(*name), b.tasks.get(*name)) {
                (Some(one), Some(other)) => compare(a, one, b, other),
                (Some(_), None) => vec![Cause::OnlyIn { run: Side::A }],
                (None, _) => vec![Cause::OnlyIn { run: Side::B }],
            };
            if !causes.is_empty() {
                found.insert(name, causes);
            }
        }
        let tasks = found.iter().map(|(name, causes)| ((*name).to_owned(), roots_of(causes, &found)));
        Self {
            trees: (a.tree != b.tree).then(|| [a.tree.clone(), b.tree.clone()]),
            platforms: (a.platform != b.platform).then(|| [a.platform.clone(), b.platform.clone()]),
            tasks: tasks.collect(),
            compared: names.len(),
            environment: environment_changes(&a.environment, &b.environment),
        }
    }

    /// Returns whether nothing differs that has an effect on results.
    pub fn is_none(&self) -> bool {
        self.trees.is_none() && self.platforms.is_none() && self.tasks.is_empty()
    }
}

fn compare(a: &Manifest, one: &TaskRecord, b: &Manifest, other: &TaskRecord) -> Vec<Cause> {
    match (&one.key, &other.key) {
        (Some(was), Some(is)) if was != is => {
            let changes = changes(a, &one.fields, b, &other.fields);
            let mut causes: Vec<Cause> = changes.into_iter().map(cause).collect();
            if causes.is_empty() {
                let short = |key: &str| key.chars().take(12).collect();
                let change = Change::Definition { name: "key".to_owned(), from: short(was), to: short(is) };
                causes.push(Cause::Changed { change });
            }
            causes
        }
        (None, Some(_)) if one.has_ended() => {
            vec![Cause::NoKey { run: Side::A, why: one.reason.clone() }]
        }
        (Some(_), None) if other.has_ended() => {
            vec![Cause::NoKey { run: Side::B, why: other.reason.clone() }]
        }
        _ => compare_results(one, other),
    }
}

fn cause(change: Change) -> Cause {
    match change {
        Change::Definition { name, .. } if name == "platform" => Cause::Platform,
        change => Cause::Changed { change },
    }
}

/// Returns how the fields of a task in `b` differ from those in `a`.
pub fn changes(a: &Manifest, was: &[Field], b: &Manifest, is: &[Field]) -> Vec<Change> {
    let digest = |fields: &[Field]| {
        let inputs = fields.iter().find(|field| field.kind == FieldKind::Inputs);
        inputs.map(|field| field.value.clone()).unwrap_or_default()
    };
    let (from, to) = (digest(was), digest(is));
    let files = a.inputs.files(&from).zip(b.inputs.files(&to));
    let (old, new) = files.clone().unwrap_or_default();
    let former = Explanation { fields: was.to_vec(), files: old };
    let now = Explanation { fields: is.to_vec(), files: new };
    // Both manifests are already masked, so nothing is masked here.
    let mut changes = now.changes_since(&former, &Mask::default());
    let is_told = changes.iter().any(|change| matches!(change, Change::File { .. }));
    if from != to && !is_told {
        let short = |digest: &str| digest.chars().take(12).collect();
        changes.push(Change::Definition { name: "inputs".to_owned(), from: short(&from), to: short(&to) });
    }
    changes
}

/// Returns how two results of the same task differ.
fn compare_results(one: &TaskRecord, other: &TaskRecord) -> Vec<Cause> {
    let not_run = |run, missing: &TaskRecord, there: &TaskRecord| Cause::NotRun {
        run,
        why: missing.reason.clone(),
        other: there.status.clone(),
    };
    let cause = match (one.has_ended(), other.has_ended()) {
        (false, false) => None,
        (false, true) => Some(not_run(Side::A, one, other)),
        (true, false) => Some(not_run(Side::B, other, one)),
        (true, true) => match (&one.status, &other.status) {
            (Some(a), Some(b)) if hit_as_passed(a) != hit_as_passed(b) => {
                Some(Cause::Verdict { a: a.clone(), b: b.clone() })
            }
            _ => None,
        },
    };
    let outputs = one.outputs.as_ref().zip(other.outputs.as_ref());
    let outputs = outputs.filter(|(a, b)| a != b).map(|_| Cause::Outputs);
    cause.into_iter().chain(outputs).collect()
}

/// Treats a hit as a pass.
fn hit_as_passed(status: &Status) -> &Status {
    if *status == Status::Hit { &Status::Passed } else { status }
}

impl TaskRecord {
    /// Returns whether it passed or failed: it was neither skipped nor stopped.
    pub fn has_ended(&self) -> bool {
        !matches!(self.status, None | Some(Status::Skipped | Status::Stopped))
    }
}

/// Returns a task's causes. A cause that comes from another task is replaced by [`Cause::Follows`].
fn roots_of(causes: &[Cause], found: &BTreeMap<&str, Vec<Cause>>) -> Vec<Cause> {
    let mut own = Vec::new();
    let mut roots = BTreeSet::new();
    for cause in causes {
        match cause {
            Cause::Changed { change: Change::Need { task } } if found.contains_key(&**task) => {
                roots.extend(origins(task, found));
            }
            cause => own.push(cause.clone()),
        }
    }
    own.extend(roots.into_iter().map(|task| Cause::Follows { task }));
    // The platform is only listed if nothing else differs.
    if own.iter().any(|cause| *cause != Cause::Platform) {
        own.retain(|cause| *cause != Cause::Platform);
    }
    own
}

/// Returns the tasks where the difference of a task comes from: the task itself or tasks that it needs. The
/// result is empty if only the platform differs.
fn origins(task: &str, found: &BTreeMap<&str, Vec<Cause>>) -> BTreeSet<String> {
    let mut origins = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut stack = vec![task];
    while let Some(task) = stack.pop() {
        if !seen.insert(task) {
            continue;
        }
        for cause in found.get(task).into_iter().flatten() {
            match cause {
                Cause::Changed { change: Change::Need { task } } if found.contains_key(&**task) => {
                    stack.push(task);
                }
                Cause::Platform => {}
                _ => {
                    origins.insert(task.to_owned());
                }
            }
        }
    }
    origins
}

fn environment_changes(a: &Environment, b: &Environment) -> Vec<EnvironmentChange> {
    let ci = |environment: &Environment| environment.ci.clone().unwrap_or_else(|| "none".to_owned());
    let rows = [
        ("system", a.system.clone(), b.system.clone()),
        ("jobs", a.jobs.to_string(), b.jobs.to_string()),
        ("ci", ci(a), ci(b)),
        ("taskgate", a.taskgate.clone(), b.taskgate.clone()),
    ];
    let rows = rows.into_iter().filter(|(_, a, b)| a != b);
    rows.map(|(field, a, b)| EnvironmentChange { field, a, b }).collect()
}
