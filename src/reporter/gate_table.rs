//! Formats the table of a quality gate: a row for each rule, and below it the breaches of the broken rules.
//! It must not judge.

use console::measure_text_width as width;

use crate::quality::evidence::{Breach, Evidence, Ruling, Verdict};
use crate::reporter::style::{Paint, Tone};
use crate::reporter::text::{Keep, safe};
use ci_reports::facts::Location;

/// How many breaches of a rule are shown below a gate's line.
pub const FEW: usize = 10;
/// The maximum width of a column. A longer cell moves the rest of its row to the right.
const WIDEST: usize = 44;

/// Formats all rulings with at most `most` breaches of each, without a final line end.
pub fn table(evidence: &Evidence, most: usize, paint: Paint) -> String {
    let rows: Vec<[String; 3]> = evidence
        .rulings
        .iter()
        .map(|ruling| [line(&ruling.rule), line(&ruling.demand), line(&ruling.fact)])
        .collect();
    let widths: [usize; 3] =
        std::array::from_fn(|at| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0).min(WIDEST));
    let mut text: Vec<String> = Vec::new();
    for (ruling, row) in evidence.rulings.iter().zip(&rows) {
        let (mark, tone, word) = voiced(ruling.verdict);
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| padded(cell, width)).collect();
        text.push(format!("  {} {}  {}", paint.tone(tone, mark), cells.join("  "), paint.tone(tone, word)));
    }
    if let Some(baseline) = &evidence.baseline {
        text.push(paint.tone(Tone::Faint, &format!("  baseline: {}", line(baseline))));
    }
    text.extend(broken(evidence, most).into_iter().map(|line| format!("  {line}")));
    text.join("\n")
}

/// Formats the broken rulings with at most `most` breaches of each.
pub fn failures(evidence: &Evidence, most: usize) -> String {
    let broken = evidence.rulings.iter().filter(|ruling| ruling.verdict == Verdict::Broken);
    let mut text = String::new();
    for ruling in broken {
        text.push_str(&format!(
            "{}: {}, required: {}\n",
            line(&ruling.rule),
            line(&ruling.fact),
            line(&ruling.demand)
        ));
        for breach in listed(ruling, most) {
            text.push_str(&format!("  {breach}\n"));
        }
    }
    text
}

/// Returns a text that says that some recorded breaches are not shown, if there are any.
pub fn hidden(evidence: &Evidence, most: usize) -> Option<&'static str> {
    let hides = evidence.rulings.iter().any(|ruling| ruling.breaches.len() > most);
    hides.then_some("all breaches")
}

fn voiced(verdict: Verdict) -> (&'static str, Tone, &'static str) {
    match verdict {
        Verdict::Holds => ("✓", Tone::Good, "holds"),
        Verdict::Broken => ("✗", Tone::Bad, "broken"),
        Verdict::Unjudged => ("?", Tone::Odd, "not judged"),
    }
}

/// Returns lines with the breaches of each broken rule. If two rules have the same breaches, these are listed
/// once.
fn broken(evidence: &Evidence, most: usize) -> Vec<String> {
    let mut told: Vec<&Ruling> = Vec::new();
    let mut lines = Vec::new();
    for ruling in evidence.rulings.iter().filter(|ruling| !ruling.breaches.is_empty()) {
        match told.iter().find(|former| former.breaches == ruling.breaches && former.more == ruling.more) {
            Some(former) => lines.push(format!("{}: as {}", line(&ruling.rule), line(&former.rule))),
            None => {
                lines.push(format!("{}:", line(&ruling.rule)));
                lines.extend(listed(ruling, most).into_iter().map(|line| format!("  {line}")));
                told.push(ruling);
            }
        }
    }
    lines
}

/// Returns lines with the first breaches of a ruling, and how many more there are.
fn listed(ruling: &Ruling, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = ruling.breaches.iter().take(most).map(shown).collect();
    let more = u64::try_from(ruling.breaches.len().saturating_sub(most)).unwrap_or(u64::MAX);
    match more.saturating_add(ruling.more) {
        0 => {}
        more => lines.push(format!("… and {more} more")),
    }
    lines
}

fn shown(breach: &Breach) -> String {
    let place = breach.place.as_ref().map(|place| format!("{}  ", spot(place))).unwrap_or_default();
    format!("{place}{}", line(&breach.text))
}

/// Formats a place, such as `src/a.rs:12`.
fn spot(place: &Location) -> String {
    let path = line(&place.path);
    place.line.map_or_else(|| path.clone(), |number| format!("{path}:{number}"))
}

/// Makes a text of a report one line without control characters.
fn line(text: &str) -> String {
    safe(text, Keep::Nothing).replace(['\n', '\t'], " ")
}

fn padded(cell: &str, wide: usize) -> String {
    format!("{cell}{}", " ".repeat(wide.saturating_sub(width(cell))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruling(rule: &str, demand: &str, fact: &str, verdict: Verdict) -> Ruling {
        let [rule, demand, fact] = [rule, demand, fact].map(str::to_owned);
        Ruling { rule, demand, fact, verdict, breaches: Vec::new(), more: 0 }
    }

    fn breach(text: &str, line: Option<u32>) -> Breach {
        let place =
            line.map(|line| Location { path: "src/b.rs".to_owned(), line: Some(line), end_line: None });
        Breach { text: text.to_owned(), place, severity: None }
    }

    fn evidence() -> Evidence {
        let missed = vec![breach("20 of 80 lines not covered: 61-75, 77, 80-83", Some(61))];
        let rulings = vec![
            Ruling {
                breaches: missed.clone(),
                ..ruling("coverage.min", "≥ 80 %", "76.2 % (381 of 500 lines)", Verdict::Broken)
            },
            Ruling {
                breaches: missed,
                ..ruling(
                    "coverage.max-drop",
                    "at most 2 points less than before",
                    "76.2 %, 5.8 points less than 82.0 %",
                    Verdict::Broken,
                )
            },
            Ruling {
                breaches: (1..=12).map(|number| breach(&format!("t{number}: \u{1b}[2Jred"), None)).collect(),
                more: 3,
                ..ruling("tests.failed", "none", "15 of 40 tests", Verdict::Broken)
            },
            ruling("findings.new", "none", "not compared: no baseline", Verdict::Unjudged),
            ruling("secrets", "none", "0", Verdict::Holds),
        ];
        let baseline = Some("1a2b3c4 (merge base with origin/main)".to_owned());
        Evidence { rulings, baseline, ..Evidence::default() }
    }

    #[test]
    fn all_rules_are_shown_with_the_causes_of_failures() {
        insta::assert_snapshot!(table(&evidence(), FEW, Paint::PLAIN), @r"
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
            rulings: vec![
                ruling("sonar", "ok", "ok", Verdict::Holds),
                ruling("secrets", "≤ 3", "0", Verdict::Holds),
            ],
            ..Evidence::default()
        };
        insta::assert_snapshot!(table(&evidence, FEW, Paint::PLAIN), @r"
    ✓ sonar    ok   ok  holds
    ✓ secrets  ≤ 3  0   holds
    ");
        assert_eq!(failures(&evidence, FEW), "");
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
