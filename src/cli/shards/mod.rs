//! `--shard K/N` and `--timings FILE`: selects the part of a plan that this machine runs. It must not decide
//! how a plan is split.
//!
//! [`merge_runs`] puts the shards together again, and [`merged_gates`] judges their gates.

pub mod merge_runs;
pub mod merged_gates;

use std::path::PathBuf;

use clap::Args;

use crate::base::file::{self, FileError};
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::engine::prepare::Prepared;
use crate::history::tasks::History;
use crate::shard::Shard;
use crate::shard::Timings;

/// Selects a part of the plan.
#[derive(Args, Debug, Clone, Default)]
pub struct ShardArgs {
    /// Run only the K-th of N parts, which together have every task
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Make the parts even by these task durations: a file that `xtask log --timings` wrote
    #[arg(long, value_name = "FILE", requires = "shard")]
    pub timings: Option<PathBuf>,
}

/// Narrows a plan to the selected part.
///
/// # Errors
/// The durations can't be read, or a task can't run in a shard.
pub fn narrow_to_shard(
    session: &Session,
    prepared: &mut Prepared<'_>,
    args: &ShardArgs,
) -> Result<(), Failure> {
    let Some(shard) = args.shard else { return Ok(()) };
    let mut timings = Timings::default();
    if let Some(path) = &args.timings {
        let path = session.resolve(path);
        let missing = || FileError::context("read", &path)(std::io::ErrorKind::NotFound.into());
        let bytes = file::read(&path)?.ok_or_else(missing)?;
        timings = serde_json::from_slice(&bytes).map_err(|error| Failure::Content {
            path: path.clone(),
            source: format!("not a file of `xtask log --timings`: {error}").into(),
        })?;
    }
    Ok(prepared.narrow_to_shard(shard, &timings, &session.env)?)
}

/// Prints how long each task is expected to take, in milliseconds.
///
/// # Errors
/// There is no repository.
pub fn timings(session: &Session) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    project.repository()?;
    let mut timings = History::load(project.state_dir()?).timings();
    // Tasks that are no more are of no use.
    timings.retain(|name, _| project.config.tasks.iter().any(|task| task.name == *name));
    // A map of numbers can always be written as JSON.
    session.print(&format!("{}\n", serde_json::to_string_pretty(&timings).unwrap_or_default()))?;
    Ok(End::Passed)
}
