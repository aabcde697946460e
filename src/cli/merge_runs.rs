//! `xtask merge-runs FILE…`: the shards of a run as one, with its gates judged. It must not decide what
//! belongs together, nor what a rule demands.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::cli::Session;
use crate::cli::exit::{End, Failure};
use crate::cli::manifests;
use crate::cli::merged_gates::{Judged, judge};
use crate::event::{Event, Level, RunStarted, Status, Summary, TaskFinished, VERSION, Verdict, What};
use crate::ground::units;
use crate::manifest::merge::{self, Merged, Row};
use crate::manifest::phrases::{named, tree};
use crate::manifest::{Account, Manifest};
use crate::quality::evidence;
use crate::reason::Reason;
use crate::reporter::Reporter as _;
use crate::reporter::junit::Junit;
use crate::reporter::lines::{Lines, count};
use crate::reporter::style::{Paint, Tone};

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
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Merges, and prints what came of it to standard output.
///
/// # Errors
/// A file is no manifest, they don't belong together, or a report can't be written.
pub fn perform(session: &Session, args: &MergeRunsArgs) -> Result<End, Failure> {
    let mut manifests = Vec::new();
    for path in &args.files {
        manifests.push((path.display().to_string(), manifests::of_file(&session.path(path))?));
    }
    let mut merged = merge::merge(&manifests)?;
    let gates = judge(session, &merged)?;
    let passed = merged.is_pass() && gates.iter().all(Judged::holds);
    if !passed && merged.manifest.verdict == Verdict::Passed {
        merged.manifest.verdict = Verdict::Failed;
    }
    if let Some(path) = &args.manifest {
        manifests::write(session, path, &merged.manifest.encode())?;
    }
    if let Some(path) = &args.junit {
        let path = session.path(path);
        if let Some(folder) = path.parent() {
            crate::ground::file::make_dir(folder)?;
        }
        report(path, &merged.manifest, &gates)?;
    }
    let text = if args.json {
        json(&merged, &gates, passed)
    } else {
        text(session.paint_out(), &merged, &gates, passed)
    };
    session.print(&text)?;
    Ok(if passed { End::Passed } else { End::Failed })
}

fn text(paint: Paint, merged: &Merged, gates: &[Judged], passed: bool) -> String {
    let lines = Lines { paint, width: 0 };
    let mut text = String::new();
    for row in &merged.shards {
        text.push_str(&shard(paint, row));
    }
    let mut warn = |what: String| text.push_str(&format!("{}\n", lines.notice(Level::Warning, &what)));
    for index in &merged.missing {
        warn(format!("shard {index} is missing: give its manifest too, or run it"));
    }
    for (index, files) in &merged.repeated {
        warn(format!("shard {index} is there more than once: {}; give one of them", files.join(", ")));
    }
    if merged.missing.is_empty() && !merged.unfinished.is_empty() {
        let tasks: Vec<&str> = merged.unfinished.iter().map(String::as_str).collect();
        warn(format!("no shard came to an end with {}", named(&tasks)));
    }
    for gate in gates {
        text.push_str(&ruled(paint, gate));
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

fn shard(paint: Paint, row: &Row) -> String {
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

/// A gate with all of its rules.
fn ruled(paint: Paint, gate: &Judged) -> String {
    let (tone, word) = if gate.holds() { (Tone::Good, "holds") } else { (Tone::Bad, "is broken") };
    let why = gate.unjudged.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let mut text = format!("gate {} {}{why}\n", gate.name, paint.tone(tone, word));
    for ruling in gate.evidence.iter().flat_map(|evidence| &evidence.rulings) {
        let (tone, word) = match ruling.verdict {
            evidence::Verdict::Holds => (Tone::Good, "holds"),
            evidence::Verdict::Broken => (Tone::Bad, "broken"),
            evidence::Verdict::Unjudged => (Tone::Odd, "unjudged"),
        };
        let word = paint.tone(tone, &format!("{word:<8}"));
        text.push_str(&format!("  {word}  {}: {}, {}\n", ruling.rule, ruling.demand, ruling.fact));
        for breach in &ruling.breaches {
            text.push_str(&format!("            {}\n", breach.text));
        }
    }
    text
}

fn json(merged: &Merged, gates: &[Judged], passed: bool) -> String {
    let gates = gates.iter().map(|gate| {
        json!({
            "gate": gate.name,
            "holds": gate.holds(),
            "unjudged": gate.unjudged,
            "evidence": gate.evidence,
        })
    });
    let value = json!({
        "version": 1,
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

/// Writes a `JUnit` report of what the manifests tell, as a run writes one.
fn report(path: PathBuf, manifest: &Manifest, gates: &[Judged]) -> Result<(), Failure> {
    let mut junit = Junit::new(path);
    let tasks = manifest.tasks.iter().map(|(name, account)| What::TaskFinished(finished(name, account)));
    let gates = gates.iter().map(|gate| What::TaskFinished(gate.finished()));
    let started = std::iter::once(What::RunStarted(started(manifest)));
    let ended = std::iter::once(What::RunFinished(summary(manifest)));
    let mut written = Ok(());
    for what in started.chain(tasks).chain(gates).chain(ended) {
        written = written.and_then(|()| junit.event(&Event { at: manifest.took, what }));
    }
    written.map_err(|source| Failure::System { attempt: "write the JUnit report".to_owned(), source })
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
    }
}

fn finished(name: &str, account: &Account) -> TaskFinished {
    let status = account.status.clone().unwrap_or(Status::Stopped);
    let reason = account.reason.clone().unwrap_or(Reason::Interrupted);
    TaskFinished {
        group: account.group.clone(),
        took: account.took,
        attempts: account.attempts,
        ..TaskFinished::new(name, status, reason)
    }
}

fn summary(manifest: &Manifest) -> Summary {
    Summary {
        verdict: manifest.verdict,
        took: manifest.took,
        hits: 0,
        executed: 0,
        failed: Vec::new(),
        flaky: Vec::new(),
        slow: Vec::new(),
        skipped: 0,
        saved: 0,
        changed: Vec::new(),
    }
}
