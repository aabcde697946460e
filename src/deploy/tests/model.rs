//! Random outcomes, deaths and takeovers: however a deploy goes, the old or the new release serves, or the end
//! says that something needs attention.

use proptest::prelude::*;
use proptest::sample::select;

use super::world::Fault;
use super::*;
use crate::deploy::machine::{End, Serving};
use crate::deploy::record::Ending;
use crate::deploy::step::Weights;

/// Generates what happens at the steps of a deploy: mostly nothing.
fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        12 => Just(Fault::None),
        1 => Just(Fault::Fails),
        1 => Just(Fault::FailsLate),
        1 => Just(Fault::Lost),
        1 => Just(Fault::LostLate),
        1 => Just(Fault::Down),
        1 => Just(Fault::Interrupted),
        1 => Just(Fault::Dies),
        1 => Just(Fault::DiesLate),
    ];
    prop::collection::vec(fault, 0..60)
}

/// The kinds of deploys that are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attempt {
    First,
    Deploy,
    Rollback,
    Migration,
    HostMoves,
    Drift,
}

impl Attempt {
    const ALL: [Self; 6] =
        [Self::First, Self::Deploy, Self::Rollback, Self::Migration, Self::HostMoves, Self::Drift];
}

fn environments() -> Vec<Environment> {
    let with_standby = || {
        let mut standby = shop();
        standby.roles[0].standby = Duration::from_secs(1800);
        standby
    };
    vec![
        shop(),
        with_standby(),
        environment(vec![role("app", &["one"])]),
        environment(vec![role("app", &["one", "two"]), role("cron", &["one"])]),
        environment(vec![routed("api", &["one"], &[100]), routed("web", &["two", "three"], &[5, 50, 100])]),
    ]
}

/// Does what a router with `on-lost = "revert"` does: restores the weights if nobody renews the lease.
fn revert(world: &mut World) {
    let Some(current) = world.authority.current.clone() else { return };
    for (on, slot) in &world.slots {
        if slot.running.as_ref() == Some(&current) && world.weights.contains_key(&on.role) {
            world.weights.insert(on.role.clone(), Weights::new(on.slot, 100));
        }
    }
}

/// Checks what a deploy says at its end against the world.
fn check_end(world: &World, plan: &Plan, end: &End) {
    let current = world.authority.current.as_ref();
    match &end.serving {
        Serving::Release(release) => world.assert_serves(release, plan),
        Serving::Nothing => {
            let runs = world.slots.iter().find(|(_, slot)| slot.running.as_ref() == Some(&plan.release));
            assert!(runs.is_none(), "{runs:?}");
        }
        Serving::Unmanaged | Serving::Uncertain => assert_eq!(end.ending, Ending::NeedsAttention, "{end:?}"),
    }
    match end.ending {
        Ending::Succeeded => {
            assert_eq!((end.status, current), (0, Some(&plan.release)));
            assert_eq!(end.serving, Serving::Release(plan.release.clone()));
        }
        Ending::RolledBack | Ending::Unchanged => {
            assert!([0, 1, 5].contains(&end.status), "{end:?}");
            assert_eq!(current, plan.previous.as_ref(), "{end:?}");
            assert_eq!(end.serving.release(), plan.previous.as_ref(), "{end:?}");
            let left = world.slots.iter().find(|(_, slot)| slot.running.as_ref() == Some(&plan.release));
            assert!(left.is_none() || plan.goal == crate::deploy::plan::Goal::Rollback, "{left:?} {end:?}");
        }
        Ending::NeedsAttention => {
            assert_eq!(end.status, 7);
            assert!(!end.left.is_empty(), "{end:?}");
        }
    }
}

/// A deploy and what happens to it.
#[derive(Debug)]
struct Case {
    environment: Environment,
    attempt: Attempt,
    /// What happens at its steps, one after the other.
    faults: Vec<Fault>,
    /// Whether those that take over abort it.
    aborts: Vec<bool>,
    /// Which of the replaced processes wakes up.
    zombie: usize,
    /// Whether the router takes the requests back when the process dies.
    reverts: bool,
}

/// Carries a deploy out until its end, and checks what it says against the world. Returns whether all faults
/// have happened.
fn check(case: Case) -> bool {
    let mut environment = case.environment;
    environment.migrations = Some(migrations());
    let mut world = World::new(&environment.roles);
    if case.attempt != Attempt::First {
        deployed(&environment, &mut world, 1);
        deployed(&environment, &mut world, 2);
    }
    match case.attempt {
        Attempt::Migration => world.pending = vec!["add a column".to_owned()],
        Attempt::HostMoves => {
            let hosts = &mut environment.roles.last_mut().unwrap().hosts;
            *hosts = vec![host("new")];
            world.add_roles(&environment.roles);
        }
        // A restarted router has forgotten its weights.
        Attempt::Drift => {
            for weights in world.weights.values_mut() {
                *weights = Weights { blue: 50, green: 50 };
            }
        }
        _ => {}
    }
    let three = candidate(3);
    let wanted =
        if case.attempt == Attempt::Rollback { Wanted::Rollback(None) } else { Wanted::Deploy(&three) };
    let deploy = begun(ask(&environment, &world, wanted));
    let mut machine = world.start(&deploy);
    let mut faults = case.faults.into_iter();
    let mut aborts = case.aborts.into_iter();
    let mut asleep = Vec::new();
    let mut end = None;
    // Whoever takes over may die too.
    while end.is_none() {
        end = world.drive(&mut machine, &mut faults);
        if end.is_none() {
            asleep.push(machine.clone());
            if case.reverts {
                revert(&mut world);
            }
            let abort = aborts.next().unwrap_or(false);
            let wanted = if abort { Wanted::Abort } else { Wanted::Resume };
            let unfinished = match ask(&environment, &world, wanted) {
                Err(Refusal::AlreadyCommitted { .. }) => continued(ask(&environment, &world, Wanted::Resume)),
                decision => continued(decision),
            };
            machine = world.take_over(unfinished);
        }
    }
    check_end(&world, &deploy.plan, &end.unwrap());
    let all_have_happened = faults.next().is_none();

    // A process that wakes up after it was replaced changes nothing.
    if !asleep.is_empty() {
        let before = format!("{:?} {:?} {:?}", world.slots, world.weights, world.authority.current);
        let mut zombie = asleep[case.zombie % asleep.len()].clone();
        if let crate::deploy::machine::Next::Run { steps, .. } = zombie.next_steps() {
            for (step, _) in steps {
                let outcome = world.run(&step, 0, Fault::None).unwrap();
                zombie.apply(&step, outcome);
            }
            let crate::deploy::machine::Next::Ended(end) = zombie.next_steps() else { panic!("it goes on") };
            assert_eq!(end.status, 7);
        }
        let after = format!("{:?} {:?} {:?}", world.slots, world.weights, world.authority.current);
        assert_eq!(before, after);
    }

    // Once all hosts are back, what needed attention can be finished, and the next deploy succeeds.
    world.down.clear();
    if let Ok(Decision::Continue(unfinished)) = ask(&environment, &world, Wanted::Resume) {
        let mut machine = world.take_over(*unfinished);
        let end = world.drive(&mut machine, &mut std::iter::empty()).unwrap();
        let has_left_out = deploy.plan.left_out().next().is_some();
        assert!(end.ending != Ending::NeedsAttention || has_left_out, "{end:?}");
        check_end(&world, &deploy.plan, &end);
    }
    deployed(&environment, &mut world, 4);
    all_have_happened
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn old_or_new_release_serves_or_attention_is_asked_for(
        environment in select(environments()),
        attempt in select(Attempt::ALL.to_vec()),
        faults in faults(),
        aborts in prop::collection::vec(any::<bool>(), 8),
        zombie in any::<usize>(),
        reverts in any::<bool>(),
    ) {
        check(Case { environment, attempt, faults, aborts, zombie, reverts });
    }
}

/// One fault at each step: random ones rarely reach the last steps.
#[test]
fn any_step_may_fail() {
    for environment in environments() {
        for attempt in Attempt::ALL {
            for fault in [Fault::Fails, Fault::LostLate, Fault::Down, Fault::Dies] {
                let case = |step| Case {
                    environment: environment.clone(),
                    attempt,
                    faults: [vec![Fault::None; step], vec![fault]].concat(),
                    aborts: Vec::new(),
                    zombie: 0,
                    reverts: false,
                };
                assert!((0..200).any(|step| !check(case(step))));
            }
        }
    }
}
