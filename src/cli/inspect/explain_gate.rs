//! `xtask explain-gate`: prints the reasons for a gate's last verdict from the records of runs. It must not
//! judge again.

use clap::Args;
use serde_json::json;

use crate::base::name;
use crate::cli::exit::End;
use crate::cli::failure::{Failure, NoVerdictError};
use crate::cli::project::Project;
use crate::cli::session::Session;
use crate::config::model::Config;
use crate::event::{RunStarted, Status, TaskFinished, What};
use crate::history::runs::Runs;
use crate::quality::evidence::{Evidence, LISTED};
use crate::reporter::gate_table;
use crate::reporter::style::{Paint, Tone};

/// Arguments of `explain-gate`.
#[derive(Args, Debug, Clone)]
pub struct ExplainGateArgs {
    /// The gate
    #[arg(value_name = "GATE")]
    pub gate: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// A recorded verdict of the gate, with its run.
struct RecordedVerdict {
    run: RunStarted,
    finished: TaskFinished,
    evidence: Evidence,
    /// The newest run, if the gate was not judged in it.
    newer: Option<NewerRun>,
}

/// A run in which the gate was not judged.
struct NewerRun {
    run: RunStarted,
    why: String,
}

impl NewerRun {
    fn new(run: RunStarted, finished: &TaskFinished) -> Self {
        let why = match &finished.status {
            Status::Failed { ended } => ended.to_string(),
            _ => finished.reason.to_string(),
        };
        Self { run, why }
    }
}

/// Prints the newest recorded verdict with all its rulings.
///
/// # Errors
/// The gate is unknown, or no run has judged it.
pub fn run(session: &Session, args: &ExplainGateArgs) -> Result<End, Failure> {
    let project = Project::open(&session.env, &session.dir)?;
    check_gate(&project.config, &args.gate)?;
    project.repository()?;
    let runs = Runs::new(project.state_dir()?);
    let judged = newest_verdict(&runs, &args.gate)?;
    let judged = judged.ok_or_else(|| NoVerdictError::NeverJudged { name: args.gate.clone() })?;
    session.print(&if args.json { json(&judged) } else { text(&judged, session.paint_out()) })?;
    Ok(End::Passed)
}

/// Checks that tasks.toml has the gate.
fn check_gate(config: &Config, name: &str) -> Result<(), NoVerdictError> {
    let gates: Vec<&str> =
        config.tasks.iter().filter(|task| task.is_gate()).map(|task| task.name.as_str()).collect();
    if gates.contains(&name) {
        return Ok(());
    }
    let hint = match (name::nearest(name, gates.iter().copied()), &*gates) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "tasks.toml has no gates: they are written as `[gates.NAME]`".to_owned(),
        (None, gates) => format!("its gates are {}", gates.join(", ")),
    };
    Err(NoVerdictError::UnknownGate { name: name.to_owned(), hint })
}

/// Returns the newest recorded verdict of the gate.
fn newest_verdict(runs: &Runs, gate: &str) -> Result<Option<RecordedVerdict>, Failure> {
    let mut newer = None;
    for id in runs.ids()? {
        let mut started = None;
        let mut verdict = None;
        for event in runs.events(&id)? {
            match event.what {
                What::RunStarted(run) => started = Some(run),
                What::TaskFinished(task) if task.task == gate => verdict = Some(task),
                _ => {}
            }
        }
        let (Some(run), Some(mut finished)) = (started, verdict) else { continue };
        match finished.evidence.take() {
            Some(evidence) => return Ok(Some(RecordedVerdict { run, finished, evidence: *evidence, newer })),
            None => newer = newer.or_else(|| Some(NewerRun::new(run, &finished))),
        }
    }
    Ok(None)
}

fn status_text(status: &Status) -> (&'static str, Tone) {
    match status {
        Status::Passed | Status::Flaky => ("passed", Tone::Good),
        Status::Hit => ("passed, as known from the cache", Tone::Good),
        Status::Failed { .. } => ("failed", Tone::Bad),
        Status::Stopped | Status::Skipped => ("has no verdict", Tone::Odd),
    }
}

fn text(judged: &RecordedVerdict, paint: Paint) -> String {
    let RecordedVerdict { run, finished, evidence, newer } = judged;
    let (word, tone) = status_text(&finished.status);
    let tree = run.tree.as_ref().map(|tree| format!(" · tree {}", tree.get(..10).unwrap_or(tree)));
    let of = format!("run {} of {}{}", run.run, run.started.rfc3339(), tree.unwrap_or_default());
    let table = gate_table::table(evidence, LISTED, paint);
    let mut text =
        format!("gate {} {} · {}\n", finished.task, paint.tone(tone, word), paint.tone(Tone::Faint, &of));
    if let Some(NewerRun { run, why }) = newer {
        let line =
            format!("  in the newer run {} of {} it was not judged: {why}", run.run, run.started.rfc3339());
        text.push_str(&paint.tone(Tone::Odd, &line));
        text.push('\n');
    }
    text.push_str(&format!("{table}\n"));
    if !evidence.reports.is_empty() {
        text.push_str(&paint.tone(Tone::Faint, "  reports:"));
        text.push('\n');
        for source in &evidence.reports {
            let line = format!("    {}  {} of {}", source.path, source.kind, source.task);
            text.push_str(&paint.tone(Tone::Faint, &line));
            text.push('\n');
        }
    }
    text
}

fn json(judged: &RecordedVerdict) -> String {
    let RecordedVerdict { run, finished, evidence, newer } = judged;
    let value = json!({
        "version": 2,
        "gate": finished.task,
        "run": run.run,
        "started": run.started,
        "tree": run.tree,
        "status": finished.status,
        "holds": evidence.holds(),
        "evidence": evidence,
        "unjudged_since": newer.as_ref().map(|newer| {
            json!({ "run": newer.run.run, "started": newer.run.started, "why": newer.why })
        }),
    });
    format!("{value:#}\n")
}
