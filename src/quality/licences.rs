//! Judges the rules for licences.

use spdx::{AdditionItem, Expression, LicenseItem, LicenseReq, ParseMode};

use super::evidence::{Ruling, Violation};
use super::inputs::GateInputs;
use super::rule_result::{counted, missing_facts, number, ruling, verdict};
use super::rules::Licences;
use super::suppressions::Suppressions;
use ci_reports::facts::Package;

/// The licence that is shown for a package whose report names none.
const UNKNOWN: &str = "unknown";
/// What SPDX writes in place of a licence if none is known.
const ABSENT: [&str; 2] = ["NOASSERTION", "NONE"];

/// The maximum number of characters of a licence that are shown.
const SHOWN: usize = 300;
/// The maximum number of parts of a long licence that are shown as not allowed.
const REFUSED: usize = 5;

/// Accepts expressions as people write them: `MIT/Apache-2.0`, deprecated ids and custom names.
const MODE: ParseMode = ParseMode { allow_unknown: true, ..ParseMode::LAX };

/// Adds the ruling on licences.
pub(super) fn judge(inputs: &GateInputs<'_>, suppressions: &Suppressions<'_>, rulings: &mut Vec<Ruling>) {
    let Some(rule) = &inputs.rules.licences else { return };
    let required = required_licences(rule);
    let Some(packages) = &inputs.facts.packages else {
        return rulings.push(missing_facts("licences", required, "packages", "`cyclonedx` or `spdx`"));
    };
    // The list may be empty: then the project has no dependencies.
    let mut sorted: Vec<&Package> = packages.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut by: Vec<u64> = vec![0; suppressions.len()];
    let mut violations = Vec::new();
    for package in &sorted {
        let mut left: Vec<&str> = Vec::new();
        for licence in refused(rule, package) {
            match suppressions.matching_licence(licence, &package.name) {
                Some(at) => by[at] += 1,
                None => left.push(licence),
            }
        }
        if !left.is_empty() {
            let version = if package.version.is_empty() { "" } else { " " };
            let text =
                format!("{}{version}{}: {}", package.name, package.version, format_licences(rule, &left));
            violations.push(Violation { text, place: None, severity: None });
        }
    }
    let all = counted(number(sorted.len()), "package");
    let actual = match violations.len() {
        0 => all,
        count => format!("{count} of {all} not allowed"),
    };
    let actual = format!("{actual}{}", suppressions.describe(&by));
    rulings.push(
        ruling("licences", required, actual, verdict(violations.is_empty())).with_violations(violations),
    );
}

fn required_licences(rule: &Licences) -> String {
    match (&*rule.allow, &*rule.deny) {
        ([], deny) => format!("not {}", deny.join(", ")),
        (allow, []) => allow.join(", "),
        (allow, deny) => format!("{}; not {}", allow.join(", "), deny.join(", ")),
    }
}

/// Returns the licences of a package that are not allowed.
fn refused<'p>(rule: &Licences, package: &'p Package) -> Vec<&'p str> {
    let known: Vec<&str> = package
        .licences
        .iter()
        .map(|licence| licence.trim())
        .filter(|licence| !licence.is_empty() && !ABSENT.contains(licence))
        .collect();
    if known.is_empty() {
        return vec![UNKNOWN];
    }
    known.into_iter().filter(|licence| !permits(rule, licence)).collect()
}

/// Formats licences for people. A long licence is cut, and its parts that are not allowed are
/// listed.
fn format_licences(rule: &Licences, licences: &[&str]) -> String {
    let one = |licence: &&str| {
        let Some((end, _)) = licence.char_indices().nth(SHOWN) else { return (*licence).to_owned() };
        let expression = Expression::parse_mode(licence, MODE);
        let terms = expression.iter().flat_map(Expression::requirements).map(|term| &term.req);
        let mut refused: Vec<String> =
            terms.filter(|term| !permits_term(rule, term)).map(ToString::to_string).collect();
        refused.sort();
        refused.dedup();
        refused.truncate(REFUSED);
        let within =
            if refused.is_empty() { String::new() } else { format!(" (in it {})", refused.join(", ")) };
        format!("{}…{within}", &licence[..end])
    };
    licences.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Returns whether an expression or a name is allowed.
fn permits(rule: &Licences, licence: &str) -> bool {
    match Expression::parse_mode(licence, MODE) {
        Ok(expression) => expression.evaluate(|term| permits_term(rule, term)),
        Err(_) => {
            // If the expression can't be parsed, it is denied if any part of it is.
            let parts = licence.split(|c: char| c.is_whitespace() || "()/,;".contains(c));
            let denied = parts.chain([licence]).any(|part| matches_any(&rule.deny, &[part]));
            !denied && (rule.allow.is_empty() || matches_any(&rule.allow, &[licence]))
        }
    }
}

/// Returns whether one term of an expression is allowed. A licence with an exception is allowed
/// only by a pattern that matches both. It is denied by a pattern that matches both or the licence
/// alone.
fn permits_term(rule: &Licences, term: &LicenseReq) -> bool {
    let names = names(&term.license);
    let full: Vec<String> = match &term.addition {
        Some(addition) => names.iter().map(|name| format!("{name} WITH {}", exception(addition))).collect(),
        None => names.clone(),
    };
    let (names, full): (Vec<&str>, Vec<&str>) =
        (names.iter().map(String::as_str).collect(), full.iter().map(String::as_str).collect());
    let denied = matches_any(&rule.deny, &names) || matches_any(&rule.deny, &full);
    !denied && (rule.allow.is_empty() || matches_any(&rule.allow, &full))
}

/// Returns the names by which tasks.toml may refer to a licence.
fn names(licence: &LicenseItem) -> Vec<String> {
    match licence {
        LicenseItem::Spdx { .. } => vec![licence.to_string()],
        LicenseItem::Other(other) => {
            let mut names = vec![licence.to_string(), other.lic_ref.clone()];
            names.dedup();
            names
        }
    }
}

fn exception(addition: &AdditionItem) -> String {
    match addition {
        AdditionItem::Spdx(_) => addition.to_string(),
        AdditionItem::Other(other) => other.add_ref.clone(),
    }
}

fn matches_any(patterns: &[String], names: &[&str]) -> bool {
    patterns.iter().any(|pattern| names.iter().any(|name| fits(pattern, name)))
}

/// Returns whether a name matches a pattern in which `*` stands for any characters. Upper and lower
/// case are not distinguished, as in SPDX ids.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_is_allowed_if_its_terms_are() {
        let allow = ["MIT", "Apache-2.0", "BSD-*", "GPL-2.0-only WITH Classpath-exception-2.0", "My Licence"];
        let rule = |allow: &[&str], deny: &[&str]| Licences {
            allow: allow.iter().map(|&name| name.to_owned()).collect(),
            deny: deny.iter().map(|&name| name.to_owned()).collect(),
        };
        for (licence, allowed, not_denied) in [
            ("MIT", true, true),
            ("mit", true, true),
            ("ISC", false, true),
            ("BSD-3-Clause", true, true),
            ("MIT OR GPL-3.0-only", true, true),
            ("MIT AND GPL-3.0-only", false, false),
            ("MIT AND (ISC OR Apache-2.0)", true, true),
            ("MIT/Apache-2.0", true, true),
            ("MIT/GPL-3.0", true, true),
            ("GPL-3.0+", false, false),
            ("GPL-2.0-only", false, false),
            ("GPL-2.0-only WITH Classpath-exception-2.0", true, false),
            ("Apache-2.0 WITH LLVM-exception", false, true),
            ("My Licence", true, true),
            ("Some Other Licence", false, true),
            ("Mine", false, true),
            ("Mine AND GPL-3.0-only", false, false),
            ("see LICENSE (GPL-3.0-only)", false, false),
            ("LicenseRef-Mine", false, true),
        ] {
            assert_eq!(permits(&rule(&allow, &[]), licence), allowed, "allowed: {licence}");
            assert_eq!(permits(&rule(&[], &["GPL-*"]), licence), not_denied, "not denied: {licence}");
        }
        assert!(!permits(&rule(&["*"], &["MIT"]), "MIT"), "what is denied is not allowed");
        assert!(permits(&rule(&["Apache-2.0*"], &[]), "Apache-2.0 WITH LLVM-exception"));
        assert!(permits(&rule(&["Mine"], &[]), "LicenseRef-Mine"));
        assert!(permits(&rule(&["LicenseRef-Mine"], &[]), "LicenseRef-Mine"));
    }

    #[test]
    fn long_licence_is_checked_whole_and_shown_cut() {
        let deny = Licences { allow: Vec::new(), deny: vec!["GPL-*".to_owned()] };
        let long = format!("{}GPL-3.0-only", "MIT AND ".repeat(8_000));
        assert!(!permits(&deny, &long));
        assert!(permits(&deny, &long.replace("GPL-3.0-only", "ISC")));
        let text = format_licences(&deny, &["GPL-2.0-only", &long]);
        assert!(text.starts_with("GPL-2.0-only, MIT AND MIT "), "{text}");
        assert!(text.ends_with(" MIT … (in it GPL-3.0-only)"), "{text}");
        assert!(text.chars().count() < 400, "{text}");
    }

    #[test]
    fn star_matches_any_characters() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("ab*ba", "aba", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
