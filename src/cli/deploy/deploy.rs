//! `xtask deploy`: makes a commit's release current in an environment, or continues or gives up a deploy.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::artifact::store::Store;
use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::error::DeployError;
use crate::cli::deploy::policy_source::{PolicySource, PolicyTip};
use crate::cli::deploy::reporters::{DeployReporterOptions, Shown};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::{Project, definition_folders};
use crate::cli::reporters::GateReporters;
use crate::cli::session::Session;
use crate::config::deploy::{DeploySettings, Environment};
use crate::config::model::Config;
use crate::deploy::candidate::Candidate;
use crate::deploy::event::{Command, DeployNews};
use crate::deploy::observation::Observation;
use crate::deploy::planner::{Decision, NewDeploy, PolicyResult, Wanted};
use crate::deploy::policy::window_objection;
use crate::deploy::record::What;
use crate::deploy::refusal::Objection;
use crate::deployment::journal::Requester;
use crate::deployment::operation::{Finished, Operation, OperationError, PolicyView};
use crate::deployment::prepare::{self, Artifacts, PrepareError, Source};
use crate::deployment::rehearsal::Rehearsal;
use crate::deployment::smoke::Smoke;
use crate::event::Verdict;
use crate::gate::context::GateContext;
use crate::git::chain::ChainError;
use crate::git::{Commit, Repository, Warmth};

/// How long an artifact stays in the store that no environment needs: another deploy may be about to use it.
const STORE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `deploy`.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch as it was typed")]
#[derive(Args, Debug, Clone)]
pub struct DeployArgs {
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub env: String,
    /// The commit [default: HEAD]
    #[arg(value_name = "REV")]
    pub rev: Option<String>,
    /// Show every step, and change nothing anywhere
    #[arg(long, conflicts_with_all = ["prepare", "resume", "abort", "wait"])]
    pub plan: bool,
    /// Gate, build and store the artifacts, and print the id of the plan for approvals
    #[arg(long, conflicts_with_all = ["resume", "abort", "wait"])]
    pub prepare: bool,
    /// Continue a deploy whose process has ended
    #[arg(long, conflicts_with_all = ["abort", "adopt", "rev"])]
    pub resume: bool,
    /// Give up a deploy whose process has ended: the release of before serves again
    #[arg(long, conflicts_with_all = ["adopt", "rev"])]
    pub abort: bool,
    /// Wait until another deploy has ended
    #[arg(long)]
    pub wait: bool,
    /// Take over what runs there as the first release
    #[arg(long)]
    pub adopt: bool,
    /// Allow a commit that is older than the current release
    #[arg(long)]
    pub allow_older: bool,
    /// Deploy although policy forbids it; the reason is recorded
    #[arg(long = "override", value_name = "REASON")]
    pub override_reason: Option<String>,
    /// Write one JSON object per event on standard output
    #[arg(long)]
    pub json: bool,
}

/// Deploys.
///
/// # Errors
/// The deploy could not begin.
pub fn run(session: &Session, args: &DeployArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let shown = match (args.json, args.plan || args.prepare) {
        (true, _) => Shown::Json,
        (false, true) => Shown::Result,
        (false, false) => Shown::Progress,
    };
    let context = DeployContext::new(session, &project)?;
    let command = match args {
        DeployArgs { plan: true, .. } => Command::Plan,
        DeployArgs { prepare: true, .. } => Command::Prepare,
        DeployArgs { resume: true, .. } => Command::Resume,
        DeployArgs { abort: true, .. } => Command::Abort,
        _ => Command::Deploy,
    };
    let options = DeployReporterOptions { shown, command, environment: &args.env };
    context.run_command(&options, || run_kind(&context, &project, args))
}

fn run_kind(context: &DeployContext<'_>, project: &Project, args: &DeployArgs) -> Result<End, Failure> {
    if args.resume || args.abort {
        continue_deploy(context, project, args)
    } else {
        deploy_commit(context, project, args)
    }
}

/// Continues or gives up the deploy of another process.
fn continue_deploy(
    context: &DeployContext<'_>,
    project: &Project,
    args: &DeployArgs,
) -> Result<End, Failure> {
    let wanted = if args.resume { Wanted::Resume } else { Wanted::Abort };
    let mut environment = context::environment(&project.config, &args.env)?.clone();
    let mut settings = project.config.deploy.clone();
    // What is given up needs no policy, and must not need the remote either.
    if args.resume {
        let in_force = PolicyTip::fetch(context, project)?.in_force(&project.config, &args.env)?;
        (environment, settings) = (in_force.environment, in_force.settings);
    }
    let overrides = args.override_reason.clone();
    let result = PolicyResult { overrides, ..PolicyResult::default() };
    let course = Course {
        context,
        project,
        environment: &environment,
        settings: &settings,
        by: &context.by,
        waits: args.wait,
    };
    course.run(wanted, &PolicyView { result: &result, judge: &no_judge, signs_start: false })
}

/// Judges what policy is not about.
pub fn no_judge(_: &NewDeploy, _: &Observation) -> Result<(u32, Vec<Objection>), ChainError> {
    Ok((0, Vec::new()))
}

fn deploy_commit(context: &DeployContext<'_>, project: &Project, args: &DeployArgs) -> Result<End, Failure> {
    let repository = context.repository;
    let commit = repository.resolve(args.rev.as_deref().unwrap_or("HEAD"))?;
    let config = project.config_at(&commit)?;
    context::environment(&config, &args.env)?;
    let policy = PolicySource::load(context, project, &config, &commit, &args.env)?;
    let environment = &policy.environment;
    let settings = &policy.settings;
    let journal = context.journal(&environment.name, settings);
    let is_shown = args.plan || args.prepare;
    let mut result = PolicyResult { overrides: args.override_reason.clone(), ..PolicyResult::default() };
    result.objections.extend(policy.commit_objection(repository, &commit)?);
    // To show a plan, nothing is signed.
    let needs_approval = environment.policy.approval.is_some() && result.overrides.is_none();
    let requester = if needs_approval && !is_shown { policy.requester(&journal) } else { None };
    let requester = match requester {
        Some(Err(objection)) => {
            result.objections.push(objection);
            None
        }
        Some(Ok(signer)) => Some(signer),
        None => None,
    };
    let by = requester.as_ref().map_or(&context.by, |signer| &signer.principal);

    let artifacts = match make_artifacts(context, &policy, &config, &commit, args)? {
        Made::Artifacts(artifacts) => artifacts,
        Made::Objection(objection) => {
            result.objections.push(objection);
            Artifacts::default()
        }
        Made::Interrupted(signal) => return Ok(End::Interrupted(signal)),
    };
    let Artifacts { made, unknown } = artifacts;
    let candidate =
        Candidate { commit: commit.id.clone(), tree: commit.tree.clone(), artifacts: made, by: by.clone() };
    let judge = |new: &NewDeploy, observation: &Observation| {
        let now = context.session.clock.now();
        let asks = requester.as_ref().map_or(Requester::Named(by), Requester::Signer);
        let approvals = match policy.approvals(&journal, new, &observation.authority.records, asks, now) {
            Err(error) if is_shown || !needs_approval => {
                let reason = format!("the approvals are not known: {error}");
                (0, Some(Objection { reason, hint: None }))
            }
            approvals => approvals?,
        };
        let (number, missing) = approvals;
        let older = older(repository, new, observation, &commit, args.allow_older);
        let closed = window_objection(&environment.policy, now);
        Ok((number, missing.into_iter().chain(older).chain(closed).collect()))
    };
    let wanted = if args.adopt { Wanted::Adopt(&candidate) } else { Wanted::Deploy(&candidate) };
    let course = Course { context, project, environment, settings, by, waits: args.wait };
    let view = PolicyView { result: &result, judge: &judge, signs_start: needs_approval };
    if is_shown {
        return course.show(wanted, &view, unknown);
    }
    let end = course.run(wanted, &view)?;
    if end.is_success() {
        clean_store(context, &policy, &config);
    }
    Ok(end)
}

/// Removes the artifacts from the store that no environment needs. If that is not possible now, the next deploy does
/// it.
fn clean_store(context: &DeployContext<'_>, policy: &PolicySource, revision: &Config) {
    let settings = &policy.settings;
    let new = |environment: &&Environment| policy.config.environment(&environment.name).is_none();
    let others = revision.environments.iter().filter(new);
    let mut keep = BTreeSet::new();
    for environment in policy.config.environments.iter().chain(others) {
        let Ok(target) = context.target(environment, settings) else { return };
        let Ok(observation) = target.observe(&[]) else { return };
        let started = observation.authority.records.into_iter().filter_map(|record| match record.what {
            What::Started { release, .. } => Some(*release),
            _ => None,
        });
        let releases = observation.authority.releases.into_iter().chain(started);
        let artifacts = releases.flat_map(|release| release.artifacts.into_values());
        keep.extend(artifacts.map(|artifact| artifact.digest));
    }
    // It is done again by the next deploy.
    let _ = context.store(settings).retain(&keep, STORE_AGE);
}

/// What became of the artifacts of a tree.
enum Made {
    Artifacts(Artifacts),
    /// They can't be promoted.
    Objection(Objection),
    /// A signal ended the tasks.
    Interrupted(i32),
}

/// Asks the gate, and makes the artifacts or takes those of the environment that they are promoted from.
fn make_artifacts(
    context: &DeployContext<'_>,
    policy: &PolicySource,
    config: &Config,
    commit: &Commit,
    args: &DeployArgs,
) -> Result<Made, Failure> {
    let environment = &policy.environment;
    let state = context.repository.common_dir().join("xtask");
    let observer = GateReporters::new(context.session, &state);
    let gate = gate_context(context, &state, &observer);
    let folders = definition_folders(context.repository.work_dir(), &context.session.dir);
    let source = Source { gate: &gate, folders: &folders, config, commit, names: &environment.gate };
    let store = context.store(&policy.settings);
    let preparing = |what: &str| {
        let what = format!("{}: {what} {}", environment.name, &commit.id[..7]);
        context.emitter()(DeployNews::Preparing { what });
    };
    let promoted = match &environment.policy.promote_from {
        Some(from) => Some(promotion(context, policy, &store, from, commit)?),
        None => None,
    };
    let made = match promoted {
        Some(Err(objection)) if args.override_reason.is_none() => return Ok(Made::Objection(objection)),
        Some(Ok(artifacts)) if args.plan => Ok(artifacts),
        Some(Ok(artifacts)) => {
            preparing("gate of");
            prepare::check_gate(&source).map(|()| artifacts)
        }
        None | Some(Err(_)) => {
            let needed = prepare::needed(config, environment, commit).map_err(DeployError::from)?;
            if args.plan {
                prepare::look_up(&source, &needed)
            } else {
                preparing("gate and artifacts of");
                prepare::prepare(&source, &needed, &store)
            }
        }
    };
    let mut artifacts = match made {
        Err(PrepareError::NotPassed(Verdict::Interrupted { signal })) => {
            return Ok(Made::Interrupted(signal));
        }
        made => made.map_err(DeployError::from)?,
    };
    let store = (!args.plan).then_some(&store);
    prepare::add_compose_file(&source, environment, store, &mut artifacts).map_err(DeployError::from)?;
    Ok(Made::Artifacts(artifacts))
}

/// Returns the objection to a commit that the current release already contains.
fn older(
    repository: &Repository,
    new: &NewDeploy,
    observation: &Observation,
    commit: &Commit,
    is_allowed: bool,
) -> Option<Objection> {
    let previous = new.plan.previous.as_ref()?;
    let releases = &observation.authority.releases;
    let current = releases.iter().find(|release| release.id == *previous)?;
    // A commit that is missing here can't be compared.
    let is_older = repository.is_older(&commit.id, &current.commit).unwrap_or(false);
    (is_older && !is_allowed).then(|| Objection {
        reason: format!("the commit is older than that of {previous}, which is current"),
        hint: Some("xtask rollback, or --allow-older".to_owned()),
    })
}

/// Returns the artifacts that an environment needs of a release of the same tree that succeeded in another one, or
/// why there are none.
fn promotion(
    context: &DeployContext<'_>,
    policy: &PolicySource,
    store: &Store,
    from: &str,
    commit: &Commit,
) -> Result<Result<Artifacts, Objection>, Failure> {
    let source = context::environment(&policy.config, from)?;
    let target = context.target(source, &policy.settings)?;
    let observation = target
        .observe(&source.roles)
        .map_err(|error| DeployError::Operation { environment: from.to_owned(), source: error.into() })?;
    let object = |reason: String| {
        Ok(Err(Objection { reason, hint: Some(format!("xtask deploy --env {from} {}", &commit.id[..7])) }))
    };
    let mut releases = observation.authority.releases.into_iter().rev();
    let Some(release) = releases.find(|release| release.tree == commit.tree) else {
        return object(format!("{from} has no release of this tree that succeeded"));
    };
    let needed: BTreeSet<&String> =
        policy.environment.roles.iter().flat_map(|role| &role.artifacts).collect();
    let mut made = BTreeMap::new();
    for name in needed {
        let Some(artifact) = release.artifacts.get(name) else {
            return object(format!("{} of {from} has no artifact {name}", release.id));
        };
        // An image is in its registry.
        if artifact.image.is_none()
            && !store.has(&artifact.digest).map_err(|error| DeployError::from(PrepareError::from(error)))?
        {
            return object(format!(
                "the store does not have artifact {name} of {}: {}",
                release.id, artifact.digest
            ));
        }
        made.insert(name.clone(), artifact.clone());
    }
    Ok(Ok(Artifacts { made, unknown: Vec::new() }))
}

/// A command on an environment, ready to begin.
pub struct Course<'a> {
    /// What it works with.
    pub context: &'a DeployContext<'a>,
    /// The project.
    pub project: &'a Project,
    /// The environment.
    pub environment: &'a Environment,
    /// Where artifacts and history are.
    pub settings: &'a DeploySettings,
    /// Who asks, for records.
    pub by: &'a str,
    /// Whether to wait until another deploy has ended.
    pub waits: bool,
}

impl Course<'_> {
    /// Does what is wanted.
    ///
    /// # Errors
    /// It could not begin.
    pub fn run(&self, wanted: Wanted<'_>, policy: &PolicyView<'_>) -> Result<End, Failure> {
        let finished = self.with_operation(|operation| operation.run(wanted, policy))?;
        Ok(match finished {
            Finished::Unchanged(_) => End::Passed,
            Finished::Ended(end) => End::As(end.status),
            Finished::Left => End::NeedsAttention,
        })
    }

    /// Shows the plan of what is wanted, and changes nothing. `unknown` are the artifacts whose digest is not
    /// known.
    ///
    /// # Errors
    /// It is not possible, or the target can't be asked.
    pub fn show(
        &self,
        wanted: Wanted<'_>,
        policy: &PolicyView<'_>,
        unknown: Vec<String>,
    ) -> Result<End, Failure> {
        let decision = self.with_operation(|operation| operation.plan(wanted, policy))?;
        let emit = self.context.emitter();
        match decision {
            Decision::Nothing { release } => emit(DeployNews::Unchanged { release }),
            Decision::Begin(new) => {
                let objections = new.objections.iter().map(|objection| objection.reason.clone()).collect();
                emit(DeployNews::Planned {
                    environment: self.environment.name.clone(),
                    plan: Box::new(new.plan),
                    unknown,
                    objections,
                });
            }
            Decision::Continue(_) => {}
        }
        Ok(End::Passed)
    }

    /// Records that deploys are stopped or allowed again.
    ///
    /// # Errors
    /// A deploy is in progress, or the target can't be reached.
    pub fn record(&self, what: &What) -> Result<(), Failure> {
        self.with_operation(|operation| operation.record(what))
    }

    fn with_operation<T>(
        &self,
        act: impl FnOnce(&Operation<'_>) -> Result<T, OperationError>,
    ) -> Result<T, Failure> {
        let context = self.context;
        let session = context.session;
        let target = context.target(self.environment, self.settings)?;
        let journal = context.journal(&self.environment.name, self.settings);
        let state = context.repository.common_dir().join("xtask");
        let observer = GateReporters::new(session, &state);
        let gate = gate_context(context, &state, &observer);
        let folders = definition_folders(context.repository.work_dir(), &session.dir);
        let emit = context.emitter();
        let operation = Operation {
            environment: self.environment,
            target: &*target,
            journal: &journal,
            by: self.by,
            holder: &context.holder,
            env: &session.env,
            root: &self.project.root,
            clock: &session.clock,
            emit: &emit,
            smoke: &|release, url| {
                let environment = self.environment;
                Smoke { context: &gate, folders: &folders, environment, release, url }.run(&release.id)
            },
            rehearse: &|deploy, control| {
                let environment = self.environment;
                Rehearsal { context: &gate, folders: &folders, environment, target: &*target }
                    .run(deploy, control)
            },
            stop_requests: &|| context.stop_requests(),
            waits: self.waits,
            first_current: OnceCell::new(),
        };
        let result = act(&operation);
        Ok(result.map_err(|source| DeployError::Operation {
            environment: self.environment.name.clone(),
            source,
        })?)
    }
}

fn gate_context<'g>(
    context: &'g DeployContext<'_>,
    state: &'g Path,
    observer: &'g GateReporters<'g>,
) -> GateContext<'g> {
    GateContext {
        repository: context.repository,
        state,
        env: &context.session.env,
        clock: &context.session.clock,
        inbox: &context.inbox,
        observer,
        warmth: Warmth::Warm,
        jobs: None,
        runs: Cell::new(0),
        access: OnceCell::new(),
    }
}
