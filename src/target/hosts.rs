//! The target of the driver `hosts`: maps each step of a deploy to calls of hosts and routers. It must not
//! decide what is done next.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::config::deploy::{
    AnalysisSource, Connection, Environment, Host as HostConfig, Migrations, Role, Router, RunOn, Runs,
    Traffic,
};
use crate::deploy::analysis::SlotSamples;
use crate::deploy::lease::{Lease, LeaseRequest, Order};
use crate::deploy::observation::{Authority, HostState, Observation, SlotState, Slots};
use crate::deploy::record::What;
use crate::deploy::release::{ArtifactDigest, Release, ReleaseId, Slot};
use crate::deploy::step::{Instance, Step, StepOutcome, Weights};
use crate::deploy::target::{StepContext, Target, TargetError};
use crate::process::secret_mask::Mask;
use crate::target::compose::{ComposeProject, file_artifact};
use crate::target::connection::Connector;
use crate::target::health::{Checked, HealthError, answer_contains, pause, wait_until_healthy};
use crate::target::host::{
    CallLimits, Host, HostError, HostLine, HostReport, LineFolder, LineKind, Staging, Starting, UnmanagedSlot,
};
use crate::target::router::driver::{FindDriver, RouterSite};
use crate::target::samples::{Queries, from_command, from_prometheus};
use crate::target::variables::{env_file, fill};

/// Where packed artifacts come from.
pub trait ArtifactSource: Send + Sync {
    /// Opens a packed artifact: a gzipped archive whose uncompressed bytes have this digest.
    ///
    /// # Errors
    /// The artifact is missing or can't be read.
    fn open(&self, digest: &ArtifactDigest) -> io::Result<Box<dyn Read + Send>>;
}

/// The hosts and routers of an environment.
pub struct HostsTarget {
    environment: Environment,
    connector: Arc<Connector>,
    artifacts: Box<dyn ArtifactSource>,
    find_driver: FindDriver,
    /// The host that grants leases and has the history.
    authority: Host,
    /// The folder in which lines run that tasks.toml wants on this machine.
    dir: PathBuf,
    /// The highest token that a host has named. That of the authority may be lower if its disk is a new one.
    highest_token: AtomicU64,
}

/// The time between two questions to a router whether requests have ended.
const DRAIN_INTERVAL: Duration = Duration::from_millis(500);
/// Names that are folders of the layout.
const RESERVED: [&str; 2] = ["releases", "slots"];

/// Returns the line that stops what `start` starts, if that is known.
pub fn stop_line(start: &str, stop: Option<&str>) -> Option<String> {
    stop.map(str::to_owned).or_else(|| systemctl(start, "stop"))
}

/// Returns the line that exits with 0 if what `start` starts is running, if that is known.
pub fn status_line(start: &str, status: Option<&str>) -> Option<String> {
    status.map(str::to_owned).or_else(|| systemctl(start, "is-active --quiet"))
}

/// Returns the same call of `systemctl` with another command instead of `start`.
fn systemctl(start: &str, command: &str) -> Option<String> {
    let words: Vec<_> = start.split_whitespace().collect();
    let position = words.iter().position(|word| *word == "systemctl")?;
    let starts = words.iter().filter(|word| matches!(**word, "start" | "restart")).count();
    let is_one_command = !start.contains(['&', '|', ';', '\n', '`', '(', '<', '>']);
    let is_plain = words[..position].iter().all(|word| *word == "sudo" || word.starts_with('-'));
    if starts != 1 || !is_one_command || !is_plain {
        return None;
    }
    let words = words.iter().map(|word| if matches!(*word, "start" | "restart") { command } else { word });
    Some(words.collect::<Vec<_>>().join(" "))
}

/// The parts of a step that is carried out.
struct StepRun<'a> {
    target: &'a HostsTarget,
    order: &'a Order,
    context: &'a StepContext<'a>,
    /// Hides secrets in what lines and services print.
    mask: Mask,
}

impl HostsTarget {
    /// Uses the hosts of an environment. Packed artifacts come from `artifacts`; lines that run on this machine
    /// run in `dir`.
    pub fn new(
        environment: Environment,
        connector: Arc<Connector>,
        artifacts: Box<dyn ArtifactSource>,
        find_driver: FindDriver,
        dir: PathBuf,
    ) -> Self {
        let authority = authority(&environment, &connector);
        Self {
            environment,
            connector,
            artifacts,
            find_driver,
            authority,
            dir,
            highest_token: AtomicU64::new(0),
        }
    }

    /// Returns the host that grants leases and has the history.
    pub fn authority(&self) -> &Host {
        &self.authority
    }

    fn host(&self, config: &HostConfig) -> Host {
        host(&self.environment, &self.connector, &config.name, &config.connection)
    }

    fn router_site<'a>(
        &self,
        host: &'a Host,
        role: &'a Role,
        traffic: &'a Traffic,
        is_stopped: &'a (dyn Fn() -> bool + Sync),
    ) -> RouterSite<'a> {
        RouterSite { host, role, traffic, served: None, timeout: self.environment.timeout, is_stopped }
    }

    fn router_host(&self, role: &Role, traffic: &Traffic) -> Host {
        router_host(&self.environment, &self.connector, role, traffic)
    }

    fn limits<'a>(&self, is_stopped: &'a (dyn Fn() -> bool + Sync)) -> CallLimits<'a> {
        CallLimits { timeout: self.environment.timeout, is_stopped }
    }

    /// Returns all hosts of these roles and their routers, each once.
    fn all_hosts(&self, roles: &[Role]) -> Vec<Host> {
        let mut hosts = vec![self.authority.clone()];
        for role in roles {
            let router = role.traffic.iter().map(|traffic| self.router_host(role, traffic));
            for host in role.hosts.iter().map(|host| self.host(host)).chain(router) {
                if !hosts.iter().any(|known| known.is_same(&host)) {
                    hosts.push(host);
                }
            }
        }
        hosts
    }

    /// Returns the slots of these roles on a host in which something may run that no deploy has started.
    fn unmanaged_slots(&self, host: &Host, roles: &[Role]) -> Vec<UnmanagedSlot> {
        let mut slots = Vec::new();
        for role in roles {
            let Runs::Lines { start, status, .. } = &role.runs else { continue };
            let Some(config) = role.hosts.iter().find(|config| self.host(config).is_same(host)) else {
                continue;
            };
            let Some(status) = status_line(start, status.as_deref()) else { continue };
            for slot in Slot::ALL {
                let port = port(role, slot);
                let shown = port.map(|port| port.to_string()).unwrap_or_default();
                let values = [
                    ("slot", slot.name()),
                    ("host", &*config.name),
                    ("port", &*shown),
                    ("release", ""),
                    ("url", self.url()),
                    ("path", host.path()),
                ];
                let status = fill(&status, &values);
                slots.push(UnmanagedSlot { role: role.name.clone(), slot, port, status });
            }
        }
        slots
    }

    /// Calls `act` with each item, with a few at once.
    fn parallel<I: Sync, T: Send>(&self, items: &[I], act: impl Fn(&I) -> T + Sync) -> Vec<T> {
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<(usize, T)>> = Mutex::default();
        let most = usize::try_from(self.environment.max_parallel.get()).unwrap_or(1);
        thread::scope(|scope| {
            for _ in 0..most.min(items.len()) {
                scope.spawn(|| {
                    while let Some((position, item)) = {
                        let position = next.fetch_add(1, Ordering::Relaxed);
                        items.get(position).map(|item| (position, item))
                    } {
                        let result = act(item);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((position, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(position, _)| *position);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Runs a line about migrations where tasks.toml says, and returns what it prints. It runs in the folder of
    /// the release's artifact. Where that is not on the machine, it gets a temporary folder with it.
    fn migrate(
        &self,
        order: Option<&Order>,
        migrations: &Migrations,
        line: &str,
        context: &StepContext<'_>,
    ) -> Result<Vec<u8>, HostError> {
        let release = context.deployed;
        let nobody = || self.authority.failed("migrations need a role with a host");
        let role = release.roles.first().ok_or_else(nobody)?;
        let first = role.hosts.first().ok_or_else(nobody)?;
        let host = self.host(first);
        let limits = self.limits(context.is_stopped);
        let variables = variables(role, first, None, &release.id, context.secrets);
        let variables = env_file(&variables).map_err(|error| host.failed(error.to_string()))?;
        let line = fill(line, &[("release", &release.id.0), ("host", &first.name), ("url", self.url())]);
        let artifact = packed_artifacts(role, release).map(|(_, digest, _)| digest).next();
        let kind = if order.is_some() { LineKind::Change } else { LineKind::Question };
        let line = |folder| HostLine { folder, line: &line, variables: &variables, kind };
        match (migrations.run_on, artifact) {
            (RunOn::FirstHost, Some(artifact)) => {
                // A question may be asked before the release is on the host.
                let is_present = order.is_some() || host.missing(&[artifact])?.is_empty();
                let folder = if is_present { LineFolder::Artifact(artifact) } else { self.packed(artifact)? };
                host.run_line(order, line(folder), limits)
            }
            (RunOn::FirstHost, None) => host.run_line(order, line(LineFolder::Environment), limits),
            (RunOn::Here, artifact) => {
                if let Some(order) = order {
                    // This machine can't compare tokens.
                    self.authority.fence(order)?;
                }
                let folder =
                    artifact.map_or(Ok(LineFolder::Environment), |artifact| self.packed(artifact))?;
                // Its way back would begin while it still ends.
                let limits = if order.is_some() { self.limits(&|| false) } else { limits };
                self.here().run_line(None, line(folder), limits)
            }
        }
    }

    fn packed<'d>(&self, artifact: &'d ArtifactDigest) -> Result<LineFolder<'d>, HostError> {
        match self.artifacts.open(artifact) {
            Ok(packed) => Ok(LineFolder::Packed(artifact, packed)),
            Err(error) => Err(self.here().failed(format!("can't read artifact {artifact}: {error}"))),
        }
    }

    /// Runs a line that only reads, with secrets masked in its errors.
    fn ask(
        &self,
        migrations: &Migrations,
        line: &str,
        release: &Release,
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, TargetError> {
        let context = StepContext {
            deployed: release,
            releases: &[],
            roles: &release.roles,
            secrets,
            is_stopped,
            progress: &|_| {},
        };
        let printed = self.migrate(None, migrations, line, &context);
        printed.map_err(|error| masked(error, &mask(secrets)).into())
    }

    /// Returns the folder on this machine in which lines run.
    fn here(&self) -> Host {
        let path = self.dir.to_string_lossy().into_owned();
        Host::new("localhost".to_owned(), Connection::Local, path, Arc::clone(&self.connector))
    }

    fn url(&self) -> &str {
        self.environment.url.as_deref().unwrap_or_default()
    }
}

impl Target for HostsTarget {
    fn observe(&self, roles: &[Role]) -> Result<Observation, TargetError> {
        let hosts = self.all_hosts(roles);
        let mut reports = self.parallel(&hosts, |host| {
            host.observe(host.is_same(&self.authority), &self.unmanaged_slots(host, roles))
        });
        // The authority is the first.
        let authority = reports[0].clone()?;
        for report in reports.iter().flatten() {
            self.highest_token.fetch_max(report.token, Ordering::Relaxed);
        }
        let numbers = reports.iter().flatten().flat_map(|report| &report.slots);
        let numbers = numbers.filter_map(|slot| slot.release.as_ref()?.number()).max();
        let mut damaged = damaged(&authority, &self.authority);
        damaged.extend(lost_history(&hosts, &reports));
        let report_of = |host: &Host| {
            let position = hosts.iter().position(|known| known.is_same(host));
            position.map_or_else(|| Err(host.failed("was not asked")), |position| reports[position].clone())
        };
        let states = roles.iter().flat_map(|role| role.hosts.iter().map(move |host| (role, host)));
        let states = states
            .map(|(role, host)| HostState {
                role: role.name.clone(),
                host: host.name.clone(),
                slots: report_of(&self.host(host))
                    .map(|report| slots(&role.name, &report))
                    .map_err(bare_reason),
            })
            .collect();
        let routed: Vec<_> = roles.iter().filter_map(|role| Some((role, role.traffic.as_ref()?))).collect();
        let weights = self.parallel(&routed, |(role, traffic)| {
            let host = self.router_host(role, traffic);
            let site = self.router_site(&host, role, traffic, &|| false);
            let weights = (self.find_driver)(&traffic.router).read(&site);
            let contents = |slot| {
                let hosts = role.hosts.iter().filter_map(|host| report_of(&self.host(host)).ok());
                hosts
                    .map(|report| slots(&role.name, &report))
                    .find_map(|slots| slots.get(slot).release.clone())
            };
            let weights = weights.map(|weights| served_weights(&traffic.router, weights, contents));
            (role.name.clone(), weights.map_err(|error| error.to_string()))
        });
        // What was lost at the authority may still be known elsewhere.
        let last_number = last_number(&authority).max(numbers.unwrap_or_default());
        reports.clear();
        Ok(Observation {
            now: authority.now,
            authority: Authority {
                lease: authority.lease,
                current: authority.current,
                last_number,
                releases: authority.releases,
                records: authority.records,
                frozen: authority.frozen,
                damaged,
                unguarded: authority.unguarded,
            },
            hosts: states,
            weights: weights.into_iter().collect(),
        })
    }

    fn acquire(&self, request: &LeaseRequest) -> Result<Lease, TargetError> {
        let lease = self.authority.acquire(request, self.highest_token.load(Ordering::Relaxed))?;
        let order =
            Order { token: lease.token, nonce: request.nonce.clone(), deploy: request.deploy.clone() };
        // From now on, no host does what an earlier deploy orders. One that can't be reached learns the token
        // with the first order that it gets.
        let hosts = self.all_hosts(&self.environment.roles);
        for result in self.parallel(&hosts[1..], |host| host.fence(&order)) {
            if let Err(error @ HostError::Superseded { .. }) = result {
                // Nobody should have to wait for a lease that is of no use.
                drop(self.authority.release(&order));
                return Err(error.into());
            }
        }
        Ok(lease)
    }

    fn renew(&self, order: &Order) -> Result<(), TargetError> {
        Ok(self.authority.renew(order)?)
    }

    fn release(&self, order: &Order) -> Result<(), TargetError> {
        Ok(self.authority.release(order)?)
    }

    fn record(&self, order: &Order, what: &What) -> Result<(), TargetError> {
        Ok(self.authority.record(order, what)?)
    }

    fn pending(
        &self,
        migrations: &Migrations,
        release: &Release,
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Vec<String>, TargetError> {
        let printed = self.ask(migrations, &migrations.pending, release, secrets, &|| false)?;
        let printed = String::from_utf8_lossy(&printed);
        let mask = mask(secrets);
        let lines = printed.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines.map(|line| mask.text(line)).collect())
    }

    fn schema(
        &self,
        migrations: &Migrations,
        line: &str,
        release: &Release,
        secrets: &BTreeMap<String, BTreeMap<String, String>>,
        is_stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<u8>, TargetError> {
        self.ask(migrations, line, release, secrets, is_stopped)
    }

    fn open_artifact(
        &self,
        release: &Release,
        role: &Role,
        artifact: &ArtifactDigest,
    ) -> Result<Box<dyn Read + Send>, TargetError> {
        let from_store = match self.artifacts.open(artifact) {
            Ok(packed) => return Ok(packed),
            Err(error) => error,
        };
        let unreadable = || TargetError::Failed {
            host: "localhost".to_owned(),
            reason: format!("can't read artifact {artifact} of {}: {from_store}", release.id),
        };
        // The target still has what serves.
        let host = role.hosts.first().map(|host| self.host(host)).ok_or_else(unreadable)?;
        let packed = host.pack(artifact, self.limits(&|| false)).map_err(|_| unreadable())?;
        Ok(Box::new(io::Cursor::new(packed)))
    }

    fn sample(&self, role: &Role, release: &ReleaseId, window: Duration) -> Result<SlotSamples, String> {
        let traffic = role.traffic.as_ref().ok_or_else(|| format!("role {} has no router", role.name))?;
        let analysis = traffic.analysis.as_ref();
        match analysis.map(|analysis| &analysis.source) {
            None | Some(AnalysisSource::Router) => {
                let host = self.router_host(role, traffic);
                let site = self.router_site(&host, role, traffic, &|| false);
                let samples = (self.find_driver)(&traffic.router).sample(&site, release);
                samples.map_err(|error| error.to_string())
            }
            Some(AnalysisSource::Prometheus { url, requests, errors, p95 }) => {
                let queries = Queries { url, requests, errors: errors.as_deref(), p95: p95.as_deref() };
                from_prometheus(&queries, release, window)
            }
            Some(AnalysisSource::Command(line)) => {
                let needs_errors = analysis.is_some_and(|analysis| analysis.error_rate.is_some());
                from_command(line, &self.here(), release, window, needs_errors)
            }
        }
    }

    fn run(&self, order: &Order, step: &Step, context: &StepContext<'_>) -> StepOutcome {
        let run = StepRun { target: self, order, context, mask: mask(context.secrets) };
        match run.step(step) {
            Ok(()) => StepOutcome::Done,
            Err(error) => masked(error, &run.mask).into(),
        }
    }
}

impl StepRun<'_> {
    fn step(&self, step: &Step) -> Result<(), HostError> {
        match step {
            Step::Deliver { role, host, release } => self.deliver(role, host, release),
            Step::Stage { on, release } => self.stage(on, release),
            Step::Start { on, release } => self.start(on, release),
            Step::Stop { on } => {
                let host = self.find_host(&on.role, &on.host)?;
                // What is half stopped may still look as if it ran, so a request to stop the deploy waits.
                host.stop(self.order, &on.role, on.slot, self.target.limits(&|| false))
            }
            Step::Shift { role, weights } => self.shift(role, *weights),
            Step::Drain { role, slot } => self.drain(role, *slot),
            Step::Commit { release } => self.commit(release),
            Step::Clean { role, host, keep } => self.clean(role, host, keep),
            Step::Expand => self.migrate("expand", |migrations| Some(&migrations.expand)),
            Step::Revert => self.migrate("revert", |migrations| migrations.revert.as_ref()),
            Step::Contract => self.migrate("contract", |migrations| migrations.contract.as_ref()),
            Step::Rehearse | Step::Smoke { .. } | Step::Measure { .. } => {
                Err(self.authority().failed("this step is not one of the hosts"))
            }
        }
    }

    fn authority(&self) -> &Host {
        &self.target.authority
    }

    fn limits(&self) -> CallLimits<'_> {
        self.target.limits(self.context.is_stopped)
    }

    fn progress(&self, line: &str) {
        (self.context.progress)(&self.mask.text(line));
    }

    fn find_release(&self, id: &ReleaseId) -> Result<&Release, HostError> {
        let mut releases = std::iter::once(self.context.deployed).chain(self.context.releases);
        let unknown = || self.authority().failed(format!("release {id} is unknown"));
        releases.find(|release| release.id == *id).ok_or_else(unknown)
    }

    /// Returns a host of a role. It may be one that only an earlier release has.
    fn find_host(&self, role: &str, host: &str) -> Result<Host, HostError> {
        let earlier = self.context.releases.iter().flat_map(|release| &release.roles);
        let mut roles = self.context.roles.iter().chain(earlier).filter(|known| known.name == role);
        let config = roles.find_map(|role| role.hosts.iter().find(|known| known.name == host));
        let unknown = || self.authority().failed(format!("role {role} has no host {host}"));
        Ok(self.target.host(config.ok_or_else(unknown)?))
    }

    /// Returns a role and a host as a release has them.
    fn find_role<'r>(
        &self,
        release: &'r Release,
        role: &str,
        host: &str,
    ) -> Result<(&'r Role, &'r HostConfig), HostError> {
        let unknown =
            || self.authority().failed(format!("release {} has no role {role} on {host}", release.id));
        let role = release.roles.iter().find(|known| known.name == role).ok_or_else(unknown)?;
        let host = role.hosts.iter().find(|known| known.name == host).ok_or_else(unknown)?;
        Ok((role, host))
    }

    fn deliver(&self, role: &str, host: &str, release: &ReleaseId) -> Result<(), HostError> {
        let release = self.find_release(release)?;
        let (role, config) = self.find_role(release, role, host)?;
        let host = self.target.host(config);
        let artifacts: Vec<_> = packed_artifacts(role, release).collect();
        let digests: Vec<_> = artifacts.iter().map(|(_, digest, _)| *digest).collect();
        if let Some(project) = self.compose(&host, role, release) {
            let script = project.deliver_script(&release.id);
            host.order(self.order, &script, Box::new(io::empty()), self.limits())?;
        }
        for digest in host.missing(&digests)? {
            let size = artifacts.iter().find(|(_, known, _)| *known == digest).and_then(|(_, _, size)| *size);
            let packed = self.target.artifacts.open(digest);
            let packed =
                packed.map_err(|error| host.failed(format!("can't read artifact {digest}: {error}")))?;
            host.deliver(self.order, digest, size, packed, self.limits())?;
        }
        Ok(())
    }

    fn stage(&self, on: &Instance, release: &ReleaseId) -> Result<(), HostError> {
        let release = self.find_release(release)?;
        let (role, config) = self.find_role(release, &on.role, &on.host)?;
        let host = self.target.host(config);
        let is_name = |name: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            name.chars().all(is_plain) && !name.starts_with(['.', '-']) && !RESERVED.contains(&name)
        };
        let names = std::iter::once(&role.name).chain(&role.artifacts);
        if let Some(name) = names.into_iter().find(|name| !is_name(name)) {
            return Err(host.failed(format!("`{name}` can't be the name of a folder")));
        }
        let SlotLines { stop, status, .. } = self.lines(&host, role, config, on.slot, release)?;
        let no_stop =
            || host.failed(format!("role {} has no `stop`, so its old slot can't be stopped", role.name));
        let stop = stop.ok_or_else(no_stop)?;
        let variables = self.variables(&host, role, config, on.slot, release)?;
        if let Some(project) = self.compose(&host, role, release) {
            let script = project.stage_script(on.slot, &release.id, &variables);
            host.order(self.order, &script, Box::new(io::empty()), self.limits())?;
        }
        let variables = env_file(&variables).map_err(|error| host.failed(error.to_string()))?;
        let artifacts = packed_artifacts(role, release).map(|(name, digest, _)| (name, digest)).collect();
        let staging = Staging {
            role: &role.name,
            slot: on.slot,
            release: &release.id,
            artifacts,
            variables,
            stop,
            status,
        };
        host.stage(self.order, &staging, self.limits())
    }

    fn start(&self, on: &Instance, release: &ReleaseId) -> Result<(), HostError> {
        let release = self.find_release(release)?;
        let (role, config) = self.find_role(release, &on.role, &on.host)?;
        let host = self.target.host(config);
        let placeholders = self.placeholders(role, config, on.slot, release);
        let values = placeholders.values();
        let line = self.lines(&host, role, config, on.slot, release)?.start;
        let variables = self.variables(&host, role, config, on.slot, release)?;
        let variables = env_file(&variables).map_err(|error| host.failed(error.to_string()))?;
        let starting = Starting {
            role: &role.name,
            slot: on.slot,
            release: &release.id,
            line: &line,
            variables: &variables,
        };
        host.start(self.order, &starting, self.limits())?;
        let Some(check) = &role.health_check else { return Ok(()) };
        let checked = Checked {
            host: &host,
            role: &role.name,
            slot: on.slot,
            release: &release.id,
            placeholders: &values,
        };
        let progress = |line: &str| self.progress(&format!("{}: {line}", on.host));
        wait_until_healthy(check, &checked, self.context.is_stopped, &progress).map_err(|error| match error {
            HealthError::Stopped => HostError::Interrupted { host: on.host.clone() },
            error => host.failed(error.to_string()),
        })
    }

    /// Returns the compose project of a role, if it is one.
    fn compose<'r>(
        &self,
        host: &'r Host,
        role: &'r Role,
        release: &'r Release,
    ) -> Option<ComposeProject<'r>> {
        ComposeProject::new(&self.target.environment.name, host.path(), role, release)
    }

    /// Returns the variables of the processes of a slot, with the current values of secrets.
    fn variables(
        &self,
        host: &Host,
        role: &Role,
        config: &HostConfig,
        slot: Slot,
        release: &Release,
    ) -> Result<BTreeMap<String, String>, HostError> {
        let mut variables = variables(role, config, Some(slot), &release.id, self.context.secrets);
        if self.compose(host, role, release).is_none()
            && let Some(image) = image(role, release).map_err(|reason| host.failed(reason))?
        {
            variables.insert("IMAGE".to_owned(), image);
        }
        Ok(variables)
    }

    /// Returns the lines of a slot.
    fn lines(
        &self,
        host: &Host,
        role: &Role,
        config: &HostConfig,
        slot: Slot,
        release: &Release,
    ) -> Result<SlotLines, HostError> {
        if let Some(project) = self.compose(host, role, release) {
            return Ok(SlotLines {
                start: project.start_line(slot),
                stop: Some(project.stop_line(slot)),
                status: project.status_line(slot),
            });
        }
        let Runs::Lines { start, stop, status } = &role.runs else {
            return Err(host.failed(format!("role {} is not started by lines", role.name)));
        };
        let placeholders = self.placeholders(role, config, slot, release);
        let filled = |line: String| fill(&line, &placeholders.values());
        Ok(SlotLines {
            start: filled(start.clone()),
            stop: stop_line(start, stop.as_deref()).map(filled),
            status: status_line(start, status.as_deref()).map(filled).unwrap_or_default(),
        })
    }

    fn placeholders(&self, role: &Role, host: &HostConfig, slot: Slot, release: &Release) -> Placeholders {
        Placeholders {
            slot: slot.name(),
            host: host.name.clone(),
            port: port(role, slot).map(|port| port.to_string()).unwrap_or_default(),
            release: release.id.0.clone(),
            url: self.target.url().to_owned(),
            path: self.target.host(host).path().to_owned(),
        }
    }

    fn router<'r>(&self, role: &str, roles: &'r [Role]) -> Result<(&'r Role, &'r Traffic, Host), HostError> {
        let found = roles.iter().find(|known| known.name == role);
        let found = found.and_then(|role| Some((role, role.traffic.as_ref()?)));
        let (role, traffic) =
            found.ok_or_else(|| self.authority().failed(format!("role {role} has no router")))?;
        Ok((role, traffic, self.target.router_host(role, traffic)))
    }

    fn shift(&self, role: &str, weights: Weights) -> Result<(), HostError> {
        let (role, traffic, host) = self.router(role, self.context.roles)?;
        let site = self.target.router_site(&host, role, traffic, self.context.is_stopped);
        let served = self.served(role, traffic, weights);
        let site = RouterSite { served: served.as_ref(), ..site };
        (self.target.find_driver)(&traffic.router).shift(&site, self.order, weights)
    }

    /// Returns the release in the slot that gets all requests, if a router is to be asked which release answers.
    fn served(&self, role: &Role, traffic: &Traffic, weights: Weights) -> Option<ReleaseId> {
        let Router::Nginx { url: Some(_), .. } = &traffic.router else { return None };
        let slot = Slot::ALL.into_iter().find(|slot| weights.of_slot(*slot) == 100)?;
        let reports = role.hosts.iter().filter_map(|host| self.target.host(host).observe(false, &[]).ok());
        let mut reports = reports.map(|report| slots(&role.name, &report));
        reports.find_map(|slots| match slot {
            Slot::Blue => slots.blue.release,
            Slot::Green => slots.green.release,
        })
    }

    /// Waits until a slot has no requests left. A router that does not know how many there are gets the whole
    /// time.
    fn drain(&self, role: &str, slot: Slot) -> Result<(), HostError> {
        let (role, traffic, host) = self.router(role, self.context.roles)?;
        let site = self.target.router_site(&host, role, traffic, self.context.is_stopped);
        let driver = (self.target.find_driver)(&traffic.router);
        let clock = Clock::system();
        let mut shown = None;
        loop {
            if (self.context.is_stopped)() {
                return Err(HostError::Interrupted { host: host.name().to_owned() });
            }
            let left = traffic.drain.saturating_sub(clock.elapsed());
            // That the router can't be asked does not keep the old slot alive for longer.
            let requests = driver.in_flight(&site, slot).ok().flatten();
            if requests == Some(0) || left.is_zero() {
                return Ok(());
            }
            if requests != shown {
                shown = requests;
                let requests = requests.unwrap_or_default();
                self.progress(&format!("{} {slot}: {requests} requests left", role.name));
            }
            pause(left.min(DRAIN_INTERVAL), self.context.is_stopped);
        }
    }

    /// Makes a release current at the authority. On the other hosts, it only changes which slot starts after a
    /// reboot. That a host can't be reached does not change what is current, and [`Step::Clean`] does it again.
    fn commit(&self, release: &ReleaseId) -> Result<(), HostError> {
        let release = self.find_release(release)?;
        // A call that is stopped may or may not have made it current, and takes no time worth stopping it for.
        self.authority().commit(self.order, release, self.target.limits(&|| false))?;
        let places: Vec<_> =
            release.roles.iter().flat_map(|role| role.hosts.iter().map(move |host| (role, host))).collect();
        let results = self.target.parallel(&places, |(role, config)| {
            self.target.host(config).point(self.order, &role.name, &release.id, self.target.limits(&|| false))
        });
        for error in results.into_iter().filter_map(Result::err) {
            if matches!(error, HostError::Superseded { .. }) {
                return Err(error);
            }
            self.progress(&format!("{error}; after a reboot, the old slot may start there"));
        }
        Ok(())
    }

    fn clean(&self, role: &str, host: &str, keep: &[ReleaseId]) -> Result<(), HostError> {
        let host = self.find_host(role, host)?;
        let kept: Vec<_> = keep.iter().map(|id| self.find_release(id)).collect::<Result<_, _>>()?;
        let artifacts = kept.iter().flat_map(|release| release.artifacts.values());
        let artifacts: Vec<_> =
            artifacts.filter(|artifact| artifact.image.is_none()).map(|artifact| &artifact.digest).collect();
        let deployed = self.context.deployed;
        if self.find_role(deployed, role, host.name()).is_ok() {
            host.point(self.order, role, &deployed.id, self.limits())?;
        }
        // What is about to be removed must not be a target of a rollback any more.
        self.authority().prune(self.order, keep, self.limits())?;
        host.clean(self.order, &artifacts, self.limits())?;
        let Ok((role, _)) = self.find_role(deployed, role, host.name()) else { return Ok(()) };
        let Some(project) = self.compose(&host, role, deployed) else { return Ok(()) };
        host.order(self.order, &project.clean_script(keep), Box::new(io::empty()), self.limits()).map(drop)
    }

    fn migrate(&self, what: &str, line: impl Fn(&Migrations) -> Option<&String>) -> Result<(), HostError> {
        let migrations = self.context.deployed.migrations.as_ref();
        let missing = || self.authority().failed(format!("the release has no `migrations.{what}`"));
        let migrations = migrations.ok_or_else(missing)?;
        let line = line(migrations).ok_or_else(missing)?;
        let printed = self.target.migrate(Some(self.order), migrations, line, self.context)?;
        String::from_utf8_lossy(&printed).lines().for_each(|line| self.progress(line));
        Ok(())
    }
}

/// The lines of a slot.
struct SlotLines {
    start: String,
    stop: Option<String>,
    status: String,
}

/// The values of placeholders in the texts of a role.
struct Placeholders {
    slot: &'static str,
    host: String,
    port: String,
    release: String,
    url: String,
    path: String,
}

impl Placeholders {
    fn values(&self) -> [(&str, &str); 6] {
        [
            ("slot", self.slot),
            ("host", &self.host),
            ("port", &self.port),
            ("release", &self.release),
            ("url", &self.url),
            ("path", &self.path),
        ]
    }
}

/// Returns the router's host of the first role that has a router, else the first host of the first role.
fn authority(environment: &Environment, connector: &Arc<Connector>) -> Host {
    let routed = environment.roles.iter().find_map(|role| Some((role, role.traffic.as_ref()?)));
    if let Some((role, traffic)) = routed {
        return router_host(environment, connector, role, traffic);
    }
    let first = environment.roles.iter().find_map(|role| role.hosts.first());
    match first {
        Some(first) => host(environment, connector, &first.name, &first.connection),
        None => host(environment, connector, "localhost", &Connection::Local),
    }
}

fn host(environment: &Environment, connector: &Arc<Connector>, name: &str, connection: &Connection) -> Host {
    let path = fill(&environment.path, &[("host", name)]);
    Host::new(name.to_owned(), connection.clone(), path, Arc::clone(connector))
}

/// Returns the machine of a router. One that is a host of the role too has the same name and folder.
fn router_host(
    environment: &Environment,
    connector: &Arc<Connector>,
    role: &Role,
    traffic: &Traffic,
) -> Host {
    let same = role.hosts.iter().find(|host| host.connection == traffic.on);
    let name = match (same, &traffic.on) {
        (Some(host), _) => host.name.as_str(),
        (None, Connection::Local) => "localhost",
        (None, Connection::Ssh(destination)) => {
            destination.host.rsplit_once('@').map_or(destination.host.as_str(), |(_, host)| host)
        }
    };
    host(environment, connector, name, &traffic.on)
}

/// Returns the artifacts of a role that are archives: their names, digests and sizes.
fn packed_artifacts<'a>(
    role: &'a Role,
    release: &'a Release,
) -> impl Iterator<Item = (&'a str, &'a ArtifactDigest, Option<u64>)> {
    let file = match &role.runs {
        Runs::Compose { file, .. } => Some(file_artifact(file)),
        _ => None,
    };
    let is_wanted = move |name: &String| role.artifacts.contains(name) || file.as_ref() == Some(name);
    release.artifacts.iter().filter(move |(name, _)| is_wanted(name)).filter_map(|(name, artifact)| {
        artifact.image.is_none().then_some((name.as_str(), &artifact.digest, artifact.size))
    })
}

/// Returns the image of a role, by its digest.
fn image(role: &Role, release: &Release) -> Result<Option<String>, String> {
    let mut images = role.artifacts.iter().filter_map(|name| {
        let artifact = release.artifacts.get(name)?;
        Some(format!("{}@{}", artifact.image.as_deref()?, artifact.digest))
    });
    match (images.next(), images.next()) {
        (image, None) => Ok(image),
        _ => Err(format!("role {} has several images; hint: give each its own role", role.name)),
    }
}

fn port(role: &Role, slot: Slot) -> Option<u16> {
    role.ports.map(|ports| match slot {
        Slot::Blue => ports.blue,
        Slot::Green => ports.green,
    })
}

/// Returns the variables of a process. Those of a host replace those of its role, and secrets replace both.
pub(super) fn variables(
    role: &Role,
    host: &HostConfig,
    slot: Option<Slot>,
    release: &ReleaseId,
    secrets: &BTreeMap<String, BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut variables = role.variables.env.clone();
    variables.extend(host.env.clone());
    variables.extend(secrets.get(&role.name).cloned().unwrap_or_default());
    variables.insert("RELEASE".to_owned(), release.0.clone());
    if let Some(slot) = slot {
        variables.insert("SLOT".to_owned(), slot.name().to_owned());
        if let Some(port) = port(role, slot) {
            variables.insert("PORT".to_owned(), port.to_string());
        }
    }
    variables
}

/// Returns the slots of a role from what its host reports.
fn slots(role: &str, report: &HostReport) -> Slots {
    let state = |slot: Slot| {
        let found = report.slots.iter().find(|known| known.role == role && known.slot == slot);
        found.map_or_else(SlotState::default, |found| SlotState {
            release: found.release.clone(),
            running: found.running,
        })
    };
    let artifacts: BTreeSet<_> = report.artifacts.iter().cloned().collect();
    Slots { blue: state(Slot::Blue), green: state(Slot::Green), artifacts: Some(artifacts) }
}

/// Returns the weights by which a router serves, which may not be those of its file: if the proxy can be asked and
/// all answers are of the other slot, its process has not read the file.
fn served_weights(
    router: &Router,
    weights: Weights,
    contents: impl Fn(Slot) -> Option<ReleaseId>,
) -> Weights {
    /// How often it is asked. While nginx reads its file, the former answers may still come.
    const QUESTIONS: u32 = 3;
    const PATIENCE: Duration = Duration::from_secs(5);
    let Router::Nginx { url: Some(url), .. } = router else { return weights };
    let Some(slot) = Slot::ALL.into_iter().find(|slot| weights.of_slot(*slot) == 100) else { return weights };
    let (Some(expected), Some(other)) = (contents(slot), contents(slot.other())) else { return weights };
    let is_other = |_| {
        answer_contains(url, &expected.0, PATIENCE) == Ok(false)
            && answer_contains(url, &other.0, PATIENCE) == Ok(true)
    };
    if expected != other && (0..QUESTIONS).all(is_other) { Weights::new(slot.other(), 100) } else { weights }
}

/// Returns the number of the last release that an authority knows.
fn last_number(report: &HostReport) -> u32 {
    let started = report.records.iter().filter_map(|record| match &record.what {
        What::Started { release, .. } => Some(release.number),
        _ => None,
    });
    let known = report.releases.iter().map(|release| release.number).chain(started);
    known.max().unwrap_or_default().max(report.last_number)
}

/// Returns what is damaged at the authority, a line for each.
fn damaged(report: &HostReport, authority: &Host) -> Vec<String> {
    let name = authority.name();
    // A slot is filled again by the next deploy.
    let files = report.damaged.iter().filter(|file| !file.starts_with("slots/"));
    let files = files.map(|file| format!("{name}: .taskgate/{file} was cut off"));
    let started = report.records.iter().rev().find(|record| matches!(record.what, What::Started { .. }));
    let lost = report.begun.as_ref().filter(|begun| {
        // The name itself may be what was lost.
        !begun.is_empty() && started.is_none_or(|record| record.deploy != **begun)
    });
    let lost =
        lost.map(|begun| format!("{name}: the records of deploy {begun} are lost, which has not ended"));
    let is_listed = |current: &&ReleaseId| report.releases.iter().any(|release| release.id == **current);
    let current = report.current.as_ref().filter(|current| !is_listed(current));
    let current =
        current.map(|current| format!("{name}: what is known of {current} is lost, which is current"));
    files.chain(lost).chain(current).collect()
}

/// Returns what is wrong if hosts contain releases of which the authority, which is the first, knows nothing.
fn lost_history(hosts: &[Host], reports: &[Result<HostReport, HostError>]) -> Option<String> {
    let authority = reports.first()?.as_ref().ok()?;
    let is_empty = authority.records.is_empty() && last_number(authority) == 0 && authority.current.is_none();
    if !is_empty || !authority.damaged.is_empty() {
        return None;
    }
    let mut reported =
        hosts.iter().zip(reports).filter_map(|(host, report)| Some((host, report.as_ref().ok()?)));
    reported.find_map(|(host, report)| {
        let release = report.slots.iter().find_map(|slot| slot.release.as_ref())?;
        Some(format!("{}: it has no history, but {} contains {release}", hosts[0].name(), host.name()))
    })
}

/// Returns the reason of an error without the host, which is named beside it.
fn bare_reason(error: HostError) -> String {
    match error {
        HostError::Unreachable { reason, .. } | HostError::Failed { reason, .. } => reason,
        error => error.to_string(),
    }
}

pub(super) fn mask(secrets: &BTreeMap<String, BTreeMap<String, String>>) -> Mask {
    let values = secrets.values().flat_map(BTreeMap::values).map(|value| value.clone().into_bytes());
    // Only values of many megabytes can't be masked, and those are no secrets.
    Mask::new(values.collect()).unwrap_or_default()
}

/// Hides secrets in the message of an error: a line that fails may print them.
pub(super) fn masked(error: HostError, mask: &Mask) -> HostError {
    match error {
        HostError::Failed { host, reason } => HostError::Failed { host, reason: mask.text(&reason) },
        HostError::Unreachable { host, reason } => {
            HostError::Unreachable { host, reason: mask.text(&reason) }
        }
        error => error,
    }
}
