//! Plans as text, and each refusal.

use super::world::Fault;
use super::*;
use crate::deploy::plan::{Goal, Note};
use crate::deploy::planner::all_roles;
use crate::deploy::refusal::Objection;
use crate::deploy::rehearsal::Unchecked;
use crate::deploy::release::{ReleaseId, Slot};
use crate::deploy::step::{Step, Weights};

/// A world in which versions 1 to `last` were deployed one after the other.
fn world_with(environment: &Environment, last: u32) -> World {
    let mut world = World::new(&environment.roles);
    for version in 1..=last {
        deployed(environment, &mut world, version);
    }
    world
}

fn deploy_of(environment: &Environment, world: &World, version: u32) -> NewDeploy {
    begun(ask(environment, world, Wanted::Deploy(&candidate(version))))
}

fn refusal(environment: &Environment, world: &World, wanted: Wanted<'_>) -> (u8, String) {
    let refusal = ask(environment, world, wanted).unwrap_err();
    (refusal.status(), refusal.to_string())
}

fn is_nothing(decision: &Result<Decision, Refusal>) -> bool {
    matches!(decision, Ok(Decision::Nothing { .. }))
}

fn has_step(plan: &Plan, is_meant: impl Fn(&Step) -> bool) -> bool {
    plan.steps().any(|step| is_meant(&step.step))
}

#[test]
fn first_deploy_and_canary_with_migrations_as_text() {
    let mut environment = shop();
    environment.migrations = Some(migrations());
    let mut world = World::new(&environment.roles);
    insta::assert_snapshot!("first_deploy", drawn(&deploy_of(&environment, &world, 1).plan));
    deployed(&environment, &mut world, 1);
    world.pending = vec!["add a column".to_owned(), "add an index".to_owned()];
    insta::assert_snapshot!("canary_with_migrations", drawn(&deploy_of(&environment, &world, 2).plan));
}

#[test]
fn warm_and_cold_rollback_as_text() {
    let mut environment = shop();
    let world = world_with(&environment, 2);
    insta::assert_snapshot!(
        "cold_rollback",
        drawn(&begun(ask(&environment, &world, Wanted::Rollback(None))).plan)
    );
    environment.roles[0].standby = Duration::from_secs(1800);
    let world = world_with(&environment, 2);
    insta::assert_snapshot!(
        "warm_rollback",
        drawn(&begun(ask(&environment, &world, Wanted::Rollback(None))).plan)
    );
}

#[test]
fn adoption_as_text() {
    let environment = shop();
    let mut world = World::new(&environment.roles);
    assert_eq!(
        refusal(&environment, &world, Wanted::Adopt(&candidate(1))),
        (6, "web: no slot serves there, so there is nothing to adopt".to_owned())
    );
    for (role, host) in [("web", "web1"), ("web", "web2"), ("worker", "work1")] {
        world.slot(role, host, Slot::Green).running = Some(ReleaseId("legacy".to_owned()));
    }
    world.weights.insert("web".to_owned(), Weights { blue: 0, green: 100 });
    insta::assert_snapshot!(
        "adoption",
        drawn(&begun(ask(&environment, &world, Wanted::Adopt(&candidate(1)))).plan)
    );
}

#[test]
fn same_release_is_nothing_to_do_until_something_is_wrong() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    let again = candidate(2);
    assert!(is_nothing(&ask(&environment, &world, Wanted::Deploy(&again))));
    assert!(is_nothing(&ask(&environment, &world, Wanted::Rollback(Some(2)))));

    world.slot("web", "web2", Slot::Green).running = None;
    let repair = deploy_of(&environment, &world, 2);
    let what = "web: green on web2 does not run".to_owned();
    assert!(repair.plan.notes.contains(&Note::Incomplete { what: what.clone() }));
    assert_eq!(repair.release.number, 3);
    let (status, text) = refusal(&environment, &world, Wanted::Rollback(Some(2)));
    assert_eq!(status, 7);
    assert!(text.ends_with(&format!("is already current, but {what}")), "{text}");

    let mut world = world_with(&environment, 2);
    world.pending = vec!["add a column".to_owned()];
    begun(ask(&environment, &world, Wanted::Deploy(&again)));
}

#[test]
fn changed_variable_is_another_release_and_changed_secret_is_not() {
    let mut environment = shop();
    environment.variables.secret_env = vec!["PASSWORD".to_owned()];
    let world = world_with(&environment, 1);
    assert!(is_nothing(&ask(&environment, &world, Wanted::Deploy(&candidate(1)))));
    environment.variables.env.insert("LOG_LEVEL".to_owned(), "info".to_owned());
    let deploy = deploy_of(&environment, &world, 1);
    assert_eq!(deploy.release.roles[1].variables.env["LOG_LEVEL"], "info");
    assert_eq!(deploy.release.id.0, format!("2-{}", &deploy.release.digest[..8]));
}

#[test]
fn variables_of_a_role_win_over_those_of_the_environment() {
    let mut environment = environment(vec![role("app", &["one"])]);
    environment.variables.env = BTreeMap::from([
        ("A".to_owned(), "outer".to_owned()),
        ("B".to_owned(), "outer".to_owned()),
        ("C".to_owned(), "outer".to_owned()),
    ]);
    environment.variables.secret_env = vec!["D".to_owned(), "E".to_owned()];
    let variables = &mut environment.roles[0].variables;
    variables.env =
        BTreeMap::from([("A".to_owned(), "inner".to_owned()), ("D".to_owned(), "inner".to_owned())]);
    variables.secret_env = vec!["B".to_owned(), "E".to_owned()];
    let world = World::new(&environment.roles);
    let merged = deploy_of(&environment, &world, 1).release.roles[0].variables.clone();
    let env: Vec<_> = merged.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=inner", "C=outer", "D=inner"]);
    assert_eq!(merged.secret_env, ["E", "B"]);
}

#[test]
fn drifted_weights_are_set_again_before_anything_else() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    // The router was restarted and has forgotten its weights.
    world.weights.insert("web".to_owned(), Weights { blue: 50, green: 50 });
    let deploy = deploy_of(&environment, &world, 3);
    assert_eq!(first_steps(&deploy.plan), ["web: send 0 % to blue and 100 % to green"]);
    deployed(&environment, &mut world, 3);

    // The current release is dead, so its slot must not get requests from the other one.
    let mut world = world_with(&environment, 2);
    world.weights.insert("web".to_owned(), Weights { blue: 100, green: 0 });
    for host in ["web1", "web2"] {
        let slot = world.slot("web", host, Slot::Green);
        let release = slot.running.take();
        let blue = world.slot("web", host, Slot::Blue);
        blue.running = release;
    }
    let (status, text) = refusal(&environment, &world, Wanted::Deploy(&candidate(3)));
    assert_eq!(status, 7);
    assert!(text.contains("should serve from green but does not run"), "{text}");
}

#[test]
fn forgotten_weights_of_the_same_release_are_only_set_again() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    world.weights.insert("web".to_owned(), Weights { blue: 50, green: 50 });
    let deploy = deploy_of(&environment, &world, 2);
    assert_eq!(
        drawn(&deploy.plan).replace(&deploy.release.id.0, "ID"),
        "repair\n  web: send 0 % to blue and 100 % to green (the router sends 50 % to blue and 50 % to green, but \
         green has the current release)\ncommit\n  record that ID is current (everything before has succeeded; \
         from here on there is no way back)\nway back\nnote: the same release is already current, but web: the \
         router sends 50 % of the requests to green, not all\n"
    );
    let (_, text) = refusal(&environment, &world, Wanted::Rollback(Some(2)));
    assert!(text.ends_with("web: the router sends 50 % of the requests to green, not all"), "{text}");

    let mut failed = world.clone();
    let mut machine = failed.start(&deploy);
    let end = failed.drive(&mut machine, &mut std::iter::once(Fault::Fails)).unwrap();
    assert_eq!((end.status, end.serving.release()), (7, None));
    assert_eq!(end.left, ["web: send 0 % to blue and 100 % to green: not done"]);
    let mut machine = world.start(&deploy);
    assert_eq!(world.drive(&mut machine, &mut std::iter::empty()).unwrap().status, 0);
    assert!(is_nothing(&ask(&environment, &world, Wanted::Deploy(&candidate(2)))));
}

#[test]
fn something_unknown_in_both_slots_is_not_stopped() {
    let environment = shop();
    let mut world = World::new(&environment.roles);
    for slot in Slot::ALL {
        world.slot("web", "web1", slot).running = Some(ReleaseId("legacy".to_owned()));
    }
    world.weights.insert("web".to_owned(), Weights { blue: 50, green: 50 });
    let (status, text) = refusal(&environment, &world, Wanted::Deploy(&candidate(1)));
    assert_eq!(status, 7);
    assert_eq!(text, "web: no slot is free: something that is no release runs in both and has requests");
    // With one of them, the other is free, but what no deploy has started can't be stopped.
    world.weights.insert("web".to_owned(), Weights { blue: 100, green: 0 });
    let refused = ask(&environment, &world, Wanted::Deploy(&candidate(1))).unwrap_err();
    assert_eq!(refused.status(), 7);
    assert_eq!(refused.to_string(), "web on web1: something runs in blue that no deploy has started");
    assert_eq!(refused.hint("production").unwrap(), "xtask deploy --env production --adopt");
}

#[test]
fn something_unknown_in_the_free_slot_must_be_stopped_first() {
    let mut environment = shop();
    let mut world = world_with(&environment, 1);
    world.slot("worker", "work1", Slot::Green).running = Some(ReleaseId("legacy".to_owned()));
    let refused = ask(&environment, &world, Wanted::Deploy(&candidate(2))).unwrap_err();
    assert_eq!(refused.status(), 7);
    assert_eq!(refused.to_string(), "worker on work1: something runs in green that no deploy has started");
    assert_eq!(
        refused.hint("production").unwrap(),
        "stop what runs in green on work1, since it is no release"
    );
    // A line that does not name the slot says the same of both.
    environment.roles[1].runs = Runs::Lines {
        start: "start worker".to_owned(),
        stop: Some("stop worker".to_owned()),
        status: Some("is worker running".to_owned()),
    };
    begun(ask(&environment, &world, Wanted::Deploy(&candidate(2))));
}

#[test]
fn rollback_after_a_rollback_and_a_deploy_skips_the_release_that_was_bad() {
    let environment = shop();
    let mut world = world_with(&environment, 3);
    let deploy = begun(ask(&environment, &world, Wanted::Rollback(None)));
    assert_eq!(deploy.release.number, 2);
    let mut machine = world.start(&deploy);
    assert_eq!(world.drive(&mut machine, &mut std::iter::empty()).unwrap().status, 0);
    deployed(&environment, &mut world, 4);
    assert_eq!(begun(ask(&environment, &world, Wanted::Rollback(None))).release.number, 2);
    // Bad releases take no place of good ones.
    let numbers: Vec<_> = world.authority.releases.iter().map(|release| release.number).collect();
    assert_eq!(numbers, [1, 2, 4]);
    deployed(&environment, &mut world, 5);
    let numbers: Vec<_> = world.authority.releases.iter().map(|release| release.number).collect();
    assert_eq!(numbers, [2, 4, 5]);
}

#[test]
fn leftovers_in_the_free_slot_are_stopped_first() {
    let mut environment = shop();
    environment.roles[0].standby = Duration::from_secs(1800);
    let world = world_with(&environment, 2);
    let text = drawn(&deploy_of(&environment, &world, 3).plan);
    assert!(text.contains("web on web1: stop blue (the slot is needed, and 1-"), "{text}");
    assert!(!text.contains("worker on work1: stop blue (the slot is needed"), "{text}");
}

#[test]
fn added_and_removed_hosts_and_roles() {
    let environment_before = environment(vec![
        routed("web", &["web1", "web2"], &[100]),
        role("worker", &["work1"]),
        role("cron", &["cron1"]),
    ]);
    let mut world = world_with(&environment_before, 1);
    let after = environment(vec![routed("web", &["web2", "web3"], &[100]), role("worker", &["work2"])]);
    world.add_roles(&after.roles);
    let deploy = deploy_of(&after, &world, 2);
    insta::assert_snapshot!("hosts_change", drawn(&deploy.plan));
    deployed(&after, &mut world, 2);
    let runs = world.slots.iter().filter(|(_, slot)| slot.running.is_some());
    let runs: Vec<_> = runs.map(|(on, _)| format!("{on} {}", on.slot)).collect();
    assert_eq!(runs, ["web on web2 green", "web on web3 green", "worker on work2 green"]);

    let all = all_roles(&after.roles, Some(&deploy.release));
    assert_eq!(all, after.roles);
    let old = world_with(&environment_before, 1).authority.releases[0].clone();
    let all = all_roles(&after.roles, Some(&old));
    let hosts: Vec<_> = all
        .iter()
        .map(|role| {
            let hosts: Vec<_> = role.hosts.iter().map(|host| host.name.as_str()).collect();
            format!("{}: {}", role.name, hosts.join(" "))
        })
        .collect();
    assert_eq!(hosts, ["web: web2 web3 web1", "worker: work2 work1", "cron: cron1"]);
}

#[test]
fn dead_host_can_be_removed() {
    let before = environment(vec![role("worker", &["work1"])]);
    let mut world = world_with(&before, 1);
    world.down.insert("work1".to_owned());
    let after = environment(vec![role("worker", &["work2"])]);
    world.add_roles(&after.roles);
    let deploy = deploy_of(&after, &world, 2);
    let mut machine = world.start(&deploy);
    let end = world.drive(&mut machine, &mut std::iter::empty()).unwrap();
    assert_eq!(end.status, 7);
    assert_eq!(end.serving.release(), Some(&deploy.release.id));
    assert!(end.left.iter().all(|line| line.starts_with("worker on work1: stop")), "{end:?}");
}

#[test]
fn unreachable_host_stops_a_deploy_but_not_a_rollback() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    world.down.insert("web1".to_owned());
    assert_eq!(
        refusal(&environment, &world, Wanted::Deploy(&candidate(3))),
        (5, "1 host can't be reached: web1 (no route to host)".to_owned())
    );
    let deploy = begun(ask(&environment, &world, Wanted::Rollback(None)));
    assert_eq!(deploy.plan.left_out().collect::<Vec<_>>(), [("web", "web1")]);
    let mut machine = world.start(&deploy);
    let end = world.drive(&mut machine, &mut std::iter::empty()).unwrap();
    assert_eq!((end.status, end.serving.release()), (7, Some(&deploy.release.id)));
    assert_eq!(end.left, ["web on web1: was left out, since it could not be reached"]);

    world.down.insert("web2".to_owned());
    let (status, _) = refusal(&environment, &world, Wanted::Rollback(Some(2)));
    assert_eq!(status, 5);
}

#[test]
fn image_is_not_looked_for_in_folders() {
    let environment = shop();
    let mut world = world_with(&environment, 3);
    for present in world.artifacts.values_mut() {
        present.clear();
    }
    let (_, text) = refusal(&environment, &world, Wanted::Rollback(Some(1)));
    assert!(text.contains("api"), "{text}");
    for release in &mut world.authority.releases {
        release.artifacts.get_mut("api").unwrap().image = Some("shop/api".to_owned());
    }
    assert_eq!(begun(ask(&environment, &world, Wanted::Rollback(Some(1)))).release.number, 1);
}

#[test]
fn rollback_goes_only_to_whole_releases_that_succeeded() {
    let environment = shop();
    let world = world_with(&environment, 1);
    let one = world.authority.releases[0].id.clone();
    assert_eq!(
        refusal(&environment, &world, Wanted::Rollback(None)),
        (6, format!("no earlier release succeeded and is whole on the target (there: {one})"))
    );
    let (status, text) = refusal(&environment, &World::new(&environment.roles), Wanted::Rollback(None));
    assert_eq!((status, text.ends_with("(there: none)")), (6, true), "{text}");

    // Release 3 fails, so release 2 is the last good one before release 4; 1 to 4 are not all kept.
    let mut world = world_with(&environment, 2);
    let deploy = deploy_of(&environment, &world, 3);
    let smoke = deploy.plan.steps().position(|step| matches!(step.step, Step::Smoke { .. })).unwrap();
    let mut machine = world.start(&deploy);
    let mut faults = (0..).map(|number| if number == smoke { Fault::Fails } else { Fault::None });
    assert_eq!(world.drive(&mut machine, &mut faults).unwrap().status, 1);
    deployed(&environment, &mut world, 4);
    assert_eq!(begun(ask(&environment, &world, Wanted::Rollback(None))).release.number, 2);
    let (status, text) = refusal(&environment, &world, Wanted::Rollback(Some(3)));
    assert_eq!(status, 6);
    assert!(text.starts_with("release 3 can't be made current: it did not succeed"), "{text}");
    assert_eq!(begun(ask(&environment, &world, Wanted::Rollback(Some(1)))).release.number, 1);
    deployed(&environment, &mut world, 5);
    assert_eq!(refusal(&environment, &world, Wanted::Rollback(Some(1))).0, 6);
    assert_eq!(begun(ask(&environment, &world, Wanted::Rollback(Some(2)))).release.number, 2);
}

#[test]
fn rollback_names_what_is_missing_on_a_host() {
    let environment = shop();
    let mut world = world_with(&environment, 3);
    let id = world.authority.releases[0].id.clone();
    world.artifacts.get_mut(&("web".to_owned(), "web2".to_owned())).unwrap().clear();
    assert_eq!(
        refusal(&environment, &world, Wanted::Rollback(Some(1))),
        (7, format!("web on web2: artifact api of {id} is missing"))
    );
    // What is still in the other slot needs no artifact.
    begun(ask(&environment, &world, Wanted::Rollback(Some(2))));
}

#[test]
fn rollback_leads_forward_again() {
    let environment = shop();
    let mut world = world_with(&environment, 3);
    for (wanted, expected) in [(None, 2), (None, 1), (Some(3), 3), (None, 2)] {
        let deploy = begun(ask(&environment, &world, Wanted::Rollback(wanted)));
        assert_eq!(deploy.release.number, expected);
        assert!(!has_step(&deploy.plan, |step| matches!(step, Step::Deliver { .. } | Step::Measure { .. })));
        let mut machine = world.start(&deploy);
        assert_eq!(world.drive(&mut machine, &mut std::iter::empty()).unwrap().status, 0);
    }
}

#[test]
fn host_that_left_the_environment_gets_no_old_release_and_is_stopped_by_a_rollback() {
    let mut environment = shop();
    let world = world_with(&environment, 2);
    environment.roles[0].hosts.remove(0);
    let deploy = begun(ask(&environment, &world, Wanted::Rollback(None)));
    let plan = drawn(&deploy.plan);
    assert!(plan.contains("web on web1: stop green (the host is no longer part of the role)"), "{plan}");
    assert_eq!(plan.matches("web1").count(), 1, "{plan}");
    environment.roles[0].hosts = vec![host("other")];
    let (status, text) = refusal(&environment, &world, Wanted::Rollback(None));
    assert_eq!(status, 6);
    assert!(text.ends_with("has no host that still is part of the environment"), "{text}");
}

#[test]
fn old_schema_is_removed_once_no_kept_release_needs_it() {
    let mut environment = shop();
    environment.migrations = Some(migrations());
    let mut world = world_with(&environment, 1);
    world.pending = vec!["add a column".to_owned()];
    deployed(&environment, &mut world, 2);
    let contracts = |deploy: &NewDeploy| {
        assert_eq!(deploy.release.contracts, has_step(&deploy.plan, |step| *step == Step::Contract));
        deploy.release.contracts
    };
    // Three releases are kept: release 1 needs the old schema until release 4 is current.
    let third = deploy_of(&environment, &world, 3);
    assert!(!contracts(&third));
    assert!(drawn(&third.plan).contains("note: the old schema stays, since 1-"));
    deployed(&environment, &mut world, 3);
    begun(ask(&environment, &world, Wanted::Rollback(Some(1))));
    assert!(contracts(&deploy_of(&environment, &world, 4)));
    deployed(&environment, &mut world, 4);
    assert!(world.contracted);
    assert!(!contracts(&deploy_of(&environment, &world, 5)));

    // Even if an old release is still there, it can't run any more.
    let mut old = world.authority.releases[0].clone();
    (old.number, old.id) = (1, ReleaseId("1-old".to_owned()));
    world.authority.releases.insert(0, old);
    let four = world.authority.current.clone().unwrap();
    assert_eq!(
        refusal(&environment, &world, Wanted::Rollback(Some(1))),
        (6, format!("1-old can't run any more: {four} removed the database schema that it needs"))
    );
}

#[test]
fn migrations_of_the_first_deploy_are_not_contracted_with_it() {
    let mut environment = shop();
    environment.migrations = Some(migrations());
    let mut world = World::new(&environment.roles);
    world.pending = vec!["create the tables".to_owned()];
    assert!(!deploy_of(&environment, &world, 1).release.contracts);
}

#[test]
fn unchecked_and_irreversible_migrations_need_an_override_or_an_approval() {
    let mut environment = shop();
    let mut of = migrations();
    of.rehearsal = None;
    of.irreversible = true;
    environment.migrations = Some(of);
    let mut world = world_with(&environment, 1);
    world.pending = vec!["drop a table".to_owned()];
    let two = candidate(2);
    let with = |approvals, overrides: Option<&str>| {
        let overrides = overrides.map(str::to_owned);
        let policy = PolicyResult { approvals, overrides, ..PolicyResult::default() };
        begun(ask_with(&environment, &world, Wanted::Deploy(&two), &policy))
    };
    let texts = |deploy: &NewDeploy| -> Vec<_> {
        deploy.objections.iter().map(|objection| objection.reason.clone()).collect()
    };
    let unchecked = "migrations are pending, and whether the old release works with the expanded schema is not \
                     checked: there is no `rehearse`";
    let irreversible = "migrations are pending that can't be reverted";
    assert_eq!(texts(&with(0, None)), [unchecked, irreversible]);
    assert_eq!(texts(&with(1, None)), [unchecked]);
    let overridden = with(0, Some("we know"));
    assert_eq!(overridden.check_permitted(), Ok(()));
    assert!(overridden.plan.notes.contains(&Note::NotChecked { why: Unchecked::NoRehearsal }));
    assert!(!has_step(&overridden.plan, |step| *step == Step::Rehearse));
}

#[test]
fn objections_do_not_keep_a_plan_from_being_shown() {
    let environment = shop();
    let world = world_with(&environment, 1);
    let objection = Objection {
        reason: "no approval".to_owned(),
        hint: Some("xtask approve --env production".to_owned()),
    };
    let policy = PolicyResult { objections: vec![objection.clone()], ..PolicyResult::default() };
    let two = candidate(2);
    let deploy = begun(ask_with(&environment, &world, Wanted::Deploy(&two), &policy));
    let refusal = deploy.check_permitted().unwrap_err();
    assert_eq!((refusal.status(), refusal.to_string().as_str()), (6, "no approval"));
    assert_eq!(refusal.hint("production"), objection.hint);
    let policy = PolicyResult { overrides: Some("outage".to_owned()), ..policy };
    let deploy = begun(ask_with(&environment, &world, Wanted::Deploy(&two), &policy));
    assert_eq!(deploy.check_permitted(), Ok(()));
}

#[test]
fn freeze_stops_deploys_and_no_rollback() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    world.authority.frozen = Some(("eve".to_owned(), "sale".to_owned()));
    assert_eq!(
        refusal(&environment, &world, Wanted::Deploy(&candidate(3))),
        (6, "deploys are stopped by eve: sale".to_owned())
    );
    assert!(is_nothing(&ask(&environment, &world, Wanted::Deploy(&candidate(2)))));
    begun(ask(&environment, &world, Wanted::Rollback(None)));
}

#[test]
fn lease_of_another_deploy_is_respected_until_it_expires() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    world.authority.lease.as_mut().unwrap().expires = Timestamp(2_000_000);
    let three = candidate(3);
    for wanted in [Wanted::Deploy(&three), Wanted::Rollback(None), Wanted::Resume, Wanted::Abort] {
        let text = "ann is deploying since 1970-01-01T00:00:00Z (deploy d2)".to_owned();
        assert_eq!(refusal(&environment, &world, wanted), (6, text));
    }
    let observation = world.observe();
    let inputs = PlanInputs {
        environment: &environment,
        wanted: Wanted::Deploy(&three),
        observation: &observation,
        pending: &[],
        policy: &PolicyResult::default(),
        own: Some("d2"),
        now: Timestamp(0),
    };
    begun(plan(&inputs));
}

#[test]
fn deploy_that_died_before_its_first_step_is_in_nobodys_way() {
    let environment = shop();
    let mut world = world_with(&environment, 1);
    let deploy = deploy_of(&environment, &world, 2);
    let _ = world.start(&deploy);
    begun(ask(&environment, &world, Wanted::Deploy(&candidate(2))));
}

#[test]
fn different_slots_on_different_hosts_are_refused() {
    let environment = shop();
    let mut world = world_with(&environment, 2);
    let id = world.authority.current.clone().unwrap();
    let green = std::mem::take(world.slot("web", "web2", Slot::Green));
    *world.slot("web", "web2", Slot::Blue) = green;
    assert_eq!(
        refusal(&environment, &world, Wanted::Deploy(&candidate(3))),
        (7, format!("web: {id} is in different slots: web1 has it in green, web2 has it in blue"))
    );
}

#[test]
fn router_that_does_not_answer_is_refused() {
    let environment = shop();
    let world = world_with(&environment, 2);
    let mut observation = world.observe();
    observation.weights.insert("web".to_owned(), Err("connection refused".to_owned()));
    let inputs = PlanInputs {
        environment: &environment,
        wanted: Wanted::Rollback(None),
        observation: &observation,
        pending: &[],
        policy: &PolicyResult::default(),
        own: None,
        now: Timestamp(0),
    };
    let refusal = plan(&inputs).unwrap_err();
    assert_eq!(refusal.status(), 5);
    assert_eq!(refusal.to_string(), "web: the router can't be asked for its weights: connection refused");
}

#[test]
fn plan_id_depends_on_what_is_approved_and_on_nothing_else() {
    let environment = shop();
    let world = world_with(&environment, 2);
    let id = deploy_of(&environment, &world, 3).plan.id;
    assert_eq!(id.len(), 64);
    assert_eq!(deploy_of(&environment, &world, 3).plan.id, id);

    let mut failed_before = world.clone();
    failed_before.authority.last_number += 1;
    assert_eq!(deploy_of(&environment, &failed_before, 3).plan.id, id, "a failed attempt");

    let mut pending = world.clone();
    pending.pending = vec!["add a column".to_owned()];
    let mut name = environment.clone();
    name.name = "staging".to_owned();
    let mut variables = environment.clone();
    variables.variables.env.insert("A".to_owned(), "1".to_owned());
    let mut steps = environment.clone();
    steps.roles[0].traffic.as_mut().unwrap().steps = vec![100];
    let ids = [
        id,
        deploy_of(&environment, &world, 4).plan.id,
        deploy_of(&environment, &pending, 3).plan.id,
        deploy_of(&name, &world, 3).plan.id,
        deploy_of(&variables, &world, 3).plan.id,
        deploy_of(&steps, &world, 3).plan.id,
        deploy_of(&environment, &world_with(&environment, 1), 3).plan.id,
        begun(ask(&environment, &world, Wanted::Rollback(None))).plan.id,
    ];
    let different: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len());
}

#[test]
fn every_plan_has_one_commit_in_a_group_of_its_own() {
    let environment = shop();
    let world = world_with(&environment, 2);
    for (wanted, goal) in
        [(Wanted::Deploy(&candidate(3)), Goal::Deploy), (Wanted::Rollback(None), Goal::Rollback)]
    {
        let plan = begun(ask(&environment, &world, wanted)).plan;
        assert_eq!(plan.goal, goal);
        let commits: Vec<_> = plan
            .groups
            .iter()
            .filter(|group| group.steps.iter().any(|step| matches!(step.step, Step::Commit { .. })))
            .collect();
        assert_eq!((commits.len(), commits[0].steps.len()), (1, 1));
    }
}

#[test]
fn refusals_have_hints_that_can_be_typed() {
    let hint = |refusal: Refusal| refusal.hint("production").unwrap();
    assert_eq!(hint(Refusal::NothingUnfinished), "xtask releases --env production");
    let id = ReleaseId("1-old".to_owned());
    let unfinished =
        Refusal::Unfinished { deploy: "d1".to_owned(), release: id.clone(), by: "ann".to_owned() };
    assert_eq!(unfinished.to_string(), "deploy d1 of 1-old by ann has not ended, and its process is gone");
    assert_eq!(
        hint(unfinished),
        "xtask deploy --env production --resume, or xtask deploy --env production --abort"
    );
    assert_eq!(
        hint(Refusal::AlreadyCommitted { release: id.clone() }),
        "xtask deploy --env production --resume finishes it, xtask rollback --env production goes back"
    );
    assert_eq!(hint(Refusal::AlreadyManaged { release: id }), "xtask deploy --env production");
}

#[test]
fn damaged_history_stops_deploys_with_7_but_no_rollback() {
    let environment = shop();
    let mut world = World::new(&environment.roles);
    deployed(&environment, &mut world, 1);
    deployed(&environment, &mut world, 2);
    world.authority.damaged = vec!["web1: the records of deploy d2 are lost, which has not ended".to_owned()];
    for wanted in [Wanted::Deploy(&candidate(3)), Wanted::Resume, Wanted::Abort] {
        let refusal = ask(&environment, &world, wanted).unwrap_err();
        assert_eq!(refusal.status(), 7);
        assert!(refusal.to_string().starts_with("the history of the target is damaged: web1: "), "{refusal}");
        assert!(refusal.hint("shop").unwrap().starts_with("xtask rollback --env shop, or "));
    }
    assert!(ask(&environment, &world, Wanted::Rollback(None)).is_ok());
    // Nothing is known of what was there: this is no first deploy.
    world.authority.releases.clear();
    world.authority.current = None;
    for wanted in [Wanted::Deploy(&candidate(3)), Wanted::Rollback(None)] {
        let refusal = ask(&environment, &world, wanted).unwrap_err();
        assert_eq!(refusal.status(), 7);
        assert!(refusal.hint("shop").unwrap().contains("--adopt takes over what runs"));
    }
}
