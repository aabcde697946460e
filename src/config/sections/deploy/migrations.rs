//! `[environments.NAME.migrations]`: the changes of the database. It must not know when they run.

use crate::config::deploy::{Migrations, Rehearsal, RunOn};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::DeployContext;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::placeholders::{self, Known};
use crate::config::syntax::document::{Entry, Syntax};
use crate::config::wording;

/// Reads the migrations of an environment.
pub(crate) fn read(
    entry: &Entry<'_>,
    has_url: bool,
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Option<Migrations> {
    let hint = "write it as `[environments.NAME.migrations]` with `pending` and `expand` below";
    let keys = &tables::MIGRATIONS;
    let fields = Fields::read(&entry.key, entry.value, keys, "`migrations`", hint, context.syntax, sink)?;
    fields.require(&["pending"], "add `pending` with a line that prints what is pending", sink);
    fields.require(&["expand"], "add `expand` with a line that runs what is pending", sink);
    let known = Known { names: &placeholders::OF_MIGRATION, has_port: true, has_url };
    let [pending, expand, contract, revert] = ["pending", "expand", "contract", "revert"].map(|key| {
        let text = fields.line(key, sink)?;
        known.check(&text, sink);
        Some(text.text.to_owned())
    });
    let irreversible = fields.flag("irreversible", sink);
    check_way_back(&fields, irreversible, sink);
    let places = [("first-host", RunOn::FirstHost), ("here", RunOn::Here)];
    let rehearsal = fields.entry("rehearse").and_then(|entry| rehearsal(entry, known, context, sink));
    Some(Migrations {
        run_on: fields.choice("run-on", &places, sink).unwrap_or_default(),
        pending: pending?,
        expand: expand?,
        contract,
        revert,
        irreversible: irreversible.unwrap_or(false),
        rehearsal,
    })
}

/// Reports migrations that have both a way back and none, or do not say whether they have one.
fn check_way_back(fields: &Fields<'_>, irreversible: Option<bool>, sink: &mut DiagnosticSink) {
    match (fields.entry("revert"), fields.entry("irreversible"), irreversible) {
        (Some(revert), Some(entry), Some(true)) => sink.add(
            Diagnostic::new(entry.key.span.clone(), "`migrations` has both `revert` and `irreversible`")
                .label("no way back")
                .other(revert.key.span.clone(), "a way back")
                .hint("keep one"),
        ),
        (None, Some(entry), Some(false)) => sink.add(
            Diagnostic::new(entry.value.span(), "nothing says how `expand` is undone")
                .label("there should be a way back")
                .hint("add `revert`, or write irreversible = true")
                .caused_by_missing(&["revert"]),
        ),
        (None, None, _) => {
            let hint = "add `revert` with a line that undoes `expand`, or irreversible = true";
            fields.require(&["revert", "irreversible"], hint, sink);
        }
        _ => {}
    }
}

fn rehearsal(
    entry: &Entry<'_>,
    known: Known<'_>,
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Option<Rehearsal> {
    let hint = "write it as { service = \"scratch-db\", schema = \"…\", start = \"…\" }";
    let keys = &tables::REHEARSE;
    let fields = Fields::read(&entry.key, entry.value, keys, "`rehearse`", hint, context.syntax, sink)?;
    fields.require(&["service"], "add `service` with a name of `[services]`", sink);
    fields.require(&["schema"], "add `schema` with a line that copies the schema", sink);
    let service = fields.word("service", sink);
    if let Some(service) = &service {
        let names: Vec<String> =
            context.services.iter().map(|service| service.draft.display_name()).collect();
        if !names.iter().any(|name| name == service.text) && context.syntax == Syntax::Valid {
            let message = format!("there is no service `{}`", wording::escape_name(service.text));
            let none = "services are written as `[services.NAME]` with `run = \"…\"`";
            let hint = wording::suggestion(service.text, names.iter().map(String::as_str), "", none);
            sink.add(
                Diagnostic::new(service.span.clone(), message)
                    .label("unknown service")
                    .hint(hint)
                    .caused_by_missing(&["services", "include"]),
            );
        }
    }
    // The port and the folder of the service can be filled in, as in the tasks that use it.
    let of_service = service
        .as_ref()
        .map(|service| [format!("services.{}.port", service.text), format!("services.{}.dir", service.text)]);
    let of_service = of_service.iter().flatten().map(String::as_str);
    let names: Vec<&str> = known.names.iter().copied().chain(of_service).collect();
    // What prints the schema may run on a host, where nothing is known of the service.
    let has_load = fields.entry("load").is_some();
    let known_here = Known { names: &names, ..known };
    // The old release gets a slot of its own.
    let of_start: Vec<&str> = names.iter().copied().chain(["port", "slot", "path"]).collect();
    let started = Known { names: &of_start, has_port: true, ..known };
    let of_schema = if has_load { known } else { known_here };
    let [schema, load, start] =
        [("schema", of_schema), ("load", known_here), ("start", started)].map(|(key, known)| {
            let text = fields.line(key, sink)?;
            known.check(&text, sink);
            Some(text.text.to_owned())
        });
    Some(Rehearsal { service: service?.text.to_owned(), schema: schema?, load, start })
}
