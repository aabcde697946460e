//! Why a deploy does not begin. It must not know who asked, nor how it is printed.

use crate::base::clock::Timestamp;
use crate::base::text::{count, first_of};
use crate::deploy::release::{ReleaseId, Slot};

/// Something that policy has against a deploy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objection {
    /// What, one line.
    pub reason: String,
    /// What to do about it, if anything can be done.
    pub hint: Option<String>,
}

/// Why a deploy does not begin. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Policy forbids it now.
    #[error("{}", first_of(.0.iter().map(|objection| &objection.reason), 5))]
    Forbidden(Vec<Objection>),
    /// Another deploy is in progress.
    #[error("{holder} is deploying since {} (deploy {deploy})", since.rfc3339())]
    Held {
        /// The deploy.
        deploy: String,
        /// Who does it.
        holder: String,
        /// Since when.
        since: Timestamp,
        /// When its lease expires unless it is renewed.
        expires: Timestamp,
    },
    /// Deploys are stopped.
    #[error("deploys are stopped by {by}: {reason}")]
    Frozen {
        /// Who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The last deploy was not finished.
    #[error("deploy {deploy} of {release} by {by} has not ended, and its process is gone")]
    Unfinished {
        /// The deploy.
        deploy: String,
        /// What it deployed.
        release: ReleaseId,
        /// Who asked for it.
        by: String,
    },
    /// The target has lost what it knew.
    #[error("the history of the target is damaged: {}", first_of(.what, 3))]
    Damaged {
        /// What, a line for each.
        what: Vec<String>,
        /// Whether a release is known to be current.
        has_current: bool,
    },
    /// No deploy can be resumed or aborted.
    #[error("no deploy is unfinished")]
    NothingUnfinished,
    /// The deploy that is to be aborted has made its release current.
    #[error("{release} is already current, so its deploy can't be aborted")]
    AlreadyCommitted {
        /// The release.
        release: ReleaseId,
    },
    /// Hosts can't be reached.
    #[error("{} can't be reached: {}", count(.0.len(), "host"), first_of(.0, 3))]
    Unreachable(Vec<String>),
    /// A router can't be asked.
    #[error("{role}: the router can't be asked for its weights: {reason}")]
    Router {
        /// The role.
        role: String,
        /// The error, one line.
        reason: String,
    },
    /// The current release is in different slots.
    #[error("{role}: {release} is in different slots: {}", first_of(.hosts, 5))]
    SlotsDiffer {
        /// The role.
        role: String,
        /// The release.
        release: ReleaseId,
        /// Hosts, each with its slot.
        hosts: Vec<String>,
    },
    /// The router sends requests to a slot that is not that of the current release, which does not run.
    #[error(
        "{role}: {release} should serve from {slot} but does not run, and the router uses the other slot"
    )]
    WrongSlot {
        /// The role.
        role: String,
        /// The current release.
        release: ReleaseId,
        /// Its slot.
        slot: Slot,
    },
    /// Both slots have requests, and no release is current.
    #[error("{role}: no slot is free: something that is no release runs in both and has requests")]
    NoFreeSlot {
        /// The role.
        role: String,
    },
    /// Something runs in a slot that no deploy has started.
    #[error("{role} on {host}: something runs in {slot} that no deploy has started")]
    Unmanaged {
        /// The role.
        role: String,
        /// The host.
        host: String,
        /// The slot.
        slot: Slot,
        /// Whether it can be taken over as a release.
        can_adopt: bool,
    },
    /// There is no release to go back to.
    #[error("no earlier release succeeded and is whole on the target (there: {})", listed(.releases))]
    NoEarlierRelease {
        /// The releases that there are.
        releases: Vec<ReleaseId>,
    },
    /// The release is not one to go back to.
    #[error("release {number} can't be made current: it did not succeed, or it is no longer whole on the target (there: {})", listed(.releases))]
    NotARelease {
        /// Its number.
        number: u32,
        /// The releases that could be.
        releases: Vec<ReleaseId>,
    },
    /// The release is current, but not as it should be.
    #[error("{release} is already current, but {what}")]
    CurrentIncomplete {
        /// The release.
        release: ReleaseId,
        /// What is wrong, one line.
        what: String,
    },
    /// The old schema is gone.
    #[error("{release} can't run any more: {contracted} removed the database schema that it needs")]
    AcrossContract {
        /// The release.
        release: ReleaseId,
        /// The release whose deploy removed it.
        contracted: ReleaseId,
    },
    /// An artifact of a release is missing on a host.
    #[error("{role} on {host}: artifact {artifact} of {release} is missing")]
    ArtifactMissing {
        /// The role.
        role: String,
        /// The host.
        host: String,
        /// The release.
        release: ReleaseId,
        /// The name of the artifact.
        artifact: String,
    },
    /// A release has no host left.
    #[error("{release} has no host that still is part of the environment")]
    NoHostLeft {
        /// The release.
        release: ReleaseId,
    },
    /// Another command has changed what is current while a rollback waited.
    #[error("another command has made {release} current meanwhile")]
    Overtaken {
        /// The release that is current now.
        release: ReleaseId,
    },
    /// There is nothing that could be taken over.
    #[error("{role}: no slot serves there, so there is nothing to adopt")]
    NothingToAdopt {
        /// The role.
        role: String,
    },
    /// A release is already current.
    #[error("{release} is already current, so there is nothing to adopt")]
    AlreadyManaged {
        /// The release.
        release: ReleaseId,
    },
}

/// Formats the releases that a message names.
fn listed(releases: &[ReleaseId]) -> String {
    if releases.is_empty() { "none".to_owned() } else { first_of(releases, 10) }
}

impl Refusal {
    /// Returns the exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Forbidden(_) | Self::Held { .. } | Self::Frozen { .. } => 6,
            Self::AlreadyCommitted { .. } | Self::AcrossContract { .. } | Self::AlreadyManaged { .. } => 6,
            Self::NothingUnfinished | Self::NoEarlierRelease { .. } | Self::NotARelease { .. } => 6,
            Self::NoHostLeft { .. } | Self::NothingToAdopt { .. } | Self::Overtaken { .. } => 6,
            Self::Unreachable(_) | Self::Router { .. } => 5,
            Self::Unfinished { .. } | Self::SlotsDiffer { .. } | Self::WrongSlot { .. } => 7,
            Self::NoFreeSlot { .. } | Self::CurrentIncomplete { .. } | Self::Unmanaged { .. } => 7,
            Self::ArtifactMissing { .. } | Self::Damaged { .. } => 7,
        }
    }

    /// Returns what to do about it, where there is something.
    pub fn hint(&self, environment: &str) -> Option<String> {
        let deploy = format!("xtask deploy --env {environment}");
        Some(match self {
            Self::Forbidden(objections) => {
                let hints: Vec<_> =
                    objections.iter().filter_map(|objection| objection.hint.clone()).collect();
                return (!hints.is_empty()).then(|| hints.join("; "));
            }
            Self::Held { .. } => "the same command with --wait".to_owned(),
            Self::Frozen { .. } => format!("xtask unfreeze --env {environment}"),
            Self::Unfinished { .. } => format!("{deploy} --resume, or {deploy} --abort"),
            Self::Damaged { has_current: true, .. } => {
                format!("xtask rollback --env {environment}, or {deploy} --override \"the history was lost\"")
            }
            Self::Damaged { has_current: false, .. } => format!(
                "{deploy} --adopt takes over what runs; {deploy} --override \"the history was lost\" deploys all of it again"
            ),
            Self::NothingUnfinished | Self::NotARelease { .. } | Self::NoEarlierRelease { .. } => {
                format!("xtask releases --env {environment}")
            }
            Self::AlreadyCommitted { .. } => {
                format!("{deploy} --resume finishes it, xtask rollback --env {environment} goes back")
            }
            Self::Unreachable(_)
            | Self::Router { .. }
            | Self::SlotsDiffer { .. }
            | Self::Overtaken { .. } => {
                format!("xtask status --env {environment}")
            }
            Self::WrongSlot { .. } => format!("xtask rollback --env {environment}"),
            Self::NoFreeSlot { role } => format!("let the router send all requests of {role} to one slot"),
            Self::Unmanaged { can_adopt: true, .. } => format!("{deploy} --adopt"),
            Self::Unmanaged { host, slot, .. } => {
                format!("stop what runs in {slot} on {host}, since it is no release")
            }
            Self::AcrossContract { .. } => format!("fix it with a new release: {deploy}"),
            Self::CurrentIncomplete { .. } => {
                format!(
                    "deploy its commit again, which `xtask releases --env {environment}` shows: {deploy} --allow-older COMMIT"
                )
            }
            Self::ArtifactMissing { .. }
            | Self::NoHostLeft { .. }
            | Self::NothingToAdopt { .. }
            | Self::AlreadyManaged { .. } => deploy,
        })
    }
}
