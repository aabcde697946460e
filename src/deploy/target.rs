//! The interface between the executor of a deploy and a target. Implementations carry out orders and must
//! not decide anything.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use crate::config::deploy::{Migrations, Role};
use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::{Lease, LeaseRequest, Order};
use crate::deploy::observation::Observation;
use crate::deploy::record::What;
use crate::deploy::release::{ArtifactDigest, Release, ReleaseId};
use crate::deploy::step::{Step, StepOutcome};

/// Why a target did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A host can't be reached.
    #[error("{host}: can't be reached: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// The error, one line.
        reason: String,
    },
    /// Another deploy has the lease.
    #[error("{} is deploying since {}", .0.holder, .0.granted.rfc3339())]
    Held(Box<Lease>),
    /// The order has an old token.
    #[error("another deploy has taken over")]
    Superseded {
        /// The deploy that has the lease now, if it is known.
        by: Option<String>,
    },
    /// A command failed.
    #[error("{host}: {reason}")]
    Failed {
        /// The host.
        host: String,
        /// The error, one line.
        reason: String,
    },
}

/// What a step needs besides its own data.
#[derive(Clone, Copy)]
pub struct StepContext<'a> {
    /// The release that the deploy makes current.
    pub deployed: &'a Release,
    /// The releases that the steps name, by their ids.
    pub releases: &'a [Release],
    /// The roles in force: those of the release that is deployed, which also say where the router is.
    pub roles: &'a [Role],
    /// The values of secret variables: the current ones. By role, then by name; a role has those of the
    /// environment too.
    pub secrets: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// Whether the deploy was asked to stop. A step that waits looks at it often.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
    /// Is called with one line for people whenever a step that waits has news.
    pub progress: &'a (dyn Fn(&str) + Sync),
}

/// A target: all hosts and routers of an environment. All calls block.
pub trait Target: Sync {
    /// Returns what the target says of itself. Hosts that can't be reached are part of the answer.
    ///
    /// # Errors
    /// The authority can't be reached.
    fn observe(&self, roles: &[Role]) -> Result<Observation, TargetError>;

    /// Takes the lease.
    ///
    /// # Errors
    /// Another deploy has it, or the authority can't be reached.
    fn acquire(&self, request: &LeaseRequest) -> Result<Lease, TargetError>;

    /// Renews the lease.
    ///
    /// # Errors
    /// Another deploy has taken over, or the authority can't be reached.
    fn renew(&self, order: &Order) -> Result<(), TargetError>;

    /// Gives the lease back.
    ///
    /// # Errors
    /// The authority can't be reached.
    fn release(&self, order: &Order) -> Result<(), TargetError>;

    /// Appends to the history at the authority, durably.
    ///
    /// # Errors
    /// Another deploy has taken over, the disk is full, or the authority can't be reached.
    fn record(&self, order: &Order, what: &What) -> Result<(), TargetError>;

    /// Returns the pending migrations, a line for each, as the environment's `pending` prints them. It changes
    /// nothing.
    ///
    /// # Errors
    /// The line fails, or the host can't be reached.
    fn pending(
        &self,
        migrations: &Migrations,
        release: &Release,
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Vec<String>, TargetError>;

    /// Runs a line that prints the schema of the database where migrations run, and returns what it prints. It
    /// changes nothing.
    ///
    /// # Errors
    /// The line fails, the host can't be reached, or the target has no place for such lines.
    fn schema(
        &self,
        migrations: &Migrations,
        line: &str,
        release: &Release,
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, TargetError> {
        let _ = (migrations, line, secrets, is_stopped);
        let reason = "lines can't be run on this target; hint: leave out `load`".to_owned();
        Err(TargetError::Failed { host: release.id.to_string(), reason })
    }

    /// Opens the packed artifact of a release that is on the target: from the store, or else from the target.
    ///
    /// # Errors
    /// It is in neither.
    fn open_artifact(
        &self,
        release: &Release,
        role: &Role,
        artifact: &ArtifactDigest,
    ) -> Result<Box<dyn Read + Send>, TargetError> {
        let reason = format!("artifact {artifact} of {} can't be read from this target", release.id);
        Err(TargetError::Failed { host: role.name.clone(), reason })
    }

    /// Returns the counters of a role's slots, for [`Step::Measure`]. A source that knows times gives the numbers
    /// of the last `window` instead.
    ///
    /// # Errors
    /// Nothing is known: the source does not answer, or its answer is invalid.
    fn sample(&self, role: &Role, release: &ReleaseId, window: Duration) -> Result<SlotSamples, String>;

    /// Carries out one step, but not [`Step::Smoke`], [`Step::Rehearse`] and [`Step::Measure`], which need
    /// more than the target. It records nothing.
    fn run(&self, order: &Order, step: &Step, context: &StepContext<'_>) -> StepOutcome;
}
