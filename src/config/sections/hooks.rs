//! `[hooks]`: which tasks gate which stage of git. It must not know how a hook is installed.

use std::collections::BTreeMap;

use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::hook_stage::Stage;
use crate::config::naming::NameIndex;
use crate::config::resolve::needs::NAMED;
use crate::config::syntax::document::{Entry, Syntax, Table, Text};
use crate::config::wording;

/// Hooks that run on a server.
const SERVER_HOOKS: [&str; 6] =
    ["pre-receive", "update", "post-receive", "post-update", "push-to-checkout", "proc-receive"];

/// Reads `[hooks]`: the names of tasks and groups by stage, in the order of the file and without repetitions.
pub(crate) fn read(
    table: &Table<'_>,
    names: &NameIndex<'_>,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> BTreeMap<Stage, Vec<String>> {
    let mut hooks = BTreeMap::new();
    for Entry { key, value } in table {
        let Some(stage) = Stage::parse(key.text) else {
            sink.add(unknown_stage(key));
            continue;
        };
        let mut asked: Vec<String> = Vec::new();
        for name in value.texts(sink).unwrap_or_default() {
            if syntax == Syntax::Valid && names.lookup(name.text, "").is_empty() {
                sink.add(unknown_task(stage, &name, names));
            }
            if !asked.iter().any(|known| known == name.text) {
                asked.push(name.text.to_owned());
            }
        }
        hooks.insert(stage, asked);
    }
    hooks
}

fn unknown_stage(key: &Text<'_>) -> Diagnostic {
    let message = format!("`{}` is not a client-side hook of git", wording::escape_name(key.text));
    let hint = if SERVER_HOOKS.contains(&key.text) {
        "it runs on the server; on this side, `pre-push` is the last one".to_owned()
    } else {
        wording::suggestion(key.text, Stage::all().map(Stage::name), "", "")
    };
    Diagnostic::new(key.span.clone(), message).label("not a client-side hook").hint(hint)
}

fn unknown_task(stage: Stage, name: &Text<'_>, names: &NameIndex<'_>) -> Diagnostic {
    let message =
        format!("{stage} names `{}`, which is neither a task nor a group", wording::escape_name(name.text));
    let listed = names.known_names();
    let known = listed.iter().map(String::as_str);
    let hint = wording::suggestion(name.text, known, "", "there is no task yet");
    Diagnostic::new(name.span.clone(), message).label("unknown task").hint(hint).caused_by_missing(NAMED)
}
