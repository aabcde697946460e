//! `[gates.*]`: one table each, read into a draft, and whose reports a gate reads. It must not know
//! what a rule means, nor what stands in a report.

use super::diagnostic::{Diagnostic, Findings, Lines};
use super::document::{Entry, Extent, Table, Text, Value};
use super::gate_rules;
use super::keys;
use super::model::{Gate, Place};
use super::naming::{self, Names};
use super::needs::NAMED;
use super::shared::Scope;
use super::suppressions::{self, Unplaced};
use super::task_table::Draft;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::quality::rules::Rules;

/// What makes a draft a gate.
#[derive(Debug, Default)]
pub(super) struct Draught<'d> {
    /// The names whose reports it reads; `None`: all of its project.
    of: Option<Vec<Text<'d>>>,
    rules: Rules,
    suppressions: Vec<Unplaced>,
    baseline: Option<RepoPath>,
    base: Option<String>,
    by_name: bool,
}

/// Reads `[gates]`. `tasks` are those of the same file, whose names a gate can't have.
pub(super) fn read<'d>(
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
            gates.push(Draft::of_gate(key.clone(), entries, scope, findings));
        }
    }
    gates
}

impl<'d> Draught<'d> {
    /// Reads the keys of a gate that a task does not have.
    pub(super) fn read(
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

    /// The gate of this file.
    pub(super) fn finish(self, file: &str, lines: &Lines<'_>) -> Gate {
        let suppressions = self.suppressions.into_iter().map(|one| {
            let (line, column) = lines.place(one.at);
            one.placed(&Place { file: file.to_owned(), line, column })
        });
        let rules = Rules { suppressions: suppressions.collect(), ..self.rules };
        Gate { rules, baseline: self.baseline, base: self.base, by_name: self.by_name }
    }

    /// The places of the tasks whose reports it reads; `draft` is its own.
    pub(super) fn sources(
        &self,
        draft: &Draft<'_>,
        drafts: &[Draft<'_>],
        (names, extent): (&Names<'_>, Extent),
        findings: &mut Findings,
    ) -> Vec<usize> {
        let Some(of) = &self.of else {
            let own = |task: &Draft<'_>| {
                task.reports.is_some() && naming::scopes(&task.project).any(|scope| scope == draft.project)
            };
            let all: Vec<usize> = (0..drafts.len()).filter(|at| own(&drafts[*at])).collect();
            if all.is_empty() && extent == Extent::Whole {
                findings.add(no_reports(draft));
            }
            return all;
        };
        let mut all = Vec::new();
        for name in of {
            let meant = names.meant(name.text, &draft.project);
            let reporting: Vec<usize> =
                meant.iter().copied().filter(|at| drafts[*at].reports.is_some()).collect();
            if reporting.is_empty() && extent == Extent::Whole {
                findings.add(nothing((draft, name), &meant, drafts, names));
            }
            all.extend(reporting);
        }
        all
    }
}

/// The files that a gate reads besides reports: what a finding is known by is what stands in its file.
pub(super) fn inputs(gate: &Gate) -> Patterns {
    let compares = gate.rules.findings.is_some_and(|rule| rule.new.is_some());
    if compares { Patterns::whole() } else { Patterns::default() }
}

fn no_reports(draft: &Draft<'_>) -> Diagnostic {
    Diagnostic::new(draft.name.span.clone(), format!("gate `{}` reads no reports", draft.shown()))
        .label("no task here writes any")
        .hint("add them to the task that writes them, such as reports = { junit = \"out/junit.xml\" }")
}

/// What to say if a name of `of` stands for no task that writes reports.
fn nothing(
    (draft, name): (&Draft<'_>, &Text<'_>),
    meant: &[usize],
    drafts: &[Draft<'_>],
    names: &Names<'_>,
) -> Diagnostic {
    let shown = keys::shown(name.text);
    if meant.is_empty() {
        let message =
            format!("gate `{}` reads `{shown}`, which is neither a task nor a group", draft.shown());
        let listed = names.listed();
        let known = listed.iter().map(|known| naming::own(known, &draft.project));
        let hint = keys::suggestion(name.text, known, ("", "there is no task"));
        return Diagnostic::new(name.span.clone(), message).label("unknown task").hint(hint).lacks(NAMED);
    }
    if meant.iter().all(|at| drafts[*at].gate.is_some()) {
        return Diagnostic::new(
            name.span.clone(),
            format!("`{shown}` is a gate, and a gate writes no reports"),
        )
        .label("not a task")
        .hint("name the tasks whose reports it reads; a task can need both gates");
    }
    let message = format!("`{shown}` writes no reports that gate `{}` could read", draft.shown());
    Diagnostic::new(name.span.clone(), message)
        .label("no `reports`")
        .hint("add `reports` to the task, or name the tasks that have them")
        .lacks(&["reports"])
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
