//! Who may change a target now: leases, and the fencing tokens by which a target refuses old orders.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;

/// The id of one deploy: an attempt to make a release current. It is unique in an environment.
pub type DeployId = String;

/// A request for a lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// The deploy that asks.
    pub deploy: DeployId,
    /// A random text that only this process knows.
    pub nonce: String,
    /// Who asks, for people: `ann on laptop`.
    pub holder: String,
    /// How long the lease lasts without being renewed.
    pub duration: Duration,
    /// The deploy whose expired or own lease is taken over, for `--resume` and `--abort`.
    pub takes_over: Option<DeployId>,
}

/// A lease that a target has granted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The fencing token: higher than that of any earlier lease.
    pub token: u64,
    /// The deploy that has it.
    pub deploy: DeployId,
    /// Who has it, for people.
    pub holder: String,
    /// When it was granted, by the clock of the target.
    pub granted: Timestamp,
    /// When it expires, by the clock of the target.
    pub expires: Timestamp,
}

/// What each order to a target contains. A target refuses it if it knows a higher token, or the same token
/// with another nonce.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The token of the lease.
    pub token: u64,
    /// The nonce of the process that has the lease.
    pub nonce: String,
    /// The deploy.
    pub deploy: DeployId,
}
