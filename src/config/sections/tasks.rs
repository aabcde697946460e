//! `[tasks.*]`: reads each table into a draft. Needs and outputs are checked against other tasks later. It
//! must not know those.

use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::Command;
use crate::config::schema::all_keys;
use crate::config::sections::common_keys::ParseContext;
use crate::config::sections::drafts::{DraftKind, TaskDraft};
use crate::config::sections::outputs::Outputs;
use crate::config::sections::reports::Reports;
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Syntax, Table, Text, Value};
use crate::config::wording;

/// Keys that configure a task's commands. An aggregate may have them only for its `fix`.
const FOR_COMMANDS: [&str; 6] = ["shell", "cwd", "env", "env-file", "pass-env", "secret-env"];
/// Keys in whose texts ports of services are filled in.
const WITH_PLACEHOLDERS: [&str; 4] = ["run", "fix", "finally", "env"];
/// Keys that an aggregate may have.
const FOR_AGGREGATES: [&str; 4] = ["description", "group", "needs", "fix"];

/// Reads `[tasks]`.
pub(crate) fn read<'d>(
    table: &Table<'d>,
    context: &ParseContext<'_, 'd>,
    sink: &mut DiagnosticSink,
) -> Vec<TaskDraft<'d>> {
    let mut drafts = Vec::with_capacity(table.len());
    for entry in table {
        let Entry { key, value } = entry;
        if let Some(refusal) = wording::invalid_name(&entry.written(context.variants), "a task") {
            sink.add(refusal);
        }
        let hint =
            format!("write it as `[tasks.{}]` with `run = \"…\"` below", wording::escape_name(key.text));
        if let Some(entries) = value.table(&hint, sink) {
            drafts.push(TaskDraft::read(key.clone(), &entries, context, sink));
        }
    }
    drafts
}

impl<'d> TaskDraft<'d> {
    /// Reads the table of a task.
    pub(crate) fn read(
        name: Text<'d>,
        table: &[Entry<'d>],
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let has = |key: &str| table.iter().any(|entry| entry.key.text == key);
        let kind = if has("run") || has("rust") { DraftKind::Runs } else { DraftKind::Aggregate };
        let mut draft = Self::new(kind, name, context);
        draft.take_all(table, context, sink);
        let key = |name: &str| table.iter().find(|entry| entry.key.text == name).map(|entry| &entry.key);
        if let (Some(rust), Some(run)) = (key("rust"), key("run")) {
            sink.add(
                Diagnostic::new(rust.span.clone(), "a task has either `run` or `rust`")
                    .label("a second way to run it")
                    .other(run.span.clone(), "one way")
                    .hint("remove one of them"),
            );
        }
        if draft.kind == DraftKind::Aggregate {
            draft.check_aggregate(table, context, sink);
        }
        draft
    }

    fn take_all(&mut self, table: &[Entry<'d>], context: &ParseContext<'_, 'd>, sink: &mut DiagnosticSink) {
        for entry in table {
            if WITH_PLACEHOLDERS.contains(&entry.key.text) {
                entry.value.ports(&mut self.ports);
            }
            if !self.take(entry, context, sink) && !self.common.take(entry, context, sink) {
                let called = format!("task `{}`", wording::escape_name(self.name.text));
                sink.add(all_keys::TASK.unknown_key(&entry.key, &called));
            }
        }
        self.common.variables.check(sink);
        if let Some(reports) = &mut self.reports {
            self.outputs.add(std::mem::take(&mut reports.files));
        }
        self.outputs.protect(context.base, sink);
    }

    /// Reads the keys that a service shares with a task.
    pub(crate) fn of_service(
        name: Text<'d>,
        table: &[Entry<'d>],
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let mut draft = Self::new(DraftKind::Service, name, context);
        draft.take_all(table, context, sink);
        draft
    }

    /// Reads the entry if its key is one that only a task has. Returns whether it is.
    pub(crate) fn take(
        &mut self,
        entry: &Entry<'d>,
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> bool {
        let value = entry.value;
        match entry.key.text {
            "description" => self.description = description(value, sink),
            "group" => {
                self.group = value.text("the name of a group", sink);
                let refusal = self.group.as_ref().and_then(|group| wording::invalid_name(group, "a group"));
                sink.0.extend(refusal);
            }
            "run" => self.run = values::command(value, "`run`", sink).or(self.run.take()),
            "rust" => self.run = function(value, sink).map(Command::Rust).or(self.run.take()),
            "fix" => self.fix = values::command(value, "`fix`", sink),
            "finally" => self.finally = values::command(value, "`finally`", sink),
            "cwd" => self.cwd = values::folder(value, context.base, sink),
            "outputs" => self.outputs = Outputs::read(value, context.base, sink),
            "reports" => self.reports = Some(Reports::read(value, context.base, sink)),
            "needs" => self.needs = value.texts(sink).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    fn check_aggregate(
        &self,
        table: &[Entry<'d>],
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) {
        let has = |key: &str| table.iter().any(|entry| entry.key.text == key);
        let gathers = table.iter().any(|entry| {
            entry.key.text == "needs" && entry.value.elements().is_none_or(|mut all| all.next().is_some())
        });
        let name = wording::escape_name(self.name.text);
        if !gathers {
            // In a file with a syntax error, the line with `run` may be the broken one.
            if context.syntax == Syntax::Valid {
                sink.add(
                    Diagnostic::new(self.name.span.clone(), format!("task `{name}` does nothing"))
                        .label("neither `run` nor `needs`")
                        .hint("add `run` with a command, or `needs` with other tasks")
                        .caused_by_missing(&["run", "rust", "needs"]),
                );
            }
            return;
        }
        for Entry { key, .. } in table {
            let is_for_fix = FOR_COMMANDS.contains(&key.text) && has("fix");
            if all_keys::TASK.has(key.text) && !FOR_AGGREGATES.contains(&key.text) && !is_for_fix {
                sink.add(
                    Diagnostic::new(key.span.clone(), format!("`{}` has no effect without `run`", key.text))
                        .label(format!("`{name}` runs nothing"))
                        .hint("remove it, or add `run`")
                        .caused_by_missing(&["run", "rust"]),
                );
            }
        }
    }
}

fn description(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let text = value.text("a string", sink)?;
    if text.text.chars().any(char::is_control) {
        sink.add(
            Diagnostic::new(text.span, "a description must be one line of plain text")
                .label("has a line end or another control character")
                .hint("shorten it; longer text can be a comment"),
        );
        return None;
    }
    Some(text.text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Reads the name of a function of the repository's own program.
fn function(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let name = value.text("the name of a function that the program registers", sink)?;
    sink.0.extend(wording::invalid_name(&name, "a Rust task"));
    Some(name.text.to_owned())
}
