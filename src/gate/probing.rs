//! Decides whether the results of tool probes in the user's work tree are valid for another tree. This
//! module does not run the probes.
//!
//! The result of a probe such as `rustc -vV` may depend on files: a version manager looks for its
//! configuration in the current folder and the folders above it, and the probe may call a script of the
//! repository. If all of these files are the same in both trees, the result is the same too. Otherwise
//! the tree is checked out and the probe runs there, which takes longer and is always correct.

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::file;
use crate::config::model::Config;
use crate::git::snapshot::Snapshot;
use crate::git::{GitError, Repository};
use crate::graph::Graph;
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
) -> Result<bool, GitError> {
    let tools: BTreeSet<&String> =
        graph.nodes.iter().flat_map(|node| &config.task(node.task).tools).collect();
    if tools.is_empty() {
        return Ok(true);
    }
    let mut paths = BTreeSet::new();
    for tool in tools.into_iter().filter_map(|name| config.tools.get(name)) {
        paths.extend(probe_files::probe_files(tool, snapshot));
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
