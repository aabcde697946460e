//! `include`: which other files belong to a tasks.toml, and what their projects are called. It must
//! not know what else the files say.
//!
//! An included file is a project of its own: named like its folder, or like itself if it is not
//! called tasks.toml; its paths are relative to its folder. Projects lie within each other as the
//! files include each other, so that `api:auth:test` is the `test` of what `api` includes as `auth`.

use std::ops::Range;

use crate::base::links::{Leads, follow};
use crate::base::name;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Mark, Origin, Patterns, What};
use crate::config::diagnostic::{Diagnostic, Diagnostics, Findings, Flawed};
use crate::config::load::tree::{FILE, Library, Listed, LoadError, plain};
use crate::config::naming::joined;
use crate::config::schema::keys;
use crate::config::sections::file_sets::{self, Line, Reference};
use crate::config::source::Source;
use crate::config::syntax::document::{self, Value};

/// Files that one repository may bring together.
const MOST: usize = 1000;

/// One file of several.
pub(crate) struct Member {
    pub(crate) path: RepoPath,
    pub(crate) name: String,
    pub(crate) text: String,
    /// The project it is; empty for the outermost.
    pub(crate) project: String,
    pub(crate) findings: Findings,
    /// The member that includes it.
    parent: Option<usize>,
}

/// One place of an `include`.
struct Wanted {
    /// What it matches, without what later places exclude.
    patterns: Patterns,
    span: Range<usize>,
}

/// Reads the text of the tasks.toml at `path`, and of all files that it includes, the outermost first; `None`
/// if there is none.
pub(crate) fn members<L: Library>(
    tree: &L,
    path: &RepoPath,
) -> Result<Option<Vec<Member>>, LoadError<L::Error>> {
    let text = match follow(path, |path| tree.link(path)).map_err(LoadError::Tree)? {
        Leads::To(at) => tree.read(&at).map_err(LoadError::Tree)?.map(plain),
        Leads::Nowhere => None,
        Leads::Outside { link, target } => {
            let mut findings = Findings::default();
            let finding = Diagnostic::new(0..target.len(), leads_out(path, &link)).label("outside");
            findings.add(finding.hint(COMMIT_IT));
            let flawed = Flawed::new(&tree.name(&link), &target, findings);
            return Err(LoadError::Wrong(Diagnostics::new(vec![flawed])));
        }
    };
    let Some(text) = text else { return Ok(None) };
    let mut members = vec![Member {
        name: tree.name(path),
        path: path.clone(),
        text,
        project: String::new(),
        findings: Findings::default(),
        parent: None,
    }];
    let mut next = 0;
    while next < members.len() {
        bring(tree, next, &mut members).map_err(LoadError::Tree)?;
        next += 1;
    }
    Ok(Some(members))
}

impl Member {
    pub(crate) fn source(&self) -> Source<'_> {
        let base = self.path.parent().unwrap_or_else(RepoPath::top);
        Source { name: &self.name, text: &self.text, base, project: &self.project }
    }
}

/// What to do about a symlink that leads out.
const COMMIT_IT: &str = "put the file itself there, or a relative symlink to a file of this repository";

fn leads_out(path: &RepoPath, link: &RepoPath) -> String {
    if path == link {
        return format!(
            "`{path}` is a symlink that leads out of the repository, so no commit has its content"
        );
    }
    format!("`{path}` leads out of the repository by the symlink `{link}`, so no commit has its content")
}

/// Adds what the member `at` includes.
fn bring<L: Library>(tree: &L, at: usize, members: &mut Vec<Member>) -> Result<(), L::Error> {
    // Most files include nothing, and are parsed soon enough.
    if !members[at].text.contains("include") {
        return Ok(());
    }
    let base = members[at].source().base;
    for place in wanted(&members[at].text, &base) {
        let found = place.find(tree)?;
        // A wildcard may well match the file it stands in, and places of one list the same file.
        let others: Vec<RepoPath> = found.iter().filter(|path| **path != members[at].path).cloned().collect();
        if others.is_empty() && !(found.is_empty() && place.may_miss()) {
            members[at].findings.add(nothing(&place, !found.is_empty()));
        }
        for path in others {
            if members.iter().any(|member| member.path == path && member.parent == Some(at)) {
                continue;
            }
            if let Some(finding) = refusal(&path, at, members, &place) {
                members[at].findings.add(finding);
                continue;
            }
            let text = match follow(&path, |path| tree.link(path))? {
                Leads::To(at) => tree.read(&at)?,
                Leads::Nowhere => None,
                Leads::Outside { link, .. } => {
                    let finding = Diagnostic::new(place.span.clone(), leads_out(&path, &link));
                    members[at].findings.add(finding.label("includes it").hint(COMMIT_IT));
                    continue;
                }
            };
            let Some(text) = text.map(plain) else {
                let message = format!("`{path}` is a symlink that leads to no file of the repository");
                let finding = Diagnostic::new(place.span.clone(), message).label("includes it");
                members[at].findings.add(finding.hint("let it lead to a file that git does not ignore"));
                continue;
            };
            let (name, project) = (tree.name(&path), joined(&members[at].project, &own_name(&path)));
            let findings = Findings::default();
            members.push(Member { path, name, text, project, findings, parent: Some(at) });
        }
    }
    Ok(())
}

/// The places of a file's `include`, as far as they are right.
fn wanted(text: &str, base: &RepoPath) -> Vec<Wanted> {
    // What is wrong with the file is told when all of it is read.
    let mut untold = Findings::default();
    let root = document::read(text, &mut untold);
    let Some(entry) = document::entries(&root).into_iter().find(|entry| entry.key.text == "include") else {
        return Vec::new();
    };
    let items = read(entry.value, base, &mut untold);
    let wanted =
        items.iter().enumerate().filter(|(_, (item, _))| !item.excludes).map(|(at, (item, span))| {
            let behind = items[at + 1..].iter().map(|(item, _)| item).filter(|item| item.excludes);
            Wanted {
                patterns: Patterns::new(std::iter::once(item).chain(behind).cloned().collect()),
                span: span.clone(),
            }
        });
    wanted.collect()
}

/// The places of an `include`, each with where it stands.
pub(crate) fn read(value: Value<'_>, base: &RepoPath, findings: &mut Findings) -> Vec<(Item, Range<usize>)> {
    let mut items = Vec::new();
    let origin = Origin { base, anchored: true };
    for Line { excludes, may_miss, what, span } in
        file_sets::lines(value, origin, findings).unwrap_or_default()
    {
        match what {
            Reference::Pattern(pattern) => {
                let mark = Mark(Some(span.clone()));
                items.push((Item { excludes, may_miss, what: What::One(pattern), mark }, span));
            }
            Reference::Set(_) => findings.add(
                Diagnostic::new(span, "a set can't be used in `include`")
                    .label("a set")
                    .hint("write the paths of files, such as \"services/*/tasks.toml\""),
            ),
        }
    }
    items
}

/// What to say if a place brings no other file in; `is_itself` if it names the file it stands in.
fn nothing(place: &Wanted, is_itself: bool) -> Diagnostic {
    let shown = keys::shown(&place.shown());
    if is_itself {
        return Diagnostic::new(place.span.clone(), format!("`{shown}` is this file itself"))
            .label("includes itself")
            .hint("take it out");
    }
    Diagnostic::new(place.span.clone(), format!("`{shown}` matches no tasks.toml"))
        .label("includes nothing")
        .hint("name files that git does not ignore, relative to this file's folder, such as \"services/*/tasks.toml\"")
}

/// What to say if `path` can't be included by the member `at`.
fn refusal(path: &RepoPath, at: usize, members: &[Member], place: &Wanted) -> Option<Diagnostic> {
    let line: Vec<&Member> =
        std::iter::successors(Some(&members[at]), |member| Some(&members[member.parent?])).collect();
    if let Some(depth) = line.iter().position(|member| member.path == *path) {
        let names = line[..=depth].iter().rev().map(|member| member.path.to_string());
        let turn: Vec<String> = names.chain([path.to_string()]).collect();
        let message = format!("files include each other in a circle: {}", turn.join(" → "));
        return Some(Diagnostic::new(place.span.clone(), message).label("leads back").hint("take this out"));
    }
    let own = own_name(path);
    if let Some(why) = name::refusal(&own) {
        let message = format!("`{path}` can't be included, since its folder gives no name: {why}");
        return Some(
            Diagnostic::new(place.span.clone(), message).label("includes it").hint("rename the folder"),
        );
    }
    if members.len() >= MOST {
        let message = format!("more than {MOST} files are included");
        return Some(Diagnostic::new(place.span.clone(), message).label("too many").hint("include fewer"));
    }
    let project = joined(&members[at].project, &own);
    let known = members.iter().find(|member| member.path == *path || member.project == project)?;
    let (message, hint) = if known.path == *path {
        let by = known.parent.map_or_else(String::new, |parent| members[parent].path.to_string());
        (format!("`{path}` is included already, by {by}"), "include it once")
    } else {
        let message = format!("`{path}` and `{}` would both be the project `{project}`", known.path);
        (message, "rename one of the folders, or exclude one of the files with `!`")
    };
    Some(Diagnostic::new(place.span.clone(), message).label("includes it").hint(hint))
}

/// What the project of a file is called within the file that includes it.
fn own_name(path: &RepoPath) -> String {
    let last = |path: &RepoPath| {
        path.parts().last().map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default()
    };
    let file = last(path);
    if file == FILE {
        return path.parent().map(|folder| last(&folder)).unwrap_or_default();
    }
    file.strip_suffix(".toml").unwrap_or(&file).to_owned()
}

impl Wanted {
    /// The files that match: those that are called tasks.toml, and one that is named without a
    /// wildcard.
    fn find<L: Library>(&self, tree: &L) -> Result<Vec<RepoPath>, L::Error> {
        let Some(What::One(pattern)) = self.patterns.items().first().map(|item| &item.what) else {
            return Ok(Vec::new());
        };
        let folder = pattern.literal().and_then(RepoPath::parent).unwrap_or_else(|| pattern.folder().clone());
        let rest = pattern.rest();
        // One level more for the file in a folder that the pattern names.
        let levels = if pattern.literal().is_some() { 2 } else { rest.len() + 1 };
        let depth = if rest.iter().any(|part| part == "**") { usize::MAX } else { levels };
        let mut found = Vec::new();
        let mut open = vec![(folder, depth)];
        while let Some((folder, depth)) = open.pop() {
            // What the list holds is named as the pattern names it, not as the symlinks lead to it.
            let Leads::To(real) = follow(&folder, |path| tree.link(path))? else { continue };
            for Listed { path, is_folder } in tree.list(&real)? {
                let path = folder.child(path.parts().last().unwrap_or_default());
                let reaches = || pattern.literal().is_none_or(|named| path.is_within(named));
                if is_folder && depth > 1 && reaches() {
                    open.push((path, depth - 1));
                } else if !is_folder && self.patterns.matches(&path) {
                    let is_named = pattern.literal() == Some(&path);
                    let is_usual = path.bytes().rsplit(|byte| *byte == b'/').next() == Some(FILE.as_bytes());
                    if is_named || is_usual {
                        found.push(path);
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Whether it may match nothing.
    fn may_miss(&self) -> bool {
        self.patterns.items().first().is_some_and(|item| item.may_miss)
    }

    fn shown(&self) -> String {
        match self.patterns.items().first().map(|item| &item.what) {
            Some(What::One(pattern)) => pattern.text().to_owned(),
            _ => String::new(),
        }
    }
}
