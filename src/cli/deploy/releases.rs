//! `xtask releases`: the history of an environment: who, what, when, how long, how it ended and why.

use std::time::Duration;

use clap::Args;

use crate::base::units;
use crate::cli::deploy::context::{self, DeployContext};
use crate::cli::deploy::error::DeployError;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::deploy::event::DeployNews;
use crate::deploy::plan::Goal;
use crate::deploy::record::Ending;
use crate::deployment::journal::{self, PastDeploy};
use crate::reporter::style::{Paint, Tone};

/// Arguments of `releases`.
#[derive(Args, Debug, Clone)]
pub struct ReleasesArgs {
    /// The environment
    #[arg(long, value_name = "ENV")]
    pub env: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the deploys, the newest first. Those that the journal does not have yet come from the target.
///
/// # Errors
/// The environment is unknown, or neither the journal nor the target can be read.
pub fn run(session: &Session, args: &ReleasesArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    let context = DeployContext::new(session, &project)?;
    let environment = context::environment(&project.config, &args.env)?;
    let settings = &project.config.deploy;
    let emit = context.emitter();
    let journal = context.journal(&environment.name, settings);
    if let Err(error) = journal.fetch() {
        let text = format!("the journal is that of this repository only: {error}");
        emit(DeployNews::Warning { text, hint: journal::hint(&error) });
    }
    let mut deploys = journal.deploys().map_err(DeployError::Journal)?;
    match context.target(environment, settings)?.observe(&environment.roles) {
        Ok(observation) => {
            let records = observation.authority.records.into_iter();
            let mut missing = journal::past_deploys(records);
            missing.retain(|past| deploys.iter().all(|known| known.deploy != past.deploy));
            deploys.splice(0..0, missing);
        }
        Err(error) => {
            let text = format!("the last deploys may be missing: {error}");
            emit(DeployNews::Warning { text, hint: None });
        }
    }
    let text = if args.json {
        let lines = deploys.iter().map(|past| serde_json::json!(past).to_string() + "\n");
        lines.collect::<String>()
    } else {
        deploys.iter().map(|past| line(past, session.paint_out())).collect()
    };
    session.print(&text)?;
    if deploys.is_empty() {
        session.eprint(&format!("{}: nothing was deployed yet\n", environment.name));
    }
    Ok(End::Passed)
}

fn line(past: &PastDeploy, paint: Paint) -> String {
    let (outcome, tone) = outcome(past);
    let took = past.ended.map_or_else(String::new, |ended| {
        format!(" after {}", units::duration(Duration::from_millis(ended.0.saturating_sub(past.started.0))))
    });
    let reason = match &past.reason {
        Some(reason) if past.ending != Some(Ending::Succeeded) => format!(": {reason}"),
        _ => String::new(),
    };
    let overrides = past.overrides.as_ref().map(|reason| format!(" · policy overridden: {reason}"));
    let detail = format!(
        " · commit {} · by {} · deploy {}{}",
        past.commit.get(..10).unwrap_or(&past.commit),
        past.by,
        past.deploy,
        overrides.unwrap_or_default()
    );
    let what = match past.goal {
        Goal::Deploy => past.release.to_string(),
        Goal::Rollback => format!("rollback to {}", past.release),
        Goal::Adopt => format!("adopt as {}", past.release),
    };
    format!(
        "{}  {what}  {}{took}{reason}{}\n",
        past.started.rfc3339(),
        paint.tone(tone, &outcome),
        paint.tone(Tone::Faint, &detail)
    )
}

/// Says how a deploy ended, and what served then.
fn outcome(past: &PastDeploy) -> (String, Tone) {
    let word = if past.is_aborted { "given up" } else { "failed" };
    let tone = if past.is_aborted { Tone::Odd } else { Tone::Bad };
    match (past.ending, &past.previous) {
        (None, _) => ("not ended".to_owned(), Tone::Odd),
        (Some(Ending::Succeeded), _) => ("succeeded".to_owned(), Tone::Good),
        (Some(Ending::RolledBack), Some(previous)) => (format!("{word}, went back to {previous}"), tone),
        (Some(Ending::RolledBack), None) => (format!("{word}, went back to nothing"), tone),
        (Some(Ending::Unchanged), _) => (format!("{word} before anything changed"), tone),
        (Some(Ending::NeedsAttention), _) => ("needs attention".to_owned(), Tone::Bad),
    }
}
