//! A model of a target: slots, weights, a schema and the authority with its token. It does what steps say, and
//! fails where a test wants it. It panics when a step does what must never be done.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::clock::Timestamp;
use crate::config::deploy::Role;
use crate::deploy::lease::Lease;
use crate::deploy::machine::{End, Machine, Next};
use crate::deploy::observation::{Authority, HostState, Observation, SlotState, Slots};
use crate::deploy::plan::{Goal, Plan};
use crate::deploy::planner::{NewDeploy, Unfinished};
use crate::deploy::record::{Record, What};
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::step::{Instance, Step, StepOutcome, Weights};

/// What happens at a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It is done.
    None,
    /// It fails and has no effect.
    Fails,
    /// It fails after it had its effect.
    FailsLate,
    /// The host can't be reached for this step.
    Lost,
    /// The step is done, and its answer is lost.
    LostLate,
    /// The host can't be reached from here on.
    Down,
    /// The user stops the deploy.
    Interrupted,
    /// The deploying process dies before the step.
    Dies,
    /// The deploying process dies after the step.
    DiesLate,
}

/// One slot of a role on a host.
#[derive(Clone, Default, Debug)]
pub(super) struct SlotModel {
    pub(super) release: Option<ReleaseId>,
    pub(super) running: Option<ReleaseId>,
    pub(super) is_checked: bool,
}

/// A target.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) slots: BTreeMap<Instance, SlotModel>,
    /// The artifacts on each host of a role.
    pub(super) artifacts: BTreeMap<(String, String), BTreeSet<String>>,
    pub(super) weights: BTreeMap<String, Weights>,
    pub(super) down: BTreeSet<String>,
    pub(super) pending: Vec<String>,
    pub(super) contracted: bool,
    pub(super) authority: Authority,
    /// The releases and the plan of the running deploy.
    known: Vec<Release>,
    plan: Option<Plan>,
    token: u64,
    deploys: u32,
    /// The steps of the running deploy that ended well.
    done: Vec<Step>,
    /// All steps that ended well, as text.
    pub(super) order: Vec<String>,
}

impl World {
    pub(super) fn new(roles: &[Role]) -> Self {
        let mut world = Self {
            slots: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            weights: BTreeMap::new(),
            down: BTreeSet::new(),
            pending: Vec::new(),
            contracted: false,
            authority: Authority::default(),
            known: Vec::new(),
            plan: None,
            token: 0,
            deploys: 0,
            done: Vec::new(),
            order: Vec::new(),
        };
        world.add_roles(roles);
        world
    }

    /// Adds the hosts of roles that are not there yet.
    pub(super) fn add_roles(&mut self, roles: &[Role]) {
        for role in roles {
            for host in &role.hosts {
                for slot in Slot::ALL {
                    let on = Instance { role: role.name.clone(), host: host.name.clone(), slot };
                    self.slots.entry(on).or_default();
                }
                self.artifacts.entry((role.name.clone(), host.name.clone())).or_default();
            }
            if role.traffic.is_some() {
                self.weights.entry(role.name.clone()).or_insert(Weights { blue: 0, green: 0 });
            }
        }
    }

    pub(super) fn observe(&self) -> Observation {
        let hosts = self.artifacts.iter().map(|((role, host), artifacts)| {
            let state = |slot| {
                let model = &self.slots[&Instance { role: role.clone(), host: host.clone(), slot }];
                SlotState { release: model.release.clone(), running: Some(model.running.is_some()) }
            };
            let slots = Slots {
                blue: state(Slot::Blue),
                green: state(Slot::Green),
                artifacts: Some(artifacts.clone()),
            };
            let is_down = self.down.contains(host);
            HostState {
                role: role.clone(),
                host: host.clone(),
                slots: if is_down { Err("no route to host".to_owned()) } else { Ok(slots) },
            }
        });
        Observation {
            now: Timestamp(1_000_000),
            authority: self.authority.clone(),
            hosts: hosts.collect(),
            weights: self.weights.iter().map(|(role, weights)| (role.clone(), Ok(*weights))).collect(),
        }
    }

    /// Returns the slot that contains a release on a host.
    pub(super) fn slot(&mut self, role: &str, host: &str, slot: Slot) -> &mut SlotModel {
        let on = Instance { role: role.to_owned(), host: host.to_owned(), slot };
        self.slots.get_mut(&on).unwrap()
    }

    fn lease(&mut self, deploy: &str) {
        self.token += 1;
        self.authority.lease = Some(Lease {
            token: self.token,
            deploy: deploy.to_owned(),
            holder: "ann".to_owned(),
            granted: Timestamp(0),
            expires: Timestamp(1),
        });
    }

    pub(super) fn record(&mut self, what: What) {
        let deploy = format!("d{}", self.deploys);
        self.authority.records.push(Record { deploy, token: self.token, at: Timestamp(0), what });
    }

    /// Begins a deploy.
    pub(super) fn start(&mut self, deploy: &NewDeploy) -> Machine {
        self.deploys += 1;
        self.lease(&format!("d{}", self.deploys));
        self.authority.records.clear();
        self.authority.last_number = self.authority.last_number.max(deploy.release.number);
        self.known.push(deploy.release.clone());
        self.plan = Some(deploy.plan.clone());
        self.done.clear();
        // What is recorded is what another process reads.
        let plan = serde_json::from_str(&serde_json::to_string(&deploy.plan).unwrap()).unwrap();
        assert_eq!(plan, deploy.plan);
        self.record(What::Started {
            goal: deploy.plan.goal,
            release: Box::new(deploy.release.clone()),
            previous: deploy.plan.previous.clone(),
            plan: Box::new(plan),
            by: "ann".to_owned(),
            overrides: None,
        });
        Machine::new(deploy.plan.clone())
    }

    /// Takes an unfinished deploy over.
    pub(super) fn take_over(&mut self, unfinished: Unfinished) -> Machine {
        self.lease(&format!("d{}", self.deploys));
        let records = unfinished.records("bob");
        let mut machine = unfinished.machine;
        for what in records {
            machine.apply_record(&what);
            self.record(what);
        }
        machine
    }

    /// Carries a deploy out until it ends; `None`: its process died.
    pub(super) fn drive(
        &mut self,
        machine: &mut Machine,
        faults: &mut dyn Iterator<Item = Fault>,
    ) -> Option<End> {
        let token = self.token;
        for _ in 0..200 {
            let steps = match machine.next_steps() {
                Next::Ended(end) => {
                    if token == self.token {
                        self.record(end.record());
                    }
                    return Some(end);
                }
                Next::Run { steps, .. } => steps,
            };
            assert!(!steps.is_empty());
            // All steps of a group may be under way when the process dies.
            for (step, _) in &steps {
                self.record(What::Intent { step: step.clone() });
            }
            for (step, _) in &steps {
                let outcome = self.run(step, token, faults.next().unwrap_or(Fault::None))?;
                self.record(What::Outcome { step: step.clone(), outcome: outcome.clone() });
                machine.apply(step, outcome);
            }
            self.assert_records_suffice(machine);
        }
        panic!("the deploy does not end");
    }

    /// Checks that a process that knows only the records would do the same.
    fn assert_records_suffice(&self, machine: &Machine) {
        let plan = self.plan.clone().unwrap();
        let mut again = Machine::from_records(plan, &self.authority.records);
        assert_eq!(again.next_steps(), machine.clone().next_steps());
    }

    /// Does one step; `None`: the process dies.
    pub(super) fn run(&mut self, step: &Step, token: u64, fault: Fault) -> Option<StepOutcome> {
        if token < self.token {
            let by = self.authority.lease.as_ref().map(|lease| lease.deploy.clone());
            return Some(StepOutcome::Superseded { by });
        }
        let host = host_of(step).unwrap_or("router").to_owned();
        let reason = || "injected".to_owned();
        if fault == Fault::Down && host_of(step).is_some() {
            self.down.insert(host.clone());
        }
        if self.down.contains(&host) || matches!(fault, Fault::Lost | Fault::Down) {
            return Some(StepOutcome::Unreachable { host, reason: reason() });
        }
        let is_commit = matches!(step, Step::Commit { .. });
        match fault {
            Fault::Fails => return Some(StepOutcome::Failed { reason: reason() }),
            // A target that says that a release is not current speaks the truth.
            Fault::FailsLate if is_commit => return Some(StepOutcome::Failed { reason: reason() }),
            Fault::Interrupted => return Some(StepOutcome::Interrupted),
            Fault::Dies => return None,
            _ => {}
        }
        self.effect(step, fault == Fault::FailsLate);
        match fault {
            Fault::FailsLate => Some(StepOutcome::Failed { reason: reason() }),
            Fault::LostLate => Some(StepOutcome::Unreachable { host, reason: reason() }),
            Fault::DiesLate => None,
            _ => {
                // Twice is the same as once.
                let before = format!("{:?} {:?}", self.slots, self.weights);
                self.effect(step, false);
                assert_eq!(before, format!("{:?} {:?}", self.slots, self.weights), "{step}");
                self.done.push(step.clone());
                self.order.push(step.to_string());
                Some(StepOutcome::Done)
            }
        }
    }

    fn effect(&mut self, step: &Step, is_unchecked: bool) {
        match step {
            Step::Deliver { role, host, release } => {
                let artifacts = self.digits(release);
                self.artifacts.get_mut(&(role.clone(), host.clone())).unwrap().extend(artifacts);
            }
            Step::Stage { on, release } => {
                let artifacts = self.digits(release);
                assert!(
                    self.artifacts[&(on.role.clone(), on.host.clone())].is_superset(&artifacts),
                    "{step}"
                );
                let is_adopted = self.plan.as_ref().unwrap().goal == Goal::Adopt;
                let slot = self.slots.get_mut(on).unwrap();
                assert!(slot.running.is_none() || is_adopted, "{step}: the slot runs");
                slot.release = Some(release.clone());
            }
            Step::Start { on, release } => {
                self.assert_old_one_stopped(on);
                let slot = self.slots.get_mut(on).unwrap();
                assert_eq!(slot.release.as_ref(), Some(release), "{step}");
                slot.running = Some(release.clone());
                slot.is_checked = !is_unchecked;
            }
            Step::Stop { on } => {
                let weight = self.weights.get(&on.role).map_or(0, |weights| weights.of_slot(on.slot));
                assert!(
                    weight == 0 || !self.is_routed(&on.role) || self.nothing_else_serves(on),
                    "{step}: it has {weight} % of the requests"
                );
                let slot = self.slots.get_mut(on).unwrap();
                slot.running = None;
                slot.is_checked = false;
            }
            Step::Shift { role, weights } => self.shift(role, *weights),
            Step::Drain { role, slot } => {
                assert_eq!(self.weights[role].of_slot(*slot), 0, "{step}");
            }
            Step::Expand => self.pending.clear(),
            Step::Revert => {
                let release = &self.plan.as_ref().unwrap().release;
                let runs = self.slots.iter().find(|(_, slot)| slot.running.as_ref() == Some(release));
                assert!(runs.is_none_or(|(on, _)| self.down.contains(&on.host)), "{step}: {runs:?}");
                self.pending = self.release(release).pending.clone();
            }
            Step::Contract => self.contracted = true,
            Step::Commit { release } => self.commit(release),
            Step::Clean { role, host, keep } => {
                for slot in Slot::ALL {
                    let on = Instance { role: role.clone(), host: host.clone(), slot };
                    let release = self.slots[&on].running.clone();
                    assert!(release.is_none_or(|release| keep.contains(&release)), "{step}");
                }
                let kept: BTreeSet<_> = keep.iter().flat_map(|release| self.digits(release)).collect();
                self.artifacts
                    .get_mut(&(role.clone(), host.clone()))
                    .unwrap()
                    .retain(|one| kept.contains(one));
                self.authority.releases.retain(|release| keep.contains(&release.id));
            }
            Step::Rehearse | Step::Smoke { .. } | Step::Measure { .. } => {}
        }
    }

    fn shift(&mut self, role: &str, weights: Weights) {
        let left_out: Vec<_> =
            self.plan.as_ref().unwrap().left_out().map(|(_, host)| host.to_owned()).collect();
        let is_first = self.authority.current.is_none();
        for slot in Slot::ALL.into_iter().filter(|slot| weights.of_slot(*slot) > 0) {
            let was_so = self.weights[role].of_slot(slot) > 0 || is_first;
            let mut one_runs = was_so;
            for (on, model) in self.slots.iter().filter(|(on, _)| on.role == role && on.slot == slot) {
                // A host that has just come has nothing in the slot of before, and one that has gone has nothing
                // in the new one: the router does not find them there.
                let is_part = self.starts(on) || model.release == self.authority.current;
                let runs = model.is_checked && model.running.is_some() && model.running == model.release;
                one_runs |= runs;
                let is_left_out = left_out.contains(&on.host);
                assert!(
                    runs || !is_part || is_left_out || was_so,
                    "{weights:?} to {on:?}, which is {model:?}"
                );
            }
            assert!(one_runs, "{weights:?}: nothing runs in {slot} of {role}");
        }
        self.weights.insert(role.to_owned(), weights);
    }

    /// Whether the running plan starts what is in a slot.
    fn starts(&self, on: &Instance) -> bool {
        let mut steps = self.plan.as_ref().unwrap().steps();
        steps.any(|step| matches!(&step.step, Step::Start { on: started, .. } if started == on))
    }

    fn commit(&mut self, release: &ReleaseId) {
        let plan = self.plan.clone().unwrap();
        let before = plan
            .groups
            .iter()
            .take_while(|group| group.steps.iter().all(|step| !matches!(step.step, Step::Commit { .. })));
        for step in before.flat_map(|group| &group.steps) {
            assert!(self.done.contains(&step.step), "committed without: {}", step.step);
        }
        if plan.goal != Goal::Adopt {
            self.assert_serves(release, &plan);
        }
        self.authority.current = Some(release.clone());
        let release = self.release(release).clone();
        if self.authority.releases.iter().all(|known| known.id != release.id) {
            self.authority.releases.push(release);
        }
        self.authority.releases.sort_by_key(|release| release.number);
    }

    /// Checks that a release serves in all of its roles, except on hosts that are down or left out.
    pub(super) fn assert_serves(&self, id: &ReleaseId, plan: &Plan) {
        let release = self.release(id);
        let left_out: Vec<_> = plan.left_out().map(|(_, host)| host).collect();
        for role in &release.roles {
            let serving = role
                .hosts
                .iter()
                .filter(|host| !left_out.contains(&host.name.as_str()) && !self.down.contains(&host.name));
            for host in serving {
                let runs: Vec<_> = Slot::ALL
                    .into_iter()
                    .filter(|slot| {
                        let on = Instance { role: role.name.clone(), host: host.name.clone(), slot: *slot };
                        let model = &self.slots[&on];
                        model.running.as_ref() == Some(id) && model.is_checked
                    })
                    .collect();
                assert!(!runs.is_empty(), "{id} does not run on {}: {:#?}", host.name, self.slots);
                if role.traffic.is_some() {
                    let weights = self.weights[&role.name];
                    assert!(runs.iter().any(|slot| weights.of_slot(*slot) == 100), "{id}: {weights:?}");
                }
            }
        }
    }

    fn assert_old_one_stopped(&self, on: &Instance) {
        if self.is_routed(&on.role) {
            return;
        }
        let other = &self.slots[&Instance { slot: on.slot.other(), ..on.clone() }];
        // On the way back, a slot that can't be stopped does not keep the old release from its start.
        let release = &self.plan.as_ref().unwrap().release;
        let is_failed_stop = other.running.as_ref() == Some(release);
        assert!(other.running.is_none() || is_failed_stop, "{on:?} starts beside {other:?}");
    }

    /// Whether the requests of a slot have nowhere else to go, as when a first deploy goes back.
    fn nothing_else_serves(&self, on: &Instance) -> bool {
        let mut others =
            self.slots.iter().filter(|(other, _)| other.role == on.role && other.slot == on.slot.other());
        self.authority.current.is_none() && others.all(|(_, other)| other.running.is_none())
    }

    fn is_routed(&self, role: &str) -> bool {
        self.weights.contains_key(role)
    }

    pub(super) fn release(&self, id: &ReleaseId) -> &Release {
        self.known.iter().find(|release| release.id == *id).unwrap()
    }

    fn digits(&self, release: &ReleaseId) -> BTreeSet<String> {
        let artifacts = self.release(release).artifacts.values();
        artifacts.map(|artifact| artifact.digest.hex()[..16].to_owned()).collect()
    }
}

fn host_of(step: &Step) -> Option<&str> {
    match step {
        Step::Deliver { host, .. } | Step::Clean { host, .. } => Some(host),
        Step::Stage { on, .. } | Step::Start { on, .. } | Step::Stop { on } => Some(&on.host),
        _ => None,
    }
}
