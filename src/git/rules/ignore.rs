//! Ignore rules: which untracked paths git ignores. They do not know the file system.

use std::sync::Arc;

use crate::base::path::RepoPath;
use crate::git::rules::glob::{CaseSensitivity, Glob, PathKind};

/// The name of an ignore file.
pub(crate) const IGNORE: &[u8] = b".gitignore";

/// The rules of an ignore file, and of the files with a lower precedence.
#[derive(Debug)]
pub(crate) struct IgnoreRules {
    /// The rules with the next lower precedence.
    outer: Option<Arc<Self>>,
    /// The length of the folder's path and the slash after it.
    prefix_len: usize,
    rules: Vec<IgnoreRule>,
    case: CaseSensitivity,
}

#[derive(Debug)]
struct IgnoreRule {
    glob: Glob,
    /// Whether the rule starts with `!` and so includes what it matches.
    is_negated: bool,
}

impl IgnoreRules {
    /// Returns rules that ignore nothing.
    pub(crate) fn empty(case: CaseSensitivity) -> Arc<Self> {
        Arc::new(Self { outer: None, prefix_len: 0, rules: Vec::new(), case })
    }

    /// Adds the rules of an ignore file in `folder`, which take precedence.
    pub(crate) fn with_file(self: &Arc<Self>, folder: &RepoPath, text: &[u8]) -> Arc<Self> {
        let rules = parse(text);
        if rules.is_empty() {
            return Arc::clone(self);
        }
        let base = if folder.is_top() { 0 } else { folder.bytes().len() + 1 };
        Arc::new(Self { outer: Some(Arc::clone(self)), prefix_len: base, rules, case: self.case })
    }

    /// Returns whether `path` is ignored. None of its parents may be ignored.
    pub(crate) fn ignores(&self, path: &[u8], kind: PathKind) -> bool {
        let mut next = Some(self);
        while let Some(file) = next {
            let below = path.get(file.prefix_len..).unwrap_or_default();
            if let Some(rule) = file.rules.iter().rev().find(|rule| rule.glob.matches(below, kind, file.case))
            {
                return !rule.is_negated;
            }
            next = file.outer.as_deref();
        }
        false
    }
}

fn parse(text: &[u8]) -> Vec<IgnoreRule> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<IgnoreRule> {
    if line.first() == Some(&b'#') {
        return None;
    }
    let line = without_trailing_spaces(line.strip_suffix(b"\r").unwrap_or(line));
    let (line, keeps) = match line.strip_prefix(b"!") {
        Some(line) => (line, true),
        None => (line, false),
    };
    (!line.is_empty()).then(|| IgnoreRule { glob: Glob::parse(line), is_negated: keeps })
}

/// Removes trailing spaces, except after a backslash.
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
    fn deepest_and_last_rule_decides() {
        let rules = IgnoreRules::empty(CaseSensitivity::Sensitive)
            .with_file(&RepoPath::top(), b"\xef\xbb\xbf*.log\r\n# c\n!keep.log\nbuild/\n\\#x\n")
            .with_file(&RepoPath::from_git(&b"sub"[..]), b"!*.log\n/only  \n");
        let cases = [
            ("a.log", PathKind::File, true),
            ("keep.log", PathKind::File, false),
            ("sub/a.log", PathKind::File, false),
            ("build", PathKind::Folder, true),
            ("build", PathKind::File, false),
            ("#x", PathKind::File, true),
            ("# c", PathKind::File, false),
            ("sub/only", PathKind::File, true),
            ("sub/x/only", PathKind::File, false),
        ];
        for (path, kind, expected) in cases {
            assert_eq!(rules.ignores(path.as_bytes(), kind), expected, "{path}");
        }
    }

    #[test]
    fn trailing_spaces_count_only_if_escaped() {
        for (line, expected) in
            [("a  ", "a"), ("a\\ ", "a\\ "), ("a\\  ", "a\\ "), ("  ", ""), ("a b", "a b")]
        {
            assert_eq!(without_trailing_spaces(line.as_bytes()), expected.as_bytes(), "{line:?}");
        }
    }
}
