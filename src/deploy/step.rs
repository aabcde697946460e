//! The steps of a deploy, as the planner lists them and the executor carries them out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::units;
use crate::deploy::release::{ReleaseId, Slot};

/// The share of requests that each slot of a role gets, in percent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Weights {
    /// Of the slot `blue`.
    pub blue: u8,
    /// Of the slot `green`.
    pub green: u8,
}

impl Weights {
    /// Returns the weights with which `slot` gets `share` percent and the other slot the rest.
    pub fn new(slot: Slot, share: u8) -> Self {
        let rest = 100 - share.min(100);
        match slot {
            Slot::Blue => Self { blue: share, green: rest },
            Slot::Green => Self { blue: rest, green: share },
        }
    }

    /// Returns the share of a slot.
    pub fn of_slot(self, slot: Slot) -> u8 {
        match slot {
            Slot::Blue => self.blue,
            Slot::Green => self.green,
        }
    }
}

/// A slot of a role on one host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Instance {
    /// The role.
    pub role: String,
    /// The name of the host.
    pub host: String,
    /// The slot.
    pub slot: Slot,
}

/// A step of a deploy. Each is idempotent: done twice, it has the same effect as once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// Brings the artifacts of a release to a host and verifies their digests there.
    Deliver {
        /// The role.
        role: String,
        /// The host.
        host: String,
        /// The release.
        release: ReleaseId,
    },
    /// Tries the migrations on a scratch database.
    Rehearse,
    /// Makes the changes of the database that the old release can live with.
    Expand,
    /// Undoes [`Step::Expand`].
    Revert,
    /// Makes the changes of the database that only the new release can live with.
    Contract,
    /// Makes a slot contain a release, and writes its variables.
    Stage {
        /// The slot.
        on: Instance,
        /// The release.
        release: ReleaseId,
    },
    /// Starts the processes of a slot, and waits until its health check names the release.
    Start {
        /// The slot.
        on: Instance,
        /// The release.
        release: ReleaseId,
    },
    /// Stops the processes of a slot.
    Stop {
        /// The slot.
        on: Instance,
    },
    /// Runs the smoke tasks against a release.
    Smoke {
        /// The release.
        release: ReleaseId,
    },
    /// Sets the weights of a role's slots at its router, and reads them back.
    Shift {
        /// The role.
        role: String,
        /// The weights.
        weights: Weights,
    },
    /// Waits, and judges the traffic of a slot meanwhile.
    Measure {
        /// The role.
        role: String,
        /// The slot.
        slot: Slot,
        /// How long.
        during: Duration,
        /// Whether this is the bake time, after the last shift.
        bake: bool,
    },
    /// Waits until a slot without weight has no requests left, or the drain time is over.
    Drain {
        /// The role.
        role: String,
        /// The slot.
        slot: Slot,
    },
    /// Records that a release is current. From here on, a failure does not lead back to the old one.
    Commit {
        /// The release.
        release: ReleaseId,
    },
    /// Removes releases that are not kept from a host.
    Clean {
        /// The role.
        role: String,
        /// The host.
        host: String,
        /// The releases that stay.
        keep: Vec<ReleaseId>,
    },
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It was done.
    Done,
    /// It failed, and the reason.
    Failed {
        /// One line for people.
        reason: String,
    },
    /// The host can't be reached, so nobody knows whether it was done.
    Unreachable {
        /// The host.
        host: String,
        /// The error, one line.
        reason: String,
    },
    /// The target refused the order, because another deploy has taken over.
    Superseded {
        /// The deploy that has the lease now, if it is known.
        by: Option<String>,
    },
    /// The deploy was asked to stop meanwhile.
    Interrupted,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.role, self.host)
    }
}

/// Says where it is done, and then what is done: `web on web1: start 7-0a1b2c3d in green`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver { role, host, release } => write!(f, "{role} on {host}: bring {release} there"),
            Self::Rehearse => f.write_str("migrations: rehearse"),
            Self::Expand => f.write_str("migrations: expand"),
            Self::Revert => f.write_str("migrations: revert"),
            Self::Contract => f.write_str("migrations: contract"),
            Self::Stage { on, release } => write!(f, "{on}: put {release} into {}", on.slot),
            Self::Start { on, release } => write!(f, "{on}: start {release} in {}", on.slot),
            Self::Stop { on } => write!(f, "{on}: stop {}", on.slot),
            Self::Smoke { release } => write!(f, "smoke tests of {release}"),
            Self::Shift { role, weights } => {
                write!(f, "{role}: send {} % to blue and {} % to green", weights.blue, weights.green)
            }
            Self::Measure { role, slot, during, bake } => {
                let what = if *bake { "bake" } else { "measure" };
                write!(f, "{role}: {what} {slot} for {}", units::duration(*during))
            }
            Self::Drain { role, slot } => write!(f, "{role}: drain {slot}"),
            Self::Commit { release } => write!(f, "record that {release} is current"),
            Self::Clean { role, host, .. } => write!(f, "{role} on {host}: remove old releases"),
        }
    }
}
