//! Decides whether two lists of patterns may match the same path, without looking at any file. This
//! module must not know what the lists are for.
//!
//! A pattern becomes an automaton that accepts all paths that it matches, and two automata are followed byte
//! by byte at the same time. The answer is exact for `*`, `?`, `[…]`, `{…}` and whole `**` parts. If an exact
//! answer would be expensive, or the glob is unusual, the automaton accepts more paths. A wrong answer is
//! then always "they overlap", never "they don't".

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::alphabet::Unit;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

use crate::base::path::RepoPath;
use crate::base::pattern::{Matcher, Pattern, Patterns};

/// The maximum size of an automaton in bytes.
const MAX_SIZE: usize = 1 << 20;

/// The maximum number of pairs of states that are compared.
const MAX_PAIRS: usize = 10_000;

/// The shapes of a list, in its order.
#[derive(Clone, Debug)]
pub struct Shapes(Vec<ShapeItem>);

#[derive(Clone, Debug)]
struct ShapeItem {
    excludes: bool,
    shape: Shape,
}

/// The shape of one pattern.
#[derive(Clone, Debug)]
pub struct Shape {
    folder: RepoPath,
    glob: String,
    prefix: Vec<u8>,
    /// It is built when it is needed; `None` if it is too large.
    automaton: OnceLock<Option<Automaton>>,
}

#[derive(Clone, Debug)]
struct Automaton {
    states: dense::DFA<Vec<u32>>,
    /// Whether it accepts only what the pattern matches.
    is_exact: bool,
}

impl Shapes {
    /// Returns the shapes of a list. An included set contributes everything that it includes. An
    /// excluded set is ignored.
    pub fn new(patterns: &Patterns) -> Self {
        let mut elements = Vec::new();
        collect(patterns, &mut elements);
        Self(elements)
    }

    /// Returns the including shapes of the list, each with its position. If the list contains no
    /// sets and includes anything, the positions are those of [`Patterns::items`].
    pub fn included(&self) -> impl Iterator<Item = (usize, &Shape)> {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, element)| !element.excludes)
            .map(|(i, element)| (i, &element.shape))
    }

    /// Returns the positions of the first two shapes that may match the same path.
    pub fn overlap(&self, other: &Self) -> Option<(usize, usize)> {
        self.included().find_map(|(ours, _)| {
            other
                .included()
                .find(|(theirs, _)| self.meets(ours, other, *theirs))
                .map(|(theirs, _)| (ours, theirs))
        })
    }

    /// Returns whether the including shape at `ours` and that of `other` at `theirs` may match a path that no
    /// later exclusion of either list certainly removes.
    pub fn meets(&self, ours: usize, other: &Self, theirs: usize) -> bool {
        let (Some(a), Some(b)) = (self.0.get(ours), other.0.get(theirs)) else {
            return false;
        };
        a.shape.meets(&b.shape)
            && !self.is_excluded_later(ours, [&a.shape, &b.shape])
            && !other.is_excluded_later(theirs, [&a.shape, &b.shape])
    }

    fn is_excluded_later(&self, position: usize, shapes: [&Shape; 2]) -> bool {
        let later = self.0.iter().skip(position + 1).filter(|element| element.excludes);
        later.into_iter().any(|element| shapes.iter().any(|shape| element.shape.covers(shape)))
    }
}

fn collect(patterns: &Patterns, elements: &mut Vec<ShapeItem>) {
    let items = patterns.items();
    if !items.is_empty() && items.iter().all(|item| item.excludes) {
        elements.push(ShapeItem { excludes: false, shape: Shape::from_glob(RepoPath::top(), String::new()) });
    }
    for item in items {
        match (&item.matcher, item.excludes) {
            (Matcher::Pattern(pattern), excludes) => {
                elements.push(ShapeItem { excludes, shape: Shape::new(pattern) });
            }
            (Matcher::Set { patterns, .. }, false) => {
                // Exclusions inside a set apply only to the set, so they are left out.
                let mut inner = Vec::new();
                collect(patterns, &mut inner);
                elements.extend(inner.into_iter().filter(|element| !element.excludes));
            }
            (Matcher::Set { .. }, true) => {}
        }
    }
}

impl Shape {
    /// Returns the shape of one pattern.
    pub fn new(pattern: &Pattern) -> Self {
        Self::from_glob(pattern.folder().clone(), pattern.components().join("/"))
    }

    fn from_glob(folder: RepoPath, glob: String) -> Self {
        let prefix = literal_prefix(&folder, &glob);
        Self { folder, glob, prefix, automaton: OnceLock::new() }
    }

    /// Returns the bytes with which every match starts. Two shapes can only overlap if the prefix
    /// of one starts with the prefix of the other.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Returns whether some path may match both.
    pub fn meets(&self, other: &Self) -> bool {
        (self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix))
            && self.any_path(other, |ours, theirs| ours && theirs).unwrap_or(true)
    }

    /// Returns whether this certainly matches every path that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        other.prefix.starts_with(&self.prefix)
            && self.automaton().is_some_and(|automaton| automaton.is_exact)
            && self.any_path(other, |ours, theirs| !ours && theirs) == Some(false)
    }

    /// Returns whether there is a path for which `found` is true, given whether this matches it and whether
    /// `other` does. Only paths that `other` matches are looked at. Returns `None` if the search would be
    /// expensive.
    fn any_path(&self, other: &Self, found: impl Fn(bool, bool) -> bool) -> Option<bool> {
        let (ours, theirs) = (&self.automaton()?.states, &other.automaton()?.states);
        // Only these bytes lead to different states; any other one is like the next lower of them.
        let bytes: BTreeSet<u8> = [ours, theirs]
            .iter()
            .flat_map(|states| states.byte_classes().representatives(..))
            .filter_map(Unit::as_u8)
            .collect();
        let start =
            (ours.universal_start_state(Anchored::Yes)?, theirs.universal_start_state(Anchored::Yes)?);
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        while let Some((our, their)) = open.pop() {
            let ours_match = ours.is_match_state(ours.next_eoi_state(our));
            let theirs_match = theirs.is_match_state(theirs.next_eoi_state(their));
            if found(ours_match, theirs_match) {
                return Some(true);
            }
            for byte in &bytes {
                let next = (ours.next_state(our, *byte), theirs.next_state(their, *byte));
                if !theirs.is_dead_state(next.1) && seen.insert(next) {
                    open.push(next);
                }
            }
            if seen.len() > MAX_PAIRS {
                return None;
            }
        }
        Some(false)
    }

    fn automaton(&self) -> Option<&Automaton> {
        self.automaton.get_or_init(|| Automaton::new(&self.folder, &self.glob)).as_ref()
    }
}

impl Automaton {
    fn new(folder: &RepoPath, glob: &str) -> Option<Self> {
        let (regex, is_exact) = glob_regex(folder, glob.as_bytes());
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_SIZE))
            .determinize_size_limit(Some(MAX_SIZE));
        let states = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true))
            .thompson(thompson::Config::new().utf8(false))
            .build(&regex)
            .ok()?;
        Some(Self { states, is_exact })
    }
}

/// Returns the bytes before the first special character.
fn literal_prefix(folder: &RepoPath, glob: &str) -> Vec<u8> {
    let mut prefix = folder.bytes().to_vec();
    if !glob.is_empty() && !folder.is_top() {
        prefix.push(b'/');
    }
    let special = glob.find(['*', '?', '[', '{', '\\']).unwrap_or(glob.len());
    prefix.extend_from_slice(&glob.as_bytes()[..special]);
    prefix
}

/// An open brace of a glob.
struct Brace {
    /// The length of the regular expression before it.
    start: usize,
    starts_part: bool,
    /// Whether one of its choices ends with `**`.
    ends_deep: bool,
}

/// Returns a regular expression for the paths in `folder` that a glob matches and everything below them, and
/// whether it matches nothing else.
fn glob_regex(folder: &RepoPath, glob: &[u8]) -> (String, bool) {
    let mut regex = literal_regex(folder.bytes());
    match (folder.is_top(), glob.is_empty()) {
        (true, true) => return (".*".to_owned(), true),
        (false, false) => regex.push('/'),
        _ => {}
    }
    let mut is_exact = true;
    let mut braces: Vec<Brace> = Vec::new();
    let mut starts_part = true;
    let mut at = 0;
    while at < glob.len() {
        let rest = &glob[at..];
        let in_braces = !braces.is_empty();
        let token = match rest {
            [b'*', b'*', b'/', ..] if starts_part => Some(Token::exact("(?:[^/]*/)*", 3)),
            [b'*', b'*'] if starts_part => Some(Token::exact(".*", 2)),
            [b'*', b'*', b',' | b'}', ..] if starts_part && in_braces => {
                for brace in &mut braces {
                    brace.ends_deep = true;
                }
                Some(Token::exact(".*", 2))
            }
            [b'{', ..] => {
                braces.push(Brace { start: regex.len(), starts_part, ends_deep: false });
                Some(Token::exact("(?:", 1))
            }
            [b',', ..] if in_braces => Some(Token::exact("|", 1)),
            [b'}', next, ..] if braces.last().is_some_and(|brace| brace.ends_deep) => match next {
                // The `**` includes the slash, but the end of another choice does not.
                b'/' => Some(Token { regex: ")/?".to_owned(), is_exact: false, len: 2 }),
                b',' | b'}' => Some(Token::exact(")", 1)),
                _ => None,
            },
            [b'}', ..] if in_braces => Some(Token::exact(")", 1)),
            rest => Token::first(rest),
        };
        let Some(token) = token else {
            regex.truncate(braces.first().map_or(regex.len(), |brace| brace.start));
            return (regex + ".*", false);
        };
        starts_part = match rest[0] {
            b'/' => true,
            b'{' => starts_part,
            b',' => braces.last().is_some_and(|brace| brace.starts_part),
            b'*' => token.len == 3,
            b'}' => {
                braces.pop();
                token.len == 2
            }
            _ => false,
        };
        regex.push_str(&token.regex);
        is_exact &= token.is_exact;
        at += token.len;
    }
    (regex + "(?:/.*)?", is_exact)
}

/// A wildcard, class or character of a glob.
struct Token {
    regex: String,
    is_exact: bool,
    len: usize,
}

impl Token {
    fn exact(regex: &str, len: usize) -> Self {
        Self { regex: regex.to_owned(), is_exact: true, len }
    }

    /// Returns the first token of a glob, or `None` if matchers disagree about its meaning.
    fn first(glob: &[u8]) -> Option<Self> {
        const ANY: &str = "[^/]";
        Some(match *glob {
            [] | [b'\\'] | [b'*', b'*', ..] => return None,
            [b'*', ..] => Self::exact("[^/]*", 1),
            [b'?', ..] => Self::exact(ANY, 1),
            [b'[', ..] => {
                let len = class_end(glob, 0)?;
                let class = class_regex(&glob[1..len - 1]);
                Self { is_exact: class.is_some(), regex: class.unwrap_or_else(|| ANY.to_owned()), len }
            }
            [b'\\', byte, ..] if is_plain_escape(byte) => Self::exact(&literal_regex(&[byte]), 2),
            [b'\\', ..] => Self { is_exact: false, regex: ANY.to_owned(), len: 2 },
            [byte, ..] => Self::exact(&literal_regex(&[byte]), 1),
        })
    }
}

fn literal_regex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |regex, byte| regex + &format!("\\x{byte:02x}"))
}

/// Returns whether a backslash before this byte means the byte itself. Matchers read `\n` and the
/// like either as a letter or as a control character.
fn is_plain_escape(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && byte != b'/'
}

/// Returns a regular expression for a character class, given what is between its brackets; `None` if matchers
/// disagree about its meaning.
fn class_regex(class: &[u8]) -> Option<String> {
    let (negation, mut rest) = match class {
        [b'^' | b'!', rest @ ..] => ("^", rest),
        rest => ("", rest),
    };
    let mut ranges = String::new();
    while !rest.is_empty() {
        let low = class_member(&mut rest)?;
        let mut high = low;
        if let [b'-', after @ ..] = rest
            && !after.is_empty()
        {
            rest = after;
            high = class_member(&mut rest)?;
        }
        ranges.push_str(&format!("\\x{low:02x}-\\x{high:02x}"));
    }
    Some(format!("[[{negation}{ranges}]&&[^/]]"))
}

/// Takes the first character of a class.
fn class_member(class: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = match **class {
        [b'\\', byte, ref rest @ ..] if is_plain_escape(byte) => (byte, rest),
        [b'\\', ..] | [] => return None,
        [byte, ref rest @ ..] => (byte, rest),
    };
    *class = rest;
    Some(byte)
}

/// Returns the position after the character class that starts at `start`.
fn class_end(glob: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    if matches!(glob.get(at), Some(b'^' | b'!')) {
        at += 1;
    }
    let first = at;
    loop {
        match glob.get(at)? {
            b']' if at > first => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::base::pattern::{Item, PatternBase};

    fn list(texts: &[String], anchored: bool) -> Option<Patterns> {
        let base = RepoPath::top();
        let items: Option<Vec<Item>> = texts
            .iter()
            .map(|text| {
                let (excludes, text) = text.strip_prefix('!').map_or((false, &**text), |rest| (true, rest));
                let pattern = Pattern::parse(text, PatternBase { base: &base, anchored }).ok()?;
                Some(Item { excludes, ..Item::including(Matcher::Pattern(pattern)) })
            })
            .collect();
        items.map(Patterns::new)
    }

    fn shapes(texts: &str) -> Shapes {
        let texts: Vec<String> = texts.split(' ').map(str::to_owned).collect();
        Shapes::new(&list(&texts, true).unwrap())
    }

    #[test]
    fn pattern_lists_overlap_or_not() {
        let cases = [
            ("dist/*.js", "dist/*.css", false),
            ("dist", "dist/app.js", true),
            ("dist/app.js", "dist/", true),
            ("dist", "dist-old", false),
            ("dist", "web/dist", false),
            ("a/b", "a/c", false),
            ("a/*", "a/b/c", true),
            ("a/*/c", "a/b/d", false),
            ("a/*/c", "a/b", true),
            ("**/x.js", "a/b/*.css", true),
            ("a/**/c.js", "b/**", false),
            ("a/**/c.js", "a/x/*.js", true),
            ("a?", "ab", true),
            ("a?", "abc", false),
            ("f[0-4]", "f[5-9]", false),
            ("f[!0-4]", "f[5-9]", true),
            ("f[]a]", "f]", true),
            ("f[a-]", "f-", true),
            ("out.{js,css}", "out.css", true),
            ("out.{js,css}", "out.map", false),
            ("{a,b/c}/x", "b/c/x", true),
            ("{a,b/c}/x", "b/d/x", false),
            ("x{**,a}", "xb/c", true),
            ("{dist,build/**}", "build/x", true),
            ("{dist,build/**}", "src/x", false),
            ("{dist,{build,lib/**}}", "lib/x/y", true),
            ("{**,a}/b", "b", true),
            ("x/{a/**,b}/*.js", "x/c.js", false),
            ("lib*.so", "*.a", false),
            ("lib*.so", "*x.so", true),
            (r"a\*b/*", "axb/c", false),
            (r"a\*b/*", r"a\*b/c", true),
            ("dist !dist/api/**", "dist/api/x.js", false),
            ("dist !dist/api", "dist/api", false),
            ("dist !dist/api", "dist/*", true),
            ("dist/** !dist/*.map", "dist/a.map", false),
            ("dist/** !dist/**/*.map", "dist/a/b/c.map", false),
            ("dist/** !dist/**/*.map", "dist/a/*.map dist/*x.map", false),
            ("dist/** !dist/?.map", "dist/*.map", true),
            ("!dist/api dist", "dist/api", true),
            ("dist !dist/api dist/api/keep", "dist/api", true),
            ("dist !dist/api dist/api/keep", "dist/api/other", false),
        ];
        for (a, b, expected) in cases {
            assert_eq!(shapes(a).overlap(&shapes(b)).is_some(), expected, "{a} | {b}");
            assert_eq!(shapes(b).overlap(&shapes(a)).is_some(), expected, "{b} | {a}");
        }
    }

    #[test]
    fn list_of_exclusions_only_starts_from_everything() {
        assert!(shapes("!docs/**").overlap(&shapes("src")).is_some());
        assert!(shapes("!docs/**").overlap(&shapes("docs/x")).is_none());
    }

    #[test]
    fn patterns_that_are_expensive_to_compare_count_as_overlapping() {
        let many = format!("*a{}", "?".repeat(30));
        assert!(shapes(&many).overlap(&shapes("z")).is_some());
        assert!(shapes(&format!("x/{many}")).overlap(&shapes("z")).is_none());
    }

    #[test]
    fn overlapping_patterns_have_compatible_prefixes() {
        let cases = [("dist/*.js", "dist/"), ("dist", "dist"), ("a/b*/c", "a/b"), ("**/x", ""), ("*", "")];
        for (text, prefix) in cases {
            let shapes = shapes(text);
            assert_eq!(shapes.included().next().unwrap().1.prefix(), prefix.as_bytes(), "{text}");
        }
    }

    /// Returns all paths of at most `depth` parts.
    fn paths(parts: &[&str], depth: usize) -> Vec<RepoPath> {
        let mut all = Vec::new();
        let mut last = vec![RepoPath::top()];
        for _ in 0..depth {
            last = last.iter().flat_map(|p| parts.iter().map(|part| p.child(part.as_bytes()))).collect();
            all.extend_from_slice(&last);
        }
        all
    }

    fn any_part() -> impl Strategy<Value = &'static str> {
        select(vec![
            "a",
            "b",
            "ab",
            "*",
            "?",
            "a*",
            "*b",
            "*a*",
            "[ab]",
            "[!a]",
            "[!ab]b",
            "{a,b}",
            "{a,b/a}",
            "{,a}b",
            "{*,a}",
            "**",
            "x{**,a}",
            "a**",
            "{**,a}",
            "{a,{b,ab}}",
            r"\a",
            r"\*",
            "[a-c]?",
            "{a/**,b}",
            "{{**,a},b/a}",
            "{,a}",
            "{a,b}{a,,b}",
        ])
    }

    fn any_list() -> impl Strategy<Value = Vec<String>> {
        let pattern = prop::collection::vec(any_part(), 1..4).prop_map(|parts| parts.join("/"));
        let item = (pattern, 0..4, any::<bool>()).prop_map(|(pattern, exclusion, folder)| {
            format!("{}{pattern}{}", if exclusion == 0 { "!" } else { "" }, if folder { "/" } else { "" })
        });
        prop::collection::vec(item, 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// If a path matches both lists, they must overlap, and the path must start with the
        /// prefixes.
        #[test]
        fn common_path_is_never_missed(a in any_list(), b in any_list(), anchored in any::<bool>()) {
            let (Some(first), Some(second)) = (list(&a, anchored), list(&b, anchored)) else { return Ok(()) };
            let (ours, theirs) = (Shapes::new(&first), Shapes::new(&second));
            let paths = paths(&["a", "b", "ab", "xa", "c", "*"], 3);
            if let Some(path) = paths.iter().find(|path| first.matches(path) && second.matches(path)) {
                prop_assert!(ours.overlap(&theirs).is_some(), "{a:?} {b:?} both match {path}");
                prop_assert!(ours.included().any(|(_, s)| path.bytes().starts_with(s.prefix())));
            }
        }

        /// For plain patterns, the answer must be exact.
        #[test]
        fn plain_patterns_overlap_only_if_they_share_a_path(
            a in prop::collection::vec(select(vec!["a", "b", "ab", "?", "a*", "*b", "*", "[ab]", "{a,b}"]), 1..3),
            b in prop::collection::vec(select(vec!["a", "b", "ab", "?", "a*", "*b", "[!a]", "**"]), 1..3),
        ) {
            let (Some(first), Some(second)) = (list(&[a.join("/")], true), list(&[b.join("/")], true)) else {
                return Ok(());
            };
            let common = paths(&["a", "b", "c", "ab", "aa", "bb", "ba", "aab"], 3)
                .iter()
                .any(|path| first.matches(path) && second.matches(path));
            prop_assert_eq!(Shapes::new(&first).overlap(&Shapes::new(&second)).is_some(), common);
        }
    }
}
