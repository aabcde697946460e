//! `include`: finds the other files that belong to a tasks.toml, and names their projects. It must not know
//! what else the files say.
//!
//! An included file is a project of its own. It is named after its folder, or after itself if it is not
//! called tasks.toml; its paths are relative to its folder. Projects nest as files include each other:
//! `api:auth:test` is the `test` of the file that `api` includes as `auth`.

use std::ops::Range;

use crate::base::links::{LinkTarget, follow};
use crate::base::name;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, PatternBase, Patterns, SourceSpan};
use crate::config::diagnostic::{Diagnostic, DiagnosticSink, Diagnostics, FileDiagnostics};
use crate::config::load::tree::{ConfigTree, FILE, LoadError, TreeEntry, plain};
use crate::config::naming::qualified;
use crate::config::sections::file_sets::{self, ItemTarget, ListItem};
use crate::config::source::SourceText;
use crate::config::syntax::document::{self, Value};
use crate::config::wording;

/// How many files a repository may have.
const MAX_FILES: usize = 1000;

/// One file of the config.
pub(crate) struct LoadedFile {
    pub(crate) path: RepoPath,
    pub(crate) name: String,
    pub(crate) text: String,
    /// The project that it is; empty for the outermost.
    pub(crate) project: String,
    pub(crate) sink: DiagnosticSink,
    /// The position of the file that includes it.
    parent: Option<usize>,
}

/// One pattern of an `include`.
struct IncludePattern {
    /// The pattern, with the exclusions that follow it.
    patterns: Patterns,
    span: Range<usize>,
}

/// Loads the text of the tasks.toml at `path`, without the files that it includes. Returns `None` if there is
/// none.
pub(crate) fn outermost<L: ConfigTree>(
    tree: &L,
    path: &RepoPath,
) -> Result<Option<LoadedFile>, LoadError<L::Error>> {
    let text = match follow(path, |path| tree.link(path)).map_err(LoadError::Tree)? {
        LinkTarget::To(at) => tree.read(&at).map_err(LoadError::Tree)?.map(plain),
        LinkTarget::Cycle => None,
        LinkTarget::Outside { link, target } => {
            let mut sink = DiagnosticSink::default();
            let finding = Diagnostic::new(0..target.len(), leads_out(path, &link)).label("outside");
            sink.add(finding.hint(COMMIT_IT));
            let invalid_files = FileDiagnostics::new(&tree.name(&link), &target, sink);
            return Err(LoadError::Wrong(Diagnostics::new(vec![invalid_files])));
        }
    };
    Ok(text.map(|text| LoadedFile {
        name: tree.name(path),
        path: path.clone(),
        text,
        project: String::new(),
        sink: DiagnosticSink::default(),
        parent: None,
    }))
}

/// Loads the texts of all files that the outermost one includes, which is the first of the result.
pub(crate) fn with_included<L: ConfigTree>(
    tree: &L,
    outermost: LoadedFile,
) -> Result<Vec<LoadedFile>, L::Error> {
    let mut files = vec![outermost];
    let mut next = 0;
    while next < files.len() {
        load_included(tree, next, &mut files)?;
        next += 1;
    }
    Ok(files)
}

impl LoadedFile {
    pub(crate) fn source(&self) -> SourceText<'_> {
        let base = self.path.parent().unwrap_or_else(RepoPath::top);
        SourceText { name: &self.name, text: &self.text, base, project: &self.project }
    }
}

/// The hint for a symlink to a file outside the repository.
const COMMIT_IT: &str = "put the file itself there, or a relative symlink to a file of this repository";

fn leads_out(path: &RepoPath, link: &RepoPath) -> String {
    if path == link {
        return format!(
            "`{path}` is a symlink that leads out of the repository, so no commit has its content"
        );
    }
    format!("`{path}` leads out of the repository by the symlink `{link}`, so no commit has its content")
}

/// Loads the files that the file `at` includes.
fn load_included<L: ConfigTree>(tree: &L, at: usize, files: &mut Vec<LoadedFile>) -> Result<(), L::Error> {
    // Most files include nothing, so they are not parsed twice.
    if !files[at].text.contains("include") {
        return Ok(());
    }
    let base = files[at].source().base;
    for place in include_patterns(&files[at].text, &base) {
        let found = place.find(tree)?;
        // A wildcard may match the file that contains it, and two patterns may match the same file.
        let others: Vec<RepoPath> = found.iter().filter(|path| **path != files[at].path).cloned().collect();
        if others.is_empty() && !(found.is_empty() && place.may_miss()) {
            files[at].sink.add(no_match(&place, !found.is_empty()));
        }
        for path in others {
            if files.iter().any(|file| file.path == path && file.parent == Some(at)) {
                continue;
            }
            if let Some(finding) = include_error(&path, at, files, &place) {
                files[at].sink.add(finding);
                continue;
            }
            let text = match follow(&path, |path| tree.link(path))? {
                LinkTarget::To(at) => tree.read(&at)?,
                LinkTarget::Cycle => None,
                LinkTarget::Outside { link, .. } => {
                    let finding = Diagnostic::new(place.span.clone(), leads_out(&path, &link));
                    files[at].sink.add(finding.label("includes it").hint(COMMIT_IT));
                    continue;
                }
            };
            let Some(text) = text.map(plain) else {
                let message = format!("`{path}` is a symlink that leads to no file of the repository");
                let finding = Diagnostic::new(place.span.clone(), message).label("includes it");
                files[at].sink.add(finding.hint("point it at a file that git does not ignore"));
                continue;
            };
            let (name, project) = (tree.name(&path), qualified(&files[at].project, &project_name(&path)));
            let sink = DiagnosticSink::default();
            files.push(LoadedFile { path, name, text, project, sink, parent: Some(at) });
        }
    }
    Ok(())
}

/// Returns the valid patterns of a file's `include`.
fn include_patterns(text: &str, base: &RepoPath) -> Vec<IncludePattern> {
    // The errors are reported later, when the whole file is read.
    let mut untold = DiagnosticSink::default();
    let root = document::read(text, &mut untold);
    let Some(entry) = document::entries(&root).into_iter().find(|entry| entry.key.text == "include") else {
        return Vec::new();
    };
    let items = read(entry.value, base, &mut untold);
    let include_patterns =
        items.iter().enumerate().filter(|(_, (item, _))| !item.excludes).map(|(at, (item, span))| {
            let exclusions = items[at + 1..].iter().map(|(item, _)| item).filter(|item| item.excludes);
            IncludePattern {
                patterns: Patterns::new(std::iter::once(item).chain(exclusions).cloned().collect()),
                span: span.clone(),
            }
        });
    include_patterns.collect()
}

/// Reads the patterns of an `include`, each with its place.
pub(crate) fn read(
    value: Value<'_>,
    base: &RepoPath,
    sink: &mut DiagnosticSink,
) -> Vec<(Item, Range<usize>)> {
    let mut items = Vec::new();
    let origin = PatternBase { base, anchored: true };
    for ListItem { excludes, may_miss, what, span } in
        file_sets::list_items(value, origin, sink).unwrap_or_default()
    {
        match what {
            ItemTarget::Pattern(pattern) => {
                let mark = SourceSpan(Some(span.clone()));
                items.push((
                    Item { excludes, may_miss, matcher: Matcher::Pattern(pattern), span: mark },
                    span,
                ));
            }
            ItemTarget::Set(_) => sink.add(
                Diagnostic::new(span, "a set can't be used in `include`")
                    .label("a set")
                    .hint("write the paths of files, such as \"services/*/tasks.toml\""),
            ),
        }
    }
    items
}

/// Reports a pattern that includes no other file. `is_itself` is set if it matches the file that contains it.
fn no_match(place: &IncludePattern, is_itself: bool) -> Diagnostic {
    let shown = wording::escape_name(&place.text());
    if is_itself {
        return Diagnostic::new(place.span.clone(), format!("`{shown}` is this file itself"))
            .label("includes itself")
            .hint("remove it");
    }
    Diagnostic::new(place.span.clone(), format!("`{shown}` matches no tasks.toml"))
        .label("includes nothing")
        .hint("name files that git does not ignore, relative to this file's folder, such as \"services/*/tasks.toml\"")
}

/// Returns the error if `path` can't be included by the file `at`.
fn include_error(
    path: &RepoPath,
    at: usize,
    files: &[LoadedFile],
    place: &IncludePattern,
) -> Option<Diagnostic> {
    let line: Vec<&LoadedFile> =
        std::iter::successors(Some(&files[at]), |file| Some(&files[file.parent?])).collect();
    if let Some(depth) = line.iter().position(|file| file.path == *path) {
        let names = line[..=depth].iter().rev().map(|file| file.path.to_string());
        let turn: Vec<String> = names.chain([path.to_string()]).collect();
        let message = format!("files include each other in a cycle: {}", turn.join(" → "));
        return Some(
            Diagnostic::new(place.span.clone(), message).label("closes the cycle").hint("remove this"),
        );
    }
    let own = project_name(path);
    if let Some(why) = name::invalid_reason(&own) {
        let message = format!("`{path}` can't be included, since its folder has no valid name: {why}");
        return Some(
            Diagnostic::new(place.span.clone(), message).label("includes it").hint("rename the folder"),
        );
    }
    if files.len() >= MAX_FILES {
        let message = format!("more than {MAX_FILES} files are included");
        return Some(Diagnostic::new(place.span.clone(), message).label("too many").hint("include fewer"));
    }
    let project = qualified(&files[at].project, &own);
    let known = files.iter().find(|file| file.path == *path || file.project == project)?;
    let (message, hint) = if known.path == *path {
        let by = known.parent.map_or_else(String::new, |parent| files[parent].path.to_string());
        (format!("`{path}` is already included, by {by}"), "include it once")
    } else {
        let message = format!("`{path}` and `{}` would both be the project `{project}`", known.path);
        (message, "rename one of the folders, or exclude one of the files with `!`")
    };
    Some(Diagnostic::new(place.span.clone(), message).label("includes it").hint(hint))
}

/// Returns the name of a file's project within the including project.
fn project_name(path: &RepoPath) -> String {
    let last = |path: &RepoPath| {
        path.parts().last().map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default()
    };
    let file = last(path);
    if file == FILE {
        return path.parent().map(|folder| last(&folder)).unwrap_or_default();
    }
    file.strip_suffix(".toml").unwrap_or(&file).to_owned()
}

impl IncludePattern {
    /// Returns the files that match: files called tasks.toml, and a file that is named without a wildcard.
    fn find<L: ConfigTree>(&self, tree: &L) -> Result<Vec<RepoPath>, L::Error> {
        let Some(Matcher::Pattern(pattern)) = self.patterns.items().first().map(|item| &item.matcher) else {
            return Ok(Vec::new());
        };
        let folder = pattern.literal().and_then(RepoPath::parent).unwrap_or_else(|| pattern.folder().clone());
        let rest = pattern.components();
        // One level more for the tasks.toml in a folder that the pattern names.
        let levels = if pattern.literal().is_some() { 2 } else { rest.len() + 1 };
        let depth = if rest.iter().any(|part| part == "**") { usize::MAX } else { levels };
        let mut found = Vec::new();
        let mut open = vec![(folder, depth)];
        while let Some((folder, depth)) = open.pop() {
            // Files are named by the path in the pattern, not by the target of a symlink.
            let LinkTarget::To(real) = follow(&folder, |path| tree.link(path))? else { continue };
            for TreeEntry { path, is_folder } in tree.list(&real)? {
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

    /// Returns whether the pattern may match nothing.
    fn may_miss(&self) -> bool {
        self.patterns.items().first().is_some_and(|item| item.may_miss)
    }

    fn text(&self) -> String {
        match self.patterns.items().first().map(|item| &item.matcher) {
            Some(Matcher::Pattern(pattern)) => pattern.text().to_owned(),
            _ => String::new(),
        }
    }
}
