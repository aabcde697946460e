//! The part of a plan that one shard runs.

use std::collections::BTreeMap;

use crate::base::digest::Digest;
use crate::key::Field;
use crate::shard::Shard;

/// The part of a plan that one shard runs.
#[derive(Clone, Debug)]
pub struct ShardPlan {
    /// The shard.
    pub shard: Shard,
    /// The digest of the whole plan and of its split.
    pub plan_digest: Digest,
    /// The tasks of all other shards, with the fields of their definitions.
    pub elsewhere: BTreeMap<String, Vec<Field>>,
    /// The gates of the plan, which no shard judges.
    pub gates: Vec<String>,
    /// Notes about the split for the reader.
    pub notes: Vec<String>,
}
