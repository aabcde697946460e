//! Measures what a deploy means for the users of an environment, by its events. It must not know how that is shown.

use std::collections::{BTreeMap, BTreeSet};

use crate::deploy::event::DeployNews;
use crate::deploy::impact::{Downtime, Impact, MeasuredStep};
use crate::deploy::machine::Direction;
use crate::deploy::plan::{Phase, Reason};
use crate::deploy::step::{Instance, Step, StepOutcome};

/// Watches the events of a deploy. Times are in milliseconds since the same moment.
#[derive(Clone, Debug, Default)]
pub struct ImpactMeter {
    /// When this process continued the deploy of another one, before which a release served.
    resumed: Option<u64>,
    /// The instances that are replaced, and so are down whenever they are stopped.
    replaced: BTreeSet<(String, String)>,
    /// The instances that are down, since when, and whether since before this command.
    down: BTreeMap<(String, String), (u64, bool)>,
    /// The time for which instances were down, and whether part of it is missing.
    past: BTreeMap<(String, String), (u64, bool)>,
    measured: Vec<MeasuredStep>,
    back_since: Option<u64>,
}

impl ImpactMeter {
    /// Creates a meter for the rest of a deploy that another process has begun, and before which a release
    /// served.
    pub fn resumed(at: u64) -> Self {
        Self { resumed: Some(at), ..Self::default() }
    }

    /// Updates the meter with the next event.
    pub fn apply(&mut self, at: u64, news: &DeployNews) {
        match news {
            DeployNews::StepStarted { direction, phase, step, reason, .. } => {
                if *direction == Direction::Back {
                    self.back_since.get_or_insert(at);
                }
                // What is no longer part of the environment has no downtime.
                if !matches!(reason, Reason::HostRemoved | Reason::RoleRemoved) {
                    self.step_started(at, *phase, step);
                }
            }
            DeployNews::StepEnded { step: Step::Start { on, .. }, outcome: StepOutcome::Done, .. } => {
                if let Some((since, is_partial)) = self.down.remove(&instance(on)) {
                    let past = self.past.entry(instance(on)).or_default();
                    past.0 += at.saturating_sub(since);
                    past.1 |= is_partial;
                }
            }
            DeployNews::Measured { step, measurement } => {
                let new = MeasuredStep { step: step.clone(), measurement: measurement.clone() };
                match self.measured.iter_mut().find(|known| known.step == *step) {
                    Some(known) => *known = new,
                    None => self.measured.push(new),
                }
            }
            _ => {}
        }
    }

    fn step_started(&mut self, at: u64, phase: Phase, step: &Step) {
        match step {
            Step::Stop { on } => {
                if phase == Phase::Replace {
                    self.replaced.insert(instance(on));
                }
                if self.replaced.contains(&instance(on)) {
                    self.down.entry(instance(on)).or_insert((at, false));
                }
            }
            // What is started there was stopped by the process before.
            Step::Start { on, .. }
                if matches!(phase, Phase::Replace | Phase::Undo)
                    && !self.replaced.contains(&instance(on)) =>
            {
                if let Some(resumed) = self.resumed {
                    self.replaced.insert(instance(on));
                    self.down.insert(instance(on), (resumed, true));
                }
            }
            _ => {}
        }
    }

    /// Returns what the deploy meant until a moment.
    pub fn impact(&self, at: u64) -> Impact {
        let mut times = self.past.clone();
        for (key, (since, is_partial)) in &self.down {
            let time = times.entry(key.clone()).or_default();
            time.0 += at.saturating_sub(*since);
            time.1 |= is_partial;
        }
        let downtime = times.into_iter().map(|(key, (took, is_partial))| {
            let goes_on = self.down.contains_key(&key);
            let (role, host) = key;
            Downtime { role, host, took, goes_on, is_partial }
        });
        Impact {
            downtime: downtime.collect(),
            measured: self.measured.clone(),
            going_back: self.back_since.map(|since| at.saturating_sub(since)),
        }
    }
}

fn instance(on: &Instance) -> (String, String) {
    (on.role.clone(), on.host.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::release::{ReleaseId, Slot};

    fn on(slot: Slot) -> Instance {
        Instance { role: "worker".to_owned(), host: "w1".to_owned(), slot }
    }

    fn started(direction: Direction, phase: Phase, step: Step) -> DeployNews {
        DeployNews::StepStarted { direction, phase, step, reason: Reason::StopsFirst, up_to: None }
    }

    fn ended(phase: Phase, step: Step, outcome: StepOutcome) -> DeployNews {
        DeployNews::StepEnded { phase, step, outcome, took: 0 }
    }

    fn start(slot: Slot) -> Step {
        Step::Start { on: on(slot), release: ReleaseId("1-a".to_owned()) }
    }

    fn downtimes(events: &[(u64, DeployNews)], at: u64) -> (Vec<(u64, bool, bool)>, Option<u64>) {
        downtimes_from(ImpactMeter::default(), events, at)
    }

    fn downtimes_from(
        mut meter: ImpactMeter,
        events: &[(u64, DeployNews)],
        at: u64,
    ) -> (Vec<(u64, bool, bool)>, Option<u64>) {
        for (at, news) in events {
            meter.apply(*at, news);
        }
        let impact = meter.impact(at);
        let times = impact.downtime.iter().map(|down| (down.took, down.goes_on, down.is_partial));
        (times.collect(), impact.going_back)
    }

    const FORWARD: Direction = Direction::Forward;
    const BACK: Direction = Direction::Back;

    #[test]
    fn downtime_is_from_the_stop_to_the_successful_health_check() {
        let stop = Step::Stop { on: on(Slot::Blue) };
        let mut events = vec![
            (100, started(FORWARD, Phase::Replace, stop.clone())),
            (150, ended(Phase::Replace, stop, StepOutcome::Done)),
            (150, started(FORWARD, Phase::Replace, start(Slot::Green))),
        ];
        assert_eq!(downtimes(&events, 400), (vec![(300, true, false)], None));
        events.push((350, ended(Phase::Replace, start(Slot::Green), StepOutcome::Done)));
        assert_eq!(downtimes(&events, 400), (vec![(250, false, false)], None));
    }

    #[test]
    fn failed_start_is_down_until_the_old_one_serves_again() {
        let failed = StepOutcome::Failed { reason: "red".to_owned() };
        let events = [
            (100, started(FORWARD, Phase::Replace, Step::Stop { on: on(Slot::Blue) })),
            (150, started(FORWARD, Phase::Replace, start(Slot::Green))),
            (200, ended(Phase::Replace, start(Slot::Green), failed)),
            (210, started(BACK, Phase::Undo, Step::Stop { on: on(Slot::Green) })),
            (220, started(BACK, Phase::Undo, start(Slot::Blue))),
            (260, ended(Phase::Undo, start(Slot::Blue), StepOutcome::Done)),
        ];
        assert_eq!(downtimes(&events, 300), (vec![(160, false, false)], Some(90)));
    }

    #[test]
    fn replaced_role_that_goes_back_is_down_twice() {
        let events = [
            (100, started(FORWARD, Phase::Replace, Step::Stop { on: on(Slot::Blue) })),
            (110, ended(Phase::Replace, start(Slot::Green), StepOutcome::Done)),
            (200, started(BACK, Phase::Undo, Step::Stop { on: on(Slot::Green) })),
            (205, ended(Phase::Undo, start(Slot::Blue), StepOutcome::Done)),
        ];
        assert_eq!(downtimes(&events, 205).0, [(15, false, false)]);
    }

    #[test]
    fn slot_beside_the_serving_one_has_no_downtime() {
        let events = [
            (1, started(FORWARD, Phase::Start, start(Slot::Green))),
            (2, ended(Phase::Start, start(Slot::Green), StepOutcome::Done)),
            (3, started(FORWARD, Phase::StopOld, Step::Stop { on: on(Slot::Blue) })),
            (9, started(BACK, Phase::Undo, Step::Stop { on: on(Slot::Green) })),
        ];
        assert!(downtimes(&events, 10).0.is_empty());
    }

    #[test]
    fn stop_by_the_process_before_is_counted_from_when_the_deploy_is_resumed() {
        let events = [
            (9, started(FORWARD, Phase::Replace, start(Slot::Green))),
            (20, ended(Phase::Replace, start(Slot::Green), StepOutcome::Done)),
        ];
        assert_eq!(downtimes(&events, 30).0, []);
        assert_eq!(downtimes_from(ImpactMeter::resumed(5), &events, 30).0, [(15, false, true)]);
    }
}
