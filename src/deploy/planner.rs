//! Decides what a deploy does: from what is wanted and what the target says to a plan, or to a reason why there
//! is none. It is pure, and must not know how a step is carried out.
//!
//! The order of a plan: repair drifted weights, deliver, rehearse, expand, stage, start and check, smoke, traffic
//! steps, bake, replace roles without a router, commit; after that drain and stop the old slots, contract, clean.

use std::collections::BTreeSet;

use crate::base::clock::Timestamp;
use crate::base::digest::FieldHasher;
use crate::config::deploy::{Environment, Role};
use crate::deploy::candidate::Candidate;
use crate::deploy::lease::DeployId;
use crate::deploy::machine::Machine;
use crate::deploy::observation::{Authority, Observation};
use crate::deploy::plan::{Goal, Note, Plan, SchemaLeft};
use crate::deploy::plan_builder::{Contents, PlanBuilder, RemovedInstance, RolePlan};
use crate::deploy::record::{Ending, Record, What};
use crate::deploy::refusal::{Objection, Refusal};
use crate::deploy::rehearsal::old_release_check;
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::situation::{HostView, RoleState, observed};
use crate::deploy::step::{Step, StepOutcome};

/// All that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct PlanInputs<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// What is wanted.
    pub wanted: Wanted<'a>,
    /// What the target says.
    pub observation: &'a Observation,
    /// The pending migrations; empty for a rollback.
    pub pending: &'a [String],
    /// What policy says.
    pub policy: &'a PolicyResult,
    /// The deploy that asks, if it has the lease already.
    pub own: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
}

/// What is wanted of an environment.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// A new release becomes current.
    Deploy(&'a Candidate),
    /// An earlier release becomes current again: this number, or the last good one.
    Rollback(Option<u32>),
    /// What runs becomes the first release. The candidate says what it is.
    Adopt(&'a Candidate),
    /// The unfinished deploy goes on.
    Resume,
    /// The unfinished deploy is given up.
    Abort,
}

/// What policy says of a deploy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyResult {
    /// What it has against it.
    pub objections: Vec<Objection>,
    /// How many valid approvals the plan has.
    pub approvals: u32,
    /// Why policy is overridden, if it is.
    pub overrides: Option<String>,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Nothing: the release is current, and everything is as it should be.
    Nothing {
        /// The release.
        release: ReleaseId,
    },
    /// A plan.
    Begin(Box<NewDeploy>),
    /// The unfinished deploy goes on.
    Continue(Box<Unfinished>),
}

/// A deploy that can begin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewDeploy {
    /// The release that it makes current.
    pub release: Release,
    /// The plan.
    pub plan: Plan,
    /// What is against it. A plan can be shown and approved anyway.
    pub objections: Vec<Objection>,
}

impl NewDeploy {
    /// Checks that nothing is against it.
    ///
    /// # Errors
    /// Policy forbids it now.
    pub fn check_permitted(&self) -> Result<(), Refusal> {
        if self.objections.is_empty() { Ok(()) } else { Err(Refusal::Forbidden(self.objections.clone())) }
    }
}

/// A deploy whose process has ended before it did, or that ended with something left to do.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// The deploy.
    pub deploy: DeployId,
    /// What it wants.
    pub goal: Goal,
    /// The release that it makes current.
    pub release: Release,
    /// The release of before.
    pub previous: Option<ReleaseId>,
    /// Who asked for it.
    pub by: String,
    /// Its state, from its records. The caller writes [`Unfinished::records`] once it has the lease, and
    /// applies each by [`Machine::apply_record`].
    pub machine: Machine,
    /// Whether it is given up.
    pub is_aborted: bool,
    /// Whether its release became current, but the record of it was lost.
    is_commit_lost: bool,
}

impl Unfinished {
    /// Returns the records that `by` takes it over.
    pub fn records(&self, by: &str) -> Vec<What> {
        let mut records = Vec::new();
        if self.is_commit_lost {
            let step = Step::Commit { release: self.release.id.clone() };
            records.push(What::Outcome { step, outcome: StepOutcome::Done });
        }
        let by = by.to_owned();
        records.push(if self.is_aborted { What::Aborted { by } } else { What::Resumed { by } });
        records
    }
}

/// Decides what is to be done.
///
/// # Errors
/// Nothing may or can be done.
pub fn plan(inputs: &PlanInputs<'_>) -> Result<Decision, Refusal> {
    check_lease(inputs)?;
    match inputs.wanted {
        Wanted::Resume => unfinished(inputs, false),
        Wanted::Abort => unfinished(inputs, true),
        Wanted::Deploy(candidate) => deploy(inputs, candidate),
        Wanted::Rollback(number) => rollback(inputs, number),
        Wanted::Adopt(candidate) => adopt(inputs, candidate),
    }
}

/// Returns all roles and hosts that a deploy has to do with: those that it wants, and those of the current
/// release that are no longer part of the environment and have to be stopped.
pub fn all_roles(wanted: &[Role], current: Option<&Release>) -> Vec<Role> {
    let mut all = wanted.to_vec();
    for old in current.iter().flat_map(|release| &release.roles) {
        match all.iter_mut().find(|role| role.name == old.name) {
            None => all.push(old.clone()),
            Some(role) => {
                for host in &old.hosts {
                    if role.hosts.iter().all(|known| known.name != host.name) {
                        role.hosts.push(host.clone());
                    }
                }
            }
        }
    }
    all
}

fn check_lease(inputs: &PlanInputs<'_>) -> Result<(), Refusal> {
    let held =
        inputs.observation.authority.lease.as_ref().filter(|lease| {
            lease.expires > inputs.observation.now && Some(lease.deploy.as_str()) != inputs.own
        });
    match held {
        None => Ok(()),
        Some(lease) => Err(Refusal::Held {
            deploy: lease.deploy.clone(),
            holder: lease.holder.clone(),
            since: lease.granted,
            expires: lease.expires,
        }),
    }
}

fn check_frozen(inputs: &PlanInputs<'_>) -> Result<(), Refusal> {
    match &inputs.observation.authority.frozen {
        Some((by, reason)) => Err(Refusal::Frozen { by: by.clone(), reason: reason.clone() }),
        None => Ok(()),
    }
}

/// The records of the last deploy, with what its first one says.
struct LastDeploy<'a> {
    records: &'a [Record],
    deploy: &'a DeployId,
    goal: Goal,
    release: &'a Release,
    previous: Option<&'a ReleaseId>,
    plan: &'a Plan,
    by: &'a str,
}

impl<'a> LastDeploy<'a> {
    fn find(authority: &'a Authority) -> Option<Self> {
        let is_start = |record: &Record| matches!(record.what, What::Started { .. });
        let start = authority.records.iter().rposition(is_start)?;
        let records = &authority.records[start..];
        match &records.first()?.what {
            What::Started { goal, release, previous, plan, by, .. } => Some(Self {
                records,
                deploy: &records.first()?.deploy,
                goal: *goal,
                release,
                previous: previous.as_ref(),
                plan,
                by,
            }),
            _ => None,
        }
    }

    /// Returns how it ended, if it did and was not taken up again since.
    fn ending(&self) -> Option<Ending> {
        self.records.iter().rev().find_map(|record| match &record.what {
            What::Ended { ending, .. } => Some(Some(*ending)),
            What::Resumed { .. } | What::Aborted { .. } => Some(None),
            _ => None,
        })?
    }

    fn has_begun(&self) -> bool {
        self.records.iter().any(|record| matches!(record.what, What::Intent { .. }))
    }
}

/// Checks that the target still knows what happened.
fn check_whole(authority: &Authority) -> Result<(), Refusal> {
    if authority.damaged.is_empty() {
        return Ok(());
    }
    Err(Refusal::Damaged {
        what: authority.damaged.clone(),
        has_current: current_release(authority).is_some(),
    })
}

fn check_finished(inputs: &PlanInputs<'_>) -> Result<(), Refusal> {
    match LastDeploy::find(&inputs.observation.authority) {
        Some(last) if last.ending().is_none() && last.has_begun() => Err(Refusal::Unfinished {
            deploy: last.deploy.clone(),
            release: last.release.id.clone(),
            by: last.by.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn unfinished(inputs: &PlanInputs<'_>, abort: bool) -> Result<Decision, Refusal> {
    let authority = &inputs.observation.authority;
    check_whole(authority)?;
    let last = LastDeploy::find(authority).ok_or(Refusal::NothingUnfinished)?;
    if !matches!(last.ending(), None | Some(Ending::NeedsAttention)) {
        return Err(Refusal::NothingUnfinished);
    }
    let machine = Machine::from_records(last.plan.clone(), last.records);
    let is_current = authority.current.as_ref() == Some(&last.release.id);
    let is_committed = machine.is_committed() || is_current;
    let is_commit_lost = is_current && !machine.is_committed();
    if abort && is_committed {
        return Err(Refusal::AlreadyCommitted { release: last.release.id.clone() });
    }
    // What is left to do forward falls under a freeze; the way back and cleaning up do not.
    if !abort && last.goal != Goal::Rollback && machine.is_going_forward() && !is_committed {
        check_frozen(inputs)?;
    }
    Ok(Decision::Continue(Box::new(Unfinished {
        deploy: last.deploy.clone(),
        goal: last.goal,
        release: last.release.clone(),
        previous: last.previous.cloned(),
        by: last.by.to_owned(),
        machine,
        is_aborted: abort,
        is_commit_lost,
    })))
}

fn deploy(inputs: &PlanInputs<'_>, candidate: &Candidate) -> Result<Decision, Refusal> {
    let PlanInputs { environment, observation, pending, .. } = *inputs;
    let authority = &observation.authority;
    if inputs.policy.overrides.is_none() {
        check_whole(authority)?;
    }
    check_finished(inputs)?;
    let mut release = candidate.release(environment, authority.last_number + 1, pending, inputs.now);
    let current = current_release(authority);
    // Going back to the same content would be of no use.
    release.previous = match current {
        Some(current) if current.digest == release.digest => current.previous.clone(),
        _ => authority.current.clone(),
    };
    let roles = release.roles.clone();
    let states = role_states(&roles, observation, |_| true)?;
    let mut notes = Vec::new();
    if let Some(current) = current.filter(|current| current.digest == release.digest && pending.is_empty()) {
        match states.iter().find_map(|state| state.flaw(&current.id)) {
            None if states.iter().all(|state| state.drift().is_none()) => {
                return Ok(Decision::Nothing { release: current.id.clone() });
            }
            None => return Ok(repair(inputs, current, states)),
            Some(what) => notes.push(Note::Incomplete { what }),
        }
    }
    check_frozen(inputs)?;
    check_reachable(&states)?;
    for state in &states {
        check_slot(state, authority)?;
        check_unmanaged(state, &Slot::ALL)?;
    }

    let keep = kept(authority, &release, environment.keep.get());
    let contract = contract(environment, authority, &release, &keep);
    release.contracts = contract == Contract::Now;
    if let Contract::NeededBy(release) = contract {
        notes.push(Note::OldSchemaKept { release });
    }
    let removed = removed(&roles, current, observation);
    let states = states.into_iter().map(|state| RolePlan::new(state, &release.id, &removed)).collect();
    let mut builder = PlanBuilder::new(Goal::Deploy, &release, authority.current.as_ref(), states);
    builder.notes = notes;
    let has_revert = match &environment.migrations {
        Some(migrations) if migrations.irreversible => Err(SchemaLeft::Irreversible),
        Some(migrations) if migrations.revert.is_none() => Err(SchemaLeft::NoRevert),
        _ => Ok(()),
    };
    builder.repair(true);
    builder.deliver();
    if let Some(migrations) = environment.migrations.as_ref().filter(|_| !pending.is_empty()) {
        builder.migrate(pending.len(), migrations.rehearsal.is_some());
    }
    builder.stage(Contents::New, &removed);
    builder.start_routed();
    let has_routed = builder.has_routed();
    if has_routed {
        builder.smoke(environment.smoke.len());
    }
    builder.shift(false);
    builder.bake();
    builder.replace(&removed);
    if !has_routed {
        builder.smoke(environment.smoke.len());
    }
    builder.commit();
    builder.stop_old(&removed, true);
    if release.contracts {
        builder.contract();
    }
    builder.clean(&keep);
    if !pending.is_empty() {
        builder.undo_migrations(has_revert);
    }
    if environment.migrations.is_some() && !candidate.is_built() {
        builder.notes.push(Note::PendingUnknown);
    }
    let mut objections = inputs.policy.objections.clone();
    if let Some(migrations) = environment.migrations.as_ref().filter(|_| !pending.is_empty()) {
        // Without a release that serves, none can be broken.
        let unchecked = authority.current.as_ref().and_then(|_| old_release_check(migrations, current).err());
        if let Some(why) = unchecked {
            let hint = why.hint();
            let note = Note::NotChecked { why };
            objections.push(objection(&note, hint));
            builder.notes.push(note);
        }
        if migrations.irreversible {
            if inputs.policy.approvals == 0 {
                let hint = match environment.policy.approval {
                    Some(_) => "let somebody approve the plan: `xtask approve`",
                    None => "add `approval` to the environment, or use `--override \"reason\"`",
                };
                objections.push(objection(&Note::Irreversible, hint));
            }
            builder.notes.push(Note::Irreversible);
        }
    }
    if inputs.policy.overrides.is_some() {
        objections.clear();
    }
    let id = plan_id(environment, Goal::Deploy, &release, authority.current.as_ref());
    let plan = builder.finish(id);
    Ok(Decision::Begin(Box::new(NewDeploy { release, plan, objections })))
}

/// Plans to set only the weights of the current release, which is whole and runs.
fn repair(inputs: &PlanInputs<'_>, current: &Release, states: Vec<RoleState<'_>>) -> Decision {
    let drifts = states.iter().filter_map(RoleState::drift).map(|what| Note::Incomplete { what });
    let notes = drifts.collect();
    let states = states.into_iter().map(RolePlan::adopted).collect();
    let mut builder = PlanBuilder::new(Goal::Deploy, current, Some(&current.id), states);
    builder.notes = notes;
    builder.repair(true);
    builder.commit();
    let id = plan_id(inputs.environment, Goal::Deploy, current, Some(&current.id));
    let objections = objections(inputs.policy);
    let plan = builder.finish(id);
    Decision::Begin(Box::new(NewDeploy { release: current.clone(), plan, objections }))
}

fn rollback(inputs: &PlanInputs<'_>, number: Option<u32>) -> Result<Decision, Refusal> {
    let PlanInputs { environment, observation, .. } = *inputs;
    let authority = &observation.authority;
    check_finished(inputs)?;
    if authority.releases.is_empty() {
        check_whole(authority)?;
    }
    let release = rollback_target(authority, number)?;
    check_schema(authority, release)?;
    let is_current = authority.current.as_ref() == Some(&release.id);
    // A host that has left the environment gets nothing, not even an old release: what runs there is stopped.
    let is_listed = |role: &str, host: &str| {
        let role = environment.roles.iter().find(|known| known.name == role);
        role.is_none_or(|role| role.hosts.iter().any(|known| known.name == host))
    };
    let mut roles = release.roles.clone();
    for role in &mut roles {
        let had_hosts = !role.hosts.is_empty();
        role.hosts.retain(|host| is_listed(&role.name, &host.name));
        if had_hosts && role.hosts.is_empty() {
            return Err(Refusal::NoHostLeft { release: release.id.clone() });
        }
    }
    let states: Vec<_> = roles
        .iter()
        .map(|role| {
            let names: Vec<_> = role.hosts.iter().map(|host| host.name.as_str()).collect();
            RoleState::new(role, &names, observation)
        })
        .collect::<Result<_, _>>()?;
    if is_current {
        let flaw = states.iter().find_map(|state| state.flaw(&release.id).or_else(|| state.drift()));
        return match flaw {
            None => Ok(Decision::Nothing { release: release.id.clone() }),
            Some(what) => Err(Refusal::CurrentIncomplete { release: release.id.clone(), what }),
        };
    }
    let mut notes = Vec::new();
    for state in &states {
        if state.hosts.is_empty() {
            return Err(unreachable(&states));
        }
        check_artifacts(state, release)?;
        if !state.runs_in(&release.id, state.free_slot()) {
            check_slot(state, authority)?;
            check_unmanaged(state, &[state.free_slot()])?;
        }
        let role = state.role.name.clone();
        for (host, reason) in &state.unreachable {
            notes.push(Note::LeftOut {
                role: role.clone(),
                host: (*host).to_owned(),
                reason: reason.clone(),
            });
        }
    }
    let removed = removed(&roles, current_release(authority), observation);
    let states = states.into_iter().map(|state| RolePlan::new(state, &release.id, &removed)).collect();
    let mut builder = PlanBuilder::new(Goal::Rollback, release, authority.current.as_ref(), states);
    builder.notes = notes;
    builder.note_warmth();
    builder.repair(false);
    builder.stage(Contents::Existing, &removed);
    builder.start_routed();
    builder.shift(true);
    builder.replace(&removed);
    builder.commit();
    builder.stop_old(&removed, false);
    let id = plan_id(environment, Goal::Rollback, release, authority.current.as_ref());
    let objections = objections(inputs.policy);
    let plan = builder.finish(id);
    Ok(Decision::Begin(Box::new(NewDeploy { release: release.clone(), plan, objections })))
}

fn adopt(inputs: &PlanInputs<'_>, candidate: &Candidate) -> Result<Decision, Refusal> {
    let PlanInputs { environment, observation, .. } = *inputs;
    let authority = &observation.authority;
    if let Some(release) = &authority.current {
        return Err(Refusal::AlreadyManaged { release: release.clone() });
    }
    check_finished(inputs)?;
    check_frozen(inputs)?;
    let release = candidate.release(environment, authority.last_number + 1, &[], inputs.now);
    let mut states = role_states(&release.roles, observation, |_| true)?;
    check_reachable(&states)?;
    for state in &mut states {
        state.current = state.serving_slot();
        if state.current.is_none() {
            return Err(Refusal::NothingToAdopt { role: state.role.name.clone() });
        }
    }
    let states = states.into_iter().map(RolePlan::adopted).collect();
    let mut builder = PlanBuilder::new(Goal::Adopt, &release, None, states);
    builder.repair(true);
    builder.deliver();
    builder.stage(Contents::Adopted, &[]);
    builder.commit();
    let objections = objections(inputs.policy);
    let plan = builder.finish(plan_id(environment, Goal::Adopt, &release, None));
    Ok(Decision::Begin(Box::new(NewDeploy { release, plan, objections })))
}

/// Returns what policy has against a plan, unless it is overridden.
fn objections(policy: &PolicyResult) -> Vec<Objection> {
    if policy.overrides.is_some() { Vec::new() } else { policy.objections.clone() }
}

fn objection(note: &Note, hint: &str) -> Objection {
    Objection { reason: note.to_string(), hint: Some(hint.to_owned()) }
}

fn current_release(authority: &Authority) -> Option<&Release> {
    let current = authority.current.as_ref()?;
    authority.releases.iter().find(|release| release.id == *current)
}

fn role_states<'a>(
    roles: &'a [Role],
    observation: &'a Observation,
    counts: impl Fn(&str) -> bool,
) -> Result<Vec<RoleState<'a>>, Refusal> {
    let state = |role: &'a Role| {
        let names = role.hosts.iter().map(|host| host.name.as_str()).filter(|host| counts(host));
        RoleState::new(role, &names.collect::<Vec<_>>(), observation)
    };
    roles.iter().map(state).collect()
}

fn check_reachable(states: &[RoleState<'_>]) -> Result<(), Refusal> {
    if states.iter().all(|state| state.unreachable.is_empty()) { Ok(()) } else { Err(unreachable(states)) }
}

fn unreachable(states: &[RoleState<'_>]) -> Refusal {
    let hosts = states.iter().flat_map(|state| &state.unreachable);
    let hosts: BTreeSet<_> = hosts.map(|(host, reason)| format!("{host} ({reason})")).collect();
    Refusal::Unreachable(hosts.into_iter().collect())
}

/// Checks that a slot is free: it does not serve instead of the current one, or beside another one.
fn check_slot(state: &RoleState<'_>, authority: &Authority) -> Result<(), Refusal> {
    if state.has_no_free_slot() {
        return Err(Refusal::NoFreeSlot { role: state.role.name.clone() });
    }
    match (&authority.current, state.current) {
        (Some(release), Some(slot)) if state.is_wrong_slot() => {
            Err(Refusal::WrongSlot { role: state.role.name.clone(), release: release.clone(), slot })
        }
        _ => Ok(()),
    }
}

/// Checks that nothing runs in these slots that no deploy has started: it would run on beside the new release.
fn check_unmanaged(state: &RoleState<'_>, slots: &[Slot]) -> Result<(), Refusal> {
    match state.unmanaged(slots) {
        None => Ok(()),
        Some((host, slot)) => Err(Refusal::Unmanaged {
            role: state.role.name.clone(),
            host: host.to_owned(),
            slot,
            can_adopt: state.current.is_none() && state.serving_slot() == Some(slot),
        }),
    }
}

/// Returns what of the current release runs where the new one has nothing.
fn removed(roles: &[Role], current: Option<&Release>, observation: &Observation) -> Vec<RemovedInstance> {
    let Some(current) = current else { return Vec::new() };
    let mut removed = Vec::new();
    for old in &current.roles {
        let role = roles.iter().find(|role| role.name == old.name);
        for host in &old.hosts {
            if role.is_some_and(|role| role.hosts.iter().any(|known| known.name == host.name)) {
                continue;
            }
            let slots = observed(observation, &old.name, &host.name).and_then(|slots| slots.as_ref().ok());
            let may_run =
                |slot: &Slot| slots.is_none_or(|slots| HostView { name: &host.name, slots }.may_run(*slot));
            removed.push(RemovedInstance {
                role: old.name.clone(),
                host: host.name.clone(),
                // Nobody knows what runs on a host that does not answer: nothing must.
                slots: Slot::ALL.into_iter().filter(may_run).collect(),
                serving: Slot::ALL.into_iter().find(|slot| {
                    slots.is_some_and(|slots| slots.get(*slot).release.as_ref() == Some(&current.id))
                }),
                is_reachable: slots.is_some(),
                is_role_removed: role.is_none(),
            });
        }
    }
    removed
}

/// Returns the releases that stay on the hosts, the oldest first: the new one and those that were current before it,
/// one after the other. Those that were rolled back stay only as long as there is room for them, so that they never
/// push out one to go back to.
fn kept(authority: &Authority, release: &Release, keep: u32) -> Vec<ReleaseId> {
    let keep = keep as usize;
    let find = |id: &ReleaseId| authority.releases.iter().find(|known| known.id == *id);
    let mut kept = vec![release];
    while let Some(previous) = kept.last().and_then(|last| find(last.previous.as_ref()?)) {
        if kept.len() >= keep || kept.iter().any(|known| known.id == previous.id) {
            break;
        }
        kept.push(previous);
    }
    let mut others: Vec<_> = authority.releases.iter().collect();
    others.sort_by_key(|known| std::cmp::Reverse(known.number));
    for other in others {
        let is_current = authority.current.as_ref() == Some(&other.id);
        if kept.iter().all(|known| known.id != other.id) && (kept.len() < keep || is_current) {
            kept.push(other);
        }
    }
    kept.sort_by_key(|known| known.number);
    kept.into_iter().map(|known| known.id.clone()).collect()
}

/// Whether the old schema is removed.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Contract {
    /// There is none, or it has been removed.
    None,
    /// A kept release needs it.
    NeededBy(ReleaseId),
    /// No kept release needs it.
    Now,
}

/// Decides whether the old schema is removed. A release that had pending migrations is the first that does not
/// need it.
fn contract(
    environment: &Environment,
    authority: &Authority,
    release: &Release,
    keep: &[ReleaseId],
) -> Contract {
    if environment.migrations.as_ref().is_none_or(|migrations| migrations.contract.is_none()) {
        return Contract::None;
    }
    let with = authority.releases.iter().chain([release]).filter(|release| !release.pending.is_empty());
    let Some(expanded) = with.max_by_key(|release| release.number) else { return Contract::None };
    let contracted = |known: &&Release| known.contracts && known.number > expanded.number;
    if authority.releases.iter().any(|known| contracted(&known)) {
        return Contract::None;
    }
    let needs = |known: &&Release| known.number < expanded.number && keep.contains(&known.id);
    match authority.releases.iter().filter(needs).min_by_key(|known| known.number) {
        Some(oldest) => Contract::NeededBy(oldest.id.clone()),
        // In the deploy of the migrations themselves, the old release may come back until it has succeeded.
        None if expanded.id == release.id => Contract::None,
        None => Contract::Now,
    }
}

fn rollback_target(authority: &Authority, number: Option<u32>) -> Result<&Release, Refusal> {
    let releases = &authority.releases;
    let names = || releases.iter().map(|release| release.id.clone()).collect();
    match number {
        Some(number) => releases
            .iter()
            .find(|release| release.number == number)
            .ok_or_else(|| Refusal::NotARelease { number, releases: names() }),
        // Releases after it may have been rolled back: they are no good.
        None => {
            let previous = current_release(authority).and_then(|current| current.previous.as_ref());
            let found = releases.iter().find(|release| Some(&release.id) == previous);
            found.ok_or_else(|| Refusal::NoEarlierRelease { releases: names() })
        }
    }
}

/// Checks that the schema that a release needs still exists.
fn check_schema(authority: &Authority, release: &Release) -> Result<(), Refusal> {
    // What has been contracted is the schema that releases before the last migrations needed.
    let is_needed = |contracting: &&Release| {
        let between = |known: &&Release| known.number > release.number && known.number < contracting.number;
        contracting.contracts
            && authority.releases.iter().filter(between).any(|known| !known.pending.is_empty())
    };
    match authority.releases.iter().find(is_needed) {
        None => Ok(()),
        Some(contracted) => {
            Err(Refusal::AcrossContract { release: release.id.clone(), contracted: contracted.id.clone() })
        }
    }
}

/// Checks that a role can be rolled back without a store.
fn check_artifacts(state: &RoleState<'_>, release: &Release) -> Result<(), Refusal> {
    let target = state.free_slot();
    for host in &state.hosts {
        let Some(present) = &host.slots.artifacts else { continue };
        if host.slots.get(target).release.as_ref() == Some(&release.id) {
            continue;
        }
        for name in &state.role.artifacts {
            let artifact = release.artifacts.get(name);
            // Images are not in folders; a host refuses to stage a release whose image is gone.
            if artifact.is_some_and(|artifact| artifact.image.is_some()) {
                continue;
            }
            let digest = artifact.map(|artifact| artifact.digest.hex());
            let digits = digest.and_then(|digest| digest.get(..16)).unwrap_or_default();
            if !present.contains(digits) {
                return Err(Refusal::ArtifactMissing {
                    role: state.role.name.clone(),
                    host: host.name.to_owned(),
                    release: release.id.clone(),
                    artifact: name.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Returns the id that approvals are for. The number of the release is not part of it, so that a failed attempt
/// does not make an approval void.
fn plan_id(environment: &Environment, goal: Goal, release: &Release, previous: Option<&ReleaseId>) -> String {
    let mut fields = FieldHasher::new("taskgate deploy plan 1");
    fields.add(environment.name.as_bytes());
    fields.add(match goal {
        Goal::Deploy => b"deploy",
        Goal::Rollback => b"rollback",
        Goal::Adopt => b"adopt",
    });
    fields.number(release.artifacts.len() as u64);
    for (name, artifact) in &release.artifacts {
        fields.add(name.as_bytes()).add(artifact.digest.0.as_bytes());
    }
    fields.add(release.digest.as_bytes());
    fields.add(serde_json::json!(release.migrations).to_string().as_bytes());
    fields.add(previous.map(|previous| previous.0.as_str()).unwrap_or_default().as_bytes());
    fields.number(release.pending.len() as u64);
    for migration in &release.pending {
        fields.add(migration.as_bytes());
    }
    fields.number(u64::from(release.contracts)).number(environment.keep.get().into());
    fields.number(environment.smoke.len() as u64);
    for task in &environment.smoke {
        fields.number(task.0 as u64);
    }
    for role in &release.roles {
        fields.add(role.name.as_bytes());
        fields.add(role.traffic.as_ref().map(|traffic| traffic.steps.as_slice()).unwrap_or_default());
    }
    fields.digest().hex()
}
