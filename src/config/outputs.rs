//! `outputs`: which files tasks may declare as written, and that no two write the same. It must not
//! know how outputs are stored.

use std::ops::Range;

use super::diagnostic::{Diagnostic, Findings};
use super::document::Value;
use super::files::{self, Line, Reference};
use super::keys;
use super::part::Part;
use super::task_table::Draft;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Mark, Origin, Pattern, Patterns, What};
use crate::base::pattern_overlap::{Shape, Shapes};

/// The outputs of one task.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) patterns: Patterns,
    /// Where each of the patterns stands.
    spans: Vec<Range<usize>>,
}

impl Outputs {
    /// Reads a task's `outputs`.
    pub(super) fn read(value: Value<'_>, base: &RepoPath, findings: &mut Findings) -> Self {
        let lines = files::lines(value, Origin { base, anchored: true }, findings).unwrap_or_default();
        let mut outputs = Self::default();
        let mut items = Vec::with_capacity(lines.len());
        for Line { excludes, may_miss, what, span } in lines {
            match what {
                Reference::Pattern(pattern) => {
                    let mark = Mark(Some(span.clone()));
                    items.push(Item { excludes, may_miss, what: What::One(pattern), mark });
                    outputs.spans.push(span);
                }
                Reference::Set(_) => findings.add(
                    Diagnostic::new(span, "a set can't be used in `outputs`")
                        .label("a set")
                        .hint("write the files that the task makes"),
                ),
            }
        }
        if let Some(span) = outputs.spans.first().filter(|_| items.iter().all(|item| item.excludes)) {
            findings.add(
                Diagnostic::new(span.clone(), "`outputs` only excludes")
                    .label("nothing to exclude from")
                    .hint("write the files that the task makes in front of it"),
            );
            return Self::default();
        }
        outputs.patterns = Patterns::new(items);
        outputs
    }

    /// Adds files that `reports` names.
    pub(super) fn add(&mut self, files: Vec<(Pattern, Range<usize>)>) {
        let mut items = self.patterns.items().to_vec();
        for (pattern, span) in files {
            items.push(Item { mark: Mark(Some(span.clone())), ..Item::adding(What::One(pattern)) });
            self.spans.push(span);
        }
        self.patterns = Patterns::new(items);
    }

    /// Reports patterns that would take in what no task may write.
    pub(super) fn protect(&self, base: &RepoPath, findings: &mut Findings) {
        let of_git = [RepoPath::from_git(&b".git"[..]), RepoPath::from_git(&b".git/HEAD"[..])];
        let own_file = base.child(b"tasks.toml");
        let everything = Pattern::parse("*", Origin { base, anchored: true }).ok().map(|all| Shape::of(&all));
        for (item, span) in self.patterns.items().iter().zip(&self.spans) {
            let (What::One(pattern), false) = (&item.what, item.excludes) else { continue };
            let takes = |path: &RepoPath| pattern.matches(path) && self.patterns.matches(path);
            let shape = Shape::of(pattern);
            let why = if everything.as_ref().is_some_and(|all| shape.covers(all)) {
                "the whole folder of tasks.toml"
            } else if shape.names(b".git") || of_git.iter().any(takes) {
                "files of git"
            } else if takes(&own_file) {
                "tasks.toml itself"
            } else {
                continue;
            };
            let message = format!("output `{}` would take in {why}", keys::shown(pattern.text()));
            findings.add(
                Diagnostic::new(span.clone(), message)
                    .label("too much")
                    .hint("outputs are replaced from the cache: name only files that the task makes, such as \"dist/**\""),
            );
        }
    }
}

/// One pattern that adds to a task's outputs.
struct Written {
    prefix: Vec<u8>,
    task: usize,
    position: usize,
}

/// Reports tasks that may write the same output; each task at most once, with one before it.
pub(super) fn check_overlaps(drafts: &[Draft<'_>], parts: &[Part<'_>], findings: &mut [Findings]) {
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
