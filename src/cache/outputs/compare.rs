//! Compares the disk with the outputs of an entry. It does not change anything.

use std::collections::HashSet;
use std::path::Path;

use crate::base::digest::Digest;
use crate::base::path::RepoPath;
use crate::base::pattern::Patterns;
use crate::cache::Cache;
use crate::cache::error::CacheError;
use crate::cache::format::entry::Entry;
use crate::cache::outputs::collect;
use crate::cache::outputs::content;
use crate::cache::outputs::output_set::{Output, OutputContent};
use crate::cache::outputs::walk::{self, FoundFile, WalkResult};

/// How the outputs on disk differ from those of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutputState {
    /// They are the same.
    Intact,
    /// They differ; the text is the first difference as a clause, such as `dist/app.js was edited`.
    Differs(String),
}

/// Whether files that match the patterns and are not among the outputs count as a difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtraFiles {
    /// They count.
    Count,
    /// They are ignored.
    Ignored,
}

impl Cache {
    /// Compares what matches `patterns` below `root` with an entry. Files with a known stat are not
    /// opened.
    pub fn compare(&self, root: &Path, patterns: &Patterns, entry: &Entry) -> OutputState {
        self.compare_outputs(root, patterns, &entry.outputs().collect::<Vec<_>>(), ExtraFiles::Count)
    }

    /// Compares what matches `patterns` below `root` with these outputs. Files with a known stat are
    /// not opened.
    pub fn compare_outputs(
        &self,
        root: &Path,
        patterns: &Patterns,
        outputs: &[&Output],
        extras: ExtraFiles,
    ) -> OutputState {
        if outputs.is_empty() && (patterns.is_empty() || extras == ExtraFiles::Ignored) {
            return OutputState::Intact;
        }
        let walked = match walk::walk(root, patterns) {
            Ok(walked) => walked,
            Err(error) => return OutputState::Differs(error.to_string()),
        };
        match self.difference(root, &walked, outputs, extras) {
            None => OutputState::Intact,
            Some(what) => OutputState::Differs(what),
        }
    }

    fn difference(
        &self,
        root: &Path,
        walked: &WalkResult,
        outputs: &[&Output],
        extras: ExtraFiles,
    ) -> Option<String> {
        if let Some(blocked) = &walked.blocked {
            return Some(format!("{} is {}", blocked.path, blocked.what));
        }
        let mut files = Vec::new();
        // A missing file is reported rather than its folder.
        let holds_others =
            |output: &&&Output| matches!(output.content, OutputContent::Folder { is_empty: false, .. });
        let (folders, others): (Vec<&&Output>, Vec<&&Output>) = outputs.iter().partition(holds_others);
        for output in others.into_iter().chain(folders) {
            match compare_stat(root, walked, output) {
                StatComparison::Same => {}
                StatComparison::Different(how) => return Some(format!("{} {how}", output.path)),
                StatComparison::NeedsDigest(found, digest) => files.push((found, digest)),
            }
        }
        if extras == ExtraFiles::Count {
            let wanted: HashSet<&RepoPath> = outputs.iter().map(|output| &output.path).collect();
            let extra = walked.files.iter().map(|found| &found.path).chain(&walked.empty);
            if let Some(path) = extra.filter(|path| !wanted.contains(path)).min() {
                return Some(format!("{path} is extra"));
            }
        }
        let (found, wanted): (Vec<&FoundFile>, Vec<Digest>) = files.into_iter().unzip();
        let read = content::hash_files(root, &found, &self.table(root), &self.dirs.temp());
        found.iter().zip(wanted).zip(read).find_map(|((found, wanted), read)| match read {
            Ok(digest) if digest == wanted => None,
            Ok(_) | Err(CacheError::Changed { .. }) => Some(format!("{} was edited", found.path)),
            Err(error) => Some(error.to_string()),
        })
    }
}

/// The result of comparing an output by its stat alone.
pub(crate) enum StatComparison<'w> {
    /// The output is as expected.
    Same,
    /// The output differs; the text is a clause that follows its name.
    Different(&'static str),
    /// The output is as expected if its content has this digest.
    NeedsDigest(&'w FoundFile, Digest),
}

/// Compares one output without opening a file.
pub(crate) fn compare_stat<'w>(root: &Path, walked: &'w WalkResult, output: &Output) -> StatComparison<'w> {
    let found = walked.file(&output.path);
    let folder = walked.folders.get(&output.path);
    let is_folder = folder.is_some();
    let other_kind = |is: &'static str| if is_folder || found.is_some() { is } else { "is missing" };
    match (&output.content, found) {
        (OutputContent::Folder { mode, .. }, None) => match folder {
            Some(folder) if folder.mode == *mode => StatComparison::Same,
            Some(_) => StatComparison::Different("has another mode"),
            None => StatComparison::Different("is missing"),
        },
        (OutputContent::Folder { .. }, Some(_)) => StatComparison::Different("is no longer a folder"),
        (OutputContent::Symlink { target }, Some(found)) if found.stat.is_symlink() => {
            match collect::target(root, &output.path) {
                Ok(now) if now == *target => StatComparison::Same,
                _ => StatComparison::Different("points elsewhere"),
            }
        }
        (OutputContent::Symlink { .. }, _) => StatComparison::Different(other_kind("is no longer a symlink")),
        (OutputContent::File { mode, size, digest }, Some(found)) if found.stat.is_file() => {
            if found.stat.size != *size {
                StatComparison::Different("was edited")
            } else if found.stat.mode & 0o7777 != *mode {
                StatComparison::Different("has another mode")
            } else {
                StatComparison::NeedsDigest(found, *digest)
            }
        }
        (OutputContent::File { .. }, _) => StatComparison::Different(other_kind("is no longer a file")),
    }
}
