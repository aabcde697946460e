//! What a target says of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::deploy::lease::Lease;
use crate::deploy::record::Record;
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::step::Weights;

/// What a target says of itself at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Observation {
    /// The clock of the authority.
    pub now: Timestamp,
    /// What the authority knows: the host that grants leases and has the history.
    pub authority: Authority,
    /// What runs, by role and host.
    pub hosts: Vec<HostState>,
    /// The weights at the routers, by role; a role whose router can't be asked has an error message.
    pub weights: BTreeMap<String, Result<Weights, String>>,
}

/// What the authority of an environment knows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Authority {
    /// The lease, also if it has expired.
    pub lease: Option<Lease>,
    /// The release that is current.
    pub current: Option<ReleaseId>,
    /// The releases that succeeded and are still whole, the oldest first.
    pub releases: Vec<Release>,
    /// The records of the last deploy, from its start.
    pub records: Vec<Record>,
    /// The number of the last release, succeeded or not; 0 if there is none.
    pub last_number: u32,
    /// Who stopped deploys, and why.
    pub frozen: Option<(String, String)>,
    /// What of this can't be read, a line for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
    /// The roles whose weights nobody would bring back although `on-lost = "revert"` wants it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unguarded: Vec<String>,
}

/// What a host says of one role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HostState {
    /// The role.
    pub role: String,
    /// The host.
    pub host: String,
    /// Its slots, or why it can't be reached.
    pub slots: Result<Slots, String>,
}

/// The slots of a role on one host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Slots {
    /// The slot `blue`.
    pub blue: SlotState,
    /// The slot `green`.
    pub green: SlotState,
    /// The artifacts that are whole on the host, each by the first 16 digits of its digest; `None`: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<BTreeSet<String>>,
}

impl Slots {
    /// Returns the state of a slot.
    pub fn get(&self, slot: Slot) -> &SlotState {
        match slot {
            Slot::Blue => &self.blue,
            Slot::Green => &self.green,
        }
    }
}

/// The state of a slot on one host.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SlotState {
    /// The release that it contains.
    pub release: Option<ReleaseId>,
    /// Whether its processes run; `None`: unknown, since the role has no `status`.
    pub running: Option<bool>,
}
