//! One pattern of .gitignore or .gitattributes, matched byte by byte exactly as git does. It must
//! not know what a match means.
//!
//! A library's globs would not do: they read braces as alternatives, which git does not, and can't
//! hold a pattern that is not UTF-8. Each such difference would hide a file from a snapshot.

/// Whether upper and lower case count as the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    Counts,
    /// `core.ignoreCase`.
    Ignored,
}

/// What a path is, as far as patterns care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// One pattern, without its `!`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Glob {
    text: Box<[u8]>,
    reach: Reach,
    /// Only [`Kind::Folder`] can match a pattern that ends in a slash.
    only: Option<Kind>,
    /// Bytes at its front that stand for themselves.
    literal: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// Without a slash: the last part of a path, at any depth.
    Name,
    /// With one: the path below the pattern's folder.
    Path,
}

impl Glob {
    /// Reads a pattern.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let (text, only) = match text.strip_suffix(b"/") {
            Some(text) => (text, Some(Kind::Folder)),
            None => (text, None),
        };
        let reach = if text.contains(&b'/') { Reach::Path } else { Reach::Name };
        let text = text.strip_prefix(b"/").filter(|_| reach == Reach::Path).unwrap_or(text);
        let literal = text.iter().position(|byte| b"*?[\\".contains(byte)).unwrap_or(text.len());
        Self { text: text.into(), reach, only, literal }
    }

    /// Whether it matches `path`, which is relative to the pattern's folder.
    pub(crate) fn matches(&self, path: &[u8], kind: Kind, case: Case) -> bool {
        if self.only.is_some_and(|only| only != kind) {
            return false;
        }
        let path = match self.reach {
            Reach::Path => path,
            Reach::Name => path.rsplit(|byte| *byte == b'/').next().unwrap_or(path),
        };
        // As git does, the literal front is compared alone and the rest counts as a pattern of its
        // own; this decides what `a**/b` means.
        let Some((front, rest)) = path.split_at_checked(self.literal) else { return false };
        let (pattern, wild) = self.text.split_at(self.literal);
        let same = match case {
            Case::Counts => front == pattern,
            Case::Ignored => front.eq_ignore_ascii_case(pattern),
        };
        same && if wild.is_empty() {
            rest.is_empty()
        } else {
            wildmatch(wild, rest, self.reach, case) == Outcome::Match
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Match,
    No,
    /// No further position of any star can help.
    Hopeless,
    /// Only a star that crosses slashes can help.
    NeedsDoubleStar,
}

fn wildmatch(pattern: &[u8], text: &[u8], reach: Reach, case: Case) -> Outcome {
    let (mut p, mut t) = (0, 0);
    while let Some(&wanted) = pattern.get(p) {
        if wanted == b'*' {
            match star(pattern, p, &text[t..], (reach, case)) {
                Star::Decided(outcome) => return outcome,
                // One star and a slash: it covers the text up to its next slash.
                Star::UpTo { slash, after } => (p, t) = (after + 1, t + slash + 1),
            }
            continue;
        }
        let Some(&byte) = text.get(t) else { return Outcome::Hopeless };
        let fits = match wanted {
            b'?' => reach == Reach::Name || byte != b'/',
            b'[' => match class(&pattern[p + 1..], byte, case) {
                Some((fits, len)) => {
                    p += len;
                    fits && (reach == Reach::Name || byte != b'/')
                }
                None => return Outcome::Hopeless,
            },
            b'\\' => {
                p += 1;
                pattern.get(p).is_some_and(|wanted| same_byte(*wanted, byte, case))
            }
            _ => same_byte(wanted, byte, case),
        };
        if !fits {
            return Outcome::No;
        }
        (p, t) = (p + 1, t + 1);
    }
    if t == text.len() { Outcome::Match } else { Outcome::No }
}

enum Star {
    Decided(Outcome),
    UpTo { slash: usize, after: usize },
}

/// Matches the star at `at` and all behind it.
fn star(pattern: &[u8], at: usize, text: &[u8], (reach, case): (Reach, Case)) -> Star {
    let after = at + pattern[at..].iter().take_while(|byte| **byte == b'*').count();
    let rest = &pattern[after..];
    let mut crosses = reach == Reach::Name;
    let alone = at == 0 || pattern[at - 1] == b'/';
    if !crosses && after - at >= 2 && alone {
        crosses = rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"\\/");
        if let Some(rest) = rest.strip_prefix(b"/")
            && wildmatch(rest, text, reach, case) == Outcome::Match
        {
            return Star::Decided(Outcome::Match);
        }
    }
    let slash = text.iter().position(|byte| *byte == b'/').filter(|_| !crosses);
    if rest.is_empty() {
        return Star::Decided(if slash.is_some() { Outcome::NeedsDoubleStar } else { Outcome::Match });
    }
    if !crosses && rest[0] == b'/' {
        return match slash {
            Some(slash) => Star::UpTo { slash, after },
            None => Star::Decided(Outcome::Hopeless),
        };
    }
    for start in 0..text.len() {
        match wildmatch(rest, &text[start..], reach, case) {
            Outcome::No if slash == Some(start) => return Star::Decided(Outcome::NeedsDoubleStar),
            Outcome::No => {}
            Outcome::NeedsDoubleStar if crosses => {}
            outcome => return Star::Decided(outcome),
        }
    }
    Star::Decided(Outcome::Hopeless)
}

/// Whether `byte` is in the class that `pattern` starts with, behind its `[`, and the length of it;
/// `None` if it is never closed or names a class there is none of.
fn class(pattern: &[u8], byte: u8, case: Case) -> Option<(bool, usize)> {
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
                    || (case == Case::Ignored
                        && (range.contains(&byte.to_ascii_uppercase())
                            || range.contains(&byte.to_ascii_lowercase())));
            }
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let name = &pattern[at + 2..];
                let end = name.iter().position(|byte| *byte == b']')?;
                if let Some(name) = name[..end].strip_suffix(b":") {
                    found |= is_of(name, byte, case)?;
                    at += name.len() + 3;
                    previous = None;
                } else {
                    // Not a named class after all: the bracket is one of the bytes.
                    found |= byte == b'[';
                    previous = Some(b'[');
                }
            }
            _ => {
                at += usize::from(wanted == b'\\');
                let wanted = *pattern.get(at)?;
                found |= same_byte(wanted, byte, case);
                previous = Some(wanted);
            }
        }
        at += 1;
    }
}

fn is_of(name: &[u8], byte: u8, case: Case) -> Option<bool> {
    Some(match name {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"cntrl" => byte.is_ascii_control(),
        b"digit" => byte.is_ascii_digit(),
        b"graph" => byte.is_ascii_graphic(),
        b"lower" => byte.is_ascii_lowercase(),
        b"print" => byte.is_ascii_graphic() || byte == b' ',
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"upper" => byte.is_ascii_uppercase() || (case == Case::Ignored && byte.is_ascii_lowercase()),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return None,
    })
}

fn same_byte(wanted: u8, byte: u8, case: Case) -> bool {
    match case {
        Case::Counts => wanted == byte,
        Case::Ignored => wanted.eq_ignore_ascii_case(&byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_gits_do() {
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
                assert!(parsed.matches(path.as_bytes(), Kind::File, Case::Counts), "{glob} {path}");
            }
            for path in *other {
                assert!(!parsed.matches(path.as_bytes(), Kind::File, Case::Counts), "{glob} {path}");
            }
        }
    }

    #[test]
    fn a_trailing_slash_asks_for_a_folder_and_case_may_be_ignored() {
        let glob = Glob::parse(b"Build/");
        assert!(!glob.matches(b"Build", Kind::File, Case::Counts));
        assert!(glob.matches(b"x/Build", Kind::Folder, Case::Counts));
        assert!(!glob.matches(b"build", Kind::Folder, Case::Counts));
        assert!(glob.matches(b"build", Kind::Folder, Case::Ignored));
        assert!(Glob::parse(b"[A-C]*").matches(b"bx", Kind::File, Case::Ignored));
    }

    #[test]
    fn stars_do_not_explode() {
        let long = [&b"x/"[..], &b"a".repeat(300)].concat();
        let glob = Glob::parse(["x/", &"*a".repeat(30), "*b"].concat().as_bytes());
        assert!(!glob.matches(&long, Kind::File, Case::Counts));
        let glob = Glob::parse(["x/", &"**/a*".repeat(20), "b"].concat().as_bytes());
        assert!(!glob.matches(&long, Kind::File, Case::Counts));
    }
}
