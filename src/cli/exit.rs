//! Exit statuses. This is the only file that knows the numbers.

use crate::cli::deploy::error::DeployError;
use crate::cli::failure::Failure;
use crate::deploy::target::TargetError;
use crate::deployment::operation::OperationError;
use crate::deployment::prepare::PrepareError;
use crate::event::Verdict;
use crate::history::runs::RunsError;
use crate::select::SelectError;

/// How a command ended, if it could do its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Everything passed.
    Passed,
    /// A task failed, or a check found something wrong.
    Failed,
    /// A signal with this number ended the command.
    Interrupted(i32),
    /// The program that the command ran ended with this exit status, or the deploy did.
    As(u8),
    /// A target needs attention.
    NeedsAttention,
}

impl End {
    /// Returns whether the command has done what was wanted.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Passed | Self::As(0))
    }
}

impl From<Verdict> for End {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            // A superseded run is followed by another one.
            Verdict::Passed | Verdict::Superseded => Self::Passed,
            Verdict::Failed => Self::Failed,
            Verdict::Interrupted { signal } => Self::Interrupted(signal),
        }
    }
}

/// Returns the exit status for the end of a command.
pub fn exit_status(end: &Result<End, Failure>) -> u8 {
    match end {
        Ok(End::Passed) => 0,
        Ok(End::Failed) => 1,
        Ok(End::As(status)) => *status,
        Ok(End::NeedsAttention) => 7,
        Ok(End::Interrupted(signal)) => 128 + u8::try_from(*signal).unwrap_or(0),
        Err(
            Failure::Usage { .. } | Failure::Sharding(_) | Failure::Select(SelectError::Arguments { .. }),
        ) => 2,
        Err(Failure::Gate(_)) => 1,
        Err(Failure::Config(_) | Failure::NoConfig { .. }) => 3,
        Err(Failure::Select(SelectError::Unknown { .. }) | Failure::NoHooks | Failure::NothingForCi) => 4,
        Err(Failure::NoVerdict(_)) => 4,
        Err(Failure::Runs(
            RunsError::Unknown(_)
            | RunsError::Ambiguous(..)
            | RunsError::Empty
            | RunsError::NoDeploy
            | RunsError::Newer(_)
            | RunsError::TooFewRuns(_)
            | RunsError::NoManifest(_),
        )) => 4,
        Err(Failure::Deploy(error)) => match error {
            DeployError::UnknownEnvironment { .. } => 4,
            DeployError::NotAPlan(_) => 2,
            DeployError::PolicyUnreachable { .. } => 5,
            DeployError::Policy(_)
            | DeployError::NoPolicyBranch { .. }
            | DeployError::NoSigners { .. }
            | DeployError::NoApprovalNeeded(_)
            | DeployError::NoApprover(_) => 6,
            DeployError::Prepare(error) => match error {
                PrepareError::NotPassed(_) | PrepareError::NotStored { .. } | PrepareError::Image { .. } => 1,
                PrepareError::Undefined { .. } | PrepareError::NoFile { .. } => 3,
                _ => 5,
            },
            DeployError::Operation { source, .. } => match source {
                OperationError::Refused(refusal) => refusal.status(),
                OperationError::Target(TargetError::Held(_)) => 6,
                OperationError::Stopped => 130,
                _ => 5,
            },
            DeployError::Journal(_) => 5,
        },
        Err(
            Failure::Git(_)
            | Failure::NoCommit(_)
            | Failure::Baseline(_)
            | Failure::Cache(_)
            | Failure::File(_)
            | Failure::Mask(_)
            | Failure::Watch(_)
            | Failure::Sonar(_)
            | Failure::Runs(RunsError::File(_))
            | Failure::NoRepository { .. }
            | Failure::Content { .. }
            | Failure::Merge(_)
            | Failure::OtherTree { .. }
            | Failure::System { .. },
        ) => 5,
    }
}
