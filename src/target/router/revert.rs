//! Brings the weights of before a deploy back if the machine that deploys disappears. It must not know any
//! router.
//!
//! The first shift starts a small process on the router's machine. It ends with the deploy, or when another
//! process takes the deploy over.

use std::io;

use crate::config::deploy::OnLost;
use crate::deploy::lease::Order;
use crate::deploy::step::Weights;
use crate::target::host::{CallLimits, HostError};
use crate::target::router::driver::RouterSite;
use crate::target::variables::quote;

/// What was found on the router's machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Found {
    /// The weights of before the deploy, if an earlier process of it has written them.
    former: Option<Weights>,
    /// Whether the process runs.
    is_guarded: bool,
}

impl Found {
    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            match *words {
                ["former", blue, green] => {
                    let weights = blue.parse().ok().zip(green.parse().ok());
                    found.former = weights.map(|(blue, green)| Weights { blue, green });
                }
                ["guarded"] => found.is_guarded = true,
                _ => {}
            }
        }
        found
    }
}

/// Returns whether one slot gets all requests.
fn is_whole(weights: Weights) -> bool {
    weights.blue.max(weights.green) == 100 && weights.blue.min(weights.green) == 0
}

/// Starts the process before the first shift, if the configuration wants it. `restore` returns the shell text
/// that sets weights.
pub(super) fn guard(
    site: &RouterSite<'_>,
    order: &Order,
    wanted: Weights,
    read: impl FnOnce() -> Result<Weights, HostError>,
    restore: impl FnOnce(Weights) -> Result<String, HostError>,
) -> Result<(), HostError> {
    if site.traffic.on_lost == OnLost::Hold {
        return Ok(());
    }
    let limits = CallLimits { timeout: site.timeout, is_stopped: site.is_stopped };
    let role = quote(&site.role.name);
    let script = format!(
        "role={role}\nif get \"$state/former.$role\"; then echo \"former $text\"; fi\n\
         ! has_guard \"$role\" || echo guarded"
    );
    let found = site.host.query(&script, Box::new(io::empty()), limits)?;
    let found = Found::parse(&String::from_utf8_lossy(&found));
    if found.former.is_some() && found.is_guarded {
        return Ok(());
    }
    let former = match (found.former, read()) {
        (Some(former), _) => former,
        // A router that has forgotten its weights is about to get the right ones.
        (None, now) if is_whole(wanted) && !now.as_ref().is_ok_and(|now| is_whole(*now)) => wanted,
        (None, now) => now?,
    };
    let program = site.host.guard_program(order, &site.role.name, &restore(former)?);
    let script = format!(
        "role={role}\n\
         command -v setsid >/dev/null || fail 'setsid is missing, which `on-lost = \"revert\"` needs; hint: install util-linux'\n\
         [ -s \"$state/lease\" ] || fail '`on-lost = \"revert\"` needs the lease on the machine of the router; hint: let the routers of all roles be on one machine'\n\
         put \"$state/former.$role\" '{} {}'\n\
         put \"$state/guard.$role\" {}\n\
         start_guard \"$role\"\n\
         tries=0\n\
         until has_guard \"$role\"; do\n\
         tries=$((tries + 1))\n\
         [ $tries -lt 50 ] || fail \"the process does not start that brings the weights back: $(cat \"$state/logs/guard.$role.log\")\"\n\
         sleep 0.1 2>/dev/null || sleep 1\n\
         done",
        former.blue,
        former.green,
        quote(&program)
    );
    site.host.order(order, &script, Box::new(io::empty()), limits).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_process_wrote_is_read() {
        let expected = Found { former: Some(Weights { blue: 100, green: 0 }), is_guarded: true };
        assert_eq!(Found::parse("former 100 0\nguarded\n"), expected);
        assert_eq!(Found::parse("welcome\nformer x y\n"), Found::default());
    }
}
