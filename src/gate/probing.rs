//! Whether tool probes that were asked in the user's work tree hold for another tree. It must not
//! ask them.
//!
//! A probe such as `rustc -vV` may depend on files: version managers look for theirs in the folder
//! they are called in and above it, and the probe may name a script of the repository. If all of
//! these are the same in both trees, so is the answer. Otherwise the tree is checked out and asked
//! there, which costs time and not truth.

use std::collections::BTreeSet;
use std::path::Path;

use crate::base::file;
use crate::config::model::Config;
use crate::git::snapshot::Snapshot;
use crate::git::{GitError, Repository};
use crate::graph::Graph;
use crate::key::probe_files;

/// Files that are compared before it is given up.
const MOST: usize = 2000;

/// Whether the probes of `graph` answer in the work tree at `root` as they would in `tree`.
///
/// # Errors
/// The tree can't be read.
pub fn holds(
    repository: &Repository,
    root: &Path,
    (config, graph): (&Config, &Graph),
    (tree, snapshot): (&str, &Snapshot),
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
    if paths.len() > MOST {
        return Ok(false);
    }
    for path in paths {
        let there = repository.read_file(tree, &path)?;
        // A folder, or a file that can't be read, is not the same as any file.
        let Ok(here) = file::read(&path.under(root)) else { return Ok(false) };
        if here != there {
            return Ok(false);
        }
    }
    Ok(true)
}
