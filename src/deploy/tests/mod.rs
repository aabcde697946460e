//! Tests of the planner and the state machine: environments, plans as text, and a model of a target.

mod machine;
mod model;
mod planner;
mod world;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::config::deploy::{
    Analysis, AnalysisSource, Connection, Environment, Host, Inconclusive, Migrations, OnLost, Policy,
    Rehearsal, Role, Router, RunOn, Runs, Traffic, Variables,
};
use crate::config::model::{SourceLocation, TaskId};
use crate::deploy::candidate::Candidate;
use crate::deploy::machine::Machine;
use crate::deploy::plan::Plan;
use crate::deploy::planner::{Decision, NewDeploy, PlanInputs, PolicyResult, Unfinished, Wanted, plan};
use crate::deploy::refusal::Refusal;
use crate::deploy::release::{ArtifactDigest, ReleaseArtifact};
use world::World;

fn host(name: &str) -> Host {
    Host { name: name.to_owned(), connection: Connection::Local, env: BTreeMap::new() }
}

/// Returns a role without a router.
fn role(name: &str, hosts: &[&str]) -> Role {
    Role {
        name: name.to_owned(),
        artifacts: vec!["api".to_owned()],
        hosts: hosts.iter().map(|name| host(name)).collect(),
        runs: Runs::Lines { start: "start {{ slot }}".to_owned(), stop: None, status: None },
        ports: None,
        variables: Variables::default(),
        health_check: None,
        traffic: None,
        standby: Duration::ZERO,
    }
}

/// Returns a role with a router and these steps.
fn routed(name: &str, hosts: &[&str], steps: &[u8]) -> Role {
    let traffic = Traffic {
        steps: steps.to_vec(),
        every: Duration::from_secs(300),
        bake: Duration::from_secs(900),
        router: Router::Command { shift: "shift".to_owned(), read: "read".to_owned() },
        on: Connection::Local,
        drain: Duration::from_secs(30),
        analysis: Some(Analysis {
            error_rate: Some(1.0),
            p95: None,
            mean: None,
            min_requests: 50,
            source: AnalysisSource::Router,
            inconclusive: Inconclusive::Rollback,
        }),
        on_lost: OnLost::Hold,
    };
    Role { traffic: Some(traffic), ..role(name, hosts) }
}

fn environment(roles: Vec<Role>) -> Environment {
    Environment {
        name: "production".to_owned(),
        gate: Vec::new(),
        policy: Policy::default(),
        variables: Variables::default(),
        url: None,
        smoke: vec![TaskId(0)],
        keep: NonZeroU32::new(3).unwrap(),
        timeout: Duration::from_secs(600),
        lease: Duration::from_secs(60),
        max_parallel: NonZeroU32::new(4).unwrap(),
        path: "/srv/shop".to_owned(),
        roles,
        migrations: None,
        location: SourceLocation::default(),
    }
}

/// Returns an environment with a canary on two hosts, and a worker.
fn shop() -> Environment {
    environment(vec![routed("web", &["web1", "web2"], &[10, 100]), role("worker", &["work1"])])
}

fn migrations() -> Migrations {
    Migrations {
        run_on: RunOn::FirstHost,
        pending: "pending".to_owned(),
        expand: "expand".to_owned(),
        contract: Some("contract".to_owned()),
        revert: Some("revert".to_owned()),
        irreversible: false,
        rehearsal: Some(Rehearsal {
            load: None,
            service: "scratch".to_owned(),
            schema: "schema".to_owned(),
            start: Some("start".to_owned()),
        }),
    }
}

/// Returns what a build of this version has.
fn candidate(version: u32) -> Candidate {
    let digest = ArtifactDigest(format!("sha256:{version:064x}"));
    Candidate {
        commit: format!("commit {version}"),
        tree: format!("tree {version}"),
        artifacts: BTreeMap::from([("api".to_owned(), ReleaseArtifact { digest, image: None, size: None })]),
        by: "ann".to_owned(),
    }
}

/// Asks the planner, with a world and without policy.
fn ask(environment: &Environment, world: &World, wanted: Wanted<'_>) -> Result<Decision, Refusal> {
    ask_with(environment, world, wanted, &PolicyResult::default())
}

fn ask_with(
    environment: &Environment,
    world: &World,
    wanted: Wanted<'_>,
    policy: &PolicyResult,
) -> Result<Decision, Refusal> {
    let observation = world.observe();
    let pending = if matches!(wanted, Wanted::Deploy(_)) { world.pending.clone() } else { Vec::new() };
    plan(&PlanInputs {
        environment,
        wanted,
        observation: &observation,
        pending: &pending,
        policy,
        own: None,
        now: Timestamp(0),
    })
}

fn begun(decision: Result<Decision, Refusal>) -> NewDeploy {
    match decision {
        Ok(Decision::Begin(deploy)) => *deploy,
        other => panic!("no new deploy: {other:?}"),
    }
}

fn continued(decision: Result<Decision, Refusal>) -> Unfinished {
    match decision {
        Ok(Decision::Continue(unfinished)) => *unfinished,
        other => panic!("nothing is continued: {other:?}"),
    }
}

/// Deploys a version to a world without a failure.
fn deployed(environment: &Environment, world: &mut World, version: u32) {
    let deploy = begun(ask(environment, world, Wanted::Deploy(&candidate(version))));
    let mut machine = world.start(&deploy);
    let end = world.drive(&mut machine, &mut Vec::new().into_iter()).unwrap();
    assert_eq!(end.status, 0, "{end:?}");
}

/// Draws a plan as text, a line for each step.
fn drawn(plan: &Plan) -> String {
    let mut text = String::new();
    for group in &plan.groups {
        text += &format!("{}\n", group.phase);
        for step in &group.steps {
            text += &format!("  {} ({})\n", step.step, step.reason);
        }
    }
    text += "way back\n";
    for step in plan.undo.iter().flat_map(|group| &group.steps) {
        text += &format!("  {} ({})\n", step.step, step.reason);
    }
    for note in &plan.notes {
        text += &format!("note: {note}\n");
    }
    text
}

/// Draws the steps that a machine of this plan would begin with, as text.
fn first_steps(plan: &Plan) -> Vec<String> {
    let mut machine = Machine::new(plan.clone());
    match machine.next_steps() {
        crate::deploy::machine::Next::Run { steps, .. } => {
            steps.iter().map(|(step, _)| step.to_string()).collect()
        }
        crate::deploy::machine::Next::Ended(end) => vec![end.reason],
    }
}
