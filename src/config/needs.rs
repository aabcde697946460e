//! `needs`: names of tasks and groups, resolved to tasks, and the circles among them. It must not
//! know what else a task says.

use super::diagnostic::{Diagnostic, Findings, row};
use super::document::{Extent, Text};
use super::keys;
use super::naming::{self, Names};
use super::task_table::Draft;

/// Keys that give names to tasks.
pub(super) const NAMED: &[&str] = &["tasks", "gates", "include", "group", "matrix"];

/// What the names of all tasks stand for.
pub(super) fn names<'n>(drafts: &'n [Draft<'_>]) -> Names<'n> {
    Names::of(drafts.iter().map(Draft::called))
}

/// The tasks that a draft needs; `itself` is its own place if it is a task.
pub(super) fn of(
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
pub(super) fn round(circle: &[usize], drafts: &[Draft<'_>], names: &Names<'_>) -> Diagnostic {
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
