//! A pattern of .gitignore or .gitattributes, matched byte by byte exactly as git does. It does not
//! know what a match means.
//!
//! Common glob libraries differ from git: they read braces as alternatives and can't represent
//! patterns that are not UTF-8. Each difference would hide a file from a snapshot.

/// Whether patterns distinguish upper and lower case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CaseSensitivity {
    Sensitive,
    /// `core.ignoreCase` is set.
    Insensitive,
}

/// Whether a path is a folder, which some patterns require.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PathKind {
    File,
    Folder,
}

/// A pattern without its `!`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Glob {
    text: Box<[u8]>,
    scope: MatchScope,
    /// The only kind of path that can match, if the pattern ends with a slash.
    only: Option<PathKind>,
    /// The number of bytes before the first special character.
    literal_len: usize,
    /// Whether the pattern is a star and literal text, such as `*.log`, and so is compared with the end of a
    /// name. Most patterns are, and this makes a list of them several times faster.
    is_suffix: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum MatchScope {
    /// The pattern has no slash: it matches the last part of a path, at any depth.
    Name,
    /// The pattern has a slash: it matches the path below the pattern's folder.
    Path,
}

impl Glob {
    /// Parses a pattern.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let (text, only) = match text.strip_suffix(b"/") {
            Some(text) => (text, Some(PathKind::Folder)),
            None => (text, None),
        };
        let scope = if text.contains(&b'/') { MatchScope::Path } else { MatchScope::Name };
        let text = text.strip_prefix(b"/").filter(|_| scope == MatchScope::Path).unwrap_or(text);
        let special = |text: &[u8]| text.iter().position(|byte| b"*?[\\".contains(byte));
        let is_suffix = scope == MatchScope::Name
            && text.strip_prefix(b"*").is_some_and(|suffix| special(suffix).is_none());
        let literal_len = special(text).unwrap_or(text.len());
        Self { text: text.into(), scope, only, literal_len, is_suffix }
    }

    /// Returns whether the pattern matches `path`, which is relative to the pattern's folder.
    pub(crate) fn matches(&self, path: &[u8], kind: PathKind, case: CaseSensitivity) -> bool {
        if self.only.is_some_and(|only| only != kind) {
            return false;
        }
        let path = match self.scope {
            MatchScope::Path => path,
            MatchScope::Name => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
        };
        if self.is_suffix {
            let suffix = &self.text[1..];
            let start = path.len().checked_sub(suffix.len());
            return start.is_some_and(|start| same_bytes(&path[start..], suffix, case));
        }
        // Like git, compare the literal front alone and treat the rest as a pattern of its own. This
        // decides what `a**/b` means.
        let Some((front, rest)) = path.split_at_checked(self.literal_len) else { return false };
        let (pattern, wild) = self.text.split_at(self.literal_len);
        same_bytes(front, pattern, case)
            && if wild.is_empty() {
                rest.is_empty()
            } else {
                wildmatch(wild, rest, self.scope, case) == WildmatchResult::Match
            }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WildmatchResult {
    Match,
    No,
    /// No other position of any star can match.
    Hopeless,
    /// Only a star that crosses slashes can match.
    NeedsDoubleStar,
}

fn wildmatch(pattern: &[u8], text: &[u8], scope: MatchScope, case: CaseSensitivity) -> WildmatchResult {
    let (mut p, mut t) = (0, 0);
    while let Some(&wanted) = pattern.get(p) {
        if wanted == b'*' {
            match match_star(pattern, p, &text[t..], scope, case) {
                StarMatch::Decided(outcome) => return outcome,
                // One star followed by a slash covers the text up to its next slash.
                StarMatch::UpTo { slash, after } => (p, t) = (after + 1, t + slash + 1),
            }
            continue;
        }
        let Some(&byte) = text.get(t) else { return WildmatchResult::Hopeless };
        let fits = match wanted {
            b'?' => scope == MatchScope::Name || byte != b'/',
            b'[' => match match_class(&pattern[p + 1..], byte, case) {
                Some((fits, len)) => {
                    p += len;
                    fits && (scope == MatchScope::Name || byte != b'/')
                }
                None => return WildmatchResult::Hopeless,
            },
            b'\\' => {
                p += 1;
                pattern.get(p).is_some_and(|wanted| *wanted == folded(byte, case))
            }
            _ => same_byte(wanted, byte, case),
        };
        if !fits {
            return WildmatchResult::No;
        }
        (p, t) = (p + 1, t + 1);
    }
    if t == text.len() { WildmatchResult::Match } else { WildmatchResult::No }
}

enum StarMatch {
    Decided(WildmatchResult),
    UpTo { slash: usize, after: usize },
}

/// Matches the star at `at` and all that follows it.
fn match_star(pattern: &[u8], at: usize, text: &[u8], scope: MatchScope, case: CaseSensitivity) -> StarMatch {
    let after = at + pattern[at..].iter().take_while(|byte| **byte == b'*').count();
    let rest = &pattern[after..];
    let mut crosses = scope == MatchScope::Name;
    let alone = at == 0 || pattern[at - 1] == b'/';
    if !crosses && after - at >= 2 && alone {
        crosses = rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"\\/");
        if let Some(rest) = rest.strip_prefix(b"/")
            && wildmatch(rest, text, scope, case) == WildmatchResult::Match
        {
            return StarMatch::Decided(WildmatchResult::Match);
        }
    }
    let slash = text.iter().position(|byte| *byte == b'/').filter(|_| !crosses);
    if rest.is_empty() {
        return StarMatch::Decided(if slash.is_some() {
            WildmatchResult::NeedsDoubleStar
        } else {
            WildmatchResult::Match
        });
    }
    if !crosses && rest[0] == b'/' {
        return match slash {
            Some(slash) => StarMatch::UpTo { slash, after },
            None => StarMatch::Decided(WildmatchResult::Hopeless),
        };
    }
    for start in 0..text.len() {
        match wildmatch(rest, &text[start..], scope, case) {
            WildmatchResult::No if slash == Some(start) => {
                return StarMatch::Decided(WildmatchResult::NeedsDoubleStar);
            }
            WildmatchResult::No => {}
            WildmatchResult::NeedsDoubleStar if crosses => {}
            outcome => return StarMatch::Decided(outcome),
        }
    }
    StarMatch::Decided(WildmatchResult::Hopeless)
}

/// Returns whether `byte` is in the class at the start of `pattern`, after its `[`, and the length of
/// the class; `None` if the class is not closed or contains an unknown named class.
fn match_class(pattern: &[u8], byte: u8, case: CaseSensitivity) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let mut found = false;
    let mut previous = None;
    let first = at;
    loop {
        let wanted = *pattern.get(at)?;
        match wanted {
            b']' if at > first => return Some((found != negated, at + 1)),
            b'-' if previous.is_some() && !matches!(pattern.get(at + 1), None | Some(b']')) => {
                at += 1 + usize::from(pattern[at + 1] == b'\\');
                let range = previous.take()?..=*pattern.get(at)?;
                found |= range.contains(&byte)
                    || (case == CaseSensitivity::Insensitive
                        && (range.contains(&byte.to_ascii_uppercase())
                            || range.contains(&byte.to_ascii_lowercase())));
            }
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let name = &pattern[at + 2..];
                let end = name.iter().position(|byte| *byte == b']')?;
                if let Some(name) = name[..end].strip_suffix(b":") {
                    found |= is_in_named_class(name, byte, case)?;
                    at += name.len() + 3;
                    previous = None;
                } else {
                    // It is not a named class, so the bracket is one of the bytes.
                    found |= byte == b'[';
                    previous = Some(b'[');
                }
            }
            _ => {
                at += usize::from(wanted == b'\\');
                let wanted = *pattern.get(at)?;
                found |= wanted == folded(byte, case);
                previous = Some(wanted);
            }
        }
        at += 1;
    }
}

fn is_in_named_class(name: &[u8], byte: u8, case: CaseSensitivity) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => {
            byte.is_ascii_lowercase() || (case == CaseSensitivity::Insensitive && byte.is_ascii_uppercase())
        }
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => {
            byte.is_ascii_uppercase() || (case == CaseSensitivity::Insensitive && byte.is_ascii_lowercase())
        }
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

fn same_bytes(a: &[u8], b: &[u8], case: CaseSensitivity) -> bool {
    match case {
        CaseSensitivity::Sensitive => a == b,
        CaseSensitivity::Insensitive => a.eq_ignore_ascii_case(b),
    }
}

/// Returns the byte of a name that is compared with an escaped byte or one of a class. Git folds only the name's
/// case there, so `[A]` matches nothing if case is ignored.
fn folded(byte: u8, case: CaseSensitivity) -> u8 {
    match case {
        CaseSensitivity::Sensitive => byte,
        CaseSensitivity::Insensitive => byte.to_ascii_lowercase(),
    }
}

fn same_byte(wanted: u8, byte: u8, case: CaseSensitivity) -> bool {
    match case {
        CaseSensitivity::Sensitive => wanted == byte,
        CaseSensitivity::Insensitive => wanted.eq_ignore_ascii_case(&byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_like_gits() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("*.o", &["a.o", "x/y/.o"], &["a.obj", "a"]),
            ("foo", &["foo", "x/foo"], &["foob", "x/foo/y"]),
            ("/foo", &["foo"], &["x/foo"]),
            ("a/*.c", &["a/b.c"], &["a/b/c.c", "x/a/b.c"]),
            ("a/**", &["a/b", "a/b/c"], &["a", "ab"]),
            ("**/b", &["b", "a/b", "a/c/b"], &["ab"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "axb"]),
            ("a/*/b", &["a/x/b"], &["a/b", "a/x/y/b"]),
            ("a?c", &["abc", "x/a.c"], &["a/c", "ac"]),
            ("{a,b}", &["{a,b}"], &["a", "b"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "-x"]),
            ("[!a-c]x", &["dx"], &["ax"]),
            ("[]x]", &["]", "x"], &["a"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[[:digit:]]z", &["1z"], &["az", ":z"]),
            ("[[:nope:]]", &[], &["n", ":"]),
            ("[ab", &[], &["a", "[ab"]),
            (r"\*a", &["*a"], &["xa"]),
            (r"a\", &[], &["a", r"a\"]),
            (r"[\]]", &["]"], &["\\"]),
            ("a*b*c", &["abc", "axbxc"], &["axbx"]),
            ("/", &[], &["a", "a/b"]),
        ];
        for (glob, matching, other) in cases {
            let parsed = Glob::parse(glob.as_bytes());
            for path in *matching {
                assert!(
                    parsed.matches(path.as_bytes(), PathKind::File, CaseSensitivity::Sensitive),
                    "{glob} {path}"
                );
            }
            for path in *other {
                assert!(
                    !parsed.matches(path.as_bytes(), PathKind::File, CaseSensitivity::Sensitive),
                    "{glob} {path}"
                );
            }
        }
    }

    #[test]
    fn trailing_slash_matches_folders_and_case_can_be_ignored() {
        let glob = Glob::parse(b"Build/");
        assert!(!glob.matches(b"Build", PathKind::File, CaseSensitivity::Sensitive));
        assert!(glob.matches(b"x/Build", PathKind::Folder, CaseSensitivity::Sensitive));
        assert!(!glob.matches(b"build", PathKind::Folder, CaseSensitivity::Sensitive));
        assert!(glob.matches(b"build", PathKind::Folder, CaseSensitivity::Insensitive));
        let cases: [(&str, &str, bool); 7] = [
            ("[A-C]*", "bx", true),
            ("[[:lower:]]", "A", true),
            ("[A]", "A", false),
            ("[a]", "A", true),
            (r"\A", "A", false),
            ("*.LOG", "x/a.log", true),
            ("*.LOG", "log", false),
        ];
        for (glob, path, expected) in cases {
            let glob = Glob::parse(glob.as_bytes());
            assert_eq!(
                glob.matches(path.as_bytes(), PathKind::File, CaseSensitivity::Insensitive),
                expected,
                "{path}"
            );
        }
    }

    #[test]
    fn many_stars_match_in_reasonable_time() {
        let long = [&b"x/"[..], &b"a".repeat(300)].concat();
        let glob = Glob::parse(["x/", &"*a".repeat(30), "*b"].concat().as_bytes());
        assert!(!glob.matches(&long, PathKind::File, CaseSensitivity::Sensitive));
        let glob = Glob::parse(["x/", &"**/a*".repeat(20), "b"].concat().as_bytes());
        assert!(!glob.matches(&long, PathKind::File, CaseSensitivity::Sensitive));
    }
}
