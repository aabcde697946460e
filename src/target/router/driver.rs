//! The interface to a router, and what a driver gets to do its work. It must not know any router.

use std::time::Duration;

use crate::config::deploy::{Role, Router, Traffic};
use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::host::{Host, HostError};

/// The router of a role, as its driver sees it.
#[derive(Clone, Copy)]
pub struct RouterSite<'a> {
    /// The machine of the router.
    pub host: &'a Host,
    /// The role whose requests it distributes.
    pub role: &'a Role,
    /// Its settings.
    pub traffic: &'a Traffic,
    /// The release that is to answer all requests after a shift, if one is and it is known.
    pub served: Option<&'a ReleaseId>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Whether the deploy was asked to stop.
    pub is_stopped: &'a (dyn Fn() -> bool + Sync),
}

/// Knows how one kind of router is given weights and asked for counters. What changes the router goes
/// through [`Host::order`], which compares the token; what only reads goes through [`Host::query`].
pub trait RouterDriver: Send + Sync {
    /// Sets the weights of the slots, and reads them back.
    ///
    /// # Errors
    /// The router does not have these weights, or nobody knows.
    fn shift(&self, site: &RouterSite<'_>, order: &Order, weights: Weights) -> Result<(), HostError>;

    /// Returns the weights that the router has.
    ///
    /// # Errors
    /// The router can't be asked, or its answer can't be understood.
    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError>;

    /// Returns the counters of the slots.
    ///
    /// # Errors
    /// The router can't be asked, or has no counters.
    fn sample(&self, site: &RouterSite<'_>, release: &ReleaseId) -> Result<SlotSamples, HostError>;

    /// Returns how many requests a slot is working on, or `None` if this router does not know.
    ///
    /// # Errors
    /// The router can't be asked.
    fn in_flight(&self, site: &RouterSite<'_>, slot: Slot) -> Result<Option<u64>, HostError>;
}

/// Returns the driver of a router.
pub type FindDriver = Box<dyn Fn(&Router) -> Box<dyn RouterDriver> + Send + Sync>;
