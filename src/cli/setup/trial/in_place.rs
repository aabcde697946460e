//! Runs tasks once in the work tree. Nothing is stored. It must not decide what happens to tasks that fail.

use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::LazyInbox;
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::engine::run::scheduler::OnFailure;
use crate::graph::Reach;
use crate::history::runs;
use crate::plan::CachePolicy;

/// Runs tasks of `config` in `root`; `reach`: with or without what they need.
///
/// # Errors
/// Signals can't be listened for.
pub fn run(
    session: &Session,
    config: &Config,
    names: Vec<String>,
    root: &Path,
    reach: Reach,
    inbox: &LazyInbox,
    emitter: &Emitter,
) -> Result<(), Failure> {
    let id = runs::new_id(session.clock.now(), std::process::id());
    // Without a tree there are no keys, so nothing is looked up or stored.
    let location = RunLocation {
        tree: Tree::None,
        root,
        state: None,
        env: &session.env,
        origin: None,
        hold: None,
        access: None,
    };
    let request = Request { policy: CachePolicy::Off, reach, ..Request::new(names) };
    let prepared = Prepared::load(config, &request, location, &session.clock, &id)?;
    let options = RunOptions {
        on_failure: OnFailure::KeepGoing,
        results: ResultMode::Discard,
        ..RunOptions::new(&id, config.slots(None))
    };
    let heard = inbox.get().map_err(Failure::signals)?;
    prepared.plan(&session.env, |inputs, plan| {
        prepared.launch(inputs, plan, location, &options, emitter, heard);
    });
    Ok(())
}
