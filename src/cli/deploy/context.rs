//! What the commands on environments share: the environment, its target and journal, the reporter, and who asks.
//! It must not decide anything about a deploy.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::artifact::store::{Store, StoreContext};
use crate::cli::deploy::error::DeployError;
use crate::cli::deploy::reporters::DeployReporterOptions;
use crate::cli::exit::{End, exit_status};
use crate::cli::failure::{self, Failure};
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::deploy::{DeploySettings, Environment, Runs};
use crate::config::model::Config;
use crate::deploy::candidate::roles_with_variables;
use crate::deploy::event::{self, DeployEvent, DeployNews};
use crate::deploy::target::Target;
use crate::deployment::journal::Journal;
use crate::deployment::secrets::{self, Missing};
use crate::engine::run::inbox::{LazyInbox, Notification};
use crate::git::Repository;
use crate::reporter::deploy::DeployReporters;
use crate::reporter::deploy::lines::DeployLines;
use crate::reporter::deploy::text::Shows;
use crate::target::command::CommandTarget;
use crate::target::connection::Connector;
use crate::target::hosts::HostsTarget;
use crate::target::router;

/// Variables of CI systems with the name of the person who started the job.
const CI_ACTORS: [&str; 4] =
    ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "BUILD_REQUESTEDFOR"];

/// What a command on an environment works with.
pub struct DeployContext<'a> {
    /// The session.
    pub session: &'a Session,
    /// The repository.
    pub repository: &'a Repository,
    /// Where signals arrive.
    pub inbox: LazyInbox,
    /// Who asks, for records.
    pub by: String,
    /// Who asks and where.
    pub holder: String,
    connector: Arc<Connector>,
    reporters: Mutex<DeployReporters>,
    stop_requests: Cell<u32>,
}

impl<'a> DeployContext<'a> {
    /// Creates the context of a command.
    ///
    /// # Errors
    /// There is no repository.
    pub fn new(session: &'a Session, project: &'a Project) -> Result<Self, Failure> {
        let repository = project.repository()?;
        // Commands that are no deploys only have warnings.
        let mut reporters = DeployReporters::default();
        let lines = DeployLines::new(io::stderr(), session.paint_err(), Shows::Output);
        reporters.add(Box::new(lines), "standard error");
        let by = requester(session, repository);
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self {
            session,
            repository,
            inbox: LazyInbox::default(),
            holder: format!("{by} on {machine}"),
            by,
            connector: Arc::new(Connector::new(&session.env)),
            reporters: Mutex::new(reporters),
            stop_requests: Cell::new(0),
        })
    }

    /// Runs a command that makes, shows, continues or gives up a deploy: opens its reporters, and tells them of its
    /// start, and of its failure if it could not begin.
    ///
    /// # Errors
    /// It could not begin.
    pub fn run_command(
        &self,
        options: &DeployReporterOptions<'_>,
        run: impl FnOnce() -> Result<End, Failure>,
    ) -> Result<End, Failure> {
        let opened = options.open(self.session, &self.state())?;
        *self.reporters.lock().unwrap_or_else(PoisonError::into_inner) = opened.reporters;
        let emit = self.emitter();
        emit(DeployNews::CommandStarted {
            version: event::VERSION,
            id: opened.id,
            command: options.command,
            environment: options.environment.to_owned(),
            started: self.session.clock.now(),
        });
        opened.warnings.into_iter().for_each(&emit);
        let end = run();
        if let Err(failure) = &end {
            emit(DeployNews::Refused {
                status: exit_status(&end),
                reason: failure::message(failure),
                hint: failure::hint(failure, None),
            });
        }
        // The live view must be gone before anything else is printed.
        *self.reporters.lock().unwrap_or_else(PoisonError::into_inner) = DeployReporters::default();
        end
    }

    /// Returns the folder for state, which all work trees of the repository share.
    fn state(&self) -> PathBuf {
        self.repository.common_dir().join("xtask")
    }

    /// Returns a function that passes events to the reporters.
    pub fn emitter(&self) -> impl Fn(DeployNews) + Sync + '_ {
        let (reporters, clock) = (&self.reporters, &self.session.clock);
        move |what| {
            let at = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut reporters = reporters.lock().unwrap_or_else(PoisonError::into_inner);
            reporters.event(&DeployEvent { at, what });
        }
    }

    /// Returns how many signals have arrived so far. From the first call on, they no longer end the process.
    pub fn stop_requests(&self) -> u32 {
        if let Ok(inbox) = self.inbox.get() {
            let signals = inbox.receiver().try_iter();
            let signals = signals.filter(|note| matches!(note, Notification::Signal(_))).count();
            self.stop_requests.set(self.stop_requests.get() + u32::try_from(signals).unwrap_or(u32::MAX));
        }
        self.stop_requests.get()
    }

    /// Opens the journal of an environment.
    pub fn journal(&self, environment: &str, settings: &DeploySettings) -> Journal<'a> {
        Journal::new(self.repository, environment, &settings.journal)
    }

    /// Opens the store of artifacts.
    pub fn store(&self, settings: &DeploySettings) -> Store {
        let state = self.state();
        let store = StoreContext {
            state: &state,
            root: self.repository.work_dir(),
            clock: &self.session.clock,
            connector: &self.connector,
            env: &self.session.env,
        };
        Store::open(&settings.store, store)
    }

    /// Opens the target of an environment.
    ///
    /// # Errors
    /// A value of its variables can't be read.
    pub fn target(
        &self,
        environment: &Environment,
        settings: &DeploySettings,
    ) -> Result<Box<dyn Target>, DeployError> {
        let mut environment = environment.clone();
        if environment.path.is_empty() {
            environment.path = self.default_path(&environment.name);
        }
        let dir = self.repository.work_dir();
        let hosts = HostsTarget::new(
            environment.clone(),
            Arc::clone(&self.connector),
            Box::new(self.store(settings)),
            Box::new(router::driver_of),
            dir.to_owned(),
        );
        if !environment.roles.iter().any(|role| matches!(role.runs, Runs::External { .. })) {
            return Ok(Box::new(hosts));
        }
        // What is observed must not need a value that is missing here.
        let roles = roles_with_variables(&environment);
        let secrets = secrets::read(&roles, &self.session.env, dir, Missing::LeaveOut);
        let secrets = secrets.map_err(|error| DeployError::Operation {
            environment: environment.name.clone(),
            source: error.into(),
        })?;
        Ok(Box::new(CommandTarget::new(hosts, environment, secrets, dir.to_owned())))
    }

    /// Returns the folder of an environment on this machine that has none in tasks.toml. Its name is that of a compose
    /// project, so it contains that of the repository.
    fn default_path(&self, environment: &str) -> String {
        let common = self.repository.common_dir();
        let named = if common.file_name() == Some(OsStr::new(".git")) { common.parent() } else { None };
        let name = named.unwrap_or(common).file_stem().map(OsStr::to_string_lossy).unwrap_or_default();
        let folder = common.join("xtask/environments").join(format!("{name}-{environment}"));
        folder.to_string_lossy().into_owned()
    }
}

/// Returns the environment with this name.
///
/// # Errors
/// There is none.
pub fn environment<'c>(config: &'c Config, name: &str) -> Result<&'c Environment, DeployError> {
    config.environments.iter().find(|known| known.name == name).ok_or_else(|| {
        let known = config.environments.iter().map(|environment| environment.name.clone()).collect();
        DeployError::UnknownEnvironment { name: name.to_owned(), known }
    })
}

/// Returns who asks: the person who started a CI job, or the user of git.
fn requester(session: &Session, repository: &Repository) -> String {
    let env = &session.env;
    let actor = CI_ACTORS.iter().find_map(|name| env.var(name)?.to_str()).filter(|actor| !actor.is_empty());
    let user = || env.var("USER").and_then(|user| user.to_str()).map(str::to_owned);
    let actor = actor.map(str::to_owned).or_else(|| repository.user()).or_else(user);
    actor.unwrap_or_else(|| "somebody".to_owned())
}
