//! One command on an environment: asks the target and the planner, takes the lease, asks again, and has the plan
//! carried out. It must not know arguments of the command line, and does not decide what the steps are.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::digest::Digest;
use crate::base::env::Env;
use crate::base::random;
use crate::config::deploy::{Environment, Role};
use crate::deploy::candidate::Candidate;
use crate::deploy::event::DeployNews;
use crate::deploy::impact_meter::ImpactMeter;
use crate::deploy::lease::{DeployId, Lease, LeaseRequest, Order};
use crate::deploy::machine::{End, Machine};
use crate::deploy::observation::Observation;
use crate::deploy::plan::Goal;
use crate::deploy::planner::{
    Decision, NewDeploy, PlanInputs, PolicyResult, Unfinished, Wanted, all_roles, plan,
};
use crate::deploy::policy::window_objection;
use crate::deploy::record::{Ending, Record, What};
use crate::deploy::refusal::{Objection, Refusal};
use crate::deploy::release::{Release, ReleaseId};
use crate::deploy::step::StepOutcome;
use crate::deploy::target::{Target, TargetError};
use crate::deployment::executor::{Executed, Executor, MainThread, StepControl, Subject};
use crate::deployment::journal::{self, Journal};
use crate::deployment::rehearsal::RehearsedDeploy;
use crate::deployment::secrets::{self, Missing, SecretError, SecretValues};
use crate::deployment::smoke::staged_url;
use crate::git::chain::ChainError;

/// The time between two questions whether another deploy has ended.
const WAIT_INTERVAL: Duration = Duration::from_secs(1);
/// The time after which a command that waits says so again.
const REMIND_INTERVAL: Duration = Duration::from_secs(30);
/// How often signals are looked for while waiting.
const POLL: Duration = Duration::from_millis(50);

/// An environment, and what is needed to change it.
pub struct Operation<'a> {
    /// The environment.
    pub environment: &'a Environment,
    /// Its target.
    pub target: &'a dyn Target,
    /// Its journal.
    pub journal: &'a Journal<'a>,
    /// Who asks, for records.
    pub by: &'a str,
    /// Who asks and where, for people who wait for the lease.
    pub holder: &'a str,
    /// The variables of the caller, from which secrets come.
    pub env: &'a Env,
    /// The top of the repository, which files of variables are below.
    pub root: &'a Path,
    /// The clock.
    pub clock: &'a Clock,
    /// Receives what happens.
    pub emit: &'a (dyn Fn(DeployNews) + Sync),
    /// Runs the smoke tasks against a release at an address.
    pub smoke: &'a dyn Fn(&Release, Option<&str>) -> StepOutcome,
    /// Rehearses the migrations of a deploy.
    pub rehearse: &'a dyn Fn(&RehearsedDeploy<'_>, &StepControl<'_>) -> StepOutcome,
    /// Returns how often the user asked to stop so far.
    pub stop_requests: &'a dyn Fn() -> u32,
    /// Whether to wait until another deploy has ended.
    pub waits: bool,
    /// The release that was current when a rollback was first decided; empty until then.
    pub first_current: OnceCell<Option<ReleaseId>>,
}

/// A function that returns how many approvals a plan has, and what policy has against it; or why the journal, which
/// has the approvals, can't be read.
pub type Judge<'a> = dyn Fn(&NewDeploy, &Observation) -> Result<(u32, Vec<Objection>), ChainError> + 'a;

/// What policy says, as far as it can be known before there is a plan.
pub struct PolicyView<'a> {
    /// What it has against the deploy, and whether it is overridden.
    pub result: &'a PolicyResult,
    /// Returns how many approvals a plan has, and what policy has against it, at this time.
    pub judge: &'a Judge<'a>,
    /// Whether the start of the deploy must be in the journal, signed, before anything is changed. Otherwise an
    /// approval could be used twice.
    pub signs_start: bool,
}

/// How a command on an environment ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finished {
    /// There was nothing to do: this release is current.
    Unchanged(ReleaseId),
    /// A deploy has ended.
    Ended(End),
    /// The process leaves before the deploy has ended.
    Left,
}

/// Why a command on an environment could not begin. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// It is not allowed or not possible now.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The target can't be asked.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The start of a deploy that uses approvals could not be written to the journal.
    #[error("the deploy needs approvals, so the journal must know of it: {0}")]
    Journal(ChainError),
    /// Values of secrets are missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The system has no random bytes.
    #[error("can't make a random id")]
    Random(#[source] std::io::Error),
    /// The user stopped the command.
    #[error("stopped before anything was changed")]
    Stopped,
}

/// A lease that was granted, with what is known of the target since.
struct Leased {
    lease: Lease,
    order: Order,
}

/// What a deploy is carried out with once it has the lease.
#[derive(Clone, Copy)]
struct Leasehold<'a> {
    observation: &'a Observation,
    leased: &'a Leased,
    /// The values of secrets, by role.
    secrets: &'a BTreeMap<String, BTreeMap<String, String>>,
}

/// What may be done.
enum Permitted {
    /// Nothing has to be: this release is current.
    Nothing(ReleaseId),
    /// What was decided with the lease.
    Leased(Box<Decided>, Leased),
}

/// What the planner said, and what it was asked with.
struct Decided {
    decision: Decision,
    observation: Observation,
}

impl Operation<'_> {
    /// Does what is wanted.
    ///
    /// # Errors
    /// It could not begin, and nothing was changed.
    pub fn run(&self, wanted: Wanted<'_>, policy: &PolicyView<'_>) -> Result<Finished, OperationError> {
        let permitted = self.wait_for(|| self.permit(wanted, policy))?;
        let (decided, leased) = match permitted {
            Permitted::Nothing(release) => {
                (self.emit)(DeployNews::Unchanged { release: release.clone() });
                return Ok(Finished::Unchanged(release));
            }
            Permitted::Leased(decided, leased) => (decided, leased),
        };
        let observation = &decided.observation;
        let result = match decided.decision {
            Decision::Begin(new) => self.begin(*new, policy, observation, &leased),
            Decision::Continue(unfinished) => {
                self.resume(*unfinished, policy.result.overrides.is_some(), observation, &leased)
            }
            Decision::Nothing { release } => {
                (self.emit)(DeployNews::Unchanged { release: release.clone() });
                self.give_back(&leased.order);
                return Ok(Finished::Unchanged(release));
            }
        };
        if result.is_err() {
            self.give_back(&leased.order);
        }
        result
    }

    /// Decides, takes the lease, and decides again.
    fn permit(&self, wanted: Wanted<'_>, policy: &PolicyView<'_>) -> Result<Permitted, OperationError> {
        let decided = self.decide(wanted, policy, None)?;
        let (deploy, takes_over) = match &decided.decision {
            Decision::Nothing { release } => return Ok(Permitted::Nothing(release.clone())),
            Decision::Begin(new) => {
                new.check_permitted()?;
                // A lease that is left has expired, and its deploy had not begun.
                let left = decided.observation.authority.lease.as_ref().map(|lease| lease.deploy.clone());
                (new_id(self.clock)?, left)
            }
            Decision::Continue(unfinished) => (unfinished.deploy.clone(), Some(unfinished.deploy.clone())),
        };
        let leased = self.acquire(deploy, takes_over)?;
        // What was seen before may have changed until the lease was granted.
        let decided = self.decide(wanted, policy, Some(&leased.order.deploy)).and_then(|decided| {
            match &decided.decision {
                Decision::Begin(new) => new.check_permitted()?,
                Decision::Nothing { .. } | Decision::Continue(_) => {}
            }
            Ok(decided)
        });
        match decided {
            Ok(decided) => Ok(Permitted::Leased(Box::new(decided), leased)),
            Err(error) => {
                self.give_back(&leased.order);
                Err(error)
            }
        }
    }

    /// Returns the plan of what is wanted, and changes nothing.
    ///
    /// # Errors
    /// It is not possible now, or the target can't be asked.
    pub fn plan(&self, wanted: Wanted<'_>, policy: &PolicyView<'_>) -> Result<Decision, OperationError> {
        Ok(self.decide(wanted, policy, None)?.decision)
    }

    /// Records that deploys are stopped or allowed again.
    ///
    /// # Errors
    /// A deploy is in progress, or the target can't be reached.
    pub fn record(&self, what: &What) -> Result<(), OperationError> {
        let leased = self.wait_for(|| {
            // A deploy that has died meanwhile leaves a lease that expires.
            let observation = self.target.observe(&self.environment.roles)?;
            let left = observation.authority.lease.filter(|lease| lease.expires <= observation.now);
            self.acquire(new_id(self.clock)?, left.map(|left| left.deploy))
        })?;
        let recorded = self.target.record(&leased.order, what);
        self.give_back(&leased.order);
        recorded?;
        self.write_journal(&self.record_of(&leased, what.clone()));
        Ok(())
    }

    /// Repeats a call while another deploy has the lease, if the user wants to wait.
    fn wait_for<T>(&self, call: impl Fn() -> Result<T, OperationError>) -> Result<T, OperationError> {
        let mut shown: Option<(String, Duration)> = None;
        loop {
            let error = match call() {
                Err(
                    error @ (OperationError::Refused(Refusal::Held { .. })
                    | OperationError::Target(TargetError::Held(_))),
                ) if self.waits => error,
                other => return other,
            };
            let reason = error.to_string();
            let now = self.clock.elapsed();
            let is_known = |(known, at): &(String, Duration)| *known == reason && now < *at + REMIND_INTERVAL;
            if !shown.as_ref().is_some_and(is_known) {
                (self.emit)(DeployNews::Waiting { reason: reason.clone() });
                shown = Some((reason, now));
            }
            let end = now + WAIT_INTERVAL;
            while self.clock.elapsed() < end {
                if (self.stop_requests)() > 0 {
                    return Err(OperationError::Stopped);
                }
                thread::sleep(POLL);
            }
        }
    }

    fn decide(
        &self,
        wanted: Wanted<'_>,
        policy: &PolicyView<'_>,
        own: Option<&str>,
    ) -> Result<Decided, OperationError> {
        let observation = self.observe(wanted)?;
        if matches!(wanted, Wanted::Rollback(None)) {
            self.check_not_overtaken(&observation)?;
        }
        let is_forbidden = policy.result.overrides.is_none() && !policy.result.objections.is_empty();
        let pending = match wanted {
            // The line is the revision's own: one that may not be deployed does not run.
            Wanted::Deploy(candidate) if !is_forbidden => self.pending(candidate)?,
            _ => Vec::new(),
        };
        let ask = |policy: &PolicyResult| {
            plan(&PlanInputs {
                environment: self.environment,
                wanted,
                observation: &observation,
                pending: &pending,
                policy,
                own,
                now: self.clock.now(),
            })
        };
        let decision = ask(policy.result)?;
        let Decision::Begin(new) = &decision else { return Ok(Decided { decision, observation }) };
        let (approvals, objections) = (policy.judge)(new, &observation).map_err(OperationError::Journal)?;
        let mut result = PolicyResult { approvals, ..policy.result.clone() };
        result.objections.extend(objections);
        let decision = ask(&result)?;
        Ok(Decided { decision, observation })
    }

    /// Refuses to go back from another release than the one that was current at first: two people who want to go
    /// back from the same release do not go back twice.
    fn check_not_overtaken(&self, observation: &Observation) -> Result<(), Refusal> {
        let current = &observation.authority.current;
        match current {
            Some(release) if self.first_current.get_or_init(|| current.clone()) != current => {
                Err(Refusal::Overtaken { release: release.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Asks the target about all roles and hosts that may have to do with what is wanted.
    fn observe(&self, wanted: Wanted<'_>) -> Result<Observation, OperationError> {
        let observation = self.target.observe(&self.environment.roles)?;
        let authority = &observation.authority;
        let is_current = |release: &&Release| authority.current.as_ref() == Some(&release.id);
        let current = authority.releases.iter().find(is_current);
        let mut roles = all_roles(&self.environment.roles, current);
        let started = authority.records.iter().rev().find_map(|record| match &record.what {
            What::Started { release, .. } => Some(&**release),
            _ => None,
        });
        match wanted {
            Wanted::Resume | Wanted::Abort => roles = all_roles(&roles, started),
            // Hosts that have left the environment get no release, not even an old one.
            Wanted::Rollback(_) => {
                let old = authority.releases.iter().flat_map(|release| &release.roles);
                for role in old {
                    if roles.iter().all(|known| known.name != role.name) {
                        roles.push(role.clone());
                    }
                }
            }
            Wanted::Deploy(_) | Wanted::Adopt(_) => {}
        }
        if roles == self.environment.roles { Ok(observation) } else { Ok(self.target.observe(&roles)?) }
    }

    fn pending(&self, candidate: &Candidate) -> Result<Vec<String>, OperationError> {
        let Some(migrations) = &self.environment.migrations else { return Ok(Vec::new()) };
        // The line runs in the artifact.
        if !candidate.is_built() {
            return Ok(Vec::new());
        }
        let draft = candidate.release(self.environment, 0, &[], self.clock.now());
        let secrets = self.secrets(&draft.roles, Missing::Refuse)?;
        Ok(self.target.pending(migrations, &draft, &secrets)?)
    }

    fn secrets(&self, roles: &[Role], missing: Missing) -> Result<SecretValues, OperationError> {
        Ok(secrets::read(roles, self.env, self.root, missing)?)
    }

    fn acquire(&self, deploy: DeployId, takes_over: Option<DeployId>) -> Result<Leased, OperationError> {
        let bytes = random::bytes().map_err(OperationError::Random)?;
        let nonce = Digest::hash(&bytes).hex();
        let lease = self.target.acquire(&LeaseRequest {
            deploy: deploy.clone(),
            nonce: nonce.clone(),
            holder: self.holder.to_owned(),
            duration: self.environment.lease,
            takes_over,
        })?;
        let order = Order { token: lease.token, nonce, deploy };
        Ok(Leased { lease, order })
    }

    fn give_back(&self, order: &Order) {
        if let Err(error) = self.target.release(order) {
            let text = format!("the lease can't be given back, and expires by itself: {error}");
            (self.emit)(DeployNews::Warning { text, hint: None });
        }
    }

    fn begin(
        &self,
        new: NewDeploy,
        policy: &PolicyView<'_>,
        observation: &Observation,
        leased: &Leased,
    ) -> Result<Finished, OperationError> {
        let secrets = self.secrets(&new.release.roles, Missing::Refuse)?;
        let NewDeploy { release, plan, .. } = new;
        let overrides = policy.result.overrides.clone();
        let is_overridden = overrides.is_some();
        let started = What::Started {
            goal: plan.goal,
            release: Box::new(release.clone()),
            previous: plan.previous.clone(),
            plan: Box::new(plan.clone()),
            by: self.by.to_owned(),
            overrides,
        };
        if policy.signs_start {
            let record = self.record_of(leased, started.clone());
            self.journal.append_signed(&record).map_err(OperationError::Journal)?;
        }
        self.target.record(&leased.order, &started).inspect_err(|error| {
            if policy.signs_start {
                let reason = format!("the start can't be recorded on the target: {error}");
                let ended = What::Ended { ending: Ending::Unchanged, serving: plan.previous.clone(), reason };
                self.write_journal(&self.record_of(leased, ended));
            }
        })?;
        (self.emit)(DeployNews::Begun {
            environment: self.environment.name.clone(),
            deploy: leased.order.deploy.clone(),
            goal: plan.goal,
            release: release.id.clone(),
            previous: plan.previous.clone(),
            plan: plan.id.clone(),
            commit: release.commit.clone(),
            steps: plan.steps().count(),
            by: self.by.to_owned(),
        });
        let subject = Leasehold { observation, leased, secrets: &secrets };
        let started = [started];
        let unwritten = if policy.signs_start { &[][..] } else { &started[..] };
        Ok(self.execute(Machine::new(plan), unwritten, &release, &subject, is_overridden))
    }

    fn resume(
        &self,
        unfinished: Unfinished,
        is_overridden: bool,
        observation: &Observation,
        leased: &Leased,
    ) -> Result<Finished, OperationError> {
        // What is given up must not need a value that is missing here.
        let missing = if unfinished.is_aborted { Missing::LeaveOut } else { Missing::Refuse };
        let secrets = self.secrets(&unfinished.release.roles, missing)?;
        let records = unfinished.records(self.by);
        for record in &records {
            self.target.record(&leased.order, record)?;
        }
        (self.emit)(DeployNews::TakenOver {
            environment: self.environment.name.clone(),
            deploy: unfinished.deploy.clone(),
            release: unfinished.release.id.clone(),
            previous: unfinished.machine.plan().previous.clone(),
            commit: unfinished.release.commit.clone(),
            is_aborted: unfinished.is_aborted,
            by: self.by.to_owned(),
        });
        let mut machine = unfinished.machine;
        for record in &records {
            machine.apply_record(record);
        }
        let subject = Leasehold { observation, leased, secrets: &secrets };
        Ok(self.execute(machine, &records, &unfinished.release, &subject, is_overridden))
    }

    /// Carries a deploy out. `first` are the records that the journal does not have yet. It is written by a thread of
    /// its own: a remote that does not answer must not keep a deploy from going on.
    fn execute(
        &self,
        mut machine: Machine,
        first: &[What],
        release: &Release,
        subject: &Leasehold<'_>,
        is_overridden: bool,
    ) -> Finished {
        let Leasehold { observation, leased, secrets } = *subject;
        let begin = self.clock.elapsed();
        let is_resumed = !matches!(first.first(), None | Some(What::Started { .. }));
        let had_release = machine.plan().previous.is_some();
        let meter = if is_resumed && had_release {
            ImpactMeter::resumed(millis(begin))
        } else {
            ImpactMeter::default()
        };
        let meter = Mutex::new(meter);
        let emit = |news: DeployNews| {
            let at = millis(self.clock.elapsed());
            meter.lock().unwrap_or_else(PoisonError::into_inner).apply(at, &news);
            (self.emit)(news);
        };
        let authority = &observation.authority;
        let current = authority.releases.iter().find(|known| authority.current.as_ref() == Some(&known.id));
        let roles = all_roles(&release.roles, current);
        let executor = Executor {
            target: self.target,
            order: &leased.order,
            lease: self.environment.lease,
            max_parallel: usize::try_from(self.environment.max_parallel.get()).unwrap_or(1),
            subject: Subject { deployed: release, releases: &authority.releases, roles: &roles, secrets },
            emit: &emit,
            clock: self.clock,
        };
        // A deploy that took long to prepare, or is resumed, may be ready only after its window has closed.
        let has_windows = machine.plan().goal == Goal::Deploy && !is_overridden;
        let forbids_shift = || {
            let objection = window_objection(&self.environment.policy, self.clock.now());
            objection.filter(|_| has_windows).map(|objection| objection.reason)
        };
        let old = machine.plan().previous.clone();
        let old = old.and_then(|old| authority.releases.iter().find(|known| known.id == old));
        let rehearsed = RehearsedDeploy { release, old, secrets };
        let url = staged_url(release, machine.plan()).or_else(|| self.environment.url.clone());
        let (records, written) = channel::<Record>();
        let executed = thread::scope(|scope| {
            let (journal, emit) = (self.journal, self.emit);
            scope.spawn(move || written.iter().for_each(|record| write_journal(journal, &record, emit)));
            // The thread only ends after the last record was sent.
            let append = |what: &What| drop(records.send(self.record_of(leased, what.clone())));
            first.iter().for_each(&append);
            let main = MainThread {
                smoke: &|_| (self.smoke)(release, url.as_deref()),
                rehearse: &|control| (self.rehearse)(&rehearsed, control),
                stop_requests: self.stop_requests,
                forbids_shift: &forbids_shift,
                journal: &append,
            };
            let executed = executor.run(&mut machine, &main);
            drop(records);
            executed
        });
        let now = self.clock.elapsed();
        let took = millis(now.saturating_sub(begin));
        match executed {
            Executed::Ended(end) => {
                let impact = meter.lock().unwrap_or_else(PoisonError::into_inner).impact(millis(now));
                let can_go_back =
                    authority.releases.iter().any(|known| Some(&known.id) == release.previous.as_ref());
                let name = &self.environment.name;
                let goal = machine.plan().goal;
                (self.emit)(DeployNews::ended(&end, name, goal, can_go_back, took, impact));
                Finished::Ended(end)
            }
            Executed::Left => {
                let deploy = format!("xtask deploy --env {}", self.environment.name);
                (self.emit)(DeployNews::Left { next: format!("{deploy} --resume, or {deploy} --abort") });
                Finished::Left
            }
        }
    }

    fn record_of(&self, leased: &Leased, what: What) -> Record {
        let deploy = leased.order.deploy.clone();
        Record { deploy, token: leased.lease.token, at: self.clock.now(), what }
    }

    fn write_journal(&self, record: &Record) {
        write_journal(self.journal, record, self.emit);
    }
}

/// Appends a record to a journal. The target has it already, so a failure is only a warning.
fn write_journal(journal: &Journal<'_>, record: &Record, emit: &(dyn Fn(DeployNews) + Sync)) {
    let error = match journal.append(record) {
        Ok(None) => return,
        Ok(Some(error)) | Err(error) => error,
    };
    let text = format!("the journal was not written: {error}");
    emit(DeployNews::Warning { text, hint: journal::hint(&error) });
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the id of a new deploy: its time, and four random digits.
fn new_id(clock: &Clock) -> Result<DeployId, OperationError> {
    let bytes = random::bytes().map_err(OperationError::Random)?;
    let time = clock.now().rfc3339().replace(['-', ':'], "").to_lowercase();
    Ok(format!("{time}-{:02x}{:02x}", bytes[0], bytes[1]))
}
