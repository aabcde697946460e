//! Tries tasks outside of a git repository: in place, each once. Nothing is stored, since there are no keys.

use std::path::Path;

use crate::base::text::count;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::setup::trial::bench::{TrialObserver, limit_time};
use crate::cli::setup::trial::{TrialEnd, parse_config};
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::LazyInbox;
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::engine::run::scheduler::OnFailure;
use crate::gate::context::GateObserver as _;
use crate::history::runs;
use crate::init::Proposals;
use crate::init::text::{self, Inclusion, TrialMode};
use crate::plan::CachePolicy;
use crate::reporter::trial::failure;

/// Runs the tasks that are not left out in `root`, and leaves out those that fail.
///
/// # Errors
/// Signals can't be listened for.
pub fn run(
    session: &Session,
    root: &Path,
    found: &Proposals,
    inclusions: &mut [Inclusion],
    inbox: &LazyInbox,
) -> Result<TrialEnd, Failure> {
    let mut config = parse_config(&text::tasks_toml(found, inclusions, TrialMode::Once))?;
    limit_time(&mut config);
    let tasks = found.tasks.iter().zip(&*inclusions);
    let kept = tasks.filter(|(_, inclusion)| **inclusion == Inclusion::Kept);
    let names: Vec<String> = kept.map(|(task, _)| task.name.clone()).collect();
    session.eprint(&format!("trying {}: {}\n", count(names.len(), "task"), names.join(", ")));
    let observer = TrialObserver::new(session, vec![root.display().to_string()]);
    let emitter = observer.emitter("", &session.clock.restarted());
    run_in_place(session, &config, names, root, inbox, &emitter)?;
    if let Some(signal) = inbox.signalled() {
        return Ok(TrialEnd::Interrupted(signal));
    }
    let finished = observer.take();
    for (task, inclusion) in found.tasks.iter().zip(inclusions) {
        let Some(result) = finished.iter().find(|result| result.task == task.name) else { continue };
        if !result.status.is_pass() {
            let why = failure(result, |text| observer.tidy(text));
            *inclusion = Inclusion::LeftOut(why.unwrap_or_else(|| "it was not tried".to_owned()));
        }
    }
    Ok(TrialEnd::Done(Vec::new()))
}

/// Runs tasks of `config` in `root`, with what they need.
///
/// # Errors
/// Signals can't be listened for.
fn run_in_place(
    session: &Session,
    config: &Config,
    names: Vec<String>,
    root: &Path,
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
    let request = Request { policy: CachePolicy::Off, ..Request::new(names) };
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
