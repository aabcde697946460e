//! `xtask status`: what serves where, which deploy is in progress, and what is not as it should be.

use clap::Args;

use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::error::DeployError;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::deploy::Environment;
use crate::deploy::observation::{HostState, Observation};
use crate::deploy::planner::all_roles;
use crate::deploy::record::{Ending, What};
use crate::deploy::release::Slot;
use crate::reporter::style::{Paint, Tone};

/// Arguments of `status`.
#[derive(Args, Debug, Clone)]
pub struct StatusArgs {
    /// The environment [default: all]
    #[arg(long, value_name = "ENV")]
    pub env: Option<String>,
    /// Write JSON: an object a line for each environment
    #[arg(long)]
    pub json: bool,
}

/// Prints what the targets say of themselves. The exit status is 7 if one needs attention.
///
/// # Errors
/// The environment is unknown, or its target can't be asked.
pub fn run(session: &Session, args: &StatusArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let context = DeployContext::new(session, &project)?;
    let environments: Vec<&Environment> = match &args.env {
        Some(name) => vec![context::environment(&project.config, name)?],
        None => project.config.environments.iter().collect(),
    };
    let mut end = End::Passed;
    for environment in environments {
        let target = context.target(environment, &project.config.deploy)?;
        let failed = |source| DeployError::Operation {
            environment: environment.name.clone(),
            source: crate::deployment::operation::OperationError::Target(source),
        };
        let first = target.observe(&environment.roles).map_err(failed)?;
        let authority = &first.authority;
        let current =
            authority.releases.iter().find(|release| authority.current.as_ref() == Some(&release.id));
        let roles = all_roles(&environment.roles, current);
        let observation =
            if roles == environment.roles { first } else { target.observe(&roles).map_err(failed)? };
        let problems = problems(&observation, &environment.name);
        if !problems.is_empty() {
            end = End::NeedsAttention;
        }
        let text = if args.json {
            let name = &environment.name;
            serde_json::json!({ "environment": name, "observation": observation, "problems": problems })
                .to_string()
                + "\n"
        } else {
            text(&environment.name, &observation, &problems, session.paint_out())
        };
        session.print(&text)?;
    }
    Ok(end)
}

fn text(name: &str, observation: &Observation, problems: &[String], paint: Paint) -> String {
    let authority = &observation.authority;
    let serving = match &authority.current {
        Some(release) => format!("{release} is current"),
        None => "no release is current".to_owned(),
    };
    let mut text = format!("{}: {serving}\n", paint.tone(Tone::Strong, name));
    if let Some(lease) = &authority.lease
        && lease.expires > observation.now
    {
        text += &format!(
            "  {} {} since {} (deploy {})\n",
            paint.tone(Tone::Odd, "in progress:"),
            lease.holder,
            lease.granted.rfc3339(),
            lease.deploy
        );
    }
    if let Some((by, reason)) = &authority.frozen {
        text += &format!("  {} by {by}: {reason}\n", paint.tone(Tone::Odd, "frozen:"));
    }
    for host in &observation.hosts {
        let slots = match &host.slots {
            Err(reason) => format!("can't be reached: {reason}"),
            Ok(slots) => {
                let slot = |slot: Slot| {
                    let state = slots.get(slot);
                    let release = state.release.as_ref().map_or("empty", |release| &release.0);
                    let running = match state.running {
                        Some(true) => " runs",
                        Some(false) if state.release.is_some() => " is stopped",
                        Some(false) | None => "",
                    };
                    format!("{slot}: {release}{running}")
                };
                Slot::ALL.map(slot).join(", ")
            }
        };
        text += &format!("  {} on {}  {slots}\n", host.role, host.host);
    }
    for (role, weights) in &observation.weights {
        match weights {
            Ok(weights) => {
                text += &format!("  {role}  router: {} % blue, {} % green\n", weights.blue, weights.green);
            }
            Err(reason) => text += &format!("  {role}  router: {reason}\n"),
        }
    }
    let releases: Vec<_> = authority.releases.iter().rev().map(|release| release.id.0.as_str()).collect();
    if !releases.is_empty() {
        text += &format!("  releases on the target: {}\n", releases.join(", "));
    }
    for problem in problems {
        text += &format!("  {} {problem}\n", paint.tone(Tone::Bad, "attention:"));
    }
    text
}

/// Returns whether the current release has this host in this role.
fn belongs_to(observation: &Observation, host: &HostState) -> bool {
    let authority = &observation.authority;
    let current = authority.releases.iter().find(|release| authority.current.as_ref() == Some(&release.id));
    let mut roles =
        current.into_iter().flat_map(|release| &release.roles).filter(|role| role.name == host.role);
    roles.any(|role| role.hosts.iter().any(|known| known.name == host.host))
}

/// Returns what is not as it should be.
fn problems(observation: &Observation, environment: &str) -> Vec<String> {
    let authority = &observation.authority;
    let mut problems = authority.damaged.clone();
    let is_held = authority.lease.as_ref().is_some_and(|lease| lease.expires > observation.now);
    let last = authority.records.iter().rev().find_map(|record| match &record.what {
        What::Started { .. } | What::Resumed { .. } | What::Aborted { .. } => Some(None),
        What::Ended { ending, reason, .. } => Some(Some((*ending, reason.clone()))),
        _ => None,
    });
    let has_begun = authority.records.iter().any(|record| matches!(record.what, What::Intent { .. }));
    match last {
        Some(None) if !is_held && has_begun => problems.push(format!(
            "the last deploy has not ended: xtask deploy --env {environment} --resume, or --abort"
        )),
        Some(Some((Ending::NeedsAttention, reason))) => problems.push(reason),
        _ => {}
    }
    if is_held {
        let lost = "the process is gone that would bring the weights back if this deploy is lost";
        problems.extend(authority.unguarded.iter().map(|role| format!("{role}: {lost}")));
    }
    for host in &observation.hosts {
        match &host.slots {
            Err(reason) => problems.push(format!("{} can't be reached: {reason}", host.host)),
            Ok(slots) => {
                let Some(current) = &authority.current else { continue };
                let with =
                    Slot::ALL.into_iter().filter(|slot| slots.get(*slot).release.as_ref() == Some(current));
                let with: Vec<_> = with.collect();
                let is_stopped = |slot: &Slot| slots.get(*slot).running == Some(false);
                // A deploy that is in progress may have stopped it.
                let stopped = with.first().filter(|_| !is_held && with.iter().all(is_stopped));
                if with.is_empty() && !is_held && belongs_to(observation, host) {
                    problems.push(format!("{} on {}: no slot contains {current}", host.role, host.host));
                }
                if let Some(slot) = stopped {
                    problems.push(format!("{} on {}: {current} is stopped in {slot}", host.role, host.host));
                }
            }
        }
    }
    for (role, weights) in &observation.weights {
        let Ok(weights) = weights else {
            problems.push(format!("{role}: the router can't be asked"));
            continue;
        };
        let serving = Slot::ALL.into_iter().find(|slot| {
            let mut hosts = observation.hosts.iter().filter(|host| host.role == *role);
            hosts.any(|host| {
                let slots = host.slots.as_ref().ok();
                slots.is_some_and(|slots| slots.get(*slot).release == authority.current)
            })
        });
        if let (Some(slot), true, false) = (serving, authority.current.is_some(), is_held)
            && weights.of_slot(slot) != 100
        {
            problems.push(format!(
                "{role}: the router sends {} % of the requests to {slot}, not all",
                weights.of_slot(slot)
            ));
        }
    }
    problems
}
