//! Gitignore-style patterns for paths of the repository. They are parsed once and matched often. It must not
//! know the file system, nor which table of tasks.toml a pattern is in.
//!
//! A list is read as git reads it: the last pattern that matches a path decides, `!` excludes, a pattern that
//! names a folder matches everything below it, and one without a slash matches at any depth (unless it is
//! *anchored*, as outputs are). A list of only exclusions starts with everything.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::base::path::RepoPath;

/// An ordered list of patterns. The last match decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Patterns(Vec<Item>);

/// An item of a list: a pattern or a named set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Item {
    /// Whether a match excludes the path from the list.
    pub excludes: bool,
    /// Whether it may match nothing. It is then written with a leading `?`.
    pub may_miss: bool,
    /// What it matches.
    pub matcher: Matcher,
    /// Where it is written in the file.
    pub span: SourceSpan,
}

/// The range of bytes in a file where an item is written, or `None` if it is not written in a file.
/// All marks are equal, so that lists with the same patterns are equal wherever they are written.
#[derive(Clone, Debug, Default, Eq, Serialize, Deserialize)]
pub struct SourceSpan(pub Option<Range<usize>>);

impl PartialEq for SourceSpan {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Hash for SourceSpan {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Item {
    /// Returns an item that includes matches and is not written in a file.
    pub fn including(what: Matcher) -> Self {
        Self { excludes: false, may_miss: false, matcher: what, span: SourceSpan::default() }
    }

    /// Returns the item as it is written in tasks.toml, such as `!docs/**` or `?.env`.
    pub fn text(&self) -> String {
        let marks =
            format!("{}{}", if self.excludes { "!" } else { "" }, if self.may_miss { "?" } else { "" });
        match &self.matcher {
            Matcher::Pattern(pattern) => format!("{marks}{}", pattern.text()),
            Matcher::Set { name, .. } => format!("{marks}@{name}"),
        }
    }
}

/// What an item of a list matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Matcher {
    /// One pattern.
    Pattern(Pattern),
    /// A named set, such as `@rust`.
    Set {
        /// Its name, without the `@`.
        name: String,
        /// Its patterns.
        patterns: Patterns,
    },
}

/// One pattern, without its `!`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Pattern {
    text: String,
    kind: PatternKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum PatternKind {
    /// This path, and everything below it.
    Within(RepoPath),
    /// Any path below the folder that has a part with this name.
    Named(RepoPath, Box<[u8]>),
    /// A path below the folder whose rest, or a parent of whose rest, matches the glob.
    Glob { folder: RepoPath, itself: String, below: Option<String> },
}

/// How the text of a pattern is interpreted.
#[derive(Clone, Copy, Debug)]
pub struct PatternBase<'a> {
    /// The folder that it is relative to.
    pub base: &'a RepoPath,
    /// Whether a pattern without a slash matches only in that folder.
    pub anchored: bool,
}

/// Why a text is not a valid pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty.
    #[error("an empty pattern matches nothing")]
    Empty,
    /// It is an absolute path, or a path outside the repository.
    #[error("it is outside the repository")]
    Outside,
    /// It contains a `[` or `{` that is not closed.
    #[error("`{0}` is never closed")]
    Unclosed(char),
    /// It is a glob that can't match any path.
    #[error("{0}")]
    Malformed(&'static str),
    /// It contains `..` after a wildcard.
    #[error("`..` can't follow a wildcard")]
    Parent,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The text is empty, leaves the repository, or has an unclosed bracket.
    pub fn parse(text: &str, origin: PatternBase<'_>) -> Result<Self, PatternError> {
        let folder_only = text.ends_with('/');
        let rooted = text.starts_with('/');
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Err(PatternError::Empty);
        }
        if let Some(open) = unclosed(trimmed) {
            return Err(PatternError::Unclosed(open));
        }
        let floating =
            !rooted && !origin.anchored && !trimmed.contains('/') && trimmed != "." && trimmed != "..";
        let (folder, rest) = resolve(trimmed, origin.base, floating)?;
        let kind = match (floating, rest.as_slice()) {
            (_, [] | ["**"]) => PatternKind::Within(folder),
            (true, [name]) if is_literal(name) => PatternKind::Named(folder, unescaped(name).into()),
            // A name has the same meaning as the glob, and is compared much faster.
            (false, ["**", name]) if is_literal(name) && !folder_only => {
                PatternKind::Named(folder, unescaped(name).into())
            }
            _ => {
                let rest = rest.join("/");
                // A leading `!` would negate the glob, but here it is part of a name.
                let itself = match (floating, rest.starts_with('!')) {
                    (true, _) => format!("**/{rest}"),
                    (false, true) => format!("\\{rest}"),
                    (false, false) => rest,
                };
                validate(&itself)?;
                let below = (!itself.ends_with("**")).then(|| format!("{itself}/**"));
                match below {
                    Some(below) if folder_only => PatternKind::Glob { folder, itself: below, below: None },
                    below => PatternKind::Glob { folder, itself, below },
                }
            }
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// Returns whether it matches `path` or a folder that contains it.
    pub fn matches(&self, path: &RepoPath) -> bool {
        self.matches_bytes(path.bytes())
    }

    fn matches_bytes(&self, path: &[u8]) -> bool {
        match &self.kind {
            PatternKind::Within(folder) => rest_below(path, folder).is_some(),
            PatternKind::Named(folder, name) => rest_below(path, folder)
                .is_some_and(|rest| rest.split(|byte| *byte == b'/').any(|part| part == &**name)),
            PatternKind::Glob { folder, itself, below } => rest_below(path, folder).is_some_and(|rest| {
                !rest.is_empty()
                    && (fast_glob::glob_match(itself, rest)
                        || below.as_ref().is_some_and(|below| fast_glob::glob_match(below, rest)))
            }),
        }
    }

    /// Returns the folder that contains all its matches, or the only match.
    pub fn folder(&self) -> &RepoPath {
        match &self.kind {
            PatternKind::Within(folder)
            | PatternKind::Named(folder, _)
            | PatternKind::Glob { folder, .. } => folder,
        }
    }

    /// Returns the path that it names, if it has no wildcard: a file, or a folder with everything
    /// below it.
    pub fn literal(&self) -> Option<&RepoPath> {
        match &self.kind {
            PatternKind::Within(path) if !self.text.ends_with("**") => Some(path),
            _ => None,
        }
    }

    /// Returns whether it matches `path` and everything below it.
    pub fn covers(&self, path: &RepoPath) -> bool {
        match &self.kind {
            PatternKind::Glob { below: None, itself, .. } => itself.ends_with("**") && self.matches(path),
            _ => self.matches(path),
        }
    }

    /// Returns whether it matches a kind of file at any depth below the folder of the file in which
    /// it is written, as `**/*.rs` and `*.rs` do. Such a pattern often matches nothing, and this is
    /// no mistake.
    pub fn is_deep(&self) -> bool {
        let text = self.text.trim_start_matches("./").trim_start_matches('/');
        match &self.kind {
            PatternKind::Within(_) => false,
            PatternKind::Named(..) => text.starts_with("**/"),
            PatternKind::Glob { itself, .. } => {
                text.starts_with("**/") || itself.starts_with("**/") && !text.contains('/')
            }
        }
    }

    /// Returns the pattern as it is written in tasks.toml.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the parts of the glob below [`Self::folder`]. Each is a part of a path or `**`. A
    /// match includes everything below it.
    pub fn components(&self) -> Vec<String> {
        match &self.kind {
            PatternKind::Within(_) => Vec::new(),
            PatternKind::Named(_, name) => vec!["**".to_owned(), escaped(&String::from_utf8_lossy(name))],
            PatternKind::Glob { itself, .. } => itself.split('/').map(str::to_owned).collect(),
        }
    }
}

/// Returns the part of `path` below `folder`; empty if it is the folder itself.
fn rest_below<'a>(path: &'a [u8], folder: &RepoPath) -> Option<&'a [u8]> {
    if folder.is_top() {
        return Some(path);
    }
    match path.strip_prefix(folder.bytes())? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Moves the literal parts at the start of `text` into the folder. The last literal part of a
/// floating pattern is not moved, since it matches at any depth.
fn resolve<'t>(
    text: &'t str,
    base: &RepoPath,
    floating: bool,
) -> Result<(RepoPath, Vec<&'t str>), PatternError> {
    let mut folder = base.clone();
    let mut rest: Vec<&str> = Vec::new();
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            if !rest.is_empty() {
                return Err(PatternError::Parent);
            }
            folder = folder.parent().ok_or(PatternError::Outside)?;
        } else if rest.is_empty() && !floating && is_literal(part) {
            folder = folder.child(&unescaped(part));
        } else {
            rest.push(part);
        }
    }
    Ok((folder, rest))
}

fn is_literal(part: &str) -> bool {
    let mut escaped = false;
    for c in part.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '*' | '?' | '[' | '{' => return false,
            _ => {}
        }
    }
    true
}

fn unescaped(part: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut chars = part.bytes();
    while let Some(byte) = chars.next() {
        bytes.push(if byte == b'\\' { chars.next().unwrap_or(b'\\') } else { byte });
    }
    bytes
}

fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '\\' | '*' | '?' | '[' | ']' | '{' | '}' | ',' | '!') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Rejects invalid globs. The matcher would accept some of them and then match nothing.
fn validate(glob: &str) -> Result<(), PatternError> {
    use fast_glob::ErrorKind;
    fast_glob::validate(glob).map_err(|error| match error.kind {
        ErrorKind::UnclosedBrace => PatternError::Unclosed('{'),
        ErrorKind::UnclosedBracket => PatternError::Unclosed('['),
        ErrorKind::TrailingBackslash => PatternError::Malformed("the `\\` at its end escapes nothing"),
        ErrorKind::BraceNestingTooDeep | ErrorKind::TooManyBraceGroups => {
            PatternError::Malformed("it has more than ten braces")
        }
        _ => PatternError::Malformed("it is not a glob"),
    })
}

fn unclosed(text: &str) -> Option<char> {
    let mut open = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            ']' if open.last() == Some(&'[') => {
                open.pop();
            }
            '[' if open.last() != Some(&'[') => open.push('['),
            '{' if open.last() != Some(&'[') => open.push('{'),
            '}' if open.last() == Some(&'{') => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

impl Patterns {
    /// Returns the list with these items.
    pub fn new(items: Vec<Item>) -> Self {
        Self(items)
    }

    /// Returns the list that matches everything in the repository.
    pub fn everything() -> Self {
        let all = Pattern { text: "**".to_owned(), kind: PatternKind::Within(RepoPath::top()) };
        Self(vec![Item::including(Matcher::Pattern(all))])
    }

    /// Returns the items of the list, in order.
    pub fn items(&self) -> &[Item] {
        &self.0
    }

    /// Returns whether the list has no item.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether it matches every path.
    pub fn is_whole(&self) -> bool {
        matches!(&*self.0, [Item { excludes: false, matcher: Matcher::Pattern(Pattern { kind: PatternKind::Within(folder), .. }), .. }]
            if folder.is_top())
    }

    /// Returns whether the list matches `path`.
    pub fn matches(&self, path: &RepoPath) -> bool {
        let decided = self.0.iter().rev().find(|item| item.matcher.matches(path));
        decided.map_or_else(|| self.starts_whole(), |item| !item.excludes)
    }

    /// Returns whether the list starts with everything because it contains only exclusions.
    fn starts_whole(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|item| item.excludes)
    }

    /// Returns the folders or files that contain all possible matches. They are sorted, and none is
    /// inside another.
    pub fn folders(&self) -> Vec<RepoPath> {
        let mut all = Vec::new();
        self.collect_folders(&mut all);
        all.sort();
        let mut kept: Vec<RepoPath> = Vec::new();
        for folder in all {
            if !kept.iter().any(|known| folder.is_within(known)) {
                kept.push(folder);
            }
        }
        kept
    }

    fn collect_folders(&self, all: &mut Vec<RepoPath>) {
        if self.starts_whole() {
            all.push(RepoPath::top());
        }
        for item in self.0.iter().filter(|item| !item.excludes) {
            match &item.matcher {
                Matcher::Pattern(pattern) => all.push(pattern.folder().clone()),
                Matcher::Set { patterns, .. } => patterns.collect_folders(all),
            }
        }
    }
}

/// Formats the list as it is written, such as `@rust, !docs/**`.
impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, item.text())?;
        }
        Ok(())
    }
}

impl Matcher {
    fn matches(&self, path: &RepoPath) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(path),
            Self::Set { patterns, .. } => patterns.matches(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::from_git(text.as_bytes())
    }

    fn list(texts: &[&str], anchored: bool) -> Patterns {
        let base = RepoPath::top();
        let origin = PatternBase { base: &base, anchored };
        Patterns(
            texts
                .iter()
                .map(|text| Item {
                    excludes: text.starts_with('!'),
                    ..Item::including(Matcher::Pattern(
                        Pattern::parse(text.trim_start_matches('!'), origin).unwrap(),
                    ))
                })
                .collect(),
        )
    }

    #[test]
    fn patterns_match_like_gitignore() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&["**/*.rs"], &["a.rs", "x/y/a.rs", "x/.hidden.rs"], &["a.py", "a.rsx"]),
            (&["*.rs"], &["a.rs", "x/y/a.rs", "dir.rs/file"], &["a.py"]),
            (&["Cargo.lock"], &["Cargo.lock", "x/Cargo.lock", "Cargo.lock/x"], &["aCargo.lock"]),
            (&["/Cargo.lock"], &["Cargo.lock"], &["x/Cargo.lock"]),
            (&["src"], &["src/a", "x/src/b"], &["source"]),
            (&["src/"], &["src/a", "src/b/c"], &["srcs"]),
            (&["src/api"], &["src/api", "src/api/x"], &["x/src/api", "src/apis"]),
            (&["docs/**"], &["docs/a", "docs/b/c"], &["doc"]),
            (&["a/*/c"], &["a/b/c", "a/b/c/d"], &["a/c", "a/b/b/c"]),
            (&["a/**/c"], &["a/c", "a/b/c", "a/b/b/c"], &["a/b"]),
            (&["{a,b}/*.ts"], &["a/x.ts", "b/y.ts"], &["c/x.ts"]),
            (&["f[0-9].txt"], &["f1.txt"], &["fa.txt"]),
            (&["**/*.rs", "!target/**"], &["src/a.rs"], &["target/a.rs"]),
            (&["!docs/**"], &["src/a"], &["docs/a"]),
            (&["!docs/**", "docs/keep.md"], &["docs/keep.md"], &["docs/a", "src/a"]),
            (&["**"], &["a", "b/c"], &[]),
            (&["./src/../lib"], &["lib/x"], &["src/x"]),
            (&[r"a\*b"], &["a*b"], &["axb"]),
            (&["a/!*.rs"], &["a/!x.rs"], &["a/x.rs", "a/b"]),
        ];
        for (texts, matching, other) in cases {
            let patterns = list(texts, false);
            for text in *matching {
                assert!(patterns.matches(&path(text)), "{texts:?} should match {text}");
            }
            for text in *other {
                assert!(!patterns.matches(&path(text)), "{texts:?} should not match {text}");
            }
        }
    }

    #[test]
    fn anchored_pattern_matches_in_its_folder_only() {
        let patterns = list(&["dist"], true);
        assert!(patterns.matches(&path("dist/a")));
        assert!(!patterns.matches(&path("web/dist/a")));
        assert_eq!(patterns.folders(), [path("dist")]);
    }

    #[test]
    fn patterns_that_leave_the_repository_are_refused() {
        let base = path("web/app");
        let origin = PatternBase { base: &base, anchored: false };
        assert_eq!(Pattern::parse("../../lib/x", origin).unwrap().folder(), &path("lib/x"));
        assert_eq!(Pattern::parse("../../../x", origin), Err(PatternError::Outside));
        assert_eq!(Pattern::parse("*/../x", origin), Err(PatternError::Parent));
        assert_eq!(Pattern::parse("a[b", origin), Err(PatternError::Unclosed('[')));
        assert_eq!(Pattern::parse("a[]", origin), Err(PatternError::Unclosed('[')));
        assert!(matches!(Pattern::parse(r"*\", origin), Err(PatternError::Malformed(_))));
        assert!(matches!(Pattern::parse(&"{a,b}".repeat(11), origin), Err(PatternError::Malformed(_))));
        assert_eq!(Pattern::parse("", origin), Err(PatternError::Empty));
    }

    #[test]
    fn search_folders_contain_all_possible_matches() {
        assert_eq!(
            list(&["src/a/*.rs", "src/**", "docs/x.md"], false).folders(),
            [path("docs/x.md"), path("src")]
        );
        assert_eq!(list(&["*.rs", "src/**"], false).folders(), [path("")]);
        assert_eq!(list(&["!src/**"], false).folders(), [path("")]);
    }
}
