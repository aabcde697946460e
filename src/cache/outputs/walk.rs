//! Lists what matches declared patterns, by stat alone. It does not open files, and does not know
//! which outputs are expected.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::{Matcher, Patterns};
use crate::base::stat::Stat;

/// The number of folders from which on several threads list them.
const PARALLEL: usize = 4;

/// The result of a walk.
#[derive(Debug, Default)]
pub(crate) struct WalkResult {
    /// The matches that are not folders, sorted by path.
    pub(crate) files: Vec<FoundFile>,
    /// The matching folders that are empty, sorted.
    pub(crate) empty: Vec<RepoPath>,
    /// The folders that match, or whose whole content matches, sorted.
    pub(crate) matching: Vec<RepoPath>,
    /// All listed folders.
    pub(crate) folders: HashMap<RepoPath, FoundFolder>,
    /// A path that is not a folder although patterns continue below it.
    pub(crate) blocked: Option<BlockedPath>,
}

/// A path that was found, and its stat.
#[derive(Clone, Debug)]
pub(crate) struct FoundFile {
    pub(crate) path: RepoPath,
    pub(crate) stat: Stat,
}

/// A listed folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FoundFolder {
    pub(crate) content: FolderContent,
    /// The permission bits.
    pub(crate) mode: u32,
}

/// Whether a folder contains anything that does not match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FolderContent {
    /// Only matches and listed folders.
    Matching,
    /// Also paths that do not match.
    Foreign,
}

/// A path that is not a folder but should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BlockedPath {
    pub(crate) path: RepoPath,
    pub(crate) what: &'static str,
}

impl WalkResult {
    /// Returns what is at exactly this path, unless it is a folder.
    pub(crate) fn file(&self, path: &RepoPath) -> Option<&FoundFile> {
        self.files.binary_search_by(|found| found.path.cmp(path)).ok().map(|index| &self.files[index])
    }
}

/// Returns whether a folder is an output itself: its name matches, or any name in it would. So `dist`
/// is an output for `dist` and `dist/**`, but not for `dist/app.js`.
pub(crate) fn is_output(patterns: &Patterns, folder: &RepoPath) -> bool {
    !folder.is_top() && (patterns.matches(folder) || patterns.matches(&folder.child(b"\x01")))
}

/// Returns the kind of a file that can't be an output, as a noun.
pub(crate) fn special_kind(stat: &Stat) -> Option<&'static str> {
    match stat.mode & 0o170_000 {
        0o010_000 => Some("named pipe"),
        0o140_000 => Some("socket"),
        0o020_000 | 0o060_000 => Some("device"),
        _ => None,
    }
}

/// Lists what matches `patterns` below `root`, starting from their literal folders. Symlinks are not
/// followed, and the content of `.git` is skipped.
pub(crate) fn walk(root: &Path, patterns: &Patterns) -> Result<WalkResult, FileError> {
    let reach = PatternReach::new(patterns);
    let mut walked = WalkResult::default();
    let mut level = Vec::new();
    for start in patterns.folders() {
        if let Some(stat) = stat_start(root, &start, &mut walked)? {
            if stat.is_dir() {
                level.push((start, stat.mode & 0o7777));
            } else if patterns.matches(&start) {
                walked.files.push(FoundFile { path: start, stat });
            }
        }
    }
    while !level.is_empty() {
        let list = |(folder, _): &(RepoPath, u32)| list(root, folder, &reach);
        let listings: Vec<Listing> = if level.len() < PARALLEL {
            level.iter().map(list).collect::<Result<_, _>>()?
        } else {
            level.par_iter().map(list).collect::<Result<_, _>>()?
        };
        let mut below = Vec::new();
        for ((folder, mode), listing) in level.into_iter().zip(listings) {
            if listing.is_empty && patterns.matches(&folder) {
                walked.empty.push(folder.clone());
            }
            if is_output(patterns, &folder) {
                walked.matching.push(folder.clone());
            }
            walked.folders.insert(folder, FoundFolder { content: listing.content, mode });
            walked.files.extend(listing.files);
            below.extend(listing.folders);
        }
        level = below;
    }
    walked.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    walked.empty.sort_unstable();
    walked.matching.sort_unstable();
    Ok(walked)
}

/// Returns the stat of the path where a walk starts; `None` if it is missing, or a parent of it is
/// not a folder.
fn stat_start(root: &Path, start: &RepoPath, walked: &mut WalkResult) -> Result<Option<Stat>, FileError> {
    let mut at = RepoPath::top();
    for part in start.parts() {
        let Some(stat) = stat_path(&at.under(root), at.is_top())? else { return Ok(None) };
        if !stat.is_dir() {
            let what = if stat.is_symlink() { "a symlink" } else { "not a folder" };
            walked.blocked.get_or_insert(BlockedPath { path: at, what });
            return Ok(None);
        }
        at = at.child(part);
    }
    stat_path(&start.under(root), start.is_top())
}

/// Returns the stat of a path, if it exists. Only the root itself may be a symlink.
fn stat_path(path: &Path, is_root: bool) -> Result<Option<Stat>, FileError> {
    let meta = if is_root { path.metadata() } else { path.symlink_metadata() };
    if_present(meta)
        .map(|meta| meta.map(|meta| Stat::new(&meta)))
        .map_err(FileError::context("look at", path))
}

fn if_present(meta: io::Result<Metadata>) -> io::Result<Option<Metadata>> {
    match meta {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The entries of one folder.
struct Listing {
    files: Vec<FoundFile>,
    folders: Vec<(RepoPath, u32)>,
    content: FolderContent,
    is_empty: bool,
}

fn list(root: &Path, folder: &RepoPath, reach: &PatternReach<'_>) -> Result<Listing, FileError> {
    let path = folder.under(root);
    let mut listing =
        Listing { files: Vec::new(), folders: Vec::new(), content: FolderContent::Matching, is_empty: true };
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        // It was removed in the meantime. The comparison will notice.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(FileError::context("list", &path)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(FileError::context("list", &path))?;
        let Some(meta) =
            if_present(entry.metadata()).map_err(FileError::context("look at", &entry.path()))?
        else {
            continue;
        };
        listing.is_empty = false;
        let name = entry.file_name();
        let child = folder.child(name.as_bytes());
        if name == ".git" {
            listing.content = FolderContent::Foreign;
        } else if meta.is_dir() {
            if reach.may_contain_match(&child) {
                listing.folders.push((child, Stat::new(&meta).mode & 0o7777));
            } else {
                listing.content = FolderContent::Foreign;
            }
        } else if reach.patterns.matches(&child) {
            listing.files.push(FoundFile { path: child, stat: Stat::new(&meta) });
        } else {
            listing.content = FolderContent::Foreign;
        }
    }
    Ok(listing)
}

/// The folders that patterns can reach: all others need not be listed.
struct PatternReach<'a> {
    patterns: &'a Patterns,
    /// The literal folder of each including pattern and the parts after it; `None` if everything is
    /// reached.
    below: Option<Vec<(RepoPath, Vec<String>)>>,
}

impl<'a> PatternReach<'a> {
    fn new(patterns: &'a Patterns) -> Self {
        let mut below = Vec::new();
        let everything = !add_reach(patterns, &mut below);
        Self { patterns, below: (!everything).then_some(below) }
    }

    fn may_contain_match(&self, folder: &RepoPath) -> bool {
        let excluded = self
            .patterns
            .items()
            .iter()
            .rev()
            .take_while(|item| item.excludes)
            .any(|item| matches!(&item.matcher, Matcher::Pattern(pattern) if pattern.covers(folder)));
        !excluded
            && self.below.as_ref().is_none_or(|below| {
                below.iter().any(|(base, rest)| {
                    base.is_within(folder) || (folder.is_within(base) && reaches(base, rest, folder))
                })
            })
    }
}

/// Adds the including patterns of a list; returns `false` if the list starts with everything.
fn add_reach(patterns: &Patterns, below: &mut Vec<(RepoPath, Vec<String>)>) -> bool {
    let mut including = patterns.items().iter().filter(|item| !item.excludes).peekable();
    including.peek().is_some()
        && including.all(|item| match &item.matcher {
            Matcher::Pattern(pattern) => {
                below.push((pattern.folder().clone(), pattern.components()));
                true
            }
            Matcher::Set { patterns, .. } => add_reach(patterns, below),
        })
}

/// Returns whether a match of `rest` below `base` may be below `folder` or cover it.
fn reaches(base: &RepoPath, rest: &[String], folder: &RepoPath) -> bool {
    let parts = folder.parts().skip(base.parts().count());
    for (glob, part) in rest.iter().zip(parts) {
        // A bracket may contain a slash, so the parts of such a glob can't be compared.
        if glob == "**" || glob.contains(['{', '}', '[', ']', '\\']) {
            return true;
        }
        if !fast_glob::glob_match(glob, part) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::pattern::{Item, Pattern, PatternBase};

    fn patterns(texts: &[&str]) -> Patterns {
        let base = RepoPath::top();
        let parse = |text: &str| Pattern::parse(text, PatternBase { base: &base, anchored: true }).unwrap();
        Patterns::new(
            texts
                .iter()
                .map(|text| Item {
                    excludes: text.starts_with('!'),
                    ..Item::including(Matcher::Pattern(parse(text.trim_start_matches('!'))))
                })
                .collect(),
        )
    }

    #[test]
    fn folders_without_matches_are_not_listed() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (
                &["packages/*/dist"],
                &["packages/a", "packages/a/dist", "packages/a/dist/x"],
                &["packages/a/src"],
            ),
            (&["a/**/b"], &["a/x", "a/x/y"], &[]),
            (&["p/{a,b/c}/d"], &["p/a", "p/b", "p/b/c"], &[]),
            (&["**/*.js", "!node_modules/**"], &["src", "src/a"], &["node_modules"]),
            (
                &["!node_modules", "node_modules/x/*"],
                &["node_modules", "node_modules/x"],
                &["node_modules/y"],
            ),
            (&["d/*.js"], &["d/a.js"], &["d/sub"]),
        ];
        for (texts, held, other) in cases {
            let patterns = patterns(texts);
            let reach = PatternReach::new(&patterns);
            for (folders, expected) in [(held, true), (other, false)] {
                for folder in *folders {
                    let path = RepoPath::from_git(folder.as_bytes());
                    assert_eq!(reach.may_contain_match(&path), expected, "{texts:?} {folder}");
                }
            }
        }
    }

    #[test]
    fn walk_finds_matches_and_reports_unmatched_patterns() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["dist/sub", "dist/none", "dist/.git", "other", "link-target"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["dist/a", "dist/sub/x.map", "dist/.git/config", "other/b", "link-target/c"] {
            std::fs::write(root.join(file), "x").unwrap();
        }
        std::os::unix::fs::symlink("../link-target", root.join("dist/link")).unwrap();
        let walked = walk(root, &patterns(&["dist", "!dist/**/*.map"])).unwrap();
        let found: Vec<String> = walked.files.iter().map(|found| found.path.to_string()).collect();
        assert_eq!(found, ["dist/a", "dist/link"]);
        assert_eq!(walked.empty, [RepoPath::from_git(&b"dist/none"[..])]);
        assert_eq!(walked.folders[&RepoPath::from_git(&b"dist/sub"[..])].content, FolderContent::Foreign);
        assert_eq!(walked.folders[&RepoPath::from_git(&b"dist/none"[..])].content, FolderContent::Matching);
        assert_eq!(walked.blocked, None);

        std::os::unix::fs::symlink("dist", root.join("way")).unwrap();
        let walked = walk(root, &patterns(&["way/a"])).unwrap();
        assert!(walked.files.is_empty());
        assert_eq!(walked.blocked.unwrap().what, "a symlink");
    }
}
