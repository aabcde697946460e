//! Builds and formats rulings, for all families of rules.

use super::evidence::{LISTED, Ruling, Verdict, Violation};

/// Returns a ruling without violations.
pub(super) fn ruling(rule: impl Into<String>, required: String, actual: String, verdict: Verdict) -> Ruling {
    Ruling { rule: rule.into(), required, actual, verdict, violations: Vec::new(), more: 0 }
}

/// Returns a broken ruling for a rule whose facts are in no report.
pub(super) fn missing_facts(rule: impl Into<String>, required: String, of: &str, kinds: &str) -> Ruling {
    let actual = format!("no report is about {of}; add {kinds} to the `reports` of a task");
    ruling(rule, required, actual, Verdict::Broken)
}

/// Returns the verdict for a rule that holds or does not hold.
pub(super) fn verdict(holds: bool) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::Broken }
}

/// Describes a maximum, such as `≤ 3`.
pub(super) fn at_most(most: u64) -> String {
    if most == 0 { "none".to_owned() } else { format!("≤ {most}") }
}

/// Formats a number with its noun, such as `1 line` or `2 lines`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Converts a count to `u64`.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Returns the first line of a text.
pub(super) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

impl Ruling {
    /// Adds the violations, most severe first, if the rule is broken.
    pub(super) fn with_violations(mut self, violations: impl IntoIterator<Item = Violation>) -> Self {
        if self.verdict == Verdict::Broken {
            let mut violations = violations.into_iter();
            self.violations = violations.by_ref().take(LISTED).collect();
            self.more = number(violations.count());
        }
        self
    }
}
