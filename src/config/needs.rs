//! `needs`: names of tasks and groups, resolved to tasks, and the circles among them. It must not
//! know what else a task says.

use std::collections::HashMap;

use super::circle;
use super::diagnostic::{Diagnostic, Findings};
use super::document::{Extent, Text};
use super::keys;
use super::model::TaskId;
use super::task_table::Draft;

/// What each name stands for.
struct Names<'n> {
    tasks: HashMap<&'n str, usize>,
    groups: HashMap<&'n str, Vec<usize>>,
    /// All names, in the order of the file.
    all: Vec<&'n str>,
}

/// The tasks that each task needs, sorted, each once.
pub(super) fn resolve(drafts: &[Draft<'_>], extent: Extent, findings: &mut Findings) -> Vec<Vec<TaskId>> {
    let names = Names::of(drafts);
    let mut needs = Vec::with_capacity(drafts.len());
    for (task, draft) in drafts.iter().enumerate() {
        let mut all: Vec<usize> = Vec::new();
        for need in &draft.needs {
            let mut meant = names.meant_by(need.text, task).peekable();
            if meant.peek().is_none() && extent == Extent::Whole {
                findings.add(nothing(draft, task, need, &names));
            }
            all.extend(meant);
        }
        all.sort_unstable();
        all.dedup();
        needs.push(all);
    }
    if let Err(circles) = circle::order(&needs) {
        for circle in circles {
            findings.add(round(&circle, drafts));
        }
    }
    needs.into_iter().map(|needs| needs.into_iter().map(TaskId).collect()).collect()
}

impl<'n> Names<'n> {
    fn of(drafts: &'n [Draft<'_>]) -> Self {
        let mut names = Self { tasks: HashMap::new(), groups: HashMap::new(), all: Vec::new() };
        for (task, draft) in drafts.iter().enumerate() {
            names.tasks.insert(draft.name.text, task);
            names.all.push(draft.name.text);
        }
        for (task, draft) in drafts.iter().enumerate() {
            // What a matrix made is known by the name of its task too, as a group is.
            let group = draft.group.as_ref().map(|group| group.text);
            for name in group.into_iter().chain(draft.variant_of.as_deref()) {
                let members = names.groups.entry(name).or_default();
                if members.is_empty() && !names.tasks.contains_key(name) {
                    names.all.push(name);
                }
                members.push(task);
            }
        }
        names
    }

    /// The tasks that `name` stands for among the needs of `task`, which is not one of them.
    fn meant_by(&self, name: &str, task: usize) -> impl Iterator<Item = usize> + Clone {
        let members = self.groups.get(name).map_or(&[][..], Vec::as_slice);
        let named = self.tasks.get(name);
        named.into_iter().chain(members).copied().filter(move |meant| *meant != task)
    }
}

/// What to say if a name stands for no task but perhaps the one that needs it.
fn nothing(draft: &Draft<'_>, task: usize, need: &Text<'_>, names: &Names<'_>) -> Diagnostic {
    let name = keys::shown(draft.name.text);
    if names.tasks.get(need.text) == Some(&task) || names.groups.contains_key(need.text) {
        return Diagnostic::new(need.span.clone(), format!("task `{name}` needs itself"))
            .label("stands for no other task")
            .hint("take it out");
    }
    let message = format!("`{name}` needs `{}`, which is neither a task nor a group", keys::shown(need.text));
    let hint = keys::suggestion(need.text, names.all.iter().copied(), ("", "there is no other task"));
    Diagnostic::new(need.span.clone(), message).label("unknown task").hint(hint)
}

fn round(circle: &[usize], drafts: &[Draft<'_>]) -> Diagnostic {
    let turn = circle.iter().chain(circle.first());
    let path: Vec<String> = turn.clone().map(|task| keys::shown(drafts[*task].name.text)).collect();
    let message = format!("tasks need each other in a circle: {}", path.join(" → "));
    let mut places = circle.iter().zip(turn.skip(1)).map(|(from, to)| {
        let (from, target) = (&drafts[*from], &drafts[*to]);
        let need = from.needs.iter().find(|need| {
            need.text == target.name.text
                || target.group.as_ref().is_some_and(|group| group.text == need.text)
        });
        let need = need.unwrap_or(&from.name);
        let by_group = if need.text == target.name.text { "" } else { ", a member of that group" };
        (
            need.span.clone(),
            format!("`{}` needs `{}`{by_group}", keys::shown(from.name.text), keys::shown(target.name.text)),
        )
    });
    let (span, label) = places.next().unwrap_or_default();
    let diagnostic = Diagnostic::new(span, message).label(label).hint("take one of these needs out");
    places.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label))
}
