//! `xtask freeze` and `xtask unfreeze`: stop deploys of an environment, and allow them again. A rollback stays
//! allowed.

use clap::Args;

use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::deploy::Course;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::deploy::record::What;

/// Arguments of `freeze`.
#[derive(Args, Debug, Clone)]
pub struct FreezeArgs {
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub env: String,
    /// Why deploys are stopped
    #[arg(value_name = "REASON")]
    pub reason: String,
    /// Wait until a deploy that is in progress has ended
    #[arg(long)]
    pub wait: bool,
}

/// Arguments of `unfreeze`.
#[derive(Args, Debug, Clone)]
pub struct UnfreezeArgs {
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub env: String,
}

/// Stops deploys.
///
/// # Errors
/// A deploy is in progress, or the target can't be reached.
pub fn freeze(session: &Session, args: &FreezeArgs) -> Result<End, Failure> {
    record(session, &args.env, args.wait, |by| What::Frozen { by, reason: args.reason.clone() })?;
    session.eprint(&format!(
        "{0}: deploys are stopped: {1}\nto allow them again: xtask unfreeze --env {0}\n",
        args.env, args.reason
    ));
    Ok(End::Passed)
}

/// Allows deploys again.
///
/// # Errors
/// A deploy is in progress, or the target can't be reached.
pub fn unfreeze(session: &Session, args: &UnfreezeArgs) -> Result<End, Failure> {
    record(session, &args.env, false, |by| What::Unfrozen { by })?;
    session.eprint(&format!("{}: deploys are allowed\n", args.env));
    Ok(End::Passed)
}

fn record(
    session: &Session,
    name: &str,
    waits: bool,
    what: impl FnOnce(String) -> What,
) -> Result<(), Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let context = DeployContext::new(session, &project)?;
    let environment = context::environment(&project.config, name)?;
    let settings = &project.config.deploy;
    let course =
        Course { context: &context, project: &project, environment, settings, by: &context.by, waits };
    course.record(&what(context.by.clone()))
}
