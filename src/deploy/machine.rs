//! The state of a deploy: which steps come next, and how it ends. It must not know how steps are carried out.
//!
//! A deploy goes forward until a step before [`Step::Commit`] fails; then it goes back. After
//! [`Step::Commit`] it only goes forward, and what fails there needs attention. The state follows from the plan
//! and the records alone, so another process can take over at any time: a step without an outcome is done again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::deploy::plan::{Goal, Phase, Plan, PlannedStep, Reason, SchemaLeft, UndoStep};
use crate::deploy::record::{Ending, Record, What};
use crate::deploy::release::ReleaseId;
use crate::deploy::step::{Step, StepOutcome};

/// A deploy in progress.
#[derive(Clone, Debug)]
pub struct Machine {
    plan: Plan,
    /// The progress of each step of the plan's groups.
    forward: Vec<Vec<Progress>>,
    /// The progress of each step of the way back.
    back: Vec<Vec<Progress>>,
    /// Who aborted it.
    aborted_by: Option<String>,
    /// Who has taken over, for people.
    superseded_by: Option<String>,
}

/// What is known of a step.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// Whether it was begun, by any process.
    is_attempted: bool,
    /// Whether this process has begun it and knows no outcome.
    is_in_flight: bool,
    outcome: Option<StepOutcome>,
}

impl Progress {
    fn is_done(&self) -> bool {
        self.outcome == Some(StepOutcome::Done)
    }

    fn begin(&mut self) {
        self.is_attempted = true;
        self.is_in_flight = true;
    }

    fn end(&mut self, outcome: StepOutcome) {
        self.is_attempted = true;
        self.is_in_flight = false;
        // The outcome of an order that was refused is that of the process that has taken over.
        self.outcome = (!matches!(outcome, StepOutcome::Superseded { .. })).then_some(outcome);
    }

    /// Forgets all but success, so that the step is done again.
    fn retry(&mut self) {
        self.is_in_flight = false;
        if !self.is_done() {
            self.outcome = None;
        }
    }
}

/// Where a deploy is going.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the new release.
    Forward,
    /// Back to the release of before.
    Back,
    /// The release is current; what is left is cleaning up.
    CleanUp,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// These steps are done, at once if there are several.
    Run {
        /// Where the deploy is going.
        direction: Direction,
        /// What the steps are, for people.
        phase: Phase,
        /// The steps, each with its reason.
        steps: Vec<(Step, Reason)>,
    },
    /// The deploy has ended.
    Ended(End),
}

/// What serves after a deploy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Serving {
    /// This release, whole.
    Release(ReleaseId),
    /// Nothing: no release was current before.
    Nothing,
    /// What ran before and is no release.
    Unmanaged,
    /// It is not certain.
    Uncertain,
}

impl Serving {
    /// Returns the release, for the record.
    pub fn release(&self) -> Option<&ReleaseId> {
        match self {
            Self::Release(release) => Some(release),
            _ => None,
        }
    }
}

impl std::fmt::Display for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Release(release) => write!(f, "{release} serves"),
            Self::Nothing => f.write_str("nothing serves"),
            Self::Unmanaged => f.write_str("what ran before still serves; no release is current"),
            Self::Uncertain => f.write_str("what serves is not certain"),
        }
    }
}

/// How a deploy ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// How.
    pub ending: Ending,
    /// The exit status.
    pub status: u8,
    /// What serves now.
    pub serving: Serving,
    /// Why it ended so, one line.
    pub reason: String,
    /// What is left for people to do or to know, one line each.
    pub left: Vec<String>,
}

impl End {
    /// Returns the record of it.
    pub fn record(&self) -> What {
        let serving = self.serving.release().cloned();
        What::Ended { ending: self.ending, serving, reason: self.reason.clone() }
    }
}

impl Machine {
    /// Returns a deploy that has not begun.
    pub fn new(plan: Plan) -> Self {
        let forward = plan.groups.iter().map(|group| vec![Progress::default(); group.steps.len()]).collect();
        let back = plan.undo.iter().map(|group| vec![Progress::default(); group.steps.len()]).collect();
        Self { plan, forward, back, aborted_by: None, superseded_by: None }
    }

    /// Returns a deploy in the state that its records describe.
    pub fn from_records(plan: Plan, records: &[Record]) -> Self {
        let mut machine = Self::new(plan);
        for record in records {
            machine.apply_record(&record.what);
        }
        machine
    }

    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Moves on by a record. Steps that the plan does not contain are ignored.
    pub fn apply_record(&mut self, what: &What) {
        match what {
            What::Intent { step } => {
                if let Some(progress) = self.find(step) {
                    progress.begin();
                }
            }
            What::Outcome { step, outcome } => self.apply(step, outcome.clone()),
            What::Resumed { .. } => self.retry(),
            What::Aborted { by } => {
                self.retry();
                if !self.is_committed() {
                    self.aborted_by.get_or_insert_with(|| by.clone());
                }
            }
            What::Started { .. } | What::Ended { .. } | What::Frozen { .. } | What::Unfrozen { .. } => {}
        }
    }

    /// Moves on by the outcome of a step.
    pub fn apply(&mut self, step: &Step, outcome: StepOutcome) {
        if let StepOutcome::Superseded { by } = &outcome {
            let by = by.as_ref().map_or_else(|| "another deploy".to_owned(), |by| format!("deploy {by}"));
            self.superseded_by.get_or_insert(by);
        }
        if let Some(progress) = self.find(step) {
            progress.end(outcome);
        }
    }

    /// Returns what comes next. It is asked again after each of the returned steps has its outcome.
    pub fn next_steps(&mut self) -> Next {
        if self.superseded_by.is_some() || self.is_commit_unknown() {
            return Next::Ended(self.end());
        }
        let direction = self.direction();
        let (groups, ready): (&mut Vec<Vec<Progress>>, _) = match direction {
            Direction::Back => {
                let ready = self.ready_back();
                (&mut self.back, ready)
            }
            Direction::Forward | Direction::CleanUp => {
                let ready = self.ready_forward();
                (&mut self.forward, ready)
            }
        };
        let Some((group, indexes)) = ready else { return Next::Ended(self.end()) };
        for index in &indexes {
            groups[group][*index].begin();
        }
        let (phase, steps) = match direction {
            Direction::Back => {
                let undo = &self.plan.undo[group];
                let step = |index: usize| (undo.steps[index].step.clone(), undo.steps[index].reason.clone());
                (undo.phase, indexes.into_iter().map(step).collect())
            }
            Direction::Forward | Direction::CleanUp => {
                let plan = &self.plan.groups[group];
                let step = |index: usize| (plan.steps[index].step.clone(), plan.steps[index].reason.clone());
                (plan.phase, indexes.into_iter().map(step).collect())
            }
        };
        Next::Run { direction, phase, steps }
    }

    /// Returns whether the release was made current.
    pub fn is_committed(&self) -> bool {
        self.commit().is_done()
    }

    /// Returns whether the deploy goes on to its release, if nothing else fails.
    pub fn is_going_forward(&self) -> bool {
        self.direction() != Direction::Back
    }

    /// Returns the progress that a record is about: that of a step in flight, else the first in the direction
    /// of the deploy that was not done.
    fn find(&mut self, step: &Step) -> Option<&mut Progress> {
        let direction = self.direction();
        let planned = self.plan.groups.iter().map(|group| group.steps.iter().map(|one| &one.step).collect());
        let forward = matching(planned, step);
        let undo = self.plan.undo.iter().map(|group| group.steps.iter().map(|one| &one.step).collect());
        let back = matching(undo, step);
        let in_flight =
            |all: &[Vec<Progress>], (group, index): &(usize, usize)| all[*group][*index].is_in_flight;
        let found = if let Some(at) = forward.iter().find(|at| in_flight(&self.forward, at)) {
            (&mut self.forward, *at)
        } else if let Some(at) = back.iter().find(|at| in_flight(&self.back, at)) {
            (&mut self.back, *at)
        } else if direction == Direction::Back {
            let at = back.into_iter().find(|(group, index)| !self.back[*group][*index].is_done())?;
            (&mut self.back, at)
        } else {
            let at = forward.into_iter().find(|(group, index)| !self.forward[*group][*index].is_done())?;
            (&mut self.forward, at)
        };
        let (all, (group, index)) = found;
        all.get_mut(group)?.get_mut(index)
    }

    /// Prepares for another process: what has no outcome is done again, and also what failed on the way back
    /// or after the commit. On the way forward, slots are started and checked again and the last weights are
    /// set again: meanwhile, hosts may have been rebooted, and a router may have restored its former weights.
    fn retry(&mut self) {
        self.superseded_by = None;
        if self.direction() == Direction::Forward {
            self.forget_what_may_be_gone();
        }
        let commit = self.commit_group();
        for (group, all) in self.forward.iter_mut().enumerate() {
            for progress in all {
                let has_failed = matches!(
                    progress.outcome,
                    Some(
                        StepOutcome::Failed { .. }
                            | StepOutcome::Unreachable { .. }
                            | StepOutcome::Interrupted
                    )
                );
                let is_unknown_commit =
                    group == commit && matches!(progress.outcome, Some(StepOutcome::Unreachable { .. }));
                if group < commit && has_failed || group == commit && has_failed && !is_unknown_commit {
                    progress.is_in_flight = false;
                } else {
                    progress.retry();
                }
            }
        }
        self.back.iter_mut().flatten().for_each(Progress::retry);
    }

    fn forget_what_may_be_gone(&mut self) {
        let mut shifted = BTreeSet::new();
        let groups = self.plan.groups.iter().zip(&mut self.forward).rev();
        for (step, progress) in groups.flat_map(|(group, all)| group.steps.iter().zip(all)) {
            let may_be_gone = match &step.step {
                Step::Start { .. } => true,
                Step::Shift { role, .. } => progress.is_done() && shifted.insert(role.as_str()),
                _ => false,
            };
            if may_be_gone && progress.is_done() {
                progress.outcome = None;
            }
        }
    }

    fn commit_group(&self) -> usize {
        let is_commit = |step: &PlannedStep| matches!(step.step, Step::Commit { .. });
        let group = self.plan.groups.iter().position(|group| group.steps.iter().any(is_commit));
        group.unwrap_or(self.plan.groups.len())
    }

    fn commit(&self) -> Progress {
        let group = self.forward.get(self.commit_group());
        group.and_then(|group| group.first()).cloned().unwrap_or_default()
    }

    /// Returns whether nobody knows if the release was recorded as current. It has all requests by then, so
    /// going back would be wrong.
    fn is_commit_unknown(&self) -> bool {
        matches!(self.commit().outcome, Some(StepOutcome::Unreachable { .. }))
    }

    fn direction(&self) -> Direction {
        if self.is_committed() {
            Direction::CleanUp
        } else if self.aborted_by.is_some() || self.failure().is_some() {
            Direction::Back
        } else {
            Direction::Forward
        }
    }

    /// Returns the first step that turned the deploy back, with its outcome.
    fn failure(&self) -> Option<(&Step, &StepOutcome)> {
        let commit = self.commit_group();
        let groups = self.plan.groups.iter().zip(&self.forward).enumerate();
        let steps = groups.flat_map(|(number, (group, all))| {
            group.steps.iter().zip(all).map(move |(step, progress)| (number, &step.step, progress))
        });
        steps.filter(|(number, ..)| *number <= commit).find_map(|(number, step, progress)| {
            match progress.outcome.as_ref()? {
                StepOutcome::Done | StepOutcome::Superseded { .. } => None,
                // That may have succeeded.
                StepOutcome::Unreachable { .. } if number == commit => None,
                outcome => Some((step, outcome)),
            }
        })
    }

    /// Returns the steps that come next on the way forward, by the number of their group.
    fn ready_forward(&self) -> Option<(usize, Vec<usize>)> {
        let commit = self.commit_group();
        let is_stopped = |group: usize| {
            group > commit
                && self.forward[commit + 1..]
                    .iter()
                    .flatten()
                    .any(|progress| progress.outcome == Some(StepOutcome::Interrupted))
        };
        (0..self.forward.len()).filter(|group| !is_stopped(*group)).find_map(|group| {
            let steps = &self.plan.groups[group].steps;
            let is_ready = |index: &usize| {
                self.forward[group][*index].outcome.is_none() && self.has_needs(&steps[*index])
            };
            let ready: Vec<_> = (0..steps.len()).filter(is_ready).collect();
            (!ready.is_empty()).then_some((group, ready))
        })
    }

    fn has_needs(&self, step: &PlannedStep) -> bool {
        step.needs.iter().all(|needed| {
            let commit = self.commit_group();
            let after = self.plan.groups.iter().zip(&self.forward).skip(commit + 1);
            let mut steps = after.flat_map(|(group, all)| group.steps.iter().zip(all));
            steps.any(|(step, progress)| step.step == *needed && progress.is_done())
        })
    }

    /// Returns the steps that come next on the way back, by the number of their group.
    fn ready_back(&self) -> Option<(usize, Vec<usize>)> {
        (0..self.back.len()).find_map(|group| {
            let steps = &self.plan.undo[group].steps;
            let is_ready = |index: &usize| {
                self.back[group][*index].outcome.is_none()
                    && self.is_necessary(&steps[*index])
                    && self.is_allowed(&steps[*index])
            };
            let ready: Vec<_> = (0..steps.len()).filter(is_ready).collect();
            (!ready.is_empty()).then_some((group, ready))
        })
    }

    fn was_attempted(&self, step: &Step) -> bool {
        self.attempted().any(|attempted| attempted == step)
    }

    fn attempted(&self) -> impl Iterator<Item = &Step> {
        let groups = self.plan.groups.iter().zip(&self.forward);
        let steps = groups.flat_map(|(group, all)| group.steps.iter().zip(all));
        steps.filter(|(_, progress)| progress.is_attempted).map(|(step, _)| &step.step)
    }

    fn is_necessary(&self, step: &UndoStep) -> bool {
        step.undoes.iter().any(|undone| self.was_attempted(undone))
    }

    /// Returns whether all that must come before a step of the way back was done or is not necessary.
    fn is_allowed(&self, step: &UndoStep) -> bool {
        step.needs.iter().all(|needed| {
            let mut same = self.undo_steps().filter(|(undo, _)| undo.step == *needed);
            same.all(|(undo, progress)| progress.is_done() || !self.is_necessary(undo))
        })
    }

    fn undo_steps(&self) -> impl Iterator<Item = (&UndoStep, &Progress)> {
        self.plan.undo.iter().zip(&self.back).flat_map(|(group, all)| group.steps.iter().zip(all))
    }

    fn end(&self) -> End {
        if let Some(by) = &self.superseded_by {
            return End {
                ending: Ending::NeedsAttention,
                status: 7,
                serving: Serving::Uncertain,
                reason: format!("{by} has taken over"),
                left: vec!["nothing more was changed since".to_owned()],
            };
        }
        match self.direction() {
            Direction::Back => self.end_back(),
            Direction::Forward | Direction::CleanUp => self.end_forward(),
        }
    }

    /// Says how a deploy ended that made its release current, or nearly so.
    fn end_forward(&self) -> End {
        let release = &self.plan.release;
        let mut left = Vec::new();
        if let (Some(StepOutcome::Unreachable { .. }), Some(step)) =
            (self.commit().outcome, self.commit_step())
        {
            left.extend(self.commit().outcome.as_ref().and_then(|outcome| failed_line(step, outcome)));
            return End {
                ending: Ending::NeedsAttention,
                status: 7,
                serving: Serving::Release(release.clone()),
                reason: format!("{release} serves, but it may not be recorded as the current release"),
                left,
            };
        }
        let commit = self.commit_group();
        let after = self.plan.groups.iter().zip(&self.forward).skip(commit + 1);
        for (step, progress) in after.flat_map(|(group, all)| group.steps.iter().zip(all)) {
            match &progress.outcome {
                Some(StepOutcome::Done) => {}
                Some(outcome) => left.extend(failed_line(&step.step, outcome)),
                None => left.push(format!("{}: not done", step.step)),
            }
        }
        for (role, host) in self.plan.left_out() {
            left.push(format!("{role} on {host}: was left out, since it could not be reached"));
        }
        if left.is_empty() {
            return End {
                ending: Ending::Succeeded,
                status: 0,
                serving: Serving::Release(release.clone()),
                reason: format!("{release} is current"),
                left,
            };
        }
        End {
            ending: Ending::NeedsAttention,
            status: 7,
            serving: Serving::Release(release.clone()),
            reason: format!("{release} is current, but not everything is in order"),
            left,
        }
    }

    fn commit_step(&self) -> Option<&Step> {
        self.plan.groups.get(self.commit_group())?.steps.first().map(|step| &step.step)
    }

    /// Says how a deploy ended that went back.
    fn end_back(&self) -> End {
        let mut left = Vec::new();
        let mut is_certain = true;
        for (undo, progress) in self.undo_steps().filter(|(undo, _)| self.is_necessary(undo)) {
            match &progress.outcome {
                Some(StepOutcome::Done) => continue,
                Some(outcome) => left.extend(failed_line(&undo.step, outcome)),
                None => left.push(format!("{}: not done", undo.step)),
            }
            let decides = matches!(undo.step, Step::Shift { .. } | Step::Start { .. });
            // Without a release of before, nothing serves only once the new one is stopped.
            let decides = decides || self.plan.previous.is_none() && matches!(undo.step, Step::Stop { .. });
            is_certain &= !decides;
        }
        // Weights that could not be repaired may still be wrong.
        let groups = self.plan.groups.iter().zip(&self.forward);
        let repairs = groups.filter(|(group, _)| group.phase == Phase::Repair);
        for (step, progress) in repairs.flat_map(|(group, all)| group.steps.iter().zip(all)) {
            if !progress.is_done() && !self.is_shifted_back(&step.step) {
                is_certain = false;
                left.push(format!("{}: not done", step.step));
            }
        }
        let needs_attention = !left.is_empty();
        if self.was_attempted(&Step::Expand) {
            let is_revert = |undo: &UndoStep| undo.step == Step::Revert;
            let revert = self.undo_steps().find(|(undo, _)| is_revert(undo));
            match self.plan.schema_left {
                None if revert.is_some_and(|(_, progress)| progress.is_done()) => {
                    left.push("the database schema was reverted".to_owned());
                }
                None => left.push("the database schema may still be expanded".to_owned()),
                Some(SchemaLeft::NoRevert) => {
                    left.push("the database schema stays expanded: there is no `revert`".to_owned());
                }
                Some(SchemaLeft::Irreversible) => {
                    left.push(
                        "the database schema stays expanded: the migrations are irreversible".to_owned(),
                    );
                }
            }
        }
        let is_unchanged = self.attempted().all(|step| matches!(step, Step::Deliver { .. } | Step::Rehearse));
        let is_abort = self.failure().is_none();
        let ending = match (needs_attention, is_unchanged) {
            (true, _) => Ending::NeedsAttention,
            (false, true) => Ending::Unchanged,
            (false, false) => Ending::RolledBack,
        };
        let status = match ending {
            Ending::NeedsAttention => 7,
            _ if is_abort => 0,
            Ending::Unchanged if self.failure().is_some_and(is_failed_delivery) => 5,
            _ => 1,
        };
        let serving = match &self.plan.previous {
            _ if !is_certain => Serving::Uncertain,
            Some(previous) => Serving::Release(previous.clone()),
            None if self.plan.goal == Goal::Adopt => Serving::Unmanaged,
            None => Serving::Nothing,
        };
        End { ending, status, serving, reason: self.reason_back(), left }
    }

    /// Returns whether the way back has set the weights that a step sets.
    fn is_shifted_back(&self, step: &Step) -> bool {
        self.undo_steps().any(|(undo, progress)| undo.step == *step && progress.is_done())
    }

    fn reason_back(&self) -> String {
        let failure = self.failure().and_then(|(step, outcome)| failed_line(step, outcome));
        match (failure, &self.aborted_by) {
            (Some(failure), _) => failure,
            (None, Some(by)) => format!("aborted by {by}"),
            (None, None) => "it was given up".to_owned(),
        }
    }
}

/// Returns whether a failure means that the artifacts could not be brought to the target.
fn is_failed_delivery((step, outcome): (&Step, &StepOutcome)) -> bool {
    let is_about_connection = matches!(outcome, StepOutcome::Unreachable { .. });
    is_about_connection || matches!((step, outcome), (Step::Deliver { .. }, StepOutcome::Failed { .. }))
}

/// Says how a step failed; `None`: it did not.
fn failed_line(step: &Step, outcome: &StepOutcome) -> Option<String> {
    Some(match outcome {
        StepOutcome::Done => return None,
        StepOutcome::Failed { reason } => format!("{step}: failed: {reason}"),
        StepOutcome::Unreachable { host, reason } => format!("{step}: {host} can't be reached: {reason}"),
        StepOutcome::Superseded { .. } => format!("{step}: refused, since another deploy has taken over"),
        StepOutcome::Interrupted => format!("{step}: interrupted"),
    })
}

/// Returns where a step is, as the numbers of its group and in it.
fn matching<'a>(groups: impl Iterator<Item = Vec<&'a Step>>, step: &Step) -> Vec<(usize, usize)> {
    let all = groups.enumerate().flat_map(|(group, steps)| {
        steps.into_iter().enumerate().map(move |(index, one)| (group, index, one))
    });
    all.filter(|(_, _, one)| *one == step).map(|(group, index, _)| (group, index)).collect()
}
