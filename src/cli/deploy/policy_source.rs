//! Where policy comes from: the tip of the policy branch, which the default branch of the remote names. Neither the
//! work tree nor the deployed revision can choose another one. It must not know how a deploy is carried out.

use std::io::Write as _;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::base::clock::Timestamp;
use crate::base::file::FileError;
use crate::cli::deploy::context::DeployContext;
use crate::cli::deploy::error::DeployError;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::config::deploy::{Approval, DeploySettings, Environment};
use crate::config::model::Config;
use crate::deploy::event::DeployNews;
use crate::deploy::planner::NewDeploy;
use crate::deploy::policy::{self, EnvironmentInForce};
use crate::deploy::record::Record;
use crate::deploy::refusal::Objection;
use crate::deployment::journal::{self, ApprovalRules, Approvals, Journal, Requester};
use crate::git::chain::{ChainError, Signer};
use crate::git::{Commit, RemoteRefs, Repository};

/// The remote that policy is about, if there is one of this name; else it is the first.
const REMOTE: &str = "origin";
/// The names that the default branch may have where nothing says which one it is.
const DEFAULT_BRANCHES: [&str; 2] = ["main", "master"];

/// The tip of the policy branch.
pub struct PolicyTip {
    /// Its tasks.toml; `None`: no branch is named, so that each revision says what its policy is.
    pub config: Option<Config>,
    commit: Option<Commit>,
    /// The branches and tags of the remote; `None`: there is no remote, or it can't be reached.
    refs: Option<RemoteRefs>,
    remote: Option<String>,
}

impl PolicyTip {
    /// Finds the policy branch and brings its tip here.
    ///
    /// # Errors
    /// The remote can't be reached although it is known to have a policy branch, or it does not have the branch that
    /// it names.
    pub fn fetch(context: &DeployContext<'_>, project: &Project) -> Result<Self, Failure> {
        let repository = context.repository;
        let Some(remote) = policy_remote(repository) else { return Self::local(repository, project) };
        let refs = match repository.remote_refs(&remote) {
            Ok(refs) => refs,
            Err(error) => {
                let default = format!("refs/remotes/{remote}/HEAD");
                let known = DEFAULT_BRANCHES.map(|branch| format!("refs/remotes/{remote}/{branch}"));
                let known = std::iter::once(default).chain(known);
                if let Some(branch) = named_branch(repository, project, known)? {
                    return Err(
                        DeployError::PolicyUnreachable { branch, remote, source: Box::new(error) }.into()
                    );
                }
                let text = format!(
                    "{remote} can't be reached, so its branches are those of the last fetch: {error}"
                );
                context.emitter()(DeployNews::Warning { text, hint: None });
                return Ok(Self { config: None, commit: None, refs: None, remote: Some(remote) });
            }
        };
        let unreachable = |branch: &str| {
            let (branch, remote) = (branch.to_owned(), remote.clone());
            move |error| DeployError::PolicyUnreachable { branch, remote, source: Box::new(error) }
        };
        let default = repository.remote_default(&refs).map_err(unreachable("HEAD"))?;
        let default = match default {
            Some(default) => config_of(project, &default)?,
            None => None,
        };
        let branch = default.and_then(|config| config.deploy.policy_branch);
        let (commit, config) = match branch {
            None => (None, None),
            Some(branch) => {
                let tip = repository.remote_branch(&refs, &branch).map_err(unreachable(&branch))?;
                let tip = tip.ok_or_else(|| DeployError::NoPolicyBranch { branch, of: remote.clone() })?;
                let config = project.config_at(&tip)?;
                (Some(tip), Some(config))
            }
        };
        Ok(Self { config, commit, refs: Some(refs), remote: Some(remote) })
    }

    /// Finds the policy branch of a repository without a remote.
    fn local(repository: &Repository, project: &Project) -> Result<Self, Failure> {
        let known = DEFAULT_BRANCHES.map(|branch| format!("refs/heads/{branch}"));
        let (commit, config) = match named_branch(repository, project, known.into_iter())? {
            None => (None, None),
            Some(branch) => {
                let of = "this repository".to_owned();
                let tip = repository.resolve(&format!("refs/heads/{branch}"));
                let tip = tip.map_err(|_| DeployError::NoPolicyBranch { branch, of })?;
                let config = project.config_at(&tip)?;
                (Some(tip), Some(config))
            }
        };
        Ok(Self { config, commit, refs: None, remote: None })
    }

    /// Returns the environment that is in force for a revision.
    ///
    /// # Errors
    /// The policy branch or the revision does not have it.
    pub fn in_force(&self, revision: &Config, name: &str) -> Result<EnvironmentInForce, DeployError> {
        let policy = self.config.as_ref().unwrap_or(revision);
        policy::environment_in_force(name, policy, revision).map_err(DeployError::Policy)
    }
}

/// Returns the remote that policy is about.
fn policy_remote(repository: &Repository) -> Option<String> {
    let mut remotes = repository.remotes().into_iter().map(|(name, _)| name);
    let first = remotes.next()?;
    if first == REMOTE || remotes.any(|name| name == REMOTE) { Some(REMOTE.to_owned()) } else { Some(first) }
}

/// Returns the policy branch that the first of these refs names that has a tasks.toml, else the work tree's.
fn named_branch(
    repository: &Repository,
    project: &Project,
    refs: impl Iterator<Item = String>,
) -> Result<Option<String>, Failure> {
    for reference in refs {
        if let Ok(commit) = repository.resolve(&reference)
            && let Some(config) = config_of(project, &commit)?
        {
            // A work tree may ask for more, but not for less.
            return Ok(config.deploy.policy_branch.or_else(|| project.config.deploy.policy_branch.clone()));
        }
    }
    Ok(project.config.deploy.policy_branch.clone())
}

/// Returns the tasks.toml of a commit, if it has one.
fn config_of(project: &Project, commit: &Commit) -> Result<Option<Config>, Failure> {
    match project.config_at(commit) {
        Ok(config) => Ok(Some(config)),
        Err(Failure::NoConfig { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What policy says of deploys of a revision.
pub struct PolicySource {
    /// The environment that is in force.
    pub environment: Environment,
    /// Where artifacts and history are.
    pub settings: DeploySettings,
    /// The tasks.toml that says who may deploy what.
    pub config: Config,
    tip: PolicyTip,
    /// The file of allowed signers, if approvals are needed.
    signers: Option<NamedTempFile>,
}

impl PolicySource {
    /// Loads policy from the policy branch if there is one, else from the revision.
    ///
    /// # Errors
    /// The policy branch can't be read, or no environment is in force.
    pub fn load(
        context: &DeployContext<'_>,
        project: &Project,
        revision: &Config,
        commit: &Commit,
        name: &str,
    ) -> Result<Self, Failure> {
        let tip = PolicyTip::fetch(context, project)?;
        let EnvironmentInForce { environment, settings } = tip.in_force(revision, name)?;
        let tree = tip.commit.as_ref().map_or(&commit.tree, |tip| &tip.tree);
        let signers = match &environment.policy.approval {
            Some(approval) => Some(signers_file(context.repository, tree, approval)?),
            None => None,
        };
        let config = tip.config.clone().unwrap_or_else(|| revision.clone());
        Ok(Self { environment, settings, config, tip, signers })
    }

    /// Returns what policy has against a commit, whenever it is deployed.
    ///
    /// # Errors
    /// The branches can't be read.
    pub fn commit_objection(
        &self,
        repository: &Repository,
        commit: &Commit,
    ) -> Result<Option<Objection>, Failure> {
        let policy = &self.environment.policy;
        let remote = self.tip.remote.as_deref().unwrap_or(REMOTE);
        let (branches, tags) = match &self.tip.refs {
            Some(refs) => {
                let is_wanted = |name: &str| policy::matches(&policy.branches, name);
                let branches = repository.remote_branches_with(refs, &commit.id, &is_wanted)?;
                (branches, refs.tags_of(&commit.id))
            }
            None => (repository.branches_with(&commit.id, remote)?, repository.tags_of(&commit.id)?),
        };
        let Some(objection) = policy::commit_objection(policy, &branches, &tags) else { return Ok(None) };
        // Without a remote, the branches are those of this repository.
        let own = repository.branches_with(&commit.id, "")?;
        let unpushed = own.iter().find(|name| policy::matches(&policy.branches, name));
        let push = unpushed.map(|branch| format!("git push {remote} {branch}"));
        Ok(Some(Objection { hint: push.or(objection.hint), ..objection }))
    }

    /// Returns who asks for a deploy that needs approvals, by their signature; or why that is not known.
    pub fn requester(&self, journal: &Journal<'_>) -> Option<Result<Signer, Objection>> {
        let unknown = "the deploy needs approvals, and who asks for it is not known";
        let signer = self.own_signer(journal)?;
        Some(signer.map_err(|why| Objection { reason: format!("{unknown}: {}", why.reason), ..why }))
    }

    /// Returns who the user is where approvals are needed, by their signature; or why that is not known.
    pub fn own_signer(&self, journal: &Journal<'_>) -> Option<Result<Signer, Objection>> {
        let (approval, signers) = (self.environment.policy.approval.as_ref()?, self.signers.as_ref()?);
        Some(match journal.own_signer(signers.path()) {
            Ok(Some(signer)) => Ok(signer),
            Ok(None) => Err(Objection {
                reason: format!("the key of git's `user.signingkey` is not in {}", approval.signers),
                hint: Some(format!("add it to {} on the policy branch", approval.signers)),
            }),
            Err(error) => Err(Objection { reason: error.to_string(), hint: journal::hint(&error) }),
        })
    }

    /// Returns how many approvals a plan has, and what is missing.
    ///
    /// # Errors
    /// The journal can't be read.
    pub fn approvals(
        &self,
        journal: &Journal<'_>,
        new: &NewDeploy,
        target: &[Record],
        requester: Requester<'_>,
        now: Timestamp,
    ) -> Result<(u32, Option<Objection>), ChainError> {
        let (Some(approval), Some(signers)) = (&self.environment.policy.approval, &self.signers) else {
            return Ok((0, None));
        };
        journal.fetch()?;
        let rules = ApprovalRules {
            plan: &new.plan.id,
            signers: signers.path(),
            expires: approval.expires,
            now,
            requester,
            target,
        };
        let approvals = journal.approvals(&rules)?;
        let number = u32::try_from(approvals.valid.len()).unwrap_or(u32::MAX);
        let is_enough = number >= approval.count.get();
        Ok((number, (!is_enough).then(|| self.missing_approvals(approval, &new.plan.id, number, &approvals))))
    }

    fn missing_approvals(
        &self,
        approval: &Approval,
        plan: &str,
        number: u32,
        approvals: &Approvals,
    ) -> Objection {
        let mut reason = format!("plan {plan} has {number} of {} approvals", approval.count);
        for rejected in &approvals.rejected {
            reason += &format!("; that of {} does not count: {}", rejected.by, rejected.reason);
        }
        let hint = format!("xtask approve --env {} {plan}", self.environment.name);
        Objection { reason, hint: Some(hint) }
    }
}

/// Writes the file of allowed signers to a temporary file, for git.
fn signers_file(repository: &Repository, tree: &str, approval: &Approval) -> Result<NamedTempFile, Failure> {
    let signers = repository.read_file(tree, &approval.signers)?;
    let signers = signers.ok_or_else(|| DeployError::NoSigners { file: approval.signers.to_string() })?;
    let mut file = NamedTempFile::new().map_err(FileError::context("make", Path::new("a temporary file")))?;
    let written = file.write_all(&signers);
    written.map_err(FileError::context("write", file.path()))?;
    Ok(file)
}
