//! Resolves `needs` of tasks and `of` of gates to tasks, and reports cycles. It must not know what else a
//! task says.

use crate::config::diagnostic::{Diagnostic, DiagnosticSink, join_names};
use crate::config::naming::{self, NameIndex};
use crate::config::sections::drafts::{GateDraft, TaskDraft};
use crate::config::syntax::document::{Syntax, Text};
use crate::config::wording;

/// Keys that define names of tasks.
pub(crate) const NAMED: &[&str] = &["tasks", "gates", "include", "group", "matrix"];

/// Builds the index of the names of all tasks.
pub(crate) fn name_index<'n>(drafts: &'n [TaskDraft<'_>]) -> NameIndex<'n> {
    NameIndex::new(drafts.iter().map(TaskDraft::called))
}

/// Returns the tasks that a draft needs. `itself` is its own position if it is a task.
pub(crate) fn resolve(
    draft: &TaskDraft<'_>,
    itself: Option<usize>,
    names: &NameIndex<'_>,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Vec<usize> {
    let mut all: Vec<usize> = Vec::new();
    for need in &draft.needs {
        let meant = names.lookup(need.text, &draft.project);
        if meant.iter().all(|meant| Some(*meant) == itself) && syntax == Syntax::Valid {
            sink.add(unknown_need(draft, need, !meant.is_empty(), names));
        }
        all.extend(meant.into_iter().filter(|meant| Some(*meant) != itself));
    }
    all
}

/// Reports a name that refers to no task, or only to the task that needs it.
fn unknown_need(
    draft: &TaskDraft<'_>,
    need: &Text<'_>,
    is_itself: bool,
    names: &NameIndex<'_>,
) -> Diagnostic {
    let name = draft.display_name();
    if is_itself {
        return Diagnostic::new(need.span.clone(), format!("task `{name}` needs itself"))
            .label("no other task has this name")
            .hint("remove it");
    }
    let message =
        format!("`{name}` needs `{}`, which is neither a task nor a group", wording::escape_name(need.text));
    let listed = names.known_names();
    let known = listed.iter().map(|known| naming::own_name(known, &draft.project));
    let hint = wording::suggestion(need.text, known, "", "there is no other task");
    Diagnostic::new(need.span.clone(), message).label("unknown task").hint(hint).caused_by_missing(NAMED)
}

/// Reports tasks that need each other.
pub(crate) fn cycle_error(cycle: &[usize], drafts: &[TaskDraft<'_>], names: &NameIndex<'_>) -> Diagnostic {
    let turn = cycle.iter().chain(cycle.first());
    let path: Vec<String> = turn.clone().map(|task| drafts[*task].display_name()).collect();
    let message = format!("tasks need each other in a cycle: {}", join_names(&path));
    // Places in other files can't be shown here. The message names their tasks.
    let here = drafts[cycle[0]].file;
    let each = cycle.iter().zip(turn.skip(1)).filter(|(from, _)| drafts[**from].file == here);
    let mut places = each.map(|(from, to)| {
        let (from, target) = (&drafts[*from], &drafts[*to]);
        let meant = |need: &&Text<'_>| names.lookup(need.text, &from.project).contains(to);
        let (span, how) = match from.needs.iter().find(meant) {
            Some(need) if need.text == target.name.text || need.text == target.display_name() => {
                (&need.span, "")
            }
            Some(need) => (&need.span, ", a member of that group"),
            None if from.gate.is_some() => (&from.name.span, ", whose reports it reads"),
            None => (&from.name.span, " for a service that it uses"),
        };
        (span.clone(), format!("`{}` needs `{}`{how}", from.display_name(), target.display_name()))
    });
    let (span, label) = places.next().unwrap_or_default();
    let diagnostic = Diagnostic::new(span, message).label(label).hint("remove one of these needs");
    places.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label))
}

/// Returns the tasks whose reports a gate reads.
pub(crate) fn gate_sources(
    gate: &GateDraft<'_>,
    draft: &TaskDraft<'_>,
    drafts: &[TaskDraft<'_>],
    names: &NameIndex<'_>,
    syntax: Syntax,
    sink: &mut DiagnosticSink,
) -> Vec<usize> {
    let Some(of) = &gate.of else {
        let own = |task: &TaskDraft<'_>| {
            task.reports.is_some()
                && naming::enclosing_projects(&task.project).any(|scope| scope == draft.project)
        };
        let all: Vec<usize> = (0..drafts.len()).filter(|at| own(&drafts[*at])).collect();
        if all.is_empty() && syntax == Syntax::Valid {
            sink.add(no_reports(draft));
        }
        return all;
    };
    let mut all = Vec::new();
    for name in of {
        let meant = names.lookup(name.text, &draft.project);
        let reporting: Vec<usize> =
            meant.iter().copied().filter(|at| drafts[*at].reports.is_some()).collect();
        if reporting.is_empty() && syntax == Syntax::Valid {
            sink.add(unknown_source(draft, name, &meant, drafts, names));
        }
        all.extend(reporting);
    }
    all
}

fn no_reports(draft: &TaskDraft<'_>) -> Diagnostic {
    Diagnostic::new(draft.name.span.clone(), format!("gate `{}` reads no reports", draft.display_name()))
        .label("no task here writes any")
        .hint("add them to the task that writes them, such as reports = { junit = \"out/junit.xml\" }")
}

/// Reports a name in `of` that refers to no task with reports.
fn unknown_source(
    draft: &TaskDraft<'_>,
    name: &Text<'_>,
    meant: &[usize],
    drafts: &[TaskDraft<'_>],
    names: &NameIndex<'_>,
) -> Diagnostic {
    let shown = wording::escape_name(name.text);
    if meant.is_empty() {
        let message =
            format!("gate `{}` reads `{shown}`, which is neither a task nor a group", draft.display_name());
        let listed = names.known_names();
        let known = listed.iter().map(|known| naming::own_name(known, &draft.project));
        let hint = wording::suggestion(name.text, known, "", "there is no task");
        return Diagnostic::new(name.span.clone(), message)
            .label("unknown task")
            .hint(hint)
            .caused_by_missing(NAMED);
    }
    if meant.iter().all(|at| drafts[*at].gate.is_some()) {
        return Diagnostic::new(
            name.span.clone(),
            format!("`{shown}` is a gate, and a gate writes no reports"),
        )
        .label("not a task")
        .hint("name the tasks whose reports it reads; a task can need both gates");
    }
    let message = format!("`{shown}` writes no reports that gate `{}` could read", draft.display_name());
    Diagnostic::new(name.span.clone(), message)
        .label("no `reports`")
        .hint("add `reports` to the task, or name the tasks that have them")
        .caused_by_missing(&["reports"])
}
