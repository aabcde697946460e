//! Finds the filter drivers, such as `lfs`, that a checkout of a tree would run. It does not run any.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::git_program::GitDirs;
use crate::git::repository::Repository;

/// Fails if the filter driver of one of `paths` would run and is not among `permitted`. The work tree
/// of `dirs` has the attribute files of the tree.
///
/// # Errors
/// A driver is not permitted, or git fails.
pub(crate) fn check_filters_permitted<'p>(
    repository: &Repository,
    dirs: GitDirs<'_>,
    paths: impl Iterator<Item = &'p RepoPath>,
    permitted: &[String],
) -> Result<(), GitError> {
    let mut input = Vec::new();
    for path in paths {
        input.extend_from_slice(path.bytes());
        input.push(0);
    }
    if input.is_empty() {
        return Ok(());
    }
    let args = ["check-attr", "-z", "--stdin", "filter"];
    let output = repository.program().run_with_input(dirs, &args, &input, |output| {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    })?;
    // The output is a list of path, attribute and value, each ended by a zero.
    let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    for [path, _, value] in fields.as_chunks::<3>().0 {
        let filter = String::from_utf8_lossy(value).into_owned();
        if !permitted.contains(&filter) && repository.has_filter_driver(&filter) {
            return Err(GitError::Filter { path: String::from_utf8_lossy(path).into_owned(), filter });
        }
    }
    Ok(())
}

impl Repository {
    /// Returns whether a checkout runs a program for the filter of this name.
    fn has_filter_driver(&self, filter: &str) -> bool {
        if matches!(filter, "unspecified" | "unset" | "set") {
            return false;
        }
        let inner = self.lock();
        let Ok(config) = inner.config() else { return true };
        let set = |key: &str| {
            config.get_string(&format!("filter.{filter}.{key}")).is_ok_and(|value| !value.is_empty())
        };
        set("smudge") || set("process")
    }
}
