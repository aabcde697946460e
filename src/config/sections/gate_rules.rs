//! The rule tables of a gate, from their values in tasks.toml to `quality::rules`. It must not know
//! what reports say.

use crate::base::pattern::Origin;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::schema::keys::{self, Keys};
use crate::config::sections::bounds;
use crate::config::sections::common_keys::Scope;
use crate::config::sections::file_sets;
use crate::config::syntax::document::{Entry, Table, Text, Value};
use crate::quality::rules::{Coverage, Findings as FindingRules, Licences, Rules, Tests};

/// Digits behind the point that a percentage may have. With so many it can be compared exactly.
const DIGITS: usize = 6;

/// Takes the entry if its key is a rule.
pub(crate) fn take(
    rules: &mut Rules,
    entry: &Entry<'_>,
    scope: &Scope<'_, '_>,
    findings: &mut Findings,
) -> bool {
    let value = entry.value;
    match entry.key.text {
        "coverage" => rules.coverage = coverage(value, scope, findings),
        "tests" => rules.tests = tests(value, findings),
        "findings" => rules.findings = of_findings(value, findings),
        "secrets" => rules.secrets = count(value, "a number of secrets", findings),
        "licences" => rules.licences = licences(value, findings),
        "performance" => rules.performance = bounds::read(value, findings),
        "sonar" => rules.sonar = sonar(value, findings),
        _ => return false,
    }
    true
}

/// The entries of a rule's table that are known; one without any is no rule.
fn known<'d>(
    value: Value<'d>,
    (name, keys, hint): (&str, &Keys, &str),
    findings: &mut Findings,
) -> Option<Table<'d>> {
    let table = value.table(hint, findings)?;
    if table.is_empty() {
        findings.add(empty(value, name, hint));
    }
    let (known, others): (Vec<_>, Vec<_>) = table.into_iter().partition(|entry| keys.knows(entry.key.text));
    for other in others {
        findings.add(keys.refusal(&other.key, &format!("`{name}`")));
    }
    Some(known)
}

fn empty(value: Value<'_>, name: &str, hint: &str) -> Diagnostic {
    Diagnostic::new(value.span(), format!("`{name}` demands nothing")).label("empty").hint(hint)
}

fn coverage(value: Value<'_>, scope: &Scope<'_, '_>, findings: &mut Findings) -> Option<Coverage> {
    let hint = "write it as { min = 80, max-drop = 2, paths = { \"billing/**\" = 100 } }";
    let mut rule = Coverage::default();
    for Entry { key, value } in known(value, ("coverage", &keys::COVERAGE, hint), findings)? {
        match key.text {
            "min" => rule.min = percent(value, findings),
            "max-drop" => rule.max_drop = percent(value, findings),
            _ => {
                let hint = "write it as { \"billing/**\" = 100 }";
                let Some(table) = value.table(hint, findings) else { continue };
                if table.is_empty() {
                    findings.add(empty(value, "paths", hint));
                }
                for Entry { key, value } in table {
                    let origin = Origin { base: scope.base, anchored: false };
                    let pattern = file_sets::glob(&key, origin, "a covered path", findings);
                    rule.paths.extend(pattern.zip(percent(value, findings)));
                }
            }
        }
    }
    Some(rule)
}

fn tests(value: Value<'_>, findings: &mut Findings) -> Option<Tests> {
    let hint = "write it as { failed = 0, min-count = 1 }";
    let mut rule = Tests::default();
    for Entry { key, value } in known(value, ("tests", &keys::TESTS, hint), findings)? {
        let number = count(value, "a number of tests", findings);
        match key.text {
            "failed" => rule.failed = number,
            "skipped" => rule.skipped = number,
            "flaky" => rule.flaky = number,
            _ => rule.min_count = number,
        }
    }
    Some(rule)
}

fn of_findings(value: Value<'_>, findings: &mut Findings) -> Option<FindingRules> {
    let hint = "write it as { critical = 0, high = 0, new = 0 }";
    let mut rule = FindingRules::default();
    for Entry { key, value } in known(value, ("findings", &keys::FINDINGS, hint), findings)? {
        let number = count(value, "a number of findings", findings);
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

fn licences(value: Value<'_>, findings: &mut Findings) -> Option<Licences> {
    let hint = "write it as { allow = [\"MIT\", \"Apache-2.0\", \"BSD-*\"] }";
    let mut rule = Licences::default();
    for Entry { key, value } in known(value, ("licences", &keys::LICENCES, hint), findings)? {
        let names = licence_names(value, &key, findings);
        if key.text == "allow" { rule.allow = names } else { rule.deny = names }
    }
    Some(rule)
}

fn licence_names(value: Value<'_>, key: &Text<'_>, findings: &mut Findings) -> Vec<String> {
    let Some(texts) = value.texts(findings) else { return Vec::new() };
    let hint = "write each licence on its own, such as [\"MIT\", \"Apache-2.0\", \"BSD-*\"]";
    if value.elements().is_some_and(|mut all| all.next().is_none()) {
        findings.add(empty(value, key.text, hint));
    }
    let mut names = Vec::new();
    for Text { text, span } in texts {
        let message = if text.trim().is_empty() {
            "an empty text names no licence".to_owned()
        } else if [" OR ", " AND "].iter().any(|joint| text.contains(joint)) {
            format!("`{}` is an expression, not a licence", keys::shown(text))
        } else {
            names.push(text.trim().to_owned());
            continue;
        };
        findings.add(Diagnostic::new(span, message).label("not one licence").hint(hint));
    }
    names
}

fn sonar(value: Value<'_>, findings: &mut Findings) -> bool {
    let Some(text) = value.text("\"ok\"", findings) else { return false };
    if text.text != "ok" {
        findings.add(
            Diagnostic::new(
                text.span,
                format!("`{}` can't be demanded of SonarQube", keys::shown(text.text)),
            )
            .label("not \"ok\"")
            .hint("write sonar = \"ok\": the server's own quality gate is passed"),
        );
    }
    true
}

fn count(value: Value<'_>, what: &str, findings: &mut Findings) -> Option<u64> {
    let number = value.integer(what, findings)?;
    let count = u32::try_from(number).ok().map(u64::from);
    if count.is_none() {
        findings.add(
            Diagnostic::new(value.span(), format!("{number} is not {what}"))
                .label("out of range")
                .hint("write a whole number from 0 on"),
        );
    }
    count
}

fn percent(value: Value<'_>, findings: &mut Findings) -> Option<f64> {
    let number = value.number("a percentage", findings)?;
    let digits = number.to_string().split_once('.').map_or(0, |(_, digits)| digits.len());
    let (label, hint) = if !(0.0..=100.0).contains(&number) {
        ("out of range", "a percentage is 0 to 100".to_owned())
    } else if digits > DIGITS {
        ("too precise", format!("at most {DIGITS} digits behind the point can be compared"))
    } else {
        return Some(number);
    };
    findings.add(
        Diagnostic::new(value.span(), format!("{number} can't be a percentage here")).label(label).hint(hint),
    );
    None
}
