//! Collecting: the output set that is on disk now. It must not know what is stored.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Patterns, What};
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Content, Output, OutputSet};
use crate::cache::outputs::table::Table;
use crate::cache::outputs::walk::{self, Found, special};

impl Cache {
    /// What lies below `root` within `patterns` now, with contents hashed. Files whose stat is known
    /// are not read again.
    ///
    /// # Errors
    /// An output is of a kind that can't be stored, lies behind a symlink, or changed meanwhile.
    pub fn collect(&self, root: &Path, patterns: &Patterns) -> Result<OutputSet, CacheError> {
        self.collect_with(root, patterns, &self.table(root))
    }

    /// The same, with the stats that `known` knows.
    pub(crate) fn collect_with(
        &self,
        root: &Path,
        patterns: &Patterns,
        known: &Table,
    ) -> Result<OutputSet, CacheError> {
        let walked = walk::walk(root, patterns)?;
        if let Some(blocked) = walked.blocked {
            return Err(CacheError::NotAFolder { path: blocked.path, what: blocked.what });
        }
        let mut outputs = Vec::with_capacity(walked.files.len() + walked.matching.len());
        for found in walked.files.iter().filter(|found| !found.stat.is_file()) {
            if let Some(kind) = special(&found.stat) {
                return Err(CacheError::Special { path: found.path.clone(), kind });
            }
            let target = target(root, &found.path)?;
            outputs.push(Output { path: found.path.clone(), content: Content::Symlink { target } });
        }
        let files: Vec<&Found> = walked.files.iter().filter(|found| found.stat.is_file()).collect();
        let digests = content::digests(root, &files, known, &self.place.temp());
        for (found, digest) in files.iter().zip(digests) {
            let content =
                Content::File { mode: found.stat.mode & 0o7777, size: found.stat.size, digest: digest? };
            outputs.push(Output { path: found.path.clone(), content });
        }
        for path in &walked.matching {
            let is_empty = walked.empty.binary_search(path).is_ok();
            let mode = walked.folders.get(path).map_or(0o755, |folder| folder.mode);
            outputs.push(Output { path: path.clone(), content: Content::Folder { mode, is_empty } });
        }
        let unmatched = unmatched(patterns, &outputs);
        Ok(OutputSet::new(outputs, unmatched))
    }
}

/// The bytes of a symlink's target.
pub(crate) fn target(root: &Path, path: &RepoPath) -> Result<Box<[u8]>, CacheError> {
    let full = path.under(root);
    let target = std::fs::read_link(&full).map_err(FileError::of("read the symlink", &full))?;
    Ok(target.as_os_str().as_bytes().into())
}

/// The including patterns that match no output, although they have to.
fn unmatched(patterns: &Patterns, outputs: &[Output]) -> Vec<String> {
    let matches = |item: &Item, path: &RepoPath| match &item.what {
        What::One(pattern) => pattern.matches(path),
        What::Set { patterns, .. } => patterns.matches(path),
    };
    let items = patterns.items().iter().filter(|item| !item.excludes && !item.may_miss);
    // A folder is there for what it holds, unless it is empty.
    let is_own = |output: &&Output| !matches!(output.content, Content::Folder { is_empty: false, .. });
    let outputs: Vec<&Output> = outputs.iter().filter(is_own).collect();
    items
        .filter(|item| !outputs.iter().any(|output| matches(item, &output.path)))
        .map(|item| match &item.what {
            What::One(pattern) => pattern.text().to_owned(),
            What::Set { name, .. } => format!("@{name}"),
        })
        .collect()
}
