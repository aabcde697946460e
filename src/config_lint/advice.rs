//! Finds the likely reason why a pattern matches no file, and what may have been meant. A pattern is
//! suggested only if it matches a file of the tree.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization as _;

use crate::base::name;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Pattern, PatternBase};
use crate::config::model::{Config, SourceFile};
use crate::config_lint::TreeLookup;
use crate::config_lint::matching::{first_match, shapes};
use crate::config_warning::NoFile;
use crate::git::snapshot::{Mode, Snapshot};

/// Returns whether the text itself looks like a mistake, so that even a pattern that may match nothing is
/// checked.
pub(super) fn looks_mistaken(text: &str) -> bool {
    text.trim() != text || text.starts_with('~') || is_list(text) || has_wrong_backslash(text)
}

/// Returns a text as it is written in TOML, with quotes.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['\\', '"']) && !text.contains(|c: char| c == '\'' || c.is_control()) {
        return format!("'{text}'");
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '\\' | '"' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Finds reasons on one tree.
#[derive(Clone, Copy)]
pub(super) struct Advisor<'a> {
    pub(super) config: &'a Config,
    pub(super) snapshot: &'a Snapshot,
    pub(super) tree: &'a dyn TreeLookup,
}

impl Advisor<'_> {
    /// Returns the likely reason why `pattern` of `item` matches no file, and what to do.
    pub(super) fn advice(&self, file: usize, item: &Item, pattern: &Pattern) -> (NoFile, Option<String>) {
        let file = &self.config.files[file];
        let text = pattern.text();
        let find =
            PatternFinder { file, snapshot: self.snapshot, mark: if item.excludes { "!" } else { "" } };
        self.text_reason(&find, text)
            .or_else(|| self.tree_reason(&find, pattern))
            .unwrap_or_else(|| (missing(self.snapshot, pattern), None))
    }

    /// Returns a reason that the text of the pattern gives.
    fn text_reason(&self, find: &PatternFinder<'_>, text: &str) -> Option<(NoFile, Option<String>)> {
        let mean = |texts: &[String]| find.did_you_mean(texts);
        if text.trim() != text {
            let trimmed = text.trim().to_owned();
            let hint = format!("write {}", quoted(&format!("{}{trimmed}", find.mark)));
            return Some((NoFile::Blank, Some(hint)));
        }
        if text == "~" || text.starts_with("~/") {
            return Some((NoFile::Home, Some(OUTSIDE.to_owned())));
        }
        let mut chars = text.chars();
        if let (Some(letter), Some(':'), Some('/' | '\\')) = (chars.next(), chars.next(), chars.next())
            && letter.is_ascii_alphabetic()
        {
            return Some((
                NoFile::Drive,
                Some("write it relative to the folder of tasks.toml, with `/`".to_owned()),
            ));
        }
        if has_variable(text) {
            let hint = "write the path itself; use `matrix` for a task per value";
            return Some((NoFile::Variable, Some(hint.to_owned())));
        }
        if let Some(inside) = text.strip_prefix('/').and_then(|_| self.below_root(text)) {
            return Some((NoFile::Absolute, mean(&[inside])));
        }
        if text.contains('\\') {
            let slashed = text.replace('\\', "/");
            if let Some(hint) = mean(&[slashed]) {
                return Some((NoFile::Backslash, Some(hint)));
            }
            if has_wrong_backslash(text) {
                return Some((NoFile::Backslash, Some("write `/` between folders".to_owned())));
            }
        }
        if is_list(text) || text.contains(' ') || text.contains(';') {
            let parts: Vec<String> = split(text)
                .into_iter()
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect();
            if parts.len() > 1 && (is_list(text) || parts.iter().all(|part| find.matches(part))) {
                let items: Vec<String> =
                    parts.iter().map(|part| quoted(&format!("{}{part}", find.mark))).collect();
                return Some((NoFile::List, Some(format!("write an item for each: {}", items.join(", ")))));
            }
        }
        if text.contains(['[', '{', '?', '*']) {
            let escaped = escaped(text, &['[', ']', '{', '}', '?']);
            let all = escaped_all(text);
            let better = [escaped, all].into_iter().find(|one| one != text && find.matches(one));
            if let Some(hint) = better.and_then(|better| mean(&[better])) {
                return Some((NoFile::Special, Some(hint)));
            }
        }
        if let Some(braces) = without_extended(text) {
            let hint = mean(&[braces]).unwrap_or_else(|| "write `{a,b}` for alternatives".to_owned());
            return Some((NoFile::ExtendedGlob, Some(hint)));
        }
        None
    }

    /// Returns a reason that the files of the tree give.
    fn tree_reason(&self, find: &PatternFinder<'_>, pattern: &Pattern) -> Option<(NoFile, Option<String>)> {
        let text = pattern.text();
        let folder = pattern.folder();
        let on_the_way: Vec<RepoPath> = std::iter::successors(folder.parent(), RepoPath::parent).collect();
        let is_link =
            |path: &RepoPath| self.snapshot.get(path).is_some_and(|entry| entry.mode == Mode::Symlink);
        let itself = (pattern.literal().is_none()).then_some(folder);
        if let Some(link) = itself.into_iter().chain(&on_the_way).find(|path| is_link(path)) {
            return Some((
                NoFile::Symlink { path: link.to_string() },
                self.below_symlink(find, pattern, link),
            ));
        }
        let literal =
            pattern.literal().cloned().or_else(|| name_of(pattern).map(|name| find.file.base.child(&name)));
        let ignored = literal.filter(|path| self.tree.ignores(path));
        let ignored =
            ignored.or_else(|| Some(folder.clone()).filter(|path| !path.is_top() && self.tree.ignores(path)));
        if let Some(path) = ignored {
            let hint = self.writer(pattern).map_or_else(
                || {
                    "a file of variables belongs in `env-file`, what a task writes in its `outputs`"
                        .to_owned()
                },
                |task| format!("if it is what `{task}` writes, add that to `needs`"),
            );
            return Some((NoFile::Ignored { path: path.to_string() }, Some(hint)));
        }
        if let Some(task) = self.writer(pattern) {
            let hint = format!("add it: needs = [\"{task}\"]");
            return Some((NoFile::NotNeeded { task }, Some(hint)));
        }
        if let Some((text, near)) = find.near(pattern)
            && let Some(hint) = find.did_you_mean(&[text])
        {
            let reason = match near {
                Difference::Case(path) => NoFile::Case { path },
                Difference::Form(path) => NoFile::Unicode { path },
                Difference::Name => missing(self.snapshot, pattern),
            };
            return Some((reason, Some(hint)));
        }
        let elsewhere = find.without_base(pattern).or_else(|| find.elsewhere(pattern));
        if let Some(hint) = elsewhere.and_then(|text| find.did_you_mean(&[text])) {
            return Some((missing(self.snapshot, pattern), Some(hint)));
        }
        text.starts_with('/').then(|| (NoFile::Absolute, Some(OUTSIDE.to_owned())))
    }

    /// Returns the path below the top of the work tree that an absolute path names.
    fn below_root(&self, text: &str) -> Option<String> {
        let root = self.tree.root()?;
        let rest = text.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/')?;
        Some(format!("/{rest}"))
    }

    /// Returns what to do about a pattern that leads below a symlink.
    fn below_symlink(&self, find: &PatternFinder<'_>, pattern: &Pattern, link: &RepoPath) -> Option<String> {
        let name_real = || Some("name the files where they are, if they are in the repository".to_owned());
        let Some(target) = self.tree.link(link) else { return name_real() };
        let Some(target) = link.parent().and_then(|folder| folder.join(&target)) else { return name_real() };
        let rest = pattern.folder().bytes().get(link.bytes().len()..).unwrap_or_default();
        let rest = String::from_utf8_lossy(rest).into_owned();
        let folder = target.join(rest.trim_start_matches('/'))?;
        find.did_you_mean(&[find.text(&folder, &suffix(pattern))]).or_else(name_real)
    }

    /// Returns the first task that may write a match of the pattern.
    fn writer(&self, pattern: &Pattern) -> Option<String> {
        let wanted = shapes(pattern);
        let writes = |task: &&crate::config::model::Task| {
            let outputs = crate::base::pattern_overlap::Shapes::new(&task.outputs);
            !task.outputs.is_empty() && wanted.overlap(&outputs).is_some()
        };
        self.config.tasks.iter().find(writes).map(|task| task.name.clone())
    }
}

const OUTSIDE: &str =
    "a file outside of the repository can't be an input: let a probe in `[tools]` print what matters";

/// Looks for patterns that match.
struct PatternFinder<'a> {
    file: &'a SourceFile,
    snapshot: &'a Snapshot,
    /// The marks at the start of the pattern.
    mark: &'static str,
}

/// How an existing path differs from a pattern's, from the smallest difference on.
enum Difference {
    /// Only by the case of letters.
    Case(String),
    /// Only by the Unicode form of letters.
    Form(String),
    /// By a few letters.
    Name,
}

impl PatternFinder<'_> {
    fn matches(&self, text: &str) -> bool {
        let origin = PatternBase { base: &self.file.base, anchored: false };
        Pattern::parse(text, origin).is_ok_and(|pattern| first_match(self.snapshot, &pattern).is_some())
    }

    /// Returns the hint to write one of these instead, if it matches.
    fn did_you_mean(&self, texts: &[String]) -> Option<String> {
        let text = texts.iter().find(|text| self.matches(text))?;
        Some(format!("did you mean {}?", quoted(&format!("{}{text}", self.mark))))
    }

    fn text(&self, folder: &RepoPath, suffix: &str) -> String {
        pattern_text(&self.file.base, folder, suffix)
    }

    /// Returns the pattern with the names in its path replaced by the nearest existing ones.
    fn near(&self, pattern: &Pattern) -> Option<(String, Difference)> {
        if let Some(name) = name_of(pattern) {
            let all = self.snapshot.entries().iter().flat_map(|entry| entry.path.parts());
            let (found, near) = nearest(&name, all)?;
            return Some((escaped_all(&found), near));
        }
        let mut at = RepoPath::top();
        let mut how = None;
        for part in pattern.folder().parts() {
            let next = at.child(part);
            if !self.snapshot.entries_in(&next).is_empty() {
                at = next;
                continue;
            }
            let skip = if at.is_top() { 0 } else { at.bytes().len() + 1 };
            let below = self
                .snapshot
                .entries_in(&at)
                .iter()
                .filter_map(|entry| entry.path.bytes().get(skip..)?.split(|byte| *byte == b'/').next());
            let (found, near) = nearest(part, below)?;
            at = at.child(found.as_bytes());
            how = Some(match (how, near) {
                (None | Some(Difference::Case(_)), Difference::Case(_)) => Difference::Case(at.to_string()),
                (None | Some(Difference::Form(_)), Difference::Form(_)) => Difference::Form(at.to_string()),
                _ => Difference::Name,
            });
        }
        Some((self.text(&at, &suffix(pattern)), how?))
    }

    /// Returns the pattern without the path of the file's own folder, since paths are relative to it.
    fn without_base(&self, pattern: &Pattern) -> Option<String> {
        let base = self.file.base.to_string();
        let text = pattern.text().trim_start_matches("./").trim_start_matches('/');
        (!base.is_empty()).then(|| text.strip_prefix(&base)?.strip_prefix('/').map(str::to_owned)).flatten()
    }

    /// Returns the pattern for the only other place that has the same path below it.
    fn elsewhere(&self, pattern: &Pattern) -> Option<String> {
        let own = pattern.folder().bytes();
        let base = self.file.base.bytes();
        let wanted = match own.strip_prefix(base) {
            Some(rest) if !rest.is_empty() => rest.strip_prefix(b"/").unwrap_or(rest),
            _ => return None,
        };
        let mut found: Option<RepoPath> = None;
        for entry in self.snapshot.entries() {
            let path = entry.path.bytes();
            let starts = (0..path.len().saturating_sub(wanted.len())).filter(|at| {
                (*at == 0 || path[at - 1] == b'/')
                    && path[*at..].starts_with(wanted)
                    && matches!(path.get(at + wanted.len()), None | Some(b'/'))
            });
            let last = path
                .len()
                .checked_sub(wanted.len())
                .filter(|at| *at > 0 && path[at - 1] == b'/' && path[*at..] == *wanted);
            for at in starts.chain(last) {
                let candidate = RepoPath::from_git(&path[..at + wanted.len()]);
                match &found {
                    Some(known) if *known != candidate => return None,
                    _ => found = Some(candidate),
                }
            }
        }
        Some(self.text(&found?, &suffix(pattern)))
    }
}

/// Returns a pattern, in a file in the folder `base`, for what is below `folder`.
pub(super) fn pattern_text(base: &RepoPath, folder: &RepoPath, suffix: &str) -> String {
    let base: Vec<&[u8]> = base.parts().collect();
    let path: Vec<&[u8]> = folder.parts().collect();
    let shared = base.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), base.len() - shared);
    let down = path[shared..].iter().map(|part| escaped_all(&String::from_utf8_lossy(part)));
    let mut parts: Vec<String> = up.chain(down).collect();
    if !suffix.is_empty() {
        parts.push(suffix.to_owned());
    }
    let text = parts.join("/");
    // A pattern without a slash would match at any depth.
    if parts.len() == 1 && suffix.is_empty() { format!("/{text}") } else { text }
}

/// Returns the name nearest to `part`, which is not among them.
fn nearest<'n>(part: &[u8], names: impl Iterator<Item = &'n [u8]>) -> Option<(String, Difference)> {
    let part = std::str::from_utf8(part).ok()?;
    let names: BTreeSet<&str> = names.filter_map(|name| std::str::from_utf8(name).ok()).collect();
    let form = |text: &str| text.nfc().collect::<String>();
    if let Some(found) = names.iter().find(|name| form(name) == form(part)) {
        return Some(((*found).to_owned(), Difference::Form((*found).to_owned())));
    }
    let lower = |text: &str| form(text).to_lowercase();
    if let Some(found) = names.iter().find(|name| lower(name) == lower(part)) {
        return Some(((*found).to_owned(), Difference::Case((*found).to_owned())));
    }
    name::nearest(part, names.iter().copied()).map(|found| (found.to_owned(), Difference::Name))
}

/// Returns the name that a pattern without a slash matches at any depth.
pub(super) fn name_of(pattern: &Pattern) -> Option<Vec<u8>> {
    let is_name =
        pattern.literal().is_none() && !pattern.text().trim_matches('/').contains('/') && !pattern.is_deep();
    let rest = pattern.components();
    match rest.as_slice() {
        [deep, name] if is_name && deep == "**" => Some(unescaped(name).into_bytes()),
        _ => None,
    }
}

/// Returns the part of a pattern's text after its folder.
fn suffix(pattern: &Pattern) -> String {
    match pattern.components().join("/") {
        rest if rest.is_empty() && pattern.text().ends_with("/**") => "**".to_owned(),
        rest => rest,
    }
}

/// Returns the missing part of a pattern that is no special case.
fn missing(snapshot: &Snapshot, pattern: &Pattern) -> NoFile {
    if let Some(name) = name_of(pattern) {
        return NoFile::Missing { path: String::from_utf8_lossy(&name).into_owned() };
    }
    let folder = pattern.folder();
    let is_there = |path: &RepoPath| !snapshot.entries_in(path).is_empty();
    let folders_to_root: Vec<RepoPath> =
        std::iter::successors(Some(folder.clone()), RepoPath::parent).collect();
    match folders_to_root.iter().rev().find(|path| !is_there(path)) {
        Some(path) => NoFile::Missing { path: path.to_string() },
        None => NoFile::NoMatch { folder: folder.to_string() },
    }
}

/// Returns whether a text has a comma outside braces.
fn is_list(text: &str) -> bool {
    split_at(text, |c| c == ',').len() > 1
}

fn split(text: &str) -> Vec<&str> {
    let by_comma = split_at(text, |c| c == ',' || c == ';');
    if by_comma.len() > 1 { by_comma } else { text.split_whitespace().collect() }
}

fn split_at(text: &str, is_border: impl Fn(char) -> bool) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && is_border(c) => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Returns whether a `\` is before a character without a special meaning.
fn has_wrong_backslash(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.next().is_some_and(|next| next.is_alphanumeric() || next == '.' || next == '_')
        {
            return true;
        }
    }
    false
}

/// Returns whether a text contains `$NAME`, `${NAME}` or `%NAME%`.
fn has_variable(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '_';
    let dollar = text.split('$').skip(1).any(|rest| rest.starts_with('{') || rest.starts_with(is_name));
    let percent = text.strip_prefix('%').is_some_and(|rest| rest.starts_with(is_name) && rest.contains('%'));
    dollar || percent
}

/// Returns `@(a|b)` and the like as braces.
fn without_extended(text: &str) -> Option<String> {
    let open = ["@(", "+(", "*(", "?(", "!("].iter().filter_map(|kind| text.find(kind)).min()?;
    let close = open + text[open..].find(')')?;
    let inner = &text[open + 2..close];
    let braces =
        if inner.contains('|') { format!("{{{}}}", inner.replace('|', ",")) } else { inner.to_owned() };
    Some(format!("{}{braces}{}", &text[..open], &text[close + 1..]))
}

/// Returns a text with a `\` before special characters that have none.
fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                escaped.push(c);
                escaped.extend(chars.next());
            }
            c if special.contains(&c) => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

fn escaped_all(text: &str) -> String {
    escaped(text, &['*', '[', ']', '{', '}', '?'])
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    plain
}
