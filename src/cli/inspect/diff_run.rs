//! `xtask diff-run A B`: prints why two runs of the same tree differ. It must not find differences.

use clap::Args;
use serde_json::json;

use crate::cli::exit::End;
use crate::cli::failure::Failure;
use crate::cli::manifest_files;
use crate::cli::session::Session;
use crate::reporter::style::Tone;
use crate::run_manifest::Manifest;
use crate::run_manifest::difference::{Cause, Difference};

/// Arguments of `diff-run`.
#[derive(Args, Debug, Clone)]
pub struct DiffRunArgs {
    /// A manifest file, a run's id or a part of it, `last` or `last~1`
    #[arg(value_name = "RUN")]
    pub a: String,
    /// Another run
    #[arg(value_name = "RUN")]
    pub b: String,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the differences.
///
/// # Errors
/// A run is unknown, or its manifest can't be read.
pub fn run(session: &Session, args: &DiffRunArgs) -> Result<End, Failure> {
    let (a, b) = (manifest_files::find(session, &args.a)?, manifest_files::find(session, &args.b)?);
    let difference = Difference::between(&a, &b);
    let text = if args.json { json(&a, &b, &difference) } else { text(session, &a, &b, &difference) };
    session.print(&text)?;
    Ok(if difference.is_none() { End::Passed } else { End::Failed })
}

fn text(session: &Session, a: &Manifest, b: &Manifest, difference: &Difference) -> String {
    let paint = session.paint_out();
    let mut text = String::new();
    for (side, manifest) in [("A", a), ("B", b)] {
        let shard = manifest.shard.map(|shard| format!(", shard {shard}")).unwrap_or_default();
        let line = format!("{side}: {} · {}{shard}", manifest.run, manifest.names.join(" "));
        text.push_str(&format!("{}\n", paint.tone(Tone::Faint, &line)));
    }
    for (i, line) in difference.lines().iter().enumerate() {
        let tone = (i == 0).then_some(Tone::Strong);
        let line = tone.map_or_else(|| line.clone(), |tone| paint.tone(tone, line));
        text.push_str(&format!("{line}\n"));
    }
    text
}

fn json(a: &Manifest, b: &Manifest, difference: &Difference) -> String {
    let cause = |cause: &Cause| {
        let mut value = json!(cause);
        value["text"] = json!(cause.to_string());
        value
    };
    let tasks = difference.tasks.iter().map(
        |(task, causes)| json!({ "task": task, "causes": causes.iter().map(cause).collect::<Vec<_>>() }),
    );
    let value = json!({
        "version": 2,
        "a": a.run,
        "b": b.run,
        "same": difference.is_none(),
        "trees": difference.trees,
        "platforms": difference.platforms,
        "compared": difference.compared,
        "tasks": tasks.collect::<Vec<_>>(),
        "environment": difference.environment,
    });
    format!("{value:#}\n")
}
