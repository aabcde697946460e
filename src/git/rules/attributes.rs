//! Attribute files, parsed to answer one question: may git store other bytes of a path than are on
//! disk, or write others than it stores? They do not know the file system.
//!
//! The answer is conservative: an attribute counts if any pattern sets it, even if another pattern
//! unsets it. An unnecessary yes costs a hash; a wrong no would be a false hit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::git::rules::glob::{CaseSensitivity, Glob, PathKind};

/// The name of an attribute file.
pub(crate) const ATTRIBUTES: &[u8] = b".gitattributes";

/// A set of conversions that git may apply to the bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Conversions(u8);

impl Conversions {
    /// No conversion.
    pub(crate) const NONE: Self = Self(0);
    /// `text` with any value: line ends as configured.
    pub(crate) const TEXT: Self = Self(1);
    /// `eol` with any value but `lf`.
    pub(crate) const EOL: Self = Self(2);
    /// `ident`.
    pub(crate) const IDENT: Self = Self(4);
    /// `filter`.
    pub(crate) const FILTER: Self = Self(8);
    /// `working-tree-encoding`.
    pub(crate) const ENCODING: Self = Self(16);
    /// `eol=lf`, which changes no bytes when a file is checked out.
    pub(crate) const EOL_LF: Self = Self(32);
    /// All conversions.
    pub(crate) const ALL: Self = Self(63);

    /// Returns the conversions that are in either set.
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the conversions that are in both sets.
    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the set as a number, which is stable between runs.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The macros of attribute files, such as `[attr]source text eol=lf`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Macros(HashMap<Box<[u8]>, Conversions>);

impl Macros {
    /// Parses the macros of these files.
    pub(crate) fn parse<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let lines: Vec<(&[u8], Vec<&[u8]>)> = texts
            .flat_map(lines)
            .filter_map(|(pattern, tokens)| Some((pattern.strip_prefix(b"[attr]")?, tokens)))
            .collect();
        let mut macros = Self::default();
        // A macro may use other macros; each round resolves one more level.
        for _ in 0..=lines.len() {
            let mut grew = false;
            for (name, tokens) in &lines {
                let effects = macros.conversions(tokens);
                let known = macros.0.entry((*name).into()).or_default();
                grew |= known.union(effects) != *known;
                *known = known.union(effects);
            }
            if !grew {
                break;
            }
        }
        macros
    }

    fn conversions(&self, tokens: &[&[u8]]) -> Conversions {
        tokens.iter().fold(Conversions::NONE, |sum, token| sum.union(self.conversion(token)))
    }

    fn conversion(&self, token: &[u8]) -> Conversions {
        if token == b"eol=lf" {
            return Conversions::EOL_LF;
        }
        let name = token.split(|byte| *byte == b'=').next().unwrap_or(token);
        match name {
            b"text" | b"crlf" => Conversions::TEXT,
            b"eol" => Conversions::EOL,
            b"ident" => Conversions::IDENT,
            b"filter" => Conversions::FILTER,
            b"working-tree-encoding" => Conversions::ENCODING,
            // Names that start with `-` or `!` unset an attribute and are not macros.
            _ => self.0.get(name).copied().unwrap_or_default(),
        }
    }
}

/// The patterns of an attribute file and of the files of the folders above it.
#[derive(Debug)]
pub(crate) struct Attributes {
    outer: Option<Arc<Self>>,
    /// The length of the folder's path and the slash after it.
    prefix_len: usize,
    patterns: Vec<(Option<Glob>, Conversions)>,
    macros: Arc<Macros>,
    case: CaseSensitivity,
}

impl Attributes {
    /// Returns attributes without patterns.
    pub(crate) fn empty(macros: Macros, case: CaseSensitivity) -> Arc<Self> {
        Arc::new(Self { outer: None, prefix_len: 0, patterns: Vec::new(), macros: Arc::new(macros), case })
    }

    /// Adds the patterns of an attribute file in `folder`.
    pub(crate) fn with_file(self: &Arc<Self>, folder: &RepoPath, text: &[u8]) -> Arc<Self> {
        let patterns: Vec<(Option<Glob>, Conversions)> = lines(text)
            .filter(|(pattern, _)| !pattern.starts_with(b"[attr]") && !pattern.starts_with(b"!"))
            .map(|(pattern, tokens)| (glob(pattern), self.macros.conversions(&tokens)))
            .filter(|(_, effects)| !effects.is_empty())
            .collect();
        if patterns.is_empty() {
            return Arc::clone(self);
        }
        let base = if folder.is_top() { 0 } else { folder.bytes().len() + 1 };
        Arc::new(Self {
            outer: Some(Arc::clone(self)),
            prefix_len: base,
            patterns,
            macros: Arc::clone(&self.macros),
            case: self.case,
        })
    }

    /// Returns the conversions that git may apply to a path.
    pub(crate) fn conversions(&self, path: &[u8]) -> Conversions {
        let mut sum = Conversions::NONE;
        let mut next = Some(self);
        while let Some(file) = next {
            let below = path.get(file.prefix_len..).unwrap_or_default();
            for (glob, effects) in &file.patterns {
                if glob.as_ref().is_none_or(|glob| glob.matches(below, PathKind::File, file.case)) {
                    sum = sum.union(*effects);
                }
            }
            next = file.outer.as_deref();
        }
        sum
    }
}

/// Returns the pattern and the attributes of each line.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], Vec<&[u8]>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.trim_ascii();
        let (pattern, rest) = match line.first()? {
            b'#' => return None,
            b'"' => split_quoted(line),
            _ => line.split_at(line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len())),
        };
        Some((pattern, rest.split(u8::is_ascii_whitespace).filter(|token| !token.is_empty()).collect()))
    })
}

/// Splits a line after its quoted pattern.
fn split_quoted(line: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 1;
    while at < line.len() && line[at] != b'"' {
        at += 1 + usize::from(line[at] == b'\\');
    }
    line.split_at((at + 1).min(line.len()))
}

/// `None` for a pattern whose quotes hold an escape: it is taken to match each path.
fn glob(pattern: &[u8]) -> Option<Glob> {
    match pattern.strip_prefix(b"\"") {
        None => Some(Glob::parse(pattern)),
        Some(inner) => inner.strip_suffix(b"\"").filter(|inner| !inner.contains(&b'\\')).map(Glob::parse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(texts: &[&str], path: &str) -> Conversions {
        let macros = Macros::parse(texts.iter().map(|text| text.as_bytes()));
        let none = Attributes::empty(macros, CaseSensitivity::Sensitive);
        let all = texts.iter().fold(none, |all, text| all.with_file(&RepoPath::top(), text.as_bytes()));
        all.conversions(path.as_bytes())
    }

    #[test]
    fn attributes_that_may_change_content_are_found() {
        let cases = [
            ("*.txt text", "a/b.txt", Conversions::TEXT),
            ("*.txt text", "a/b.rs", Conversions::NONE),
            ("* text=auto eol=lf", "x", Conversions::TEXT.union(Conversions::EOL_LF)),
            ("* eol=lf\n*.bat eol=crlf", "x.bat", Conversions::EOL_LF.union(Conversions::EOL)),
            ("*.png binary", "a.png", Conversions::NONE),
            ("* -text !eol -filter", "a", Conversions::NONE),
            ("* diff=rust merge", "a", Conversions::NONE),
            ("*.bin filter=lfs -text", "a.bin", Conversions::FILTER),
            ("[attr]src text ident\n*.c src", "a.c", Conversions::TEXT.union(Conversions::IDENT)),
            ("[attr]a b\n[attr]b c\n[attr]c ident\n*.c a", "a.c", Conversions::IDENT),
            ("\"a b\" ident", "a b", Conversions::IDENT),
            ("\"a\\tb\" ident", "anything", Conversions::IDENT),
            ("# * text", "a", Conversions::NONE),
            ("/a/*.u working-tree-encoding=UTF-16", "a/x.u", Conversions::ENCODING),
            ("* crlf=input", "a", Conversions::TEXT),
        ];
        for (text, path, expected) in cases {
            assert_eq!(effects(&[text], path), expected, "{text:?} {path}");
        }
    }

    #[test]
    fn macro_of_another_file_counts() {
        assert_eq!(effects(&["*.c src", "[attr]src eol=crlf"], "a.c"), Conversions::EOL);
    }
}
