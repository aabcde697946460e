//! `reports`: which files of a task are reports, and of which kind. It must not know what is in a report, nor
//! which gate reads it.

use std::ops::Range;

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, Patterns, SourceSpan};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::Report;
use crate::config::schema::all_keys;
use crate::config::sections::file_sets;
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Text, Value};
use crate::config::wording;
use ci_reports::ReportKind;

/// The only key that is not a kind of report.
const PARTIAL: &str = "partial";

/// The reports of one task.
#[derive(Debug, Default)]
pub(crate) struct Reports<'d> {
    pub(crate) list: Vec<Report>,
    /// All patterns with their places, which are outputs too.
    pub(crate) files: Vec<(Pattern, Range<usize>)>,
    seen: Vec<(ReportKind, Text<'d>)>,
}

impl<'d> Reports<'d> {
    /// Reads the `reports` of a task.
    pub(crate) fn read(value: Value<'d>, base: &RepoPath, sink: &mut DiagnosticSink) -> Self {
        let mut reports = Self::default();
        let hint =
            "write it as { junit = \"out/junit.xml\" }: the kind of report and the file that the task writes";
        let Some(table) = value.table(hint, sink) else { return reports };
        if table.is_empty() {
            let empty = Diagnostic::new(value.span(), "`reports` names no report").label("empty").hint(hint);
            sink.add(empty);
        }
        let mut partial = None;
        for entry in table {
            match ReportKind::from_name(entry.key.text) {
                Some(kind) => reports.take(kind, entry.value, base, sink),
                None if entry.key.text == PARTIAL => partial = Some(entry),
                None => sink.add(all_keys::REPORTS.unknown_key(&entry.key, "`reports`")),
            }
        }
        if let Some(entry) = partial {
            reports.take_partial(&entry, sink);
        }
        reports
    }

    /// Reads the reason why a scanner may leave something out.
    fn take_partial(&mut self, entry: &Entry<'d>, sink: &mut DiagnosticSink) {
        let reason = values::line(entry, sink);
        let scans = |kind: ReportKind| matches!(kind, ReportKind::Sarif | ReportKind::Secrets);
        if !self.seen.iter().any(|(kind, _)| scans(*kind)) {
            sink.add(
                Diagnostic::new(entry.key.span.clone(), "`partial` needs `sarif` or `secrets`")
                    .label("no such report")
                    .hint("remove it: only these say whether something was left out"),
            );
        }
        for report in self.list.iter_mut().filter(|report| scans(report.kind)) {
            report.partial.clone_from(&reason);
        }
    }

    fn take(&mut self, kind: ReportKind, value: Value<'d>, base: &RepoPath, sink: &mut DiagnosticSink) {
        let what = "a file, or an array of files";
        let texts = match value.elements() {
            Some(_) => value.texts(sink),
            None => value.text(what, sink).map(|text| vec![text]),
        };
        let Some(texts) = texts else { return };
        if value.elements().is_some_and(|mut all| all.next().is_none()) {
            sink.add(
                Diagnostic::new(value.span(), format!("`{}` names no file", kind.name()))
                    .label("empty")
                    .hint("write the file that the task writes, or remove it"),
            );
        }
        let origin = PatternBase { base, anchored: true };
        let mut items = Vec::new();
        for text in texts {
            if let Some(first) = self.seen.iter().find(|(of, seen)| *of == kind && seen.text == text.text) {
                let again =
                    format!("`{}` is listed twice in `{}`", wording::escape_name(text.text), kind.name());
                sink.add(
                    Diagnostic::new(text.span, again)
                        .label("again")
                        .other(first.1.span.clone(), "first")
                        .hint("remove one: each report counts once"),
                );
                continue;
            }
            if text.text.starts_with('/') {
                sink.add(
                    Diagnostic::new(
                        text.span,
                        format!("`{}` is an absolute path, and a report must be in the repository", wording::escape_name(text.text)),
                    )
                    .label("absolute")
                    .hint("write a path relative to this file's folder, and let the task write its report there"),
                );
                continue;
            }
            if let Some(pattern) = file_sets::single_pattern(&text, origin, "a report", sink) {
                items.push(Item {
                    span: SourceSpan(Some(text.span.clone())),
                    ..Item::including(Matcher::Pattern(pattern.clone()))
                });
                self.files.push((pattern, text.span.clone()));
            }
            self.seen.push((kind, text));
        }
        if !items.is_empty() {
            self.list.push(Report { kind, files: Patterns::new(items), partial: None });
        }
    }
}
