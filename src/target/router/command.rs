//! A router that is reached by shell lines. It must not know what they do.

use std::io;

use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::Order;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;
use crate::target::host::{CallLimits, HostError};
use crate::target::router::driver::{RouterDriver, RouterSite};
use crate::target::router::revert::guard;
use crate::target::variables::quote;

/// The lines of a router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandRouter {
    /// Sets the weights, which are in `WEIGHT_BLUE` and `WEIGHT_GREEN`.
    pub shift: String,
    /// Prints `blue=N green=N`.
    pub read: String,
}

impl CommandRouter {
    /// Returns a shell text that sets weights.
    fn script(&self, site: &RouterSite<'_>, weights: Weights) -> String {
        format!(
            "export ROLE={role} WEIGHT_BLUE={} WEIGHT_GREEN={}\n{FOLDER}\nlimit={}\n\
             open_log \"$state/logs/router.\"{role}\n\
             (umask \"$outer_mask\"; limited \"$limit\" {line}) </dev/null >\"$log\" 2>&1\nexplain $? {line}",
            weights.blue,
            weights.green,
            seconds(site),
            role = quote(&site.role.name),
            line = quote(&self.shift),
        )
    }
}

/// A shell text that goes to the folder of the environment, if there is one.
const FOLDER: &str = "cd \"$path\" 2>/dev/null || cd /";

fn seconds(site: &RouterSite<'_>) -> u64 {
    site.timeout.as_secs().max(1)
}

/// Parses `blue=N green=N`.
fn parse(text: &str) -> Option<Weights> {
    let mut words = text.split_whitespace();
    let mut share = |name: &str| {
        let share = words.next()?.strip_prefix(name)?.strip_prefix('=')?.parse().ok()?;
        (share <= 100).then_some(share)
    };
    let weights = Weights { blue: share("blue")?, green: share("green")? };
    words.next().is_none().then_some(weights)
}

impl RouterDriver for CommandRouter {
    fn shift(&self, site: &RouterSite<'_>, order: &Order, weights: Weights) -> Result<(), HostError> {
        let limits = CallLimits { timeout: site.timeout, is_stopped: site.is_stopped };
        guard(site, order, weights, || self.read(site), |former| Ok(self.script(site, former)))?;
        site.host.order(order, &self.script(site, weights), Box::new(io::empty()), limits)?;
        let now = self.read(site)?;
        if now == weights {
            return Ok(());
        }
        Err(site.host.failed(format!(
            "router: `{}` reads blue={} green={} after blue={} green={} was set",
            self.read, now.blue, now.green, weights.blue, weights.green
        )))
    }

    fn read(&self, site: &RouterSite<'_>) -> Result<Weights, HostError> {
        let limits = CallLimits { timeout: site.timeout, is_stopped: site.is_stopped };
        let script = format!(
            "export ROLE={}\n{FOLDER}\n(umask \"$outer_mask\"; limited {} {line}) </dev/null || \
             fail \"router: \"{line}\": exit status $?\"",
            quote(&site.role.name),
            seconds(site),
            line = quote(&self.read),
        );
        let printed = site.host.query(&script, Box::new(io::empty()), limits)?;
        let printed = String::from_utf8_lossy(&printed);
        parse(&printed).ok_or_else(|| {
            let printed = printed.trim();
            site.host.failed(format!(
                "router: `{}` printed `{printed}`; hint: it must print a line such as blue=90 green=10",
                self.read
            ))
        })
    }

    fn sample(&self, site: &RouterSite<'_>, _: &ReleaseId) -> Result<SlotSamples, HostError> {
        Err(site.host.failed(
            "a router of commands has no counters; hint: set `source` of `analysis` to Prometheus or a command",
        ))
    }

    fn in_flight(&self, _: &RouterSite<'_>, _: Slot) -> Result<Option<u64>, HostError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_from_one_line() {
        assert_eq!(parse("blue=90 green=10\n"), Some(Weights { blue: 90, green: 10 }));
        for text in
            ["", "blue=90", "green=10 blue=90", "blue=101 green=0", "blue=1 green=2 x", "blue=-1 green=0"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
