//! `outputs`: the files that a task may write. It must not know how outputs are stored.

use std::ops::Range;

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns, SourceSpan};
use crate::base::pattern_overlap::Shape;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::sections::file_sets::{self, ItemTarget, ListItem};
use crate::config::syntax::document::Value;
use crate::config::wording;

/// The outputs of one task.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) patterns: Patterns,
    /// The place of each pattern.
    pub(crate) spans: Vec<Range<usize>>,
}

impl Outputs {
    /// Reads the `outputs` of a task.
    pub(crate) fn read(value: Value<'_>, base: &RepoPath, sink: &mut DiagnosticSink) -> Self {
        let lines =
            file_sets::list_items(value, PatternBase { base, anchored: true }, sink).unwrap_or_default();
        let mut outputs = Self::default();
        let mut items = Vec::with_capacity(lines.len());
        for ListItem { excludes, may_miss, what, span } in lines {
            match what {
                ItemTarget::Pattern(pattern) => {
                    let mark = SourceSpan(Some(span.clone()));
                    items.push(Item { excludes, may_miss, matcher: Matcher::Pattern(pattern), span: mark });
                    outputs.spans.push(span);
                }
                ItemTarget::Set(_) => sink.add(
                    Diagnostic::new(span, "a set can't be used in `outputs`")
                        .label("a set")
                        .hint("write the files that the task creates"),
                ),
            }
        }
        if let Some(span) = outputs.spans.first().filter(|_| items.iter().all(|item| item.excludes)) {
            sink.add(
                Diagnostic::new(span.clone(), "`outputs` only excludes")
                    .label("nothing to exclude from")
                    .hint("write the files that the task creates before it"),
            );
            return Self::default();
        }
        outputs.patterns = Patterns::new(items);
        outputs
    }

    /// Adds the files of `reports`.
    pub(crate) fn add(&mut self, files: Vec<(Pattern, Range<usize>)>) {
        let mut items = self.patterns.items().to_vec();
        for (pattern, span) in files {
            items.push(Item {
                span: SourceSpan(Some(span.clone())),
                ..Item::including(Matcher::Pattern(pattern))
            });
            self.spans.push(span);
        }
        self.patterns = Patterns::new(items);
    }

    /// Reports patterns that match files that no task may write.
    pub(crate) fn protect(&self, base: &RepoPath, sink: &mut DiagnosticSink) {
        let of_git = [RepoPath::from_git(&b".git"[..]), RepoPath::from_git(&b".git/HEAD"[..])];
        let own_file = base.child(b"tasks.toml");
        let everything =
            Pattern::parse("*", PatternBase { base, anchored: true }).ok().map(|all| Shape::new(&all));
        for (item, span) in self.patterns.items().iter().zip(&self.spans) {
            let (Matcher::Pattern(pattern), false) = (&item.matcher, item.excludes) else { continue };
            let takes = |path: &RepoPath| pattern.matches(path) && self.patterns.matches(path);
            let shape = Shape::new(pattern);
            let why = if everything.as_ref().is_some_and(|all| shape.covers(all)) {
                "the whole folder of tasks.toml"
            } else if names_git(pattern) || of_git.iter().any(takes) {
                "files of git"
            } else if takes(&own_file) {
                "tasks.toml itself"
            } else {
                continue;
            };
            let message = format!("output `{}` would include {why}", wording::escape_name(pattern.text()));
            sink.add(
                Diagnostic::new(span.clone(), message)
                    .label("too much")
                    .hint("outputs are replaced from the cache: list only files that the task creates, such as \"dist/**\""),
            );
        }
    }
}

/// Returns whether a part of a pattern, or a choice of one, is literally `.git`.
fn names_git(pattern: &Pattern) -> bool {
    let rest = pattern.components();
    let choices = rest.iter().flat_map(|part| {
        let braces = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        braces.map_or(vec![part.as_str()], |choices| choices.split(',').collect())
    });
    let names = pattern.folder().parts().chain(choices.map(str::as_bytes));
    names.into_iter().any(|name| name.eq_ignore_ascii_case(b".git"))
}
