//! A plan: the steps of a deploy in their order, the way back, and the reason for each step. It must not know
//! how a plan is made or carried out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::text::count;
use crate::base::units;
use crate::deploy::rehearsal::Unchecked;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::{Step, Weights};

/// What a deploy wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// To make a new release current.
    Deploy,
    /// To make an earlier release current again.
    Rollback,
    /// To take over what runs on the target as the first release.
    Adopt,
}

/// The steps of a deploy, and what each is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The id that approvals are for: 64 hexadecimal digits.
    pub id: String,
    /// What the deploy wants.
    pub goal: Goal,
    /// The release that it makes current.
    pub release: ReleaseId,
    /// The release that is current until then.
    pub previous: Option<ReleaseId>,
    /// The steps, in groups. A group begins when the one before has ended; its steps may be done at once.
    /// Exactly one group contains [`Step::Commit`], and it contains nothing else.
    pub groups: Vec<Group>,
    /// The way back, should a step before [`Step::Commit`] fail.
    pub undo: Vec<UndoGroup>,
    /// What remains of the database's changes if the deploy fails after [`Step::Expand`]; `None`: nothing,
    /// because they are reverted or there are none.
    pub schema_left: Option<SchemaLeft>,
    /// What people should know before they agree.
    pub notes: Vec<Note>,
}

impl Plan {
    /// Returns all steps of the way forward, in their order.
    pub fn steps(&self) -> impl Iterator<Item = &PlannedStep> {
        self.groups.iter().flat_map(|group| &group.steps)
    }

    /// Returns the hosts that the plan leaves out, since they can't be reached.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.notes.iter().filter_map(|note| match note {
            Note::LeftOut { role, host, .. } => Some((role.as_str(), host.as_str())),
            _ => None,
        })
    }
}

/// Steps that may be done at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Group {
    /// What they are, for people.
    pub phase: Phase,
    /// The steps; at least one.
    pub steps: Vec<PlannedStep>,
}

/// A step of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step.
    pub step: Step,
    /// Why it is in the plan.
    pub reason: Reason,
    /// Steps of earlier groups. Unless all of them were done, this step is left out. Only steps after
    /// [`Step::Commit`] need any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Step>,
}

/// Steps of the way back that may be done at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UndoGroup {
    /// What they are, for people.
    pub phase: Phase,
    /// The steps; at least one.
    pub steps: Vec<UndoStep>,
}

/// A step of the way back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UndoStep {
    /// The step.
    pub step: Step,
    /// Why it is in the plan.
    pub reason: Reason,
    /// Steps of the way forward. The step is done only if one of them was attempted.
    pub undoes: Vec<Step>,
    /// Earlier steps of the way back. If one of them was necessary and was not done, this step is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Step>,
}

/// A part of a deploy, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Weights are set that should have been so.
    Repair,
    /// Artifacts are brought to the hosts.
    Deliver,
    /// Migrations are rehearsed.
    Rehearse,
    /// The schema is expanded.
    Expand,
    /// The free slots get their content.
    Stage,
    /// The free slots are started and checked.
    Start,
    /// The new release is tested.
    Smoke,
    /// Requests move to the new slot.
    Traffic,
    /// All requests are at the new slot, and are judged.
    Bake,
    /// Roles without a router are replaced.
    Replace,
    /// The release becomes current.
    Commit,
    /// The old slots are emptied and stopped.
    StopOld,
    /// The old schema is removed.
    Contract,
    /// Old releases are removed.
    Clean,
    /// What was begun is undone.
    Undo,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repair => "repair",
            Self::Deliver => "deliver",
            Self::Rehearse => "rehearse",
            Self::Expand => "expand",
            Self::Stage => "stage",
            Self::Start => "start and check",
            Self::Smoke => "smoke",
            Self::Traffic => "traffic",
            Self::Bake => "bake",
            Self::Replace => "replace",
            Self::Commit => "commit",
            Self::StopOld => "stop the old",
            Self::Contract => "contract",
            Self::Clean => "clean",
            Self::Undo => "undo",
        })
    }
}

/// Why a step is in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// The weights at the router are not those of the current release.
    Drift {
        /// What the router says; `None`: nothing.
        weights: Option<Weights>,
        /// The slot of the current release.
        current: Slot,
    },
    /// A release must be whole on a host before it is started.
    Whole,
    /// Migrations are tried before the database is touched.
    Rehearsed {
        /// How many are pending.
        pending: usize,
    },
    /// Migrations are pending.
    Pending {
        /// How many.
        pending: usize,
    },
    /// The slot is to be used, but something may still run in it.
    LeftRunning {
        /// The release in the slot, if it is known.
        release: Option<ReleaseId>,
    },
    /// The slot is free.
    FreeSlot {
        /// The release in the other slot.
        serving: Option<ReleaseId>,
    },
    /// What serves there is taken over as it is.
    Adopted,
    /// A slot gets requests only after its health check has named the release.
    CheckedFirst,
    /// The slot still runs the release.
    StillRuns,
    /// The release is tested before it is current.
    SmokeTests {
        /// How many tasks do it.
        tasks: usize,
    },
    /// One step of several.
    TrafficStep {
        /// Its number, from 1.
        number: usize,
        /// The number of steps.
        of: usize,
    },
    /// All requests move at once, since no release served before.
    NothingServed,
    /// All requests move at once, since a rollback is urgent.
    RollbackAtOnce,
    /// The traffic is judged.
    Judged {
        /// How long the requests of the slot are watched.
        during: Duration,
        /// Whether there is an analysis; without one, the step only waits.
        has_analysis: bool,
    },
    /// Without a router, the old one stops before the new one starts.
    StopsFirst,
    /// The host is no longer part of the role.
    HostRemoved,
    /// The role is no longer part of the environment.
    RoleRemoved,
    /// Everything before has succeeded.
    AllPassed,
    /// Requests that have begun may end.
    RequestsEnd,
    /// The slot is not needed any more.
    OldSlot,
    /// No kept release needs the old schema.
    SchemaUnused,
    /// Only some releases are kept.
    Kept {
        /// How many.
        releases: usize,
    },
    /// The release of before gets all requests again.
    BackToPrevious,
    /// The release of before is started again.
    StartPreviousAgain,
    /// The new release must not run on.
    StopNew,
    /// The changes of the database are undone.
    RevertSchema,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift { weights: None, current } => {
                write!(f, "the router has no weights, but {current} has the current release")
            }
            Self::Drift { weights: Some(weights), current } => write!(
                f,
                "the router sends {} % to blue and {} % to green, but {current} has the current release",
                weights.blue, weights.green
            ),
            Self::Whole => f.write_str("a release must be whole on the host before anything changes"),
            Self::Rehearsed { pending } => {
                write!(f, "{}: tried on a scratch database first", pending_migrations(*pending))
            }
            Self::Pending { pending } => f.write_str(&pending_migrations(*pending)),
            Self::LeftRunning { release: Some(release) } => {
                write!(f, "the slot is needed, and {release} may still run in it without requests")
            }
            Self::LeftRunning { release: None } => {
                f.write_str("the slot is needed, and something may still run in it without requests")
            }
            Self::FreeSlot { serving: Some(serving) } => {
                write!(f, "the slot is free: {serving} is in the other one")
            }
            Self::FreeSlot { serving: None } => f.write_str("the slot is free: nothing serves yet"),
            Self::Adopted => f.write_str("what serves in this slot is taken over as it is"),
            Self::CheckedFirst => f.write_str("the health check must name the release before it is used"),
            Self::StillRuns => {
                f.write_str("the release still runs here; the health check must name it before it is used")
            }
            Self::SmokeTests { tasks } => {
                write!(f, "{} must pass before the release is current", count(*tasks, "smoke task"))
            }
            Self::TrafficStep { number, of } => write!(f, "traffic step {number} of {of}"),
            Self::NothingServed => f.write_str("all requests at once, since no release served before"),
            Self::RollbackAtOnce => f.write_str("all requests at once, since a rollback is urgent"),
            Self::Judged { during, has_analysis: true } => {
                write!(f, "its requests are judged for {}", units::duration(*during))
            }
            Self::Judged { during, has_analysis: false } => {
                write!(f, "waits for {}: the role has no analysis", units::duration(*during))
            }
            Self::StopsFirst => {
                f.write_str("the role has no router: the old one stops before the new one starts")
            }
            Self::HostRemoved => f.write_str("the host is no longer part of the role"),
            Self::RoleRemoved => f.write_str("the role is no longer part of the environment"),
            Self::AllPassed => {
                f.write_str("everything before has succeeded; from here on there is no way back")
            }
            Self::RequestsEnd => f.write_str("requests that have begun may end"),
            Self::OldSlot => f.write_str("the slot is not needed any more"),
            Self::SchemaUnused => f.write_str("no kept release needs the old schema"),
            Self::Kept { releases } => write!(f, "{} on the host", kept_releases(*releases)),
            Self::BackToPrevious => f.write_str("the release of before gets all requests again"),
            Self::StartPreviousAgain => f.write_str("the release of before must run again"),
            Self::StopNew => f.write_str("the new release must not run on"),
            Self::RevertSchema => f.write_str("the changes of the database are undone"),
        }
    }
}

fn pending_migrations(number: usize) -> String {
    let verb = if number == 1 { "is" } else { "are" };
    format!("{} {verb} pending", count(number, "migration"))
}

fn kept_releases(number: usize) -> String {
    let verb = if number == 1 { "stays" } else { "stay" };
    format!("{} {verb}", count(number, "release"))
}

/// What remains of the database's changes if a deploy fails after them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaLeft {
    /// They stay, since there is no `revert`.
    NoRevert,
    /// They stay, since the migrations are irreversible.
    Irreversible,
}

/// What people should know of a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// A host is left out, since it can't be reached. The deploy will end with the status for attention.
    LeftOut {
        /// The role.
        role: String,
        /// The host.
        host: String,
        /// Why it can't be reached.
        reason: String,
    },
    /// The old release still runs: going back to it takes one shift.
    Warm {
        /// The role.
        role: String,
    },
    /// The release must be started first.
    Cold {
        /// The role.
        role: String,
    },
    /// The old slot runs on for some time after the deploy.
    Standby {
        /// The role.
        role: String,
        /// The slot.
        slot: Slot,
        /// How long.
        during: Duration,
    },
    /// The role does not serve while it is replaced.
    Downtime {
        /// The role.
        role: String,
    },
    /// Migrations are pending, and nobody tries whether the old release can live with them.
    NotChecked {
        /// Why not.
        #[serde(flatten)]
        why: Unchecked,
    },
    /// Which migrations are pending can only be known once the artifacts are built.
    PendingUnknown,
    /// Migrations are pending, and there is no way back from them.
    Irreversible,
    /// The old schema stays, since a kept release needs it.
    OldSchemaKept {
        /// The oldest release that needs it.
        release: ReleaseId,
    },
    /// The same release is already current, but something is not as it should be.
    Incomplete {
        /// What, one line.
        what: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut { role, host, reason } => {
                write!(f, "{role}: {host} is left out, since it can't be reached: {reason}")
            }
            Self::Warm { role } => write!(f, "{role}: warm, the release still runs"),
            Self::Cold { role } => write!(f, "{role}: cold, the release must be started first"),
            Self::Standby { role, slot, during } => {
                write!(f, "{role}: {slot} runs on for {} after the deploy", units::duration(*during))
            }
            Self::Downtime { role } => {
                write!(f, "{role}: does not serve between the stop of the old and the start of the new one")
            }
            Self::NotChecked { why } => write!(
                f,
                "migrations are pending, and whether the old release works with the expanded schema is not checked: {why}"
            ),
            Self::PendingUnknown => {
                f.write_str("which migrations are pending is not known before the artifacts are built")
            }
            Self::Irreversible => f.write_str("migrations are pending that can't be reverted"),
            Self::OldSchemaKept { release } => {
                write!(f, "the old schema stays, since {release} needs it")
            }
            Self::Incomplete { what } => write!(f, "the same release is already current, but {what}"),
        }
    }
}
