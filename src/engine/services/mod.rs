//! The services of a run: each is started when the first task that uses it is about to run, shared,
//! and ended when the run is over, whatever became of it. It must not decide which task runs.
//!
//! Services take no job slots, and what they need has passed before the task starts, so bringing one
//! up waits for nothing but the service itself.

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
use crate::config::model::{Config, Port, Probe, Service, ServiceId, Task};
use crate::engine::run::emitter::Emitter;
use crate::engine::services::port_registry::{PortRegistry, PortReservation};
use crate::engine::services::readiness::{NotReady, ReadinessProbe};
use crate::engine::services::service::{RunningService, UserGuard};
use crate::engine::services::service_ports::ServicePorts;
use crate::engine::task::command::{self, CommandContext, ProgramCache, TimeLimits};
use crate::engine::task::task_env;
use crate::event::{Ended, Level, Log, ServiceEnd, What};
use crate::process::guard::Guard;
use crate::process::mask::Mask;
use crate::process::orphans;
use crate::process::run;
use crate::process::spawn::Spawn;
use crate::process::stop::{Stop, StopRequest};

/// What services are started with.
pub struct ServiceEnv<'a> {
    /// The tasks and services.
    pub config: &'a Config,
    /// The caller's environment.
    pub env: &'a Env,
    /// The top of the work tree.
    pub root: PathBuf,
    /// Where events go.
    pub emitter: &'a Emitter,
    /// Hides secrets.
    pub mask: Arc<Mask>,
    /// An open file whose lock keeps the place.
    pub hold: Option<&'a std::fs::File>,
    /// Ends what is being started.
    pub stop: Stop,
    /// Whether the task is tried again, and services that did not come up with it.
    pub is_retry: bool,
    /// Returns what a service is at present: one that is up is used again only while this stays the same.
    pub identity: Box<dyn Fn(ServiceId) -> Option<Digest> + Sync + 'a>,
}

/// The services that are up, or are being brought up.
pub struct Services {
    /// What their processes are marked with, for who looks for strays.
    mark: String,
    slots: Mutex<BTreeMap<String, Slot>>,
    changed: Condvar,
    /// How many were started.
    started: AtomicU64,
    programs: ProgramCache,
    guard: OnceLock<Option<Arc<Guard>>>,
    /// Where those that are up, or are to be, listen.
    ports_in_use: PortRegistry,
}

/// By the service's name: between rounds the file that defines it may change.
enum Slot {
    Starting,
    Up(Arc<RunningService>, Option<Digest>),
    /// It did not come up. Who tries again starts it anew.
    Failed(ServiceFailure),
}

/// Why a service can't be used, or no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceFailure {
    /// The run is to end.
    Stopped,
    /// The service failed.
    Service {
        /// Its name.
        name: String,
        /// What it did, with the place of its definition.
        why: String,
    },
}

/// A task's hold on the services that it uses.
pub struct ServiceLease {
    /// Their ports.
    pub ports: ServicePorts,
    users: Vec<(ServiceId, Arc<RunningService>, UserGuard)>,
}

impl Services {
    /// None are up yet. Their processes will be marked with `mark`.
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

    /// Brings up what `task` uses, and holds it; `user` is thrown when one of them ends.
    ///
    /// # Errors
    /// One of them can't be started or does not become ready.
    pub fn acquire(
        &self,
        setting: &ServiceEnv<'_>,
        task: &Task,
        user: &Stop,
    ) -> Result<ServiceLease, ServiceFailure> {
        let mut done: BTreeSet<ServiceId> = BTreeSet::new();
        while done.len() < task.uses.len() {
            // Those that use none but what is up already come up at the same time.
            let next: Vec<ServiceId> = task
                .uses
                .iter()
                .copied()
                .filter(|id| !done.contains(id))
                .filter(|id| setting.config.service(*id).task.uses.iter().all(|used| done.contains(used)))
                .collect();
            std::thread::scope(|scope| {
                let starts: Vec<_> =
                    next.iter().map(|id| scope.spawn(move || self.bring_up(setting, *id, task))).collect();
                let ends =
                    starts.into_iter().map(|start| start.join().unwrap_or(Err(ServiceFailure::Stopped)));
                ends.collect::<Vec<_>>().into_iter().collect::<Result<Vec<_>, _>>()
            })?;
            done.extend(next);
        }
        let slots = self.slots();
        let up = |id: &ServiceId| match slots.get(&setting.config.service(*id).task.name) {
            Some(Slot::Up(running, _)) => Some((*id, Arc::clone(running), running.add_user(user))),
            _ => None,
        };
        let users = task.uses.iter().filter_map(up).collect();
        drop(slots);
        Ok(ServiceLease { ports: self.ports(setting.config, task), users })
    }

    /// The ports of the services that a task names, as far as they are up.
    pub fn ports(&self, config: &Config, task: &Task) -> ServicePorts {
        let slots = self.slots();
        let mut ports = ServicePorts::default();
        for (name, id) in &task.services {
            if let Some(Slot::Up(running, _)) = slots.get(&config.service(*id).task.name) {
                ports.add(name, running.port, running.dir());
            }
        }
        ports
    }

    /// Brings one service up, unless it is; who else wants it meanwhile waits for it.
    fn bring_up(&self, setting: &ServiceEnv<'_>, id: ServiceId, user: &Task) -> Result<(), ServiceFailure> {
        let name = &setting.config.service(id).task.name;
        let identity = (setting.identity)(id);
        let mut slots = self.slots();
        let mut has_waited = false;
        loop {
            match slots.get(name) {
                Some(Slot::Up(running, known))
                    if *known == identity && !is_stale(setting, &slots, id, running) =>
                {
                    return Ok(());
                }
                Some(Slot::Starting) => {
                    has_waited = true;
                    slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Slot::Failed(failure)) if has_waited || !setting.is_retry => {
                    return Err(failure.clone());
                }
                // One that has died, or is no longer what it was, is started anew for who wants it now.
                Some(Slot::Up(..) | Slot::Failed(_)) | None => break,
            }
        }
        let former = slots.insert(name.clone(), Slot::Starting);
        drop(slots);
        if let Some(Slot::Up(former, _)) = former {
            stop_and_wait(setting, &former);
            report_end(setting, name, &former);
            end_orphans(setting, name, &former);
        }
        let start = std::panic::AssertUnwindSafe(|| self.start(setting, id, user));
        // Whoever waits for it must not wait for a thread that is gone.
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
        setting: &ServiceEnv<'_>,
        id: ServiceId,
        user: &Task,
    ) -> Result<RunningService, ServiceFailure> {
        let service = setting.config.service(id);
        let name = service.task.name.clone();
        let fails = |why: String| ServiceFailure::Service {
            name: name.clone(),
            why: format!("{why} ({})", service.task.place),
        };
        if setting.stop.request() != StopRequest::None {
            return Err(ServiceFailure::Stopped);
        }
        let claim = self.claim(service).map_err(&fails)?;
        let port = claim.port;
        let clock = setting.emitter.clock().restarted();
        setting.emitter.emit(What::ServiceStarted { service: name.clone(), port, task: user.name.clone() });
        let not_started = |why: String| {
            let ended = ServiceEnd::NotReady { why: format!("{why} ({})", service.task.place) };
            setting.emitter.emit(What::ServiceEnded {
                service: name.clone(),
                end: ended,
                log: Log::default(),
            });
            fails(why)
        };
        let (running, question) = self.spawn(setting, service, claim).map_err(&not_started)?;
        match question.wait(&running, service.ready.timeout, &setting.stop) {
            Ok(()) => {
                let took = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
                setting.emitter.emit(What::ServiceReady { service: name.clone(), took });
                Ok(running)
            }
            Err(why) => Err(give_up(setting, service, &running, why)),
        }
    }

    /// A service's port, which no other service of this run has.
    fn claim(&self, service: &Service) -> Result<PortReservation, String> {
        let claim = |port| self.ports_in_use.reserve(&service.task.name, port);
        match service.port {
            None => claim(None),
            Some(Port::Fixed(port)) => claim(Some(port)),
            Some(Port::Auto) => loop {
                // One that is free may have been picked for another that is not up yet.
                if let Ok(claim) = claim(Some(localhost::free_port()?)) {
                    return Ok(claim);
                }
            },
        }
    }

    /// Starts the process of a service.
    fn spawn(
        &self,
        setting: &ServiceEnv<'_>,
        service: &Service,
        claim: PortReservation,
    ) -> Result<(RunningService, ReadinessProbe), String> {
        let temp = setting.env.passed("TMPDIR");
        let temp = temp.map_or_else(|| PathBuf::from("/tmp"), |temp| PathBuf::from(temp.into_owned()));
        let dir = tempfile::Builder::new().prefix("xtask-service-").tempdir_in(&temp);
        let dir = dir.map_err(|error| format!("there is no folder for it in {}: {error}", temp.display()))?;
        if let Some(guard) = self.kit(setting).guard {
            guard.add_folder(dir.path());
        }
        let run = service.task.run.as_ref().ok_or("it runs nothing")?;
        let mut ports = self.ports(setting.config, &service.task);
        ports.add(crate::config::own_name(&service.task), claim.port, dir.path());
        let ports = &ports;
        let surroundings = task_env::for_service(setting.env, &self.mark, dir.path(), &service.task, ports);
        let command = |run, times| {
            let kit = self.kit(setting);
            let words = command::command_words(&service.task, &ports.fill_command(run), &[]);
            command::spawn(&kit, &service.task, &words, surroundings.clone(), times)
        };
        let mut spawn = command(run, TimeLimits::default())?;
        spawn.limits.signal = service.stop.signal;
        spawn.limits.grace = service.stop.grace;
        let ask = match &service.ready.probe {
            Some(Probe::Command(probe)) => Some(command(probe, TimeLimits::default())?),
            _ => None,
        };
        let cwd = service.task.cwd.under(&setting.root);
        let question = ReadinessProbe::new(&service.ready, ports, &cwd, || {
            Box::new(move |most, stop| {
                ask.as_ref().map_or(Ok(()), |spawn| run_ready_command(spawn, most, stop))
            })
        });
        let used =
            |name: &str| service.task.uses.iter().any(|id| setting.config.service(*id).task.name == name);
        claim.add(question.address(), used)?;
        if let Some(why) = question.answered_by_another(claim.port, &setting.stop) {
            return Err(why);
        }
        let awaited = match &question {
            ReadinessProbe::Line(pattern) => Regex::new(pattern).ok(),
            _ => None,
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let running =
            RunningService::start(spawn, number, claim, awaited, dir).map_err(|error| error.to_string())?;
        Ok((running, question))
    }

    fn kit<'k>(&'k self, setting: &'k ServiceEnv<'_>) -> CommandContext<'k> {
        let start = || match Guard::start(setting.env.program(), &self.mark, setting.hold) {
            Ok(guard) => Some(Arc::new(guard)),
            Err(error) => {
                let text =
                    format!("services may outlive a killed run, since their guard can't start: {error}");
                setting.emitter.notice(Level::Warning, text);
                None
            }
        };
        CommandContext {
            root: &setting.root,
            mask: Arc::clone(&setting.mask),
            guard: self.guard.get_or_init(start).clone(),
            programs: &self.programs,
        }
    }

    /// Asks those services to end that none of the others uses; again, until [`Self::is_empty`].
    /// Those that have ended are told.
    pub fn end_some(&self, setting: &ServiceEnv<'_>, how: StopRequest) {
        let mut slots = self.slots();
        let up: Vec<(String, Arc<RunningService>)> = slots
            .iter()
            .filter_map(|(name, slot)| match slot {
                Slot::Up(running, _) => Some((name.clone(), Arc::clone(running))),
                Slot::Starting | Slot::Failed(_) => None,
            })
            .collect();
        let config = setting.config;
        let uses = |user: &str, used: &str| {
            let user = config.services.iter().find(|service| service.task.name == *user);
            user.is_some_and(|user| user.task.uses.iter().any(|id| config.service(*id).task.name == *used))
        };
        for (name, running) in &up {
            let used = up.iter().any(|(other, _)| uses(other, name));
            if running.end().is_some() {
                slots.remove(name);
                report_end(setting, name, running);
            } else if !used || how == StopRequest::Kill {
                running.ask_to_end(how);
            }
        }
        if let Some((_, running)) = up.first() {
            drop(slots);
            running.wait(Duration::from_millis(20));
        }
    }

    /// Lets services that did not come up be tried again.
    pub fn forget_failures(&self) {
        self.slots().retain(|_, slot| !matches!(slot, Slot::Failed(_)));
    }

    /// Whether none is up.
    pub fn is_empty(&self) -> bool {
        !self.slots().values().any(|slot| matches!(slot, Slot::Starting | Slot::Up(..)))
    }

    /// The mark of their processes, if one was ever started.
    pub fn mark(&self) -> Option<&str> {
        self.guard.get().map(|_| self.mark.as_str())
    }

    /// No code panics while it holds the lock, so a poisoned one is sound.
    fn slots(&self) -> MutexGuard<'_, BTreeMap<String, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServiceLease {
    /// What is to be said of the task if one of the services has ended.
    pub fn failure(&self, config: &Config) -> Option<ServiceFailure> {
        self.users.iter().find_map(|(id, running, _)| {
            let (ended, _) = running.end()?;
            let task = &config.service(*id).task;
            let why = format!("{ended} while it was used{} ({})", advice(&ended), task.place);
            Some(ServiceFailure::Service { name: task.name.clone(), why })
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
        run::Ended::TimedOut => Err("its `ready` command did not end".to_owned()),
        run::Ended::NotStarted(why) => Err(format!("its `ready` command: {why}")),
        run::Ended::Signal(_) | run::Ended::Stopped => Err("its `ready` command was ended".to_owned()),
    }
}

/// Whether a service has died, or knows another instance of one that it uses than the one that is up.
fn is_stale(
    setting: &ServiceEnv<'_>,
    slots: &BTreeMap<String, Slot>,
    id: ServiceId,
    running: &RunningService,
) -> bool {
    let is_newer = |used: &ServiceId| match slots.get(&setting.config.service(*used).task.name) {
        Some(Slot::Up(used, _)) => used.number > running.number,
        _ => true,
    };
    running.end().is_some() || setting.config.service(id).task.uses.iter().any(is_newer)
}

/// Ends a service and waits until it has ended.
fn stop_and_wait(setting: &ServiceEnv<'_>, running: &RunningService) {
    if running.end().is_none() {
        running.ask_to_end(StopRequest::Terminate);
    }
    while running.end().is_none() {
        running.wait(Duration::from_millis(50));
        if setting.stop.request() == StopRequest::Kill {
            running.ask_to_end(StopRequest::Kill);
        }
    }
}

/// Ends what a service that has ended left behind: the next start of it would find its port taken.
fn end_orphans(setting: &ServiceEnv<'_>, name: &str, running: &RunningService) {
    for orphan in orphans::end_all_of_service(running.dir(), Duration::from_secs(1)) {
        let command = setting.mask.text(&orphan.command);
        let text =
            format!("service {name} left process {} behind, which has been ended: {command}", orphan.pid);
        setting.emitter.notice(Level::Warning, text);
    }
}

/// Ends a service that is not ready, and says why.
fn give_up(
    setting: &ServiceEnv<'_>,
    service: &Service,
    running: &RunningService,
    why: NotReady,
) -> ServiceFailure {
    let own_end = running.end().map(|(ended, _)| ended);
    stop_and_wait(setting, running);
    let log = running.end().map(|(_, log)| log).unwrap_or_default();
    let name = service.task.name.clone();
    end_orphans(setting, &name, running);
    let (end, failure) = match why {
        NotReady::Stopped => (ServiceEnd::Stopped, ServiceFailure::Stopped),
        NotReady::Late(why) => not_ready(&name, format!("it is not ready: {why} ({})", service.task.place)),
        NotReady::Ended => {
            let ended = own_end.unwrap_or(Ended::Stopped);
            not_ready(
                &name,
                format!("{ended} before it was ready{} ({})", advice(&ended), service.task.place),
            )
        }
    };
    setting.emitter.emit(What::ServiceEnded { service: name, end, log });
    failure
}

fn not_ready(name: &str, why: String) -> (ServiceEnd, ServiceFailure) {
    (ServiceEnd::NotReady { why: why.clone() }, ServiceFailure::Service { name: name.to_owned(), why })
}

/// What to do about a service that ended well.
fn advice(ended: &Ended) -> &'static str {
    if ended.is_pass() { "; a service has to stay in the foreground" } else { "" }
}

/// Tells the end of a service that was ready.
fn report_end(setting: &ServiceEnv<'_>, name: &str, running: &RunningService) {
    let Some((ended, log)) = running.end() else { return };
    let service = setting.config.services.iter().find(|service| service.task.name == name);
    let place = service.map(|service| format!(" ({})", service.task.place)).unwrap_or_default();
    let end = if running.was_asked() {
        ServiceEnd::Stopped
    } else {
        ServiceEnd::Died { why: format!("{ended}{place}") }
    };
    setting.emitter.emit(What::ServiceEnded { service: name.to_owned(), end, log });
}
