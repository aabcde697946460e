//! `suppress` of a gate: findings and licences that are accepted for a reason until a day. It must not know
//! today's date.

use crate::base::pattern::{Pattern, PatternBase};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::SourceLocation;
use crate::config::schema::all_keys;
use crate::config::sections::common_keys::ParseContext;
use crate::config::sections::file_sets;
use crate::config::sections::values;
use crate::config::syntax::document::{Table, Value};
use crate::config::wording;
use crate::quality::rules::{Day, Suppression};

const HINT: &str =
    "write it as { rule = \"CVE-2024-1\", path = \"web/**\", reason = \"why\", expires = 2026-12-31 }";

/// A suppression without its line number.
#[derive(Debug)]
pub(crate) struct SuppressionDraft {
    suppression: Suppression,
    /// The position of its first byte.
    pub(crate) at: usize,
}

impl SuppressionDraft {
    pub(crate) fn at_location(self, place: &SourceLocation) -> Suppression {
        Suppression { location: place.to_string(), ..self.suppression }
    }
}

/// Reads `suppress`.
pub(crate) fn read(
    value: Value<'_>,
    context: &ParseContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Vec<SuppressionDraft> {
    let Some(elements) = value.elements() else {
        sink.add(value.mismatch("an array of tables").hint(format!("put it in brackets; {HINT}")));
        return Vec::new();
    };
    elements.filter_map(|element| read_one(element, context, sink)).collect()
}

fn read_one(
    value: Value<'_>,
    context: &ParseContext<'_, '_>,
    sink: &mut DiagnosticSink,
) -> Option<SuppressionDraft> {
    let table = value.table(HINT, sink)?;
    for other in table.iter().filter(|entry| !all_keys::SUPPRESSION.has(entry.key.text)) {
        sink.add(all_keys::SUPPRESSION.unknown_key(&other.key, "a suppression"));
    }
    let entry = |name: &str| table.iter().find(|entry| entry.key.text == name);
    check_target(value, &table, sink);
    for (key, what) in [("reason", "a reason"), ("expires", "a day on which it expires")] {
        if entry(key).is_none() {
            sink.add(
                Diagnostic::new(value.span(), format!("a suppression needs {what}"))
                    .label(format!("no `{key}`"))
                    .hint(HINT),
            );
        }
    }
    let mut read = |name: &str| entry(name).map(|entry| values::line(entry, sink));
    let (rule, licence, package, reason) = (read("rule"), read("licence"), read("package"), read("reason"));
    let path = entry("path").map(|entry| path(entry.value, context, sink));
    let expires = entry("expires").map(|entry| day(entry.value, sink));
    // Errors in one of these are reported already.
    let licence = licence.map_or(Some(None), |licence| licence.map(Some))?;
    let package = package.map_or(Some(None), |package| package.map(Some))?;
    let path = path.map_or(Some(None), |path| path.map(Some))?;
    let rule = rule.unwrap_or_else(|| licence.as_ref().map(|_| "licence".to_owned()))?;
    let (reason, expires) = (reason??, expires??);
    let place = String::new();
    let suppression = Suppression { rule, licence, path, package, reason, expires, location: place };
    Some(SuppressionDraft { suppression, at: value.span().start })
}

/// Reports keys that don't go together. A suppression is for a scanner's rule, optionally in some files, or
/// for a licence, optionally of one package.
fn check_target(value: Value<'_>, table: &Table<'_>, sink: &mut DiagnosticSink) {
    let key = |name: &str| table.iter().map(|entry| &entry.key).find(|key| key.text == name);
    let Some(main) = key("rule").or(key("licence")) else {
        sink.add(
            Diagnostic::new(value.span(), "a suppression needs a `rule` or a `licence`")
                .label("it does not say what is accepted")
                .hint(HINT),
        );
        return;
    };
    let others: &[&str] = if main.text == "rule" { &["licence", "package"] } else { &["path"] };
    for other in others.iter().filter_map(|name| key(name)) {
        sink.add(
            Diagnostic::new(
                other.span.clone(),
                format!("`{}` can't be used with `{}`", other.text, main.text),
            )
            .label("of another kind of suppression")
            .other(main.span.clone(), "one kind")
            .hint("use `path` with a scanner's `rule`, and `package` with a `licence`"),
        );
    }
}

fn path(value: Value<'_>, context: &ParseContext<'_, '_>, sink: &mut DiagnosticSink) -> Option<Pattern> {
    let text = value.text("a file or a pattern", sink)?;
    file_sets::single_pattern(
        &text,
        PatternBase { base: context.base, anchored: false },
        "a suppressed path",
        sink,
    )
}

fn day(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<Day> {
    let text = value.date("a day", sink)?;
    let day = parse_day(&text);
    if day.is_none() {
        sink.add(
            Diagnostic::new(value.span(), format!("`{}` is not a day", wording::escape_name(&text)))
                .label("not understood")
                .hint("write year, month and day, such as 2026-12-31"),
        );
    }
    day
}

/// Parses a day such as `2026-12-31`.
fn parse_day(text: &str) -> Option<Day> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return None };
    let number = |part: &str, length: usize| {
        let fits = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let day = u8::try_from(day).ok().filter(|day| (1..=days).contains(day))?;
    Some(Day { year: i32::from(year), month: u8::try_from(month).ok()?, day })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_calendar_days() {
        for (text, expected) in [
            ("2026-12-31", Some((2026, 12, 31))),
            ("2028-02-29", Some((2028, 2, 29))),
            ("2000-02-29", Some((2000, 2, 29))),
            ("2026-02-29", None),
            ("2100-02-29", None),
            ("2026-04-31", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-01-00", None),
            ("2026-1-1", None),
            ("26-01-01", None),
            ("2026-01-01T00:00:00Z", None),
            ("+026-01-01", None),
            ("", None),
        ] {
            let day = expected.map(|(year, month, day)| Day { year, month, day });
            assert_eq!(parse_day(text), day, "{text}");
        }
    }
}
