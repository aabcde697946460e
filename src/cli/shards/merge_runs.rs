//! `xtask merge-runs FILE…`: prints the shards of a run as one run, with its gates judged. It must not decide
//! which manifests belong together, nor what a rule demands.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::base::text::count;
use crate::base::units;
use crate::cli::ci::service::CiChoice;
use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::manifest_files;
use crate::cli::reporters::prepare_report_path;
use crate::cli::session::Session;
use crate::cli::shards::merged_gates::{MergedGate, judge};
use crate::decision_reason::Reason;
use crate::event::{
    Ended, Event, Level, Log, RunStarted, Status, Summary, TaskFinished, VERSION, Verdict, What,
};
use crate::reporter::ci::CiReporter;
use crate::reporter::gate_table;
use crate::reporter::junit::Junit;
use crate::reporter::lines::Lines;
use crate::reporter::style::{Paint, Tone};
use crate::reporter::summary::{Mode, SummaryFile};
use crate::reporter::{Output, Reporters};
use crate::run_manifest::display::{named, tree};
use crate::run_manifest::merge::{self, Merged, ShardRow};
use crate::run_manifest::{Manifest, PendingGates, TaskRecord};

/// Arguments of `merge-runs`.
#[derive(Args, Debug, Clone)]
pub struct MergeRunsArgs {
    /// The manifests of all shards, as `run --shard K/N --manifest FILE` wrote them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write the manifest of the whole run
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Write a `JUnit` report of all shards
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write a summary in Markdown
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// The CI service to print for [default: the one that runs this process]
    #[arg(long, value_enum, default_value = "auto", hide_default_value = true, value_name = "SERVICE")]
    pub ci: CiChoice,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Merges the shards and prints the result.
///
/// # Errors
/// A file is no manifest, the manifests are not of one run, or a report can't be written.
pub fn run(session: &Session, args: &MergeRunsArgs) -> Result<End, Failure> {
    let mut manifests = Vec::new();
    for path in &args.files {
        manifests.push((path.display().to_string(), manifest_files::load_file(&session.resolve(path))?));
    }
    let mut merged = merge::merge(&manifests)?;
    let gates = judge(session, &merged)?;
    let passed = merged.is_pass() && gates.iter().all(MergedGate::passes);
    if !passed && merged.manifest.verdict == Verdict::Passed {
        merged.manifest.verdict = Verdict::Failed;
    }
    let written = args.manifest.as_ref().map_or(Ok(()), |path| {
        manifest_files::write(session, path, &whole_manifest(&merged.manifest, &gates).encode())
    });
    let reported = written.and_then(|()| report(session, args, &merged, &gates, passed));
    match reported {
        Ok(()) if passed => Ok(End::Passed),
        Ok(()) => Ok(End::Failed),
        Err(failure) if passed => Err(failure),
        // A failed run is reported as failed, whatever else went wrong.
        Err(failure) => {
            session.eprint(&format!("warning: {failure}\n"));
            Ok(End::Failed)
        }
    }
}

/// Returns the manifest of the whole run, as one machine would have written it.
fn whole_manifest(merged: &Manifest, gates: &[MergedGate]) -> Manifest {
    let mut whole =
        Manifest { gates: PendingGates::default(), tasks: merged.tasks.clone(), ..merged.clone() };
    whole.tasks.extend(gates.iter().map(|gate| (gate.name.clone(), gate.account.clone())));
    for account in whole.tasks.values_mut() {
        account.details = None;
    }
    whole
}

/// Prints the result and writes the reports, for a CI service too.
fn report(
    session: &Session,
    args: &MergeRunsArgs,
    merged: &Merged,
    gates: &[MergedGate],
    passed: bool,
) -> Result<(), Failure> {
    let ci = args.ci.output(session, args.json)?;
    let mut reporters = Reporters::default();
    // The CI reporter may mention a file, which must exist by then.
    ci.iter().try_for_each(|ci| ci.add_files(session, &mut reporters))?;
    if let Some(path) = &args.summary {
        let summary = SummaryFile::new(prepare_report_path(session, path)?, Mode::Replace);
        reporters.add(Box::new(summary), "the summary");
    }
    if let Some(path) = &args.junit {
        reporters.add(Box::new(Junit::new(prepare_report_path(session, path)?)), "the JUnit report");
    }
    let (printed, new) = events(merged, gates);
    for event in printed.iter().chain(&new) {
        reporters.event(event);
    }
    let paint = session.paint_out();
    let lines = text(paint, merged, gates, passed, &new);
    if args.json {
        session.print(&json(merged, gates, passed))?;
    }
    let written = match ci {
        // The annotations go to the same stream as the result, so that their order stays.
        Some(ci) => {
            let to: Box<dyn Write + Send> =
                if args.json { Box::new(std::io::stderr()) } else { Box::new(std::io::stdout()) };
            let mut reporter =
                CiReporter::new(to, paint, Output::Failed, ci.dialect()?, ci.annotation_context());
            reporter.replay(&lines, &printed, &new)
        }
        None if args.json => Ok(()),
        None => return session.print(&lines).and_then(|()| first_error(reporters)),
    };
    let is_gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    match written {
        Err(source) if !is_gone(&source) => {
            Err(Failure::System { attempt: "write the result".to_owned(), source })
        }
        _ => first_error(reporters),
    }
}

/// Returns the first report that could not be written.
fn first_error(mut reporters: Reporters) -> Result<(), Failure> {
    let error = reporters.errors().into_iter().next();
    error.map_or(Ok(()), |(what, source)| Err(Failure::System { attempt: format!("write {what}"), source }))
}

fn text(paint: Paint, merged: &Merged, gates: &[MergedGate], passed: bool, events: &[Event]) -> String {
    let lines = Lines { paint, width: 0 };
    let mut text = String::new();
    for row in &merged.shards {
        text.push_str(&shard_line(paint, row));
    }
    let mut warn = |what: String| text.push_str(&format!("{}\n", lines.notice(Level::Warning, &what)));
    for index in &merged.missing {
        warn(format!("shard {index} is missing: add its manifest, or run it"));
    }
    for (index, files) in &merged.repeated {
        warn(format!("shard {index} has several manifests: {}; give only one", files.join(", ")));
    }
    if merged.missing.is_empty() && !merged.unfinished.is_empty() {
        let tasks: Vec<&str> = merged.unfinished.iter().map(String::as_str).collect();
        warn(format!("no shard finished {}", named(&tasks)));
    }
    for gate in gates {
        text.push_str(&gate_text(paint, gate));
    }
    if let Some(What::RunFinished(summary)) = events.last().map(|event| &event.what) {
        let notable = lines.notable_tasks(summary);
        text.extend(notable.into_iter().map(|line| line + "\n"));
    }
    let manifest = &merged.manifest;
    let (tone, word) = if passed { (Tone::Good, "passed") } else { (Tone::Bad, "failed") };
    text.push_str(&format!(
        "{} {word}: {} in {} · tree {} · plan {}\n",
        paint.tone(tone, &manifest.names.join(" ")),
        count(manifest.tasks.len(), "task"),
        count(merged.shards.len(), "shard"),
        tree(manifest.tree.as_ref()),
        manifest.plan.get(..8).unwrap_or(&manifest.plan),
    ));
    text
}

fn shard_line(paint: Paint, row: &ShardRow) -> String {
    let (tone, word) = match row.verdict {
        Verdict::Passed => (Tone::Good, "passed"),
        Verdict::Failed => (Tone::Bad, "failed"),
        Verdict::Superseded => (Tone::Odd, "superseded"),
        Verdict::Interrupted { .. } => (Tone::Odd, "interrupted"),
    };
    let failed: Vec<&str> = row.failed.iter().map(String::as_str).collect();
    let failed = if failed.is_empty() { String::new() } else { format!(" · {}", named(&failed)) };
    format!(
        "shard {:<7}  {}  {:>8}  {}, {} cached{failed}\n",
        row.shard.to_string(),
        paint.tone(tone, &format!("{word:<11}")),
        units::duration(Duration::from_millis(row.took)),
        count(row.tasks, "task"),
        row.hits,
    )
}

/// Returns the lines of a gate with all its rules.
fn gate_text(paint: Paint, gate: &MergedGate) -> String {
    let (tone, word) = match &gate.account.status {
        _ if gate.holds() => (Tone::Good, "holds"),
        Some(Status::Skipped) => (Tone::Odd, "is not judged"),
        _ => (Tone::Bad, "is broken"),
    };
    let why = gate.unjudged().map(|why| format!(": {why}")).unwrap_or_default();
    let text = format!("gate {} {}{why}\n", gate.name, paint.tone(tone, word));
    match &gate.evidence {
        Some(evidence) => text + &gate_table::table(evidence, gate_table::LISTED_VIOLATIONS, paint) + "\n",
        None => text,
    }
}

fn json(merged: &Merged, gates: &[MergedGate], passed: bool) -> String {
    let gates = gates.iter().map(|gate| {
        json!({
            "gate": gate.name,
            "holds": gate.holds(),
            "unjudged": gate.unjudged(),
            "evidence": gate.evidence,
        })
    });
    let value = json!({
        "version": 2,
        "passed": passed,
        "tree": merged.manifest.tree,
        "plan": merged.manifest.plan,
        "tasks": merged.manifest.tasks.len(),
        "shards": merged.shards,
        "missing": merged.missing,
        "repeated": merged.repeated,
        "unfinished": merged.unfinished,
        "gates": gates.collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

/// Returns the whole run as events for reporters: those that the shards' own reporters have printed, and new
/// ones.
fn events(merged: &Merged, gates: &[MergedGate]) -> (Vec<Event>, Vec<Event>) {
    let manifest = &merged.manifest;
    let mut tasks: Vec<TaskFinished> =
        manifest.tasks.iter().map(|(name, account)| finished(name, account)).collect();
    let missing = merged.missing.iter().map(|shard| (shard, "its manifest is missing"));
    let repeated = merged.repeated.keys().map(|shard| (shard, "it has several manifests"));
    let absent = missing.chain(repeated).map(|(shard, why)| absent_shard(*shard, why));
    let mut new: Vec<TaskFinished> = gates.iter().map(MergedGate::finished).chain(absent).collect();
    if !merged.missing.is_empty() || !merged.repeated.is_empty() {
        tasks.iter_mut().chain(&mut new).for_each(remove_coverage);
    }
    let all: Vec<&TaskFinished> = tasks.iter().chain(&new).collect();
    let summary = What::RunFinished(summary(manifest, &all));
    let started = std::iter::once(What::RunStarted(started(manifest)));
    let printed = started.chain(tasks.into_iter().map(What::TaskFinished));
    let new = new.into_iter().map(What::TaskFinished).chain(std::iter::once(summary));
    let at = |what| Event { at: manifest.took, what };
    (printed.map(at).collect(), new.map(at).collect())
}

/// The coverage of some shards is not that of the whole run, so it is not reported.
fn remove_coverage(task: &mut TaskFinished) {
    if let Some(reported) = &mut task.reported {
        reported.coverage = None;
    }
    if let Some(evidence) = &mut task.evidence {
        evidence.record.coverage = None;
    }
}

/// Returns a missing or repeated shard as a failed task, which all reporters can show.
fn absent_shard(shard: usize, why: &str) -> TaskFinished {
    let account = TaskRecord {
        group: None,
        key: None,
        fields: Vec::new(),
        decision: "fail".to_owned(),
        reason: None,
        status: Some(Status::Failed { ended: Ended::NotStarted { why: why.to_owned() } }),
        attempts: 0,
        took: 0,
        outputs: None,
        details: None,
    };
    finished(&format!("shard {shard}"), &account)
}

fn started(manifest: &Manifest) -> RunStarted {
    RunStarted {
        version: VERSION,
        run: manifest.run.clone(),
        started: manifest.started,
        names: manifest.names.clone(),
        tree: manifest.tree.clone(),
        tasks: manifest.tasks.len(),
        hits: 0,
        jobs: manifest.environment.jobs,
        width: 0,
        gated: None,
        parent_run: None,
    }
}

fn finished(name: &str, account: &TaskRecord) -> TaskFinished {
    let details = account.details.as_deref().cloned().unwrap_or_default();
    let status = account.status.clone().unwrap_or(Status::Stopped);
    let reason = account.reason.clone().unwrap_or(Reason::Interrupted);
    TaskFinished {
        group: account.group.clone(),
        took: account.took,
        attempts: account.attempts,
        log: Log { text: details.log, left_out: 0 },
        command: details.command,
        reported: details.reported,
        ..TaskFinished::new(name, status, reason)
    }
}

fn summary(manifest: &Manifest, tasks: &[&TaskFinished]) -> Summary {
    let number = |is: fn(&TaskFinished) -> bool| tasks.iter().filter(|task| is(task)).count();
    let names = |is: fn(&TaskFinished) -> bool| {
        tasks.iter().filter(|task| is(task)).map(|task| task.task.clone()).collect()
    };
    let is_slow = |account: &TaskRecord| account.details.as_ref().is_some_and(|details| details.slow);
    let slow = manifest.tasks.iter().filter(|(_, account)| is_slow(account));
    let hits = tasks.iter().filter(|task| task.status == Status::Hit);
    Summary {
        verdict: manifest.verdict,
        took: manifest.took,
        hits: hits.clone().count(),
        executed: number(|task| task.attempts > 0),
        failed: names(|task| matches!(task.status, Status::Failed { .. })),
        flaky: names(|task| task.status == Status::Flaky),
        slow: slow.map(|(name, _)| name.clone()).collect(),
        skipped: number(|task| matches!(task.status, Status::Skipped | Status::Stopped)),
        saved: hits.map(|task| task.reason.saved()).sum(),
        changed_files: Vec::new(),
        pending_gates: Vec::new(),
    }
}
