//! Tool probes: commands that print a tool's version. Each runs once in each run, unless its answer is
//! remembered and still true.
//!
//! [`remembered_probes`] decides that; here the others run, under a tracer if their answers can be
//! remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use open_trace::{DoubtKind, Trace};
use rayon::prelude::*;

use crate::base::env::Env;
use crate::engine::prepare::probe_command::{ProbeCommand, ProbeContext};
use crate::engine::prepare::probe_evidence::NotRemembered;
use crate::engine::prepare::remembered_probes::{
    self, NewAnswer, ProbeMemory, ProbeOrigin, Recording, RememberedAnswer, RunCause,
};
use crate::graph::Role;
use crate::history::probe_answers::KnownPath;
use crate::process::guard::Guard;

/// The output of each tool's probe, or an error message.
pub type ProbeResults = BTreeMap<String, Result<String, String>>;

/// The answers of probes, and where each is from.
#[derive(Debug, Default)]
pub struct Probes {
    /// The answers, by tool.
    pub results: ProbeResults,
    /// Where each answer is from. A probe that could not be started has no origin.
    pub origins: BTreeMap<String, ProbeOrigin>,
    /// The paths of the work tree that each remembered answer depends on, relative to its top. Nothing is known
    /// of a tool without an entry.
    pub in_tree: BTreeMap<String, Vec<KnownPath>>,
    /// A warning that answers can't be stored.
    pub write_warning: Option<String>,
}

/// Returns the answers of the probes of all tools that the tasks of the graph name. Those that are not
/// remembered run in parallel.
pub fn answer_probes(context: ProbeContext<'_>) -> Probes {
    let ProbeContext { config, graph, env, run, .. } = context;
    let selected =
        graph.nodes.iter().filter(|node| node.role == Role::Selected || !node.needed_by.is_empty());
    let tools: BTreeSet<&String> = selected.flat_map(|node| &config.task(node.task).tools).collect();
    let mut probes = Probes::default();
    let mut commands = Vec::new();
    for name in tools {
        let command = config.tools.get(name).ok_or_else(|| "the tool is not defined".to_owned());
        match command.and_then(|tool| ProbeCommand::new(context, name, tool)) {
            Ok(command) => commands.push(command),
            Err(why) => drop(probes.results.insert(name.clone(), Err(why))),
        }
    }
    if commands.is_empty() {
        return probes;
    }
    let memory = ProbeMemory::load(context, &commands);
    let mut to_run = Vec::new();
    let top = context.root.canonicalize().unwrap_or_default();
    for (command, remembered) in commands.iter().zip(memory.answers()) {
        match remembered {
            Ok(RememberedAnswer { output, at, paths }) => {
                probes.in_tree.insert(command.tool.to_owned(), in_tree(&top, paths));
                probes.results.insert(command.tool.to_owned(), Ok(output.to_owned()));
                probes.origins.insert(command.tool.to_owned(), ProbeOrigin::Remembered { at });
            }
            Err(cause) => to_run.push((command, cause)),
        }
    }
    if to_run.is_empty() {
        return probes;
    }
    let recording = memory.start_recording();
    // No signal handler is installed yet, so Ctrl-C ends this process at once. If the guard can't start, a
    // probe then runs until it ends by itself.
    let guard = Guard::start(env.program(), run, None).ok().map(Arc::new);
    let probe = |command: &ProbeCommand<'_>, cause: &RunCause| {
        let recording = recording.as_ref().filter(|_| cause.may_be_remembered());
        run_probe(command, env, guard.as_ref(), recording)
    };
    // Each probe gets its own thread, since it waits for a program and must not block the thread pool.
    let ran: Vec<_> = match &*to_run {
        [(command, cause)] => vec![probe(command, cause)],
        several => several.par_iter().map(|(command, cause)| probe(command, cause)).collect(),
    };
    let mut fresh = Vec::new();
    for ((command, cause), (answer, new)) in to_run.into_iter().zip(ran) {
        let not_remembered = new.as_ref().and_then(|new| new.as_ref().err().cloned());
        let origin = ProbeOrigin::Ran { cause, is_remembered: matches!(new, Some(Ok(_))), not_remembered };
        if let Some(Ok(paths)) = &new {
            probes.in_tree.insert(command.tool.to_owned(), in_tree(&top, paths.iter()));
        }
        if let Some(new) = new {
            let new = new.map(|paths| NewAnswer { output: answer.clone().unwrap_or_default(), paths });
            fresh.push((command, new));
        }
        probes.results.insert(command.tool.to_owned(), answer);
        probes.origins.insert(command.tool.to_owned(), origin);
    }
    probes.write_warning = memory.store(fresh, context.clock.now());
    probes
}

/// Runs a probe. Returns its answer, and what is to be remembered, if it was tried.
///
/// The answer is that of an ordinary run. A second one, under the tracer, finds out what it depends on: it is
/// much slower, and some programs behave differently there, so it only counts if it gives the same answer.
fn run_probe(
    command: &ProbeCommand<'_>,
    env: &Env,
    guard: Option<&Arc<Guard>>,
    recording: Option<&Recording>,
) -> (Result<String, String>, Option<remembered_probes::Evidence>) {
    let answer = command.result(command.start(guard, None));
    // A failure is not remembered at all.
    let Some(recording) = recording.filter(|_| answer.is_ok()) else { return (answer, None) };
    let report = recording.report(command.tool);
    let traced = command.result(command.start(guard, Some((env.program(), &report))));
    let evidence = match Trace::load(&report) {
        Err(_) => Err(NotRemembered::Doubt(DoubtKind::Unreported)),
        Ok(trace) => recording
            .evidence(&trace)
            .and_then(|paths| if traced == answer { Ok(paths) } else { Err(NotRemembered::Differs) }),
    };
    (answer, Some(evidence))
}

/// Returns those of the paths that are in the work tree, relative to its top.
fn in_tree<'p>(top: &Path, paths: impl Iterator<Item = &'p KnownPath>) -> Vec<KnownPath> {
    let relative = |known: &KnownPath| {
        let path = known.path.strip_prefix(top).ok()?.to_owned();
        Some(KnownPath { path, state: known.state })
    };
    paths.filter_map(relative).collect()
}
