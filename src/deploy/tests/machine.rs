//! Tables: each step and each outcome of it, and how the deploy ends then.

use super::world::Fault;
use super::*;
use crate::deploy::machine::{Direction, End, Next, Serving};
use crate::deploy::plan::Goal;
use crate::deploy::record::{Ending, What};
use crate::deploy::step::{Step, StepOutcome};

/// A world in which release 2 is current, and a plan that has every kind of step.
fn deploy_with_everything() -> (Environment, World, NewDeploy) {
    let mut environment = shop();
    environment.migrations = Some(migrations());
    let mut world = World::new(&environment.roles);
    deployed(&environment, &mut world, 1);
    world.pending = vec!["add a column".to_owned()];
    deployed(&environment, &mut world, 2);
    deployed(&environment, &mut world, 3);
    deployed(&environment, &mut world, 4);
    let deploy = begun(ask(&environment, &world, Wanted::Deploy(&candidate(5))));
    (environment, world, deploy)
}

/// Carries a deploy out with one fault at the step of this number.
fn with_fault(world: &World, deploy: &NewDeploy, at: usize, fault: Fault) -> (World, Option<End>) {
    let mut world = world.clone();
    world.order.clear();
    let mut machine = world.start(deploy);
    let mut faults = (0..).map(|number| if number == at { fault } else { Fault::None });
    let end = world.drive(&mut machine, &mut faults);
    (world, end)
}

#[test]
fn every_step_with_every_outcome_ends_as_the_table_says() {
    let (_, world, deploy) = deploy_with_everything();
    let steps: Vec<_> = deploy.plan.steps().map(|step| step.step.clone()).collect();
    let commit = steps.iter().position(|step| matches!(step, Step::Commit { .. })).unwrap();
    for (at, step) in steps.iter().enumerate() {
        let is_first = matches!(step, Step::Deliver { .. });
        let outcomes = [Fault::Fails, Fault::FailsLate, Fault::Lost, Fault::LostLate, Fault::Interrupted];
        for fault in outcomes {
            let (world, end) = with_fault(&world, &deploy, at, fault);
            let end = end.unwrap();
            let context = format!("{step} {fault:?} {end:?}");
            let is_lost = matches!(fault, Fault::Lost | Fault::LostLate);
            let (ending, status, serving) = match () {
                () if at > commit => (Ending::NeedsAttention, 7, &deploy.plan.release),
                () if at == commit && is_lost => (Ending::NeedsAttention, 7, &deploy.plan.release),
                () if is_first && fault == Fault::Interrupted => {
                    (Ending::Unchanged, 1, deploy.plan.previous.as_ref().unwrap())
                }
                () if is_first => (Ending::Unchanged, 5, deploy.plan.previous.as_ref().unwrap()),
                () => (Ending::RolledBack, 1, deploy.plan.previous.as_ref().unwrap()),
            };
            assert_eq!((end.ending, end.status), (ending, status), "{context}");
            assert_eq!(end.serving, Serving::Release(serving.clone()), "{context}");
            world.assert_serves(serving, &deploy.plan);
            assert!(end.reason.contains(&step.to_string()) || at >= commit, "{context}");
            assert_eq!(end.left.is_empty(), ending != Ending::NeedsAttention, "{context}");
        }
    }
}

#[test]
fn death_at_every_step_is_resumed_or_aborted() {
    let (environment, world, deploy) = deploy_with_everything();
    let steps: Vec<_> = deploy.plan.steps().map(|step| step.step.clone()).collect();
    let commit = steps.iter().position(|step| matches!(step, Step::Commit { .. })).unwrap();
    for (at, step) in steps.iter().enumerate() {
        for fault in [Fault::Dies, Fault::DiesLate] {
            let (world, end) = with_fault(&world, &deploy, at, fault);
            assert_eq!(end, None);
            for abort in [false, true] {
                let context = format!("{step} {fault:?} abort {abort}");
                let mut world = world.clone();
                let is_committed = at > commit || at == commit && fault == Fault::DiesLate;
                let wanted = if abort { Wanted::Abort } else { Wanted::Resume };
                let decision = ask(&environment, &world, wanted);
                if abort && is_committed {
                    let refusal = decision.unwrap_err();
                    assert_eq!(refusal.status(), 6, "{context}");
                    assert!(
                        refusal.to_string().ends_with("is already current, so its deploy can't be aborted")
                    );
                    continue;
                }
                let other = ask(&environment, &world, Wanted::Deploy(&candidate(6))).unwrap_err();
                assert_eq!(other.status(), 7, "{context}");
                let mut machine = world.take_over(continued(decision));
                let end = world.drive(&mut machine, &mut std::iter::empty()).unwrap();
                let is_unchanged = matches!(step, Step::Deliver { .. } | Step::Rehearse);
                let expected = match (abort, is_unchanged) {
                    (false, _) => (Ending::Succeeded, 0, &deploy.plan.release),
                    (true, false) => (Ending::RolledBack, 0, deploy.plan.previous.as_ref().unwrap()),
                    (true, true) => (Ending::Unchanged, 0, deploy.plan.previous.as_ref().unwrap()),
                };
                assert_eq!((end.ending, end.status), (expected.0, expected.1), "{context} {end:?}");
                world.assert_serves(expected.2, &deploy.plan);
                if abort {
                    assert_eq!(end.reason, "aborted by bob");
                }
                for again in [Wanted::Resume, Wanted::Abort] {
                    assert!(matches!(ask(&environment, &world, again), Err(Refusal::NothingUnfinished)));
                }
            }
        }
    }
}

#[test]
fn release_whose_record_was_lost_stays_current() {
    let (environment, world, deploy) = deploy_with_everything();
    let commit = deploy.plan.steps().position(|step| matches!(step.step, Step::Commit { .. })).unwrap();
    for fault in [Fault::DiesLate, Fault::LostLate] {
        let (mut world, _) = with_fault(&world, &deploy, commit, fault);
        assert_eq!(world.authority.current.as_ref(), Some(&deploy.plan.release));
        let mut machine = world.take_over(continued(ask(&environment, &world, Wanted::Resume)));
        // Nothing that fails now leads back.
        let end = world.drive(&mut machine, &mut std::iter::repeat(Fault::Fails)).unwrap();
        assert_eq!((end.status, end.serving.release()), (7, Some(&deploy.plan.release)));
    }
}

#[test]
fn resumed_deploy_checks_its_slots_and_weights_again() {
    let (environment, world, deploy) = deploy_with_everything();
    let steps: Vec<_> = deploy.plan.steps().collect();
    let measure = steps.iter().position(|step| matches!(step.step, Step::Measure { .. })).unwrap();
    let (mut world, _) = with_fault(&world, &deploy, measure, Fault::Dies);
    world.order.clear();
    let mut machine = world.take_over(continued(ask(&environment, &world, Wanted::Resume)));
    world.drive(&mut machine, &mut std::iter::empty()).unwrap();
    let id = &deploy.plan.release;
    assert_eq!(
        world.order[..4],
        [
            format!("web on web1: start {id} in blue"),
            format!("web on web2: start {id} in blue"),
            "web: send 10 % to blue and 90 % to green".to_owned(),
            "web: measure blue for 5m 00s".to_owned(),
        ]
    );
}

#[test]
fn superseded_deploy_stops_at_once_and_says_by_whom() {
    let (_, _, deploy) = deploy_with_everything();
    let all = deploy.plan.steps().count();
    for at in 0..all {
        let mut machine = Machine::new(deploy.plan.clone());
        let mut number = 0;
        let end = loop {
            match machine.next_steps() {
                Next::Ended(end) => break end,
                Next::Run { steps, .. } => {
                    assert!(number <= at, "it goes on");
                    for (step, _) in steps {
                        let by = Some("d9".to_owned());
                        let outcome =
                            if number == at { StepOutcome::Superseded { by } } else { StepOutcome::Done };
                        machine.apply(&step, outcome);
                        number += 1;
                    }
                }
            }
        };
        assert_eq!((end.ending, end.status), (Ending::NeedsAttention, 7));
        assert_eq!((end.reason.as_str(), end.serving), ("deploy d9 has taken over", Serving::Uncertain));
    }
}

#[test]
fn way_back_shifts_first_then_replaces_then_drains_and_stops() {
    let (_, world, deploy) = deploy_with_everything();
    let commit = deploy.plan.steps().position(|step| matches!(step.step, Step::Commit { .. })).unwrap();
    let (world, _) = with_fault(&world, &deploy, commit, Fault::Fails);
    let back: Vec<_> =
        world.order.iter().skip_while(|step| !step.starts_with("worker on work1: start")).collect();
    assert_eq!(
        back[1..],
        [
            "web: send 0 % to blue and 100 % to green",
            "worker on work1: stop blue",
            &format!("worker on work1: start {} in green", deploy.plan.previous.as_ref().unwrap()),
            "web: drain blue",
            "web on web1: stop blue",
            "web on web2: stop blue",
        ]
    );
}

#[test]
fn slot_that_still_has_requests_is_not_stopped() {
    let (environment, mut world, deploy) = deploy_with_everything();
    let smoke = deploy.plan.steps().position(|step| matches!(step.step, Step::Smoke { .. })).unwrap();
    let mut machine = world.start(&deploy);
    // The first shift had its effect, then the router is gone.
    let mut faults = (0..).map(|number| match number {
        _ if number <= smoke => Fault::None,
        _ if number == smoke + 1 => Fault::LostLate,
        _ => Fault::Lost,
    });
    let end = world.drive(&mut machine, &mut faults).unwrap();
    assert_eq!((end.ending, end.status, &end.serving), (Ending::NeedsAttention, 7, &Serving::Uncertain));
    assert_eq!(
        end.left,
        [
            "web: send 0 % to blue and 100 % to green: router can't be reached: injected",
            "web: drain blue: not done",
            "web on web1: stop blue: not done",
            "web on web2: stop blue: not done",
        ]
    );
    assert_eq!(
        end.record(),
        What::Ended {
            ending: Ending::NeedsAttention,
            serving: None,
            reason: "web: send 10 % to blue and 90 % to green: router can't be reached: injected".to_owned(),
        }
    );
    // Once the router answers, the rest is done.
    let unfinished = continued(ask(&environment, &world, Wanted::Resume));
    assert!(!unfinished.machine.is_going_forward());
    let mut machine = world.take_over(unfinished);
    let end = world.drive(&mut machine, &mut std::iter::empty()).unwrap();
    assert_eq!((end.ending, end.status), (Ending::RolledBack, 1));
}

#[test]
fn unreachable_host_does_not_keep_the_others_from_going_back() {
    let (_, mut world, deploy) = deploy_with_everything();
    let smoke = deploy.plan.steps().position(|step| matches!(step.step, Step::Smoke { .. })).unwrap();
    let mut machine = world.start(&deploy);
    let mut faults = (0..).map(|number| if number == smoke { Fault::Fails } else { Fault::None });
    world.down.clear();
    let end = {
        let mut step = 0;
        loop {
            match machine.next_steps() {
                Next::Ended(end) => break end,
                Next::Run { steps, direction, .. } => {
                    if direction == Direction::Back {
                        world.down.insert("web1".to_owned());
                    }
                    for (one, _) in steps {
                        let outcome = world.run(&one, u64::MAX, faults.next().unwrap()).unwrap();
                        machine.apply(&one, outcome);
                        step += 1;
                        assert!(step < 100);
                    }
                }
            }
        }
    };
    assert_eq!((end.ending, end.status), (Ending::NeedsAttention, 7));
    assert_eq!(end.serving, Serving::Release(deploy.plan.previous.clone().unwrap()));
    assert_eq!(end.left, ["web on web1: stop blue: web1 can't be reached: injected"]);
    assert!(world.order.iter().any(|step| step == "web on web2: stop blue"));
}

#[test]
fn failed_first_deploy_says_that_nothing_serves() {
    let environment = shop();
    let world = World::new(&environment.roles);
    let deploy = begun(ask(&environment, &world, Wanted::Deploy(&candidate(1))));
    let start = deploy.plan.steps().position(|step| matches!(step.step, Step::Start { .. })).unwrap();
    let (_, end) = with_fault(&world, &deploy, start, Fault::FailsLate);
    let end = end.unwrap();
    assert_eq!((end.ending, end.status, &end.serving), (Ending::RolledBack, 1, &Serving::Nothing));
    assert_eq!(end.serving.to_string(), "nothing serves");
    let id = &deploy.plan.release;
    assert_eq!(end.reason, format!("web on web1: start {id} in blue: failed: injected"));
}

#[test]
fn schema_that_stays_expanded_is_named() {
    let cases = [
        (true, false, "the database schema was reverted"),
        (false, false, "the database schema stays expanded: there is no `revert`"),
        (true, true, "the database schema stays expanded: the migrations are irreversible"),
    ];
    for (has_revert, irreversible, expected) in cases {
        let mut environment = shop();
        let mut of = migrations();
        of.irreversible = irreversible;
        of.revert = of.revert.filter(|_| has_revert);
        environment.migrations = Some(of);
        let mut world = World::new(&environment.roles);
        deployed(&environment, &mut world, 1);
        world.pending = vec!["add a column".to_owned()];
        let deploy = begun(ask(&environment, &world, Wanted::Deploy(&candidate(2))));
        let smoke = deploy.plan.steps().position(|step| matches!(step.step, Step::Smoke { .. })).unwrap();
        let (world, end) = with_fault(&world, &deploy, smoke, Fault::Fails);
        let end = end.unwrap();
        assert_eq!((end.ending, end.status), (Ending::RolledBack, 1));
        assert_eq!(end.left, [expected]);
        assert_eq!(world.pending.is_empty(), !has_revert || irreversible);
    }
}

#[test]
fn interrupted_clean_up_can_be_resumed() {
    let (environment, world, deploy) = deploy_with_everything();
    let commit = deploy.plan.steps().position(|step| matches!(step.step, Step::Commit { .. })).unwrap();
    let (mut world, end) = with_fault(&world, &deploy, commit + 1, Fault::Interrupted);
    let end = end.unwrap();
    assert_eq!(end.status, 7);
    assert_eq!(end.left[0], "web: drain green: interrupted");
    assert_eq!(end.left[1], "web on web1: stop green: not done");
    let unfinished = continued(ask(&environment, &world, Wanted::Resume));
    let mut machine = world.take_over(unfinished);
    assert!(matches!(machine.clone().next_steps(), Next::Run { direction: Direction::CleanUp, .. }));
    let end = world.drive(&mut machine, &mut std::iter::empty()).unwrap();
    assert_eq!((end.ending, end.left), (Ending::Succeeded, Vec::new()));
}

#[test]
fn freeze_keeps_a_deploy_from_going_forward_but_not_back() {
    let (environment, world, deploy) = deploy_with_everything();
    let smoke = deploy.plan.steps().position(|step| matches!(step.step, Step::Smoke { .. })).unwrap();
    let (mut world, _) = with_fault(&world, &deploy, smoke, Fault::Dies);
    world.authority.frozen = Some(("eve".to_owned(), "sale".to_owned()));
    let refusal = ask(&environment, &world, Wanted::Resume).unwrap_err();
    assert_eq!((refusal.status(), refusal.to_string().as_str()), (6, "deploys are stopped by eve: sale"));
    continued(ask(&environment, &world, Wanted::Abort));
}

#[test]
fn failed_adoption_changes_nothing_that_serves() {
    let environment = shop();
    let mut world = World::new(&environment.roles);
    for (role, host) in [("web", "web1"), ("web", "web2"), ("worker", "work1")] {
        let slot = world.slot(role, host, crate::deploy::release::Slot::Green);
        slot.running = Some(crate::deploy::release::ReleaseId("legacy".to_owned()));
        slot.is_checked = true;
    }
    let deploy = begun(ask(&environment, &world, Wanted::Adopt(&candidate(1))));
    assert_eq!(deploy.plan.goal, Goal::Adopt);
    let count = deploy.plan.steps().count();
    let (_, end) = with_fault(&world, &deploy, count - 1, Fault::Fails);
    let end = end.unwrap();
    assert_eq!((end.status, end.serving), (1, Serving::Unmanaged));
    let (world, end) = with_fault(&world, &deploy, 1_000, Fault::None);
    assert_eq!(end.unwrap().status, 0);
    assert_eq!(world.authority.current.as_ref(), Some(&deploy.plan.release));
}
