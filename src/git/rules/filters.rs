//! Filter drivers, such as `lfs`: which paths of a tree would have one run at checkout. It must not
//! run any.

use crate::base::path::RepoPath;
use crate::git::error::GitError;
use crate::git::program::Place;
use crate::git::repository::Repository;

/// Refuses the first of `paths` whose filter driver would run and is not among `permitted`. `place`
/// has the attribute files of the tree.
///
/// # Errors
/// There is one, or git can't be asked.
pub(crate) fn refuse_others<'p>(
    repository: &Repository,
    place: Place<'_>,
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
    let output = repository.program().converse(place, &args, &input, |output| {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    })?;
    // Path, attribute and value, each ended by a zero.
    let fields: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    for [path, _, value] in fields.as_chunks::<3>().0 {
        let filter = String::from_utf8_lossy(value).into_owned();
        if !permitted.contains(&filter) && repository.has_driver(&filter) {
            return Err(GitError::Filter { path: String::from_utf8_lossy(path).into_owned(), filter });
        }
    }
    Ok(())
}

impl Repository {
    /// Whether a checkout starts something for the filter of this name.
    fn has_driver(&self, filter: &str) -> bool {
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
