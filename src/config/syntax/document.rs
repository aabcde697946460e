//! The TOML document: its syntax errors, and its values with their places and types. It must not know which
//! keys there are.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostic::{Diagnostic, DiagnosticSink, LineIndex};
use crate::config::syntax::template;

/// A text of the file and its place.
#[derive(Clone, Debug)]
pub(crate) struct Text<'d> {
    pub(crate) text: &'d str,
    pub(crate) span: Range<usize>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'d> {
    pub(crate) key: Text<'d>,
    pub(crate) value: Value<'d>,
}

/// A value with its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'d>(&'d Spanned<DeValue<'d>>);

/// Whether the TOML syntax of all files is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Valid,
    /// Parts of a file could not be parsed, so they may define what seems to be missing.
    Broken,
}

impl Syntax {
    pub(crate) fn new(is_valid: bool) -> Self {
        if is_valid { Self::Valid } else { Self::Broken }
    }
}

/// The entries of a table, in the order of the file.
pub(crate) type Table<'d> = Vec<Entry<'d>>;

/// Parses a document. Syntax errors are reported, and the part that could be parsed is returned.
pub(crate) fn read<'d>(text: &'d str, sink: &mut DiagnosticSink) -> DeTable<'d> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut last = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // One mistake may be reported once for each bracket around it.
        if last.as_ref() != Some(&span) {
            sink.add(syntax(error.message(), span.clone(), text));
            last = Some(span);
        }
    }
    root.into_inner()
}

fn syntax(message: &str, span: Range<usize>, text: &str) -> Diagnostic {
    let found = text.get(span.clone()).unwrap_or_default();
    let (message, hint) = match message {
        "duplicate key" => (format!("`{found}` is defined twice"), "keep one of the two, or merge them"),
        _ if message.starts_with("string values must be quoted") && found.is_empty() => {
            ("a key without a value".to_owned(), "write the value after `=`")
        }
        _ if message.starts_with("string values must be quoted") => {
            ("a string without quotes".to_owned(), "put it in double quotes")
        }
        _ if message.starts_with("key with no value") => {
            (message.to_owned(), "write `key = value`, or `[key]` to begin a table")
        }
        _ if message.starts_with("unclosed") => (message.to_owned(), "close it"),
        _ => (message.to_owned(), "see https://toml.io for the syntax"),
    };
    Diagnostic::new(span, message).label("invalid TOML").hint(hint)
}

/// Removes diagnostics on lines with a syntax error, since they follow from it. The first `syntax`
/// diagnostics are the syntax errors.
pub(crate) fn drop_repeated_errors(sink: &mut DiagnosticSink, syntax: usize, lines: &LineIndex<'_>) {
    let broken: Vec<usize> = sink.0[..syntax].iter().map(|found| lines.line(found.span.start)).collect();
    let mut count = 0;
    sink.0.retain(|found| {
        count += 1;
        let touched = lines.line(found.span.start)..=lines.line(found.span.end);
        count <= syntax || !broken.iter().any(|line| touched.contains(line))
    });
}

/// Returns the entries of a table in the order of the file.
pub(crate) fn entries<'d>(table: &'d DeTable<'d>) -> Table<'d> {
    let mut entries: Table<'d> = table
        .iter()
        .map(|(key, value)| Entry {
            key: Text { text: key.get_ref(), span: key.span() },
            value: Value(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key.span.start);
    entries
}

impl<'d> Value<'d> {
    pub(crate) fn new(value: &'d Spanned<DeValue<'d>>) -> Self {
        Self(value)
    }

    /// Appends the services whose port or folder is filled in somewhere in the value.
    pub(crate) fn ports(self, found: &mut Vec<Text<'d>>) {
        ports(self.0, found);
    }

    pub(crate) fn span(self) -> Range<usize> {
        self.0.span()
    }

    /// Returns a text without NUL bytes. `what` completes "expected …".
    pub(crate) fn text(self, what: &str, sink: &mut DiagnosticSink) -> Option<Text<'d>> {
        let DeValue::String(text) = self.0.get_ref() else {
            let hint = match self.0.get_ref() {
                DeValue::Integer(number) => format!("put it in quotes: \"{number}\""),
                DeValue::Float(number) => format!("put it in quotes: \"{number}\""),
                DeValue::Boolean(value) => format!("put it in quotes: \"{value}\""),
                _ => "write a string in quotes".to_owned(),
            };
            sink.add(self.mismatch(what).hint(hint));
            return None;
        };
        if text.contains('\0') {
            let message = "a NUL byte can't be passed to a program";
            sink.add(Diagnostic::new(self.span(), message).hint("remove `\\u0000`"));
            return None;
        }
        Some(Text { text, span: self.span() })
    }

    /// Returns the texts of an array. Elements of other types are reported and left out.
    pub(crate) fn texts(self, sink: &mut DiagnosticSink) -> Option<Vec<Text<'d>>> {
        if let DeValue::String(text) = self.0.get_ref() {
            let hint = format!("put it in brackets: [\"{}\"]", text.escape_debug());
            sink.add(self.mismatch("an array of strings").hint(hint));
            return None;
        }
        let Some(elements) = self.elements() else {
            sink.add(self.mismatch("an array of strings").hint("write it as [\"…\", \"…\"]"));
            return None;
        };
        Some(elements.filter_map(|element| element.text("a string", sink)).collect())
    }

    /// Returns the elements of an array; `None` if the value is no array.
    pub(crate) fn elements(self) -> Option<impl Iterator<Item = Self>> {
        if let DeValue::Array(array) = self.0.get_ref() { Some(array.iter().map(Value)) } else { None }
    }

    /// Returns whether it is an array without elements.
    pub(crate) fn is_empty_array(self) -> bool {
        self.elements().is_some_and(|mut elements| elements.next().is_none())
    }

    /// Returns whether it is a text.
    pub(crate) fn is_text(self) -> bool {
        self.0.get_ref().is_str()
    }

    pub(crate) fn integer(self, what: &str, sink: &mut DiagnosticSink) -> Option<i64> {
        let DeValue::Integer(number) = self.0.get_ref() else {
            sink.add(self.mismatch(what).hint("write a number without quotes, such as 2"));
            return None;
        };
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if value.is_none() {
            sink.add(Diagnostic::new(self.span(), "the number is too large").hint("write a smaller one"));
        }
        value
    }

    /// Returns a finite number, with or without a fraction.
    pub(crate) fn number(self, what: &str, sink: &mut DiagnosticSink) -> Option<f64> {
        let number = match self.0.get_ref() {
            DeValue::Integer(number) => {
                i32::from_str_radix(number.as_str(), number.radix()).ok().map(f64::from)
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().filter(|number| number.is_finite()),
            _ => {
                sink.add(self.mismatch(what).hint("write a number without quotes, such as 80 or 99.5"));
                return None;
            }
        };
        if number.is_none() {
            sink.add(Diagnostic::new(self.span(), format!("this is not {what}")).label("out of range"));
        }
        number
    }

    /// Returns a date as it is written, or a text that may be one.
    pub(crate) fn date(self, what: &str, sink: &mut DiagnosticSink) -> Option<String> {
        match self.0.get_ref() {
            DeValue::Datetime(date) => Some(date.to_string()),
            DeValue::String(_) => self.text(what, sink).map(|text| text.text.to_owned()),
            _ => {
                sink.add(self.mismatch(what).hint("write a day, such as 2026-12-31"));
                None
            }
        }
    }

    pub(crate) fn boolean(self, sink: &mut DiagnosticSink) -> Option<bool> {
        let value = self.0.get_ref().as_bool();
        if value.is_none() {
            sink.add(self.mismatch("a boolean").hint("write true or false, without quotes"));
        }
        value
    }

    /// Returns the entries of a table; `None` if the value is no table.
    pub(crate) fn if_table(self) -> Option<Table<'d>> {
        if let DeValue::Table(table) = self.0.get_ref() { Some(entries(table)) } else { None }
    }

    /// Returns the entries of a table. `hint` says how to write it.
    pub(crate) fn table(self, hint: &str, sink: &mut DiagnosticSink) -> Option<Table<'d>> {
        if let DeValue::Table(table) = self.0.get_ref() {
            return Some(entries(table));
        }
        sink.add(self.mismatch("a table").hint(hint));
        None
    }

    pub(crate) fn mismatch(self, what: &str) -> Diagnostic {
        let found = match self.0.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        Diagnostic::new(self.span(), format!("expected {what}, found {found}")).label(format!("{found} here"))
    }
}

/// Appends the services whose port or folder is filled in somewhere in a value.
fn ports<'d>(value: &'d Spanned<DeValue<'d>>, found: &mut Vec<Text<'d>>) {
    match value.get_ref() {
        DeValue::String(text) => {
            // The text includes `.port` or `.dir`, so that anything else can be reported.
            let named = template::mentions(text).map(|name| Text { text: name, span: value.span() });
            found.extend(named);
        }
        DeValue::Array(array) => array.iter().for_each(|value| ports(value, found)),
        DeValue::Table(table) => table.iter().for_each(|(_, value)| ports(value, found)),
        _ => {}
    }
}
