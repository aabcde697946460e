//! `needs`: names of tasks and groups, resolved to tasks, and the circles among them. It must not
//! know what else a task says.

use crate::config::diagnostic::{Diagnostic, Findings, row};
use crate::config::naming::{self, Names};
use crate::config::schema::keys;
use crate::config::sections::drafts::{Draft, GateDraft};
use crate::config::syntax::document::{Extent, Text};

/// Keys that give names to tasks.
pub(crate) const NAMED: &[&str] = &["tasks", "gates", "include", "group", "matrix"];

/// What the names of all tasks stand for.
pub(crate) fn names<'n>(drafts: &'n [Draft<'_>]) -> Names<'n> {
    Names::of(drafts.iter().map(Draft::called))
}

/// The tasks that a draft needs; `itself` is its own place if it is a task.
pub(crate) fn of(
    draft: &Draft<'_>,
    itself: Option<usize>,
    (names, extent): (&Names<'_>, Extent),
    findings: &mut Findings,
) -> Vec<usize> {
    let mut all: Vec<usize> = Vec::new();
    for need in &draft.needs {
        let meant = names.meant(need.text, &draft.project);
        if meant.iter().all(|meant| Some(*meant) == itself) && extent == Extent::Whole {
            findings.add(nothing(draft, need, !meant.is_empty(), names));
        }
        all.extend(meant.into_iter().filter(|meant| Some(*meant) != itself));
    }
    all
}

/// What to say if a name stands for no task, or for the one alone that needs it.
fn nothing(draft: &Draft<'_>, need: &Text<'_>, is_itself: bool, names: &Names<'_>) -> Diagnostic {
    let name = draft.shown();
    if is_itself {
        return Diagnostic::new(need.span.clone(), format!("task `{name}` needs itself"))
            .label("stands for no other task")
            .hint("take it out");
    }
    let message = format!("`{name}` needs `{}`, which is neither a task nor a group", keys::shown(need.text));
    let listed = names.listed();
    let known = listed.iter().map(|known| naming::own(known, &draft.project));
    let hint = keys::suggestion(need.text, known, ("", "there is no other task"));
    Diagnostic::new(need.span.clone(), message).label("unknown task").hint(hint).lacks(NAMED)
}

/// What to say to tasks that need each other.
pub(crate) fn round(circle: &[usize], drafts: &[Draft<'_>], names: &Names<'_>) -> Diagnostic {
    let turn = circle.iter().chain(circle.first());
    let path: Vec<String> = turn.clone().map(|task| drafts[*task].shown()).collect();
    let message = format!("tasks need each other in a circle: {}", row(&path));
    // A place in another file can't be drawn here; the message names its task.
    let here = drafts[circle[0]].file;
    let each = circle.iter().zip(turn.skip(1)).filter(|(from, _)| drafts[**from].file == here);
    let mut places = each.map(|(from, to)| {
        let (from, target) = (&drafts[*from], &drafts[*to]);
        let meant = |need: &&Text<'_>| names.meant(need.text, &from.project).contains(to);
        let (span, how) = match from.needs.iter().find(meant) {
            Some(need) if need.text == target.name.text || need.text == target.shown() => (&need.span, ""),
            Some(need) => (&need.span, ", a member of that group"),
            None if from.gate.is_some() => (&from.name.span, ", whose reports it reads"),
            None => (&from.name.span, " for a service that it uses"),
        };
        (span.clone(), format!("`{}` needs `{}`{how}", from.shown(), target.shown()))
    });
    let (span, label) = places.next().unwrap_or_default();
    let diagnostic = Diagnostic::new(span, message).label(label).hint("take one of these needs out");
    places.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label))
}

/// The places of the tasks whose reports a gate reads.
pub(crate) fn sources(
    gate: &GateDraft<'_>,
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    (names, extent): (&Names<'_>, Extent),
    findings: &mut Findings,
) -> Vec<usize> {
    let Some(of) = &gate.of else {
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
            findings.add(no_source(draft, name, &meant, drafts, names));
        }
        all.extend(reporting);
    }
    all
}

fn no_reports(draft: &Draft<'_>) -> Diagnostic {
    Diagnostic::new(draft.name.span.clone(), format!("gate `{}` reads no reports", draft.shown()))
        .label("no task here writes any")
        .hint("add them to the task that writes them, such as reports = { junit = \"out/junit.xml\" }")
}

/// What to say if a name of `of` stands for no task that writes reports.
fn no_source(
    draft: &Draft<'_>,
    name: &Text<'_>,
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
