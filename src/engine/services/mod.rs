//! The services of a run. Each is started when the first task that uses it is about to run, is shared by all
//! tasks that use it, and is stopped when the run ends. This module must not decide which task runs.
//!
//! Read [`Services`], then [`service`] (one process), [`readiness`] (when it can be used), [`port_registry`]
//! (no two services share a port), [`service_ports`] (ports in commands and variables), [`identity`] (whether
//! a running one can be used again) and [`localhost`]. Services take no job slots, and their needs have
//! passed before the task starts, so starting one waits only for the service itself.

pub mod identity;
pub mod localhost;
pub mod port_registry;
pub mod readiness;
pub mod service;
pub mod service_ports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use regex::Regex;

use crate::base::digest::Digest;
use crate::base::env::Env;
use crate::config::model::{CommandEnv, Config, Port, Probe, Service, ServiceId, Task, TimeLimits};
use crate::engine::run::emitter::Emitter;
use crate::engine::services::port_registry::{PortRegistry, PortReservation};
use crate::engine::services::readiness::{NotReady, ReadinessProbe};
use crate::engine::services::service::{RunningService, UserGuard};
use crate::engine::services::service_ports::ServicePorts;
use crate::engine::task::command::{self, CommandContext, ProgramCache};
use crate::engine::task::task_env;
use crate::event::{Ended, Level, Log, ServiceEnd, What};
use crate::process::guard::Guard;
use crate::process::orphans;
use crate::process::run;
use crate::process::secret_mask::Mask;
use crate::process::spawn::Spawn;
use crate::process::stop::{Stop, StopRequest};

/// The environment in which services are started.
pub struct ServiceEnv<'a> {
    /// The tasks and services.
    pub config: &'a Config,
    /// The caller's environment.
    pub env: &'a Env,
    /// The top of the work tree.
    pub root: PathBuf,
    /// The emitter of events.
    pub emitter: &'a Emitter,
    /// Masks secrets.
    pub mask: Arc<Mask>,
    /// An open file whose lock keeps a private worktree.
    pub hold: Option<&'a std::fs::File>,
    /// Stops services that are being started.
    pub stop: Stop,
    /// Whether this is a retry of the task, which also retries services that failed to start.
    pub is_retry: bool,
    /// Returns the current identity of a service. A running one is used again only if it was started with the
    /// same identity.
    pub identity: Box<dyn Fn(ServiceId) -> Option<Digest> + Sync + 'a>,
}

/// The services that are running or being started.
pub struct Services {
    /// The text in the environment of their processes by which orphans are found.
    mark: String,
    slots: Mutex<BTreeMap<String, Slot>>,
    changed: Condvar,
    /// The number of services that were started.
    started: AtomicU64,
    programs: ProgramCache,
    guard: OnceLock<Option<Arc<Guard>>>,
    /// The ports and sockets of running and starting services.
    ports_in_use: PortRegistry,
}

/// The state of a service. It is stored by the service's name, since ids may change when tasks.toml is edited
/// between runs of `watch`.
enum Slot {
    Starting,
    Up(Arc<RunningService>, Option<Digest>),
    /// It failed to start. A retry starts it again.
    Failed(ServiceFailure),
}

/// Why a service can't be used, or can no longer be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceFailure {
    /// The run was stopped.
    Stopped,
    /// The service failed.
    Service {
        /// Its name.
        name: String,
        /// What happened, with the file and line of its definition.
        why: String,
    },
}

/// The services that a task uses, for as long as it uses them.
pub struct ServiceLease {
    /// Their ports.
    pub ports: ServicePorts,
    users: Vec<(ServiceId, Arc<RunningService>, UserGuard)>,
}

impl Services {
    /// Returns an empty set of services whose processes get the mark `mark`.
    pub fn new(mark: String) -> Self {
        Self {
            mark,
            slots: Mutex::default(),
            changed: Condvar::new(),
            started: AtomicU64::new(0),
            programs: ProgramCache::default(),
            guard: OnceLock::new(),
            ports_in_use: PortRegistry::default(),
        }
    }

    /// Starts the services that `task` uses. `user` is stopped when one of them ends.
    ///
    /// # Errors
    /// One of them can't be started or does not become ready.
    pub fn acquire(
        &self,
        service_env: &ServiceEnv<'_>,
        task: &Task,
        user: &Stop,
    ) -> Result<ServiceLease, ServiceFailure> {
        let mut done: BTreeSet<ServiceId> = BTreeSet::new();
        while done.len() < task.env.uses.len() {
            // Services all of whose own services are running are started in parallel.
            let next: Vec<ServiceId> = task
                .env
                .uses
                .iter()
                .copied()
                .filter(|id| !done.contains(id))
                .filter(|id| service_env.config.service(*id).env.uses.iter().all(|used| done.contains(used)))
                .collect();
            std::thread::scope(|scope| {
                let starts: Vec<_> = next
                    .iter()
                    .map(|id| scope.spawn(move || self.ensure_running(service_env, *id, task)))
                    .collect();
                let ends =
                    starts.into_iter().map(|start| start.join().unwrap_or(Err(ServiceFailure::Stopped)));
                ends.collect::<Vec<_>>().into_iter().collect::<Result<Vec<_>, _>>()
            })?;
            done.extend(next);
        }
        let slots = self.slots();
        let up = |id: &ServiceId| match slots.get(&service_env.config.service(*id).name) {
            Some(Slot::Up(running, _)) => Some((*id, Arc::clone(running), running.add_user(user))),
            _ => None,
        };
        let users = task.env.uses.iter().filter_map(up).collect();
        drop(slots);
        Ok(ServiceLease { ports: self.ports(service_env.config, &task.env), users })
    }

    /// Returns the ports of the running services that a task or service names.
    pub fn ports(&self, config: &Config, user: &CommandEnv) -> ServicePorts {
        let slots = self.slots();
        let mut ports = ServicePorts::default();
        for (name, id) in &user.services {
            if let Some(Slot::Up(running, _)) = slots.get(&config.service(*id).name) {
                ports.add(name, running.port, running.dir());
            }
        }
        ports
    }

    /// Starts a service unless it is running. Other users wait meanwhile.
    fn ensure_running(
        &self,
        service_env: &ServiceEnv<'_>,
        id: ServiceId,
        user: &Task,
    ) -> Result<(), ServiceFailure> {
        let name = &service_env.config.service(id).name;
        let identity = (service_env.identity)(id);
        let mut slots = self.slots();
        let mut has_waited = false;
        loop {
            match slots.get(name) {
                Some(Slot::Up(running, known))
                    if *known == identity && !is_stale(service_env, &slots, id, running) =>
                {
                    return Ok(());
                }
                Some(Slot::Starting) => {
                    has_waited = true;
                    slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Failed(failure)) if has_waited || !service_env.is_retry => {
                    return Err(failure.clone());
                }
                // A service that has died or changed is started again.
                Some(Slot::Up(..) | Slot::Failed(_)) | None => break,
            }
        }
        let old = slots.insert(name.clone(), Slot::Starting);
        drop(slots);
        if let Some(Slot::Up(old, _)) = old {
            stop_and_wait(service_env, &old);
            report_end(service_env, name, &old);
            end_orphans(service_env, name, &old);
        }
        let start = std::panic::AssertUnwindSafe(|| self.start(service_env, id, user));
        // Other users must not wait for a thread that has panicked.
        let started = std::panic::catch_unwind(start).unwrap_or(Err(ServiceFailure::Stopped));
        let (slot, outcome) = match started {
            Ok(running) => (Slot::Up(Arc::new(running), identity), Ok(())),
            Err(failure) => (Slot::Failed(failure.clone()), Err(failure)),
        };
        self.slots().insert(name.clone(), slot);
        self.changed.notify_all();
        outcome
    }

    /// Starts a service and waits until it is ready.
    fn start(
        &self,
        service_env: &ServiceEnv<'_>,
        id: ServiceId,
        user: &Task,
    ) -> Result<RunningService, ServiceFailure> {
        let service = service_env.config.service(id);
        let name = service.name.clone();
        let fails = |why: String| ServiceFailure::Service {
            name: name.clone(),
            why: format!("{why} ({})", service.place),
        };
        if service_env.stop.request() != StopRequest::None {
            return Err(ServiceFailure::Stopped);
        }
        let reservation = self.reserve_port(service).map_err(&fails)?;
        let port = reservation.port;
        let clock = service_env.emitter.clock().restarted();
        service_env.emitter.emit(What::ServiceStarted {
            service: name.clone(),
            port,
            task: user.name.clone(),
        });
        let not_started = |why: String| {
            let ended = ServiceEnd::NotReady { why: format!("{why} ({})", service.place) };
            service_env.emitter.emit(What::ServiceEnded {
                service: name.clone(),
                end: ended,
                log: Log::default(),
            });
            fails(why)
        };
        let (running, probe) = self.spawn(service_env, service, reservation).map_err(&not_started)?;
        match probe.wait(&running, service.ready.timeout, &service_env.stop) {
            Ok(()) => {
                let took = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
                service_env.emitter.emit(What::ServiceReady { service: name.clone(), took });
                Ok(running)
            }
            Err(why) => Err(give_up(service_env, service, &running, why)),
        }
    }

    /// Reserves a port for a service, which no other service of this run has.
    fn reserve_port(&self, service: &Service) -> Result<PortReservation, String> {
        let reserve = |port| self.ports_in_use.reserve(&service.name, port);
        match service.port {
            None => reserve(None),
            Some(Port::Fixed(port)) => reserve(Some(port)),
            Some(Port::Auto) => loop {
                // Another service may have it as its fixed port and not listen yet.
                let port = localhost::claim_port()?;
                if let Ok(reservation) = reserve(Some(port.number)) {
                    return Ok(reservation.with_claim(port));
                }
            },
        }
    }

    /// Starts the process of a service.
    fn spawn(
        &self,
        service_env: &ServiceEnv<'_>,
        service: &Service,
        reservation: PortReservation,
    ) -> Result<(RunningService, ReadinessProbe), String> {
        let temp = service_env.env.passed("TMPDIR");
        let temp = temp.map_or_else(|| PathBuf::from("/tmp"), |temp| PathBuf::from(temp.into_owned()));
        let dir = tempfile::Builder::new().prefix("xtask-service-").tempdir_in(&temp);
        let dir = dir.map_err(|error| format!("can't create a folder in {}: {error}", temp.display()))?;
        if let Some(guard) = self.context(service_env).guard {
            guard.add_folder(dir.path());
        }
        let mut ports = self.ports(service_env.config, &service.env);
        ports.add(crate::config::own_name(&service.name, &service.project), reservation.port, dir.path());
        let ports = &ports;
        let env_vars = task_env::for_service(service_env.env, &self.mark, dir.path(), service, ports);
        let command = |run, times| {
            let context = self.context(service_env);
            let words = command::command_words(&service.env.shell, &ports.fill_command(run), &[]);
            command::spawn(&context, &service.env.cwd, &words, env_vars.clone(), times)
        };
        let mut spawn = command(&service.command, TimeLimits::default())?;
        spawn.limits.signal = service.stop.signal;
        spawn.limits.grace = service.stop.grace;
        let ask = match &service.ready.probe {
            Some(Probe::Command(probe)) => Some(command(probe, TimeLimits::default())?),
            _ => None,
        };
        let cwd = service.env.cwd.under(&service_env.root);
        let probe = ReadinessProbe::new(&service.ready, ports, &cwd, || {
            Box::new(move |most, stop| {
                ask.as_ref().map_or(Ok(()), |spawn| run_ready_command(spawn, most, stop))
            })
        });
        let used =
            |name: &str| service.env.uses.iter().any(|id| service_env.config.service(*id).name == name);
        reservation.add(probe.address(), used)?;
        if let Some(why) = probe.answered_by_another(reservation.port, &service_env.stop) {
            return Err(why);
        }
        let awaited = match &probe {
            ReadinessProbe::Line(pattern) => Regex::new(pattern).ok(),
            _ => None,
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let running = RunningService::start(spawn, number, reservation, awaited, dir)
            .map_err(|error| error.to_string())?;
        Ok((running, probe))
    }

    fn context<'k>(&'k self, service_env: &'k ServiceEnv<'_>) -> CommandContext<'k> {
        let start = || match Guard::start(service_env.env.program(), &self.mark, service_env.hold) {
            Ok(guard) => Some(Arc::new(guard)),
            Err(error) => {
                let text =
                    format!("services may outlive a killed run, since their guard can't start: {error}");
                service_env.emitter.notice(Level::Warning, text);
                None
            }
        };
        CommandContext {
            root: &service_env.root,
            mask: Arc::clone(&service_env.mask),
            guard: self.guard.get_or_init(start).clone(),
            programs: &self.programs,
        }
    }

    /// Stops the services that no other service uses, and reports those that have ended. Call it again until
    /// [`Self::is_empty`].
    pub fn stop_unused(&self, service_env: &ServiceEnv<'_>, how: StopRequest) {
        let mut slots = self.slots();
        let up: Vec<(String, Arc<RunningService>)> = slots
            .iter()
            .filter_map(|(name, slot)| match slot {
                Slot::Up(running, _) => Some((name.clone(), Arc::clone(running))),
                Slot::Starting | Slot::Failed(_) => None,
            })
            .collect();
        let config = service_env.config;
        let uses = |user: &str, used: &str| {
            let user = config.services.iter().find(|service| service.name == *user);
            user.is_some_and(|user| user.env.uses.iter().any(|id| config.service(*id).name == *used))
        };
        for (name, running) in &up {
            let used = up.iter().any(|(other, _)| uses(other, name));
            if running.end().is_some() {
                slots.remove(name);
                report_end(service_env, name, running);
            } else if !used || how == StopRequest::Kill {
                running.request_stop(how);
            }
        }
        if let Some((_, running)) = up.first() {
            drop(slots);
            running.wait(Duration::from_millis(20));
        }
    }

    /// Forgets failures, so that services that failed to start are tried again.
    pub fn forget_failures(&self) {
        self.slots().retain(|_, slot| !matches!(slot, Slot::Failed(_)));
    }

    /// Returns whether no service is running or starting.
    pub fn is_empty(&self) -> bool {
        !self.slots().values().any(|slot| matches!(slot, Slot::Starting | Slot::Up(..)))
    }

    /// Returns the mark of the services' processes; `None` if no service was ever started.
    pub fn mark(&self) -> Option<&str> {
        self.guard.get().map(|_| self.mark.as_str())
    }

    /// Locks the slots. No code panics while it holds the lock, so the data is consistent.
    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServiceLease {
    /// Returns why the task failed if one of its services has ended.
    pub fn failure(&self, config: &Config) -> Option<ServiceFailure> {
        self.users.iter().find_map(|(id, running, _)| {
            let (ended, _) = running.end()?;
            let service = config.service(*id);
            let why = format!("{ended} while it was used{} ({})", foreground_hint(&ended), service.place);
            Some(ServiceFailure::Service { name: service.name.clone(), why })
        })
    }
}

fn run_ready_command(spawn: &Spawn, most: Duration, stop: &Stop) -> Result<(), String> {
    let mut spawn = spawn.clone();
    spawn.limits.timeout = Some(most);
    let finished = run::run(&spawn, stop, &mut ());
    let last = finished.log.text.lines().last().unwrap_or_default().trim().to_owned();
    match finished.ended {
        run::Ended::Exit(0) => Ok(()),
        run::Ended::Exit(code) if last.is_empty() => Err(format!("its `ready` command ended with {code}")),
        run::Ended::Exit(code) => Err(format!("its `ready` command ended with {code} ({last})")),
        run::Ended::TimedOut => Err("its `ready` command timed out".to_owned()),
        run::Ended::NotStarted(why) => Err(format!("its `ready` command: {why}")),
        run::Ended::Signal(_) | run::Ended::Stopped => Err("its `ready` command was stopped".to_owned()),
    }
}

/// Returns whether a service has died, or was started before one of the services that it uses.
fn is_stale(
    service_env: &ServiceEnv<'_>,
    slots: &BTreeMap<String, Slot>,
    id: ServiceId,
    running: &RunningService,
) -> bool {
    let is_newer = |used: &ServiceId| match slots.get(&service_env.config.service(*used).name) {
        Some(Slot::Up(used, _)) => used.number > running.number,
        _ => true,
    };
    running.end().is_some() || service_env.config.service(id).env.uses.iter().any(is_newer)
}

/// Stops a service and waits until it has ended.
fn stop_and_wait(service_env: &ServiceEnv<'_>, running: &RunningService) {
    if running.end().is_none() {
        running.request_stop(StopRequest::Terminate);
    }
    while running.end().is_none() {
        running.wait(Duration::from_millis(50));
        if service_env.stop.request() == StopRequest::Kill {
            running.request_stop(StopRequest::Kill);
        }
    }
}

/// Ends the remaining processes of a service that has ended, since they could still use its port.
fn end_orphans(service_env: &ServiceEnv<'_>, name: &str, running: &RunningService) {
    for orphan in orphans::end_all_of_service(running.dir(), Duration::from_secs(1)) {
        let command = service_env.mask.text(&orphan.command);
        let text =
            format!("service {name} left process {} running, which was stopped: {command}", orphan.pid);
        service_env.emitter.notice(Level::Warning, text);
    }
}

/// Stops a service that did not become ready, and returns why.
fn give_up(
    service_env: &ServiceEnv<'_>,
    service: &Service,
    running: &RunningService,
    why: NotReady,
) -> ServiceFailure {
    let own_end = running.end().map(|(ended, _)| ended);
    stop_and_wait(service_env, running);
    let log = running.end().map(|(_, log)| log).unwrap_or_default();
    let name = service.name.clone();
    end_orphans(service_env, &name, running);
    let (end, failure) = match why {
        NotReady::Stopped => (ServiceEnd::Stopped, ServiceFailure::Stopped),
        NotReady::TimedOut(why) => not_ready(&name, format!("it is not ready: {why} ({})", service.place)),
        NotReady::Ended => {
            let ended = own_end.unwrap_or(Ended::Stopped);
            not_ready(
                &name,
                format!("{ended} before it was ready{} ({})", foreground_hint(&ended), service.place),
            )
        }
    };
    service_env.emitter.emit(What::ServiceEnded { service: name, end, log });
    failure
}

fn not_ready(name: &str, why: String) -> (ServiceEnd, ServiceFailure) {
    (ServiceEnd::NotReady { why: why.clone() }, ServiceFailure::Service { name: name.to_owned(), why })
}

/// Returns a hint for a service that ended with status 0.
fn foreground_hint(ended: &Ended) -> &'static str {
    if ended.is_pass() { "; a service must stay in the foreground" } else { "" }
}

/// Reports the end of a service that was ready.
fn report_end(service_env: &ServiceEnv<'_>, name: &str, running: &RunningService) {
    let Some((ended, log)) = running.end() else { return };
    let service = service_env.config.services.iter().find(|service| service.name == name);
    let place = service.map(|service| format!(" ({})", service.place)).unwrap_or_default();
    let end = if running.was_stop_requested() {
        ServiceEnd::Stopped
    } else {
        ServiceEnd::Died { why: format!("{ended}{place}") }
    };
    service_env.emitter.emit(What::ServiceEnded { service: name.to_owned(), end, log });
}
