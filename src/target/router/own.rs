//! The router of a driver that shifts traffic itself, seen by a target that can't ask it. It must not know that
//! driver.

use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::host::HostError;
use crate::target::router::driver::{RouterDriver, RouterSite};

/// Refuses everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnRouter;

impl OwnRouter {
    fn refusal(site: &RouterSite<'_>) -> HostError {
        let role = &site.role.name;
        site.host.failed(format!(
            "role {role} has no router; hint: set `router` to haproxy, nginx, or shift and read"
        ))
    }
}

impl RouterDriver for OwnRouter {
    fn shift(&self, site: &RouterSite<'_>, _: &Order, _: Weights) -> Result<(), HostError> {
        Err(Self::refusal(site))
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        Err(Self::refusal(site))
    }

    fn sample(&self, site: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        Err(Self::refusal(site))
    }

    fn in_flight(&self, _: &RouterSite<'_>, _: Slot) -> Result<Option<u64>, HostError> {
        Ok(None)
    }
}
