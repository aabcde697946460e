//! The manifest of a run: what was run, with which keys and which results. Two manifests can be compared
//! field by field, even if they come from different machines. This module must not know how tasks are run or
//! where manifests are stored.
//!
//! [`Manifest`] is below. [`inputs`] is its table of files, [`difference`] compares two manifests,
//! [`display`] formats the difference, and [`merge`] combines the manifests of shards. Facts without an
//! effect on results, such as the number of jobs, are in [`Environment`]; they are shown, but are not a
//! difference. Secrets are already digests in the keys, and the code that creates a manifest masks all other
//! texts.

pub mod difference;
pub mod display;
pub mod inputs;
pub mod merge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use inputs::Inputs;

use crate::base::ci::CiService;
use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, FieldHasher};
use crate::base::env::Env;
use crate::decision_reason::Reason;
use crate::event::{Reported, Status, Verdict};
use crate::key::{Field, FieldKind};
use crate::quality::evidence::JudgedReport;
use crate::shard::Shard;
use ci_reports::Facts;

/// The version of the format. It rises when a field is removed or changes its meaning.
pub const VERSION: u32 = 2;

/// What a run did, in a form that can be compared with other runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// The run's id. A merged manifest has the ids of all its shards.
    pub run: String,
    /// When it started.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// Its result.
    pub verdict: Verdict,
    /// The names that were requested.
    pub names: Vec<String>,
    /// The tree's git id; `None` outside of a repository.
    pub tree: Option<String>,
    /// The digest of the whole plan. It is the same on each machine.
    pub plan: String,
    /// Operating system and architecture.
    pub platform: String,
    /// The shard that it ran; `None` if it ran the whole plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Where it ran.
    pub environment: Environment,
    /// Its tasks, by their names.
    pub tasks: BTreeMap<String, TaskRecord>,
    /// The tasks of the plan that belong to other shards, with their fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other_shards: BTreeMap<String, Vec<Field>>,
    /// What is judged when all shards are merged.
    #[serde(default, skip_serializing_if = "PendingGates::is_empty")]
    pub gates: PendingGates,
    /// The files that the tasks read.
    #[serde(default)]
    pub inputs: Inputs,
    /// The file that contains the plan, the keys and the inputs if they are not in this manifest. Most runs
    /// share it with the run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<String>,
}

/// The quality gates of a run in shards, and what they are judged by.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PendingGates {
    /// The names of the gates.
    pub names: Vec<String>,
    /// The facts in the reports, by the tasks' names.
    pub facts: BTreeMap<String, Facts>,
    /// The reports that these facts were read from.
    pub reports: Vec<JudgedReport>,
}

impl PendingGates {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.facts.is_empty() && self.reports.is_empty()
    }
}

/// The data that many runs share: the plan and the keys of tasks with their fields.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Keys {
    /// The digest of the plan.
    pub plan: String,
    /// The keys, by the tasks' names.
    pub tasks: BTreeMap<String, TaskKey>,
    /// The files that they read.
    pub inputs: Inputs,
}

/// A task's key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TaskKey {
    /// The key, if it was known when the run was planned.
    pub key: Option<String>,
    /// The fields of the key.
    pub fields: Vec<Field>,
    /// The label that the task shares with others.
    pub group: Option<String>,
}

/// Facts about where a run took place that have no effect on results.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The operating system's own name and version.
    pub system: String,
    /// The number of job slots.
    pub jobs: u32,
    /// The CI service, if it ran in one.
    pub ci: Option<String>,
    /// The version of taskgate.
    pub taskgate: String,
}

/// A task of a run: its key and its result.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskRecord {
    /// The label that it shares with other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The key, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The fields of the key, without empty ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The decision, as `xtask plan` prints it.
    pub decision: String,
    /// The reason of the decision.
    pub reason: Option<Reason>,
    /// The status; `None` if the run ended before.
    pub status: Option<Status>,
    /// The number of attempts.
    pub attempts: u32,
    /// How long all attempts took, in milliseconds.
    pub took: u64,
    /// The digest of its outputs, if it declares some and they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<String>,
    /// Further details in the manifest of a shard. They are shown when all shards are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<TaskDetails>>,
}

/// Details of a task's result.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskDetails {
    /// What its reports say, if it was executed and wrote any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Box<Reported>>,
    /// The last lines that it printed, if it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// Its command, if it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Whether it ran for longer than its `slow-after`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
}

/// Why bytes can't be read as a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// They are not a manifest in JSON.
    #[error("it is not a run's manifest")]
    Malformed(#[source] serde_json::Error),
    /// The manifest has another version.
    #[error("it is a manifest of version {0}, which this version of taskgate does not know")]
    Version(u64),
}

impl Manifest {
    /// Decodes what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are not a manifest, or have another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let version: Version = serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        if version.version != u64::from(VERSION) {
            return Err(ManifestError::Version(version.version));
        }
        serde_json::from_slice(bytes).map_err(ManifestError::Malformed)
    }

    /// Encodes it as JSON.
    pub fn encode(&self) -> Vec<u8> {
        // Encoding can't fail: all values are texts, numbers, lists, and maps whose keys are texts.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Adds the keys that were stored in another file. A task that got its key after planning keeps it.
    pub fn add_keys(&mut self, mut keys: Keys) {
        for (name, account) in &mut self.tasks {
            let Some(task) = keys.tasks.remove(name) else { continue };
            account.group = task.group;
            if account.key.is_none() {
                account.key = task.key;
                account.fields = task.fields;
            }
        }
        if self.shard.is_none() {
            self.plan = keys.plan;
        }
        self.inputs = keys.inputs;
        self.keys_file = None;
    }

    /// Returns the fields of a task, no matter which shard runs it.
    pub fn fields(&self, task: &str) -> Option<&[Field]> {
        let own = self.tasks.get(task).map(|account| &*account.fields);
        own.or_else(|| self.other_shards.get(task).map(|fields| &**fields))
    }
}

impl Keys {
    /// Decodes what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// The bytes are not such a file, or have another version.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice(bytes).map_err(ManifestError::Malformed)
    }

    /// Encodes it as JSON.
    pub fn encode(&self) -> Vec<u8> {
        // See [`Manifest::encode`].
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The version of a manifest, which is decoded first.
#[derive(Deserialize)]
struct Version {
    /// It was called `manifest` in version 1.
    #[serde(alias = "manifest")]
    version: u64,
}

/// Computes the digest of a plan. It is the same on each machine, because it contains the names of needed
/// tasks but not their outputs, which may only be known on some machines.
pub struct PlanDigest(FieldHasher);

impl Default for PlanDigest {
    fn default() -> Self {
        Self(FieldHasher::new("taskgate plan of a manifest 1"))
    }
}

impl PlanDigest {
    /// Adds a value that does not belong to a task.
    pub fn note(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.add(name.as_bytes()).add(value.as_bytes());
        self
    }

    /// Adds a task. The order of tasks matters.
    pub fn task(&mut self, fields: &[Field]) -> &mut Self {
        self.0.number(u64::try_from(fields.len()).unwrap_or(u64::MAX));
        for field in fields {
            self.0.number(field.kind as u64).add(field.name.as_bytes());
            if field.kind != FieldKind::Need {
                self.0.add(field.value.as_bytes());
            }
        }
        self
    }

    /// Returns the digest of everything that was added.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }
}

/// Returns the name of the CI service that runs this process, or `CI` if it is another one.
pub fn ci(env: &Env) -> Option<&'static str> {
    CiService::detect(env).map(CiService::name).or_else(|| env.is_set("CI").then_some("CI"))
}
