//! Merges the manifests of all shards of a run into one manifest. It does no I/O, and it must not judge
//! gates.
//!
//! Manifests of different trees or plans are an error. If a shard is missing or repeated, the merged run has
//! not passed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::difference::changes;
use super::display::{named, tree};
use super::{Manifest, PendingGates, VERSION};
use crate::base::clock::Timestamp;
use crate::base::text::count;
use crate::decision_reason::Change;
use crate::event::{Status, Verdict};
use crate::key::FieldKind;
use crate::shard::Shard;

/// The number of differences that an error lists.
const LISTED: usize = 5;

/// Why manifests can't be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// There are no manifests.
    #[error("there is nothing to merge")]
    Nothing,
    /// One manifest is of a whole run, not of a shard.
    #[error("{name} is not the manifest of a shard: its run had no `--shard`")]
    Whole {
        /// Where this manifest is from.
        name: String,
    },
    /// They are of different trees.
    #[error("these are shards of different trees: {one} ran {a}, {other} ran {b}")]
    Trees {
        /// Where the first manifest is from.
        one: String,
        /// The tree of the first manifest.
        a: String,
        /// Where the second manifest is from.
        other: String,
        /// The tree of the second manifest.
        b: String,
    },
    /// They are of different plans.
    #[error("these are shards of different plans: {one} and {other} differ: {what}")]
    Plans {
        /// Where the first manifest is from.
        one: String,
        /// Where the second manifest is from.
        other: String,
        /// What differs.
        what: String,
    },
}

/// The shards of one run.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The manifest of the whole run.
    pub manifest: Manifest,
    /// The shards, in order.
    pub shards: Vec<ShardRow>,
    /// The shards without a manifest.
    pub missing: Vec<usize>,
    /// The shards with several manifests, and where these manifests are from.
    pub repeated: BTreeMap<usize, Vec<String>>,
    /// The tasks without a result, and those of no shard of the plan.
    pub unfinished: Vec<String>,
}

/// A shard, as a row of a table.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ShardRow {
    /// The shard.
    pub shard: Shard,
    /// Where its manifest is from.
    pub from: String,
    /// The id of its run.
    pub run: String,
    /// The number of its tasks.
    pub tasks: usize,
    /// The number of hits.
    pub hits: usize,
    /// How long the run took, in milliseconds.
    pub took: u64,
    /// The verdict of its run.
    pub verdict: Verdict,
    /// The tasks that did not pass.
    pub failed: Vec<String>,
}

/// Merges manifests, each with a text that says where it is from.
///
/// # Errors
/// The manifests are not shards of one run.
pub fn merge(manifests: &[(String, Manifest)]) -> Result<Merged, MergeError> {
    let [(first_name, first), rest @ ..] = manifests else { return Err(MergeError::Nothing) };
    let mut parts = Vec::new();
    for (name, manifest) in manifests {
        let shard = manifest.shard.ok_or_else(|| MergeError::Whole { name: name.clone() })?;
        parts.push((shard, name, manifest));
    }
    for (name, manifest) in rest {
        check_same_run(first_name, first, name, manifest)?;
    }
    parts.sort_by_key(|(shard, name, _)| (*shard, *name));
    let total = parts.first().map_or(0, |(shard, ..)| shard.count);
    let mut given: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (shard, name, _) in &parts {
        given.entry(shard.index).or_default().push((*name).clone());
    }
    let missing = (1..=total).filter(|index| !given.contains_key(index)).collect();
    given.retain(|_, names| names.len() > 1);
    let manifest = combine(first, &parts.iter().map(|(_, _, manifest)| *manifest).collect::<Vec<_>>());
    let planned: BTreeSet<&String> = first.tasks.keys().chain(first.other_shards.keys()).collect();
    let unfinished = planned.into_iter().filter(|task| {
        let status = manifest.tasks.get(*task).and_then(|account| account.status.as_ref());
        status.is_none_or(|status| *status == Status::Stopped)
    });
    Ok(Merged {
        unfinished: unfinished.cloned().collect(),
        shards: parts.iter().map(|(shard, name, manifest)| row(*shard, name, manifest)).collect(),
        missing,
        repeated: given,
        manifest,
    })
}

fn row(shard: Shard, from: &str, manifest: &Manifest) -> ShardRow {
    let is = |wanted: fn(&Status) -> bool| {
        let tasks = manifest.tasks.iter();
        let tasks = tasks.filter(move |(_, account)| account.status.as_ref().is_some_and(wanted));
        tasks.map(|(task, _)| task.clone())
    };
    ShardRow {
        shard,
        from: from.to_owned(),
        run: manifest.run.clone(),
        tasks: manifest.tasks.len(),
        hits: is(|status| *status == Status::Hit).count(),
        took: manifest.took,
        verdict: manifest.verdict,
        failed: is(|status| matches!(status, Status::Failed { .. })).collect(),
    }
}

/// Checks that two shards are of one tree and one plan.
fn check_same_run(one: &str, a: &Manifest, other: &str, b: &Manifest) -> Result<(), MergeError> {
    let (one, other) = (one.to_owned(), other.to_owned());
    if a.tree != b.tree {
        let (a, b) = (tree(a.tree.as_ref()), tree(b.tree.as_ref()));
        return Err(MergeError::Trees { one, a, other, b });
    }
    let counts = a.shard.map(|shard| shard.count) == b.shard.map(|shard| shard.count);
    if a.plan == b.plan && counts {
        return Ok(());
    }
    Err(MergeError::Plans { one, other, what: what_differs(a, b) })
}

/// Returns what differs between two plans, as far as it is known.
fn what_differs(a: &Manifest, b: &Manifest) -> String {
    if let (Some(a), Some(b)) = (a.shard, b.shard)
        && a.count != b.count
    {
        return format!("one is of {} and the other of {}", count(a.count, "shard"), count(b.count, "shard"));
    }
    if a.names != b.names {
        return format!("one was asked for {}, the other for {}", a.names.join(" "), b.names.join(" "));
    }
    let all = |manifest: &Manifest| -> BTreeSet<String> {
        manifest.tasks.keys().chain(manifest.other_shards.keys()).cloned().collect()
    };
    let (mine, theirs) = (all(a), all(b));
    let alone: Vec<&str> = mine.symmetric_difference(&theirs).map(String::as_str).collect();
    if !alone.is_empty() {
        return format!("only one of them has {}", named(&alone));
    }
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for task in &mine {
        let (Some(was), Some(is)) = (a.fields(task), b.fields(task)) else { continue };
        let plain = |fields: &[crate::key::Field]| -> Vec<crate::key::Field> {
            // The outputs of needed tasks may be known on only one machine, depending on its cache.
            fields.iter().filter(|field| field.kind != FieldKind::Need).cloned().collect()
        };
        let changes = changes(a, &plain(was), b, &plain(is));
        let texts: Vec<String> = changes.iter().take(LISTED).map(Change::to_string).collect();
        if !texts.is_empty() {
            found.entry(texts.join(", ")).or_default().push(task);
        }
    }
    if found.is_empty() {
        return "the times that they were split by (`--timings`), or their versions of taskgate".to_owned();
    }
    let texts = found.iter().take(LISTED).map(|(text, tasks)| format!("{}: {text}", named(tasks)));
    texts.collect::<Vec<_>>().join("; ")
}

/// Combines the manifests of all shards into one.
fn combine(first: &Manifest, parts: &[&Manifest]) -> Manifest {
    let mut whole = Manifest {
        version: VERSION,
        run: parts.iter().map(|part| part.run.as_str()).collect::<Vec<_>>().join(" "),
        started: parts.iter().map(|part| part.started).min().unwrap_or(Timestamp(0)),
        took: parts.iter().map(|part| part.took).max().unwrap_or(0),
        verdict: parts
            .iter()
            .map(|part| part.verdict)
            .max_by_key(|verdict| badness(*verdict))
            .unwrap_or(first.verdict),
        shard: None,
        tasks: BTreeMap::new(),
        other_shards: BTreeMap::new(),
        gates: PendingGates { names: first.gates.names.clone(), ..PendingGates::default() },
        keys_file: None,
        ..first.clone()
    };
    for part in parts {
        for (task, account) in &part.tasks {
            // If several shards ran a task, the worst status counts.
            let worse = whole
                .tasks
                .get(task)
                .is_none_or(|known| rank(known.status.as_ref()) < rank(account.status.as_ref()));
            if worse {
                whole.tasks.insert(task.clone(), account.clone());
            }
        }
        for (task, facts) in &part.gates.facts {
            if !whole.gates.facts.contains_key(task) {
                whole.gates.facts.insert(task.clone(), facts.clone());
                let reports = part.gates.reports.iter().filter(|report| report.task == *task);
                whole.gates.reports.extend(reports.cloned());
            }
        }
        whole.inputs.merge(&part.inputs);
    }
    whole
}

fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Passed => 0,
        Verdict::Superseded => 1,
        Verdict::Interrupted { .. } => 2,
        Verdict::Failed => 3,
    }
}

/// Ranks a status: an executed task ranks higher than one that was not, and a failure higher than a pass.
fn rank(status: Option<&Status>) -> u8 {
    match status {
        None => 0,
        Some(Status::Stopped) => 1,
        Some(Status::Skipped) => 2,
        Some(Status::Hit) => 3,
        Some(Status::Passed) => 4,
        Some(Status::Flaky) => 5,
        Some(Status::Failed { .. }) => 6,
    }
}

impl Merged {
    /// Returns whether each shard is present exactly once and all of them passed.
    pub fn is_pass(&self) -> bool {
        self.missing.is_empty()
            && self.repeated.is_empty()
            && self.unfinished.is_empty()
            && self.shards.iter().all(|row| row.verdict == Verdict::Passed && row.failed.is_empty())
    }
}
