//! Why a command on an environment could not begin, and what to do. It must not know exit statuses.

use crate::base::text::first_of;
use crate::deploy::policy::PolicyError;
use crate::deploy::refusal::Objection;
use crate::deploy::target::TargetError;
use crate::deployment::journal;
use crate::deployment::operation::OperationError;
use crate::deployment::prepare::PrepareError;
use crate::deployment::secrets::SecretError;
use crate::git::GitError;
use crate::git::chain::ChainError;

/// Why a command on an environment could not begin. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// tasks.toml has no such environment.
    #[error("unknown environment `{name}`")]
    UnknownEnvironment {
        /// The name that was typed.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The policy branch can't be read.
    #[error("who may deploy is not known: {remote} can't be asked for branch {branch}: {source}")]
    PolicyUnreachable {
        /// The branch.
        branch: String,
        /// The remote.
        remote: String,
        /// The error of git.
        source: Box<GitError>,
    },
    /// The policy branch does not exist.
    #[error("`policy-branch` is {branch}, and {of} has no such branch")]
    NoPolicyBranch {
        /// The branch.
        branch: String,
        /// The remote, or this repository.
        of: String,
    },
    /// The file of allowed signers does not exist.
    #[error("`approval` names the file {file}, which is missing on the policy branch")]
    NoSigners {
        /// The file.
        file: String,
    },
    /// No environment is in force.
    #[error(transparent)]
    Policy(PolicyError),
    /// Not an id of a plan.
    #[error("`{0}` is not the id of a plan")]
    NotAPlan(String),
    /// An approval of an environment that asks for none.
    #[error("{0}: deploys need no approval, so nothing was approved")]
    NoApprovalNeeded(String),
    /// An approval that would not count.
    #[error("nothing was approved: {}", .0.reason)]
    NoApprover(Objection),
    /// The artifacts can't be made.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The command could not begin.
    #[error("{environment}")]
    Operation {
        /// The environment.
        environment: String,
        /// The reason.
        source: OperationError,
    },
    /// The journal can't be used where it must be.
    #[error("the journal can't be used: {0}")]
    Journal(ChainError),
}

impl DeployError {
    /// Returns what to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownEnvironment { known, .. } if known.is_empty() => {
                Some("add it to tasks.toml: [environments.NAME] with driver = \"hosts\"".to_owned())
            }
            Self::UnknownEnvironment { known, .. } => {
                Some(format!("tasks.toml has: {}", first_of(known, 20)))
            }
            Self::PolicyUnreachable { .. } => {
                Some("`xtask rollback` and `xtask deploy --abort` need no remote".to_owned())
            }
            Self::NoPolicyBranch { .. } => Some("push the branch, or change `policy-branch`".to_owned()),
            Self::NoSigners { file } => Some(format!("commit {file} to the policy branch")),
            Self::Policy(error) => Some(error.hint()),
            Self::NotAPlan(_) => {
                Some("`xtask deploy --env ENV --prepare` prints it: 64 hexadecimal digits".to_owned())
            }
            Self::NoApprovalNeeded(name) => {
                Some(format!("`approval` in [environments.{name}] says who may approve"))
            }
            Self::NoApprover(objection) => objection.hint.clone(),
            Self::Prepare(PrepareError::NotStored { .. }) => {
                Some("its result must be cacheable: see why it is not with `xtask why TASK`".to_owned())
            }
            Self::Operation { environment, source } => match source {
                OperationError::Refused(refusal) => refusal.hint(environment),
                OperationError::Target(TargetError::Held(_)) => {
                    Some("the same command with --wait".to_owned())
                }
                OperationError::Target(TargetError::Unreachable { .. }) => {
                    Some("see that ssh gets there without a password: ssh HOST true".to_owned())
                }
                OperationError::Journal(error) => journal::hint(error),
                OperationError::Secret(SecretError::Unset { name, .. }) => Some(format!("export {name}=…")),
                _ => None,
            },
            Self::Journal(error) => journal::hint(error),
            Self::Prepare(_) => None,
        }
    }
}
