//! `[worktree]`: what a private worktree needs that git does not hold. It must not know how it gets
//! there.

use crate::base::path::RepoPath;
use crate::config::diagnostic::{Diagnostic, Findings};
use crate::config::schema::keys;
use crate::config::sections::common_keys::Scope;
use crate::config::sections::drafts::{Draft, WorktreeDraft};
use crate::config::syntax::document::{Entry, Table, Text, Value};

/// The name that the setup has in messages, logs and records. No task can be named so.
const SETUP: &str = "worktree setup";

/// Reads `[worktree]`.
pub(crate) fn read<'d>(
    table: &Table<'d>,
    scope: &Scope<'_, 'd>,
    findings: &mut Findings,
) -> WorktreeDraft<'d> {
    let mut draught = WorktreeDraft::default();
    for entry in table {
        match entry.key.text {
            "root" => draught.plain.root = root(entry.value, findings),
            "link" => draught.plain.link = paths(entry.value, scope, &mut draught.plain.may_miss, findings),
            "copy" => draught.plain.copy = paths(entry.value, scope, &mut draught.plain.may_miss, findings),
            "filters" => {
                let names = entry.value.texts(findings).unwrap_or_default();
                draught.plain.filters = names.iter().map(|name| name.text.to_owned()).collect();
            }
            "setup" => draught.setup = setup(entry, scope, findings),
            _ => findings.add(keys::WORKTREE.refusal(&entry.key, "`[worktree]`")),
        }
    }
    draught
}

/// A command, or a table with the keys of a task that make sense for it.
fn setup<'d>(entry: &Entry<'d>, scope: &Scope<'_, 'd>, findings: &mut Findings) -> Option<Draft<'d>> {
    let name = Text { text: SETUP, span: entry.key.span.clone() };
    let run = |value: Value<'d>| vec![Entry { key: Text { text: "run", span: value.span() }, value }];
    if entry.value.is_text() || entry.value.elements().is_some() {
        return Some(Draft::read(name, &run(entry.value), scope, findings));
    }
    let hint = "write a shell line such as \"npm ci\", or a table with `run` and `inputs`";
    let table = entry.value.table(hint, findings)?;
    let (known, others): (Vec<_>, Vec<_>) =
        table.into_iter().partition(|entry| keys::SETUP.knows(entry.key.text));
    for other in others {
        findings.add(keys::SETUP.refusal(&other.key, "the setup of `[worktree]`"));
    }
    if !known.iter().any(|entry| entry.key.text == "run") {
        findings.add(
            Diagnostic::new(entry.key.span.clone(), "the setup of `[worktree]` runs nothing")
                .label("no `run`")
                .hint("add `run` with the command that makes a fresh checkout ready")
                .lacks(&["run"]),
        );
        return None;
    }
    Some(Draft::read(name, &known, scope, findings))
}

/// A folder that does not depend on where tasks.toml is: relative to it would be in the work tree.
fn root(value: Value<'_>, findings: &mut Findings) -> Option<String> {
    let text = value.text("a folder", findings)?;
    let is_home = text.text == "~" || text.text.starts_with("~/");
    if !is_home && !text.text.starts_with('/') {
        findings.add(
            Diagnostic::new(text.span, format!("`{}` can't have private worktrees", keys::shown(text.text)))
                .label("not an absolute path")
                .hint("name a folder outside of the repository, such as \"/var/cache/xtask\" or \"~/worktrees\""),
        );
        return None;
    }
    Some(text.text.to_owned())
}

/// The paths of a list; those with `?` in front are added to `may_miss` too.
fn paths(
    value: Value<'_>,
    scope: &Scope<'_, '_>,
    may_miss: &mut Vec<RepoPath>,
    findings: &mut Findings,
) -> Vec<RepoPath> {
    let mut paths = Vec::new();
    for text in value.texts(findings).unwrap_or_default() {
        let (plain, is_optional) =
            text.text.strip_prefix('?').map_or((text.text, false), |path| (path, true));
        // A name that begins with `?` is written as in patterns.
        let plain = plain.strip_prefix('\\').filter(|rest| rest.starts_with('?')).unwrap_or(plain);
        match scope.base.join(plain).filter(|path| !path.is_top()) {
            Some(path) if !within_git(&path) => {
                if is_optional {
                    may_miss.push(path.clone());
                }
                paths.push(path);
            }
            _ => findings.add(
                Diagnostic::new(text.span, format!("`{}` can't be provided", keys::shown(text.text)))
                    .label("not a path of the work tree")
                    .hint("write a file or folder that git ignores, such as \"node_modules\""),
            ),
        }
    }
    paths
}

fn within_git(path: &RepoPath) -> bool {
    path.bytes().split(|byte| *byte == b'/').any(|part| part.eq_ignore_ascii_case(b".git"))
}
