//! `[settings]` and `[tools]`. It must not know of tasks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{Settings, Tool};
use crate::config::naming::qualified;
use crate::config::schema::all_keys;
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Table, Text, Value};
use crate::config::wording;

/// Reads `[settings]`.
pub(crate) fn read(table: &Table<'_>, sink: &mut DiagnosticSink) -> Settings {
    let mut settings = Settings::default();
    for entry in table {
        match entry.key.text {
            "jobs" => settings.jobs = jobs(entry.value, sink),
            "cache-size" => {
                if let Some(size) = values::size(entry.value, sink) {
                    settings.cache_size = size;
                }
            }
            "shell" => {
                if let Some(shell) = values::shell(entry.value, sink) {
                    settings.shell = shell;
                }
            }
            _ => sink.add(all_keys::SETTINGS.unknown_key(&entry.key, "`[settings]`")),
        }
    }
    settings
}

fn jobs(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<NonZeroU32> {
    let number = value.integer("a number of jobs", sink)?;
    if let Ok(number) = u32::try_from(number) {
        return NonZeroU32::new(number);
    }
    let message = format!("{number} is not a number of jobs");
    sink.add(
        Diagnostic::new(value.span(), message).label("out of range").hint("write 0 for one job per core"),
    );
    None
}

/// Reads `[tools]` of the project in the folder `base`.
pub(crate) fn tools(
    table: &Table<'_>,
    base: &RepoPath,
    project: &str,
    sink: &mut DiagnosticSink,
) -> BTreeMap<String, Tool> {
    let mut tools = BTreeMap::new();
    for entry in table {
        if let Some(refusal) = wording::invalid_name(&entry.key, "a tool") {
            sink.add(refusal);
        }
        // A tool with an invalid probe can still be named by tasks.
        let (probe, cwd) = probe(entry, base, sink);
        if probe.as_ref().is_some_and(|probe| probe.text.trim().is_empty()) {
            sink.add(
                Diagnostic::new(
                    entry.value.span(),
                    format!("the probe of `{}` is empty", wording::escape_name(entry.key.text)),
                )
                .label("nothing to run")
                .hint("write what prints its version, such as `rustc = \"rustc -vV\"`"),
            );
        }
        let probe = probe.map_or_else(String::new, |probe| probe.text.to_owned());
        tools.insert(qualified(project, entry.key.text), Tool { probe, cwd });
    }
    tools
}

/// Reads one probe: a shell line, or a table with the folder that it runs in.
fn probe<'d>(entry: &Entry<'d>, base: &RepoPath, sink: &mut DiagnosticSink) -> (Option<Text<'d>>, RepoPath) {
    let what = "a shell line that prints the tool's version";
    let Some(table) = entry.value.if_table() else {
        return (entry.value.text(what, sink), base.clone());
    };
    let (mut probe, mut cwd) = (None, base.clone());
    for key in &table {
        match key.key.text {
            "run" => probe = key.value.text(what, sink),
            "cwd" => cwd = values::folder(key.value, base, sink).unwrap_or(cwd),
            _ => {
                let called = format!("tool `{}`", wording::escape_name(entry.key.text));
                sink.add(all_keys::TOOL.unknown_key(&key.key, &called));
            }
        }
    }
    if !table.iter().any(|key| key.key.text == "run") {
        sink.add(
            Diagnostic::new(
                entry.key.span.clone(),
                format!("tool `{}` has no probe", wording::escape_name(entry.key.text)),
            )
            .label("no `run`")
            .hint("add `run` with a line that prints its version, such as `run = \"node --version\"`")
            .caused_by_missing(&["run"]),
        );
    }
    (probe, cwd)
}
