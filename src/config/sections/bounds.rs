//! The bounds of `performance`: `"<= 100ms"`. It must not know which figures reports have.

use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::schema::keys;
use crate::config::syntax::document::{Entry, Text, Value};
use crate::quality::rules::{Bound, Comparison};
use ci_reports::facts::Unit;

/// Comparisons, longer ones before those that they begin with.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

/// Units as they are written, what they count, and the factor to that: a number and a power of ten.
pub(crate) const UNITS: [(&str, Unit, (f64, i32)); 14] = [
    ("", Unit::Number, (1.0, 0)),
    ("µs", Unit::Millis, (1.0, -3)),
    ("us", Unit::Millis, (1.0, -3)),
    ("ms", Unit::Millis, (1.0, 0)),
    ("s", Unit::Millis, (1.0, 3)),
    ("m", Unit::Millis, (6.0, 4)),
    ("B", Unit::Bytes, (1.0, 0)),
    ("kB", Unit::Bytes, (1.0, 3)),
    ("MB", Unit::Bytes, (1.0, 6)),
    ("GB", Unit::Bytes, (1.0, 9)),
    ("KiB", Unit::Bytes, (1_024.0, 0)),
    ("MiB", Unit::Bytes, (1_048_576.0, 0)),
    ("GiB", Unit::Bytes, (1_073_741_824.0, 0)),
    ("%", Unit::Share, (1.0, -2)),
];

/// Reads `performance`.
pub(crate) fn read(value: Value<'_>, findings: &mut Findings) -> Vec<Bound> {
    let hint = "write it as { \"http_req_duration.p95\" = \"<= 100ms\" }";
    let Some(table) = value.table(hint, findings) else { return Vec::new() };
    if table.is_empty() {
        findings
            .add(Diagnostic::new(value.span(), "`performance` demands nothing").label("empty").hint(hint));
    }
    let mut bounds = Vec::with_capacity(table.len());
    for Entry { key, value } in table {
        if key.text.trim().is_empty() {
            findings.add(Diagnostic::new(key.span.clone(), "an empty text names no figure").hint(hint));
        }
        let Some(text) = value.text("a bound such as \"<= 100ms\"", findings) else { continue };
        match parse(key.text, text.text) {
            Ok(bound) => bounds.push(bound),
            Err(why) => findings.add(refused(&text, why)),
        }
    }
    bounds
}

fn refused(text: &Text<'_>, why: &str) -> Diagnostic {
    let units: Vec<&str> =
        UNITS.iter().map(|(unit, ..)| *unit).filter(|unit| !["", "us"].contains(unit)).collect();
    Diagnostic::new(text.span.clone(), format!("`{}` is not a bound: {why}", keys::shown(text.text)))
        .label("not understood")
        .hint(format!("write <, <=, >, >= or ==, a number and a unit ({}), or none", units.join(", ")))
}

fn parse(name: &str, text: &str) -> Result<Bound, &'static str> {
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
    // The other letter that looks the same.
    let unit = if unit == "μs" { "µs" } else { unit };
    let (unit, counts, (times, power)) =
        UNITS.iter().find(|(known, ..)| *known == unit).ok_or("its unit is not known")?;
    // The point is shifted as it is written: `1.1%` is the same number that a report writes as 0.011,
    // and the hundredth part of 1.1 is not.
    let number: f64 = format!("{digits}e{power}")
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .ok_or("its number is none")?;
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
    fn bounds_are_read_in_the_unit_that_reports_count_in() {
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
            assert_eq!(parse("x", text), Ok(expected), "{text}");
        }
        // As a report would write the same share.
        for tenths in 0..1000_u32 {
            let (text, share) =
                (format!("< {}.{}%", tenths / 10, tenths % 10), format!("0.{tenths:03}").parse());
            assert_eq!(parse("x", &text).map(|bound| bound.value), Ok(share.unwrap()), "{text}");
        }
        for text in
            ["", "100ms", "<=", "<= ms", "<= -1", "<= .5", "<= 1.", "<= 1.2.3", "= 1", "<= 1 h", "=> 1"]
        {
            assert!(parse("x", text).is_err(), "{text}");
        }
    }
}
