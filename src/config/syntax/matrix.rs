//! `matrix`: a task with one is made into a task for each combination of its values, in the document
//! and before it is read, so that each is read and checked as any other. It must not know what the
//! keys of a task mean.
//!
//! `[tasks.wheel] matrix = { python = ["3.11", "3.12"] }` makes `wheel[python=3.11]` and
//! `wheel[python=3.12]`; in all texts of the table `{{ matrix.python }}` stands for the value. Other
//! double braces are left as they are: they may belong to a command.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::schema::keys;
use crate::config::syntax::document::{self, Table, Text, Value};
use crate::config::syntax::template;

/// What stands in front of a value's name in a text.
const AXIS: &str = "matrix.";

/// Tasks that one matrix may make.
const MOST: usize = 256;

/// The names of the tasks that a matrix made, and of the tasks that they were made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variants(BTreeMap<String, String>);

impl Variants {
    /// The task that `name` was made of, if a matrix made it.
    pub(crate) fn origin(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// One value of each axis, by the axes' names.
type Combination = Vec<(String, String)>;

/// Makes the tasks of all matrices of the document.
pub(crate) fn expand(root: &mut DeTable<'_>, findings: &mut Findings) -> Variants {
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
            check_text(task, &[], findings);
            continue;
        };
        // Of a wrong one, its values can't be asked for.
        let Some(combinations) = combinations(&matrix, findings) else { continue };
        for combination in combinations {
            let values: Vec<String> =
                combination.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
            let variant = format!("{}[{}]", name.get_ref(), values.join(","));
            let mut copy = task.clone();
            check_text(&copy, &combination, findings);
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

/// The combinations of a matrix, in order; `None` if it is wrong, which is reported.
fn combinations(matrix: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Vec<Combination>> {
    let before = findings.0.len();
    let hint = "write it as { python = [\"3.11\", \"3.12\"] }";
    let axes = Value::of(matrix).table(hint, findings)?;
    if axes.is_empty() {
        findings.add(Diagnostic::new(matrix.span(), "the matrix is empty").label("no values").hint(hint));
    }
    let axes = read(&axes, findings);
    let count = axes.iter().map(|(_, values)| values.len()).product::<usize>();
    if count > MOST {
        findings.add(
            Diagnostic::new(matrix.span(), format!("the matrix makes {count} tasks"))
                .label("too many")
                .hint(format!("a matrix makes at most {MOST}")),
        );
    }
    (findings.0.len() == before).then(|| combine(&axes))
}

/// The names of the axes and their values.
fn read(table: &Table<'_>, findings: &mut Findings) -> Vec<(String, Vec<String>)> {
    let mut axes = Vec::new();
    for entry in table {
        if let Some(refusal) = keys::name_refusal(&entry.key, "a value of a matrix") {
            findings.add(refusal);
        }
        let Some(texts) = entry.value.texts(findings) else { continue };
        if texts.is_empty() && entry.value.elements().is_some_and(|mut all| all.next().is_none()) {
            let name = keys::shown(entry.key.text);
            findings.add(
                Diagnostic::new(entry.value.span(), format!("`{name}` of the matrix has no values"))
                    .label("an empty list makes no task")
                    .hint("write at least one value, or take it out"),
            );
        }
        let mut seen = HashSet::new();
        for text in &texts {
            if let Some(refusal) = refusal(text, &mut seen) {
                findings.add(refusal);
            }
        }
        axes.push((entry.key.text.to_owned(), texts.iter().map(|text| text.text.to_owned()).collect()));
    }
    axes
}

/// What to say to a value that can't be part of a task's name.
fn refusal<'d>(text: &Text<'d>, seen: &mut HashSet<&'d str>) -> Option<Diagnostic> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "[],=".contains(c);
    let shown = keys::shown(text.text);
    if text.text.is_empty() || text.text.chars().any(odd) {
        return Some(
            Diagnostic::new(text.span.clone(), format!("`{shown}` can't be a value of a matrix"))
                .label("it is part of the task's name")
                .hint("write it without spaces, brackets, `,` and `=`"),
        );
    }
    (!seen.insert(text.text)).then(|| {
        Diagnostic::new(text.span.clone(), format!("`{shown}` stands twice in the matrix"))
            .label("again")
            .hint("take one out")
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

/// Puts the values in all texts.
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
    template::filled(text, (AXIS, ""), value)
}

/// Reports values that the matrix does not have.
fn check_text(value: &Spanned<DeValue<'_>>, combination: &[(String, String)], findings: &mut Findings) {
    match value.get_ref() {
        DeValue::String(text) => {
            for (_, axis) in template::places(text, AXIS, "") {
                if !combination.iter().any(|(known, _)| known == axis) {
                    findings.add(unknown(value.span(), axis, combination));
                }
            }
        }
        DeValue::Array(array) => array.iter().for_each(|value| check_text(value, combination, findings)),
        DeValue::Table(table) => {
            table.iter().for_each(|(_, value)| check_text(value, combination, findings));
        }
        _ => {}
    }
}

fn unknown(span: Range<usize>, axis: &str, combination: &[(String, String)]) -> Diagnostic {
    let message = format!("there is no `matrix.{}`", keys::shown(axis));
    let known = combination.iter().map(|(axis, _)| axis.as_str());
    let none = "the task has no matrix: write matrix = { NAME = [\"…\"] }";
    Diagnostic::new(span, message)
        .label("unknown value of the matrix")
        .hint(keys::suggestion(axis, known, ("matrix.", none)))
        .lacks(&["matrix"])
}

/// Takes out findings that the tasks of one matrix have in common.
pub(crate) fn drop_repeats(findings: &mut Findings, variants: &Variants) {
    let plain = |message: &str| {
        variants.0.iter().fold(message.to_owned(), |message, (name, origin)| message.replace(name, origin))
    };
    let mut seen = HashSet::new();
    findings.0.retain(|finding| seen.insert((finding.span.clone(), plain(&finding.message))));
}

impl<'d> document::Entry<'d> {
    /// The name that a person wrote for this task.
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
    fn values_are_put_in_and_other_braces_stay() {
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
