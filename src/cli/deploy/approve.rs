//! `xtask approve`: adds a signed approval of exactly one plan to the journal.

use clap::Args;

use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::error::DeployError;
use crate::cli::deploy::policy_source::PolicySource;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;

/// The length of a plan's id.
const PLAN_DIGITS: usize = 64;

/// Arguments of `approve`.
#[derive(Args, Debug, Clone)]
pub struct ApproveArgs {
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub env: String,
    /// The id of the plan, as `deploy --prepare` prints it
    #[arg(value_name = "PLAN")]
    pub plan: String,
}

/// Signs an approval with the key of git's configuration, and pushes it.
///
/// # Errors
/// The plan has no such id, the environment needs no approvals or none of this key, or the journal can't be written.
pub fn run(session: &Session, args: &ApproveArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let context = DeployContext::new(session, &project)?;
    context::environment(&project.config, &args.env)?;
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if args.plan.len() != PLAN_DIGITS || !args.plan.chars().all(is_digit) {
        return Err(DeployError::NotAPlan(args.plan.clone()).into());
    }
    let head = context.repository.resolve("HEAD").map_err(Failure::NoCommit)?;
    let policy = PolicySource::load(&context, &project, &project.config, &head, &args.env)?;
    let name = &policy.environment.name;
    let journal = context.journal(name, &policy.settings);
    // An approval that will not count must not look like one.
    let signer = match policy.own_signer(&journal) {
        None => return Err(DeployError::NoApprovalNeeded(name.clone()).into()),
        Some(Err(objection)) => return Err(DeployError::NoApprover(objection).into()),
        Some(Ok(signer)) => signer,
    };
    journal.approve(&args.plan, &context.by, session.clock.now()).map_err(DeployError::Journal)?;
    session.eprint(&format!("{name}: approved plan {} as {}\n", args.plan, signer.principal));
    Ok(End::Passed)
}
