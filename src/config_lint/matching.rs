//! Which files of a tree a pattern matches.

use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Pattern, Patterns};
use crate::base::pattern_overlap::Shapes;
use crate::git::snapshot::{Mode, Snapshot, SnapshotEntry};

/// Returns the first file that a pattern matches, or the submodule that it leads into.
pub(super) fn first_match<'s>(snapshot: &'s Snapshot, pattern: &Pattern) -> Option<&'s SnapshotEntry> {
    // A pattern without parts matches everything below its folder, so one entry is enough.
    if pattern.components().is_empty()
        && let Some(first) = snapshot.first_in(pattern.folder())
    {
        return Some(first);
    }
    let below = snapshot.entries_in(pattern.folder());
    if let Some(entry) = below.iter().find(|entry| pattern.matches(&entry.path)) {
        return Some(entry);
    }
    let above = std::iter::successors(pattern.folder().parent(), RepoPath::parent);
    // The folder may be the submodule itself.
    std::iter::once(pattern.folder().clone())
        .chain(above)
        .filter_map(|folder| snapshot.get(&folder))
        .find(|entry| entry.mode == Mode::Submodule)
}

/// Returns whether a pattern is about files below the symlink `entry`, where git has nothing.
pub(super) fn is_below_link(pattern: &Pattern, entry: &SnapshotEntry) -> bool {
    entry.mode == Mode::Symlink && pattern.literal().is_none() && pattern.folder() == &entry.path
}

/// Returns whether one of these items matches.
pub(super) fn matched(items: &[&Item], path: &RepoPath) -> bool {
    items.iter().any(|item| match &item.matcher {
        Matcher::Pattern(pattern) => pattern.matches(path),
        Matcher::Set { patterns, .. } => patterns.matches(path),
    })
}

pub(super) fn shapes(pattern: &Pattern) -> Shapes {
    Shapes::new(&Patterns::new(vec![Item::including(Matcher::Pattern(pattern.clone()))]))
}
