//! How a ruling is put together and worded, the same for all families of rules. It must not know any
//! of them.

use super::evidence::{Breach, LISTED, Ruling, Verdict};

/// A ruling without breaches.
pub(super) fn ruling(rule: impl Into<String>, demand: String, fact: String, verdict: Verdict) -> Ruling {
    Ruling { rule: rule.into(), demand, fact, verdict, breaches: Vec::new(), more: 0 }
}

/// Broken, since no report has such a fact.
pub(super) fn missing(rule: impl Into<String>, demand: String, of: &str, kinds: &str) -> Ruling {
    let fact = format!("no report says anything of {of}; add {kinds} to the `reports` of a task");
    ruling(rule, demand, fact, Verdict::Broken)
}

/// Whether it holds.
pub(super) fn verdict(holds: bool) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::Broken }
}

/// The demand of at most so many.
pub(super) fn at_most(most: u64) -> String {
    if most == 0 { "none".to_owned() } else { format!("≤ {most}") }
}

/// `1 line`, `2 lines`
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A number of things as one.
pub(super) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The first line of a text.
pub(super) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

impl Ruling {
    /// With what broke it, gravest first, if it is broken.
    pub(super) fn because(mut self, breaches: impl IntoIterator<Item = Breach>) -> Self {
        if self.verdict == Verdict::Broken {
            let mut breaches = breaches.into_iter();
            self.breaches = breaches.by_ref().take(LISTED).collect();
            self.more = number(breaches.count());
        }
        self
    }
}
