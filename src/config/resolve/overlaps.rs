//! Reports tasks that may write the same output. It must not know how outputs are stored.

use crate::base::pattern_overlap::Shapes;
use crate::config::config_file::ConfigFile;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::sections::drafts::TaskDraft;

/// A pattern of a task's outputs that is no exclusion.
struct OutputPattern {
    prefix: Vec<u8>,
    task: usize,
    position: usize,
}

/// Reports tasks that may write the same output. Each task is reported at most once, together with an earlier
/// one.
pub(crate) fn check(drafts: &[TaskDraft<'_>], config_files: &[ConfigFile<'_>], sink: &mut [DiagnosticSink]) {
    let shapes: Vec<Shapes> = drafts.iter().map(|draft| Shapes::new(&draft.outputs.patterns)).collect();
    let mut all: Vec<OutputPattern> = Vec::new();
    for (task, shapes) in shapes.iter().enumerate() {
        all.extend(shapes.included().map(|(position, shape)| OutputPattern {
            prefix: shape.prefix().to_owned(),
            task,
            position,
        }));
    }
    all.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    // Two patterns can overlap only if the prefix of one begins with the prefix of the other. In sorted
    // order, the prefixes of the current one form a stack.
    let mut stack: Vec<&OutputPattern> = Vec::new();
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
                || never_together(&drafts[first.task], &drafts[second.task], config_files)
            {
                continue;
            }
            reported[second.task] = true;
            let clash =
                overlap_error(&drafts[first.task], first.position, &drafts[second.task], second.position);
            sink[drafts[second.task].file].add(clash);
        }
        stack.push(now);
    }
}

/// Returns whether no system runs both.
fn never_together(a: &TaskDraft<'_>, b: &TaskDraft<'_>, config_files: &[ConfigFile<'_>]) -> bool {
    let systems = |draft: &TaskDraft<'_>| draft.systems(&config_files[draft.file].defaults).to_vec();
    let (a, b) = (systems(a), systems(b));
    !a.is_empty() && !b.is_empty() && !a.iter().any(|system| b.contains(system))
}

fn overlap_error(first: &TaskDraft<'_>, one: usize, second: &TaskDraft<'_>, two: usize) -> Diagnostic {
    let (a, b) = (first.display_name(), second.display_name());
    let span = |draft: &TaskDraft<'_>, position: usize| {
        draft.outputs.spans.get(position).unwrap_or(&draft.name.span).clone()
    };
    let clash = Diagnostic::new(span(second, two), format!("`{a}` and `{b}` may write the same output"))
        .label(format!("`{b}` may write it"))
        .hint("give each its own files, or exclude one's from the other's with `!`");
    // Places in other files can't be shown here. The message names their tasks.
    if first.file == second.file {
        clash.other(span(first, one), format!("`{a}` may write it"))
    } else {
        clash
    }
}
