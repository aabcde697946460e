//! Tasks that may write the same output. It must not know how outputs are stored.

use crate::base::pattern_overlap::Shapes;
use crate::config::config_file::Part;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::sections::drafts::Draft;

/// One pattern that adds to a task's outputs.
struct Written {
    prefix: Vec<u8>,
    task: usize,
    position: usize,
}

/// Reports tasks that may write the same output; each task at most once, with one before it.
pub(crate) fn check(drafts: &[Draft<'_>], parts: &[Part<'_>], findings: &mut [Findings]) {
    let shapes: Vec<Shapes> = drafts.iter().map(|draft| Shapes::of(&draft.outputs.patterns)).collect();
    let mut all: Vec<Written> = Vec::new();
    for (task, shapes) in shapes.iter().enumerate() {
        all.extend(shapes.included().map(|(position, shape)| Written {
            prefix: shape.prefix().to_owned(),
            task,
            position,
        }));
    }
    all.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    // Patterns can only meet if one's prefix begins with the other's. In sorted order those that
    // the present prefix begins with form a stack.
    let mut stack: Vec<&Written> = Vec::new();
    let mut reported = vec![false; drafts.len()];
    for now in &all {
        while stack.last().is_some_and(|open| !now.prefix.starts_with(&open.prefix)) {
            stack.pop();
        }
        for open in &stack {
            let (first, second) = if open.task < now.task { (*open, now) } else { (now, *open) };
            if first.task == second.task
                || reported[second.task]
                || !shapes[first.task].meets(first.position, &shapes[second.task], second.position)
                || never_together(&drafts[first.task], &drafts[second.task], parts)
            {
                continue;
            }
            reported[second.task] = true;
            let clash = clash(&drafts[first.task], first.position, &drafts[second.task], second.position);
            findings[drafts[second.task].file].add(clash);
        }
        stack.push(now);
    }
}

/// Whether no system runs both.
fn never_together(a: &Draft<'_>, b: &Draft<'_>, parts: &[Part<'_>]) -> bool {
    let systems = |draft: &Draft<'_>| draft.systems(&parts[draft.file].defaults).to_vec();
    let (a, b) = (systems(a), systems(b));
    !a.is_empty() && !b.is_empty() && !a.iter().any(|system| b.contains(system))
}

fn clash(first: &Draft<'_>, one: usize, second: &Draft<'_>, two: usize) -> Diagnostic {
    let (a, b) = (first.shown(), second.shown());
    let span = |draft: &Draft<'_>, position: usize| {
        draft.outputs.spans.get(position).unwrap_or(&draft.name.span).clone()
    };
    let clash = Diagnostic::new(span(second, two), format!("`{a}` and `{b}` may write the same output"))
        .label(format!("`{b}` may write it"))
        .hint("give each its own files, or exclude one's from the other's with `!`");
    // A place in another file can't be drawn here; the message names its task.
    if first.file == second.file {
        clash.other(span(first, one), format!("`{a}` may write it"))
    } else {
        clash
    }
}
