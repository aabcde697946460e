//! Tries tasks outside of a git repository: in place, each once. Nothing is stored, since there are no keys.

use std::path::Path;

use crate::base::text::count;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::setup::trial::bench::{TrialObserver, limit_time};
use crate::cli::setup::trial::{TrialEnd, in_place, parse_config};
use crate::engine::run::inbox::LazyInbox;
use crate::gate::context::GateObserver as _;
use crate::graph::Reach;
use crate::init::Proposals;
use crate::init::text::{self, Inclusion, TrialMode};
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
    in_place::run(session, &config, names, root, Reach::WithNeeds, inbox, &emitter)?;
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
