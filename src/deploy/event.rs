//! The events of a deploy, from which reporters make lines and JSON. It must not know how they are shown.

use serde::{Deserialize, Serialize};

use crate::base::clock::Timestamp;
use crate::deploy::analysis::Measurement;
use crate::deploy::impact::Impact;
use crate::deploy::lease::DeployId;
use crate::deploy::machine::{Direction, End};
use crate::deploy::plan::{Goal, Phase, Plan, Reason};
use crate::deploy::record::Ending;
use crate::deploy::release::ReleaseId;
use crate::deploy::step::{Step, StepOutcome};

/// The version of the format, in the first event of each command.
pub const VERSION: u32 = 1;

/// Something that happened in a deploy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeployEvent {
    /// Milliseconds since the start of the program.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: DeployNews,
}

/// A command that changes an environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Makes the release of a commit current.
    Deploy,
    /// Shows the plan of a deploy or a rollback.
    Plan,
    /// Makes the artifacts of a deploy and shows its plan.
    Prepare,
    /// Continues a deploy.
    Resume,
    /// Gives a deploy up.
    Abort,
    /// Makes an earlier release current again.
    Rollback,
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DeployNews {
    /// A command has started. This is always the first event.
    CommandStarted {
        /// The version of the format.
        version: u32,
        /// The id of the record, which `xtask log` shows.
        id: String,
        /// The command.
        command: Command,
        /// The environment.
        environment: String,
        /// When, by the clock of this machine.
        started: Timestamp,
    },
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
        /// The commit of the release.
        commit: String,
        /// The number of steps of its way forward.
        steps: usize,
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
        /// The release that was current before.
        previous: Option<ReleaseId>,
        /// The commit of the release.
        commit: String,
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
        /// How long it takes, or may take, in milliseconds; `None`: that is not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        up_to: Option<u64>,
    },
    /// The traffic of a slot was judged. Figures count from the start of the step.
    Measured {
        /// The step.
        step: Step,
        /// What was measured.
        measurement: Measurement,
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
        /// The environment.
        environment: String,
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
        /// What it meant for the users of the environment.
        impact: Impact,
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
    /// The command could not begin, and nothing was changed.
    Refused {
        /// The exit status.
        status: u8,
        /// Why, one line.
        reason: String,
        /// What to do, if anything can be done.
        hint: Option<String>,
    },
}

impl DeployNews {
    /// Returns the event for the end of a deploy of an environment. `can_go_back` says whether its release
    /// has an earlier one to go back to.
    pub fn ended(
        end: &End,
        environment: &str,
        goal: Goal,
        can_go_back: bool,
        took: u64,
        impact: Impact,
    ) -> Self {
        let next = match end.ending {
            // A deploy of what is checked out now is not what somebody needs whose rollback failed.
            Ending::RolledBack | Ending::Unchanged if goal == Goal::Rollback => {
                format!("xtask status --env {environment}")
            }
            Ending::Succeeded if can_go_back => format!("xtask rollback --env {environment}"),
            Ending::RolledBack | Ending::Unchanged => format!("xtask deploy --env {environment}"),
            Ending::Succeeded | Ending::NeedsAttention => format!("xtask status --env {environment}"),
        };
        Self::Ended {
            status: end.status,
            environment: environment.to_owned(),
            ending: end.ending,
            serving: end.serving.to_string(),
            release: end.serving.release().cloned(),
            reason: end.reason.clone(),
            left: end.left.clone(),
            next,
            took,
            impact,
        }
    }
}
