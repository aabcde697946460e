//! Puts the steps of a plan together, each with its reason and with what undoes it. It must not know why a
//! deploy is wanted, nor what is allowed.

use crate::config::deploy::Traffic;
use crate::deploy::plan::{
    Goal, Group, Note, Phase, Plan, PlannedStep, Reason, SchemaLeft, UndoGroup, UndoStep,
};
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::situation::{HostView, RoleState};
use crate::deploy::step::{Instance, Step, Weights};

/// A role in a plan.
#[derive(Clone, Debug)]
pub(crate) struct RolePlan<'a> {
    state: RoleState<'a>,
    /// The slot of the new release.
    target: Slot,
    /// Whether the new release runs there already.
    is_warm: bool,
    /// Whether the role has hosts that leave it.
    has_removed: bool,
}

/// A host that is no longer part of a role.
#[derive(Clone, Debug)]
pub(crate) struct RemovedInstance {
    /// The role.
    pub(crate) role: String,
    /// The host.
    pub(crate) host: String,
    /// The slots that may run.
    pub(crate) slots: Vec<Slot>,
    /// The slot that contains the current release, if it is known.
    pub(crate) serving: Option<Slot>,
    /// Whether the host answered.
    pub(crate) is_reachable: bool,
    /// Whether the whole role is gone.
    pub(crate) is_role_removed: bool,
}

/// What slots get as their content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contents {
    /// A new release.
    New,
    /// A release that may be there already.
    Existing,
    /// The release that a running slot is taken over as.
    Adopted,
}

impl<'a> RolePlan<'a> {
    /// Plans a role whose free slot gets the release.
    pub(crate) fn new(state: RoleState<'a>, release: &ReleaseId, removed: &[RemovedInstance]) -> Self {
        let target = state.free_slot();
        let is_warm = state.runs_in(release, target);
        let has_removed = removed.iter().any(|one| one.role == state.role.name);
        Self { state, target, is_warm, has_removed }
    }

    /// Plans a role whose serving slot is taken over.
    pub(crate) fn adopted(state: RoleState<'a>) -> Self {
        let target = state.current.unwrap_or(Slot::Blue);
        Self { state, target, is_warm: true, has_removed: false }
    }

    fn name(&self) -> String {
        self.state.role.name.clone()
    }

    fn instance(&self, host: &HostView<'_>, slot: Slot) -> Instance {
        Instance { role: self.name(), host: host.name.to_owned(), slot }
    }

    fn traffic(&self) -> Option<&'a Traffic> {
        self.state.role.traffic.as_ref()
    }

    /// Whether it is known that nothing can answer in the slot of before. Then a router that looks for its servers
    /// there would wait in vain.
    fn served_nothing(&self) -> bool {
        let other = self.target.other();
        let mut hosts = self.state.hosts.iter();
        let is_empty = hosts.all(|host| host.slots.get(other).running == Some(false));
        self.state.current.is_none() && is_empty && !self.has_removed
    }

    /// Returns the weights that the router has if the deploy is undone.
    fn weights_before(&self) -> Weights {
        match self.state.current {
            Some(slot) => Weights::new(slot, 100),
            None => self.state.weights.unwrap_or(Weights { blue: 0, green: 0 }),
        }
    }
}

/// Collects the steps of a plan. Its methods are called in the order of the steps.
#[derive(Debug)]
pub(crate) struct PlanBuilder<'a> {
    goal: Goal,
    release: &'a Release,
    previous: Option<&'a ReleaseId>,
    roles: Vec<RolePlan<'a>>,
    groups: Vec<Group>,
    /// The shifts of the way back.
    undo_shifts: Vec<UndoStep>,
    /// The groups of the way back that replace roles without a router.
    undo_replacements: Vec<UndoGroup>,
    undo_migrations: bool,
    schema_left: Option<SchemaLeft>,
    /// What people should know.
    pub(crate) notes: Vec<Note>,
}

fn planned(step: Step, reason: Reason) -> PlannedStep {
    PlannedStep { step, reason, needs: Vec::new() }
}

fn undo(step: Step, reason: Reason, undoes: Vec<Step>) -> UndoStep {
    UndoStep { step, reason, undoes, needs: Vec::new() }
}

impl<'a> PlanBuilder<'a> {
    /// Begins a plan.
    pub(crate) fn new(
        goal: Goal,
        release: &'a Release,
        previous: Option<&'a ReleaseId>,
        roles: Vec<RolePlan<'a>>,
    ) -> Self {
        Self {
            goal,
            release,
            previous,
            roles,
            groups: Vec::new(),
            undo_shifts: Vec::new(),
            undo_replacements: Vec::new(),
            undo_migrations: false,
            schema_left: None,
            notes: Vec::new(),
        }
    }

    /// Returns whether any role has a router.
    pub(crate) fn has_routed(&self) -> bool {
        self.roles.iter().any(|role| role.traffic().is_some())
    }

    fn group(&mut self, phase: Phase, steps: Vec<PlannedStep>) {
        if !steps.is_empty() {
            self.groups.push(Group { phase, steps });
        }
    }

    fn id(&self) -> ReleaseId {
        self.release.id.clone()
    }

    /// Says of each role whether the release still runs.
    pub(crate) fn note_warmth(&mut self) {
        for role in &self.roles {
            let name = role.name();
            self.notes.push(if role.is_warm { Note::Warm { role: name } } else { Note::Cold { role: name } });
        }
    }

    /// Sets the weights of the current release where the router has others. With `always` unset, only where the
    /// slot that has requests must be emptied before it can be used.
    pub(crate) fn repair(&mut self, always: bool) {
        let mut steps = Vec::new();
        for role in &self.roles {
            let (Some(current), true) = (role.state.current, role.state.has_drifted()) else { continue };
            if role.state.may_run(current) && (always || !role.is_warm) {
                let step = Step::Shift { role: role.name(), weights: Weights::new(current, 100) };
                steps.push(planned(step, Reason::Drift { weights: role.state.weights, current }));
            }
        }
        self.group(Phase::Repair, steps);
    }

    /// Brings the artifacts to all hosts.
    pub(crate) fn deliver(&mut self) {
        let release = self.id();
        let steps = self.roles.iter().flat_map(|role| {
            let deliver = |host: &HostView<'_>| Step::Deliver {
                role: role.name(),
                host: host.name.to_owned(),
                release: release.clone(),
            };
            role.state.hosts.iter().map(move |host| planned(deliver(host), Reason::Whole))
        });
        let steps = steps.collect();
        self.group(Phase::Deliver, steps);
    }

    /// Makes the changes of the database that the old release can live with.
    pub(crate) fn migrate(&mut self, pending: usize, rehearse: bool) {
        if rehearse {
            self.group(Phase::Rehearse, vec![planned(Step::Rehearse, Reason::Rehearsed { pending })]);
        }
        self.group(Phase::Expand, vec![planned(Step::Expand, Reason::Pending { pending })]);
    }

    /// Says what becomes of these changes if the deploy fails.
    pub(crate) fn undo_migrations(&mut self, has_revert: Result<(), SchemaLeft>) {
        self.undo_migrations = has_revert.is_ok();
        self.schema_left = has_revert.err();
    }

    /// Puts the release into its slots. What still runs there without requests is stopped first.
    pub(crate) fn stage(&mut self, contents: Contents, removed: &[RemovedInstance]) {
        let mut stops = Vec::new();
        let mut stages = Vec::new();
        for role in &self.roles {
            // The router may still know hosts that leave the role.
            let leaving = removed.iter().filter(|one| one.role == role.state.role.name && one.is_reachable);
            for one in leaving.filter(|one| one.slots.contains(&role.target)) {
                let reason = Reason::LeftRunning { release: None };
                stops.push(planned(Step::Stop { on: one.instance(role.target) }, reason));
            }
            if contents == Contents::Existing && role.is_warm {
                continue;
            }
            for host in &role.state.hosts {
                let on = role.instance(host, role.target);
                if contents != Contents::Adopted && host.may_run(role.target) {
                    let release = host.slots.get(role.target).release.clone();
                    stops.push(planned(Step::Stop { on: on.clone() }, Reason::LeftRunning { release }));
                }
                let reason = match contents {
                    Contents::Adopted => Reason::Adopted,
                    _ => {
                        let other = host.slots.get(role.target.other());
                        Reason::FreeSlot { serving: other.release.clone() }
                    }
                };
                stages.push(planned(Step::Stage { on, release: self.id() }, reason));
            }
        }
        self.group(Phase::Stage, stops);
        self.group(Phase::Stage, stages);
    }

    /// Starts the release in the slots of roles with a router.
    pub(crate) fn start_routed(&mut self) {
        let mut steps = Vec::new();
        for role in self.roles.iter().filter(|role| role.traffic().is_some()) {
            let reason = if role.is_warm { Reason::StillRuns } else { Reason::CheckedFirst };
            for host in &role.state.hosts {
                let on = role.instance(host, role.target);
                steps.push(planned(Step::Start { on, release: self.id() }, reason.clone()));
            }
        }
        self.group(Phase::Start, steps);
    }

    /// Runs the smoke tasks.
    pub(crate) fn smoke(&mut self, tasks: usize) {
        if tasks > 0 {
            let step = Step::Smoke { release: self.id() };
            self.group(Phase::Smoke, vec![planned(step, Reason::SmokeTests { tasks })]);
        }
    }

    /// Moves the requests to the new slots, role after role. `at_once`: without the steps between.
    pub(crate) fn shift(&mut self, at_once: bool) {
        for role in self.roles.clone() {
            let Some(traffic) = role.traffic() else { continue };
            let (role_name, target) = (role.name(), role.target);
            let mut shares: Vec<u8> = traffic.steps.iter().copied().filter(|share| *share < 100).collect();
            if at_once || role.state.current.is_none() {
                shares.clear();
            }
            shares.push(100);
            let of = shares.len();
            let mut shifts = Vec::new();
            for (index, share) in shares.into_iter().enumerate() {
                let reason = match role.state.current {
                    None => Reason::NothingServed,
                    Some(_) if at_once => Reason::RollbackAtOnce,
                    Some(_) => Reason::TrafficStep { number: index + 1, of },
                };
                let step = Step::Shift { role: role_name.clone(), weights: Weights::new(target, share) };
                shifts.push(step.clone());
                self.group(Phase::Traffic, vec![planned(step, reason)]);
                if share < 100 && !traffic.every.is_zero() {
                    let during = traffic.every;
                    let has_analysis = traffic.analysis.is_some();
                    let step = Step::Measure { role: role_name.clone(), slot: target, during, bake: false };
                    self.group(Phase::Traffic, vec![planned(step, Reason::Judged { during, has_analysis })]);
                }
            }
            let back = Step::Shift { role: role_name, weights: role.weights_before() };
            // A repair that failed is tried once more.
            if self.groups.iter().flat_map(|group| &group.steps).any(|planned| planned.step == back) {
                shifts.push(back.clone());
            }
            if !role.served_nothing() {
                self.undo_shifts.push(undo(back, Reason::BackToPrevious, shifts));
            }
        }
    }

    /// Watches the new slots while they have all requests.
    pub(crate) fn bake(&mut self) {
        let mut steps = Vec::new();
        for role in &self.roles {
            let Some(traffic) = role.traffic().filter(|traffic| !traffic.bake.is_zero()) else { continue };
            let during = traffic.bake;
            let step = Step::Measure { role: role.name(), slot: role.target, during, bake: true };
            steps.push(planned(step, Reason::Judged { during, has_analysis: traffic.analysis.is_some() }));
        }
        self.group(Phase::Bake, steps);
    }

    /// Replaces the roles without a router, host by host.
    pub(crate) fn replace(&mut self, removed: &[RemovedInstance]) {
        for role in self.roles.clone().iter().filter(|role| role.traffic().is_none()) {
            let mut has_downtime = false;
            let undo_removed = self.stop_removed_first(role, removed);
            for host in &role.state.hosts {
                let new = role.instance(host, role.target);
                let start = Step::Start { on: new.clone(), release: self.id() };
                let mut stop = None;
                if host.is_used(role.target.other()) {
                    let old = role.instance(host, role.target.other());
                    stop = Some(Step::Stop { on: old.clone() });
                    let step = planned(Step::Stop { on: old }, Reason::StopsFirst);
                    self.group(Phase::Replace, vec![step]);
                    has_downtime = true;
                }
                self.group(Phase::Replace, vec![planned(start.clone(), Reason::CheckedFirst)]);

                let stop_new = undo(Step::Stop { on: new }, Reason::StopNew, vec![start]);
                self.undo_replacements.push(UndoGroup { phase: Phase::Undo, steps: vec![stop_new] });
                if let Some(stop) = stop
                    && let Some(release) = host.slots.get(role.target.other()).release.clone()
                {
                    let on = role.instance(host, role.target.other());
                    let start_old = undo(Step::Start { on, release }, Reason::StartPreviousAgain, vec![stop]);
                    self.undo_replacements.push(UndoGroup { phase: Phase::Undo, steps: vec![start_old] });
                }
            }
            if !undo_removed.is_empty() {
                self.undo_replacements.push(UndoGroup { phase: Phase::Undo, steps: undo_removed });
            }
            if has_downtime {
                self.notes.push(Note::Downtime { role: role.name() });
            }
        }
    }

    /// Stops a role without a router on the hosts that leave it, before it starts elsewhere. Returns what starts
    /// it there again.
    fn stop_removed_first(&mut self, role: &RolePlan<'_>, removed: &[RemovedInstance]) -> Vec<UndoStep> {
        let mut stops = Vec::new();
        let mut starts = Vec::new();
        for one in removed.iter().filter(|one| one.role == role.name() && one.is_reachable) {
            for slot in one.slots.iter().filter(|slot| **slot != role.target) {
                let step = Step::Stop { on: one.instance(*slot) };
                if one.serving == Some(*slot)
                    && let Some(previous) = self.previous
                {
                    let start = Step::Start { on: one.instance(*slot), release: previous.clone() };
                    starts.push(undo(start, Reason::StartPreviousAgain, vec![step.clone()]));
                }
                stops.push(planned(step, Reason::HostRemoved));
            }
        }
        self.group(Phase::Replace, stops);
        starts
    }

    /// Makes the release current.
    pub(crate) fn commit(&mut self) {
        let step = Step::Commit { release: self.id() };
        self.group(Phase::Commit, vec![planned(step, Reason::AllPassed)]);
    }

    /// Drains and stops the old slots, but not those that stand by.
    pub(crate) fn stop_old(&mut self, removed: &[RemovedInstance], has_standby: bool) {
        let mut drains = Vec::new();
        let mut stops = Vec::new();
        for role in &self.roles {
            if role.traffic().is_none() {
                continue;
            }
            let slot = role.target.other();
            let used: Vec<_> = role.state.hosts.iter().filter(|host| host.is_used(slot)).collect();
            let standby = role.state.role.standby;
            let stands_by = has_standby && !standby.is_zero();
            let drain = Step::Drain { role: role.name(), slot };
            if !used.is_empty() && !stands_by || role.has_removed {
                drains.push(planned(drain.clone(), Reason::RequestsEnd));
            }
            if stands_by && !used.is_empty() {
                self.notes.push(Note::Standby { role: role.name(), slot, during: standby });
            } else {
                for host in used {
                    let step = Step::Stop { on: role.instance(host, slot) };
                    let needs = vec![drain.clone()];
                    stops.push(PlannedStep { step, reason: Reason::OldSlot, needs });
                }
            }
        }
        for one in removed {
            let role = self.roles.iter().find(|role| role.name() == one.role);
            let is_routed = role.is_some_and(|role| role.traffic().is_some());
            // Without a router, it was stopped before the new one started.
            if role.is_some() && !is_routed && one.is_reachable {
                continue;
            }
            let reason = if one.is_role_removed { Reason::RoleRemoved } else { Reason::HostRemoved };
            let needs: Vec<_> = role
                .filter(|_| is_routed)
                .map(|role| Step::Drain { role: one.role.clone(), slot: role.target.other() })
                .into_iter()
                .collect();
            // The slot that the role uses now was stopped there before.
            let stopped = role.filter(|_| one.is_reachable).map(|role| role.target);
            for slot in one.slots.iter().filter(|slot| Some(**slot) != stopped) {
                let step = Step::Stop { on: one.instance(*slot) };
                stops.push(PlannedStep { step, reason: reason.clone(), needs: needs.clone() });
            }
        }
        self.group(Phase::StopOld, drains);
        self.group(Phase::StopOld, stops);
    }

    /// Removes the old schema.
    pub(crate) fn contract(&mut self) {
        self.group(Phase::Contract, vec![planned(Step::Contract, Reason::SchemaUnused)]);
    }

    /// Removes old releases.
    pub(crate) fn clean(&mut self, keep: &[ReleaseId]) {
        let steps = self.roles.iter().flat_map(|role| {
            role.state.hosts.iter().map(|host| {
                let step = Step::Clean { role: role.name(), host: host.name.to_owned(), keep: keep.to_vec() };
                planned(step, Reason::Kept { releases: keep.len() })
            })
        });
        let steps = steps.collect();
        self.group(Phase::Clean, steps);
    }

    /// Returns the plan.
    pub(crate) fn finish(mut self, id: String) -> Plan {
        // What is current already, or only taken over, is not undone.
        let is_kept = self.goal == Goal::Adopt || self.previous == Some(&self.release.id);
        let undo = if is_kept { Vec::new() } else { self.way_back() };
        Plan {
            id,
            goal: self.goal,
            release: self.id(),
            previous: self.previous.cloned(),
            groups: self.groups,
            undo,
            schema_left: self.schema_left,
            notes: self.notes,
        }
    }

    /// Returns the way back: first the requests, then the roles without a router, which do not serve meanwhile;
    /// then what nobody waits for.
    fn way_back(&mut self) -> Vec<UndoGroup> {
        let shifts = std::mem::take(&mut self.undo_shifts);
        let replacements = std::mem::take(&mut self.undo_replacements);
        let mut drains = Vec::new();
        let mut stops = Vec::new();
        for role in self.roles.iter().filter(|role| role.traffic().is_some()) {
            let shift = shifts.iter().find(
                |undo| matches!(&undo.step, Step::Shift { role: name, .. } if *name == role.state.role.name),
            );
            let shift_needs: Vec<_> = shift.iter().map(|undo| undo.step.clone()).collect();
            let drain = Step::Drain { role: role.name(), slot: role.target };
            drains.push(UndoStep {
                step: drain.clone(),
                reason: Reason::RequestsEnd,
                undoes: shift
                    .iter()
                    .flat_map(|undo| undo.undoes.iter().filter(|undone| **undone != undo.step))
                    .cloned()
                    .collect(),
                needs: shift_needs.clone(),
            });
            let mut needs = shift_needs;
            needs.push(drain);
            for host in &role.state.hosts {
                let on = role.instance(host, role.target);
                let start = Step::Start { on: on.clone(), release: self.id() };
                let step = Step::Stop { on };
                let needs = needs.clone();
                stops.push(UndoStep { step, reason: Reason::StopNew, undoes: vec![start], needs });
            }
        }
        let mut groups: Vec<_> =
            [shifts].into_iter().map(|steps| UndoGroup { phase: Phase::Undo, steps }).collect();
        groups.extend(replacements);
        groups.extend([drains, stops].map(|steps| UndoGroup { phase: Phase::Undo, steps }));
        if self.undo_migrations {
            // A release that still runs may need the new schema.
            let is_needed = |step: &UndoStep| matches!(step.step, Step::Stop { .. } | Step::Shift { .. });
            let needs = groups.iter().flat_map(|group| &group.steps).filter(|step| is_needed(step));
            let needs = needs.map(|undo| undo.step.clone()).collect();
            let revert = UndoStep {
                step: Step::Revert,
                reason: Reason::RevertSchema,
                undoes: vec![Step::Expand],
                needs,
            };
            groups.push(UndoGroup { phase: Phase::Undo, steps: vec![revert] });
        }
        groups.retain(|group| !group.steps.is_empty());
        groups
    }
}

impl RemovedInstance {
    fn instance(&self, slot: Slot) -> Instance {
        Instance { role: self.role.clone(), host: self.host.clone(), slot }
    }
}
