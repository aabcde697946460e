//! `needs`: names of tasks and groups, resolved to tasks, and the circles among them. It must not
//! know what else a task says.

use super::circle;
use super::diagnostic::{Diagnostic, Findings};
use super::document::{Extent, Text};
use super::keys;
use super::model::TaskId;
use super::naming::{self, Names};
use super::task_table::Draft;

/// What the names of all tasks stand for.
pub(super) fn names(drafts: &[Draft<'_>]) -> Names {
    Names::of(drafts.iter().map(Draft::called))
}

/// The tasks that each task needs, sorted, each once. The findings are those of each file.
pub(super) fn resolve(
    drafts: &[Draft<'_>],
    names: &Names,
    extent: Extent,
    findings: &mut [Findings],
) -> Vec<Vec<TaskId>> {
    let mut needs = Vec::with_capacity(drafts.len());
    for (task, draft) in drafts.iter().enumerate() {
        let mut all: Vec<usize> = Vec::new();
        for need in &draft.needs {
            let meant = names.meant(need.text, &draft.project);
            if meant.iter().all(|meant| *meant == task) && extent == Extent::Whole {
                findings[draft.file].add(nothing(draft, need, !meant.is_empty(), names));
            }
            all.extend(meant.iter().filter(|meant| **meant != task));
        }
        all.sort_unstable();
        all.dedup();
        needs.push(all);
    }
    if let Err(circles) = circle::order(&needs) {
        for circle in circles {
            findings[drafts[circle[0]].file].add(round(&circle, drafts, names));
        }
    }
    needs.into_iter().map(|needs| needs.into_iter().map(TaskId).collect()).collect()
}

/// What to say if a name stands for no task, or for the one alone that needs it.
fn nothing(draft: &Draft<'_>, need: &Text<'_>, is_itself: bool, names: &Names) -> Diagnostic {
    let name = draft.shown();
    if is_itself {
        return Diagnostic::new(need.span.clone(), format!("task `{name}` needs itself"))
            .label("stands for no other task")
            .hint("take it out");
    }
    let message = format!("`{name}` needs `{}`, which is neither a task nor a group", keys::shown(need.text));
    let known = names.listed().map(|known| naming::own(known, &draft.project));
    let hint = keys::suggestion(need.text, known, ("", "there is no other task"));
    Diagnostic::new(need.span.clone(), message).label("unknown task").hint(hint)
}

fn round(circle: &[usize], drafts: &[Draft<'_>], names: &Names) -> Diagnostic {
    let turn = circle.iter().chain(circle.first());
    let path: Vec<String> = turn.clone().map(|task| drafts[*task].shown()).collect();
    let message = format!("tasks need each other in a circle: {}", path.join(" → "));
    // A place in another file can't be drawn here; the message names its task.
    let here = drafts[circle[0]].file;
    let each = circle.iter().zip(turn.skip(1)).filter(|(from, _)| drafts[**from].file == here);
    let mut places = each.map(|(from, to)| {
        let (from, target) = (&drafts[*from], &drafts[*to]);
        let meant = |need: &&Text<'_>| names.meant(need.text, &from.project).contains(to);
        let need = from.needs.iter().find(meant).unwrap_or(&from.name);
        let by_group = if need.text == target.name.text || need.text == target.shown() {
            ""
        } else {
            ", a member of that group"
        };
        (need.span.clone(), format!("`{}` needs `{}`{by_group}", from.shown(), target.shown()))
    });
    let (span, label) = places.next().unwrap_or_default();
    let diagnostic = Diagnostic::new(span, message).label(label).hint("take one of these needs out");
    places.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label))
}
