//! Lists of patterns, and `[files]`, the named sets of them. It must not know which task uses them.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::base::cycle;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, PatternBase, PatternError, Patterns, SourceSpan};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink, join_names};
use crate::config::model::NamedSet;
use crate::config::syntax::document::{Syntax, Table, Text, Value};
use crate::config::wording;

/// How many patterns a set may contain, with those of the sets in it.
const MAX_PATTERNS: usize = 10_000;
/// How deep sets may nest.
const MAX_DEPTH: usize = 50;

/// An item of a list of patterns.
#[derive(Debug)]
pub(crate) struct ListItem<'d> {
    pub(crate) excludes: bool,
    /// Whether it may match nothing; written with `?` in front.
    pub(crate) may_miss: bool,
    pub(crate) what: ItemTarget<'d>,
    pub(crate) span: Range<usize>,
}

/// What an item refers to.
#[derive(Debug)]
pub(crate) enum ItemTarget<'d> {
    Pattern(Pattern),
    /// The name of a set, without its `@`.
    Set(&'d str),
}

/// The sets of a file.
#[derive(Debug)]
pub(crate) struct FileSets<'d> {
    known: BTreeMap<&'d str, Patterns>,
    names: Vec<Text<'d>>,
    syntax: Syntax,
}

/// Reads a list of patterns and sets.
pub(crate) fn list_items<'d>(
    value: Value<'d>,
    origin: PatternBase<'_>,
    sink: &mut DiagnosticSink,
) -> Option<Vec<ListItem<'d>>> {
    let texts = value.texts(sink)?;
    Some(texts.into_iter().filter_map(|text| list_item(text, origin, sink)).collect())
}

/// Reads a single pattern, which is neither a set nor an exclusion. `what` completes "… can't be excluded".
pub(crate) fn single_pattern(
    text: &Text<'_>,
    origin: PatternBase<'_>,
    what: &str,
    sink: &mut DiagnosticSink,
) -> Option<Pattern> {
    let line = list_item(text.clone(), origin, sink)?;
    if line.may_miss {
        let message = format!("{what} can't be optional");
        sink.add(
            Diagnostic::new(text.span.clone(), message)
                .label("begins with `?`")
                .hint("remove the `?`; for any one character, write `./?`"),
        );
        return None;
    }
    let (message, label) = match line.what {
        ItemTarget::Pattern(pattern) if !line.excludes => return Some(pattern),
        ItemTarget::Pattern(_) => (format!("{what} can't be excluded"), "an exclusion"),
        ItemTarget::Set(_) => (format!("{what} can't be a set"), "a set"),
    };
    sink.add(
        Diagnostic::new(text.span.clone(), message)
            .label(label)
            .hint("write a file or a pattern, such as \"out/*.xml\" or \"src/**\""),
    );
    None
}

fn list_item<'d>(text: Text<'d>, origin: PatternBase<'_>, sink: &mut DiagnosticSink) -> Option<ListItem<'d>> {
    let Text { text, span } = text;
    let (excludes, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (may_miss, named) = rest.strip_prefix('?').map_or((false, rest), |rest| (true, rest));
    if let Some(set) = named.strip_prefix('@') {
        if may_miss {
            sink.add(
                Diagnostic::new(
                    span,
                    format!("the set `@{}` can't be marked with `?`", wording::escape_name(set)),
                )
                .label("a set")
                .hint("write `?` before the patterns of the set that may match nothing"),
            );
            return None;
        }
        return Some(ListItem { excludes, may_miss, what: ItemTarget::Set(set), span });
    }
    let parsed = match (may_miss, named.starts_with('!')) {
        (true, true) => Err(PatternError::Malformed("`!` is written before `?`")),
        (false, true) => Err(PatternError::Malformed("it begins with more than one `!`")),
        (_, false) => Pattern::parse(named, origin),
    };
    match parsed {
        Ok(pattern) => Some(ListItem { excludes, may_miss, what: ItemTarget::Pattern(pattern), span }),
        Err(error) => {
            sink.add(refused(text, span, error));
            None
        }
    }
}

fn refused(text: &str, span: Range<usize>, error: PatternError) -> Diagnostic {
    let message = match error {
        PatternError::Empty => error.to_string(),
        _ => format!("`{}` can't be matched: {error}", wording::escape_name(text)),
    };
    let hint = match error {
        PatternError::Outside => "a task can only declare files of its repository",
        PatternError::Empty => "remove it; `[]` is no file, `[\"**\"]` is every file",
        PatternError::Unclosed(_) => "close it, or write `\\` before it if it is part of a name",
        PatternError::Parent => "write `..` before all wildcards",
        PatternError::Malformed(_) => "write it more simply, for example as several patterns",
    };
    Diagnostic::new(span, message).label("not a pattern here").hint(hint)
}

impl<'d> FileSets<'d> {
    /// Reads `[files]`.
    pub(crate) fn read(
        table: &Table<'d>,
        base: &RepoPath,
        syntax: Syntax,
        sink: &mut DiagnosticSink,
    ) -> Self {
        let origin = PatternBase { base, anchored: false };
        let mut names = Vec::new();
        let mut lists = Vec::new();
        for entry in table {
            if let Some(refusal) = wording::invalid_name(&entry.key, "a set") {
                sink.add(refusal);
            }
            names.push(entry.key.clone());
            lists.push(list_items(entry.value, origin, sink).unwrap_or_default());
        }
        let places: BTreeMap<&str, usize> =
            names.iter().enumerate().map(|(i, name)| (name.text, i)).collect();
        let mut sets = Self {
            known: names.iter().map(|name| (name.text, Patterns::default())).collect(),
            names: Vec::new(),
            syntax,
        };
        for line in lists.iter().flatten() {
            sets.check(line, sink);
        }
        let edges: Vec<Vec<usize>> = lists
            .iter()
            .map(|list| references(list).filter_map(|(name, _)| places.get(name).copied()).collect())
            .collect();
        match cycle::order(&edges) {
            Ok(order) => {
                if check_sizes(&order, &edges, &names, &lists, sink) {
                    for place in order {
                        let patterns = sets.expand(&lists[place]);
                        sets.known.insert(names[place].text, patterns);
                    }
                }
            }
            Err(cycles) => {
                for cycle in cycles {
                    sink.add(cycle_error(&cycle, &names, &lists));
                }
            }
        }
        sets.names = names;
        sets
    }

    /// Returns all sets, in the order of the file.
    pub(crate) fn named(&self) -> Vec<NamedSet> {
        let set = |name: &Text<'_>| NamedSet {
            name: name.text.to_owned(),
            span: name.span.clone(),
            patterns: self.known.get(name.text).cloned().unwrap_or_default(),
        };
        self.names.iter().map(set).collect()
    }

    /// Returns the list with its sets expanded.
    pub(crate) fn resolve(&self, lines: &[ListItem<'d>], sink: &mut DiagnosticSink) -> Patterns {
        for line in lines {
            self.check(line, sink);
        }
        self.expand(lines)
    }

    fn check(&self, line: &ListItem<'_>, sink: &mut DiagnosticSink) {
        let ItemTarget::Set(name) = &line.what else { return };
        if self.known.contains_key(name) || self.syntax == Syntax::Broken {
            return;
        }
        if name.is_empty() {
            let hint =
                "write the name of a set after `@`; for a file whose name begins with `@`, write `\\\\@`";
            sink.add(Diagnostic::new(line.span.clone(), "`@` names no set").label("no name").hint(hint));
            return;
        }
        let hint = wording::suggestion(
            name,
            self.known.keys().copied(),
            "@",
            "sets are written in `[files]`, such as `rust = [\"**/*.rs\"]`; for a name with `@`, write `\\\\@`",
        );
        let message = format!("there is no set `@{}`", wording::escape_name(name));
        sink.add(
            Diagnostic::new(line.span.clone(), message)
                .label("unknown set")
                .hint(hint)
                .caused_by_missing(&["files"]),
        );
    }

    fn expand(&self, lines: &[ListItem<'_>]) -> Patterns {
        let item = |line: &ListItem<'_>| {
            let what = match &line.what {
                ItemTarget::Pattern(pattern) => Matcher::Pattern(pattern.clone()),
                ItemTarget::Set(name) => {
                    Matcher::Set { name: (*name).to_owned(), patterns: self.known.get(name)?.clone() }
                }
            };
            let mark = SourceSpan(Some(line.span.clone()));
            Some(Item { excludes: line.excludes, may_miss: line.may_miss, matcher: what, span: mark })
        };
        Patterns::new(lines.iter().filter_map(item).collect())
    }
}

/// Returns the sets that a list names, each with its place.
fn references<'l, 'd>(list: &'l [ListItem<'d>]) -> impl Iterator<Item = (&'d str, &'l Range<usize>)> {
    list.iter().filter_map(|line| match line.what {
        ItemTarget::Set(name) => Some((name, &line.span)),
        ItemTarget::Pattern(_) => None,
    })
}

/// Returns whether all sets are within `MAX_PATTERNS` and `MAX_DEPTH`. `order` has inner sets first.
fn check_sizes(
    order: &[usize],
    edges: &[Vec<usize>],
    names: &[Text<'_>],
    lists: &[Vec<ListItem<'_>>],
    sink: &mut DiagnosticSink,
) -> bool {
    let mut sizes = vec![(0_usize, 0_usize); edges.len()];
    for place in order {
        let size = edges[*place].iter().fold((lists[*place].len(), 0), |(count, depth), inner| {
            let (inner_count, inner_depth) = sizes[*inner];
            (count.saturating_add(inner_count), depth.max(inner_depth + 1))
        });
        sizes[*place] = size;
        if size.0 > MAX_PATTERNS || size.1 > MAX_DEPTH {
            let name = &names[*place];
            let message =
                format!("with the sets within it, `@{}` is too large", wording::escape_name(name.text));
            let hint = format!("at most {MAX_PATTERNS} patterns, {MAX_DEPTH} sets deep");
            sink.add(Diagnostic::new(name.span.clone(), message).label("too large").hint(hint));
            return false;
        }
    }
    true
}

fn cycle_error(cycle: &[usize], names: &[Text<'_>], lists: &[Vec<ListItem<'_>>]) -> Diagnostic {
    let turn = cycle.iter().chain(cycle.first());
    let path: Vec<String> =
        turn.clone().map(|place| format!("@{}", wording::escape_name(names[*place].text))).collect();
    let message = format!("sets contain each other in a cycle: {}", join_names(&path));
    let mut spans = cycle.iter().zip(turn.skip(1)).map(|(from, to)| {
        let span = references(&lists[*from]).find(|(name, _)| *name == names[*to].text).map(|(_, span)| span);
        let label = format!(
            "`@{}` contains `@{}`",
            wording::escape_name(names[*from].text),
            wording::escape_name(names[*to].text)
        );
        (span.unwrap_or(&names[*from].span).clone(), label)
    });
    let (span, label) = spans.next().unwrap_or_default();
    let diagnostic = Diagnostic::new(span, message).label(label).hint("remove one of these");
    spans.fold(diagnostic, |diagnostic, (span, label)| diagnostic.other(span, label))
}
