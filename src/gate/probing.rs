//! Decides whether the results of tool probes in the user's work tree are valid for another tree. This
//! module does not run the probes.
//!
//! If a result is remembered, it is known which paths of the work tree it depends on, found or missing, and
//! these must be the same in the other tree. What git ignores is not part of a tree and counts as the same:
//! `[worktree]` provides it.
//!
//! Otherwise that is guessed. The result of a probe such as `rustc -vV` may depend on files: a version manager looks for its
//! configuration in the current folder and the folders above it, and the probe may call a script of the
//! repository. If all of these files are the same in both trees, the result is the same too. Otherwise
//! the tree is checked out and the probe runs there, which takes longer and is always correct.

use std::collections::BTreeSet;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::base::file;
use crate::base::path::RepoPath;
use crate::config::model::Config;
use crate::engine::prepare::tool_probes::Probes;
use crate::git::snapshot::{Mode, Snapshot};
use crate::git::{GitError, Repository};
use crate::graph::Graph;
use crate::history::probe_answers::{KnownPath, PathState};
use crate::key::probe_files;

/// The largest number of files that are compared. With more, the tree is checked out.
const MAX_FILES: usize = 2000;

/// Returns whether the probes of `graph` have the same results in the work tree at `root` as in `tree`.
///
/// # Errors
/// Fails if the tree can't be read.
pub fn probes_are_valid(
    repository: &Repository,
    root: &Path,
    config: &Config,
    graph: &Graph,
    tree: &str,
    snapshot: &Snapshot,
    probes: &Probes,
) -> Result<bool, GitError> {
    let tools: BTreeSet<&String> =
        graph.nodes.iter().flat_map(|node| &config.task(node.task).tools).collect();
    if tools.is_empty() {
        return Ok(true);
    }
    let mut paths = BTreeSet::new();
    for name in tools {
        match (probes.in_tree.get(name), config.tools.get(name)) {
            (Some(known), _) => {
                for known in known {
                    if !is_same(repository, root, tree, snapshot, known)? {
                        return Ok(false);
                    }
                }
            }
            (None, Some(tool)) => paths.extend(probe_files::probe_files(tool, snapshot)),
            (None, None) => {}
        }
    }
    if paths.len() > MAX_FILES {
        return Ok(false);
    }
    for path in paths {
        let there = repository.read_file(tree, &path)?;
        // A folder, or a file that can't be read, counts as different.
        let Ok(here) = file::read(&path.under(root)) else { return Ok(false) };
        if here != there {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns whether a path that a result depends on is the same in the tree as in the work tree.
fn is_same(
    repository: &Repository,
    root: &Path,
    tree: &str,
    snapshot: &Snapshot,
    known: &KnownPath,
) -> Result<bool, GitError> {
    let path = RepoPath::from_git(known.path.as_os_str().as_bytes());
    let is_folder = || path.is_top() || !snapshot.entries_in(&path).is_empty();
    if known.path.starts_with(".git") {
        // A checkout has a repository too, but not this one.
        return Ok(matches!(known.state, PathState::Folder { .. }) && known.path == Path::new(".git"));
    }
    // A parent folder may be a file or a symlink there.
    let mut parents = std::iter::successors(path.parent(), RepoPath::parent);
    if parents.any(|parent| snapshot.get(&parent).is_some()) {
        return Ok(false);
    }
    let Some(entry) = snapshot.get(&path) else {
        return Ok(match known.state {
            PathState::Missing(_) => !is_folder(),
            // The names in it may differ.
            PathState::Content(stat) if stat.is_dir() && is_folder() => false,
            PathState::Folder { .. } if is_folder() => true,
            _ => repository.ignores(&path),
        });
    };
    let PathState::Content(stat) = known.state else { return Ok(false) };
    let here = path.under(root);
    if stat.is_symlink() {
        let target = std::fs::read_link(&here).ok().map(|target| target.into_os_string().into_vec());
        return Ok(target.is_some() && target == repository.read_link(tree, &path)?);
    }
    let mode = if stat.is_executable() { Mode::Executable } else { Mode::File };
    let content = file::read(&here).ok().flatten();
    Ok(stat.is_file()
        && mode == entry.mode
        && content.is_some()
        && content == repository.read_file(tree, &path)?)
}
