//! The router `command`: shell lines on the machine of the router set the weights and print them. It must not
//! know what they do.

use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::host::{CallLimits, HostError};
use crate::target::router::driver::{RouterDriver, RouterSite};

/// A router that shell lines control.
pub struct CommandRouter {
    /// Sets the weights, which are in `WEIGHT_BLUE` and `WEIGHT_GREEN`.
    pub shift: String,
    /// Prints `blue=N green=N`.
    pub read: String,
}

impl CommandRouter {
    fn limits<'a>(site: &RouterSite<'a>) -> CallLimits<'a> {
        CallLimits { timeout: site.timeout, is_stopped: site.is_stopped }
    }
}

impl RouterDriver for CommandRouter {
    fn shift(&self, site: &RouterSite<'_>, order: &Order, weights: Weights) -> Result<(), HostError> {
        let Weights { blue, green } = weights;
        let script = format!(
            "WEIGHT_BLUE={blue} WEIGHT_GREEN={green}\nexport WEIGHT_BLUE WEIGHT_GREEN\n{}",
            self.shift
        );
        site.host.order(order, &script, Box::new(std::io::empty()), Self::limits(site))?;
        let read = self.read(site)?;
        if read == weights {
            return Ok(());
        }
        Err(site.host.failed(format!(
            "after the shift, the router says blue={} green={} instead of blue={blue} green={green}",
            read.blue, read.green
        )))
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        let printed = site.host.query(&self.read, Box::new(std::io::empty()), Self::limits(site))?;
        let printed = String::from_utf8_lossy(&printed);
        let share = |name: &str| {
            let mut words = printed.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        match (share("blue"), share("green")) {
            (Some(blue), Some(green)) => Ok(Weights { blue, green }),
            _ => Err(site.host.failed(format!(
                "`read` of the router must print blue=N green=N, but prints: {}",
                printed.trim()
            ))),
        }
    }

    fn sample(&self, site: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        Err(site.host.failed("a router of commands has no counters"))
    }

    fn in_flight(&self, _: &RouterSite<'_>, _: Slot) -> Result<Option<u64>, HostError> {
        Ok(None)
    }
}
