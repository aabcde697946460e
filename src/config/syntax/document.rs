//! The TOML document: its syntax errors, and its values with their places and types. It must not
//! know which keys there are.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostic::{Diagnostic, Findings, Lines};
use crate::config::syntax::template;

/// A text of the file and where it stands.
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

/// Whether all of the file could be read as TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Parts are missing, so what is not found may yet be there.
    Broken,
}

impl Extent {
    pub(crate) fn of(is_whole: bool) -> Self {
        if is_whole { Self::Whole } else { Self::Broken }
    }
}

/// A table's entries, in the order of the file.
pub(crate) type Table<'d> = Vec<Entry<'d>>;

/// Reads the document. What is broken is reported, and what can be read of the rest comes back.
pub(crate) fn read<'d>(text: &'d str, findings: &mut Findings) -> DeTable<'d> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut last = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // One slip may be found once for each bracket around it.
        if last.as_ref() != Some(&span) {
            findings.add(syntax(error.message(), span.clone(), text));
            last = Some(span);
        }
    }
    root.into_inner()
}

fn syntax(message: &str, span: Range<usize>, text: &str) -> Diagnostic {
    let found = text.get(span.clone()).unwrap_or_default();
    let (message, hint) = match message {
        "duplicate key" => (format!("`{found}` is defined twice"), "keep one of the two, or join them"),
        _ if message.starts_with("string values must be quoted") && found.is_empty() => {
            ("a key without a value".to_owned(), "write the value behind `=`")
        }
        _ if message.starts_with("string values must be quoted") => {
            ("a text without quotes".to_owned(), "put it between double quotes")
        }
        _ if message.starts_with("key with no value") => {
            (message.to_owned(), "write `key = value`, or `[key]` to begin a table")
        }
        _ if message.starts_with("unclosed") => (message.to_owned(), "close it"),
        _ => (message.to_owned(), "the file is TOML: https://toml.io describes its form"),
    };
    Diagnostic::new(span, message).label("TOML can't be read here").hint(hint)
}

/// Takes out findings on lines where the syntax is broken too: they would be its echo. The first
/// `syntax` findings are the syntax errors.
pub(crate) fn drop_echoes(findings: &mut Findings, syntax: usize, lines: &Lines<'_>) {
    let broken: Vec<usize> = findings.0[..syntax].iter().map(|found| lines.line(found.span.start)).collect();
    let mut count = 0;
    findings.0.retain(|found| {
        count += 1;
        let touched = lines.line(found.span.start)..=lines.line(found.span.end);
        count <= syntax || !broken.iter().any(|line| touched.contains(line))
    });
}

/// The entries of a table in the order of the file.
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
    pub(crate) fn of(value: &'d Spanned<DeValue<'d>>) -> Self {
        Self(value)
    }

    /// The services whose port is named somewhere in it.
    pub(crate) fn ports(self, found: &mut Vec<Text<'d>>) {
        ports(self.0, found);
    }

    pub(crate) fn span(self) -> Range<usize> {
        self.0.span()
    }

    /// A text without NUL bytes. `what` completes "expected …".
    pub(crate) fn text(self, what: &str, findings: &mut Findings) -> Option<Text<'d>> {
        let DeValue::String(text) = self.0.get_ref() else {
            let hint = match self.0.get_ref() {
                DeValue::Integer(number) => format!("put it between quotes: \"{number}\""),
                DeValue::Float(number) => format!("put it between quotes: \"{number}\""),
                DeValue::Boolean(value) => format!("put it between quotes: \"{value}\""),
                _ => "write a text between quotes".to_owned(),
            };
            findings.add(self.mismatch(what).hint(hint));
            return None;
        };
        if text.contains('\0') {
            let message = "a NUL byte can't be passed to a program";
            findings.add(Diagnostic::new(self.span(), message).hint("take `\\u0000` out"));
            return None;
        }
        Some(Text { text, span: self.span() })
    }

    /// The texts of an array; elements of other types are reported and left out.
    pub(crate) fn texts(self, findings: &mut Findings) -> Option<Vec<Text<'d>>> {
        if let DeValue::String(text) = self.0.get_ref() {
            let hint = format!("put it between brackets: [\"{}\"]", text.escape_debug());
            findings.add(self.mismatch("an array of strings").hint(hint));
            return None;
        }
        let Some(elements) = self.elements() else {
            findings.add(self.mismatch("an array of strings").hint("write it as [\"…\", \"…\"]"));
            return None;
        };
        Some(elements.filter_map(|element| element.text("a string", findings)).collect())
    }

    /// The elements of an array; `None` if it is none.
    pub(crate) fn elements(self) -> Option<impl Iterator<Item = Self>> {
        if let DeValue::Array(array) = self.0.get_ref() { Some(array.iter().map(Value)) } else { None }
    }

    /// Whether it is a text.
    pub(crate) fn is_text(self) -> bool {
        self.0.get_ref().is_str()
    }

    pub(crate) fn integer(self, what: &str, findings: &mut Findings) -> Option<i64> {
        let DeValue::Integer(number) = self.0.get_ref() else {
            findings.add(self.mismatch(what).hint("write a number without quotes, such as 2"));
            return None;
        };
        let value = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if value.is_none() {
            findings.add(Diagnostic::new(self.span(), "the number is too large").hint("write a smaller one"));
        }
        value
    }

    /// A number with or without a fraction, and never one that is none.
    pub(crate) fn number(self, what: &str, findings: &mut Findings) -> Option<f64> {
        let number = match self.0.get_ref() {
            DeValue::Integer(number) => {
                i32::from_str_radix(number.as_str(), number.radix()).ok().map(f64::from)
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().filter(|number| number.is_finite()),
            _ => {
                findings.add(self.mismatch(what).hint("write a number without quotes, such as 80 or 99.5"));
                return None;
            }
        };
        if number.is_none() {
            findings.add(Diagnostic::new(self.span(), format!("this is not {what}")).label("out of range"));
        }
        number
    }

    /// A date as it is written, or a text that may be one.
    pub(crate) fn date(self, what: &str, findings: &mut Findings) -> Option<String> {
        match self.0.get_ref() {
            DeValue::Datetime(date) => Some(date.to_string()),
            DeValue::String(_) => self.text(what, findings).map(|text| text.text.to_owned()),
            _ => {
                findings.add(self.mismatch(what).hint("write a day, such as 2026-12-31"));
                None
            }
        }
    }

    pub(crate) fn boolean(self, findings: &mut Findings) -> Option<bool> {
        let value = self.0.get_ref().as_bool();
        if value.is_none() {
            findings.add(self.mismatch("a boolean").hint("write true or false, without quotes"));
        }
        value
    }

    /// The entries of a table; `None` if the value is no table.
    pub(crate) fn if_table(self) -> Option<Table<'d>> {
        if let DeValue::Table(table) = self.0.get_ref() { Some(entries(table)) } else { None }
    }

    /// The entries of a table; `hint` says how to write it.
    pub(crate) fn table(self, hint: &str, findings: &mut Findings) -> Option<Table<'d>> {
        if let DeValue::Table(table) = self.0.get_ref() {
            return Some(entries(table));
        }
        findings.add(self.mismatch("a table").hint(hint));
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

/// The services whose port or folder is named somewhere in a value.
fn ports<'d>(value: &'d Spanned<DeValue<'d>>, found: &mut Vec<Text<'d>>) {
    match value.get_ref() {
        DeValue::String(text) => {
            // With all that is behind the dot, so that what is not a port can be told.
            let named = template::mentions(text).map(|name| Text { text: name, span: value.span() });
            found.extend(named);
        }
        DeValue::Array(array) => array.iter().for_each(|value| ports(value, found)),
        DeValue::Table(table) => table.iter().for_each(|(_, value)| ports(value, found)),
        _ => {}
    }
}
