//! How a tree differs from what it should be, by the path of each difference. It must not know which
//! files there are.

use super::pin::{self, Standing};
use super::tree::{Node, Value, quoted};

/// More of a node is not shown.
const SHOWN: usize = 70;
/// Characters before the place where two texts differ, and at least as many behind it.
const CONTEXT: usize = 20;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the tree that is there; of what is missing, that of what it is missing in.
    pub line: usize,
    /// Such as `jobs.ci.steps[2].run`.
    pub path: String,
    /// What is wrong, as it goes on behind the path.
    pub what: String,
    /// Whether it is there and should not be, and nothing else.
    pub is_surplus: bool,
}

/// All differences, in the order of the tree that should be.
pub fn compare(expected: &Node, found: &Node) -> Vec<Difference> {
    let mut differences = Vec::new();
    node(expected, found, "", &mut differences);
    differences
}

fn node(expected: &Node, found: &Node, path: &str, out: &mut Vec<Difference>) {
    match (&expected.value, &found.value) {
        (Value::Map(want), Value::Map(have)) => {
            for (key, want) in want {
                let path = below(path, key);
                match have.get(key) {
                    Some(have) if key == "uses" => action(want, have, &path, out),
                    Some(have) => node(want, have, &path, out),
                    None => out.push(missing(want, found, path)),
                }
            }
            for (key, have) in have.iter().filter(|(key, _)| !want.contains_key(*key)) {
                out.push(surplus(have, below(path, key)));
            }
        }
        (Value::List(want), Value::List(have)) => list(want, have, (path, found), out),
        (want, have) if want == have => {}
        _ => {
            let [found_text, expected_text] = around(&found.flow(), &expected.flow());
            out.push(Difference {
                line: found.line,
                path: path.to_owned(),
                what: format!("{found_text} should be {expected_text}"),
                is_surplus: false,
            });
        }
    }
}

/// Two texts, cut so that the place where they first differ is shown.
fn around(one: &str, other: &str) -> [String; 2] {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    let from = if same + CONTEXT <= SHOWN { 0 } else { same - CONTEXT };
    [one, other].map(|text| {
        let start = if from > 0 { "…" } else { "" };
        let room = SHOWN - start.chars().count();
        let rest = text.chars().skip(from);
        if rest.clone().count() <= room {
            format!("{start}{}", rest.collect::<String>())
        } else {
            format!("{start}{}…", rest.take(room - 1).collect::<String>())
        }
    })
}

fn action(expected: &Node, found: &Node, path: &str, out: &mut Vec<Difference>) {
    let (Some(want), Some(have)) = (expected.text(), found.text()) else {
        return node(expected, found, path, out);
    };
    match pin::compare(want, have) {
        Standing::Same => {}
        Standing::Other => node(expected, found, path, out),
        Standing::Loose => out.push(Difference {
            line: found.line,
            path: path.to_owned(),
            what: format!(
                "{} names no commit, and tags move; it should be {}",
                quoted(have),
                expected.brief(SHOWN)
            ),
            is_surplus: false,
        }),
    }
}

/// Compares lists so that one element more or less is one difference. Elements that are the same
/// belong together; of what is between them, the first to the first, and so on.
fn list(want: &[Node], have: &[Node], (path, found): (&str, &Node), out: &mut Vec<Difference>) {
    let (mut w, mut h) = (0, 0);
    let end = (want.len(), have.len());
    for (at_w, at_h) in matches(want, have).into_iter().chain([end]) {
        while w < at_w || h < at_h {
            match (want.get(w).filter(|_| w < at_w), have.get(h).filter(|_| h < at_h)) {
                (Some(want), Some(have)) => node(want, have, &element(path, h), out),
                (Some(want), None) => out.push(missing(want, found, element(path, w))),
                (None, Some(have)) => out.push(surplus(have, element(path, h))),
                (None, None) => break,
            }
            w += usize::from(w < at_w);
            h += usize::from(h < at_h);
        }
        (w, h) = (at_w + 1, at_h + 1);
    }
}

/// The longest common row of elements, as places in both.
fn matches(want: &[Node], have: &[Node]) -> Vec<(usize, usize)> {
    let same = |w: usize, h: usize| {
        let mut differences = Vec::new();
        node(&want[w], &have[h], "", &mut differences);
        differences.is_empty()
    };
    // The table grows with both; what is generated is short, what is there may be anything.
    let have = &have[..have.len().min(1000)];
    let mut lengths = vec![vec![0_usize; have.len() + 1]; want.len() + 1];
    let mut equal = vec![vec![false; have.len()]; want.len()];
    for w in (0..want.len()).rev() {
        for h in (0..have.len()).rev() {
            equal[w][h] = same(w, h);
            lengths[w][h] = if equal[w][h] {
                lengths[w + 1][h + 1] + 1
            } else {
                lengths[w + 1][h].max(lengths[w][h + 1])
            };
        }
    }
    let (mut w, mut h) = (0, 0);
    let mut found = Vec::new();
    while w < want.len() && h < have.len() {
        if equal[w][h] {
            found.push((w, h));
            (w, h) = (w + 1, h + 1);
        } else if lengths[w + 1][h] >= lengths[w][h + 1] {
            w += 1;
        } else {
            h += 1;
        }
    }
    found
}

fn missing(want: &Node, place: &Node, path: String) -> Difference {
    let what = format!("is missing; it should be {}", want.brief(SHOWN));
    Difference { line: place.line, path, what, is_surplus: false }
}

fn surplus(have: &Node, path: String) -> Difference {
    let what = format!("should not be there: {}", have.brief(SHOWN));
    Difference { line: have.line, path, what, is_surplus: true }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn element(path: &str, at: usize) -> String {
    format!("{path}[{at}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::tree::read;

    fn told(expected: &str, found: &str) -> Vec<String> {
        let differences = compare(&read(expected).unwrap(), &read(found).unwrap());
        differences.into_iter().map(|one| format!("{}: {}: {}", one.line, one.path, one.what)).collect()
    }

    #[test]
    fn long_texts_are_cut_around_what_differs() {
        let same = "0123456789".repeat(10);
        let told = |one: &str, other: &str| around(one, other).map(|text| text.chars().count() <= SHOWN);
        let [one, other] = around(&format!("{same}a{same}"), &format!("{same}b"));
        assert_eq!(one, format!("…{}a{}…", &same[80..], &same[..47]));
        assert_eq!(other, format!("…{}b", &same[80..]));
        assert_eq!(around("short", "text"), ["short", "text"]);
        let [one, other] = around(&format!("a{same}"), &format!("b{same}"));
        assert_eq!([one, other], ["a", "b"].map(|first| format!("{first}{}…", &same[..68])));
        // One that only goes on is not the same as the other either.
        let [one, other] = around(&same, &format!("{same}!"));
        assert_ne!(one, other);
        for at in 0..same.len() {
            let changed = format!("{}é{}", &same[..at], &same[at + 1..]);
            let [one, other] = around(&same, &changed);
            assert!(one != other && told(&same, &changed) == [true, true], "{at}: {one} {other}");
        }
    }

    #[test]
    fn each_difference_is_told_by_its_path() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let uses = format!("uses: a/b@{commit}");
        let cases: &[(&str, &str, &[&str])] = &[
            ("a: 1\nb: 2", "b: 2\n# a word\na: 1", &[]),
            ("a: {b: x}", "a:\n  b: y", &["2: a.b: \"y\" should be \"x\""]),
            ("a: {b: x}", "a: [x]", &["1: a: [\"x\"] should be {b: \"x\"}"]),
            ("a: 1\nb: 2", "a: 1", &["1: b: is missing; it should be 2"]),
            ("a: 1", "a: 1\nb: 2", &["2: b: should not be there: 2"]),
            ("[1, 2, 3]", "[1, 2, 9, 3]", &["1: [2]: should not be there: 9"]),
            ("[1, 2, 3]", "[1, 3]", &["1: [1]: is missing; it should be 2"]),
            ("[1, 2, 3]", "[1, 5, 3]", &["1: [1]: 5 should be 2"]),
            ("a: 1", "a: '1'", &["1: a: \"1\" should be 1"]),
            (&uses, "uses: a/b@ffffffffffffffffffffffffffffffffffffffff # v9", &[]),
            (
                &uses,
                "uses: c/d@ffffffffffffffffffffffffffffffffffffffff",
                &[
                    "1: uses: \"c/d@ffffffffffffffffffffffffffffffffffffffff\" should be \"a/b@0123456789abcdef0123456789abcdef01234567\"",
                ],
            ),
            (
                &uses,
                "uses: a/b@v4",
                &[
                    "1: uses: \"a/b@v4\" names no commit, and tags move; it should be \"a/b@0123456789abcdef0123456789abcdef01234567\"",
                ],
            ),
        ];
        for (expected, found, differences) in cases {
            assert_eq!(told(expected, found), *differences, "{expected}\n{found}");
        }
    }
}
