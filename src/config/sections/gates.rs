//! `[gates.*]`: one table each, read into a draft, and whose reports a gate reads. It must not know
//! what a rule means, nor what stands in a report.

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::schema::keys;
use crate::config::sections::common_keys::Scope;
use crate::config::sections::drafts::{Draft, GateDraft, Kind};
use crate::config::sections::gate_rules;
use crate::config::sections::suppressions::{self};
use crate::config::syntax::document::{Entry, Extent, Table, Text, Value};

/// Reads `[gates]`. `tasks` are those of the same file, whose names a gate can't have.
pub(crate) fn read<'d>(
    table: &Table<'d>,
    tasks: &[Draft<'d>],
    scope: &Scope<'_, 'd>,
    findings: &mut Findings,
) -> Vec<Draft<'d>> {
    let mut gates = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        findings.0.extend(keys::name_refusal(key, "a gate"));
        let shown = keys::shown(key.text);
        let namesake =
            |task: &&Draft<'_>| task.name.text == key.text || task.variant_of.as_deref() == Some(key.text);
        if let Some(task) = tasks.iter().find(namesake) {
            findings.add(
                Diagnostic::new(key.span.clone(), format!("`{shown}` is a task already"))
                    .label("a gate of the same name")
                    .other(task.name.span.clone(), "the task")
                    .hint("give the gate another name: `xtask NAME` runs tasks and gates alike"),
            );
        }
        let hint =
            format!("write it as `[gates.{shown}]` with rules below, such as `tests = {{ failed = 0 }}`");
        if let Some(entries) = value.table(&hint, findings) {
            gates.push(gate(key.clone(), entries, scope, findings));
        }
    }
    gates
}

/// Reads the table of a gate.
fn gate<'d>(name: Text<'d>, table: Table<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> Draft<'d> {
    let (of_task, own): (Vec<_>, Vec<_>) =
        table.into_iter().partition(|entry| ["description", "group"].contains(&entry.key.text));
    let gate = GateDraft::read(&name, &own, scope, findings);
    let mut draft = Draft::new(Kind::Gate, name, scope);
    for entry in of_task {
        draft.take(&entry, scope, findings);
    }
    draft.gate = Some(Box::new(gate));
    draft
}

impl<'d> GateDraft<'d> {
    /// Reads the keys of a gate that a task does not have.
    pub(crate) fn read(
        name: &Text<'d>,
        table: &Table<'d>,
        scope: &Scope<'_, 'd>,
        findings: &mut Findings,
    ) -> Self {
        let mut gate = Self::default();
        for entry in table {
            if !gate.take(entry, scope, findings) {
                let called = format!("gate `{}`", keys::shown(name.text));
                findings.add(keys::GATE.refusal(&entry.key, &called));
            }
        }
        let is_rule = |entry: &Entry<'_>| keys::RULES.contains(&entry.key.text);
        if !table.iter().any(is_rule) && scope.extent == Extent::Whole {
            findings.add(
                Diagnostic::new(name.span.clone(), format!("gate `{}` has no rule", keys::shown(name.text)))
                    .label("demands nothing")
                    .hint("add a rule, such as `tests = { failed = 0 }` or `coverage = { min = 80 }`")
                    .lacks(&keys::RULES),
            );
        }
        gate
    }

    fn take(&mut self, entry: &Entry<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> bool {
        let value = entry.value;
        match entry.key.text {
            "of" => self.of = sources(value, findings),
            "base" => self.base = base(value, findings),
            "baseline" => self.baseline = baseline(value, scope, findings),
            "by-name" => self.by_name = value.boolean(findings).unwrap_or(false),
            "suppress" => self.suppressions = suppressions::read(value, scope, findings),
            _ => return gate_rules::take(&mut self.rules, entry, scope, findings),
        }
        true
    }
}

fn sources<'d>(value: Value<'d>, findings: &mut Findings) -> Option<Vec<Text<'d>>> {
    let texts = value.texts(findings)?;
    if value.elements().is_some_and(|mut all| all.next().is_none()) {
        findings.add(
            Diagnostic::new(value.span(), "`of` names no task")
                .label("empty")
                .hint("name tasks or groups; left out, it is all tasks of this file that write reports"),
        );
        return None;
    }
    Some(texts)
}

/// A branch or revision. Git must not take it for an option.
fn base(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.text("a branch or revision, such as \"origin/main\"", findings)?;
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.text.is_empty() || text.text.starts_with('-') || text.text.contains(odd) {
        findings.add(
            Diagnostic::new(text.span, format!("`{}` is no branch or revision", keys::shown(text.text)))
                .label("git would not know it")
                .hint("write the branch that is merged into, such as \"origin/main\""),
        );
        return None;
    }
    Some(text.text.to_owned())
}

fn baseline(value: Value<'_>, scope: &Scope<'_, '_>, findings: &mut Findings) -> Option<RepoPath> {
    let text = value.text("a file", findings)?;
    let path = scope.base.join(text.text).filter(|path| !path.is_top());
    if path.is_none() {
        findings.add(
            Diagnostic::new(text.span, format!("`{}` is no file of the repository", keys::shown(text.text)))
                .label("not a file here")
                .hint("write a path relative to this file's folder, such as \"quality-baseline.json\""),
        );
    }
    path
}
