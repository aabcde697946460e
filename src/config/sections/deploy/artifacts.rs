//! `[artifacts.*]`: what deploys take from tasks. It must not know how an artifact is packed.

use crate::config::deploy::{Artifact, ArtifactContent};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{SourceLocation, TaskId};
use crate::config::resolve::needs::NAMED;
use crate::config::schema::deploy_keys as tables;
use crate::config::sections::deploy::DeployContext;
use crate::config::sections::deploy::fields::Fields;
use crate::config::sections::deploy::settings::is_image_path;
use crate::config::syntax::document::{Entry, Syntax, Table, Text};
use crate::config::wording;

/// Reads `[artifacts]`.
pub(crate) fn read(
    table: &Table<'_>,
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Vec<Artifact> {
    let mut artifacts = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        sink.0.extend(wording::invalid_name(key, "an artifact"));
        let shown = wording::escape_name(key.text);
        let called = format!("artifact `{shown}`");
        let hint = format!("write it as `[artifacts.{shown}]` with `task = \"…\"` below");
        let keys = &tables::ARTIFACT_TABLE;
        let Some(fields) = Fields::read(key, *value, keys, &called, &hint, context.syntax, sink) else {
            continue;
        };
        fields.require(&["task"], "add `task` with the task whose outputs it is", sink);
        let image = fields.word("image", sink);
        let content = match &image {
            Some(image) => self::image(image, sink),
            None => ArtifactContent::Outputs,
        };
        let named = fields.word("task", sink);
        let task = named.and_then(|named| task(&called, &named, !fields.has("image"), context, sink));
        artifacts.push(Artifact {
            name: key.text.to_owned(),
            task: task.unwrap_or(TaskId(0)),
            content,
            location: location(key, context),
        });
    }
    artifacts
}

/// Returns the place of a name.
pub(crate) fn location(key: &Text<'_>, context: &DeployContext<'_, '_>) -> SourceLocation {
    let (line, column) = context.lines.place(key.span.start);
    SourceLocation { file: context.file.to_owned(), line, column }
}

fn image(text: &Text<'_>, sink: &mut DiagnosticSink) -> ArtifactContent {
    let (front, path) = text.text.split_once('/').map_or(("", text.text), |(front, path)| (front, path));
    // The first part is a registry if it has a dot or a port.
    let is_registry = front.contains(['.', ':']) || front == "localhost";
    let is_known = if is_registry { is_image_path(path) } else { is_image_path(text.text) };
    if !is_known {
        let message = format!(
            "`{}` is not the name of an image without tag and digest",
            wording::escape_name(text.text)
        );
        let hint = "write registry and repository, such as \"registry.example.org/shop/web\"; the task says the digest";
        sink.add(Diagnostic::new(text.span.clone(), message).label("not a name here").hint(hint));
    }
    ArtifactContent::Image(text.text.to_owned())
}

fn task(
    called: &str,
    named: &Text<'_>,
    is_packed: bool,
    context: &DeployContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Option<TaskId> {
    let found = context.names.lookup(named.text, "");
    let shown = wording::escape_name(named.text);
    let (message, label, hint) = match *found {
        [] if context.syntax == Syntax::Broken => return None,
        [] => {
            sink.add(unknown_task(called, named, context));
            return None;
        }
        [task] if is_packed && context.drafts[task].outputs.spans.is_empty() => (
            format!("task `{shown}` has no outputs that could be {called}"),
            "no `outputs`",
            "add `outputs` to the task, or `image` to the artifact if the task pushes one".to_owned(),
        ),
        [task] => return Some(TaskId(task)),
        _ => (
            format!("{called} is of one task, and `{shown}` names {}", found.len()),
            "several tasks",
            format!("name one of them, such as \"{}\"", context.drafts[found[0]].display_name()),
        ),
    };
    let diagnostic = Diagnostic::new(named.span.clone(), message).label(label).hint(hint);
    sink.add(diagnostic.caused_by_missing(&["outputs", "reports", "image"]));
    None
}

/// Reports a name that no task or group has.
pub(crate) fn unknown_task(called: &str, named: &Text<'_>, context: &DeployContext<'_, '_>) -> Diagnostic {
    let message =
        format!("{called} names `{}`, which is neither a task nor a group", wording::escape_name(named.text));
    let listed = context.names.known_names();
    let known = listed.iter().map(String::as_str);
    let hint = wording::suggestion(named.text, known, "", "there is no task yet");
    Diagnostic::new(named.span.clone(), message).label("unknown task").hint(hint).caused_by_missing(NAMED)
}
