//! Diagnostics: what is wrong with tasks.toml, where, and what to do about it, as data and as text. It must
//! not know the rules that were broken.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// One error of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// The bytes of the file that are wrong.
    pub span: Range<usize>,
    /// The text below the underlined bytes.
    pub label: String,
    /// What to do.
    pub hint: Option<String>,
    /// Other places that are part of the error.
    pub others: Vec<Labelled>,
    /// For an unknown key, the known key that was probably meant.
    pub(crate) meant: Option<&'static str>,
    /// Keys whose absence may cause this error. It is not reported if one of them is misspelt in the file.
    pub(crate) caused_by_missing: &'static [&'static str],
}

/// A place with a short text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The bytes of the file.
    pub span: Range<usize>,
    /// The text below the underlined bytes.
    pub label: String,
}

impl Diagnostic {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span,
            label: String::new(),
            hint: None,
            others: Vec::new(),
            meant: None,
            caused_by_missing: &[],
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds another place, unless there are `MAX_PLACES` already.
    pub(crate) fn other(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        if self.others.len() < MAX_PLACES {
            self.others.push(Labelled { span, label: label.into() });
        }
        self
    }

    /// Sets the keys whose absence may cause this error. It is dropped if one of them is misspelt.
    pub(crate) fn caused_by_missing(mut self, keys: &'static [&'static str]) -> Self {
        self.caused_by_missing = keys;
        self
    }
}

/// How many places are shown at most, besides the first.
const MAX_PLACES: usize = 8;
/// How many diagnostics of a file are shown at most.
const MAX_SHOWN: usize = 50;
/// How many characters of a message or hint are shown at most.
const MAX_MESSAGE: usize = 600;
/// How many characters of the text below a place are shown at most.
const MAX_LABEL: usize = 200;

/// Removes diagnostics that follow from misspelt keys. Once these are corrected, nothing else may be wrong.
pub(crate) fn drop_consequences(sink: &mut [DiagnosticSink]) {
    let meant: Vec<&str> =
        sink.iter().flat_map(|file| &file.0).filter_map(|diagnostic| diagnostic.meant).collect();
    for file in sink {
        file.0.retain(|diagnostic| !diagnostic.caused_by_missing.iter().any(|key| meant.contains(key)));
    }
}

/// Joins names with arrows, as for a cycle. The middle of a long list is left out.
pub(crate) fn join_names(names: &[String]) -> String {
    const FIRST: usize = 8;
    const LAST: usize = 2;
    if names.len() <= FIRST + LAST + 1 {
        return names.join(" → ");
    }
    let left_out = names.len() - FIRST - LAST;
    let (front, back) = (names[..FIRST].join(" → "), names[names.len() - LAST..].join(" → "));
    format!("{front} → … {left_out} more … → {back}")
}

/// Shortens a text to at most `most` characters. A shortened text ends with `…`.
fn shorten(text: &str, most: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some((at, _)) => format!("{}…", &text[..at]).into(),
    }
}

/// Collects the diagnostics of a file.
#[derive(Debug, Default)]
pub(crate) struct DiagnosticSink(pub(super) Vec<Diagnostic>);

impl DiagnosticSink {
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }
}

/// The byte positions at which the lines of a text start.
#[derive(Debug)]
pub(crate) struct LineIndex<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl<'s> LineIndex<'s> {
    pub(crate) fn new(text: &'s str) -> Self {
        let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(line_ends).collect() }
    }

    /// Returns the line that contains the byte `at`, counted from 0.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Returns line and column of the byte `at`, both counted from 1.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.line(at);
        let column = self.text.get(self.starts[line]..at).map_or(0, |front| front.chars().count());
        (line + 1, column + 1)
    }

    /// Returns the bytes of these lines, without the last line end.
    fn bytes(&self, first: usize, last: usize) -> Range<usize> {
        let end = self.starts.get(last + 1).map_or(self.text.len(), |next| next - 1);
        self.starts[first]..end
    }
}

/// All errors of a config's files, the outermost file first. It is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics(Vec<FileDiagnostics>);

/// The errors of one file, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiagnostics {
    file: String,
    text: String,
    list: Vec<Diagnostic>,
}

/// A diagnostic as plain data, for JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticRecord {
    /// The file, as it was named to the parser.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostics {
    pub(crate) fn new(files: Vec<FileDiagnostics>) -> Self {
        Self(files)
    }

    /// Returns all diagnostics, in the order of the files.
    pub fn list(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().flat_map(|file| &file.list)
    }

    /// Returns all diagnostics as plain data.
    pub fn records(&self) -> Vec<DiagnosticRecord> {
        self.0.iter().flat_map(FileDiagnostics::records).collect()
    }

    /// Returns all diagnostics as text with the lines of the files, with terminal colours if `color`.
    pub fn render(&self, color: bool) -> String {
        let drawn: Vec<String> = self.0.iter().map(|file| file.render(color)).collect();
        drawn.join("\n")
    }
}

impl FileDiagnostics {
    /// Sorts the diagnostics by place and removes duplicates.
    pub(crate) fn new(file: &str, text: &str, sink: DiagnosticSink) -> Self {
        let mut list = sink.0;
        list.sort_by_key(|diagnostic| diagnostic.span.start);
        list.dedup();
        Self { file: file.to_owned(), text: text.to_owned(), list }
    }

    fn records(&self) -> Vec<DiagnosticRecord> {
        let lines = LineIndex::new(&self.text);
        let record = |diagnostic: &Diagnostic| {
            let (line, column) = lines.place(diagnostic.span.start);
            DiagnosticRecord {
                file: self.file.clone(),
                line,
                column,
                message: diagnostic.message.clone(),
                hint: diagnostic.hint.clone(),
            }
        };
        self.list.iter().map(record).collect()
    }

    fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let lines = LineIndex::new(&self.text);
        let mut drawn = String::new();
        for diagnostic in self.list.iter().take(MAX_SHOWN) {
            if !drawn.is_empty() {
                drawn.push('\n');
            }
            drawn.push_str(&self.draw(diagnostic, &lines, &renderer));
            drawn.push('\n');
        }
        let more = self.list.len().saturating_sub(MAX_SHOWN);
        if more > 0 {
            drawn.push_str(&format!("\nand {more} more errors in {}\n", self.file));
        }
        drawn
    }

    fn draw(&self, diagnostic: &Diagnostic, lines: &LineIndex<'_>, renderer: &Renderer) -> String {
        // The renderer gets only the lines that it shows, so its work does not grow with the file.
        let spans =
            || std::iter::once(&diagnostic.span).chain(diagnostic.others.iter().map(|other| &other.span));
        let first = spans().map(|span| lines.line(span.start)).min().unwrap_or(0);
        let last = spans().map(|span| lines.line(span.start)).max().unwrap_or(0);
        let shown = lines.bytes(first, last);
        let place = |span: &Range<usize>| self.clipped(span, lines, shown.start);
        let label = |text| shorten(text, MAX_LABEL);
        let (message, own) = (shorten(&diagnostic.message, MAX_MESSAGE), label(&diagnostic.label));
        let others: Vec<_> =
            diagnostic.others.iter().map(|other| (place(&other.span), label(&other.label))).collect();
        let hint = diagnostic.hint.as_deref().map(|hint| shorten(hint, MAX_MESSAGE));
        let snippet = Snippet::source(&self.text[shown.clone()])
            .path(&*self.file)
            .line_start(first + 1)
            .annotation(annotation(AnnotationKind::Primary, place(&diagnostic.span), &own))
            .annotations(
                others.iter().map(|(span, label)| annotation(AnnotationKind::Context, span.clone(), label)),
            );
        let mut group = Level::ERROR.primary_title(&*message).element(snippet);
        if let Some(hint) = &hint {
            group = group.element(Level::HELP.message(&**hint));
        }
        renderer.render(&[group])
    }

    /// Returns the part of a span that is on its first line, relative to `start`, on whole characters.
    fn clipped(&self, span: &Range<usize>, lines: &LineIndex<'_>, start: usize) -> Range<usize> {
        let line = lines.line(span.start);
        let bytes = lines.bytes(line, line);
        let from = char_start(&self.text, span.start.min(bytes.end));
        let to = char_start(&self.text, span.end.clamp(from, bytes.end.max(from)));
        from - start..to - start
    }
}

fn annotation(kind: AnnotationKind, span: Range<usize>, label: &str) -> Annotation<'_> {
    kind.span(span).label((!label.is_empty()).then_some(label))
}

/// Returns the start of the character that contains the byte `at`.
fn char_start(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostics() -> Diagnostics {
        let text = "a = 1\n\u{e9}\u{e9} = 22\n\n\n\n\n\n\nlast = [\n]\n";
        let at = |part: &str| text.find(part).map(|start| start..start + part.len()).unwrap_or_default();
        let sink = DiagnosticSink(vec![
            Diagnostic::new(at("[\n]"), "it is an array").label("here").other(at("22"), "because of this"),
            Diagnostic::new(at("22"), "two of them").hint("take one"),
            Diagnostic::new(text.len()..text.len(), "the end"),
            Diagnostic::new(at("22"), "two of them").hint("take one"),
        ]);
        Diagnostics::new(vec![FileDiagnostics::new("x/tasks.toml", text, sink)])
    }

    #[test]
    fn diagnostics_are_sorted_by_position() {
        insta::assert_snapshot!(diagnostics(), @r#"
    error: two of them
     --> x/tasks.toml:2:6
      |
    2 | éé = 22
      |      ^^
      |
      = help: take one

    error: it is an array
     --> x/tasks.toml:9:8
      |
    2 | éé = 22
      |      -- because of this
    ...
    9 | last = [
      |        ^ here

    error: the end
      --> x/tasks.toml:11:1
       |
    11 |
       | ^
    "#);
    }

    #[test]
    fn colours_are_used_only_on_request() {
        assert!(!diagnostics().render(false).contains('\u{1b}'));
        assert!(diagnostics().render(true).contains('\u{1b}'));
    }

    #[test]
    fn columns_count_characters() {
        let json = serde_json::to_string(&diagnostics().records()[0]).unwrap();
        insta::assert_snapshot!(json, @r#"
    {"file":"x/tasks.toml","line":2,"column":6,"message":"two of them","hint":"take one"}
    "#);
    }
}
