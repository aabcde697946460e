//! Formats the table of a quality gate: a row for each rule, and below it the violations of the broken rules.
//! It must not judge.

use console::measure_text_width as width;

use crate::quality::evidence::{Evidence, Ruling, Verdict, Violation};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};
use ci_reports::facts::Location;

/// How many violations of a rule are shown below a gate's line.
pub const LISTED_VIOLATIONS: usize = 10;
/// The maximum width of a column. A longer cell moves the rest of its row to the right.
const MAX_WIDTH: usize = 44;

/// Formats all rulings with at most `most` violations of each, without a final line end.
pub fn table(evidence: &Evidence, most: usize, paint: Paint) -> String {
    let rows: Vec<[String; 3]> = evidence
        .rules
        .iter()
        .map(|ruling| [line(&ruling.rule), line(&ruling.required), line(&ruling.actual)])
        .collect();
    let widths: [usize; 3] =
        std::array::from_fn(|at| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0).min(MAX_WIDTH));
    let mut text: Vec<String> = Vec::new();
    for (ruling, row) in evidence.rules.iter().zip(&rows) {
        let (mark, tone, word) = verdict_style(ruling.verdict);
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| pad(cell, width)).collect();
        text.push(format!("  {} {}  {}", paint.tone(tone, mark), cells.join("  "), paint.tone(tone, word)));
    }
    if let Some(baseline) = &evidence.baseline {
        text.push(paint.tone(Tone::Faint, &format!("  baseline: {}", line(baseline))));
    }
    text.extend(violation_lines(evidence, most).into_iter().map(|line| format!("  {line}")));
    text.join("\n")
}

/// Formats the broken rulings with at most `most` violations of each.
pub fn failures(evidence: &Evidence, most: usize) -> String {
    let broken = evidence.rules.iter().filter(|ruling| ruling.verdict == Verdict::Broken);
    let mut text = String::new();
    for ruling in broken {
        text.push_str(&format!(
            "{}: {}, required: {}\n",
            line(&ruling.rule),
            line(&ruling.actual),
            line(&ruling.required)
        ));
        for violation in first_violations(ruling, most) {
            text.push_str(&format!("  {violation}\n"));
        }
    }
    text
}

/// Returns a text that says that some recorded violations are not shown, if there are any.
pub fn hidden_violations(evidence: &Evidence, most: usize) -> Option<&'static str> {
    let hides = evidence.rules.iter().any(|ruling| ruling.violations.len() > most);
    hides.then_some("all violations")
}

fn verdict_style(verdict: Verdict) -> (&'static str, Tone, &'static str) {
    match verdict {
        Verdict::Holds => ("✓", Tone::Good, "holds"),
        Verdict::Broken => ("✗", Tone::Bad, "broken"),
        Verdict::Unjudged => ("?", Tone::Odd, "not judged"),
    }
}

/// Returns lines with the violations of each broken rule. If two rules have the same violations, these are listed
/// once.
fn violation_lines(evidence: &Evidence, most: usize) -> Vec<String> {
    let mut listed: Vec<&Ruling> = Vec::new();
    let mut lines = Vec::new();
    for ruling in evidence.rules.iter().filter(|ruling| !ruling.violations.is_empty()) {
        match listed
            .iter()
            .find(|earlier| earlier.violations == ruling.violations && earlier.more == ruling.more)
        {
            Some(earlier) => lines.push(format!("{}: as {}", line(&ruling.rule), line(&earlier.rule))),
            None => {
                lines.push(format!("{}:", line(&ruling.rule)));
                lines.extend(first_violations(ruling, most).into_iter().map(|line| format!("  {line}")));
                listed.push(ruling);
            }
        }
    }
    lines
}

/// Returns lines with the first violations of a ruling, and how many more there are.
fn first_violations(ruling: &Ruling, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = ruling.violations.iter().take(most).map(violation_line).collect();
    let more = u64::try_from(ruling.violations.len().saturating_sub(most)).unwrap_or(u64::MAX);
    match more.saturating_add(ruling.more) {
        0 => {}
        more => lines.push(format!("… and {more} more")),
    }
    lines
}

fn violation_line(violation: &Violation) -> String {
    let place =
        violation.place.as_ref().map(|place| format!("{}  ", format_location(place))).unwrap_or_default();
    format!("{place}{}", line(&violation.text))
}

/// Formats a place, such as `src/a.rs:12`.
fn format_location(place: &Location) -> String {
    let path = line(&place.path);
    place.line.map_or_else(|| path.clone(), |number| format!("{path}:{number}"))
}

/// Makes a text of a report one line without control characters.
fn line(text: &str) -> String {
    safe(text, Keep::Nothing).replace(['\n', '\t'], " ")
}

fn pad(cell: &str, wide: usize) -> String {
    format!("{cell}{}", " ".repeat(wide.saturating_sub(width(cell))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruling(rule: &str, required: &str, actual: &str, verdict: Verdict) -> Ruling {
        let [rule, required, actual] = [rule, required, actual].map(str::to_owned);
        Ruling { rule, required, actual, verdict, violations: Vec::new(), more: 0 }
    }

    fn violation(text: &str, line: Option<u32>) -> Violation {
        let place =
            line.map(|line| Location { path: "src/b.rs".to_owned(), line: Some(line), end_line: None });
        Violation { text: text.to_owned(), place, severity: None }
    }

    fn evidence() -> Evidence {
        let missed = vec![violation("20 of 80 lines not covered: 61-75, 77, 80-83", Some(61))];
        let rulings = vec![
            Ruling {
                violations: missed.clone(),
                ..ruling("coverage.min", "≥ 80 %", "76.2 % (381 of 500 lines)", Verdict::Broken)
            },
            Ruling {
                violations: missed,
                ..ruling(
                    "coverage.max-drop",
                    "at most 2 points less than before",
                    "76.2 %, 5.8 points less than 82.0 %",
                    Verdict::Broken,
                )
            },
            Ruling {
                violations: (1..=12)
                    .map(|number| violation(&format!("t{number}: \u{1b}[2Jred"), None))
                    .collect(),
                more: 3,
                ..ruling("tests.failed", "none", "15 of 40 tests", Verdict::Broken)
            },
            ruling("findings.new", "none", "not compared: no baseline", Verdict::Unjudged),
            ruling("secrets", "none", "0", Verdict::Holds),
        ];
        let baseline = Some("1a2b3c4 (merge base with origin/main)".to_owned());
        Evidence { rules: rulings, baseline, ..Evidence::default() }
    }

    #[test]
    fn all_rules_are_shown_with_the_causes_of_failures() {
        insta::assert_snapshot!(table(&evidence(), LISTED_VIOLATIONS, Paint::PLAIN), @r"
    ✗ coverage.min       ≥ 80 %                             76.2 % (381 of 500 lines)            broken
    ✗ coverage.max-drop  at most 2 points less than before  76.2 %, 5.8 points less than 82.0 %  broken
    ✗ tests.failed       none                               15 of 40 tests                       broken
    ? findings.new       none                               not compared: no baseline            not judged
    ✓ secrets            none                               0                                    holds
    baseline: 1a2b3c4 (merge base with origin/main)
    coverage.min:
      src/b.rs:61  20 of 80 lines not covered: 61-75, 77, 80-83
    coverage.max-drop: as coverage.min
    tests.failed:
      t1: red
      t2: red
      t3: red
      t4: red
      t5: red
      t6: red
      t7: red
      t8: red
      t9: red
      t10: red
      … and 5 more
    ");
        assert!(table(&evidence(), 100, Paint::PLAIN).contains("… and 3 more"));
    }

    #[test]
    fn passed_rules_are_shown_without_details() {
        let evidence = Evidence {
            rules: vec![
                ruling("sonar", "ok", "ok", Verdict::Holds),
                ruling("secrets", "≤ 3", "0", Verdict::Holds),
            ],
            ..Evidence::default()
        };
        insta::assert_snapshot!(table(&evidence, LISTED_VIOLATIONS, Paint::PLAIN), @r"
    ✓ sonar    ok   ok  holds
    ✓ secrets  ≤ 3  0   holds
    ");
        assert_eq!(failures(&evidence, LISTED_VIOLATIONS), "");
    }

    #[test]
    fn failures_are_the_failed_rules_only() {
        insta::assert_snapshot!(failures(&evidence(), 2), @r"
    coverage.min: 76.2 % (381 of 500 lines), required: ≥ 80 %
      src/b.rs:61  20 of 80 lines not covered: 61-75, 77, 80-83
    coverage.max-drop: 76.2 %, 5.8 points less than 82.0 %, required: at most 2 points less than before
      src/b.rs:61  20 of 80 lines not covered: 61-75, 77, 80-83
    tests.failed: 15 of 40 tests, required: none
      t1: red
      t2: red
      … and 13 more
    ");
    }
}
