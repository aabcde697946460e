//! The target of the driver `command`: maps each step of a deploy to a command of the project, which gets JSON and
//! prints JSON. It must not know what the commands do, nor decide what is done next.
//!
//! The lease, the history and packed artifacts are in a folder of this machine. Another machine has another one, so
//! the commands get the token, and only they can refuse an old one.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::clock::Clock;
use crate::config::deploy::{Environment, Migrations, Role, Runs};
use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::{Lease, LeaseRequest, Order};
use crate::deploy::observation::{HostState, Observation, SlotState, Slots};
use crate::deploy::record::What;
use crate::deploy::release::{ArtifactDigest, Release, ReleaseId, Slot};
use crate::deploy::step::{Step, StepOutcome, Weights};
use crate::deploy::target::{StepContext, Target, TargetError};
use crate::target::health::pause;
use crate::target::host::{CallLimits, Host, HostError, folder_name};
use crate::target::hosts::{HostsTarget, mask, masked, variables};
use crate::target::variables::{env_file, quote};

/// The version of requests and answers.
const VERSION: u32 = 1;
/// The time between two checks of a release.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How much of an invalid answer is shown.
const SHOWN: usize = 200;

/// The values of secrets, by role and name.
type Secrets = BTreeMap<String, BTreeMap<String, String>>;

/// An environment that is known to the commands of a project.
pub struct CommandTarget {
    /// The folder of this machine with the lease and the history.
    base: HostsTarget,
    environment: Environment,
    /// The values of secrets that are known without a deploy.
    secrets: Secrets,
    /// The folder in which commands run.
    dir: PathBuf,
}

/// What a command gets on its standard input.
#[derive(Serialize)]
struct Request<'a> {
    version: u32,
    operation: &'a str,
    environment: &'a str,
    /// The number of the lease; an order with a lower one is of a deploy that another has taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deploy: Option<&'a str>,
    #[serde(flatten)]
    what: Operation<'a>,
}

/// The part of a request that differs by operation.
#[derive(Serialize)]
#[serde(untagged)]
enum Operation<'a> {
    Observe {},
    Stage { slot: Slot, release: StagedRelease<'a>, env: &'a BTreeMap<String, String> },
    Check { slot: Slot, release: &'a ReleaseId },
    Shift { weights: Weights },
    Stop { slot: Slot },
    Cleanup { keep: &'a [ReleaseId] },
}

#[derive(Serialize)]
struct StagedRelease<'a> {
    id: &'a ReleaseId,
    number: u32,
    commit: &'a str,
    artifacts: BTreeMap<&'a str, StagedArtifact<'a>>,
}

#[derive(Serialize)]
struct StagedArtifact<'a> {
    digest: &'a str,
    /// The folder with its files, if it is not an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// The name of the image without tag and digest, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
}

/// The answer of `observe`.
#[derive(Deserialize)]
struct Observed {
    version: u32,
    slots: ObservedSlots,
    weights: Option<Weights>,
}

#[derive(Deserialize)]
struct ObservedSlots {
    blue: ObservedSlot,
    green: ObservedSlot,
}

#[derive(Deserialize)]
struct ObservedSlot {
    release: Option<ReleaseId>,
    running: Option<bool>,
}

/// The answer of `check`.
#[derive(Deserialize)]
struct CheckAnswer {
    version: u32,
    release: Option<ReleaseId>,
}

/// The commands of a role.
#[derive(Clone, Copy)]
struct Commands<'a> {
    observe: &'a str,
    stage: &'a str,
    check: &'a str,
    shift: &'a str,
    cleanup: Option<&'a str>,
}

/// A call of a command.
#[derive(Clone, Copy)]
struct CommandCall<'a> {
    role: &'a Role,
    /// The key of the command in tasks.toml.
    key: &'a str,
    line: &'a str,
    order: Option<&'a Order>,
    secrets: &'a Secrets,
    limits: CallLimits<'a>,
}

impl CommandTarget {
    /// Uses the commands of an environment, which run in `dir`. `base` has the lease and the history.
    pub fn new(base: HostsTarget, environment: Environment, secrets: Secrets, dir: PathBuf) -> Self {
        Self { base, environment, secrets, dir }
    }

    fn host(&self) -> &Host {
        self.base.authority()
    }

    fn limits<'a>(&self, is_stopped: &'a (dyn Fn() -> bool + Sync)) -> CallLimits<'a> {
        CallLimits { timeout: self.environment.timeout, is_stopped }
    }

    fn commands<'r>(&self, role: &'r Role) -> Result<Commands<'r>, HostError> {
        match &role.runs {
            Runs::External { observe, stage, check, shift, cleanup } => {
                Ok(Commands { observe, stage, check, shift, cleanup: cleanup.as_deref() })
            }
            _ => Err(self.host().failed(format!("role {} is not deployed by commands", role.name))),
        }
    }

    fn place(&self, key: &str) -> String {
        format!("environments.{}.{key}", self.environment.name)
    }

    /// Runs a command and returns what it prints. Neither the request nor a variable is in an argument list.
    fn call(
        &self,
        call: CommandCall<'_>,
        operation: &str,
        what: Operation<'_>,
    ) -> Result<Vec<u8>, HostError> {
        let host = self.host();
        let failed = |reason: String| host.failed(format!("{}: {reason}", self.place(call.key)));
        let request = Request {
            version: VERSION,
            operation,
            environment: &self.environment.name,
            token: call.order.map(|order| order.token),
            deploy: call.order.map(|order| order.deploy.as_str()),
            what,
        };
        let mut request = serde_json::to_vec(&request).map_err(|error| failed(error.to_string()))?;
        request.push(b'\n');
        let mut variables = self.environment.variables.env.clone();
        variables.extend(call.role.variables.env.clone());
        variables.extend(call.secrets.get(&call.role.name).cloned().unwrap_or_default());
        let variables = env_file(&variables).map_err(|error| failed(error.to_string()))?;
        let script = format!(
            "(\n umask \"$outer_mask\"\n cd {dir} || exit 1\n\
             set -- {line} {limit} \"$(command -v timeout)\" \"$(command -v sh)\" \"$without_locks\"\n\
             set -a\n{variables}\nset +au\nexec \"$3\" -k 10 \"$2\" \"$4\" -c \"$5$1\"\n)\nended=$?\n\
             case $ended in\n0) ;;\n124 | 137) fail {line}: was ended after {limit} seconds ;;\n\
             *) fail {line}: exit status $ended ;;\nesac",
            dir = quote(&self.dir.to_string_lossy()),
            line = quote(call.line),
            limit = call.limits.timeout.as_secs().max(1),
        );
        let input = Box::new(Cursor::new(request));
        let printed = match call.order {
            Some(order) => host.order(order, &script, input, call.limits),
            None => host.query(&script, input, call.limits),
        };
        printed.map_err(|error| match error {
            HostError::Failed { reason, .. } => failed(reason),
            error => error,
        })
    }

    fn answer<'d, T: Deserialize<'d>>(
        &self,
        key: &str,
        printed: &'d [u8],
        version: impl Fn(&T) -> u32,
    ) -> Result<T, HostError> {
        let invalid = |reason: String| {
            let shown: String = String::from_utf8_lossy(printed).trim().chars().take(SHOWN).collect();
            self.host().failed(format!(
                "{}: the answer is invalid: {reason}: `{}`; hint: docs/deploy-command.md shows what it must print",
                self.place(key),
                shown.replace(char::is_control, " ")
            ))
        };
        let answer: T = serde_json::from_slice(printed).map_err(|error| invalid(error.to_string()))?;
        match version(&answer) {
            VERSION => Ok(answer),
            other => Err(invalid(format!("version {other} is unknown, {VERSION} is the latest"))),
        }
    }

    fn observed(
        &self,
        role: &Role,
        secrets: &Secrets,
        limits: CallLimits<'_>,
    ) -> Result<Observed, HostError> {
        let line = self.commands(role)?.observe;
        let call = CommandCall { role, key: "observe", line, order: None, secrets, limits };
        let printed = self.call(call, "observe", Operation::Observe {})?;
        let observed: Observed = self.answer("observe", &printed, |answer: &Observed| answer.version)?;
        if let Some(Weights { blue, green }) = observed.weights {
            let sum = u16::from(blue) + u16::from(green);
            if sum != 100 && sum != 0 {
                return Err(self.host().failed(format!(
                    "{}: the weights are {blue} and {green}; hint: their sum must be 100, or 0 if nothing gets requests",
                    self.place("observe")
                )));
            }
        }
        Ok(observed)
    }

    fn step(&self, order: &Order, step: &Step, context: &StepContext<'_>) -> Result<(), HostError> {
        let host = self.host();
        let limits = self.limits(context.is_stopped);
        let call = |role, key, line| CommandCall {
            role,
            key,
            line,
            order: Some(order),
            secrets: context.secrets,
            limits,
        };
        match step {
            Step::Stage { on, release } => {
                let release = self.release(release, context)?;
                let role = self.role(&on.role, &release.roles)?;
                self.stage(order, on.slot, release, context)?;
                let artifacts = self.artifacts(role, release);
                let env = match role.hosts.first() {
                    Some(host) => variables(role, host, Some(on.slot), &release.id, context.secrets),
                    None => BTreeMap::new(),
                };
                let Release { id, number, commit, .. } = release;
                let release = StagedRelease { id, number: *number, commit, artifacts };
                let what = Operation::Stage { slot: on.slot, release, env: &env };
                self.call(call(role, "stage", self.commands(role)?.stage), "stage", what).map(drop)
            }
            Step::Start { on, release } => {
                let release = self.release(release, context)?;
                self.check(order, self.role(&on.role, &release.roles)?, on.slot, &release.id, context)
            }
            Step::Stop { on } => {
                let role = self.role(&on.role, context.roles)?;
                let Some(line) = self.commands(role)?.cleanup else { return Ok(()) };
                // What is half stopped may still look as if it ran, so a request to stop the deploy waits.
                let call = CommandCall { limits: self.limits(&|| false), ..call(role, "cleanup", line) };
                self.call(call, "stop", Operation::Stop { slot: on.slot }).map(drop)
            }
            Step::Shift { role, weights } => {
                let role = self.role(role, context.roles)?;
                let what = Operation::Shift { weights: *weights };
                self.call(call(role, "shift", self.commands(role)?.shift), "shift", what)?;
                let found = self.observed(role, context.secrets, limits)?.weights;
                if found.unwrap_or(Weights { blue: 0, green: 0 }) == *weights {
                    return Ok(());
                }
                let found = found.map_or_else(
                    || "none".to_owned(),
                    |found| format!("blue={} green={}", found.blue, found.green),
                );
                let Weights { blue, green } = weights;
                Err(host.failed(format!(
                    "{}: the weights are {found} after blue={blue} green={green} was set",
                    self.place("observe")
                )))
            }
            // `shift` returns when the slot without weight has no requests left.
            Step::Drain { .. } => Ok(()),
            Step::Commit { release } => {
                host.commit(order, self.release(release, context)?, self.limits(&|| false))
            }
            Step::Clean { role, keep, .. } => {
                let role = self.role(role, context.roles)?;
                if let Some(line) = self.commands(role)?.cleanup {
                    self.call(call(role, "cleanup", line), "cleanup", Operation::Cleanup { keep })?;
                }
                host.prune(order, keep, limits)?;
                let kept: Vec<_> =
                    keep.iter().map(|id| self.release(id, context)).collect::<Result<_, _>>()?;
                let artifacts = kept.iter().flat_map(|release| release.artifacts.values());
                let artifacts: Vec<_> = artifacts.map(|artifact| &artifact.digest).collect();
                host.clean(order, &artifacts, limits)
            }
            _ => Err(host.failed("this step is not one of the commands")),
        }
    }

    /// Brings the packed artifacts of a release to this machine, unless they are here.
    fn stage(
        &self,
        order: &Order,
        slot: Slot,
        release: &Release,
        context: &StepContext<'_>,
    ) -> Result<(), HostError> {
        let host = self.host();
        for role in &release.roles {
            let on = host.name().to_owned();
            let step = Step::Deliver { role: role.name.clone(), host: on, release: release.id.clone() };
            match self.base.run(order, &step, context) {
                StepOutcome::Done => {}
                StepOutcome::Failed { reason } => {
                    return Err(host.failed(format!("{slot}: {reason}")));
                }
                StepOutcome::Superseded { by } => return Err(HostError::Superseded { by }),
                StepOutcome::Unreachable { host, reason } => {
                    return Err(HostError::Unreachable { host, reason });
                }
                StepOutcome::Interrupted => {
                    return Err(HostError::Interrupted { host: host.name().to_owned() });
                }
            }
        }
        Ok(())
    }

    fn artifacts<'r>(&self, role: &Role, release: &'r Release) -> BTreeMap<&'r str, StagedArtifact<'r>> {
        let wanted = release.artifacts.iter().filter(|(name, _)| role.artifacts.contains(name));
        let staged = wanted.map(|(name, artifact)| {
            let folder = format!("{}/releases/{}", self.host().path(), folder_name(&artifact.digest));
            let image = artifact.image.as_deref();
            let folder = image.is_none().then_some(folder);
            (name.as_str(), StagedArtifact { digest: &artifact.digest.0, folder, image })
        });
        staged.collect()
    }

    /// Waits until a release answers in its slot.
    fn check(
        &self,
        order: &Order,
        role: &Role,
        slot: Slot,
        release: &ReleaseId,
        context: &StepContext<'_>,
    ) -> Result<(), HostError> {
        let host = self.host();
        let line = self.commands(role)?.check;
        let clock = Clock::system();
        let mut shown = String::new();
        loop {
            let limits = self.limits(context.is_stopped);
            let call = CommandCall {
                role,
                key: "check",
                line,
                order: Some(order),
                secrets: context.secrets,
                limits,
            };
            let reason = match self.call(call, "check", Operation::Check { slot, release }) {
                Ok(printed) => {
                    let answer = self.answer("check", &printed, |answer: &CheckAnswer| answer.version)?;
                    match answer.release {
                        Some(found) if found == *release => return Ok(()),
                        Some(found) => format!("release {found} answered, not {release}"),
                        None => "no release answered".to_owned(),
                    }
                }
                Err(HostError::Failed { reason, .. }) => reason,
                Err(error) => return Err(error),
            };
            if (context.is_stopped)() {
                return Err(HostError::Interrupted { host: host.name().to_owned() });
            }
            if clock.elapsed() + CHECK_INTERVAL >= self.environment.timeout {
                let timeout = humantime::format_duration(self.environment.timeout);
                return Err(host.failed(format!("the check of {slot} failed after {timeout}: {reason}")));
            }
            if reason != shown {
                (context.progress)(&mask(context.secrets).text(&format!("waiting for the check: {reason}")));
                shown = reason;
            }
            pause(CHECK_INTERVAL, context.is_stopped);
        }
    }

    fn role<'r>(&self, name: &str, roles: &'r [Role]) -> Result<&'r Role, HostError> {
        let found = roles.iter().find(|role| role.name == name);
        found.ok_or_else(|| self.host().failed(format!("role {name} is unknown")))
    }

    fn release<'r>(&self, id: &ReleaseId, context: &StepContext<'r>) -> Result<&'r Release, HostError> {
        let mut releases = std::iter::once(context.deployed).chain(context.releases);
        let found = releases.find(|release| release.id == *id);
        found.ok_or_else(|| self.host().failed(format!("release {id} is unknown")))
    }
}

impl Target for CommandTarget {
    fn observe(&self, roles: &[Role]) -> Result<Observation, TargetError> {
        let mut observation = self.base.observe(&[])?;
        for role in roles {
            let observed = self.observed(role, &self.secrets, self.limits(&|| false));
            let observed = observed.map_err(|error| masked(error, &mask(&self.secrets)))?;
            let state = |slot: ObservedSlot| SlotState { release: slot.release, running: slot.running };
            let ObservedSlots { blue, green } = observed.slots;
            let slots = Slots { blue: state(blue), green: state(green), artifacts: None };
            for host in &role.hosts {
                let (role, host) = (role.name.clone(), host.name.clone());
                let slots = Ok(slots.clone());
                observation.hosts.push(HostState { role, host, slots });
            }
            let weights = observed.weights.unwrap_or(Weights { blue: 0, green: 0 });
            observation.weights.insert(role.name.clone(), Ok(weights));
        }
        Ok(observation)
    }

    fn acquire(&self, request: &LeaseRequest) -> Result<Lease, TargetError> {
        self.base.acquire(request)
    }

    fn renew(&self, order: &Order) -> Result<(), TargetError> {
        self.base.renew(order)
    }

    fn release(&self, order: &Order) -> Result<(), TargetError> {
        self.base.release(order)
    }

    fn record(&self, order: &Order, what: &What) -> Result<(), TargetError> {
        self.base.record(order, what)
    }

    fn pending(
        &self,
        migrations: &Migrations,
        release: &Release,
        secrets: &Secrets,
    ) -> Result<Vec<String>, TargetError> {
        self.base.pending(migrations, release, secrets)
    }

    fn schema(
        &self,
        migrations: &Migrations,
        line: &str,
        release: &Release,
        secrets: &Secrets,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, TargetError> {
        self.base.schema(migrations, line, release, secrets, is_stopped)
    }

    fn open_artifact(
        &self,
        release: &Release,
        role: &Role,
        artifact: &ArtifactDigest,
    ) -> Result<Box<dyn Read + Send>, TargetError> {
        self.base.open_artifact(release, role, artifact)
    }

    fn sample(&self, role: &Role, release: &ReleaseId, window: Duration) -> Result<SlotSamples, String> {
        self.base.sample(role, release, window)
    }

    fn run(&self, order: &Order, step: &Step, context: &StepContext<'_>) -> StepOutcome {
        let is_own = matches!(
            step,
            Step::Stage { .. }
                | Step::Start { .. }
                | Step::Stop { .. }
                | Step::Shift { .. }
                | Step::Drain { .. }
                | Step::Commit { .. }
                | Step::Clean { .. }
        );
        if !is_own {
            return self.base.run(order, step, context);
        }
        match self.step(order, step, context) {
            Ok(()) => StepOutcome::Done,
            Err(error) => masked(error, &mask(context.secrets)).into(),
        }
    }
}
