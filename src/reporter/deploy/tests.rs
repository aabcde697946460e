//! Tests of the reporters of deploys, with events made by hand.

use std::time::Duration;

use proptest::prelude::*;

use super::ci::DeployCi;
use super::json::DeployJson;
use super::lines::DeployLines;
use super::summary::{DeployState, markdown};
use super::terminal::Rows;
use super::text::Shows;
use super::*;
use crate::base::clock::Timestamp;
use crate::deploy::analysis::{Figures, Limits, Measurement, Verdict};
use crate::deploy::event::{Command, VERSION};
use crate::deploy::impact_meter::ImpactMeter;
use crate::deploy::machine::Direction;
use crate::deploy::plan::{Goal, Group, Note, Phase, Plan, PlannedStep, Reason};
use crate::deploy::record::Ending;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::{Instance, Step, StepOutcome, Weights};
use crate::reporter::ci::azure::Azure;
use crate::reporter::ci::buildkite::Buildkite;
use crate::reporter::ci::github::Github;
use crate::reporter::ci::gitlab::Gitlab;
use crate::reporter::style::Paint;

const FORWARD: Direction = Direction::Forward;
const BACK: Direction = Direction::Back;

fn release(id: &str) -> ReleaseId {
    ReleaseId(id.to_owned())
}

fn new() -> ReleaseId {
    release("7-0a1b2c3d")
}

fn on(role: &str, host: &str, slot: Slot) -> Instance {
    Instance { role: role.to_owned(), host: host.to_owned(), slot }
}

fn start() -> Step {
    Step::Start { on: on("web", "web1", Slot::Green), release: new() }
}

fn measure() -> Step {
    Step::Measure { role: "web".to_owned(), slot: Slot::Green, during: Duration::from_secs(120), bake: false }
}

fn started(direction: Direction, phase: Phase, step: Step, up_to: Option<u64>) -> DeployNews {
    DeployNews::StepStarted { direction, phase, step, reason: Reason::CheckedFirst, up_to }
}

fn ended(phase: Phase, step: Step, outcome: StepOutcome, took: u64) -> DeployNews {
    DeployNews::StepEnded { phase, step, outcome, took }
}

fn measured(requests: u64, errors: u64, verdict: Verdict, reason: &str) -> DeployNews {
    let figures = |requests, errors, millis| Figures {
        requests,
        errors,
        mean: Some(Duration::from_millis(millis)),
        p95: Some(Duration::from_millis(millis * 4)),
        is_restarted: false,
    };
    let measurement = Measurement {
        slot: Slot::Green,
        verdict,
        reason: reason.to_owned(),
        blue: Some(figures(requests * 3, 1, 11)),
        green: Some(figures(requests, errors, 12)),
        limits: Limits {
            error_rate: Some(1.0),
            mean: None,
            p95: Some(Duration::from_millis(300)),
            min_requests: 50,
        },
    };
    DeployNews::Measured { step: measure(), measurement }
}

fn command(command: Command) -> DeployNews {
    DeployNews::CommandStarted {
        version: VERSION,
        id: "20261121-093015-4711a".to_owned(),
        command,
        environment: "prod".to_owned(),
        started: Timestamp(1_795_253_415_000),
    }
}

fn begun() -> DeployNews {
    DeployNews::Begun {
        environment: "prod".to_owned(),
        deploy: "20261121t093015z-1a2b".to_owned(),
        goal: Goal::Deploy,
        release: new(),
        previous: Some(release("6-00c0ffee")),
        plan: "0123456789abcdef".repeat(4),
        commit: "4f2a9c1d5e4f2a9c1d5e4f2a9c1d5e4f2a9c1d5e".to_owned(),
        steps: 9,
        by: "Ann <ann@example.com>".to_owned(),
    }
}

/// Adds the event for the end, with the impact of the events before.
fn finished(mut events: Vec<DeployEvent>, ending: Ending, reason: &str, left: &[&str]) -> Vec<DeployEvent> {
    let mut meter = ImpactMeter::default();
    for event in &events {
        meter.apply(event.at, &event.what);
    }
    let at = events.last().map_or(0, |event| event.at);
    let (serving, next) = match ending {
        Ending::Succeeded => (new(), "xtask rollback --env prod"),
        Ending::NeedsAttention => (new(), "xtask status --env prod"),
        _ => (release("6-00c0ffee"), "xtask deploy --env prod"),
    };
    let what = DeployNews::Ended {
        status: u8::from(ending != Ending::Succeeded),
        environment: "prod".to_owned(),
        ending,
        serving: format!("{serving} serves"),
        release: Some(serving),
        reason: reason.to_owned(),
        left: left.iter().map(|line| (*line).to_owned()).collect(),
        next: next.to_owned(),
        took: at,
        impact: meter.impact(at),
    };
    events.push(DeployEvent { at, what });
    events
}

fn timed(all: Vec<(u64, DeployNews)>) -> Vec<DeployEvent> {
    all.into_iter().map(|(at, what)| DeployEvent { at, what }).collect()
}

/// A canary that waits for a health check, and whose traffic is judged.
fn canary() -> Vec<(u64, DeployNews)> {
    let progress = |text: &str| DeployNews::Progress { step: start(), text: text.to_owned() };
    let shift = Step::Shift { role: "web".to_owned(), weights: Weights::new(Slot::Green, 10) };
    let waiting = "web1: waiting for the health check: connection refused";
    vec![
        (0, command(Command::Deploy)),
        (1, DeployNews::Preparing { what: "prod: gate and artifacts of 4f2a9c1".to_owned() }),
        (900, DeployNews::Waiting { reason: "bob on laptop is deploying since 09:12".to_owned() }),
        (5_000, begun()),
        (5_000, started(FORWARD, Phase::Start, start(), Some(60_000))),
        (5_500, progress(waiting)),
        (35_500, progress(waiting)),
        (36_000, progress("web1: waiting for the health check: status 503")),
        (45_000, ended(Phase::Start, start(), StepOutcome::Done, 40_000)),
        (45_000, started(FORWARD, Phase::Traffic, shift.clone(), None)),
        (45_200, ended(Phase::Traffic, shift, StepOutcome::Done, 200)),
        (45_200, started(FORWARD, Phase::Traffic, measure(), Some(120_000))),
        (50_200, measured(12, 0, Verdict::Inconclusive, "inconclusive: 12 of at least 50 requests so far")),
        (80_200, measured(140, 0, Verdict::Good, "good: 140 requests, 0.00 % failed")),
    ]
}

fn good() -> Vec<DeployEvent> {
    let mut events = canary();
    let commit = Step::Commit { release: new() };
    let offline = DeployNews::Progress {
        step: commit.clone(),
        text: "web2 can't be reached; after a reboot, the old slot may start there".to_owned(),
    };
    events.extend([
        (165_200, measured(400, 1, Verdict::Good, "good: 400 requests, 0.25 % failed")),
        (165_200, ended(Phase::Traffic, measure(), StepOutcome::Done, 120_000)),
        (165_300, started(FORWARD, Phase::Commit, commit.clone(), None)),
        (165_400, offline),
        (165_500, ended(Phase::Commit, commit, StepOutcome::Done, 200)),
    ]);
    finished(timed(events), Ending::Succeeded, "7-0a1b2c3d is current", &[])
}

fn bad() -> Vec<DeployEvent> {
    let mut events = canary();
    let reason = "9.00 % of the requests failed, more than 1 % (200 requests, 9.00 % failed)";
    let failed = StepOutcome::Failed { reason: reason.to_owned() };
    let back = Step::Shift { role: "web".to_owned(), weights: Weights::new(Slot::Blue, 100) };
    let stop = Step::Stop { on: on("web", "web1", Slot::Green) };
    let unreachable = StepOutcome::Unreachable {
        host: "web1".to_owned(),
        reason: "\u{1b}[2Jtimed out\n::error::x".to_owned(),
    };
    events.extend([
        (90_000, measured(200, 18, Verdict::Bad, reason)),
        (90_000, ended(Phase::Traffic, measure(), failed, 44_800)),
        (90_000, started(BACK, Phase::Undo, back.clone(), None)),
        (90_300, ended(Phase::Undo, back, StepOutcome::Done, 300)),
        (90_300, started(BACK, Phase::Undo, stop.clone(), None)),
        (90_900, ended(Phase::Undo, stop, unreachable, 600)),
        (
            91_000,
            DeployNews::Warning {
                text: "the journal was not written: no route to host".to_owned(),
                hint: Some("nothing is lost".to_owned()),
            },
        ),
    ]);
    let left = ["the expanded schema stays, since there is no `revert`"];
    let reason = format!("web: measure green for 2m 00s: failed: {reason}");
    finished(timed(events), Ending::RolledBack, &reason, &left)
}

/// A role without a router, whose new release does not start.
fn replaced() -> Vec<DeployEvent> {
    let stop = Step::Stop { on: on("worker", "w1", Slot::Blue) };
    let start = |slot| Step::Start { on: on("worker", "w1", slot), release: new() };
    let failed = StepOutcome::Failed { reason: "the health check failed for 5.0 s".to_owned() };
    finished(
        timed(vec![
            (0, command(Command::Deploy)),
            (10, begun()),
            (100, started(FORWARD, Phase::Replace, stop.clone(), None)),
            (300, ended(Phase::Replace, stop, StepOutcome::Done, 200)),
            (300, started(FORWARD, Phase::Replace, start(Slot::Green), Some(5_000))),
            (5_400, ended(Phase::Replace, start(Slot::Green), failed, 5_100)),
            (5_400, started(BACK, Phase::Undo, start(Slot::Blue), Some(5_000))),
            (7_400, ended(Phase::Undo, start(Slot::Blue), StepOutcome::Done, 2_000)),
        ]),
        Ending::RolledBack,
        "worker on w1: start 7-0a1b2c3d in green: failed: the health check failed for 5.0 s",
        &[],
    )
}

fn planned() -> Vec<DeployEvent> {
    let group =
        |phase, step, reason| Group { phase, steps: vec![PlannedStep { step, reason, needs: Vec::new() }] };
    let plan = Plan {
        id: "0123456789abcdef".repeat(4),
        goal: Goal::Deploy,
        release: new(),
        previous: None,
        groups: vec![
            group(Phase::Start, start(), Reason::CheckedFirst),
            group(Phase::Commit, Step::Commit { release: new() }, Reason::AllPassed),
        ],
        undo: Vec::new(),
        schema_left: None,
        notes: vec![Note::Downtime { role: "worker".to_owned() }, Note::Irreversible],
    };
    let planned = DeployNews::Planned {
        environment: "prod".to_owned(),
        plan: Box::new(plan),
        unknown: Vec::new(),
        objections: vec!["no deploy window is open: the next is on Monday".to_owned()],
    };
    timed(vec![(0, command(Command::Prepare)), (5, planned)])
}

fn refused() -> Vec<DeployEvent> {
    let refused = DeployNews::Refused {
        status: 6,
        reason: "prod: deploys are stopped by bob: the shop is on fire".to_owned(),
        hint: Some("xtask unfreeze --env prod".to_owned()),
    };
    timed(vec![(0, command(Command::Deploy)), (5, refused)])
}

fn left() -> Vec<DeployEvent> {
    let taken_over = DeployNews::TakenOver {
        environment: "prod".to_owned(),
        deploy: "20261121t093015z-1a2b".to_owned(),
        release: new(),
        previous: None,
        commit: "4f2a9c1d".to_owned(),
        is_aborted: true,
        by: "bob".to_owned(),
    };
    let left = DeployNews::Left { next: "xtask deploy --env prod --resume".to_owned() };
    let stopping = DeployNews::Stopping { text: "leaving at once".to_owned() };
    timed(vec![(0, command(Command::Abort)), (5, taken_over), (9, stopping), (9, left)])
}

fn unchanged() -> Vec<DeployEvent> {
    timed(vec![(0, command(Command::Deploy)), (5, DeployNews::Unchanged { release: new() })])
}

fn stories() -> Vec<Vec<DeployEvent>> {
    vec![good(), bad(), replaced(), planned(), refused(), left(), unchanged()]
}

fn lines(events: &[DeployEvent], shows: Shows) -> String {
    let mut text = Vec::new();
    let mut reporter = DeployLines::new(&mut text, Paint::PLAIN, shows);
    for event in events {
        reporter.event(event).unwrap();
    }
    String::from_utf8(text).unwrap()
}

fn json(events: &[DeployEvent]) -> String {
    let mut text = Vec::new();
    let mut reporter = DeployJson::new(&mut text);
    for event in events {
        reporter.event(event).unwrap();
    }
    String::from_utf8(text).unwrap()
}

fn summary(events: &[DeployEvent]) -> String {
    let mut state = DeployState::default();
    for event in events {
        state.apply(event);
    }
    markdown(&state, 1 << 20)
}

fn in_ci(events: &[DeployEvent], dialect: Box<dyn crate::reporter::ci::Dialect>) -> String {
    let mut text = Vec::new();
    let mut reporter = DeployCi::new(&mut text, Paint::PLAIN, Shows::Output, dialect);
    for event in events {
        reporter.event(event).unwrap();
    }
    String::from_utf8(text).unwrap()
}

fn rows(events: &[DeployEvent], now: u64, most: usize) -> String {
    let mut rows = Rows::default();
    events.iter().filter(|event| event.at <= now).for_each(|event| rows.apply(event));
    rows.format(now, most, Paint::PLAIN).join("\n")
}

#[test]
fn lines_for_people() {
    let texts: Vec<_> = stories().iter().map(|events| lines(events, Shows::Output)).collect();
    insta::assert_snapshot!(texts.join("----------\n"));
}

#[test]
fn json_has_all_events_and_its_form_is_stable() {
    let texts: Vec<_> = stories().iter().map(|events| json(events)).collect();
    insta::assert_snapshot!(texts.concat());
}

#[test]
fn summaries_as_markdown() {
    let texts: Vec<_> = stories().iter().map(|events| summary(events)).collect();
    insta::assert_snapshot!(texts.join("----------\n"));
}

#[test]
fn summary_that_does_not_fit_is_cut() {
    let mut state = DeployState::default();
    for event in &good() {
        state.apply(event);
    }
    let whole = markdown(&state, 1 << 20);
    for room in 0..whole.len() {
        let text = markdown(&state, room);
        assert!(text.len() <= room, "{room}");
    }
    assert!(markdown(&state, 700).contains("cut here"));
}

#[test]
fn ci_services_get_an_annotation_of_what_failed_and_no_commands_of_others() {
    let dialects: [Box<dyn crate::reporter::ci::Dialect>; 4] = [
        Box::new(Github::new([0; 32])),
        Box::new(Gitlab),
        Box::new(Buildkite),
        Box::new(Azure::new("/deploy.md".to_owned())),
    ];
    let texts = dialects.map(|dialect| in_ci(&bad(), dialect));
    assert_eq!(texts[0].lines().filter(|line| line.starts_with("::")).count(), 1);
    // The first lines are those of every reporter.
    let texts = texts.map(|text| {
        text.lines().skip_while(|line| *line != "undo").fold(String::new(), |all, line| all + line + "\n")
    });
    insta::assert_snapshot!(texts.join("----------\n"));
    let passed = in_ci(&good(), Box::new(Github::new([0; 32])));
    assert!(!passed.contains("::error"), "{passed}");
    for events in [refused(), left()] {
        assert!(in_ci(&events, Box::new(Github::new([0; 32]))).contains("::error title=prod%3A "));
    }
}

#[test]
fn step_that_waits_has_a_line_only_every_30_seconds() {
    let text = lines(&good(), Shows::Output);
    let waits = text.lines().filter(|line| line.starts_with("  …")).count();
    // One of the health check, one of the measurement, and what `commit` says.
    assert_eq!(waits, 3, "{text}");
    let text = lines(&good(), Shows::AboveView);
    assert_eq!(text.lines().filter(|line| line.starts_with("  …")).count(), 1, "{text}");
}

#[test]
fn live_view_shows_what_waits() {
    let all: Vec<_> = [1_000, 20_000, 37_000, 48_000, 60_000, 81_000, 90_200, 91_000]
        .iter()
        .map(|now| format!("{now}\n{}\n", rows(&bad(), *now, 40)))
        .collect();
    insta::assert_snapshot!(all.concat());
}

#[test]
fn live_view_leaves_room_for_lines() {
    let mut events = timed(vec![(0, command(Command::Deploy)), (1, begun())]);
    for host in 0..50 {
        let step = Step::Start { on: on("web", &format!("web{host}"), Slot::Green), release: new() };
        events.push(DeployEvent { at: 2, what: started(FORWARD, Phase::Start, step, None) });
    }
    for most in 1..60 {
        let rows = rows(&events, 5, most);
        assert!(rows.lines().count() <= most.max(2), "{most}: {rows}");
    }
    insta::assert_snapshot!(rows(&events, 5, 5), @r"
    ⠋ web on web0: start 7-0a1b2c3d in green  3 ms
    ⠋ web on web1: start 7-0a1b2c3d in green  3 ms
    ⠋ web on web2: start 7-0a1b2c3d in green  3 ms
      and 47 more rows
      0 of 9 steps done · 4 ms
    ");
}

#[test]
fn smoke_tasks_have_the_terminal_for_themselves() {
    let smoke = Step::Smoke { release: new() };
    let events = timed(vec![(1, begun()), (2, started(FORWARD, Phase::Smoke, smoke, None))]);
    assert_eq!(rows(&events, 5, 40), "");
}

#[test]
fn reporter_that_fails_never_fails_a_deploy_and_is_named_once() {
    struct Fails;
    impl DeployReporter for Fails {
        fn event(&mut self, _: &DeployEvent) -> io::Result<()> {
            Err(io::Error::other("no space left"))
        }
    }
    #[derive(Clone, Default)]
    struct Kept(std::sync::Arc<std::sync::Mutex<Vec<DeployEvent>>>);
    impl DeployReporter for Kept {
        fn event(&mut self, event: &DeployEvent) -> io::Result<()> {
            self.0.lock().unwrap().push(event.clone());
            Ok(())
        }
    }
    let kept = Kept::default();
    let mut reporters = DeployReporters::default();
    reporters.add(Box::new(Fails), "the summary");
    reporters.add(Box::new(kept.clone()), "the rest");
    for event in &good() {
        reporters.event(event);
    }
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept.len(), good().len() + 1);
    assert!(lines(&kept, Shows::Output).starts_with(
        "warning: the summary can't be written: no space left\nhint: the deploy goes on without it\n"
    ));
}

/// Any events in any order, which no real deploy has.
fn any_events() -> impl Strategy<Value = Vec<DeployEvent>> {
    let pool: Vec<_> = stories().concat().into_iter().map(|event| event.what).collect();
    proptest::collection::vec((proptest::sample::select(pool), 0u64..40_000), 0..40).prop_map(|all| {
        let mut at = 0;
        let next = |(what, after)| {
            at += after;
            DeployEvent { at, what }
        };
        all.into_iter().map(next).collect()
    })
}

proptest! {
    #[test]
    fn recorded_deploy_is_drawn_as_it_was(events in any_events()) {
        let record = json(&events);
        let read: Vec<DeployEvent> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(&read, &events);
        // What the command line prints itself is only in the record.
        let shown: Vec<_> =
            read.into_iter().filter(|event| !matches!(event.what, DeployNews::Refused { .. })).collect();
        prop_assert_eq!(lines(&shown, Shows::Record), lines(&events, Shows::Output));
        // No event breaks a reporter.
        drop((summary(&events), in_ci(&events, Box::new(Gitlab)), rows(&events, 1_000_000, 20)));
    }
}
