//! Collects the outputs that are on disk now. It does not know what is stored.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::base::file::FileError;
use crate::base::path::RepoPath;
use crate::base::pattern::{Item, Matcher, Patterns};
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Output, OutputContent, OutputSet};
use crate::cache::outputs::table::StatTable;
use crate::cache::outputs::walk::{self, FoundFile, special_kind};

impl Cache {
    /// Returns what matches `patterns` below `root` now, with hashed contents. Files with a known
    /// stat are not read again.
    ///
    /// # Errors
    /// An output is of a kind that can't be stored, is behind a symlink, or changes during the call.
    pub fn collect(&self, root: &Path, patterns: &Patterns) -> Result<OutputSet, CacheError> {
        self.collect_with(root, patterns, &self.table(root))
    }

    /// The same as [`Self::collect`], with the stats in `known`.
    pub(crate) fn collect_with(
        &self,
        root: &Path,
        patterns: &Patterns,
        known: &StatTable,
    ) -> Result<OutputSet, CacheError> {
        let walked = walk::walk(root, patterns)?;
        if let Some(blocked) = walked.blocked {
            return Err(CacheError::NotAFolder { path: blocked.path, what: blocked.what });
        }
        let mut outputs = Vec::with_capacity(walked.files.len() + walked.matching.len());
        for found in walked.files.iter().filter(|found| !found.stat.is_file()) {
            if let Some(kind) = special_kind(&found.stat) {
                return Err(CacheError::Special { path: found.path.clone(), kind });
            }
            let target = target(root, &found.path)?;
            outputs.push(Output { path: found.path.clone(), content: OutputContent::Symlink { target } });
        }
        let files: Vec<&FoundFile> = walked.files.iter().filter(|found| found.stat.is_file()).collect();
        let digests = content::hash_files(root, &files, known, &self.dirs.temp());
        for (found, digest) in files.iter().zip(digests) {
            let content = OutputContent::File {
                mode: found.stat.mode & 0o7777,
                size: found.stat.size,
                digest: digest?,
            };
            outputs.push(Output { path: found.path.clone(), content });
        }
        for path in &walked.matching {
            let is_empty = walked.empty.binary_search(path).is_ok();
            let mode = walked.folders.get(path).map_or(0o755, |folder| folder.mode);
            outputs.push(Output { path: path.clone(), content: OutputContent::Folder { mode, is_empty } });
        }
        let unmatched = unmatched(patterns, &outputs);
        Ok(OutputSet::new(outputs, unmatched))
    }
}

/// Returns the bytes of a symlink's target.
pub(crate) fn target(root: &Path, path: &RepoPath) -> Result<Box<[u8]>, CacheError> {
    let full = path.under(root);
    let target = std::fs::read_link(&full).map_err(FileError::context("read the symlink", &full))?;
    Ok(target.as_os_str().as_bytes().into())
}

/// Returns the including patterns that match no output although they must.
fn unmatched(patterns: &Patterns, outputs: &[Output]) -> Vec<String> {
    let matches = |item: &Item, path: &RepoPath| match &item.matcher {
        Matcher::Pattern(pattern) => pattern.matches(path),
        Matcher::Set { patterns, .. } => patterns.matches(path),
    };
    let items = patterns.items().iter().filter(|item| !item.excludes && !item.may_miss);
    // A folder counts as an output only if it is empty.
    let is_own = |output: &&Output| !matches!(output.content, OutputContent::Folder { is_empty: false, .. });
    let outputs: Vec<&Output> = outputs.iter().filter(is_own).collect();
    items
        .filter(|item| !outputs.iter().any(|output| matches(item, &output.path)))
        .map(|item| match &item.matcher {
            Matcher::Pattern(pattern) => pattern.text().to_owned(),
            Matcher::Set { name, .. } => format!("@{name}"),
        })
        .collect()
}
