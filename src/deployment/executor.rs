//! Carries out a deploy: does what the state machine says, and tells it how it went. It must not decide what
//! is done next.
//!
//! Each step is recorded on the target before and after it is done. A thread renews the lease meanwhile. Signals
//! are looked for between the outcomes of steps: the first turns the deploy back, the second ends the process
//! without waiting for anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::config::deploy::{Analysis, Role};
use crate::deploy::analysis::{Measurement, SlotSamples, judge};
use crate::deploy::event::DeployNews;
use crate::deploy::lease::Order;
use crate::deploy::machine::{Direction, End, Machine, Next};
use crate::deploy::plan::{Phase, Reason};
use crate::deploy::record::What;
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::step::{Step, StepOutcome};
use crate::deploy::target::{StepContext, Target, TargetError};

/// How often signals are looked for while steps are carried out.
const POLL: Duration = Duration::from_millis(50);
/// The time between two samples of the traffic.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);
/// After this time without news, a step says again that it is not done.
const WAIT_INTERVAL: Duration = Duration::from_secs(30);

/// What the steps of a deploy need to know.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The release that the deploy makes current.
    pub deployed: &'a Release,
    /// The releases that the steps name.
    pub releases: &'a [Release],
    /// The roles in force.
    pub roles: &'a [Role],
    /// The values of secret variables, by role and name.
    pub secrets: &'a BTreeMap<String, BTreeMap<String, String>>,
}

/// What a deploy is carried out with.
pub struct Executor<'a> {
    /// The target.
    pub target: &'a dyn Target,
    /// The proof that this process has the lease.
    pub order: &'a Order,
    /// How long the lease lasts without being renewed.
    pub lease: Duration,
    /// How many steps are carried out at once.
    pub max_parallel: usize,
    /// What is deployed.
    pub subject: Subject<'a>,
    /// Receives what happens.
    pub emit: &'a (dyn Fn(DeployNews) + Sync),
    /// The clock.
    pub clock: &'a Clock,
}

/// What only the main thread of a deploy does.
pub struct MainThread<'a> {
    /// Runs the smoke tasks against a release.
    pub smoke: &'a dyn Fn(&ReleaseId) -> StepOutcome,
    /// Rehearses the migrations.
    pub rehearse: &'a dyn Fn(&StepControl<'_>) -> StepOutcome,
    /// Returns how often the user asked the deploy to stop so far.
    pub stop_requests: &'a dyn Fn() -> u32,
    /// Returns why what serves must not be changed now; asked before the first shift, or the first role without a
    /// router is replaced.
    pub forbids_shift: &'a dyn Fn() -> Option<String>,
    /// Receives the records that belong into the journal.
    pub journal: &'a dyn Fn(&What),
}

/// How a step that the main thread carries out hears of the user, and is heard.
pub struct StepControl<'a> {
    /// Returns whether the deploy was asked to stop. It is to be asked often.
    pub is_stopped: &'a dyn Fn() -> bool,
    /// Is called with one line for people whenever there is news.
    pub progress: &'a dyn Fn(&str),
}

/// How carrying out a deploy ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Executed {
    /// The deploy has ended.
    Ended(End),
    /// The user did not want to wait for the end. Another process can continue.
    Left,
}

/// Another deploy has taken over.
#[derive(Clone, Debug)]
struct Takeover {
    /// The deploy, if it is known.
    by: Option<String>,
}

/// What all threads of a deploy know.
#[derive(Default)]
struct Shared {
    stop_requests: AtomicU32,
    superseded: Mutex<Option<Takeover>>,
    /// The steps that are carried out, for the lines of those that take long.
    running: Mutex<Vec<RunningStep>>,
    /// Whether the user knows that records can't be written.
    has_warned: AtomicBool,
}

impl Shared {
    fn supersede(&self, by: Option<String>) {
        self.superseded.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(Takeover { by });
    }

    /// Returns how a step ends that is not carried out; `None`: it is carried out.
    fn obstacle(&self, direction: Direction) -> Option<StepOutcome> {
        if let Some(Takeover { by }) = self.superseded.lock().unwrap_or_else(PoisonError::into_inner).clone()
        {
            return Some(StepOutcome::Superseded { by });
        }
        let requests = self.stop_requests.load(Ordering::Relaxed);
        // The way back is not stopped by the request that began it.
        let is_stopped = requests > 1 || requests == 1 && direction != Direction::Back;
        is_stopped.then_some(StepOutcome::Interrupted)
    }

    fn is_superseded(&self) -> bool {
        self.superseded.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn is_leaving(&self) -> bool {
        self.stop_requests.load(Ordering::Relaxed) > 1
    }
}

/// A step that is carried out, and its last news.
struct RunningStep {
    step: Step,
    /// The last line for people.
    text: String,
    /// When there was news.
    heard: Duration,
}

/// A step that is carried out, with what it is part of.
#[derive(Clone, Copy)]
struct CurrentStep<'a> {
    direction: Direction,
    phase: Phase,
    step: &'a Step,
    reason: &'a Reason,
}

impl Executor<'_> {
    /// Carries a deploy out until it ends, records the end and gives the lease back.
    pub fn run(&self, machine: &mut Machine, main: &MainThread<'_>) -> Executed {
        let shared = Shared::default();
        let executed = thread::scope(|scope| {
            let (running, ended) = channel::<()>();
            let shared = &shared;
            scope.spawn(move || self.keep_lease(&ended, shared));
            let executed = self.run_groups(machine, main, shared);
            drop(running);
            executed
        });
        match &executed {
            Executed::Ended(_) if shared.is_superseded() => {}
            Executed::Ended(end) => self.finish(end, main),
            // The target ends the lease, so that the next command need not wait, and a guard of the weights acts now.
            Executed::Left => drop(self.target.release(self.order)),
        }
        executed
    }

    fn finish(&self, end: &End, main: &MainThread<'_>) {
        let record = end.record();
        if let Err(error) = self.target.record(self.order, &record) {
            self.warn(format!("the end of the deploy can't be recorded: {error}"));
        }
        (main.journal)(&record);
        if let Err(error) = self.target.release(self.order) {
            self.warn(format!("the lease can't be given back, and expires by itself: {error}"));
        }
    }

    /// Renews the lease until the deploy has ended.
    fn keep_lease(&self, ended: &Receiver<()>, shared: &Shared) {
        let mut has_warned = false;
        // Much time may have gone by since the lease was granted.
        let mut wait = Duration::ZERO;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = self.lease / 3;
            match self.target.renew(self.order) {
                Ok(()) => has_warned = false,
                Err(TargetError::Superseded { by }) => return shared.supersede(by),
                Err(error) if !has_warned => {
                    self.warn(format!("the lease can't be renewed: {error}"));
                    has_warned = true;
                }
                Err(_) => {}
            }
        }
    }

    fn run_groups(&self, machine: &mut Machine, main: &MainThread<'_>, shared: &Shared) -> Executed {
        let (mut may_shift, mut has_shifted) = (false, false);
        loop {
            let (direction, phase, steps) = match machine.next_steps() {
                Next::Ended(end) => return Executed::Ended(end),
                Next::Run { direction, phase, steps } => (direction, phase, steps),
            };
            let has_shift = steps.iter().any(|(step, _)| matches!(step, Step::Shift { .. }));
            let changes_what_serves = phase == Phase::Traffic && has_shift || phase == Phase::Replace;
            let is_first = direction == Direction::Forward && changes_what_serves && !may_shift;
            let outcomes = match is_first.then(|| (main.forbids_shift)()).flatten() {
                Some(reason) => {
                    let outcome = StepOutcome::Failed { reason };
                    for (step, _) in &steps {
                        self.record_left_out(step, &outcome, shared);
                    }
                    vec![outcome; steps.len()]
                }
                None => self.run_group(direction, phase, &steps, main, shared),
            };
            may_shift |= is_first;
            if shared.is_leaving() {
                return Executed::Left;
            }
            for ((step, _), outcome) in steps.into_iter().zip(outcomes) {
                if let StepOutcome::Superseded { by } = &outcome {
                    shared.supersede(by.clone());
                }
                let is_shift = phase == Phase::Traffic && matches!(step, Step::Shift { .. });
                if is_shift && outcome == StepOutcome::Done && !has_shifted {
                    has_shifted = true;
                    (main.journal)(&What::Outcome { step: step.clone(), outcome: outcome.clone() });
                }
                machine.apply(&step, outcome);
            }
        }
    }

    /// Carries out the steps of a group, with a few at once, and returns their outcomes.
    fn run_group(
        &self,
        direction: Direction,
        phase: Phase,
        steps: &[(Step, Reason)],
        main: &MainThread<'_>,
        shared: &Shared,
    ) -> Vec<StepOutcome> {
        let current = |(step, reason)| CurrentStep { direction, phase, step, reason };
        self.look_for_signals(direction, main, shared);
        // Tasks are run by the main thread, which receives the signals for them.
        if let [(step @ Step::Smoke { release }, reason)] = steps {
            let outcome = self.run_step(current((step, reason)), shared, || (main.smoke)(release));
            if outcome == StepOutcome::Interrupted {
                shared.stop_requests.fetch_max(1, Ordering::Relaxed);
            }
            return vec![outcome];
        }
        if let [(step @ Step::Rehearse, reason)] = steps {
            let is_stopped = || {
                self.look_for_signals(direction, main, shared);
                shared.obstacle(direction).is_some()
            };
            let progress = |text: &str| {
                (self.emit)(DeployNews::Progress { step: step.clone(), text: text.to_owned() });
            };
            let control = StepControl { is_stopped: &is_stopped, progress: &progress };
            let outcome = self.run_step(current((step, reason)), shared, || (main.rehearse)(&control));
            if outcome == StepOutcome::Interrupted {
                shared.stop_requests.fetch_max(1, Ordering::Relaxed);
            }
            return vec![outcome];
        }
        let mut outcomes: Vec<Option<StepOutcome>> = vec![None; steps.len()];
        let next = AtomicUsize::new(0);
        let (sender, receiver) = channel();
        thread::scope(|scope| {
            for _ in 0..self.max_parallel.clamp(1, steps.len()) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some((step, reason)) = steps.get(index) else { return };
                        let current = current((step, reason));
                        let outcome = self.run_step(current, shared, || self.carry_out(current, shared));
                        if sender.send((index, outcome)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(POLL) {
                    Ok((index, outcome)) => outcomes[index] = Some(outcome),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                self.look_for_signals(direction, main, shared);
                self.remind(shared);
            }
        });
        // Every step has sent its outcome, unless its thread has panicked, and then this one has too.
        outcomes.into_iter().map(|outcome| outcome.unwrap_or(StepOutcome::Interrupted)).collect()
    }

    /// Repeats the last news of steps of which nothing was heard for long.
    fn remind(&self, shared: &Shared) {
        let now = self.clock.elapsed();
        let mut running = shared.running.lock().unwrap_or_else(PoisonError::into_inner);
        for step in running.iter_mut().filter(|step| step.heard + WAIT_INTERVAL <= now) {
            step.heard = now;
            (self.emit)(DeployNews::Progress { step: step.step.clone(), text: step.text.clone() });
        }
    }

    /// Returns how long a step takes, or may take; `None`: that is not known.
    fn longest(&self, step: &Step) -> Option<Duration> {
        let role = |name: &str| self.subject.roles.iter().find(|role| role.name == name);
        match step {
            Step::Measure { during, .. } => Some(*during),
            Step::Drain { role: name, .. } => Some(role(name)?.traffic.as_ref()?.drain),
            Step::Start { on, .. } => Some(role(&on.role)?.health_check.as_ref()?.timeout),
            _ => None,
        }
    }

    fn look_for_signals(&self, direction: Direction, main: &MainThread<'_>, shared: &Shared) {
        let requests = (main.stop_requests)();
        let known = shared.stop_requests.fetch_max(requests, Ordering::Relaxed);
        if requests <= known {
            return;
        }
        let text = match (requests, direction) {
            (1, Direction::Forward) => "stopping: the deploy goes back; a second signal leaves at once",
            (1, Direction::Back) => "the deploy is going back already; a second signal leaves at once",
            (1, Direction::CleanUp) => {
                "stopping: the release is current, and what is left is not done; a second signal leaves at once"
            }
            _ => "leaving at once",
        };
        (self.emit)(DeployNews::Stopping { text: text.to_owned() });
    }

    fn run_step(
        &self,
        current: CurrentStep<'_>,
        shared: &Shared,
        carry_out: impl FnOnce() -> StepOutcome,
    ) -> StepOutcome {
        if let Some(outcome) = shared.obstacle(current.direction) {
            self.record_left_out(current.step, &outcome, shared);
            return outcome;
        }
        let CurrentStep { direction, phase, step, reason } = current;
        let begin = self.clock.elapsed();
        (self.emit)(DeployNews::StepStarted {
            direction,
            phase,
            step: step.clone(),
            reason: reason.clone(),
            up_to: self.longest(step).map(millis),
        });
        let running = |change: &dyn Fn(&mut Vec<RunningStep>)| {
            change(&mut shared.running.lock().unwrap_or_else(PoisonError::into_inner));
        };
        running(&|all| {
            all.push(RunningStep { step: step.clone(), text: "not done yet".to_owned(), heard: begin });
        });
        let outcome = self.record_and_run(current, shared, carry_out);
        running(&|all| all.retain(|known| known.step != *step));
        (self.emit)(DeployNews::StepEnded {
            phase,
            step: step.clone(),
            outcome: outcome.clone(),
            took: millis(self.clock.elapsed().saturating_sub(begin)),
        });
        outcome
    }

    /// Records that a step of the way forward was left out. Otherwise, whoever continues a deploy that went back
    /// would go forward again.
    fn record_left_out(&self, step: &Step, outcome: &StepOutcome, shared: &Shared) {
        if matches!(outcome, StepOutcome::Superseded { .. }) || shared.is_leaving() {
            return;
        }
        let record = What::Outcome { step: step.clone(), outcome: outcome.clone() };
        match self.target.record(self.order, &record) {
            Ok(()) => {}
            Err(TargetError::Superseded { by }) => shared.supersede(by),
            Err(error) => self.warn_of_record(&error, shared),
        }
    }

    fn record_and_run(
        &self,
        current: CurrentStep<'_>,
        shared: &Shared,
        carry_out: impl FnOnce() -> StepOutcome,
    ) -> StepOutcome {
        let step = current.step;
        match self.target.record(self.order, &What::Intent { step: step.clone() }) {
            Ok(()) => {}
            Err(TargetError::Superseded { by }) => return StepOutcome::Superseded { by },
            // What is not recorded can be done again; a way back that is not gone can't be made up for.
            Err(error) if current.direction == Direction::Back => self.warn_of_record(&error, shared),
            Err(error) => return not_recorded(error),
        }
        let outcome = carry_out();
        let outcome = match shared.obstacle(current.direction) {
            Some(superseded @ StepOutcome::Superseded { .. }) => superseded,
            _ => outcome,
        };
        if matches!(outcome, StepOutcome::Superseded { .. }) || shared.is_leaving() {
            return outcome;
        }
        let record = What::Outcome { step: step.clone(), outcome: outcome.clone() };
        match self.target.record(self.order, &record) {
            Ok(()) => {}
            Err(TargetError::Superseded { by }) => return StepOutcome::Superseded { by },
            // Whoever continues the deploy does the step again.
            Err(error) => self.warn_of_record(&error, shared),
        }
        outcome
    }

    fn carry_out(&self, current: CurrentStep<'_>, shared: &Shared) -> StepOutcome {
        let step = current.step;
        let is_stopped = || shared.obstacle(current.direction).is_some();
        let heard = |text: &str| {
            let mut running = shared.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = running.iter_mut().find(|running| running.step == *step) {
                text.clone_into(&mut running.text);
                running.heard = self.clock.elapsed();
            }
        };
        let progress = |text: &str| {
            heard(text);
            (self.emit)(DeployNews::Progress { step: step.clone(), text: text.to_owned() });
        };
        match step {
            Step::Measure { role, slot, during, .. } => {
                let role = self.subject.roles.iter().find(|known| known.name == *role);
                let analysis = role.and_then(|role| Some((role, role.traffic.as_ref()?.analysis.as_ref()?)));
                match analysis {
                    Some((role, analysis)) => {
                        let measured = Measured { role, slot: *slot, analysis, during: *during };
                        let show = |measurement: Measurement| {
                            heard(&measurement.reason);
                            (self.emit)(DeployNews::Measured { step: step.clone(), measurement });
                        };
                        self.measure(&measured, &is_stopped, &show)
                    }
                    None => self.wait(*during, &is_stopped),
                }
            }
            _ => {
                let Subject { deployed, releases, roles, secrets, .. } = self.subject;
                let context = StepContext {
                    deployed,
                    releases,
                    roles,
                    secrets,
                    is_stopped: &is_stopped,
                    progress: &progress,
                };
                self.target.run(self.order, step, &context)
            }
        }
    }

    /// Waits without judging anything.
    fn wait(&self, during: Duration, is_stopped: &dyn Fn() -> bool) -> StepOutcome {
        if self.is_stopped_within(during, is_stopped) { StepOutcome::Interrupted } else { StepOutcome::Done }
    }

    /// Judges the traffic of a slot until it fails or its time is over.
    fn measure(
        &self,
        measured: &Measured<'_>,
        is_stopped: &dyn Fn() -> bool,
        show: &dyn Fn(Measurement),
    ) -> StepOutcome {
        let Measured { role, slot, analysis, during } = *measured;
        let begin = self.clock.elapsed();
        let end = begin + during;
        // What was before the measurement is not asked for.
        let sample = || {
            let window = self.clock.elapsed().saturating_sub(begin);
            self.target.sample(role, &self.subject.deployed.id, window)
        };
        let mut first: Option<SlotSamples> = sample().ok();
        let mut last = first.unwrap_or_default();
        loop {
            let left = end.saturating_sub(self.clock.elapsed());
            if self.is_stopped_within(left.min(SAMPLE_INTERVAL), is_stopped) {
                return StepOutcome::Interrupted;
            }
            let now = sample();
            let sample = now.as_ref().map_err(String::as_str);
            let judgement = judge(analysis, slot, first.as_ref(), sample);
            show(Measurement::new(analysis, slot, &judgement, first.as_ref(), sample));
            if let Ok(now) = now {
                first = Some(first.map_or(now, |first| first.restarted(&last, &now)));
                last = now;
            }
            let left = end.saturating_sub(self.clock.elapsed());
            if let Some(outcome) = judgement.outcome(analysis, left.is_zero()) {
                return outcome;
            }
        }
    }

    /// Waits, and returns whether the deploy was asked to stop meanwhile.
    fn is_stopped_within(&self, time: Duration, is_stopped: &dyn Fn() -> bool) -> bool {
        let end = self.clock.elapsed() + time;
        loop {
            if is_stopped() {
                return true;
            }
            let left = end.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(POLL));
        }
    }

    fn warn_of_record(&self, error: &TargetError, shared: &Shared) {
        if !shared.has_warned.swap(true, Ordering::Relaxed) {
            self.warn(format!("steps can't be recorded: {error}"));
        }
    }

    fn warn(&self, text: String) {
        (self.emit)(DeployNews::Warning { text, hint: None });
    }
}

/// What is measured.
struct Measured<'a> {
    role: &'a Role,
    slot: Slot,
    analysis: &'a Analysis,
    during: Duration,
}

/// Returns the outcome of a step that was not begun, since that could not be recorded.
fn not_recorded(error: TargetError) -> StepOutcome {
    match error {
        TargetError::Unreachable { host, reason } => StepOutcome::Unreachable { host, reason },
        TargetError::Superseded { by } => StepOutcome::Superseded { by },
        TargetError::Held(lease) => StepOutcome::Superseded { by: Some(lease.deploy) },
        error @ TargetError::Failed { .. } => {
            StepOutcome::Failed { reason: format!("the step can't be recorded: {error}") }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
