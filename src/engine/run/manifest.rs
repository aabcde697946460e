//! Writes the manifest of a run: the keys of its plan while the run is going on, and the outcome of each task
//! at the end. The keys are in a separate file, which runs with the same keys share. This module must not
//! decide what counts as a difference between runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::digest::FieldHasher;
use crate::base::env::Env;
use crate::base::file::{self, FileError};
use crate::engine::context::Context;
use crate::engine::report::gate::load_reports;
use crate::engine::run::Run;
use crate::event::{Level, Summary};
use crate::git::snapshot::{Snapshot, SnapshotEntry};
use crate::graph::NodeId;
use crate::history::runs::Runs;
use crate::key::explanation::displayed_fields;
use crate::key::inputs::InputSet;
use crate::key::{Contribution, FieldKind};
use crate::plan::{Decision, Plan, PlanInputs, Planned, definition};
use crate::process::secret_mask::Mask;
use crate::quality::evidence::JudgedReport;
use crate::run_manifest::{
    Environment, Inputs, Keys, Manifest, PendingGates, PlanDigest, TaskKey, TaskRecord, VERSION, ci,
};
use ci_reports::Facts;

/// The part of a manifest that is known before the run ends.
pub struct ManifestDraft {
    ids: Vec<NodeId>,
    /// The digest under which the keys of the plan are stored.
    keys: String,
    /// Whether the keys could be stored.
    stored_keys: Result<(), FileError>,
}

/// The reports of a shard. Gates use them when all shards are merged.
#[derive(Default)]
pub struct ShardReports {
    facts: BTreeMap<String, Facts>,
    reports: Vec<JudgedReport>,
    /// Tasks whose reports can no longer be used.
    pub missing: Vec<String>,
}

impl ManifestDraft {
    /// Returns the draft for a run, and stores the keys of its plan. Most runs have the same keys as the
    /// previous run, so nothing has to be stored.
    pub fn new(run: &Run<'_>, context: &Context<'_>) -> Self {
        let (inputs, plan) = (&run.inputs, run.plan);
        let is_counted =
            |id: &NodeId| !matches!(plan.nodes[id.0].decision, Decision::Aggregate | Decision::Context);
        let ids: Vec<NodeId> = inputs.graph.ids().filter(is_counted).collect();
        let keys = keys_digest(inputs, plan, &ids);
        let kept = run.store.as_ref().map_or(Ok(()), |store| {
            let runs = Runs::new(store.state);
            if runs.touch_keys(&keys, context.emitter.clock().now()) {
                return Ok(());
            }
            runs.store_keys(&keys, &self::keys(inputs, plan, &ids, &context.secrets.mask).encode())
        });
        Self { ids, keys, stored_keys: kept }
    }
}

/// Returns a digest of the keys of all tasks. Runs with the same keys have the same digest.
fn keys_digest(inputs: &PlanInputs<'_>, plan: &Plan, ids: &[NodeId]) -> String {
    let nothing = Snapshot::default();
    let mut fields = FieldHasher::new("taskgate keys of a manifest 1");
    for id in ids {
        fields.add(inputs.config.task(inputs.graph.node(*id).task).name.as_bytes());
        match &plan.nodes[id.0].key {
            Some(key) => fields.add(b"key").add(key.digest.bytes()),
            None => {
                let definition = definition(inputs, *id, inputs.snapshot.unwrap_or(&nothing));
                fields.add(b"definition").add(definition.digest.bytes())
            }
        };
        // A group is not part of a key.
        let group = &inputs.config.task(inputs.graph.node(*id).task).group;
        fields.add(group.as_deref().unwrap_or_default().as_bytes());
    }
    fields.digest().hex()
}

fn keys(inputs: &PlanInputs<'_>, plan: &Plan, ids: &[NodeId], mask: &Mask) -> Keys {
    let tasks = ids.iter().map(|id| {
        let task = inputs.config.task(inputs.graph.node(*id).task);
        let key = plan.nodes[id.0].key.as_ref();
        let fields = key.map(|key| displayed_fields(&key.fields, mask)).unwrap_or_default();
        let key = TaskKey { key: key.map(|key| key.digest.hex()), fields, group: task.group.clone() };
        (task.name.clone(), key)
    });
    Keys {
        plan: plan_digest(inputs, plan, ids),
        tasks: tasks.collect(),
        inputs: input_files(inputs, plan, ids),
    }
}

/// Returns the digest of a plan that is not split into shards.
fn plan_digest(inputs: &PlanInputs<'_>, plan: &Plan, ids: &[NodeId]) -> String {
    let nothing = Snapshot::default();
    let snapshot = inputs.snapshot.unwrap_or(&nothing);
    let mut nodes: Vec<(&str, NodeId)> =
        ids.iter().map(|id| (inputs.config.task(inputs.graph.node(*id).task).name.as_str(), *id)).collect();
    nodes.sort_unstable();
    let mut digest = PlanDigest::default();
    for (name, id) in nodes {
        digest.note(name, "");
        match &plan.nodes[id.0].key {
            Some(key) => digest.task(&key.fields),
            None => digest.task(&definition(inputs, id, snapshot).fields),
        };
    }
    digest.digest().hex()
}

/// Returns the files that these nodes read. Each distinct set is looked up once.
fn input_files(inputs: &PlanInputs<'_>, plan: &Plan, ids: &[NodeId]) -> Inputs {
    let Some(snapshot) = inputs.snapshot else { return Inputs::default() };
    let mut sets: BTreeMap<String, Vec<&SnapshotEntry>> = BTreeMap::new();
    for id in ids {
        let fields = plan.nodes[id.0].key.iter().flat_map(|key| &key.fields);
        for field in fields.filter(|field| field.kind == FieldKind::Inputs) {
            if !sets.contains_key(&field.value) {
                let set = InputSet::new(inputs.config, inputs.graph, inputs.graph.node(*id));
                sets.insert(field.value.clone(), set.select(snapshot).collect());
            }
        }
    }
    Inputs::new(snapshot.entries(), sets)
}

/// Returns the record of a node's decision. It contains the node's key if `mask` is given, which masks the
/// secrets in it: that is needed if the key differs from the plan's.
fn new_record(planned: &Planned, mask: Option<&Mask>) -> TaskRecord {
    let key = planned.key.as_ref().zip(mask);
    TaskRecord {
        group: None,
        key: key.map(|(key, _)| key.digest.hex()),
        fields: key.map(|(key, mask)| displayed_fields(&key.fields, mask)).unwrap_or_default(),
        decision: planned.decision.name().to_owned(),
        reason: planned.decision.reason().cloned(),
        status: None,
        attempts: 0,
        took: 0,
        outputs: outputs(planned.contribution),
        details: None,
    }
}

fn outputs(contribution: Option<Contribution>) -> Option<String> {
    match contribution {
        Some(Contribution::Outputs(digest)) => Some(digest.hex()),
        _ => None,
    }
}

impl Run<'_> {
    /// Returns whether this run has a manifest. Runs of `watch` and runs that store nothing have none.
    pub fn has_manifest(&self) -> bool {
        self.options.watching.is_none() && self.options.audit_collector().is_none() && self.store.is_some()
    }

    /// Writes the manifest to the folder that contains the record of the run.
    pub fn write_manifest(
        &self,
        context: &Context<'_>,
        draft: ManifestDraft,
        shard_reports: ShardReports,
        summary: &Summary,
    ) {
        let Some(store) = &self.store else { return };
        let mut manifest = self.manifest(context, &draft, summary);
        manifest.gates.facts = shard_reports.facts;
        manifest.gates.reports = shard_reports.reports;
        let runs = Runs::new(store.state);
        let kept =
            draft.stored_keys.and_then(|()| runs.store_manifest(&self.options.run_id, &manifest.encode()));
        if let Err(error) = kept {
            context.emitter.warn_unwritten(&error);
        }
    }

    /// Returns the reports of the tasks of this shard. A task whose reports can't be used fails the shard, as
    /// it would fail the gate that reads them.
    pub fn shard_reports(&self, context: &Context<'_>) -> ShardReports {
        let mut shard_reports = ShardReports::default();
        for (node, id) in self.inputs.graph.nodes.iter().zip(self.inputs.graph.ids()) {
            let task = self.inputs.config.task(node.task);
            // A task that does not run on this system wrote no report, even if there is such a file.
            let runs = task.runs_on(&self.inputs.platform.os);
            if task.reports().is_empty() || !runs || context.nodes.contribution(id).is_none() {
                continue;
            }
            match load_reports(context, id) {
                Ok(reports) => {
                    let reports = Arc::unwrap_or_clone(reports);
                    shard_reports.facts.insert(task.name.clone(), reports.facts);
                    let shown = reports
                        .sources
                        .iter()
                        .map(|source| source.with_mapped_path(&|path| context.secrets.mask.distinct(path)));
                    shard_reports.reports.extend(shown);
                }
                Err(error) => {
                    let error = context.secrets.mask.distinct(&error.to_string());
                    context.emitter.notice(Level::Warning, format!("{}: {error}", task.name));
                    shard_reports.missing.push(task.name.clone());
                }
            }
        }
        shard_reports
    }

    /// Returns the manifest, without the reports for gates.
    fn manifest(&self, context: &Context<'_>, draft: &ManifestDraft, summary: &Summary) -> Manifest {
        let mut outcomes = context.emitter.outcomes();
        // Records are large: those that are in order already are not moved.
        let mut ids = draft.ids.clone();
        ids.sort_unstable_by_key(|id| context.name(*id));
        let tasks = ids.into_iter().map(|id| {
            let name = context.name(id).to_owned();
            let mut record = match context.nodes.redecided(id) {
                Some(planned) => new_record(&planned, Some(&context.secrets.mask)),
                None => new_record(&self.plan.nodes[id.0], None),
            };
            if let Some(outcome) = outcomes.remove(&name) {
                record.outputs = outputs(context.nodes.contribution(id)).or(record.outputs);
                record.reason = Some(outcome.reason);
                record.status = Some(outcome.status);
                record.attempts = outcome.attempts;
                record.took = outcome.took;
                record.details = outcome.details.filter(|_| self.shard_plan.is_some());
            }
            (name, record)
        });
        let tasks = tasks.collect();
        let part = self.shard_plan;
        let elapsed = context.emitter.millis();
        Manifest {
            version: VERSION,
            run: self.options.run_id.clone(),
            started: Timestamp(context.emitter.clock().now().0.saturating_sub(elapsed)),
            took: summary.took,
            verdict: summary.verdict,
            names: self.names.iter().map(|name| context.secrets.mask.text(name)).collect(),
            tree: self.tree.clone(),
            plan: part.map(|part| part.plan_digest.hex()).unwrap_or_default(),
            platform: self.inputs.platform.id.clone(),
            shard: part.map(|part| part.shard),
            environment: environment(self.inputs.env, self.options.jobs),
            tasks,
            other_shards: part.map(|part| part.elsewhere.clone()).unwrap_or_default(),
            gates: PendingGates {
                names: part.map(|part| part.gates.clone()).unwrap_or_default(),
                ..PendingGates::default()
            },
            inputs: Inputs::default(),
            keys_file: Some(draft.keys.clone()),
        }
    }
}

fn environment(env: &Env, jobs: u32) -> Environment {
    Environment {
        system: system(),
        jobs,
        ci: ci(env).map(str::to_owned),
        taskgate: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Returns the name of the operating system.
fn system() -> String {
    let text = file::read(Path::new("/etc/os-release")).ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches(['"', '\'']).to_owned())
}
