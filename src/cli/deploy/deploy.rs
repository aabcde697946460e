//! `xtask deploy`: makes a commit's release current in an environment, or continues or gives up a deploy.

use std::cell::{Cell, OnceCell};
use std::io::Write as _;
use std::path::Path;

use clap::Args;

use crate::base::clock::Timestamp;
use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::error::DeployError;
use crate::cli::deploy::reporters::{DeployReporterOptions, Shown};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::{Project, definition_folders};
use crate::cli::reporters::GateReporters;
use crate::cli::session::Session;
use crate::config::deploy::{Approval, DeploySettings, Environment};
use crate::config::model::Config;
use crate::deploy::candidate::Candidate;
use crate::deploy::event::{Command, DeployNews};
use crate::deploy::observation::Observation;
use crate::deploy::planner::{Decision, NewDeploy, PolicyResult, Wanted};
use crate::deploy::policy::{self, EnvironmentInForce};
use crate::deploy::record::What;
use crate::deploy::refusal::Objection;
use crate::deployment::journal::{ApprovalRules, Approvals, Journal};
use crate::deployment::operation::{Finished, Judge, Operation, OperationError, PolicyView};
use crate::deployment::prepare::{self, Artifacts, Source};
use crate::deployment::rehearsal::Rehearsal;
use crate::deployment::smoke::Smoke;
use crate::event::Verdict;
use crate::gate::context::GateContext;
use crate::git::{Commit, Repository, Warmth};

/// The remote that policy is about.
const REMOTE: &str = "origin";

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
        let wanted = if args.resume { Wanted::Resume } else { Wanted::Abort };
        let environment = context::environment(&project.config, &args.env)?;
        let settings = &project.config.deploy;
        let course = Course { context, project, environment, settings, waits: args.wait };
        let overrides = args.override_reason.clone();
        let result = PolicyResult { overrides, ..PolicyResult::default() };
        return course.run(wanted, &result, &|_, _| (0, Vec::new()));
    }
    deploy_commit(context, project, args)
}

fn deploy_commit(context: &DeployContext<'_>, project: &Project, args: &DeployArgs) -> Result<End, Failure> {
    let repository = context.repository;
    let commit = repository.resolve(args.rev.as_deref().unwrap_or("HEAD"))?;
    let config = project.config_at(&commit)?;
    context::environment(&config, &args.env)?;
    let policy = PolicySource::load(project, &config, &commit, &args.env)?;
    let environment = &policy.environment;
    let settings = &policy.settings;
    let emit = context.emitter();

    let state = repository.common_dir().join("xtask");
    let observer = GateReporters::new(context.session, &state);
    let gate = gate_context(context, &state, &observer);
    let folders = definition_folders(repository.work_dir(), &context.session.dir);
    let needed = prepare::needed(&config, environment, &commit).map_err(DeployError::from)?;
    let source =
        Source { gate: &gate, folders: &folders, config: &config, commit: &commit, names: &environment.gate };
    let promoted = match &environment.policy.promote_from {
        Some(from) => Some(promotion(context, &policy.config, settings, from, &commit)?),
        None => None,
    };
    let mut artifacts = match &promoted {
        Some(Ok(artifacts)) => artifacts.clone(),
        _ if args.plan => prepare::look_up(&source, &needed).map_err(DeployError::from)?,
        _ => {
            let what = format!("{}: gate and artifacts of {}", environment.name, &commit.id[..7]);
            emit(DeployNews::Preparing { what });
            match prepare::prepare(&source, &needed, &context.store(settings)) {
                Err(prepare::PrepareError::NotPassed(Verdict::Interrupted { signal })) => {
                    return Ok(End::Interrupted(signal));
                }
                made => made.map_err(DeployError::from)?,
            }
        }
    };
    let store = (!args.plan).then(|| context.store(settings));
    prepare::add_compose_file(&source, environment, store.as_ref(), &mut artifacts)
        .map_err(DeployError::from)?;
    let Artifacts { made, unknown } = artifacts;
    let candidate = Candidate {
        commit: commit.id.clone(),
        tree: commit.tree.clone(),
        artifacts: made,
        by: context.by.clone(),
    };
    let mut result = policy.result(context, repository, &commit, args.override_reason.clone())?;
    if let Some(Err(objection)) = promoted {
        result.objections.push(objection);
    }
    let journal = context.journal(&environment.name, settings);
    let judge = |new: &NewDeploy, observation: &Observation| {
        let (approvals, mut objections) =
            policy.approvals(context, &journal, new, context.session.clock.now());
        objections.extend(older(repository, new, observation, &commit, args.allow_older));
        (approvals, objections)
    };
    let wanted = if args.adopt { Wanted::Adopt(&candidate) } else { Wanted::Deploy(&candidate) };
    let course = Course { context, project, environment, settings, waits: args.wait };
    if args.plan || args.prepare {
        return course.show(wanted, &result, &judge, unknown);
    }
    course.run(wanted, &result, &judge)
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

/// Returns the artifacts of a release of the same tree that succeeded in another environment, or why there are
/// none.
fn promotion(
    context: &DeployContext<'_>,
    config: &Config,
    settings: &DeploySettings,
    from: &str,
    commit: &Commit,
) -> Result<Result<Artifacts, Objection>, Failure> {
    let environment = context::environment(config, from)?;
    let target = context.target(environment, settings)?;
    let observation = target
        .observe(&environment.roles)
        .map_err(|error| DeployError::Operation { environment: from.to_owned(), source: error.into() })?;
    let releases = observation.authority.releases.into_iter().rev();
    let found = releases.into_iter().find(|release| release.tree == commit.tree);
    Ok(found.map(|release| Artifacts { made: release.artifacts, unknown: Vec::new() }).ok_or_else(|| {
        Objection {
            reason: format!("{from} has no release of this tree that succeeded"),
            hint: Some(format!("xtask deploy --env {from}")),
        }
    }))
}

/// Where policy comes from, and the environment that is in force.
struct PolicySource {
    /// The environment that is deployed to.
    environment: Environment,
    settings: DeploySettings,
    /// The tasks.toml that says who may deploy what.
    config: Config,
    /// The tree of this tasks.toml.
    tree: String,
}

impl PolicySource {
    /// Loads policy from the policy branch if tasks.toml names one, else from the revision.
    fn load(project: &Project, config: &Config, commit: &Commit, name: &str) -> Result<Self, Failure> {
        let repository = project.repository()?;
        // The work tree's tasks.toml says where policy is: a revision can't choose another branch.
        let tip = match &project.config.deploy.policy_branch {
            None => commit.clone(),
            Some(branch) if repository.remotes().iter().any(|(remote, _)| remote == REMOTE) => {
                repository.remote_tip(REMOTE, branch)?
            }
            Some(branch) => repository.resolve(branch)?,
        };
        let policy = if tip == *commit { config.clone() } else { project.config_at(&tip)? };
        let in_force = policy::environment_in_force(name, &policy, config).map_err(DeployError::Policy)?;
        let EnvironmentInForce { environment, settings } = in_force;
        Ok(Self { environment, settings, config: policy, tree: tip.tree })
    }

    fn result(
        &self,
        context: &DeployContext<'_>,
        repository: &Repository,
        commit: &Commit,
        overrides: Option<String>,
    ) -> Result<PolicyResult, Failure> {
        let branches = repository.branches_with(&commit.id, REMOTE)?;
        let tags = repository.tags_of(&commit.id)?;
        let policy = &self.environment.policy;
        let of_commit = policy::commit_objection(policy, &branches, &tags);
        let of_time = policy::window_objection(policy, context.session.clock.now());
        let objections = of_commit.into_iter().chain(of_time).collect();
        Ok(PolicyResult { objections, approvals: 0, overrides })
    }

    /// Returns how many approvals a plan has, and what is missing.
    fn approvals(
        &self,
        context: &DeployContext<'_>,
        journal: &Journal<'_>,
        new: &NewDeploy,
        now: Timestamp,
    ) -> (u32, Vec<Objection>) {
        let Some(approval) = &self.environment.policy.approval else { return (0, Vec::new()) };
        let counted = self.count(context, journal, approval, &new.plan.id, now);
        let (approvals, problem) = match counted {
            Ok(approvals) => (approvals, None),
            Err(reason) => (Approvals::default(), Some(reason)),
        };
        let number = u32::try_from(approvals.valid.len()).unwrap_or(u32::MAX);
        if number >= approval.count.get() {
            return (number, Vec::new());
        }
        let mut reason = format!("plan {} has {number} of {} approvals", new.plan.id, approval.count);
        for rejected in &approvals.rejected {
            reason += &format!("; that of {} does not count: {}", rejected.by, rejected.reason);
        }
        if let Some(problem) = problem {
            reason += &format!("; {problem}");
        }
        let hint = format!("xtask approve --env {} {}", self.environment.name, new.plan.id);
        (number, vec![Objection { reason, hint: Some(hint) }])
    }

    fn count(
        &self,
        context: &DeployContext<'_>,
        journal: &Journal<'_>,
        approval: &Approval,
        plan: &str,
        now: Timestamp,
    ) -> Result<Approvals, String> {
        journal.fetch().map_err(|error| format!("the journal can't be read: {error}"))?;
        let signers = context.repository.read_file(&self.tree, &approval.signers);
        let signers = signers.map_err(|error| error.to_string())?;
        let signers = signers.ok_or_else(|| format!("the file {} is missing", approval.signers))?;
        let file = tempfile::NamedTempFile::new().and_then(|mut file| {
            file.write_all(&signers)?;
            Ok(file)
        });
        let file = file.map_err(|error| format!("can't write a temporary file: {error}"))?;
        let rules = ApprovalRules {
            plan,
            signers: file.path(),
            expires: approval.expires,
            now,
            requester: &context.by,
        };
        journal.approvals(&rules).map_err(|error| error.to_string())
    }
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
    /// Whether to wait until another deploy has ended.
    pub waits: bool,
}

impl Course<'_> {
    /// Does what is wanted.
    ///
    /// # Errors
    /// It could not begin.
    pub fn run(&self, wanted: Wanted<'_>, result: &PolicyResult, judge: &Judge<'_>) -> Result<End, Failure> {
        let finished =
            self.with_operation(|operation| operation.run(wanted, &PolicyView { result, judge }))?;
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
        result: &PolicyResult,
        judge: &Judge<'_>,
        unknown: Vec<String>,
    ) -> Result<End, Failure> {
        let decision =
            self.with_operation(|operation| operation.plan(wanted, &PolicyView { result, judge }))?;
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
            by: &context.by,
            holder: &context.holder,
            env: &session.env,
            root: &self.project.root,
            clock: &session.clock,
            emit: &emit,
            smoke: &|release, id| {
                Smoke { context: &gate, folders: &folders, environment: self.environment, release }.run(id)
            },
            rehearse: &|deploy, control| {
                let environment = self.environment;
                Rehearsal { context: &gate, folders: &folders, environment, target: &*target }
                    .run(deploy, control)
            },
            stop_requests: &|| context.stop_requests(),
            waits: self.waits,
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
