//! Finds the location where a test failed in the test's message.
//!
//! Only unambiguous notations are recognized: those of pytest, Rust's panics, Playwright and the
//! stack traces of JavaScript. Go prints only the name of a file, which could be in any folder.

use crate::facts::Location;
use crate::uri;

/// Returns the first location in a text. If the file of the test is known, returns the first
/// location in that file.
pub(super) fn find(text: &str, file: Option<&str>) -> Option<Location> {
    text.lines().filter_map(in_line).find_map(|spot| match file {
        None => Some(spot),
        Some(file) => {
            let file = file.replace('\\', "/");
            same(&spot.path, &file).then_some(Location { path: file, ..spot })
        }
    })
}

/// Returns whether one of two paths ends with the other.
fn same(one: &str, two: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    ends(one, two) || ends(two, one)
}

fn in_line(line: &str) -> Option<Location> {
    if let Some((_, panicked)) = line.split_once(" panicked at ") {
        return parse_location(panicked.trim_end_matches(':'));
    }
    // `a.spec.js:4:3 › suite › test ───`
    let trimmed = line.trim_start();
    if let Some((start, _)) = trimmed.split_once(" › ") {
        return parse_location(start);
    }
    // `    at Object.toBe (/home/dev/shop/sum.test.js:8:23)`
    if let Some(frame) = trimmed.strip_prefix("at ") {
        let inner =
            frame.trim_end().rsplit_once(" (").map_or(frame, |(_, place)| place.trim_end_matches(')'));
        let absolute = inner.starts_with('/') || inner.starts_with("file://") || inner.contains(":\\");
        let own = !inner.contains("node_modules") && !inner.starts_with("/rustc/");
        return if absolute && own { parse_location(inner.trim_end()) } else { None };
    }
    // `tests/test_price.py:12: AssertionError`
    let (start, _) =
        line.split_once(": ").or_else(|| line.trim_end().strip_suffix(':').map(|start| (start, "")))?;
    if line.starts_with(char::is_whitespace) { None } else { parse_location(start) }
}

/// Parses `path:line` or `path:line:column`. The file must have an extension.
fn parse_location(text: &str) -> Option<Location> {
    let (rest, last) = number(text)?;
    let (path, line) = number(rest).unwrap_or((rest, last));
    let path = if path.starts_with("file:") { uri::to_path(path) } else { uri::normalize(path) };
    let name = path.rsplit('/').next()?;
    let (stem, ending) = name.rsplit_once('.')?;
    let sound = !stem.is_empty()
        && (1..=6).contains(&ending.len())
        && ending.chars().all(|c| c.is_ascii_alphanumeric())
        && !path.contains(['(', ')', '<', '>', '"', '\'', '`', ',', ';', '=']);
    sound.then_some(Location { path, line: Some(line), end_line: None })
}

fn number(text: &str) -> Option<(&str, u32)> {
    let (rest, number) = text.rsplit_once(':')?;
    let number = number.parse().ok().filter(|number| *number > 0)?;
    Some((rest, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unambiguous_text_is_a_location() {
        let cases = [
            ("tests/test_price.py:12: AssertionError", Some(("tests/test_price.py", 12))),
            ("more/test_broken.py:1: in <module>", Some(("more/test_broken.py", 1))),
            ("thread 'a' (12) panicked at src/lib.rs:19:9:\nassertion", Some(("src/lib.rs", 19))),
            ("thread 'a' panicked at src/lib.rs:19:9", Some(("src/lib.rs", 19))),
            ("  play.spec.js:4:3 › till › gives change ───", Some(("play.spec.js", 4))),
            ("    at Object.toBe (/home/dev/shop/sum.test.js:8:23)", Some(("/home/dev/shop/sum.test.js", 8))),
            ("        at /home/dev/shop/play.spec.js:5:19", Some(("/home/dev/shop/play.spec.js", 5))),
            ("  at x (file:///home/dev/a%20b/node.test.mjs:8:39)", Some(("/home/dev/a b/node.test.mjs", 8))),
            ("  at x (C:\\shop\\a.test.js:8:39)", Some(("C:/shop/a.test.js", 8))),
            ("  at run (/home/dev/shop/node_modules/jest/index.js:3:4)", None),
            ("  at Test.run (node:internal/test_runner/test:796:25)", None),
            ("  at /rustc/abc/library/std/src/panicking.rs:689:5", None),
            ("  at com.shop.PriceTest.adds(PriceTest.java:12)", None),
            ("    price_test.go:12: not 4", None),
            ("at 12:30:15: it failed", None),
            ("http://shop.example:8080: refused", None),
            ("expected: 3", None),
            ("", None),
        ];
        for (text, place) in cases {
            let found = find(text, None).map(|spot| (spot.path, spot.line.unwrap()));
            assert_eq!(found, place.map(|(path, line)| (path.to_owned(), line)), "{text}");
        }
    }

    #[test]
    fn location_in_the_given_file_is_preferred() {
        let text = "src/shop.py:3: in total\ntests/a.py:5: Error\n";
        assert_eq!(find(text, Some("tests/a.py")).unwrap().line, Some(5));
        assert_eq!(find(text, Some("/home/dev/shop/tests/a.py")).unwrap().path, "/home/dev/shop/tests/a.py");
        assert_eq!(find(text, Some("ests/a.py")), None);
        assert_eq!(find(text, Some("b.py")), None);
    }
}
