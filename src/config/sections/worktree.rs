//! `[worktree]`: what a private worktree needs that git does not have. It must not know how it gets there.

use crate::base::path::RepoPath;
use crate::base::pattern::{Pattern, PatternBase};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink};
use crate::config::model::{ProvidedPattern, Setup};
use crate::config::schema::all_keys;
use crate::config::sections::common_keys::ParseContext;
use crate::config::sections::drafts::{TaskDraft, WorktreeDraft};
use crate::config::syntax::document::{Entry, Table, Text, Value};
use crate::config::wording;

/// Reads `[worktree]`.
pub(crate) fn read<'d>(
    table: &Table<'d>,
    context: &ParseContext<'_, 'd>,
    sink: &mut DiagnosticSink,
) -> WorktreeDraft<'d> {
    let mut section = WorktreeDraft::default();
    for entry in table {
        match entry.key.text {
            "root" => section.plain.root = root(entry.value, sink),
            "link" => {
                let plain = &mut section.plain;
                (plain.link, plain.link_patterns) = paths(entry.value, context, &mut plain.may_miss, sink);
            }
            "copy" => {
                let plain = &mut section.plain;
                (plain.copy, plain.copy_patterns) = paths(entry.value, context, &mut plain.may_miss, sink);
            }
            "filters" => {
                let names = entry.value.texts(sink).unwrap_or_default();
                section.plain.filters = names.iter().map(|name| name.text.to_owned()).collect();
            }
            "in-place" => section.plain.always_private = entry.value.boolean(sink) == Some(false),
            "setup" => section.setup = setup(entry, context, sink),
            _ => sink.add(all_keys::WORKTREE.unknown_key(&entry.key, "`[worktree]`")),
        }
    }
    section
}

/// Reads the setup: a command, or a table with some of the keys of a task.
fn setup<'d>(
    entry: &Entry<'d>,
    context: &ParseContext<'_, 'd>,
    sink: &mut DiagnosticSink,
) -> Option<TaskDraft<'d>> {
    let name = Text { text: Setup::NAME, span: entry.key.span.clone() };
    let run = |value: Value<'d>| vec![Entry { key: Text { text: "run", span: value.span() }, value }];
    if entry.value.is_text() || entry.value.elements().is_some() {
        return Some(TaskDraft::read(name, &run(entry.value), context, sink));
    }
    let hint = "write a shell line such as \"npm ci\", or a table with `run` and `inputs`";
    let table = entry.value.table(hint, sink)?;
    let (known, others): (Vec<_>, Vec<_>) =
        table.into_iter().partition(|entry| all_keys::SETUP.has(entry.key.text));
    for other in others {
        sink.add(all_keys::SETUP.unknown_key(&other.key, "the setup of `[worktree]`"));
    }
    if !known.iter().any(|entry| entry.key.text == "run") {
        sink.add(
            Diagnostic::new(entry.key.span.clone(), "the setup of `[worktree]` runs nothing")
                .label("no `run`")
                .hint("add `run` with the command that makes a fresh checkout ready")
                .caused_by_missing(&["run"]),
        );
        return None;
    }
    Some(TaskDraft::read(name, &known, context, sink))
}

/// Reads a folder that does not depend on the folder of tasks.toml, since that would be in the work tree.
fn root(value: Value<'_>, sink: &mut DiagnosticSink) -> Option<String> {
    let text = value.text("a folder", sink)?;
    let is_home = text.text == "~" || text.text.starts_with("~/");
    if !is_home && !text.text.starts_with('/') {
        sink.add(
            Diagnostic::new(
                text.span,
                format!("`{}` can't have private worktrees", wording::escape_name(text.text)),
            )
            .label("not an absolute path")
            .hint("name a folder outside the repository, such as \"/var/cache/xtask\" or \"~/worktrees\""),
        );
        return None;
    }
    Some(text.text.to_owned())
}

/// Reads a list of paths and patterns. Paths with `?` in front are also added to `may_miss`.
fn paths(
    value: Value<'_>,
    context: &ParseContext<'_, '_>,
    may_miss: &mut Vec<RepoPath>,
    sink: &mut DiagnosticSink,
) -> (Vec<RepoPath>, Vec<ProvidedPattern>) {
    let (mut paths, mut patterns) = (Vec::new(), Vec::new());
    for text in value.texts(sink).unwrap_or_default() {
        let (plain, is_optional) =
            text.text.strip_prefix('?').map_or((text.text, false), |path| (path, true));
        // A name that begins with `?` is escaped as in patterns.
        let plain = plain.strip_prefix('\\').filter(|rest| rest.starts_with('?')).unwrap_or(plain);
        if plain.contains('*') {
            match Pattern::parse(plain, PatternBase { base: context.base, anchored: true }) {
                Ok(pattern) => patterns.push(ProvidedPattern { pattern, may_miss: is_optional }),
                Err(error) => sink.add(
                    Diagnostic::new(text.span, error.to_string())
                        .label("not a pattern")
                        .hint("write a pattern of what git ignores, such as \"packages/*/node_modules\""),
                ),
            }
            continue;
        }
        match context.base.join(plain).filter(|path| !path.is_top()) {
            Some(path) if !within_git(&path) => {
                if is_optional {
                    may_miss.push(path.clone());
                }
                paths.push(path);
            }
            _ => sink.add(
                Diagnostic::new(
                    text.span,
                    format!("`{}` can't be provided", wording::escape_name(text.text)),
                )
                .label("not a path of the work tree")
                .hint("write a file or folder that git ignores, such as \"node_modules\""),
            ),
        }
    }
    (paths, patterns)
}

fn within_git(path: &RepoPath) -> bool {
    path.bytes().split(|byte| *byte == b'/').any(|part| part.eq_ignore_ascii_case(b".git"))
}
