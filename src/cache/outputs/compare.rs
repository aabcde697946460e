//! Comparing: whether what is on disk is what an entry says. It must not change anything.

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
use crate::cache::outputs::output_set::{Content, Output};
use crate::cache::outputs::walk::{self, Found, Walked};

/// How outputs on disk relate to an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutputState {
    /// They are the same.
    Intact,
    /// They are not; the first difference, as a clause: `dist/app.js was edited`.
    Differs(String),
}

/// Whether what lies within patterns and is none of the outputs counts as a difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extras {
    /// It does.
    Count,
    /// It is let be.
    Ignored,
}

impl Cache {
    /// Compares what lies within `patterns` below `root` with an entry. Files whose stat is known
    /// are not opened.
    pub fn compare(&self, root: &Path, patterns: &Patterns, entry: &Entry) -> OutputState {
        self.holds(root, patterns, &entry.outputs().collect::<Vec<_>>(), Extras::Count)
    }

    /// Whether these outputs lie within `patterns` below `root` as they are. Files whose stat is known
    /// are not opened.
    pub fn holds(
        &self,
        root: &Path,
        patterns: &Patterns,
        outputs: &[&Output],
        extras: Extras,
    ) -> OutputState {
        if outputs.is_empty() && (patterns.is_empty() || extras == Extras::Ignored) {
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
        walked: &Walked,
        outputs: &[&Output],
        extras: Extras,
    ) -> Option<String> {
        if let Some(blocked) = &walked.blocked {
            return Some(format!("{} is {}", blocked.path, blocked.what));
        }
        let mut files = Vec::new();
        // What is missing is named rather than the folder that it was in.
        let holds_others =
            |output: &&&Output| matches!(output.content, Content::Folder { is_empty: false, .. });
        let (folders, others): (Vec<&&Output>, Vec<&&Output>) = outputs.iter().partition(holds_others);
        for output in others.into_iter().chain(folders) {
            match glance(root, walked, output) {
                Glance::Same => {}
                Glance::Other(how) => return Some(format!("{} {how}", output.path)),
                Glance::Unread(found, digest) => files.push((found, digest)),
            }
        }
        if extras == Extras::Count {
            let wanted: HashSet<&RepoPath> = outputs.iter().map(|output| &output.path).collect();
            let extra = walked.files.iter().map(|found| &found.path).chain(&walked.empty);
            if let Some(path) = extra.filter(|path| !wanted.contains(path)).min() {
                return Some(format!("{path} is extra"));
            }
        }
        let (found, wanted): (Vec<&Found>, Vec<Digest>) = files.into_iter().unzip();
        let read = content::digests(root, &found, &self.table(root), &self.place.temp());
        found.iter().zip(wanted).zip(read).find_map(|((found, wanted), read)| match read {
            Ok(digest) if digest == wanted => None,
            Ok(_) | Err(CacheError::Changed { .. }) => Some(format!("{} was edited", found.path)),
            Err(error) => Some(error.to_string()),
        })
    }
}

/// What stats alone say of an output.
pub(crate) enum Glance<'w> {
    /// It is as it should be.
    Same,
    /// It is not; a clause that follows its name.
    Other(&'static str),
    /// It is if its content has this digest.
    Unread(&'w Found, Digest),
}

/// Looks at one output without opening a file.
pub(crate) fn glance<'w>(root: &Path, walked: &'w Walked, output: &Output) -> Glance<'w> {
    let found = walked.file(&output.path);
    let folder = walked.folders.get(&output.path);
    let is_folder = folder.is_some();
    let other_kind = |is: &'static str| if is_folder || found.is_some() { is } else { "is missing" };
    match (&output.content, found) {
        (Content::Folder { mode, .. }, None) => match folder {
            Some(folder) if folder.mode == *mode => Glance::Same,
            Some(_) => Glance::Other("has another mode"),
            None => Glance::Other("is missing"),
        },
        (Content::Folder { .. }, Some(_)) => Glance::Other("is no longer a folder"),
        (Content::Symlink { target }, Some(found)) if found.stat.is_symlink() => {
            match collect::target(root, &output.path) {
                Ok(now) if now == *target => Glance::Same,
                _ => Glance::Other("points elsewhere"),
            }
        }
        (Content::Symlink { .. }, _) => Glance::Other(other_kind("is no longer a symlink")),
        (Content::File { mode, size, digest }, Some(found)) if found.stat.is_file() => {
            if found.stat.size != *size {
                Glance::Other("was edited")
            } else if found.stat.mode & 0o7777 != *mode {
                Glance::Other("has another mode")
            } else {
                Glance::Unread(found, *digest)
            }
        }
        (Content::File { .. }, _) => Glance::Other(other_kind("is no longer a file")),
    }
}
