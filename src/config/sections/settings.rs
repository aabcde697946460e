//! `[settings]` and `[tools]`, and the values that they share with tasks: shells and shell lines.
//! It must not know of tasks.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::base::path::RepoPath;
use crate::base::units;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::model::{Settings, Tool};
use crate::config::naming::joined;
use crate::config::schema::keys;
use crate::config::syntax::document::{Entry, Table, Text, Value};

/// Reads `[settings]`.
pub(crate) fn read(table: &Table<'_>, findings: &mut Findings) -> Settings {
    let mut settings = Settings::default();
    for entry in table {
        match entry.key.text {
            "jobs" => settings.jobs = jobs(entry.value, findings),
            "cache-size" => {
                if let Some(size) =
                    unit(entry.value, "a size such as \"10 GiB\"", units::parse_size, findings)
                {
                    settings.cache_size = size;
                }
            }
            "shell" => {
                if let Some(shell) = shell(entry.value, findings) {
                    settings.shell = shell;
                }
            }
            _ => findings.add(keys::SETTINGS.refusal(&entry.key, "`[settings]`")),
        }
    }
    settings
}

fn jobs(value: Value<'_>, findings: &mut Findings) -> Option<NonZeroU32> {
    let number = value.integer("a number of jobs", findings)?;
    if let Ok(number) = u32::try_from(number) {
        return NonZeroU32::new(number);
    }
    let message = format!("{number} is not a number of jobs");
    findings.add(
        Diagnostic::new(value.span(), message).label("out of range").hint("write 0 for one job per core"),
    );
    None
}

/// Reads `[tools]` of the project in the folder `base`.
pub(crate) fn tools(
    table: &Table<'_>,
    (base, project): (&RepoPath, &str),
    findings: &mut Findings,
) -> BTreeMap<String, Tool> {
    let mut tools = BTreeMap::new();
    for entry in table {
        if let Some(refusal) = keys::name_refusal(&entry.key, "a tool") {
            findings.add(refusal);
        }
        // A tool with a broken probe is still there to be named.
        let (probe, cwd) = probe(entry, base, findings);
        if probe.as_ref().is_some_and(|probe| probe.text.trim().is_empty()) {
            findings.add(
                Diagnostic::new(
                    entry.value.span(),
                    format!("the probe of `{}` is empty", keys::shown(entry.key.text)),
                )
                .label("nothing to run")
                .hint("write what prints its version, such as `rustc = \"rustc -vV\"`"),
            );
        }
        let probe = probe.map_or_else(String::new, |probe| probe.text.to_owned());
        tools.insert(joined(project, entry.key.text), Tool { probe, cwd });
    }
    tools
}

/// Reads one probe: a shell line, or a table with the folder that it is run in.
fn probe<'d>(entry: &Entry<'d>, base: &RepoPath, findings: &mut Findings) -> (Option<Text<'d>>, RepoPath) {
    let what = "a shell line that prints the tool's version";
    let Some(table) = entry.value.if_table() else {
        return (entry.value.text(what, findings), base.clone());
    };
    let (mut probe, mut cwd) = (None, base.clone());
    for key in &table {
        match key.key.text {
            "run" => probe = key.value.text(what, findings),
            "cwd" => cwd = folder(key.value, base, findings).unwrap_or(cwd),
            _ => {
                let called = format!("tool `{}`", keys::shown(entry.key.text));
                findings.add(keys::TOOL.refusal(&key.key, &called));
            }
        }
    }
    if !table.iter().any(|key| key.key.text == "run") {
        findings.add(
            Diagnostic::new(
                entry.key.span.clone(),
                format!("tool `{}` has no probe", keys::shown(entry.key.text)),
            )
            .label("no `run`")
            .hint("add `run` with a line that prints its version, such as `run = \"node --version\"`")
            .lacks(&["run"]),
        );
    }
    (probe, cwd)
}

/// Reads a folder of the repository, relative to `base`.
pub(crate) fn folder(value: Value<'_>, base: &RepoPath, findings: &mut Findings) -> Option<RepoPath> {
    let text = value.text("a folder", findings)?;
    let joined = base.join(text.text);
    if joined.is_none() {
        let message = format!("`{}` lies outside the repository", keys::shown(text.text));
        findings.add(
            Diagnostic::new(text.span, message)
                .label("not in the repository")
                .hint("write a folder relative to the one that holds this file, such as \"web/app\""),
        );
    }
    joined
}

/// A shell: a program and the arguments in front of the line.
pub(crate) fn shell(value: Value<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let hint = "write the program and what stands in front of the line, such as [\"bash\", \"-ec\"]";
    argv(value, value.texts(findings)?, ("the shell", hint), findings)
}

/// A program and its arguments; `what` is its name in messages, with a hint.
pub(crate) fn argv(
    value: Value<'_>,
    texts: Vec<Text<'_>>,
    (what, hint): (&str, &str),
    findings: &mut Findings,
) -> Option<Vec<String>> {
    // If it has elements of other types, these have been reported.
    let elements = value.elements().map_or(0, Iterator::count);
    if elements == texts.len() && texts.first().is_none_or(|program| program.text.trim().is_empty()) {
        let span = texts.first().map_or_else(|| value.span(), |program| program.span.clone());
        findings.add(Diagnostic::new(span, format!("{what} names no program")).label("empty").hint(hint));
        return None;
    }
    Some(texts.into_iter().map(|text| text.text.to_owned()).collect())
}

/// A text that one of the unit parsers reads.
pub(crate) fn unit<T>(
    value: Value<'_>,
    what: &str,
    parse: fn(&str) -> Result<T, String>,
    findings: &mut Findings,
) -> Option<T> {
    if !value.is_text() {
        findings.add(value.mismatch(what).hint(format!("write {what}")));
        return None;
    }
    let text = value.text(what, findings)?;
    match parse(text.text) {
        Ok(parsed) => Some(parsed),
        Err(message) => {
            findings.add(
                Diagnostic::new(text.span, message).label("not understood").hint(format!("write {what}")),
            );
            None
        }
    }
}
