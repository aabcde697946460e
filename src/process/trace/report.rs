//! What a trace found, and how sure it is of that; as a file too. It must not know how it was found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::file::{self, Durability, FileError};
use crate::process::trace::file_path::FilePath;

/// The files that a program and its descendants opened.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Why something may have been missed, sorted; none if the trace is complete.
    pub doubts: Vec<Doubt>,
    /// Each path once, sorted.
    pub files: Vec<Seen>,
}

/// A path, and how it was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The absolute path.
    pub path: FilePath,
    /// Each way once, in the order in which they came: what was written before it was read was made
    /// by the program itself, and what is `Missing` and nothing else was never there.
    pub how: Vec<How>,
    /// How it was reached at first, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
}

/// How a path was reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Access {
    /// The program that did it, where that is known.
    pub program: Option<FilePath>,
    /// The path that it named, in which symlinks are not followed.
    pub named: Option<FilePath>,
}

/// A way in which a path was seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Opened for reading, and its old content was to be had; or given another name, by which it can
    /// be read.
    Read,
    /// Opened for writing, made anew, put in its place by a rename or a link, or taken away.
    Written,
    /// Executed: the program itself, or a script that names its interpreter.
    Executed,
    /// Looked for in vain: it was not there, or could not be opened.
    Missing,
    /// A folder whose entries were read.
    Listed,
}

/// Something that may have escaped the tracer, or that tracing may have changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Doubt {
    /// What it was.
    pub why: Why,
    /// The program that did it, where that is known.
    pub program: Option<FilePath>,
}

/// What may have escaped the tracer, or what tracing may have changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// There is no report: the tracer was killed.
    Unreported,
    /// This system can't be traced.
    Unavailable,
    /// The system forbids to trace; what it said.
    NotPermitted(String),
    /// `io_uring`: what is opened through it is not seen.
    IoUring,
    /// A file was opened by a handle, without a path.
    OpenByHandle,
    /// A program that would have other privileges if it were not traced was executed.
    Privileged,
    /// A process was started in a way that escapes tracing.
    Unattached,
    /// A process was lost while it was alive.
    Lost,
    /// A process's memory, or the table of processes, could not be read.
    Unreadable,
    /// System calls of another architecture, such as those of 32-bit programs.
    ForeignCalls,
    /// A process has another view of the file system, so its paths may mean other files.
    OtherRoot,
    /// A process tried to trace another.
    Tracer,
    /// A signal of this number, for which there is no safe way to pass it on, was swallowed.
    Signal(i32),
}

impl Trace {
    /// Whether nothing can have been missed.
    pub fn is_complete(&self) -> bool {
        self.doubts.is_empty()
    }

    /// The paths that were seen in one way at least.
    pub fn seen(&self, how: How) -> impl Iterator<Item = &FilePath> {
        self.files.iter().filter(move |seen| seen.how.contains(&how)).map(|seen| &seen.path)
    }

    /// Reads a report.
    ///
    /// # Errors
    /// There is none, which means that the tracer was killed, or it can't be read.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let bytes = std::fs::read(path).map_err(FileError::of("read", path))?;
        serde_json::from_slice(&bytes).map_err(|error| FileError::of("read", path)(error.into()))
    }

    /// Writes a report, whole or not at all.
    ///
    /// # Errors
    /// Its folder is missing, or the disk is full.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let bytes =
            serde_json::to_vec(self).map_err(io::Error::from).map_err(FileError::of("write", path))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        file::write(path, &bytes, folder.unwrap_or(Path::new(".")), Durability::Relaxed)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreported => f.write_str("the tracer was killed before it could report"),
            Self::Unavailable => f.write_str("this system can't be traced"),
            Self::NotPermitted(error) => write!(f, "the system forbids to trace: {error}"),
            Self::IoUring => f.write_str("io_uring was used, and what it opens is not seen"),
            Self::OpenByHandle => f.write_str("a file was opened by a handle"),
            Self::Privileged => f.write_str("a program that changes its privileges was executed"),
            Self::Unattached => f.write_str("a process was started so that it can't be traced"),
            Self::Lost => f.write_str("a process was lost sight of"),
            Self::Unreadable => f.write_str("a process's memory could not be read"),
            Self::ForeignCalls => f.write_str("system calls of another architecture were used"),
            Self::OtherRoot => f.write_str("a process has another view of the file system"),
            Self::Tracer => f.write_str("a process tried to trace another"),
            Self::Signal(number) => write!(f, "signal {number} could not be passed on"),
        }
    }
}

/// What is being gathered.
#[derive(Debug, Default)]
pub(super) struct Notebook {
    /// If it is set, only what is below this folder is noted.
    below: Option<PathBuf>,
    doubts: BTreeSet<Doubt>,
    files: BTreeMap<FilePath, (Vec<How>, Option<Access>)>,
}

impl Notebook {
    /// A notebook of what is below `folder`.
    #[cfg_attr(
        not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
        expect(dead_code, reason = "there, nothing is seen")
    )]
    pub(super) fn below(folder: &Path) -> Self {
        Self { below: Some(folder.to_owned()), ..Self::default() }
    }

    /// Whether a path would be noted.
    pub(super) fn wants(&self, path: &Path) -> bool {
        self.below.as_ref().is_none_or(|folder| path.starts_with(folder))
    }

    /// A path was seen. `access` is asked only where it is noted.
    #[cfg_attr(
        not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
        expect(dead_code, reason = "there, nothing is seen")
    )]
    pub(super) fn saw(&mut self, path: &Path, how: How, access: impl FnOnce() -> Access) {
        if !self.wants(path) {
            return;
        }
        let is_narrow = self.below.is_some();
        let (ways, first) = self.files.entry(FilePath::of(path)).or_default();
        if is_narrow && first.is_none() {
            *first = Some(access());
        }
        if !ways.contains(&how) {
            ways.push(how);
        }
    }

    /// Something may have escaped.
    pub(super) fn doubt(&mut self, why: Why, program: Option<&Path>) {
        self.doubts.insert(Doubt { why, program: program.map(FilePath::of) });
    }

    /// All of it.
    pub(super) fn finish(self) -> Trace {
        let files = self.files.into_iter().map(|(path, (how, access))| Seen { path, how, access }).collect();
        Trace { doubts: self.doubts.into_iter().collect(), files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access { program: Some(FilePath::of(Path::new("/bin/cat"))), named: None }
    }

    #[test]
    fn only_what_is_below_the_folder_is_noted_and_how_it_was_reached() {
        let mut notebook = Notebook::below(Path::new("/tree"));
        for path in ["/a", "/treetop", "/tree/a", "/tree/a"] {
            notebook.saw(Path::new(path), How::Read, access);
        }
        let [seen] = &notebook.finish().files[..] else { panic!("one file") };
        assert_eq!((seen.path.as_path(), seen.access.clone()), (Path::new("/tree/a"), Some(access())));
    }

    #[test]
    fn ways_are_kept_in_order_and_once() {
        let mut notebook = Notebook::default();
        for (path, how) in [
            ("/b", How::Missing),
            ("/b", How::Written),
            ("/a", How::Read),
            ("/b", How::Read),
            ("/b", How::Written),
        ] {
            notebook.saw(Path::new(path), how, access);
        }
        let trace = notebook.finish();
        assert!(trace.is_complete());
        let shown: Vec<String> =
            trace.files.iter().map(|seen| format!("{} {:?}", seen.path, seen.how)).collect();
        assert_eq!(shown, ["/a [Read]", "/b [Missing, Written, Read]"]);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut notebook = Notebook::default();
        notebook.saw(Path::new("/a"), How::Executed, access);
        notebook.doubt(Why::Signal(34), Some(Path::new("/bin/x")));
        notebook.doubt(Why::NotPermitted("no".to_owned()), None);
        notebook.doubt(Why::Signal(34), Some(Path::new("/bin/x")));
        let trace = notebook.finish();
        assert_eq!(trace.doubts.len(), 2);
        let path = dir.path().join("report");
        trace.write(&path).unwrap();
        assert_eq!(Trace::read(&path).unwrap(), trace);
        assert!(Trace::read(&dir.path().join("none")).is_err());
    }
}
