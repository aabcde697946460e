//! Rehearses the migrations of a deploy on a scratch database: brings the schema of the target there, runs
//! `expand`, `revert` and `expand` again, and starts the old release against the result. It must not touch the
//! target, and does not decide what follows.
//!
//! The scratch database is a service of tasks.toml. It runs in a private worktree of the deployed tree, as for a
//! task. All lines run on this machine with the variables of the service and none of the target, so that no line
//! can reach the real database by mistake; only `schema` gets those of the target, to read from it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::env::Env;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::base::units;
use crate::config::deploy::{Connection, Environment, Migrations, Rehearsal as Settings, Role, RunOn};
use crate::config::model::{
    CommandEnv, CommandVariables, Config, ServiceId, SourceLocation, Task, TaskAction,
};
use crate::deploy::rehearsal::{OldReleaseCheck, old_release_check};
use crate::deploy::release::{ArtifactDigest, Release, Slot};
use crate::deploy::step::StepOutcome;
use crate::deploy::target::{Target, TargetError};
use crate::deployment::executor::StepControl;
use crate::deployment::secrets::SecretValues;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::emitter::Emitter;
use crate::engine::services::service_ports::ServicePorts;
use crate::engine::services::{ServiceEnv, ServiceFailure, Services, localhost};
use crate::engine::task::task_env::{self, EnvVars};
use crate::event::{ServiceEnd, Verdict, What};
use crate::gate::context::GateContext;
use crate::gate::definition;
use crate::gate::error::GateError;
use crate::gate::prepare_worktree::{Provision, ReadyWorktree};
use crate::process::find_program::find_program;
use crate::process::guard::Guard;
use crate::process::orphans::{self, SERVICE_DIR_VARIABLE};
use crate::process::run::{self, Ended, Finished};
use crate::process::secret_mask::Mask;
use crate::process::spawn::{Limits, Spawn};
use crate::process::stop::{Stop, StopRequest};
use crate::process::watcher::Watcher;
use crate::target::connection::Connector;
use crate::target::health::{Checked, HealthError, wait_until_healthy};
use crate::target::host::{CallLimits, Host};
use crate::target::variables::{env_file, fill, quote};

/// How often signals and the end of a process are looked for.
const POLL: Duration = Duration::from_millis(50);
/// The slot that the old release gets, which no release has on a target.
const SLOT: &str = "rehearsal";
/// The host at which the old release listens.
const HOST: &str = "127.0.0.1";
/// How many lines of an output a failure shows.
const LAST_LINES: usize = 10;
/// Runs a line, and stays if it succeeded, so that what it left in the background runs on.
const STAYING: &str = "sh -c \"$1\" && : >\"$2\" && exec sleep 86400";

/// Rehearses the migrations of an environment.
pub struct Rehearsal<'a> {
    /// What tasks are run with.
    pub context: &'a GateContext<'a>,
    /// The folders that may contain tasks.toml, the outermost first.
    pub folders: &'a [RepoPath],
    /// The environment.
    pub environment: &'a Environment,
    /// Its target.
    pub target: &'a dyn Target,
}

/// The deploy whose migrations are rehearsed. It contains secrets, so it does not implement `Debug`.
#[derive(Clone, Copy)]
pub struct RehearsedDeploy<'a> {
    /// The release that is deployed.
    pub release: &'a Release,
    /// The release that serves.
    pub old: Option<&'a Release>,
    /// The values of secret variables of the target, by role and name.
    pub secrets: &'a SecretValues,
}

/// Why a rehearsal did not succeed.
#[derive(Debug, thiserror::Error)]
enum RehearsalError {
    /// Something could not be prepared.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// The target did not answer.
    #[error("{part}: {source}")]
    Target {
        /// The part of the rehearsal.
        part: &'static str,
        source: TargetError,
    },
    /// A part failed.
    #[error("{part}: {reason}")]
    Part {
        /// The part of the rehearsal.
        part: String,
        /// The error, one line.
        reason: String,
    },
    /// The user stopped the deploy.
    #[error("stopped")]
    Stopped,
}

impl RehearsalError {
    fn part(part: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Part { part: part.into(), reason: reason.into() }
    }
}

impl Rehearsal<'_> {
    /// Rehearses the migrations. Everything that it starts or writes is gone when it returns.
    pub fn run(&self, deploy: &RehearsedDeploy<'_>, control: &StepControl<'_>) -> StepOutcome {
        match self.rehearse(deploy, control) {
            Ok(()) => StepOutcome::Done,
            Err(RehearsalError::Stopped) => StepOutcome::Interrupted,
            Err(error) => StepOutcome::Failed { reason: mask(deploy, None).text(&error.to_string()) },
        }
    }

    fn rehearse(
        &self,
        deploy: &RehearsedDeploy<'_>,
        control: &StepControl<'_>,
    ) -> Result<(), RehearsalError> {
        let Release { commit, tree, migrations, .. } = deploy.release;
        let rehearsal = migrations.as_ref().and_then(|migrations| migrations.rehearsal.as_ref());
        let (Some(migrations), Some(rehearsal)) = (migrations, rehearsal) else {
            return Err(RehearsalError::part("tasks.toml", "the release has no `migrations.rehearse`"));
        };
        let what = commit.get(..7).unwrap_or(commit);
        let config = definition::load_config(self.context.repository, tree, self.folders, what)?;
        let config = config.ok_or_else(|| RehearsalError::part("tasks.toml", "it is missing"))?;
        let service = config.services.iter().position(|service| service.name == rehearsal.service);
        let service = service.map(ServiceId).ok_or_else(|| {
            RehearsalError::part(rehearsal.service.as_str(), "tasks.toml has no service of this name")
        })?;
        let ready = match self.context.provide(&config, tree, Some(commit))? {
            Provision::Ready(ready) => ready,
            Provision::SetupFailed(verdict) => return Err(not_passed("setup of the worktree", verdict)),
        };
        self.run_needs(&config, service, &ready, commit)?;
        let rehearsed = self.with_service(&config, service, &ready, deploy, control, |scratch| {
            scratch.rehearse(deploy, migrations, rehearsal)
        });
        self.context.release(&ready)?;
        rehearsed
    }

    /// Runs the tasks that must have passed before the service can be started.
    fn run_needs(
        &self,
        config: &Config,
        service: ServiceId,
        ready: &ReadyWorktree,
        commit: &str,
    ) -> Result<(), RehearsalError> {
        let used = config.service(service).env.uses.iter().copied().chain([service]);
        let needs = used.flat_map(|id| &config.service(id).needs);
        let needs: Vec<_> = needs.map(|task| config.task(*task).name.clone()).collect();
        if needs.is_empty() {
            return Ok(());
        }
        let hold = ready.hold()?;
        let location =
            self.context.location(ready.worktree.path(), Tree::WorkDir(&ready.repository), Some(commit));
        let access = self.context.access()?;
        let location = RunLocation { env: &ready.env, hold: Some(&hold), access, ..location };
        let run = self.context.new_run();
        let prepared = Prepared::load(config, &Request::new(needs), location, self.context.clock, &run);
        let prepared = prepared.map_err(GateError::from)?;
        let options = self.context.options(&run, config);
        let emitter = self.context.observer.emitter(&run, &self.context.clock.restarted());
        let inbox = self.context.listen()?;
        let summary = prepared.plan(&ready.env, |inputs, plan| {
            prepared.launch(inputs, plan, location, &options, &emitter, inbox)
        });
        match summary.verdict {
            Verdict::Passed | Verdict::Superseded => Ok(()),
            verdict => Err(not_passed("tasks that the service needs", verdict)),
        }
    }

    /// Starts the service, has `act` work with it on another thread, and stops it. The calling thread receives
    /// the signals meanwhile.
    fn with_service(
        &self,
        config: &Config,
        service: ServiceId,
        ready: &ReadyWorktree,
        deploy: &RehearsedDeploy<'_>,
        control: &StepControl<'_>,
        act: impl FnOnce(&Scratch<'_>) -> Result<(), RehearsalError> + Send,
    ) -> Result<(), RehearsalError> {
        let run = self.context.new_run();
        let hold = ready.hold()?;
        let env = &ready.env;
        let guard = Guard::start(env.program(), &run, Some(&hold)).map(Arc::new);
        let guard =
            guard.map_err(|error| RehearsalError::part("its guard can't be started", error.to_string()))?;
        let dir =
            temp_dir(env).map_err(|error| RehearsalError::part("a temporary folder", error.to_string()))?;
        guard.add_folder(dir.path());
        let (news, lines) = channel();
        let emitter = emitter(&self.context.clock.restarted(), news.clone());
        let stop = Stop::new();
        let mask = Arc::new(mask(deploy, Some((config, env))));
        let services = Services::new(run.clone());
        let service_env = ServiceEnv {
            config,
            env,
            root: ready.worktree.path().to_owned(),
            emitter: &emitter,
            mask: Arc::clone(&mask),
            hold: Some(&hold),
            stop: stop.clone(),
            is_retry: false,
            identity: Box::new(|_| None),
        };
        let scratch = Scratch {
            config,
            service,
            env,
            run: &run,
            dir: dir.path(),
            target: self.target,
            url: self.environment.url.as_deref().unwrap_or_default(),
            timeout: self.environment.timeout,
            stop: &stop,
            mask,
            guard,
            news,
            connector: Arc::new(Connector::new(self.context.env)),
            services: &services,
            service_env: &service_env,
        };
        let result = thread::scope(|scope| {
            let worker = scope.spawn(|| act(&scratch));
            loop {
                match lines.recv_timeout(POLL) {
                    Ok(line) => (control.progress)(&line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) if worker.is_finished() => break,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                if (control.is_stopped)() {
                    stop.terminate();
                }
            }
            worker.join().unwrap_or(Err(RehearsalError::Stopped))
        });
        while !services.is_empty() {
            services.stop_unused(&service_env, StopRequest::Terminate);
        }
        orphans::end_all(&run, Duration::from_secs(1));
        for line in lines.try_iter() {
            (control.progress)(&line);
        }
        match result {
            Err(_) if stop.request() != StopRequest::None => Err(RehearsalError::Stopped),
            result => result,
        }
    }
}

/// Returns a mask for the secrets of the target, and for those of the tasks of `config`.
fn mask(deploy: &RehearsedDeploy<'_>, config: Option<(&Config, &Env)>) -> Mask {
    let of_target = deploy.secrets.values().flat_map(|values| values.values());
    let mut values: Vec<_> = of_target.map(|value| value.clone().into_bytes()).collect();
    if let Some((config, env)) = config {
        let of_services = config.services.iter().map(|service| &service.env.variables);
        for variables in of_services.chain(config.tasks.iter().map(|task| &task.env.variables)) {
            let secret = variables.secret.iter().filter_map(|name| variables.value(env, name));
            values.extend(secret.map(|value| value.as_encoded_bytes().to_vec()));
        }
    }
    // Only values of many megabytes can't be masked, and those are no secrets.
    Mask::new(values).unwrap_or_default()
}

/// A started scratch database, and a temporary folder. It contains secrets, so it does not implement `Debug`.
struct Scratch<'a> {
    config: &'a Config,
    service: ServiceId,
    env: &'a Env,
    run: &'a str,
    dir: &'a Path,
    target: &'a dyn Target,
    url: &'a str,
    /// How long a line may take.
    timeout: Duration,
    stop: &'a Stop,
    mask: Arc<Mask>,
    guard: Arc<Guard>,
    /// Receives lines for people.
    news: Sender<String>,
    connector: Arc<Connector>,
    services: &'a Services,
    service_env: &'a ServiceEnv<'a>,
}

/// A line that is run here.
struct Line<'a> {
    /// The part of the rehearsal.
    part: &'a str,
    text: &'a str,
    dir: &'a Path,
    env: &'a EnvVars,
}

impl Scratch<'_> {
    fn rehearse(
        &self,
        deploy: &RehearsedDeploy<'_>,
        migrations: &Migrations,
        settings: &Settings,
    ) -> Result<(), RehearsalError> {
        let name = &self.config.service(self.service).name;
        // A service that ends stops the lines that use it.
        let stop = self.stop.inner();
        let user = user(self.config, self.service);
        let lease =
            self.services.acquire(self.service_env, &user, &stop).map_err(|failure| match failure {
                ServiceFailure::Stopped => RehearsalError::Stopped,
                ServiceFailure::Service { why, .. } => RehearsalError::part(format!("service {name}"), why),
            })?;
        let result = self.run_parts(deploy, migrations, settings, &lease.ports, &stop);
        match lease.failure(self.config) {
            Some(ServiceFailure::Service { why, .. }) if result.is_err() => {
                Err(RehearsalError::part(format!("service {name}"), why))
            }
            _ => result,
        }
    }

    fn run_parts(
        &self,
        deploy: &RehearsedDeploy<'_>,
        migrations: &Migrations,
        settings: &Settings,
        ports: &ServicePorts,
        stop: &Stop,
    ) -> Result<(), RehearsalError> {
        let release = deploy.release;
        let role = release.roles.first();
        let host = role.and_then(|role| role.hosts.first()).map_or("", |host| host.name.as_str());
        let new = self.dir.join("new");
        make_dir(&new)?;
        if let Some(role) = role
            && let Some((_, artifact)) = artifacts(role, release).next()
        {
            self.unpack(release, role, artifact, &new)?;
        }
        let fill = |line: &str| {
            let placeholders = [("release", &*release.id.0), ("host", host), ("url", self.url)];
            fill(&ports.fill(line), &placeholders)
        };
        let env = self.env_vars(ports, [("RELEASE", &*release.id.0)]);
        self.copy_schema(deploy, migrations, settings, &fill, &env, stop)?;
        let line = |part, text: &str| {
            let line = Line { part, text: &fill(text), dir: &new, env: &env };
            self.run_line(&line, stop)
        };
        line("expand", &migrations.expand)?;
        if let Some(revert) = &migrations.revert {
            line("revert", revert)?;
            line("expand again", &migrations.expand)?;
        }
        let Some(old) = deploy.old else { return Ok(()) };
        match old_release_check(migrations, Some(old)) {
            Ok(check) => self.try_old_release(old, &check, ports, stop),
            Err(why) => {
                self.tell(format!("whether {} works with the expanded schema is not checked: {why}", old.id));
                Ok(())
            }
        }
    }

    /// Brings the schema of the target into the scratch database.
    fn copy_schema(
        &self,
        deploy: &RehearsedDeploy<'_>,
        migrations: &Migrations,
        settings: &Settings,
        fill: &dyn Fn(&str) -> String,
        env: &EnvVars,
        stop: &Stop,
    ) -> Result<(), RehearsalError> {
        let begin = Clock::system();
        let is_stopped = || stop.request() != StopRequest::None;
        // Only this machine reaches the scratch database.
        let here = Migrations { run_on: RunOn::Here, ..migrations.clone() };
        let place = if settings.load.is_some() { migrations } else { &here };
        let line = if settings.load.is_some() { settings.schema.clone() } else { fill(&settings.schema) };
        let schema = self.target.schema(place, &line, deploy.release, deploy.secrets, &is_stopped);
        if is_stopped() {
            return Err(RehearsalError::Stopped);
        }
        let schema = schema.map_err(|source| RehearsalError::Target { part: "schema", source })?;
        self.tell(format!("schema: done after {}", units::duration(begin.elapsed())));
        let Some(load) = &settings.load else { return Ok(()) };
        let file = self.dir.join("schema");
        fs::write(&file, schema).map_err(|error| RehearsalError::part("schema", error.to_string()))?;
        let text = format!("{{\n{}\n}} <{}", fill(load), quote(&file.to_string_lossy()));
        self.run_line(&Line { part: "load", text: &text, dir: &self.dir.join("new"), env }, stop)
    }

    /// Starts the old release against the expanded schema, and asks its health check.
    fn try_old_release(
        &self,
        old: &Release,
        check: &OldReleaseCheck<'_>,
        ports: &ServicePorts,
        stop: &Stop,
    ) -> Result<(), RehearsalError> {
        let OldReleaseCheck { start, role, check } = *check;
        let part = format!("the old release {}", old.id);
        let failed = |reason: String| RehearsalError::part(&*part, reason);
        // The folders of a host, for the health check.
        let dir = self.dir.join(&role.name).join(Slot::Blue.name());
        make_dir(&dir)?;
        let packed: Vec<_> = artifacts(role, old).collect();
        for (name, artifact) in &packed {
            let folder = if packed.len() == 1 { dir.clone() } else { dir.join(name) };
            make_dir(&folder)?;
            self.unpack(old, role, artifact, &folder)?;
        }
        let claimed = localhost::claim_port().map_err(failed)?;
        let port = claimed.number.to_string();
        let env = self.env_vars(ports, [("RELEASE", &*old.id.0), ("SLOT", SLOT), ("PORT", &port)]);
        let variables = env.iter().filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let variables = env_file(&variables).map_err(|error| failed(error.to_string()))?;
        let file = dir.with_extension("env");
        let written = fs::write(&file, variables)
            .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o600)));
        written.map_err(|error| failed(error.to_string()))?;
        let path = self.dir.to_string_lossy().into_owned();
        let placeholders = [
            ("slot", SLOT),
            ("host", HOST),
            ("port", &*port),
            ("release", &*old.id.0),
            ("url", self.url),
            ("path", &*path),
        ];
        let started = self.dir.join("started");
        let line = fill(&ports.fill(start), &placeholders);
        let words = ["-c".into(), STAYING.into(), "sh".into(), line.into(), started.clone().into()];
        let begin = Clock::system();
        let own = stop.inner();
        let spawn = self.spawn(words.to_vec(), &dir, &env, None).map_err(failed)?;
        let has_ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let process = scope.spawn(|| {
                let finished = run::run(&spawn, &own, &mut self.listener(&part));
                has_ended.store(true, Ordering::SeqCst);
                finished
            });
            let is_over = || has_ended.load(Ordering::SeqCst) || stop.request() != StopRequest::None;
            let checked = match check {
                Some(check) => {
                    let connector = Arc::clone(&self.connector);
                    let host = Host::new(HOST.to_owned(), Connection::Local, path.clone(), connector);
                    let checked = Checked {
                        host: &host,
                        role: &role.name,
                        slot: Slot::Blue,
                        release: &old.id,
                        placeholders: &placeholders,
                    };
                    wait_until_healthy(check, &checked, &is_over, &|line: &str| {
                        self.tell(format!("{part}: {}", self.mask.text(line)));
                    })
                }
                None => wait_until_started(&started, self.timeout, &is_over),
            };
            let checked = checked.map_err(|error| match error {
                HealthError::Stopped => None,
                error => Some(error.to_string()),
            });
            own.terminate();
            let finished = process.join().ok();
            match (checked, finished) {
                (Ok(()), _) => {
                    let took = units::duration(begin.elapsed());
                    self.tell(format!("{part}: works with the expanded schema, after {took}"));
                    Ok(())
                }
                (Err(_), _) if stop.request() != StopRequest::None => Err(RehearsalError::Stopped),
                (Err(None), Some(finished)) => Err(failed(self.reason(&finished))),
                (Err(error), finished) => {
                    let output = finished.map(|finished| last_lines(&finished)).unwrap_or_default();
                    Err(failed(error.unwrap_or_default() + &output))
                }
            }
        })
    }

    /// Runs a line and shows what it prints and how long it took.
    fn run_line(&self, line: &Line<'_>, stop: &Stop) -> Result<(), RehearsalError> {
        let Line { part, text, dir, env } = *line;
        let spawn = self.spawn(vec!["-c".into(), text.into()], dir, env, Some(self.timeout));
        let spawn = spawn.map_err(|why| RehearsalError::part(part, why))?;
        let finished = run::run(&spawn, stop, &mut self.listener(part));
        match finished.ended {
            Ended::Exit(0) => {
                self.tell(format!("{part}: done after {}", units::duration(finished.took)));
                Ok(())
            }
            Ended::Stopped => Err(RehearsalError::Stopped),
            _ => Err(RehearsalError::part(part, self.reason(&finished))),
        }
    }

    fn spawn(
        &self,
        args: Vec<OsString>,
        dir: &Path,
        env: &EnvVars,
        timeout: Option<Duration>,
    ) -> Result<Spawn, String> {
        let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let program = find_program(OsStr::new("sh"), path, dir).map_err(|error| error.to_string())?;
        Ok(Spawn {
            program,
            args,
            dir: dir.to_owned(),
            env: env.clone(),
            mask: Arc::clone(&self.mask),
            limits: Limits { timeout, ..Limits::default() },
            guard: Some(Arc::clone(&self.guard)),
        })
    }

    /// Returns the variables of lines: those of the service, and `more`.
    fn env_vars<'v>(
        &self,
        ports: &ServicePorts,
        more: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> EnvVars {
        let service = self.config.service(self.service);
        let of_service = task_env::for_service(self.env, self.run, self.dir, service, ports);
        let mut all: EnvVars = of_service
            .into_iter()
            .filter(|(name, _)| *name != "XTASK_SERVICE" && *name != SERVICE_DIR_VARIABLE)
            .collect();
        for (name, value) in more {
            all.retain(|(known, _)| *known != name);
            all.push((name.into(), value.into()));
        }
        all
    }

    /// Unpacks an artifact of a release into a folder.
    fn unpack(
        &self,
        release: &Release,
        role: &Role,
        artifact: &ArtifactDigest,
        folder: &Path,
    ) -> Result<(), RehearsalError> {
        let part = "artifacts";
        let packed = self.target.open_artifact(release, role, artifact);
        let packed = packed.map_err(|source| RehearsalError::Target { part, source })?;
        let (folder, file) = (quote(&folder.to_string_lossy()), self.dir.join("archive"));
        let file = quote(&file.to_string_lossy());
        let script = format!(
            "gzip -dc >{file} && tar -xpof {file} -C {folder} && rm -f {file} || fail \"can't unpack {artifact}\""
        );
        self.host_query(&script, packed).map_err(|reason| RehearsalError::part(part, reason))
    }

    fn host_query(&self, script: &str, input: Box<dyn Read + Send>) -> Result<(), String> {
        let path = self.dir.to_string_lossy().into_owned();
        let host = Host::new(HOST.to_owned(), Connection::Local, path, Arc::clone(&self.connector));
        let is_stopped = || self.stop.request() != StopRequest::None;
        let limits = CallLimits { timeout: self.timeout, is_stopped: &is_stopped };
        host.query(script, input, limits).map(drop).map_err(|error| error.to_string())
    }

    fn reason(&self, finished: &Finished) -> String {
        let how = match &finished.ended {
            Ended::Exit(status) => format!("exit status {status}"),
            Ended::Signal(signal) => format!("ended by signal {signal}"),
            Ended::TimedOut => format!("was ended after {}", units::duration(self.timeout)),
            Ended::Stopped => "stopped".to_owned(),
            Ended::NotStarted(why) => why.clone(),
        };
        how + &last_lines(finished)
    }

    fn listener<'l>(&'l self, part: &'l str) -> Listener<'l> {
        Listener { part, news: &self.news }
    }

    fn tell(&self, line: String) {
        // The receiver outlives this thread.
        let _ = self.news.send(line);
    }
}

/// Passes on what a process prints.
struct Listener<'a> {
    part: &'a str,
    news: &'a Sender<String>,
}

impl Watcher for Listener<'_> {
    fn output(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let _ = self.news.send(format!("{}: {line}", self.part));
        }
    }
}

/// Returns an emitter that says in lines what services do.
fn emitter(clock: &Clock, news: Sender<String>) -> Emitter {
    let sink = move |event: &crate::event::Event| {
        let line = match &event.what {
            What::ServiceReady { service, took } => {
                format!("service {service}: ready after {}", units::duration(Duration::from_millis(*took)))
            }
            What::ServiceEnded {
                service,
                end: ServiceEnd::Died { why } | ServiceEnd::NotReady { why },
                log,
            } => {
                let log = log.last_lines(LAST_LINES);
                log.lines().for_each(|line| drop(news.send(format!("service {service}: {line}"))));
                format!("service {service}: {why}")
            }
            What::Notice { text, .. } => text.clone(),
            _ => return,
        };
        let _ = news.send(line);
    };
    Emitter::new(clock.clone(), Box::new(sink))
}

/// Returns a task that only uses the service.
fn user(config: &Config, service: ServiceId) -> Task {
    let found = config.service(service);
    let uses = found.env.uses.iter().copied().chain([service]).collect();
    let name = crate::config::own_name(&found.name, &found.project).to_owned();
    Task {
        name: "rehearsal of migrations".to_owned(),
        project: found.project.clone(),
        description: None,
        group: None,
        variant_of: None,
        place: SourceLocation::default(),
        action: TaskAction::None,
        fix: None,
        env: CommandEnv {
            shell: found.env.shell.clone(),
            cwd: RepoPath::top(),
            variables: CommandVariables::default(),
            services: [(name, service)].into(),
            uses,
        },
        tools: Vec::new(),
        needs: Vec::new(),
        inputs: Patterns::default(),
        outputs: Patterns::default(),
    }
}

/// Returns the artifacts of a role that are archives.
fn artifacts<'a>(
    role: &'a Role,
    release: &'a Release,
) -> impl Iterator<Item = (&'a str, &'a ArtifactDigest)> {
    role.artifacts.iter().filter_map(|name| {
        let artifact = release.artifacts.get(name)?;
        artifact.image.is_none().then_some((name.as_str(), &artifact.digest))
    })
}

/// Waits until the file exists that says that a line has succeeded.
fn wait_until_started(
    file: &Path,
    timeout: Duration,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<(), HealthError> {
    let clock = Clock::system();
    loop {
        if file.exists() {
            return Ok(());
        }
        if is_over() {
            return Err(HealthError::Stopped);
        }
        if clock.elapsed() > timeout {
            let reason = format!("`start` has not ended after {}", units::duration(timeout));
            return Err(HealthError::Invalid(reason));
        }
        thread::sleep(POLL);
    }
}

/// Returns the end of an output as the end of a line.
fn last_lines(finished: &Finished) -> String {
    let lines: Vec<_> = finished.log.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    if last.is_empty() { String::new() } else { format!(": {}", last.join("; ")) }
}

fn not_passed(part: &'static str, verdict: Verdict) -> RehearsalError {
    match verdict {
        Verdict::Interrupted { .. } => RehearsalError::Stopped,
        _ => RehearsalError::part(part, "failed"),
    }
}

fn make_dir(dir: &Path) -> Result<(), RehearsalError> {
    fs::create_dir_all(dir).map_err(|error| RehearsalError::part("a temporary folder", error.to_string()))
}

/// Creates a folder that only this user can read.
fn temp_dir(env: &Env) -> io::Result<tempfile::TempDir> {
    let temp = env.passed("TMPDIR");
    let temp = temp.map_or_else(|| PathBuf::from("/tmp"), |temp| PathBuf::from(temp.into_owned()));
    tempfile::Builder::new().prefix("xtask-rehearsal-").tempdir_in(temp)
}
