//! How a file differs from what would be generated, outside of what people may write. It must not know
//! which files there are.

use serde_json::Value;

use super::handwritten::Sections;
use crate::base::yaml;

/// Finds where a file differs from the same file as it is regenerated; `None` if they don't differ in what counts.
///
/// Blank lines and comments don't count, nor at which commit an action is pinned, which a bot updates, nor the
/// version of the runner.
pub fn find_drift(expected: &str, found: &str) -> Option<String> {
    let [expected, found] = [expected, found].map(significant_lines);
    let at = expected.iter().zip(&found).take_while(|(one, other)| one.1 == other.1).count();
    Some(match (expected.get(at), found.get(at)) {
        (None, None) => return None,
        (Some((_, line)), None) => format!("the end is missing, from `{}`", line.trim()),
        (None, Some((number, line))) => format!("{number}: `{}` should not be there", line.trim()),
        (Some((_, expected)), Some((number, found))) if expected.trim() == found.trim() => {
            format!("{number}: `{}` is indented differently", found.trim())
        }
        (Some((_, expected)), Some((number, found))) => {
            format!("{number}: found `{}`, expected `{}`", found.trim(), expected.trim())
        }
    })
}

/// Returns the lines that count, with their numbers.
fn significant_lines(text: &str) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, without_pin(line.trim_end())));
    lines.filter(|(_, line)| !line.is_empty() && !line.trim_start().starts_with('#')).collect()
}

/// Replaces the commit that an action is pinned to, and the version of the runner: people who work together
/// may have different ones. A tag is kept: it may be moved.
fn without_pin(line: &str) -> String {
    let version = line.trim_start().strip_prefix("version=");
    if version.is_some_and(|version| version.split('.').all(|part| part.parse::<u32>().is_ok())) {
        return line.replace(version.unwrap_or_default(), "<version>");
    }
    let pinned = line.split_once("uses: ").and_then(|(_, action)| action.split_once('@'));
    if let Some((_, pin)) = pinned {
        let commit = pin.split(" #").next().unwrap_or_default().trim_end();
        if commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return line.replace(pin, "<commit>");
        }
    }
    line.to_owned()
}

/// Finds what hand-written sections do to a generated file besides adding to the list or map that they
/// are in; `None` if nothing. Such a section could take steps out of the run unnoticed.
pub fn find_interference(generated: &str, sections: &Sections) -> Option<String> {
    let outdented = sections.indents(generated).find_map(|(name, indent, lines)| {
        let mut depths = lines.iter().filter(|line| is_code(line)).map(|line| indent_of(line));
        let is_wrong =
            depths.next().is_some_and(|first| first != indent) || depths.any(|depth| depth < indent);
        is_wrong.then(|| format!("the section `{name}` is not indented like the lines that mark it"))
    });
    if outdented.is_some() {
        return outdented;
    }
    let without = yaml::parse(generated).ok()?;
    match yaml::parse(&sections.fill(generated)) {
        Ok(with) => first_lost(&without, &with, "")
            .map(|path| format!("a hand-written section changes `{path}`, which is generated")),
        Err(error) => Some(format!("with its hand-written sections it is not YAML: {error}")),
    }
}

fn is_code(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns the path of the first value of `part` that `whole` does not have at the same place. Lists may
/// have more items in between.
fn first_lost(part: &Value, whole: &Value, path: &str) -> Option<String> {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part.iter().find_map(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match whole.get(key) {
                Some(other) => first_lost(value, other, &path),
                None => Some(path),
            }
        }),
        (Value::Array(part), Value::Array(whole)) => {
            let mut rest = whole.iter();
            let is_lost = |item: &Value| !rest.any(|other| first_lost(item, other, "").is_none());
            part.iter().position(is_lost).map(|at| format!("{path}[{at}]"))
        }
        _ => (part != whole).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_different_line_is_named() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let uses = format!("uses: a/b@{commit}");
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("a: 1\nb: 2", "# a word\na: 1\n\nb: 2", None),
            ("a: 1\nb: 2", "# a word\na: 3\nb: 2", Some("2: found `a: 3`, expected `a: 1`")),
            ("a: 1\nb: 2", "a: 1", Some("the end is missing, from `b: 2`")),
            ("a: 1", "a: 1\nb: 2", Some("2: `b: 2` should not be there")),
            ("a:\n  b: 2", "a:\nb: 2", Some("2: `b: 2` is indented differently")),
            (&uses, "uses: a/b@ffffffffffffffffffffffffffffffffffffffff # v9", None),
            ("  version=0.1.0", "  version=0.2.0", None),
            (
                "version=0.1.0",
                "version=$(evil)",
                Some("1: found `version=$(evil)`, expected `version=<version>`"),
            ),
            (&uses, "uses: a/b@v4", Some("1: found `uses: a/b@v4`, expected `uses: a/b@<commit>`")),
        ];
        for (expected, found, drift) in cases {
            assert_eq!(find_drift(expected, found).as_deref(), *drift, "{expected}\n{found}");
        }
    }

    #[test]
    fn section_must_only_add_to_its_surroundings() {
        const GENERATED: &str = "\
on: push
jobs:
  ci:
    steps:
      - uses: one
      # xtask: begin setup
      # xtask: end setup
      - run: two
  # xtask: begin jobs
  # xtask: end jobs
";
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("setup", "", None),
            ("setup", "      - run: make\n\n# a word\n      - run: more", None),
            ("setup", "      - run: |\n          make", None),
            ("jobs", "  more:\n    steps: []", None),
            // The steps that follow would belong to another job.
            (
                "setup",
                "      - run: 'true'\n  never:\n    if: false\n    steps:",
                Some("the section `setup` is not indented like the lines that mark it"),
            ),
            ("setup", "    other:", Some("the section `setup` is not")),
            ("jobs", "    if: false", Some("the section `jobs` is not")),
            ("jobs", "      - run: 'true'", Some("the section `jobs` is not")),
            ("jobs", "permissions: write-all", Some("the section `jobs` is not")),
            // The step that follows would be text.
            ("setup", "      - run: \"true", Some("with its hand-written sections it is not YAML: line ")),
            ("setup", "      - run: |\n         echo\n        \\", Some("with its hand-written sections")),
            ("jobs", "  ci:\n    steps: []", Some("with its hand-written sections it is not YAML: line ")),
        ];
        for (name, lines, expected) in cases {
            let text = format!("# xtask: begin {name}\n{lines}\n# xtask: end {name}\n");
            let found = find_interference(GENERATED, &Sections::parse(&text).unwrap());
            match expected {
                None => assert_eq!(found, None, "{name}: {lines}"),
                Some(start) => {
                    assert!(
                        found.as_deref().is_some_and(|text| text.starts_with(start)),
                        "{found:?}: {lines}"
                    );
                }
            }
        }
    }

    #[test]
    fn lost_value_is_named_by_its_path() {
        let lost = |part: &str, whole: &str| {
            first_lost(&yaml::parse(part).unwrap(), &yaml::parse(whole).unwrap(), "")
        };
        assert_eq!(lost("a: [1, 2]\nb: {c: x}", "a: [1, 9, 2]\nb: {c: x, d: 1}\ne: 1"), None);
        assert_eq!(lost("a: [1, 2]", "a: [1]").as_deref(), Some("a[1]"));
        assert_eq!(lost("a: {b: [1, 2]}", "a: {b: [2, 1]}").as_deref(), Some("a.b[1]"));
        assert_eq!(lost("a: {b: 1}", "a: {b: 2}").as_deref(), Some("a.b"));
        assert_eq!(lost("a: {b: 1}", "a: 1").as_deref(), Some("a"));
    }
}
