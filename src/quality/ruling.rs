//! Builds and formats rulings, for all families of rules.

use super::evidence::{Breach, LISTED, Ruling, Verdict};

/// Returns a ruling without breaches.
pub(super) fn ruling(rule: impl Into<String>, demand: String, fact: String, verdict: Verdict) -> Ruling {
    Ruling { rule: rule.into(), demand, fact, verdict, breaches: Vec::new(), more: 0 }
}

/// Returns a broken ruling for a rule whose facts are in no report.
pub(super) fn missing(rule: impl Into<String>, demand: String, of: &str, kinds: &str) -> Ruling {
    let fact = format!("no report is about {of}; add {kinds} to the `reports` of a task");
    ruling(rule, demand, fact, Verdict::Broken)
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
    /// Adds the breaches, most severe first, if the rule is broken.
    pub(super) fn because(mut self, breaches: impl IntoIterator<Item = Breach>) -> Self {
        if self.verdict == Verdict::Broken {
            let mut breaches = breaches.into_iter();
            self.breaches = breaches.by_ref().take(LISTED).collect();
            self.more = number(breaches.count());
        }
        self
    }
}
