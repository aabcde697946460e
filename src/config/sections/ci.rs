//! `[ci]`: what CI systems run. It must not know how their files are written.

use std::num::NonZeroU32;

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{Ci, Provider};
use crate::config::naming::NameIndex;
use crate::config::resolve::needs::NAMED;
use crate::config::schema::all_keys;
use crate::config::schema::values::SHARDS;
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Syntax, Table, Text, Value};
use crate::config::wording;

/// Reads `[ci]` of the file in the folder `base`.
pub(crate) fn read(
    table: &Table<'_>,
    names: &NameIndex<'_>,
    syntax: Syntax,
    base: &RepoPath,
    sink: &mut DiagnosticSink,
) -> Ci {
    let mut ci = Ci::default();
    for Entry { key, value } in table {
        match key.text {
            "run" => {
                let asked = texts(*value, "`run`", sink);
                if syntax == Syntax::Valid {
                    for name in asked.iter().filter(|name| names.lookup(name.text, "").is_empty()) {
                        sink.add(unknown_task(name, names));
                    }
                }
                ci.run = asked.iter().map(|name| name.text.to_owned()).collect();
            }
            "branches" => {
                let branches = texts(*value, "`branches`", sink);
                ci.branches = branches.iter().map(|name| name.text.to_owned()).collect();
            }
            "providers" => {
                for name in texts(*value, "`providers`", sink) {
                    ci.providers.extend(provider(&name, sink));
                }
                ci.providers.sort_unstable();
                ci.providers.dedup();
            }
            "shards" => ci.shards = shards(*value, sink).unwrap_or(ci.shards),
            "timings" => ci.timings = timings(*value, base, sink),
            "install" => ci.install = line(*value, sink),
            "timeout" => {
                ci.timeout = values::duration(*value, "\"1h\"", sink).unwrap_or(ci.timeout);
            }
            _ => sink.add(all_keys::CI.unknown_key(key, "`[ci]`")),
        }
    }
    ci
}

/// Reads the texts of a list that must not be empty, without repetitions. Texts in which a CI system would
/// replace something are refused.
fn texts<'d>(value: Value<'d>, what: &str, sink: &mut DiagnosticSink) -> Vec<Text<'d>> {
    let mut texts: Vec<Text<'d>> = Vec::new();
    let Some(all) = value.texts(sink) else { return texts };
    if all.is_empty() && value.elements().is_some_and(|mut elements| elements.next().is_none()) {
        let message = format!("{what} of `[ci]` is empty");
        sink.add(Diagnostic::new(value.span(), message).label("nothing in it").hint("remove it"));
    }
    for text in all {
        if refused(&text, sink) || texts.iter().any(|known| known.text == text.text) {
            continue;
        }
        texts.push(text);
    }
    texts
}

/// Reports a text that would not reach the machine unchanged. Returns whether it did.
fn refused(text: &Text<'_>, sink: &mut DiagnosticSink) -> bool {
    let why = if text.text.contains("${{") || text.text.contains("$[[") {
        "a CI system would replace it"
    } else if text.text.trim().is_empty() || text.text.chars().any(char::is_control) {
        "it must be one line of text"
    } else {
        return false;
    };
    let message = format!("`{}` can't be written to a CI system's file", wording::escape_name(text.text));
    sink.add(Diagnostic::new(text.span.clone(), message).label(why).hint("write another"));
    true
}

fn line(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let text = value.text("a shell line", sink)?;
    // An empty line means: install nothing.
    (text.text.is_empty() || !refused(&text, sink)).then(|| text.text.to_owned())
}

fn timings(value: Value<'_>, base: &RepoPath, sink: &mut DiagnosticSink) -> Option<RepoPath> {
    let text = value.text("the path of a file", sink)?;
    if refused(&text, sink) {
        return None;
    }
    values::file(&text, base, "timings.json", sink)
}

fn shards(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<NonZeroU32> {
    let number = value.integer("a number of machines", sink)?;
    let shards = u32::try_from(number).ok().filter(|shards| *shards <= SHARDS).and_then(NonZeroU32::new);
    if shards.is_none() {
        let message = format!("{number} is not a number of machines");
        let hint = format!("write 1 for one machine that runs all tasks, up to {SHARDS} for more");
        sink.add(Diagnostic::new(value.span(), message).label("out of range").hint(hint));
    }
    shards
}

fn provider(name: &Text<'_>, sink: &mut DiagnosticSink) -> Option<Provider> {
    if let Some((_, provider)) = Provider::ALL.into_iter().find(|(known, _)| *known == name.text) {
        return Some(provider);
    }
    let message = format!("there is no file for the CI system `{}`", wording::escape_name(name.text));
    let known = Provider::ALL.map(|(name, _)| name);
    let hint = wording::suggestion(name.text, known.into_iter(), "", "");
    sink.add(Diagnostic::new(name.span.clone(), message).label("unknown CI system").hint(hint));
    None
}

fn unknown_task(name: &Text<'_>, names: &NameIndex<'_>) -> Diagnostic {
    let message = format!(
        "`run` of `[ci]` names `{}`, which is neither a task nor a group",
        wording::escape_name(name.text)
    );
    let listed = names.known_names();
    let known = listed.iter().map(String::as_str);
    let hint = wording::suggestion(name.text, known, "", "there is no task yet");
    Diagnostic::new(name.span.clone(), message).label("unknown task").hint(hint).caused_by_missing(NAMED)
}
