//! `[tasks.*]`: one table each, read into a draft whose needs and outputs are checked against the
//! others later. It must not know those others.

use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::model::Command;
use crate::config::schema::keys;
use crate::config::sections::common_keys::Scope;
use crate::config::sections::drafts::{Draft, Kind};
use crate::config::sections::outputs::Outputs;
use crate::config::sections::reports::Reports;
use crate::config::sections::settings;
use crate::config::syntax::document::{Entry, Extent, Table, Text, Value};

/// Keys that serve a task's commands, so an aggregate may have them for its `fix` alone.
const FOR_COMMANDS: [&str; 6] = ["shell", "cwd", "env", "env-file", "pass-env", "secret-env"];
/// Keys in whose texts the ports of services are put in.
const FILLED: [&str; 4] = ["run", "fix", "finally", "env"];
/// Keys that an aggregate may have.
const FOR_AGGREGATES: [&str; 4] = ["description", "group", "needs", "fix"];

/// Reads `[tasks]`.
pub(crate) fn read<'d>(table: &Table<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> Vec<Draft<'d>> {
    let mut drafts = Vec::with_capacity(table.len());
    for entry in table {
        let Entry { key, value } = entry;
        if let Some(refusal) = keys::name_refusal(&entry.written(scope.variants), "a task") {
            findings.add(refusal);
        }
        let hint = format!("write it as `[tasks.{}]` with `run = \"…\"` below", keys::shown(key.text));
        if let Some(entries) = value.table(&hint, findings) {
            drafts.push(Draft::read(key.clone(), &entries, scope, findings));
        }
    }
    drafts
}

impl<'d> Draft<'d> {
    /// Reads the table of a task.
    pub(crate) fn read(
        name: Text<'d>,
        table: &[Entry<'d>],
        scope: &Scope<'_, 'd>,
        findings: &mut Findings,
    ) -> Self {
        let has = |key: &str| table.iter().any(|entry| entry.key.text == key);
        let kind = if has("run") || has("rust") { Kind::Runs } else { Kind::Aggregate };
        let mut draft = Self::new(kind, name, scope);
        draft.take_all(table, scope, findings);
        let key = |name: &str| table.iter().find(|entry| entry.key.text == name).map(|entry| &entry.key);
        if let (Some(rust), Some(run)) = (key("rust"), key("run")) {
            findings.add(
                Diagnostic::new(rust.span.clone(), "a task has either `run` or `rust`")
                    .label("a second way to run it")
                    .other(run.span.clone(), "one way")
                    .hint("take one of them out"),
            );
        }
        if draft.kind == Kind::Aggregate {
            draft.check_aggregate(table, scope, findings);
        }
        draft
    }

    fn take_all(&mut self, table: &[Entry<'d>], scope: &Scope<'_, 'd>, findings: &mut Findings) {
        for entry in table {
            if FILLED.contains(&entry.key.text) {
                entry.value.ports(&mut self.ports);
            }
            if !self.take(entry, scope, findings) && !self.shared.take(entry, scope, findings) {
                let called = format!("task `{}`", keys::shown(self.name.text));
                findings.add(keys::TASK.refusal(&entry.key, &called));
            }
        }
        self.shared.variables.check(findings);
        if let Some(reports) = &mut self.reports {
            self.outputs.add(std::mem::take(&mut reports.files));
        }
        self.outputs.protect(scope.base, findings);
    }

    /// Reads what a service has in common with a task.
    pub(crate) fn of_service(
        name: Text<'d>,
        table: &[Entry<'d>],
        scope: &Scope<'_, 'd>,
        findings: &mut Findings,
    ) -> Self {
        let mut draft = Self::new(Kind::Service, name, scope);
        draft.take_all(table, scope, findings);
        draft
    }

    /// Takes the entry if its key is a task's own.
    pub(crate) fn take(&mut self, entry: &Entry<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> bool {
        let value = entry.value;
        match entry.key.text {
            "description" => self.description = description(value, findings),
            "group" => {
                self.group = value.text("the name of a group", findings);
                let refusal = self.group.as_ref().and_then(|group| keys::name_refusal(group, "a group"));
                findings.0.extend(refusal);
            }
            "run" => self.run = command(value, "`run`", findings).or(self.run.take()),
            "rust" => self.run = function(value, findings).map(Command::Rust).or(self.run.take()),
            "fix" => self.fix = command(value, "`fix`", findings),
            "finally" => self.finally = command(value, "`finally`", findings),
            "cwd" => self.cwd = settings::folder(value, scope.base, findings),
            "outputs" => self.outputs = Outputs::read(value, scope.base, findings),
            "reports" => self.reports = Some(Reports::read(value, scope.base, findings)),
            "needs" => self.needs = value.texts(findings).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    fn check_aggregate(&self, table: &[Entry<'d>], scope: &Scope<'_, 'd>, findings: &mut Findings) {
        let has = |key: &str| table.iter().any(|entry| entry.key.text == key);
        let gathers = table.iter().any(|entry| {
            entry.key.text == "needs" && entry.value.elements().is_none_or(|mut all| all.next().is_some())
        });
        let name = keys::shown(self.name.text);
        if !gathers {
            // In a broken file the line with `run` may be the broken one.
            if scope.extent == Extent::Whole {
                findings.add(
                    Diagnostic::new(self.name.span.clone(), format!("task `{name}` does nothing"))
                        .label("neither `run` nor `needs`")
                        .hint("add `run` with a command, or `needs` with tasks that it gathers")
                        .lacks(&["run", "rust", "needs"]),
                );
            }
            return;
        }
        for Entry { key, .. } in table {
            let is_for_fix = FOR_COMMANDS.contains(&key.text) && has("fix");
            if keys::TASK.knows(key.text) && !FOR_AGGREGATES.contains(&key.text) && !is_for_fix {
                findings.add(
                    Diagnostic::new(key.span.clone(), format!("`{}` has no meaning without `run`", key.text))
                        .label(format!("`{name}` runs nothing"))
                        .hint("take it out, or add `run`; a task with `needs` alone only gathers them")
                        .lacks(&["run", "rust"]),
                );
            }
        }
    }
}

fn description(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.text("a string", findings)?;
    if text.text.chars().any(char::is_control) {
        findings.add(
            Diagnostic::new(text.span, "a description is one line of plain text")
                .label("has a line end or another control character")
                .hint("shorten it; longer words can stand in a comment"),
        );
        return None;
    }
    Some(text.text.trim().to_owned()).filter(|text| !text.is_empty())
}

pub(crate) fn command(value: Value<'_>, key: &str, findings: &mut Findings) -> Option<Command> {
    let hint = "write a shell line such as \"cargo test\", or a program and its arguments such as [\"cargo\", \"test\"]";
    if value.elements().is_some() {
        let texts = value.texts(findings)?;
        return settings::argv(value, texts, (key, hint), findings).map(Command::Argv);
    }
    if !value.is_text() {
        findings.add(value.mismatch("a string or an array of strings").hint(hint));
        return None;
    }
    let line = value.text("a string or an array of strings", findings)?;
    if line.text.trim().is_empty() {
        findings
            .add(Diagnostic::new(line.span, format!("{key} is empty")).label("nothing to run").hint(hint));
        return None;
    }
    Some(Command::Shell(line.text.to_owned()))
}

/// The name of a function of the repository's own program.
fn function(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let name = value.text("the name of a function that the program registers", findings)?;
    findings.0.extend(keys::name_refusal(&name, "a Rust task"));
    Some(name.text.to_owned())
}
