//! `xtask rollback`: makes an earlier release current again. It needs neither the remote nor the store.

use clap::Args;

use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::deploy::{Course, no_judge};
use crate::cli::deploy::reporters::{DeployReporterOptions, Shown};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::deploy::event::Command;
use crate::deploy::planner::{PolicyResult, Wanted};
use crate::deployment::operation::PolicyView;

/// Arguments of `rollback`.
#[derive(Args, Debug, Clone)]
pub struct RollbackArgs {
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub env: String,
    /// The number of the release [default: the last one before the current that succeeded]
    #[arg(long, value_name = "N")]
    pub to: Option<u32>,
    /// Show the steps, and change nothing
    #[arg(long)]
    pub plan: bool,
    /// Wait until another deploy has ended
    #[arg(long, conflicts_with = "plan")]
    pub wait: bool,
    /// Write one JSON object per event on standard output
    #[arg(long)]
    pub json: bool,
}

/// Rolls an environment back.
///
/// # Errors
/// The rollback could not begin.
pub fn run(session: &Session, args: &RollbackArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let shown = match (args.json, args.plan) {
        (true, _) => Shown::Json,
        (false, true) => Shown::Result,
        (false, false) => Shown::Progress,
    };
    let context = DeployContext::new(session, &project)?;
    let command = if args.plan { Command::Plan } else { Command::Rollback };
    let options = DeployReporterOptions { shown, command, environment: &args.env };
    context.run_command(&options, || roll_back(&context, &project, args))
}

fn roll_back(context: &DeployContext<'_>, project: &Project, args: &RollbackArgs) -> Result<End, Failure> {
    let environment = context::environment(&project.config, &args.env)?;
    let wanted = Wanted::Rollback(args.to);
    let course = Course {
        context,
        project,
        environment,
        settings: &project.config.deploy,
        by: &context.by,
        waits: args.wait,
    };
    // Policy is about what is new. An earlier release was allowed before.
    let result = PolicyResult::default();
    let policy = PolicyView { result: &result, judge: &no_judge, signs_start: false };
    if args.plan {
        return course.show(wanted, &policy, Vec::new());
    }
    course.run(wanted, &policy)
}
