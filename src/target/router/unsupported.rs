//! Stands for a router that this version has no driver for: every call fails and says so. It must not know the
//! router.

use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::host::HostError;
use crate::target::router::driver::{RouterDriver, RouterSite};

/// A router without a driver, by its name in tasks.toml.
pub(super) struct UnsupportedRouter(pub(super) &'static str);

impl UnsupportedRouter {
    fn refusal(&self, site: &RouterSite<'_>) -> HostError {
        site.host.failed(format!("this version has no driver for the router `{}`", self.0))
    }
}

impl RouterDriver for UnsupportedRouter {
    fn shift(&self, site: &RouterSite<'_>, _: &Order, _: Weights) -> Result<(), HostError> {
        Err(self.refusal(site))
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        Err(self.refusal(site))
    }

    fn sample(&self, site: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        Err(self.refusal(site))
    }

    fn in_flight(&self, site: &RouterSite<'_>, _: Slot) -> Result<Option<u64>, HostError> {
        Err(self.refusal(site))
    }
}
