//! Attribute files, read for one question: may git store other bytes of a path than lie on disk, or
//! write others than it stores? They must not know the file system.
//!
//! The answer is a safe superset: an attribute counts wherever any pattern gives it, even if
//! another takes it away. A wrong yes costs a hash; a wrong no would be a false hit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::git::rules::glob::{Case, Glob, Kind};

/// The name of an attribute file.
pub(crate) const ATTRIBUTES: &[u8] = b".gitattributes";

/// A set of ways in which git may change bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Effects(u8);

impl Effects {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// `text` in any form: line ends as the configuration has them.
    pub(crate) const TEXT: Self = Self(1);
    /// `eol` in any form.
    pub(crate) const EOL: Self = Self(2);
    /// `ident`.
    pub(crate) const IDENT: Self = Self(4);
    /// `filter`.
    pub(crate) const FILTER: Self = Self(8);
    /// `working-tree-encoding`.
    pub(crate) const ENCODING: Self = Self(16);
    /// All of them.
    pub(crate) const ALL: Self = Self(31);

    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are in both.
    pub(crate) fn within(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// As a number, for comparisons between runs.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// Whether there is none.
    pub(crate) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What macros such as `[attr]source text eol=lf` stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Macros(HashMap<Box<[u8]>, Effects>);

impl Macros {
    /// The macros that these files define.
    pub(crate) fn of<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let lines: Vec<(&[u8], Vec<&[u8]>)> = texts
            .flat_map(lines)
            .filter_map(|(pattern, tokens)| Some((pattern.strip_prefix(b"[attr]")?, tokens)))
            .collect();
        let mut macros = Self::default();
        // A macro may use another; each round reaches one further.
        for _ in 0..=lines.len() {
            let mut grew = false;
            for (name, tokens) in &lines {
                let effects = macros.effects(tokens);
                let known = macros.0.entry((*name).into()).or_default();
                grew |= known.and(effects) != *known;
                *known = known.and(effects);
            }
            if !grew {
                break;
            }
        }
        macros
    }

    fn effects(&self, tokens: &[&[u8]]) -> Effects {
        tokens.iter().fold(Effects::NONE, |sum, token| sum.and(self.effect(token)))
    }

    fn effect(&self, token: &[u8]) -> Effects {
        let name = token.split(|byte| *byte == b'=').next().unwrap_or(token);
        match name {
            b"text" | b"crlf" => Effects::TEXT,
            b"eol" => Effects::EOL,
            b"ident" => Effects::IDENT,
            b"filter" => Effects::FILTER,
            b"working-tree-encoding" => Effects::ENCODING,
            // Names that start with `-` or `!` take away, and are no macro's.
            _ => self.0.get(name).copied().unwrap_or_default(),
        }
    }
}

/// The patterns of one attribute file and of those of the folders above.
#[derive(Debug)]
pub(crate) struct Attributes {
    outer: Option<Arc<Self>>,
    /// Bytes of the folder's path, with the slash behind it.
    base: usize,
    patterns: Vec<(Option<Glob>, Effects)>,
    macros: Arc<Macros>,
    case: Case,
}

impl Attributes {
    /// No attributes at all.
    pub(crate) fn none(macros: Macros, case: Case) -> Arc<Self> {
        Arc::new(Self { outer: None, base: 0, patterns: Vec::new(), macros: Arc::new(macros), case })
    }

    /// These attributes and those of a file for `folder`.
    pub(crate) fn with_file(self: &Arc<Self>, folder: &RepoPath, text: &[u8]) -> Arc<Self> {
        let patterns: Vec<(Option<Glob>, Effects)> = lines(text)
            .filter(|(pattern, _)| !pattern.starts_with(b"[attr]") && !pattern.starts_with(b"!"))
            .map(|(pattern, tokens)| (glob(pattern), self.macros.effects(&tokens)))
            .filter(|(_, effects)| !effects.is_none())
            .collect();
        if patterns.is_empty() {
            return Arc::clone(self);
        }
        let base = if folder.is_top() { 0 } else { folder.bytes().len() + 1 };
        Arc::new(Self {
            outer: Some(Arc::clone(self)),
            base,
            patterns,
            macros: Arc::clone(&self.macros),
            case: self.case,
        })
    }

    /// What may be done to the bytes of a path.
    pub(crate) fn effects(&self, path: &[u8]) -> Effects {
        let mut sum = Effects::NONE;
        let mut next = Some(self);
        while let Some(file) = next {
            let below = path.get(file.base..).unwrap_or_default();
            for (glob, effects) in &file.patterns {
                if glob.as_ref().is_none_or(|glob| glob.matches(below, Kind::File, file.case)) {
                    sum = sum.and(*effects);
                }
            }
            next = file.outer.as_deref();
        }
        sum
    }
}

/// The pattern and the attributes of each line.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], Vec<&[u8]>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.trim_ascii();
        let (pattern, rest) = match line.first()? {
            b'#' => return None,
            b'"' => quoted(line),
            _ => line.split_at(line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len())),
        };
        Some((pattern, rest.split(u8::is_ascii_whitespace).filter(|token| !token.is_empty()).collect()))
    })
}

/// A pattern in quotes, with them, and what follows.
fn quoted(line: &[u8]) -> (&[u8], &[u8]) {
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

    fn effects(texts: &[&str], path: &str) -> Effects {
        let macros = Macros::of(texts.iter().map(|text| text.as_bytes()));
        let none = Attributes::none(macros, Case::Counts);
        let all = texts.iter().fold(none, |all, text| all.with_file(&RepoPath::top(), text.as_bytes()));
        all.effects(path.as_bytes())
    }

    #[test]
    fn attributes_that_may_change_bytes_are_found() {
        let cases = [
            ("*.txt text", "a/b.txt", Effects::TEXT),
            ("*.txt text", "a/b.rs", Effects::NONE),
            ("* text=auto eol=lf", "x", Effects::TEXT.and(Effects::EOL)),
            ("*.png binary", "a.png", Effects::NONE),
            ("* -text !eol -filter", "a", Effects::NONE),
            ("* diff=rust merge", "a", Effects::NONE),
            ("*.bin filter=lfs -text", "a.bin", Effects::FILTER),
            ("[attr]src text ident\n*.c src", "a.c", Effects::TEXT.and(Effects::IDENT)),
            ("[attr]a b\n[attr]b c\n[attr]c ident\n*.c a", "a.c", Effects::IDENT),
            ("\"a b\" ident", "a b", Effects::IDENT),
            ("\"a\\tb\" ident", "anything", Effects::IDENT),
            ("# * text", "a", Effects::NONE),
            ("/a/*.u working-tree-encoding=UTF-16", "a/x.u", Effects::ENCODING),
            ("* crlf=input", "a", Effects::TEXT),
        ];
        for (text, path, expected) in cases {
            assert_eq!(effects(&[text], path), expected, "{text:?} {path}");
        }
    }

    #[test]
    fn a_macro_of_another_file_counts() {
        assert_eq!(effects(&["*.c src", "[attr]src eol=crlf"], "a.c"), Effects::EOL);
    }
}
