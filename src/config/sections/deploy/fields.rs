//! Reads the keys of one table by name, and reports what is missing, unknown or of the wrong type. It must not know
//! which table it is.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::table_type::Table as KeyTable;
use crate::config::sections::values;
use crate::config::syntax::document::{Entry, Syntax, Table, Text, Value};
use crate::config::wording;

/// A table with the known keys that it has.
#[derive(Debug)]
pub(crate) struct Fields<'d> {
    /// What messages call it, such as "environment `staging`".
    pub(crate) called: String,
    /// The place of errors that no key has.
    pub(crate) span: Range<usize>,
    entries: Table<'d>,
    syntax: Syntax,
}

impl<'d> Fields<'d> {
    /// Reads a table and reports keys that it can't have. `hint` says how to write it.
    pub(crate) fn read(
        key: &Text<'d>,
        value: Value<'d>,
        keys: &KeyTable,
        called: &str,
        hint: &str,
        syntax: Syntax,
        sink: &mut DiagnosticSink,
    ) -> Option<Self> {
        let entries = value.table(hint, sink)?;
        Some(Self::from_entries(key.span.clone(), entries, keys, called, syntax, sink))
    }

    /// Takes the entries of a table and reports keys that it can't have.
    pub(crate) fn from_entries(
        span: Range<usize>,
        entries: Table<'d>,
        keys: &KeyTable,
        called: &str,
        syntax: Syntax,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let (entries, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| keys.has(entry.key.text));
        for other in others {
            sink.add(keys.unknown_key(&other.key, called));
        }
        Self { called: called.to_owned(), span, entries, syntax }
    }

    /// Returns a key with its value.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry<'d>> {
        self.entries.iter().find(|entry| entry.key.text == key)
    }

    /// Returns the value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<Value<'d>> {
        self.entry(key).map(|entry| entry.value)
    }

    /// Returns all entries, in the order of the file.
    pub(crate) fn entries(&self) -> &[Entry<'d>] {
        &self.entries
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Returns the first of these keys that the table has.
    pub(crate) fn first_of(&self, keys: &[&str]) -> Option<&Entry<'d>> {
        self.entries.iter().find(|entry| keys.contains(&entry.key.text))
    }

    /// Reports the absence of all of these keys. Returns whether it has one of them.
    pub(crate) fn require(
        &self,
        keys: &'static [&'static str],
        hint: &str,
        sink: &mut DiagnosticSink,
    ) -> bool {
        let has = self.first_of(keys).is_some();
        // In a file with a syntax error, the line with the key may be the broken one.
        if !has && self.syntax == Syntax::Valid {
            let names: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let missing = names.join(" or ");
            sink.add(
                Diagnostic::new(self.span.clone(), format!("{} has no {missing}", self.called))
                    .label(format!("no {missing}"))
                    .hint(hint)
                    .caused_by_missing(keys),
            );
        }
        has
    }

    /// Returns the only one of these keys that the table has. Reports more than one, and none.
    pub(crate) fn only(
        &self,
        keys: &'static [&'static str],
        hint: &str,
        sink: &mut DiagnosticSink,
    ) -> Option<&Entry<'d>> {
        let mut found = self.entries.iter().filter(|entry| keys.contains(&entry.key.text));
        let Some(first) = found.next() else {
            self.require(keys, hint, sink);
            return None;
        };
        for other in found {
            let (one, second) = (first.key.text, other.key.text);
            sink.add(
                Diagnostic::new(
                    other.key.span.clone(),
                    format!("{} has both `{one}` and `{second}`", self.called),
                )
                .label("a second way")
                .other(first.key.span.clone(), "one way")
                .hint("keep one"),
            );
        }
        Some(first)
    }

    /// Returns a line for the shell, or a query.
    pub(crate) fn line(&self, key: &str, sink: &mut DiagnosticSink) -> Option<Text<'d>> {
        let text = self.value(key)?.text("a string", sink)?;
        if text.text.trim().is_empty() {
            let message = format!("`{key}` is empty");
            sink.add(
                Diagnostic::new(text.span, message)
                    .label("nothing to run")
                    .hint("write it, or remove the key"),
            );
            return None;
        }
        Some(text)
    }

    /// Returns a text of one line that is not blank.
    pub(crate) fn word(&self, key: &str, sink: &mut DiagnosticSink) -> Option<Text<'d>> {
        self.value(key).and_then(|value| word(key, value, sink))
    }

    pub(crate) fn duration(&self, key: &str, example: &str, sink: &mut DiagnosticSink) -> Option<Duration> {
        values::duration(self.value(key)?, &format!("{example:?}"), sink)
    }

    pub(crate) fn flag(&self, key: &str, sink: &mut DiagnosticSink) -> Option<bool> {
        self.value(key)?.boolean(sink)
    }

    /// Returns an integer that is at least `least`.
    pub(crate) fn count(&self, key: &str, least: u32, sink: &mut DiagnosticSink) -> Option<NonZeroU32> {
        let value = self.value(key)?;
        let number = value.integer("a number", sink)?;
        let count = u32::try_from(number).ok().filter(|count| *count >= least).and_then(NonZeroU32::new);
        if count.is_none() {
            let message = format!("`{key}` can't be {number}");
            let hint = format!("write a number from {least}");
            sink.add(Diagnostic::new(value.span(), message).label("out of range").hint(hint));
        }
        count
    }

    /// Returns the value that a text stands for.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        sink: &mut DiagnosticSink,
    ) -> Option<T> {
        let text = self.value(key)?.text("a string", sink)?;
        let found = choices.iter().find(|(name, _)| *name == text.text);
        if found.is_none() {
            let message = format!("`{key}` can't be `{}`", wording::escape_name(text.text));
            let hint = wording::suggestion(text.text, choices.iter().map(|(name, _)| *name), "", "");
            sink.add(Diagnostic::new(text.span, message).label("unknown value").hint(hint));
        }
        found.map(|(_, value)| *value)
    }

    /// Returns a path on a machine. On this machine it may be relative to the folder `here` of this file; then the
    /// result is relative to the repository.
    pub(crate) fn path_on_machine(
        &self,
        key: &str,
        example: &str,
        here: Option<&RepoPath>,
        sink: &mut DiagnosticSink,
    ) -> Option<(Text<'d>, String)> {
        let text = self.value(key)?.text("a path", sink)?;
        let is_odd = text.text.split('/').any(|part| part == "..") || text.text.contains(char::is_control);
        if text.text.starts_with('/') && !is_odd {
            let path = text.text.to_owned();
            return Some((text, path));
        }
        if let Some(base) = here.filter(|_| !text.text.starts_with('~') && !is_odd) {
            let path = values::file(&text, base, ".run/shop", sink)?.to_string();
            return Some((text, path));
        }
        let message = format!("`{}` is not an absolute path", wording::escape_name(text.text));
        let hint = format!("write a path that begins with `/` and has no `..`, such as {example:?}");
        sink.add(Diagnostic::new(text.span, message).label("not absolute").hint(hint));
        None
    }

    /// Returns an `http://` or `https://` URL.
    pub(crate) fn url(&self, key: &str, sink: &mut DiagnosticSink) -> Option<Text<'d>> {
        let text = self.word(key, sink)?;
        is_url(&text, &[], sink).then_some(text)
    }

    /// Returns the texts of an array, or the only text.
    pub(crate) fn one_or_more(&self, key: &str, sink: &mut DiagnosticSink) -> Vec<Text<'d>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        if value.elements().is_none() {
            return value.text("a string or an array of strings", sink).into_iter().collect();
        }
        self.texts(key, sink)
    }

    /// Returns the texts of an array without repetitions.
    pub(crate) fn texts(&self, key: &str, sink: &mut DiagnosticSink) -> Vec<Text<'d>> {
        let all = self.value(key).and_then(|value| value.texts(sink)).unwrap_or_default();
        let mut texts: Vec<Text<'d>> = Vec::with_capacity(all.len());
        for text in all {
            if texts.iter().all(|known| known.text != text.text) {
                texts.push(text);
            }
        }
        texts
    }
}

/// Reads a text of one line that is not blank.
pub(crate) fn word<'d>(key: &str, value: Value<'d>, sink: &mut DiagnosticSink) -> Option<Text<'d>> {
    let text = value.text("a string", sink)?;
    if text.text.trim().is_empty() || text.text.contains(char::is_control) {
        let message = format!("`{key}` is not a line of text");
        sink.add(
            Diagnostic::new(text.span, message).label("nothing to read").hint("write it, or remove the key"),
        );
        return None;
    }
    Some(text)
}

/// Checks that a text is a URL, or begins with one of these placeholders.
pub(crate) fn is_url(text: &Text<'_>, placeholders: &[&str], sink: &mut DiagnosticSink) -> bool {
    let begins = |placeholder: &&str| {
        let inner = text.text.strip_prefix("{{").map(str::trim_start);
        inner.is_some_and(|inner| inner.starts_with(*placeholder))
    };
    let is_url = ["http://", "https://"].iter().any(|scheme| text.text.starts_with(scheme));
    if is_url || placeholders.iter().any(begins) {
        return true;
    }
    let message = format!("`{}` is not an `http://` or `https://` address", wording::escape_name(text.text));
    let hint = "write it such as \"http://localhost:8080/health\"";
    sink.add(Diagnostic::new(text.span.clone(), message).label("not a URL").hint(hint));
    false
}
