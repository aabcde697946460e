//! The events of a deploy, from which reporters make lines and JSON. It must not know how they are shown.

use serde::{Deserialize, Serialize};

use crate::deploy::lease::DeployId;
use crate::deploy::machine::{Direction, End};
use crate::deploy::plan::{Goal, Phase, Plan, Reason};
use crate::deploy::record::Ending;
use crate::deploy::release::ReleaseId;
use crate::deploy::step::{Step, StepOutcome};

/// Something that happened in a deploy.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeployEvent {
    /// Milliseconds since the start of the program.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: DeployNews,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DeployNews {
    /// What is done before the target is asked, such as packing.
    Preparing {
        /// What, one line.
        what: String,
    },
    /// A plan was made, and nothing was changed.
    Planned {
        /// The environment.
        environment: String,
        /// The plan.
        plan: Box<Plan>,
        /// The artifacts whose digest is not known before they are built. The ids of release and plan are not
        /// known then.
        unknown: Vec<String>,
        /// What policy has against it.
        objections: Vec<String>,
    },
    /// The deploy waits before it begins.
    Waiting {
        /// What for, one line.
        reason: String,
    },
    /// The deploy has the lease and begins.
    Begun {
        /// The environment.
        environment: String,
        /// The deploy.
        deploy: DeployId,
        /// What it wants.
        goal: Goal,
        /// The release that it makes current.
        release: ReleaseId,
        /// The release that is current until then.
        previous: Option<ReleaseId>,
        /// The id of its plan.
        plan: String,
        /// Who asked for it.
        by: String,
    },
    /// The deploy of another process is continued or given up.
    TakenOver {
        /// The environment.
        environment: String,
        /// The deploy.
        deploy: DeployId,
        /// The release that it makes current.
        release: ReleaseId,
        /// Whether it is given up.
        is_aborted: bool,
        /// Who asked for it.
        by: String,
    },
    /// A step was started.
    StepStarted {
        /// Where the deploy is going.
        direction: Direction,
        /// What the step is part of.
        phase: Phase,
        /// The step.
        step: Step,
        /// Why it is done.
        reason: Reason,
    },
    /// A step has news, such as a measurement.
    Progress {
        /// The step.
        step: Step,
        /// One line for people.
        text: String,
    },
    /// A step has ended.
    StepEnded {
        /// What the step is part of.
        phase: Phase,
        /// The step.
        step: Step,
        /// How it ended.
        outcome: StepOutcome,
        /// How long it took, in milliseconds.
        took: u64,
    },
    /// Something is not as it should be, and the deploy goes on.
    Warning {
        /// What, one line.
        text: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The user asked the deploy to stop.
    Stopping {
        /// What it does now, one line.
        text: String,
    },
    /// The deploy has ended.
    Ended {
        /// The exit status.
        status: u8,
        /// How it ended.
        ending: Ending,
        /// What serves now, one line.
        serving: String,
        /// The release that serves now, if it is certain.
        release: Option<ReleaseId>,
        /// Why it ended so, one line.
        reason: String,
        /// What is left for people to do or to know.
        left: Vec<String>,
        /// The next command to type.
        next: String,
        /// How long it took, in milliseconds.
        took: u64,
    },
    /// Nothing had to be done.
    Unchanged {
        /// The release that is current.
        release: ReleaseId,
    },
    /// The process leaves although the deploy has not ended.
    Left {
        /// The next command to type.
        next: String,
    },
}

impl DeployNews {
    /// Returns the event for the end of a deploy of an environment.
    pub fn ended(end: &End, environment: &str, took: u64) -> Self {
        let next = match end.ending {
            Ending::Succeeded => format!("xtask rollback --env {environment}"),
            Ending::RolledBack | Ending::Unchanged => format!("xtask deploy --env {environment}"),
            Ending::NeedsAttention => format!("xtask status --env {environment}"),
        };
        Self::Ended {
            status: end.status,
            ending: end.ending,
            serving: end.serving.to_string(),
            release: end.serving.release().cloned(),
            reason: end.reason.clone(),
            left: end.left.clone(),
            next,
            took,
        }
    }
}
