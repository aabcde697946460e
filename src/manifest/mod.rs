//! The manifest of a run: what was run, under which keys and what of it, and what became of it, so
//! that two runs can be compared field by field wherever they took place. It must not know how a run
//! is performed, nor where manifests are kept.
//!
//! What two machines may differ in without running something else (how many jobs there are, which CI
//! calls) is kept apart in [`Environment`]: it is told and never counts as a difference. Values of
//! secrets are digests before they get here, and who makes a manifest masks all other texts.

pub mod difference;
pub mod inputs;
pub mod merge;
pub mod phrases;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use inputs::Inputs;

use crate::base::ci::CiService;
use crate::base::clock::Timestamp;
use crate::base::digest::{Digest, Fields};
use crate::base::env::Env;
use crate::event::{Reported, Status, Verdict};
use crate::key::{Field, FieldKind};
use crate::quality::evidence::Source;
use crate::reason::Reason;
use crate::shard::Shard;
use ci_reports::Facts;

/// Version of the format. It rises when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// A run, as far as another one can be compared with it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub manifest: u32,
    /// The run's id; of a merged one, those of all its shards.
    pub run: String,
    /// When it started.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// What became of it.
    pub verdict: Verdict,
    /// The names that were asked for.
    pub names: Vec<String>,
    /// The tree's git id; `None` outside a repository.
    pub tree: Option<String>,
    /// The digest of the whole plan: of what each task is, wherever it runs.
    pub plan: String,
    /// Operating system and architecture.
    pub platform: String,
    /// Which part of the plan it ran, if not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Where it ran.
    pub environment: Environment,
    /// Its tasks, by their names.
    pub tasks: BTreeMap<String, Account>,
    /// The tasks of the plan that belong to other shards, and what each is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub elsewhere: BTreeMap<String, Vec<Field>>,
    /// The gates that are judged when all shards are merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// What tasks reported that those gates are judged by, by the tasks' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Facts>,
    /// The reports that these facts were read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Source>,
    /// The files that the tasks read.
    #[serde(default)]
    pub inputs: Inputs,
    /// Where the plan, the keys and the inputs are kept, if they are not here: most runs have the
    /// same as the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
}

/// What many runs have in common: the keys of their tasks, and what these are made of.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Keys {
    /// The digest of the plan.
    pub plan: String,
    /// By the tasks' names.
    pub tasks: BTreeMap<String, TaskKey>,
    /// The files that they read.
    pub inputs: Inputs,
}

/// A task's key.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TaskKey {
    /// The key, if it was known when the run was planned.
    pub key: Option<String>,
    /// What it is made of.
    pub fields: Vec<Field>,
    /// The label that the task shares with others.
    pub group: Option<String>,
}

/// What two runs of one tree may differ in without being different.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The system of the machine, by its own name.
    pub system: String,
    /// How many job slots there were.
    pub jobs: u32,
    /// The CI that called, if one did.
    pub ci: Option<String>,
    /// The version of taskgate.
    pub taskgate: String,
}

/// What a task was and what became of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The label it shares with others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its key, if it came to have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the key is made of, without fields that are empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// What was decided, as `xtask plan` says it.
    pub decision: String,
    /// Why.
    pub reason: Option<Reason>,
    /// What became of it; `None` if the run ended before.
    pub status: Option<Status>,
    /// How often it was tried.
    pub attempts: u32,
    /// How long that took, in milliseconds.
    pub took: u64,
    /// The digest of its outputs, if it declares any and they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<String>,
    /// Of a task of a shard, what else there is to tell of it when all shards are merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Told>>,
}

/// What is told of a task beside what became of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// What its reports say, if it was executed and wrote any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Box<Reported>>,
    /// If it failed, the last lines that it printed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// If it failed, its command, as a person would type it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Whether it passed its `slow-after`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub slow: bool,
}

/// Why bytes are no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// They are not of its form.
    #[error("it is not a run's manifest")]
    Malformed(#[source] serde_json::Error),
    /// It is of another version.
    #[error("it is a manifest of version {0}, which this version of taskgate does not know")]
    Version(u64),
}

impl Manifest {
    /// What [`Self::encode`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let version: Version = serde_json::from_slice(bytes).map_err(ManifestError::Malformed)?;
        if version.manifest != u64::from(VERSION) {
            return Err(ManifestError::Version(version.manifest));
        }
        serde_json::from_slice(bytes).map_err(ManifestError::Malformed)
    }

    /// As JSON.
    pub fn encode(&self) -> Vec<u8> {
        // Text, numbers, lists and maps of text can always be written as JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Takes in what was kept apart. A key that a task came to have later is its own.
    pub fn fill(&mut self, mut keys: Keys) {
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
        self.keys = None;
    }

    /// The fields of a task, whichever shard runs it.
    pub fn fields(&self, task: &str) -> Option<&[Field]> {
        let own = self.tasks.get(task).map(|account| &*account.fields);
        own.or_else(|| self.elsewhere.get(task).map(|fields| &**fields))
    }
}

impl Keys {
    /// What [`Self::encode`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice(bytes).map_err(ManifestError::Malformed)
    }

    /// As JSON.
    pub fn encode(&self) -> Vec<u8> {
        // As a manifest.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// All that is read of a manifest before it is known which one it is.
#[derive(Deserialize)]
struct Version {
    manifest: u64,
}

/// The digest of a plan, which is the same on each machine that plans the same: what each task is,
/// and for those it needs their names, since what they made may be known on one machine and not yet
/// on another.
pub struct PlanDigest(Fields);

impl Default for PlanDigest {
    fn default() -> Self {
        Self(Fields::new("taskgate plan of a manifest 1"))
    }
}

impl PlanDigest {
    /// Adds something that is no task.
    pub fn note(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.add(name.as_bytes()).add(value.as_bytes());
        self
    }

    /// Adds a task. They have to come in one order.
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

    /// The digest of all that was added.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }
}

/// Returns the name of the CI service that runs this process, or `CI` if it is another one.
pub fn ci(env: &Env) -> Option<&'static str> {
    CiService::detect(env).map(CiService::name).or_else(|| env.is_set("CI").then_some("CI"))
}
