//! Names that people type: which are allowed, and which known name is nearest to a mistyped one.
//! This module must not know what has the name.

/// The maximum number of characters of a name.
pub const MAX_LENGTH: usize = 200;

/// Returns why `name` can't be the name of a task, group, tool or set, or `None` if it can.
pub fn invalid_reason(name: &str) -> Option<&'static str> {
    if name.chars().count() > MAX_LENGTH {
        return Some("a name has at most 200 characters");
    }
    let mut chars = name.chars();
    match chars.next() {
        None => return Some("a name can't be empty"),
        Some(first) if !(first.is_alphanumeric() || first == '_') => {
            return Some("a name starts with a letter, a digit or `_`");
        }
        Some(_) => {}
    }
    let odd = chars.any(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
    odd.then_some("a name has letters, digits, `-`, `_` and `.` only")
}

/// Returns the known name that is nearest to `given`, if it is near enough to be the intended one.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A text that is longer than any name can't be a mistyped name.
    if given.len() > 4 * MAX_LENGTH {
        return None;
    }
    let lower = given.to_lowercase();
    let limit = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter_map(|name| {
            let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
            let extends =
                lower.len() >= 2 && (name.starts_with(&lower) || lower.starts_with(name) && name.len() >= 2);
            (distance <= limit || extends).then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_a_typo_or_a_prefix() {
        let known = ["clippy", "unit", "integration", "e2e"];
        let cases = [
            ("clippy", Some("clippy")),
            ("Unit", Some("unit")),
            ("integ", Some("integration")),
            ("uint", Some("unit")),
            ("deploy", None),
            ("x", None),
        ];
        for (given, expected) in cases {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }

    #[test]
    fn invalid_names_are_refused_with_the_reason() {
        for name in ["a", "_x", "a-b.c_9", "éa"] {
            assert_eq!(invalid_reason(name), None, "{name}");
        }
        for name in ["", "-a", "a b", "a:b", "a[x]", "@a", &"a".repeat(201)] {
            assert!(invalid_reason(name).is_some(), "{name}");
        }
    }
}
