//! `matrix`: expands a task into one task for each combination of values. This happens in the TOML document,
//! before tasks are read, so that each is read and checked as any other. It must not know what the keys of a
//! task mean.
//!
//! `[tasks.wheel] matrix = { python = ["3.11", "3.12"] }` makes `wheel[python=3.11]` and
//! `wheel[python=3.12]`. In all texts of the table, `{{ matrix.python }}` is replaced by the value. Other
//! double braces stay, since they may belong to a command.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::syntax::document::{self, Table, Text, Value};
use crate::config::syntax::template;
use crate::config::wording;

/// The prefix of a value's name in a placeholder.
const AXIS: &str = "matrix.";

/// How many tasks one matrix may make.
const MAX_TASKS: usize = 256;

/// The tasks that matrices made, each with the name of its original task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variants(BTreeMap<String, String>);

impl Variants {
    /// Returns the original task of `name`, if a matrix made it.
    pub(crate) fn origin(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// A value for each axis, with the names of the axes.
type Combination = Vec<(String, String)>;

/// Expands all matrices of the document.
pub(crate) fn expand(root: &mut DeTable<'_>, sink: &mut DiagnosticSink) -> Variants {
    let mut variants = Variants::default();
    let Some(tasks) = root.iter_mut().find(|(key, _)| key.get_ref() == "tasks").map(|(_, value)| value)
    else {
        return variants;
    };
    let DeValue::Table(tasks) = tasks.get_mut() else { return variants };
    let mut made = Vec::new();
    for (name, task) in tasks.iter_mut() {
        let span = name.span();
        let DeValue::Table(table) = task.get_mut() else { continue };
        let Some(matrix) = table.remove("matrix") else {
            check_text(task, &[], sink);
            continue;
        };
        // The values of an invalid matrix can't be checked.
        let Some(combinations) = combinations(&matrix, sink) else { continue };
        for combination in combinations {
            let values: Vec<String> =
                combination.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
            let variant = format!("{}[{}]", name.get_ref(), values.join(","));
            let mut copy = task.clone();
            check_text(&copy, &combination, sink);
            fill(&mut copy, &combination);
            made.push((name.get_ref().to_string(), variant, span.clone(), copy));
        }
    }
    for (origin, variant, span, task) in made {
        tasks.remove(origin.as_str());
        tasks.insert(Spanned::new(span, variant.clone().into()), task);
        variants.0.insert(variant, origin);
    }
    variants
}

/// Returns the combinations of a matrix, in order; `None` if it is invalid, which is reported.
fn combinations(matrix: &Spanned<DeValue<'_>>, sink: &mut DiagnosticSink) -> Option<Vec<Combination>> {
    let before = sink.0.len();
    let hint = "write it as { python = [\"3.11\", \"3.12\"] }";
    let axes = Value::new(matrix).table(hint, sink)?;
    if axes.is_empty() {
        sink.add(Diagnostic::new(matrix.span(), "the matrix is empty").label("no values").hint(hint));
    }
    let axes = read(&axes, sink);
    let count = axes.iter().map(|(_, values)| values.len()).product::<usize>();
    if count > MAX_TASKS {
        sink.add(
            Diagnostic::new(matrix.span(), format!("the matrix makes {count} tasks"))
                .label("too many")
                .hint(format!("a matrix makes at most {MAX_TASKS}")),
        );
    }
    (sink.0.len() == before).then(|| combine(&axes))
}

/// Reads the axes with their values.
fn read(table: &Table<'_>, sink: &mut DiagnosticSink) -> Vec<(String, Vec<String>)> {
    let mut axes = Vec::new();
    for entry in table {
        if let Some(refusal) = wording::invalid_name(&entry.key, "a value of a matrix") {
            sink.add(refusal);
        }
        let Some(texts) = entry.value.texts(sink) else { continue };
        if texts.is_empty() && entry.value.elements().is_some_and(|mut all| all.next().is_none()) {
            let name = wording::escape_name(entry.key.text);
            sink.add(
                Diagnostic::new(entry.value.span(), format!("`{name}` of the matrix has no values"))
                    .label("an empty list makes no task")
                    .hint("write at least one value, or remove it"),
            );
        }
        let mut seen = HashSet::new();
        for text in &texts {
            if let Some(refusal) = refusal(text, &mut seen) {
                sink.add(refusal);
            }
        }
        axes.push((entry.key.text.to_owned(), texts.iter().map(|text| text.text.to_owned()).collect()));
    }
    axes
}

/// Returns the error of a value that can't be part of a task's name.
fn refusal<'d>(text: &Text<'d>, seen: &mut HashSet<&'d str>) -> Option<Diagnostic> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "[],=".contains(c);
    let shown = wording::escape_name(text.text);
    if text.text.is_empty() || text.text.chars().any(odd) {
        return Some(
            Diagnostic::new(text.span.clone(), format!("`{shown}` can't be a value of a matrix"))
                .label("it is part of the task's name")
                .hint("write it without spaces, brackets, `,` and `=`"),
        );
    }
    (!seen.insert(text.text)).then(|| {
        Diagnostic::new(text.span.clone(), format!("`{shown}` is listed twice in the matrix"))
            .label("again")
            .hint("remove one")
    })
}

fn combine(axes: &[(String, Vec<String>)]) -> Vec<Combination> {
    axes.iter().fold(vec![Combination::new()], |all, (axis, values)| {
        let with = |combination: &Combination, value: &String| {
            let mut longer = combination.clone();
            longer.push((axis.clone(), value.clone()));
            longer
        };
        all.iter().flat_map(|combination| values.iter().map(move |value| with(combination, value))).collect()
    })
}

/// Fills the values in all texts.
fn fill(value: &mut Spanned<DeValue<'_>>, combination: &Combination) {
    match value.get_mut() {
        DeValue::String(text) if text.contains("{{") => *text = filled(text, combination).into(),
        DeValue::Array(array) => array.iter_mut().for_each(|value| fill(value, combination)),
        DeValue::Table(table) => table.iter_mut().for_each(|(_, value)| fill(value, combination)),
        _ => {}
    }
}

fn filled(text: &str, combination: &Combination) -> String {
    let value = |axis: &str| combination.iter().find(|(known, _)| known == axis).map(|(_, value)| &**value);
    template::filled(text, AXIS, "", value)
}

/// Reports placeholders for values that the matrix does not have.
fn check_text(value: &Spanned<DeValue<'_>>, combination: &[(String, String)], sink: &mut DiagnosticSink) {
    match value.get_ref() {
        DeValue::String(text) => {
            for (_, axis) in template::places(text, AXIS, "") {
                if !combination.iter().any(|(known, _)| known == axis) {
                    sink.add(unknown(value.span(), axis, combination));
                }
            }
        }
        DeValue::Array(array) => array.iter().for_each(|value| check_text(value, combination, sink)),
        DeValue::Table(table) => {
            table.iter().for_each(|(_, value)| check_text(value, combination, sink));
        }
        _ => {}
    }
}

fn unknown(span: Range<usize>, axis: &str, combination: &[(String, String)]) -> Diagnostic {
    let message = format!("there is no `matrix.{}`", wording::escape_name(axis));
    let known = combination.iter().map(|(axis, _)| axis.as_str());
    let none = "the task has no matrix: write matrix = { NAME = [\"…\"] }";
    Diagnostic::new(span, message)
        .label("unknown value of the matrix")
        .hint(wording::suggestion(axis, known, "matrix.", none))
        .caused_by_missing(&["matrix"])
}

/// Removes diagnostics that the tasks of one matrix have in common.
pub(crate) fn drop_repeats(sink: &mut DiagnosticSink, variants: &Variants) {
    let plain = |message: &str| {
        variants.0.iter().fold(message.to_owned(), |message, (name, origin)| message.replace(name, origin))
    };
    let mut seen = HashSet::new();
    sink.0.retain(|finding| seen.insert((finding.span.clone(), plain(&finding.message))));
}

impl<'d> document::Entry<'d> {
    /// Returns the name of the task as it is written in the file.
    pub(crate) fn written<'v>(&self, variants: &'v Variants) -> Text<'v>
    where
        'd: 'v,
    {
        let text = variants.origin(self.key.text).unwrap_or(self.key.text);
        Text { text, span: self.key.span.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_inserted_and_other_braces_are_kept() {
        let values = vec![("py".to_owned(), "3.11".to_owned()), ("os".to_owned(), "linux".to_owned())];
        for (text, expected) in [
            ("tox -e {{ matrix.py }}", "tox -e 3.11"),
            ("{{matrix.py}}-{{ matrix.os }}", "3.11-linux"),
            ("{{ .State }} {{ matrix.py }}", "{{ .State }} 3.11"),
            ("{{ {{ matrix.py }}", "{{ 3.11"),
            ("{{ matrix.no }}", "{{ matrix.no }}"),
            ("{{ matrix.py", "{{ matrix.py"),
            ("${{ matrix.os }}é", "$linuxé"),
        ] {
            assert_eq!(filled(text, &values), expected);
        }
    }
}
