//! Decides whether two lists of patterns may match the same path, without looking at any file. This
//! module must not know what the lists are for.
//!
//! A pattern becomes a few rows of path parts, one for each choice of its braces. Two rows overlap
//! if some path matches both. The answer is exact for `*`, `?`, `[…]`, `{…}` and whole `**` parts.
//! If an exact answer would be expensive, or the glob is unusual, the row is cut short, so that it
//! matches more. A wrong answer is then always "they overlap", never "they don't".

use crate::base::glob_row::{GlobPart, class_end, from_the_back, parse_row, part_covers, parts_meet};
use crate::base::path::RepoPath;
use crate::base::pattern::{Matcher, Pattern, Patterns};

/// The maximum number of choices of braces that are expanded.
const MAX_ROWS: usize = 64;

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
    rows: Vec<Vec<GlobPart>>,
    prefix: Vec<u8>,
    /// Whether the rows match only what the pattern matches.
    exact: bool,
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
        let shape = Shape { rows: vec![Vec::new()], prefix: Vec::new(), exact: true };
        elements.push(ShapeItem { excludes: false, shape });
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
        let folder = pattern.folder();
        let glob = pattern.rest().join("/");
        let mut shape = Self { rows: Vec::new(), prefix: literal_prefix(folder, &glob), exact: true };
        let front: Vec<GlobPart> = folder.parts().map(|part| GlobPart::Literal(part.into())).collect();
        if let Some(globs) = choices(glob.as_bytes()) {
            for glob in globs {
                let mut row = front.clone();
                shape.exact &= parse_row(&glob, &mut row);
                shape.rows.push(row);
            }
        } else {
            shape.exact = false;
            shape.rows.push(front);
        }
        shape
    }

    /// Returns the bytes with which every match starts. Two shapes can only overlap if the prefix
    /// of one starts with the prefix of the other.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Returns whether a part is literally `name`, in upper or lower case.
    pub fn names(&self, name: &[u8]) -> bool {
        let is_name =
            |part: &GlobPart| matches!(part, GlobPart::Literal(bytes) if bytes.eq_ignore_ascii_case(name));
        self.rows.iter().flatten().any(is_name)
    }

    /// Returns whether some path may match both.
    pub fn meets(&self, other: &Self) -> bool {
        self.rows.iter().any(|a| other.rows.iter().any(|b| rows_meet(a, b)))
    }

    /// Returns whether this certainly matches every path that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        self.exact && other.rows.iter().all(|b| self.rows.iter().any(|a| row_covers(a, b)))
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

/// Returns the globs that result from the choices of braces in `glob`, or `None` if there are too
/// many.
fn choices(glob: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut open = vec![glob.to_vec()];
    let mut done = Vec::new();
    while let Some(glob) = open.pop() {
        match first_brace(&glob) {
            None => done.push(glob),
            Some(brace) => {
                for (start, end) in brace.branches {
                    let parts = [&glob[..brace.start], &glob[start..end], &glob[brace.end..]];
                    open.push(parts.concat());
                }
            }
        }
        if open.len() + done.len() > MAX_ROWS {
            return None;
        }
    }
    Some(done)
}

struct Brace {
    start: usize,
    end: usize,
    branches: Vec<(usize, usize)>,
}

/// Returns the first `{…}` that is closed.
fn first_brace(glob: &[u8]) -> Option<Brace> {
    let mut at = 0;
    let mut depth = 0_usize;
    let mut start = 0;
    let mut branch = 0;
    let mut branches = Vec::new();
    while at < glob.len() {
        match glob[at] {
            b'\\' => at += 1,
            b'[' => {
                at = class_end(glob, at)?;
                continue;
            }
            b'{' => {
                if depth == 0 {
                    (start, branch) = (at, at + 1);
                }
                depth += 1;
            }
            b',' if depth == 1 => {
                branches.push((branch, at));
                branch = at + 1;
            }
            b'}' if depth == 1 => {
                branches.push((branch, at));
                return Some(Brace { start, end: at + 1, branches });
            }
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns whether a path matches both rows. A row also matches everything below its matches.
fn rows_meet(a: &[GlobPart], b: &[GlobPart]) -> bool {
    let mut at = 0;
    while let (Some(x), Some(y)) = (a.get(at), b.get(at)) {
        if *x == GlobPart::Deep || *y == GlobPart::Deep {
            return deep_rows_meet(&a[at..], &b[at..]);
        }
        if !parts_meet(x, y) {
            return false;
        }
        at += 1;
    }
    true
}

fn deep_rows_meet(a: &[GlobPart], b: &[GlobPart]) -> bool {
    from_the_back(a.len(), b.len(), |i, j, known| match (a.get(i), b.get(j)) {
        (None, _) | (_, None) => true,
        (Some(GlobPart::Deep), _) | (_, Some(GlobPart::Deep)) => known(i + 1, j) || known(i, j + 1),
        (Some(x), Some(y)) => known(i + 1, j + 1) && parts_meet(x, y),
    })
}

/// Returns whether row `a` certainly matches everything that row `b` matches.
fn row_covers(a: &[GlobPart], b: &[GlobPart]) -> bool {
    from_the_back(a.len(), b.len(), |i, j, known| match (a.get(i), b.get(j)) {
        (None, _) => true,
        // A `**` at the end needs at least one part.
        (Some(GlobPart::Deep), _) if i + 1 == a.len() => b[j..].iter().any(|part| *part != GlobPart::Deep),
        (_, None) => false,
        (Some(GlobPart::Deep), _) => known(i + 1, j) || known(i, j + 1),
        (Some(_), Some(GlobPart::Deep)) => false,
        (Some(x), Some(y)) => known(i + 1, j + 1) && part_covers(x, y),
    })
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
    fn too_many_alternatives_count_as_overlapping() {
        let many = "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}";
        assert!(shapes(many).overlap(&shapes("z")).is_some());
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
