//! Tests of the executor with a target whose outcomes are scripted.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};
use crate::config::deploy::{
    CheckFrom, Connection, HealthCheck, HealthProbe, Migrations, OnLost, Ports, Role, Router, Runs, Traffic,
    Variables,
};
use crate::deploy::analysis::SlotSamples;
use crate::deploy::event::DeployNews;
use crate::deploy::lease::{Lease, LeaseRequest, Order};
use crate::deploy::machine::{End, Machine};
use crate::deploy::observation::Observation;
use crate::deploy::plan::{Goal, Group, Phase, Plan, PlannedStep, Reason, UndoGroup, UndoStep};
use crate::deploy::record::What;
use crate::deploy::release::{Release, ReleaseId, Slot};
use crate::deploy::step::{Instance, Step, StepOutcome, Weights};
use crate::deploy::target::{StepContext, Target, TargetError};
use crate::deployment::executor::{Executed, Executor, MainThread, Subject};
use crate::deployment::smoke::staged_url;

/// A target that writes down what it is asked to do, and answers what a test wants.
#[derive(Default)]
struct FakeTarget {
    log: Mutex<Vec<String>>,
    /// The outcomes of steps, by their texts. All others are done.
    outcomes: BTreeMap<String, StepOutcome>,
    /// Whether another deploy has taken over, as the answer to a renewal.
    is_superseded: bool,
    /// The records that can't be written, by the beginnings of their texts.
    unwritable: Option<&'static str>,
    /// Whether a step waits until it is stopped.
    waits_at: Option<String>,
    /// Why traffic must not be shifted. The plan shifts traffic only if there is a reason.
    closed_window: Option<&'static str>,
}

impl FakeTarget {
    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    fn unreachable() -> TargetError {
        TargetError::Unreachable { host: "web1".to_owned(), reason: "no route".to_owned() }
    }
}

impl Target for FakeTarget {
    fn observe(&self, _: &[Role]) -> Result<Observation, TargetError> {
        Err(Self::unreachable())
    }

    fn acquire(&self, _: &LeaseRequest) -> Result<Lease, TargetError> {
        Err(Self::unreachable())
    }

    fn renew(&self, _: &Order) -> Result<(), TargetError> {
        // That is so from the first step on.
        if self.is_superseded && !self.log.lock().unwrap().is_empty() {
            return Err(TargetError::Superseded { by: Some("d2".to_owned()) });
        }
        Ok(())
    }

    fn release(&self, _: &Order) -> Result<(), TargetError> {
        self.note("release".to_owned());
        Ok(())
    }

    fn record(&self, _: &Order, what: &What) -> Result<(), TargetError> {
        let text = match what {
            What::Intent { step } => format!("intent {step}"),
            What::Outcome { step, .. } => format!("outcome {step}"),
            What::Ended { reason, .. } => format!("ended {reason}"),
            _ => "other".to_owned(),
        };
        if self.unwritable.is_some_and(|unwritable| text.starts_with(unwritable)) {
            return Err(Self::unreachable());
        }
        self.note(text);
        Ok(())
    }

    fn pending(
        &self,
        _: &Migrations,
        _: &Release,
        _: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Vec<String>, TargetError> {
        Ok(Vec::new())
    }

    fn sample(&self, _: &Role, _: &ReleaseId, _: Duration) -> Result<SlotSamples, String> {
        Err("no source".to_owned())
    }

    fn run(&self, _: &Order, step: &Step, context: &StepContext<'_>) -> StepOutcome {
        self.note(format!("run {step}"));
        if self.waits_at.as_deref() == Some(&*step.to_string()) {
            while !(context.is_stopped)() {
                std::thread::yield_now();
            }
            return StepOutcome::Interrupted;
        }
        self.outcomes.get(&step.to_string()).cloned().unwrap_or(StepOutcome::Done)
    }
}

fn release() -> Release {
    Release {
        id: ReleaseId("2-0b".to_owned()),
        number: 2,
        commit: "c".to_owned(),
        tree: "t".to_owned(),
        artifacts: BTreeMap::new(),
        digest: "0b".to_owned(),
        roles: Vec::new(),
        migrations: None,
        pending: Vec::new(),
        contracts: false,
        previous: None,
        created: Timestamp(0),
        by: "ann".to_owned(),
    }
}

/// A plan that starts a release beside the old one, tests it and makes it current.
fn plan(shifts: bool) -> Plan {
    let release = release().id;
    let on = Instance { role: "web".to_owned(), host: "web1".to_owned(), slot: Slot::Green };
    let start = Step::Start { on: on.clone(), release: release.clone() };
    let group = |phase, step| Group {
        phase,
        steps: vec![PlannedStep { step, reason: Reason::CheckedFirst, needs: Vec::new() }],
    };
    let stop = UndoStep {
        step: Step::Stop { on },
        reason: Reason::StopNew,
        undoes: vec![start.clone()],
        needs: Vec::new(),
    };
    let shift = Step::Shift { role: "web".to_owned(), weights: Weights::new(Slot::Green, 100) };
    let shift = shifts.then(|| group(Phase::Traffic, shift));
    let start_and_test =
        [group(Phase::Start, start), group(Phase::Smoke, Step::Smoke { release: release.clone() })];
    let commit = group(Phase::Commit, Step::Commit { release: release.clone() });
    Plan {
        id: "p".to_owned(),
        goal: Goal::Deploy,
        release,
        previous: Some(ReleaseId("1-0a".to_owned())),
        groups: start_and_test.into_iter().chain(shift).chain([commit]).collect(),
        undo: vec![UndoGroup { phase: Phase::Undo, steps: vec![stop] }],
        schema_left: None,
        notes: Vec::new(),
    }
}

/// Carries the plan out. `signals` is how often the user has asked to stop once the first step has begun.
fn run(target: &FakeTarget, smoke: &StepOutcome, signals: u32) -> (Executed, Vec<String>) {
    let release = release();
    let order = Order { token: 1, nonce: "n".to_owned(), deploy: "d1".to_owned() };
    let secrets = BTreeMap::new();
    let begun = AtomicU32::new(0);
    let emit = |news: DeployNews| {
        if matches!(news, DeployNews::StepStarted { .. }) {
            begun.fetch_add(1, Ordering::Relaxed);
        }
    };
    let executor = Executor {
        target,
        order: &order,
        lease: Duration::from_millis(30),
        max_parallel: 2,
        subject: Subject { deployed: &release, releases: &[], roles: &[], secrets: &secrets },
        emit: &emit,
        clock: &Clock::system(),
    };
    let journal = Mutex::new(Vec::new());
    let main = MainThread {
        smoke: &|_| smoke.clone(),
        rehearse: &|_| StepOutcome::Done,
        stop_requests: &|| if begun.load(Ordering::Relaxed) > 0 { signals } else { 0 },
        forbids_shift: &|| target.closed_window.map(str::to_owned),
        journal: &|what| journal.lock().unwrap().push(what.clone()),
    };
    let executed = executor.run(&mut Machine::new(plan(target.closed_window.is_some())), &main);
    let is_ended = matches!(&**journal.lock().unwrap(), [What::Ended { .. }]);
    let is_superseded =
        matches!(&executed, Executed::Ended(End { reason, .. }) if reason.contains("taken over"));
    assert_eq!(is_ended, matches!(executed, Executed::Ended(_)) && !is_superseded);
    (executed, target.log.lock().unwrap().clone())
}

fn status(executed: &Executed) -> u8 {
    match executed {
        Executed::Ended(end) => end.status,
        Executed::Left => panic!("the deploy has not ended"),
    }
}

const START: &str = "web on web1: start 2-0b in green";
const STOP: &str = "web on web1: stop green";

#[test]
fn each_step_is_recorded_before_and_after_it_is_done() {
    let (executed, log) = run(&FakeTarget::default(), &StepOutcome::Done, 0);
    assert_eq!(status(&executed), 0);
    assert_eq!(
        log,
        [
            &format!("intent {START}"),
            &format!("run {START}"),
            &format!("outcome {START}"),
            "intent smoke tests of 2-0b",
            "outcome smoke tests of 2-0b",
            "intent record that 2-0b is current",
            "run record that 2-0b is current",
            "outcome record that 2-0b is current",
            "ended 2-0b is current",
            "release",
        ]
    );
}

#[test]
fn failed_smoke_task_leads_back() {
    let (executed, log) = run(&FakeTarget::default(), &StepOutcome::Failed { reason: "red".to_owned() }, 0);
    assert_eq!(status(&executed), 1);
    assert!(log.contains(&format!("run {STOP}")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("is current")), "{log:#?}");
}

#[test]
fn window_that_has_closed_meanwhile_leads_back_before_the_first_shift() {
    let target = FakeTarget { closed_window: Some("no deploy window is open"), ..FakeTarget::default() };
    let (executed, log) = run(&target, &StepOutcome::Done, 0);
    let Executed::Ended(end) = executed else { panic!("the deploy has not ended") };
    assert_eq!(end.status, 1);
    assert!(end.reason.contains("no deploy window is open"), "{}", end.reason);
    assert!(log.contains(&format!("run {STOP}")), "{log:#?}");
    assert!(!log.iter().any(|line| line.starts_with("run web: send")), "{log:#?}");
    // Whoever continues must know that the deploy goes back.
    assert!(log.iter().any(|line| line.starts_with("outcome web: send")), "{log:#?}");
}

#[test]
fn step_that_can_not_be_recorded_is_not_done_except_on_the_way_back() {
    let target = FakeTarget { unwritable: Some("intent web on web1: start"), ..FakeTarget::default() };
    let (executed, log) = run(&target, &StepOutcome::Done, 0);
    assert_ne!(status(&executed), 0);
    assert!(!log.contains(&format!("run {START}")), "{log:#?}");
    let target = FakeTarget { unwritable: Some("intent web on web1: stop"), ..FakeTarget::default() };
    let (executed, log) = run(&target, &StepOutcome::Failed { reason: "red".to_owned() }, 0);
    assert_eq!(status(&executed), 1);
    assert!(log.contains(&format!("run {STOP}")), "{log:#?}");
}

#[test]
fn first_signal_leads_back_and_the_second_leaves() {
    let waiting = || FakeTarget { waits_at: Some(START.to_owned()), ..FakeTarget::default() };
    let (executed, log) = run(&waiting(), &StepOutcome::Done, 1);
    assert_eq!(status(&executed), 1);
    assert!(log.contains(&format!("run {STOP}")), "{log:#?}");
    let (executed, log) = run(&waiting(), &StepOutcome::Done, 2);
    assert_eq!(executed, Executed::Left);
    // Whoever continues does the step again, and need not wait for the lease.
    assert_eq!(log, [format!("intent {START}"), format!("run {START}"), "release".to_owned()]);
}

#[test]
fn deploy_that_was_taken_over_changes_nothing_more() {
    let target =
        FakeTarget { is_superseded: true, waits_at: Some(START.to_owned()), ..FakeTarget::default() };
    let (executed, log) = run(&target, &StepOutcome::Done, 0);
    assert_eq!(status(&executed), 7);
    assert_eq!(log, [format!("intent {START}"), format!("run {START}")]);
    let by = StepOutcome::Superseded { by: Some("d2".to_owned()) };
    let target = FakeTarget { outcomes: BTreeMap::from([(START.to_owned(), by)]), ..FakeTarget::default() };
    let (executed, log) = run(&target, &StepOutcome::Done, 0);
    assert_eq!(status(&executed), 7);
    assert_eq!(log, [format!("intent {START}"), format!("run {START}")]);
}

#[test]
fn smoke_tasks_get_the_address_of_the_staged_slot() {
    let role = |url: &str, from| Role {
        name: "web".to_owned(),
        artifacts: Vec::new(),
        hosts: Vec::new(),
        runs: Runs::Lines { start: "true".to_owned(), stop: None, status: None },
        ports: Some(Ports { blue: 8001, green: 8002 }),
        variables: Variables::default(),
        health_check: Some(HealthCheck {
            probe: HealthProbe::Http(url.to_owned()),
            release: None,
            timeout: Duration::from_secs(1),
            interval: Duration::from_secs(1),
            from,
        }),
        traffic: Some(Traffic {
            steps: vec![100],
            every: Duration::ZERO,
            bake: Duration::ZERO,
            router: Router::Driver,
            on: Connection::Local,
            drain: Duration::ZERO,
            analysis: None,
            on_lost: OnLost::Hold,
        }),
        standby: Duration::ZERO,
    };
    let url = |url, from| staged_url(&Release { roles: vec![role(url, from)], ..release() }, &plan(true));
    let slot = "https://{{ host }}:{{port}}/health?x=/";
    assert_eq!(url(slot, CheckFrom::Here).as_deref(), Some("https://web1:8002"));
    assert_eq!(url("http://{{ slot }}.local", CheckFrom::Here).as_deref(), Some("http://green.local"));
    // Only the host may reach this one.
    assert_eq!(url(slot, CheckFrom::Host), None);
    assert_eq!(url("http://{{ host }}/{{ port }}", CheckFrom::Here), None);
}
