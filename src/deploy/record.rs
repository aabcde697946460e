//! What is recorded of a deploy: on the target, before and after each step, and in the journal.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::deploy::lease::DeployId;
use crate::deploy::plan::{Goal, Plan};
use crate::deploy::release::{Release, ReleaseId};
use crate::deploy::step::{Step, StepOutcome};

/// One line of the history of an environment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The deploy that it belongs to.
    pub deploy: DeployId,
    /// The fencing token of the deploy.
    pub token: u64,
    /// When it was written, by the clock of the target.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum What {
    /// A deploy has the lease and is about to begin.
    Started {
        /// What it wants.
        goal: Goal,
        /// The release that it makes current.
        release: Box<Release>,
        /// The release that is current until then.
        previous: Option<ReleaseId>,
        /// The plan, with all that is needed to resume the deploy or to go back.
        plan: Box<Plan>,
        /// Who asked for it.
        by: String,
        /// Why policy was overridden, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overrides: Option<String>,
    },
    /// Another process continues a deploy whose process has ended.
    Resumed {
        /// Who asked for it.
        by: String,
    },
    /// The deploy is given up: the release of before must serve again.
    Aborted {
        /// Who asked for it.
        by: String,
    },
    /// A step is about to be done. It is written before the side effect.
    Intent {
        /// The step.
        step: Step,
    },
    /// A step has ended. It is written after the side effect.
    Outcome {
        /// The step.
        step: Step,
        /// How it ended.
        outcome: StepOutcome,
    },
    /// The deploy has ended.
    Ended {
        /// How.
        ending: Ending,
        /// The release that serves now.
        serving: Option<ReleaseId>,
        /// One line for people.
        reason: String,
    },
    /// Deploys are stopped.
    Frozen {
        /// Who did it.
        by: String,
        /// Why.
        reason: String,
    },
    /// Deploys are allowed again.
    Unfrozen {
        /// Who did it.
        by: String,
    },
}

/// How a deploy ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The release is current, and all is clean.
    Succeeded,
    /// It failed, and the release of before serves.
    RolledBack,
    /// It failed before anything changed.
    Unchanged,
    /// The target needs attention: it is not certain what serves, or a host is left behind.
    NeedsAttention,
}
