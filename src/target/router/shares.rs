//! What the drivers have in common: the names of the servers of a slot, and weights of servers as shares of
//! slots. It must not know any router.

use crate::config::deploy::{Host, Role};
use crate::deploy::release::Slot;
use crate::deploy::step::Weights;
use crate::target::variables::fill;

/// The server of a slot on one host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SlotServer<'a> {
    pub(super) slot: Slot,
    pub(super) host: &'a Host,
    pub(super) port: Option<u16>,
}

impl SlotServer<'_> {
    /// Replaces the placeholders in a name.
    pub(super) fn fill(&self, role: &Role, text: &str) -> String {
        let port = self.port.map(|port| port.to_string()).unwrap_or_default();
        let values =
            [("role", &*role.name), ("host", &*self.host.name), ("slot", self.slot.name()), ("port", &*port)];
        fill(text, &values)
    }
}

/// Returns the servers of both slots of a role.
pub(super) fn servers(role: &Role) -> Vec<SlotServer<'_>> {
    let of_slot = |slot: Slot| {
        let port = role.ports.map(|ports| match slot {
            Slot::Blue => ports.blue,
            Slot::Green => ports.green,
        });
        role.hosts.iter().map(move |host| SlotServer { slot, host, port })
    };
    Slot::ALL.into_iter().flat_map(of_slot).collect()
}

/// Returns the shares of the slots whose servers have these weights in sum. A slot that gets any requests has
/// at least 1 %.
pub(super) fn shares(blue: u64, green: u64) -> Weights {
    let total = blue + green;
    if total == 0 {
        return Weights { blue: 0, green: 0 };
    }
    let share = (blue * 200 + total) / (total * 2);
    let share = match (blue, green) {
        (0, _) => 0,
        (_, 0) => 100,
        _ => share.clamp(1, 99),
    };
    Weights::new(Slot::Blue, u8::try_from(share).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_with_any_request_has_a_share() {
        let weights = |blue, green| Weights { blue, green };
        let cases = [
            ((0, 0), weights(0, 0)),
            ((7, 0), weights(100, 0)),
            ((0, 1), weights(0, 100)),
            ((1, 2), weights(33, 67)),
            ((1, 1000), weights(1, 99)),
            ((1000, 1), weights(99, 1)),
            ((90, 10), weights(90, 10)),
        ];
        for ((blue, green), expected) in cases {
            assert_eq!(shares(blue, green), expected);
        }
    }
}
