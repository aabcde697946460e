//! Ignore rules: which untracked paths git leaves out. They must not know the file system.

use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::git::rules::glob::{Case, Glob, Kind};

/// The name of an ignore file.
pub(crate) const IGNORE: &[u8] = b".gitignore";

/// The rules of one ignore file and of all that it overrides.
#[derive(Debug)]
pub(crate) struct IgnoreRules {
    /// The rules that count where these say nothing.
    outer: Option<Arc<Self>>,
    /// Bytes of the folder's path, with the slash behind it.
    base: usize,
    rules: Vec<Rule>,
    case: Case,
}

#[derive(Debug)]
struct Rule {
    glob: Glob,
    /// Whether it is a `!` rule, that keeps what it matches.
    keeps: bool,
}

impl IgnoreRules {
    /// No rules at all.
    pub(crate) fn none(case: Case) -> Arc<Self> {
        Arc::new(Self { outer: None, base: 0, rules: Vec::new(), case })
    }

    /// These rules below those of an ignore file for `folder`.
    pub(crate) fn with_file(self: &Arc<Self>, folder: &RepoPath, text: &[u8]) -> Arc<Self> {
        let rules = parse(text);
        if rules.is_empty() {
            return Arc::clone(self);
        }
        let base = if folder.is_top() { 0 } else { folder.bytes().len() + 1 };
        Arc::new(Self { outer: Some(Arc::clone(self)), base, rules, case: self.case })
    }

    /// Whether they leave out `path`, no parent of which they leave out.
    pub(crate) fn ignore(&self, path: &[u8], kind: Kind) -> bool {
        let mut next = Some(self);
        while let Some(file) = next {
            let below = path.get(file.base..).unwrap_or_default();
            if let Some(rule) = file.rules.iter().rev().find(|rule| rule.glob.matches(below, kind, file.case))
            {
                return !rule.keeps;
            }
            next = file.outer.as_deref();
        }
        false
    }
}

fn parse(text: &[u8]) -> Vec<Rule> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| *byte == b'\n').filter_map(rule).collect()
}

fn rule(line: &[u8]) -> Option<Rule> {
    if line.first() == Some(&b'#') {
        return None;
    }
    let line = without_trailing_spaces(line.strip_suffix(b"\r").unwrap_or(line));
    let (line, keeps) = match line.strip_prefix(b"!") {
        Some(line) => (line, true),
        None => (line, false),
    };
    (!line.is_empty()).then(|| Rule { glob: Glob::parse(line), keeps })
}

/// Spaces at the end do not count unless a backslash stands before them.
fn without_trailing_spaces(line: &[u8]) -> &[u8] {
    let mut end = 0;
    let mut at = 0;
    while at < line.len() {
        match line[at] {
            b'\\' => {
                at += 1;
                end = (at + 1).min(line.len());
            }
            b' ' => {}
            _ => end = at + 1,
        }
        at += 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_and_last_rule_decides() {
        let rules = IgnoreRules::none(Case::Counts)
            .with_file(&RepoPath::top(), b"\xef\xbb\xbf*.log\r\n# c\n!keep.log\nbuild/\n\\#x\n")
            .with_file(&RepoPath::from_git(&b"sub"[..]), b"!*.log\n/only  \n");
        let cases = [
            ("a.log", Kind::File, true),
            ("keep.log", Kind::File, false),
            ("sub/a.log", Kind::File, false),
            ("build", Kind::Folder, true),
            ("build", Kind::File, false),
            ("#x", Kind::File, true),
            ("# c", Kind::File, false),
            ("sub/only", Kind::File, true),
            ("sub/x/only", Kind::File, false),
        ];
        for (path, kind, expected) in cases {
            assert_eq!(rules.ignore(path.as_bytes(), kind), expected, "{path}");
        }
    }

    #[test]
    fn spaces_at_the_end_count_only_when_escaped() {
        for (line, expected) in
            [("a  ", "a"), ("a\\ ", "a\\ "), ("a\\  ", "a\\ "), ("  ", ""), ("a b", "a b")]
        {
            assert_eq!(without_trailing_spaces(line.as_bytes()), expected.as_bytes(), "{line:?}");
        }
    }
}
