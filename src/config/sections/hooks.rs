//! `[hooks]`: which tasks gate which stage. It must not know how a hook is installed.

use std::collections::BTreeMap;

use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::naming::Names;
use crate::config::resolve::needs::NAMED;
use crate::config::schema::keys;
use crate::config::stage::Stage;
use crate::config::syntax::document::{Entry, Extent, Table, Text};

/// Stages of a server, which a client has no part in.
const OF_SERVERS: [&str; 6] =
    ["pre-receive", "update", "post-receive", "post-update", "push-to-checkout", "proc-receive"];

/// Reads `[hooks]`: stage → names of tasks and groups, each once and in the order of the file.
pub(crate) fn read(
    table: &Table<'_>,
    names: &Names<'_>,
    extent: Extent,
    findings: &mut Findings,
) -> BTreeMap<Stage, Vec<String>> {
    let mut hooks = BTreeMap::new();
    for Entry { key, value } in table {
        let Some(stage) = Stage::parse(key.text) else {
            findings.add(unknown_stage(key));
            continue;
        };
        let mut asked: Vec<String> = Vec::new();
        for name in value.texts(findings).unwrap_or_default() {
            if extent == Extent::Whole && names.meant(name.text, "").is_empty() {
                findings.add(unknown_task(stage, &name, names));
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
    let message = format!("git has no stage `{}` here", keys::shown(key.text));
    let hint = if OF_SERVERS.contains(&key.text) {
        "it is a stage of the server; `pre-push` is the last one on this side".to_owned()
    } else {
        keys::suggestion(key.text, Stage::all().map(Stage::name), ("", ""))
    };
    Diagnostic::new(key.span.clone(), message).label("not a client-side stage").hint(hint)
}

fn unknown_task(stage: Stage, name: &Text<'_>, names: &Names<'_>) -> Diagnostic {
    let message = format!("{stage} names `{}`, which is neither a task nor a group", keys::shown(name.text));
    let listed = names.listed();
    let known = listed.iter().map(String::as_str);
    let hint = keys::suggestion(name.text, known, ("", "there is no task yet"));
    Diagnostic::new(name.span.clone(), message).label("unknown task").hint(hint).lacks(NAMED)
}
