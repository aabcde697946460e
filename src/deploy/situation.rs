//! Reads from an observation what serves where: which slot of a role is that of the current release, and which
//! is free. It must not know what a deploy wants.

use std::collections::BTreeSet;

use crate::config::deploy::{Role, Runs};
use crate::deploy::observation::{Observation, SlotState, Slots};
use crate::deploy::refusal::Refusal;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::Weights;

/// What is known of a role.
#[derive(Clone, Debug)]
pub(crate) struct RoleState<'a> {
    /// The role, as the release that is to become current has it.
    pub(crate) role: &'a Role,
    /// Its hosts that can be reached.
    pub(crate) hosts: Vec<HostView<'a>>,
    /// All hosts that have something of the role, also those that are no longer part of it.
    all_hosts: Vec<HostView<'a>>,
    /// Its hosts that can't be reached, each with the error.
    pub(crate) unreachable: Vec<(&'a str, String)>,
    /// The slot of the current release; `None` if it is in none.
    pub(crate) current: Option<Slot>,
    /// The weights at the router; `None`: the router has none, or the role has no router.
    pub(crate) weights: Option<Weights>,
}

/// A host of a role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostView<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its slots.
    pub(crate) slots: &'a Slots,
}

impl HostView<'_> {
    /// Returns whether a slot contains a release that may have to be stopped.
    pub(crate) fn is_used(&self, slot: Slot) -> bool {
        let state = self.slots.get(slot);
        state.running == Some(true) || state.release.is_some()
    }

    /// Returns whether something may run in a slot that contains something.
    pub(crate) fn may_run(&self, slot: Slot) -> bool {
        self.is_used(slot) && self.slots.get(slot).running != Some(false)
    }

    fn contains(&self, slot: Slot, release: &ReleaseId) -> bool {
        self.slots.get(slot).release.as_ref() == Some(release)
    }
}

impl<'a> RoleState<'a> {
    /// Reads the state of a role. `names` are its hosts that count.
    pub(crate) fn new(
        role: &'a Role,
        names: &[&'a str],
        observation: &'a Observation,
    ) -> Result<Self, Refusal> {
        let mut hosts = Vec::new();
        let mut unreachable = Vec::new();
        for &name in names {
            match observed(observation, &role.name, name) {
                Some(Ok(slots)) => hosts.push(HostView { name, slots }),
                Some(Err(reason)) => unreachable.push((name, reason.clone())),
                None => unreachable.push((name, "it gave no answer".to_owned())),
            }
        }
        let weights = match observation.weights.get(&role.name) {
            _ if role.traffic.is_none() => None,
            Some(Err(reason)) => {
                return Err(Refusal::Router { role: role.name.clone(), reason: reason.clone() });
            }
            Some(Ok(weights)) => Some(*weights),
            None => None,
        };
        let of_role = observation.hosts.iter().filter(|host| host.role == role.name);
        let all_hosts = of_role
            .filter_map(|host| Some(HostView { name: &host.host, slots: host.slots.as_ref().ok()? }))
            .collect();
        let mut state = Self { role, hosts, all_hosts, unreachable, current: None, weights };
        if let Some(release) = &observation.authority.current {
            state.current = state.slot_of(release)?;
        }
        Ok(state)
    }

    /// Returns the slot that contains a release.
    fn slot_of(&self, release: &ReleaseId) -> Result<Option<Slot>, Refusal> {
        let slots: Vec<_> = self
            .all_hosts
            .iter()
            .filter_map(|host| {
                let slots = Slot::ALL.into_iter().filter(|slot| host.contains(*slot, release));
                // If both contain it, the one that serves counts.
                let slot = slots.max_by_key(|slot| {
                    let SlotState { running, .. } = host.slots.get(*slot);
                    (self.weights.map_or(0, |weights| weights.of_slot(*slot)), *running == Some(true))
                })?;
                Some((host.name, slot))
            })
            .collect();
        let different: BTreeSet<_> = slots.iter().map(|(_, slot)| *slot).collect();
        if different.len() > 1 {
            let hosts = slots.iter().map(|(host, slot)| format!("{host} has it in {slot}")).collect();
            return Err(Refusal::SlotsDiffer {
                role: self.role.name.clone(),
                release: release.clone(),
                hosts,
            });
        }
        Ok(different.first().copied())
    }

    /// Returns the slot that a new release can use: that without requests, else one that does not run.
    pub(crate) fn free_slot(&self) -> Slot {
        self.serving_slot().map_or(Slot::Blue, Slot::other)
    }

    /// Returns the slot that serves, as far as anything says so.
    pub(crate) fn serving_slot(&self) -> Option<Slot> {
        self.current.or_else(|| {
            let share = |slot| self.weights.map_or(0, |weights| weights.of_slot(slot));
            let runs = |slot| self.all_hosts.iter().any(|host| host.slots.get(slot).running == Some(true));
            let only = |holds: &dyn Fn(Slot) -> bool| match Slot::ALL.map(holds) {
                [true, false] => Some(Slot::Blue),
                [false, true] => Some(Slot::Green),
                _ => None,
            };
            only(&|slot| share(slot) > 0).or_else(|| only(&runs))
        })
    }

    /// Returns whether a slot may run on some host.
    pub(crate) fn may_run(&self, slot: Slot) -> bool {
        self.all_hosts.iter().any(|host| host.may_run(slot))
    }

    /// Returns whether the router does anything but to send all requests to the current slot.
    pub(crate) fn has_drifted(&self) -> bool {
        let wanted = self.current.map(|slot| Weights::new(slot, 100));
        self.role.traffic.is_some() && wanted.is_some() && self.weights != wanted
    }

    /// Returns whether the other slot serves, and the current one does not run.
    pub(crate) fn is_wrong_slot(&self) -> bool {
        self.current.is_some_and(|current| {
            let other = current.other();
            let share = self.weights.map_or(0, |weights| weights.of_slot(other));
            share > 0 && self.may_run(other) && !self.may_run(current)
        })
    }

    /// Returns whether the slot that a new release would use has requests, and no release is current.
    pub(crate) fn has_no_free_slot(&self) -> bool {
        let slot = self.free_slot();
        let has_requests = self.weights.is_some_and(|weights| weights.of_slot(slot) > 0);
        self.current.is_none() && has_requests && self.may_run(slot)
    }

    /// Returns where something runs in one of these slots that no deploy has put there.
    pub(crate) fn unmanaged(&self, slots: &[Slot]) -> Option<(&'a str, Slot)> {
        let is_unmanaged = |host: &HostView<'_>, slot: Slot| {
            let state = host.slots.get(slot);
            let is_managed = host.slots.get(slot.other()).release.is_some();
            // A line that does not name the slot says the same of both.
            let is_known = !is_managed || self.tells_slots_apart();
            state.release.is_none() && state.running == Some(true) && is_known
        };
        let found = |host: &HostView<'a>| {
            let slot = slots.iter().copied().find(|slot| is_unmanaged(host, *slot))?;
            Some((host.name, slot))
        };
        self.hosts.iter().find_map(found)
    }

    fn tells_slots_apart(&self) -> bool {
        match &self.role.runs {
            Runs::Lines { start, status, .. } => {
                let line = status.as_ref().unwrap_or(start).to_lowercase();
                line.contains("slot") || line.contains("port")
            }
            Runs::Compose { .. } | Runs::External { .. } => true,
        }
    }

    /// Returns whether a slot contains a release on all hosts.
    pub(crate) fn is_in(&self, release: &ReleaseId, slot: Slot) -> bool {
        !self.hosts.is_empty() && self.hosts.iter().all(|host| host.contains(slot, release))
    }

    /// Returns whether a slot contains a release on all hosts and runs there.
    pub(crate) fn runs_in(&self, release: &ReleaseId, slot: Slot) -> bool {
        self.is_in(release, slot) && self.hosts.iter().all(|host| host.slots.get(slot).running == Some(true))
    }

    /// Returns what is not as it should be on the hosts while `release` is current, one line.
    pub(crate) fn flaw(&self, release: &ReleaseId) -> Option<String> {
        let role = &self.role.name;
        if let Some((host, reason)) = self.unreachable.first() {
            return Some(format!("{role}: {host} can't be reached: {reason}"));
        }
        let Some(slot) = self.current else { return Some(format!("{role}: no slot contains it")) };
        for host in &self.hosts {
            if !host.contains(slot, release) {
                return Some(format!("{role}: {slot} on {} does not contain it", host.name));
            }
            if host.slots.get(slot).running == Some(false) {
                return Some(format!("{role}: {slot} on {} does not run", host.name));
            }
        }
        None
    }

    /// Returns what is not as it should be at the router, one line.
    pub(crate) fn drift(&self) -> Option<String> {
        let (role, slot) = (&self.role.name, self.current.filter(|_| self.has_drifted())?);
        let share = self.weights.map_or(0, |weights| weights.of_slot(slot));
        Some(format!("{role}: the router sends {share} % of the requests to {slot}, not all"))
    }
}

/// Returns what a host said of a role; `None`: it was not asked.
pub(crate) fn observed<'a>(
    observation: &'a Observation,
    role: &str,
    host: &str,
) -> Option<&'a Result<Slots, String>> {
    observation.hosts.iter().find(|state| state.role == role && state.host == host).map(|state| &state.slots)
}
