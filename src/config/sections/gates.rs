//! `[gates.*]`: reads each gate with its rules. It must not know how a rule is judged, nor what is in a
//! report.

use ci_reports::facts::Unit;

use crate::base::path::RepoPath;
use crate::base::pattern::PatternBase;
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::schema::all_keys;
use crate::config::schema::table_type::Table as KeyTable;
use crate::config::schema::values::UNITS;
use crate::config::sections::common_keys::ParseContext;
use crate::config::sections::drafts::{DraftKind, GateDraft, TaskDraft};
use crate::config::sections::{file_sets, suppressions, values};
use crate::config::syntax::document::{Entry, Syntax, Table, Text, Value};
use crate::config::wording;
use crate::quality::rules::{Bound, Comparison, Coverage, Findings as FindingRules, Licences, Rules, Tests};

/// Reads `[gates]`. `tasks` are those of the same file, whose names a gate can't have.
pub(crate) fn read<'d>(
    table: &Table<'d>,
    tasks: &[TaskDraft<'d>],
    context: &ParseContext<'_, 'd>,
    sink: &mut DiagnosticSink,
) -> Vec<TaskDraft<'d>> {
    let mut gates = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        sink.0.extend(wording::invalid_name(key, "a gate"));
        let shown = wording::escape_name(key.text);
        let namesake = |task: &&TaskDraft<'_>| {
            task.name.text == key.text || task.variant_of.as_deref() == Some(key.text)
        };
        if let Some(task) = tasks.iter().find(namesake) {
            sink.add(
                Diagnostic::new(key.span.clone(), format!("`{shown}` is already a task"))
                    .label("a gate of the same name")
                    .other(task.name.span.clone(), "the task")
                    .hint("give the gate another name: `xtask NAME` runs tasks and gates alike"),
            );
        }
        let hint =
            format!("write it as `[gates.{shown}]` with rules below, such as `tests = {{ failed = 0 }}`");
        if let Some(entries) = value.table(&hint, sink) {
            gates.push(gate(key.clone(), entries, context, sink));
        }
    }
    gates
}

/// Reads the table of a gate.
fn gate<'d>(
    name: Text<'d>,
    table: Table<'d>,
    context: &ParseContext<'_, 'd>,
    sink: &mut DiagnosticSink,
) -> TaskDraft<'d> {
    let (of_task, own): (Vec<_>, Vec<_>) =
        table.into_iter().partition(|entry| ["description", "group"].contains(&entry.key.text));
    let gate = GateDraft::read(&name, &own, context, sink);
    let mut draft = TaskDraft::new(DraftKind::Gate, name, context);
    for entry in of_task {
        draft.take(&entry, context, sink);
    }
    draft.gate = Some(Box::new(gate));
    draft
}

impl<'d> GateDraft<'d> {
    /// Reads the keys that only a gate has.
    pub(crate) fn read(
        name: &Text<'d>,
        table: &Table<'d>,
        context: &ParseContext<'_, 'd>,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let mut gate = Self::default();
        for entry in table {
            if !gate.take(entry, context, sink) {
                let called = format!("gate `{}`", wording::escape_name(name.text));
                sink.add(all_keys::GATE.unknown_key(&entry.key, &called));
            }
        }
        let is_rule = |entry: &Entry<'_>| all_keys::RULES.contains(&entry.key.text);
        if !table.iter().any(is_rule) && context.syntax == Syntax::Valid {
            sink.add(
                Diagnostic::new(
                    name.span.clone(),
                    format!("gate `{}` has no rule", wording::escape_name(name.text)),
                )
                .label("requires nothing")
                .hint("add a rule, such as `tests = { failed = 0 }` or `coverage = { min = 80 }`")
                .caused_by_missing(&all_keys::RULES),
            );
        }
        gate
    }

    fn take(&mut self, entry: &Entry<'d>, context: &ParseContext<'_, 'd>, sink: &mut DiagnosticSink) -> bool {
        let value = entry.value;
        match entry.key.text {
            "of" => self.of = sources(value, sink),
            "base" => self.base = base(value, sink),
            "baseline" => self.baseline = baseline(value, context, sink),
            "by-name" => self.by_name = value.boolean(sink).unwrap_or(false),
            "suppress" => self.suppressions = suppressions::read(value, context, sink),
            _ => return take_rule(&mut self.rules, entry, context, sink),
        }
        true
    }
}

fn sources<'d>(value: Value<'d>, sink: &mut DiagnosticSink) -> Option<Vec<Text<'d>>> {
    let texts = value.texts(sink)?;
    if value.elements().is_some_and(|mut all| all.next().is_none()) {
        sink.add(
            Diagnostic::new(value.span(), "`of` names no task")
                .label("empty")
                .hint("name tasks or groups; left out, it is all tasks of this file that write reports"),
        );
        return None;
    }
    Some(texts)
}

fn baseline(value: Value<'_>, context: &ParseContext<'_, '_>, sink: &mut DiagnosticSink) -> Option<RepoPath> {
    let text = value.text("a file", sink)?;
    values::file(&text, context.base, "quality-baseline.json", sink)
}

/// Reads a branch or revision. Git must not take it for an option.
fn base(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let text = value.text("a branch or revision, such as \"origin/main\"", sink)?;
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    if text.text.is_empty() || text.text.starts_with('-') || text.text.contains(is_odd) {
        sink.add(
            Diagnostic::new(
                text.span,
                format!("`{}` is not a branch or revision", wording::escape_name(text.text)),
            )
            .label("not a name in git")
            .hint("write the branch that is merged into, such as \"origin/main\""),
        );
        return None;
    }
    Some(text.text.to_owned())
}

/// How many decimal places a percentage may have. Up to this number it can be compared exactly.
const MAX_DECIMALS: usize = 6;

/// Reads the entry if its key is a rule. Returns whether it is.
fn take_rule(
    rules: &mut Rules,
    entry: &Entry<'_>,
    context: &ParseContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> bool {
    let value = entry.value;
    match entry.key.text {
        "coverage" => rules.coverage = coverage(value, context, sink),
        "tests" => rules.tests = tests(value, sink),
        "findings" => rules.findings = findings_rule(value, sink),
        "secrets" => rules.secrets = count(value, "a number of secrets", sink),
        "licences" => rules.licences = licences(value, sink),
        "performance" => rules.performance = bounds(value, sink),
        "sonar" => rules.sonar = sonar(value, sink),
        _ => return false,
    }
    true
}

/// Returns the known entries of a rule's table. Unknown keys and an empty table are reported.
fn known<'d>(value: Value<'d>, keys: &KeyTable, hint: &str, sink: &mut DiagnosticSink) -> Option<Table<'d>> {
    let table = value.table(hint, sink)?;
    if table.is_empty() {
        sink.add(empty(value, keys.name, hint));
    }
    let (known, others): (Vec<_>, Vec<_>) = table.into_iter().partition(|entry| keys.has(entry.key.text));
    for other in others {
        sink.add(keys.unknown_key(&other.key, &format!("`{}`", keys.name)));
    }
    Some(known)
}

fn empty(value: Value<'_>, name: &str, hint: &str) -> Diagnostic {
    Diagnostic::new(value.span(), format!("`{name}` requires nothing")).label("empty").hint(hint)
}

fn coverage(value: Value<'_>, context: &ParseContext<'_, '_>, sink: &mut DiagnosticSink) -> Option<Coverage> {
    let hint = "write it as { min = 80, max-drop = 2, paths = { \"billing/**\" = 100 } }";
    let mut rule = Coverage::default();
    for Entry { key, value } in known(value, &all_keys::COVERAGE, hint, sink)? {
        match key.text {
            "min" => rule.min = percent(value, sink),
            "max-drop" => rule.max_drop = percent(value, sink),
            _ => {
                let hint = "write it as { \"billing/**\" = 100 }";
                let Some(table) = value.table(hint, sink) else { continue };
                if table.is_empty() {
                    sink.add(empty(value, "paths", hint));
                }
                for Entry { key, value } in table {
                    let origin = PatternBase { base: context.base, anchored: false };
                    let pattern = file_sets::single_pattern(&key, origin, "a covered path", sink);
                    rule.paths.extend(pattern.zip(percent(value, sink)));
                }
            }
        }
    }
    Some(rule)
}

fn tests(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Tests> {
    let hint = "write it as { failed = 0, min-count = 1 }";
    let mut rule = Tests::default();
    for Entry { key, value } in known(value, &all_keys::TESTS, hint, sink)? {
        let number = count(value, "a number of tests", sink);
        match key.text {
            "failed" => rule.failed = number,
            "skipped" => rule.skipped = number,
            "flaky" => rule.flaky = number,
            _ => rule.min_count = number,
        }
    }
    Some(rule)
}

fn findings_rule(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<FindingRules> {
    let hint = "write it as { critical = 0, high = 0, new = 0 }";
    let mut rule = FindingRules::default();
    for Entry { key, value } in known(value, &all_keys::FINDINGS, hint, sink)? {
        let number = count(value, "a number of findings", sink);
        match key.text {
            "critical" => rule.critical = number,
            "high" => rule.high = number,
            "medium" => rule.medium = number,
            "low" => rule.low = number,
            "note" => rule.note = number,
            "total" => rule.total = number,
            _ => rule.new = number,
        }
    }
    Some(rule)
}

fn licences(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Licences> {
    let hint = "write it as { allow = [\"MIT\", \"Apache-2.0\", \"BSD-*\"] }";
    let mut rule = Licences::default();
    for Entry { key, value } in known(value, &all_keys::LICENCES, hint, sink)? {
        let names = licence_names(value, &key, sink);
        if key.text == "allow" { rule.allow = names } else { rule.deny = names }
    }
    Some(rule)
}

fn licence_names(value: Value<'_>, key: &Text<'_>, sink: &mut DiagnosticSink) -> Vec<String> {
    let Some(texts) = value.texts(sink) else { return Vec::new() };
    let hint = "write each licence on its own, such as [\"MIT\", \"Apache-2.0\", \"BSD-*\"]";
    if value.elements().is_some_and(|mut all| all.next().is_none()) {
        sink.add(empty(value, key.text, hint));
    }
    let mut names = Vec::new();
    for Text { text, span } in texts {
        let message = if text.trim().is_empty() {
            "the name of a licence is empty".to_owned()
        } else if [" OR ", " AND "].iter().any(|joint| text.contains(joint)) {
            format!("`{}` is an expression, not a licence", wording::escape_name(text))
        } else {
            names.push(text.trim().to_owned());
            continue;
        };
        sink.add(Diagnostic::new(span, message).label("not one licence").hint(hint));
    }
    names
}

fn sonar(value: Value<'_>, sink: &mut DiagnosticSink) -> bool {
    let Some(text) = value.text("\"ok\"", sink) else { return false };
    if text.text != "ok" {
        sink.add(
            Diagnostic::new(
                text.span,
                format!("`{}` is not a value of `sonar`", wording::escape_name(text.text)),
            )
            .label("not \"ok\"")
            .hint("write sonar = \"ok\", which requires that the server's quality gate is passed"),
        );
    }
    true
}

fn count(value: Value<'_>, what: &str, sink: &mut DiagnosticSink) -> Option<u64> {
    let number = value.integer(what, sink)?;
    let count = u32::try_from(number).ok().map(u64::from);
    if count.is_none() {
        sink.add(
            Diagnostic::new(value.span(), format!("{number} is not {what}"))
                .label("out of range")
                .hint("write an integer that is not negative"),
        );
    }
    count
}

fn percent(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<f64> {
    let number = value.number("a percentage", sink)?;
    let digits = number.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
    let (label, hint) = if !(0.0..=100.0).contains(&number) {
        ("out of range", "a percentage is from 0 to 100".to_owned())
    } else if digits > MAX_DECIMALS {
        ("too precise", format!("at most {MAX_DECIMALS} decimal places can be compared"))
    } else {
        return Some(number);
    };
    sink.add(
        Diagnostic::new(value.span(), format!("{number} can't be a percentage here")).label(label).hint(hint),
    );
    None
}

/// Comparisons. One that begins with another comes first.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

/// Reads `performance`.
fn bounds(value: Value<'_>, sink: &mut DiagnosticSink) -> Vec<Bound> {
    let hint = "write it as { \"http_req_duration.p95\" = \"<= 100ms\" }";
    let Some(table) = value.table(hint, sink) else { return Vec::new() };
    if table.is_empty() {
        sink.add(Diagnostic::new(value.span(), "`performance` requires nothing").label("empty").hint(hint));
    }
    let mut bounds = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        if key.text.trim().is_empty() {
            sink.add(Diagnostic::new(key.span.clone(), "the name of a metric is empty").hint(hint));
        }
        let Some(text) = value.text("a bound such as \"<= 100ms\"", sink) else { continue };
        match parse_bound(key.text, text.text) {
            Ok(bound) => bounds.push(bound),
            Err(why) => sink.add(not_a_bound(&text, why)),
        }
    }
    bounds
}

fn not_a_bound(text: &Text<'_>, why: &str) -> Diagnostic {
    let units: Vec<&str> =
        UNITS.iter().map(|(unit, ..)| *unit).filter(|unit| !["", "us"].contains(unit)).collect();
    Diagnostic::new(text.span.clone(), format!("`{}` is not a bound: {why}", wording::escape_name(text.text)))
        .label("not understood")
        .hint(format!("write <, <=, >, >= or ==, a number and a unit ({}), or none", units.join(", ")))
}

fn parse_bound(name: &str, text: &str) -> Result<Bound, &'static str> {
    let text = text.trim();
    let (written, comparison) = COMPARISONS
        .into_iter()
        .find(|(written, _)| text.starts_with(written))
        .ok_or("it does not begin with a comparison")?;
    let rest = text[written.len()..].trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (digits, unit) = (&rest[..end], rest[end..].trim_start());
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || !digits.ends_with(|c: char| c.is_ascii_digit()) {
        return Err("a number is missing");
    }
    // Another letter that looks the same.
    let unit = if unit == "μs" { "µs" } else { unit };
    let (unit, counts, (times, power)) =
        UNITS.iter().find(|(known, ..)| *known == unit).ok_or("its unit is unknown")?;
    // The power of ten is part of the parsed text, since `1.1%` must be the same number as 0.011 in a report.
    // 1.1 divided by 100 is not.
    let number: f64 = format!("{digits}e{power}")
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .ok_or("its number is invalid")?;
    let space = if matches!(*counts, Unit::Millis | Unit::Bytes | Unit::Share) { " " } else { "" };
    Ok(Bound {
        name: name.to_owned(),
        comparison,
        value: number * times,
        unit: *counts,
        written: format!("{written} {digits}{space}{unit}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_the_unit_of_the_reports() {
        let cases = [
            ("<= 100ms", Comparison::AtMost, 100.0, Unit::Millis, "<= 100 ms"),
            ("<250µs", Comparison::Less, 0.25, Unit::Millis, "< 250 µs"),
            ("< 250 μs", Comparison::Less, 0.25, Unit::Millis, "< 250 µs"),
            (">= 1.5 s", Comparison::AtLeast, 1500.0, Unit::Millis, ">= 1.5 s"),
            ("> 2m", Comparison::More, 120_000.0, Unit::Millis, "> 2 m"),
            (" == 0 ", Comparison::Equal, 0.0, Unit::Number, "== 0"),
            ("<= 3 KiB", Comparison::AtMost, 3072.0, Unit::Bytes, "<= 3 KiB"),
            ("<= 3 kB", Comparison::AtMost, 3000.0, Unit::Bytes, "<= 3 kB"),
            ("< 1%", Comparison::Less, 0.01, Unit::Share, "< 1 %"),
            ("< 1.1%", Comparison::Less, 0.011, Unit::Share, "< 1.1 %"),
            ("< 0.7%", Comparison::Less, 0.007, Unit::Share, "< 0.7 %"),
            ("< 1.001 s", Comparison::Less, 1001.0, Unit::Millis, "< 1.001 s"),
        ];
        for (text, comparison, value, unit, written) in cases {
            let expected =
                Bound { name: "x".to_owned(), comparison, value, unit, written: written.to_owned() };
            assert_eq!(parse_bound("x", text), Ok(expected), "{text}");
        }
        // A report writes the same share like this.
        for tenths in 0..1000_u32 {
            let (text, share) =
                (format!("< {}.{}%", tenths / 10, tenths % 10), format!("0.{tenths:03}").parse());
            assert_eq!(parse_bound("x", &text).map(|bound| bound.value), Ok(share.unwrap()), "{text}");
        }
        for text in
            ["", "100ms", "<=", "<= ms", "<= -1", "<= .5", "<= 1.", "<= 1.2.3", "= 1", "<= 1 h", "=> 1"]
        {
            assert!(parse_bound("x", text).is_err(), "{text}");
        }
    }
}
