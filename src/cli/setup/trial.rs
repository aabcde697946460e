//! Runs tasks once that are not written anywhere yet, to see which pass. It must not store anything, nor
//! decide what happens to tasks that fail.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::units;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::config::model::Config;
use crate::engine::location::{RunLocation, Tree};
use crate::engine::prepare::{Prepared, Request};
use crate::engine::run::emitter::Emitter;
use crate::engine::run::inbox::LazyInbox;
use crate::engine::run::options::{ResultMode, RunOptions};
use crate::engine::run::scheduler::OnFailure;
use crate::event::{Event, Status, TaskFinished, Verdict, What};
use crate::history::runs;
use crate::plan::CachePolicy;
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};

/// Beginnings of last lines that don't say what went wrong.
const NOISE: &[&str] = &["npm error", "npm ERR!", "npm notice", "make: ***", "make[", "error: Recipe"];

/// The outcomes of the tasks, by name.
pub type Outcomes = BTreeMap<String, Result<(), String>>;

/// The end of a trial.
pub enum Trial {
    /// All tasks ended.
    Done(Outcomes),
    /// A signal ended the trial.
    Interrupted(i32),
}

/// Runs tasks of `config` in `root`, and prints each result to standard error.
///
/// # Errors
/// Signals can't be listened for.
pub fn run(session: &Session, config: &Config, names: Vec<String>, root: &Path) -> Result<Trial, Failure> {
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
    let inbox = LazyInbox::default();
    let heard = inbox.get().map_err(Failure::signals)?;
    let outcomes = Arc::new(Mutex::new(Outcomes::new()));
    let emitter =
        Emitter::new(session.clock.clone(), event_handler(Arc::clone(&outcomes), session.paint_err()));
    let summary = prepared.plan(&session.env, |plan_inputs, plan| {
        prepared.launch(plan_inputs, plan, location, &options, &emitter, heard)
    });
    match (summary.verdict, inbox.signalled()) {
        (Verdict::Interrupted { signal }, _) | (_, Some(signal)) => Ok(Trial::Interrupted(signal)),
        _ => Ok(Trial::Done(std::mem::take(&mut outcomes.lock().unwrap_or_else(PoisonError::into_inner)))),
    }
}

/// Returns an event handler that collects the outcomes and prints each.
fn event_handler(outcomes: Arc<Mutex<Outcomes>>, paint: Paint) -> Box<dyn FnMut(&Event) + Send> {
    Box::new(move |event| {
        let What::TaskFinished(task) = &event.what else { return };
        let outcome = outcome(task);
        let took = units::duration(Duration::from_millis(task.took));
        let line = match &outcome {
            Ok(()) => format!(
                "  {} {}  {}\n",
                paint.tone(Tone::Good, "✓"),
                task.task,
                paint.tone(Tone::Faint, &took)
            ),
            Err(why) => format!("  {} {}  {why}\n", paint.tone(Tone::Bad, "✗"), task.task),
        };
        // If standard error can't be written to, there is no other place to say so.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
        outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(task.task.clone(), outcome);
    })
}

fn outcome(task: &TaskFinished) -> Result<(), String> {
    match &task.status {
        status if status.is_pass() => Ok(()),
        Status::Failed { ended } => {
            let said = last_line(&safe(&task.log.text, Keep::Nothing));
            Err(if said.is_empty() { ended.to_string() } else { format!("{ended}: {said}") })
        }
        _ => Err("it was not tried".to_owned()),
    }
}

/// Returns the last line of a log that says something, shortened.
fn last_line(log: &str) -> String {
    let lines = || log.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let is_noise = |line: &&str| NOISE.iter().any(|noise| line.starts_with(noise));
    let line = lines().find(|line| !is_noise(line)).or_else(|| lines().next()).unwrap_or_default();
    if line.chars().count() > 120 { line.chars().take(119).chain(['…']).collect() } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_line_skips_noise() {
        let cases = [
            ("a\nb\n\n", "b"),
            (
                "> lint\nsh: 1: eslint: not found\nnpm error code 127\nnpm error A complete log of this run\n",
                "sh: 1: eslint: not found",
            ),
            ("npm error only\n", "npm error only"),
            ("boom\nmake: *** [Makefile:2: lint] Error 1\n", "boom"),
            ("", ""),
        ];
        for (log, expected) in cases {
            assert_eq!(last_line(log), expected, "{log}");
        }
        assert_eq!(last_line(&"x".repeat(500)).chars().count(), 120);
    }
}
