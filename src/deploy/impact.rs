//! What a deploy means for the users of an environment: how long a role did not serve, how many requests were
//! judged, and how long it took to go back. It must not know how that is measured, nor how it is shown.

use serde::{Deserialize, Serialize};

use crate::deploy::analysis::Measurement;
use crate::deploy::step::Step;

/// What a deploy meant for the users of an environment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Impact {
    /// How long roles without a router did not serve.
    pub downtime: Vec<Downtime>,
    /// The last measurement of each step that judged requests, in the order of the steps.
    pub measured: Vec<MeasuredStep>,
    /// How long the way back took, in milliseconds; `None`: the deploy did not go back.
    pub going_back: Option<u64>,
}

/// The time in which a role did not serve on a host: from the moment when its processes were told to stop until
/// a health check succeeded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Downtime {
    /// The role.
    pub role: String,
    /// The host.
    pub host: String,
    /// How long, in milliseconds.
    pub took: u64,
    /// Whether it is still down.
    pub goes_on: bool,
    /// Whether it was stopped before this command began, so that `took` is only the part since then.
    pub is_partial: bool,
}

/// What was measured by a step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MeasuredStep {
    /// The step.
    pub step: Step,
    /// What was measured until its end.
    pub measurement: Measurement,
}
